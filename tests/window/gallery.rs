//! The gallery: the grid, the large view, the recipe, what is done with a picture.

use std::sync::Arc;

use atelier::domain::{BulkWork, GenerateRequest, Marks, PictureId, SearchRequest, TrashedPicture, UserError};
use atelier::library::{BulkReport, GalleryCommand, GalleryEvent, LibraryCommand, LibraryEvent, SaveSource};
use atelier::studio::{DialogAnswer, DialogRequest, Place};
use egui::{Key, Modifiers};
use egui_kittest::kittest::Queryable;

use super::bench::{Bench, garment, history};

/// A gallery of ten pictures, of which the second newest, number 9, is open.
fn opened() -> Bench {
    let mut bench = Bench::first_start();
    bench.go_to("Gallery");
    bench.serve(&history(10));
    bench.harness.get_by_label("Picture: a leather boot number 9").click();
    bench.harness.run();
    bench.serve(&history(10));
    bench.library(LibraryEvent::Opened { id: PictureId(9), picture: Arc::new(garment(96, 128, 9)) });
    bench
}

/// Which thumbnails are asked for.
pub fn thumbnails(commands: &[LibraryCommand]) -> Vec<PictureId> {
    let mut wanted = commands.iter().filter_map(|command| match command {
        LibraryCommand::Gallery(GalleryCommand::Thumbnails(wanted)) => Some(wanted.iter().map(|(id, _)| *id)),
        _ => None,
    });
    // What is asked for takes the place of what was asked for before.
    wanted.next_back().into_iter().flatten().collect()
}

#[test]
fn the_history_is_asked_for_at_the_start() {
    let bench = Bench::first_start();
    let commands = bench.asked_of_gallery();
    let [GalleryCommand::Search { request, .. }, GalleryCommand::Overview, GalleryCommand::Reconcile] =
        commands.as_slice()
    else {
        panic!("{commands:?}")
    };
    assert_eq!(*request, SearchRequest::default());
}

#[test]
fn an_empty_gallery_says_what_to_do() {
    let mut bench = Bench::first_start();
    bench.go_to("Gallery");
    assert!(bench.has("Reading the history"));
    bench.serve(&[]);
    assert!(bench.has("No pictures yet"));
}

#[test]
fn only_what_is_in_view_asks_for_thumbnails() {
    let mut bench = Bench::first_start();
    bench.go_to("Gallery");
    let history = history(5000);
    let mut asked = thumbnails(&bench.serve(&history));
    assert!(bench.has("5000 pictures"));
    let mut brought = 0;
    while !asked.is_empty() {
        brought += asked.len();
        for id in asked {
            bench
                .library_events
                .send(LibraryEvent::Thumbnail { id, picture: Arc::new(garment(32, 32, 1)) })
                .expect("open");
        }
        bench.harness.run();
        asked = thumbnails(&bench.serve(&history));
    }
    // 5 columns and at most 5 rows are in view at 1280 x 800, beside the collections and below the search.
    assert!((15..=25).contains(&brought), "{brought} thumbnails");
}

#[test]
fn a_click_opens_a_picture_with_its_recipe() {
    let mut bench = Bench::first_start();
    bench.go_to("Gallery");
    bench.serve(&history(10));
    bench.harness.get_by_label("Picture: a leather boot number 9").click();
    bench.harness.run();
    let rest = bench.serve(&history(10));
    let opened = rest.iter().any(|c| matches!(c, LibraryCommand::Open { id: PictureId(9), .. }));
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
    assert_eq!(bench.state().gallery.selected, Some(PictureId(5)), "five columns down");
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
    let commands = bench.asked_of_gallery();
    let [GalleryCommand::Bulk { ticket, ids, work: BulkWork::Trash, .. }] = commands.as_slice() else {
        panic!("{commands:?}")
    };
    assert_eq!(ids, &[PictureId(9)]);
    assert_eq!(bench.state().gallery.ids().len(), 10, "not before it is really gone");
    let path = history(10)[1].path.clone();
    let trashed = vec![TrashedPicture { id: PictureId(9), path, marks: Marks::default(), collections: Vec::new() }];
    let report = BulkReport { total: 1, done: 1, trashed: trashed.clone(), ..BulkReport::default() };
    bench.library(LibraryEvent::Gallery(GalleryEvent::BulkDone { ticket: *ticket, report, error: None }));
    assert_eq!(bench.state().gallery.ids().len(), 9);
    assert_eq!(bench.state().gallery.selected, Some(PictureId(8)), "its neighbour is shown");
    bench.asked_of_gallery();
    bench.click("Undo");
    let commands = bench.asked_of_gallery();
    assert!(matches!(commands.as_slice(), [GalleryCommand::Restore(back)] if *back == trashed), "{commands:?}");
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
