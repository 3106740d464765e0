//! How exactly matrix products are computed: a choice of the caller that holds for the thread's calls of the kernels.
//!
//! Where nobody has chosen they are exact: trainings and comparisons with other programs need not ask for it.

use std::cell::Cell;

use super::micro;
pub use crate::domain::Precision;

thread_local! {
    static CURRENT: Cell<Precision> = const { Cell::new(Precision::Exact) };
}

/// Puts back what was before, also when the work panics.
struct Before(Precision);

impl Drop for Before {
    fn drop(&mut self) {
        CURRENT.set(self.0);
    }
}

/// What the kernels that this thread calls do. A kernel asks once in a call, not on the threads that help.
pub fn current() -> Precision {
    CURRENT.get()
}

/// Does some work with a precision.
pub fn with_precision<T>(precision: Precision, work: impl FnOnce() -> T) -> T {
    let _before = Before(CURRENT.replace(precision));
    work()
}

/// The numbers that are multiplied on this processor: `bf16` or `f32`.
pub fn operands(precision: Precision) -> &'static str {
    if precision == Precision::Fast && micro::has_pairs() { "bf16" } else { "f32" }
}

#[cfg(test)]
mod tests {
    use super::{Precision, current, with_precision};

    #[test]
    fn it_holds_for_the_work_and_no_longer() {
        assert_eq!(current(), Precision::Exact);
        with_precision(Precision::Fast, || {
            assert_eq!(current(), Precision::Fast);
            with_precision(Precision::Exact, || assert_eq!(current(), Precision::Exact));
            assert_eq!(current(), Precision::Fast);
        });
        let panicked = std::panic::catch_unwind(|| with_precision(Precision::Fast, || panic!("on purpose")));
        assert!(panicked.is_err());
        assert_eq!(current(), Precision::Exact);
    }
}
