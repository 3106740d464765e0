//! What computes here, for the recipes of pictures: by it one can tell why a picture that is made again may differ.

use crate::domain::Machine;
use crate::kernels::micro::micro_now;
use crate::kernels::precision::{current, operands};

/// What computes for this thread as it is now: the processor's kernels, the numbers that they multiply, on the threads of
/// the pool.
#[must_use]
pub fn machine() -> Machine {
    Machine {
        device: "cpu".to_owned(),
        kernels: micro_now().name.to_owned(),
        precision: operands(current()).to_owned(),
        threads: u32::try_from(rayon::current_num_threads()).unwrap_or(u32::MAX),
    }
}

#[cfg(test)]
mod tests {
    use super::machine;
    use crate::domain::{Machine, Precision, Recipe};
    use crate::kernels::precision::{operands, with_precision};

    #[test]
    fn what_computed_is_told_so_that_it_can_be_made_again() {
        let of = |precision| Recipe { machine: Some(with_precision(precision, machine)), ..Recipe::default() };
        let exact = of(Precision::Exact);
        assert_eq!(exact.machine.as_ref().map(|machine| machine.precision.as_str()), Some(Machine::EXACT));
        assert_eq!(exact.precision(), Precision::Exact);
        // On this processor the two may be the same.
        let fast = of(Precision::Fast);
        let expected = if operands(Precision::Fast) == Machine::EXACT { Precision::Exact } else { Precision::Fast };
        assert_eq!(fast.precision(), expected);
        assert_eq!(with_precision(fast.precision(), machine), fast.machine.unwrap_or_default());
        // Recipes of versions that did not tell.
        assert_eq!(Recipe::default().precision(), Precision::Exact);
    }
}
