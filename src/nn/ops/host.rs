//! Reading candle tensors as plain f32 slices, and making tensors from plain vectors.

use candle_core::{CpuStorage, Device, Layout, Result, Shape, Storage, StorageRef, Tensor, bail};

/// The f32 values behind a contiguous layout, inside an operation's forward pass.
pub fn slice<'a>(storage: &'a CpuStorage, layout: &Layout) -> Result<&'a [f32]> {
    let CpuStorage::F32(values) = storage else { bail!("this operation needs f32 values on a CPU") };
    match layout.contiguous_offsets() {
        Some((start, end)) => Ok(&values[start..end]),
        None => bail!("this operation needs contiguous values"),
    }
}

/// What a forward pass returns.
pub fn output(values: Vec<f32>, shape: impl Into<Shape>) -> (CpuStorage, Shape) {
    (CpuStorage::F32(values), shape.into())
}

/// A tensor's f32 values, held for reading. The tensor must be on a CPU and contiguous.
pub struct Host<'a> {
    guard: StorageRef<'a>,
    start: usize,
    end: usize,
}

impl<'a> Host<'a> {
    /// Holds a tensor's values.
    pub fn new(tensor: &'a Tensor) -> Result<Self> {
        let (guard, layout) = tensor.storage_and_layout();
        let Some((start, end)) = layout.contiguous_offsets() else { bail!("this operation needs contiguous values") };
        if !matches!(&*guard, Storage::Cpu(CpuStorage::F32(_))) {
            bail!("this operation needs f32 values on a CPU")
        }
        Ok(Self { guard, start, end })
    }
}

impl std::ops::Deref for Host<'_> {
    type Target = [f32];

    fn deref(&self) -> &[f32] {
        match &*self.guard {
            Storage::Cpu(CpuStorage::F32(values)) => &values[self.start..self.end],
            // `new` has checked the kind, and the guard keeps it.
            _ => &[],
        }
    }
}

/// A CPU tensor of `shape` from its values.
pub fn tensor(values: Vec<f32>, shape: &Shape) -> Result<Tensor> {
    Tensor::from_vec(values, shape.clone(), &Device::Cpu)
}
