//! What the state does with the queue: its order, what holds a job, what is told to the disk.

use crate::domain::{Command, Event, GenerateRequest, Job, JobId, Priority, QueuedJob, UserError};
use crate::library::{QueueCommand, QueueEvent};

use super::tests::{generate, job, kept, state};
use super::{Action, Edit, Effect, Held, QueueAction, State};

/// What is asked of the queue's thread.
fn asked(effects: &[Effect]) -> Vec<QueueCommand> {
    let command = |effect: &Effect| match effect {
        Effect::Queue(command) => Some(command.clone()),
        _ => None,
    };
    effects.iter().filter_map(command).collect()
}

/// The first runs, the others wait in the order of their prompts `b`, `c`, ….
fn with_waiting(count: u8) -> (State, Job, Vec<JobId>) {
    let mut state = state();
    let mut running = None;
    for letter in b'a'..=b'a' + count {
        state.apply(Action::Edit(Edit::Prompt(char::from(letter).to_string())));
        running = generate(&mut state).or(running);
    }
    let ids = state.queue.waiting().map(|job| job.id).collect();
    (state, running.expect("the first runs"), ids)
}

fn order(state: &State) -> String {
    state.queue.waiting().map(|job| job.request.prompt.as_str()).collect()
}

fn left(id: u64, prompt: &str, priority: Priority, is_interrupted: bool) -> QueuedJob {
    QueuedJob {
        id: JobId(id),
        request: GenerateRequest { prompt: prompt.to_owned(), count: 3, ..GenerateRequest::default() },
        pictures_dir: "/p".into(),
        is_checked: true,
        priority,
        done: u32::from(is_interrupted),
        is_interrupted,
    }
}

#[test]
fn a_job_runs_only_once_it_is_on_the_disk() {
    let mut state = state();
    let effects = state.apply(Action::Generate);
    assert!(job(&effects).is_none());
    let [QueueCommand::Add(added)] = &asked(&effects)[..] else { panic!("{effects:?}") };
    assert_eq!((added.len(), added[0].done, state.queue.waiting().len()), (1, 0, 1));
    let sent = job(&state.on_queue_event(QueueEvent::Kept(vec![added[0].id]))).expect("it runs now");
    assert_eq!(sent.request, added[0].request);
    assert_eq!(asked(&state.on_event(Event::Done { job: sent.id })), [QueueCommand::Remove(vec![sent.id])]);
}

#[test]
fn without_a_disk_a_job_runs_all_the_same_and_that_is_told() {
    let mut state = state();
    let effects = state.apply(Action::Generate);
    let Some(QueueCommand::Add(added)) = asked(&effects).pop() else { panic!("{effects:?}") };
    let error = UserError::failed("The disk is full");
    let effects = state.on_queue_event(QueueEvent::NotKept { jobs: vec![added[0].id], error });
    assert!(job(&effects).is_some());
    assert_eq!(state.notices.list()[0].sentence, "The disk is full");

    let effects = state.apply(Action::Generate);
    let command = asked(&effects).pop().unwrap();
    state.on_queue_refused(command, UserError::failed("The queue is gone"));
    let running = state.queue.running().unwrap().job.id;
    assert!(job(&state.on_event(Event::Done { job: running })).is_some());
}

#[test]
fn many_jobs_are_one_command() {
    let mut state = state();
    let effects = state.enqueue_all(vec![GenerateRequest::default(); 1000]);
    let [QueueCommand::Add(added)] = &asked(&effects)[..] else { panic!("{effects:?}") };
    assert_eq!(added.len(), 1000);
    let ids: std::collections::HashSet<JobId> = added.iter().map(|job| job.id).collect();
    assert_eq!(ids.len(), 1000);
    kept(&mut state, effects);
    assert_eq!(state.queue.waiting().len(), 999);
    assert!(state.enqueue_all(Vec::new()).is_empty());
}

#[test]
fn jobs_are_moved_and_the_disk_hears_of_the_order() {
    let (mut state, running, ids) = with_waiting(4);
    assert_eq!(order(&state), "bcde");
    let effects = state.apply(Action::RunNext(ids[3]));
    assert_eq!(order(&state), "ebcd");
    let [QueueCommand::Arrange(told)] = &asked(&effects)[..] else { panic!("{effects:?}") };
    let told: Vec<JobId> = told.iter().map(|(id, _)| *id).collect();
    assert_eq!(told, [running.id, ids[3], ids[0], ids[1], ids[2]]);
    state.apply(QueueAction::Down(ids[3]).into());
    state.apply(QueueAction::Up(ids[2]).into());
    assert_eq!(order(&state), "bedc");
    assert!(state.apply(QueueAction::Up(ids[0]).into()).is_empty(), "it is the first");
    assert!(state.apply(QueueAction::Down(ids[1]).into()).is_empty(), "it is the last");
    assert!(state.apply(QueueAction::Up(JobId(1)).into()).is_empty(), "there is no such job");
}

#[test]
fn priorities_decide_the_order_and_a_move_across_takes_the_neighbours() {
    use Priority::{First, Later, Normal};
    let (mut state, _, ids) = with_waiting(4);
    state.apply(QueueAction::SetPriority(ids[0], Later).into());
    assert_eq!(order(&state), "cdeb");
    state.apply(QueueAction::SetPriority(ids[3], First).into());
    state.apply(QueueAction::SetPriority(ids[2], First).into());
    assert_eq!(order(&state), "edcb");
    generate(&mut state);
    let priorities = |state: &State| state.queue.entries().map(|waiting| waiting.priority).collect::<Vec<_>>();
    assert_eq!(priorities(&state), [First, First, Normal, Normal, Later], "a new one is normal");
    state.apply(QueueAction::Up(ids[0]).into());
    assert_eq!(priorities(&state), [First, First, Normal, Normal, Normal]);
    state.apply(Action::RunNext(ids[0]));
    assert_eq!((order(&state).remove(0), priorities(&state)[0]), ('b', First));
}

#[test]
fn what_was_left_waits_until_it_is_asked_for() {
    let mut state = state();
    let jobs = vec![left(8, "x", Priority::Normal, true), left(9, "y", Priority::Normal, false)];
    assert!(state.on_queue_event(QueueEvent::Loaded(jobs.clone())).is_empty(), "nothing starts unasked");
    assert_eq!((state.queue.left_over(), order(&state).as_str()), (2, "xy"));
    assert_eq!(state.queue.entries().next().unwrap().held, Some(Held::Interrupted));
    let own = generate(&mut state).expect("what is asked for now runs at once");
    let effects = state.apply(QueueAction::RunLeft.into());
    assert!(effects.is_empty(), "one runs");
    let next = job(&state.on_event(Event::Done { job: own.id })).expect("the interrupted one is next");
    assert_eq!((next.id, next.done), (JobId(8), 1), "its finished picture is not made again");
    assert_eq!(state.queue.running().map(|running| running.index), Some(1));
    state.on_queue_event(QueueEvent::Loaded(jobs));
    assert_eq!(order(&state), "y", "a job is there once");
}

#[test]
fn what_was_left_can_be_cleared() {
    let mut state = state();
    state.on_queue_event(QueueEvent::Loaded(vec![left(8, "x", Priority::Later, false)]));
    let own = generate(&mut state).unwrap();
    let _ = generate(&mut state);
    let effects = state.apply(QueueAction::ClearLeft.into());
    assert_eq!(asked(&effects), [QueueCommand::Remove(vec![JobId(8)])]);
    assert_eq!((state.queue.waiting().len(), state.queue.left_over()), (1, 0));
    assert!(!own.cancel.is_cancelled());
}

#[test]
fn pausing_stops_at_a_step_and_resuming_goes_on_there() {
    let (mut state, running, ids) = with_waiting(1);
    state.on_event(Event::Finished {
        job: running.id,
        index: 0,
        picture: super::tests::picture(8),
        recipe: Box::new(super::tests::recipe(running.request.single(0))),
        saved: Err(UserError::failed("no")),
    });
    state.apply(QueueAction::Pause.into());
    assert!(running.cancel.is_cancelled());
    let effects = state.on_event(Event::Cancelled { job: running.id });
    assert!(effects.is_empty(), "it stays on the disk, and nothing is begun: {effects:?}");
    let waiting: Vec<JobId> = state.queue.waiting().map(|job| job.id).collect();
    assert_eq!(waiting, [running.id, ids[0]]);
    assert!(generate(&mut state).is_none(), "paused is paused");
    let again = job(&state.apply(QueueAction::Resume.into())).expect("it goes on");
    assert_eq!((again.id, again.done), (running.id, 1));
    assert!(!again.cancel.is_cancelled());
}

#[test]
fn a_pause_that_comes_too_late_loses_nothing() {
    let (mut state, running, _) = with_waiting(0);
    state.apply(QueueAction::Pause.into());
    let effects = state.on_event(Event::Done { job: running.id });
    assert_eq!(asked(&effects), [QueueCommand::Remove(vec![running.id])]);
    assert_eq!(state.queue.waiting().len(), 0, "a finished job is not put back");
    // Cancelling what is being paused is cancelling.
    let (mut state, running, _) = with_waiting(0);
    state.apply(QueueAction::Pause.into());
    state.apply(Action::Cancel);
    let effects = state.on_event(Event::Cancelled { job: running.id });
    assert_eq!(asked(&effects), [QueueCommand::Remove(vec![running.id])]);
}

#[test]
fn a_failed_job_stays_until_it_is_tried_again_or_taken_out() {
    let (mut state, running, ids) = with_waiting(1);
    let failed = Event::Failed { job: running.id, error: UserError::failed("The LoRA is gone") };
    let next = job(&state.on_event(failed)).expect("the next one runs");
    assert_eq!(next.id, ids[0]);
    let held = state.queue.entry(running.id).and_then(|waiting| waiting.held.clone());
    assert!(matches!(held, Some(Held::Failed(error)) if error.sentence == "The LoRA is gone"));
    assert!(state.apply(QueueAction::Release(running.id).into()).is_empty(), "its turn is to come");
    assert_eq!(job(&state.on_event(Event::Done { job: next.id })).map(|job| job.id), Some(running.id));
}

#[test]
fn a_waiting_job_is_changed_and_the_draft_comes_back() {
    let (mut state, running, ids) = with_waiting(2);
    state.apply(Action::Edit(Edit::Prompt("my draft".to_owned())));
    state.apply(QueueAction::Edit(ids[0]).into());
    assert_eq!(state.draft.request.prompt, "b");
    assert_eq!(state.settings().draft.unwrap().prompt, "my draft", "what is remembered is the user's own");
    state.apply(Action::Edit(Edit::Prompt("better".to_owned())));
    let next = job(&state.on_event(Event::Done { job: running.id })).expect("another one runs");
    assert_eq!(next.id, ids[1], "the one that is being changed waits");
    let effects = state.apply(QueueAction::SaveEdit.into());
    let [QueueCommand::Change(changed)] = &asked(&effects)[..] else { panic!("{effects:?}") };
    assert_eq!((changed.id, changed.request.prompt.as_str()), (ids[0], "better"));
    assert_eq!(state.draft.request.prompt, "my draft");
    kept(&mut state, effects);
    assert_eq!(job(&state.on_event(Event::Done { job: next.id })).unwrap().request.prompt, "better");
}

#[test]
fn a_change_is_discarded_or_lost_with_its_job() {
    let (mut state, _, ids) = with_waiting(2);
    state.apply(Action::Edit(Edit::Prompt("my draft".to_owned())));
    state.apply(QueueAction::Edit(ids[0]).into());
    state.apply(QueueAction::Edit(ids[1]).into());
    assert_eq!(state.draft.request.prompt, "c", "one at a time");
    state.apply(QueueAction::DropEdit.into());
    assert_eq!((state.draft.request.prompt.as_str(), order(&state).as_str()), ("my draft", "bc"));
    state.apply(QueueAction::Edit(ids[0]).into());
    let effects = state.apply(Action::CancelJob(ids[0]));
    assert_eq!(asked(&effects), [QueueCommand::Remove(vec![ids[0]])]);
    assert_eq!((state.draft.request.prompt.as_str(), state.queue.editing.is_none()), ("my draft", true));
}

#[test]
fn closing_keeps_everything() {
    let (mut state, running, ids) = with_waiting(2);
    let effects = state.close();
    assert!(running.cancel.is_cancelled());
    assert!(asked(&effects).is_empty(), "nothing is taken off the disk: {effects:?}");
    let effects = state.on_event(Event::Cancelled { job: running.id });
    assert!(asked(&effects).is_empty() && job(&effects).is_none(), "{effects:?}");
    assert_eq!(state.queue.waiting().len(), 1 + ids.len());
}

#[test]
fn what_was_cancelled_is_not_offered_again() {
    let (mut state, running, _) = with_waiting(1);
    state.apply(Action::Cancel);
    assert_eq!(asked(&state.close()), [QueueCommand::Remove(vec![running.id])]);
}

#[test]
fn cancelling_all_stops_and_clears() {
    let (mut state, running, ids) = with_waiting(2);
    let effects = state.apply(QueueAction::CancelAll.into());
    assert!(running.cancel.is_cancelled());
    assert_eq!(asked(&effects), [QueueCommand::Remove(ids)]);
    let effects = state.on_event(Event::Cancelled { job: running.id });
    assert_eq!(asked(&effects), [QueueCommand::Remove(vec![running.id])]);
}

#[test]
fn a_refused_job_is_not_lost() {
    let (mut state, running, _) = with_waiting(0);
    state.on_engine_refused(Command::Generate(Box::new(running.clone())), UserError::failed("The engine has stopped"));
    assert!(matches!(state.queue.entry(running.id).unwrap().held, Some(Held::Failed(_))));
}

#[test]
fn two_starts_give_keys_of_their_own() {
    let keys = |entropy| {
        let mut queue = super::Queue::new(entropy);
        let Effect::Queue(QueueCommand::Add(jobs)) =
            queue.add(vec![GenerateRequest::default(); 3], std::path::Path::new("/p"), false, false)
        else {
            panic!("it adds")
        };
        jobs.iter().map(|job| job.id).collect::<Vec<_>>()
    };
    assert!(keys(1).iter().all(|key| !keys(2).contains(key) && i64::try_from(key.0).is_ok()));
    assert!(keys(u64::MAX).iter().all(|key| i64::try_from(key.0).is_ok()), "SQLite's numbers have a sign");
}
