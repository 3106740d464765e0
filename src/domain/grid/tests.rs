//! Tests of grids: every field of a request can be varied, cells are what they say, costly changes are few.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;
use serde_json::Value;

use super::*;
use crate::domain::{Extend, FamilyId, Hires, InitImage, LoraUse, SamplerId, ScheduleId, Variation, Verdict};

static FAMILY: Capabilities = Capabilities {
    family: FamilyId::Starter,
    label: "Starter",
    size_multiple_px: 8,
    min_side_px: 64,
    max_side_px: 512,
    native_side_px: 128,
    aspect_presets: &[],
    default_steps: 20,
    default_guidance: 4.0,
    default_sampler: SamplerId::DpmPp2m,
    default_schedule: ScheduleId::Automatic,
    example_prompt: "",
    needs_mask: false,
};

/// A request in which every field of every part is there, so that each can be seen to change.
fn full() -> GenerateRequest {
    GenerateRequest {
        prompt: "a red dress <lora:ink:0.9>".into(),
        negative_prompt: "not red".into(),
        vae: Some("own.safetensors".into()),
        loras: vec![LoraUse { path: "wash.safetensors".into(), unet_weight: 0.9, text_encoder_weight: 0.9 }],
        variation: Some(Variation { seed: 900, strength: 0.9 }),
        init: Some(InitImage { picture: "own.png".into(), mask: None, strength: 0.9, extend: Extend::default() }),
        hires: Some(Hires { scale: 3.0, strength: 0.9 }),
        upscale: Some(3.0),
        seed: 900,
        ..GenerateRequest::default()
    }
}

/// Every field of a request with its parts, by the path at which it stands in JSON, and whether a grid can vary it; if not,
/// why. Nothing is passed over: a new field does not compile until it has its line here, and a line that says yes must be
/// kept by a row of the table.
fn considered(request: &GenerateRequest) -> BTreeMap<&'static str, Result<(), &'static str>> {
    let GenerateRequest {
        prompt: _,
        negative_prompt: _,
        model: _,
        width_px: _,
        height_px: _,
        num_inference_steps: _,
        guidance_scale: _,
        sampler: _,
        schedule: _,
        seed: _,
        count: _,
        variation,
        clip_skip: _,
        guidance_rescale: _,
        vae: _,
        loras,
        init,
        hires,
        upscale: _,
        fork: _,
    } = request;
    let Variation { seed: _, strength: _ } = variation.unwrap();
    let LoraUse { path: _, unet_weight: _, text_encoder_weight: _ } = &loras[0];
    let InitImage { picture: _, mask: _, strength: _, extend } = init.as_ref().unwrap();
    let Extend { left: _, right: _, top: _, bottom: _ } = extend;
    let Hires { scale: _, strength: _ } = hires.unwrap();
    let yes = Ok(());
    BTreeMap::from([
        ("/prompt", yes),
        ("/negative_prompt", yes),
        ("/model", yes),
        ("/width_px", yes),
        ("/height_px", yes),
        ("/num_inference_steps", yes),
        ("/guidance_scale", yes),
        ("/sampler", yes),
        ("/schedule", yes),
        ("/seed", yes),
        ("/count", Err("a cell is one picture")),
        ("/variation/seed", yes),
        ("/variation/strength", yes),
        ("/clip_skip", yes),
        ("/guidance_rescale", yes),
        ("/vae", yes),
        ("/loras/0/path", Err("LoRAs are named in the prompt: the field lora")),
        ("/loras/0/unet_weight", yes),
        ("/loras/0/text_encoder_weight", yes),
        ("/init/picture", yes),
        ("/init/mask", Err("a mask belongs to its picture")),
        ("/init/strength", yes),
        ("/init/extend/left", Err("it comes with another size of the canvas, which no single value is")),
        ("/init/extend/right", Err("as left")),
        ("/init/extend/top", Err("as left")),
        ("/init/extend/bottom", Err("as left")),
        ("/hires/scale", yes),
        ("/hires/strength", yes),
        ("/upscale", yes),
        ("/fork", Err("a branch is found by looking at the steps of one picture")),
    ])
}

/// The paths below which two requests differ.
fn differences(a: &Value, b: &Value, path: &str, found: &mut BTreeSet<String>) {
    match (a, b) {
        (Value::Object(a), Value::Object(b)) => {
            for key in a.keys().chain(b.keys()).collect::<BTreeSet<_>>() {
                let get = |map: &serde_json::Map<String, Value>| map.get(key).cloned().unwrap_or(Value::Null);
                differences(&get(a), &get(b), &format!("{path}/{key}"), found);
            }
        }
        (Value::Array(a), Value::Array(b)) if a.len() == b.len() => {
            for (at, (a, b)) in a.iter().zip(b).enumerate() {
                differences(a, b, &format!("{path}/{at}"), found);
            }
        }
        _ if a != b => {
            found.insert(path.to_owned());
        }
        _ => {}
    }
}

fn axis(field: &str, values: &str) -> Axis {
    Axis::read(Field::of_name(field).unwrap(), values).unwrap()
}

fn grid_of(base: GenerateRequest, x: Axis, y: Option<Axis>, z: Option<Axis>) -> Grid {
    Grid { base, axes: Axes { x, y, z } }
}

fn starter(model: &ModelRef) -> Option<&'static Capabilities> {
    (*model == ModelRef::Starter).then_some(&FAMILY)
}

#[test]
fn every_field_of_a_request_can_be_varied_or_has_a_reason() {
    let base = full();
    let before = serde_json::to_value(&base).unwrap();
    let mut varied = BTreeSet::new();
    for field in FIELDS {
        let axis = Axis::read(field, field.example).unwrap();
        assert!(axis.values.len() > 1, "the example of {} shows no list", field.name);
        for cell in 0..axis.values.len() {
            let request = grid_of(base.clone(), axis.clone(), None, None).cell(cell).unwrap();
            differences(&before, &serde_json::to_value(&request).unwrap(), "", &mut varied);
        }
    }
    for (path, is_varied) in considered(&base) {
        match is_varied {
            Ok(()) => assert!(varied.contains(path) || varied.contains(parent(path)), "no row varies {path}"),
            Err(reason) => {
                assert!(!varied.contains(path), "{path} is said to be fixed: {reason}");
            }
        }
    }
    let known = considered(&base);
    let is_known = |path: &String| known.keys().any(|known| known == path || parent(known) == path);
    assert!(varied.iter().all(is_known), "{varied:?}");
}

/// What stands around a part of a request: it is varied where the whole part comes and goes.
fn parent(path: &'static str) -> &'static str {
    path.rsplit_once('/').map_or("", |(parent, _)| parent)
}

#[test]
fn each_row_varies_its_own_field() {
    let base = full();
    let before = serde_json::to_value(&base).unwrap();
    for (name, paths) in [
        ("steps", &["/num_inference_steps"][..]),
        ("guidance", &["/guidance_scale"]),
        ("variation_seed", &["/variation/seed"]),
        ("variation_strength", &["/variation/strength"]),
        ("strength", &["/init/strength"]),
        ("hires_strength", &["/hires/strength"]),
        ("prompt_sr", &["/prompt", "/negative_prompt"]),
        ("lora_weight", &["/prompt", "/loras/0/unet_weight", "/loras/0/text_encoder_weight"]),
    ] {
        let field = Field::of_name(name).unwrap();
        let axis = Axis::read(field, field.example).unwrap();
        let last = axis.values.len() - 1;
        let request = grid_of(base.clone(), axis, None, None).cell(last).unwrap();
        let mut found = BTreeSet::new();
        differences(&before, &serde_json::to_value(&request).unwrap(), "", &mut found);
        let expected: BTreeSet<String> = paths.iter().map(|path| (*path).to_owned()).collect();
        assert_eq!(found, expected, "{name}");
    }
}

#[test]
fn every_row_is_found_by_its_names_and_explained() {
    for field in FIELDS {
        for name in [field.name, field.label, field.webui, &field.name.to_uppercase(), &field.name.replace('_', "-")] {
            assert_eq!(Field::of_name(name), Some(field), "{name}");
        }
        assert!(!field.explanation.is_empty() && !field.explanation.ends_with('.'), "{}", field.name);
    }
    assert!(Axis::read_named("magic=1").unwrap_err()[0].contains("guidance, guidance_rescale, sampler"));
    assert!(Axis::read_named("1,2").unwrap_err()[0].contains("no axis"));
    assert_eq!(Axis::read_named(" CFG Scale = 1, 4").unwrap(), axis("guidance", "1, 4"));
}

#[test]
fn all_that_is_wrong_with_the_values_is_said() {
    let problems = Axis::read(Field::of_name("sampler").unwrap(), "euler, magic, more magic").unwrap_err();
    assert_eq!(problems.len(), 2, "{problems:?}");
    assert!(problems[0].contains("\"magic\"") && problems[0].contains("dpmpp_2m"), "{problems:?}");
    for (field, text) in [("seed", "-1, x"), ("guidance", "a, b"), ("size", "big, 7")] {
        assert_eq!(Axis::read(Field::of_name(field).unwrap(), text).unwrap_err().len(), 2, "{field}");
    }
    let empty = Axis::read(Field::of_name("steps").unwrap(), " , ").unwrap_err();
    assert!(empty[0].contains("10-30 (+10)"), "{empty:?}");
    assert_eq!(axis("steps", "3, 1-4, 2").values, ["3", "1", "2", "4"], "each once, in the order of the first");
}

#[test]
fn cells_are_counted_like_words_and_say_what_they_are() {
    let grid = grid_of(
        GenerateRequest { prompt: "a red dress".into(), count: 9, ..GenerateRequest::default() },
        axis("guidance", "1, 4, 7"),
        Some(axis("sampler", "euler, Euler a")),
        Some(axis("prompt_sr", "red, blue")),
    );
    assert_eq!((grid.axes.sides(), grid.axes.cells()), ([3, 2, 2], 12));
    assert_eq!(grid.axes.place(7), [1, 0, 1]);
    let request = grid.cell(11).unwrap();
    assert_eq!((request.guidance_scale, request.sampler), (7.0, SamplerId::EulerA));
    assert_eq!((request.prompt.as_str(), request.count), ("a blue dress", 1));
    assert_eq!(grid.axes.name_of(11), "Guidance 7, Euler a, blue");
    assert_eq!(grid.cell(0).unwrap().prompt, "a red dress");
    assert!(grid.problems(&starter).is_empty());
    assert!(grid.cell(12).unwrap_err().contains("only 12"));
}

#[test]
fn values_are_put_in_the_tables_order_whatever_axis_they_stand_on() {
    // The whole prompt comes before what is replaced in it, and the strength before the seed that needs one.
    let grid = grid_of(
        GenerateRequest::default(),
        axis("prompt_sr", "red, blue"),
        Some(axis("prompt", "a red hat, a red coat")),
        None,
    );
    assert_eq!(grid.cell(3).unwrap().prompt, "a blue coat");
    let variations = grid_of(
        GenerateRequest { seed: 5, ..GenerateRequest::default() },
        axis("variation_seed", "8, 9"),
        Some(axis("variation_strength", "0, 0.5")),
        None,
    );
    assert_eq!(variations.cell(3).unwrap().variation, Some(Variation { seed: 9, strength: 0.5 }));
    let alone = grid_of(variations.base, axis("variation_strength", "0.5"), None, None);
    assert_eq!(alone.cell(0).unwrap().variation, Some(Variation { seed: 6, strength: 0.5 }));
}

#[test]
fn a_grid_tells_all_its_problems_once() {
    let base = GenerateRequest { prompt: "a dress".into(), ..GenerateRequest::default() };
    let of = |x: Axis, y: Option<Axis>| grid_of(base.clone(), x, y, None).problems(&starter);
    for (x, y, expected) in [
        (axis("guidance", "1, 500"), None, &["guidance must be from 0"][..]),
        (axis("width", "7, 64"), Some(axis("steps", "0, 1, 900")), &["width must be", "not 0", "not 900"]),
        (axis("prompt_sr", "red, blue"), None, &["\"red\" stands neither"]),
        (axis("prompt_sr", "\"\", blue"), None, &["it is empty"]),
        (axis("strength", "0.5"), None, &["there is none"]),
        (axis("hires_strength", "0.5"), None, &["no second pass"]),
        (axis("hires_scale", "1, 2, 9"), None, &["512 px a side at most, not 9"]),
        (axis("variation_seed", "1"), None, &["without a variation strength"]),
        (axis("variation_strength", "0, 2"), None, &["from 0 to 1, not 2"]),
        (axis("lora_weight", "0.5"), None, &["no LoRA whose weight"]),
        (axis("lora", "a:b"), None, &["cannot be the name"]),
        (axis("upscale", "2"), None, &["choose one to begin with"]),
        (axis("seed", "1, 2"), Some(axis("seed", "3, 4")), &["stands on two axes"]),
        (axis("steps", "99999999999"), None, &["too large a number"]),
        (axis("seed", "1-30"), Some(axis("steps", "1-30")), &["900 pictures; the most is 500"]),
    ] {
        let problems = of(x, y);
        assert_eq!(problems.len(), expected.len(), "{problems:?}");
        for (problem, part) in problems.iter().zip(expected) {
            assert!(problem.contains(part), "{problem} does not say {part}");
        }
    }
    let twice = of(axis("prompt_sr", "a, one"), Some(axis("prompt_sr", "dress, coat")));
    assert!(twice.is_empty(), "{twice:?}");
    // A model that is not known yet is looked at when it is loaded.
    assert!(of(axis("model", "other.safetensors"), Some(axis("guidance", "500"))).is_empty());
}

#[test]
fn costly_changes_are_few() {
    let grid = grid_of(
        GenerateRequest::default(),
        axis("model", "starter, b.safetensors"),
        Some(axis("seed", "1-3")),
        Some(axis("vae", "none, c.safetensors")),
    );
    let order = grid.axes.order();
    let mut sorted = order.clone();
    sorted.sort_unstable();
    assert_eq!(sorted, (0..12).collect::<Vec<_>>(), "each cell once");
    let made: Vec<GenerateRequest> = order.iter().map(|cell| grid.cell(*cell).unwrap()).collect();
    let changes = |differ: fn(&GenerateRequest, &GenerateRequest) -> bool| {
        made.windows(2).filter(|pair| differ(&pair[0], &pair[1])).count()
    };
    assert_eq!(changes(|a, b| a.model != b.model), 1);
    assert_eq!(changes(|a, b| (&a.model, &a.vae) != (&b.model, &b.vae)), 3);
    let plain = grid_of(grid.base.clone(), axis("seed", "1-2"), Some(axis("steps", "1-2")), None);
    assert_eq!(plain.axes.order(), [0, 1, 2, 3], "nothing is costly: as on the sheet");
}

#[test]
fn labels_are_for_people() {
    for (field, value, label) in [
        ("guidance", "7.5", "Guidance 7.5"),
        ("sampler", "dpmpp_2m", "DPM++ 2M"),
        ("schedule", "karras", "Karras"),
        ("size", "512x768", "512 × 768"),
        ("model", "/home/kim/models/photo.safetensors", "photo.safetensors"),
        ("model", "C:\\models\\turbo\\", "turbo"),
        ("vae", "none", "VAE: none"),
        ("negative_prompt", "", "Negative prompt: nothing"),
        ("prompt_sr", "blue", "blue"),
    ] {
        assert_eq!(Field::of_name(field).unwrap().label_of(value), label);
    }
}

#[test]
fn a_flagged_picture_flags_the_sheet_and_times_add_up() {
    let grid = grid_of(full(), axis("steps", "1-3"), None, None);
    let verdict = |flagged, score| Some(Verdict { flagged, score });
    let mut told = None;
    for (cell, safety) in
        [verdict(false, -0.25), None, verdict(true, 0.5), verdict(false, -0.5)].into_iter().enumerate()
    {
        let recipe = Recipe {
            request: grid.cell(cell.min(2)).unwrap(),
            model_name: format!("model {cell}"),
            model_hash: String::new(),
            version: String::new(),
            elapsed_secs: 1.5,
            safety,
            ..Recipe::default()
        };
        grid.tell(&mut told, &recipe);
    }
    let told = told.unwrap();
    assert_eq!((told.safety, told.elapsed_secs, told.model_name.as_str()), (verdict(true, 0.5), 6.0, "model 0"));
    assert_eq!((told.request, *told.grid.unwrap()), (grid.base, grid.axes));
}

#[test]
fn a_definition_is_read_back_from_its_file() {
    let grid = grid_of(full(), axis("negative_prompt", "\"\", \"a, b\""), Some(axis("seed", "1-3")), None);
    let text = serde_json::to_string(&grid).unwrap();
    assert_eq!(serde_json::from_str::<Grid>(&text).unwrap(), grid);
    assert!(text.contains(r#""x":{"field":"negative_prompt","values":["","a, b"]}"#), "{text}");
    assert!(serde_json::from_str::<Axis>(r#"{"field": "magic", "values": []}"#).is_err());
    // What somebody wrote by hand into a file ends in a sentence.
    let forged: Axis = serde_json::from_str(r#"{"field": "steps", "values": ["many"]}"#).unwrap();
    assert!(grid_of(full(), forged, None, None).cell(0).unwrap_err().contains("no value of Steps"));
}

proptest! {
    #[test]
    fn any_values_are_read_without_a_panic(at in 0..FIELDS.len(), text in "[-0-9a-z,.x()\\[\\]+\" \n]{0,40}") {
        if let Ok(axis) = Axis::read(&FIELDS[at], &text) {
            prop_assert!(!axis.values.is_empty());
            let again = Axis::read(&FIELDS[at], &axis.text());
            prop_assert_eq!(again.as_ref(), Ok(&axis));
            let grid = grid_of(full(), axis, None, None);
            let _ = (grid.problems(&starter), grid.axes.x.labels());
        }
    }
}
