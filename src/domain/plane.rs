//! [`Plane`]: a grey picture in tiles that its copies share, so that a copy costs nothing until it is painted on.

use std::sync::Arc;

/// Side of a tile, in px.
const TILE_PX: u32 = 256;

/// An 8-bit grey picture, such as a mask: 255 is white.
///
/// A clone shares its tiles with the original; painting on one of the two copies the tiles that it touches. So a history
/// of many strokes is as large as what they touched, and two planes are compared tile by tile, by their addresses.
#[derive(Clone, PartialEq, Eq)]
pub struct Plane {
    width_px: u32,
    height_px: u32,
    tiles: Vec<Levels>,
}

/// The levels of a tile, row by row.
type Levels = Arc<[u8]>;

/// A piece of a [`Plane`].
#[derive(Clone, Copy, Debug)]
pub struct PlaneTile<'a> {
    /// How far from the left it begins, in px.
    pub x: u32,
    /// How far from the top it begins, in px.
    pub y: u32,
    /// Its width in px.
    pub width_px: u32,
    /// Its height in px.
    pub height_px: u32,
    /// Its levels, row by row.
    pub levels: &'a Arc<[u8]>,
}

impl Default for Plane {
    /// One without a px.
    fn default() -> Self {
        Self::new(0, 0, 0)
    }
}

impl Plane {
    /// A plane of one level.
    #[must_use]
    pub fn new(width_px: u32, height_px: u32, level: u8) -> Self {
        let mut plane = Self { width_px, height_px, tiles: Vec::new() };
        // Only those at the right and at the bottom differ in size: the others are one and the same.
        let mut made: Vec<Levels> = Vec::new();
        for index in 0..plane.columns() * plane.rows() {
            let (_, _, width, height) = plane.place(index);
            let bytes = (width * height) as usize;
            let tile = made.iter().find(|tile| tile.len() == bytes).cloned().unwrap_or_else(|| {
                made.push(vec![level; bytes].into());
                made[made.len() - 1].clone()
            });
            plane.tiles.push(tile);
        }
        plane
    }

    /// A plane of levels that stand row by row. Those that lack are black.
    #[must_use]
    pub fn from_levels(width_px: u32, height_px: u32, levels: &[u8]) -> Self {
        let mut plane = Self::new(width_px, height_px, 0);
        for index in 0..plane.tiles.len() {
            let (x, y, width, height) = plane.place(index);
            let row = |row: u32| {
                let start = (y + row) as usize * width_px as usize + x as usize;
                levels.get(start..start + width as usize).unwrap_or_default()
            };
            if (0..height).any(|at| row(at).iter().any(|level| *level != 0)) {
                let tile =
                    (0..height).flat_map(|at| row(at).iter().copied().chain(std::iter::repeat(0)).take(width as usize));
                plane.tiles[index] = tile.collect();
            }
        }
        plane
    }

    /// Width and height in px.
    #[must_use]
    pub fn size(&self) -> (u32, u32) {
        (self.width_px, self.height_px)
    }

    /// The level of a px; black outside.
    #[must_use]
    pub fn level(&self, x: u32, y: u32) -> u8 {
        if x >= self.width_px || y >= self.height_px {
            return 0;
        }
        let index = (y / TILE_PX) as usize * self.columns() + (x / TILE_PX) as usize;
        let (left, top, width, _) = self.place(index);
        self.tiles[index][((y - top) * width + x - left) as usize]
    }

    /// All levels, row by row.
    #[must_use]
    pub fn levels(&self) -> Vec<u8> {
        let mut levels = vec![0; self.width_px as usize * self.height_px as usize];
        for tile in self.tiles() {
            for (row, from) in tile.levels.chunks_exact(tile.width_px as usize).enumerate() {
                let start = (tile.y as usize + row) * self.width_px as usize + tile.x as usize;
                levels[start..start + from.len()].copy_from_slice(from);
            }
        }
        levels
    }

    /// Its pieces, row by row.
    pub fn tiles(&self) -> impl ExactSizeIterator<Item = PlaneTile<'_>> {
        self.tiles.iter().enumerate().map(|(index, levels)| {
            let (x, y, width_px, height_px) = self.place(index);
            PlaneTile { x, y, width_px, height_px, levels }
        })
    }

    /// Whether a px has at least this level.
    #[must_use]
    pub fn reaches(&self, level: u8) -> bool {
        let mut seen: Option<&Levels> = None;
        self.tiles.iter().any(|tile| {
            let is_known = seen.is_some_and(|seen| Arc::ptr_eq(seen, tile));
            seen = Some(tile);
            !is_known && tile.iter().any(|own| *own >= level)
        })
    }

    /// Whether this is the other one, or a copy that nothing was painted on since. Quick, but two that were painted alike
    /// count as different.
    #[must_use]
    pub fn is_same(&self, other: &Self) -> bool {
        self.size() == other.size() && self.tiles.iter().zip(&other.tiles).all(|(own, other)| Arc::ptr_eq(own, other))
    }

    /// Bytes of the tiles that the other one does not share.
    #[must_use]
    pub fn bytes_beyond(&self, other: &Self) -> usize {
        if self.size() != other.size() {
            return self.tiles.iter().map(|tile| tile.len()).sum();
        }
        let pairs = self.tiles.iter().zip(&other.tiles);
        pairs.filter(|(own, other)| !Arc::ptr_eq(own, other)).map(|(own, _)| own.len()).sum()
    }

    /// Changes every level. Tiles that were shared stay so.
    pub fn map(&mut self, change: impl Fn(u8) -> u8) {
        let mut made: Vec<(Levels, Levels)> = Vec::new();
        for tile in &mut self.tiles {
            if let Some((_, after)) = made.iter().find(|(before, _)| Arc::ptr_eq(before, tile)) {
                *tile = Arc::clone(after);
                continue;
            }
            let after: Levels = tile.iter().map(|level| change(*level)).collect();
            made.push((std::mem::replace(tile, Arc::clone(&after)), after));
        }
    }

    /// Changes the levels of a row from `start` to before `end`, as far as they lie inside. `change` is told where each is.
    pub fn edit_row(&mut self, y: u32, start: u32, end: u32, mut change: impl FnMut(u32, u8) -> u8) {
        let end = end.min(self.width_px);
        if y >= self.height_px {
            return;
        }
        let mut x = start;
        while x < end {
            let index = (y / TILE_PX) as usize * self.columns() + (x / TILE_PX) as usize;
            let (left, top, width, _) = self.place(index);
            let stop = end.min(left + width);
            let tile = Arc::make_mut(&mut self.tiles[index]);
            let row = ((y - top) * width) as usize;
            for x in x..stop {
                let level = &mut tile[row + (x - left) as usize];
                *level = change(x, *level);
            }
            x = stop;
        }
    }

    fn columns(&self) -> usize {
        self.width_px.div_ceil(TILE_PX) as usize
    }

    fn rows(&self) -> usize {
        self.height_px.div_ceil(TILE_PX) as usize
    }

    /// Left, top, width and height of a tile.
    fn place(&self, index: usize) -> (u32, u32, u32, u32) {
        let columns = self.columns().max(1);
        let (x, y) = ((index % columns) as u32 * TILE_PX, (index / columns) as u32 * TILE_PX);
        (x, y, TILE_PX.min(self.width_px - x), TILE_PX.min(self.height_px - y))
    }
}

impl std::fmt::Debug for Plane {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Plane({}x{})", self.width_px, self.height_px)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn levels_come_back_as_they_went_in() {
        let (width, height) = (300, 520);
        let levels: Vec<u8> = (0..width * height).map(|i| (i * 7 % 251) as u8).collect();
        let plane = Plane::from_levels(width, height, &levels);
        assert_eq!((plane.size(), plane.tiles().len()), ((width, height), 2 * 3));
        assert_eq!(plane.levels(), levels);
        for (x, y) in [(0, 0), (255, 255), (256, 255), (299, 519)] {
            assert_eq!(plane.level(x, y), levels[(y * width + x) as usize], "{x} {y}");
        }
        assert_eq!((plane.level(300, 0), plane.level(0, 520)), (0, 0));
        assert_eq!(Plane::from_levels(2, 2, &[9]).levels(), [0; 4], "a row that is not whole is black");
        assert_eq!(Plane::default().levels(), [0_u8; 0]);
    }

    #[test]
    fn a_copy_shares_what_is_not_painted_on() {
        let before = Plane::new(1024, 300, 0);
        let mut after = before.clone();
        assert!(after.is_same(&before));
        // Over the edge between the first two tiles.
        after.edit_row(10, 250, 260, |x, level| level + (x - 250) as u8);
        assert!(!after.is_same(&before) && !before.reaches(1));
        assert_eq!(after.bytes_beyond(&before), 2 * 256 * 256);
        assert_eq!([249, 250, 255, 256, 259, 260].map(|x| after.level(x, 10)), [0, 0, 5, 6, 9, 0]);
        after.edit_row(400, 0, 10, |_, _| 1);
        after.edit_row(0, 1020, 4000, |_, _| 2);
        assert_eq!((after.level(1023, 0), after.level(0, 299)), (2, 0), "what lies outside is left out");
    }

    #[test]
    fn a_flat_plane_stays_one_tile_however_it_is_changed() {
        let mut plane = Plane::new(2048, 2048, 0);
        plane.map(|level| 255 - level);
        assert!(plane.reaches(255) && plane.level(2047, 2047) == 255);
        let first = plane.tiles().next().map(|tile| Arc::as_ptr(tile.levels));
        assert!(plane.tiles().all(|tile| Some(Arc::as_ptr(tile.levels)) == first));
    }
}
