//! How much of a device's memory a picture takes, before it is made: weights from the files' headers, work from the
//! networks' widths. Estimates of what the operations of `nn::ops::portable` hold at once, not measurements; what they
//! leave out (the driver's own, cuDNN's workspace) is [`RESERVE_BYTES`].

use std::path::Path;

use super::family::{self, Family, TextUse};
use super::load::Part;
use super::placement::Placement;
use super::source::Source;
use super::unet_config::UNetConfig;
use super::vae::VaeConfig;
use super::vae_tiling::Tiling;
use crate::domain::{ComputeType, ModelRef, Result};
use crate::nn::ops::MOST_SCORES;
use crate::weights::TensorFile;
use crate::weights::layout::Component;

/// What is left to the driver and its libraries.
const RESERVE_BYTES: u64 = 600 << 20;

/// Copies of a map in f32 that a norm holds at once.
const NORM_COPIES: u64 = 5;

/// Sides of tiles in latents, from large to small, that a picture is decoded in where memory is short.
const TILES: [usize; 5] = [96, 72, 48, 36, 24];

/// Bytes of each part's weights where it computes, in the order of [`Part::ALL`].
pub(super) fn weights_bytes(source: &Source, family: &Family, placement: &Placement) -> Result<[u64; Part::COUNT]> {
    let elements = |component| source.weights(component).map(|file: TensorFile| elements(&file));
    let mut text = elements(Component::TextEncoder)?;
    if family.text == TextUse::Pair {
        text += elements(Component::TextEncoder2)?;
    }
    let counts = [text, elements(Component::Unet)?, elements(Component::Vae)?];
    let bytes = |part: Part| counts[part.index()] * placement.numbers(family.capabilities.family, part).bytes();
    Ok(Part::ALL.map(bytes))
}

/// Bytes that a model takes on its device with a picture of its usual size in work; only headers are read.
///
/// # Errors
/// When the model is not there, is broken, or is of no known family.
pub fn weigh(model: &ModelRef, vae: Option<&Path>, placement: &Placement) -> Result<u64> {
    let source = Source::open(model, vae)?;
    let (unet, scheduler) =
        (source.files.json("unet/config.json")?, source.files.json("scheduler/scheduler_config.json")?);
    let family = family::detect(&unet, &scheduler)?;
    let (unet, vae) = (UNetConfig::from_json(&unet)?, VaeConfig::from_json(&source.vae_config()?)?);
    let side = family.capabilities.native_side_px as usize / vae.scale();
    let [of_unet, of_vae] = [Part::UNet, Part::Vae].map(|part| placement.numbers(family.capabilities.family, part));
    let weights: u64 = weights_bytes(&source, family, placement)?.iter().sum();
    Ok(weights + WorkForecast::of(&unet, &vae).picture_bytes((side, side), of_unet, of_vae))
}

fn elements(file: &TensorFile) -> u64 {
    file.tensors().values().map(|info| info.shape.iter().map(|side| *side as u64).product::<u64>()).sum()
}

/// What the networks of a model hold while they work.
#[derive(Clone, Debug)]
pub struct WorkForecast {
    /// Channels of each level of the denoising network, from the outermost.
    unet: Vec<u64>,
    layers: u64,
    /// Heads of the outermost attention.
    heads: u64,
    /// The same of the autoencoder.
    vae: Vec<u64>,
    /// Px that a latent stands for, along a side.
    scale: u64,
}

impl WorkForecast {
    /// Of a model with these networks.
    #[must_use]
    pub fn of(unet: &UNetConfig, vae: &VaeConfig) -> Self {
        let wide = |channels: &[usize]| channels.iter().map(|channels| *channels as u64).collect();
        Self {
            unet: wide(&unet.block_out_channels),
            layers: unet.layers_per_block as u64,
            heads: unet.attention_head_dim.at(0) as u64,
            vae: wide(&vae.block_out_channels),
            scale: vae.scale() as u64,
        }
    }

    /// Bytes that one evaluation for `rows` prompts holds beside the weights, with latents of these sides.
    #[must_use]
    pub fn step_bytes(&self, (height, width): (usize, usize), rows: usize, numbers: ComputeType) -> u64 {
        let (px, rows, bytes) = (area(height, width), rows as u64, numbers.bytes());
        let level = |i: usize| (px >> (2 * i)).max(1);
        let skips: u64 =
            self.unet.iter().enumerate().map(|(i, channels)| (self.layers + 1) * level(i) * channels).sum::<u64>();
        // What comes from below beside what comes from the way down.
        let widest = self.unet.iter().take(2).sum::<u64>() * px;
        let norm = widest * (4 * NORM_COPIES + 3 * bytes);
        let queries = 4 * self.unet.first().copied().unwrap_or(0) * px * bytes;
        let scores = (rows * self.heads * px * px).min(MOST_SCORES as u64) * (3 * 4 + 2 * bytes);
        rows * skips * bytes + (rows * norm).max(rows * queries + scores)
    }

    /// Bytes that decoding at once holds beside the weights, latents of these sides.
    #[must_use]
    pub fn decode_bytes(&self, (height, width): (usize, usize), numbers: ComputeType) -> u64 {
        let px = area(height, width) * self.scale * self.scale;
        // The widest map at full size comes from the level below.
        px * self.vae.iter().take(2).max().copied().unwrap_or(0) * (4 * NORM_COPIES + 3 * numbers.bytes())
    }

    /// The most that a picture takes beside the weights: a guided step, or its decoding.
    #[must_use]
    pub fn picture_bytes(&self, sides: (usize, usize), unet: ComputeType, vae: ComputeType) -> u64 {
        let decode = match Tiling::for_size(sides.0, sides.1) {
            Some(_) => self.decode_bytes((TILES[0], TILES[0]), vae),
            None => self.decode_bytes(sides, vae),
        };
        RESERVE_BYTES + self.step_bytes(sides, 2, unet).max(decode)
    }

    /// How a picture is decoded where `free` bytes are: at once, else in the largest tiles that fit.
    #[must_use]
    pub fn tiling(&self, sides: (usize, usize), numbers: ComputeType, free: u64) -> Option<Tiling> {
        let room = free.saturating_sub(RESERVE_BYTES / 2);
        let usual = Tiling::for_size(sides.0, sides.1);
        let side = usual.map_or(sides, |usual| (usual.side(), usual.side()));
        if self.decode_bytes(side, numbers) <= room {
            return usual;
        }
        let fits = |tile: &&usize| self.decode_bytes((**tile, **tile), numbers) <= room;
        let tile = *TILES.iter().find(fits).unwrap_or(&TILES[TILES.len() - 1]);
        // A third at most is shared, so that this cannot fail.
        Tiling::new(tile, tile / 4).ok()
    }
}

/// The next smaller tiling for a picture of these sides, after one for which memory was not enough.
#[must_use]
pub fn smaller_tiling(sides: (usize, usize), than: Option<Tiling>) -> Option<Tiling> {
    let side = than.map_or(sides.0.max(sides.1), Tiling::side);
    let tile = TILES.into_iter().find(|tile| *tile < side)?;
    Tiling::new(tile, tile / 4).ok()
}

fn area(height: usize, width: usize) -> u64 {
    (height as u64).saturating_mul(width as u64)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::models::starter_files;

    /// Stable Diffusion 1.5's widths.
    fn sd15() -> WorkForecast {
        WorkForecast { unet: vec![320, 640, 1280, 1280], layers: 2, heads: 8, vae: vec![128, 256, 512, 512], scale: 8 }
    }

    #[test]
    fn more_px_and_wider_numbers_take_more() {
        let work = sd15();
        let step = |side, numbers| work.step_bytes((side, side), 2, numbers);
        assert!(step(96, ComputeType::F16) > step(64, ComputeType::F16));
        assert!(step(64, ComputeType::F32) > step(64, ComputeType::F16));
        assert!(work.step_bytes((64, 64), 1, ComputeType::F16) < step(64, ComputeType::F16));
        // Four times the px are four times the decoder's maps.
        let decode = |side| work.decode_bytes((side, side), ComputeType::F32);
        assert_eq!(decode(128), 4 * decode(64));
        // 512 px of 256 channels, 5 copies in f32 and 3 in f16.
        assert_eq!(work.decode_bytes((64, 64), ComputeType::F16), 512 * 512 * 256 * (20 + 6));
    }

    #[test]
    fn tiles_follow_the_memory_that_is_free() {
        let work = sd15();
        let tiling = |sides, free| work.tiling(sides, ComputeType::F32, free).map(Tiling::side);
        assert_eq!(tiling((64, 64), 24 << 30), None);
        assert_eq!(tiling((64, 64), 2 << 30), Some(48));
        assert_eq!(tiling((64, 64), 0), Some(24));
        assert_eq!(tiling((192, 192), 24 << 30), Some(96));
        assert_eq!(tiling((192, 192), 3 << 30), Some(72));
    }

    #[test]
    fn smaller_tilings_come_to_an_end() {
        let (mut tiling, mut sides) = (None, Vec::new());
        while let Some(smaller) = smaller_tiling((64, 64), tiling) {
            sides.push(smaller.side());
            tiling = Some(smaller);
        }
        assert_eq!(sides, [48, 36, 24]);
        assert_eq!(smaller_tiling((20, 20), None), None);
    }

    #[test]
    fn weights_are_counted_from_headers() {
        let files = starter_files();
        let file = files.part_weights("vae", crate::weights::Precision::Full).unwrap();
        let by_values: usize = file.names().map(|name| file.read_f32(name).unwrap().len()).sum();
        assert_eq!(elements(&file), by_values as u64);
    }
}
