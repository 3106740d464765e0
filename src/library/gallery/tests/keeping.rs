//! Stars, ratings and collections outlive the index, a rename, a disk that was away, and a crash.

use super::super::keeping::KEPT_FILE;
use super::*;
use crate::domain::{CollectionId, FamilyId, Marks};

/// Three pictures: `a` starred, `b` rated, `c` and `a` in a collection, and a smart collection.
fn three() -> (Home, [PictureId; 3], CollectionId) {
    let mut home = Home::new();
    let ids = [("a.png", 1000), ("day/b.png", 2000), ("day/c.png", 3000)]
        .map(|(name, created_ms)| home.add(name, created_ms, Some(&recipe(name, |_| {}))));
    home.index.star(&ids[..1], true).unwrap();
    home.index.rate(&ids[1..2], 3).unwrap();
    let summer = home.index.create_collection("Summer", None).unwrap();
    home.index.collect(summer, &[ids[2], ids[0]]).unwrap();
    home.index.create_collection("Red", Some("red")).unwrap();
    (home, ids, summer)
}

/// All marks, in words.
fn told(home: &Home) -> Vec<String> {
    let mut told: Vec<String> = ["star:yes", "rating:>0", "in:summer"]
        .iter()
        .map(|text| {
            format!(
                "{text} {}",
                home.find_with(&SearchRequest {
                    text: (*text).into(),
                    sort: SortOrder::Prompt,
                    ..SearchRequest::default()
                })
                .join(" ")
            )
        })
        .collect();
    told.extend(home.index.collections().unwrap().into_iter().map(|one| format!("{} {:?}", one.name, one.query)));
    if let Some(summer) = home.index.collections().unwrap().iter().find(|one| one.name == "Summer") {
        told.push(home.find_in(Scope::Collection(summer.id), SortOrder::Arranged).join(" "));
    }
    told
}

fn expected() -> [String; 6] {
    ["star:yes a", "rating:>0 b", "in:summer a c", "Red Some(\"red\")", "Summer None", "c a"].map(str::to_owned)
}

/// As after a start: what the library's thread does with an index.
fn start(home: &mut Home) {
    home.reopen();
    home.index.rescan().unwrap();
    assert_eq!(home.index.keep().unwrap(), None);
}

#[test]
fn a_lost_index_gets_its_marks_back_from_the_file_beside_the_pictures() {
    let (mut home, _, _) = three();
    home.index.know_family("0123456789", FamilyId::Sd2).unwrap();
    assert!(home.index.is_keeping_behind().unwrap());
    assert_eq!(home.index.keep().unwrap(), None);
    assert!(!home.index.is_keeping_behind().unwrap());
    assert_eq!(told(&home), expected());
    drop(fs::remove_file(&home.paths.database));
    home.reopen();
    assert_eq!(told(&home)[..3].concat(), "star:yes rating:>0 in:summer ");
    start(&mut home);
    assert_eq!(told(&home), expected());
    assert!(!home.index.is_keeping_behind().unwrap());
    let family: String = home.index.connection.query_row("SELECT family FROM families", [], |row| row.get(0)).unwrap();
    assert_eq!(family, "sd2");
}

#[test]
fn every_kind_of_change_is_kept() {
    let (mut home, ids, summer) = three();
    let changes: [&dyn Fn(&mut Index); 10] = [
        &|index| index.star(&ids[..1], false).unwrap(),
        &|index| index.rate(&ids[..1], 2).unwrap(),
        &|index| index.collect(summer, &ids[1..2]).unwrap(),
        &|index| index.arrange(summer, &ids[1..2], Some(ids[2])).unwrap(),
        &|index| index.uncollect(summer, &ids[2..]).unwrap(),
        &|index| index.rename_collection(summer, "Winter").unwrap(),
        &|index| assert!(index.create_collection("New", None).is_ok()),
        &|index| index.remove(ids[1]).unwrap(),
        &|index| drop(index.forget(ids[0]).unwrap()),
        &|index| index.delete_collection(summer).unwrap(),
    ];
    for (number, change) in changes.into_iter().enumerate() {
        home.index.keep().unwrap();
        assert!(!home.index.is_keeping_behind().unwrap());
        change(&mut home.index);
        assert!(home.index.is_keeping_behind().unwrap(), "change {number}");
    }
    home.index.keep().unwrap();
    home.index.star(&[PictureId(999)], true).unwrap();
    home.index.star(&ids[2..], false).unwrap();
    assert!(!home.index.is_keeping_behind().unwrap(), "nothing has changed");
}

#[test]
fn a_change_that_a_crash_kept_from_the_file_is_written_at_the_next_start() {
    let (mut home, ids, _) = three();
    home.index.keep().unwrap();
    home.index.star(&ids[1..2], true).unwrap();
    // The program is killed here: the index has it, the file has not.
    start(&mut home);
    drop(fs::remove_file(&home.paths.database));
    start(&mut home);
    assert_eq!(told(&home)[0], "star:yes a b");
}

#[test]
fn wherever_writing_the_file_is_cut_off_the_old_one_is_whole() {
    let (mut home, ids, _) = three();
    home.index.keep().unwrap();
    let file = home.path(KEPT_FILE);
    let old = fs::read(&file).unwrap();
    home.index.star(&ids[1..], true).unwrap();
    let mut copy = tempfile::tempdir().unwrap();
    for kept in 0..3 {
        // What is left of a write that was cut off: a temporary file with a part of the new one.
        let temporary = home.path(".atelier-cut.tmp");
        fs::write(&temporary, &old[..old.len() * kept / 3]).unwrap();
        drop(fs::remove_file(&home.paths.database));
        start(&mut home);
        assert_eq!(told(&home), expected(), "{kept}");
        assert_eq!(serde_json::from_slice::<serde_json::Value>(&fs::read(&file).unwrap()).unwrap()["format"], 1);
        copy.disable_cleanup(false);
    }
}

/// Where the child below has its files.
const HOME: &str = "ATELIER_TEST_KEEPING_HOME";

/// Stars one picture after the other, and says so after each.
#[test]
#[ignore = "run in a child process, and killed, by the test below"]
fn child_stars_until_killed() {
    let Some(home) = std::env::var_os(HOME) else { return };
    let mut index = Index::open(&Paths::below(home)).unwrap();
    let ids = index.find(&SearchRequest::default(), &|| false).unwrap().unwrap().result.ids;
    for (number, id) in ids.iter().enumerate() {
        index.star(&[*id], true).unwrap();
        println!("starred {number}");
        index.keep().unwrap();
        println!("kept {number}");
    }
}

#[test]
fn killed_at_any_moment_no_star_that_was_told_is_lost() {
    use std::io::{BufRead, BufReader};
    use std::process::{Command, Stdio};
    let mut home = Home::new();
    for number in 0..40 {
        home.add(&format!("{number}.png"), 1000 + number, None);
    }
    // After so many lines of the child, which alternate between the two halves of its work.
    for lines in [1, 4, 9, 20, 41] {
        let ids = home.index.find(&SearchRequest::default(), &|| false).unwrap().unwrap().result.ids;
        home.index.star(&ids, false).unwrap();
        home.index.keep().unwrap();
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "library::gallery::tests::keeping::child_stars_until_killed", "--ignored", "--nocapture"])
            .env(HOME, home.dir.path())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let told: Vec<String> = BufReader::new(child.stdout.take().unwrap())
            .lines()
            .map_while(Result::ok)
            .filter(|line| line.starts_with("starred ") || line.starts_with("kept "))
            .take(lines)
            .collect();
        child.kill().unwrap();
        child.wait().unwrap();
        let most = |word: &str| told.iter().filter(|line| line.starts_with(word)).count();
        home.reopen();
        assert!(home.find("star:yes").len() >= most("starred"), "what the index said it had");
        // Without the index: what the file said it had.
        drop(fs::remove_file(&home.paths.database));
        home.reopen();
        let report = home.index.rescan().unwrap();
        assert_eq!((report.kept, report.added), (None, 40), "it is whole");
        assert!(home.find("star:yes").len() >= most("kept"));
    }
}

#[cfg(unix)]
#[test]
fn a_folder_that_may_not_be_written_to_costs_no_marks() {
    use std::os::unix::fs::PermissionsExt;
    let (mut home, _, _) = three();
    // A folder in the file's place: not even the administrator can replace it by a file.
    let in_the_way = home.path(KEPT_FILE);
    fs::create_dir(&in_the_way).unwrap();
    fs::write(in_the_way.join("x"), b"").unwrap();
    fs::set_permissions(&in_the_way, fs::Permissions::from_mode(0o755)).unwrap();
    assert!(home.index.keep().is_err());
    assert!(home.index.is_keeping_behind().unwrap());
    assert_eq!(told(&home), expected());
    fs::remove_dir_all(&in_the_way).unwrap();
    assert_eq!(home.index.keep().unwrap(), None);
    assert!(in_the_way.is_file());
}

#[test]
fn marks_follow_a_renamed_picture_and_wait_for_one_that_is_away() {
    let (mut home, _, _) = three();
    let aside = home.dir.path().join("unplugged");
    fs::rename(home.path("a.png"), home.path("renamed.png")).unwrap();
    fs::rename(home.path("day"), &aside).unwrap();
    let report = home.index.rescan().unwrap();
    assert_eq!((report.renamed, report.removed, report.added), (1, 2, 0));
    assert_eq!(told(&home)[..3], ["star:yes renamed", "rating:>0 ", "in:summer renamed"].map(str::to_owned));
    home.index.keep().unwrap();
    // Even the index may be lost meanwhile, and the picture come back under another name.
    drop(fs::remove_file(&home.paths.database));
    start(&mut home);
    fs::rename(&aside, home.path("elsewhere")).unwrap();
    start(&mut home);
    assert_eq!(told(&home)[1..3], ["rating:>0 b", "in:summer renamed c"].map(str::to_owned));
    let waiting: i64 = home.index.connection.query_row("SELECT count(*) FROM waiting", [], |row| row.get(0)).unwrap();
    assert_eq!(waiting, 0);
}

#[test]
fn another_picture_of_the_same_name_gets_no_marks() {
    let (mut home, _, _) = three();
    fs::remove_file(home.path("a.png")).unwrap();
    home.index.rescan().unwrap();
    home.add("a.png", 9000, Some(&recipe("quite another picture", |_| {})));
    assert_eq!(home.find("star:yes"), Vec::<String>::new());
}

#[test]
fn what_was_thrown_away_is_taken_back_with_its_marks() {
    let (mut home, ids, summer) = three();
    let trashed = home.index.forget(ids[0]).unwrap().unwrap();
    assert_eq!(home.index.forget(ids[0]).unwrap(), None);
    assert_eq!(trashed.marks, Marks { star: true, rating: 0 });
    assert_eq!(trashed.collections, [("Summer".to_owned(), 1)]);
    let row = home.index.take_back(&trashed).unwrap();
    assert!(row.entry.id > ids[2] && row.marks.star);
    assert_eq!(told(&home), expected());
    let trashed = home.index.forget(row.entry.id).unwrap().unwrap();
    home.index.delete_collection(summer).unwrap();
    assert!(home.index.take_back(&trashed).is_ok(), "its collection went meanwhile");
}

#[test]
fn what_another_machine_wrote_is_added() {
    let (mut home, _, _) = three();
    home.index.keep().unwrap();
    let file = home.path(KEPT_FILE);
    let text = fs::read_to_string(&file).unwrap();
    let other = text.replace("\"star\":false", "\"star\":true").replace("\"Red\"", "\"Blue\"");
    assert_ne!(text, other);
    fs::write(&file, other).unwrap();
    start(&mut home);
    let told = told(&home);
    assert_eq!(told[0], "star:yes a b c");
    assert_eq!(told[3..6], ["Blue Some(\"red\")", "Red Some(\"red\")", "Summer None"].map(str::to_owned));
    assert!(fs::read_to_string(&file).unwrap().contains("\"Red\""));
}

#[test]
fn a_file_that_cannot_be_read_is_set_aside_and_told() {
    for (bytes, word) in
        [(&b"{\"format\":1,\"pictures\":[{"[..], "EOF"), (b"{\"format\":2,\"new\":1}", "newer"), (b"[]", "struct")]
    {
        let (mut home, _, _) = three();
        fs::write(home.path(KEPT_FILE), bytes).unwrap();
        let told_of = home.index.rescan().unwrap().kept.unwrap();
        assert!(told_of.sentence.contains(word), "{told_of}");
        assert_eq!(fs::read(told_of.path.unwrap()).unwrap(), bytes);
        assert_eq!(home.index.keep().unwrap(), None);
        drop(fs::remove_file(&home.paths.database));
        start(&mut home);
        assert_eq!(told(&home), expected());
    }
}

#[test]
fn without_any_mark_no_file_is_written() {
    let mut home = Home::new();
    home.add("a.png", 1, None);
    assert_eq!(home.index.keep().unwrap(), None);
    assert!(!home.path(KEPT_FILE).exists());
}

#[test]
fn where_it_is_not_clear_which_picture_is_meant_none_gets_the_marks() {
    let (mut home, _, _) = three();
    // Two pictures that say the same of themselves but for their names, one of them starred.
    let twins = ["x.png", "y.png"].map(|name| home.add(name, 4000, Some(&recipe("twin", |_| {}))));
    home.index.star(&twins, true).unwrap();
    for name in ["x.png", "y.png"] {
        fs::rename(home.path(name), home.dir.path().join(name)).unwrap();
    }
    home.index.rescan().unwrap();
    fs::rename(home.dir.path().join("x.png"), home.path("v.png")).unwrap();
    fs::rename(home.dir.path().join("y.png"), home.path("w.png")).unwrap();
    assert_eq!(home.index.rescan().unwrap().added, 2);
    assert_eq!(told(&home)[0], "star:yes a");
}
