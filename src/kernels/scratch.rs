//! A buffer of each thread that is kept from call to call: fresh pages from the system cost more than a small kernel.

use std::cell::Cell;

/// Values that a thread keeps at most (16 MiB); what a rare large call needs beyond is given back.
const KEPT: usize = 1 << 22;

thread_local! {
    static BUFFER: Cell<Vec<f32>> = const { Cell::new(Vec::new()) };
}

/// Calls `work` with a buffer of `len` values, whatever they hold. A call inside of another gets a buffer of its own.
pub fn with_scratch<R>(len: usize, work: impl FnOnce(&mut [f32]) -> R) -> R {
    let mut buffer = BUFFER.take();
    if buffer.len() < len {
        buffer.resize(len, 0.0);
    }
    let result = work(&mut buffer[..len]);
    if buffer.len() <= KEPT {
        BUFFER.set(buffer);
    }
    result
}
