//! The models' thread and its functions, on the reference's small models and against a hub that misbehaves.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use tempfile::TempDir;

use super::*;
use crate::domain::{
    Cancel, ModelEntry, ModelHome, ModelRef, ModelState, ModelsCommand, ModelsEvent, Secret, TokenSource, TransferEnd,
    TransferKey, UserError,
};
use crate::hub::tests::hub_server::{Fault, HubServer, Served};
use crate::hub::{Hub, HubConfig, RepoId};

/// The large file whose coming the tests disturb.
const UNET: &str = "unet/diffusion_pytorch_model.safetensors";
const REPO: &str = "org/name";
const TOKEN: &str = "hf_abcdefghijklmnop";

fn reference(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/reference").join(name)
}

/// A hub whose one repository is the reference's model of Stable Diffusion 1, and a home for models.
struct Bench {
    server: HubServer,
    home: TempDir,
}

impl Bench {
    fn new() -> Self {
        let mut files = Vec::new();
        serve(&reference("models/sd1"), "", &mut files);
        Self { server: HubServer::start(files), home: tempfile::tempdir().unwrap() }
    }

    fn config(&self) -> HubConfig {
        let mut config = HubConfig::new(&self.server.endpoint, self.cache()).unwrap();
        config.timing.tries = 2;
        config.timing.first_pause = Duration::from_millis(1);
        config
    }

    fn cache(&self) -> PathBuf {
        self.home.path().join("cache")
    }

    fn hub(&self) -> Hub {
        Hub::new(self.config())
    }

    fn places(&self) -> Places {
        let below = |name: &str| self.home.path().join(name);
        Places {
            models_dir: below("models"),
            loras_dir: below("loras"),
            embeddings_dir: below("embeddings"),
            wildcards_dir: below("wildcards"),
            ..Places::default()
        }
    }

    fn spawn(&self) -> ModelsHandle {
        let config = self.config();
        let configure = move |token: Option<&str>| {
            let mut config = config.clone();
            config.token = token.map_or(Ok(None), crate::hub::Token::parse)?;
            Ok(config)
        };
        spawn_with(self.places(), Arc::new(|| ()), Box::new(configure)).unwrap()
    }

    /// What an unfinished download left.
    fn left(&self) -> Vec<String> {
        let blobs = self.cache().join("models--org--name/blobs");
        fs::read_dir(blobs)
            .into_iter()
            .flatten()
            .flatten()
            .map(|entry| entry.file_name().to_string_lossy().into_owned())
            .collect()
    }
}

/// The files of a folder as a hub serves them: weights from its store, with their sha256.
fn serve(folder: &Path, before: &str, files: &mut Vec<Served>) {
    for entry in fs::read_dir(folder).unwrap().flatten() {
        let name = format!("{before}{}", entry.file_name().to_string_lossy());
        if entry.path().is_dir() {
            serve(&entry.path(), &format!("{name}/"), files);
            continue;
        }
        let bytes = fs::read(entry.path()).unwrap();
        let folder = tempfile::tempdir().unwrap();
        let sha256 = name.ends_with(".safetensors").then(|| {
            // The hash of an import is held against FIPS 180-2 where that is written.
            let nothing = Cancel::default();
            crate::hub::import_file(&entry.path(), folder.path(), &nothing, &mut |_| Ok(()), &mut |_| ())
                .unwrap()
                .sha256
        });
        files.push(Served { name, bytes, sha256 });
    }
}

/// The next event that `wanted` takes; the others pass.
fn until<T>(handle: &ModelsHandle, mut wanted: impl FnMut(ModelsEvent) -> Option<T>) -> T {
    loop {
        // Far longer than anything here takes, on the slowest machine.
        let event = handle.event_within(Duration::from_mins(2)).expect("the thread answers");
        assert!(!format!("{event:?}").contains(TOKEN), "a token in an event");
        if let Some(found) = wanted(event) {
            return found;
        }
    }
}

fn end_of(handle: &ModelsHandle) -> TransferEnd {
    until(handle, |event| match event {
        ModelsEvent::TransferEnded { end, .. } => Some(end),
        _ => None,
    })
}

fn listed(handle: &ModelsHandle) -> Vec<ModelEntry> {
    handle.send(ModelsCommand::List).unwrap();
    until(handle, |event| match event {
        ModelsEvent::Listed { entries, problems } => {
            assert_eq!(problems, []);
            Some(entries)
        }
        _ => None,
    })
}

fn key() -> TransferKey {
    TransferKey::Repo(REPO.to_owned())
}

/// A safetensors file of a text encoder's one tensor, with these values.
fn weights(values: &[f32]) -> Vec<u8> {
    let bytes: Vec<u8> = values.iter().flat_map(|value| value.to_le_bytes()).collect();
    let (count, end) = (values.len(), bytes.len());
    let header = format!(r#"{{"<word>":{{"dtype":"F32","shape":[1,{count}],"data_offsets":[0,{end}]}}}}"#);
    [&(header.len() as u64).to_le_bytes()[..], header.as_bytes(), &bytes].concat()
}

#[test]
fn models_are_found_wherever_they_lie_and_broken_ones_are_named() {
    let bench = Bench::new();
    let mut places = bench.places();
    fs::create_dir_all(&places.models_dir).unwrap();
    fs::copy(reference("single_file/sd2.ckpt"), places.models_dir.join("mine.ckpt")).unwrap();
    fs::write(places.models_dir.join(".atelier-import-x.ckpt"), "unfinished").unwrap();
    let named = bench.home.path().join("named");
    fs::create_dir_all(named.join("loras")).unwrap();
    fs::write(named.join("loras/notes.safetensors"), "<html>sign in</html>").unwrap();
    fs::write(named.join("loras/readme.txt"), "no weights").unwrap();
    places.folders = vec![named.clone(), reference("models/sd1"), bench.home.path().join("gone")];

    let listing = list(&places, Some(&bench.hub()));
    let problems: Vec<_> = listing.problems.iter().filter_map(|problem| problem.path.clone()).collect();
    assert_eq!(problems, [bench.home.path().join("gone")]);
    let names: Vec<&str> = listing.entries.iter().map(|entry| entry.name.as_str()).collect();
    assert_eq!(names, ["loras/notes.safetensors", "mine.ckpt", "sd1"]);
    let [broken, own, folder] = listing.entries.as_slice() else { panic!("{listing:?}") };
    assert_eq!((broken.home, own.home, folder.home), (ModelHome::Named, ModelHome::Own, ModelHome::Named));
    let ModelState::Refused(error) = &broken.state else { panic!("{broken:?}") };
    assert!(error.hint.is_some() && error.path.as_deref() == Some(named.join("loras/notes.safetensors").as_path()));
    let summary = own.summary().unwrap();
    assert!(summary.is_model && summary.family.as_deref() == Some("Stable Diffusion 2"), "{summary:?}");
    assert_eq!(own.size_bytes, fs::metadata(reference("single_file/sd2.ckpt")).unwrap().len());
    let summary = folder.summary().unwrap();
    assert!(summary.is_model && summary.family.as_deref() == Some("Stable Diffusion 1"), "{summary:?}");
    assert_eq!(summary.components, ["unet", "vae", "text_encoder"]);

    // What the user named is never touched; what was imported can go.
    let hub = bench.hub();
    assert!(remove(&places, Some(&hub), broken).unwrap_err().sentence.contains("left alone"));
    assert!(broken.path.exists());
    assert_eq!(remove(&places, Some(&hub), own).unwrap(), own.size_bytes);
    assert!(!own.path.exists());
    assert_eq!(find(&listing.entries, "sd1").unwrap(), folder);
    assert!(find(&listing.entries, "nothing").is_err());
}

#[test]
fn a_file_is_imported_when_it_is_sound() {
    let home = tempfile::tempdir().unwrap();
    let [models, words, loras] = ["models", "embeddings", "loras"].map(|name| home.path().join(name));
    let places = Places {
        models_dir: models.clone(),
        embeddings_dir: words.clone(),
        loras_dir: loras.clone(),
        ..Places::default()
    };
    let import = |from: &Path| import(from, &places, &Cancel::default(), &mut |_| ());
    let imported = import(&reference("single_file/sd2.safetensors")).unwrap();
    assert_eq!(imported.path, models.join("sd2.safetensors"));
    let word = home.path().join("word.safetensors");
    fs::write(&word, weights(&[0.5; 8])).unwrap();
    // Each kind goes where it is looked for.
    assert_eq!(import(&word).unwrap().path, words.join("word.safetensors"));
    let lora = import(&reference("lora/alpha/kohya/lora.safetensors")).unwrap();
    assert_eq!(lora.path, loras.join("lora.safetensors"));
    for (name, content, expected) in [
        ("nan.safetensors", weights(&[0.5, f32::NAN, 1.0]), "<word>"),
        ("endless.safetensors", weights(&[f32::INFINITY]), "<word>"),
        ("page.safetensors", b"<html></html>".to_vec(), "web page"),
        ("page.ckpt", b"<html></html>".to_vec(), "web page"),
        ("empty.ckpt", Vec::new(), "empty"),
        ("cut.safetensors", weights(&[1.0; 8])[..90].to_vec(), "cut off"),
        ("runs.ckpt", b"\x80\x02cos\nsystem\nX\x02\x00\x00\x00id\x85R.".to_vec(), ""),
    ] {
        let from = home.path().join(name);
        fs::write(&from, content).unwrap();
        let error = import(&from).unwrap_err();
        assert!(error.sentence.contains(expected), "{name}: {error}");
        assert_eq!((error.exit_code(), error.path.as_deref()), (2, Some(from.as_path())), "{name}: {error}");
        assert!(error.hint.is_some(), "{name}: {error}");
    }
    // A folder is listed where it lies.
    assert!(import(&reference("models/sd1")).unwrap_err().sentence.contains("single files"));
    for (folder, expected) in [(models, "sd2.safetensors"), (words, "word.safetensors"), (loras, "lora.safetensors")] {
        let names: Vec<_> = fs::read_dir(folder).unwrap().flatten().map(|entry| entry.file_name()).collect();
        assert_eq!(names, [expected], "nothing is left of what was refused");
    }
}

#[test]
fn a_download_is_planned_comes_and_can_be_removed() {
    let bench = Bench::new();
    let handle = bench.spawn();
    handle.send(ModelsCommand::Plan(REPO.to_owned())).unwrap();
    let plan = until(&handle, |event| match event {
        ModelsEvent::Planned { repo, page, plan } => {
            assert_eq!((repo.as_str(), page), (REPO, format!("{}/org/name", bench.server.endpoint)));
            Some(plan)
        }
        ModelsEvent::TransferEnded { end, .. } => panic!("{end:?}"),
        _ => None,
    });
    assert_eq!((plan.licence.as_deref(), plan.has_terms), (Some("mit"), false));
    assert!(plan.total_bytes == plan.missing_bytes && plan.files > 5, "{plan:?}");
    assert_eq!(bench.left(), [""; 0], "asking fetches nothing");

    handle.send(ModelsCommand::Download(REPO.to_owned())).unwrap();
    let mut last = None;
    let end = until(&handle, |event| match event {
        ModelsEvent::TransferMoved { progress, .. } => {
            last = Some(progress);
            None
        }
        ModelsEvent::TransferEnded { end, .. } => Some(end),
        _ => None,
    });
    let TransferEnd::Done(folder) = end else { panic!("{end:?}") };
    let last = last.unwrap();
    assert_eq!((last.done_bytes, last.total_bytes), (plan.total_bytes, plan.total_bytes));
    let entries = listed(&handle);
    let [entry] = entries.as_slice() else { panic!("{entries:?}") };
    assert_eq!((entry.repo.as_deref(), entry.home, &entry.path), (Some(REPO), ModelHome::HubCache, &folder));
    assert_eq!(entry.licence.as_deref(), Some("mit"));
    assert_eq!(entry.summary().unwrap().family.as_deref(), Some("Stable Diffusion 1"));

    handle.send(ModelsCommand::Remove(entry.path.clone())).unwrap();
    until(&handle, |event| matches!(event, ModelsEvent::Removed { freed_bytes: 1.., .. }).then_some(()));
    assert_eq!(listed(&handle), []);
    handle.shut_down();
}

#[test]
fn a_pause_keeps_what_arrived_and_another_start_goes_on_from_there() {
    let bench = Bench::new();
    bench.server.fault(UNET, Fault::Stall(5000));
    let handle = bench.spawn();
    handle.send(ModelsCommand::Download(REPO.to_owned())).unwrap();
    // The large file has begun to come.
    until(&handle, |event| match event {
        ModelsEvent::TransferMoved { progress, .. } => (progress.file == UNET && progress.done_bytes > 0).then_some(()),
        ModelsEvent::TransferEnded { end, .. } => panic!("{end:?}"),
        _ => None,
    });
    handle.send(ModelsCommand::Pause(key())).unwrap();
    assert_eq!(end_of(&handle), TransferEnd::Paused);
    let entries = listed(&handle);
    let [ModelEntry { state: ModelState::Unfinished { have_bytes, total_bytes }, .. }] = entries.as_slice() else {
        panic!("{entries:?}")
    };
    assert!(*have_bytes > 0 && have_bytes < total_bytes);
    handle.shut_down();

    let handle = bench.spawn();
    handle.send(ModelsCommand::Download(REPO.to_owned())).unwrap();
    assert!(matches!(end_of(&handle), TransferEnd::Done(_)));
    assert!(listed(&handle)[0].summary().is_some());
    handle.shut_down();
}

#[test]
fn a_cancel_takes_back_what_came_and_only_that() {
    let bench = Bench::new();
    // Another program has fetched one file before.
    let hub = bench.hub();
    let options = crate::hub::PlanOptions { prefer_fp16: true, file: Some("vae/config.json".to_owned()) };
    let plan = hub.plan(&RepoId::parse(REPO).unwrap(), "main", &options, &Cancel::default()).unwrap();
    hub.download(&plan, &Cancel::default(), &mut |_| ()).unwrap();
    let before = bench.left();
    assert_eq!(before.len(), 1);

    bench.server.fault(UNET, Fault::Stall(5000));
    let handle = bench.spawn();
    handle.send(ModelsCommand::Download(REPO.to_owned())).unwrap();
    until(&handle, |event| match event {
        ModelsEvent::TransferMoved { progress, .. } => (progress.file == UNET && progress.done_bytes > 0).then_some(()),
        _ => None,
    });
    handle.send(ModelsCommand::Cancel(key())).unwrap();
    assert_eq!(end_of(&handle), TransferEnd::Cancelled);
    assert_eq!(bench.left(), before);
    // One that waits for its turn, or is only asked about, is cancelled too.
    handle.send(ModelsCommand::Cancel(key())).unwrap();
    assert_eq!(end_of(&handle), TransferEnd::Cancelled);
    assert_eq!(bench.left(), before);
    handle.shut_down();
}

#[test]
fn what_the_hub_refuses_says_what_to_do_and_can_be_tried_again() {
    let bench = Bench::new();
    let handle = bench.spawn();
    let refused = |status: u16, code: &'static str| Fault::Status(status, vec![("X-Error-Code", code.to_owned())]);
    let failure = |fault: Fault| -> UserError {
        bench.server.fault_of_info(fault);
        handle.send(ModelsCommand::Plan(REPO.to_owned())).unwrap();
        match end_of(&handle) {
            TransferEnd::Failed(error) => error,
            end => panic!("{end:?}"),
        }
    };
    let gated = failure(refused(403, "GatedRepo"));
    assert!(gated.hint.as_deref().is_some_and(|hint| hint.contains("accept the terms")), "{gated}");
    let absent = failure(refused(404, "RepoNotFound"));
    assert!(absent.sentence.contains("no repository"), "{absent}");
    handle.send(ModelsCommand::Download("no name at all".to_owned())).unwrap();
    assert!(matches!(end_of(&handle), TransferEnd::Failed(error) if error.hint.is_some()));
    handle.send(ModelsCommand::Download(REPO.to_owned())).unwrap();
    assert!(matches!(end_of(&handle), TransferEnd::Done(_)));
    handle.shut_down();
}

#[test]
fn a_token_opens_the_hub_and_is_never_shown() {
    let bench = Bench::new();
    bench.server.want_token(TOKEN);
    let handle = bench.spawn();
    let source = |handle: &ModelsHandle| {
        until(handle, |event| match event {
            ModelsEvent::Token { source, problem, .. } => Some((source, problem)),
            _ => None,
        })
    };
    assert_eq!(source(&handle), (TokenSource::None, None));
    handle.send(ModelsCommand::Download(REPO.to_owned())).unwrap();
    assert!(matches!(end_of(&handle), TransferEnd::Failed(_)));
    handle.send(ModelsCommand::UseToken(Some(Secret::new("a b")))).unwrap();
    let (_, problem) = source(&handle);
    assert!(problem.is_some_and(|problem| !problem.to_string().contains("a b")));
    handle.send(ModelsCommand::UseToken(Some(Secret::new(TOKEN)))).unwrap();
    assert_eq!(source(&handle), (TokenSource::Settings, None));
    handle.send(ModelsCommand::Download(REPO.to_owned())).unwrap();
    assert!(matches!(end_of(&handle), TransferEnd::Done(_)));
    // The store is another host and never sees it.
    assert!(bench.server.seen().iter().all(|seen| !seen.at_store || !seen.headers.contains_key("authorization")));
    handle.shut_down();
}

#[test]
fn looking_at_a_file_says_what_it_is_or_why_not() {
    let bench = Bench::new();
    let handle = bench.spawn();
    let look = |path: PathBuf| {
        handle.send(ModelsCommand::Inspect(path.clone())).unwrap();
        until(&handle, |event| match event {
            ModelsEvent::Inspected { path: of, found } if of == path => Some(found),
            _ => None,
        })
    };
    assert!(look(reference("single_file/sd2.ckpt")).unwrap().is_model);
    assert!(look(reference("models/sd1")).unwrap().is_model);
    // Its weights are elsewhere: the folder holds descriptions only.
    assert!(look(reference("models/inpaint")).is_err());
    assert_eq!(look(bench.home.path().join("nothing")).unwrap_err().exit_code(), 2);
    assert!(look(bench.home.path().to_path_buf()).unwrap_err().hint.is_some());
    handle.shut_down();
}

#[test]
fn adapters_are_fitted_to_the_model_that_was_asked_for_last() {
    let bench = Bench::new();
    let places = bench.places();
    for (dir, from, name) in [
        (&places.loras_dir, "lora/alpha/kohya/lora.safetensors", "Ink.safetensors"),
        (&places.embeddings_dir, "lora/textual_inversion/emb_params.safetensors", "word.safetensors"),
    ] {
        fs::create_dir_all(dir).unwrap();
        fs::copy(reference(from), dir.join(name)).unwrap();
    }
    fs::write(places.loras_dir.join("broken.safetensors"), "no").unwrap();
    let handle = bench.spawn();
    let model = ModelRef::Path(reference("models/sd1"));
    for wanted in [ModelRef::Path("/nowhere".into()), ModelRef::Starter, model.clone()] {
        handle.send(ModelsCommand::Fit(wanted)).unwrap();
    }
    let cards = until(&handle, |event| match event {
        ModelsEvent::Fitted { model: of, cards } if of == model => Some(cards),
        // Those before may have been answered, or passed over.
        _ => None,
    })
    .unwrap();
    let names: Vec<&str> = cards.loras.iter().map(|card| card.name.as_str()).collect();
    assert_eq!(names, ["broken", "Ink"]);
    assert_eq!(cards.loras[0].fit.as_ref().unwrap_err().path, Some(places.loras_dir.join("broken.safetensors")));
    let fit = cards.loras[1].fit.as_ref().unwrap();
    assert!(fit.keys > 0 && fit.keys == fit.keys_matched && fit.refusal.is_none(), "{fit:?}");
    let word = cards.embeddings[0].fit.as_ref().unwrap();
    assert!(cards.embeddings[0].name == "word" && word.vectors > 0 && word.refusal.is_none(), "{word:?}");

    handle.send(ModelsCommand::Fit(ModelRef::Path("/nowhere".into()))).unwrap();
    let error = until(&handle, |event| match event {
        ModelsEvent::Fitted { cards, .. } => cards.err(),
        _ => None,
    });
    assert_eq!(error.exit_code(), 2);
    handle.shut_down();
}
