//! What is done to a block of a product while it is in the cache: bias, residual, activation; then it is written.

use std::slice;

use crate::kernels::activation::{Function, Gelu, QuickGelu, Silu, load_some, store_some};
use crate::kernels::simd::{LANES, Simd, Task};

/// What becomes of `a b` before it is written: `activation(a b + bias + what was there + residual)`.
#[derive(Debug, Clone, Copy, Default)]
pub struct Finish<'a> {
    /// Added to each row or column.
    pub bias: Bias<'a>,
    /// Whether to add what is in the result already.
    pub accumulate: bool,
    /// Added too; it lies as the result does.
    pub residual: Option<&'a [f32]>,
    /// Applied last.
    pub activation: Activation,
}

/// Numbers that are added to whole rows or columns.
#[derive(Debug, Clone, Copy, Default)]
pub enum Bias<'a> {
    /// None.
    #[default]
    None,
    /// One for each row.
    PerRow(&'a [f32]),
    /// One for each column.
    PerColumn(&'a [f32]),
}

/// A function of each element.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Activation {
    /// None.
    #[default]
    None,
    /// `x sigmoid(x)`
    Silu,
    /// `x Φ(x)`
    Gelu,
    /// `x sigmoid(1.702 x)`
    QuickGelu,
}

/// The address of a result that several threads write to, each its own elements.
#[derive(Clone, Copy)]
pub struct Target {
    pub at: *mut f32,
    /// The distance of its rows.
    pub row_stride: usize,
    pub rows: usize,
    pub cols: usize,
}
// SAFETY: the blocks that the threads write do not overlap (see `Store::new`).
unsafe impl Send for Target {}
// SAFETY: as above.
unsafe impl Sync for Target {}

/// Finishes a block of tiles and writes it.
pub struct Store<'a> {
    /// Each tile by itself, a row of tiles after another.
    tiles: &'a [f32],
    tile_rows: usize,
    tile_cols: usize,
    /// Tiles side by side.
    tiles_wide: usize,
    /// Where the block lies in the result.
    first_row: usize,
    first_col: usize,
    target: Target,
    finish: &'a Finish<'a>,
    gated: bool,
}

impl<'a> Store<'a> {
    /// A block of `tiles`, `tiles_wide` side by side, whose first element is `(first_row, first_col)` of the result. If
    /// `gated`, tiles 2 j and 2 j + 1 of a row are values and their gates: `value gelu(gate)` is written, and the bias
    /// holds that of all values and then that of all gates.
    ///
    /// # Safety
    /// `target` and the residual must hold their rows and columns, and no other thread may touch the block's elements
    /// of the target.
    pub unsafe fn new(
        tiles: &'a [f32],
        (tile_rows, tile_cols): (usize, usize),
        tiles_wide: usize,
        (first_row, first_col): (usize, usize),
        target: Target,
        finish: &'a Finish<'a>,
        gated: bool,
    ) -> Self {
        Self { tiles, tile_rows, tile_cols, tiles_wide, first_row, first_col, target, finish, gated }
    }

    /// Calls `write` for each piece of a row: the tile, the row within it, the row and the first column of the result,
    /// and the elements of the result to write. Rows and columns beyond the result's are left out.
    #[inline(always)]
    fn for_each_piece(&self, mut write: impl FnMut(usize, usize, usize, usize, &mut [f32])) {
        let step = if self.gated { 2 } else { 1 };
        let strips = self.tiles.len() / (self.tiles_wide * self.tile_rows * self.tile_cols);
        for strip in 0..strips {
            let first_row = self.first_row + strip * self.tile_rows;
            for row in 0..self.tile_rows.min(self.target.rows.saturating_sub(first_row)) {
                for tile in (0..self.tiles_wide).step_by(step) {
                    let col = self.first_col + tile / step * self.tile_cols;
                    let cols = self.tile_cols.min(self.target.cols.saturating_sub(col));
                    if cols == 0 {
                        break;
                    }
                    // SAFETY: the row and the columns are within the target, and nobody else touches them: `new` has
                    // asked for both.
                    let to = unsafe {
                        let at = self.target.at.add((first_row + row) * self.target.row_stride + col);
                        slice::from_raw_parts_mut(at, cols)
                    };
                    write(strip * self.tiles_wide + tile, row, first_row + row, col, to);
                }
            }
        }
    }

    /// The sums of a row of a tile.
    #[inline(always)]
    fn sums(&self, tile: usize, row: usize) -> &[f32] {
        &self.tiles[(tile * self.tile_rows + row) * self.tile_cols..][..self.tile_cols]
    }

    #[inline(always)]
    fn plain<S: Simd, F: Function>(&self, s: S) {
        let finish = self.finish;
        self.for_each_piece(|tile, in_tile, row, col, to| {
            let len = to.len();
            let from = row * self.target.row_stride + col;
            let row = PlainRow {
                sums: &self.sums(tile, in_tile)[..len],
                of_row: if let Bias::PerRow(bias) = finish.bias { Some(bias[row]) } else { None },
                of_cols: if let Bias::PerColumn(bias) = finish.bias { Some(&bias[col..][..len]) } else { None },
                accumulate: finish.accumulate,
                residual: finish.residual.map(|residual| &residual[from..][..len]),
            };
            row.write::<S, F>(s, to);
        });
    }

    #[inline(always)]
    fn gated<S: Simd>(&self, s: S) {
        self.for_each_piece(|tile, in_tile, _, col, to| {
            let len = to.len();
            let row = GatedRow {
                values: &self.sums(tile, in_tile)[..len],
                gates: &self.sums(tile + 1, in_tile)[..len],
                bias: if let Bias::PerColumn(bias) = self.finish.bias {
                    Some((&bias[col..][..len], &bias[self.target.cols + col..][..len]))
                } else {
                    None
                },
            };
            row.write(s, to);
        });
    }
}

// Rows are written in whole vectors first, without a look at how long each is: that would be half of the work. (No
// closures: one that is not inlined is compiled for the baseline processor.)

/// A piece of a row: its sums and what is added to them.
struct PlainRow<'a> {
    sums: &'a [f32],
    of_row: Option<f32>,
    of_cols: Option<&'a [f32]>,
    accumulate: bool,
    residual: Option<&'a [f32]>,
}

impl PlainRow<'_> {
    #[inline(always)]
    fn write<S: Simd, F: Function>(&self, s: S, to: &mut [f32]) {
        let whole = to.len() / LANES * LANES;
        for at in (0..whole).step_by(LANES) {
            self.vector::<S, F>(s, at, &mut to[at..at + LANES]);
        }
        if whole < to.len() {
            self.vector::<S, F>(s, whole, &mut to[whole..]);
        }
    }

    /// The vector at `at`, as much of it as `to` has room for.
    #[inline(always)]
    fn vector<S: Simd, F: Function>(&self, s: S, at: usize, to: &mut [f32]) {
        let here = at..at + to.len();
        let mut value = load_some(s, &self.sums[here.clone()]);
        if let Some(bias) = self.of_row {
            value = s.add(value, s.splat(bias));
        }
        if let Some(bias) = self.of_cols {
            value = s.add(value, load_some(s, &bias[here.clone()]));
        }
        if self.accumulate {
            value = s.add(value, load_some(s, to));
        }
        if let Some(residual) = self.residual {
            value = s.add(value, load_some(s, &residual[here]));
        }
        store_some(s, F::value(s, value), to);
    }
}

/// A piece of a row of values and one of their gates, and the biases of both.
struct GatedRow<'a> {
    values: &'a [f32],
    gates: &'a [f32],
    bias: Option<(&'a [f32], &'a [f32])>,
}

impl GatedRow<'_> {
    #[inline(always)]
    fn write<S: Simd>(&self, s: S, to: &mut [f32]) {
        let whole = to.len() / LANES * LANES;
        for at in (0..whole).step_by(LANES) {
            self.vector(s, at, &mut to[at..at + LANES]);
        }
        if whole < to.len() {
            self.vector(s, whole, &mut to[whole..]);
        }
    }

    /// As [`PlainRow::vector`].
    #[inline(always)]
    fn vector<S: Simd>(&self, s: S, at: usize, to: &mut [f32]) {
        let here = at..at + to.len();
        let mut value = load_some(s, &self.values[here.clone()]);
        let mut gate = load_some(s, &self.gates[here.clone()]);
        if let Some((of_values, of_gates)) = self.bias {
            value = s.add(value, load_some(s, &of_values[here.clone()]));
            gate = s.add(gate, load_some(s, &of_gates[here]));
        }
        store_some(s, s.mul(value, Gelu::value(s, gate)), to);
    }
}

/// `x`
struct Identity;

impl Function for Identity {
    #[inline(always)]
    fn value<S: Simd>(_: S, x: S::F) -> S::F {
        x
    }
    #[inline(always)]
    fn slope<S: Simd>(s: S, _: S::F) -> S::F {
        s.splat(1.0)
    }
}

impl Task for Store<'_> {
    type Output = ();
    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        if self.gated {
            return self.gated(s);
        }
        match self.finish.activation {
            Activation::None => self.plain::<S, Identity>(s),
            Activation::Silu => self.plain::<S, Silu>(s),
            Activation::Gelu => self.plain::<S, Gelu>(s),
            Activation::QuickGelu => self.plain::<S, QuickGelu>(s),
        }
    }
}
