//! Batch: a table becomes rows, rows become jobs, what becomes of them is shown and written down.

use std::path::PathBuf;
use std::sync::Arc;

use atelier::domain::batch::{BatchCommand, BatchEvent, CheckedRow, Form, RowResult, RowStatus, Table, TableRow};
use atelier::domain::{Event, Job, UserError};
use atelier::studio::{DialogAnswer, Place, RowState, Run};
use egui::{Key, Modifiers, Role};
use egui_kittest::kittest::Queryable;

use super::bench::Bench;

/// What was asked of the batches' thread since the last look.
fn asked(bench: &Bench) -> Vec<BatchCommand> {
    bench.batch_commands.try_iter().collect()
}

/// The batches' thread says something.
pub fn tell(bench: &mut Bench, event: BatchEvent) {
    bench.batch_events.send(event).expect("the window listens");
    bench.harness.run();
}

/// A table of `count` garments, in CSV.
pub fn table(count: usize) -> Arc<Table> {
    const GARMENTS: [&str; 4] = ["pullover", "raincoat", "summer dress", "linen shirt"];
    const COLOURS: [&str; 5] = ["red", "navy blue", "", "mustard yellow", "green"];
    let row = |place: usize| TableRow {
        line: place as u64 + 2,
        values: vec![
            COLOURS[place % COLOURS.len()].to_owned(),
            GARMENTS[place % GARMENTS.len()].to_owned(),
            if place == 3 { "many".to_owned() } else { String::new() },
        ],
        ..TableRow::default()
    };
    Arc::new(Table {
        path: "/home/kim/lists/garments.csv".into(),
        form: Form::Csv(','),
        columns: ["colour", "garment", "steps"].map(str::to_owned).to_vec(),
        rows: (0..count).map(row).collect(),
        repairs: vec![(7, "it is not UTF-8 and was read as Windows-1252".to_owned())],
    })
}

/// Opens a table in the Batch place.
pub fn open(bench: &mut Bench, table: &Arc<Table>) {
    bench.go_to("Batch");
    bench.script.borrow_mut().answers.push(DialogAnswer::Chosen(table.path.clone()));
    bench.click("Open a table…");
    bench.harness.run();
    assert!(matches!(asked(bench).as_slice(), [BatchCommand::Read(path)] if *path == table.path));
    assert!(bench.has("Reading the table"));
    tell(bench, BatchEvent::Read { path: table.path.clone(), table: Ok(Arc::clone(table)) });
}

/// Answers the question about all rows as the thread does, and gives how many were asked.
pub fn check(bench: &mut Bench, done: &[usize]) -> usize {
    let commands = asked(bench);
    let count = commands.len();
    for command in commands {
        let BatchCommand::Check { ticket, plan } = command else { continue };
        let row = |row: usize| match plan.request(row) {
            Err(why) => CheckedRow::Wrong(why),
            Ok(_) if done.contains(&row) => {
                let mut result = RowResult::failed(row, "");
                (result.status, result.seconds) = (RowStatus::Done, 2.5);
                CheckedRow::Done(Box::new(result))
            }
            Ok(_) => CheckedRow::Ready,
        };
        let rows = (0..plan.table().rows.len()).map(row).collect();
        tell(bench, BatchEvent::Checked { ticket, rows });
    }
    count
}

/// Types a template in place of what is there.
pub fn type_template(bench: &mut Bench, text: &str) {
    bench.harness.get_by_role_and_label(Role::MultilineTextInput, "Prompt of each row").focus();
    bench.harness.run();
    bench.press(Modifiers::COMMAND, Key::A);
    bench.harness.event(egui::Event::Text(text.to_owned()));
    bench.harness.run();
}

fn job(bench: &mut Bench) -> Job {
    bench.sent_job().expect("a row is made")
}

fn noted(bench: &Bench) -> Vec<(usize, RowStatus)> {
    let rows = |command| match command {
        BatchCommand::Note(rows) => rows,
        _ => Vec::new(),
    };
    asked(bench).into_iter().flat_map(rows).map(|result| (result.row, result.status)).collect()
}

/// The window with ten rows of garments that are ready to be made.
fn ready() -> Bench {
    let mut bench = Bench::first_start();
    open(&mut bench, &table(10));
    type_template(&mut bench, "a {colour} {garment}");
    check(&mut bench, &[]);
    bench
}

#[test]
fn an_empty_place_says_what_to_do() {
    let mut bench = Bench::first_start();
    bench.press(Modifiers::COMMAND, Key::Num3);
    assert_eq!(bench.state().place, Place::Batch);
    assert!(bench.has("Many pictures from one table") && bench.has("Open a table…"));
    let path = PathBuf::from("/home/kim/lists/a.csv");
    bench.script.borrow_mut().answers.push(DialogAnswer::Chosen(path.clone()));
    bench.click("Open a table…");
    let error = UserError::input("This table has no rows").hint("write some").path(&path);
    tell(&mut bench, BatchEvent::Read { path, table: Err(error) });
    assert!(bench.has("This table has no rows") && bench.has("write some") && bench.has("/home/kim/lists/a.csv"));
    assert!(bench.has("Open a table…"));
}

#[test]
fn the_template_shows_every_prompt_as_it_will_be() {
    let mut bench = Bench::first_start();
    open(&mut bench, &table(10));
    assert!(bench.has("Nothing says what the prompts are: there is no column \"prompt\""));
    bench.click("{colour}");
    bench.click("{garment}");
    assert_eq!(bench.state().batch.template, "{colour} {garment}");
    assert!(bench.has("navy blue raincoat") && bench.has("summer dress"), "what is missing leaves no gap");
    assert_eq!(check(&mut bench, &[]), 2, "the rows are looked through after each change");
    type_template(&mut bench, "a {color} coat");
    assert!(bench.has("There is no column \"color\" in this table"));
    assert!(bench.has("did you mean {colour}? The columns are colour, garment, steps"));
    let blocked = bench.state().batch.blocked().expect("no row can be made");
    assert!(blocked.contains("color"), "{blocked}");
}

#[test]
fn every_problem_is_listed_with_its_line() {
    let bench = ready();
    assert!(bench.has("2 problems"));
    assert!(bench.has("Line 7: it is not UTF-8 and was read as Windows-1252"));
    assert!(bench.has("Line 5: steps is \"many\", which is no whole number that can be used"));
    assert!(bench.has("10 rows · 1 with a problem"));
}

#[test]
fn rows_run_one_after_the_other_and_are_written_down() {
    let mut bench = ready();
    bench.click("Make the pictures");
    assert_eq!(noted(&bench), [(3, RowStatus::Failed)], "what is wrong is written down before the first row");
    let first = job(&mut bench);
    assert_eq!(first.request.prompt, "a red pullover");
    assert_eq!(bench.state().place, Place::Batch, "what is in view stays there");
    bench.step(first.id, 5, 20);
    assert!(bench.has("Step 5 of 20"));
    bench.finish(&first, 1);
    assert_eq!(noted(&bench), [(0, RowStatus::Done)]);
    let second = job(&mut bench);
    assert_eq!(second.request.prompt, "a navy blue raincoat");
    assert_ne!(first.request.seed, second.request.seed);

    // A row that fails costs itself, and is not told twice.
    bench.engine(Event::Failed { job: second.id, error: UserError::failed("The engine met a fault") });
    assert_eq!(noted(&bench), [(1, RowStatus::Failed)]);
    assert!(bench.state().notices.list().is_empty());
    assert!(bench.has("The engine met a fault"));
    let third = job(&mut bench);
    bench.click("Pause");
    assert!(bench.has("Pauses after this row"));
    bench.finish(&third, 2);
    assert!(bench.sent_job().is_none());
    assert_eq!(bench.state().batch.run, Run::Idle);
    assert!(bench.has("10 rows · 2 made · 1 failed · 1 with a problem"));

    bench.click("Try failed rows again");
    let again = job(&mut bench);
    assert_eq!(again.request, second.request, "the same seed, the same picture");
    bench.click("Stop");
    assert!(again.cancel.is_cancelled());
    bench.engine(Event::Cancelled { job: again.id });
    assert_eq!(*bench.state().batch.row(1), RowState::Waiting);
    assert_eq!(bench.state().batch.run, Run::Idle);
}

#[test]
fn jobs_of_create_go_between() {
    let mut bench = ready();
    bench.click("Make the pictures");
    let row = job(&mut bench);
    bench.go_to("Create");
    bench.click("Generate");
    bench.finish(&row, 1);
    let between = job(&mut bench);
    assert_ne!(between.request.prompt, "a navy blue raincoat");
    bench.finish(&between, 2);
    assert_eq!(job(&mut bench).request.prompt, "a navy blue raincoat");
}

#[test]
fn what_was_made_before_is_not_made_again() {
    let mut bench = Bench::first_start();
    open(&mut bench, &table(3));
    type_template(&mut bench, "a {garment}");
    check(&mut bench, &[0, 2]);
    assert!(bench.has("3 rows · 2 made"));
    assert_eq!(bench.harness.query_all_by_label("Made earlier").count(), 2);
    bench.click("Make the pictures");
    let only = job(&mut bench);
    assert_eq!(only.request.prompt, "a raincoat");
    bench.finish(&only, 1);
    assert!(bench.sent_job().is_none());
    assert!(bench.has("The batch is done: 3 of 3 rows are made"));
    assert!(matches!(asked(&bench).last(), Some(BatchCommand::End)));
    tell(&mut bench, BatchEvent::Ended { path: "/home/kim/lists/garments.results.csv".into() });
    assert!(bench.has("Results: garments.results.csv"));
}

#[test]
fn a_picture_that_cannot_be_saved_pauses_the_batch() {
    let mut bench = ready();
    bench.click("Make the pictures");
    let first = job(&mut bench);
    let recipe = super::bench::recipe(first.request.clone());
    let error = UserError::failed("Could not write it: there is no room");
    let picture = Arc::new(super::bench::garment(128, 128, 1));
    let recipe = Box::new(recipe);
    bench.engine(Event::Finished { job: first.id, index: 0, picture, recipe, saved: Err(error) });
    bench.engine(Event::Done { job: first.id });
    assert!(bench.sent_job().is_none());
    assert_eq!(noted(&bench).last(), Some(&(0, RowStatus::Failed)));
    assert_eq!(bench.state().batch.run, Run::Idle);
}

#[test]
fn rows_and_samples_are_chosen_by_typing() {
    let mut bench = ready();
    for (field, text) in [("Rows", "2-9"), ("Sample", "3")] {
        bench.harness.get_by_role_and_label(Role::TextInput, field).focus();
        bench.harness.run();
        bench.harness.event(egui::Event::Text(text.to_owned()));
        bench.harness.run();
    }
    let order = bench.state().batch.order().to_vec();
    assert!(order.len() == 3 && order.iter().all(|row| (1..9).contains(row)), "{order:?}");
    bench.harness.get_by_role_and_label(Role::TextInput, "Sample").focus();
    bench.harness.event(egui::Event::Text("x".to_owned()));
    bench.harness.run();
    assert!(bench.has("\"3x\" is no number of rows"));
}

#[test]
fn ten_thousand_rows_draw_only_those_in_view() {
    let mut bench = Bench::first_start();
    open(&mut bench, &table(10_000));
    type_template(&mut bench, "a {colour} {garment}");
    check(&mut bench, &[]);
    let drawn = bench.harness.query_all_by_label("Waiting").count();
    assert!((10..40).contains(&drawn), "{drawn}");
    assert_eq!(bench.state().batch.counts().waiting, 9_999);
    bench.click("Make the pictures");
    assert_eq!(bench.state().queue.waiting().len(), 0, "the queue holds one row at a time");
}

#[test]
fn a_batch_is_there_again_at_the_next_start() {
    let mut bench = ready();
    let settings = bench.state().settings();
    let memory = settings.batch.clone().expect("it is remembered");
    assert_eq!(memory.template, "a {colour} {garment}");
    bench.click("Close");
    assert!(bench.state().settings().batch.is_none() && bench.has("Open a table…"));

    let mut bench = Bench::with(settings, [1280.0, 800.0]);
    assert!(matches!(asked(&bench).as_slice(), [BatchCommand::Read(path)] if *path == memory.table));
    let table = table(10);
    tell(&mut bench, BatchEvent::Read { path: memory.table, table: Ok(table) });
    assert_eq!(bench.state().place, Place::Create);
    check(&mut bench, &[0]);
    bench.go_to("Batch");
    check(&mut bench, &[0]);
    assert!(bench.has("a navy blue raincoat") && bench.has("Made earlier"));
}

#[test]
fn a_table_that_is_dropped_is_opened() {
    let mut bench = Bench::first_start();
    super::create::drop_file(&mut bench, "/home/kim/list.txt");
    assert_eq!(bench.state().place, Place::Batch);
    assert!(matches!(asked(&bench).as_slice(), [BatchCommand::Read(path)] if path.ends_with("list.txt")));
}
