//! The program itself, as a user types it: pictures, lines of JSON, bad input and exit codes.
#![allow(clippy::unwrap_used, reason = "a test may fail by panicking")]

use std::path::Path;
use std::process::{Command, Output};

use atelier::domain::prompt::PromptStyle;
use atelier::library::{read_info, read_picture, save_styles};
use serde_json::Value;
use tempfile::TempDir;

/// Runs the program in a home of its own.
fn atelier(home: &Path, arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_atelier"))
        .args(arguments)
        .env("ATELIER_HOME", home)
        .env_remove("DISPLAY")
        .env_remove("WAYLAND_DISPLAY")
        .env_remove("RUST_LOG")
        .output()
        .unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

/// The lines of JSON that a run printed.
fn lines(output: &Output) -> Vec<Value> {
    assert!(output.status.success(), "{}", text(&output.stderr));
    text(&output.stdout).lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[test]
fn a_prompt_becomes_a_picture_and_its_recipe_is_inside() {
    let home = TempDir::new().unwrap();
    let out = home.path().join("a.png");
    let arguments = ["generate", "a red dress with white stripes", "--steps", "2", "--seed", "5", "--json", "--out"];
    let printed = lines(&atelier(home.path(), &[&arguments[..], &[out.to_str().unwrap()]].concat()));
    assert_eq!(printed.len(), 1);
    for (field, expected) in [("seed", 5), ("width", 128), ("height", 128), ("steps", 2)] {
        assert_eq!(printed[0][field], expected, "{field}");
    }
    assert_eq!(printed[0]["path"], out.to_str().unwrap());
    assert!(printed[0]["seconds"].as_f64().unwrap() > 0.0);
    let recipe = read_info(&out).unwrap().embedded.recipe().unwrap();
    assert_eq!((recipe.request.prompt.as_str(), recipe.request.seed), ("a red dress with white stripes", 5));

    // The same words make the same picture, on one thread as on many.
    let again = home.path().join("again.png");
    let output = Command::new(env!("CARGO_BIN_EXE_atelier"))
        .args(&arguments[..arguments.len() - 2])
        .args(["--out", again.to_str().unwrap()])
        .env("ATELIER_HOME", home.path())
        .env("RAYON_NUM_THREADS", "1")
        .output()
        .unwrap();
    assert!(output.status.success());
    assert!(read_picture(&out).unwrap() == read_picture(&again).unwrap());
}

#[test]
fn several_pictures_go_to_a_folder_or_the_history() {
    let home = TempDir::new().unwrap();
    let folder = home.path().join("some/where");
    let common = ["generate", "boots", "--size", "64x72", "--steps", "1", "--count", "2", "--seed", "8", "--json"];
    let printed = lines(&atelier(home.path(), &[&common[..], &["--out", folder.to_str().unwrap()]].concat()));
    assert_eq!(printed.iter().map(|line| line["seed"].as_u64().unwrap()).collect::<Vec<_>>(), [8, 9]);
    assert!(folder.join("8.png").is_file() && folder.join("9.png").is_file());

    for line in lines(&atelier(home.path(), &common)) {
        let path = Path::new(line["path"].as_str().unwrap()).to_path_buf();
        assert!(path.starts_with(home.path().join("pictures")) && path.is_file(), "{}", path.display());
        let picture = read_picture(&path).unwrap();
        assert_eq!((picture.width_px, picture.height_px), (64, 72));
    }
}

#[test]
fn a_prompt_is_put_into_styles() {
    let home = TempDir::new().unwrap();
    let style = |name: &str, prompt: &str, negative: &str| PromptStyle {
        name: name.to_owned(),
        prompt: prompt.to_owned(),
        negative_prompt: negative.to_owned(),
    };
    let styles = [style("Old", "old {prompt}", "new"), style("Red", "red", "")];
    save_styles(&home.path().join("styles.json"), &styles).unwrap();
    let out = home.path().join("a.png");
    let arguments = ["generate", "boots", "--steps", "1", "--style", "old", "--style", "Red", "--out"];
    let output = atelier(home.path(), &[&arguments[..], &[out.to_str().unwrap()]].concat());
    assert!(output.status.success(), "{}", text(&output.stderr));
    let request = read_info(&out).unwrap().embedded.recipe().unwrap().request;
    assert_eq!((request.prompt.as_str(), request.negative_prompt.as_str()), ("old boots, red", "new"));
    let output = atelier(home.path(), &["generate", "boots", "--style", "Blue"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(text(&output.stderr).contains("There is no style called Blue"), "{}", text(&output.stderr));
}

#[test]
fn the_other_formats_are_written() {
    let home = TempDir::new().unwrap();
    for name in ["a.jpg", "a.webp"] {
        let out = home.path().join(name);
        let output = atelier(home.path(), &["generate", "x", "--steps", "1", "--out", out.to_str().unwrap()]);
        assert!(output.status.success(), "{}", text(&output.stderr));
        assert_eq!(read_picture(&out).unwrap().width_px, 128);
    }
}

#[test]
fn odd_prompts_are_read() {
    let home = TempDir::new().unwrap();
    let long = "word ".repeat(2000);
    for prompt in ["", "👗👖🧥🎽 ".repeat(50).as_str(), "\u{202e}désordre\u{0301} ﬁn", long.as_str()] {
        let out = home.path().join("a.png");
        let output = atelier(home.path(), &["generate", prompt, "--steps", "1", "--out", out.to_str().unwrap()]);
        assert!(output.status.success(), "{}", text(&output.stderr));
    }
}

#[test]
fn bad_input_is_told_in_a_sentence_with_exit_code_2() {
    let home = TempDir::new().unwrap();
    let file = home.path().join("notes.txt");
    std::fs::write(&file, "no model").unwrap();
    let file = file.to_str().unwrap();
    let nowhere = home.path().join("nowhere/a.png");
    for (arguments, expected) in [
        (&["--size", "0x0"][..], "multiple of 8 from 64"),
        (&["--size", "7x7"], "multiple of 8 from 64"),
        (&["--size", "100000x100000"], "multiple of 8 from 64"),
        (&["--size", "big"], "not a size"),
        (&["--steps", "0"], "steps must be from 1"),
        (&["--steps", "10000"], "steps must be from 1"),
        (&["--guidance=-1"], "guidance must be from 0"),
        (&["--guidance", "NaN"], "guidance must be from 0"),
        (&["--count", "0"], "count must be from 1"),
        (&["--sampler", "magic"], "magic"),
        (&["--schedule", "magic"], "magic"),
        (&["--model", file], "not a PyTorch file"),
        (&["--lora", file], "not a PyTorch file"),
        (&["--vae", file], "not a PyTorch file"),
        (&["--init", file], "Could not read the picture"),
        (&["--mask", file], "--init"),
        (&["--hires", "1"], "must make the picture larger"),
        (&["--clip-skip", "99"], "clip skip must be from 0"),
        (&["--safety", "maybe"], "off, flag, blur and black"),
        (&["--model", "/nowhere/at/all"], "Could not open the model"),
        (&["--out", file], "must end in .png"),
        (&["--out", nowhere.to_str().unwrap()], "does not exist"),
        (&["--nonsense"], "--nonsense"),
    ] {
        let output = atelier(home.path(), &[&["generate", "x"][..], arguments].concat());
        let said = text(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{arguments:?}: {said}");
        assert!(said.contains(expected), "{arguments:?}: {said}");
        assert!(output.stdout.is_empty());
    }
}

#[test]
fn a_folder_that_cannot_be_written_is_failed_work() {
    let home = TempDir::new().unwrap();
    // A file where the pictures folder belongs: so it fails for root too.
    std::fs::write(home.path().join("pictures"), "in the way").unwrap();
    let output = atelier(home.path(), &["generate", "x", "--steps", "1"]);
    assert_eq!(output.status.code(), Some(1), "{}", text(&output.stderr));
    assert!(text(&output.stderr).contains("path: "), "{}", text(&output.stderr));
}

#[test]
fn without_a_display_the_window_points_to_the_command_line() {
    if !cfg!(target_os = "linux") {
        return;
    }
    let home = TempDir::new().unwrap();
    let output = atelier(home.path(), &[]);
    assert_eq!(output.status.code(), Some(2));
    assert!(text(&output.stderr).contains("atelier generate"), "{}", text(&output.stderr));
}

#[test]
fn the_benchmark_prints_every_part() {
    let home = TempDir::new().unwrap();
    let printed = lines(&atelier(home.path(), &["bench", "--size", "64", "--json"]));
    for field in ["text_s", "unet_step_s", "unet_guided_step_s", "vae_decode_s", "vae_encode_s", "load_s"] {
        assert!(printed[0][field].as_f64().unwrap() > 0.0, "{field}");
    }
    assert_eq!(printed[0]["dtype"], "f32");
    assert!(printed[0]["threads"].as_u64().unwrap() >= 1);
    assert_eq!(atelier(home.path(), &["bench", "--size", "7"]).status.code(), Some(2));
}

#[test]
#[cfg(unix)]
fn the_benchmark_runs_other_programs_in_turn() {
    let home = TempDir::new().unwrap();
    let peer = home.path().join("peer.sh");
    std::fs::write(&peer, "echo begun >&2; echo \"{\\\"part\\\": \\\"$2\\\", \\\"best_s\\\": 1e9}\"; echo done")
        .unwrap();
    let command = format!("sh {}", peer.display());
    let args =
        ["bench", "--size", "64", "--runs", "1", "--part", "text", "--part", "decode", "--json", "--peer", &command];
    let printed = lines(&atelier(home.path(), &args));
    let peers = printed[0]["peers"].as_array().unwrap();
    assert_eq!((peers.len(), &peers[0]["part"], &peers[1]["part"]), (2, &"text".into(), &"decode".into()));
    assert!(peers.iter().all(|peer| peer["ratio"].as_f64().unwrap() < 1e-6), "{peers:?}");
    assert!(printed[0].get("unet_step_s").is_none());

    let output = atelier(home.path(), &["bench", "--part", "text", "--peer", "false"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(text(&output.stderr).contains("did not measure"), "{}", text(&output.stderr));
}

#[test]
fn the_version_names_the_commit() {
    let output = atelier(Path::new("."), &["--version"]);
    let said = text(&output.stdout);
    assert!(said.starts_with(&format!("atelier {} (", env!("CARGO_PKG_VERSION"))), "{said}");
}
