//! Painting beyond a picture's edges: the canvas around it, and the mask of what is new.

use candle_core::{Device, Result as TensorResult, Tensor};

use crate::domain::{Extend, Picture};
use crate::sampling::CounterRng;

/// How far the new part reaches into the old one, in px: the network needs to see across the edge, and what it paints
/// there fades into what was there.
const INTO_PX: u32 = 8;
/// How far the grain on what is mirrored goes up and down, in levels of 255. It breaks the mirror's symmetry, which the
/// network would otherwise take up.
const GRAIN: f64 = 24.0;
/// Names the stream of random numbers of the grain.
const DRAW_GRAIN: u32 = 0x4752_4e45;

/// The picture with its mirror image around it, grained: something of its own colours for the network to begin with.
/// `seed` decides on the grain.
#[must_use]
pub fn canvas(picture: &Picture, extend: Extend, seed: u64) -> Picture {
    let (wide, high) = extend.sides();
    let (width_px, height_px) = (picture.width_px + wide, picture.height_px + high);
    let mut rng = CounterRng::new(seed, DRAW_GRAIN, 0, 0);
    let mut rgba = Vec::with_capacity(4 * width_px as usize * height_px as usize);
    for y in 0..height_px {
        let (from_y, is_new_row) = mirrored(y, extend.top, picture.height_px);
        for x in 0..width_px {
            let (from_x, is_new_column) = mirrored(x, extend.left, picture.width_px);
            let at = 4 * (from_y as usize * picture.width_px as usize + from_x as usize);
            let mut pixel = [0; 4];
            pixel.copy_from_slice(&picture.rgba[at..at + 4]);
            if is_new_row || is_new_column {
                // One draw for a px: grey grain keeps its colour.
                let grain = (2.0 * rng.uniform() - 1.0) * GRAIN;
                for level in &mut pixel[..3] {
                    *level = (f64::from(*level) + grain).round().clamp(0.0, 255.0) as u8;
                }
            }
            rgba.extend(pixel);
        }
    }
    Picture { width_px, height_px, rgba }
}

/// Where a px of the canvas comes from along an axis, and whether it is new: `before` px lie before the picture's `length`.
fn mirrored(at: u32, before: u32, length: u32) -> (u32, bool) {
    // Back and forth as often as it takes, without the edge twice over: …2 1 0 | 0 1 2… | …2 1 0.
    let period = 2 * i64::from(length.max(1));
    let place = (i64::from(at) - i64::from(before)).rem_euclid(period);
    let from = if place < i64::from(length) { place } else { period - 1 - place };
    (from as u32, at < before || at >= before + length)
}

/// `[1, 1, height, width]` of the whole, 1 where it is painted anew: around the picture, a little into it, and where its
/// own mask (`[1, 1, …]` of the picture) says so.
///
/// # Errors
/// When the mask is not of the picture's size.
pub fn mask(own: Option<&Tensor>, (width_px, height_px): (u32, u32), extend: Extend) -> TensorResult<Tensor> {
    let (wide, high) = extend.sides();
    let own: Option<Vec<f32>> = own.map(|own| own.flatten_all()?.to_vec1()).transpose()?;
    if own.as_ref().is_some_and(|own| own.len() != width_px as usize * height_px as usize) {
        candle_core::bail!("the mask is not of the picture's size")
    }
    // Of a small picture something must be left.
    let into = |length: u32| INTO_PX.min(length / 4);
    let (into_x, into_y) = (into(width_px), into(height_px));
    // How far the old part is kept, in its own px: up to an edge that nothing is painted beyond, all of it.
    let kept = |length: u32, into: u32, before: u32, behind: u32| {
        (if before > 0 { into } else { 0 }, length - if behind > 0 { into } else { 0 })
    };
    let (first_x, end_x) = kept(width_px, into_x, extend.left, extend.right);
    let (first_y, end_y) = kept(height_px, into_y, extend.top, extend.bottom);
    let (all_x, all_y) = (width_px + wide, height_px + high);
    let mut values = Vec::with_capacity(all_x as usize * all_y as usize);
    for y in 0..all_y {
        for x in 0..all_x {
            // Before the picture the difference wraps to a number that is larger than all its px.
            let (own_x, own_y) = (x.wrapping_sub(extend.left), y.wrapping_sub(extend.top));
            let is_kept = (first_x..end_x).contains(&own_x) && (first_y..end_y).contains(&own_y);
            values.push(match &own {
                _ if !is_kept => 1.0,
                Some(own) => own[own_y as usize * width_px as usize + own_x as usize],
                None => 0.0,
            });
        }
    }
    Tensor::from_vec(values, (1, 1, all_y as usize, all_x as usize), &Device::Cpu)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn picture() -> Picture {
        let rgba = (0..16u8 * 8).flat_map(|i| [2 * i, 255 - i, i, 255]).collect();
        Picture { width_px: 16, height_px: 8, rgba }
    }

    #[test]
    fn the_picture_stays_to_the_byte_and_its_mirror_image_lies_around_it() {
        let (old, extend) = (picture(), Extend { left: 40, right: 8, top: 16, bottom: 0 });
        let whole = canvas(&old, extend, 7);
        assert_eq!((whole.width_px, whole.height_px, whole.rgba.len()), (64, 24, 4 * 64 * 24));
        let pixel = |of: &Picture, x: u32, y: u32| {
            let at = 4 * (y * of.width_px + x) as usize;
            of.rgba[at..at + 4].to_vec()
        };
        for (x, y) in (0..16).flat_map(|x| (0..8).map(move |y| (x, y))) {
            assert_eq!(pixel(&whole, x + 40, y + 16), pixel(&old, x, y));
            // Left of it, as far from the edge; above it too.
            for (new_x, new_y) in [(39 - x, y + 16), (x + 40, 15 - y)] {
                for (new, old) in pixel(&whole, new_x, new_y).iter().zip(pixel(&old, x, y)) {
                    assert!(new.abs_diff(old) <= GRAIN as u8, "{new} {old}");
                }
            }
        }
        assert_eq!(canvas(&old, extend, 7), whole);
        assert!(canvas(&old, extend, 8) != whole, "the seed decides on the grain");
        assert_eq!(canvas(&old, Extend::default(), 7), old);
    }

    #[test]
    fn what_is_new_reaches_into_the_picture_at_the_edges_that_grow() {
        let extend = Extend { left: 8, right: 0, top: 0, bottom: 8 };
        let row = |mask: &Tensor, y: usize| mask.get(0).unwrap().get(0).unwrap().get(y).unwrap().to_vec1::<f32>();
        let new = mask(None, (16, 8), extend).unwrap();
        assert_eq!(new.dims(), [1, 1, 16, 24]);
        let expected: Vec<f32> = (0..24).map(|x| if x < 12 { 1.0 } else { 0.0 }).collect();
        assert_eq!(row(&new, 0).unwrap(), expected, "a quarter of a small picture");
        assert_eq!(row(&new, 5).unwrap(), expected);
        assert_eq!(row(&new, 6).unwrap(), [1.0; 24]);
        let own = Tensor::ones((1, 1, 8, 16), candle_core::DType::F32, &Device::Cpu).unwrap();
        assert_eq!(row(&mask(Some(&own), (16, 8), extend).unwrap(), 0).unwrap(), [1.0; 24]);
        assert!(mask(Some(&own), (16, 9), extend).is_err());
    }
}
