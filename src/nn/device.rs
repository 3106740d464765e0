//! [`Backend`]: what computes, opened at run time. Where a card cannot be opened the reason is told and the processor is
//! used: nothing here fails.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::OnceLock;

use candle_core::{DType, Device, Result, Tensor};

use crate::domain::{ComputeType, DeviceChoice, DeviceUse};

/// What computes: the processor with its kernels, or a device with the tensor library's operations.
#[derive(Clone, Debug)]
pub struct Backend {
    device: Device,
    is_portable: bool,
    has_bf16: bool,
    used: DeviceUse,
}

/// Memory of a device, in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DeviceMemory {
    /// What nobody uses.
    pub free: u64,
    /// All of it.
    pub total: u64,
}

impl Default for Backend {
    fn default() -> Self {
        Self::processor()
    }
}

impl Backend {
    /// The processor with its kernels.
    #[must_use]
    pub fn processor() -> Self {
        Self { device: Device::Cpu, is_portable: false, has_bf16: false, used: DeviceUse::cpu() }
    }

    /// Opens what was asked for, or the processor, with the reason.
    #[must_use]
    pub fn open(asked: DeviceChoice) -> Self {
        let opened = match asked {
            DeviceChoice::Cpu => return Self::processor(),
            DeviceChoice::Portable => {
                let used = DeviceUse { asked, used: asked, ..DeviceUse::cpu() };
                return Self { device: Device::Cpu, is_portable: true, has_bf16: true, used };
            }
            DeviceChoice::Cuda(n) => open_cuda(n),
            DeviceChoice::Metal => open_metal(),
            DeviceChoice::Auto if cfg!(feature = "cuda") => open_cuda(0),
            DeviceChoice::Auto if cfg!(feature = "metal") => open_metal(),
            DeviceChoice::Auto => Err("this program was built without support for graphics cards".to_owned()),
        };
        match opened {
            Ok(Opened { device, used, name }) => {
                let memory_bytes = memory(&device).map(|memory| memory.total);
                let has_bf16 = attempt(|| works(&device, DType::BF16)).is_ok();
                let used = DeviceUse { asked, used, name, memory_bytes, reason: None };
                Self { device, is_portable: true, has_bf16, used }
            }
            Err(reason) => {
                tracing::info!("{reason}");
                let used = DeviceUse { asked, reason: Some(reason), ..DeviceUse::cpu() };
                Self { used, ..Self::processor() }
            }
        }
    }

    /// What is used, and why.
    #[must_use]
    pub fn used(&self) -> &DeviceUse {
        &self.used
    }

    /// Whether the tensor library's operations are used, and not the processor's kernels.
    #[must_use]
    pub fn is_portable(&self) -> bool {
        self.is_portable
    }

    /// Its memory now, where it has its own and tells.
    #[must_use]
    pub fn memory(&self) -> Option<DeviceMemory> {
        memory(&self.device)
    }

    pub(super) fn device(&self) -> &Device {
        &self.device
    }

    /// The numbers that it has, nearest to those that are wanted: bf16 needs a card, and a build, for it.
    #[must_use]
    pub fn nearest(&self, wanted: ComputeType) -> ComputeType {
        match wanted {
            _ if !self.is_portable => ComputeType::F32,
            ComputeType::Bf16 if !self.has_bf16 => ComputeType::F32,
            wanted => wanted,
        }
    }

    /// The next numbers in which a result may be finite that was not in these: further ones, then f32.
    #[must_use]
    pub fn wider(&self, than: ComputeType) -> Option<ComputeType> {
        match than {
            _ if !self.is_portable => None,
            ComputeType::F16 if self.has_bf16 => Some(ComputeType::Bf16),
            ComputeType::F16 | ComputeType::Bf16 => Some(ComputeType::F32),
            ComputeType::F32 => None,
        }
    }
}

struct Opened {
    device: Device,
    used: DeviceChoice,
    name: Option<String>,
}

/// An NVIDIA card, or why there is none.
fn open_cuda(n: u32) -> std::result::Result<Opened, String> {
    if !cfg!(feature = "cuda") {
        return Err("this program was built without CUDA".to_owned());
    }
    let device = attempt(|| Device::new_cuda(n as usize)).map_err(|error| match n {
        // What the driver, or the place of a missing one, says to its first question.
        _ if error.contains("CUDA_ERROR_NO_DEVICE") || error.contains("no CUDA-capable device") => {
            "no CUDA device".to_owned()
        }
        _ if error.contains("CUDA_ERROR_INVALID_DEVICE") => format!("there is no CUDA device {n}"),
        _ => format!("CUDA device {n} could not be opened ({error})"),
    })?;
    // The driver alone is not enough: the libraries are first needed here.
    attempt(|| works(&device, DType::F32)).map_err(|error| {
        format!("CUDA device {n} cannot compute ({error}); CUDA 13's libraries and cuDNN 9 must be installed")
    })?;
    Ok(Opened { name: cuda_name(&device), device, used: DeviceChoice::Cuda(n) })
}

/// Apple's graphics, or why there are none.
fn open_metal() -> std::result::Result<Opened, String> {
    if !cfg!(feature = "metal") {
        return Err("this program was built without Metal".to_owned());
    }
    let device = attempt(|| Device::new_metal(0)).map_err(|error| format!("Metal could not be opened ({error})"))?;
    attempt(|| works(&device, DType::F32)).map_err(|error| format!("Metal cannot compute ({error})"))?;
    Ok(Opened { device, used: DeviceChoice::Metal, name: None })
}

/// One of each kind of operation that everything else is made of, with its result brought back and looked at.
fn works(device: &Device, dtype: DType) -> Result<()> {
    let ones = Tensor::ones((1, 1, 4, 4), DType::F32, device)?.to_dtype(dtype)?;
    // A sum, a product with a number, a square: kernels of their own, which a build for older cards lacks in bf16.
    let ones = ((&ones + &ones)? * 0.5)?.sqr()?;
    let kernel = Tensor::ones((1, 1, 3, 3), DType::F32, device)?.to_dtype(dtype)?;
    let products = ones.conv2d(&kernel, 0, 1, 1, 1)?.flatten_from(1)?; // four nines
    let sum = products.matmul(&products.t()?)?.to_dtype(DType::F32)?.to_device(&Device::Cpu)?;
    match sum.flatten_all()?.to_vec1::<f32>()?.as_slice() {
        [sum] if *sum == 324.0 => Ok(()),
        other => candle_core::bail!("a product came to {other:?} instead of 324"),
    }
}

/// Fails as a card without memory does where a map on the processor is larger than `ATELIER_PORTABLE_BYTES` says: so it is
/// tested what becomes of a job then.
///
/// # Errors
/// As above.
pub(super) fn within_memory(map: &Tensor) -> Result<()> {
    static MOST: OnceLock<Option<usize>> = OnceLock::new();
    let most = MOST.get_or_init(|| std::env::var("ATELIER_PORTABLE_BYTES").ok()?.parse().ok());
    match most {
        Some(most) if map.device().is_cpu() && map.elem_count() * map.dtype().size_in_bytes() > *most => {
            candle_core::bail!("out of memory")
        }
        _ => Ok(()),
    }
}

/// Foreign code that may panic where a library is not as it expects.
fn attempt<T>(work: impl FnOnce() -> Result<T>) -> std::result::Result<T, String> {
    match catch_unwind(AssertUnwindSafe(work)) {
        Ok(result) => result.map_err(|error| one_line(&error.to_string())),
        Err(_) => Err("its library failed".to_owned()),
    }
}

/// The first line: what follows is the way that an error took.
fn one_line(text: &str) -> String {
    text.lines().next().unwrap_or_default().trim().to_owned()
}

#[cfg(feature = "cuda")]
fn memory(device: &Device) -> Option<DeviceMemory> {
    let context = device.as_cuda_device().ok()?.cuda_stream().context().clone();
    let (free, total) = context.mem_get_info().ok()?;
    Some(DeviceMemory { free: free as u64, total: total as u64 })
}

#[cfg(not(feature = "cuda"))]
fn memory(_: &Device) -> Option<DeviceMemory> {
    None
}

#[cfg(feature = "cuda")]
fn cuda_name(device: &Device) -> Option<String> {
    device.as_cuda_device().ok()?.cuda_stream().context().name().ok()
}

#[cfg(not(feature = "cuda"))]
fn cuda_name(_: &Device) -> Option<String> {
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_be_opened_is_the_processor_with_a_reason() {
        for asked in [DeviceChoice::Cuda(99), DeviceChoice::Auto, DeviceChoice::Metal] {
            let backend = Backend::open(asked);
            if backend.used().is_card() {
                continue;
            }
            assert!(!backend.is_portable() && backend.used().reason.is_some(), "{asked}");
            assert!(backend.used().to_string().ends_with("using the CPU"), "{}", backend.used());
            assert_eq!(backend.used().is_refused(), asked != DeviceChoice::Auto);
        }
        assert_eq!(Backend::open(DeviceChoice::Cpu).used(), &DeviceUse::cpu());
    }

    #[test]
    fn the_trial_knows_a_device_that_works() {
        works(&Device::Cpu, DType::F32).unwrap();
        assert_eq!(attempt(|| -> Result<()> { panic!("not here") }), Err("its library failed".to_owned()));
    }

    #[test]
    fn wider_numbers_end_in_f32() {
        let backend = Backend::open(DeviceChoice::Portable);
        assert_eq!(backend.wider(ComputeType::F16), Some(ComputeType::Bf16));
        assert_eq!(backend.wider(ComputeType::Bf16), Some(ComputeType::F32));
        assert_eq!(backend.wider(ComputeType::F32), None);
        let old = Backend { has_bf16: false, ..backend };
        assert_eq!(old.wider(ComputeType::F16), Some(ComputeType::F32));
        assert_eq!(old.nearest(ComputeType::Bf16), ComputeType::F32);
        assert_eq!(Backend::processor().nearest(ComputeType::F16), ComputeType::F32);
    }
}
