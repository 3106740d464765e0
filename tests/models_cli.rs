//! `atelier models` as a user types it, against a hub on this machine.
#![allow(clippy::unwrap_used, reason = "a test may fail by panicking")]

#[allow(dead_code, reason = "shared with the hub's own tests")]
#[path = "../src/hub/tests/hub_server.rs"]
mod hub_server;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use hub_server::{Fault, HubServer, Served};
use serde_json::Value;
use sha2::{Digest, Sha256};
use tempfile::TempDir;

const TOKEN: &str = "hf_abcdefghijklmnop";
const UNET: &str = "unet/diffusion_pytorch_model.safetensors";

fn reference(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/reference").join(name)
}

/// Runs the program in a home of its own, with a cache of its own.
fn models(home: &Path, endpoint: &str, arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_atelier"));
    for variable in
        ["HF_HUB_CACHE", "HUGGINGFACE_HUB_CACHE", "HF_TOKEN_PATH", "HUGGING_FACE_HUB_TOKEN", "HF_HUB_OFFLINE"]
    {
        command.env_remove(variable);
    }
    command
        .arg("models")
        .args(arguments)
        .env("ATELIER_HOME", home)
        .env("HF_HOME", home.join("hf"))
        .env("HF_ENDPOINT", endpoint)
        .env("HF_TOKEN", TOKEN)
        // Everything that could be logged is.
        .env("RUST_LOG", "trace")
        .stdin(Stdio::null())
        .output()
        .unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

/// The lines of JSON that a run printed.
fn lines(output: &Output) -> Vec<Value> {
    assert!(output.status.success(), "{}", text(&output.stderr));
    for printed in [&output.stdout, &output.stderr] {
        assert!(!text(printed).contains(TOKEN), "the token is shown");
    }
    text(&output.stdout).lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// A hub with the reference's model of Stable Diffusion 1.
fn hub() -> HubServer {
    let mut files = Vec::new();
    serve(&reference("models/sd1"), "", &mut files);
    HubServer::start(files)
}

fn serve(folder: &Path, before: &str, files: &mut Vec<Served>) {
    for entry in fs::read_dir(folder).unwrap().flatten() {
        let name = format!("{before}{}", entry.file_name().to_string_lossy());
        if entry.path().is_dir() {
            serve(&entry.path(), &format!("{name}/"), files);
            continue;
        }
        let bytes = fs::read(entry.path()).unwrap();
        files.push(Served { sha256: name.ends_with(".safetensors").then(|| sha256(&bytes)), name, bytes });
    }
}

fn sha256(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().fold(String::new(), |text, byte| text + &format!("{byte:02x}"))
}

#[test]
fn a_file_and_a_folder_say_what_they_are() {
    let home = TempDir::new().unwrap();
    for (name, family) in
        [("single_file/sd2.ckpt", "sd2"), ("single_file/sd2.safetensors", "sd2"), ("models/sd1", "sd1")]
    {
        let path = reference(name);
        let arguments = ["inspect", path.to_str().unwrap(), "--json"];
        let [found] = lines(&models(home.path(), "http://localhost", &arguments)).try_into().unwrap();
        assert_eq!((&found["family"], &found["variant"]), (&family.into(), &"base".into()), "{found}");
        assert!(found["prediction_type"].is_string() && found["dtype"].is_string(), "{found}");
        assert!(found["parameters"].as_u64().unwrap() > 0, "{found}");
        assert!(found["problems"].as_array().unwrap().is_empty(), "{found}");
        let components: Vec<&str> =
            found["components"].as_array().unwrap().iter().map(|part| part["name"].as_str().unwrap()).collect();
        assert_eq!(components, ["unet", "vae", "text_encoder"], "{found}");
        assert!(text(&models(home.path(), "http://localhost", &arguments[..2]).stdout).contains(family));
    }
}

/// The report of a fit to the reference's model, whose numbers are those that `tests/lora_files.rs` holds to the files.
#[test]
fn a_lora_and_an_embedding_say_how_they_fit_a_model() {
    let home = TempDir::new().unwrap();
    let model = reference("models/sd1");
    let inspect = |file: &str, model: &str, json: bool| {
        let path = reference(file);
        let mut arguments = vec!["inspect", path.to_str().unwrap(), "--model", model];
        arguments.extend(json.then_some("--json"));
        models(home.path(), "http://localhost", &arguments)
    };
    let lora = "lora/alpha/kohya/lora.safetensors";
    let [found] = lines(&inspect(lora, model.to_str().unwrap(), true)).try_into().unwrap();
    let report = &found["fit"]["lora"];
    assert!(report["keys"].as_u64().unwrap() > 0 && report["keys"] == report["keys_matched"], "{found}");
    assert_eq!((&report["form"], &report["refusal"]), (&"kohya".into(), &Value::Null), "{found}");
    let said = text(&inspect(lora, model.to_str().unwrap(), false).stdout);
    assert!(said.contains(&format!("{0} of {0} keys", report["keys"])) && said.contains("UNet: "), "{said}");

    // The starter reads text of another width, and has other layers.
    let [found] = lines(&inspect(lora, "starter", true)).try_into().unwrap();
    assert!(found["fit"]["lora"]["refusal"]["sentence"].is_string(), "{found}");
    assert!(text(&inspect(lora, "starter", false).stdout).contains("refused "));

    let word = "lora/textual_inversion/webui.pt";
    let [found] = lines(&inspect(word, model.to_str().unwrap(), true)).try_into().unwrap();
    assert_eq!(found["fit"]["embedding"]["refusal"], Value::Null, "{found}");
    assert!(found["fit"]["embedding"]["vectors"].as_u64().unwrap() > 0, "{found}");
    let [found] = lines(&inspect(word, "starter", true)).try_into().unwrap();
    assert!(found["fit"]["embedding"]["refusal"]["sentence"].is_string(), "{found}");

    let refused = inspect("models/sd1", "starter", false);
    assert_eq!(refused.status.code(), Some(2));
}

#[test]
fn hostile_files_are_bad_input() {
    let home = TempDir::new().unwrap();
    let deep = format!(r#"{{"a":{}1{}}}"#, "[".repeat(100_000), "]".repeat(100_000));
    let deep = [&(deep.len() as u64).to_le_bytes()[..], deep.as_bytes()].concat();
    let overflow = br#"{"a":{"dtype":"F32","shape":[4294967296,4294967296,4294967296],"data_offsets":[0,4]}}"#;
    let overflow = [&(overflow.len() as u64).to_le_bytes()[..], overflow, &[0; 4]].concat();
    let marker = home.path().join("ran");
    let runs = format!("cos\nsystem\n(Vtouch {}\ntR.", marker.display());
    for (name, content) in [
        ("empty.safetensors", Vec::new()),
        ("endless.safetensors", [&[0xff; 8][..], b"{"].concat()),
        ("page.safetensors", b"<!DOCTYPE html><html></html>".to_vec()),
        ("deep.safetensors", deep),
        ("overflow.safetensors", overflow),
        ("empty.ckpt", Vec::new()),
        ("runs.ckpt", [b"\x80\x02", runs.as_bytes()].concat()),
        ("memo.pt", b"\x80\x02]q\x00j\xff\xff\xff\x7f.".to_vec()),
        ("text.pt", b"\x80\x02X\xff\xff\xff\xffa.".to_vec()),
        ("archive.ckpt", b"PK\x03\x04nothing more".to_vec()),
    ] {
        let path = home.path().join(name);
        fs::write(&path, content).unwrap();
        for command in ["inspect", "import"] {
            let output = models(home.path(), "http://localhost", &[command, path.to_str().unwrap(), "--json"]);
            let said = text(&output.stderr);
            assert_eq!(output.status.code(), Some(2), "{command} {name}: {said}");
            assert!(said.contains("hint: ") && said.contains("path: ") && output.stdout.is_empty(), "{name}: {said}");
        }
    }
    assert!(!marker.exists(), "a file was run");
    assert!(!home.path().join("models").exists(), "nothing is left of what was refused");
    let folder = home.path().join("folder");
    fs::create_dir(&folder).unwrap();
    for path in [folder, home.path().join("nowhere")] {
        let output = models(home.path(), "http://localhost", &["inspect", path.to_str().unwrap()]);
        assert_eq!(output.status.code(), Some(2));
    }
}

#[test]
fn a_download_goes_on_after_a_cut_is_listed_and_removed() {
    let (home, server) = (TempDir::new().unwrap(), hub());
    server.want_token(TOKEN);
    let run = |arguments: &[&str]| models(home.path(), &server.endpoint, arguments);
    let [plan] = lines(&run(&["download", "org/name", "--plan", "--json"])).try_into().unwrap();
    assert_eq!((&plan["licence"], &plan["total_bytes"]), (&"mit".into(), &plan["missing_bytes"]));
    assert!(!home.path().join("hf").exists(), "nothing is fetched");

    // The store's address fails for good after the first bytes.
    server.fault(UNET, Fault::Cut(1000));
    server.fault(UNET, Fault::RedirectTo("file:///etc/passwd".to_owned()));
    let cut = run(&["download", "org/name"]);
    assert_eq!(cut.status.code(), Some(1), "{}", text(&cut.stderr));
    let [begun] = lines(&run(&["list", "--json"])).try_into().unwrap();
    assert_eq!((&begun["name"], &begun["state"]), (&"org/name".into(), &"unfinished".into()));

    let [done] = lines(&run(&["download", "org/name", "--json"])).try_into().unwrap();
    let total = plan["total_bytes"].as_u64().unwrap();
    assert!(done["fetched_bytes"].as_u64().unwrap() < total, "{done}");
    let asked = server.seen();
    let ranges = asked.iter().filter(|seen| seen.at_store && seen.path.contains(UNET));
    assert_eq!(ranges.filter_map(|seen| seen.headers.get("range")).collect::<Vec<_>>(), ["bytes=1000-"]);
    let folder = PathBuf::from(done["path"].as_str().unwrap());
    assert!(fs::read(folder.join(UNET)).unwrap() == fs::read(reference("models/sd1").join(UNET)).unwrap());

    let [listed] = lines(&run(&["list", "--json"])).try_into().unwrap();
    assert_eq!(
        (&listed["state"], &listed["licence"], &listed["home"]),
        (&"ready".into(), &"mit".into(), &"hub_cache".into())
    );
    assert_eq!(listed["summary"]["family"], "Stable Diffusion 1");
    assert_eq!(listed["path"], done["path"]);

    let asked = run(&["remove", "org/name"]);
    assert_eq!(asked.status.code(), Some(2), "nobody can be asked");
    assert!(text(&asked.stderr).contains("--yes") && folder.exists());
    assert!(run(&["remove", "org/name", "--yes"]).status.success());
    assert!(!folder.exists());
    assert_eq!(run(&["remove", "org/name", "--yes"]).status.code(), Some(2));
}

#[test]
fn a_hub_that_refuses_says_what_to_do() {
    let (home, server) = (TempDir::new().unwrap(), hub());
    for (status, code, expected) in
        [(403, "GatedRepo", "accept the terms"), (404, "RepoNotFound", "check the name"), (401, "", "make a new token")]
    {
        server.fault_of_info(Fault::Status(status, vec![("X-Error-Code", code.to_owned())]));
        let output = models(home.path(), &server.endpoint, &["download", "org/name", "--json"]);
        let said = text(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{said}");
        assert!(said.contains(expected) && !said.contains(TOKEN) && output.stdout.is_empty(), "{said}");
    }
    let output = models(home.path(), &server.endpoint, &["download", "../etc"]);
    assert_eq!(output.status.code(), Some(2));
}

#[test]
fn a_file_is_imported_once_and_folders_are_listed_where_they_lie() {
    let home = TempDir::new().unwrap();
    let run = |arguments: &[&str]| models(home.path(), "http://localhost", arguments);
    let file = reference("single_file/sd2.ckpt");
    for was_here in [false, true] {
        let [imported] = lines(&run(&["import", file.to_str().unwrap(), "--json"])).try_into().unwrap();
        assert_eq!(imported["was_here"], was_here);
        assert_eq!(imported["sha256"], sha256(&fs::read(&file).unwrap()));
        assert_eq!(imported["path"], home.path().join("models/sd2.ckpt").to_str().unwrap());
    }
    let folder = reference("models/sd1");
    let listed = lines(&run(&["list", "--json", "--folder", folder.to_str().unwrap()]));
    let homes: Vec<_> = listed.iter().map(|entry| (entry["name"].as_str().unwrap(), &entry["home"])).collect();
    assert_eq!(homes, [("sd1", &"named".into()), ("sd2.ckpt", &"own".into())]);
    assert!(text(&run(&["list"]).stdout).contains("Stable Diffusion 2"));
    assert!(run(&["remove", "sd2.ckpt", "--yes"]).status.success());
    assert_eq!(lines(&run(&["list", "--json"])), [Value::Null; 0]);
}
