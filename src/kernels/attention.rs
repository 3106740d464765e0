//! Scaled dot-product attention in blocks, so that the matrix of all scores is never in memory.

mod backward;
mod forward;
mod softmax;
#[cfg(test)]
mod tests;

use super::check_len;
use super::micro::micro_now;

/// `softmax(scale q kᵀ) v` for each head.
///
/// `q` and `out` are `[batch, queries, heads * head_dim]`, `k` and `v` are `[batch, keys, heads * head_dim]`, the heads
/// side by side as the projections give them.
#[derive(Debug, Clone, Copy)]
pub struct Attention {
    /// Sequences.
    pub batch: usize,
    /// Heads.
    pub heads: usize,
    /// Rows of `q`.
    pub queries: usize,
    /// Rows of `k` and `v`.
    pub keys: usize,
    /// Values of a head.
    pub head_dim: usize,
    /// Factor of the scores, commonly `1 / √head_dim`.
    pub scale: f32,
    /// Whether query i sees only the keys 0 to i.
    pub causal: bool,
}

impl Attention {
    /// Computes `out`, as exactly as [`precision::current`](super::precision::current) says. Without keys it is
    /// zero.
    pub fn forward(&self, q: &[f32], k: &[f32], v: &[f32], out: &mut [f32]) {
        self.check(q, k, v);
        check_len("attention: the output", out, q.len());
        if q.is_empty() || k.is_empty() {
            out.fill(0.0);
        } else {
            forward::forward(self, micro_now(), q, k, v, out);
        }
    }

    /// The gradients of [`Attention::forward`] for the result's gradient `gout`; the probabilities are computed again.
    pub fn backward(
        &self,
        q: &[f32],
        k: &[f32],
        v: &[f32],
        gout: &[f32],
        gq: &mut [f32],
        gk: &mut [f32],
        gv: &mut [f32],
    ) {
        self.check(q, k, v);
        check_len("attention: the output's gradient", gout, q.len());
        check_len("attention: the gradient of q", gq, q.len());
        check_len("attention: the gradient of k", gk, k.len());
        check_len("attention: the gradient of v", gv, v.len());
        if q.is_empty() || k.is_empty() {
            gq.fill(0.0);
            gk.fill(0.0);
            gv.fill(0.0);
        } else {
            self.backward_parts(q, k, v, gout, gq, gk, gv);
        }
    }

    fn width(&self) -> usize {
        self.heads * self.head_dim
    }

    #[track_caller]
    fn check(&self, q: &[f32], k: &[f32], v: &[f32]) {
        check_len("attention: q", q, self.batch * self.queries * self.width());
        check_len("attention: k", k, self.batch * self.keys * self.width());
        check_len("attention: v", v, self.batch * self.keys * self.width());
    }
}
