//! Pictures that begin with pictures, through `pipeline::generate` and `pipeline::make`, on the reference's small model of
//! Stable Diffusion 1: image to image, inpainting, a second pass, painting around, enlarging; and the safety checker.
//!
//! The data lies in `tests/reference`, or in the folder that the environment variable `ATELIER_REFERENCE` names; the
//! safety checker's is always the repository's own.

#![allow(clippy::unwrap_used, reason = "a test may fail by panicking")]

use std::cell::Cell;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use atelier::domain::{Cancel, Extend, GenerateRequest, Hires, InitImage, ModelRef, Picture, Result};
use atelier::models::{self, Model};
use atelier::pipeline::{self, Assets, Generated, Progress, picture_from_tensor, tensor_from_picture};
use image::imageops::FilterType;
use safetensors::tensor::TensorView;
use safetensors::{Dtype, SafeTensors};
use tempfile::TempDir;

fn reference() -> PathBuf {
    std::env::var_os("ATELIER_REFERENCE")
        .map_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/reference"), PathBuf::from)
}

fn model_path() -> PathBuf {
    reference().join("models/sd1")
}

fn open(path: &Path) -> Model {
    models::open(&ModelRef::Path(path.to_path_buf()), None, &Cancel::default(), &mut |_| ())
        .unwrap_or_else(|error| panic!("{error}"))
}

/// Soft waves of colour, without an edge: what jumps in the result is the work's own.
fn waves(width: u32, height: u32) -> image::RgbaImage {
    image::RgbaImage::from_fn(width, height, |x, y| {
        let level = |turn: f32| (127.5 + 100.0 * ((x as f32 + 2.0 * y as f32) / 17.0 + turn).sin()) as u8;
        image::Rgba([level(0.0), level(2.0), level(4.0), 255])
    })
}

/// A folder with `a.png`, soft waves of this size.
fn folder(width: u32, height: u32) -> (TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.png");
    waves(width, height).save(&path).unwrap();
    (folder, path)
}

fn begin_with(picture: &Path, strength: f64) -> GenerateRequest {
    GenerateRequest {
        prompt: "a cat".to_owned(),
        width_px: 64,
        height_px: 64,
        num_inference_steps: 4,
        seed: 3,
        init: Some(InitImage { picture: picture.to_path_buf(), mask: None, strength, extend: Extend::default() }),
        ..GenerateRequest::default()
    }
}

fn run(model: &Model, request: &GenerateRequest, progress: &mut dyn FnMut(Progress)) -> Result<Generated> {
    pipeline::generate(model, request, &Cancel::default(), progress)
}

/// The picture, and the steps that were told: done and of how many.
fn made(model: &Model, request: &GenerateRequest) -> (Picture, Vec<(u32, u32)>) {
    let mut told = Vec::new();
    let made = run(model, request, &mut |progress| {
        if let Progress::Step { step, steps, .. } = progress {
            told.push((step, steps));
        }
    });
    (made.unwrap_or_else(|error| panic!("{error}")).picture, told)
}

fn pixel(picture: &Picture, x: u32, y: u32) -> &[u8] {
    let at = 4 * (y * picture.width_px + x) as usize;
    &picture.rgba[at..at + 4]
}

#[test]
fn a_picture_joins_at_its_strength_and_the_seed_decides_the_rest() {
    let model = open(&model_path());
    let (_folder, path) = folder(64, 64);
    let request = begin_with(&path, 0.5);
    let (picture, told) = made(&model, &request);
    assert_eq!(told, [(1, 2), (2, 2)], "half of four steps");
    assert_eq!((picture.width_px, picture.height_px), (64, 64));
    assert!(made(&model, &request).0 == picture);
    assert!(made(&model, &GenerateRequest { seed: 4, ..request.clone() }).0 != picture);
    // At full strength nothing of the picture is left but in the noise that is put on it: two pictures end alike.
    let difference = |strength| {
        let (_other, dark) = {
            let folder = tempfile::tempdir().unwrap();
            let path = folder.path().join("b.png");
            image::RgbaImage::from_pixel(64, 64, image::Rgba([10, 10, 60, 255])).save(&path).unwrap();
            (folder, path)
        };
        let (one, other) = (made(&model, &begin_with(&path, strength)).0, made(&model, &begin_with(&dark, strength)).0);
        one.rgba.iter().zip(&other.rgba).map(|(a, b)| u64::from(a.abs_diff(*b))).sum::<u64>()
    };
    assert!(difference(0.25) > difference(1.0), "the less is painted over, the more the pictures tell apart");
    let (_, told) = made(&model, &begin_with(&path, 1.0));
    assert_eq!(told.len(), 4);
    let error = run(&model, &begin_with(&path, 0.0), &mut |_| ()).err().unwrap();
    assert!(error.sentence.contains("strength") && error.exit_code() == 2, "{error}");
}

#[test]
fn what_a_mask_keeps_stays_to_the_byte() {
    let model = open(&model_path());
    let (folder, path) = folder(64, 64);
    let mask = folder.path().join("mask.png");
    image::GrayImage::from_fn(64, 64, |x, _| image::Luma([if x < 24 { 255 } else { 0 }])).save(&mask).unwrap();
    let mut request = begin_with(&path, 1.0);
    request.init.as_mut().unwrap().mask = Some(mask);
    let (picture, _) = made(&model, &request);
    let before = waves(64, 64);
    // The two fade into each other beside the mask.
    for (x, y) in (44..64).flat_map(|x| (0..64).map(move |y| (x, y))) {
        assert_eq!(pixel(&picture, x, y), before.get_pixel(x, y).0, "{x} {y}");
    }
    assert!((0..64).any(|y| pixel(&picture, 8, y) != before.get_pixel(8, y).0), "what is masked is new");
}

#[test]
fn a_second_pass_is_larger_and_tells_its_own_steps() {
    let model = open(&model_path());
    let request = GenerateRequest {
        init: None,
        hires: Some(Hires { scale: 1.5, strength: 0.5 }),
        ..begin_with(Path::new(""), 1.0)
    };
    let (picture, told) = made(&model, &request);
    assert_eq!((picture.width_px, picture.height_px), (96, 96));
    assert_eq!(told, [(1, 4), (2, 4), (3, 4), (4, 4), (1, 2), (2, 2)]);
}

#[test]
fn around_a_picture_all_is_new_and_the_picture_stays() {
    let model = open(&model_path());
    let (_folder, path) = folder(64, 64);
    let extend = Extend { left: 32, right: 0, top: 0, bottom: 24 };
    let mut request = GenerateRequest { width_px: 96, height_px: 88, ..begin_with(&path, 0.9) };
    request.init.as_mut().unwrap().extend = extend;
    let (picture, _) = made(&model, &request);
    assert_eq!((picture.width_px, picture.height_px), (96, 88));
    let before = waves(64, 64);
    // Beyond the 8 px that the new part reaches into the old one and the 12 that fade: all of it.
    for (x, y) in (20..64).flat_map(|x| (0..44).map(move |y| (x, y))) {
        assert_eq!(pixel(&picture, x + 32, y), before.get_pixel(x, y).0, "{x} {y}");
    }
    for (x, y) in [(4, 4), (4, 80), (60, 84)] {
        assert_eq!(pixel(&picture, x, y)[3], 255);
    }
    let mirrored = (0..32).flat_map(|x| (0..64).map(move |y| (x, y)));
    let is_new = mirrored.filter(|(x, y)| pixel(&picture, *x, *y) != before.get_pixel(31 - x, *y).0).count();
    assert!(is_new > 32 * 64 / 2, "the mirror image is only what it begins with");
    assert!(made(&model, &request).0 == picture);

    for (extend, size) in [(Extend { left: 4, ..extend }, 96), (Extend { left: 96, ..extend }, 96)] {
        let mut wrong = GenerateRequest { width_px: size, ..request.clone() };
        wrong.init.as_mut().unwrap().extend = extend;
        assert_eq!(run(&model, &wrong, &mut |_| ()).err().unwrap().exit_code(), 2, "{extend:?}");
    }
}

#[test]
fn at_strength_0_an_enlarged_picture_is_lanczos_through_the_autoencoder() {
    let model = open(&model_path());
    let (_folder, path) = folder(41, 33);
    let (picture, told) = made(&model, &GenerateRequest { upscale: Some(2.0), ..begin_with(&path, 0.0) });
    assert!(told.is_empty());
    // 82 × 66, to multiples of 8.
    let large = image::imageops::resize(&waves(41, 33), 80, 64, FilterType::Lanczos3);
    let large = Picture { width_px: 80, height_px: 64, rgba: large.into_raw() };
    let latents = model.vae.encode(&tensor_from_picture(&large).unwrap()).unwrap().mean;
    let expected = picture_from_tensor(&model.vae.decode(&latents).unwrap(), 0).unwrap();
    assert_eq!((picture.width_px, picture.height_px), (80, 64));
    // Latents are scaled up and down between, which rounds.
    let most = picture.rgba.iter().zip(&expected.rgba).map(|(a, b)| a.abs_diff(*b)).max();
    assert!(most <= Some(1), "{most:?}");
}

/// The mean jump from one column of px to the next.
fn jumps(picture: &Picture) -> Vec<f64> {
    let (width, height) = (picture.width_px, picture.height_px);
    let jump = |x: u32| {
        let of = |y| pixel(picture, x, y).iter().zip(pixel(picture, x - 1, y)).map(|(a, b)| f64::from(a.abs_diff(*b)));
        (0..height).flat_map(of).sum::<f64>() / f64::from(3 * height)
    };
    std::iter::once(0.0).chain((1..width).map(jump)).collect()
}

#[test]
fn an_enlarged_picture_has_no_seams_and_is_the_same_again() {
    let model = open(&model_path());
    let (_folder, path) = folder(96, 64);
    let request = GenerateRequest { upscale: Some(2.0), ..begin_with(&path, 0.75) };
    let (picture, told) = made(&model, &request);
    assert_eq!((picture.width_px, picture.height_px), (192, 128));
    // 24 × 16 latents in tiles of 8 that share 2: 4 × 3 of them, three steps.
    assert_eq!((told.first(), told.last(), told.len()), (Some(&(1, 36)), Some(&(36, 36)), 36));
    assert!(made(&model, &request).0 == picture);
    // Tiles begin at 0, 5, 10 and 16 latents. The autoencoder has a grain of its own from latent to latent, so that
    // tiles' edges are held against the places between other latents.
    let jumps = jumps(&picture);
    let edges = [5, 8, 10, 13, 16, 18].map(|latent| 8 * latent);
    let elsewhere = (1..24).map(|latent| 8 * latent).filter(|x| !edges.contains(x));
    let (most, usual) =
        (edges.iter().map(|x| jumps[*x]).fold(0.0, f64::max), elsewhere.map(|x| jumps[x]).fold(0.0, f64::max));
    assert!(most <= 1.1 * usual, "{most} at the edges of tiles, {usual} elsewhere");

    // The same picture in one tile: what a tile sees changes a little, the picture does not.
    let whole = GenerateRequest { width_px: 192, height_px: 128, ..request.clone() };
    let (whole, told) = made(&model, &whole);
    assert_eq!(told.len(), 3);
    let mean = |a: &Picture, b: &Picture| {
        a.rgba.iter().zip(&b.rgba).map(|(a, b)| f64::from(a.abs_diff(*b))).sum::<f64>() / a.rgba.len() as f64
    };
    let other = made(&model, &GenerateRequest { seed: 99, ..request.clone() }).0;
    assert!(mean(&picture, &whole) < mean(&picture, &other), "the noise of a place does not depend on the tiles");
}

#[test]
fn enlarging_stops_at_a_tile_and_has_bounds() {
    let model = open(&model_path());
    let (folder, path) = folder(96, 64);
    let request = GenerateRequest { upscale: Some(2.0), ..begin_with(&path, 0.75) };
    let (cancel, tiles) = (Cancel::default(), Cell::new(0));
    let stopped = pipeline::generate(&model, &request, &cancel, &mut |progress| {
        if let Progress::Step { preview, .. } = progress {
            assert_eq!((preview.width_px, preview.height_px), (24, 16), "the whole picture is shown");
            tiles.set(tiles.get() + 1);
            if tiles.get() == 2 {
                cancel.cancel();
            }
        }
    });
    assert!(stopped.err().unwrap().is_cancelled() && tiles.get() == 2);

    let large = folder.path().join("large.png");
    image::RgbaImage::new(1400, 1000).save(&large).unwrap();
    let error = run(&model, &GenerateRequest { upscale: Some(4.0), ..begin_with(&large, 0.5) }, &mut |_| ());
    assert!(error.err().unwrap().sentence.contains("5600 × 4000 px"));
    for wrong in [
        GenerateRequest { upscale: Some(1.0), ..request.clone() },
        GenerateRequest { upscale: Some(9.0), ..request.clone() },
        GenerateRequest { init: None, ..request.clone() },
        GenerateRequest { hires: Some(Hires { scale: 2.0, strength: 0.5 }), ..request.clone() },
    ] {
        assert_eq!(run(&model, &wrong, &mut |_| ()).err().unwrap().exit_code(), 2);
    }
}

/// The reference's model with the reference's safety checker, whose thresholds are all `threshold`: a cosine is between
/// −1 and 1, so that −2 flags every picture and 2 none.
fn with_checker(threshold: f32) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    copy(&model_path(), folder.path());
    let own = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/reference/safety/model");
    copy(&own, folder.path());
    let file = folder.path().join("safety_checker/model.safetensors");
    let bytes = fs::read(&file).unwrap();
    let weights = SafeTensors::deserialize(&bytes).unwrap();
    let tensors = weights.tensors();
    let raw: Vec<(String, Vec<u8>)> = tensors
        .iter()
        .filter(|(name, _)| name == "concept_embeds_weights")
        .map(|(name, view)| (name.clone(), threshold.to_le_bytes().repeat(view.shape().iter().product())))
        .collect();
    assert_eq!(raw.len(), 1);
    let views = tensors.iter().map(|(name, view)| {
        let changed = raw.iter().find(|(changed, _)| changed == name);
        let changed = changed.map(|(_, raw)| TensorView::new(Dtype::F32, view.shape().to_vec(), raw).unwrap());
        (name.clone(), changed.unwrap_or_else(|| view.clone()))
    });
    safetensors::serialize_to_file(views, None, &file).unwrap();
    folder
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap().flatten() {
        let to = to.join(entry.file_name());
        if entry.path().is_dir() {
            copy(&entry.path(), &to);
        } else {
            fs::write(to, fs::read(entry.path()).unwrap()).unwrap();
        }
    }
}

#[test]
fn a_models_safety_checker_is_asked_for_its_verdict() {
    let request = GenerateRequest { init: None, num_inference_steps: 1, ..begin_with(Path::new(""), 1.0) };
    let verdict = |folder: &Path, is_checked: bool| {
        let (assets, cancel) = (Assets::default(), Cancel::default());
        let made = pipeline::make(&mut open(folder), &request, &assets, is_checked, &cancel, &mut |_| ()).unwrap();
        (made.safety, made.picture)
    };
    let (strict, lax) = (with_checker(-2.0), with_checker(2.0));
    let (flagged, picture) = verdict(strict.path(), true);
    let flagged = flagged.unwrap();
    assert!(flagged.flagged && flagged.score > 1.0, "{flagged:?}");
    let (passed, same) = verdict(lax.path(), true);
    let passed = passed.unwrap();
    assert!(!passed.flagged && passed.score < -1.0, "{passed:?}");
    // The picture itself is never changed: what is hidden is decided where it is shown.
    assert!(picture == same && verdict(strict.path(), false) == (None, same));
    assert_eq!(verdict(&model_path(), true).0, None, "a model without a checker");
}

/// Runs `atelier generate` and gives the line of JSON that it printed, and what it said.
fn typed(home: &Path, model: &Path, arguments: &[&str]) -> (serde_json::Value, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_atelier"))
        .args(["generate", "a cat", "--steps", "2", "--seed", "3", "--json", "--model"])
        .arg(model)
        .args(arguments)
        .env("ATELIER_HOME", home)
        .output()
        .unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.success(), "{said}");
    (serde_json::from_slice(&output.stdout).unwrap(), said)
}

#[test]
fn the_command_line_paints_around_enlarges_and_hides() {
    let (folder, path) = folder(72, 64);
    let (home, init) = (folder.path(), path.to_str().unwrap());
    let out = home.join("out.png");
    let run =
        |model: &Path, arguments: &[&str]| typed(home, model, &[arguments, &["--out", out.to_str().unwrap()]].concat());
    for (arguments, width, height) in [
        // The picture's own size, and what is painted around it.
        (&["--init", init, "--extend", "left=16,bottom=8"][..], 88, 72),
        (&["--init", init, "--upscale", "2", "--strength", "0"], 144, 128),
        (&["--init", init, "--upscale", "1.5", "--strength", "0.5", "--size", "64x64"], 112, 96),
    ] {
        let (printed, _) = run(&model_path(), arguments);
        assert_eq!((&printed["width"], &printed["height"]), (&width.into(), &height.into()), "{printed}");
        assert_eq!(image::image_dimensions(&out).unwrap(), (width, height));
        let recipe = atelier::library::read_info(&out).unwrap().embedded.recipe().unwrap();
        assert_eq!(recipe.request.init.as_ref().map(|init| init.picture.as_path()), Some(path.as_path()));
        assert_eq!(recipe.request.upscale.is_some(), arguments.contains(&"--upscale"), "the recipe is kept");
    }
    let strict = with_checker(-2.0);
    let (_, said) = run(strict.path(), &["--size", "64x64", "--safety", "black"]);
    assert!(said.contains("flagged this picture: it is hidden"), "{said}");
    assert!(image::open(&out).unwrap().to_rgb8().as_raw().iter().all(|level| *level == 0));
    let (_, said) = run(strict.path(), &["--size", "64x64", "--safety", "off"]);
    assert!(!said.contains("flagged"), "{said}");
    assert!(image::open(&out).unwrap().to_rgb8().as_raw().iter().any(|level| *level > 0));
}
