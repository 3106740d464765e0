//! [`Weight`]: the numbers of a large layer, in memory or where they lie in their file.

use candle_core::{Result, Shape, Tensor, bail};

use super::host::{self, Host};
use super::portable;
use super::widen::widened;
use crate::kernels::values::Values;
use crate::weights::{Numbers, Stored};

/// A weight: a tensor, or a file's own numbers, which are read where they lie. Those cost no time to load, no copy, and
/// no memory that the system could not take back.
#[derive(Clone)]
pub enum Weight {
    /// In memory: trained, changed, or not stored in a way in which it can be used.
    Tensor(Tensor),
    /// In a file, with its dimensions.
    Stored(Stored, Shape),
}

impl From<&Tensor> for Weight {
    fn from(tensor: &Tensor) -> Self {
        Self::Tensor(tensor.clone())
    }
}

impl Weight {
    /// Its dimensions.
    #[must_use]
    pub fn dims(&self) -> &[usize] {
        match self {
            Self::Tensor(tensor) => tensor.dims(),
            Self::Stored(_, shape) => shape.dims(),
        }
    }

    /// Number of its elements.
    #[must_use]
    pub fn elem_count(&self) -> usize {
        self.dims().iter().product()
    }

    /// The same numbers in other dimensions.
    ///
    /// # Errors
    /// When those hold another number of them.
    pub fn reshaped(&self, shape: impl Into<Shape>) -> Result<Self> {
        let shape = shape.into();
        match self {
            Self::Tensor(tensor) => Ok(Self::Tensor(tensor.reshape(shape)?)),
            Self::Stored(..) if shape.elem_count() != self.elem_count() => {
                bail!("a weight {:?} does not become {shape:?}", self.dims())
            }
            Self::Stored(stored, _) => Ok(Self::Stored(stored.clone(), shape)),
        }
    }

    /// The rows of a matrix `[count, width]` that `ids` (u32, one dimension) name, in f32: `[ids, width]`.
    ///
    /// # Errors
    /// When it is no matrix, or has no such row.
    pub fn rows(&self, ids: &Tensor) -> Result<Tensor> {
        let (count, width) = self.dims2()?;
        if portable::takes(ids) {
            return portable::rows(self, ids);
        }
        if let Self::Tensor(tensor) = self {
            return widened(&tensor.index_select(ids, 0)?);
        }
        let ids: Vec<u32> = ids.to_vec1()?;
        let mut out = vec![0.0; ids.len() * width];
        let held = self.hold()?;
        for (id, out) in ids.iter().zip(out.chunks_exact_mut(width.max(1))) {
            let id = *id as usize;
            if id >= count {
                bail!("row {id} of a weight that has {count}")
            }
            match held.values().part(id * width, width) {
                Values::F32(row) => out.copy_from_slice(row),
                row => {
                    row.widened(out);
                }
            }
        }
        host::tensor(out, &(ids.len(), width).into())
    }

    /// Lets the system take back the memory of numbers that lie in a file, until they are read again.
    pub fn release(&self) {
        if let Self::Stored(stored, _) = self {
            stored.release();
        }
    }

    /// Whether gradients are asked for.
    #[must_use]
    pub fn track_op(&self) -> bool {
        matches!(self, Self::Tensor(tensor) if host::tracked([tensor]))
    }

    /// Rows and columns.
    ///
    /// # Errors
    /// When it has other dimensions.
    pub fn dims2(&self) -> Result<(usize, usize)> {
        match *self.dims() {
            [rows, cols] => Ok((rows, cols)),
            ref dims => bail!("a weight {dims:?} is no matrix"),
        }
    }

    /// Channels of the result and of the input, height and width of a convolution's kernel.
    ///
    /// # Errors
    /// When it has other dimensions.
    pub fn dims4(&self) -> Result<(usize, usize, usize, usize)> {
        match *self.dims() {
            [outputs, inputs, height, width] => Ok((outputs, inputs, height, width)),
            ref dims => bail!("a weight {dims:?} is no convolution's"),
        }
    }

    /// The same with its numbers in order.
    pub(super) fn contiguous(&self) -> Result<Self> {
        match self {
            Self::Tensor(tensor) => Ok(Self::Tensor(tensor.contiguous()?)),
            Self::Stored(..) => Ok(self.clone()),
        }
    }

    /// Its numbers, for reading; it must be contiguous.
    pub(super) fn hold(&self) -> Result<Held<'_>> {
        match self {
            Self::Tensor(tensor) => Host::weight(tensor).map(Held::Tensor),
            Self::Stored(stored, _) => Ok(Held::Stored(match stored.numbers() {
                Numbers::F32(values) => Values::F32(values),
                Numbers::F16(values) => Values::F16(values),
                Numbers::Bf16(values) => Values::Bf16(values),
            })),
        }
    }
}

/// The numbers of a [`Weight`], held for reading.
pub(super) enum Held<'a> {
    Tensor(Host<'a>),
    Stored(Values<'a>),
}

impl Held<'_> {
    pub fn values(&self) -> Values<'_> {
        match self {
            Self::Tensor(host) => host.values(),
            Self::Stored(values) => *values,
        }
    }
}
