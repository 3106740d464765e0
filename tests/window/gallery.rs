//! The gallery: the grid, the large view, the recipe, what is done with a picture.

use std::sync::Arc;

use atelier::domain::{GenerateRequest, PictureId, UserError};
use atelier::library::{LibraryCommand, LibraryEvent, SaveSource};
use atelier::studio::{DialogAnswer, DialogRequest, MAX_THUMBNAILS_IN_FLIGHT, Place};
use egui::{Key, Modifiers};
use egui_kittest::kittest::Queryable;

use super::bench::{Bench, garment, history};

/// A gallery of ten pictures, of which the second newest, number 9, is open.
fn opened() -> Bench {
    let mut bench = Bench::first_start();
    bench.library(LibraryEvent::Pictures(history(10)));
    bench.go_to("Gallery");
    bench.harness.get_by_label("Picture: a leather boot number 9").click();
    bench.harness.run();
    let _ = bench.library_commands.try_iter().count();
    bench.library(LibraryEvent::Opened { id: PictureId(9), picture: Arc::new(garment(96, 128, 9)) });
    bench
}

#[test]
fn the_history_is_asked_for_at_the_start() {
    let bench = Bench::first_start();
    let commands: Vec<LibraryCommand> = bench.library_commands.try_iter().collect();
    assert!(matches!(commands.as_slice(), [LibraryCommand::List, LibraryCommand::Rescan]), "{commands:?}");
}

#[test]
fn an_empty_gallery_says_what_to_do() {
    let mut bench = Bench::first_start();
    bench.go_to("Gallery");
    assert!(bench.has("Reading the history"));
    bench.library(LibraryEvent::Pictures(Vec::new()));
    assert!(bench.has("No pictures yet"));
}

#[test]
fn only_what_is_in_view_asks_for_thumbnails_and_few_at_a_time() {
    let mut bench = Bench::first_start();
    bench.library(LibraryEvent::Pictures(history(5000)));
    bench.go_to("Gallery");
    assert!(bench.has("5000 pictures"));
    let mut brought = 0;
    loop {
        let asked: Vec<PictureId> = bench
            .library_commands
            .try_iter()
            .filter_map(|command| match command {
                LibraryCommand::Thumbnail { id, .. } => Some(id),
                _ => None,
            })
            .collect();
        assert!(asked.len() <= MAX_THUMBNAILS_IN_FLIGHT);
        if asked.is_empty() {
            break;
        }
        brought += asked.len();
        for id in asked {
            bench
                .library_events
                .send(LibraryEvent::Thumbnail { id, picture: Arc::new(garment(32, 32, 1)) })
                .expect("open");
        }
        bench.harness.run();
    }
    // 6 columns and at most 6 rows are in view at 1280 x 800.
    assert!((24..=36).contains(&brought), "{brought} thumbnails");
}

#[test]
fn a_click_opens_a_picture_with_its_recipe() {
    let mut bench = Bench::first_start();
    bench.library(LibraryEvent::Pictures(history(10)));
    bench.go_to("Gallery");
    let _ = bench.library_commands.try_iter().count();
    bench.harness.get_by_label("Picture: a leather boot number 9").click();
    bench.harness.run();
    let opened = bench.library_commands.try_iter().any(|c| matches!(c, LibraryCommand::Open { id: PictureId(9), .. }));
    assert!(opened, "the file is read");
    bench.library(LibraryEvent::Opened { id: PictureId(9), picture: Arc::new(garment(96, 128, 9)) });
    for text in ["Large picture: a leather boot number 9", "96 × 128 px", "DDIM", "1009", "2 of 10"] {
        assert!(bench.has(text), "{text}");
    }
}

#[test]
fn arrows_move_through_the_pictures_and_esc_goes_back() {
    let mut bench = opened();
    bench.press(Modifiers::NONE, Key::ArrowRight);
    assert_eq!(bench.state().gallery.selected, Some(PictureId(8)));
    bench.press(Modifiers::NONE, Key::ArrowLeft);
    bench.press(Modifiers::NONE, Key::ArrowLeft);
    assert_eq!(bench.state().gallery.selected, Some(PictureId(10)));
    bench.press(Modifiers::NONE, Key::ArrowLeft);
    assert_eq!(bench.state().gallery.selected, Some(PictureId(10)), "the newest is the end");
    bench.press(Modifiers::NONE, Key::Escape);
    assert!(!bench.state().gallery.large);
    bench.press(Modifiers::NONE, Key::ArrowDown);
    assert_eq!(bench.state().gallery.selected, Some(PictureId(4)), "six columns down");
    bench.press(Modifiers::NONE, Key::Enter);
    assert!(bench.state().gallery.large);
}

#[test]
fn use_all_parameters_restores_the_request_exactly() {
    let mut bench = opened();
    let recipe = bench.state().gallery.selected_entry().and_then(|entry| entry.recipe.clone()).expect("a recipe");
    assert_ne!(*bench.draft(), recipe.request);
    bench.click("Use all parameters");
    assert_eq!(bench.state().place, Place::Create);
    let json = |request: &GenerateRequest| serde_json::to_string(request).expect("a request is JSON");
    assert_eq!(json(bench.draft()), json(&recipe.request));
    bench.click("Generate");
    let sent = bench.sent_job().expect("a job was sent").request;
    assert_eq!(json(&sent), json(&recipe.request), "and nothing on the way to the engine changes it");
}

#[test]
fn prompt_and_seed_can_be_taken_alone() {
    let mut bench = opened();
    let before = bench.draft().clone();
    bench.click("Use seed");
    assert_eq!(bench.draft().seed, 1009);
    assert!(bench.state().draft.seed_locked);
    assert_eq!(bench.draft().prompt, before.prompt);
    bench.go_to("Gallery");
    bench.click("Use prompt");
    assert_eq!(
        (bench.draft().prompt.as_str(), bench.draft().negative_prompt.as_str()),
        ("a leather boot number 9", "blurry")
    );
    assert_eq!(bench.draft().num_inference_steps, before.num_inference_steps);
}

#[test]
fn save_as_asks_where_and_sends_it() {
    let mut bench = opened();
    bench.script.borrow_mut().answers.push(DialogAnswer::Chosen("/home/kim/boot.webp".into()));
    bench.press(Modifiers::COMMAND, Key::S);
    match bench.script.borrow().asked.as_slice() {
        [DialogRequest::SavePicture { suggested_name, .. }] => assert_eq!(suggested_name, "00009-1009.png"),
        other => panic!("{other:?}"),
    }
    let commands: Vec<LibraryCommand> = bench.library_commands.try_iter().collect();
    let sent = commands.iter().any(|command| {
        matches!(command, LibraryCommand::SaveAs { source: SaveSource::File(_), target } if target.ends_with("boot.webp"))
    });
    assert!(sent, "{commands:?}");
    bench.library(LibraryEvent::Saved { target: "/home/kim/boot.webp".into() });
    assert!(bench.has("Saved") && bench.has("/home/kim/boot.webp"));
}

#[test]
fn a_confirmation_goes_by_itself_and_an_error_stays() {
    let mut bench = opened();
    bench.library(LibraryEvent::SaveFailed { error: UserError::failed("Could not write") });
    bench.library(LibraryEvent::Saved { target: "/home/kim/boot.webp".into() });
    assert!(bench.has("Saved"));
    // A frame of the tests is a quarter of a second.
    bench.harness.run_steps(30);
    assert!(!bench.has("Saved") && bench.has("Could not write"));
}

#[test]
fn a_dismissed_dialog_saves_nothing_and_can_be_asked_again() {
    let mut bench = opened();
    for _ in 0..2 {
        bench.click("Save as…");
    }
    assert_eq!(bench.script.borrow().asked.len(), 2);
    assert!(!bench.library_commands.try_iter().any(|command| matches!(command, LibraryCommand::SaveAs { .. })));
}

#[test]
fn without_a_file_dialog_the_path_is_typed() {
    let mut bench = opened();
    bench.script.borrow_mut().answers.push(DialogAnswer::Unavailable);
    bench.click("Save as…");
    assert!(bench.has("Save the picture as"));
    bench.click("Go on");
    let target = bench.library_commands.try_iter().find_map(|command| match command {
        LibraryCommand::SaveAs { target, .. } => Some(target),
        _ => None,
    });
    assert_eq!(target.as_deref().and_then(|path| path.to_str()), Some("/home/kim/atelier/pictures/00009-1009.png"));
    assert!(!bench.has("Save the picture as"));
}

#[test]
fn the_trash_takes_a_picture_out_once_it_is_there() {
    let mut bench = opened();
    bench.press(Modifiers::NONE, Key::Delete);
    let asked = bench.library_commands.try_iter().any(|c| matches!(c, LibraryCommand::Trash { id: PictureId(9), .. }));
    assert!(asked);
    assert_eq!(bench.state().gallery.entries().len(), 10, "not before it is really gone");
    bench.library(LibraryEvent::Trashed { id: PictureId(9) });
    assert_eq!(bench.state().gallery.entries().len(), 9);
    assert_eq!(bench.state().gallery.selected, Some(PictureId(8)), "its neighbour is shown");
}

#[test]
fn copy_puts_picture_and_prompt_on_the_clipboard() {
    let mut bench = opened();
    bench.harness.get_by_label("Copy picture").click();
    bench.harness.step();
    bench.harness.step();
    let copied = |bench: &Bench| bench.harness.output().platform_output.commands.clone();
    let is_image = copied(&bench)
        .iter()
        .any(|command| matches!(command, egui::OutputCommand::CopyImage(image) if image.size == [96, 128]));
    assert!(is_image || bench.has("The picture is on the clipboard"));
    bench.harness.run();
    bench.click("Copy prompt");
    assert!(bench.has("The prompt is on the clipboard"));
}

#[test]
fn a_picture_is_made_larger_with_what_made_it() {
    let mut bench = opened();
    let draft = bench.draft().clone();
    bench.click("Upscale 2×");
    let job = bench.sent_job().expect("a job of its own");
    let request = &job.request;
    assert_eq!((request.prompt.as_str(), request.seed, request.count), ("a leather boot number 9", 1009, 1));
    assert_eq!((request.upscale, request.width_px, request.height_px), (Some(2.0), 128, 128), "native tiles");
    let init = request.init.as_ref().expect("the picture itself");
    assert!(init.picture.ends_with("00009-1009.png") && init.strength == 0.3 && init.mask.is_none());
    assert_eq!(bench.state().place, Place::Create);
    assert_eq!(*bench.draft(), draft, "the draft stays");
}
