//! Group and layer normalisation with scale and shift, and group normalisation's fusion with `SiLU`.
//!
//! Statistics are taken again in the backward pass, so nothing but the input has to be kept.

mod group;
mod layer;
mod moments;
#[cfg(test)]
mod tests;

use rayon::prelude::*;

pub use self::group::Normal;
use self::group::{ChannelSums, GroupBackward, forward_group, normals_of_group};
use self::layer::{LayerBackward, LayerForward};
use super::check_len;
use super::linear::add_all;
use super::simd::dispatch;

/// Least rows of one piece of a layer normalisation, and the most pieces.
const PIECE_ROWS: usize = 16;
const MOST_PIECES: usize = 64;

/// Normalisation over groups of channels (Wu and He 2018): `x` and results are `[batch, channels, pixels]`, `gamma` and
/// `beta` are `[channels]`.
#[derive(Debug, Clone, Copy)]
pub struct GroupNorm {
    /// Pictures.
    pub batch: usize,
    /// Channels of each, a multiple of `groups`.
    pub channels: usize,
    /// Height times width.
    pub pixels: usize,
    /// Groups that the channels fall into.
    pub groups: usize,
    /// Added to the variance.
    pub eps: f32,
    /// Whether `SiLU` follows.
    pub silu: bool,
}

/// Normalisation of each row: `x` and results are `[rows, width]`, `gamma` and `beta` are `[width]`.
#[derive(Debug, Clone, Copy)]
pub struct LayerNorm {
    /// Rows, each with statistics of its own.
    pub rows: usize,
    /// Values of a row.
    pub width: usize,
    /// Added to the variance.
    pub eps: f32,
}

impl GroupNorm {
    /// `out = (x - mean) / √(variance + eps) * gamma + beta`, then `SiLU` if so asked.
    pub fn forward(&self, x: &[f32], gamma: &[f32], beta: &[f32], out: &mut [f32]) {
        let len = self.check(x, gamma, beta);
        check_len("group norm: the output", out, len);
        if len == 0 {
            return;
        }
        let per_group = self.channels / self.groups;
        let run = per_group * self.pixels;
        out.par_chunks_mut(run).zip(x.par_chunks(run)).enumerate().for_each(|(i, (out, x))| {
            let first = i % self.groups * per_group;
            let (gamma, beta) = (&gamma[first..][..per_group], &beta[first..][..per_group]);
            forward_group(self, x, gamma, beta, out);
        });
    }

    /// What the normalisation does to each channel of each picture, `[batch, channels]`, for a kernel that normalises what
    /// it reads. With `shifts`, of that shape, it is the normalisation of `x` with each channel moved by its shift.
    pub fn normals(&self, x: &[f32], shifts: Option<&[f32]>, gamma: &[f32], beta: &[f32]) -> Vec<Normal> {
        let len = self.check(x, gamma, beta);
        let mut normals = vec![Normal::default(); self.batch * self.channels];
        if let Some(shifts) = shifts {
            check_len("group norm: the shifts", shifts, normals.len());
        }
        if len == 0 {
            return normals;
        }
        let per_group = self.channels / self.groups;
        normals.par_chunks_mut(per_group).zip(x.par_chunks(per_group * self.pixels)).enumerate().for_each(
            |(i, (normals, x))| {
                let first = i % self.groups * per_group;
                let (gamma, beta) = (&gamma[first..][..per_group], &beta[first..][..per_group]);
                let shifts = shifts.map(|shifts| &shifts[i * per_group..][..per_group]);
                normals_of_group(self, x, shifts, gamma, beta, normals);
            },
        );
        normals
    }

    /// The gradients of [`GroupNorm::forward`] for the result's gradient `gy`: of the input, the scale and the shift.
    pub fn backward(
        &self,
        x: &[f32],
        gamma: &[f32],
        beta: &[f32],
        gy: &[f32],
        gx: &mut [f32],
        ggamma: &mut [f32],
        gbeta: &mut [f32],
    ) {
        let len = self.check(x, gamma, beta);
        check_len("group norm: the output's gradient", gy, len);
        check_len("group norm: the input's gradient", gx, len);
        check_len("group norm: the scale's gradient", ggamma, self.channels);
        check_len("group norm: the shift's gradient", gbeta, self.channels);
        ggamma.fill(0.0);
        gbeta.fill(0.0);
        if len == 0 {
            return;
        }
        let per_group = self.channels / self.groups;
        let per_piece = per_group * self.pixels;
        let mut sums = vec![ChannelSums::default(); self.batch * self.channels];
        gx.par_chunks_mut(per_piece)
            .zip(x.par_chunks(per_piece))
            .zip(gy.par_chunks(per_piece))
            .zip(sums.par_chunks_mut(per_group))
            .enumerate()
            .for_each(|(i, (((gx, x), gy), sums))| {
                let first = i % self.groups * per_group;
                let (gamma, beta) = (&gamma[first..][..per_group], &beta[first..][..per_group]);
                dispatch(GroupBackward { norm: *self, x, gamma, beta, gy, gx, sums });
            });
        for channel in 0..self.channels {
            let of_channel = || sums[channel..].iter().step_by(self.channels);
            ggamma[channel] = of_channel().map(|sums| sums.scaled).sum::<f64>() as f32;
            gbeta[channel] = of_channel().map(|sums| sums.plain).sum::<f64>() as f32;
        }
    }

    #[track_caller]
    fn check(&self, x: &[f32], gamma: &[f32], beta: &[f32]) -> usize {
        let len = self.batch * self.channels * self.pixels;
        let divides = self.groups > 0 && self.channels.is_multiple_of(self.groups);
        assert!(divides, "group norm: {} channels do not divide into {} groups", self.channels, self.groups);
        check_len("group norm: the input", x, len);
        check_len("group norm: the scale", gamma, self.channels);
        check_len("group norm: the shift", beta, self.channels);
        len
    }
}

impl LayerNorm {
    /// `out = (x - mean) / √(variance + eps) * gamma + beta`, row by row.
    pub fn forward(&self, x: &[f32], gamma: &[f32], beta: &[f32], out: &mut [f32]) {
        let len = self.check(x, gamma, beta);
        check_len("layer norm: the output", out, len);
        if len == 0 {
            return;
        }
        let piece = self.piece_rows() * self.width;
        out.par_chunks_mut(piece)
            .zip(x.par_chunks(piece))
            .for_each(|(out, x)| dispatch(LayerForward { norm: *self, x, gamma, beta, out }));
    }

    /// The gradients of [`LayerNorm::forward`] for the result's gradient `gy`: of the input, the scale and the shift.
    pub fn backward(
        &self,
        x: &[f32],
        gamma: &[f32],
        beta: &[f32],
        gy: &[f32],
        gx: &mut [f32],
        ggamma: &mut [f32],
        gbeta: &mut [f32],
    ) {
        let len = self.check(x, gamma, beta);
        check_len("layer norm: the output's gradient", gy, len);
        check_len("layer norm: the input's gradient", gx, len);
        check_len("layer norm: the scale's gradient", ggamma, self.width);
        check_len("layer norm: the shift's gradient", gbeta, self.width);
        if len == 0 {
            ggamma.fill(0.0);
            gbeta.fill(0.0);
            return;
        }
        let piece = self.piece_rows() * self.width;
        let (of_gamma, of_beta): (Vec<_>, Vec<_>) = gx
            .par_chunks_mut(piece)
            .zip(x.par_chunks(piece))
            .zip(gy.par_chunks(piece))
            .map(|((gx, x), gy)| {
                let mut sums = (vec![0.0; self.width], vec![0.0; self.width]);
                dispatch(LayerBackward { norm: *self, x, gamma, gy, gx, ggamma: &mut sums.0, gbeta: &mut sums.1 });
                sums
            })
            .unzip();
        add_all(&of_gamma, ggamma);
        add_all(&of_beta, gbeta);
    }

    fn piece_rows(&self) -> usize {
        PIECE_ROWS.max(self.rows.div_ceil(MOST_PIECES))
    }

    #[track_caller]
    fn check(&self, x: &[f32], gamma: &[f32], beta: &[f32]) -> usize {
        check_len("layer norm: the input", x, self.rows * self.width);
        check_len("layer norm: the scale", gamma, self.width);
        check_len("layer norm: the shift", beta, self.width);
        x.len()
    }
}
