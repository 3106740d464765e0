//! SD-Turbo: Stable Diffusion 2.1, distilled to one to four steps without guidance (Sauer et al. 2023).

use serde_json::Value;

use super::{Family, TextUse};
use crate::domain::{Capabilities, FamilyId, SamplerId, ScheduleId};
use crate::models::preview::PreviewFactors;

/// Its row.
pub const FAMILY: Family = Family {
    capabilities: Capabilities {
        family: FamilyId::SdTurbo,
        label: "SD-Turbo",
        size_multiple_px: 8,
        min_side_px: 64,
        max_side_px: 2048,
        native_side_px: 512,
        aspect_presets: super::ASPECTS_512,
        default_steps: 2,
        default_guidance: 1.0,
        default_sampler: SamplerId::EulerA,
        default_schedule: ScheduleId::Trailing,
        example_prompt: "a photo of a red panda on a branch",
        needs_mask: false,
    },
    preview: PreviewFactors::SD1,
    text: TextUse::Last,
    detect,
};

fn detect(unet: &Value, scheduler: &Value) -> bool {
    super::is_plain(unet, false) && unet["use_linear_projection"] == true && super::is_turbo(scheduler)
}
