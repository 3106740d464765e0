//! Random numbers for training: a function of seed, purpose and counters, so that a resumed run draws the same ones.

use std::f64::consts::TAU;

/// Philox 4x32-10 (Salmon, Moraes, Dror and Shaw, "Parallel random numbers: as easy as 1, 2, 3", 2011).
///
/// A stream is named by `(seed, purpose, epoch, index)` and holds nothing else, so there is nothing to save and restore:
/// a training step that makes its streams from its own number draws the same values after a resume, on any thread.
/// Streams with different names do not overlap (each has 2^32 blocks of four words).
#[derive(Clone, Debug)]
pub struct CounterRng {
    key: [u32; 2],
    /// Block number, purpose, epoch, index.
    counter: [u32; 4],
    words: [u32; 4],
    used: usize,
}

impl CounterRng {
    /// The stream of a name. `purpose` tells apart what one step draws (noise, timesteps, order, …).
    #[must_use]
    pub fn new(seed: u64, purpose: u32, epoch: u32, index: u32) -> Self {
        let key = [(seed & 0xffff_ffff) as u32, (seed >> 32) as u32];
        Self { key, counter: [0, purpose, epoch, index], words: [0; 4], used: 4 }
    }

    /// The next 32 bits.
    pub fn next_u32(&mut self) -> u32 {
        if self.used == 4 {
            self.words = philox(self.counter, self.key);
            self.counter[0] = self.counter[0].wrapping_add(1);
            self.used = 0;
        }
        self.used += 1;
        self.words[self.used - 1]
    }

    /// The next 64 bits.
    pub fn next_u64(&mut self) -> u64 {
        let low = u64::from(self.next_u32());
        u64::from(self.next_u32()) << 32 | low
    }

    /// Uniform in [0, 1), with 53 bits.
    pub fn uniform(&mut self) -> f64 {
        (self.next_u64() >> 11) as f64 / 9_007_199_254_740_992.0
    }

    /// Unit normal.
    pub fn normal(&mut self) -> f64 {
        let (cosine, _) = self.normal_pair();
        cosine
    }

    /// Fills `out` with unit-normal numbers.
    pub fn fill_normal(&mut self, out: &mut [f32]) {
        for pair in out.chunks_mut(2) {
            let (first, second) = self.normal_pair();
            pair[0] = first as f32;
            if let Some(value) = pair.get_mut(1) {
                *value = second as f32;
            }
        }
    }

    /// Uniform in `0..n`, without bias (Lemire, "Fast random integer generation in an interval", 2019).
    ///
    /// # Panics
    /// When `n` is 0: there is nothing to draw from.
    pub fn below(&mut self, n: u32) -> u32 {
        assert!(n > 0, "cannot draw below 0");
        loop {
            let product = u64::from(self.next_u32()) * u64::from(n);
            // The low half falls short in 2^32 mod n of 2^32 cases, which would favour some results.
            if product as u32 >= n.wrapping_neg() % n {
                return (product >> 32) as u32;
            }
        }
    }

    /// Puts `items` into a random order, each equally likely (Fisher and Yates).
    ///
    /// # Panics
    /// When there are more than 2^32 - 1 items.
    pub fn shuffle<T>(&mut self, items: &mut [T]) {
        assert!(u32::try_from(items.len()).is_ok(), "too many items to shuffle");
        for last in (1..items.len()).rev() {
            let other = self.below(last as u32 + 1) as usize;
            items.swap(last, other);
        }
    }

    /// Two normal numbers (Box and Muller 1958).
    fn normal_pair(&mut self) -> (f64, f64) {
        // The first number is in (0, 1], so that its logarithm is finite.
        let radius = (-2.0 * (1.0 - self.uniform()).ln()).sqrt();
        let (sine, cosine) = (TAU * self.uniform()).sin_cos();
        (radius * cosine, radius * sine)
    }
}

/// One block: ten rounds of multiplying and mixing.
fn philox(mut counter: [u32; 4], mut key: [u32; 2]) -> [u32; 4] {
    for _ in 0..10 {
        let a = u64::from(counter[0]) * 0xd251_1f53;
        let b = u64::from(counter[2]) * 0xcd9e_8d57;
        counter = [(b >> 32) as u32 ^ counter[1] ^ key[0], b as u32, (a >> 32) as u32 ^ counter[3] ^ key[1], a as u32];
        key = [key[0].wrapping_add(0x9e37_79b9), key[1].wrapping_add(0xbb67_ae85)];
    }
    counter
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_blocks_are_the_published_ones() {
        // Known answers of the authors' own library (Random123, tests/kat_vectors, philox4x32 with 10 rounds).
        assert_eq!(philox([0; 4], [0; 2]), [0x6627_e8d5, 0xe169_c58d, 0xbc57_ac4c, 0x9b00_dbd8]);
        assert_eq!(philox([u32::MAX; 4], [u32::MAX; 2]), [0x408f_276d, 0x41c8_3b0e, 0xa20b_c7c6, 0x6d54_51fd]);
        assert_eq!(
            philox([0x243f_6a88, 0x85a3_08d3, 0x1319_8a2e, 0x0370_7344], [0xa409_3822, 0x299f_31d0]),
            [0xd16c_fe09, 0x94fd_cceb, 0x5001_e420, 0x2412_6ea1]
        );
    }

    #[test]
    fn every_part_of_the_name_counts() {
        let first = |seed, purpose, epoch, index| CounterRng::new(seed, purpose, epoch, index).next_u64();
        let mut seen: Vec<u64> =
            [(0, 0, 0, 0), (1, 0, 0, 0), (1 << 32, 0, 0, 0), (0, 1, 0, 0), (0, 0, 1, 0), (0, 0, 0, 1)]
                .map(|(seed, purpose, epoch, index)| first(seed, purpose, epoch, index))
                .to_vec();
        seen.sort_unstable();
        seen.dedup();
        assert_eq!(seen.len(), 6);
        assert_eq!(first(7, 1, 2, 3), first(7, 1, 2, 3));
    }

    #[test]
    fn numbers_are_distributed_as_promised() {
        let mut rng = CounterRng::new(42, 0, 0, 0);
        let mut normals = vec![0.0_f32; 40_001];
        rng.fill_normal(&mut normals);
        let n = normals.len() as f64;
        let mean = normals.iter().map(|v| f64::from(*v)).sum::<f64>() / n;
        let variance = normals.iter().map(|v| (f64::from(*v) - mean).powi(2)).sum::<f64>() / n;
        // Five standard errors: 5 / sqrt(n) and 5 sqrt(2 / n).
        assert!(mean.abs() < 5.0 / n.sqrt(), "{mean}");
        assert!((variance - 1.0).abs() < 5.0 * (2.0 / n).sqrt(), "{variance}");
        let mut counts = [0_u32; 6];
        (0..6000).for_each(|_| counts[rng.below(6) as usize] += 1);
        // Chi squared with 5 degrees of freedom is below 20.5 with probability 0.999.
        let chi2: f64 = counts.iter().map(|c| (f64::from(*c) - 1000.0).powi(2) / 1000.0).sum();
        assert!(chi2 < 20.5, "{counts:?}");
        assert!((0..1000).all(|_| (0.0..1.0).contains(&rng.uniform())));
    }

    #[test]
    fn a_shuffle_keeps_every_item_and_repeats() {
        let shuffled = |epoch| {
            let mut items: Vec<u32> = (0..100).collect();
            CounterRng::new(5, 1, epoch, 0).shuffle(&mut items);
            items
        };
        assert_eq!(shuffled(0), shuffled(0));
        assert_ne!(shuffled(0), shuffled(1));
        let mut items = shuffled(0);
        items.sort_unstable();
        assert!(items.into_iter().eq(0..100));
    }
}
