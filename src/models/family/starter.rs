//! The small model inside the program: garments at 128 px, of Stable Diffusion 1's architecture.

use serde_json::Value;

use super::{Family, TextUse};
use crate::domain::{Capabilities, FamilyId, SamplerId, ScheduleId};
use crate::models::preview::PreviewFactors;

/// Its row.
pub const FAMILY: Family = Family {
    capabilities: Capabilities {
        family: FamilyId::Starter,
        label: "Starter (garments)",
        size_multiple_px: 8,
        min_side_px: 64,
        max_side_px: 512,
        native_side_px: 128,
        aspect_presets: &[("1:1", 128, 128), ("3:4", 112, 152), ("4:3", 152, 112)],
        default_steps: 20,
        default_guidance: 4.0,
        default_sampler: SamplerId::DpmPp2m,
        default_schedule: ScheduleId::Automatic,
        example_prompt: "a red dress with white stripes",
        needs_mask: false,
    },
    preview: PreviewFactors::SD1,
    text: TextUse::Last,
    detect,
};

/// A folder is of this family when it says so: the trainer writes the mark, and the architecture alone is Stable
/// Diffusion 1's.
fn detect(unet: &Value, _: &Value) -> bool {
    unet["_atelier_family"] == "starter"
}
