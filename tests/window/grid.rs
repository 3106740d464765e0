//! Grids and variations in the window: written by label, made as jobs, the sheet in the filmstrip.

use std::sync::Arc;

use atelier::domain::{Event, Job, Settings, Theme, UserError};
use atelier::library::{LibraryCommand, LibraryEvent, SheetCell, SheetMade, SheetOrder};
use egui::{Key, Modifiers, Role};
use egui_kittest::kittest::{NodeT, Queryable};

use super::bench::{Bench, entry, garment, recipe};
use super::looks::snapshot;

/// Replaces what stands in a text field by typing.
fn type_text(bench: &mut Bench, field: &str, text: &str) {
    bench.harness.get_by_role_and_label(Role::TextInput, field).focus();
    bench.harness.run();
    bench.press(Modifiers::COMMAND, Key::A);
    bench.press(Modifiers::NONE, Key::Delete);
    bench.harness.event(egui::Event::Text(text.to_owned()));
    bench.harness.run();
}

/// Chooses what differs along an axis.
fn choose(bench: &mut Bench, direction: &str, field: &str) {
    bench.harness.get_by_role_and_label(Role::ComboBox, &format!("Field: {direction}")).click();
    bench.harness.run();
    // The list is longer than its place.
    bench.harness.get_by_role_and_label(Role::Button, field).scroll_to_me();
    bench.harness.run();
    bench.harness.get_by_role_and_label(Role::Button, field).click();
    bench.harness.run();
}

/// The sheet that was asked for since the last look.
fn order(bench: &Bench) -> Option<SheetOrder> {
    bench.library_commands.try_iter().find_map(|command| match command {
        LibraryCommand::Sheet(order) => Some(*order),
        _ => None,
    })
}

/// A window in which a grid of two samplers and three scales is written.
fn written(settings: Settings) -> Bench {
    let mut bench = Bench::with(settings, [1280.0, 800.0]);
    bench.press(Modifiers::COMMAND, Key::Enter);
    let job = bench.sent_job().expect("a job was sent");
    for step in 1..=20 {
        bench.step(job.id, step, 20);
    }
    bench.finish(&job, 1);
    bench.click("Grid…");
    choose(&mut bench, "down", "Sampler");
    type_text(&mut bench, "Values: down", "Euler, ddim");
    bench
}

#[test]
fn a_grid_is_written_with_a_live_check_and_made_cell_by_cell() {
    let mut bench = written(Settings::default());
    assert!(bench.has("3 values: Guidance 1, Guidance 4, Guidance 7"));
    assert!(bench.has("2 values: Euler, DDIM"));
    // A step took 0.25 s at a guidance of 4: two of six cells are without it, and half as much work.
    assert!(bench.has("3 × 2 = 6 pictures, about 25 s"));

    // What is wrong is said while it is typed, and nothing can be made.
    type_text(&mut bench, "Values: across", "1, many");
    assert!(bench.has("Guidance: \"many\" is no number. Ranges look like 1-5, 0.2-1 (+0.2) or 0-1 [5]"));
    assert!(bench.harness.get_by_role_and_label(Role::Button, "Make the grid").accesskit_node().is_disabled());
    type_text(&mut bench, "Values: across", "500");
    assert!(bench.has("The guidance must be from 0 to 100, not 500"));
    type_text(&mut bench, "Values: across", "2-6 (+4)");
    bench.click("Make 4 pictures");
    assert!(!bench.state().grids.is_open);

    let mut seen = Vec::new();
    for id in 0..4 {
        assert!(bench.has(&format!("Grid · {id} of 4 pictures")));
        let job = bench.sent_job().expect("each cell is a job");
        seen.push((job.request.guidance_scale, job.request.sampler.name()));
        assert!(order(&bench).is_none());
        bench.finish(&job, 10 + id);
    }
    assert_eq!(seen, [(2.0, "euler"), (6.0, "euler"), (2.0, "ddim"), (6.0, "ddim")]);
    let order = order(&bench).expect("the sheet is asked for");
    assert!(order.cells.iter().all(|cell| matches!(cell, SheetCell::File(_))));
    let entry = entry(20, &order.recipe);
    let made = SheetMade { picture: Arc::new(garment(300, 200, 1)), recipe: order.recipe, saved: Ok(entry) };
    bench.library(LibraryEvent::Sheet(Box::new(made)));
    assert!(bench.has("The grid is finished: its sheet is the newest picture of this session"));
    assert_eq!(bench.state().film.items().len(), 6);

    // The sheet is shown, and its axes can be taken up again.
    bench.click("Use this grid…");
    assert_eq!(bench.state().grids.axes[0].text, "2, 6");
    assert!(bench.has("2 × 2 = 4 pictures, about 20 s"));
    bench.press(Modifiers::NONE, Key::Escape);
    assert!(!bench.state().grids.is_open);
}

#[test]
fn a_grid_is_stopped_and_its_sheet_is_made_of_what_is_there() {
    let mut bench = written(Settings::default());
    bench.click("Make 6 pictures");
    let first = bench.sent_job().expect("sent");
    bench.finish(&first, 2);
    let second = bench.sent_job().expect("sent");
    bench.engine(Event::Failed { job: second.id, error: UserError::failed("The disk is full") });
    let third = bench.sent_job().expect("sent");
    bench.click("Stop the grid");
    assert!(third.cancel.is_cancelled());
    let left: Vec<_> = bench.state().queue.waiting().map(|job| job.id).collect();
    assert_eq!(left, [second.id], "what failed can be tried again");
    bench.engine(Event::Cancelled { job: third.id });
    let order = order(&bench).expect("one picture is there");
    let told: Vec<&str> = order
        .cells
        .iter()
        .map(|cell| match cell {
            SheetCell::Blank(reason) => reason.as_str(),
            SheetCell::File(_) | SheetCell::Memory(_) => "there",
        })
        .collect();
    assert_eq!(told, ["there", "Failed", "Stopped", "Stopped", "Stopped", "Stopped"]);
}

#[test]
fn all_samplers_are_filled_in_and_an_axis_is_left_out_again() {
    let mut bench = written(Settings::default());
    bench.click("All: down");
    assert_eq!(bench.state().grids.axes[1].text, "dpmpp_2m, ddim, euler");
    choose(&mut bench, "down", "Nothing");
    assert!(bench.has("3 pictures, about 13 s"), "5 s × 2.5");
    choose(&mut bench, "across", "Nothing");
    assert!(bench.has("Choose what is to differ"));
    bench.click("Close");
    assert!(!bench.state().grids.is_open);
}

#[test]
fn dialog_dark() {
    let mut bench = written(Settings::default());
    snapshot(&mut bench, "grid_dark");
}

#[test]
fn dialog_light_with_problems() {
    let mut bench = written(Settings { theme: Theme::Light, ..Settings::default() });
    choose(&mut bench, "pages", "Seed");
    type_text(&mut bench, "Values: pages", "1-3, soon, 9-1 (+2)");
    snapshot(&mut bench, "grid_light");
}

fn finished(bench: &mut Bench) -> Job {
    bench.press(Modifiers::COMMAND, Key::Enter);
    let job = bench.sent_job().expect("a job was sent");
    bench.finish(&job, 1);
    job
}

#[test]
fn the_drafts_variation_is_folded_away_and_goes_into_the_request() {
    let mut bench = Bench::first_start();
    assert!(!bench.has("Towards"));
    bench.harness.get_by_role_and_label(Role::DisclosureTriangle, "Variation").click_accesskit();
    bench.harness.run_steps(16);
    bench.harness.get_by_role_and_label(Role::SpinButton, "Strength of the variation").scroll_to_me();
    bench.harness.run();
    bench.type_number("Strength of the variation", "0.25");
    assert_eq!(bench.draft().variation.map(|variation| variation.strength), Some(0.25));
    bench.harness.get_by_role_and_label(Role::TextInput, "Towards").scroll_to_me();
    bench.harness.run();
    type_text(&mut bench, "Towards", "99x");
    bench.type_number("Pictures", "3");
    bench.press(Modifiers::COMMAND, Key::Enter);
    let request = bench.sent_job().expect("sent").request;
    assert_eq!(request.variation.map(|variation| (variation.seed, variation.strength)), Some((99, 0.25)));
    assert_eq!(request.single(2).variation.map(|variation| variation.seed), Some(101));
    let before = bench.draft().variation;
    bench.harness.get_by_role_and_label(Role::Button, "Another way").click_accesskit();
    bench.harness.run();
    assert_ne!(bench.draft().variation, before);
}

#[test]
fn variations_of_a_finished_picture_are_queued() {
    let mut bench = Bench::first_start();
    let first = finished(&mut bench);
    bench.click("Make variations…");
    assert!(bench.has(&format!("Pictures around seed {}, made with all that made this one", first.request.seed)));
    bench.type_number("Difference", "0.3");
    bench.click("8");
    snapshot(&mut bench, "variations");
    bench.click("Make 8 variations");
    let request = bench.sent_job().expect("sent").request;
    assert_eq!((request.seed, request.count), (first.request.seed, 8));
    assert_eq!(request.variation.map(|variation| variation.strength), Some(0.3));
    assert_eq!(request.prompt, first.request.prompt);

    // Esc closes the question and stops nothing.
    let job = first;
    let event = Event::Finished {
        job: job.id,
        index: 0,
        picture: Arc::new(garment(128, 128, 3)),
        recipe: Box::new(recipe(job.request.single(0))),
        saved: Ok(Box::new(entry(7, &recipe(job.request.single(0))))),
    };
    bench.engine(event);
    bench.harness.get_by_label_contains("Session picture 1").click();
    bench.harness.run();
    bench.click("Make variations…");
    bench.press(Modifiers::NONE, Key::Escape);
    assert!(bench.state().variations.of.is_none());
    assert!(!bench.state().queue.running().expect("the job still runs").cancelling);
}
