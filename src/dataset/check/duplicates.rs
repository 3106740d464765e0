//! Pictures that are there twice, exactly or almost.

use std::collections::HashMap;

use super::fingerprint::Fingerprint;

/// What a picture repeats.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Repeats {
    /// The pixels of the picture at this place.
    Exactly(usize),
    /// The looks of the picture at this place.
    Nearly(usize),
}

/// For each picture the first one before it that it repeats.
///
/// Only pictures with a piece of their hash in common are compared, one in thousands where hashes spread; a collection of
/// pictures with one and the same layout is compared pair by pair, at some nanoseconds each.
#[must_use]
pub fn find(prints: &[Option<Fingerprint>]) -> Vec<Option<Repeats>> {
    let mut by_pixels: HashMap<[u64; 2], usize> = HashMap::new();
    let mut by_piece: HashMap<(u8, u16), Vec<usize>> = HashMap::new();
    let mut found = vec![None; prints.len()];
    for (index, print) in prints.iter().enumerate() {
        let Some(print) = print else { continue };
        if let Some(first) = by_pixels.get(&print.pixels) {
            found[index] = Some(Repeats::Exactly(*first));
            continue;
        }
        by_pixels.insert(print.pixels, index);
        let is_near = |other: &usize| prints[*other].as_ref().is_some_and(|other| print.is_near(other));
        // Each list is in order: the first hit of each is its earliest.
        let nearest = print.pieces().filter_map(|key| by_piece.get(&key)?.iter().copied().find(is_near)).min();
        match nearest {
            // Only the first of several that look the same is compared with those to come: a thousand copies cost no more.
            Some(first) => found[index] = Some(Repeats::Nearly(first)),
            None => {
                for key in print.pieces() {
                    by_piece.entry(key).or_default().push(index);
                }
            }
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use image::{Rgb, RgbImage};

    use super::*;

    #[test]
    fn each_copy_names_the_first_one() {
        let picture = |seed: u32, shade: u8| {
            let mut image = RgbImage::from_fn(64, 64, |x, y| {
                let on = (x / 8).wrapping_mul(seed + 3) ^ (y / 8).wrapping_mul(2 * seed + 1);
                Rgb([if on & 4 == 0 { 220 } else { 30 }; 3])
            });
            image.put_pixel(0, 0, Rgb([shade; 3]));
            Some(Fingerprint::of(&image))
        };
        let prints = [picture(1, 0), picture(4, 0), None, picture(1, 0), picture(1, 50), picture(4, 9), picture(1, 50)];
        let expected = [
            None,
            None,
            None,
            Some(Repeats::Exactly(0)),
            Some(Repeats::Nearly(0)),
            Some(Repeats::Nearly(1)),
            Some(Repeats::Exactly(4)),
        ];
        assert_eq!(find(&prints), expected);
    }
}
