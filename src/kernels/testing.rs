//! Helpers of the kernels' tests: numbers to try them on, and comparisons.

/// Repeatable values between -1 and 1 (a linear congruential generator with the multiplier of Knuth's MMIX).
pub fn values(seed: u64, len: usize) -> Vec<f32> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ 0x1234_5678;
    let mut next = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 40) as f32 / (1_u32 << 23) as f32 - 1.0
    };
    (0..len).map(|_| next()).collect()
}

/// An output that no kernel may read: it must write every value.
pub fn unwritten(len: usize) -> Vec<f32> {
    vec![f32::NAN; len]
}

/// Panics unless every value is within `tolerance` of the expected one, relative to the greatest of all or to 1.
#[track_caller]
pub fn assert_near(what: &str, actual: &[f32], expected: &[f64], tolerance: f64) {
    assert_eq!(actual.len(), expected.len(), "{what}: lengths");
    let scale = expected.iter().filter(|value| value.is_finite()).fold(1.0_f64, |scale, value| scale.max(value.abs()));
    for (i, (&actual, &expected)) in actual.iter().zip(expected).enumerate() {
        let same = if expected.is_nan() {
            actual.is_nan()
        } else {
            f64::from(actual) == expected || (f64::from(actual) - expected).abs() <= tolerance * scale
        };
        assert!(same, "{what}: value {i} is {actual}, not {expected}");
    }
}

/// Panics unless `work` gives the same bytes on one, two and three threads.
pub fn assert_same_on_any_thread_count(work: impl Fn() -> Vec<f32> + Sync) {
    let on = |threads: usize| -> Vec<u32> {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().expect("threads can be started");
        pool.install(&work).into_iter().map(f32::to_bits).collect()
    };
    let one = on(1);
    assert_eq!(one, on(2), "two threads");
    assert_eq!(one, on(3), "three threads");
}
