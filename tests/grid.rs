//! Grids and variations on the command line, with the built-in model at its smallest.
#![allow(clippy::unwrap_used, reason = "a test may fail by panicking")]

use std::path::Path;
use std::process::{Command, Output};

use atelier::library::{read_info, read_picture};
use serde_json::Value;
use tempfile::TempDir;

/// What every run asks for: the smallest picture in the fewest steps.
const SMALL: [&str; 6] = ["--size", "64x64", "--steps", "2", "--seed", "5"];

fn atelier(home: &Path, arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_atelier"))
        .args(arguments)
        .env("ATELIER_HOME", home)
        .env_remove("RUST_LOG")
        .output()
        .unwrap()
}

fn lines(output: &Output) -> Vec<Value> {
    let text = String::from_utf8(output.stdout.clone()).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn said(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

#[test]
fn a_sheet_carries_its_grid_and_its_cells_are_the_pictures_themselves() {
    let home = TempDir::new().unwrap();
    let folder = home.path().join("out");
    let axes = ["--x", "guidance=1,4", "--y", "sampler=euler,DPM++ 2M"];
    let arguments = [&["grid", "a red dress", "--json", "--out", folder.to_str().unwrap()][..], &axes, &SMALL].concat();
    let output = atelier(home.path(), &arguments);
    assert!(output.status.success(), "{}", said(&output));
    let printed = lines(&output);
    assert_eq!(printed.len(), 5, "four pictures and the sheet");
    let sheet = &printed[4];
    assert_eq!((&sheet["pictures"], &sheet["failed"]), (&4.into(), &0.into()));
    let path = Path::new(sheet["sheet"].as_str().unwrap());
    assert_eq!(path, folder.join("grid.png"));
    let recipe = read_info(path).unwrap().embedded.recipe().unwrap();
    let grid = recipe.grid.unwrap();
    assert_eq!((grid.sides(), grid.x.text().as_str()), ([2, 2, 1], "1, 4"));
    assert_eq!((recipe.request.prompt.as_str(), recipe.request.seed), ("a red dress", 5));

    // Each cell is the picture that `generate` makes of the same words, and it stands on the sheet to the pixel.
    let alone = home.path().join("alone.png");
    let same =
        ["generate", "a red dress", "--guidance", "4", "--sampler", "dpmpp_2m", "--out", alone.to_str().unwrap()];
    assert!(atelier(home.path(), &[&same[..], &SMALL].concat()).status.success());
    let cell = printed.iter().find(|line| line["column"] == 1 && line["row"] == 1).unwrap();
    let cell = read_picture(Path::new(cell["path"].as_str().unwrap())).unwrap();
    assert!(cell == read_picture(&alone).unwrap());
    let sheet = read_picture(path).unwrap();
    let row = |y: u32| &cell.rgba[4 * (y * cell.width_px) as usize..][..4 * cell.width_px as usize];
    let holds = |(x, y): (u32, u32)| {
        (0..cell.height_px)
            .all(|down| sheet.rgba[4 * ((y + down) * sheet.width_px + x) as usize..].starts_with(row(down)))
    };
    let (right, bottom) = (sheet.width_px - cell.width_px, sheet.height_px - cell.height_px);
    assert!((0..=bottom).flat_map(|y| (0..=right).map(move |x| (x, y))).any(holds));
}

#[test]
fn without_out_the_pictures_and_the_sheet_go_into_the_history() {
    let home = TempDir::new().unwrap();
    let axes = ["--x", "variation_strength=0,0.5,1", "--variation-strength", "0.1", "--variation-seed", "6"];
    let output = atelier(home.path(), &[&["grid", "boots", "--json"][..], &axes, &SMALL].concat());
    assert!(output.status.success(), "{}", said(&output));
    let printed = lines(&output);
    let pictures: Vec<_> =
        printed[..3].iter().map(|line| read_picture(Path::new(line["path"].as_str().unwrap())).unwrap()).collect();
    assert!(pictures[0] != pictures[1] && pictures[1] != pictures[2]);
    let sheet = Path::new(printed[3]["sheet"].as_str().unwrap());
    assert!(sheet.starts_with(home.path().join("pictures")) && sheet.to_str().unwrap().contains("-grid-boots"));

    // At both ends of the walk are the pictures of the two seeds, to the byte.
    for (picture, seed) in [(&pictures[0], "5"), (&pictures[2], "6")] {
        let out = home.path().join("end.png");
        let generate = ["generate", "boots", "--size", "64x64", "--steps", "2", "--seed", seed, "--out"];
        assert!(atelier(home.path(), &[&generate[..], &[out.to_str().unwrap()]].concat()).status.success());
        assert!(*picture == read_picture(&out).unwrap(), "seed {seed}");
    }
}

#[test]
fn a_variation_is_told_and_a_count_goes_through_its_seeds() {
    let home = TempDir::new().unwrap();
    let folder = home.path().join("out");
    let arguments = ["--variation-seed", "8", "--variation-strength", "0.2", "--count", "2", "--json", "--out"];
    let all = [&["generate", "boots"][..], &SMALL, &arguments, &[folder.to_str().unwrap()]].concat();
    let output = atelier(home.path(), &all);
    assert!(output.status.success(), "{}", said(&output));
    let printed = lines(&output);
    let told: Vec<_> =
        printed.iter().map(|line| (line["seed"].as_u64().unwrap(), line["variation_seed"].as_u64().unwrap())).collect();
    assert_eq!(told, [(5, 8), (5, 9)]);
    assert!(printed.iter().all(|line| line["variation_strength"] == 0.2));
    let second = Path::new(printed[1]["path"].as_str().unwrap());
    let embedded = read_info(second).unwrap().embedded;
    let variation = embedded.recipe().unwrap().request.variation.unwrap();
    assert_eq!((variation.seed, variation.strength), (9, 0.2));
    assert!(embedded.parameters.unwrap().contains("Variation seed: 9, Variation seed strength: 0.2"));

    // Made again from what it says of itself, it is the same picture.
    let again = home.path().join("again.png");
    let same = ["generate", "boots", "--variation-seed", "9", "--variation-strength", "0.2", "--out"];
    assert!(atelier(home.path(), &[&same[..], &[again.to_str().unwrap()], &SMALL].concat()).status.success());
    assert!(read_picture(second).unwrap() == read_picture(&again).unwrap());
}

#[test]
fn a_picture_that_fails_leaves_a_blank_and_the_sheet_is_made() {
    let home = TempDir::new().unwrap();
    let out = home.path().join("sheet.png");
    let axes = ["--x", "model=starter,nowhere.safetensors", "--y", "seed=1,2"];
    let common = ["grid", "boots", "--size", "64x64", "--steps", "1", "--json", "--out", out.to_str().unwrap()];
    let output = atelier(home.path(), &[&common[..], &axes].concat());
    assert_eq!(output.status.code(), Some(2), "{}", said(&output));
    assert!(said(&output).contains("2 of 4 pictures could not be made: Could not open the model"), "{}", said(&output));
    let printed = lines(&output);
    // The model changes once, and the one that is not there is not asked for twice.
    let columns: Vec<_> = printed[..4].iter().map(|line| line["column"].as_u64().unwrap()).collect();
    assert_eq!(columns, [0, 0, 1, 1]);
    assert!(printed[2]["error"].as_str().unwrap().contains("Could not open the model"));
    assert_eq!((&printed[4]["failed"], printed[4]["sheet"].as_str().unwrap()), (&2.into(), out.to_str().unwrap()));
    assert!(read_picture(&out).is_ok());
}

#[test]
fn bad_axes_are_told_with_all_that_is_wrong() {
    let home = TempDir::new().unwrap();
    for (axes, expected) in [
        (&["--x", "magic=1"][..], &["no field called \"magic\"", "prompt_sr"][..]),
        (&["--x", "1,2"], &["write it like guidance=1,4,7"]),
        (&["--x", "guidance=a,b"], &["\"a\" is no number", "\"b\" is no number"]),
        (&["--x", "steps=0,900"], &["not 0", "not 900"]),
        (&["--x", "prompt_sr=green,blue"], &["\"green\" stands neither"]),
        (&["--x", "seed=1-30", "--y", "steps=1-30"], &["900 pictures; the most is 500"]),
        (&["--x", "seed=1", "--y", "seed=2"], &["stands on two axes"]),
        (&["--y", "seed=2"], &["--x"]),
        (&["--x", "seed=1", "--variation-strength", "2"], &["from 0 to 1, not 2"]),
        (&["--x", "seed=1", "--variation-seed", "2"], &["--variation-strength"]),
    ] {
        let output = atelier(home.path(), &[&["grid", "a red dress"][..], axes].concat());
        assert_eq!(output.status.code(), Some(2), "{axes:?}: {}", said(&output));
        for part in expected {
            assert!(said(&output).contains(part), "{axes:?}: {}", said(&output));
        }
        assert!(output.stdout.is_empty());
    }
    let help = String::from_utf8(atelier(home.path(), &["grid", "--help"]).stdout).unwrap();
    for field in atelier::domain::grid::FIELDS {
        assert!(help.contains(field.explanation), "{help}");
    }
}
