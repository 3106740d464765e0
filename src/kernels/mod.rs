//! f32 kernels for a CPU on plain slices, forward and backward.
//!
//! The order of every kernel's additions is a function of the shapes, never of the number of threads (which decides only
//! who computes what): the result is the same to the bit on any number of threads. Between machines
//! the last bits may differ, since the instructions and the blocks of the matrix product do.
//!
//! Shapes stand at each function. A slice of the wrong length is a programmer's error and panics; a dimension of zero
//! is allowed everywhere. Gradients are overwritten, not added to.

// Inlining is no hint here: a task that is not inlined is compiled for the baseline processor (see `simd`).
#![allow(clippy::inline_always, reason = "the SIMD wrappers must vanish into their callers' target features")]

pub mod activation;
pub mod attention;
pub mod conv2d;
pub mod elementwise;
mod exponential;
pub mod gemm;
mod lanes;
pub mod layout;
pub mod linear;
pub mod micro;
pub mod norm;
pub mod precision;
pub mod projection;
mod scratch;
mod simd;
mod transpose;
pub mod upsample;
pub mod values;

#[cfg(test)]
mod testing;

/// Panics when a slice has not the length its shape says.
#[track_caller]
fn check_len(what: &str, slice: &[f32], expected: usize) {
    assert!(slice.len() == expected, "{what} holds {} values, its shape {expected}", slice.len());
}
