//! Stable Diffusion 2.x: `OpenCLIP` ViT-H text, 512 px (epsilon) or 768 px (v-prediction).

use serde_json::Value;

use super::{Family, TextUse};
use crate::domain::{Capabilities, FamilyId, SamplerId, ScheduleId};
use crate::models::preview::PreviewFactors;

/// What it can do.
pub const CAPABILITIES: Capabilities = Capabilities {
    family: FamilyId::Sd2,
    label: "Stable Diffusion 2",
    size_multiple_px: 8,
    min_side_px: 64,
    max_side_px: 2048,
    native_side_px: 768,
    aspect_presets: &[
        ("1:1", 768, 768),
        ("3:4", 664, 888),
        ("4:3", 888, 664),
        ("2:3", 624, 936),
        ("3:2", 936, 624),
        ("9:16", 576, 1024),
        ("16:9", 1024, 576),
    ],
    default_steps: 25,
    default_guidance: 7.0,
    default_sampler: SamplerId::DpmPp2m,
    default_schedule: ScheduleId::Automatic,
    example_prompt: "a watercolor of a lighthouse at dawn",
    needs_mask: false,
};

/// Its row.
pub const FAMILY: Family =
    Family { capabilities: CAPABILITIES, preview: PreviewFactors::SD1, text: TextUse::Last, detect };

fn detect(unet: &Value, _: &Value) -> bool {
    super::is_plain(unet, false) && unet["use_linear_projection"] == true
}
