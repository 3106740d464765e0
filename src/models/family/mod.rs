//! The families: what each can do, and how it is told from the others.

mod inpaint;
mod lcm;
mod sd1;
mod sd2;
mod sd_turbo;
mod sdxl;
mod sdxl_turbo;
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
    /// Which of the text encoders' outputs the network looks at.
    pub text: TextUse,
    /// Whether a diffusers folder is of this family, from its `unet/config.json` and `scheduler_config.json`.
    pub detect: fn(unet: &Value, scheduler: &Value) -> bool,
}

/// Which of the text encoders' outputs a network looks at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TextUse {
    /// The last layer's, behind the final norm.
    Last,
    /// Those of the layers before the last of two encoders, side by side and without a norm; besides, the second's pooled
    /// text.
    Pair,
}

/// Every family that is built. Detection takes the first that fits.
pub static FAMILIES: &[Family] = &[
    starter::FAMILY,
    lcm::FAMILY,
    sd1::FAMILY,
    sd_turbo::FAMILY,
    sd2::FAMILY,
    sdxl_turbo::FAMILY,
    sdxl::FAMILY,
    inpaint::SD1,
    inpaint::SD2,
    inpaint::SDXL,
];

/// Presets of families that were trained at 512 px: about as many px as there.
const ASPECTS_512: &[(&str, u32, u32)] = &[
    ("1:1", 512, 512),
    ("3:4", 448, 592),
    ("4:3", 592, 448),
    ("2:3", 416, 624),
    ("3:2", 624, 416),
    ("9:16", 384, 680),
    ("16:9", 680, 384),
];

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
pub(super) fn detect(unet: &Value, scheduler: &Value) -> Result<&'static Family> {
    if let Some(family) = FAMILIES.iter().find(|family| (family.detect)(unet, scheduler)) {
        return Ok(family);
    }
    let seems = match unet["in_channels"].as_u64() {
        Some(8) => "an instruction model (pix2pix)",
        _ => "of a family that Atelier does not know",
    };
    Err(UserError::input(format!("This model seems to be {seems}, which Atelier cannot run yet"))
        .hint("Stable Diffusion 1, 2 and XL can be run"))
}

/// Whether a network reads latents alone, and looks at one text encoder (`is_xl` false) or two.
fn is_plain(unet: &Value, is_xl: bool) -> bool {
    unet["in_channels"] == 4 && self::is_xl(unet) == is_xl
}

/// Whether a network wants to know the pooled text and sizes besides the text.
fn is_xl(unet: &Value) -> bool {
    unet["addition_embed_type"] == "text_time"
}

/// Whether a schedule is that of the "turbo" models, which were distilled to one to four steps (Sauer et al. 2023): the
/// published ones alone count timesteps from the end.
fn is_turbo(scheduler: &Value) -> bool {
    let class = scheduler["_class_name"].as_str().unwrap_or_default();
    class.starts_with("Euler") && scheduler["timestep_spacing"] == "trailing"
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{Extend, GenerateRequest, InitImage};

    #[test]
    fn every_family_is_told_from_its_configurations() {
        use serde_json::json;

        let unet = |channels: u32, linear: bool, is_xl: bool| {
            json!({
                "in_channels": channels, "use_linear_projection": linear,
                "addition_embed_type": is_xl.then_some("text_time"),
            })
        };
        let plain = json!({"_class_name": "PNDMScheduler", "timestep_spacing": "leading"});
        let turbo = json!({"_class_name": "EulerDiscreteScheduler", "timestep_spacing": "trailing"});
        let mut starter = unet(8, false, false);
        starter["_atelier_family"] = json!("starter");
        let mut lcm = unet(4, false, false);
        lcm["time_cond_proj_dim"] = json!(256);
        for (family, unet, scheduler) in [
            (FamilyId::Starter, starter, &plain),
            (FamilyId::Sd1, unet(4, false, false), &plain),
            (FamilyId::Lcm, lcm, &plain),
            (FamilyId::Sd2, unet(4, true, false), &plain),
            (FamilyId::SdTurbo, unet(4, true, false), &turbo),
            (FamilyId::Sdxl, unet(4, true, true), &plain),
            (FamilyId::SdxlTurbo, unet(4, true, true), &turbo),
            (FamilyId::Sd1Inpaint, unet(9, false, false), &plain),
            (FamilyId::Sd2Inpaint, unet(9, true, false), &plain),
            (FamilyId::SdxlInpaint, unet(9, true, true), &plain),
        ] {
            let found = detect(&unet, scheduler).map(|row| row.capabilities.family);
            assert_eq!(found, Ok(family));
        }
        let error = detect(&unet(8, false, false), &plain).err().unwrap();
        assert!(error.sentence.contains("pix2pix"), "{error}");
    }

    #[test]
    fn every_family_has_a_row_whose_defaults_are_valid() {
        for family in FamilyId::ALL {
            let row = capabilities(family);
            assert_eq!(row.family, family);
            let mask = row.needs_mask.then(|| "mask.png".into());
            let mut request = GenerateRequest {
                init: mask.map(|mask| InitImage {
                    picture: "a.png".into(),
                    mask: Some(mask),
                    strength: 1.0,
                    extend: Extend::default(),
                }),
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
