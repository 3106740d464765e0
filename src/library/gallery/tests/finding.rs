//! What a search finds.

use chrono::{Local, TimeZone};
use proptest::prelude::*;

use super::super::facts;
use super::*;
use crate::domain::search::{KEYS, KeyKind};
use crate::domain::{FamilyId, LoraUse, ModelRef, SamplerId, ScheduleId, Verdict};

fn noon(month: u32, day: u32) -> i64 {
    Local.with_ymd_and_hms(2026, month, day, 12, 0, 0).unwrap().timestamp_millis()
}

/// Five pictures, `a` the oldest; `e` has no recipe.
fn five() -> Home {
    let mut home = Home::new();
    home.add(
        "a.png",
        noon(1, 1),
        Some(&recipe("A red Dress, (linen:1.2)", |recipe| {
            recipe.request.sampler = SamplerId::EulerA;
            recipe.request.negative_prompt = "blurry cat".into();
            recipe.request.seed = 7;
        })),
    );
    home.add(
        "b.png",
        noon(11, 3),
        Some(&recipe("a café dress <lora:Denim-v2:0.8>", |recipe| {
            recipe.request.width_px = 16;
            recipe.request.num_inference_steps = 30;
            recipe.request.seed = u64::MAX;
            recipe.request.model = ModelRef::Path("/m/sd_turbo.safetensors".into());
            recipe.model_name = "SD Turbo".into();
            recipe.model_hash = "ABCDEF0123".into();
        })),
    );
    home.add(
        "c.png",
        noon(11, 20),
        Some(&recipe("絹のドレス、赤い", |recipe| {
            recipe.request.guidance_scale = 7.5;
            recipe.request.schedule = ScheduleId::Karras;
            recipe.request.seed = 1 << 63;
            recipe.safety = Some(Verdict { flagged: true, score: 0.1 });
        })),
    );
    home.add(
        "d.png",
        noon(11, 21),
        Some(&recipe("cat on a chair", |recipe| {
            recipe.request.sampler = SamplerId::Euler;
            let path = "/l/Silk.safetensors".into();
            recipe.request.loras.push(LoraUse { path, unet_weight: 1.0, text_encoder_weight: 1.0 });
            recipe.elapsed_secs = 90.0;
        })),
    );
    home.add("e.png", noon(12, 31), None);
    home
}

#[test]
fn every_key_finds_what_it_is_for() {
    let mut home = five();
    home.index.know_family("abcdef0123", FamilyId::SdTurbo).unwrap();
    let ids: Vec<PictureId> = home.index.find(&SearchRequest::default(), &|| false).unwrap().unwrap().result.ids;
    home.index.star(&ids[1..2], true).unwrap();
    home.index.rate(&ids[2..4], 4).unwrap();
    let summer = home.index.create_collection("Summer dresses", None).unwrap();
    home.index.collect(summer, &[ids[0], ids[3]]).unwrap();
    home.index.create_collection("Catty", Some("cat")).unwrap();
    assert_eq!(home.find(""), ["e", "d", "c", "b", "a"], "without a date of its own a picture has its file's");
    for (text, expected) in [
        ("dress", "b a"),
        ("DRE", "b a"),
        ("dre ", ""),
        ("dre* red ", "a"),
        ("\"red dress\"", "a"),
        ("\"dress red\"", ""),
        ("cafe ", "b"),
        ("ドレス", "c"),
        ("linen:1.2", "a"),
        ("blurry", ""),
        ("negative:blur", "a"),
        ("-dress", "e d c"),
        ("-dress recipe:yes", "d c"),
        ("cat OR café ", "d b"),
        ("red OR chair dress ", "a"),
        ("euler", "d a"),
        ("sampler:euler", "d"),
        ("sampler:euler_a", "a"),
        ("sampler:eul", "d a"),
        ("-sampler:euler", "e c b a"),
        ("schedule:karras", "c"),
        ("size:>8", "b"),
        ("size:16x8", "b"),
        ("width:..3", "e"),
        ("height:2", "e"),
        ("steps:20..29", "d c a"),
        ("guidance:7.5", "c"),
        ("guidance:<7", "d b a"),
        ("seed:7", "a"),
        ("seed:18446744073709551615", "b"),
        ("seed:>9223372036854775807", "c b"),
        ("model:turbo", "b"),
        ("family:sd_turbo", "b"),
        ("family:sd", "b"),
        ("family:starter", "d c a"),
        ("hash:abcd", "b"),
        ("lora:denim", "b"),
        ("lora:SILK", "d"),
        ("silk", "d"),
        ("date:2026-11", "d c b"),
        ("date:2026-11-03..2026-11-20", "c b"),
        ("date:<2026-02", "a"),
        ("star:yes", "d"),
        ("-star:no", "d"),
        ("rating:>=3", "c b"),
        ("collection:\"summer dresses\"", "e b"),
        ("collection:sum", "e b"),
        ("in:catty", "d"),
        ("in:nowhere", ""),
        ("safe:no", "c"),
        ("safe:yes", "e d b a"),
        ("recipe:no", "e"),
        ("init:no", "e d c b a"),
        ("hires:yes", ""),
        ("seconds:>60", "d"),
        ("file:B.png", "b"),
        ("file:%", ""),
        ("size: dress", "b a"),
    ] {
        assert_eq!(home.find(text).join(" "), expected, "{text}");
    }
}

#[test]
fn each_order_and_equals_newest_first() {
    let mut home = five();
    let ids = home.index.find(&SearchRequest::default(), &|| false).unwrap().unwrap().result.ids;
    home.index.rate(&[ids[3]], 9).unwrap();
    home.index.star(&[ids[1]], true).unwrap();
    for (sort, expected) in [
        (SortOrder::Newest, "e d c b a"),
        (SortOrder::Oldest, "a b c d e"),
        (SortOrder::Rating, "b d e c a"),
        (SortOrder::Prompt, "b a d c e"),
        (SortOrder::Largest, "b d c a e"),
        (SortOrder::Smallest, "e d c a b"),
        (SortOrder::Seed, "d a c b e"),
        (SortOrder::Arranged, "e d c b a"),
    ] {
        assert_eq!(home.find_in(Scope::All, sort).join(" "), expected, "{sort:?}");
    }
    assert_eq!(home.index.rows(&[ids[3]]).unwrap()[0].marks.rating, 5, "no more than five");
}

#[test]
fn pictures_of_one_recipe_stand_together_whatever_their_seeds() {
    let mut home = five();
    let seeds = [100, 3, 50].map(|seed| {
        recipe("a hat", |recipe| {
            recipe.request.seed = seed;
            recipe.elapsed_secs = seed as f64;
        })
    });
    for (index, recipe) in seeds.iter().enumerate() {
        home.add(&format!("hat{index}.png"), noon(12, 1 + index as u32), Some(recipe));
    }
    let other = recipe("a hat", |recipe| recipe.request.num_inference_steps = 21);
    home.add("other.png", noon(12, 9), Some(&other));
    home.add("f.png", noon(12, 30), None);
    let request = SearchRequest { is_grouped: true, text: "-file:a.png".into(), ..SearchRequest::default() };
    let result = home.index.find(&request, &|| false).unwrap().unwrap().result;
    let names = home.find_with(&request);
    let sizes: Vec<_> = names.iter().map(String::as_str).zip(result.group_sizes).collect();
    let expected = [("other", 1), ("hat2", 3), ("d", 1), ("c", 1), ("b", 1)];
    assert_eq!(sizes.iter().filter(|(name, _)| !["e", "f"].contains(name)).copied().collect::<Vec<_>>(), expected);
    assert_eq!((sizes.len(), result.total), (7, 9), "pictures without a recipe are each alone");
    let hat = result.ids[names.iter().position(|name| name == "hat2").unwrap()];
    assert_eq!(home.find_in(Scope::SameRecipe(hat), SortOrder::Seed), ["hat1", "hat2", "hat0"]);
    let alone = result.ids[names.iter().position(|name| name == "e").unwrap()];
    assert_eq!(home.find_in(Scope::SameRecipe(alone), SortOrder::Newest), ["e"]);
}

#[test]
fn collections_are_ordered_by_hand_and_smart_ones_follow_their_search() {
    let mut home = five();
    let ids = home.index.find(&SearchRequest::default(), &|| false).unwrap().unwrap().result.ids;
    let hand = home.index.create_collection(" By hand ", None).unwrap();
    home.index.collect(hand, &[ids[2], ids[0], ids[4]]).unwrap();
    home.index.collect(hand, &[ids[1], ids[0], PictureId(999)]).unwrap();
    let arranged = |home: &Home| home.find_in(Scope::Collection(hand), SortOrder::Arranged).join(" ");
    assert_eq!(arranged(&home), "c e a d");
    assert_eq!(home.find_in(Scope::Collection(hand), SortOrder::Oldest).join(" "), "a c d e");
    home.index.arrange(hand, &[ids[1], ids[4]], Some(ids[0])).unwrap();
    assert_eq!(arranged(&home), "c d a e");
    home.index.arrange(hand, &[ids[2], ids[3]], None).unwrap();
    assert_eq!(arranged(&home), "d a e c", "what is not in it is not moved into it");
    home.index.arrange(hand, &[ids[1], ids[4]], Some(ids[4])).unwrap();
    assert_eq!(arranged(&home), "d a e c", "before itself is where it was");
    home.index.uncollect(hand, &[ids[1]]).unwrap();
    assert_eq!(arranged(&home), "a e c");

    let smart = home.index.create_collection("Smart", Some("dress")).unwrap();
    assert_eq!(home.find_in(Scope::Collection(smart), SortOrder::Arranged).join(" "), "b a");
    assert!(home.index.collect(smart, &[ids[0]]).is_err());
    home.index.set_collection_query(smart, "in:smart OR collection:\"by hand\"").unwrap();
    assert_eq!(home.find_in(Scope::Collection(smart), SortOrder::Newest).join(" "), "e c a", "a circle ends");
    home.index.set_collection_query(hand, "dress").unwrap();
    assert_eq!(arranged(&home), "a e c", "one with pictures does not become a search");

    for bad in ["", "  ", "a\nb", "x".repeat(101).as_str(), "SMART", "by hand"] {
        assert!(home.index.create_collection(bad, None).is_err(), "{bad}");
    }
    assert_eq!(home.index.rename_collection(hand, "smart").unwrap_err().exit_code(), 2);
    home.index.rename_collection(hand, "BY HAND").unwrap();
    let listed = home.index.collections().unwrap();
    let told: Vec<_> = listed.iter().map(|one| (one.name.as_str(), one.count)).collect();
    assert_eq!(told, [("BY HAND", Some(3)), ("Smart", None)]);
    home.index.delete_collection(hand).unwrap();
    assert_eq!(home.index.collections().unwrap().len(), 1);
    assert_eq!(home.find("").len(), 5);
}

#[test]
fn a_picture_that_changes_or_goes_is_found_by_what_it_is_now() {
    let mut home = five();
    home.add("a.png", noon(1, 1), Some(&recipe("a boot", |_| {})));
    assert_eq!((home.find("linen"), home.find("boot")), (vec![], vec!["a".to_owned()]));
    let id = home.index.insert(&home.path("a.png")).unwrap().id;
    home.index.remove(id).unwrap();
    assert_eq!(home.find("boot").len() + home.find("file:a.png").len(), 0);
    fs::rename(home.path("d.png"), home.path("moved-chair.png")).unwrap();
    assert_eq!(home.index.rescan().unwrap().renamed, 1);
    assert_eq!(home.find("moved"), ["moved-chair"]);
    let left: i64 = home
        .index
        .connection
        .query_row("SELECT count(*) FROM words WHERE words MATCH 'd'", [], |row| row.get(0))
        .unwrap();
    assert_eq!(left, 0, "its old name is no word any more");
}

#[test]
fn a_search_that_nobody_wants_any_more_is_left() {
    let home = five();
    assert_eq!(home.index.find(&SearchRequest::default(), &|| true).unwrap(), None);
}

#[test]
fn rows_of_older_rules_are_made_again_and_keep_their_marks() {
    let mut home = five();
    let ids = home.index.find(&SearchRequest::default(), &|| false).unwrap().unwrap().result.ids;
    home.index.star(&ids[..1], true).unwrap();
    home.index.connection.execute_batch("UPDATE state SET facts_version = 0; UPDATE facts SET steps = 1;").unwrap();
    home.reopen();
    assert_eq!(home.find("steps:>1").len(), 4);
    assert_eq!((home.find("star:yes").len(), home.find("dress").len()), (1, 2));
    assert_eq!(facts::ordered(0), i64::MIN);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn no_search_fails_whatever_is_typed(
        texts in proptest::collection::vec("(?s).{0,40}|([a-z:\"*-]|NEAR|AND|NOT|OR| |\\(|\\)|\\{|\\}|\\^|\\+){0,20}", 8)
    ) {
        thread_local!(static HOME: Home = five());
        HOME.with(|home| for text in &texts {
            let by_key = KEYS.iter().filter(|info| matches!(info.kind, KeyKind::Text | KeyKind::Words));
            for text in by_key.map(|info| format!("{}:{text}", info.name)).chain([text.clone(), format!("-\"{text}\"*")]) {
                let request = SearchRequest { text, ..SearchRequest::default() };
                assert!(home.index.find(&request, &|| false).unwrap().is_some());
            }
        });
    }
}
