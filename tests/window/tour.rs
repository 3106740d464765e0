//! The tour of the first start.

use atelier::domain::Settings;
use atelier::library::LibraryCommand;
use atelier::studio::{Place, TourStep};
use egui::{Key, Modifiers};

use super::bench::Bench;

fn newcomer() -> Bench {
    Bench::start(Settings::default(), [1280.0, 800.0], 1.0)
}

fn is_remembered(bench: &Bench) -> bool {
    let last = bench.library_commands.try_iter().filter_map(|command| match command {
        LibraryCommand::SaveSettings(settings) => Some(settings.shell.tour_seen),
        _ => None,
    });
    last.last().unwrap_or(false)
}

#[test]
fn it_leads_from_a_prompt_to_the_gallery() {
    let mut bench = newcomer();
    assert!(bench.has("Step 1 of 3") && bench.has("Say what to draw"));
    bench.click("Next");
    assert!(bench.has("Watch it form"));
    // Nothing is in its way: the window can be used meanwhile.
    bench.click("Generate");
    let job = bench.sent_job().expect("a job is sent");
    bench.finish(&job, 1);
    assert!(bench.has("Step 3 of 3") && bench.has("Find it again"));
    bench.go_to("Gallery");
    assert_eq!(bench.state().shell.tour, None);
    bench.harness.run_steps(20);
    assert!(is_remembered(&bench));
}

#[test]
fn it_can_be_skipped_and_begun_again() {
    let mut bench = newcomer();
    bench.click("Skip the tour");
    assert!(!bench.has("Step 1 of 3"));
    assert!(is_remembered(&bench));
    bench.press(Modifiers::COMMAND, Key::P);
    bench.harness.event(egui::Event::Text("take the tour".to_owned()));
    bench.harness.run();
    bench.press(Modifiers::NONE, Key::Enter);
    assert_eq!(bench.state().place, Place::Create);
    assert_eq!(bench.state().shell.tour, Some(TourStep::Write));
    bench.click("Next");
    bench.click("Next");
    bench.click("Done");
    assert_eq!(bench.state().shell.tour, None);
}

#[test]
fn generating_by_keys_goes_on_too() {
    let mut bench = newcomer();
    bench.press(Modifiers::COMMAND, Key::Enter);
    assert_eq!(bench.state().shell.tour, Some(TourStep::Gallery));
}
