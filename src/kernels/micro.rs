//! The innermost loop of every matrix product: one tile of the result, kept in registers while `k` goes by.
//!
//! The loop is written once, over `Vector`, and compiled for each instruction set. Each element is a sum from zero in
//! the order of `k`, with one rounding a step where the processor can (all but the portable one); what was there is
//! added last. So an element does not depend on the tile it lies in, nor on which thread computes it.

use std::fmt;
use std::hint::black_box;
use std::time::Instant;

pub use self::pairs::pair_up;
use super::precision::{self, Precision};

/// More values than any tile has.
const LARGEST: usize = 12 * 32;

/// A micro-kernel: `c = a b`, or `c += a b`, for a tile of `rows` × `cols` and packed operands.
///
/// `a` is so many groups of `rows` words (a column of a block each), `b` of `cols` words (a row each). No alignment is
/// asked. A word is a value, or two of 16 bits that follow each other in the order of `k`.
pub struct Micro {
    /// Rows of the tile, and words of a group of `a`.
    pub rows: usize,
    /// Columns of the tile, and words of a group of `b`.
    pub cols: usize,
    /// Whether a word is two values in bf16, as [`pair_up`] makes them.
    pub in_pairs: bool,
    /// The instructions that it uses.
    pub name: &'static str,
    run: Run,
    /// Rounds of as many products and sums as a tile has registers, and a value that depends on them all.
    busy: unsafe fn(usize, &f32) -> f32,
}

/// Groups, `a`, `b`, `c`, the distance of the rows of `c`, whether to add to what is there.
type Run = unsafe fn(usize, *const f32, *const f32, *mut f32, usize, bool);

impl fmt::Debug for Micro {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} × {} ({})", self.rows, self.cols, self.name)
    }
}

/// The fastest for this processor that multiplies as exactly as is asked for now ([`precision::current`]).
pub fn micro_now() -> &'static Micro {
    match precision::current() {
        Precision::Fast => pairs::fastest().unwrap_or_else(micro),
        Precision::Exact => micro(),
    }
}

/// Whether this processor has instructions for products of pairs in bf16.
pub fn has_pairs() -> bool {
    pairs::fastest().is_some()
}

/// The fastest in f32 for this processor.
pub fn micro() -> &'static Micro {
    #[cfg(target_arch = "x86_64")]
    {
        if is_x86_feature_detected!("avx512f") {
            return &x86::AVX512;
        }
        if is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma") {
            return &x86::AVX2;
        }
    }
    #[cfg(target_arch = "aarch64")]
    if std::arch::is_aarch64_feature_detected!("neon") {
        return &arm::NEON;
    }
    &PORTABLE
}

/// The one in f32 for products of `count` columns: the fastest, or, where half of its tile or more would go unused, one
/// whose tile is half as wide and nearly as fast. Each element is the same by either.
pub fn micro_for(count: usize) -> &'static Micro {
    #[cfg(target_arch = "x86_64")]
    {
        let narrow = match micro() {
            wide if std::ptr::eq(wide, &raw const x86::AVX512) => &x86::AVX512_NARROW,
            wide if std::ptr::eq(wide, &raw const x86::AVX2) => &x86::AVX2_NARROW,
            wide => wide,
        };
        // What fills up the last tile costs as much as the rest; of the narrow tile, each column a ninth more.
        let cost = |micro: &Micro| count.next_multiple_of(micro.cols);
        if 10 * cost(narrow) < 9 * cost(micro()) {
            return narrow;
        }
    }
    micro()
}

/// Every one that this processor can run.
#[cfg(test)]
pub(super) fn runnable() -> Vec<&'static Micro> {
    let mut found = vec![&PORTABLE, micro(), micro_for(1)];
    #[cfg(target_arch = "x86_64")]
    if is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma") {
        found.extend([&x86::AVX2, &x86::AVX2_NARROW]);
    }
    found.sort_by_key(|micro| (micro.name, micro.cols));
    found.dedup_by_key(|micro| (micro.name, micro.cols));
    found
}

/// The same, and those in bf16.
#[cfg(test)]
pub(super) fn runnable_and_pairs() -> Vec<&'static Micro> {
    runnable().into_iter().chain([&pairs::PORTABLE]).chain(pairs::fastest()).collect()
}

impl Micro {
    /// Groups of words that `k` values of each line take.
    pub fn words(&self, k: usize) -> usize {
        if self.in_pairs { k.div_ceil(2) } else { k }
    }

    /// Packed lines in f32, `k` groups of `group` values, to the words of this kernel: the first `words(k) * group` values
    /// of the panel. There must be room for an even number of groups where it takes pairs.
    pub fn to_words(&self, group: usize, k: usize, panel: &mut [f32]) {
        if self.in_pairs {
            pair_up(group, k, panel);
        }
    }

    /// What one core can do at most, in floating-point operations a second: products and sums in registers alone, the
    /// best of many tries that are too short to be interrupted.
    pub fn peak(&self) -> f64 {
        const ROUNDS: usize = 1 << 16;
        let tries = (0..100).map(|_| {
            let begin = Instant::now();
            // SAFETY: `micro` gives out only what the processor can run.
            black_box(unsafe { (self.busy)(ROUNDS, black_box(&0.999)) });
            begin.elapsed().as_secs_f64()
        });
        2.0 * (ROUNDS * self.rows * self.cols) as f64 / tries.fold(f64::INFINITY, f64::min)
    }

    /// A whole tile of the products of `k` groups; its rows lie `c_stride` apart.
    ///
    /// # Safety
    /// `a` must be good for reading `k * rows` words, `b` for `k * cols`; `c` for writing `cols` values in each of
    /// `rows` rows, and for reading them if `accumulate`.
    #[inline]
    pub unsafe fn run(&self, k: usize, a: *const f32, b: *const f32, c: *mut f32, c_stride: usize, accumulate: bool) {
        // SAFETY: the caller vouches for the addresses; `micro` gives out only what the processor can run.
        unsafe { (self.run)(k, a, b, c, c_stride, accumulate) }
    }

    /// The first `rows` × `cols` elements of a tile. The panels are whole ones: what they hold beyond may be anything.
    ///
    /// # Safety
    /// As for [`Micro::run`], but only the given elements of `c` are touched.
    ///
    /// # Panics
    /// When the tile has fewer rows or columns.
    #[inline]
    pub unsafe fn run_partial(
        &self,
        k: usize,
        a: *const f32,
        b: *const f32,
        c: *mut f32,
        c_stride: usize,
        rows: usize,
        cols: usize,
        accumulate: bool,
    ) {
        assert!(rows <= self.rows && cols <= self.cols, "a part of a tile is larger than the tile");
        if rows == self.rows && cols == self.cols {
            // SAFETY: the caller vouches for it.
            return unsafe { self.run(k, a, b, c, c_stride, accumulate) };
        }
        let mut tile = [0.0; LARGEST];
        // SAFETY: the panels are whole, and the buffer holds every kernel's tile (a test says so).
        unsafe { self.run(k, a, b, tile.as_mut_ptr(), self.cols, false) };
        for (row, from) in tile.chunks_exact(self.cols).take(rows).enumerate() {
            for (col, value) in from[..cols].iter().enumerate() {
                // SAFETY: the caller vouches for these elements of `c`.
                unsafe {
                    let to = c.add(row * c_stride + col);
                    to.write(if accumulate { to.read() + value } else { *value });
                }
            }
        }
    }
}

/// A register of f32.
///
/// # Safety
/// No method may be called on a processor that lacks the instructions, and each must be `#[inline(always)]`, so that
/// it becomes part of a function that has them.
unsafe trait Vector: Copy {
    const LANES: usize;
    /// Whether [`Vector::add_product`] takes two values in bf16 for each lane.
    const IN_PAIRS: bool = false;

    unsafe fn zero() -> Self;
    /// Reads `LANES` values.
    unsafe fn load(from: *const f32) -> Self;
    /// One value in all lanes.
    unsafe fn splat(from: *const f32) -> Self;
    /// Writes `LANES` values.
    unsafe fn store(self, to: *mut f32);
    unsafe fn add(self, other: Self) -> Self;
    /// `self + a b`
    unsafe fn add_product(self, a: Self, b: Self) -> Self;
}

/// The loop: a tile of `ROWS` × `VECTORS` registers.
///
/// # Safety
/// The processor must have the vector's instructions; the rest as for [`Micro::run`].
#[inline(always)]
unsafe fn tile<V: Vector, const ROWS: usize, const VECTORS: usize>(
    k: usize,
    mut a: *const f32,
    mut b: *const f32,
    c: *mut f32,
    c_stride: usize,
    accumulate: bool,
) {
    // SAFETY: the caller vouches for the instructions and for all that is read: `k` groups of `ROWS` and of
    // `VECTORS * LANES` values, and the tile.
    unsafe {
        let mut sums = [[V::zero(); VECTORS]; ROWS];
        for _ in 0..k {
            let of_b: [V; VECTORS] = std::array::from_fn(|v| V::load(b.add(v * V::LANES)));
            for (row, sums) in sums.iter_mut().enumerate() {
                let of_a = V::splat(a.add(row));
                for (sum, of_b) in sums.iter_mut().zip(of_b) {
                    *sum = sum.add_product(of_a, of_b);
                }
            }
            a = a.add(ROWS);
            b = b.add(VECTORS * V::LANES);
        }
        for (row, sums) in sums.into_iter().enumerate() {
            for (v, sum) in sums.into_iter().enumerate() {
                let to = c.add(row * c_stride + v * V::LANES);
                let sum = if accumulate { V::load(to).add(sum) } else { sum };
                sum.store(to);
            }
        }
    }
}

/// Products and sums in as many registers as a tile has, without any memory.
///
/// # Safety
/// The processor must have the vector's instructions.
#[inline(always)]
unsafe fn busy<V: Vector, const ROWS: usize, const VECTORS: usize>(rounds: usize, factor: &f32) -> f32 {
    // SAFETY: the caller vouches for the instructions; all that is read and written is borrowed, or the array's.
    unsafe {
        let mut sums = [[V::zero(); VECTORS]; ROWS];
        // Each begins elsewhere, or the compiler would see that all are the same, and compute one.
        for (row, sums) in sums.iter_mut().enumerate() {
            for (v, sum) in sums.iter_mut().enumerate() {
                *sum = V::splat(&(factor * (row * VECTORS + v) as f32));
            }
        }
        let factor = V::splat(factor);
        for _ in 0..rounds {
            for sums in &mut sums {
                for sum in sums {
                    *sum = factor.add_product(*sum, factor);
                }
            }
        }
        let mut total = V::zero();
        for sums in sums {
            for sum in sums {
                total = total.add(sum);
            }
        }
        let mut lanes = [0.0; LARGEST];
        total.store(lanes.as_mut_ptr());
        lanes.iter().sum()
    }
}

/// A micro-kernel: `name`, instructions, the vector, rows by vectors.
macro_rules! kernel {
    ($static:ident, $name:literal, $(#[$feature:meta])?, $vector:ty, $rows:literal x $vectors:literal) => {
        #[doc = concat!("The kernel in ", $name, ".")]
        pub(super) static $static: Micro = {
            $(#[$feature])?
            unsafe fn run(k: usize, a: *const f32, b: *const f32, c: *mut f32, c_stride: usize, accumulate: bool) {
                // SAFETY: the caller vouches for the addresses and, by calling this function, for the instructions.
                unsafe { tile::<$vector, $rows, $vectors>(k, a, b, c, c_stride, accumulate) }
            }
            $(#[$feature])?
            unsafe fn busy_with(rounds: usize, factor: &f32) -> f32 {
                // SAFETY: as above.
                unsafe { busy::<$vector, $rows, $vectors>(rounds, factor) }
            }
            let cols = $vectors * <$vector as Vector>::LANES;
            assert!($rows * cols <= LARGEST);
            let in_pairs = <$vector as Vector>::IN_PAIRS;
            Micro { rows: $rows, cols, in_pairs, name: $name, run, busy: busy_with }
        };
    };
}

/// Plain arrays, which the compiler turns into what the baseline processor has.
// SAFETY: it needs no particular instructions.
unsafe impl Vector for [f32; 4] {
    const LANES: usize = 4;

    #[inline(always)]
    unsafe fn zero() -> Self {
        [0.0; 4]
    }
    #[inline(always)]
    unsafe fn load(from: *const f32) -> Self {
        // SAFETY: the caller vouches for four values, and an array needs no more alignment than one.
        unsafe { from.cast::<Self>().read() }
    }
    #[inline(always)]
    unsafe fn splat(from: *const f32) -> Self {
        // SAFETY: the caller vouches for a value.
        unsafe { [from.read(); 4] }
    }
    #[inline(always)]
    unsafe fn store(self, to: *mut f32) {
        // SAFETY: the caller vouches for room for four values.
        unsafe { to.cast::<Self>().write(self) }
    }
    #[inline(always)]
    unsafe fn add(self, other: Self) -> Self {
        std::array::from_fn(|i| self[i] + other[i])
    }
    #[inline(always)]
    unsafe fn add_product(self, a: Self, b: Self) -> Self {
        // Not `mul_add`: without the instruction that is a call into a library.
        std::array::from_fn(|i| self[i] + a[i] * b[i])
    }
}

kernel!(PORTABLE, "portable", , [f32; 4], 4 x 2);

// Here, since it uses the macro above.
mod pairs;

/// A [`Vector`] whose methods are one intrinsic each.
#[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
macro_rules! vector {
    ($vector:ty, $lanes:literal, $zero:expr, $load:ident, $splat:ident, $store:ident, $add:ident,
        |$sum:ident, $a:ident, $b:ident| $add_product:expr) => {
        // SAFETY: every method is `#[inline(always)]`.
        unsafe impl Vector for $vector {
            const LANES: usize = $lanes;

            #[inline(always)]
            unsafe fn zero() -> Self {
                // SAFETY: the caller vouches for the instructions.
                unsafe { $zero }
            }
            #[inline(always)]
            unsafe fn load(from: *const f32) -> Self {
                // SAFETY: as above, and for the values.
                unsafe { $load(from) }
            }
            #[inline(always)]
            unsafe fn splat(from: *const f32) -> Self {
                // SAFETY: as above, and for the value.
                unsafe { $splat(from.read()) }
            }
            #[inline(always)]
            unsafe fn store(self, to: *mut f32) {
                // SAFETY: as above, and for the room.
                unsafe { $store(to, self) }
            }
            #[inline(always)]
            unsafe fn add(self, other: Self) -> Self {
                // SAFETY: the caller vouches for the instructions.
                unsafe { $add(self, other) }
            }
            #[inline(always)]
            unsafe fn add_product(self, $a: Self, $b: Self) -> Self {
                let $sum = self;
                // SAFETY: the caller vouches for the instructions.
                unsafe { $add_product }
            }
        }
    };
}

#[cfg(target_arch = "x86_64")]
mod x86 {
    //! AVX2 with FMA (16 registers: 12 sums, two of `b`, one of `a`) and AVX-512 (32 registers: 24 sums).

    use std::arch::x86_64::{
        __m256, __m512, _mm256_add_ps, _mm256_fmadd_ps, _mm256_loadu_ps, _mm256_set1_ps, _mm256_setzero_ps,
        _mm256_storeu_ps, _mm512_add_ps, _mm512_fmadd_ps, _mm512_loadu_ps, _mm512_set1_ps, _mm512_setzero_ps,
        _mm512_storeu_ps,
    };

    use super::{LARGEST, Micro, Vector, busy, tile};

    vector!(
        __m256,
        8,
        _mm256_setzero_ps(),
        _mm256_loadu_ps,
        _mm256_set1_ps,
        _mm256_storeu_ps,
        _mm256_add_ps,
        |sum, a, b| _mm256_fmadd_ps(a, b, sum)
    );
    vector!(
        __m512,
        16,
        _mm512_setzero_ps(),
        _mm512_loadu_ps,
        _mm512_set1_ps,
        _mm512_storeu_ps,
        _mm512_add_ps,
        |sum, a, b| _mm512_fmadd_ps(a, b, sum)
    );
    kernel!(AVX2, "AVX2", #[target_feature(enable = "avx2,fma")], __m256, 6 x 2);
    kernel!(AVX512, "AVX-512", #[target_feature(enable = "avx512f")], __m512, 12 x 2);
    // Half as wide, for few columns: as many rows as are whole vectors, of which Winograd's transforms are made.
    kernel!(AVX2_NARROW, "AVX2", #[target_feature(enable = "avx2,fma")], __m256, 8 x 1);
    kernel!(AVX512_NARROW, "AVX-512", #[target_feature(enable = "avx512f")], __m512, 24 x 1);
}

#[cfg(target_arch = "aarch64")]
mod arm {
    //! NEON (32 registers: 24 sums, three of `b`, one of `a`).

    use std::arch::aarch64::{float32x4_t, vaddq_f32, vdupq_n_f32, vfmaq_f32, vld1q_f32, vst1q_f32};

    use super::{LARGEST, Micro, Vector, busy, tile};

    vector!(float32x4_t, 4, vdupq_n_f32(0.0), vld1q_f32, vdupq_n_f32, vst1q_f32, vaddq_f32, |sum, a, b| vfmaq_f32(
        sum, a, b
    ));
    kernel!(NEON, "NEON", #[target_feature(enable = "neon")], float32x4_t, 8 x 3);
}

#[cfg(test)]
mod tests;
