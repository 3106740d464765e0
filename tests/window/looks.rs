//! Pictures of the window. They are compared with a tolerance, since drivers differ by a shade.

use std::sync::Arc;

use atelier::domain::{
    DownloadPlan, Event, GalleryRow, Marks, ModelHome, ModelState, ModelsEvent, PictureEntry, Settings, Theme,
    TokenSource, TransferEnd, TransferKey, UserError,
};
use atelier::library::{GalleryEvent, LibraryEvent};
use egui::{Key, Modifiers, Role};
use egui_kittest::SnapshotOptions;
use egui_kittest::kittest::Queryable;

use super::bench::{Bench, garment, history, model_info};
use super::gallery::thumbnails;
use super::{adapters, batch, gallery_many, models, queue, timeline};

/// A session in the middle of its work: three pictures made, one forming, two waiting.
fn working(settings: Settings, size: [f32; 2]) -> Bench {
    let mut bench = Bench::with(settings, size);
    let starter = bench.draft().model.clone();
    let mut info = model_info(starter, atelier::domain::FamilyId::Starter);
    "Atelier starter".clone_into(&mut info.name);
    info.parameters = 31_400_000;
    bench.engine(Event::ModelReady(info));
    for id in 1..=3 {
        bench.press(Modifiers::COMMAND, Key::Enter);
        let job = bench.sent_job().expect("a job was sent");
        bench.finish(&job, id);
    }
    for _ in 0..3 {
        bench.press(Modifiers::COMMAND, Key::Enter);
    }
    let job = bench.sent_job().expect("a job was sent");
    bench.step(job.id, 13, 20);
    bench
}

pub fn snapshot(bench: &mut Bench, name: &str) {
    let options = SnapshotOptions::new().threshold(1.2).max_failed_pixels(400);
    bench.harness.snapshot_options(name, &options);
}

#[test]
fn create_dark() {
    let mut bench = working(Settings::default(), [1280.0, 800.0]);
    snapshot(&mut bench, "create_dark");
}

#[test]
fn create_light() {
    let mut bench = working(Settings { theme: Theme::Light, ..Settings::default() }, [1280.0, 800.0]);
    snapshot(&mut bench, "create_light");
}

#[test]
fn create_small() {
    let mut bench = Bench::with(Settings::default(), [900.0, 600.0]);
    bench.press(Modifiers::COMMAND, Key::Enter);
    let job = bench.sent_job().expect("a job was sent");
    bench.finish(&job, 1);
    snapshot(&mut bench, "create_small");
}

#[test]
fn gallery() {
    let mut bench = Bench::first_start();
    bench.go_to("Gallery");
    bring_thumbnails(&mut bench, &history(40));
    snapshot(&mut bench, "gallery");
    bench.harness.get_by_label("Picture: a leather boot number 39").click();
    bench.harness.run();
    let entry = bench.state().gallery.selected_entry().expect("a picture is open").clone();
    let picture = Arc::new(garment(entry.width_px, entry.height_px, entry.id.0 as u32));
    bench.library(LibraryEvent::Opened { id: entry.id, picture });
    snapshot(&mut bench, "gallery_large");
}

#[test]
fn gallery_light_with_a_choice() {
    let mut bench = Bench::with(Settings { theme: Theme::Light, ..Settings::default() }, [1280.0, 800.0]);
    bench.go_to("Gallery");
    let history = history(40);
    bring_thumbnails(&mut bench, &history);
    gallery_many::tell(&mut bench, gallery_many::collections());
    let star = |entry: &PictureEntry| GalleryRow { entry: entry.clone(), marks: Marks { star: true, rating: 0 } };
    let marked = GalleryEvent::Marked(history.iter().step_by(4).map(star).collect());
    gallery_many::tell(&mut bench, marked);
    bench.library_commands.try_iter().for_each(drop);
    bench.press(Modifiers::COMMAND, Key::F);
    bench.harness.event(egui::Event::Text("samler:ddim boot".to_owned()));
    bench.harness.run();
    for (modifiers, id) in [(Modifiers::COMMAND, 39), (Modifiers::SHIFT, 36)] {
        let thing = &history[40 - id].recipe.as_ref().expect("all have one").request.prompt;
        bench.harness.get_by_label(&format!("Picture: {thing}")).click_modifiers(modifiers);
        bench.harness.run();
    }
    snapshot(&mut bench, "gallery_chosen");
}

#[test]
fn settings_and_notices() {
    let mut bench = Bench::first_start();
    bench.go_to("Settings");
    let error = UserError::failed("Could not save the picture")
        .hint("the disk is full; make room and use Save as…")
        .path("/home/kim/atelier/pictures/2026-11-21");
    bench.library(LibraryEvent::SaveFailed { error });
    bench.library(LibraryEvent::Saved { target: "/home/kim/pullover.webp".into() });
    snapshot(&mut bench, "settings");
}

#[test]
fn settings_light() {
    let mut bench = Bench::with(Settings { theme: Theme::Light, ..Settings::default() }, [1024.0, 700.0]);
    bench.go_to("Settings");
    snapshot(&mut bench, "settings_light");
}

#[test]
fn models_of_a_first_start_light() {
    let mut bench = models::open();
    bench.go_to("Settings");
    bench.harness.get_by_label("Light").click();
    bench.harness.run();
    bench.go_to("Models");
    models::list(&mut bench, Vec::new());
    let page = "https://huggingface.co/settings/tokens".to_owned();
    bench.models(ModelsEvent::Token { source: TokenSource::None, page, problem: None });
    snapshot(&mut bench, "models_empty");
}

#[test]
fn models_coming_refused_and_here() {
    let mut bench = models::open();
    let error = UserError::input("This is Flux, which Atelier cannot use")
        .hint("models of Stable Diffusion 1, 2 and XL, their parts and their LoRAs can be used")
        .path("/home/kim/models/flux.safetensors");
    let here = ModelState::Ready(models::summary());
    models::list(
        &mut bench,
        vec![
            models::entry("flux.safetensors", ModelHome::Own, ModelState::Refused(error)),
            models::entry("mine.safetensors", ModelHome::Own, here.clone()),
            models::entry("stable-diffusion-v1-5/stable-diffusion-v1-5", ModelHome::HubCache, here),
        ],
    );
    models::click(&mut bench, "Download… SD-Turbo");
    bench.models(models::planned(models::plan()));
    models::click(&mut bench, &format!("Download {}", models::REPO));
    bench.models(models::moved());
    let error = UserError::input("org/closed is given only to those who accepted its terms")
        .hint("accept the terms at https://huggingface.co/org/closed, then try again");
    let end = TransferEnd::Failed(error);
    bench.models(ModelsEvent::TransferEnded { key: TransferKey::Repo("org/closed".to_owned()), end });
    let plan = DownloadPlan { has_terms: true, missing_bytes: 640_000_000, ..models::plan() };
    let (repo, page) = ("org/gated".to_owned(), "https://huggingface.co/org/gated".to_owned());
    bench.models(ModelsEvent::TransferMoved { key: TransferKey::Repo(repo.clone()), progress: models::progress() });
    bench.models(ModelsEvent::Planned { repo: repo.clone(), page, plan });
    bench.models(ModelsEvent::TransferEnded { key: TransferKey::Repo(repo), end: TransferEnd::Paused });
    snapshot(&mut bench, "models_states");
}

/// Answers every thumbnail that is asked for, until all in view are there.
fn bring_thumbnails(bench: &mut Bench, history: &[PictureEntry]) {
    loop {
        let asked = thumbnails(&bench.serve(history));
        if asked.is_empty() {
            return;
        }
        for id in asked {
            let narrow = id.0 % 3 == 0;
            let picture = Arc::new(garment(if narrow { 96 } else { 128 }, 128, id.0 as u32));
            bench.library(LibraryEvent::Thumbnail { id, picture });
        }
    }
}

#[test]
fn adapters_with_their_fit() {
    let mut bench = adapters::open(adapters::cards());
    bench.harness.get_by_role_and_label(Role::CheckBox, "Ink wash").click();
    bench.harness.run();
    adapters::disclose(&mut bench, "256 of 264 keys · Stable Diffusion 1");
    snapshot(&mut bench, "adapters");
}

#[test]
fn batch_empty_light() {
    let mut bench = Bench::with(Settings { theme: Theme::Light, ..Settings::default() }, [1280.0, 800.0]);
    bench.go_to("Batch");
    snapshot(&mut bench, "batch_empty");
}

#[test]
fn batch_with_problems() {
    let mut bench = Bench::first_start();
    batch::open(&mut bench, &batch::table(40));
    batch::type_template(&mut bench, "a {colour} {garment} on a grey background");
    batch::check(&mut bench, &[0, 1]);
    snapshot(&mut bench, "batch_problems");
}

#[test]
fn batch_running_light() {
    let mut bench = Bench::with(Settings { theme: Theme::Light, ..Settings::default() }, [1280.0, 800.0]);
    batch::open(&mut bench, &batch::table(40));
    batch::type_template(&mut bench, "a {colour} {garment}");
    batch::check(&mut bench, &[]);
    bench.click("Make the pictures");
    for id in 1..=4 {
        let job = bench.sent_job().expect("a row is made");
        bench.finish(&job, id);
    }
    let job = bench.sent_job().expect("a row is made");
    bench.engine(Event::Failed { job: job.id, error: UserError::failed("The model has no room in memory") });
    let job = bench.sent_job().expect("a row is made");
    bench.step(job.id, 7, 20);
    for id in thumbnails(&bench.serve(&[])) {
        let picture = Arc::new(garment(128, 128, id.0 as u32));
        bench.library(LibraryEvent::Thumbnail { id, picture });
    }
    snapshot(&mut bench, "batch_running");
}

#[test]
fn steps_and_branches() {
    let mut bench = timeline::with_branches();
    snapshot(&mut bench, "create_branches");
}

#[test]
fn jobs_that_were_left() {
    let mut bench = queue::with_left_over();
    snapshot(&mut bench, "create_queue");
}

#[test]
fn the_palette_over_a_session() {
    let mut bench = working(Settings::default(), [1280.0, 800.0]);
    bench.press(Modifiers::COMMAND, Key::P);
    bench.harness.event(egui::Event::Text("sa".to_owned()));
    bench.harness.run();
    snapshot(&mut bench, "palette");
}

#[test]
fn the_tour_at_the_first_start() {
    let mut bench = Bench::start(Settings::default(), [1024.0, 700.0], 1.0);
    bench.click("Next");
    snapshot(&mut bench, "tour");
}
