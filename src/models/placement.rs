//! [`Placement`]: where the parts of a model compute, in which numbers, and what stays in its file.

use super::load::Part;
use crate::domain::{ComputeType, DeviceUse, FamilyId, Precision};
use crate::nn::{Backend, DeviceMemory, Place};

/// Where the parts of a model compute.
#[derive(Clone, Debug, Default)]
pub struct Placement {
    backend: Backend,
    precision: Precision,
    /// What takes the place of the family's numbers, for each part.
    numbers: [Option<ComputeType>; Part::COUNT],
    /// Whether a part's large weights stay in their file and are brought over each time that they are used.
    streamed: [bool; Part::COUNT],
    /// Whether `streamed` was said by somebody, so that it is not chosen.
    is_fixed: bool,
}

impl Placement {
    /// On the processor, by its kernels.
    #[must_use]
    pub fn processor() -> Self {
        Self::default()
    }

    /// On a backend: in 16 bits where the family can, in f32 where it is to be exact.
    #[must_use]
    pub fn on(backend: Backend, precision: Precision) -> Self {
        Self { backend, precision, ..Self::default() }
    }

    /// A part in other numbers than the family's.
    #[must_use]
    pub fn in_numbers(mut self, part: Part, numbers: ComputeType) -> Self {
        self.numbers[part.index()] = Some(numbers);
        self
    }

    /// These parts, and no others, leave their large weights in their file.
    #[must_use]
    pub fn streaming(mut self, parts: &[Part]) -> Self {
        self.streamed = Part::ALL.map(|part| parts.contains(&part));
        self.is_fixed = true;
        self
    }

    /// The same for a training, in bf16 where the card has it: gradients need its range more than f16's digits.
    #[must_use]
    pub fn for_training(mut self) -> Self {
        let is_narrow =
            self.precision == Precision::Fast && self.backend.nearest(ComputeType::Bf16) == ComputeType::Bf16;
        for part in [Part::TextEncoder, Part::UNet] {
            self.numbers[part.index()] = self.numbers[part.index()].or(is_narrow.then_some(ComputeType::Bf16));
        }
        self
    }

    /// What computes, and why.
    #[must_use]
    pub fn used(&self) -> &DeviceUse {
        self.backend.used()
    }

    /// What computes.
    #[must_use]
    pub fn backend(&self) -> &Backend {
        &self.backend
    }

    /// The device's memory now, where it has its own and tells.
    #[must_use]
    pub fn memory(&self) -> Option<DeviceMemory> {
        self.backend.memory()
    }

    /// In which numbers a part of a model of this family computes.
    #[must_use]
    pub fn numbers(&self, family: FamilyId, part: Part) -> ComputeType {
        let usual = match self.precision {
            Precision::Exact => ComputeType::F32,
            Precision::Fast => usual(family, part),
        };
        self.backend.nearest(self.numbers[part.index()].unwrap_or(usual))
    }

    /// Whether a part leaves its large weights in their file.
    #[must_use]
    pub fn streams(&self, part: Part) -> bool {
        self.streamed[part.index()]
    }

    /// Where a part of a model of this family computes.
    #[must_use]
    pub fn place(&self, family: FamilyId, part: Part) -> Place {
        let place = Place::on(&self.backend, self.numbers(family, part));
        if self.streams(part) { place.streamed() } else { place }
    }

    /// A part in the next wider numbers; `false` where it computes in f32 already.
    pub(super) fn widen(&mut self, family: FamilyId, part: Part) -> bool {
        let wider = self.backend.wider(self.numbers(family, part));
        if let Some(wider) = wider {
            self.numbers[part.index()] = Some(wider);
        }
        wider.is_some()
    }

    /// Leaves weights in their files until the others fit into `room` bytes: first those of parts that run once a picture,
    /// which costs a fraction of a second, then the network's, which costs as much at every step. `weights` are the bytes of
    /// each part where it computes.
    pub(super) fn fit(&mut self, weights: [u64; Part::COUNT], room: u64) {
        if self.is_fixed {
            return;
        }
        self.streamed = [false; Part::COUNT];
        for part in [Part::TextEncoder, Part::Vae, Part::UNet] {
            let resident = |all: u64, part: Part| if self.streams(part) { all } else { all + weights[part.index()] };
            if Part::ALL.into_iter().fold(0, resident) <= room {
                return;
            }
            self.streamed[part.index()] = true;
        }
    }
}

/// The numbers that a part is known to work in on a card. The published autoencoder of Stable Diffusion XL leaves f16's range
/// (hence the repaired ones, "fp16-fix"): it is small, so it has f32. What else leaves it is noticed, and made wider then.
fn usual(family: FamilyId, part: Part) -> ComputeType {
    match (family, part) {
        (FamilyId::Sdxl | FamilyId::SdxlTurbo | FamilyId::SdxlInpaint, Part::Vae) => ComputeType::F32,
        _ => ComputeType::F16,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::DeviceChoice;

    fn portable() -> Placement {
        Placement::on(Backend::open(DeviceChoice::Portable), Precision::Fast)
    }

    #[test]
    fn numbers_follow_the_family_and_what_is_asked() {
        let fast = portable();
        assert_eq!(fast.numbers(FamilyId::Sd1, Part::UNet), ComputeType::F16);
        assert_eq!(fast.numbers(FamilyId::Sdxl, Part::UNet), ComputeType::F16);
        assert_eq!(fast.numbers(FamilyId::Sdxl, Part::Vae), ComputeType::F32);
        let exact = Placement::on(Backend::open(DeviceChoice::Portable), Precision::Exact);
        let processor = Placement::processor();
        for family in FamilyId::ALL {
            for part in Part::ALL {
                assert_eq!(exact.numbers(family, part), ComputeType::F32);
                assert_eq!(processor.numbers(family, part), ComputeType::F32);
                assert!(processor.place(family, part).is_kernels());
            }
        }
    }

    #[test]
    fn trainings_prefer_bf16() {
        let training = portable().for_training();
        assert_eq!(training.numbers(FamilyId::Sd1, Part::UNet), ComputeType::Bf16);
        assert_eq!(training.numbers(FamilyId::Sd1, Part::Vae), ComputeType::F16);
        let asked = portable().in_numbers(Part::UNet, ComputeType::F16).for_training();
        assert_eq!(asked.numbers(FamilyId::Sd1, Part::UNet), ComputeType::F16);
        let processor = Placement::processor().for_training();
        assert_eq!(processor.numbers(FamilyId::Sd1, Part::UNet), ComputeType::F32);
    }

    #[test]
    fn a_part_is_widened_until_it_has_f32() {
        let mut placement = portable();
        assert!(placement.widen(FamilyId::Sd1, Part::UNet));
        assert_eq!(placement.numbers(FamilyId::Sd1, Part::UNet), ComputeType::Bf16);
        assert!(placement.widen(FamilyId::Sd1, Part::UNet));
        assert_eq!(placement.numbers(FamilyId::Sd1, Part::UNet), ComputeType::F32);
        assert!(!placement.widen(FamilyId::Sd1, Part::UNet));
        assert_eq!(placement.numbers(FamilyId::Sd1, Part::Vae), ComputeType::F16);
        assert!(!Placement::processor().widen(FamilyId::Sd1, Part::UNet));
    }

    #[test]
    fn what_does_not_fit_stays_in_its_file_the_cheapest_first() {
        let weights = [250, 1700, 160]; // about Stable Diffusion 1.5 in f16, MB
        let streamed = |room| {
            let mut placement = portable();
            placement.fit(weights, room);
            Part::ALL.map(|part| placement.streams(part))
        };
        assert_eq!(streamed(2110), [false, false, false]);
        assert_eq!(streamed(2109), [true, false, false]);
        assert_eq!(streamed(1800), [true, false, true]);
        assert_eq!(streamed(1000), [true, true, true]);
        let mut fixed = portable().streaming(&[Part::UNet]);
        fixed.fit(weights, u64::MAX);
        assert!(fixed.streams(Part::UNet) && !fixed.streams(Part::Vae));
    }
}
