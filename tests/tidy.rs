//! The house rules, read from the sources: who may import what, how long a file may be, where `unsafe` may stand, which
//! licences may come in. ARCHITECTURE.md says why; the table is in `tidy/floors.rs`.

#![allow(clippy::unwrap_used, reason = "in a test, what cannot be read is a failure")]

#[path = "tidy/floors.rs"]
mod floors;
#[path = "tidy/licences.rs"]
mod licences;
#[path = "tidy/rules.rs"]
mod rules;
#[path = "tidy/samples.rs"]
mod samples;
#[path = "tidy/scan.rs"]
mod scan;

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::fs;
use std::path::Path;
use std::process::Command;

use rules::Sources;
use serde_json::Value;

#[test]
fn the_sources_keep_the_house_rules() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut sources = Sources::new();
    for folder in ["src", "tests", "benches"] {
        read_folder(root, folder, &mut sources);
    }
    sources.insert("build.rs".to_owned(), fs::read_to_string(root.join("build.rs")).unwrap());
    assert!(sources.contains_key("src/lib.rs") && sources.contains_key("src/main.rs"), "the sources were not found");
    let complaints = rules::complaints(&sources, &outside_crates());
    assert!(complaints.is_empty(), "{} complaints:\n{}", complaints.len(), complaints.join("\n"));
}

/// Every Rust file below a folder. A folder that is not there holds none.
fn read_folder(root: &Path, folder: &str, sources: &mut Sources) {
    let Ok(entries) = fs::read_dir(root.join(folder)) else { return };
    for entry in entries {
        let entry = entry.unwrap();
        let name = format!("{folder}/{}", entry.file_name().to_str().expect("a file of ours has a plain name"));
        if entry.file_type().unwrap().is_dir() {
            read_folder(root, &name, sources);
        } else if Path::new(&name).extension().is_some_and(|extension| extension == "rs") {
            sources.insert(name, fs::read_to_string(entry.path()).unwrap());
        }
    }
}

/// The crates that Cargo.toml names, as code spells them.
fn outside_crates() -> BTreeSet<String> {
    let metadata = metadata(&["--no-deps"]).expect("Cargo.toml can be read without the network");
    let mut names = BTreeSet::new();
    for dependency in array(&metadata["packages"][0]["dependencies"]) {
        let name = dependency["rename"].as_str().or(dependency["name"].as_str()).expect("a dependency has a name");
        names.insert(name.replace('-', "_"));
    }
    assert!(names.contains("candle_core") && names.contains("egui"), "the dependencies were not found: {names:?}");
    names
}

/// What `cargo metadata` says.
///
/// # Errors
/// What it wrote when it failed.
fn metadata(arguments: &[&str]) -> Result<Value, String> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| OsString::from("cargo"));
    let output = Command::new(cargo)
        .args(["metadata", "--format-version", "1", "--locked"])
        .args(arguments)
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .map_err(|error| error.to_string())?;
    if output.status.success() {
        serde_json::from_slice(&output.stdout).map_err(|error| error.to_string())
    } else {
        Err(String::from_utf8_lossy(&output.stderr).into_owned())
    }
}

fn array(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}
