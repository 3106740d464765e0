//! Whether the tensors of a group make up a change of a module's weight: all there, and of shapes that fit.

use super::adapter::Factors;
use super::keys::{HadaFactor, Role};
use super::modules::{Module, elements};
use super::report::Reason;

/// One tensor of a group.
#[derive(Clone, Copy, Debug)]
pub(super) struct Tensor<'a> {
    /// What it is.
    pub role: Role,
    /// Its name.
    pub name: &'a str,
    /// Its shape.
    pub shape: &'a [usize],
}

/// What the tensors make up, and its rank.
///
/// # Errors
/// What is missing, or which tensor does not fit, with both shapes.
pub(super) fn factors(tensors: &[Tensor<'_>], module: &Module) -> Result<(Factors, usize), Reason> {
    let group = Group { tensors, module };
    let is_loha = tensors.iter().any(|tensor| matches!(tensor.role, Role::Hada(_)));
    let is_lora = tensors.iter().any(|tensor| matches!(tensor.role, Role::Down | Role::Up | Role::Mid));
    match (is_lora, is_loha) {
        (true, true) => Err(Reason::Twice),
        (false, true) => group.loha(),
        _ => group.lora(),
    }
}

struct Group<'a> {
    tensors: &'a [Tensor<'a>],
    module: &'a Module,
}

impl<'a> Group<'a> {
    fn find(&self, role: Role) -> Option<Tensor<'a>> {
        self.tensors.iter().find(|tensor| tensor.role == role).copied()
    }

    fn need(&self, role: Role, what: &str) -> Result<Tensor<'a>, Reason> {
        self.find(role).ok_or_else(|| Reason::Incomplete { missing: what.to_owned() })
    }

    fn wrong(&self, tensor: Tensor<'_>) -> Reason {
        Reason::WrongShape {
            tensor: tensor.name.to_owned(),
            found: tensor.shape.to_vec(),
            weight: self.module.shape.clone(),
        }
    }

    fn lora(&self) -> Result<(Factors, usize), Reason> {
        let missing = match (self.find(Role::Down), self.find(Role::Up)) {
            (None, None) => "its down and its up half",
            (None, Some(_)) => "its down half",
            _ => "its up half",
        };
        let (down, up) = (self.need(Role::Down, missing)?, self.need(Role::Up, missing)?);
        let mid = self.find(Role::Mid);
        let rank = match mid {
            None => self.down_rank(down),
            Some(_) => self.inputs_rank(down),
        };
        let rank = rank.ok_or_else(|| self.wrong(down))?;
        if self.up_rank(up) != Some(rank) {
            return Err(self.wrong(up));
        }
        if let Some(mid) = mid.filter(|mid| !self.is_core(mid.shape, rank)) {
            return Err(self.wrong(mid));
        }
        let mid = mid.map(|mid| mid.name.to_owned());
        Ok((Factors::Lora { down: down.name.to_owned(), up: up.name.to_owned(), mid }, rank))
    }

    fn loha(&self) -> Result<(Factors, usize), Reason> {
        let need = |factor, what| self.need(Role::Hada(factor), what);
        let w1 = (need(HadaFactor::W1A, "hada_w1_a")?, need(HadaFactor::W1B, "hada_w1_b")?);
        let w2 = (need(HadaFactor::W2A, "hada_w2_a")?, need(HadaFactor::W2B, "hada_w2_b")?);
        let cores = match (self.find(Role::Hada(HadaFactor::T1)), self.find(Role::Hada(HadaFactor::T2))) {
            (None, None) => None,
            _ => Some((need(HadaFactor::T1, "hada_t1")?, need(HadaFactor::T2, "hada_t2")?)),
        };
        let rank = if cores.is_some() { self.inputs_rank(w1.1) } else { self.down_rank(w1.1) };
        let rank = rank.ok_or_else(|| self.wrong(w1.1))?;
        for (a, b) in [w1, w2] {
            let (fits_a, fits_b) = match cores {
                None => (self.up_rank(a) == Some(rank), self.down_rank(b) == Some(rank)),
                // With a core the outer factor lies the other way: [rank, out].
                Some(_) => (*a.shape == [rank, self.module.rows()], self.inputs_rank(b) == Some(rank)),
            };
            if !fits_a || !fits_b {
                return Err(self.wrong(if fits_a { b } else { a }));
            }
        }
        if let Some((one, two)) = cores {
            for core in [one, two] {
                if !self.is_core(core.shape, rank) {
                    return Err(self.wrong(core));
                }
            }
        }
        let names = |(a, b): (Tensor<'_>, Tensor<'_>)| (a.name.to_owned(), b.name.to_owned());
        Ok((Factors::Loha { w1: names(w1), w2: names(w2), cores: cores.map(names) }, rank))
    }

    /// The rank of `[rank, in, kernel height, kernel width]`, or the same with the last ones flat or left out where they
    /// are 1.
    fn down_rank(&self, tensor: Tensor<'_>) -> Option<usize> {
        let (rank, rest) = split(tensor.shape)?;
        let flat = rest.len() == 1 && rest[0] == self.module.columns();
        (flat || trimmed(rest) == trimmed(&self.module.shape[1..])).then_some(rank)
    }

    /// The rank of `[rank, in]` or `[rank, in, 1, 1]`, before a core.
    fn inputs_rank(&self, tensor: Tensor<'_>) -> Option<usize> {
        let (rank, rest) = split(tensor.shape)?;
        (trimmed(rest) == [self.module.shape[1]]).then_some(rank)
    }

    /// The rank of `[out, rank]` or `[out, rank, 1, 1]`.
    fn up_rank(&self, tensor: Tensor<'_>) -> Option<usize> {
        let (rows, rest) = split(tensor.shape)?;
        let (rank, rest) = rest.split_first()?;
        (rows == self.module.rows() && rest.iter().all(|side| *side == 1) && *rank > 0).then_some(*rank)
    }

    /// Whether a shape is `[rank, rank, kernel height, kernel width]`.
    fn is_core(&self, shape: &[usize], rank: usize) -> bool {
        matches!((shape, self.module.shape.as_slice()), ([a, b, kernel @ ..], [_, _, own @ ..])
            if *a == rank && *b == rank && own.len() == 2 && kernel == own)
    }
}

/// The first side and the others, of a tensor with elements that can be counted.
fn split(shape: &[usize]) -> Option<(usize, &[usize])> {
    let (first, rest) = shape.split_first()?;
    (!rest.is_empty() && elements(shape)? > 0).then_some((*first, rest))
}

/// A shape without ones at its end; the first side stays.
fn trimmed(shape: &[usize]) -> &[usize] {
    let ones = shape.iter().skip(1).rev().take_while(|side| **side == 1).count();
    &shape[..shape.len() - ones]
}

#[cfg(test)]
mod tests {
    use super::super::modules::Component;
    use super::*;

    fn check(weight: &[usize], tensors: &[(Role, &[usize])]) -> Result<usize, Reason> {
        let module = Module { component: Component::UNet, path: "m".to_owned(), shape: weight.to_vec() };
        let tensors: Vec<Tensor<'_>> =
            tensors.iter().map(|(role, shape)| Tensor { role: *role, name: "t", shape }).collect();
        factors(&tensors, &module).map(|(_, rank)| rank)
    }

    fn hada(factor: HadaFactor) -> Role {
        Role::Hada(factor)
    }

    #[test]
    fn every_layout_that_is_written_fits() {
        use HadaFactor::{T1, T2, W1A, W1B, W2A, W2B};
        let (linear, kernel, point): (&[usize], &[usize], &[usize]) = (&[6, 5], &[6, 5, 3, 3], &[6, 5, 1, 1]);
        let (down, up, mid) = (Role::Down, Role::Up, Role::Mid);
        for (weight, tensors) in [
            (linear, vec![(down, &[2usize, 5] as &[_]), (up, &[6, 2])]),
            (linear, vec![(down, &[2, 5, 1, 1]), (up, &[6, 2, 1, 1])]),
            (point, vec![(down, &[2, 5]), (up, &[6, 2])]),
            (point, vec![(down, &[2, 5, 1, 1]), (up, &[6, 2, 1, 1])]),
            (kernel, vec![(down, &[2, 5, 3, 3]), (up, &[6, 2, 1, 1])]),
            (kernel, vec![(down, &[2, 45]), (up, &[6, 2])]),
            (kernel, vec![(down, &[2, 5, 1, 1]), (mid, &[2, 2, 3, 3]), (up, &[6, 2, 1, 1])]),
            (linear, vec![(hada(W1A), &[6, 2]), (hada(W1B), &[2, 5]), (hada(W2A), &[6, 2]), (hada(W2B), &[2, 5])]),
            (kernel, vec![(hada(W1A), &[6, 2]), (hada(W1B), &[2, 45]), (hada(W2A), &[6, 2]), (hada(W2B), &[2, 45])]),
            (
                kernel,
                vec![
                    (hada(W1A), &[2, 6]),
                    (hada(W1B), &[2, 5]),
                    (hada(T1), &[2, 2, 3, 3]),
                    (hada(W2A), &[2, 6]),
                    (hada(W2B), &[2, 5]),
                    (hada(T2), &[2, 2, 3, 3]),
                ],
            ),
        ] {
            assert_eq!(check(weight, &tensors), Ok(2), "{weight:?} {tensors:?}");
        }
    }

    #[test]
    fn what_does_not_fit_is_named_with_both_shapes() {
        let weight: &[usize] = &[6, 5];
        let shapes: [(&[usize], &[usize], &[usize]); 8] = [
            (&[2, 4], &[6, 2], &[2, 4]),
            (&[2, 5], &[7, 2], &[7, 2]),
            (&[2, 5], &[6, 3], &[6, 3]),
            (&[0, 5], &[6, 0], &[0, 5]),
            (&[usize::MAX, 5], &[6, usize::MAX], &[usize::MAX, 5]),
            (&[], &[6, 2], &[]),
            (&[2], &[6, 2], &[2]),
            (&[2, 5], &[6, 2, 3, 3], &[6, 2, 3, 3]),
        ];
        for (down, up, blamed) in shapes {
            let expected =
                Reason::WrongShape { tensor: "t".to_owned(), found: blamed.to_vec(), weight: weight.to_vec() };
            assert_eq!(check(weight, &[(Role::Down, down), (Role::Up, up)]), Err(expected), "{down:?} {up:?}");
        }
        let half = check(weight, &[(Role::Up, &[6, 2])]);
        assert_eq!(half, Err(Reason::Incomplete { missing: "its down half".to_owned() }));
        let core = check(weight, &[(Role::Down, &[2, 5]), (Role::Mid, &[2, 2, 3, 3]), (Role::Up, &[6, 2])]);
        assert!(matches!(core, Err(Reason::WrongShape { .. })), "a linear layer has no kernel");
    }
}
