//! Reading candle tensors as plain slices, and making tensors from plain vectors.

use std::cell::Cell;

use candle_core::{CpuStorage, DType, Device, Layout, Result, Shape, Storage, StorageRef, Tensor, bail};

use crate::kernels::values::Values;

/// The f32 values behind a contiguous layout, inside an operation's forward pass.
pub fn slice<'a>(storage: &'a CpuStorage, layout: &Layout) -> Result<&'a [f32]> {
    match values(storage, layout)? {
        Values::F32(values) => Ok(values),
        _ => bail!("this operation needs f32 values"),
    }
}

/// A weight's values behind a contiguous layout: f32, f16 or bf16.
pub fn values<'a>(storage: &'a CpuStorage, layout: &Layout) -> Result<Values<'a>> {
    let Some((start, end)) = layout.contiguous_offsets() else { bail!("this operation needs contiguous values") };
    Ok(match storage {
        CpuStorage::F32(values) => Values::F32(&values[start..end]),
        CpuStorage::F16(values) => Values::F16(&values[start..end]),
        CpuStorage::BF16(values) => Values::Bf16(&values[start..end]),
        other => {
            bail!("this operation needs f32, f16 or bf16, not {:?}", candle_core::backend::BackendStorage::dtype(other))
        }
    })
}

/// What a forward pass returns.
pub fn output(values: Vec<f32>, shape: impl Into<Shape>) -> (CpuStorage, Shape) {
    (CpuStorage::F32(values), shape.into())
}

/// A tensor's values, held for reading. The tensor must be on a CPU and contiguous.
pub struct Host<'a> {
    guard: StorageRef<'a>,
    layout: &'a Layout,
}

impl<'a> Host<'a> {
    /// Holds the values of an f32 tensor.
    pub fn new(tensor: &'a Tensor) -> Result<Self> {
        let host = Self::weight(tensor)?;
        if tensor.dtype() != DType::F32 {
            bail!("this operation needs f32 values, not {:?}", tensor.dtype())
        }
        Ok(host)
    }

    /// Holds the values of a tensor that may be f32, f16 or bf16.
    pub fn weight(tensor: &'a Tensor) -> Result<Self> {
        let (guard, layout) = tensor.storage_and_layout();
        let Storage::Cpu(storage) = &*guard else { bail!("this operation needs values on a CPU") };
        values(storage, layout)?;
        Ok(Self { guard, layout })
    }

    /// The values as they are stored.
    pub fn values(&self) -> Values<'_> {
        match &*self.guard {
            // `weight` has checked kind and layout, and the guard keeps them.
            Storage::Cpu(storage) => values(storage, self.layout).unwrap_or(Values::F32(&[])),
            _ => Values::F32(&[]),
        }
    }
}

impl std::ops::Deref for Host<'_> {
    type Target = [f32];

    fn deref(&self) -> &[f32] {
        match self.values() {
            Values::F32(values) => values,
            // `new` has checked the kind.
            _ => &[],
        }
    }
}

/// A CPU tensor of `shape` from its values.
pub fn tensor(values: Vec<f32>, shape: &Shape) -> Result<Tensor> {
    Tensor::from_vec(values, shape.clone(), &Device::Cpu)
}

/// Whether any of the tensors is one that gradients are asked for.
pub fn tracked<'a>(tensors: impl IntoIterator<Item = &'a Tensor>) -> bool {
    gradients_are_wanted() && tensors.into_iter().any(Tensor::track_op)
}

thread_local! {
    static WITHOUT_GRADIENTS: Cell<bool> = const { Cell::new(false) };
}

/// Whether this thread is not within [`without_gradients`].
pub fn gradients_are_wanted() -> bool {
    !WITHOUT_GRADIENTS.get()
}

/// Runs `work` on this thread as if nothing were trained: results remember nothing, and the fused operations are used.
/// For pictures and validation between the steps of a training.
pub fn without_gradients<T>(work: impl FnOnce() -> T) -> T {
    /// Also when the work panics.
    struct Restore(bool);
    impl Drop for Restore {
        fn drop(&mut self) {
            WITHOUT_GRADIENTS.set(self.0);
        }
    }
    let _restore = Restore(WITHOUT_GRADIENTS.replace(true));
    work()
}
