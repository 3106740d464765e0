//! Attention against plain loops in f64.

use proptest::prelude::*;

use super::{Attention, forward};
use crate::kernels::micro::runnable_and_pairs;
use crate::kernels::testing::{assert_near, assert_same_on_any_thread_count, unwritten, values};

impl Attention {
    /// Result and gradients of q, k and v by plain loops in f64.
    fn reference(&self, q: &[f32], k: &[f32], v: &[f32], gout: &[f32]) -> [Vec<f64>; 4] {
        let (width, dim) = (self.width(), self.head_dim);
        let mut result = [vec![0.0; q.len()], vec![0.0; q.len()], vec![0.0; k.len()], vec![0.0; v.len()]];
        let dot = |a: &[f32], b: &[f32]| -> f64 { a.iter().zip(b).map(|(a, b)| f64::from(*a) * f64::from(*b)).sum() };
        for (b, h, i) in (0..self.batch * self.heads * self.queries)
            .map(|at| (at / self.queries / self.heads, at / self.queries % self.heads, at % self.queries))
        {
            let row = |sequence_len: usize, row: usize| (b * sequence_len + row) * width + h * dim;
            let at_q = row(self.queries, i);
            let (q, gout) = (&q[at_q..][..dim], &gout[at_q..][..dim]);
            let seen = if self.causal { self.keys.min(i + 1) } else { self.keys };
            let scores: Vec<f64> =
                (0..seen).map(|j| dot(q, &k[row(self.keys, j)..][..dim]) * f64::from(self.scale)).collect();
            let max = scores.iter().fold(f64::NEG_INFINITY, |max, score| max.max(*score));
            let sum: f64 = scores.iter().map(|score| (score - max).exp()).sum();
            let p: Vec<f64> = scores.iter().map(|score| (score - max).exp() / sum).collect();
            let gp: Vec<f64> = (0..seen).map(|j| dot(gout, &v[row(self.keys, j)..][..dim])).collect();
            let mean: f64 = p.iter().zip(&gp).map(|(p, gp)| p * gp).sum();
            for j in 0..seen {
                let at_k = row(self.keys, j);
                let gs = p[j] * (gp[j] - mean) * f64::from(self.scale);
                for d in 0..dim {
                    result[0][at_q + d] += p[j] * f64::from(v[at_k + d]);
                    result[1][at_q + d] += gs * f64::from(k[at_k + d]);
                    result[2][at_k + d] += gs * f64::from(q[d]);
                    result[3][at_k + d] += p[j] * f64::from(gout[d]);
                }
            }
        }
        result
    }

    fn inputs(&self) -> [Vec<f32>; 4] {
        let (of_queries, of_keys) = (self.batch * self.queries, self.batch * self.keys);
        let width = self.width();
        [
            values(1, of_queries * width),
            values(2, of_keys * width),
            values(3, of_keys * width),
            values(4, of_queries * width),
        ]
    }

    /// Result and gradients by the kernels.
    fn run(&self, [q, k, v, gout]: &[Vec<f32>; 4]) -> [Vec<f32>; 4] {
        let mut result = [unwritten(q.len()), unwritten(q.len()), unwritten(k.len()), unwritten(v.len())];
        let [out, gq, gk, gv] = &mut result;
        self.forward(q, k, v, out);
        self.backward(q, k, v, gout, gq, gk, gv);
        result
    }

    fn equals_plain_loops(&self) {
        let inputs = self.inputs();
        let [q, k, v, gout] = &inputs;
        let expected = self.reference(q, k, v, gout);
        for micro in runnable_and_pairs().into_iter().filter(|_| !q.is_empty() && !k.is_empty()) {
            let mut out = unwritten(q.len());
            forward::forward(self, micro, q, k, v, &mut out);
            // In bf16 every operand is off by 2⁻⁹ at most. A score, of numbers up to 1, then by about scale × head_dim ×
            // 2⁻⁸ in the worst case; that and the rounding of probability and value go into the result.
            let of_scores = f64::from(self.scale) * self.head_dim as f64 / 256.0;
            let tolerance = if micro.in_pairs { 2.0 * of_scores.exp_m1() + 1.0 / 128.0 } else { 5e-6 };
            assert_near(micro.name, &out, &expected[0], tolerance);
        }
        for ((what, actual), expected) in ["out", "gq", "gk", "gv"].iter().zip(self.run(&inputs)).zip(expected) {
            assert_near(what, &actual, &expected, 5e-6);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, ..ProptestConfig::default() })]

    #[test]
    fn equals_plain_loops(
        (batch, heads) in (0_usize..3, 0_usize..4),
        (queries, keys, head_dim) in (0_usize..40, 0_usize..40, 0_usize..20),
        scale in 0.1_f32..3.0,
        causal: bool,
    ) {
        Attention { batch, heads, queries, keys, head_dim, scale, causal }.equals_plain_loops();
    }
}

#[test]
fn several_blocks_equal_plain_loops() {
    let attention = Attention { batch: 1, heads: 2, queries: 150, keys: 131, head_dim: 9, scale: 0.5, causal: false };
    attention.equals_plain_loops();
    Attention { keys: 150, causal: true, ..attention }.equals_plain_loops();
}

#[test]
fn greater_scores_in_later_blocks_take_over() {
    // Each key outweighs all before it by far: what was summed so far must vanish, block after block.
    let attention = Attention { batch: 1, heads: 1, queries: 20, keys: 700, head_dim: 2, scale: 1.0, causal: false };
    let q = vec![1.0; 40];
    let k: Vec<f32> = (0..1400).map(|i| (i / 2) as f32 * 20.0).collect();
    let v: Vec<f32> = (0..1400).map(|i| i as f32).collect();
    let mut out = unwritten(40);
    attention.forward(&q, &k, &v, &mut out);
    assert!(out.chunks_exact(2).all(|row| row == [1398.0, 1399.0]), "{out:?}");
    // And in the other direction the first key keeps all.
    let falling: Vec<f32> = k.iter().map(|value| -value).collect();
    attention.forward(&q, &falling, &v, &mut out);
    assert!(out.chunks_exact(2).all(|row| row[0] < 1e-16 && row[1] == 1.0), "{out:?}");
}

#[test]
fn keys_that_no_query_wants() {
    // Scores of minus infinity weigh nothing, also where they fill the first block; where there is nothing else the
    // result is no number, as it is for a plain softmax.
    let attention = Attention { batch: 1, heads: 1, queries: 3, keys: 600, head_dim: 1, scale: 1.0, causal: false };
    let mut k = vec![f32::NEG_INFINITY; 600];
    let v: Vec<f32> = (0..600).map(|i| i as f32).collect();
    let mut out = unwritten(3);
    attention.forward(&[1.0; 3], &k, &v, &mut out);
    assert!(out.iter().all(|value| value.is_nan()));
    k[599] = -3.0;
    attention.forward(&[1.0; 3], &k, &v, &mut out);
    assert_eq!(out, [599.0; 3]);
}

#[test]
fn large_scores_do_not_overflow() {
    let attention = Attention { batch: 1, heads: 1, queries: 3, keys: 9, head_dim: 4, scale: 1e3, causal: false };
    let [out, ..] = attention.run(&attention.inputs());
    assert!(out.iter().all(|value| value.abs() <= 1.0));
}

#[test]
fn not_a_number_reaches_only_its_row() {
    let attention = Attention { batch: 1, heads: 1, queries: 3, keys: 9, head_dim: 4, scale: 0.5, causal: false };
    let mut inputs = attention.inputs();
    inputs[0][5] = f32::NAN;
    let [out, ..] = attention.run(&inputs);
    let nan: Vec<bool> = out.iter().map(|value| value.is_nan()).collect();
    assert_eq!(nan, [[false; 4], [true; 4], [false; 4]].concat());
}

#[test]
fn the_threads_change_nothing() {
    let attention = Attention { batch: 2, heads: 2, queries: 200, keys: 100, head_dim: 8, scale: 0.3, causal: false };
    let inputs = attention.inputs();
    assert_same_on_any_thread_count(|| attention.run(&inputs).concat());
}
