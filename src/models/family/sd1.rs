//! Stable Diffusion 1.x: CLIP ViT-L text, 512 px, epsilon prediction.

use serde_json::Value;

use super::{Family, TextUse};
use crate::domain::{Capabilities, FamilyId, SamplerId, ScheduleId};
use crate::models::preview::PreviewFactors;

/// What it can do.
pub const CAPABILITIES: Capabilities = Capabilities {
    family: FamilyId::Sd1,
    label: "Stable Diffusion 1",
    size_multiple_px: 8,
    min_side_px: 64,
    max_side_px: 2048,
    native_side_px: 512,
    aspect_presets: super::ASPECTS_512,
    default_steps: 25,
    default_guidance: 7.0,
    default_sampler: SamplerId::DpmPp2m,
    default_schedule: ScheduleId::Karras,
    example_prompt: "a watercolor of a lighthouse at dawn",
    needs_mask: false,
};

/// Its row.
pub const FAMILY: Family =
    Family { capabilities: CAPABILITIES, preview: PreviewFactors::SD1, text: TextUse::Last, detect };

fn detect(unet: &Value, _: &Value) -> bool {
    super::is_plain(unet, false) && unet["use_linear_projection"] != true
}
