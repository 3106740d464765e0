//! Enlarging a finished picture: by Lanczos' filter, then painted over by the network, which sees it in overlapping tiles.
//!
//! The latents are one, of the whole picture, and so are their noise and the sampler's state: a place has the same noise
//! whatever tile it lies in. Only the network's prediction is made tile by tile and blended by feathered windows, at every
//! step (Bar-Tal et al. 2023, "`MultiDiffusion`: Fusing Diffusion Paths for Controlled Image Generation"), so that
//! neighbours agree before the picture exists and no seam is left to hide. Memory follows the tile but for the latents
//! and the picture itself.

use std::cell::RefCell;

use candle_core::{Device, Tensor};

use super::denoise::{Denoiser, Moment, StepDone};
use super::generate::Generated;
use super::prompt::condition;
use super::source::enlarged;
use super::start::{Start, first_call, steps_left};
use super::watch::Progress;
use crate::domain::{Cancel, GenerateRequest, InitImage, Picture, Result, UserError};
use crate::models::Model;
use crate::models::image::{picture_from_tensor, tensor_from_picture};
use crate::models::vae_tiling::{Tiling, decode_tiled, encode_tiled};
use crate::nn::engine_error;
use crate::sampling::{self, StartNoise, TorchCpuRng};

/// The least that neighbours share, as a part of the tile.
const OVERLAP_PART: usize = 4;

/// Makes the picture of `init` `scale` times as wide and high. The request's size is that of a tile.
///
/// # Errors
/// When the picture cannot be read or becomes too large, the network fails, or `cancel` was set (looked at before every
/// tile).
pub(super) fn upscale(
    model: &Model,
    request: &GenerateRequest,
    (init, scale): (&InitImage, f64),
    cancel: &Cancel,
    progress: &mut dyn FnMut(Progress),
) -> Result<Generated> {
    let config = model.vae.config();
    let unit = config.scale();
    let picture = enlarged(&init.picture, scale, unit as u32)?;
    let (height, width) = (picture.height_px as usize / unit, picture.width_px as usize / unit);
    let shape = [1, config.latent_channels, height, width];
    let clean = latents_of(model, &picture, cancel)?;
    let (latents, notices) = if init.strength == 0.0 {
        (clean, Vec::new())
    } else {
        painted_over(model, request, init.strength, &clean, shape, cancel, progress)?
    };

    if cancel.is_cancelled() {
        return Err(UserError::cancelled());
    }
    progress(Progress::Decoding);
    let scaled = || Tensor::from_vec(latents, &shape, &Device::Cpu)? / config.scaling_factor;
    let scaled = scaled().map_err(engine_error)?;
    let decoded = match Tiling::for_size(height, width) {
        Some(tiling) => decode_tiled(&model.vae, &scaled, tiling, cancel, &mut |_, _| ())?,
        None => model.vae.decode(&scaled).map_err(engine_error)?,
    };
    Ok(Generated { picture: picture_from_tensor(&decoded, 0).map_err(engine_error)?, notices })
}

/// The latents of a picture: the likeliest ones, without noise.
fn latents_of(model: &Model, picture: &Picture, cancel: &Cancel) -> Result<Vec<f32>> {
    let config = model.vae.config();
    let unit = config.scale() as u32;
    let tensor = tensor_from_picture(picture).map_err(engine_error)?;
    let sides = ((picture.height_px / unit) as usize, (picture.width_px / unit) as usize);
    let found = match Tiling::for_size(sides.0, sides.1) {
        Some(tiling) => encode_tiled(&model.vae, &tensor, tiling, cancel, &mut |_, _| ())?,
        None => model.vae.encode(&tensor).map_err(engine_error)?,
    };
    (found.mean * config.scaling_factor).and_then(|scaled| scaled.flatten_all()?.to_vec1()).map_err(engine_error)
}

/// What is shown meanwhile.
struct Shown<'a> {
    progress: &'a mut dyn FnMut(Progress),
    preview: Picture,
    tiles_done: u32,
    tiles: u32,
}

impl Shown<'_> {
    fn tile_done(&mut self) {
        self.tiles_done += 1;
        let (step, steps, preview) = (self.tiles_done, self.tiles, self.preview.clone());
        (self.progress)(Progress::Step { step, steps, preview });
    }
}

/// Takes latents back to noise by `strength` and denoises them again, tile by tile.
fn painted_over(
    model: &Model,
    request: &GenerateRequest,
    strength: f64,
    clean: &[f32],
    shape: [usize; 4],
    cancel: &Cancel,
    progress: &mut dyn FnMut(Progress),
) -> Result<(Vec<f32>, Vec<String>)> {
    let all = request.num_inference_steps as usize;
    let steps_left = steps_left(all, strength).max(1) as u32;
    // Its size, which some networks are told, is that of a tile.
    let (conditioning, notices) = condition(model, request, steps_left)?;
    let sampler = sampling::build(request.sampler, request.schedule, &model.scheduler, &model.scheduler_json, all)?;
    let first_call = first_call(sampler.as_ref(), all, strength)?;
    let mut rng = TorchCpuRng::new(request.seed);
    let mut noise = vec![0.0; clean.len()];
    StartNoise::new(request.variation, shape).draw(&mut rng, &mut noise);
    let mut latents = vec![0.0; clean.len()];
    sampler.add_noise(first_call, clean, &noise, &mut latents);

    let [_, _, height, width] = shape;
    let unit = model.vae.config().scale();
    let tiles = Tiles::new((height, width), (request.height_px as usize / unit, request.width_px as usize / unit));
    let calls = sampler.timesteps().len() - first_call;
    let shown = RefCell::new(Shown {
        progress,
        preview: model.preview.picture(clean, height, width),
        tiles_done: 0,
        tiles: (calls * tiles.count()) as u32,
    });
    let start = Start { latents, first_call, seen: None, blend: None };
    let range = first_call..sampler.timesteps().len();
    let mut denoiser = Denoiser { unet: &model.unet, sampler, conditioning, shape, steps: steps_left };
    let mut step_done = |done: StepDone<'_>| {
        shown.borrow_mut().preview = model.preview.picture(done.denoised, height, width);
    };
    let mut predict = |denoiser: &Denoiser<'_>, at: Moment<'_>| {
        tiles.blended(at.input, shape[1], |tile, sides| {
            if cancel.is_cancelled() {
                return Err(UserError::cancelled());
            }
            let made = denoiser.predict([1, shape[1], sides.0, sides.1], Moment { input: tile, ..at })?;
            shown.borrow_mut().tile_done();
            Ok(made)
        })
    };
    let mut noise = |noise: &mut [f32]| rng.randn(noise);
    let latents = denoiser.run_by(start, range, &mut noise, cancel, &mut step_done, &mut predict)?;
    Ok((latents, notices))
}

/// A tile along one axis: its first latent, and how much each of its latents counts.
#[derive(Clone, Debug, PartialEq)]
struct Cut {
    start: usize,
    weights: Vec<f32>,
}

/// How the latents of a picture are cut into overlapping tiles.
struct Tiles {
    sides: (usize, usize),
    rows: Vec<Cut>,
    columns: Vec<Cut>,
}

impl Tiles {
    /// Tiles of `tile` (height, width) latents for a picture of `sides`; as large as the picture where that is smaller.
    fn new(sides: (usize, usize), tile: (usize, usize)) -> Self {
        Self { sides, rows: cuts(sides.0, tile.0), columns: cuts(sides.1, tile.1) }
    }

    fn count(&self) -> usize {
        self.rows.len() * self.columns.len()
    }

    /// Runs `work` on each tile `[channels, height, width]` of `input` and blends the results.
    fn blended(
        &self,
        input: &[f32],
        channels: usize,
        mut work: impl FnMut(&[f32], (usize, usize)) -> Result<Vec<f32>>,
    ) -> Result<Vec<f32>> {
        let (height, width) = self.sides;
        let mut sum = vec![0.0; input.len()];
        for row in &self.rows {
            for column in &self.columns {
                let sides = (row.weights.len(), column.weights.len());
                // Lines of the tile within the picture, from channel to channel.
                let lines = (0..channels).flat_map(|channel| (0..sides.0).map(move |y| (channel, y)));
                let first = |(channel, y): (usize, usize)| (channel * height + row.start + y) * width + column.start;
                let tile: Vec<f32> =
                    lines.clone().flat_map(|line| input[first(line)..][..sides.1].iter().copied()).collect();
                let made = work(&tile, sides)?;
                for (line, values) in lines.zip(made.chunks_exact(sides.1)) {
                    let row = row.weights[line.1];
                    let sums = &mut sum[first(line)..][..sides.1];
                    for ((sum, value), column) in sums.iter_mut().zip(values).zip(&column.weights) {
                        *sum += row * column * value;
                    }
                }
            }
        }
        Ok(sum)
    }
}

/// The tiles along an axis of `latents`, all of one length, whose weights sum to one at each place.
fn cuts(latents: usize, tile: usize) -> Vec<Cut> {
    let tile = tile.clamp(1, latents.max(1));
    let overlap = tile / OVERLAP_PART;
    let count = if latents <= tile { 1 } else { (latents - overlap).div_ceil(tile - overlap) };
    let starts: Vec<usize> = (0..count).map(|i| i * (latents - tile) / (count - 1).max(1)).collect();
    // Rising from each inner end, without corners, over as much as is shared at least.
    let rise = |at: usize| {
        let t = ((at as f32 + 0.5) / overlap as f32).min(1.0);
        t * t * (3.0 - 2.0 * t)
    };
    let window = |start: usize| {
        (0..tile).map(move |at| {
            let left = if start == 0 { 1.0 } else { rise(at) };
            let right = if start + tile == latents { 1.0 } else { rise(tile - 1 - at) };
            left * right
        })
    };
    let mut sum = vec![0.0f32; latents];
    for &start in &starts {
        sum[start..].iter_mut().zip(window(start)).for_each(|(sum, weight)| *sum += weight);
    }
    starts
        .iter()
        .map(|&start| Cut { start, weights: window(start).zip(&sum[start..]).map(|(own, all)| own / all).collect() })
        .collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn tiles_cover_an_axis_and_their_weights_sum_to_one(latents in 1usize..300, tile in 1usize..80) {
            let cuts = cuts(latents, tile);
            let mut sum = vec![0.0f32; latents];
            for cut in &cuts {
                prop_assert_eq!(cut.weights.len(), tile.min(latents));
                prop_assert!(cut.weights.iter().all(|weight| weight.is_finite() && *weight > 0.0));
                sum[cut.start..].iter_mut().zip(&cut.weights).for_each(|(sum, weight)| *sum += weight);
            }
            prop_assert!(sum.iter().all(|sum| (sum - 1.0).abs() < 1e-5), "{:?}", sum);
        }

        /// What each tile gives back as it was comes together as it was, on any tiling: nothing moves and nothing fades.
        #[test]
        fn what_tiles_leave_alone_stays(
            height in 1usize..40, width in 1usize..40, tile in (4usize..20, 4usize..20), channels in 1usize..3,
        ) {
            let input: Vec<f32> = (0..channels * height * width).map(|i| (i as f32 * 0.37).sin()).collect();
            let tiles = Tiles::new((height, width), tile);
            let mut calls = 0;
            let made = tiles.blended(&input, channels, |tile, _| { calls += 1; Ok(tile.to_vec()) }).unwrap();
            prop_assert_eq!(calls, tiles.count());
            let largest = input.iter().zip(&made).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
            prop_assert!(largest < 1e-5, "{}", largest);
        }
    }

    /// Neighbours that disagree by a whole unit fade into each other: no step from one place to the next is larger than
    /// the steepest place of the fade, 1.5 / overlap of the two ramps together.
    #[test]
    fn tiles_that_disagree_leave_no_edge() {
        let (side, tile) = (100, 32);
        let tiles = Tiles::new((1, side), (1, tile));
        let mut turn = 0.0;
        let made = tiles
            .blended(&vec![0.0; side], 1, |tile, _| {
                turn = 1.0 - turn;
                Ok(vec![turn; tile.len()])
            })
            .unwrap();
        let steepest = made.windows(2).map(|pair| (pair[1] - pair[0]).abs()).fold(0.0, f32::max);
        assert!(tiles.count() > 2 && steepest < 3.0 / (tile / OVERLAP_PART) as f32, "{steepest}");
        assert!(made.iter().any(|value| *value > 0.9) && made.iter().any(|value| *value < 0.1));
    }
}
