//! One large buffer for the whole program, kept from call to call, on which all threads work together.

use std::mem;
use std::sync::{Mutex, PoisonError};

/// Values that are kept at most (72 MiB).
const KEPT: usize = 18 << 20;
/// Values of a cache line.
const LINE: usize = 16;

static BUFFER: Mutex<Vec<f32>> = Mutex::new(Vec::new());

/// Calls `work` with a buffer of `len` values, whatever they hold, that begins at a cache line. A call beside another gets
/// a buffer of its own.
pub fn with_buffer<R>(len: usize, work: impl FnOnce(&mut [f32]) -> R) -> R {
    // The lock is held to take it and to put it back only. A panic in between would leave nothing half done.
    let kept = || BUFFER.lock().unwrap_or_else(PoisonError::into_inner);
    let mut buffer = mem::take(&mut *kept());
    if buffer.len() < len + LINE {
        // Given back first, so that the old and the new are never there together.
        drop(buffer);
        buffer = vec![0.0; len + LINE];
    }
    // Where the address cannot be known (under Miri) any place is as good.
    let skipped = buffer.as_ptr().align_offset(LINE * size_of::<f32>()).min(LINE);
    let result = work(&mut buffer[skipped..][..len]);
    let mut kept = kept();
    if buffer.len() <= KEPT && buffer.len() > kept.len() {
        *kept = buffer;
    }
    result
}

#[cfg(test)]
mod tests {
    use super::with_buffer;

    #[test]
    fn a_call_inside_of_another_has_a_buffer_of_its_own() {
        with_buffer(100, |outer| {
            outer.fill(1.0);
            with_buffer(200, |inner| {
                assert_eq!(inner.len(), 200);
                inner.fill(2.0);
            });
            assert_eq!(outer, [1.0; 100]);
        });
    }
}
