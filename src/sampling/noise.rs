//! The noise that `torch.randn` gives on a CPU for a seed, so that seeds carry over from other tools.

use std::f64::consts::TAU;

/// Words of the Mersenne twister's state.
const N: usize = 624;
/// Distance of the word that is mixed in.
const M: usize = 397;
/// From this length on, torch fills blockwise.
const BLOCKED: usize = 16;

/// `PyTorch`'s CPU generator: the Mersenne twister MT19937 (Matsumoto and Nishimura 1998) under torch's two ways to make
/// normal numbers of it.
///
/// Sources: `ATen/core/MT19937RNGEngine.h`, `ATen/core/DistributionsHelper.h` and
/// `ATen/native/cpu/DistributionTemplates.h` of `PyTorch` 2. Values agree with torch to the rounding of its vectorised
/// logarithm and cosine (about 1e-6), not to the bit: here they are computed in f64 and rounded once.
///
/// As in torch, only the low 32 bits of the seed count.
#[derive(Clone)]
pub struct TorchCpuRng {
    state: [u32; N],
    next: usize,
    /// The second value of the last pair, which the next short draw begins with.
    cached: Option<f64>,
}

impl TorchCpuRng {
    /// The generator after `torch.manual_seed(seed)`.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        let mut state = [0_u32; N];
        state[0] = (seed & 0xffff_ffff) as u32;
        for i in 1..N {
            let before = state[i - 1];
            state[i] = 1_812_433_253_u32.wrapping_mul(before ^ (before >> 30)).wrapping_add(i as u32);
        }
        Self { state, next: N, cached: None }
    }

    /// Fills `out` with the values of `torch.randn(out.len(), generator=…)`.
    ///
    /// The length matters: fewer than 16 values are drawn in pairs in double precision, 16 and more in blocks of 16, the
    /// last of which is drawn anew where the length is no multiple of 16.
    pub fn randn(&mut self, out: &mut [f32]) {
        if out.len() < BLOCKED {
            for value in out {
                *value = self.normal() as f32;
            }
            return;
        }
        self.fill_uniform(out);
        let (blocks, rest) = out.as_chunks_mut::<BLOCKED>();
        blocks.iter_mut().for_each(box_muller);
        if !rest.is_empty()
            && let Some(last) = out.last_chunk_mut::<BLOCKED>()
        {
            self.fill_uniform(last);
            box_muller(last);
        }
    }

    /// One normal number, as torch draws few of them.
    fn normal(&mut self) -> f64 {
        if let Some(value) = self.cached.take() {
            return value;
        }
        let angle = TAU * self.uniform_f64();
        let radius = (-2.0 * (-self.uniform_f64()).ln_1p()).sqrt();
        self.cached = Some(radius * angle.sin());
        radius * angle.cos()
    }

    /// 24 bits each, in [0, 1).
    fn fill_uniform(&mut self, out: &mut [f32]) {
        for value in out {
            *value = (self.word() & 0x00ff_ffff) as f32 / 16_777_216.0;
        }
    }

    /// 53 bits, in [0, 1).
    fn uniform_f64(&mut self) -> f64 {
        let high = u64::from(self.word());
        let bits = (high << 32 | u64::from(self.word())) & ((1 << 53) - 1);
        bits as f64 / 9_007_199_254_740_992.0
    }

    /// The twister's next 32 bits.
    fn word(&mut self) -> u32 {
        if self.next == N {
            self.twist();
        }
        let mut word = self.state[self.next];
        self.next += 1;
        word ^= word >> 11;
        word ^= (word << 7) & 0x9d2c_5680;
        word ^= (word << 15) & 0xefc6_0000;
        word ^ (word >> 18)
    }

    fn twist(&mut self) {
        for i in 0..N {
            let mixed = (self.state[i] & 0x8000_0000) | (self.state[(i + 1) % N] & 0x7fff_ffff);
            let odd = if mixed & 1 == 1 { 0x9908_b0df } else { 0 };
            self.state[i] = self.state[(i + M) % N] ^ (mixed >> 1) ^ odd;
        }
        self.next = 0;
    }
}

/// Unit-normal noise of `shape` `[batch, channels, height, width]` for a seed: what diffusers begins a picture with,
/// before `init_noise_sigma`.
#[must_use]
pub fn unit_normal(seed: u64, shape: [usize; 4]) -> Vec<f32> {
    let mut out = vec![0.0; shape.iter().product()];
    TorchCpuRng::new(seed).randn(&mut out);
    out
}

/// Turns 16 uniform numbers into normal ones: the first eight give radii, the last eight angles.
fn box_muller(block: &mut [f32; BLOCKED]) {
    let (first, second) = block.split_at_mut(BLOCKED / 2);
    for (a, b) in first.iter_mut().zip(second) {
        let radius = (-2.0 * f64::from(1.0 - *a).ln()).sqrt();
        // The angle is rounded to f32 as torch rounds it, since cosine and sine amplify it near their zeros.
        let angle = f64::from(TAU as f32 * *b);
        *a = (radius * angle.cos()) as f32;
        *b = (radius * angle.sin()) as f32;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_twister_gives_the_published_numbers() {
        // C++ [rand.predef]: the 10000th number of a default-seeded (5489) mt19937 is 4123659995.
        let mut rng = TorchCpuRng::new(5489);
        let last = (0..10_000).map(|_| rng.word()).last();
        assert_eq!(last, Some(4_123_659_995));
    }

    #[test]
    fn only_the_low_half_of_a_seed_counts() {
        assert_eq!(unit_normal(3, [1, 1, 4, 8]), unit_normal((1 << 40) + 3, [1, 1, 4, 8]));
        assert_ne!(unit_normal(3, [1, 1, 4, 8]), unit_normal(4, [1, 1, 4, 8]));
    }

    #[test]
    fn an_empty_draw_takes_nothing() {
        let (mut drawn, mut fresh) = (TorchCpuRng::new(1), TorchCpuRng::new(1));
        drawn.randn(&mut []);
        assert_eq!(drawn.word(), fresh.word());
    }
}
