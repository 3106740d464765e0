//! Weights of half precision, made f32 where they are used.
//!
//! Published models are stored in 16 bits. They stay so in memory, and each weight is widened for the time of its use:
//! that loses nothing, halves the memory, and costs little beside the arithmetic.

use candle_core::{CpuStorage, DType, Result, Storage, Tensor, bail};
use half::slice::HalfFloatSliceExt;
use rayon::prelude::*;

use super::host;

/// Numbers that one thread widens at a time.
const CHUNK: usize = 1 << 16;

/// The same weight in f32: itself, or a copy of f16 and bf16.
///
/// # Errors
/// When it holds other numbers, or is not on a CPU.
pub(super) fn widened(weight: &Tensor) -> Result<Tensor> {
    if weight.dtype() == DType::F32 {
        return Ok(weight.clone());
    }
    let weight = weight.contiguous()?;
    let (storage, layout) = weight.storage_and_layout();
    let (start, end) = (layout.start_offset(), layout.start_offset() + weight.elem_count());
    let values = match &*storage {
        Storage::Cpu(CpuStorage::F16(values)) => widen(&values[start..end]),
        Storage::Cpu(CpuStorage::BF16(values)) => widen(&values[start..end]),
        _ => bail!("a weight holds {:?}, not f32, f16 or bf16 on a CPU", weight.dtype()),
    };
    host::tensor(values, weight.shape())
}

fn widen<T>(values: &[T]) -> Vec<f32>
where
    T: Sync,
    [T]: HalfFloatSliceExt,
{
    let mut out = vec![0.0; values.len()];
    out.par_chunks_mut(CHUNK).zip(values.par_chunks(CHUNK)).for_each(|(out, values)| values.convert_to_f32_slice(out));
    out
}

#[cfg(test)]
mod tests {
    use candle_core::Device;

    use super::*;

    #[test]
    fn half_precision_reads_as_the_same_numbers() {
        let values: Vec<f32> = (0..CHUNK as i32 + 7).map(|i| (i % 512 - 256) as f32 / 4.0).collect();
        let whole = Tensor::from_vec(values.clone(), values.len(), &Device::Cpu).unwrap();
        for dtype in [DType::F16, DType::BF16, DType::F32] {
            let half = whole.to_dtype(dtype).unwrap();
            assert_eq!(widened(&half).unwrap().to_vec1::<f32>().unwrap(), values, "{dtype:?}");
            // A part of a tensor is read from where it begins.
            let part = half.narrow(0, 3, 5).unwrap();
            assert_eq!(widened(&part).unwrap().to_vec1::<f32>().unwrap(), values[3..8]);
        }
        assert!(widened(&whole.to_dtype(DType::U8).unwrap()).is_err());
    }
}
