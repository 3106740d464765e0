//! `atelier batch` and `atelier gallery import` as a user types them: tables, results, crashes, several machines.
#![allow(clippy::unwrap_used, reason = "a test may fail by panicking")]

use std::collections::HashSet;
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use atelier::library::{read_info, read_picture};
use serde_json::Value;
use tempfile::TempDir;

/// The smallest pictures that the built-in model draws, in one step.
const QUICK: [&str; 4] = ["--size", "64x64", "--steps", "1"];

fn command(home: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_atelier"));
    command.args(arguments).env("ATELIER_HOME", home).env_remove("DISPLAY").env_remove("WAYLAND_DISPLAY");
    command.env_remove("RUST_LOG").stdin(Stdio::null());
    command
}

fn atelier(home: &Path, arguments: &[&str]) -> Output {
    command(home, arguments).output().unwrap()
}

/// A quick batch of `table` into `out`.
fn batch(home: &Path, table: &Path, out: &Path, more: &[&str]) -> Output {
    let own = ["batch", table.to_str().unwrap(), "--out", out.to_str().unwrap()];
    atelier(home, &[&own[..], &QUICK, more].concat())
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

fn lines(output: &Output) -> Vec<Value> {
    text(&output.stdout).lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn written(folder: &Path, name: &str, text: &str) -> PathBuf {
    let path = folder.join(name);
    fs::write(&path, text).unwrap();
    path
}

/// The pictures of a folder, by name.
fn pictures(folder: &Path) -> Vec<PathBuf> {
    let mut found: Vec<PathBuf> = fs::read_dir(folder).unwrap().flatten().map(|entry| entry.path()).collect();
    found.retain(|path| path.extension().is_some_and(|ending| ending == "png"));
    found.sort();
    found
}

#[test]
fn rows_become_pictures_and_what_became_of_them_stands_beside_the_table() {
    let home = TempDir::new().unwrap();
    let out = home.path().join("out");
    let table = written(
        home.path(),
        "garments.csv",
        "colour,garment,seed,n,steps,note\r\nred,dress,5,2,,\"a, b\"\r\nblue,coat,,,many,\r\n,shirt,,,,\r\n",
    );
    let more = ["--template", "a {colour} {garment}", "--json"];
    let output = batch(home.path(), &table, &out, &more);
    assert_eq!(output.status.code(), Some(1), "a row failed: {}", text(&output.stderr));
    let stderr = text(&output.stderr);
    assert!(stderr.contains("garments.csv, line 3: steps is \"many\""), "{stderr}");
    assert!(stderr.contains("1 of 3 rows failed"), "{stderr}");
    let printed = lines(&output);
    let of = |row: u64| printed.iter().find(|line| line["row"] == row).unwrap();
    assert_eq!((of(1)["status"].as_str(), of(1)["seed"].as_u64()), (Some("ok"), Some(5)));
    assert_eq!(of(1)["path"].as_array().unwrap().len(), 2, "its count is 2");
    assert_eq!((of(2)["status"].as_str(), &of(2)["path"]), (Some("failed"), &Value::Null));
    let recipe = read_info(Path::new(of(3)["path"].as_str().unwrap())).unwrap().embedded.recipe().unwrap();
    assert_eq!((recipe.request.prompt.as_str(), recipe.request.width_px), ("a shirt", 64));
    assert_eq!(Some(recipe.request.seed), of(3)["seed"].as_u64());

    let results = fs::read_to_string(out.join("garments.results.csv")).unwrap();
    let results: Vec<&str> = results.lines().collect();
    assert_eq!(results[0], "colour,garment,seed,n,steps,note,row,line,status,path,result_seed,seconds,error,request");
    assert!(
        results[1].starts_with("red,dress,5,2,,\"a, b\",1,2,ok,00001-5-a-red-dress.png | 00001-6-a-red-dress.png,5,")
    );
    assert!(results[2].starts_with("blue,coat,,,many,,2,3,failed,,,0.000,"), "{}", results[2]);
    assert_eq!((results.len(), pictures(&out).len()), (4, 3));

    // Again: nothing is made twice. Mended: only that row is.
    let again = batch(home.path(), &table, &out, &more);
    assert_eq!((again.status.code(), lines(&again).len()), (Some(1), 1));
    fs::write(&table, fs::read_to_string(&table).unwrap().replace("many", "2")).unwrap();
    let mended = batch(home.path(), &table, &out, &more);
    assert!(mended.status.success(), "{}", text(&mended.stderr));
    assert_eq!(lines(&mended).iter().map(|line| line["row"].as_u64()).collect::<Vec<_>>(), [Some(2)]);
    assert_eq!(pictures(&out).len(), 4);
    // Another template makes others; what the first made is still known.
    let other = batch(home.path(), &table, &out, &["--template", "{garment}", "--rows", "3"]);
    assert!(other.status.success(), "{}", text(&other.stderr));
    assert!(out.join("garments.results-old-1.csv").is_file());
    let first = batch(home.path(), &table, &out, &more);
    assert!(first.status.success() && lines(&first).is_empty());
}

#[test]
fn lists_and_json_lines_are_batches_too() {
    let home = TempDir::new().unwrap();
    let list = written(home.path(), "list.txt", "# mine\na red dress --n blurry --w 72 --d 9\na coat --l 1\n");
    let json = written(home.path(), "rows.jsonl", "\u{feff}{\"prompt\":\"boots\",\"width\":72,\"x\":[1]}\n");
    // Without --out the pictures go into the history, and the results beside the table.
    let own = ["batch", list.to_str().unwrap(), "--steps", "1", "--size", "64x64", "--json"];
    let output = atelier(home.path(), &own);
    assert!(output.status.success(), "{}", text(&output.stderr));
    let first = PathBuf::from(lines(&output)[0]["path"].as_str().unwrap());
    assert!(first.starts_with(home.path().join("pictures")), "{}", first.display());
    let request = read_info(&first).unwrap().embedded.recipe().unwrap().request;
    assert_eq!((request.negative_prompt.as_str(), request.width_px, request.seed), ("blurry", 72, 9));
    assert!(home.path().join("list.results.csv").is_file());

    let out = home.path().join("out");
    let output = batch(home.path(), &json, &out, &[]);
    assert!(output.status.success(), "{}", text(&output.stderr));
    let results = fs::read_to_string(out.join("rows.results.jsonl")).unwrap();
    assert!(results.starts_with("{\"prompt\":\"boots\",\"width\":72,\"x\":[1],\"row\":1,\"line\":1,\"status\":\"ok\""));
}

#[test]
fn shares_of_several_machines_are_the_whole_and_are_taken_into_the_gallery_once() {
    let (home, one, other) = (TempDir::new().unwrap(), TempDir::new().unwrap(), TempDir::new().unwrap());
    let table = written(home.path(), "a.txt", "a red dress\na blue coat\na green shirt\n");
    let whole = home.path().join("whole");
    assert!(batch(home.path(), &table, &whole, &["--seed", "3"]).status.success());
    for (machine, shard) in [(&one, "1/2"), (&other, "2/2")] {
        let output = batch(machine.path(), &table, &machine.path().join("out"), &["--seed", "3", "--shard", shard]);
        assert!(output.status.success(), "{}", text(&output.stderr));
    }
    let (first, second) = (one.path().join("out"), other.path().join("out"));
    assert!(first.join("a.results-1-of-2.csv").is_file() && second.join("a.results-2-of-2.csv").is_file());
    let shares = [pictures(&first), pictures(&second)];
    assert_eq!(shares.each_ref().map(Vec::len), [2, 1], "rows 1 and 3, and row 2");
    for picture in pictures(&whole) {
        let name = picture.file_name().unwrap();
        let same = shares.iter().flatten().find(|path| path.file_name() == Some(name)).unwrap();
        assert!(read_picture(&picture).unwrap() == read_picture(same).unwrap(), "{name:?}: the seeds agree");
    }

    // Put into one folder, a run of all finds everything made and joins the results.
    for path in pictures(&second).into_iter().chain([second.join("a.results-2-of-2.csv")]) {
        fs::copy(&path, first.join(path.file_name().unwrap())).unwrap();
    }
    let joined = batch(home.path(), &table, &first, &["--seed", "3", "--json"]);
    assert!(joined.status.success() && lines(&joined).is_empty(), "{}", text(&joined.stderr));
    assert_eq!(fs::read_to_string(first.join("a.results.csv")).unwrap().lines().count(), 4);

    let folders = [first.to_str().unwrap(), second.to_str().unwrap()];
    let import = || atelier(home.path(), &[&["gallery", "import", "--json"][..], &folders].concat());
    let imported = lines(&import());
    assert_eq!((imported[0]["taken"].as_u64(), imported[0]["duplicates"].as_u64()), (Some(3), Some(1)));
    let again = lines(&import());
    assert_eq!((again[0]["taken"].as_u64(), again[0]["duplicates"].as_u64()), (Some(0), Some(4)));
    let missing = atelier(home.path(), &["gallery", "import", "nowhere"]);
    assert_eq!(missing.status.code(), Some(2), "{}", text(&missing.stderr));
}

#[cfg(unix)]
#[test]
fn a_batch_that_is_killed_goes_on_and_loses_at_most_the_row_in_hand() {
    const ROWS: usize = 12;
    let home = TempDir::new().unwrap();
    let out = home.path().join("out");
    let mut prompts = String::new();
    for row in 0..ROWS {
        // Writing to a text cannot fail.
        let _ = writeln!(prompts, "a red dress number {row}");
    }
    let table = written(home.path(), "a.txt", &prompts);
    let results = out.join("a.results.csv");
    let ended = |path: &Path| fs::read_to_string(path).map_or(0, |text| text.matches(",ok,").count());
    let own = ["batch", table.to_str().unwrap(), "--out", out.to_str().unwrap(), "--size", "64x64", "--steps", "8"];
    let mut child = command(home.path(), &own).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    let patience = Instant::now() + Duration::from_mins(5);
    while ended(&results) < 3 && child.try_wait().unwrap().is_none() {
        assert!(Instant::now() < patience, "no row ends");
        std::thread::sleep(Duration::from_millis(5));
    }
    child.kill().unwrap(); // SIGKILL
    child.wait().unwrap();
    let before = ended(&results);
    assert!(before >= 3);
    let kept: Vec<(PathBuf, Vec<u8>)> =
        pictures(&out).into_iter().take(before).map(|path| (path.clone(), fs::read(path).unwrap())).collect();

    let output = atelier(home.path(), &[&own[..], &["--json"]].concat());
    assert!(output.status.success(), "{}", text(&output.stderr));
    let made: HashSet<u64> = lines(&output).iter().map(|line| line["row"].as_u64().unwrap()).collect();
    assert_eq!(made.len(), ROWS - before, "what was written down is not made again");
    assert_eq!(pictures(&out).len(), ROWS, "the row in hand left no second picture");
    for (path, bytes) in kept {
        assert!(fs::read(&path).unwrap() == bytes, "{} was written again", path.display());
    }
    let text = fs::read_to_string(&results).unwrap();
    assert_eq!(text.lines().count(), ROWS + 1);
    assert_eq!(ended(&results), ROWS);
}

#[test]
fn a_thousand_rows_are_looked_through_and_nothing_is_made() {
    let home = TempDir::new().unwrap();
    let mut rows = "garment,width\n".to_owned();
    for row in 0..1000 {
        let _ = writeln!(rows, "dress {row},{}", if row == 500 { "7x" } else { "64" });
    }
    let table = written(home.path(), "a.csv", &rows);
    let check =
        |more: &[&str]| batch(home.path(), &table, &home.path().join("out"), &[&["--check"][..], more].concat());
    let output = check(&["--template", "a {garment}"]);
    assert_eq!(output.status.code(), Some(1));
    let shown = text(&output.stdout);
    assert!(shown.contains("column width: width\nrow 1: a dress 0\n"), "{shown}");
    assert!(shown.contains("1000 rows: 999 to make, 0 there already, 1 with something wrong"), "{shown}");
    assert!(text(&output.stderr).contains("a.csv, line 502: width is \"7x\""));
    let sampled = check(&["--template", "a {garment}", "--sample", "7", "--rows", "-100"]);
    assert!(sampled.status.success() && text(&sampled.stdout).contains("7 rows: 7 to make"));
    assert!(!home.path().join("out").exists());
}

#[test]
fn bad_input_is_told_in_a_sentence_with_exit_code_2() {
    let home = TempDir::new().unwrap();
    let good = written(home.path(), "a.csv", "prompt,colour\nx,red\n");
    let broken = written(home.path(), "b.csv", "\n");
    let array = written(home.path(), "c.json", "[{}]");
    for (table, more, expected) in [
        (&home.path().join("missing.csv"), &[][..], "missing.csv"),
        (&home.path().to_path_buf(), &[], "folder"),
        (&broken, &[], "no rows"),
        (&array, &[], "array"),
        (&good, &["--template", "{color}"], "did you mean {colour}?"),
        (&good, &["--rows", "5-"], "None of the 1 rows"),
        (&good, &["--rows", "5-3"], "range of rows"),
        (&good, &["--shard", "3/2"], "share"),
        (&good, &["--model", "/nowhere"], "/nowhere"),
        (&good, &["--sampler", "magic"], "magic"),
    ] {
        let output = batch(home.path(), table, &home.path().join("out"), more);
        let stderr = text(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{more:?}: {stderr}");
        assert!(stderr.contains(expected), "{more:?}: {stderr}");
    }
    assert!(!home.path().join("out").exists(), "nothing is begun");
}

#[test]
fn rows_name_no_file_outside_and_a_model_that_is_not_there_costs_its_rows() {
    let home = TempDir::new().unwrap();
    fs::create_dir(home.path().join("empty")).unwrap();
    let table = written(
        home.path(),
        "a.csv",
        "prompt,model,init\na,../../etc/passwd,\nb,,/etc/passwd\nc,,file:///etc/passwd\nd,C:\\x,\ne,\\\\host\\share,\nf,gone,\n\
         g,empty,\nh,starter,\n",
    );
    let out = home.path().join("out");
    let output = batch(home.path(), &table, &out, &["--json"]);
    assert_eq!(output.status.code(), Some(1));
    let printed = lines(&output);
    let failed: HashSet<u64> =
        printed.iter().filter(|line| line["status"] == "failed").map(|line| line["row"].as_u64().unwrap()).collect();
    assert_eq!(failed, (1..=7).collect(), "{}", text(&output.stderr));
    assert_eq!(pictures(&out).len(), 1);
    for line in printed.iter().filter(|line| line["status"] == "failed") {
        assert!(!line["error"].as_str().unwrap().is_empty());
    }
}
