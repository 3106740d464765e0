//! Makes the edge of a mask soft.

/// Blurs levels that stand row by row: three running means along each axis, which come near to a Gauss. What lies further
/// than `radius_px` from an edge stays as it is; beyond the picture its outermost px go on.
#[must_use]
pub fn feather(levels: &[u8], width: usize, height: usize, radius_px: u32) -> Vec<u8> {
    if radius_px == 0 || width == 0 || levels.len() != width * height {
        return levels.to_vec();
    }
    // Three widths whose sum is the radius.
    let radii = [0, 1, 2].map(|share| ((radius_px + share) / 3) as usize);
    // Eight bits more than a level has, so that rounding does not add up.
    let mut values: Vec<u16> = levels.iter().map(|level| u16::from(*level) << 8).collect();
    let mut other = vec![0; values.len()];
    for radius in radii.into_iter().filter(|radius| *radius > 0) {
        for (from, to) in values.chunks_exact(width).zip(other.chunks_exact_mut(width)) {
            mean_along(from, to, radius);
        }
        mean_down(&other, &mut values, width, radius);
    }
    values.into_iter().map(|value| ((u32::from(value) + 128) >> 8).min(255) as u8).collect()
}

/// The mean of each px and `radius` on either side of it.
fn mean_along(from: &[u16], to: &mut [u16], radius: usize) {
    let last = from.len() - 1;
    let count = 2 * radius as u64 + 1;
    let at = |i: usize| u64::from(from[i.min(last)]);
    let mut sum: u64 = radius as u64 * at(0) + (0..=radius).map(at).sum::<u64>();
    for (i, to) in to.iter_mut().enumerate() {
        *to = ((sum + count / 2) / count) as u16;
        sum = sum + at(i + radius + 1) - at(i.saturating_sub(radius));
    }
}

/// The mean of each px and `radius` above and below it: all columns at once, so that memory is read as it lies.
fn mean_down(from: &[u16], to: &mut [u16], width: usize, radius: usize) {
    let last = from.len() / width - 1;
    let count = 2 * radius as u64 + 1;
    let row = |y: usize| &from[y.min(last) * width..][..width];
    let mut sums: Vec<u64> = row(0).iter().map(|value| radius as u64 * u64::from(*value)).collect();
    for y in 0..=radius {
        sums.iter_mut().zip(row(y)).for_each(|(sum, value)| *sum += u64::from(*value));
    }
    for (y, to) in to.chunks_exact_mut(width).enumerate() {
        let (comes, goes) = (row(y + radius + 1), row(y.saturating_sub(radius)));
        for (((to, sum), comes), goes) in to.iter_mut().zip(&mut sums).zip(comes).zip(goes) {
            *to = ((*sum + count / 2) / count) as u16;
            *sum = *sum + u64::from(*comes) - u64::from(*goes);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_edge_becomes_a_ramp_of_twice_the_radius_and_nothing_else_changes() {
        let (width, height) = (64, 40);
        let levels: Vec<u8> = (0..width * height).map(|i| if i % width < 32 { 0 } else { 255 }).collect();
        for radius in [1, 2, 7, 12] {
            let soft = feather(&levels, width, height, radius);
            let row = &soft[width..2 * width];
            assert!(row.windows(2).all(|pair| pair[0] <= pair[1]), "{radius}: {row:?}");
            let reach = radius as usize;
            assert_eq!((row[32 - reach - 1], row[32 + reach]), (0, 255), "{radius}: beyond the radius nothing changes");
            assert!(row[32 - reach] > 0 || radius > 7, "{radius}: up to there it does");
            // The edge lies between px 31 and 32: what one side loses the other gains.
            for step in 0..reach {
                let sum = u32::from(row[31 - step]) + u32::from(row[32 + step]);
                assert!(sum.abs_diff(255) <= 1, "{radius} {step}: {sum}");
            }
            assert!(soft.chunks(width).all(|other| other == row), "along the edge nothing changes");
        }
    }

    #[test]
    fn both_axes_are_treated_alike() {
        let side = 33;
        let mut levels = vec![0; side * side];
        levels[16 * side + 16] = 255;
        let soft = feather(&levels, side, side, 3);
        for (x, y) in (0..side).flat_map(|x| (0..side).map(move |y| (x, y))) {
            assert_eq!(soft[y * side + x], soft[x * side + y]);
        }
        // Three means of three px: 1 3 6 7 6 3 1, of 27, along each axis. 255 · 49 / 729 is 17.1 in the middle.
        assert_eq!((soft[16 * side + 16], soft[16 * side + 17]), (17, 15));
    }

    #[test]
    fn a_flat_plane_stays_flat_to_its_edges() {
        for level in [0, 1, 128, 255] {
            assert_eq!(feather(&[level; 35], 7, 5, 64), vec![level; 35], "further than the plane is wide");
        }
        assert_eq!(feather(&[1, 2], 2, 1, 0), [1, 2]);
        assert_eq!(feather(&[], 0, 0, 3), [0_u8; 0]);
    }
}
