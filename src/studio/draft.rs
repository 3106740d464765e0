//! The request that is being written, and what keeps it within bounds.

use crate::domain::{Capabilities, GenerateRequest, limits};

use super::Edit;

/// The request that is being written.
#[derive(Clone, Debug, PartialEq)]
pub struct Draft {
    /// What Generate would send.
    pub request: GenerateRequest,
    /// Whether the seed stays as it is after Generate.
    pub seed_locked: bool,
}

/// Bounds of a side, in px.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Size {
    /// Both sides are multiples of this.
    pub multiple_px: u32,
    /// Smallest side.
    pub min_px: u32,
    /// Largest side.
    pub max_px: u32,
}

impl Size {
    pub(super) fn of(family: &Capabilities) -> Self {
        Self { multiple_px: family.size_multiple_px.max(1), min_px: family.min_side_px, max_px: family.max_side_px }
    }

    /// The allowed side that is nearest.
    #[must_use]
    pub fn clamp(self, side_px: u32) -> u32 {
        let Self { multiple_px, min_px, max_px } = self;
        let rounded = (side_px.min(max_px) + multiple_px / 2) / multiple_px * multiple_px;
        rounded.clamp(min_px.next_multiple_of(multiple_px), max_px / multiple_px * multiple_px)
    }
}

impl Draft {
    /// The draft of the very first start: an example that the family answers well.
    #[must_use]
    pub fn example(family: &Capabilities, seed: u64) -> Self {
        let mut draft = Self { request: GenerateRequest { seed, ..GenerateRequest::default() }, seed_locked: false };
        family.example_prompt.clone_into(&mut draft.request.prompt);
        draft.take_defaults(family);
        draft
    }

    /// Takes over what the family is best asked for: size, steps, guidance, sampler, schedule.
    pub fn take_defaults(&mut self, family: &Capabilities) {
        let request = &mut self.request;
        let side_px = Size::of(family).clamp(family.native_side_px);
        request.width_px = side_px;
        request.height_px = side_px;
        request.num_inference_steps = family.default_steps;
        request.guidance_scale = family.default_guidance;
        request.sampler = family.default_sampler;
        request.schedule = family.default_schedule;
    }

    /// Brings the size into the family's bounds.
    pub fn clamp_size(&mut self, family: &Capabilities) {
        let size = Size::of(family);
        self.request.width_px = size.clamp(self.request.width_px);
        self.request.height_px = size.clamp(self.request.height_px);
    }

    /// Changes one field, within bounds. `family` is `None` while the model's family is not known.
    ///
    /// [`Edit::Model`] changes the name only; the rest of a change of model is [`super::State`]'s.
    pub fn edit(&mut self, edit: Edit, family: Option<&Capabilities>) {
        let side = |side_px: u32| family.map_or(side_px, |family| Size::of(family).clamp(side_px));
        let request = &mut self.request;
        match edit {
            Edit::Prompt(text) => request.prompt = text,
            Edit::NegativePrompt(text) => request.negative_prompt = text,
            Edit::Model(model) => request.model = model,
            Edit::Width(width_px) => request.width_px = side(width_px),
            Edit::Height(height_px) => request.height_px = side(height_px),
            Edit::Size(width_px, height_px) => {
                request.width_px = side(width_px);
                request.height_px = side(height_px);
            }
            Edit::Steps(steps) => request.num_inference_steps = steps.clamp(1, limits::MAX_STEPS),
            Edit::Guidance(scale) if scale.is_finite() => {
                request.guidance_scale = scale.clamp(0.0, limits::MAX_GUIDANCE);
            }
            Edit::Guidance(_) => {}
            Edit::Sampler(sampler) => request.sampler = sampler,
            Edit::Schedule(schedule) => request.schedule = schedule,
            Edit::Seed(seed) => request.seed = seed,
            Edit::Count(count) => request.count = count.clamp(1, limits::MAX_COUNT),
        }
    }
}

/// Draws seeds. They only have to differ from each other, not to be unpredictable.
#[derive(Clone, Debug)]
pub struct Seeds(u64);

impl Seeds {
    /// Begins anywhere, such as at the time of the start.
    #[must_use]
    pub fn new(entropy: u64) -> Self {
        Self(entropy)
    }

    /// The next seed: 32 bits, which other tools accept too and which a person can read out.
    ///
    /// `SplitMix64` (Steele, Lea, Flood 2014, "Fast splittable pseudorandom number generators").
    pub fn draw(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) >> 32
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_side_goes_to_the_nearest_multiple_within_bounds() {
        let size = Size { multiple_px: 8, min_px: 64, max_px: 256 };
        for (asked, got) in [(0, 64), (64, 64), (67, 64), (68, 72), (128, 128), (255, 256), (u32::MAX, 256)] {
            assert_eq!(size.clamp(asked), got, "{asked}");
        }
        let odd = Size { multiple_px: 16, min_px: 60, max_px: 250 };
        assert_eq!((odd.clamp(0), odd.clamp(1000)), (64, 240), "bounds that are no multiples are narrowed");
    }

    #[test]
    fn seeds_differ_and_fit_32_bits() {
        let mut seeds = Seeds::new(1);
        let drawn: std::collections::HashSet<u64> = (0..1000).map(|_| seeds.draw()).collect();
        assert!(drawn.len() > 990 && drawn.iter().all(|seed| u32::try_from(*seed).is_ok()));
    }
}
