//! [`TensorInfo`] and [`View`]: where a tensor's values lie in a file, and tensors derived from stored ones.
//!
//! Every view is a first element and strides over the stored bytes, so nothing is copied before the values are read.

use std::collections::BTreeMap;
use std::ops::Range;

use safetensors::tensor::Dtype;

/// The tensors of a file by name.
pub type Tensors = BTreeMap<String, TensorInfo>;

/// What a file says of one tensor, and where its values lie.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TensorInfo {
    /// Its dimensions.
    pub shape: Vec<usize>,
    /// Its type as it stands in the file.
    pub dtype: Dtype,
    /// Which of the file's mappings holds it.
    pub(super) source: usize,
    /// The stored bytes that it is taken from.
    pub(super) range: Range<usize>,
    /// The first element, counted from the beginning of `range`.
    first: usize,
    /// Distance of neighbours along each dimension, in elements.
    strides: Vec<usize>,
}

/// One change on the way from a stored tensor to a derived one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// These rows of the first dimension.
    Rows(Range<usize>),
    /// The two dimensions of a matrix change places.
    Transposed,
    /// Other dimensions over the same elements in the same order.
    Reshaped(Vec<usize>),
}

/// A tensor derived from a stored one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct View {
    /// Its name.
    pub name: String,
    /// The name of the stored tensor.
    pub from: String,
    /// What is done to that, in order.
    pub steps: Vec<Step>,
}

impl View {
    /// The stored tensor `from` as it is, under another name.
    pub fn renamed(name: impl Into<String>, from: impl Into<String>) -> Self {
        Self { name: name.into(), from: from.into(), steps: Vec::new() }
    }

    /// The same with one more step.
    #[must_use]
    pub fn then(mut self, step: Step) -> Self {
        self.steps.push(step);
        self
    }

    /// What the derived tensor is, from those that are stored.
    ///
    /// # Errors
    /// A sentence without a full stop, when the stored tensor is missing or a step does not fit it.
    pub fn of(&self, tensors: &Tensors) -> Result<TensorInfo, String> {
        let stored = tensors.get(&self.from).ok_or_else(|| format!("The tensor {} is missing", self.from))?;
        self.steps
            .iter()
            .try_fold(stored.clone(), TensorInfo::step)
            .map_err(|fault| format!("The tensor {} cannot be used: {fault}", self.from))
    }
}

impl TensorInfo {
    /// A tensor stored in `range` of a file, row by row, or as `strides` (in elements) say.
    ///
    /// # Errors
    /// Half a sentence, when the dimensions overflow, the tensor reaches beyond `range`, or it repeats stored elements
    /// (a few bytes could so stand for any amount of memory).
    pub fn new(
        dtype: Dtype,
        shape: Vec<usize>,
        strides: Option<Vec<usize>>,
        range: Range<usize>,
    ) -> Result<Self, String> {
        let overflow = || format!("its dimensions {shape:?} are impossible");
        let elements =
            shape.iter().try_fold(1usize, |product, side| product.checked_mul(*side)).ok_or_else(overflow)?;
        let stored = range.len().checked_mul(8).ok_or_else(overflow)? / dtype.bitsize();
        let strides = strides.unwrap_or_else(|| row_major(&shape));
        if strides.len() != shape.len() {
            return Err(format!("it has {} dimensions but {} strides", shape.len(), strides.len()));
        }
        let last = shape.iter().zip(&strides).try_fold(0usize, |last, (side, stride)| {
            side.saturating_sub(1).checked_mul(*stride).and_then(|reach| last.checked_add(reach))
        });
        let last = last.ok_or_else(overflow)?;
        if elements > 0 && last >= stored {
            return Err(format!("its dimensions {shape:?} reach beyond the {stored} elements that are stored"));
        }
        if elements > stored {
            return Err(format!("its dimensions {shape:?} repeat the {stored} elements that are stored"));
        }
        Ok(Self { shape, dtype, source: 0, range, first: 0, strides })
    }

    /// Number of its elements.
    #[must_use]
    pub fn elements(&self) -> usize {
        // `new` has checked the product, and no step makes it larger.
        self.shape.iter().product()
    }

    fn step(mut self, step: &Step) -> Result<Self, String> {
        match step {
            Step::Rows(rows) => {
                let (Some(side), Some(stride)) = (self.shape.first_mut(), self.strides.first()) else {
                    return Err("it is a single number and has no rows".to_owned());
                };
                if rows.start > rows.end || rows.end > *side {
                    return Err(format!("it has {side} rows, not {} to {}", rows.start, rows.end));
                }
                *side = rows.len();
                self.first += rows.start * stride;
            }
            Step::Transposed => {
                if self.shape.len() != 2 {
                    return Err(format!("its dimensions {:?} are not a matrix's", self.shape));
                }
                self.shape.swap(0, 1);
                self.strides.swap(0, 1);
            }
            Step::Reshaped(shape) => {
                let misfit = || format!("its dimensions {:?} do not become {shape:?}", self.shape);
                let elements = shape.iter().try_fold(1usize, |product, side| product.checked_mul(*side));
                if elements != Some(self.elements()) {
                    return Err(misfit());
                }
                self.strides = if self.is_row_major() {
                    row_major(shape)
                } else {
                    // Dimensions of one element may come and go in any layout; the others keep their strides.
                    let mut kept = self.shape.iter().zip(&self.strides).filter(|(side, _)| **side != 1);
                    let mut strides = Vec::with_capacity(shape.len());
                    for side in shape {
                        match side {
                            1 => strides.push(0),
                            _ => match kept.next() {
                                Some((old, stride)) if old == side => strides.push(*stride),
                                _ => return Err(misfit()),
                            },
                        }
                    }
                    strides
                };
                self.shape.clone_from(shape);
            }
        }
        Ok(self)
    }

    /// Whether its elements follow each other without a gap.
    fn is_row_major(&self) -> bool {
        let expected = row_major(&self.shape);
        self.shape.iter().zip(self.strides.iter().zip(&expected)).all(|(side, (have, want))| *side == 1 || have == want)
    }

    /// Where its elements lie in their mapping, if they follow each other without a gap.
    pub(super) fn contiguous_bytes(&self) -> Option<Range<usize>> {
        let size = self.dtype.bitsize() / 8;
        let start = self.range.start + self.first * size;
        self.is_row_major().then(|| start..start + self.elements() * size)
    }

    /// Its elements in order, each of `N` bytes made a number by `decode`; `stored` are the bytes of `range`.
    pub(super) fn decode<const N: usize, T>(&self, stored: &[u8], decode: impl Fn([u8; N]) -> T) -> Vec<T> {
        let all = stored.as_chunks::<N>().0;
        let elements = self.elements();
        if elements == 0 {
            return Vec::new();
        }
        if self.is_row_major() {
            return all[self.first..self.first + elements].iter().map(|bytes| decode(*bytes)).collect();
        }
        let mut values = Vec::with_capacity(elements);
        let mut index = vec![0; self.shape.len()];
        let mut at = self.first;
        while values.len() < elements {
            values.push(decode(all[at]));
            // The next index, as an odometer counts: the last dimension turns fastest.
            for axis in (0..index.len()).rev() {
                index[axis] += 1;
                at += self.strides[axis];
                if index[axis] < self.shape[axis] {
                    break;
                }
                at -= self.strides[axis] * self.shape[axis];
                index[axis] = 0;
            }
        }
        values
    }
}

/// The strides of a tensor that is stored row by row.
fn row_major(shape: &[usize]) -> Vec<usize> {
    let mut strides = vec![1usize; shape.len()];
    for axis in (1..shape.len()).rev() {
        // It saturates only where another side is 0, and then no stride is used.
        strides[axis - 1] = strides[axis].saturating_mul(shape[axis]);
    }
    strides
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// A matrix of bytes `0, 1, 2, …`, `[rows, columns]`.
    fn matrix(rows: usize, columns: usize) -> (TensorInfo, Vec<u8>) {
        let info = TensorInfo::new(Dtype::U8, vec![rows, columns], None, 0..rows * columns).unwrap();
        (info, (0..rows * columns).map(|value| value as u8).collect())
    }

    fn values(info: &TensorInfo, stored: &[u8]) -> Vec<u8> {
        info.decode::<1, f32>(stored, |byte| f32::from(byte[0])).into_iter().map(|value| value as u8).collect()
    }

    #[test]
    fn steps_follow_one_another() {
        let (info, stored) = matrix(4, 3);
        let tensors = Tensors::from([("a".to_owned(), info)]);
        let view = View::renamed("b", "a").then(Step::Rows(1..3)).then(Step::Transposed);
        let derived = view.of(&tensors).unwrap();
        assert_eq!((derived.shape.as_slice(), values(&derived, &stored)), (&[3, 2][..], vec![3, 6, 4, 7, 5, 8]));
        // Dimensions of one element come and go, in a transposed tensor too.
        let longer = view.clone().then(Step::Reshaped(vec![3, 1, 2, 1]));
        let longer_info = longer.of(&tensors).unwrap();
        assert_eq!(values(&longer_info, &stored), values(&derived, &stored));
        assert_eq!(longer.then(Step::Reshaped(vec![3, 2])).of(&tensors).unwrap().shape, [3, 2]);
        // But elements out of order cannot be regrouped without a copy.
        assert!(view.then(Step::Reshaped(vec![6])).of(&tensors).unwrap_err().contains("do not become [6]"));
    }

    #[test]
    fn steps_that_do_not_fit_are_named() {
        let (info, _) = matrix(4, 3);
        let line = TensorInfo::new(Dtype::U8, vec![2], None, 0..2).unwrap();
        let number = TensorInfo::new(Dtype::U8, vec![], None, 0..1).unwrap();
        let tensors = Tensors::from([("a".to_owned(), info), ("l".to_owned(), line), ("n".to_owned(), number)]);
        for (from, step, expected) in [
            ("x", Step::Transposed, "x is missing"),
            ("a", Step::Rows(3..5), "has 4 rows, not 3 to 5"),
            ("n", Step::Rows(0..1), "no rows"),
            ("l", Step::Transposed, "not a matrix's"),
            ("a", Step::Reshaped(vec![5, 2]), "do not become [5, 2]"),
            ("a", Step::Reshaped(vec![usize::MAX, 2]), "do not become"),
        ] {
            let error = View::renamed("v", from).then(step).of(&tensors).unwrap_err();
            assert!(error.contains(expected), "{error} lacks {expected}");
        }
    }

    #[test]
    fn impossible_storage_is_refused() {
        let huge = usize::MAX / 2;
        for (shape, strides, bytes, expected) in [
            (vec![huge, 3], None, 8, "impossible"),
            (vec![2, 2], Some(vec![huge, huge]), 8, "beyond"),
            (vec![4, 2], Some(vec![huge, 1]), 8, "impossible"),
            (vec![3], None, 2, "beyond the 2"),
            (vec![2, 2], Some(vec![2]), 8, "1 strides"),
            (vec![1 << 40], Some(vec![0]), 4, "repeat"),
        ] {
            let error = TensorInfo::new(Dtype::U8, shape, strides, 0..bytes).unwrap_err();
            assert!(error.contains(expected), "{error} lacks {expected}");
        }
        let empty = TensorInfo::new(Dtype::U8, vec![0, 5], None, 0..0).unwrap();
        assert!(empty.decode::<1, f32>(&[], |_| 0.0).is_empty());
    }

    proptest! {
        #[test]
        fn rows_and_transposition_are_those_of_the_plain_matrix(
            (rows, columns, from, to) in (1usize..7, 1usize..7).prop_flat_map(|(rows, columns)| {
                (Just(rows), Just(columns), 0..=rows, 0..=rows)
            })
        ) {
            let (info, stored) = matrix(rows, columns);
            let (from, to) = (from.min(to), from.max(to));
            let tensors = Tensors::from([("a".to_owned(), info)]);
            let view = View::renamed("b", "a").then(Step::Rows(from..to)).then(Step::Transposed);
            let derived = view.of(&tensors).unwrap();
            let expected: Vec<u8> = (0..columns)
                .flat_map(|column| (from..to).map(move |row| (row * columns + column) as u8))
                .collect();
            prop_assert_eq!(&derived.shape, &[columns, to - from]);
            prop_assert_eq!(values(&derived, &stored), expected);
        }
    }
}
