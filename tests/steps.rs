//! Pictures that are interrupted and go on, and pictures that branch off others, on the reference's small model of Stable
//! Diffusion 1: always to the same bytes as without.

#![allow(clippy::unwrap_used, reason = "a test may fail by panicking")]

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use atelier::domain::{
    Cancel, Extend, Fork, GenerateRequest, Hires, InitImage, ModelRef, Picture, Result, SamplerId, ScheduleId,
};
use atelier::models::{self, Model};
use atelier::pipeline::{self, Assets, Made, Progress, Reached, Snapshot, Watch};
use atelier::sampling::{ModelKind, samplers_for};

const STEPS: u32 = 4;

fn model_path() -> PathBuf {
    let reference = std::env::var_os("ATELIER_REFERENCE")
        .map_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/reference"), PathBuf::from);
    reference.join("models/sd1")
}

fn open() -> Model {
    models::open(&ModelRef::Path(model_path()), None, &Cancel::default(), &mut |_| ()).unwrap()
}

fn request(sampler: SamplerId) -> GenerateRequest {
    GenerateRequest {
        prompt: "a red dress".to_owned(),
        model: ModelRef::Path(model_path()),
        width_px: 64,
        height_px: 64,
        num_inference_steps: STEPS,
        sampler,
        seed: 11,
        ..GenerateRequest::default()
    }
}

/// Stops a picture after some evaluations, and lets it go on from what was kept.
#[derive(Default)]
struct Keeper {
    cancel: Cancel,
    stop_after: Option<usize>,
    /// What was reached last, as it is written.
    kept: Option<Vec<u8>>,
    evaluations: usize,
    decodings: usize,
    /// What each step was, by the picture and its number.
    steps: HashMap<(String, u32), Snapshot>,
    recalls: bool,
    told: Vec<u32>,
}

impl Watch for Keeper {
    fn progress(&mut self, progress: Progress) {
        match progress {
            Progress::Step { step, .. } => self.told.push(step),
            Progress::Decoding => self.decodings += 1,
        }
    }

    fn reached(&mut self, reached: &Reached<'_>) {
        self.evaluations += 1;
        let snapshot = reached.snapshot();
        self.kept = Some(snapshot.to_bytes());
        if let Some(step) = reached.step {
            self.steps.insert((reached.key.to_owned(), step), snapshot);
        }
        if self.stop_after == Some(self.evaluations) {
            self.cancel.cancel();
        }
    }

    fn resume(&mut self, _key: &str) -> Option<Snapshot> {
        Snapshot::from_bytes(self.kept.as_ref()?)
    }

    fn recall(&mut self, _request: &GenerateRequest, key: &str, step: u32) -> Option<Snapshot> {
        self.steps.get(&(key.to_owned(), step)).filter(|_| self.recalls).cloned()
    }
}

fn make_with(model: &mut Model, request: &GenerateRequest, keeper: &mut Keeper) -> Result<Made> {
    let cancel = keeper.cancel.clone();
    pipeline::make_watched(model, request, &Assets::default(), false, &cancel, keeper)
}

fn make(model: &mut Model, request: &GenerateRequest) -> Picture {
    make_with(model, request, &mut Keeper::default()).unwrap_or_else(|error| panic!("{error}")).picture
}

/// Makes a picture that is stopped after some evaluations and gone on with; how many were made in all.
fn interrupted(model: &mut Model, request: &GenerateRequest, after: usize) -> (Picture, usize) {
    let mut first = Keeper { stop_after: Some(after), ..Keeper::default() };
    let error = make_with(model, request, &mut first).err().expect("it was stopped");
    assert!(error.is_cancelled(), "{error}");
    let mut second = Keeper { kept: first.kept, ..Keeper::default() };
    let made = make_with(model, request, &mut second).unwrap_or_else(|error| panic!("{error}"));
    (made.picture, first.evaluations + second.evaluations)
}

#[test]
fn an_interrupted_picture_goes_on_to_the_same_bytes_with_every_sampler() {
    let mut model = open();
    for sampler in samplers_for(ModelKind::Diffusion) {
        let request = request(sampler);
        let mut whole = Keeper::default();
        let picture = make_with(&mut model, &request, &mut whole).unwrap().picture;
        // Also between the two evaluations of one step, and when only the decoding is left.
        for after in 1..=whole.evaluations {
            let (again, evaluations) = interrupted(&mut model, &request, after);
            assert!(again == picture, "{sampler} after {after} of {}", whole.evaluations);
            assert_eq!(evaluations, whole.evaluations, "{sampler}: nothing is made twice");
        }
    }
}

#[test]
fn pictures_that_begin_with_pictures_go_on_too() {
    let mut model = open();
    let folder = tempfile::tempdir().unwrap();
    let (init, mask) = (folder.path().join("a.png"), folder.path().join("m.png"));
    image::RgbaImage::from_fn(64, 64, |x, y| image::Rgba([4 * x as u8, 4 * y as u8, 90, 255])).save(&init).unwrap();
    image::GrayImage::from_fn(64, 64, |x, _| image::Luma([if x < 24 { 255 } else { 0 }])).save(&mask).unwrap();
    let begins = |mask: Option<PathBuf>| {
        let init = InitImage { picture: init.clone(), mask, strength: 0.75, extend: Extend::default() };
        GenerateRequest { init: Some(init), ..request(SamplerId::EulerA) }
    };
    let two_passes =
        GenerateRequest { hires: Some(Hires { scale: 1.5, strength: 0.5 }), ..request(SamplerId::DpmPp2mSde) };
    for request in [begins(None), begins(Some(mask.clone())), two_passes] {
        let picture = make(&mut model, &request);
        let (again, evaluations) = interrupted(&mut model, &request, 2);
        assert!(again == picture);
        assert!((3..=4).contains(&evaluations), "of the first pass: {evaluations}");
    }
    // Another picture under the same name: what was kept is not of it.
    let request = begins(None);
    let mut first = Keeper { stop_after: Some(2), ..Keeper::default() };
    let _ = make_with(&mut model, &request, &mut first);
    image::RgbaImage::from_pixel(64, 64, image::Rgba([9, 9, 9, 255])).save(&init).unwrap();
    let mut second = Keeper { kept: first.kept, ..Keeper::default() };
    let picture = make_with(&mut model, &request, &mut second).unwrap().picture;
    assert_eq!(second.evaluations, 3);
    assert!(picture == make(&mut model, &request));
}

#[test]
fn what_is_kept_of_another_picture_is_passed_over() {
    let mut model = open();
    let first_request = request(SamplerId::Euler);
    let mut first = Keeper { stop_after: Some(2), ..Keeper::default() };
    let _ = make_with(&mut model, &first_request, &mut first);
    for request in [
        GenerateRequest { seed: 12, ..first_request.clone() },
        GenerateRequest { prompt: "a blue dress".to_owned(), ..first_request.clone() },
        GenerateRequest { width_px: 128, ..first_request.clone() },
        GenerateRequest { schedule: ScheduleId::Karras, ..first_request.clone() },
    ] {
        let mut second = Keeper { kept: first.kept.clone(), ..Keeper::default() };
        let picture = make_with(&mut model, &request, &mut second).unwrap().picture;
        assert_eq!(second.evaluations, STEPS as usize);
        assert!(picture == make(&mut model, &request));
    }
}

fn fork(parent: &GenerateRequest, step: u32) -> GenerateRequest {
    GenerateRequest { fork: Some(Fork { parent: Box::new(parent.clone()), step }), ..parent.clone() }
}

#[test]
fn a_branch_with_nothing_changed_is_the_picture_itself() {
    let mut model = open();
    for sampler in samplers_for(ModelKind::Diffusion) {
        let parent = request(sampler);
        let mut keeper = Keeper { recalls: true, ..Keeper::default() };
        let picture = make_with(&mut model, &parent, &mut keeper).unwrap().picture;
        for step in 1..STEPS {
            // Made again up to the step.
            assert!(make(&mut model, &fork(&parent, step)) == picture, "{sampler} from step {step}");
            // From what is known of it: nothing is made again.
            let mut known = Keeper { steps: keeper.steps.clone(), recalls: true, ..Keeper::default() };
            let branch = make_with(&mut model, &fork(&parent, step), &mut known).unwrap().picture;
            assert!(branch == picture, "{sampler} from step {step}, as it is known");
            assert!(known.told.iter().all(|told| *told > step || sampler == SamplerId::Pndm), "{:?}", known.told);
        }
    }
}

#[test]
fn a_branch_is_made_again_from_its_recipe_alone() {
    let mut model = open();
    let parent = GenerateRequest { num_inference_steps: 6, ..request(SamplerId::EulerA) };
    let mut keeper = Keeper { recalls: true, ..Keeper::default() };
    let picture = make_with(&mut model, &parent, &mut keeper).unwrap().picture;
    let changes: [fn(GenerateRequest) -> GenerateRequest; 6] = [
        |branch| GenerateRequest { prompt: "a blue dress".to_owned(), ..branch },
        |branch| GenerateRequest { guidance_scale: 9.0, ..branch },
        |branch| GenerateRequest { seed: 12, ..branch },
        |branch| GenerateRequest { sampler: SamplerId::DpmPp2m, ..branch },
        |branch| GenerateRequest { sampler: SamplerId::Heun, schedule: ScheduleId::Karras, ..branch },
        |branch| GenerateRequest { num_inference_steps: 10, sampler: SamplerId::Pndm, ..branch },
    ];
    for change in changes {
        let child = change(fork(&parent, 3));
        let mut known = Keeper { steps: keeper.steps.clone(), recalls: true, ..Keeper::default() };
        let made = make_with(&mut model, &child, &mut known).unwrap();
        assert!(made.picture != picture);
        assert_eq!(made.request, child, "the recipe holds the ancestry");
        let text = serde_json::to_string(&made.request).unwrap();
        let restored: GenerateRequest = serde_json::from_str(&text).unwrap();
        assert!(make(&mut model, &restored) == made.picture);
        // And a branch of the branch.
        let grandchild = GenerateRequest { guidance_scale: 2.0, ..fork(&child, child.num_inference_steps - 1) };
        let made = make_with(&mut model, &grandchild, &mut known).unwrap();
        assert!(make(&mut model, &made.request) == made.picture);
        // A branch that is interrupted goes on.
        let (again, _) = interrupted(&mut model, &grandchild, 1);
        assert!(again == made.picture);
    }
}

#[test]
fn a_branch_before_the_parents_own_beginning_is_told() {
    let mut model = open();
    let parent = GenerateRequest { num_inference_steps: 6, ..request(SamplerId::Euler) };
    let child = fork(&parent, 4);
    let wrong = fork(&child, 2);
    let error = make_with(&mut model, &wrong, &mut Keeper::default()).err().unwrap();
    assert!(error.sentence.contains("begins after its step 2"), "{error}");
    let twice = GenerateRequest { hires: Some(Hires { scale: 1.5, strength: 0.5 }), ..child };
    assert_eq!(make_with(&mut model, &twice, &mut Keeper::default()).err().unwrap().exit_code(), 2);
}

#[test]
fn a_step_is_seen_in_full_whether_it_is_known_or_not() {
    let mut model = open();
    let request = request(SamplerId::Euler);
    let mut known = Keeper { recalls: true, ..Keeper::default() };
    let picture = make_with(&mut model, &request, &mut known).unwrap().picture;
    let mut see = |keeper: &mut Keeper, step| {
        pipeline::see_step(&mut model, &request, step, &Assets::default(), &Cancel::default(), keeper).unwrap()
    };
    let mut seen = Vec::new();
    for step in 1..=STEPS {
        let evaluations = known.evaluations;
        let of_memory = see(&mut known, step);
        assert_eq!(known.evaluations, evaluations, "nothing is made again");
        assert!(see(&mut Keeper::default(), step) == of_memory);
        assert_eq!((of_memory.width_px, of_memory.height_px), (64, 64));
        seen.push(of_memory);
    }
    assert!(seen.windows(2).all(|pair| pair[0] != pair[1]), "every step is another picture");
    // Euler ends where its last prediction is, but for rounding.
    let difference = |other: &Picture| picture.rgba.iter().zip(&other.rgba).map(|(a, b)| a.abs_diff(*b)).max();
    assert!(difference(&seen[3]) <= Some(1), "{:?}", difference(&seen[3]));
}
