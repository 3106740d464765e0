//! The queue below the picture: what was left, pausing, moving, changing, failing.

use atelier::domain::{Event, GenerateRequest, JobId, Priority, QueuedJob, Settings, UserError};
use atelier::library::{QueueCommand, QueueEvent};
use egui::{Key, Modifiers, Role};
use egui_kittest::kittest::Queryable;

use super::bench::Bench;

fn left(id: u64, prompt: &str, done: u32) -> QueuedJob {
    QueuedJob {
        id: JobId(id),
        request: GenerateRequest { prompt: prompt.to_owned(), count: 4, ..GenerateRequest::default() },
        pictures_dir: "/home/kim/atelier/pictures".into(),
        is_checked: true,
        priority: Priority::Normal,
        done,
        is_interrupted: done > 0,
    }
}

/// One job runs; the others wait with the prompts `job 1`, `job 2`, …
fn with_waiting(count: usize) -> Bench {
    let mut bench = Bench::with(Settings::default(), [1280.0, 900.0]);
    for i in 0..=count {
        let prompt = bench.prompt();
        prompt.click();
        bench.harness.run();
        bench.press(Modifiers::COMMAND, Key::A);
        bench.harness.event(egui::Event::Text(format!("job {i}")));
        bench.harness.run();
        bench.press(Modifiers::COMMAND, Key::Enter);
    }
    bench.queue_log.clear();
    bench
}

fn order(bench: &Bench) -> Vec<&str> {
    bench.state().queue.waiting().map(|job| job.request.prompt.as_str()).collect()
}

/// Opens the menu of the job at a place and chooses from it.
fn choose(bench: &mut Bench, place: usize, act: &str) {
    bench.click(&format!("More for job {place}"));
    bench.click(act);
}

pub fn with_left_over() -> Bench {
    let mut bench = Bench::first_start();
    bench.queue(QueueEvent::Loaded(vec![
        left(1, "a striped scarf", 2),
        left(2, "a leather boot", 0),
        left(3, "a straw hat with a wide brim", 0),
        left(4, "a linen shirt", 0),
    ]));
    bench
}

#[test]
fn what_was_left_starts_with_one_button_and_not_before() {
    let mut bench = with_left_over();
    assert!(bench.queue_commands.try_iter().any(|command| command == QueueCommand::Load), "it was asked for");
    assert!(bench.sent_job().is_none());
    assert!(bench.has("4 jobs were waiting") && bench.has("Interrupted after 2 of 4"));
    bench.click("Resume");
    let job = bench.sent_job().expect("the interrupted one goes on");
    assert_eq!((job.id, job.done), (JobId(1), 2));
    assert!(bench.has("Picture 3 of 4") && !bench.has("4 jobs were waiting"));
    assert!(bench.has("Up next · 3"));
}

#[test]
fn what_was_left_is_cleared_with_one_button() {
    let mut bench = with_left_over();
    bench.keep_queue();
    bench.queue_log.clear();
    bench.click("Clear");
    let removed = (1..=4).map(JobId).collect();
    assert_eq!(bench.queue_log, [QueueCommand::Remove(removed)]);
    assert!(!bench.has("4 jobs were waiting") && bench.has("Nothing made yet"));
}

#[test]
fn the_queue_is_paused_and_resumed() {
    let mut bench = with_waiting(2);
    let running = bench.state().queue.running().expect("one runs").job.clone();
    let _ = bench.sent_job();
    bench.click("Pause");
    assert!(running.cancel.is_cancelled() && bench.has("Pausing after this step"));
    bench.engine(Event::Cancelled { job: running.id });
    assert!(bench.has("Paused · 3 waiting"));
    assert!(bench.sent_job().is_none());
    bench.click("Resume");
    assert_eq!(bench.sent_job().expect("it goes on").id, running.id);
    assert!(bench.queue_log.is_empty(), "the disk keeps it all the while: {:?}", bench.queue_log);
}

#[test]
fn jobs_are_moved_by_their_menu() {
    let mut bench = with_waiting(3);
    choose(&mut bench, 1, "Move down");
    assert_eq!(order(&bench), ["job 2", "job 1", "job 3"]);
    choose(&mut bench, 3, "Move up");
    choose(&mut bench, 1, "Priority: later");
    assert_eq!(order(&bench), ["job 3", "job 1", "job 2"]);
    assert!(bench.has("Later"));
    choose(&mut bench, 2, "Priority: first");
    assert_eq!(order(&bench), ["job 1", "job 3", "job 2"]);
    assert_eq!(bench.queue_log.len(), 4);
    assert!(bench.queue_log.iter().all(|command| matches!(command, QueueCommand::Arrange(_))));
}

#[test]
fn a_waiting_job_is_edited_in_the_draft() {
    let mut bench = with_waiting(2);
    let draft = bench.draft().prompt.clone();
    choose(&mut bench, 2, "Edit");
    assert!(bench.has("You are editing “job 2”"));
    assert_eq!(bench.draft().prompt, "job 2");
    bench.prompt().click();
    bench.harness.run();
    bench.press(Modifiers::COMMAND, Key::A);
    bench.harness.event(egui::Event::Text("a better one".to_owned()));
    bench.harness.run();
    bench.click("Save changes");
    assert_eq!(order(&bench), ["job 1", "a better one"]);
    assert_eq!(bench.draft().prompt, draft);
    assert!(matches!(&bench.queue_log[..], [QueueCommand::Change(job)] if job.request.prompt == "a better one"));
}

#[test]
fn a_failed_job_can_be_tried_again() {
    let mut bench = with_waiting(0);
    let job = bench.sent_job().expect("a job was sent");
    bench.engine(Event::Failed { job: job.id, error: UserError::failed("The model is gone") });
    assert!(bench.has("Failed") && bench.has("The model is gone"));
    bench.click("Run it");
    let again = bench.sent_job().expect("it is tried again");
    assert_eq!((again.id, again.request), (job.id, job.request));
}

#[test]
fn a_long_queue_is_listed_on_demand() {
    let mut bench = with_waiting(20);
    assert!(bench.has("Up next · 20") && !bench.has("More for job 4"));
    bench.click("Show all 20");
    assert!(bench.has("More for job 4") && !bench.has("More for job 19"), "rows out of view are not drawn");
    bench.click("Show fewer");
    assert!(!bench.has("More for job 4"));
    bench.click("Cancel all");
    assert_eq!(bench.state().queue.waiting().len(), 0);
    assert!(bench.state().queue.running().expect("it is being stopped").cancelling);
}

#[test]
fn a_disk_that_keeps_nothing_is_told_and_pictures_are_made_all_the_same() {
    let mut bench = Bench::first_start();
    bench.harness.get_by_role_and_label(Role::Button, "Generate").click();
    bench.harness.run();
    let jobs = bench.state().queue.waiting().map(|job| job.id).collect();
    let _ = bench.queue_commands.try_iter().count();
    bench.queue(QueueEvent::NotKept { jobs, error: UserError::failed("The disk is full") });
    assert!(bench.has("The disk is full"));
    assert!(bench.sent_job().is_some());
}
