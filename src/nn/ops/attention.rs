//! Scaled dot-product attention without the whole score matrix in memory.

use candle_core::{CpuStorage, CustomOp3, Layout, Result, Shape, Tensor, bail};

use super::host::{self, Host};
use super::portable;
use crate::kernels::attention::Attention;

struct Op(Attention);

/// `softmax(q kᵀ / √dim) v` for each head.
///
/// `q` is `[batch, queries, heads * dim]`, `k` and `v` are `[batch, keys, heads * dim]`, heads side by side as the
/// projections give them; the result has the shape of `q`. `causal` hides the keys behind each query's position.
///
/// # Errors
/// When the shapes do not fit, or the tensors are not f32 on a CPU.
pub fn attention(q: &Tensor, k: &Tensor, v: &Tensor, heads: usize, causal: bool) -> Result<Tensor> {
    let (batch, queries, width) = q.dims3()?;
    let (_, keys, _) = k.dims3()?;
    if heads == 0 || width % heads != 0 || k.dims() != [batch, keys, width] || v.dims() != k.dims() {
        bail!("attention: {:?}, {:?} and {:?} do not fit {heads} heads", q.dims(), k.dims(), v.dims())
    }
    if portable::takes(q) {
        return portable::attention(q, k, v, heads, causal);
    }
    let head_dim = width / heads;
    let scale = 1.0 / (head_dim as f32).sqrt();
    let op = Op(Attention { batch, heads, queries, keys, head_dim, scale, causal });
    q.contiguous()?.apply_op3(&k.contiguous()?, &v.contiguous()?, op)
}

impl CustomOp3 for Op {
    fn name(&self) -> &'static str {
        "attention"
    }

    fn cpu_fwd(
        &self,
        s1: &CpuStorage,
        l1: &Layout,
        s2: &CpuStorage,
        l2: &Layout,
        s3: &CpuStorage,
        l3: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        let q = host::slice(s1, l1)?;
        let mut out = vec![0.0; q.len()];
        self.0.forward(q, host::slice(s2, l2)?, host::slice(s3, l3)?, &mut out);
        Ok(host::output(out, l1.shape().clone()))
    }

    fn bwd(
        &self,
        q: &Tensor,
        k: &Tensor,
        v: &Tensor,
        _: &Tensor,
        grad: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>, Option<Tensor>)> {
        let grad = grad.contiguous()?;
        let mut gq = vec![0.0; q.elem_count()];
        let mut gk = vec![0.0; k.elem_count()];
        let mut gv = vec![0.0; v.elem_count()];
        self.0.backward(&Host::new(q)?, &Host::new(k)?, &Host::new(v)?, &Host::new(&grad)?, &mut gq, &mut gk, &mut gv);
        Ok((Some(host::tensor(gq, q.shape())?), Some(host::tensor(gk, k.shape())?), Some(host::tensor(gv, v.shape())?)))
    }
}
