//! [`generate`]: one request, one picture. The place to begin reading how Atelier works.

use std::cell::Cell;

use candle_core::{Device, Tensor};

use super::denoise::{Denoiser, Moment, StepDone, step_of};
use super::prompt::condition;
use super::snapshot::Snapshot;
use super::source::{keep_rest, resized, source};
use super::start::{Source, Start, steps_left};
use super::upscale::upscale;
use super::watch::{Beside, Progress, Reached, Watch};
use crate::domain::{Cancel, Fork, GenerateRequest, Picture, Result, UserError};
use crate::models::image::{picture_from_tensor, tensor_from_picture};
use crate::models::vae_tiling::{Tiling, decode_tiled};
use crate::models::{Model, Part};
use crate::nn::engine_error;
use crate::sampling::{self, Branch, Sampler, StartNoise, TorchCpuRng, calls_after, step_after, take_over};

/// A finished picture.
pub struct Generated {
    /// The picture.
    pub picture: Picture,
    /// Things worth telling that stopped nothing.
    pub notices: Vec<String>,
}

/// Makes the picture of `request` (the first of its count).
///
/// The seed means what `torch.manual_seed` means on a CPU, and noise is drawn in the order diffusers draws it: first the
/// latents, then one draw for every step that needs one. The model is taken as it is; [`super::make()`] dresses it first,
/// and makes the picture that another one branches off.
///
/// # Errors
/// When the request does not fit the model's family, the network fails, or `cancel` was set (looked at before every
/// evaluation of the network).
pub fn generate(
    model: &Model,
    request: &GenerateRequest,
    cancel: &Cancel,
    mut progress: &mut dyn FnMut(Progress),
) -> Result<Generated> {
    generate_watched(model, request, Origin::default(), cancel, &mut progress)
}

/// What a picture is, and where it comes from, beside its request.
#[derive(Clone, Copy, Default)]
pub(super) struct Origin<'a> {
    /// See [`Snapshot::key`].
    pub key: &'a str,
    /// The picture that it branches off, at the step where it does.
    pub parent: Option<&'a Snapshot>,
}

/// As [`generate`], for somebody who keeps what is reached.
///
/// # Errors
/// As there.
pub(super) fn generate_watched(
    model: &Model,
    request: &GenerateRequest,
    origin: Origin<'_>,
    cancel: &Cancel,
    watch: &mut dyn Watch,
) -> Result<Generated> {
    check(model, request)?;
    if let (Some(init), Some(scale)) = (&request.init, request.upscale) {
        return upscale(model, request, (init, scale), cancel, &mut |progress| watch.progress(progress));
    }
    let source = request.init.as_ref().map(|init| source(init, request)).transpose()?;
    let first = pass(model, request, source.as_ref(), origin, cancel, watch)?;
    let Some(hires) = request.hires else { return Ok(first) };
    let (width_px, height_px) = hires.size_of(request, model.family.capabilities.size_multiple_px);
    let larger = GenerateRequest { width_px, height_px, ..request.clone() };
    let picture = tensor_from_picture(&resized(first.picture, (width_px, height_px))).map_err(engine_error)?;
    let source = Source { picture, mask: None, shares: None, strength: hires.strength };
    // What is kept of the first pass is enough to begin the second again.
    let second = pass(model, &larger, Some(&source), Origin::default(), cancel, &mut Beside(watch))?;
    Ok(Generated { notices: first.notices, ..second })
}

/// Makes the picture of `request` as far as a step, from 1.
///
/// # Errors
/// As [`generate`]; and when the picture begins after that step.
pub(super) fn come_to(
    model: &Model,
    request: &GenerateRequest,
    step: u32,
    origin: Origin<'_>,
    cancel: &Cancel,
    watch: &mut dyn Watch,
) -> Result<Snapshot> {
    check(model, request)?;
    let mut last = Last { step, snapshot: None, watch };
    draw(model, request, None, origin, Some(step), cancel, &mut last)?;
    last.snapshot.ok_or_else(|| UserError::input(format!("The picture to branch off begins after its step {step}")))
}

/// Keeps the step that was asked for.
struct Last<'a> {
    step: u32,
    snapshot: Option<Snapshot>,
    watch: &'a mut dyn Watch,
}

impl Watch for Last<'_> {
    fn progress(&mut self, progress: Progress) {
        self.watch.progress(progress);
    }

    fn reached(&mut self, reached: &Reached<'_>) {
        if reached.step == Some(self.step) {
            self.snapshot = Some(reached.snapshot());
        }
    }
}

fn check(model: &Model, request: &GenerateRequest) -> Result<()> {
    let problems = request.validate(&model.family.capabilities);
    if problems.is_empty() {
        return Ok(());
    }
    let sentences: Vec<String> = problems.into_iter().map(|problem| problem.sentence).collect();
    Err(UserError::input(sentences.join(". ")))
}

/// Latents, and what is to be told of them.
struct Drawn {
    latents: Vec<f32>,
    shape: [usize; 4],
    notices: Vec<String>,
}

/// From noise, or from a picture, to a picture of the request's size.
fn pass(
    model: &Model,
    request: &GenerateRequest,
    source: Option<&Source>,
    origin: Origin<'_>,
    cancel: &Cancel,
    watch: &mut dyn Watch,
) -> Result<Generated> {
    let Drawn { latents, shape, notices } = draw(model, request, source, origin, None, cancel, watch)?;
    // Latents to px. The decoder needs much memory, and the network none meanwhile.
    model.release(Part::UNet);
    if cancel.is_cancelled() {
        return Err(UserError::cancelled());
    }
    watch.progress(Progress::Decoding);
    let decoded = decode(model, latents, shape, cancel)?;
    let finish = || {
        let picture = picture_from_tensor(&decoded, 0)?;
        match source {
            Some(source) => keep_rest(source, picture),
            None => Ok(picture),
        }
    };
    Ok(Generated { picture: finish().map_err(engine_error)?, notices })
}

/// Latents of `shape` to px.
fn decode(model: &Model, latents: Vec<f32>, shape: [usize; 4], cancel: &Cancel) -> Result<Tensor> {
    let [.., height, width] = shape;
    let scaled = || Tensor::from_vec(latents, &shape, &Device::Cpu)? / model.vae.config().scaling_factor;
    let scaled = scaled().map_err(engine_error)?;
    match Tiling::for_size(height, width) {
        Some(tiling) => decode_tiled(&model.vae, &scaled, tiling, cancel, &mut |_, _| ()),
        None => model.vae.decode(&scaled).map_err(engine_error),
    }
}

/// What a picture of `request` was expected to become when `snapshot` was taken of it.
///
/// # Errors
/// When the snapshot is not of such a picture, the autoencoder fails, or `cancel` was set.
pub(super) fn picture_of(
    model: &Model,
    request: &GenerateRequest,
    snapshot: &Snapshot,
    cancel: &Cancel,
) -> Result<Picture> {
    let shape = shape_of(model, request);
    let denoised = snapshot.state.denoised.clone();
    if denoised.len() != shape.iter().product::<usize>() {
        return Err(UserError::failed("This step was not kept"));
    }
    let decoded = decode(model, denoised, shape, cancel)?;
    picture_from_tensor(&decoded, 0).map_err(engine_error)
}

/// The shape of a picture's latents, `[1, channels, height, width]`.
fn shape_of(model: &Model, request: &GenerateRequest) -> [usize; 4] {
    let scale = model.vae.config().scale();
    let (height, width) = (request.height_px as usize / scale, request.width_px as usize / scale);
    [1, model.vae.config().latent_channels, height, width]
}

/// From noise, or from a picture, to latents: all steps, or those until one (from 1).
fn draw(
    model: &Model,
    request: &GenerateRequest,
    source: Option<&Source>,
    origin: Origin<'_>,
    until: Option<u32>,
    cancel: &Cancel,
    watch: &mut dyn Watch,
) -> Result<Drawn> {
    // 1. Prompts to vectors, for the steps that there will be.
    let all = request.num_inference_steps as usize;
    let strength = source.map_or(1.0, |source| source.strength);
    let steps = steps_left(all, strength).max(1) as u32;
    let (conditioning, notices) = condition(model, request, steps)?;
    model.release(Part::TextEncoder);

    // 2. Noise of the seed, or a picture with noise on it.
    let shape = shape_of(model, request);
    let [.., height, width] = shape;
    let mut sampler = sampling::build(request.sampler, request.schedule, &model.scheduler, &model.scheduler_json, all)?;
    let in_channels = model.unet.config().in_channels;
    let mut draws = Noise::new(request.seed);
    let mut first = StartNoise::new(request.variation, shape);
    let draw_first = &mut |values: &mut [f32]| draws.draw_by(values, |rng, values| first.draw(rng, values));
    let mut start = Start::new(&model.vae, in_channels, sampler.as_ref(), all, source, shape, draw_first)?;
    let first_call = start.first_call;
    let calls = sampler.timesteps().len();

    // 3. Or where it was interrupted, or where it branches off another one.
    let len = start.latents.len();
    let interrupted = watch.resume(origin.key).filter(|snapshot| snapshot.fits(origin.key, len, calls));
    let (next, drawn) = if let Some(snapshot) = interrupted.filter(|snapshot| snapshot.call > first_call) {
        let preview = model.preview.picture(&snapshot.state.denoised, height, width);
        let step = step_of(snapshot.call - first_call, calls - first_call, steps);
        watch.progress(Progress::Step { step, steps, preview });
        sampler.set_state(snapshot.state);
        start.latents = snapshot.latents;
        (snapshot.call, snapshot.draws)
    } else if let Some(fork) = &request.fork {
        let parent = origin.parent.filter(|parent| parent.latents.len() == len);
        let Some(parent) = parent else {
            return Err(UserError::failed("The picture that this one branches off is not there"));
        };
        let Branch { call, latents } = branch_off(model, request, fork, parent, sampler.as_mut())?;
        start.latents = latents;
        (call, parent.draws)
    } else {
        (first_call, draws.drawn)
    };
    draws.skip_to(drawn, len);
    let end = until.map_or(calls, |step| calls_after(sampler.as_ref(), all, step as usize));

    // 4. Step by step towards the picture.
    let mut denoiser = Denoiser { unet: &model.unet, sampler, conditioning, shape, steps };
    let drawn = Cell::new(draws.drawn);
    let mut noise = |values: &mut [f32]| {
        draws.draw(values);
        drawn.set(draws.drawn);
    };
    let mut step_done = |done: StepDone<'_>| {
        let preview = model.preview.picture(done.denoised, height, width);
        watch.reached(&Reached {
            key: origin.key,
            step: step_after(done.sampler, all, done.calls).map(|step| step as u32),
            call: done.calls,
            draws: drawn.get(),
            latents: done.latents,
            state: done.sampler.state(),
            preview: &preview,
        });
        watch.progress(Progress::Step { step: done.step, steps, preview });
    };
    let mut predict = |denoiser: &Denoiser<'_>, at: Moment<'_>| denoiser.predict(shape, at);
    let latents = denoiser.run_by(start, next..end, &mut noise, cancel, &mut step_done, &mut predict)?;
    Ok(Drawn { latents, shape, notices })
}

/// Where a picture goes on after the step of another one. With the same noise levels and sampler all of what that looks
/// back at goes along, so that the same request makes the same picture; else the new sampler begins with nothing.
fn branch_off(
    model: &Model,
    request: &GenerateRequest,
    fork: &Fork,
    parent: &Snapshot,
    sampler: &mut dyn Sampler,
) -> Result<Branch> {
    let other = &*fork.parent;
    let path = |request: &GenerateRequest| (request.sampler, request.schedule, request.num_inference_steps);
    if path(other) == path(request) {
        sampler.set_state(parent.state.clone());
        return Ok(Branch { call: parent.call, latents: parent.latents.clone() });
    }
    let steps = other.num_inference_steps as usize;
    let from = sampling::build(other.sampler, other.schedule, &model.scheduler, &model.scheduler_json, steps)?;
    Ok(take_over(from.as_ref(), parent.call, &parent.latents, &parent.state.denoised, sampler))
}

/// The noise of a seed, and how much of it was drawn.
struct Noise {
    rng: TorchCpuRng,
    drawn: usize,
}

impl Noise {
    fn new(seed: u64) -> Self {
        Self { rng: TorchCpuRng::new(seed), drawn: 0 }
    }

    fn draw(&mut self, values: &mut [f32]) {
        self.draw_by(values, TorchCpuRng::randn);
    }

    fn draw_by(&mut self, values: &mut [f32], by: impl FnOnce(&mut TorchCpuRng, &mut [f32])) {
        by(&mut self.rng, values);
        self.drawn += 1;
    }

    /// Draws until `drawn` draws of `len` values were made.
    fn skip_to(&mut self, drawn: usize, len: usize) {
        let mut passed_over = vec![0.0; len];
        while self.drawn < drawn {
            self.draw(&mut passed_over);
        }
    }
}
