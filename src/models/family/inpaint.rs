//! Inpainting models: Stable Diffusion whose network sees the mask and what stays of the picture besides the latents.

use serde_json::Value;

use super::{Family, TextUse, sd1, sd2, sdxl};
use crate::domain::{Capabilities, FamilyId, SamplerId, ScheduleId};
use crate::models::preview::PreviewFactors;

/// Channels that its network reads: the latents', the mask, and the latents of the picture without what is painted anew.
const CHANNELS: u64 = 9;

/// Stable Diffusion 1's row.
pub const SD1: Family = Family {
    capabilities: Capabilities {
        family: FamilyId::Sd1Inpaint,
        label: "Stable Diffusion 1 Inpainting",
        needs_mask: true,
        ..sd1::CAPABILITIES
    },
    preview: PreviewFactors::SD1,
    text: TextUse::Last,
    detect: |unet, _| is_inpainting(unet, false) && unet["use_linear_projection"] != true,
};

/// Stable Diffusion 2's row.
pub const SD2: Family = Family {
    capabilities: Capabilities {
        family: FamilyId::Sd2Inpaint,
        label: "Stable Diffusion 2 Inpainting",
        native_side_px: 512,
        aspect_presets: super::ASPECTS_512,
        needs_mask: true,
        ..sd2::CAPABILITIES
    },
    preview: PreviewFactors::SD1,
    text: TextUse::Last,
    detect: |unet, _| is_inpainting(unet, false) && unet["use_linear_projection"] == true,
};

/// Stable Diffusion XL's row.
pub const SDXL: Family = Family {
    capabilities: Capabilities {
        family: FamilyId::SdxlInpaint,
        label: "Stable Diffusion XL Inpainting",
        default_sampler: SamplerId::Euler,
        default_schedule: ScheduleId::Automatic,
        needs_mask: true,
        ..sdxl::CAPABILITIES
    },
    preview: PreviewFactors::SDXL,
    text: TextUse::Pair,
    detect: |unet, _| is_inpainting(unet, true),
};

fn is_inpainting(unet: &Value, is_xl: bool) -> bool {
    unet["in_channels"] == CHANNELS && super::is_xl(unet) == is_xl
}
