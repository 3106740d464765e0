//! How exactly matrix products are computed: a choice of the caller that holds for the thread's calls of the kernels.

use std::cell::Cell;

/// How exactly matrix products, and what is made of them, are computed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Precision {
    /// Operands and sums in f32.
    #[default]
    Exact,
    /// Operands rounded to bf16 (relative error 2⁻⁹), sums in f32, where the processor has instructions for it; elsewhere
    /// the same as exact.
    Fast,
}

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

impl Precision {
    /// What the kernels that this thread calls do. It is asked for once in a call, not by the threads that help.
    pub fn current() -> Self {
        CURRENT.get()
    }

    /// Does some work with this precision.
    pub fn during<T>(self, work: impl FnOnce() -> T) -> T {
        let _before = Before(CURRENT.replace(self));
        work()
    }
}

#[cfg(test)]
mod tests {
    use super::Precision;

    #[test]
    fn it_holds_for_the_work_and_no_longer() {
        assert_eq!(Precision::current(), Precision::Exact);
        Precision::Fast.during(|| {
            assert_eq!(Precision::current(), Precision::Fast);
            Precision::Exact.during(|| assert_eq!(Precision::current(), Precision::Exact));
            assert_eq!(Precision::current(), Precision::Fast);
        });
        let panicked = std::panic::catch_unwind(|| Precision::Fast.during(|| panic!("on purpose")));
        assert!(panicked.is_err());
        assert_eq!(Precision::current(), Precision::Exact);
    }
}
