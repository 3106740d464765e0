//! [`Params`]: where a network's weights come from while it is being built.
//!
//! A network asks for each weight by name and shape. They come from a file, or from an initialiser (training from
//! scratch), frozen or trainable. Problems are collected, so that a file's missing, misshapen and surplus tensors are
//! all named in one message ([`Params::finish`]).

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Display;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use candle_core::{DType, Device, Tensor, Var, WithDType};
use half::{bf16, f16};
use rayon::prelude::*;

use super::engine_error;
use super::low_rank::LowRank;
use super::ops::Weight;
use super::place::Place;
use crate::domain::{ComputeType, Result, UserError};
use crate::weights::{Numbers, TensorFile, Values};

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

/// Changes a weight's values as they were read, by its path.
type Change = Box<dyn Fn(&str, &mut [f32]) -> Result<()> + Send + Sync>;

enum Source {
    File(TensorFile),
    /// A file whose weights were read before and are taken again, but for those that are changed.
    Changed(TensorFile, BTreeMap<String, Weight>, Change),
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
    frozen: BTreeMap<String, Weight>,
    elements: u64,
}

struct Shared {
    source: Source,
    train: bool,
    /// Changes of layers that are trained while everything else is frozen, by the layer's path.
    low_rank: BTreeMap<String, LowRank>,
    record: Mutex<Record>,
}

/// A network's weights, seen from the module at `prefix`.
#[derive(Clone)]
pub struct Params {
    shared: Arc<Shared>,
    prefix: String,
    place: Place,
}

impl Params {
    /// Frozen weights from a file.
    #[must_use]
    pub fn from_file(file: TensorFile) -> Self {
        Self::new(Source::File(file), false)
    }

    /// Frozen weights: those in `kept`, else from a file, where `change` is given each weight's path and values before it
    /// becomes a tensor.
    #[must_use]
    pub fn changed(
        file: TensorFile,
        kept: BTreeMap<String, Weight>,
        change: impl Fn(&str, &mut [f32]) -> Result<()> + Send + Sync + 'static,
    ) -> Self {
        Self::new(Source::Changed(file, kept, Box::new(change)), false)
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

    /// Frozen weights that were read before, under layers that are trained by changes of low rank, by their paths.
    #[must_use]
    pub fn adapted(file: TensorFile, kept: BTreeMap<String, Weight>, low_rank: BTreeMap<String, LowRank>) -> Self {
        Self::build(Source::Changed(file, kept, Box::new(|_, _| Ok(()))), false, low_rank)
    }

    fn new(source: Source, train: bool) -> Self {
        Self::build(source, train, BTreeMap::new())
    }

    fn build(source: Source, train: bool, low_rank: BTreeMap<String, LowRank>) -> Self {
        let shared = Shared { source, train, low_rank, record: Mutex::default() };
        Self { shared: Arc::new(shared), prefix: String::new(), place: Place::default() }
    }

    /// The same weights for a network that computes elsewhere.
    #[must_use]
    pub fn at(self, place: &Place) -> Self {
        Self { place: place.clone(), ..self }
    }

    /// Where the network computes.
    #[must_use]
    pub fn place(&self) -> &Place {
        &self.place
    }

    /// The same weights under layers that are changed too.
    #[cfg(test)]
    pub(super) fn with_low_rank(self, low_rank: BTreeMap<String, LowRank>) -> Self {
        let shared = Arc::into_inner(self.shared).expect("nothing was built of it");
        Self { shared: Arc::new(Shared { low_rank, ..shared }), prefix: self.prefix, place: self.place }
    }

    /// The change by which this layer is trained, if it is.
    #[must_use]
    pub fn low_rank(&self) -> Option<LowRank> {
        self.shared.low_rank.get(&self.prefix).cloned()
    }

    /// The weights of a sub-module.
    #[must_use]
    pub fn pp(&self, name: impl Display) -> Self {
        Self { shared: Arc::clone(&self.shared), prefix: self.path(&name.to_string()), place: self.place.clone() }
    }

    /// The path of this module, such as `down_blocks.0.resnets.1`.
    #[must_use]
    pub fn prefix(&self) -> &str {
        &self.prefix
    }

    /// One weight, `[…shape]`, in the numbers of its place (f32 where it is trained). Where it is missing or misshapen,
    /// zeros stand in for it and [`Params::finish`] reports it.
    #[must_use]
    pub fn get(&self, name: &str, shape: &[usize], init: Init) -> Tensor {
        match self.take(name, shape, init, Kept::Narrow) {
            Weight::Tensor(tensor) => tensor,
            // Only what was asked for as it is stored is left there.
            Weight::Stored(..) => placeholder(),
        }
    }

    /// The same in f32 everywhere: for norms, which are computed in it.
    #[must_use]
    pub fn get_exact(&self, name: &str, shape: &[usize], init: Init) -> Tensor {
        match self.take(name, shape, init, Kept::Exact) {
            Weight::Tensor(tensor) => tensor,
            Weight::Stored(..) => placeholder(),
        }
    }

    /// The same for a large weight, which stays where and as the file has it if it is neither trained nor changed, and is
    /// used by the processor's kernels or brought over for each use.
    #[must_use]
    pub fn get_stored(&self, name: &str, shape: &[usize], init: Init) -> Weight {
        self.take(name, shape, init, Kept::Stored)
    }

    fn take(&self, name: &str, shape: &[usize], init: Init, kept: Kept) -> Weight {
        let path = self.path(name);
        let elements = shape.iter().product::<usize>();
        let made = match &self.shared.source {
            Source::File(file) => self.read(file, &path, shape, kept),
            Source::Changed(file, known, change) => match known.get(&path).filter(|weight| weight.dims() == shape) {
                Some(weight) => Some(weight.clone()),
                None => self.read_changed(file, change, &path, shape, kept),
            },
            Source::Fresh(initialiser) => self.tensor(initialiser(&path, elements, init), shape, kept),
        };
        let made = made.unwrap_or_else(|| {
            let zeros = Tensor::zeros(shape, DType::F32, &Device::Cpu);
            Weight::Tensor(zeros.unwrap_or_else(|_| placeholder()))
        });
        let mut record = self.record();
        record.elements += elements as u64;
        record.used.insert(path.clone());
        match made {
            Weight::Tensor(tensor) if self.shared.train => match Var::from_tensor(&tensor) {
                Ok(var) => {
                    let tensor = var.as_tensor().clone();
                    record.trainable.insert(path, var);
                    Weight::Tensor(tensor)
                }
                Err(error) => {
                    record.failed.get_or_insert(engine_error(error));
                    Weight::Tensor(placeholder())
                }
            },
            weight => {
                record.frozen.insert(path, weight.clone());
                weight
            }
        }
    }

    /// A weight in memory, where the network computes.
    fn tensor(&self, values: Vec<f32>, shape: &[usize], kept: Kept) -> Option<Weight> {
        let made = Tensor::from_vec(values, shape, &Device::Cpu).and_then(|tensor| self.brought(&tensor, kept));
        self.noted(made.map(Weight::Tensor).map_err(engine_error))
    }

    /// A tensor of the processor where the network computes, in the numbers in which it is used.
    fn brought(&self, tensor: &Tensor, kept: Kept) -> candle_core::Result<Tensor> {
        if self.place.is_kernels() {
            return Ok(tensor.clone());
        }
        // What is trained is kept in f32 and rounded where it is used.
        if self.shared.train || kept == Kept::Exact { self.place.carry(tensor) } else { self.place.enter(tensor) }
    }

    fn read(&self, file: &TensorFile, path: &str, shape: &[usize], kept: Kept) -> Option<Weight> {
        self.expect(file, path, shape)?;
        if kept != Kept::Stored || self.shared.train {
            return self.tensor(self.read_f32(file, path)?, shape, kept);
        }
        let noted = |numbers: Numbers<'_>| {
            if !numbers.are_finite() {
                self.record().not_finite.push(path.to_owned());
            }
        };
        if let Some(stored) = file.in_place(path) {
            noted(stored.numbers());
            if self.place.is_kernels() || self.place.is_streamed() {
                return Some(Weight::Stored(stored, shape.into()));
            }
            // Straight from the file into the numbers that are computed with: nothing else is held meanwhile.
            let made = narrowed(stored.numbers(), shape, &self.place).map(Weight::Tensor).map_err(engine_error);
            stored.release();
            return self.noted(made);
        }
        // What cannot be read where it lies is copied, in its own 16 bits.
        let values = self.noted(file.read(path))?;
        file.release_tensor(path);
        let made = match values {
            Values::F32(values) => {
                noted(Numbers::F32(&values));
                Tensor::from_vec(values, shape, &Device::Cpu)
            }
            Values::F16(values) => {
                noted(Numbers::F16(&values));
                Tensor::from_vec(values, shape, &Device::Cpu)
            }
            Values::Bf16(values) => {
                noted(Numbers::Bf16(&values));
                Tensor::from_vec(values, shape, &Device::Cpu)
            }
        };
        let made = made.and_then(|tensor| self.brought(&tensor, kept));
        self.noted(made.map(Weight::Tensor).map_err(engine_error))
    }

    /// Notes a weight that is missing or of another shape.
    fn expect(&self, file: &TensorFile, path: &str, shape: &[usize]) -> Option<()> {
        let Some(info) = file.info(path) else {
            self.record().missing.push(path.to_owned());
            return None;
        };
        if info.shape != shape {
            self.record().misshapen.push(format!("{path} is {:?} instead of {shape:?}", info.shape));
            return None;
        }
        Some(())
    }

    fn read_f32(&self, file: &TensorFile, path: &str) -> Option<Vec<f32>> {
        let values = self.noted(file.read_f32(path))?;
        file.release_tensor(path);
        if !Numbers::F32(&values).are_finite() {
            self.record().not_finite.push(path.to_owned());
        }
        Some(values)
    }

    /// What there is, or nothing and the first error noted.
    fn noted<T>(&self, result: Result<T>) -> Option<T> {
        result.map_err(|error| self.record().failed.get_or_insert(error).clone()).ok()
    }

    fn read_changed(
        &self,
        file: &TensorFile,
        change: &Change,
        path: &str,
        shape: &[usize],
        kept: Kept,
    ) -> Option<Weight> {
        self.expect(file, path, shape)?;
        let mut values = self.read_f32(file, path)?;
        self.noted(change(path, &mut values))?;
        self.tensor(values, shape, kept)
    }

    /// Whether the file has a tensor of this name here: for parts that a configuration does not announce.
    #[must_use]
    pub fn has(&self, name: &str) -> bool {
        match &self.shared.source {
            Source::File(file) | Source::Changed(file, ..) => file.info(&self.path(name)).is_some(),
            Source::Fresh(_) => false,
        }
    }

    /// The weights that can be trained, by path.
    #[must_use]
    pub fn trainable_vars(&self) -> BTreeMap<String, Var> {
        self.record().trainable.clone()
    }

    /// The weights that cannot be trained, by path. They share the network's memory.
    #[must_use]
    pub fn frozen(&self) -> BTreeMap<String, Weight> {
        self.record().frozen.clone()
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
        let (Source::File(file) | Source::Changed(file, ..)) = &self.shared.source else { return Ok(()) };
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

/// How a weight is kept where a network computes.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kept {
    /// In the numbers that are computed with.
    Narrow,
    /// In f32.
    Exact,
    /// As it is stored, where that can be used.
    Stored,
}

/// Numbers of a file as a tensor of a place, converted by all threads where they are stored otherwise.
fn narrowed(numbers: Numbers<'_>, shape: &[usize], place: &Place) -> candle_core::Result<Tensor> {
    match (numbers, place.compute()) {
        (Numbers::F32(values), ComputeType::F32) => Tensor::from_slice(values, shape, place.device()),
        (Numbers::F16(values), ComputeType::F16) => Tensor::from_slice(values, shape, place.device()),
        (Numbers::Bf16(values), ComputeType::Bf16) => Tensor::from_slice(values, shape, place.device()),
        (Numbers::F32(values), ComputeType::F16) => converted(values, |v| f16::from_f32(*v), shape, place),
        (Numbers::F32(values), ComputeType::Bf16) => converted(values, |v| bf16::from_f32(*v), shape, place),
        (Numbers::F16(values), ComputeType::F32) => converted(values, |v| v.to_f32(), shape, place),
        (Numbers::F16(values), ComputeType::Bf16) => converted(values, |v| bf16::from_f32(v.to_f32()), shape, place),
        (Numbers::Bf16(values), ComputeType::F32) => converted(values, |v| v.to_f32(), shape, place),
        (Numbers::Bf16(values), ComputeType::F16) => converted(values, |v| f16::from_f32(v.to_f32()), shape, place),
    }
}

fn converted<A: Sync, B: WithDType + Send>(
    values: &[A],
    convert: impl Fn(&A) -> B + Sync + Send,
    shape: &[usize],
    place: &Place,
) -> candle_core::Result<Tensor> {
    Tensor::from_vec(values.par_iter().map(convert).collect::<Vec<B>>(), shape, place.device())
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
    fn only_what_is_not_kept_is_read_again_and_changed() {
        let file = file(&[("a", &[2], 1.0), ("b", &[2], 2.0)]);
        let first = Params::from_file(file.clone());
        let a = first.get("a", &[2], Init::Zeros);
        let _ = first.get("b", &[2], Init::Zeros);
        let mut kept = first.frozen();
        kept.remove("b");
        let params = Params::changed(file, kept, |path, values| {
            assert_eq!(path, "b");
            values[0] += 0.5;
            Ok(())
        });
        assert_eq!(params.get("a", &[2], Init::Zeros).id(), a.id());
        assert_eq!(params.get("b", &[2], Init::Zeros).to_vec1::<f32>().unwrap(), [2.5, 2.0]);
        params.finish("UNet").unwrap();
        assert_eq!((params.elements(), params.frozen().len()), (4, 2));
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
