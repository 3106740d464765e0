//! Eight f32 lanes: AVX2 with FMA where the processor has them, plain arrays elsewhere.
//!
//! A [`Task`] is written once over [`Simd`]; [`dispatch`] compiles it for each instruction set and picks one at run
//! time. Everything a task calls must be `#[inline(always)]`, or it is compiled for the baseline processor; so rayon
//! comes outside, and each of its pieces dispatches a task.

/// Lanes of a vector.
pub const LANES: usize = 8;

/// A computation that is compiled once for each instruction set.
pub trait Task {
    /// What it gives back.
    type Output;
    /// Computes it; to be `#[inline(always)]`.
    fn run<S: Simd>(self, simd: S) -> Self::Output;
}

/// Runs a task with the best instructions that this processor has.
#[inline]
pub fn dispatch<T: Task>(task: T) -> T::Output {
    #[cfg(target_arch = "x86_64")]
    {
        /// The task, compiled for AVX2 and FMA.
        #[target_feature(enable = "avx2,fma")]
        fn run<T: Task>(task: T) -> T::Output {
            task.run(avx2::Avx2::new())
        }
        if is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma") {
            // SAFETY: the processor has both features, as was just asked.
            return unsafe { run(task) };
        }
    }
    task.run(Portable)
}

/// The operations on eight lanes. A value of the type is the proof that the processor has the instructions.
pub trait Simd: Copy + Send + Sync {
    /// Eight f32.
    type F: Copy;

    /// All lanes the same.
    fn splat(self, value: f32) -> Self::F;
    /// Reads eight values.
    ///
    /// # Safety
    /// `from` must be good for reading eight values; no alignment is asked.
    unsafe fn load_ptr(self, from: *const f32) -> Self::F;
    /// Writes the lanes.
    fn store(self, value: Self::F, to: &mut [f32; LANES]);
    /// `a + b`
    fn add(self, a: Self::F, b: Self::F) -> Self::F;
    /// `a - b`
    fn sub(self, a: Self::F, b: Self::F) -> Self::F;
    /// `a b`
    fn mul(self, a: Self::F, b: Self::F) -> Self::F;
    /// `a / b`
    fn div(self, a: Self::F, b: Self::F) -> Self::F;
    /// `a b + c`, rounded once where the processor can do it.
    fn mul_add(self, a: Self::F, b: Self::F, c: Self::F) -> Self::F;
    /// `c - a b`, rounded as [`Simd::mul_add`].
    fn neg_mul_add(self, a: Self::F, b: Self::F, c: Self::F) -> Self::F;
    /// The lesser; `b` where either is not a number.
    fn min(self, a: Self::F, b: Self::F) -> Self::F;
    /// The greater; `b` where either is not a number.
    fn max(self, a: Self::F, b: Self::F) -> Self::F;
    /// The absolute value.
    fn abs(self, a: Self::F) -> Self::F;
    /// To the nearest whole number.
    fn round(self, a: Self::F) -> Self::F;
    /// 2 to the power of a whole number from -126 to 127, 0 for -127 and infinity for 128; any value otherwise.
    fn pow2(self, a: Self::F) -> Self::F;
    /// `yes` where the sign bit of `sign` is set, else `no`.
    fn select_negative(self, sign: Self::F, yes: Self::F, no: Self::F) -> Self::F;

    /// The sums of the lanes of four vectors, always in the same order.
    fn sum_each(self, values: [Self::F; 4]) -> [f32; 4];

    /// Reads eight values at each of eight addresses and turns them: lane `i` of vector `j` is value `j` at address `i`.
    ///
    /// # Safety
    /// Each address must be good for reading eight values; no alignment is asked.
    #[inline(always)]
    unsafe fn load_turned(self, from: [*const f32; LANES]) -> [Self::F; LANES] {
        // SAFETY: the caller vouches for eight values, and an array of f32 needs no more alignment than f32 has.
        let rows = from.map(|from| unsafe { from.cast::<[f32; LANES]>().read() });
        std::array::from_fn(|column| self.load(&rows.map(|row| row[column])))
    }

    /// Four vectors woven into one another: `a0 b0 c0 d0 a1 b1 c1 d1`, and so on.
    #[inline(always)]
    fn interleave(self, values: [Self::F; 4]) -> [Self::F; 4] {
        let rows = values.map(|value| self.to_array(value));
        std::array::from_fn(|i| self.load(&std::array::from_fn(|lane| rows[lane % 4][2 * i + lane / 4])))
    }

    /// Reads eight values.
    #[inline(always)]
    fn load(self, from: &[f32; LANES]) -> Self::F {
        // SAFETY: the array holds eight values.
        unsafe { self.load_ptr(from.as_ptr()) }
    }

    /// The lanes as an array.
    #[inline(always)]
    fn to_array(self, value: Self::F) -> [f32; LANES] {
        let mut lanes = [0.0; LANES];
        self.store(value, &mut lanes);
        lanes
    }

    /// The sum of the lanes, always in the same order.
    #[inline(always)]
    fn sum(self, value: Self::F) -> f32 {
        let a = self.to_array(value);
        ((a[0] + a[4]) + (a[2] + a[6])) + ((a[1] + a[5]) + (a[3] + a[7]))
    }
}

/// Plain arrays, which the compiler turns into what the baseline processor has.
#[derive(Clone, Copy)]
pub struct Portable;

/// Combines two arrays lane by lane.
#[inline(always)]
fn zip(a: [f32; LANES], b: [f32; LANES], op: impl Fn(f32, f32) -> f32) -> [f32; LANES] {
    std::array::from_fn(|i| op(a[i], b[i]))
}

impl Simd for Portable {
    type F = [f32; LANES];

    #[inline(always)]
    fn splat(self, value: f32) -> Self::F {
        [value; LANES]
    }
    #[inline(always)]
    unsafe fn load_ptr(self, from: *const f32) -> Self::F {
        // SAFETY: the caller vouches for eight values, and an array of f32 needs no more alignment than f32 has.
        unsafe { from.cast::<[f32; LANES]>().read() }
    }
    #[inline(always)]
    fn store(self, value: Self::F, to: &mut [f32; LANES]) {
        *to = value;
    }
    #[inline(always)]
    fn add(self, a: Self::F, b: Self::F) -> Self::F {
        zip(a, b, |a, b| a + b)
    }
    #[inline(always)]
    fn sub(self, a: Self::F, b: Self::F) -> Self::F {
        zip(a, b, |a, b| a - b)
    }
    #[inline(always)]
    fn mul(self, a: Self::F, b: Self::F) -> Self::F {
        zip(a, b, |a, b| a * b)
    }
    #[inline(always)]
    fn div(self, a: Self::F, b: Self::F) -> Self::F {
        zip(a, b, |a, b| a / b)
    }
    #[inline(always)]
    fn mul_add(self, a: Self::F, b: Self::F, c: Self::F) -> Self::F {
        std::array::from_fn(|i| multiply_add(a[i], b[i], c[i]))
    }
    #[inline(always)]
    fn neg_mul_add(self, a: Self::F, b: Self::F, c: Self::F) -> Self::F {
        std::array::from_fn(|i| multiply_add(-a[i], b[i], c[i]))
    }
    #[inline(always)]
    fn min(self, a: Self::F, b: Self::F) -> Self::F {
        zip(a, b, |a, b| if a < b { a } else { b })
    }
    #[inline(always)]
    fn max(self, a: Self::F, b: Self::F) -> Self::F {
        zip(a, b, |a, b| if a > b { a } else { b })
    }
    #[inline(always)]
    fn abs(self, a: Self::F) -> Self::F {
        a.map(f32::abs)
    }
    #[inline(always)]
    fn round(self, a: Self::F) -> Self::F {
        // Adding 1.5 * 2^23 leaves no bits for a fraction; the callers stay far below 2^22.
        const SHIFT: f32 = 12_582_912.0;
        a.map(|a| (a + SHIFT) - SHIFT)
    }
    #[inline(always)]
    fn pow2(self, a: Self::F) -> Self::F {
        a.map(|a| f32::from_bits(((a as i32).wrapping_add(127) as u32) << 23))
    }
    #[inline(always)]
    fn sum_each(self, values: [Self::F; 4]) -> [f32; 4] {
        values.map(|value| self.sum(value))
    }
    #[inline(always)]
    fn select_negative(self, sign: Self::F, yes: Self::F, no: Self::F) -> Self::F {
        std::array::from_fn(|i| if sign[i].is_sign_negative() { yes[i] } else { no[i] })
    }
}

/// `a b + c`: fused where that is one instruction of the baseline, else rounded twice (a call into libm is far slower).
#[inline(always)]
fn multiply_add(a: f32, b: f32, c: f32) -> f32 {
    if cfg!(any(target_arch = "aarch64", target_feature = "fma")) { a.mul_add(b, c) } else { a * b + c }
}

#[cfg(target_arch = "x86_64")]
mod avx2 {
    //! The 256-bit vectors of x86.

    use std::arch::x86_64::{
        __m256, _MM_FROUND_NO_EXC, _MM_FROUND_TO_NEAREST_INT, _mm_add_ps, _mm_storeu_ps, _mm256_add_epi32,
        _mm256_add_ps, _mm256_andnot_ps, _mm256_blendv_ps, _mm256_castps256_ps128, _mm256_castsi256_ps,
        _mm256_cvtps_epi32, _mm256_div_ps, _mm256_extractf128_ps, _mm256_fmadd_ps, _mm256_fnmadd_ps, _mm256_hadd_ps,
        _mm256_loadu_ps, _mm256_loadu2_m128, _mm256_max_ps, _mm256_min_ps, _mm256_mul_ps, _mm256_permute2f128_ps,
        _mm256_round_ps, _mm256_set1_epi32, _mm256_set1_ps, _mm256_shuffle_ps, _mm256_slli_epi32, _mm256_storeu_ps,
        _mm256_sub_ps, _mm256_unpackhi_ps, _mm256_unpacklo_ps,
    };

    use super::{LANES, Simd};

    /// The proof that the processor has AVX2 and FMA: only a function that needs them can make one.
    #[derive(Clone, Copy)]
    pub struct Avx2(());

    impl Avx2 {
        /// A proof, for those who have it already.
        #[inline]
        #[target_feature(enable = "avx2,fma")]
        pub fn new() -> Self {
            Self(())
        }
    }

    /// Methods that are one intrinsic each.
    macro_rules! intrinsics {
        ($($name:ident($($arg:ident),+) = $body:expr;)+) => {
            $(#[inline(always)]
            fn $name(self, $($arg: __m256),+) -> __m256 {
                // SAFETY: `self` is the proof that the processor has AVX2 and FMA.
                unsafe { $body }
            })+
        };
    }

    /// Turns both halves of four vectors: lane `i` of half `h` of vector `j` is lane `j` of half `h` of vector `i`.
    ///
    /// # Safety
    /// The processor must have AVX2.
    #[inline(always)]
    unsafe fn turn([a, b, c, d]: [__m256; 4]) -> [__m256; 4] {
        // SAFETY: the caller vouches for the instructions.
        unsafe {
            let (ab, cd) = (_mm256_unpacklo_ps(a, b), _mm256_unpacklo_ps(c, d));
            let (ab_high, cd_high) = (_mm256_unpackhi_ps(a, b), _mm256_unpackhi_ps(c, d));
            [
                _mm256_shuffle_ps::<0b01_00_01_00>(ab, cd),
                _mm256_shuffle_ps::<0b11_10_11_10>(ab, cd),
                _mm256_shuffle_ps::<0b01_00_01_00>(ab_high, cd_high),
                _mm256_shuffle_ps::<0b11_10_11_10>(ab_high, cd_high),
            ]
        }
    }

    /// Four vectors, each of four values from two addresses, four apart in the list.
    ///
    /// # Safety
    /// The processor must have AVX2; the addresses must be good for reading values `at` to `at + 4`.
    #[inline(always)]
    unsafe fn halves(from: &[*const f32; LANES], at: usize) -> [__m256; 4] {
        // SAFETY: the caller vouches for both.
        unsafe {
            [
                _mm256_loadu2_m128(from[4].add(at), from[0].add(at)),
                _mm256_loadu2_m128(from[5].add(at), from[1].add(at)),
                _mm256_loadu2_m128(from[6].add(at), from[2].add(at)),
                _mm256_loadu2_m128(from[7].add(at), from[3].add(at)),
            ]
        }
    }

    impl Simd for Avx2 {
        type F = __m256;

        #[inline(always)]
        fn splat(self, value: f32) -> __m256 {
            // SAFETY: `self` is the proof that the processor has AVX2 and FMA.
            unsafe { _mm256_set1_ps(value) }
        }
        #[inline(always)]
        unsafe fn load_ptr(self, from: *const f32) -> __m256 {
            // SAFETY: as above, and the caller vouches for eight readable values.
            unsafe { _mm256_loadu_ps(from) }
        }
        #[inline(always)]
        fn store(self, value: __m256, to: &mut [f32; LANES]) {
            // SAFETY: as above, and the array has room for eight values.
            unsafe { _mm256_storeu_ps(to.as_mut_ptr(), value) }
        }

        #[inline(always)]
        fn sum_each(self, [a, b, c, d]: [__m256; 4]) -> [f32; 4] {
            let mut sums = [0.0; 4];
            // SAFETY: as above, and the array has room for four values.
            unsafe {
                let pairs = _mm256_hadd_ps(_mm256_hadd_ps(a, b), _mm256_hadd_ps(c, d));
                let sum = _mm_add_ps(_mm256_castps256_ps128(pairs), _mm256_extractf128_ps::<1>(pairs));
                _mm_storeu_ps(sums.as_mut_ptr(), sum);
            }
            sums
        }

        #[inline(always)]
        unsafe fn load_turned(self, from: [*const f32; LANES]) -> [__m256; LANES] {
            // SAFETY: as above, and the caller vouches for eight values at each address: four from each of the two
            // places that are read.
            unsafe {
                let [a, b, c, d] = turn(halves(&from, 0));
                let [e, f, g, h] = turn(halves(&from, 4));
                [a, b, c, d, e, f, g, h]
            }
        }
        #[inline(always)]
        fn interleave(self, values: [__m256; 4]) -> [__m256; 4] {
            // SAFETY: as above.
            unsafe {
                let [a, b, c, d] = turn(values);
                [
                    _mm256_permute2f128_ps::<0x20>(a, b),
                    _mm256_permute2f128_ps::<0x20>(c, d),
                    _mm256_permute2f128_ps::<0x31>(a, b),
                    _mm256_permute2f128_ps::<0x31>(c, d),
                ]
            }
        }

        intrinsics! {
            add(a, b) = _mm256_add_ps(a, b);
            sub(a, b) = _mm256_sub_ps(a, b);
            mul(a, b) = _mm256_mul_ps(a, b);
            div(a, b) = _mm256_div_ps(a, b);
            mul_add(a, b, c) = _mm256_fmadd_ps(a, b, c);
            neg_mul_add(a, b, c) = _mm256_fnmadd_ps(a, b, c);
            min(a, b) = _mm256_min_ps(a, b);
            max(a, b) = _mm256_max_ps(a, b);
            abs(a) = _mm256_andnot_ps(_mm256_set1_ps(-0.0), a);
            round(a) = _mm256_round_ps::<{ _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC }>(a);
            pow2(a) = _mm256_castsi256_ps(_mm256_slli_epi32::<23>(
                _mm256_add_epi32(_mm256_cvtps_epi32(a), _mm256_set1_epi32(127)),
            ));
            select_negative(sign, yes, no) = _mm256_blendv_ps(no, yes, sign);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{LANES, Portable, Simd, Task, dispatch};

    /// Every operation, on one set of lanes.
    struct All([[f32; LANES]; 4]);

    impl Task for All {
        type Output = Vec<[f32; LANES]>;
        #[inline(always)]
        fn run<S: Simd>(self, s: S) -> Self::Output {
            let [a, b, c, d] = self.0.map(|lanes| s.load(&lanes));
            let whole = s.round(s.mul(a, s.splat(9.0)));
            let sums = s.sum_each([a, b, c, d]);
            let mut result = [
                s.add(a, b),
                s.sub(a, b),
                s.mul(a, b),
                s.div(a, b),
                s.mul_add(a, b, c),
                s.neg_mul_add(a, b, c),
                s.min(a, b),
                s.max(a, b),
                s.abs(a),
                whole,
                s.pow2(whole),
                s.select_negative(a, b, c),
            ]
            .map(|value| s.to_array(value))
            .to_vec();
            result.push([sums[0], sums[1], sums[2], sums[3], s.sum(a), s.sum(b), s.sum(c), s.sum(d)]);
            result
        }
    }

    #[test]
    fn the_fast_path_equals_the_portable_one() {
        let lanes = crate::kernels::testing::values(7, 4 * LANES);
        let set = || All(std::array::from_fn(|i| std::array::from_fn(|lane| lanes[i * LANES + lane])));
        for (i, (fast, portable)) in dispatch(set()).into_iter().zip(set().run(Portable)).enumerate() {
            for (fast, portable) in fast.into_iter().zip(portable) {
                // A fused multiplication rounds once less, and sums are taken in another order.
                assert!((fast - portable).abs() <= 3e-7 * portable.abs().max(1.0), "operation {i}: {fast} {portable}");
            }
        }
    }

    #[test]
    fn shuffles_put_every_lane_where_they_say() {
        struct Shuffles([f32; 64]);
        impl Task for Shuffles {
            type Output = (Vec<[f32; LANES]>, Vec<[f32; LANES]>);
            #[inline(always)]
            fn run<S: Simd>(self, s: S) -> Self::Output {
                let row = |i: usize| self.0[LANES * i..].as_ptr();
                // SAFETY: each of the eight rows holds eight values.
                let turned = unsafe { s.load_turned(std::array::from_fn(row)) };
                let woven = s.interleave([turned[0], turned[1], turned[2], turned[3]]);
                (turned.map(|vector| s.to_array(vector)).to_vec(), woven.map(|vector| s.to_array(vector)).to_vec())
            }
        }
        let values: [f32; 64] = std::array::from_fn(|i| i as f32);
        for (turned, woven) in [dispatch(Shuffles(values)), Shuffles(values).run(Portable)] {
            for (i, lane) in (0..LANES).flat_map(|i| (0..LANES).map(move |lane| (i, lane))) {
                assert_eq!(turned[i][lane], values[LANES * lane + i]);
                if i < 4 {
                    assert_eq!(woven[i][lane], values[LANES * (2 * i + lane / 4) + lane % 4]);
                }
            }
        }
    }

    #[test]
    fn the_second_operand_wins_over_not_a_number() {
        struct Extremes;
        impl Task for Extremes {
            type Output = [f32; 2];
            #[inline(always)]
            fn run<S: Simd>(self, s: S) -> [f32; 2] {
                let (nan, one) = (s.splat(f32::NAN), s.splat(1.0));
                [s.to_array(s.min(nan, one))[0], s.to_array(s.max(one, nan))[0]]
            }
        }
        for [min, max] in [dispatch(Extremes), Extremes.run(Portable)] {
            assert!(min == 1.0 && max.is_nan());
        }
    }
}
