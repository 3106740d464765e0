//! Models: every state of the place, by its labels.

use std::path::{Path, PathBuf};

use atelier::domain::{
    DownloadPlan, ModelEntry, ModelHome, ModelRef, ModelState, ModelSummary, ModelsCommand, ModelsEvent, Secret,
    TokenSource, TransferEnd, TransferKey, TransferProgress, TransferStage, UserError,
};
use atelier::library::LibraryCommand;
use atelier::studio::{DialogAnswer, Place};
use egui::{Key, Modifiers, Role};
use egui_kittest::kittest::{NodeT, Queryable};

use super::bench::Bench;

pub const REPO: &str = "stabilityai/sd-turbo";

/// The Models place of a first start.
pub fn open() -> Bench {
    let mut bench = Bench::with(atelier::domain::Settings::default(), [1280.0, 1400.0]);
    let start = [ModelsCommand::List, ModelsCommand::Fit(ModelRef::Starter)];
    assert_eq!(bench.asked_of_models(), start, "the models are listed at the start, and adapters fitted");
    bench.harness.get_by_role_and_label(Role::Tab, "Models").click();
    bench.harness.run_steps(4);
    assert_eq!(bench.state().place, Place::Models);
    bench
}

/// Clicks a button; a spinner may turn, so the window is not waited for to rest.
pub fn click(bench: &mut Bench, label: &str) {
    bench.harness.get_by_role_and_label(Role::Button, label).click();
    bench.harness.run_steps(4);
}

fn key() -> TransferKey {
    TransferKey::Repo(REPO.to_owned())
}

pub fn summary() -> ModelSummary {
    ModelSummary {
        description: "This is a Stable Diffusion model in a folder; it can be used as a model.".to_owned(),
        is_model: true,
        family: Some("Stable Diffusion 2".to_owned()),
        dtype: "f16".to_owned(),
        parameters: 1_290_000_000,
        components: vec!["unet".to_owned(), "vae".to_owned(), "text_encoder".to_owned()],
        licence: None,
    }
}

pub fn entry(name: &str, home: ModelHome, state: ModelState) -> ModelEntry {
    ModelEntry {
        name: name.to_owned(),
        path: Path::new("/home/kim/models").join(name),
        repo: (home == ModelHome::HubCache).then(|| name.to_owned()),
        home,
        size_bytes: 2_580_000_000,
        licence: Some("sai-nc-community".to_owned()),
        state,
    }
}

pub fn list(bench: &mut Bench, entries: Vec<ModelEntry>) {
    bench.models(ModelsEvent::Listed { entries, problems: Vec::new() });
}

pub fn plan() -> DownloadPlan {
    DownloadPlan {
        licence: Some("sai-nc-community".to_owned()),
        has_terms: false,
        files: 14,
        total_bytes: 2_580_000_000,
        missing_bytes: 2_580_000_000,
        free_bytes: Some(120_000_000_000),
    }
}

pub fn planned(plan: DownloadPlan) -> ModelsEvent {
    ModelsEvent::Planned { repo: REPO.to_owned(), page: format!("https://huggingface.co/{REPO}"), plan }
}

/// Half of it is here.
pub fn progress() -> TransferProgress {
    TransferProgress {
        stage: TransferStage::Moving,
        file: "unet/diffusion_pytorch_model.fp16.safetensors".to_owned(),
        file_number: 9,
        files: 14,
        done_bytes: 1_290_000_000,
        total_bytes: 2_580_000_000,
        bytes_per_sec: Some(23_400_000.0),
        secs_left: Some(55.0),
    }
}

pub fn moved() -> ModelsEvent {
    ModelsEvent::TransferMoved { key: key(), progress: progress() }
}

pub fn ended(end: TransferEnd) -> ModelsEvent {
    ModelsEvent::TransferEnded { key: key(), end }
}

#[test]
fn an_empty_place_says_what_to_do_next() {
    let mut bench = open();
    assert!(bench.has("Looking for models"));
    list(&mut bench, Vec::new());
    assert!(bench.has("No models yet"));
    for name in ["SD-Turbo", "Stable Diffusion 1.5"] {
        assert!(bench.has(name) && bench.has(&format!("Download… {name}")), "{name}");
    }
    assert!(bench.has("SD 2.1 · 512 px · about 2.6 GB · Stability AI's own; commercial use has conditions"));
    click(&mut bench, "Look again");
    assert_eq!(bench.asked_of_models(), [ModelsCommand::List]);
}

#[test]
fn a_model_is_used_with_one_click_and_removed_with_two() {
    let mut bench = open();
    let ready = entry(REPO, ModelHome::HubCache, ModelState::Ready(summary()));
    let mine = entry("mine.safetensors", ModelHome::Named, ModelState::Ready(summary()));
    list(&mut bench, vec![mine, ready.clone()]);
    assert!(bench.has("Here already"));
    assert!(bench.harness.query_by_label("Remove… mine.safetensors").is_none(), "what the user named is left alone");
    click(&mut bench, &format!("Remove… {REPO}"));
    click(&mut bench, &format!("Keep it {REPO}"));
    assert_eq!(bench.asked_of_models(), []);
    click(&mut bench, &format!("Remove… {REPO}"));
    click(&mut bench, &format!("Remove {REPO}"));
    assert_eq!(bench.asked_of_models(), [ModelsCommand::Remove(ready.path.clone())]);
    let error = UserError::failed("Could not remove it").hint("close the programs that use this model");
    bench.models(ModelsEvent::RemoveFailed { path: ready.path.clone(), error });
    assert!(bench.has("Could not remove it"));

    click(&mut bench, &format!("Use this model {REPO}"));
    assert_eq!(bench.state().place, Place::Create);
    assert_eq!(bench.draft().model, ModelRef::Path(ready.path));
}

#[test]
fn a_download_shows_its_size_and_licence_before_it_begins() {
    let mut bench = open();
    list(&mut bench, Vec::new());
    click(&mut bench, "Download… SD-Turbo");
    assert_eq!(bench.asked_of_models(), [ModelsCommand::Plan(REPO.to_owned())]);
    assert!(bench.has("Asking the hub…") && bench.has("On the way") && bench.has("Coming"));
    bench.models(planned(plan()));
    assert!(bench.has("14 files, 2.6 GB to fetch; 120.0 GB are free"));
    assert!(bench.has("Licence: sai-nc-community"));
    click(&mut bench, &format!("Download {REPO}"));
    assert_eq!(bench.asked_of_models(), [ModelsCommand::Download(REPO.to_owned())]);
    assert!(bench.has("Waits for its turn"));

    bench.models(moved());
    assert!(bench.has("1.3 GB of 2.6 GB · 23.4 MB/s · 55 s left"));
    assert!(bench.has("unet/diffusion_pytorch_model.fp16.safetensors (9 of 14)"));
    let name = format!("Transfer of {REPO}");
    let bar = bench.harness.get_by_role_and_label(Role::ProgressIndicator, &name);
    assert_eq!(bar.accesskit_node().numeric_value(), Some(50.0));
    click(&mut bench, &format!("Pause {REPO}"));
    bench.models(ended(TransferEnd::Paused));
    assert!(bench.has("Paused at 1.3 GB of 2.6 GB"));
    click(&mut bench, &format!("Go on {REPO}"));
    bench.models(moved());
    click(&mut bench, &format!("Cancel {REPO}"));
    assert_eq!(
        bench.asked_of_models(),
        [ModelsCommand::Pause(key()), ModelsCommand::Download(REPO.to_owned()), ModelsCommand::Cancel(key())]
    );
    bench.models(ended(TransferEnd::Cancelled));
    assert!(!bench.has(REPO) && bench.has("Download… SD-Turbo"));
}

#[test]
fn a_disk_without_room_and_terms_are_told_before_the_download() {
    let mut bench = open();
    click(&mut bench, "Download… SD-Turbo");
    bench.models(planned(DownloadPlan { has_terms: true, free_bytes: Some(1_000_000_000), ..plan() }));
    assert!(bench.has("There is not enough room for it on the disk"));
    assert!(bench.harness.query_by_role_and_label(Role::Button, &format!("Download {REPO}")).is_none());
    assert!(bench.has("Its maker has terms: accept them on its page, and enter an access token below"));
    click(&mut bench, &format!("Copy its address {REPO}"));
    assert!(bench.has("The address is on the clipboard"));
    assert!(bench.has(&format!("Open its page {REPO}")));
}

#[test]
fn what_failed_says_why_and_can_be_tried_again() {
    let mut bench = open();
    click(&mut bench, "Download… SD-Turbo");
    let error = UserError::input("stabilityai/sd-turbo is given only to those who accepted its terms")
        .hint("accept the terms at https://huggingface.co/stabilityai/sd-turbo, then try again");
    bench.models(ended(TransferEnd::Failed(error.clone())));
    assert!(bench.has(&error.sentence) && bench.has(error.hint.as_deref().expect("it has one")));
    let _ = bench.asked_of_models();
    click(&mut bench, &format!("Try again {REPO}"));
    assert_eq!(bench.asked_of_models(), [ModelsCommand::Plan(REPO.to_owned())]);
    bench.models(ended(TransferEnd::Failed(error)));
    click(&mut bench, &format!("Close {REPO}"));
    assert!(!bench.has(REPO));
}

#[test]
fn a_file_is_looked_at_and_refused_or_imported() {
    let mut bench = open();
    for (path, found) in [
        ("/home/kim/a.ckpt", Err(UserError::input("The file wants to run os.system").hint("do not open it elsewhere"))),
        ("/home/kim/b.safetensors", Ok(summary())),
    ] {
        let path = PathBuf::from(path);
        bench.script.borrow_mut().answers.push(DialogAnswer::Chosen(path.clone()));
        click(&mut bench, "Open a file…");
        bench.harness.run_steps(4);
        assert_eq!(bench.asked_of_models(), [ModelsCommand::Inspect(path.clone())]);
        assert!(bench.has("Looking at it…"));
        bench.models(ModelsEvent::Inspected { path, found });
    }
    assert!(bench.has("The file wants to run os.system") && bench.has("do not open it elsewhere"));
    assert!(bench.harness.query_by_label("Import a.ckpt").is_none());
    click(&mut bench, "Close a.ckpt");
    assert!(!bench.has("The file wants to run os.system"));
    click(&mut bench, "Import b.safetensors");
    assert_eq!(bench.asked_of_models(), [ModelsCommand::Import("/home/kim/b.safetensors".into())]);
    assert!(bench.has("Waits for its turn"));
}

#[test]
fn a_refused_model_and_an_unfinished_one_are_listed_with_what_to_do() {
    let mut bench = open();
    let error = UserError::input("This is Flux, which Atelier cannot use").hint("models of SD 1, 2 and XL can be used");
    let unfinished = ModelState::Unfinished { have_bytes: 1_000_000_000, total_bytes: 2_580_000_000 };
    list(
        &mut bench,
        vec![
            entry("flux.safetensors", ModelHome::Own, ModelState::Refused(error)),
            entry(REPO, ModelHome::HubCache, unfinished),
        ],
    );
    assert!(bench.has("This is Flux, which Atelier cannot use"));
    assert!(bench.harness.query_by_label("Use this model flux.safetensors").is_none());
    assert!(bench.has("Its download was begun: 1.0 GB of 2.6 GB are here"));
    click(&mut bench, &format!("Go on {REPO}"));
    assert_eq!(bench.asked_of_models(), [ModelsCommand::Download(REPO.to_owned())]);
    assert!(!bench.has("Its download was begun: 1.0 GB of 2.6 GB are here"), "it is shown once, on its way");
}

#[test]
fn a_repository_is_typed_and_a_token_kept_without_being_shown() {
    let mut bench = open();
    bench.harness.get_by_role_and_label(Role::TextInput, "Repository").focus();
    bench.harness.run_steps(4);
    bench.harness.event(egui::Event::Text("https://huggingface.co/org/name".to_owned()));
    bench.harness.run_steps(4);
    bench.harness.key_press_modifiers(Modifiers::NONE, Key::Enter);
    bench.harness.run_steps(4);
    assert_eq!(bench.asked_of_models(), [ModelsCommand::Plan("org/name".to_owned())]);

    let page = "https://huggingface.co/settings/tokens".to_owned();
    bench.models(ModelsEvent::Token { source: TokenSource::None, page: page.clone(), problem: None });
    bench.harness.get_by_role_and_label(Role::PasswordInput, "Access token").focus();
    bench.harness.run_steps(4);
    bench.harness.event(egui::Event::Text("hf_abc".to_owned()));
    bench.harness.run_steps(4);
    let shown = bench.harness.get_by_role_and_label(Role::PasswordInput, "Access token").value();
    assert!(!shown.is_some_and(|value| value.contains("hf_abc")));
    let _ = bench.library_commands.try_iter().count();
    click(&mut bench, "Use this token");
    assert_eq!(bench.asked_of_models(), [ModelsCommand::UseToken(Some(Secret::new("hf_abc")))]);
    let is_saved = |command: LibraryCommand| matches!(command, LibraryCommand::SaveSettings(settings) if settings.hub_token == Some(Secret::new("hf_abc")));
    assert!(bench.library_commands.try_iter().any(is_saved));
    bench.models(ModelsEvent::Token { source: TokenSource::Settings, page, problem: None });
    click(&mut bench, "Forget the token");
    assert_eq!(bench.asked_of_models(), [ModelsCommand::UseToken(None)]);
}

#[test]
fn folders_are_added_and_forgotten() {
    let mut bench = open();
    bench.script.borrow_mut().answers.push(DialogAnswer::Chosen("/disk/models".into()));
    click(&mut bench, "Add a folder…");
    bench.harness.run_steps(4);
    assert_eq!(bench.asked_of_models(), [ModelsCommand::UseFolders(vec!["/disk/models".into()])]);
    let error = UserError::input("A folder with models is not there").hint("connect its disk").path("/disk/models");
    bench.models(ModelsEvent::Listed { entries: Vec::new(), problems: vec![error] });
    assert!(bench.has("A folder with models is not there"));
    click(&mut bench, "Forget /disk/models");
    assert_eq!(bench.asked_of_models(), [ModelsCommand::UseFolders(Vec::new())]);
}
