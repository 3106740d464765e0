//! candle's errors as a person reads them.

use crate::domain::UserError;

/// A failed tensor operation. These are faults of the program or of the machine, not of the input: what a user can get
/// wrong is checked before.
#[must_use]
#[allow(clippy::needless_pass_by_value, reason = "it is used as `map_err(engine_error)`")]
pub fn engine_error(error: candle_core::Error) -> UserError {
    UserError::failed(format!("The engine failed: {error}")).hint("please report this with the model's name")
}
