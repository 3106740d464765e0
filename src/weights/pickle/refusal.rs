//! What a person reads when a PyTorch file is not opened.

use crate::domain::UserError;

/// Where the bytes of a name stop being shown: enough to recognise it.
const SHOWN_CHARS: usize = 80;

/// The file asks for code.
pub(super) fn wants_to_run(what: &str) -> UserError {
    UserError::input(format!("This file wants to run {what}; it is not opened"))
        .hint("a model needs no code of its own: get it as .safetensors, from a source that you trust")
}

/// The file holds something that no model has; `what` completes "This file …".
pub(super) fn not_opened(what: &str) -> UserError {
    UserError::input(format!("This file {what}; it is not opened"))
        .hint("get the model as .safetensors, from a source that you trust")
}

/// The file is not what PyTorch writes; `what` is a clause that says where.
pub(super) fn damaged(what: impl AsRef<str>) -> UserError {
    UserError::input(format!("This is not a sound PyTorch file: {}", what.as_ref()))
        .hint("download the file again, or get the model as .safetensors")
}

/// The file ends too early.
pub(super) fn cut_off() -> UserError {
    UserError::input("This PyTorch file is cut off").hint("download the file again")
}

/// The file's numbers are stored the other way round.
pub(super) fn big_endian() -> UserError {
    UserError::input("This file was written on a big-endian machine, and such numbers are not read")
        .hint("load it in PyTorch there and save it as .safetensors")
}

/// A name out of the file, short and without anything that could disturb a line of text.
pub(super) fn printable(bytes: &[u8]) -> String {
    // Lossy conversion is bounded first: a name may be as long as the file.
    let shown = &bytes[..bytes.len().min(4 * SHOWN_CHARS)];
    let text = String::from_utf8_lossy(shown);
    let mut name: String = text.chars().take(SHOWN_CHARS).flat_map(char::escape_debug).collect();
    if text.chars().count() > SHOWN_CHARS || shown.len() < bytes.len() {
        name.push('…');
    }
    name
}
