//! candle's errors as a person reads them.

use crate::domain::UserError;

/// What libraries say when a device's memory is used up, in lower case.
const OUT_OF_MEMORY: &[&str] =
    &["out of memory", "out_of_memory", "alloc_failed", "failed to create metal resource: buffer"];

/// The sentence by which [`is_out_of_memory`] knows it again.
const SENTENCE: &str = "The graphics card has not enough memory for this";

/// A failed tensor operation. But for a device without memory these are faults of the program or of the machine, not of
/// the input: what a user can get wrong is checked before.
#[must_use]
#[allow(clippy::needless_pass_by_value, reason = "it is used as `map_err(engine_error)`")]
pub fn engine_error(error: candle_core::Error) -> UserError {
    let text = error.to_string();
    let lower = text.to_lowercase();
    if OUT_OF_MEMORY.iter().any(|said| lower.contains(said)) {
        tracing::warn!("{text}");
        return UserError::failed(SENTENCE)
            .hint("make the picture smaller, close what else uses the card, or choose the processor in Settings");
    }
    UserError::failed(format!("The engine failed: {text}")).hint("please report this with the model's name")
}

/// Whether an error says that a device's memory was used up: something smaller may work.
#[must_use]
pub fn is_out_of_memory(error: &UserError) -> bool {
    error.sentence == SENTENCE
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As cudarc's driver, cuBLAS and cuDNN, and candle's Metal backend say it.
    #[test]
    fn a_device_without_memory_is_told_from_faults() {
        for said in [
            "DriverError(CUDA_ERROR_OUT_OF_MEMORY, \"out of memory\")",
            "CublasError(CUBLAS_STATUS_ALLOC_FAILED)",
            "CudnnError(CUDNN_STATUS_ALLOC_FAILED)",
            "Failed to create metal resource: Buffer",
        ] {
            let error = engine_error(candle_core::Error::Msg(said.to_owned()));
            assert!(is_out_of_memory(&error) && error.hint.is_some(), "{error}");
        }
        assert!(!is_out_of_memory(&engine_error(candle_core::Error::Msg("shape mismatch".to_owned()))));
    }
}
