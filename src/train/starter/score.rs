//! How often the pictures show what was asked for.

use std::fmt;

use candle_core::Tensor;
use serde::Serialize;

use super::sample::{BATCH, SampleSettings, sample};
use crate::dataset::garments::{GarmentSpec, Judge, judge, prompts};
use crate::domain::{Cancel, Picture, Result, UserError};
use crate::models::Model;

/// Shares of pictures that were right, in 0..1.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Scores {
    /// Pictures that were judged.
    pub count: usize,
    /// Both colours.
    pub colour: f64,
    /// The kind of garment.
    pub garment: f64,
    /// The pattern.
    pub pattern: f64,
    /// All three at once.
    pub all: f64,
}

impl Scores {
    /// Judges each picture by what was asked for.
    #[must_use]
    pub fn of(by: &Judge, pictures: &[Picture], asked: &[(GarmentSpec, String)]) -> Self {
        let mut scores = Self::default();
        for (picture, (spec, _)) in pictures.iter().zip(asked) {
            let verdict = judge(by, picture, spec);
            let add = |to: &mut f64, right: bool| *to += f64::from(u8::from(right));
            scores.count += 1;
            add(&mut scores.colour, verdict.colour);
            add(&mut scores.garment, verdict.garment);
            add(&mut scores.pattern, verdict.pattern);
            add(&mut scores.all, verdict.colour && verdict.garment && verdict.pattern);
        }
        let count = scores.count.max(1) as f64;
        for share in [&mut scores.colour, &mut scores.garment, &mut scores.pattern, &mut scores.all] {
            *share /= count;
        }
        scores
    }
}

/// Has a model of the starter family draw `count` held-out prompts, and judges the pictures. `settings.seed` names prompts
/// and noise; `progress` is told how many are done.
///
/// # Errors
/// When a network fails, or `cancel` was set.
pub fn judge_model(
    model: &Model,
    count: usize,
    settings: SampleSettings,
    cancel: &Cancel,
    progress: &mut dyn FnMut(usize),
) -> Result<(Scores, Vec<Picture>)> {
    let (by, asked) = (Judge::new(), prompts(count, settings.seed));
    let mut pictures = Vec::with_capacity(count);
    let scale = 1.0 / model.vae.config().scaling_factor;
    for (i, asked) in asked.chunks(BATCH).enumerate() {
        if cancel.is_cancelled() {
            return Err(UserError::cancelled());
        }
        let texts: Vec<String> = asked.iter().map(|(_, text)| text.clone()).collect();
        let settings = SampleSettings { seed: settings.seed.wrapping_add(i as u64), ..settings };
        let decode = |latents: Tensor| model.vae.decode(&(latents * scale)?);
        pictures.extend(sample(&texts, &model.text, &model.unet, &decode, settings)?);
        progress(pictures.len());
    }
    Ok((Scores::of(&by, &pictures, &asked), pictures))
}

impl fmt::Display for Scores {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let percent = |share: f64| 100.0 * share;
        write!(
            f,
            "{} held-out prompts: colour {:.1} %, garment {:.1} %, pattern {:.1} %, all three {:.1} %",
            self.count,
            percent(self.colour),
            percent(self.garment),
            percent(self.pattern),
            percent(self.all)
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dataset::garments::render;

    #[test]
    fn drawn_garments_score_well_and_exchanged_ones_do_not() {
        let (by, asked) = (Judge::new(), prompts(22, 5));
        let mut pictures: Vec<Picture> = asked.iter().map(|(spec, _)| render(spec, 128)).collect();
        let right = Scores::of(&by, &pictures, &asked);
        assert!(right.all > 0.8, "{right}");
        pictures.rotate_left(1);
        let wrong = Scores::of(&by, &pictures, &asked);
        assert!(wrong.garment < 0.3 && wrong.all < 0.1, "{wrong}");
    }
}
