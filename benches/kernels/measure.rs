//! A case, its ways, and how long each takes.

use std::fs;
use std::time::Instant;

/// Rounds in which the ways of a case take turns, and how long one way runs in each, s.
const ROUNDS: usize = 5;
const ROUND_SECS: f64 = 0.2;

/// Something to compute, in one way or several.
pub struct Case {
    pub name: String,
    /// Multiplications and additions of the plain algorithm, whatever a way does.
    pub flop: f64,
    /// Makes the inputs, and the ways that hold them.
    pub ways: Box<dyn FnOnce() -> Vec<Way>>,
}

/// One way to compute it.
pub struct Way {
    pub name: &'static str,
    pub run: Box<dyn FnMut()>,
}

impl Way {
    /// A way that is this function.
    pub fn new(name: &'static str, run: impl FnMut() + 'static) -> Self {
        Self { name, run: Box::new(run) }
    }
}

/// What a call took, s: the least of all rounds.
pub struct Time {
    pub way: &'static str,
    pub wall: f64,
    /// Of all threads together.
    pub processor: f64,
}

/// Runs the ways in turn.
pub fn measure(ways: impl FnOnce() -> Vec<Way>) -> Vec<Time> {
    let mut ways = ways();
    // The first call finds cold caches and buffers; the second says how many fit into a round.
    let calls: Vec<usize> = ways
        .iter_mut()
        .map(|way| {
            (way.run)();
            let begin = Instant::now();
            (way.run)();
            ((ROUND_SECS / begin.elapsed().as_secs_f64()) as usize).clamp(1, 1 << 20)
        })
        .collect();
    let mut times: Vec<Time> =
        ways.iter().map(|way| Time { way: way.name, wall: f64::INFINITY, processor: f64::INFINITY }).collect();
    for _ in 0..ROUNDS {
        for ((way, calls), time) in ways.iter_mut().zip(&calls).zip(&mut times) {
            let (begin, worked) = (Instant::now(), processor_secs());
            (0..*calls).for_each(|_| (way.run)());
            let (wall, worked) = (begin.elapsed().as_secs_f64(), processor_secs().zip(worked));
            time.wall = time.wall.min(wall / *calls as f64);
            let processor = worked.map_or(f64::NAN, |(now, before)| now - before);
            // `min` gives the other number where one is none.
            time.processor = time.processor.min(processor / *calls as f64);
        }
    }
    times
}

/// Time that the threads of this process have run, s; none where the system does not tell it in this way. The clock of a
/// running thread is as old as its last tick, at most 4 ms.
fn processor_secs() -> Option<f64> {
    let mut nanoseconds = 0_u64;
    for task in fs::read_dir("/proc/self/task").ok()? {
        let Ok(stat) = fs::read_to_string(task.ok()?.path().join("schedstat")) else { continue };
        nanoseconds += stat.split_whitespace().next()?.parse::<u64>().ok()?;
    }
    Some(nanoseconds as f64 / 1e9)
}

/// Repeatable numbers between -1 and 1.
pub fn numbers(seed: u64, len: usize) -> Vec<f32> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ 0x1234_5678;
    let mut next = || {
        // A linear congruential generator with the multiplier of Knuth's MMIX.
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 40) as f32 / (1_u32 << 23) as f32 - 1.0
    };
    (0..len).map(|_| next()).collect()
}
