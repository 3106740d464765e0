//! [`SafetyChecker`]: whether a picture is close to concepts that it should not show.
//!
//! As diffusers' `StableDiffusionSafetyChecker` (`pipelines/stable_diffusion/safety_checker.py`): a picture encoder, a
//! projection, and 17 + 3 directions in its space, each with a threshold for the cosine.

use candle_core::{Result as TensorResult, Tensor};
use serde::Deserialize;

use super::clip_image::{ClipImage, ClipImageConfig};
use super::clip_vision::{ClipVisionConfig, ClipVisionEncoder};
use super::load::Model;
use crate::domain::{Picture, Result, UserError, Verdict};
use crate::nn::{Init, Linear, Params, engine_error};
use crate::weights::{ModelFiles, Precision};

/// The folders of a model that it is read from.
const CHECKER: &str = "safety_checker";
const PREPROCESSOR: &str = "feature_extractor/preprocessor_config.json";

/// Directions that flag a picture, and those that lower the thresholds.
const CONCEPTS: usize = 17;
const SPECIAL_CARE: usize = 3;
/// What a special-care direction beyond its threshold adds to all scores behind it.
const ADJUSTMENT: f32 = 0.01;
/// The least length that a vector is normalised by (`torch.nn.functional.normalize`).
const LEAST_NORM: f32 = 1e-12;

/// What counts of the checker's `config.json`.
#[derive(Deserialize)]
struct CheckerJson {
    #[serde(default)]
    vision_config: Option<ClipVisionConfig>,
    /// Where a file of early releases has it, it is the one that counts.
    #[serde(default)]
    vision_config_dict: Option<ClipVisionConfig>,
    #[serde(default = "default_projection")]
    projection_dim: usize,
}

fn default_projection() -> usize {
    512
}

/// Directions with their thresholds.
struct Directions {
    /// Of length one, `[count, projection_dim]`.
    units: Vec<Vec<f32>>,
    thresholds: Vec<f32>,
}

/// How close a picture is to each direction.
#[derive(Clone, Debug, PartialEq)]
pub struct Scores {
    /// Cosine less threshold for each direction of special care, rounded to three digits; a positive one raises all
    /// that follow by 0.01.
    pub special_care: Vec<f32>,
    /// The same for each concept.
    pub concepts: Vec<f32>,
}

impl Scores {
    /// Flagged is a picture of which one concept's score is above zero.
    #[must_use]
    pub fn verdict(&self) -> Verdict {
        // A score that is no number, of a broken file, flags nothing and is refused before.
        let score = self.concepts.iter().copied().fold(f32::NEG_INFINITY, f32::max);
        Verdict { flagged: score > 0.0, score }
    }
}

/// A model's safety checker as far as it was needed.
#[derive(Default)]
pub(super) enum Safety {
    /// Nobody has asked for it yet.
    #[default]
    NotLookedFor,
    /// The model ships none.
    Missing,
    /// Loaded.
    Here(Box<SafetyChecker>),
}

impl Model {
    /// What the model's safety checker says of a picture; `None` where the model ships none. It is loaded at the first
    /// picture.
    ///
    /// # Errors
    /// When the checker cannot be loaded, or the picture is empty.
    pub fn check_safety(&mut self, picture: &Picture) -> Result<Option<Verdict>> {
        if matches!(self.safety, Safety::NotLookedFor) {
            let checker = SafetyChecker::load(&self.files)
                .map_err(|error| error.hint("download the model again, or turn the safety check off"))?;
            self.safety = checker.map_or(Safety::Missing, |checker| Safety::Here(Box::new(checker)));
        }
        match &self.safety {
            Safety::Here(checker) => checker.check(picture).map(Some),
            Safety::NotLookedFor | Safety::Missing => Ok(None),
        }
    }
}

/// The safety checker of a model. With the published weights it takes 1.2 GB of memory.
pub struct SafetyChecker {
    image: ClipImage,
    vision: ClipVisionEncoder,
    visual_projection: Linear,
    special_care: Directions,
    concepts: Directions,
}

impl SafetyChecker {
    /// Loads the checker that a model ships; `None` where it has no folder `safety_checker`.
    ///
    /// # Errors
    /// When a file is missing or broken, or configuration and weights do not belong together.
    pub fn load(files: &ModelFiles) -> Result<Option<Self>> {
        let name = format!("{CHECKER}/config.json");
        if !files.has(&name) && !files.has_part_weights(CHECKER) {
            return Ok(None);
        }
        let at = |name: &str| {
            let path = files.path(name);
            move |error: UserError| error.path(path)
        };
        let config: CheckerJson = files.json(&name)?;
        let vision = config.vision_config_dict.or(config.vision_config).unwrap_or_default();
        vision.check().map_err(at(&name))?;
        if !(1..=8192).contains(&config.projection_dim) {
            let sentence = "The safety checker's config.json cannot be used: projection_dim does not fit";
            return Err(at(&name)(UserError::input(sentence)));
        }
        let image = if files.has(PREPROCESSOR) {
            files.json(PREPROCESSOR)?
        } else {
            ClipImageConfig::for_side(vision.image_size)
        };
        let image = image.check(vision.image_size).map_err(at(PREPROCESSOR))?;
        let params = Params::from_file(files.part_weights(CHECKER, Precision::Full)?.renamed(current_name));
        let checker = Self::new(&params, &vision, config.projection_dim, image).map_err(engine_error)?;
        params.finish("safety checker")?;
        Ok(Some(checker))
    }

    fn new(params: &Params, config: &ClipVisionConfig, projection: usize, image: ClipImage) -> TensorResult<Self> {
        let directions = |name: &str, count: usize| {
            Ok::<_, candle_core::Error>(Directions {
                units: units(&params.get(name, &[count, projection], Init::Ones))?,
                thresholds: params.get(&format!("{name}_weights"), &[count], Init::Ones).to_vec1()?,
            })
        };
        Ok(Self {
            image,
            vision: ClipVisionEncoder::new(&params.pp("vision_model"), config),
            visual_projection: Linear::no_bias(&params.pp("visual_projection"), config.hidden_size, projection),
            special_care: directions("special_care_embeds", SPECIAL_CARE)?,
            concepts: directions("concept_embeds", CONCEPTS)?,
        })
    }

    /// The picture as the encoder sees it: `[1, 3, image_size, image_size]`.
    ///
    /// # Errors
    /// When the picture is empty or its bytes do not fit its sides.
    pub fn prepare(&self, picture: &Picture) -> Result<Tensor> {
        self.image.prepare(picture).map_err(engine_error)
    }

    /// Prepared pictures to their vectors: `[batch, projection_dim]`.
    ///
    /// # Errors
    /// When the shape does not fit.
    pub fn embed(&self, pixels: &Tensor) -> TensorResult<Tensor> {
        self.visual_projection.forward(&self.vision.forward(pixels)?)
    }

    /// How close the picture is to each direction.
    ///
    /// # Errors
    /// When the picture is empty or its bytes do not fit its sides, or the weights give what is no number.
    pub fn scores(&self, picture: &Picture) -> Result<Scores> {
        let embedded =
            self.embed(&self.prepare(picture)?).and_then(|embedded| units(&embedded)).map_err(engine_error)?;
        let [picture] = embedded.as_slice() else { unreachable!("one picture has one vector") };
        let mut adjustment = 0.0;
        let special_care = self.special_care.scores(picture, |score| {
            let score = rounded(score + adjustment);
            if score > 0.0 {
                adjustment = ADJUSTMENT;
            }
            score
        });
        let concepts = self.concepts.scores(picture, |score| rounded(score + adjustment));
        if special_care.iter().chain(&concepts).any(|score| !score.is_finite()) {
            return Err(UserError::failed("The safety checker gave no numbers").hint("its weights may be damaged"));
        }
        Ok(Scores { special_care, concepts })
    }

    /// Whether the picture is flagged.
    ///
    /// # Errors
    /// As [`SafetyChecker::scores`].
    pub fn check(&self, picture: &Picture) -> Result<Verdict> {
        Ok(self.scores(picture)?.verdict())
    }
}

impl Directions {
    /// Cosine less threshold of each direction, in order, passed through `adjust`.
    fn scores(&self, picture: &[f32], mut adjust: impl FnMut(f32) -> f32) -> Vec<f32> {
        let cosine = |unit: &[f32]| unit.iter().zip(picture).map(|(a, b)| a * b).sum::<f32>();
        self.units.iter().zip(&self.thresholds).map(|(unit, threshold)| adjust(cosine(unit) - threshold)).collect()
    }
}

/// Each row of `[rows, width]`, with length one.
fn units(rows: &Tensor) -> TensorResult<Vec<Vec<f32>>> {
    let mut rows: Vec<Vec<f32>> = rows.to_vec2()?;
    for row in &mut rows {
        let norm = row.iter().map(|value| f64::from(*value).powi(2)).sum::<f64>().sqrt() as f32;
        for value in row {
            *value /= norm.max(LEAST_NORM);
        }
    }
    Ok(rows)
}

/// To three digits, as the reference rounds: what is below 0.0005 is not above zero.
fn rounded(score: f32) -> f32 {
    (score * 1000.0).round_ties_even() / 1000.0
}

/// transformers before version 5 wraps the encoder once more, and all published files are so.
fn current_name(name: &str) -> String {
    name.strip_prefix("vision_model.vision_model.")
        .map_or_else(|| name.to_owned(), |rest| format!("vision_model.{rest}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_score_counts_from_the_third_digit_on() {
        for (score, expected) in [(0.0004, 0.0), (0.0006, 0.001), (-0.0004, 0.0), (-0.0126, -0.013), (0.2, 0.2)] {
            assert_eq!(rounded(score), expected, "{score}");
        }
        let verdict = |concepts: &[f32]| Scores { special_care: vec![0.3], concepts: concepts.to_vec() }.verdict();
        assert_eq!(verdict(&[-0.2, 0.0]), Verdict { flagged: false, score: 0.0 });
        assert_eq!(verdict(&[-0.2, 0.001, -0.1]), Verdict { flagged: true, score: 0.001 });
    }

    #[test]
    fn published_names_are_the_current_ones() {
        for name in ["vision_model.vision_model.post_layernorm.bias", "vision_model.post_layernorm.bias"] {
            assert_eq!(current_name(name), "vision_model.post_layernorm.bias");
        }
        assert_eq!(current_name("concept_embeds"), "concept_embeds");
    }

    #[test]
    fn a_model_without_a_checker_has_none_and_a_broken_one_is_refused() {
        let none = ModelFiles::Embedded(&[("unet/config.json", b"{}")]);
        assert!(SafetyChecker::load(&none).unwrap().is_none());
        for (content, expected) in [
            (&br#"{"vision_config": {"patch_size": 0}}"#[..], "patch_size does not fit"),
            (br#"{"projection_dim": 0}"#, "projection_dim does not fit"),
            (br#"{"vision_config": {"hidden_act": "relu"}}"#, "relu"),
            (b"{}", "no weights for its safety_checker"),
        ] {
            let files: &'static [(&str, &[u8])] = vec![("safety_checker/config.json", content)].leak();
            let error = SafetyChecker::load(&ModelFiles::Embedded(files)).err().expect("refused");
            assert!(error.sentence.contains(expected), "{error}");
            assert_eq!(error.exit_code(), 2);
        }
    }
}
