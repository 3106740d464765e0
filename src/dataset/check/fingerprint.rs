//! What a picture looks like in a few bytes: the same for copies that were made smaller or compressed again.
//!
//! A perceptual hash: the signs of the lowest frequencies of a 32 x 32 grey copy against their median, which half of the bits
//! exceed, so that hashes spread well. It is blind to colour, and a catalogue has one garment in many: a small colour copy
//! decides beside it.

use std::array;
use std::f32::consts::PI;
use std::hash::{DefaultHasher, Hasher};

use fast_image_resize::FilterType;
use image::RgbImage;

use crate::dataset::picture::scale;

/// Side of the grey copy.
const SIDE: usize = 32;
/// Frequencies in each direction.
const WAVES: usize = 8;
/// Side of the colour copy.
const SMALL: usize = 8;
/// The most bits in which hashes of one picture differ: of the copies in the tests, none differs in more than five.
const MAX_BITS: u32 = 6;
/// Pieces of a hash, one more than bits may differ, and their width in bits.
const PIECES: u32 = MAX_BITS + 1;
const PIECE_BITS: u32 = (WAVES * WAVES) as u32 / PIECES + 1;
/// The most by which colour copies of one picture differ on average, of 255.
const MAX_COLOUR: u32 = 6;

/// What a picture looks like.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fingerprint {
    /// Equal for equal pixels, and for others not in the life of this world.
    pub pixels: [u64; 2],
    /// 63 signs; the highest bit is 0.
    pub hash: u64,
    colours: [u8; 3 * SMALL * SMALL],
}

impl Fingerprint {
    /// A picture's.
    #[must_use]
    pub fn of(image: &RgbImage) -> Self {
        let small = scale(image, SIDE as u32, SIDE as u32, FilterType::Box);
        let grey: Vec<f32> = small
            .pixels()
            // Rec. 601's luma.
            .map(|pixel| 0.299 * f32::from(pixel[0]) + 0.587 * f32::from(pixel[1]) + 0.114 * f32::from(pixel[2]))
            .collect();
        Self { pixels: pixel_hash(image), hash: wave_hash(&grey), colours: colours(&small) }
    }

    /// Whether two pictures look the same.
    #[must_use]
    pub fn is_near(&self, other: &Self) -> bool {
        if (self.hash ^ other.hash).count_ones() > MAX_BITS {
            return false;
        }
        let off: u32 = self.colours.iter().zip(&other.colours).map(|(a, b)| u32::from(a.abs_diff(*b))).sum();
        off <= MAX_COLOUR * self.colours.len() as u32
    }

    /// The hash in one piece more than bits may differ: near hashes have at least one piece in common.
    pub fn pieces(&self) -> impl Iterator<Item = (u8, u16)> {
        let mask = (1 << PIECE_BITS) - 1;
        (0..PIECES).map(move |piece| (piece as u8, (self.hash >> (piece * PIECE_BITS) & mask) as u16))
    }
}

fn pixel_hash(image: &RgbImage) -> [u64; 2] {
    let mut hasher = DefaultHasher::new();
    hasher.write_u32(image.width());
    hasher.write_u32(image.height());
    hasher.write(image);
    let first = hasher.finish();
    // Its inner state has 256 bits: what comes behind makes another 64 of them.
    hasher.write_u8(1);
    [first, hasher.finish()]
}

/// The signs of the cosine transform's lowest frequencies, but for the mean.
fn wave_hash(grey: &[f32]) -> u64 {
    let wave = |k: usize, i: usize| (PI / SIDE as f32 * (i as f32 + 0.5) * k as f32).cos();
    let waves: [[f32; SIDE]; WAVES] = array::from_fn(|k| array::from_fn(|i| wave(k, i)));
    let rows: Vec<[f32; WAVES]> = grey
        .chunks_exact(SIDE)
        .map(|row| array::from_fn(|k| row.iter().zip(&waves[k]).map(|(value, wave)| value * wave).sum()))
        .collect();
    let mut strengths = Vec::with_capacity(WAVES * WAVES - 1);
    for vertical in &waves {
        for k in 0..WAVES {
            let strength: f32 = rows.iter().zip(vertical).map(|(row, wave)| row[k] * wave).sum();
            // Rounded, so that a flat picture has none and not those of its rounding errors.
            strengths.push((strength / SIDE as f32).round() as i32);
        }
    }
    strengths.remove(0);
    let mut sorted = strengths.clone();
    sorted.sort_unstable();
    let median = sorted[sorted.len() / 2];
    strengths.iter().fold(0, |hash, strength| hash << 1 | u64::from(*strength > median))
}

fn colours(small: &RgbImage) -> [u8; 3 * SMALL * SMALL] {
    let block = SIDE / SMALL;
    array::from_fn(|index| {
        let (channel, x, y) = (index % 3, index / 3 % SMALL, index / 3 / SMALL);
        let places = (0..block * block).map(|i| ((x * block + i % block) as u32, (y * block + i / block) as u32));
        let sum: usize = places.map(|(x, y)| usize::from(small.get_pixel(x, y)[channel])).sum();
        (sum / (block * block)) as u8
    })
}

#[cfg(test)]
mod tests {
    use image::Rgb;
    use image::imageops::{self, FilterType as Filter};
    use proptest::prelude::*;

    use super::*;
    use crate::dataset::garments::{GarmentSpec, Split, render};
    use crate::dataset::picture;
    use crate::domain::ImageFormat;

    /// A drawn catalogue picture.
    fn garment(index: u64) -> RgbImage {
        let picture = render(&GarmentSpec::sample(7, index, Split::Train), 128);
        RgbImage::from_fn(128, 128, |x, y| {
            let at = 4 * (y * picture.width_px + x) as usize;
            Rgb([picture.rgba[at], picture.rgba[at + 1], picture.rgba[at + 2]])
        })
    }

    #[test]
    fn copies_are_near_and_colours_are_not() {
        for index in 0..8 {
            let image = garment(index);
            let own = Fingerprint::of(&image);
            let small = imageops::resize(&image, 90, 90, Filter::Lanczos3);
            let bytes = picture::encode(&image, ImageFormat::Jpeg, 60).unwrap();
            let again = image::load_from_memory(&bytes).unwrap().into_rgb8();
            for copy in [&small, &again] {
                let copy = Fingerprint::of(copy);
                assert!(own.is_near(&copy), "{index}: {} bits", (own.hash ^ copy.hash).count_ones());
                assert_ne!(own.pixels, copy.pixels);
            }
            let mut other = image.clone();
            for pixel in other.pixels_mut() {
                pixel.0.rotate_left(1);
            }
            // A grey garment is the same in every channel.
            let is_coloured = image.pixels().any(|pixel| pixel[0].abs_diff(pixel[1]) > 60);
            assert!(!is_coloured || !own.is_near(&Fingerprint::of(&other)), "{index}: another colour");
        }
    }

    #[test]
    fn flat_pictures_differ_by_colour_alone() {
        let flat = |grey: u8| Fingerprint::of(&RgbImage::from_pixel(40, 30, Rgb([grey; 3])));
        assert_eq!(flat(10).hash, 0);
        assert!(flat(10).is_near(&flat(12)) && !flat(10).is_near(&flat(200)));
        assert_eq!(flat(10), flat(10));
    }

    proptest! {
        #[test]
        fn near_hashes_share_a_piece(hash in any::<u64>(), flips in prop::collection::vec(0..63u32, MAX_BITS as usize)) {
            let of = |hash: u64| Fingerprint { pixels: [0; 2], hash: hash >> 1, colours: [0; 3 * SMALL * SMALL] };
            let one = of(hash);
            let mut other = one.clone();
            other.hash = flips.iter().fold(one.hash, |hash, bit| hash ^ 1 << bit);
            prop_assert!(one.is_near(&other));
            prop_assert!(one.pieces().zip(other.pieces()).any(|(a, b)| a == b));
            // Together the pieces are the whole.
            let all = one.pieces().fold(0u64, |all, (piece, bits)| all | u64::from(bits) << (u32::from(piece) * PIECE_BITS));
            prop_assert_eq!(all, one.hash);
        }
    }
}
