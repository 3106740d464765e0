//! Layer normalisation of some rows.

use super::LayerNorm;
use super::moments::Moments;
use crate::kernels::lanes::{Lanewise, load_some, map, store_some};
use crate::kernels::simd::{LANES, Simd, Task};

/// Some rows.
pub(super) struct LayerForward<'a> {
    pub norm: LayerNorm,
    pub x: &'a [f32],
    pub gamma: &'a [f32],
    pub beta: &'a [f32],
    pub out: &'a mut [f32],
}

impl Task for LayerForward<'_> {
    type Output = ();
    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let width = self.norm.width;
        for (out, x) in self.out.chunks_exact_mut(width).zip(self.x.chunks_exact(width)) {
            let (mean, inverse) = Moments::take(s, x).normal(self.norm.eps);
            map(s, &Normal { mean, inverse }, [x, self.gamma, self.beta], out);
        }
    }
}

/// `(x - mean) inverse gamma + beta` of x, gamma and beta.
struct Normal {
    mean: f32,
    inverse: f32,
}

impl Lanewise<3> for Normal {
    #[inline(always)]
    fn apply<S: Simd>(&self, s: S, [x, gamma, beta]: [S::F; 3]) -> S::F {
        let normal = s.mul(s.sub(x, s.splat(self.mean)), s.splat(self.inverse));
        s.mul_add(normal, gamma, beta)
    }
}

/// Some rows, backward; the gradients of scale and shift are added to.
pub(super) struct LayerBackward<'a> {
    pub norm: LayerNorm,
    pub x: &'a [f32],
    pub gamma: &'a [f32],
    pub gy: &'a [f32],
    pub gx: &'a mut [f32],
    pub ggamma: &'a mut [f32],
    pub gbeta: &'a mut [f32],
}

impl Task for LayerBackward<'_> {
    type Output = ();
    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let width = self.norm.width;
        let rows = self.gx.chunks_exact_mut(width).zip(self.x.chunks_exact(width)).zip(self.gy.chunks_exact(width));
        for ((gx, x), gy) in rows {
            let (mean, inverse) = Moments::take(s, x).normal(self.norm.eps);
            let (mean, inverse) = (s.splat(mean), s.splat(inverse));
            let (mut of_gradient, mut of_product) = (s.splat(0.0), s.splat(0.0));
            for (i, (x, gy)) in x.chunks(LANES).zip(gy.chunks(LANES)).enumerate() {
                let normal = s.mul(s.sub(load_some(s, x), mean), inverse);
                let here = i * LANES..i * LANES + x.len();
                // The lanes beyond the end have gy = 0 and so add nothing.
                let gy = load_some(s, gy);
                let g = s.mul(gy, load_some(s, &self.gamma[here.clone()]));
                of_gradient = s.add(of_gradient, g);
                of_product = s.mul_add(g, normal, of_product);
                let (ggamma, gbeta) = (&mut self.ggamma[here.clone()], &mut self.gbeta[here]);
                store_some(s, s.mul_add(gy, normal, load_some(s, ggamma)), ggamma);
                store_some(s, s.add(gy, load_some(s, gbeta)), gbeta);
            }
            let of_gradient = s.splat(s.sum(of_gradient) / width as f32);
            let of_product = s.splat(s.sum(of_product) / width as f32);
            for (((gx, x), gy), gamma) in
                gx.chunks_mut(LANES).zip(x.chunks(LANES)).zip(gy.chunks(LANES)).zip(self.gamma.chunks(LANES))
            {
                let normal = s.mul(s.sub(load_some(s, x), mean), inverse);
                let g = s.sub(s.mul(load_some(s, gy), load_some(s, gamma)), of_gradient);
                store_some(s, s.mul(s.neg_mul_add(normal, of_product, g), inverse), gx);
            }
        }
    }
}
