//! What a training will need, worked out from the network's structure before it begins.
//!
//! Memory is counted in numbers of four bytes. With `P` px of latents at a level, `C` its channels and `T` pictures at a
//! time, a residual block keeps its result and the map between its convolutions (2 C P T, one more with a shortcut), and
//! twice as much again where its own weights are trained, for the normalised maps. A transformer keeps 6 C P T around its
//! blocks and each block 27 C P T: 7 for self-attention, 5 for cross-attention, 15 for the feed-forward layer, which is four
//! times as wide inside and has its gate beside it. With gradient checkpointing only what goes from block to block is kept,
//! and the largest block is there once. Time is the number of multiplications over what this machine does in a second.

use std::time::Instant;

use candle_core::{Device, Tensor};

use super::examples::Examples;
use super::learner::{check_family, trained};
use super::order::Order;
use super::{config, run};
use crate::domain::training::{Forecast, Method, Share, TrainingConfig};
use crate::domain::{Cancel, Result};
use crate::models::unet_config::UNetConfig;
use crate::models::{self, Model};
use crate::nn::{Weight, engine_error, ops};
use crate::weights::layout::Component;

/// Numbers that a block of a transformer keeps, for each of its tokens' channels.
const BLOCK: u64 = 27;
/// The same around the blocks of one transformer.
const AROUND: u64 = 6;
/// Share of a matrix product's speed that a whole step reaches: norms, activations and copies take their time too.
const EFFICIENCY: f64 = 0.6;
/// What the program and its libraries need beside all this, in bytes.
const PROGRAM: u64 = 150 << 20;

/// What one evaluation keeps, and how much it multiplies.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct Work {
    /// Numbers that are kept for the way back.
    kept: u64,
    /// Numbers that go from block to block.
    between: u64,
    /// Most numbers that one block keeps.
    largest: u64,
    /// Multiplications with an addition.
    products: f64,
}

impl Work {
    /// A block that keeps so many numbers and gives so many.
    fn block(&mut self, kept: u64, result: u64) {
        self.kept += kept;
        self.between += result;
        self.largest = self.largest.max(kept);
    }
}

/// The work of a network on a picture's latents of `side` px.
fn work(config: &UNetConfig, side: u64, tokens: u64, is_full: bool) -> Work {
    let mut work = Work::default();
    let levels = config.block_out_channels.len();
    let channels = |level: usize| config.block_out_channels[level] as u64;
    let pixels = |level: usize| (side >> level).max(1).pow(2);
    let resnet = |work: &mut Work, inputs: u64, outputs: u64, pixels: u64| {
        let normed = if is_full { inputs + 2 * outputs } else { 0 };
        let shortcut = if inputs == outputs { 0 } else { outputs };
        work.block((2 * outputs + shortcut + normed) * pixels, outputs * pixels);
        let kernels = 9 * outputs * (inputs + outputs) + shortcut * inputs;
        work.products += (kernels * pixels) as f64;
    };
    let transformer = |work: &mut Work, level: usize| {
        let (width, pixels) = (channels(level), pixels(level));
        let layers = config.transformer_layers_per_block.at(level) as u64;
        work.block((AROUND + BLOCK * layers) * width * pixels, width * pixels);
        // Four projections twice (two of them of the text), and twelve widths squared of the feed-forward layer.
        let linear = (6 + 12) * width * width * pixels + 2 * width * config.cross_attention_dim as u64 * tokens;
        let attention = 2 * width * pixels * (pixels + tokens);
        work.products += (layers * (linear + attention) + 2 * width * width * pixels) as f64;
    };
    let sampler = |work: &mut Work, level: usize, pixels: u64| {
        let width = channels(level);
        work.block(width * pixels, width * pixels);
        work.products += (9 * width * width * pixels) as f64;
    };
    for level in 0..levels {
        for layer in 0..config.layers_per_block {
            let inputs = if layer == 0 { channels(level.saturating_sub(1)) } else { channels(level) };
            resnet(&mut work, inputs, channels(level), pixels(level));
            if config.down_block_types[level].has_attention() {
                transformer(&mut work, level);
            }
        }
        if level + 1 < levels {
            sampler(&mut work, level, pixels(level + 1));
        }
    }
    let last = levels - 1;
    resnet(&mut work, channels(last), channels(last), pixels(last));
    transformer(&mut work, last);
    resnet(&mut work, channels(last), channels(last), pixels(last));
    for (i, kind) in config.up_block_types.iter().enumerate() {
        let level = last - i;
        for layer in 0..=config.layers_per_block {
            let below = if layer == 0 && i > 0 { channels(level + 1) } else { channels(level) };
            let skip =
                if layer == config.layers_per_block { channels(level.saturating_sub(1)) } else { channels(level) };
            // The two are put together before, which is kept too.
            work.kept += (below + skip) * pixels(level);
            resnet(&mut work, below + skip, channels(level), pixels(level));
            if kind.has_attention() {
                transformer(&mut work, level);
            }
        }
        if level > 0 {
            sampler(&mut work, level, pixels(level - 1));
        }
    }
    work
}

/// What a training would need, before anything of it is begun: the model's file is opened and the pictures' heads are read.
///
/// # Errors
/// When settings, model or data set cannot be used.
pub fn foresee(config: &TrainingConfig) -> Result<Forecast> {
    config::check(config)?;
    let examples = Examples::read(config)?;
    let model = models::open(&config.model, None, &Cancel::default(), &mut |_| ())?;
    check_family(&model)?;
    let of_epoch = Order::new(config.seed, examples.learnt(), config.steps.batch as usize).batches();
    forecast(&model, trained(&model, config)?, config, run::steps(config, of_epoch)?)
}

/// What a training will need.
///
/// # Errors
/// When the measurement of the machine fails.
pub fn forecast(model: &Model, trained: u64, config: &TrainingConfig, steps: u64) -> Result<Forecast> {
    let unet = model.unet.config();
    let side = u64::from(config.pictures.resolution) / model.vae.config().scale() as u64;
    let is_full = config.method == Method::Full;
    let tokens = model.text.tokenizer.length() as u64;
    let work = work(unet, side, tokens, is_full);
    let pictures = u64::from(config.steps.batch);
    let again = config.steps.gradient_checkpointing;
    let kept = if again { work.between + 2 * work.largest } else { work.kept + work.largest };
    // Values, gradients and two moments, and the average where one is kept.
    let copies = 4 + u64::from(config.ema.enabled);
    let frozen = |component| {
        model.part_file(component).map_or(0, |file| {
            file.tensors()
                .values()
                .map(|info| info.shape.iter().product::<usize>() as u64 * info.dtype.bitsize() as u64 / 8)
                .sum()
        })
    };
    let mut weights = if is_full { 0 } else { frozen(Component::Unet) };
    if config.text_encoder {
        weights += frozen(Component::TextEncoder) + frozen(Component::TextEncoder2);
    }
    let memory = vec![
        Share { what: "the model's weights, as their file has them", bytes: weights },
        Share { what: "what is trained, with gradients and the optimizer's memory", bytes: 4 * copies * trained },
        Share { what: "what a step remembers on its way through the network", bytes: 4 * kept * pictures },
        Share { what: "the program itself", bytes: PROGRAM },
    ];
    // The way there, and back to the inputs; whole networks go back to their weights as well.
    let passes = 2.0 + f64::from(u8::from(is_full)) + f64::from(u8::from(again));
    let products = work.products * passes * (pictures * u64::from(config.steps.accumulation)) as f64;
    let secs_per_step = products / (EFFICIENCY * products_per_second()?);
    let native_side_px = model.family.capabilities.native_side_px;
    Ok(Forecast { memory, trained, steps, secs_per_step, native_side_px })
}

/// Multiplications with an addition that this machine does in a second, in the product of two matrices as a network has
/// them: the best of some.
fn products_per_second() -> Result<f64> {
    let (rows, inputs, outputs) = (1024usize, 640usize, 640usize);
    let zeros = |shape: (usize, usize)| Tensor::zeros(shape, candle_core::DType::F32, &Device::Cpu);
    let measure = || -> candle_core::Result<f64> {
        let (x, weight) = (zeros((rows, inputs))?, Weight::Tensor(zeros((outputs, inputs))?));
        let mut best = f64::INFINITY;
        for _ in 0..8 {
            let begun = Instant::now();
            ops::linear(&x, &weight, None, None)?;
            best = best.min(begun.elapsed().as_secs_f64());
        }
        Ok((rows * inputs * outputs) as f64 / best.max(1e-9))
    };
    measure().map_err(engine_error)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn sd15() -> UNetConfig {
        UNetConfig::from_json(&json!({
            "in_channels": 4, "out_channels": 4, "block_out_channels": [320, 640, 1280, 1280],
            "down_block_types":
                ["CrossAttnDownBlock2D", "CrossAttnDownBlock2D", "CrossAttnDownBlock2D", "DownBlock2D"],
            "up_block_types": ["UpBlock2D", "CrossAttnUpBlock2D", "CrossAttnUpBlock2D", "CrossAttnUpBlock2D"],
            "layers_per_block": 2, "cross_attention_dim": 768, "attention_head_dim": 8,
        }))
        .unwrap()
    }

    #[test]
    fn the_multiplications_of_stable_diffusion_are_known() {
        let work = work(&sd15(), 64, 77, false);
        // 339 billion at 64 x 64 latents, by the counter of fvcore on diffusers' UNet2DConditionModel, without attention's
        // scores; with them 20 % more.
        assert!((3.2e11..4.4e11).contains(&work.products), "{}", work.products);
    }

    #[test]
    fn checkpointing_needs_less_and_larger_pictures_more() {
        let small = work(&sd15(), 32, 77, false);
        let large = work(&sd15(), 64, 77, false);
        assert_eq!(large.kept, 4 * small.kept);
        assert!(large.between + 2 * large.largest < large.kept / 2);
        assert!(work(&sd15(), 64, 77, true).kept > large.kept);
    }
}
