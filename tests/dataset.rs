//! Data sets as a user has them made: prepared, prepared again, looked over, by the program as it is typed.
#![allow(clippy::unwrap_used, reason = "a test may fail by panicking")]

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::time::{Duration, SystemTime};

use atelier::dataset::Metadata;
use atelier::domain::dataset::RowChange;
use atelier::domain::{GenerateRequest, ImageFormat, Picture, Recipe};
use atelier::library::{Index, Paths, encode_picture};
use image::{Rgb, RgbImage};
use serde_json::Value;
use tempfile::TempDir;

/// Pictures of the run that is killed.
const COUNT: u32 = 60;
const STYLES: &str = "id,gender,masterCategory,subCategory,articleType,baseColour,season,year,usage,productDisplayName";

fn dataset(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_atelier"))
        .arg("dataset")
        .args(arguments)
        .env_remove("DISPLAY")
        .env_remove("WAYLAND_DISPLAY")
        .env_remove("RUST_LOG")
        .output()
        .unwrap()
}

/// The one line of JSON that a run printed.
fn printed(output: &Output) -> Value {
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

/// A picture of its own for every seed, with low and high frequencies in it.
fn picture(seed: u32, width: u32, height: u32) -> RgbImage {
    let wave = |at: u32, length: u32, waves: u32| {
        let turn = f64::from(at) / f64::from(length) * f64::from(waves) * std::f64::consts::TAU;
        (127.0 + 60.0 * turn.sin()) as u8
    };
    RgbImage::from_fn(width, height, |x, y| {
        let noise = (x * 7 + y * 13 + seed * 31) % 11;
        let up = wave(x, width, 1 + seed % 5);
        Rgb([up, wave(y, height, 1 + seed / 5 % 5), wave(x + y, width + height, 1 + seed % 7) + noise as u8])
    })
}

/// Fashion Product Images with ten rows: two dresses share their pixels, one picture is broken, one is gone, one row has
/// commas in its name.
fn fashion(folder: &Path) {
    let mut table = vec![STYLES.to_owned()];
    fs::create_dir_all(folder.join("images")).unwrap();
    for id in 1..=10u32 {
        let kind = if id <= 7 { "Dresses" } else { "Shirts" };
        let name = if id == 2 { "Red Dress, with belt".to_owned() } else { format!("Name {id}") };
        table.push(format!("{id},Women,Apparel,Top,{kind},Red,Fall,2011,NA,{name}"));
        let path = folder.join(format!("images/{id}.jpg"));
        match id {
            5 => fs::write(path, b"no picture").unwrap(),
            6 => {}
            7 => picture(4, 96, 128).save(path).unwrap(),
            _ => picture(id, 96, 128).save(path).unwrap(),
        }
    }
    fs::write(folder.join("styles.csv"), table.join("\n")).unwrap();
}

/// Names, contents and times of the pictures in a prepared folder.
fn pictures(out: &Path) -> BTreeMap<String, (Vec<u8>, SystemTime)> {
    fs::read_dir(out.join("images"))
        .unwrap()
        .map(|entry| {
            let path = entry.unwrap().path();
            let time = path.metadata().unwrap().modified().unwrap();
            (path.file_name().unwrap().to_str().unwrap().to_owned(), (fs::read(&path).unwrap(), time))
        })
        .collect()
}

#[test]
fn a_table_is_prepared_once_and_looked_over() {
    let home = TempDir::new().unwrap();
    let (source, out) = (home.path().join("fashion"), home.path().join("out"));
    fashion(&source);
    let (source, out_text) = (source.to_str().unwrap(), out.to_str().unwrap());
    let arguments = [
        "prepare",
        source,
        "--out",
        out_text,
        "--where",
        "articleType=Dresses",
        "--size",
        "64",
        "--json",
        "--caption",
        "{baseColour} {usage} {articleType}, {productDisplayName}",
    ];
    let report = printed(&dataset(&arguments));
    for (field, expected) in [
        ("rows_read", 10),
        ("rows_unwanted", 3),
        ("rows_without_picture", 1),
        ("rows_with_broken_picture", 1),
        ("rows", 5),
        ("pictures", 5),
        ("made", 5),
        ("kept", 0),
    ] {
        assert_eq!(report[field], expected, "{field}");
    }
    let metadata = fs::read_to_string(out.join("metadata.jsonl")).unwrap();
    let rows: Vec<Value> = metadata.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(rows[1]["text"], "Red Dresses, Red Dress, with belt");
    assert_eq!(rows[1]["file_name"], "images/2.jpg");
    assert_eq!(image::image_dimensions(out.join("images/2.jpg")).unwrap(), (64, 85));
    let cleaned = fs::read_to_string(out.join("cleaned.csv")).unwrap();
    assert!(
        cleaned.lines().nth(2).unwrap().ends_with(",Dresses,Red,Fall,2011,NA,\"Red Dress, with belt\""),
        "{cleaned}"
    );
    let told = fs::read_to_string(out.join("problems.jsonl")).unwrap();
    for (kind, line) in [("repaired_row", 3), ("broken_picture", 6), ("missing_picture", 7)] {
        let problems = told.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
        let found = problems.into_iter().filter(|problem| problem["kind"] == kind && problem["line"] == line);
        assert_eq!(found.count(), 1, "{kind}: {told}");
    }

    // The same again makes nothing again, and another caption no picture.
    let before = pictures(&out);
    let report = printed(&dataset(&arguments));
    assert_eq!((&report["made"], &report["kept"]), (&Value::from(0), &Value::from(5)));
    printed(&dataset(&[
        "prepare",
        source,
        "--out",
        out_text,
        "--where",
        "articleType=Dresses",
        "--size",
        "64",
        "--json",
    ]));
    assert!(pictures(&out) == before, "pictures were touched");
    // A picture that is lost, and one whose source changed.
    fs::remove_file(out.join("images/1.jpg")).unwrap();
    picture(9, 100, 100).save(Path::new(source).join("images/2.jpg")).unwrap();
    assert_eq!(printed(&dataset(&arguments))["made"], 2);
    // Another format: those of the old one are no part of the data set any more.
    let report = printed(&dataset(&[&arguments[..], &["--format", "webp"]].concat()));
    assert_eq!((&report["made"], pictures(&out).len()), (&Value::from(5), 5));
    assert!(pictures(&out).keys().all(|name| Path::new(name).extension().is_some_and(|ending| ending == "webp")));

    let report = printed(&dataset(&["check", out_text, "--size", "65", "--json"]));
    assert_eq!((&report["kind"], &report["rows"]), (&Value::from("imagefolder"), &Value::from(5)));
    let counts = &report["problem_counts"];
    assert_eq!((&counts["exact_duplicate"], &counts["too_small"]), (&Value::from(1), &Value::from(5)), "{report}");
    assert_eq!(report["samples"].as_array().unwrap().len(), 5);
    // Start, red, dresses, comma, name, one digit, end.
    assert_eq!(report["tokens"]["min"], 7);
}

#[test]
fn a_run_that_is_killed_goes_on_where_it_was() {
    let home = TempDir::new().unwrap();
    let (source, out) = (home.path().join("source"), home.path().join("out"));
    fs::create_dir(&source).unwrap();
    for id in 0..COUNT {
        picture(id, 400, 400).save(source.join(format!("{id}.png"))).unwrap();
        fs::write(source.join(format!("{id}.txt")), format!("caption {id}")).unwrap();
    }
    let arguments = ["dataset", "prepare", source.to_str().unwrap(), "--out", out.to_str().unwrap(), "--json"];
    let mut child = Command::new(env!("CARGO_BIN_EXE_atelier"))
        .args(arguments)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    // Until the journal has its head and some pictures; a machine that is done before is no harm to the test.
    let journal = out.join(".atelier-prepare.jsonl");
    while child.try_wait().unwrap().is_none() && fs::read_to_string(&journal).map_or(0, |text| text.lines().count()) < 5
    {
        std::thread::sleep(Duration::from_millis(2));
    }
    let was_running = child.try_wait().unwrap().is_none();
    child.kill().unwrap();
    child.wait().unwrap();
    let finished = fs::read_to_string(&journal).unwrap().matches('\n').count() as u64 - 1;
    assert!(finished >= 4 || !was_running);
    let report = printed(&dataset(&arguments[1..]));
    // One that was finished but not yet noted is made again.
    assert_eq!(report["kept"].as_u64().unwrap(), finished);
    assert_eq!(report["made"].as_u64().unwrap() + finished, u64::from(COUNT));
    let left: Vec<String> = pictures(&out).into_keys().collect();
    assert_eq!(left.len(), COUNT as usize, "{left:?}");
    for name in left {
        image::open(out.join("images").join(name)).unwrap();
    }
}

#[test]
fn bad_input_is_said_and_nothing_is_made() {
    let home = TempDir::new().unwrap();
    let source = home.path().join("fashion");
    fashion(&source);
    let (path, out) = (source.to_str().unwrap(), home.path().join("out"));
    let inside = source.join("out");
    let out_text = out.to_str().unwrap();
    for (arguments, said) in [
        (vec!["prepare", path, "--out", out_text, "--caption", "{colour}"], "no column \"colour\""),
        (vec!["prepare", path, "--out", out_text, "--caption", "{baseColor}"], "did you mean baseColour?"),
        (vec!["prepare", path, "--out", out_text, "--caption", "{"], "leaves a brace open"),
        (vec!["prepare", path, "--out", out_text, "--where", "articletypes=x"], "did you mean articleType?"),
        (vec!["prepare", path, "--out", out_text, "--where", "articleType=Nothing"], "No row"),
        (vec!["prepare", path, "--out", inside.to_str().unwrap()], "within its source"),
        (vec!["prepare", path, "--out", out_text, "--kind", "nonsense"], "no kind of data set"),
        (vec!["prepare", out_text, "--out", path], "Could not read"),
        (vec!["prepare", path, "--out", out_text, "--format", "gif"], "jpg, webp or png"),
        (vec!["check", out_text], "Could not read"),
    ] {
        let output = dataset(&arguments);
        let error = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(2), "{arguments:?}: {error}");
        assert!(error.contains(said), "{arguments:?}: {error}");
        assert!(!out.exists() && !inside.exists(), "{arguments:?}");
    }
    // What is somebody else's is not written over.
    fs::create_dir(&out).unwrap();
    fs::write(out.join("metadata.jsonl"), "mine").unwrap();
    let output = dataset(&["prepare", path, "--out", out_text]);
    assert_eq!(output.status.code(), Some(2));
    assert_eq!(fs::read_to_string(out.join("metadata.jsonl")).unwrap(), "mine");
}

#[test]
fn people_are_told_what_to_do() {
    let home = TempDir::new().unwrap();
    let source = home.path().join("fashion");
    fashion(&source);
    let output = dataset(&["check", source.to_str().unwrap()]);
    let (out, notes) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{notes}");
    assert!(out.contains("8 rows of 10") && out.contains("articleType: Dresses 5, Shirts 3"), "{out}");
    assert!(notes.contains("styles.csv, line 3: ") && notes.contains("6.jpg is not there"), "{notes}");
    assert!(notes.contains("1 pictures that are there twice: keep one of them"), "{notes}");
}

/// The pictures of a home, with these prompts, in a collection named "Red things".
fn collection(home: &Path, prompts: &[&str]) {
    let paths = Paths::below(home);
    fs::create_dir_all(&paths.pictures_dir).unwrap();
    let mut index = Index::open(&paths).unwrap();
    let mut ids = Vec::new();
    for (number, prompt) in prompts.iter().enumerate() {
        let request = GenerateRequest { prompt: (*prompt).to_owned(), ..GenerateRequest::default() };
        let recipe = Recipe { request, version: "Atelier 0.1.0".to_owned(), ..Recipe::default() };
        let rgba = [number as u8 * 40, 80, 120, 255].repeat(64 * 48);
        let picture = Picture { width_px: 64, height_px: 48, rgba };
        let path = paths.pictures_dir.join(format!("{number}.png"));
        fs::write(&path, encode_picture(&picture, Some(&recipe), ImageFormat::Png).unwrap()).unwrap();
        ids.push(index.insert(&path).unwrap().id);
    }
    let red = index.create_collection("Red things", None).unwrap();
    index.collect(red, &ids).unwrap();
}

#[test]
fn a_collection_of_the_gallery_is_a_data_set() {
    let (home, out) = (TempDir::new().unwrap(), TempDir::new().unwrap());
    collection(home.path(), &["a (red:1.2) dress <lora:ink:0.5>", "a red boot"]);
    let out = out.path().join("prepared");
    let run = |arguments: &[&str]| {
        Command::new(env!("CARGO_BIN_EXE_atelier"))
            .arg("dataset")
            .args(arguments)
            .env("ATELIER_HOME", home.path())
            .env_remove("RUST_LOG")
            .output()
            .unwrap()
    };
    let prepare = ["prepare", "--collection", "red THINGS", "--out", out.to_str().unwrap(), "--size", "32", "--json"];
    let report = printed(&run(&prepare));
    assert_eq!((&report["kind"], &report["rows"]), (&Value::from("collection"), &Value::from(2)));
    let metadata = fs::read_to_string(out.join("metadata.jsonl")).unwrap();
    assert!(metadata.contains("\"a red dress\"") && metadata.contains("\"a red boot\""), "{metadata}");
    assert!(fs::read_to_string(out.join("cleaned.csv")).unwrap().contains("a (red:1.2) dress <lora:ink:0.5>"));
    let report = printed(&run(&["check", "--collection", "Red things", "--size", "49", "--json"]));
    assert_eq!(report["problem_counts"]["too_small"], 2);
    for (arguments, said) in [
        (vec!["check", "--collection", "Blue things"], "the collections are Red things"),
        (vec!["check"], "SOURCE"),
        (vec!["check", ".", "--collection", "Red things"], "cannot be used with"),
    ] {
        let output = run(&arguments);
        assert_eq!(output.status.code(), Some(2), "{arguments:?}");
        let error = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(error.contains(said), "{arguments:?}: {error}");
    }
}

#[test]
fn what_was_done_by_hand_stays_when_it_is_prepared_again() {
    let home = TempDir::new().unwrap();
    let (source, out) = (home.path().join("fashion"), home.path().join("out"));
    fashion(&source);
    let arguments = ["prepare", source.to_str().unwrap(), "--out", out.to_str().unwrap(), "--size", "64", "--json"];
    printed(&dataset(&arguments));
    let path = out.join("metadata.jsonl");
    let before = fs::read_to_string(&path).unwrap();
    let mut metadata = Metadata::open(&path, "text").unwrap();
    let change = |line: u64, caption: &str, is_excluded| RowChange {
        line,
        name: format!("images/{line}.jpg"),
        caption: caption.to_owned(),
        is_excluded,
    };
    metadata
        .change(&[change(1, "by hand", false), change(2, "Red Fall Women Dresses, Red Dress, with belt", true)])
        .unwrap();
    metadata.save().unwrap();
    let report = printed(&dataset(&[&arguments[..], &["--caption", "{articleType}"]].concat()));
    assert_eq!((&report["rows_kept_by_hand"], &report["made"]), (&Value::from(2), &Value::from(0)));
    let text = fs::read_to_string(&path).unwrap();
    let rows: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!((&rows[0]["text"], &rows[0]["edited"]), (&Value::from("by hand"), &Value::from(true)));
    assert_eq!((&rows[1]["text"], &rows[1]["excluded"]), (&Value::from("Dresses"), &Value::from(true)));
    assert_eq!(rows.len(), before.lines().count());
    // As it is typed: what would change, what changes, and what cannot.
    let dir = out.to_str().unwrap();
    let said = |arguments: &[&str]| String::from_utf8_lossy(&dataset(arguments).stdout).into_owned();
    assert!(said(&["replace", dir, "HAND", "foot", "--dry-run"]).contains("1 of 8 captions would be changed"));
    assert_eq!(fs::read_to_string(&path).unwrap(), text);
    assert!(said(&["replace", dir, "HAND", "foot"]).ends_with("1 of 8 captions are changed\n"));
    assert!(said(&["replace", dir, "FOOT", "x", "--match-case"]).contains("0 of 8"));
    assert!(fs::read_to_string(&path).unwrap().contains("\"by foot\""));
    assert!(said(&["exclude", dir, "images/3.jpg", "images/4.jpg"]).contains("2 rows are left out"));
    assert!(said(&["exclude", dir, "images/3.jpg", "images/4.jpg", "--undo"]).contains("2 rows are learnt from again"));
    for (arguments, why) in [
        (vec!["exclude", dir, "images/33.jpg"], "did you mean images/3.jpg?"),
        (vec!["replace", dir, "", "x"], "is empty"),
        (vec!["replace", source.to_str().unwrap(), "a", "b"], "cannot be changed"),
    ] {
        let output = dataset(&arguments);
        assert_eq!(output.status.code(), Some(2), "{arguments:?}");
        assert!(String::from_utf8_lossy(&output.stderr).contains(why), "{arguments:?}: {output:?}");
    }
    // Neither a check nor another preparation counts what is excluded.
    let report = printed(&dataset(&["check", out.to_str().unwrap(), "--json"]));
    assert_eq!(report["rows"], rows.len() - 1);
    let other = home.path().join("other");
    let report = printed(&dataset(&["prepare", out.to_str().unwrap(), "--out", other.to_str().unwrap(), "--json"]));
    assert_eq!((&report["rows"], &report["rows_excluded"]), (&Value::from(rows.len() - 1), &Value::from(1)));
}

#[test]
fn captions_are_the_old_ones_or_the_new_ones_whenever_the_power_fails() {
    const ROWS: usize = 20_000;
    let home = TempDir::new().unwrap();
    let dir = home.path().join("set");
    fs::create_dir(&dir).unwrap();
    picture(1, 64, 64).save(dir.join("a.png")).unwrap();
    let path = dir.join("metadata.jsonl");
    let line = |colour: &str| format!("{{\"file_name\":\"a.png\",\"text\":\"a {colour} dress\"}}\n");
    fs::write(&path, line("red").repeat(ROWS)).unwrap();
    let mut colours = ["red", "blue"];
    // Killed earlier and later, until a run gets through.
    for wait_ms in (0..).map(|turn: u64| turn * turn * 5) {
        let mut child = Command::new(env!("CARGO_BIN_EXE_atelier"))
            .args(["dataset", "replace", dir.to_str().unwrap(), colours[0], colours[1]])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        std::thread::sleep(Duration::from_millis(wait_ms));
        let ended = child.try_wait().unwrap();
        child.kill().unwrap();
        child.wait().unwrap();
        let text = fs::read_to_string(&path).unwrap();
        assert_eq!(text.lines().count(), ROWS);
        let all = |colour: &str| text.lines().all(|line| line.contains(&format!("\"a {colour} dress\"")));
        let is_new = all(colours[1]);
        assert!(is_new || all(colours[0]), "some are old and some are new");
        if is_new {
            colours.reverse();
        }
        if ended.is_some_and(|status| status.success()) {
            assert!(is_new);
            return;
        }
    }
}
