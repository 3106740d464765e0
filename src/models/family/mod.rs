//! The families: what each can do, and how it is told from the others.

mod sd1;
mod starter;

use serde_json::Value;

use super::preview::PreviewFactors;
use crate::domain::{Capabilities, FamilyId, Result, UserError};

/// A family of models.
pub struct Family {
    /// What it can do and what it is best asked for.
    pub capabilities: Capabilities,
    /// How its latents look as colours, where the model's own folder does not say.
    pub preview: PreviewFactors,
    /// Whether a diffusers folder is of this family, from its `unet/config.json` and `text_encoder/config.json`.
    pub detect: fn(unet: &Value, text_encoder: &Value) -> bool,
}

/// Every family that is built. Detection takes the first that fits.
pub static FAMILIES: &[Family] = &[starter::FAMILY, sd1::FAMILY];

/// What a family can do.
#[must_use]
pub fn capabilities(family: FamilyId) -> &'static Capabilities {
    &of(family).capabilities
}

/// A family's row.
pub(super) fn of(family: FamilyId) -> &'static Family {
    // Every id has a row: a test walks them all.
    FAMILIES.iter().find(|row| row.capabilities.family == family).unwrap_or(&FAMILIES[0])
}

/// Which family a diffusers folder is of.
///
/// # Errors
/// When it is none that is built; the message says what it seems to be.
pub(super) fn detect(unet: &Value, text_encoder: &Value) -> Result<&'static Family> {
    if let Some(family) = FAMILIES.iter().find(|family| (family.detect)(unet, text_encoder)) {
        return Ok(family);
    }
    let seems = match (unet["addition_embed_type"].as_str(), unet["in_channels"].as_u64()) {
        (Some("text_time"), _) => "Stable Diffusion XL",
        (_, Some(9)) => "an inpainting model",
        (_, Some(8)) => "an instruction model (pix2pix)",
        _ if unet["use_linear_projection"] == true => "Stable Diffusion 2",
        _ => "of a family that Atelier does not know",
    };
    Err(UserError::input(format!("This model seems to be {seems}, which Atelier cannot run yet"))
        .hint("Stable Diffusion 1 models in diffusers' folder layout can be run"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::GenerateRequest;

    #[test]
    fn every_family_has_a_row_whose_defaults_are_valid() {
        for family in [FamilyId::Starter, FamilyId::Sd1] {
            let row = capabilities(family);
            assert_eq!(row.family, family);
            let mut request = GenerateRequest {
                num_inference_steps: row.default_steps,
                guidance_scale: row.default_guidance,
                sampler: row.default_sampler,
                schedule: row.default_schedule,
                prompt: row.example_prompt.to_owned(),
                ..GenerateRequest::default()
            };
            for (_, width_px, height_px) in row.aspect_presets {
                (request.width_px, request.height_px) = (*width_px, *height_px);
                assert_eq!(request.validate(row), [], "{family:?} {width_px}x{height_px}");
            }
        }
    }
}
