//! The data set in hand, without a window and without a thread.

use std::path::{Path, PathBuf};

use crate::domain::dataset::{
    CaptionLook, DatasetCommand, DatasetEvent, DatasetRow, DatasetSource, Inspection, LookedRow, OpenedDataset,
    Preparation, Problem, ProblemKind,
};
use crate::domain::{Settings, UserError};
use crate::library::Paths;
use crate::studio::{
    Action, Catalog, DatasetAction, DatasetInHand, DatasetMode, DatasetPage, Effect, Place, RowFilter, State,
    TrainAction, TrainTab,
};

fn state() -> State {
    let catalog = Catalog {
        families: Vec::new(),
        samplers: Vec::new(),
        schedules: Vec::new(),
        models: &[],
        local_date: |_| String::new(),
    };
    let mut state = State::new(Settings::default(), catalog, Paths::below(Path::new("/home/kim/atelier")), 7);
    state.place = Place::Train;
    state
}

fn act(state: &mut State, action: DatasetAction) -> Vec<DatasetCommand> {
    commands(state.apply(Action::Train(TrainAction::Dataset(action))))
}

fn commands(effects: Vec<Effect>) -> Vec<DatasetCommand> {
    let command = |effect| match effect {
        Effect::Dataset(command) => Some(command),
        _ => None,
    };
    effects.into_iter().filter_map(command).collect()
}

fn row(number: usize, caption: &str) -> DatasetRow {
    DatasetRow {
        name: format!("images/{number}.jpg"),
        picture: Some(PathBuf::from(format!("/data/set/images/{number}.jpg"))),
        caption: caption.to_owned(),
        line: Some(number as u64),
        is_excluded: false,
    }
}

fn opened(captions: &[&str], is_prepared: bool) -> OpenedDataset {
    OpenedDataset {
        kind: "imagefolder".to_owned(),
        root: "/data/set".into(),
        columns: vec!["text".to_owned()],
        default_template: None,
        rows: captions.iter().enumerate().map(|(place, caption)| row(place + 1, caption)).collect(),
        rows_read: captions.len(),
        problems: Vec::new(),
        can_be_edited: is_prepared,
        is_prepared,
    }
}

/// Opens a data set, as the thread would.
fn open(state: &mut State, set: OpenedDataset) -> Vec<DatasetCommand> {
    let sent = act(state, DatasetAction::Open(set.root.clone()));
    let ticket = match sent.last() {
        Some(DatasetCommand::Open { ticket, .. }) => *ticket,
        other => panic!("{other:?}"),
    };
    commands(state.on_dataset_event(DatasetEvent::Opened { ticket, opened: Ok(Box::new(set)) }))
}

fn hand(state: &State) -> &DatasetInHand {
    state.train.dataset.hand.as_ref().expect("a data set is shown")
}

fn captions(state: &State) -> Vec<&str> {
    hand(state).rows.iter().map(|row| row.row.caption.as_str()).collect()
}

/// The rows of the one save that was sent: place, caption, whether it is excluded.
fn saved(sent: &[DatasetCommand]) -> Vec<(usize, &str, bool)> {
    match sent {
        [DatasetCommand::Save { changes, .. }] => {
            changes.iter().map(|(place, change)| (*place, change.caption.as_str(), change.is_excluded)).collect()
        }
        other => panic!("{other:?}"),
    }
}

fn confirm(state: &mut State, count: usize, result: crate::domain::Result<()>) {
    let ticket = hand(state).ticket;
    state.on_dataset_event(DatasetEvent::Saved { ticket, count, result });
}

#[test]
fn a_source_is_prepared_first_and_one_that_is_prepared_has_its_captions_changed() {
    let mut state = state();
    let sent = open(&mut state, opened(&["a"], false));
    assert!(matches!(sent.as_slice(), [DatasetCommand::Look { .. }]));
    assert_eq!(hand(&state).mode, DatasetMode::Prepare);
    assert!(open(&mut state, opened(&["a"], true)).is_empty());
    assert_eq!(hand(&state).mode, DatasetMode::Captions);
    // An answer to what was asked before is passed over.
    let old = DatasetEvent::Opened { ticket: 1, opened: Err(UserError::failed("old")) };
    state.on_dataset_event(old);
    assert!(state.train.dataset.error.is_none() && state.train.dataset.hand.is_some());
}

#[test]
fn captions_are_written_saved_and_taken_back() {
    let mut state = state();
    open(&mut state, opened(&["one", "two", "three"], true));
    assert!(act(&mut state, DatasetAction::Write(0, "o".to_owned())).is_empty());
    assert!(act(&mut state, DatasetAction::Write(0, "only\n one ".to_owned())).is_empty());
    assert_eq!(hand(&state).shown_caption(0), "only\n one ");
    // Another row's field takes this one's text over.
    let sent = act(&mut state, DatasetAction::Write(2, "3".to_owned()));
    assert_eq!(saved(&sent), [(0, "only one", false)]);
    // Both are on their way: the second save holds what the first may not have written.
    assert_eq!(saved(&act(&mut state, DatasetAction::Commit)), [(0, "only one", false), (2, "3", false)]);
    assert!(act(&mut state, DatasetAction::Commit).is_empty());
    assert!(!hand(&state).is_saved());
    confirm(&mut state, 2, Ok(()));
    assert!(hand(&state).is_saved());
    assert_eq!(captions(&state), ["only one", "two", "3"]);
    // Excluding is undone like any other change, and nothing is sent for what changes nothing.
    assert_eq!(saved(&act(&mut state, DatasetAction::Toggle(1))), [(1, "two", true)]);
    assert_eq!(hand(&state).finder.count(RowFilter::Excluded), 1);
    confirm(&mut state, 1, Ok(()));
    assert_eq!(saved(&act(&mut state, DatasetAction::Undo)), [(1, "two", false)]);
    confirm(&mut state, 1, Ok(()));
    act(&mut state, DatasetAction::Undo);
    act(&mut state, DatasetAction::Undo);
    assert_eq!(captions(&state), ["one", "two", "three"]);
    assert!(act(&mut state, DatasetAction::Undo).is_empty());
    act(&mut state, DatasetAction::Redo);
    act(&mut state, DatasetAction::Redo);
    assert_eq!(captions(&state), ["only one", "two", "3"]);
    // A new change ends what could be made again.
    act(&mut state, DatasetAction::Toggle(0));
    assert!(!hand(&state).changes.can_redo());
}

#[test]
fn what_could_not_be_saved_is_sent_again() {
    let mut state = state();
    open(&mut state, opened(&["one", "two"], true));
    act(&mut state, DatasetAction::Toggle(0));
    confirm(&mut state, 1, Err(UserError::failed("The disk is full")));
    assert!(!hand(&state).is_saved() && hand(&state).row(0).unwrap().row.is_excluded);
    let sent = act(&mut state, DatasetAction::Toggle(1));
    assert_eq!(saved(&sent), [(0, "one", true), (1, "two", true)]);
    state.on_dataset_refused(&sent[0], UserError::failed("It does not keep up"));
    let sent = act(&mut state, DatasetAction::Toggle(1));
    assert_eq!(saved(&sent), [(0, "one", true), (1, "two", false)]);
    confirm(&mut state, 1, Ok(()));
    assert!(hand(&state).is_saved());
}

#[test]
fn what_is_typed_is_kept_when_the_window_closes() {
    let mut state = state();
    open(&mut state, opened(&["one"], true));
    act(&mut state, DatasetAction::Write(0, "new".to_owned()));
    assert_eq!(saved(&commands(state.close())), [(0, "new", false)]);
}

#[test]
fn find_and_replace_tell_how_many_before_they_do() {
    let mut state = state();
    open(&mut state, opened(&["a Red dress", "a red top", "a blue top", ""], true));
    act(&mut state, DatasetAction::EditFind("red ".to_owned()));
    assert_eq!((hand(&state).finder.visible(), hand(&state).finder.found()), (&[0, 1][..], 2));
    act(&mut state, DatasetAction::ToggleCase);
    assert_eq!(hand(&state).finder.visible(), [1]);
    act(&mut state, DatasetAction::ToggleCase);
    act(&mut state, DatasetAction::EditReplacement("green  ".to_owned()));
    let sent = act(&mut state, DatasetAction::Replace);
    assert_eq!(saved(&sent), [(0, "a green dress", false), (1, "a green top", false)]);
    assert!(act(&mut state, DatasetAction::Replace).is_empty(), "there is none any more");
    act(&mut state, DatasetAction::Undo);
    assert_eq!(captions(&state)[..2], ["a Red dress", "a red top"]);
    // The filters.
    act(&mut state, DatasetAction::EditFind(String::new()));
    let ticket = hand(&state).ticket;
    state.on_dataset_event(DatasetEvent::Counted { ticket, counts: vec![(0, 78), (1, 77), (9, 99)] });
    act(&mut state, DatasetAction::Show(RowFilter::TooLong));
    assert_eq!(hand(&state).finder.visible(), [0]);
    act(&mut state, DatasetAction::Show(RowFilter::WithoutCaption));
    assert_eq!(hand(&state).finder.visible(), [3]);
    // A row stays where it is while it is worked on.
    act(&mut state, DatasetAction::Write(3, "now".to_owned()));
    act(&mut state, DatasetAction::Commit);
    assert_eq!((hand(&state).finder.visible(), hand(&state).finder.count(RowFilter::WithoutCaption)), (&[3][..], 0));
}

#[test]
fn problems_lead_to_their_rows_and_all_of_a_kind_can_be_excluded() {
    let mut state = state();
    open(&mut state, opened(&["one", "two", "three"], true));
    let problem = |kind, line, path: &str| Problem {
        kind,
        line,
        path: Some(path.into()),
        sentence: "something is wrong".to_owned(),
    };
    let sent = act(&mut state, DatasetAction::Check);
    assert!(matches!(sent.as_slice(), [DatasetCommand::Check { .. }]));
    assert_eq!(hand(&state).page, DatasetPage::Problems);
    assert!(act(&mut state, DatasetAction::Check).is_empty(), "one piece of work at a time");
    let problems = vec![
        problem(ProblemKind::ExactDuplicate, None, "/data/set/images/3.jpg"),
        problem(ProblemKind::SkippedRow, Some(9), "/data/set/metadata.jsonl"),
        problem(ProblemKind::ExactDuplicate, None, "/data/set/images/2.jpg"),
    ];
    let inspection = Inspection { rows: 3, problems, ..Inspection::default() };
    state.on_dataset_event(DatasetEvent::Checked(Ok(Box::new(inspection))));
    let found = hand(&state);
    assert_eq!(found.problem_count(), 3);
    assert_eq!(
        found.problems.iter().map(|group| group.kind).collect::<Vec<_>>(),
        [ProblemKind::SkippedRow, ProblemKind::ExactDuplicate]
    );
    assert_eq!(found.problems[0].items[0].text, "metadata.jsonl, line 9: something is wrong");
    assert_eq!(found.problems[1].items.iter().map(|item| item.row).collect::<Vec<_>>(), [Some(2), Some(1)]);
    act(&mut state, DatasetAction::EditFind("nothing like it".to_owned()));
    act(&mut state, DatasetAction::ShowRow(2));
    assert_eq!(
        (hand(&state).page, hand(&state).finder.visible().len(), hand(&state).goal.0),
        (DatasetPage::Pictures, 3, 2)
    );
    let sent = act(&mut state, DatasetAction::ExcludeAll(ProblemKind::ExactDuplicate));
    assert_eq!(saved(&sent), [(1, "two", true), (2, "three", true)]);
}

#[test]
fn a_preparation_is_begun_paused_gone_on_with_and_shown() {
    let mut state = state();
    open(&mut state, opened(&["one", "two"], false));
    let look_of = |state: &mut State, action| match act(state, action).as_slice() {
        [DatasetCommand::Look { ticket, plan, .. }] => (*ticket, plan.clone()),
        other => panic!("{other:?}"),
    };
    let (ticket, plan) = look_of(&mut state, DatasetAction::EditTemplate("{text}!".to_owned()));
    assert_eq!(plan.template, "{text}!");
    state.on_dataset_event(DatasetEvent::Looked { ticket, look: Err(UserError::input("There is no column \"x\"")) });
    assert!(act(&mut state, DatasetAction::Prepare).is_empty(), "what is wrong is mended first");
    let look = |wanted| CaptionLook {
        rows: vec![LookedRow { row: 0, caption: "one!".to_owned(), tokens: 4 }],
        wanted,
        without_caption: 0,
    };
    // An answer to an older question is passed over.
    state.on_dataset_event(DatasetEvent::Looked { ticket: ticket - 1, look: Ok(look(2)) });
    assert!(hand(&state).look_error.is_some());
    state.on_dataset_event(DatasetEvent::Looked { ticket, look: Ok(look(0)) });
    assert!(state.train.dataset.prepare_blocked().is_some(), "no row is wanted");
    let (ticket, _) = look_of(&mut state, DatasetAction::EditLimit("2".to_owned()));
    state.on_dataset_event(DatasetEvent::Looked { ticket, look: Ok(look(2)) });
    act(&mut state, DatasetAction::EditFolder("here".to_owned()));
    assert!(state.train.dataset.prepare_blocked().is_some(), "a whole path is wanted");
    act(&mut state, DatasetAction::EditFolder("/data/out".to_owned()));
    let cancel = match act(&mut state, DatasetAction::Prepare).as_slice() {
        [DatasetCommand::Prepare { folder, cancel, plan }] => {
            assert_eq!((folder.as_path(), plan.limit), (Path::new("/data/out"), Some(2)));
            cancel.clone()
        }
        other => panic!("{other:?}"),
    };
    assert!(act(&mut state, DatasetAction::Close).is_empty(), "it is being worked on");
    state.on_dataset_event(DatasetEvent::Progress { done: 1, total: 2 });
    act(&mut state, DatasetAction::Pause);
    assert!(cancel.is_cancelled());
    state.on_dataset_event(DatasetEvent::Prepared(Err(UserError::cancelled())));
    assert_eq!(hand(&state).form.stopped, Some((1, 2)));
    assert!(state.notices.list().iter().all(|notice| !format!("{notice:?}").contains("Cancelled")));
    assert!(matches!(act(&mut state, DatasetAction::GoOn).as_slice(), [DatasetCommand::Prepare { .. }]));
    let preparation = Preparation { folder: "/data/out".into(), rows: 2, ..Preparation::default() };
    let effects = state.on_dataset_event(DatasetEvent::Prepared(Ok(Box::new(preparation))));
    let sent = commands(effects);
    let [DatasetCommand::Open { ticket, source: DatasetSource::Path(path) }] = sent.as_slice() else {
        panic!("{sent:?}")
    };
    assert_eq!(path, Path::new("/data/out"));
    let prepared = OpenedDataset { root: "/data/out".into(), ..opened(&["one!", "two!"], true) };
    state.on_dataset_event(DatasetEvent::Opened { ticket: *ticket, opened: Ok(Box::new(prepared)) });
    assert_eq!(state.train.dataset.folder(), Some(Path::new("/data/out")));
    // Back, with all that was said of the source.
    let sent = act(&mut state, DatasetAction::BackToSource);
    let [DatasetCommand::Open { ticket, .. }] = sent.as_slice() else { panic!("{sent:?}") };
    let again = opened(&["one", "two"], false);
    state.on_dataset_event(DatasetEvent::Opened { ticket: *ticket, opened: Ok(Box::new(again)) });
    assert_eq!((hand(&state).form.template.as_str(), hand(&state).form.folder.as_str()), ("{text}!", "/data/out"));
}

#[test]
fn thumbnails_are_asked_for_once_and_those_of_another_data_set_are_dropped() {
    let mut state = state();
    open(&mut state, opened(&["one", "two"], true));
    let wanted = |sent: &[DatasetCommand]| match sent {
        [DatasetCommand::Thumbnails { wanted, .. }] => wanted.iter().map(|(row, _)| *row).collect::<Vec<_>>(),
        _ => Vec::new(),
    };
    assert_eq!(wanted(&act(&mut state, DatasetAction::InView(vec![0, 1]))), [0, 1]);
    assert!(act(&mut state, DatasetAction::InView(vec![0, 1])).is_empty());
    let ticket = hand(&state).ticket;
    let picture = crate::domain::Picture { width_px: 2, height_px: 1, rgba: vec![0; 8] };
    let came = |ticket, row, picture| DatasetEvent::Thumbnail { ticket, row, picture };
    state.on_dataset_event(came(ticket, 0, Ok(picture.clone())));
    state.on_dataset_event(came(ticket, 1, Err(UserError::input("broken"))));
    state.on_dataset_event(came(ticket + 1, 1, Ok(picture)));
    assert_eq!(state.train.dataset.take_thumbnails().len(), 1);
    assert!(hand(&state).is_broken(1) && !hand(&state).is_broken(0));
    assert!(act(&mut state, DatasetAction::InView(vec![1])).is_empty(), "it is broken");
}

#[test]
fn what_is_dropped_on_the_tab_is_read_there_and_nowhere_else() {
    let mut state = state();
    let dropped = Action::Dropped(vec!["/data/styles.csv".into()]);
    assert!(matches!(commands(state.apply(dropped.clone())).as_slice(), [DatasetCommand::Open { .. }]));
    state.train.tab = TrainTab::Training;
    assert!(commands(state.apply(dropped)).is_empty());
}
