//! Stable Diffusion XL: two text encoders, 1024 px.

use serde_json::Value;

use super::{Family, TextUse};
use crate::domain::{Capabilities, FamilyId, SamplerId, ScheduleId};
use crate::models::preview::PreviewFactors;

/// What it can do.
pub const CAPABILITIES: Capabilities = Capabilities {
    family: FamilyId::Sdxl,
    label: "Stable Diffusion XL",
    size_multiple_px: 8,
    min_side_px: 64,
    max_side_px: 4096,
    native_side_px: 1024,
    aspect_presets: &[
        ("1:1", 1024, 1024),
        ("3:4", 896, 1152),
        ("4:3", 1152, 896),
        ("2:3", 832, 1216),
        ("3:2", 1216, 832),
        ("9:16", 768, 1344),
        ("16:9", 1344, 768),
    ],
    default_steps: 30,
    default_guidance: 6.0,
    default_sampler: SamplerId::DpmPp2m,
    default_schedule: ScheduleId::Karras,
    example_prompt: "a watercolor of a lighthouse at dawn",
    needs_mask: false,
};

/// Its row.
pub const FAMILY: Family =
    Family { capabilities: CAPABILITIES, preview: PreviewFactors::SDXL, text: TextUse::Pair, detect };

fn detect(unet: &Value, _: &Value) -> bool {
    super::is_plain(unet, true)
}
