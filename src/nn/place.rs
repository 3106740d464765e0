//! [`Place`]: where a network's weights are and in which numbers it computes.
//!
//! A network holds the place that its weights were made for, takes and gives tensors in f32 on the processor, and brings
//! them over at its ends ([`Place::enter`], [`Place::leave`]). Both have gradients, so that a loss may be computed on the
//! processor whatever the network runs on.

use std::cell::Cell;

use candle_core::{DType, Device, Result, Tensor};

use super::device::Backend;
use crate::domain::ComputeType;

thread_local! {
    /// Whether operations on this thread are those of graphics cards, also on the processor.
    static PORTABLE: Cell<bool> = const { Cell::new(false) };
}

/// Where a network's weights are and in which numbers it computes.
#[derive(Clone, Debug)]
pub struct Place {
    device: Device,
    dtype: DType,
    /// Whether the tensor library's operations are used, and not the processor's kernels.
    is_portable: bool,
    /// Whether large weights stay in their file and are brought over each time that they are used.
    is_streamed: bool,
}

impl Default for Place {
    /// The processor's kernels, in f32.
    fn default() -> Self {
        Self { device: Device::Cpu, dtype: DType::F32, is_portable: false, is_streamed: false }
    }
}

impl Place {
    /// What a backend computes on, in these numbers. The processor's kernels know f32 only.
    #[must_use]
    pub fn on(backend: &Backend, compute: ComputeType) -> Self {
        if !backend.is_portable() {
            return Self::default();
        }
        let dtype = dtype_of(backend.nearest(compute));
        Self { device: backend.device().clone(), dtype, is_portable: true, is_streamed: false }
    }

    /// The same with large weights left in their file and brought over each time that they are used: slower, and nearly
    /// without memory of the card's own.
    #[must_use]
    pub fn streamed(self) -> Self {
        Self { is_streamed: true, ..self }
    }

    /// The same device with other numbers.
    #[must_use]
    pub fn in_numbers(self, compute: ComputeType) -> Self {
        let dtype = if self.is_portable { dtype_of(compute) } else { self.dtype };
        Self { dtype, ..self }
    }

    /// In which numbers it computes.
    #[must_use]
    pub fn compute(&self) -> ComputeType {
        match self.dtype {
            DType::F16 => ComputeType::F16,
            DType::BF16 => ComputeType::Bf16,
            _ => ComputeType::F32,
        }
    }

    /// Whether large weights are brought over each time that they are used.
    #[must_use]
    pub fn is_streamed(&self) -> bool {
        self.is_streamed
    }

    /// Whether the processor's kernels are used.
    #[must_use]
    pub fn is_kernels(&self) -> bool {
        !self.is_portable
    }

    /// The device.
    #[must_use]
    pub fn device(&self) -> &Device {
        &self.device
    }

    /// A tensor brought over, in the numbers that are computed with.
    ///
    /// # Errors
    /// When the device has no memory left.
    pub fn enter(&self, x: &Tensor) -> Result<Tensor> {
        // Converted where it is, so that half as much travels.
        x.to_dtype(self.dtype)?.to_device(&self.device)
    }

    /// The same with its numbers as they are.
    ///
    /// # Errors
    /// When the device has no memory left.
    pub fn carry(&self, x: &Tensor) -> Result<Tensor> {
        x.to_device(&self.device)
    }

    /// A result in f32 on the processor.
    ///
    /// # Errors
    /// When the device fails: what was asked of it before is waited for here.
    pub fn leave(&self, x: &Tensor) -> Result<Tensor> {
        if self.is_portable { x.to_device(&Device::Cpu)?.to_dtype(DType::F32) } else { Ok(x.clone()) }
    }

    /// Runs a network's work on this thread with the operations of this place.
    pub fn run<T>(&self, work: impl FnOnce() -> T) -> T {
        with_portable(self.is_portable, work)
    }
}

/// Whether operations on this thread are those of graphics cards.
pub(super) fn is_portable() -> bool {
    PORTABLE.get()
}

/// Runs work on this thread with or without the operations of graphics cards.
pub(super) fn with_portable<T>(is_portable: bool, work: impl FnOnce() -> T) -> T {
    /// Also when the work panics.
    struct Restore(bool);
    impl Drop for Restore {
        fn drop(&mut self) {
            PORTABLE.set(self.0);
        }
    }
    let _restore = Restore(PORTABLE.replace(is_portable));
    work()
}

/// The tensor library's name for numbers.
fn dtype_of(compute: ComputeType) -> DType {
    match compute {
        ComputeType::F32 => DType::F32,
        ComputeType::F16 => DType::F16,
        ComputeType::Bf16 => DType::BF16,
    }
}
