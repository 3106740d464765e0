//! The Models place without a window: what the acts ask for, and what the answers change.

use super::*;
use crate::domain::{Command, ModelHome, ModelRef, ModelsCommand, Settings};
use crate::studio::tests::state_with;
use crate::studio::{Action, DialogAnswer, Effect, Place, ShelfAction, State};

fn act(state: &mut State, action: ShelfAction) -> Vec<ModelsCommand> {
    commands(state.apply(Action::Shelf(action)))
}

fn commands(effects: Vec<Effect>) -> Vec<ModelsCommand> {
    let commands = effects.into_iter().filter_map(|effect| match effect {
        Effect::Models(command) => Some(command),
        _ => None,
    });
    commands.collect()
}

fn key() -> TransferKey {
    TransferKey::Repo("org/name".to_owned())
}

fn plan() -> DownloadPlan {
    DownloadPlan {
        licence: Some("mit".to_owned()),
        has_terms: false,
        files: 3,
        total_bytes: 100,
        missing_bytes: 100,
        free_bytes: None,
    }
}

fn progress(done_bytes: u64) -> TransferProgress {
    TransferProgress {
        stage: crate::domain::TransferStage::Moving,
        file: "a".to_owned(),
        file_number: 1,
        files: 3,
        done_bytes,
        total_bytes: 100,
        bytes_per_sec: None,
        secs_left: None,
    }
}

fn entry(state: ModelState) -> ModelEntry {
    ModelEntry {
        name: "org/name".to_owned(),
        path: "/cache/org/name".into(),
        repo: Some("org/name".to_owned()),
        home: ModelHome::HubCache,
        size_bytes: 100,
        licence: None,
        state,
    }
}

#[test]
fn what_is_pasted_names_a_repository() {
    for (text, repo) in [
        (" stabilityai/sd-turbo ", "stabilityai/sd-turbo"),
        ("https://huggingface.co/stabilityai/sd-turbo", "stabilityai/sd-turbo"),
        ("https://huggingface.co/stabilityai/sd-turbo/tree/main?x=1#y", "stabilityai/sd-turbo"),
        ("gpt2", "gpt2"),
        ("https://huggingface.co", ""),
        ("", ""),
    ] {
        assert_eq!(repo_of(text), repo, "{text}");
    }
}

#[test]
fn a_download_is_looked_at_begun_paused_and_gone_on_with() {
    let mut state = state_with(Settings::default());
    act(&mut state, ShelfAction::EditRepo(" https://huggingface.co/org/name ".to_owned()));
    assert_eq!(act(&mut state, ShelfAction::PlanTyped), [ModelsCommand::Plan("org/name".to_owned())]);
    assert_eq!(state.shelf.repo_field, "");
    assert_eq!(act(&mut state, ShelfAction::Plan("org/name".to_owned())), [], "it is being asked already");
    let event =
        ModelsEvent::Planned { repo: "org/name".to_owned(), page: "https://h/org/name".to_owned(), plan: plan() };
    state.on_models_event(event.clone());
    assert_eq!(state.shelf.transfer(&key()).unwrap().state, TransferState::Planned);

    assert_eq!(
        act(&mut state, ShelfAction::Download("org/name".to_owned())),
        [ModelsCommand::Download("org/name".to_owned())]
    );
    // The thread tells the plan again; the download is not asked about a second time.
    state.on_models_event(event);
    assert_eq!(state.shelf.transfer(&key()).unwrap().state, TransferState::Waiting);
    state.on_models_event(ModelsEvent::TransferMoved { key: key(), progress: progress(40) });
    assert_eq!(act(&mut state, ShelfAction::Pause(key())), [ModelsCommand::Pause(key())]);
    state.on_models_event(ModelsEvent::TransferEnded { key: key(), end: TransferEnd::Paused });
    assert_eq!(state.shelf.transfer(&key()).unwrap().state, TransferState::Paused(Some(progress(40))));
    // It is shown once: not as an unfinished model too.
    let unfinished = entry(ModelState::Unfinished { have_bytes: 40, total_bytes: 100 });
    state.on_models_event(ModelsEvent::Listed { entries: vec![unfinished], problems: Vec::new() });
    assert_eq!(state.shelf.shown().count(), 0);
    assert_eq!(act(&mut state, ShelfAction::Resume("org/name".to_owned())).len(), 1);
    state.on_models_event(ModelsEvent::TransferEnded { key: key(), end: TransferEnd::Done("/x".into()) });
    assert_eq!(state.shelf.transfers, []);
    assert_eq!(state.notices.list()[0].sentence, "org/name is here");
}

#[test]
fn a_failure_stays_until_it_is_closed_and_can_be_tried_again() {
    let mut state = state_with(Settings::default());
    act(&mut state, ShelfAction::Plan("org/name".to_owned()));
    let error = UserError::input("no").hint("accept the terms");
    let failed = ModelsEvent::TransferEnded { key: key(), end: TransferEnd::Failed(error.clone()) };
    state.on_models_event(failed.clone());
    assert_eq!(state.shelf.transfer(&key()).unwrap().state, TransferState::Failed(error));
    // Nothing was planned yet: the hub is asked once more.
    assert_eq!(act(&mut state, ShelfAction::Retry(key())), [ModelsCommand::Plan("org/name".to_owned())]);
    state.on_models_event(ModelsEvent::Planned { repo: "org/name".to_owned(), page: String::new(), plan: plan() });
    act(&mut state, ShelfAction::Download("org/name".to_owned()));
    state.on_models_event(failed);
    assert_eq!(act(&mut state, ShelfAction::Retry(key())), [ModelsCommand::Download("org/name".to_owned())]);
    act(&mut state, ShelfAction::Close(key()));
    assert_eq!(state.shelf.transfers, []);

    // An engine that is gone is told in the same place.
    let gone = UserError::failed("gone");
    state.on_models_refused(ModelsCommand::Plan("org/name".to_owned()), gone.clone());
    assert_eq!(state.shelf.transfer(&key()).unwrap().state, TransferState::Failed(gone.clone()));
    state.on_models_refused(ModelsCommand::List, gone);
    assert_eq!(state.notices.list().len(), 1);
}

#[test]
fn a_file_is_looked_at_and_then_imported() {
    let mut state = state_with(Settings::default());
    state.apply(Action::Shelf(ShelfAction::ChooseFile));
    let path = PathBuf::from("/downloads/a.ckpt");
    let effects = state.apply(Action::Answered(DialogAnswer::Chosen(path.clone())));
    assert_eq!(commands(effects), [ModelsCommand::Inspect(path.clone())]);
    assert_eq!(state.shelf.looks[0].found, None);
    let refused = UserError::input("it wants to run a program");
    state.on_models_event(ModelsEvent::Inspected { path: path.clone(), found: Err(refused.clone()) });
    assert_eq!(state.shelf.looks[0].found, Some(Err(refused)));
    assert_eq!(act(&mut state, ShelfAction::Import(path.clone())), [ModelsCommand::Import(path.clone())]);
    assert_eq!((state.shelf.looks.len(), state.shelf.transfers.len()), (0, 1));
    state.on_models_event(ModelsEvent::TransferEnded {
        key: TransferKey::File(path.clone()),
        end: TransferEnd::Cancelled,
    });
    assert_eq!(state.shelf.transfers, []);
    // An answer that comes after the card was closed changes nothing.
    state.on_models_event(ModelsEvent::Inspected { path, found: Err(UserError::input("late")) });
    assert!(state.shelf.looks.is_empty());
}

#[test]
fn a_model_is_used_and_one_is_removed() {
    let mut state = state_with(Settings::default());
    state.place = Place::Models;
    let path = PathBuf::from("/models/a.safetensors");
    let effects = state.apply(Action::Shelf(ShelfAction::Use(path.clone())));
    assert_eq!(state.place, Place::Create);
    assert_eq!(state.draft.request.model, ModelRef::Path(path.clone()));
    let loads = |effect: &Effect| matches!(effect, Effect::Engine(Command::Preload(ModelRef::Path(to))) if *to == path);
    assert!(effects.iter().any(loads), "{effects:?}");

    act(&mut state, ShelfAction::AskRemove(path.clone()));
    act(&mut state, ShelfAction::KeepModel);
    assert_eq!(state.shelf.removing, None);
    act(&mut state, ShelfAction::AskRemove(path.clone()));
    assert_eq!(act(&mut state, ShelfAction::Remove(path.clone())), [ModelsCommand::Remove(path.clone())]);
    state.on_models_event(ModelsEvent::Removed { path, freed_bytes: 2_000_000 });
    assert_eq!(state.shelf.removing, None);
    assert!(state.notices.list()[0].sentence.contains("2.0 MB"));
}

#[test]
fn folders_and_the_token_are_remembered() {
    let mut state = state_with(Settings::default());
    state.apply(Action::Shelf(ShelfAction::ChooseFolder));
    for _ in 0..2 {
        state.dialog = Some(crate::studio::DialogRequest::ModelsFolder);
        let effects = state.apply(Action::Answered(DialogAnswer::Chosen("/mine".into())));
        assert_eq!(commands(effects), [ModelsCommand::UseFolders(vec!["/mine".into()])]);
    }
    assert_eq!(act(&mut state, ShelfAction::SaveToken), [], "nothing was typed");
    act(&mut state, ShelfAction::EditToken(Secret::new("hf_abc")));
    assert_eq!(act(&mut state, ShelfAction::SaveToken), [ModelsCommand::UseToken(Some(Secret::new("hf_abc")))]);
    assert!(state.shelf.token_field.is_empty(), "the field is emptied");
    let settings = state.settings();
    assert_eq!((settings.model_folders, settings.hub_token), (vec!["/mine".into()], Some(Secret::new("hf_abc"))));
    assert!(!format!("{state:?}").contains("hf_abc"));
    assert_eq!(act(&mut state, ShelfAction::ForgetFolder("/mine".into())), [ModelsCommand::UseFolders(Vec::new())]);
    assert_eq!(act(&mut state, ShelfAction::ForgetToken), [ModelsCommand::UseToken(None)]);
    assert_eq!(state.settings().hub_token, None);
}
