//! The gated GELU of the transformer blocks.

use rayon::prelude::*;

use super::{Function, Gelu};
use crate::kernels::check_len;
use crate::kernels::lanes::{Lanewise, PIECE, load_some, map, store_some};
use crate::kernels::simd::{LANES, Simd, Task, dispatch};

/// `out = a gelu(b)` for `x` `[rows, 2 width]` = a beside b; `out` is `[rows, width]` (Shazeer 2020).
pub fn geglu_forward(rows: usize, width: usize, x: &[f32], out: &mut [f32]) {
    check_len("geglu: the input", x, rows * 2 * width);
    check_len("geglu: the output", out, rows * width);
    if width == 0 {
        return;
    }
    let piece = (PIECE / width).max(1);
    out.par_chunks_mut(piece * width)
        .zip(x.par_chunks(piece * 2 * width))
        .for_each(|(out, x)| dispatch(GegluForward { width, x, out }));
}

/// The gradient of [`geglu_forward`]: `gy` is `[rows, width]`, `gx` `[rows, 2 width]`.
pub fn geglu_backward(rows: usize, width: usize, x: &[f32], gy: &[f32], gx: &mut [f32]) {
    check_len("geglu: the input", x, rows * 2 * width);
    check_len("geglu: the output's gradient", gy, rows * width);
    check_len("geglu: the input's gradient", gx, rows * 2 * width);
    if width == 0 {
        return;
    }
    let piece = (PIECE / width).max(1);
    gx.par_chunks_mut(piece * 2 * width)
        .zip(x.par_chunks(piece * 2 * width))
        .zip(gy.par_chunks(piece * width))
        .for_each(|((gx, x), gy)| dispatch(GegluBackward { width, x, gy, gx }));
}

struct GegluForward<'a> {
    width: usize,
    x: &'a [f32],
    out: &'a mut [f32],
}

impl Task for GegluForward<'_> {
    type Output = ();
    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        for (out, x) in self.out.chunks_exact_mut(self.width).zip(self.x.chunks_exact(2 * self.width)) {
            let (a, b) = x.split_at(self.width);
            map(s, &Gate, [a, b], out);
        }
    }
}

/// `a gelu(b)`
struct Gate;

impl Lanewise<2> for Gate {
    #[inline(always)]
    fn apply<S: Simd>(&self, s: S, [a, b]: [S::F; 2]) -> S::F {
        s.mul(a, Gelu::value(s, b))
    }
}

struct GegluBackward<'a> {
    width: usize,
    x: &'a [f32],
    gy: &'a [f32],
    gx: &'a mut [f32],
}

impl Task for GegluBackward<'_> {
    type Output = ();
    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let width = self.width;
        for ((gx, x), gy) in
            self.gx.chunks_exact_mut(2 * width).zip(self.x.chunks_exact(2 * width)).zip(self.gy.chunks_exact(width))
        {
            let (a, b) = x.split_at(width);
            let (ga, gb) = gx.split_at_mut(width);
            for (((a, b), gy), (ga, gb)) in a
                .chunks(LANES)
                .zip(b.chunks(LANES))
                .zip(gy.chunks(LANES))
                .zip(ga.chunks_mut(LANES).zip(gb.chunks_mut(LANES)))
            {
                let (a, b, gy) = (load_some(s, a), load_some(s, b), load_some(s, gy));
                store_some(s, s.mul(gy, Gelu::value(s, b)), ga);
                store_some(s, s.mul(gy, s.mul(a, Gelu::slope(s, b))), gb);
            }
        }
    }
}
