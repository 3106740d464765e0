//! What the state does with a batch that the window does not show: what is taken as given, what is refused.

use std::sync::Arc;

use crate::domain::batch::{BatchCommand, BatchEvent, CheckedRow, Form, RowStatus, Table, TableRow};
use crate::domain::{Command, Event, FamilyId, Job, ModelRef, UserError};

use super::tests::{entry, finish, ready, state};
use super::{Action, BatchAction, Edit, Effect, RowState, Run, State};

fn table(columns: &[&str], rows: &[&[&str]]) -> Arc<Table> {
    let row = |(place, values): (usize, &&[&str])| TableRow {
        line: place as u64 + 2,
        values: values.iter().map(|value| (*value).to_owned()).collect(),
        ..TableRow::default()
    };
    Arc::new(Table {
        path: "/t/a.csv".into(),
        form: Form::Csv(','),
        columns: columns.iter().map(|column| (*column).to_owned()).collect(),
        rows: rows.iter().enumerate().map(row).collect(),
        repairs: Vec::new(),
    })
}

/// Opens a table and answers as the thread does.
fn open(state: &mut State, table: &Arc<Table>) {
    state.apply(Action::Batch(BatchAction::Open(table.path.clone())));
    let effects = state.on_batch_event(BatchEvent::Read { path: table.path.clone(), table: Ok(Arc::clone(table)) });
    answer(state, effects);
}

fn answer(state: &mut State, effects: Vec<Effect>) {
    for effect in effects {
        if let Effect::Batch(BatchCommand::Check { ticket, plan }) = effect {
            let row = |row| plan.request(row).map_or_else(CheckedRow::Wrong, |_| CheckedRow::Ready);
            let rows = (0..plan.table().rows.len()).map(row).collect();
            state.on_batch_event(BatchEvent::Checked { ticket, rows });
        }
    }
}

fn job(effects: &[Effect]) -> Option<Job> {
    effects.iter().find_map(|effect| match effect {
        Effect::Engine(Command::Generate(job)) => Some((**job).clone()),
        _ => None,
    })
}

fn run(state: &mut State) -> Vec<Effect> {
    state.apply(Action::Batch(BatchAction::Run))
}

#[test]
fn rows_begin_with_what_create_says_and_are_bounded_by_the_model() {
    let mut state = state();
    state.draft.edit(Edit::Steps(33), None);
    state.draft.edit(Edit::Count(7), None);
    open(&mut state, &table(&["prompt", "width"], &[&["a", ""], &["b", "1000"]]));
    let made = job(&run(&mut state)).expect("the first row runs").request;
    assert_eq!((made.num_inference_steps, made.count, made.prompt.as_str()), (33, 1, "a"));
    let RowState::Wrong(why) = state.batch.row(1) else { panic!("1000 px is too wide for the starter") };
    assert!(why.contains("width must be"), "{why}");
}

#[test]
fn rows_of_the_model_that_is_loaded_come_first() {
    let mut state = state();
    let other = ModelRef::Path("/models/other.safetensors".into());
    state.on_event(ready(other.clone(), FamilyId::Sd1));
    state.models.remember(&other);
    let rows: [&[&str]; 4] = [&["a", ""], &["b", "other"], &["c", ""], &["d", "other"]];
    open(&mut state, &table(&["prompt", "model"], &rows));
    let mut effects = run(&mut state);
    let mut made = Vec::new();
    while let Some(next) = job(&effects) {
        made.push((next.request.prompt.clone(), next.request.width_px));
        effects = finish(&mut state, &next, Ok(entry(made.len() as i64, "x")));
    }
    let expected = [("a", 128), ("c", 128), ("b", 512), ("d", 512)];
    assert_eq!(made, expected.map(|(prompt, side)| (prompt.to_owned(), side)), "each at its model's own size");
}

#[test]
fn what_is_typed_while_rows_run_changes_nothing() {
    let mut state = state();
    open(&mut state, &table(&["prompt"], &[&["a"], &["b"]]));
    let first = job(&run(&mut state)).expect("the first row runs");
    for action in [
        BatchAction::EditTemplate("x".to_owned()),
        BatchAction::EditSeed(9),
        BatchAction::Close,
        BatchAction::Open("/t/b.csv".into()),
        BatchAction::Reload,
    ] {
        assert!(state.apply(Action::Batch(action)).is_empty());
    }
    let effects = finish(&mut state, &first, Ok(entry(1, "x")));
    assert_eq!(job(&effects).expect("the second row runs").request.prompt, "b");
    assert_eq!(state.batch.picture(entry(1, "x").id).map(|entry| entry.path.clone()), Some("/p/x.png".into()));
}

#[test]
fn a_row_that_is_taken_out_of_the_queue_waits_again() {
    let mut state = state();
    open(&mut state, &table(&["prompt"], &[&["a"], &["b"]]));
    // A job of Create runs, so that the row waits in the queue.
    let running = super::tests::generate(&mut state).expect("it runs");
    assert!(job(&run(&mut state)).is_none());
    assert_eq!(*state.batch.row(0), RowState::Running);
    state.apply(Action::ClearQueue);
    assert_eq!((state.batch.row(0), state.batch.run), (&RowState::Waiting, Run::Idle));
    assert!(job(&finish(&mut state, &running, Ok(entry(1, "x")))).is_none());
}

#[test]
fn results_that_cannot_be_written_pause_the_batch_and_are_told() {
    let mut state = state();
    open(&mut state, &table(&["prompt"], &[&["a"], &["b"]]));
    let first = job(&run(&mut state)).expect("the first row runs");
    state.on_batch_event(BatchEvent::ResultsFailed(UserError::failed("Could not write a.results.csv")));
    assert_eq!((state.batch.run, state.notices.list().len()), (Run::Pausing, 1));
    let effects = finish(&mut state, &first, Ok(entry(1, "x")));
    assert!(job(&effects).is_none());
    assert_eq!(state.batch.run, Run::Idle);
}

#[test]
fn a_row_with_several_pictures_is_one_result() {
    let mut state = state();
    open(&mut state, &table(&["prompt", "count"], &[&["a", "2"]]));
    let first = job(&run(&mut state)).expect("the row runs");
    let finished = |index: u32| Event::Finished {
        job: first.id,
        index,
        picture: super::tests::picture(8),
        recipe: Box::new(super::tests::recipe(first.request.single(index))),
        saved: Ok(Box::new(entry(i64::from(index) + 1, &format!("p{index}")))),
    };
    state.on_event(finished(0));
    state.on_event(finished(1));
    let effects = state.on_event(Event::Done { job: first.id });
    let noted = effects.iter().find_map(|effect| match effect {
        Effect::Batch(BatchCommand::Note(rows)) => rows.first().cloned(),
        _ => None,
    });
    let result = noted.expect("it is written down");
    assert_eq!((result.status, result.seconds), (RowStatus::Done, 2.0), "one second a picture");
    assert_eq!(result.paths, ["/p/p0.png", "/p/p1.png"]);
    assert_eq!(result.request, crate::domain::batch::request_key(&first.request));
}

#[test]
fn an_answer_that_comes_too_late_says_nothing() {
    let mut state = state();
    let first = table(&["prompt"], &[&["a"]]);
    state.apply(Action::Batch(BatchAction::Open("/t/other.csv".into())));
    let read = BatchEvent::Read { path: first.path.clone(), table: Ok(Arc::clone(&first)) };
    assert!(state.on_batch_event(read).is_empty() && state.batch.table.is_none());
    open(&mut state, &first);
    state.on_batch_event(BatchEvent::Checked { ticket: 999, rows: vec![CheckedRow::Wrong("x".to_owned())] });
    assert_eq!(*state.batch.row(0), RowState::Waiting);
    state.on_batch_refused(&BatchCommand::Read("/t/x.csv".into()), UserError::failed("gone"));
    assert!(state.batch.reading.is_none());
}
