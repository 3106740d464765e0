//! What computes here, for the recipes of pictures: by it one can tell why a picture that is made again may differ.

use crate::domain::Machine;
use crate::kernels::micro::micro;

/// What computes: the processor's kernels in f32, on the threads of the pool.
#[must_use]
pub fn machine() -> Machine {
    Machine {
        device: "cpu".to_owned(),
        kernels: micro().name.to_owned(),
        precision: "f32".to_owned(),
        threads: u32::try_from(rayon::current_num_threads()).unwrap_or(u32::MAX),
    }
}
