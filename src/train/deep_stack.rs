//! Threads with stacks that are deep enough to train on.

use rayon::ThreadPoolBuilder;

use crate::domain::{Result, UserError};

/// The tensor library orders a network's operations by recursion, one frame for each operation on the longest way, and
/// drops them by recursion too. Pages that are never touched cost nothing.
pub(super) const STACK_BYTES: usize = 256 << 20;

/// Runs `work` on a deep stack, and waits for it. A panic in it goes on here.
///
/// It runs on one of a pool's own threads, which takes its share of every kernel: on a thread beside the pool it would
/// wake another one and fall asleep at each of a thousand kernels of a step, which is felt where kernels are small, and
/// most where the processor is busy with other work.
///
/// # Errors
/// Those of `work`, or when the system gives no threads.
pub fn on_deep_stack<T: Send>(work: impl FnOnce() -> Result<T> + Send) -> Result<T> {
    ThreadPoolBuilder::new()
        .num_threads(rayon::current_num_threads())
        .thread_name(|i| format!("training-{i}"))
        .stack_size(STACK_BYTES)
        .build()
        .map_err(|error| UserError::failed(format!("No threads could be started for the training: {error}")))?
        .install(work)
}

#[cfg(test)]
mod tests {
    use candle_core::{Device, Var};

    use super::*;

    /// An ordinary test thread (2 MiB) overflows at about a tenth of this length.
    #[test]
    fn a_very_long_network_can_be_trained() {
        let gradient = on_deep_stack(|| {
            let fail = crate::nn::engine_error;
            let start = Var::new(1f32, &Device::Cpu).map_err(fail)?;
            let mut x = start.as_tensor().clone();
            for _ in 0..50_000 {
                x = (x + 1.0).map_err(fail)?;
            }
            let store = x.backward().map_err(fail)?;
            store.get(&start).map_or(Ok(0.0), |gradient| gradient.to_scalar::<f32>().map_err(fail))
        });
        assert_eq!(gradient.unwrap(), 1.0);
    }
}
