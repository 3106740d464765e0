//! Buffers of each thread that are kept from call to call: fresh pages from the system cost more than a small kernel.

use std::cell::RefCell;

/// Values that a kept buffer has at most (16 MiB); what a rare large call needs beyond is given back.
const KEPT: usize = 1 << 22;
/// Values of a cache line.
const LINE: usize = 16;

thread_local! {
    /// As many as calls have been inside of one another.
    static BUFFERS: RefCell<Vec<Vec<f32>>> = const { RefCell::new(Vec::new()) };
}

/// Calls `work` with a buffer of `len` values, whatever they hold, that begins at a cache line. A call inside of another
/// gets a buffer of its own.
pub fn with_scratch<R>(len: usize, work: impl FnOnce(&mut [f32]) -> R) -> R {
    let mut buffer = BUFFERS.with_borrow_mut(Vec::pop).unwrap_or_default();
    if buffer.len() < len + LINE {
        // Not resized: what it holds need not be copied.
        buffer = vec![0.0; len + LINE];
    }
    // Where the address cannot be known (under Miri) any place is as good.
    let skipped = buffer.as_ptr().align_offset(LINE * size_of::<f32>()).min(LINE);
    let result = work(&mut buffer[skipped..][..len]);
    if buffer.len() <= KEPT + LINE {
        BUFFERS.with_borrow_mut(|buffers| buffers.push(buffer));
    }
    result
}

#[cfg(test)]
mod tests {
    use super::with_scratch;

    #[test]
    fn a_call_inside_of_another_has_a_buffer_of_its_own() {
        for _ in 0..2 {
            with_scratch(100, |outer| {
                outer.fill(1.0);
                with_scratch(200, |inner| {
                    assert_eq!(inner.len(), 200);
                    inner.fill(2.0);
                });
                assert_eq!(outer, [1.0; 100]);
            });
        }
    }
}
