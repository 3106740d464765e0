//! Latent consistency models of Stable Diffusion 1 (Luo et al. 2023): four steps, the guidance scale is told to the network.

use serde_json::Value;

use super::{Family, TextUse};
use crate::domain::{Capabilities, FamilyId, SamplerId, ScheduleId};
use crate::models::preview::PreviewFactors;

/// Its row.
pub const FAMILY: Family = Family {
    capabilities: Capabilities {
        family: FamilyId::Lcm,
        label: "Latent consistency (SD 1)",
        size_multiple_px: 8,
        min_side_px: 64,
        max_side_px: 2048,
        native_side_px: 512,
        aspect_presets: super::ASPECTS_512,
        default_steps: 4,
        default_guidance: 8.0,
        default_sampler: SamplerId::Lcm,
        default_schedule: ScheduleId::Automatic,
        example_prompt: "a portrait of an old sailor, detailed",
        needs_mask: false,
    },
    preview: PreviewFactors::SD1,
    text: TextUse::Last,
    detect,
};

fn detect(unet: &Value, _: &Value) -> bool {
    super::is_plain(unet, false) && !unet["time_cond_proj_dim"].is_null()
}
