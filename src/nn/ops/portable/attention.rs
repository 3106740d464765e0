//! Attention without the matrix of all scores: some rows of it at a time, computed again on the way back.

use candle_core::{D, DType, Device, Result, Tensor};

use super::super::given::given;
use super::{plain, tracked};

/// Most scores that are in memory at once: 128 MB in f16, and twice that for the softmax in f32.
pub const MOST_SCORES: usize = 1 << 26;

/// The same on a processor, where memory is what it is and a test should see several blocks.
const MOST_SCORES_ON_CPU: usize = 1 << 18;

/// See [`super::super::attention`]; shapes are checked there.
pub fn attention(q: &Tensor, k: &Tensor, v: &Tensor, heads: usize, causal: bool) -> Result<Tensor> {
    let most = if q.device().is_cpu() { MOST_SCORES_ON_CPU } else { MOST_SCORES };
    in_blocks(q, k, v, Heads { count: heads, causal, most })
}

#[derive(Clone, Copy)]
struct Heads {
    count: usize,
    causal: bool,
    /// Most scores at once.
    most: usize,
}

impl Heads {
    /// `[batch, tokens, heads * dim]` to `[batch * heads, tokens, dim]`.
    fn split(self, x: &Tensor) -> Result<Tensor> {
        let (batch, tokens, width) = x.dims3()?;
        let dim = width / self.count;
        let apart = x.contiguous()?.reshape((batch, tokens, self.count, dim))?;
        apart.transpose(1, 2)?.contiguous()?.reshape((batch * self.count, tokens, dim))
    }

    /// And back.
    fn join(self, x: &Tensor) -> Result<Tensor> {
        let (rows, tokens, dim) = x.dims3()?;
        let batch = rows / self.count;
        let apart = x.reshape((batch, self.count, tokens, dim))?;
        apart.transpose(1, 2)?.contiguous()?.reshape((batch, tokens, self.count * dim))
    }

    /// First query and number of queries of each block.
    fn blocks(self, rows: usize, queries: usize, keys: usize) -> Vec<(usize, usize)> {
        let at_once = (self.most / (rows * keys).max(1)).clamp(1, queries.max(1));
        (0..queries).step_by(at_once).map(|first| (first, at_once.min(queries - first))).collect()
    }

    /// The softmax of the scores of some queries, in f32. `q` is multiplied by the scale already: its products with the keys
    /// are small enough for f16 then.
    fn shares(self, q: &Tensor, keys: &Tensor, first: usize) -> Result<Tensor> {
        let mut scores = q.matmul(&keys.transpose(1, 2)?)?.to_dtype(DType::F32)?;
        if self.causal {
            let (_, queries, keys) = scores.dims3()?;
            scores = scores.broadcast_add(&hidden(first, queries, keys, scores.device())?)?;
        }
        let raised = scores.broadcast_sub(&scores.max_keepdim(D::Minus1)?)?.exp()?;
        raised.broadcast_div(&raised.sum_keepdim(D::Minus1)?)
    }
}

/// Minus infinity where a key stands behind its query, `[1, queries, keys]`.
fn hidden(first: usize, queries: usize, keys: usize, device: &Device) -> Result<Tensor> {
    let row = |query: usize| (0..keys).map(move |key| if key > query { f32::NEG_INFINITY } else { 0.0 });
    let values: Vec<f32> = (first..first + queries).flat_map(row).collect();
    Tensor::from_vec(values, (1, queries, keys), device)
}

fn in_blocks(q: &Tensor, k: &Tensor, v: &Tensor, heads: Heads) -> Result<Tensor> {
    let (q, k, v) = (&plain(q), &plain(k), &plain(v));
    let wanted = tracked([q, k, v]);
    let scale = 1.0 / ((q.dim(2)? / heads.count) as f64).sqrt();
    let out = {
        let (q, k, v) = (heads.split(&(q.detach() * scale)?)?, heads.split(&k.detach())?, heads.split(&v.detach())?);
        let (rows, queries, _) = q.dims3()?;
        let mut parts = Vec::new();
        for (first, count) in heads.blocks(rows, queries, k.dim(1)?) {
            let shares = heads.shares(&q.narrow(1, first, count)?.contiguous()?, &k, first)?;
            parts.push(shares.to_dtype(v.dtype())?.matmul(&v)?);
        }
        heads.join(&Tensor::cat(&parts, 1)?)?
    };
    if !wanted {
        return Ok(out);
    }
    let back = move |inputs: &[&Tensor], grad: &Tensor| gradients(inputs, grad, heads, scale);
    given(&[q, k, v], &out, Box::new(back))
}

/// Gradients of queries, keys and values (Dao et al. 2022, appendix B: the scores are computed again).
fn gradients(inputs: &[&Tensor], grad: &Tensor, heads: Heads, scale: f64) -> Result<Vec<Option<Tensor>>> {
    let [q, k, v] = [inputs[0], inputs[1], inputs[2]].map(|input| heads.split(&input.detach()));
    let (q, k, v, grad) = ((q? * scale)?, k?, v?, heads.split(grad)?);
    let (rows, queries, _) = q.dims3()?;
    let (mut of_q, mut of_k, mut of_v) = (Vec::new(), k.zeros_like()?, v.zeros_like()?);
    for (first, count) in heads.blocks(rows, queries, k.dim(1)?) {
        let part = |x: &Tensor| x.narrow(1, first, count)?.contiguous();
        let (q, grad) = (part(&q)?, part(&grad)?);
        let shares = heads.shares(&q, &k, first)?;
        of_v = (of_v + shares.to_dtype(v.dtype())?.transpose(1, 2)?.matmul(&grad)?)?;
        let of_shares = grad.matmul(&v.transpose(1, 2)?)?.to_dtype(DType::F32)?;
        let along = (&of_shares * &shares)?.sum_keepdim(D::Minus1)?;
        let of_scores = (&shares * of_shares.broadcast_sub(&along)?)?.to_dtype(q.dtype())?;
        of_q.push((of_scores.matmul(&k)? * scale)?);
        // The scale is in `q` already.
        of_k = (of_k + of_scores.transpose(1, 2)?.matmul(&q)?)?;
    }
    [Tensor::cat(&of_q, 1)?, of_k, of_v].iter().map(|gradient| heads.join(gradient).map(Some)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wave(tokens: usize, step: f32) -> Tensor {
        let values: Vec<f32> = (0..2 * tokens * 6).map(|i| (i as f32 * step).sin()).collect();
        Tensor::from_vec(values, (2, tokens, 6), &Device::Cpu).unwrap()
    }

    #[test]
    fn blocks_make_no_difference() {
        let (q, k, v) = (wave(7, 0.7), wave(7, 1.3), wave(7, 2.1));
        for causal in [false, true] {
            let run = |most| in_blocks(&q, &k, &v, Heads { count: 2, causal, most }).unwrap();
            let whole = run(usize::MAX);
            // Blocks of one query, of two, of three: 4 rows of 7 keys each.
            for most in [1, 2 * 28, 3 * 28 + 5] {
                let difference = (run(most) - &whole).unwrap().abs().unwrap().max_all().unwrap();
                assert!(difference.to_scalar::<f32>().unwrap() < 1e-6, "{causal} {most}");
            }
        }
        assert_eq!(Heads { count: 2, causal: false, most: 56 }.blocks(4, 7, 7), [(0, 2), (2, 2), (4, 2), (6, 1)]);
    }

    #[test]
    fn a_query_does_not_see_what_is_behind_it() {
        let (q, k) = (wave(5, 0.7), wave(5, 1.3));
        let run = |v: &Tensor| in_blocks(&q, &k, v, Heads { count: 3, causal: true, most: 1 }).unwrap();
        let (before, after) = (wave(5, 2.1), wave(5, 3.1));
        let mixed = Tensor::cat(&[before.narrow(1, 0, 3).unwrap(), after.narrow(1, 3, 2).unwrap()], 1).unwrap();
        let first = |x: &Tensor| x.narrow(1, 0, 3).unwrap().flatten_all().unwrap().to_vec1::<f32>().unwrap();
        assert_eq!(first(&run(&before)), first(&run(&mixed)));
    }
}
