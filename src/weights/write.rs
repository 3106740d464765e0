//! Writing safetensors files tensor by tensor, so that no whole model need be in memory twice.
//!
//! Format: <https://github.com/huggingface/safetensors>.

use std::collections::BTreeMap;
use std::io::{self, Write};

use half::f16;
use serde_json::{Map, Value, json};

/// Numbers of a file that is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WrittenAs {
    /// IEEE half precision.
    F16,
    /// Single precision.
    F32,
}

impl WrittenAs {
    fn bytes(self) -> usize {
        match self {
            Self::F16 => 2,
            Self::F32 => 4,
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::F16 => "F16",
            Self::F32 => "F32",
        }
    }
}

/// A tensor that will be written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Planned {
    /// Its name.
    pub name: String,
    /// Its shape.
    pub shape: Vec<usize>,
}

/// Writes a file of `tensors`; `values` gives each one's numbers, in their order.
///
/// # Errors
/// When `values` or the writer fails, when a tensor has another number of values than its shape says, and when one is not
/// finite or does not fit the precision: such a file is never finished.
pub fn write_tensors(
    out: &mut dyn Write,
    metadata: &BTreeMap<String, String>,
    tensors: &[Planned],
    written_as: WrittenAs,
    values: &mut dyn FnMut(usize) -> io::Result<Vec<f32>>,
) -> io::Result<()> {
    let mut header = Map::new();
    if !metadata.is_empty() {
        header.insert("__metadata__".to_owned(), json!(metadata));
    }
    let mut end = 0;
    for Planned { name, shape } in tensors {
        let start = end;
        end += written_as.bytes() * shape.iter().product::<usize>();
        let entry = json!({ "dtype": written_as.name(), "shape": shape, "data_offsets": [start, end] });
        header.insert(name.clone(), entry);
    }
    let mut header = Value::Object(header).to_string();
    // Data begins at a multiple of eight bytes, so that it can be read where it lies.
    header.extend(std::iter::repeat_n(' ', header.len().next_multiple_of(8) - header.len()));
    out.write_all(&(header.len() as u64).to_le_bytes())?;
    out.write_all(header.as_bytes())?;
    let refused = |name: &str, why: &str| Err(io::Error::other(format!("{name} {why}")));
    for (i, Planned { name, shape }) in tensors.iter().enumerate() {
        let values = values(i)?;
        if values.len() != shape.iter().product::<usize>() {
            return refused(name, "has another number of values than its shape");
        }
        if values.iter().any(|value| !value.is_finite()) {
            return refused(name, "is not finite");
        }
        let bytes: Vec<u8> = match written_as {
            WrittenAs::F32 => values.iter().flat_map(|value| value.to_le_bytes()).collect(),
            WrittenAs::F16 => {
                if values.iter().any(|value| !f16::from_f32(*value).is_finite()) {
                    return refused(name, "does not fit half precision");
                }
                values.iter().flat_map(|value| f16::from_f32(*value).to_le_bytes()).collect()
            }
        };
        out.write_all(&bytes)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::weights::TensorFile;

    fn planned(name: &str, shape: &[usize]) -> Planned {
        Planned { name: name.to_owned(), shape: shape.to_vec() }
    }

    #[test]
    fn what_is_written_is_read() {
        let tensors = [planned("b", &[2, 1]), planned("a \"é", &[]), planned("none", &[0, 3])];
        let values = [vec![1.5f32, -2.0], vec![0.25], vec![]];
        for written_as in [WrittenAs::F16, WrittenAs::F32] {
            let mut bytes = Vec::new();
            let metadata = BTreeMap::from([("format".to_owned(), "pt".to_owned())]);
            write_tensors(&mut bytes, &metadata, &tensors, written_as, &mut |i| Ok(values[i].clone())).unwrap();
            // The crate of the format's makers accepts it.
            safetensors::SafeTensors::deserialize(&bytes).unwrap();
            let file = TensorFile::embedded(bytes.leak(), "test").unwrap();
            assert_eq!(*file.metadata(), metadata);
            for (tensor, values) in tensors.iter().zip(&values) {
                assert_eq!(file.info(&tensor.name).unwrap().shape, tensor.shape);
                assert_eq!(file.read_f32(&tensor.name).unwrap(), *values);
            }
        }
    }

    #[test]
    fn what_cannot_be_written_is_refused_by_name() {
        for (value, written_as, why) in [
            (vec![f32::NAN], WrittenAs::F32, "a is not finite"),
            (vec![1e5], WrittenAs::F16, "a does not fit half precision"),
            (vec![1.0, 2.0], WrittenAs::F32, "a has another number"),
        ] {
            let mut write = |_| Ok(value.clone());
            let error = write_tensors(&mut Vec::new(), &BTreeMap::new(), &[planned("a", &[1])], written_as, &mut write);
            assert!(error.unwrap_err().to_string().contains(why));
        }
    }
}
