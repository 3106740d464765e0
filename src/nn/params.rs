//! [`Params`]: where a network's weights come from while it is being built.
//!
//! A network asks for each weight by name and shape. They come from a file, or from an initialiser (training from
//! scratch), frozen or trainable. Problems are collected, so that a file's missing, misshapen and surplus tensors are
//! all named in one message ([`Params::finish`]).

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Display;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use candle_core::{Device, Tensor, Var};

use super::engine_error;
use crate::domain::{Result, UserError};
use crate::weights::TensorFile;

/// How a weight begins where there is no file, in `PyTorch`'s default manner.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Init {
    /// All zero.
    Zeros,
    /// All one.
    Ones,
    /// Uniform from `-bound` to `bound`.
    Uniform(f32),
    /// Normal with this standard deviation.
    Normal(f32),
}

/// Gives a fresh weight's values for its name, number of elements and initialiser.
type Initialiser = Box<dyn Fn(&str, usize, Init) -> Vec<f32> + Send + Sync>;

enum Source {
    File(TensorFile),
    Fresh(Initialiser),
}

/// What was found wrong, and what was used.
#[derive(Default)]
struct Record {
    used: BTreeSet<String>,
    missing: Vec<String>,
    misshapen: Vec<String>,
    not_finite: Vec<String>,
    failed: Option<UserError>,
    trainable: BTreeMap<String, Var>,
    elements: u64,
}

struct Shared {
    source: Source,
    train: bool,
    record: Mutex<Record>,
}

/// A network's weights, seen from the module at `prefix`.
#[derive(Clone)]
pub struct Params {
    shared: Arc<Shared>,
    prefix: String,
}

impl Params {
    /// Frozen weights from a file.
    #[must_use]
    pub fn from_file(file: TensorFile) -> Self {
        Self::new(Source::File(file), false)
    }

    /// Trainable weights that begin as in a file.
    #[must_use]
    pub fn trainable(file: TensorFile) -> Self {
        Self::new(Source::File(file), true)
    }

    /// Trainable weights from an initialiser, which is given each weight's name, number of elements and kind.
    #[must_use]
    pub fn fresh(initialiser: impl Fn(&str, usize, Init) -> Vec<f32> + Send + Sync + 'static) -> Self {
        Self::new(Source::Fresh(Box::new(initialiser)), true)
    }

    fn new(source: Source, train: bool) -> Self {
        Self { shared: Arc::new(Shared { source, train, record: Mutex::default() }), prefix: String::new() }
    }

    /// The weights of a sub-module.
    #[must_use]
    pub fn pp(&self, name: impl Display) -> Self {
        Self { shared: Arc::clone(&self.shared), prefix: self.path(&name.to_string()) }
    }

    /// The path of this module, such as `down_blocks.0.resnets.1`.
    #[must_use]
    pub fn prefix(&self) -> &str {
        &self.prefix
    }

    /// One weight, `[…shape]`, f32 on the CPU. Where it is missing or misshapen, zeros stand in for it and
    /// [`Params::finish`] reports it.
    #[must_use]
    pub fn get(&self, name: &str, shape: &[usize], init: Init) -> Tensor {
        let path = self.path(name);
        let elements = shape.iter().product::<usize>();
        let values = match &self.shared.source {
            Source::File(file) => self.read(file, &path, shape),
            Source::Fresh(initialiser) => Some(initialiser(&path, elements, init)),
        };
        let values = values.unwrap_or_else(|| vec![0.0; elements]);
        let mut record = self.record();
        record.elements += elements as u64;
        record.used.insert(path.clone());
        // A vector of the right length always makes a CPU tensor.
        let tensor = Tensor::from_vec(values, shape, &Device::Cpu);
        let made = if self.shared.train {
            tensor.and_then(|tensor| Var::from_tensor(&tensor)).map(|var| {
                let tensor = var.as_tensor().clone();
                record.trainable.insert(path, var);
                tensor
            })
        } else {
            tensor
        };
        made.unwrap_or_else(|error| {
            record.failed.get_or_insert(engine_error(error));
            placeholder()
        })
    }

    fn read(&self, file: &TensorFile, path: &str, shape: &[usize]) -> Option<Vec<f32>> {
        let Some(info) = file.info(path) else {
            self.record().missing.push(path.to_owned());
            return None;
        };
        if info.shape != shape {
            self.record().misshapen.push(format!("{path} is {:?} instead of {shape:?}", info.shape));
            return None;
        }
        match file.read_f32(path) {
            Ok(values) => {
                // A sum is not finite as soon as one value is not (and f64 holds any sum of f32 values).
                if !values.iter().map(|value| f64::from(*value)).sum::<f64>().is_finite() {
                    self.record().not_finite.push(path.to_owned());
                }
                Some(values)
            }
            Err(error) => {
                self.record().failed.get_or_insert(error);
                None
            }
        }
    }

    /// Whether the file has a tensor of this name here: for parts that a configuration does not announce.
    #[must_use]
    pub fn has(&self, name: &str) -> bool {
        match &self.shared.source {
            Source::File(file) => file.info(&self.path(name)).is_some(),
            Source::Fresh(_) => false,
        }
    }

    /// The weights that can be trained, by path.
    #[must_use]
    pub fn trainable_vars(&self) -> BTreeMap<String, Var> {
        self.record().trainable.clone()
    }

    /// Number of parameters asked for so far.
    #[must_use]
    pub fn elements(&self) -> u64 {
        self.record().elements
    }

    /// Ends the building: every weight was there, of the right shape, finite, and none was left over.
    ///
    /// # Errors
    /// Names the part (`what`, such as `UNet`), for each kind of fault the first three tensors and the count.
    pub fn finish(&self, what: &str) -> Result<()> {
        let record = self.record();
        if let Some(error) = &record.failed {
            return Err(error.clone());
        }
        let Source::File(file) = &self.shared.source else { return Ok(()) };
        let surplus: Vec<String> =
            file.names().filter(|name| !record.used.contains(*name) && !is_idle(name)).map(str::to_owned).collect();
        let faults: Vec<String> = [
            ("missing", &record.missing),
            ("misshapen", &record.misshapen),
            ("surplus", &surplus),
            ("not finite (NaN or infinity)", &record.not_finite),
        ]
        .into_iter()
        .filter(|(_, names)| !names.is_empty())
        .map(|(fault, names)| list(fault, names))
        .collect();
        if faults.is_empty() {
            return Ok(());
        }
        let hint = if record.not_finite.is_empty() {
            "config.json and weights do not belong together, or this is not such a model"
        } else {
            "the file is damaged; download it again"
        };
        Err(UserError::input(format!("Could not load the {what}: {}", faults.join("; "))).path(file.path()).hint(hint))
    }

    fn path(&self, name: &str) -> String {
        if self.prefix.is_empty() { name.to_owned() } else { format!("{}.{name}", self.prefix) }
    }

    fn record(&self) -> MutexGuard<'_, Record> {
        // A panic elsewhere leaves the record as good as it was.
        self.shared.record.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Buffers that published files carry along and no network reads.
fn is_idle(name: &str) -> bool {
    name.ends_with("position_ids")
}

fn list(fault: &str, names: &[String]) -> String {
    let first = names.iter().take(3).map(String::as_str).collect::<Vec<_>>().join(", ");
    let more = if names.len() > 3 { ", …" } else { "" };
    match names.len() {
        1 => format!("1 tensor is {fault} ({first})"),
        count => format!("{count} tensors are {fault} ({first}{more})"),
    }
}

/// Stands in for a weight that could not be made; [`Params::finish`] fails before it is ever used.
fn placeholder() -> Tensor {
    // A scalar needs no memory that could be missing, so that this cannot fail.
    Tensor::new(0f32, &Device::Cpu).unwrap_or_else(|_| unreachable!("a scalar on the CPU"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(entries: &[(&str, &[usize], f32)]) -> TensorFile {
        let mut header = serde_json::Map::new();
        let mut data = Vec::new();
        for (name, shape, value) in entries {
            let start = data.len();
            for _ in 0..shape.iter().product::<usize>() {
                data.extend(value.to_le_bytes());
            }
            header.insert(
                (*name).to_owned(),
                serde_json::json!({"dtype": "F32", "shape": shape, "data_offsets": [start, data.len()]}),
            );
        }
        let header = serde_json::Value::Object(header).to_string();
        let mut bytes = (header.len() as u64).to_le_bytes().to_vec();
        bytes.extend(header.as_bytes());
        bytes.extend(data);
        TensorFile::embedded(bytes.leak(), "test").unwrap()
    }

    #[test]
    fn a_sound_file_gives_its_weights() {
        let params = Params::from_file(file(&[("a.weight", &[2, 3], 1.5), ("position_ids", &[1], 0.0)]));
        let weight = params.pp("a").get("weight", &[2, 3], Init::Zeros);
        assert_eq!(weight.to_vec2::<f32>().unwrap(), vec![vec![1.5; 3]; 2]);
        params.finish("UNet").unwrap();
        assert_eq!(params.elements(), 6);
        assert!(params.trainable_vars().is_empty());
    }

    #[test]
    fn every_fault_is_named_with_three_tensors_and_the_count() {
        let params = Params::from_file(file(&[
            ("extra.one", &[1], 0.0),
            ("bad.shape", &[2], 0.0),
            ("bad.value", &[2], f32::NAN),
        ]));
        for name in ["m1", "m2", "m3", "m4"] {
            let _ = params.get(name, &[1], Init::Ones);
        }
        let _ = params.pp("bad").get("shape", &[3], Init::Ones);
        let _ = params.pp("bad").get("value", &[2], Init::Ones);
        let error = params.finish("UNet").unwrap_err();
        for part in [
            "Could not load the UNet",
            "4 tensors are missing (m1, m2, m3, …)",
            "1 tensor is misshapen (bad.shape is [2] instead of [3])",
            "1 tensor is surplus (extra.one)",
            "1 tensor is not finite (NaN or infinity) (bad.value)",
        ] {
            assert!(error.sentence.contains(part), "{error} lacks {part}");
        }
        assert_eq!(error.exit_code(), 2);
    }

    #[test]
    fn fresh_weights_are_trainable() {
        let params = Params::fresh(|_, elements, init| match init {
            Init::Ones => vec![1.0; elements],
            _ => vec![0.5; elements],
        });
        let _ = params.pp("norm").get("weight", &[4], Init::Ones);
        params.finish("UNet").unwrap();
        let vars = params.trainable_vars();
        assert_eq!(vars["norm.weight"].to_vec1::<f32>().unwrap(), [1.0; 4]);
    }
}
