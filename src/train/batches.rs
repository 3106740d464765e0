//! [`Batches`]: what each evaluation of a training learns from.

use std::path::Path;

use candle_core::{Device, Tensor};
use sha2::{Digest, Sha256};

use super::buckets::Placed;
use super::dataset_cache::{Cache, View, content_hash, encode, ids, shown};
use super::draws::{Draw, draws, noise};
use super::examples::{Example, Examples};
use super::learner::{Batch, Learner, time_ids};
use super::order::Order;
use crate::domain::training::{Crop, TrainingConfig};
use crate::domain::{Result, hex};
use crate::models::Model;
use crate::models::embeddings::{AddedCondition, Condition};
use crate::models::text::Sizes;
use crate::models::vae::LatentDistribution;
use crate::nn::engine_error;

/// Timesteps at which each picture that is kept apart is looked at.
const VALIDATION_TIMESTEPS: u64 = 4;
/// The most of those pictures: more take time and tell hardly more.
const VALIDATION_PICTURES: usize = 32;

/// What each evaluation of a training learns from.
pub struct Batches {
    config: TrainingConfig,
    /// The pictures and captions.
    pub examples: Examples,
    /// The hash of each picture's file.
    contents: Vec<String>,
    cache: Cache,
    order: Order,
}

impl Batches {
    /// For a training.
    ///
    /// # Errors
    /// When a picture or the model's weights cannot be read.
    pub fn new(config: &TrainingConfig, examples: Examples, model: &Model) -> Result<Self> {
        let contents =
            examples.list.iter().map(|example| content_hash(&example.picture)).collect::<Result<Vec<_>>>()?;
        let order = Order::new(config.seed, examples.learnt(), config.steps.batch as usize);
        let cache = Cache::open(&config.output.join("cache"), model)?;
        Ok(Self { config: config.clone(), examples, contents, cache, order })
    }

    /// Evaluations of an epoch.
    #[must_use]
    pub fn of_epoch(&self) -> u64 {
        self.order.batches()
    }

    /// The rows of evaluation `place`, by their places among the examples.
    #[must_use]
    pub fn rows(&mut self, place: u64) -> &[usize] {
        self.order.batch(place)
    }

    /// How many evaluations the pictures that are kept apart take.
    #[must_use]
    pub fn validations(&self) -> usize {
        self.examples.apart().len().min(VALIDATION_PICTURES) * VALIDATION_TIMESTEPS as usize
    }

    /// A hash of what is learnt from.
    #[must_use]
    pub fn digest(&self) -> String {
        let mut hasher = Sha256::new();
        for (example, content) in self.examples.list.iter().zip(&self.contents) {
            hasher.update(format!("{content} {} {}\n", example.repeats, example.caption));
        }
        hex(&hasher.finalize()[..8])
    }

    /// Whether latents are kept on disk: another crop each time would never be used twice.
    fn keeps_latents(&self) -> bool {
        self.config.pictures.cache_latents && self.config.pictures.crop == Crop::Centre
    }

    fn keeps_text(&self) -> bool {
        self.config.pictures.cache_text && !self.config.text_encoder
    }

    /// Encodes what is kept on disk and not there yet. `tell` is told how many are done of how many, and says whether to go
    /// on.
    ///
    /// # Errors
    /// When a picture, a network or the disk fails.
    pub fn prepare(&self, model: &Model, tell: &mut dyn FnMut(&'static str, usize, usize) -> Result<()>) -> Result<()> {
        if self.keeps_latents() {
            let mut wanted = Vec::new();
            for (example, content) in self.examples.list.iter().zip(&self.contents) {
                for mirrored in [false, true] {
                    // What is kept apart is never mirrored.
                    if !mirrored || (self.config.pictures.flip && !example.apart) {
                        wanted.push((example, content, View { placed: self.middle(example), mirrored }));
                    }
                }
            }
            wanted.retain(|(_, content, view)| !self.cache.has_latents(content, *view));
            for (i, (example, content, view)) in wanted.iter().enumerate() {
                tell("pictures", i, wanted.len())?;
                self.cache.moments(model, &example.picture, content, *view)?;
            }
            if !wanted.is_empty() {
                tell("pictures", wanted.len(), wanted.len())?;
            }
        }
        if self.keeps_text() {
            let mut wanted: Vec<&str> = self.examples.list.iter().map(|example| example.caption.as_str()).collect();
            wanted.push("");
            wanted.sort_unstable();
            wanted.dedup();
            wanted.retain(|text| !self.cache.has_text(text));
            for (i, text) in wanted.iter().enumerate() {
                tell("captions", i, wanted.len())?;
                self.cache.text(model, text)?;
            }
            if !wanted.is_empty() {
                tell("captions", wanted.len(), wanted.len())?;
            }
        }
        Ok(())
    }

    fn middle(&self, example: &Example) -> Placed {
        Placed::of(example.own, self.examples.sizes[example.size], Crop::Centre, &mut |_| 0)
    }

    /// Evaluation `place`, counted from the training's beginning.
    ///
    /// # Errors
    /// When a picture, a network or the disk fails.
    pub fn batch(&mut self, learner: &Learner, place: u64) -> Result<Batch> {
        let seed = self.config.seed;
        let indices = self.order.batch(place).to_vec();
        let (mut distributions, mut timesteps, mut sizes, mut captions) =
            (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        for (i, index) in indices.iter().enumerate() {
            let example = &self.examples.list[*index];
            let mut crop = draws(seed, Draw::Crop, place, i);
            let size = self.examples.sizes[example.size];
            let placed = Placed::of(example.own, size, self.config.pictures.crop, &mut |below| crop.below(below));
            let mirrored = self.config.pictures.flip && draws(seed, Draw::Flip, place, i).uniform() < 0.5;
            distributions.push(self.moments(&learner.model, *index, View { placed, mirrored })?);
            sizes.push(sizes_of(example, placed));
            let timestep_count = learner.diffusion_loss().timesteps() as u32;
            timesteps.push(draws(seed, Draw::Timestep, place, i).below(timestep_count) as usize);
            let is_dropped = draws(seed, Draw::Caption, place, i).uniform() < self.config.loss.caption_dropout;
            captions.push(if is_dropped { "" } else { example.caption.as_str() });
        }
        let latents = sampled(learner, &distributions, |i, values| noise(seed, Draw::LatentNoise, place, i, values))?;
        let offset = self.config.loss.noise_offset;
        let noise = noise_like(&latents, |i, values| {
            let (channels, pixels) = (latents.dim(1).unwrap_or(1), values / latents.dim(1).unwrap_or(1).max(1));
            let mut values = noise(seed, Draw::Noise, place, i, values);
            if offset > 0.0 {
                let offsets = noise_of_channels(seed, place, i, channels);
                for (plane, shift) in values.chunks_exact_mut(pixels.max(1)).zip(offsets) {
                    for value in plane {
                        *value += offset as f32 * shift;
                    }
                }
            }
            values
        })?;
        let condition = self.condition(learner, &captions, &sizes)?;
        Ok(Batch { latents, noise, timesteps, condition })
    }

    /// The evaluations of the pictures that are kept apart: always the same ones.
    ///
    /// # Errors
    /// As [`Self::batch`].
    pub fn validation(&self, learner: &Learner, work: &mut dyn FnMut(&Batch) -> Result<()>) -> Result<()> {
        let seed = self.config.seed;
        let all = learner.diffusion_loss().timesteps() as u64;
        for index in self.examples.apart().into_iter().take(VALIDATION_PICTURES) {
            let example = &self.examples.list[index];
            let placed = self.middle(example);
            let moments = self.moments(&learner.model, index, View { placed, mirrored: false })?;
            let condition = self.condition(learner, &[example.caption.as_str()], &[sizes_of(example, placed)])?;
            for part in 0..VALIDATION_TIMESTEPS {
                let place = index as u64 * VALIDATION_TIMESTEPS + part;
                let draw = |i: usize, values: usize| noise(seed, Draw::Validation, place, i, values);
                let latents = sampled(learner, std::slice::from_ref(&moments), |_, values| draw(0, values))?;
                let noise = noise_like(&latents, |_, values| draw(1, values))?;
                // The middle of each part of the timesteps.
                let timestep = ((2 * part + 1) * all / (2 * VALIDATION_TIMESTEPS)) as usize;
                work(&Batch { latents, noise, timesteps: vec![timestep], condition: condition.clone() })?;
            }
        }
        Ok(())
    }

    fn moments(&self, model: &Model, index: usize, view: View) -> Result<Tensor> {
        let (file, content): (&Path, &str) = (&self.examples.list[index].picture, &self.contents[index]);
        if self.keeps_latents() {
            return self.cache.moments(model, file, content, view);
        }
        encode(model, &[shown(file, view)?])?.get(0).map_err(engine_error)
    }

    /// What the network is told of captions.
    fn condition(&self, learner: &Learner, captions: &[&str], sizes: &[Sizes]) -> Result<Condition> {
        if !self.keeps_text() {
            return learner.condition(&ids(&learner.model, captions)?, sizes);
        }
        let rows = captions.iter().map(|text| self.cache.text(&learner.model, text)).collect::<Result<Vec<_>>>()?;
        let cat = |of: &dyn Fn(&Condition) -> Option<&Tensor>| {
            let rows: Vec<&Tensor> = rows.iter().filter_map(of).collect();
            Tensor::cat(&rows, 0).map_err(engine_error)
        };
        let added = match rows.first().and_then(|first| first.added.as_ref()) {
            Some(_) => Some(AddedCondition {
                text_embeds: cat(&|row| row.added.as_ref().map(|added| &added.text_embeds))?,
                time_ids: time_ids(sizes)?,
            }),
            None => None,
        };
        Ok(Condition { text: cat(&|row| Some(&row.text))?, added, guidance_scale: None })
    }
}

/// What a network is told of a picture's sizes.
fn sizes_of(example: &Example, placed: Placed) -> Sizes {
    let turned = |(width, height): (u32, u32)| (height, width);
    Sizes { original: turned(example.own), crop: turned(placed.corner), target: turned(placed.size) }
}

/// The scaled latents of pictures whose moments `[2 * channels, height, width]` are given.
fn sampled(learner: &Learner, moments: &[Tensor], noise: impl Fn(usize, usize) -> Vec<f32>) -> Result<Tensor> {
    let sample = || -> candle_core::Result<Tensor> {
        let both = Tensor::stack(moments, 0)?;
        let channels = both.dim(1)? / 2;
        let (mean, logvar) = (both.narrow(1, 0, channels)?, both.narrow(1, channels, channels)?);
        let noise = noise_like(&mean, noise).map_err(candle_core::Error::wrap)?;
        LatentDistribution { mean, logvar }.sample(&noise)? * learner.model.vae.config().scaling_factor
    };
    sample().map_err(engine_error)
}

/// Noise of the shape of a batch; `of` gives that of one sample with so many values.
fn noise_like(batch: &Tensor, of: impl Fn(usize, usize) -> Vec<f32>) -> Result<Tensor> {
    let samples = batch.dim(0).map_err(engine_error)?;
    let values = batch.elem_count() / samples.max(1);
    let all: Vec<f32> = (0..samples).flat_map(|i| of(i, values)).collect();
    Tensor::from_vec(all, batch.shape(), &Device::Cpu).map_err(engine_error)
}

fn noise_of_channels(seed: u64, place: u64, index: usize, channels: usize) -> Vec<f32> {
    noise(seed, Draw::NoiseOffset, place, index, channels)
}
