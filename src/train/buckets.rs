//! Sizes of pictures in px: one for all, or the one of a list that is most like each picture's own.

use crate::domain::training::{Crop, PictureSettings};

/// What every side of a bucket is a multiple of, in px.
const STEP: u32 = 64;

/// Width and height in px.
pub type Side = (u32, u32);

/// The sizes that pictures can get, the square first.
///
/// As kohya's `make_bucket_resolutions`: every width from the shortest to the longest side, with the greatest height that
/// keeps the area within that of the square; each also turned.
#[must_use]
pub fn sizes(settings: &PictureSettings) -> Vec<Side> {
    let side = settings.resolution;
    let mut all = vec![(side, side)];
    if !settings.buckets {
        return all;
    }
    let area = u64::from(side) * u64::from(side);
    for width in (settings.bucket_min..=settings.bucket_max).step_by(STEP as usize) {
        // No more than the longest side, so that it is a u32 again.
        let height = (area / u64::from(width)).min(u64::from(settings.bucket_max)) as u32 / STEP * STEP;
        if height >= settings.bucket_min {
            all.extend([(width, height), (height, width)]);
        }
    }
    all.sort_unstable();
    all.dedup();
    // The square is the first, and so it is taken where a picture is as near to another.
    all.sort_by_key(|size| *size != (side, side));
    all
}

/// The size whose shape is nearest to that of a picture.
///
/// # Panics
/// When there is no size.
#[must_use]
pub fn nearest(sizes: &[Side], (width, height): Side) -> usize {
    let shape = |(width, height): Side| (f64::from(width.max(1)) / f64::from(height.max(1))).ln();
    let wanted = shape((width, height));
    let distance = |i: &usize| (shape(sizes[*i]) - wanted).abs();
    (0..sizes.len()).min_by(|a, b| distance(a).total_cmp(&distance(b))).expect("there is a size")
}

/// How a picture becomes one of a size.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Placed {
    /// What it is scaled to: it covers the size.
    pub scaled: Side,
    /// The left and the top of what is seen of that.
    pub corner: Side,
    /// The size.
    pub size: Side,
}

impl Placed {
    /// A picture of `own` px in a size; `random` gives a number below another.
    pub fn of(own: Side, size: Side, crop: Crop, random: &mut dyn FnMut(u32) -> u32) -> Self {
        let (width, height) = (u64::from(own.0.max(1)), u64::from(own.1.max(1)));
        let (to_width, to_height) = (u64::from(size.0), u64::from(size.1));
        // The side that falls short decides; the other is rounded to the nearest px.
        let scaled = if to_width * height >= to_height * width {
            (size.0, ((height * to_width + width / 2) / width) as u32)
        } else {
            (((width * to_height + height / 2) / height) as u32, size.1)
        };
        let spare = (scaled.0 - size.0, scaled.1 - size.1);
        let corner = match crop {
            // As torchvision's `CenterCrop`, which rounds half to even.
            Crop::Centre => (half(spare.0), half(spare.1)),
            Crop::Random => (random(spare.0 + 1), random(spare.1 + 1)),
        };
        Self { scaled, corner, size }
    }
}

fn half(spare: u32) -> u32 {
    (f64::from(spare) / 2.0).round_ties_even() as u32
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::domain::training::TrainingConfig;

    fn settings(resolution: u32, buckets: bool) -> PictureSettings {
        PictureSettings { resolution, buckets, ..TrainingConfig::default().pictures }
    }

    #[test]
    fn buckets_are_kohyas() {
        let all = sizes(&settings(512, true));
        assert_eq!(all[0], (512, 512));
        // sd-scripts' make_bucket_resolutions((512, 512), 256, 1024, 64).
        let wanted = [
            (256, 1024),
            (320, 768),
            (384, 640),
            (448, 576),
            (512, 512),
            (576, 448),
            (640, 384),
            (704, 320),
            (768, 320),
            (832, 256),
            (896, 256),
            (960, 256),
            (1024, 256),
            (256, 832),
            (256, 896),
            (256, 960),
            (320, 704),
        ];
        let mut sorted = all.clone();
        sorted.sort_unstable();
        let mut wanted = wanted.to_vec();
        wanted.sort_unstable();
        assert_eq!(sorted, wanted);
        assert_eq!(sizes(&settings(512, false)), [(512, 512)]);
    }

    #[test]
    fn a_picture_gets_the_size_of_its_shape() {
        let all = sizes(&settings(512, true));
        for (own, wanted) in [((1000, 1000), (512, 512)), ((300, 450), (384, 640)), ((4000, 1000), (1024, 256))] {
            assert_eq!(all[nearest(&all, own)], wanted, "{own:?}");
        }
    }

    #[test]
    fn the_middle_is_seen() {
        let placed = Placed::of((1000, 500), (512, 512), Crop::Centre, &mut |_| 0);
        assert_eq!(placed, Placed { scaled: (1024, 512), corner: (256, 0), size: (512, 512) });
        let placed = Placed::of((100, 301), (64, 64), Crop::Random, &mut |below| below - 1);
        assert_eq!(placed, Placed { scaled: (64, 193), corner: (0, 129), size: (64, 64) });
    }

    proptest! {
        #[test]
        fn every_picture_covers_its_size(width in 1u32..20_000, height in 1u32..20_000, side in 1u32..16, draw in 0u32..1000) {
            let all = sizes(&settings(64 * side, true));
            let size = all[nearest(&all, (width, height))];
            let placed = Placed::of((width, height), size, Crop::Random, &mut |below| draw % below);
            prop_assert!(placed.scaled.0 >= size.0 && placed.scaled.1 >= size.1);
            prop_assert!(placed.scaled.0 == size.0 || placed.scaled.1 == size.1);
            prop_assert!(placed.corner.0 + size.0 <= placed.scaled.0 && placed.corner.1 + size.1 <= placed.scaled.1);
        }
    }
}
