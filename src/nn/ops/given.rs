//! [`given`]: a result that was computed already, with a way back of its own.
//!
//! The tensor library's own operations compute gradients of whatever they were given, also of weights that are not
//! trained, and keep all that stands between. One operation with one result keeps its arguments alone, and its way back
//! gives only what is asked for. It works on every device, because what runs is put together before.

use std::sync::{Mutex, PoisonError};

use candle_core::backend::BackendStorage;
use candle_core::{
    CpuStorage, CudaStorage, CustomOp1, CustomOp2, CustomOp3, Layout, MetalStorage, Result, Shape, Storage, Tensor,
    bail,
};

/// From the arguments and the result's gradient to a gradient of each argument that wants one.
pub(in crate::nn) type Back = Box<dyn Fn(&[&Tensor], &Tensor) -> Result<Vec<Option<Tensor>>> + Send + Sync>;

/// `out` as the result of an operation on one to three tensors.
///
/// # Errors
/// When there are more of them, or they lie on different devices.
pub(in crate::nn) fn given(inputs: &[&Tensor], out: &Tensor, back: Back) -> Result<Tensor> {
    let op = Given { out: Mutex::new(Some(compact(&out.detach())?)), back };
    match *inputs {
        [a] => a.apply_op1(op),
        [a, b] => a.apply_op2(b, op),
        [a, b, c] => a.apply_op3(b, c, op),
        _ => bail!("an operation of {} tensors has no way back", inputs.len()),
    }
}

/// A tensor whose storage holds its values alone, in order.
fn compact(x: &Tensor) -> Result<Tensor> {
    let x = x.contiguous()?;
    let is_part = x.layout().start_offset() != 0;
    if is_part { x.copy() } else { Ok(x) }
}

struct Given {
    /// The result, until the operation has given it: the graph keeps the operation.
    out: Mutex<Option<Tensor>>,
    back: Back,
}

impl Given {
    fn take(&self) -> Result<Tensor> {
        let taken = self.out.lock().unwrap_or_else(PoisonError::into_inner).take();
        taken.ok_or_else(|| candle_core::Error::Msg("an operation gives its result once".to_owned()))
    }

    fn on_cpu(&self) -> Result<(CpuStorage, Shape)> {
        let out = self.take()?;
        let (storage, layout) = out.storage_and_layout();
        let (Storage::Cpu(storage), Some((start, end))) = (&*storage, layout.contiguous_offsets()) else {
            bail!("a result lies elsewhere than its arguments")
        };
        let part = match storage {
            CpuStorage::F32(values) => CpuStorage::F32(values[start..end].to_vec()),
            CpuStorage::F16(values) => CpuStorage::F16(values[start..end].to_vec()),
            CpuStorage::BF16(values) => CpuStorage::BF16(values[start..end].to_vec()),
            other => bail!("a result of {:?} has no way back", other.dtype()),
        };
        Ok((part, out.shape().clone()))
    }

    fn on_cuda(&self) -> Result<(CudaStorage, Shape)> {
        let out = self.take()?;
        let (storage, layout) = out.storage_and_layout();
        match &*storage {
            Storage::Cuda(storage) => Ok((storage.try_clone(layout)?, out.shape().clone())),
            _ => bail!("a result lies elsewhere than its arguments"),
        }
    }

    fn on_metal(&self) -> Result<(MetalStorage, Shape)> {
        let out = self.take()?;
        let (storage, layout) = out.storage_and_layout();
        match &*storage {
            Storage::Metal(storage) => Ok((storage.try_clone(layout)?, out.shape().clone())),
            _ => bail!("a result lies elsewhere than its arguments"),
        }
    }

    fn gradients<const N: usize>(&self, inputs: [&Tensor; N], grad: &Tensor) -> Result<[Option<Tensor>; N]> {
        let gradients = (self.back)(&inputs, &grad.contiguous()?)?;
        match <[Option<Tensor>; N]>::try_from(gradients) {
            Ok(gradients) => Ok(gradients),
            Err(other) => bail!("{} gradients of {N} arguments", other.len()),
        }
    }
}

impl CustomOp1 for Given {
    fn name(&self) -> &'static str {
        "given"
    }

    fn cpu_fwd(&self, _: &CpuStorage, _: &Layout) -> Result<(CpuStorage, Shape)> {
        self.on_cpu()
    }

    fn cuda_fwd(&self, _: &CudaStorage, _: &Layout) -> Result<(CudaStorage, Shape)> {
        self.on_cuda()
    }

    fn metal_fwd(&self, _: &MetalStorage, _: &Layout) -> Result<(MetalStorage, Shape)> {
        self.on_metal()
    }

    fn bwd(&self, a: &Tensor, _: &Tensor, grad: &Tensor) -> Result<Option<Tensor>> {
        let [a] = self.gradients([a], grad)?;
        Ok(a)
    }
}

impl CustomOp2 for Given {
    fn name(&self) -> &'static str {
        "given of two"
    }

    fn cpu_fwd(&self, _: &CpuStorage, _: &Layout, _: &CpuStorage, _: &Layout) -> Result<(CpuStorage, Shape)> {
        self.on_cpu()
    }

    fn cuda_fwd(&self, _: &CudaStorage, _: &Layout, _: &CudaStorage, _: &Layout) -> Result<(CudaStorage, Shape)> {
        self.on_cuda()
    }

    fn metal_fwd(&self, _: &MetalStorage, _: &Layout, _: &MetalStorage, _: &Layout) -> Result<(MetalStorage, Shape)> {
        self.on_metal()
    }

    fn bwd(&self, a: &Tensor, b: &Tensor, _: &Tensor, grad: &Tensor) -> Result<(Option<Tensor>, Option<Tensor>)> {
        let [a, b] = self.gradients([a, b], grad)?;
        Ok((a, b))
    }
}

impl CustomOp3 for Given {
    fn name(&self) -> &'static str {
        "given of three"
    }

    fn cpu_fwd(
        &self,
        _: &CpuStorage,
        _: &Layout,
        _: &CpuStorage,
        _: &Layout,
        _: &CpuStorage,
        _: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        self.on_cpu()
    }

    fn cuda_fwd(
        &self,
        _: &CudaStorage,
        _: &Layout,
        _: &CudaStorage,
        _: &Layout,
        _: &CudaStorage,
        _: &Layout,
    ) -> Result<(CudaStorage, Shape)> {
        self.on_cuda()
    }

    fn metal_fwd(
        &self,
        _: &MetalStorage,
        _: &Layout,
        _: &MetalStorage,
        _: &Layout,
        _: &MetalStorage,
        _: &Layout,
    ) -> Result<(MetalStorage, Shape)> {
        self.on_metal()
    }

    fn bwd(
        &self,
        a: &Tensor,
        b: &Tensor,
        c: &Tensor,
        _: &Tensor,
        grad: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>, Option<Tensor>)> {
        let [a, b, c] = self.gradients([a, b, c], grad)?;
        Ok((a, b, c))
    }
}
