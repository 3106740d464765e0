//! What computes, as a user chooses it. There is no graphics card where these tests run: the operations of cards compute on
//! the processor (`cpu:portable`), with as little memory for a map as a test wants.
#![allow(clippy::unwrap_used, reason = "a test may fail by panicking")]

use std::fmt::Write as _;
use std::fs;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};

use atelier::domain::Picture;
use atelier::library::{read_info, read_picture};
use serde_json::Value;
use tempfile::TempDir;

fn command(home: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_atelier"));
    command.args(arguments).env("ATELIER_HOME", home).env_remove("ATELIER_DEVICE").env_remove("RUST_LOG");
    command.stdin(Stdio::null());
    command
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

/// A picture of two steps, and what was said on stderr.
fn drawn(home: &Path, name: &str, side: &str, prepare: impl FnOnce(&mut Command) -> &mut Command) -> (Picture, String) {
    let out = home.join(name);
    let mut command =
        command(home, &["generate", "a red dress", "--steps", "2", "--seed", "3", "--size", side, "--out"]);
    let output: Output = prepare(command.arg(&out)).output().unwrap();
    assert!(output.status.success(), "{}", text(&output.stderr));
    (read_picture(&out).unwrap(), text(&output.stderr))
}

/// The mean difference, in levels of 255.
fn difference(a: &Picture, b: &Picture) -> f64 {
    assert_eq!(a.rgba.len(), b.rgba.len());
    let sum: u64 = a.rgba.iter().zip(&b.rgba).map(|(a, b)| u64::from(a.abs_diff(*b))).sum();
    sum as f64 / a.rgba.len() as f64
}

#[test]
fn what_computes_is_told_and_a_wrong_name_is_refused() {
    let home = TempDir::new().unwrap();
    let output = command(home.path(), &["device", "--device", "cpu"]).output().unwrap();
    assert_eq!(text(&output.stdout), "using the CPU\n");
    let output = command(home.path(), &["device", "--json"]).env("ATELIER_DEVICE", "cpu:portable").output().unwrap();
    let line: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!((&line["asked"], &line["used"]), (&"cpu:portable".into(), &"cpu:portable".into()));
    for wrong in [
        command(home.path(), &["device"]).env("ATELIER_DEVICE", "abacus").output().unwrap(),
        command(home.path(), &["generate", "a dress", "--device", "abacus"]).output().unwrap(),
    ] {
        assert_eq!(wrong.status.code(), Some(2), "{}", text(&wrong.stderr));
        assert!(text(&wrong.stderr).contains("none of auto, cpu, cuda"), "{}", text(&wrong.stderr));
    }
}

#[test]
fn without_the_card_that_was_asked_for_the_processor_draws_and_the_reason_is_told() {
    let home = TempDir::new().unwrap();
    let (own, _) = drawn(home.path(), "own.png", "64x64", |command| command.args(["--device", "cpu"]));
    // No machine has a hundred cards.
    let (other, said) = drawn(home.path(), "other.png", "64x64", |command| command.args(["--device", "cuda:99"]));
    assert!(own == other);
    assert!(said.contains("using the CPU"), "{said}");
    let (quiet, said) = drawn(home.path(), "quiet.png", "64x64", |command| command.args(["--device", "cpu"]));
    assert!(own == quiet && said.is_empty(), "{said}");
}

#[test]
fn the_operations_of_cards_draw_nearly_the_same_picture_and_the_recipe_tells_which() {
    let home = TempDir::new().unwrap();
    let (own, _) = drawn(home.path(), "own.png", "128x128", |command| command.args(["--device", "cpu"]));
    let (other, _) =
        drawn(home.path(), "other.png", "128x128", |command| command.env("ATELIER_DEVICE", "cpu:portable"));
    // In f16: a level here and there.
    let mean = difference(&own, &other);
    assert!(mean < 1.0, "{mean}");
    let machine = read_info(&home.path().join("other.png")).unwrap().embedded.recipe().unwrap().machine.unwrap();
    assert_eq!((machine.device.as_str(), machine.precision.as_str()), ("cpu:portable", "f16"));
}

#[test]
fn where_memory_is_short_a_picture_is_decoded_in_tiles() {
    let home = TempDir::new().unwrap();
    let on_portable = |name: &str, bytes: &str| {
        let prepare = |command: &mut Command| {
            command.env("ATELIER_DEVICE", "cpu:portable").env("ATELIER_PORTABLE_BYTES", bytes);
        };
        drawn(home.path(), name, "256x256", |command| {
            prepare(command);
            command
        })
        .0
    };
    // The largest map has 24 channels of 256 x 256 px in f16: 3.1 MB; that of a tile of 24 latents 1.8 MB.
    let (whole, tiles) = (on_portable("whole.png", "4000000"), on_portable("tiles.png", "2500000"));
    let mean = difference(&whole, &tiles);
    assert!(whole != tiles && mean < 4.0, "{mean}");
}

/// Memory of a process that is its own, in bytes.
#[cfg(target_os = "linux")]
fn memory(child: &Child) -> u64 {
    let status = fs::read_to_string(format!("/proc/{}/status", child.id())).unwrap();
    let line = status.lines().find(|line| line.starts_with("RssAnon:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap() * 1024
}

#[test]
#[cfg(target_os = "linux")]
fn jobs_without_memory_cost_a_job_each_and_none_of_the_memory() {
    let runs: usize = std::env::var("ATELIER_MEMORY_RUNS").map_or(20, |runs| runs.parse().unwrap());
    let home = TempDir::new().unwrap();
    let mut table = "prompt,width,height\n".to_owned();
    for _ in 0..runs {
        table.push_str("a dress,256,256\n");
    }
    // Pictures before, between and behind: each works.
    for small in [1, runs / 2, runs + 1] {
        let line = table.match_indices('\n').nth(small).unwrap().0;
        table.insert_str(line + 1, "a coat,64,64\n");
    }
    let path = home.path().join("table.csv");
    fs::write(&path, table).unwrap();
    let mut child = command(home.path(), &["batch", path.to_str().unwrap(), "--steps", "1", "--json", "--out"])
        .arg(home.path().join("out"))
        .env("ATELIER_DEVICE", "cpu:portable")
        .env("ATELIER_PORTABLE_BYTES", "1000000")
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let (mut failed, mut made, mut seen) = (0, 0, Vec::new());
    let mut said = String::new();
    for line in BufReader::new(child.stdout.take().unwrap()).lines() {
        let line = line.unwrap();
        let Ok(row) = serde_json::from_str::<Value>(&line) else { continue };
        writeln!(said, "{line}").unwrap();
        match row["status"].as_str() {
            Some("ok") => made += 1,
            Some("failed") => {
                failed += 1;
                assert!(line.contains("not enough memory") && line.contains("smaller"), "{line}");
            }
            _ => {}
        }
        seen.push(memory(&child));
    }
    let _ = child.wait();
    assert_eq!((made, failed), (3, runs), "{said}");
    // The next row is in work by the time of each look: the least of many is what lies between them. Not the first ones:
    // the allocator has its own stock by then.
    let least = |range: std::ops::Range<usize>| *seen[range].iter().min().unwrap();
    let (before, after) = (least(runs / 4..runs / 2), least(3 * runs / 4..runs));
    assert!(after as f64 <= 1.05 * before as f64, "{before} bytes before, {after} after");
}
