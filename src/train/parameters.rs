//! What is trained: [`Parameters`], a named and ordered set of variables, and their [`Gradients`].

use std::collections::BTreeMap;

use candle_core::{CpuStorage, DType, Device, Result as TensorResult, Storage, Tensor, Var, bail};

use crate::domain::{Result, UserError};
use crate::nn::{checkpoint, engine_error};

/// How the optimizer treats some of the parameters.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Group {
    /// The learning rate is multiplied by this.
    pub lr_factor: f64,
    /// Decoupled weight decay (λ of `AdamW`).
    pub weight_decay: f64,
}

impl Default for Group {
    /// torch's `AdamW` default: λ = 0.01 for every parameter.
    fn default() -> Self {
        Self { lr_factor: 1.0, weight_decay: 0.01 }
    }
}

/// One variable that is trained.
pub struct Parameter {
    /// Its path, such as `unet.conv_in.weight`.
    pub name: String,
    /// Its values, f32, shared with the network that was built from them.
    pub var: Var,
    /// How it is optimized.
    pub group: Group,
}

/// What is trained, in a fixed order, so that sums over all of it are the same in every run.
#[derive(Default)]
pub struct Parameters {
    list: Vec<Parameter>,
}

impl Parameters {
    /// Adds a network's variables, each path behind `prefix` (such as `unet.`, or nothing).
    ///
    /// # Errors
    /// When a variable is not f32 on a CPU, or its name is taken.
    pub fn add(&mut self, prefix: &str, vars: BTreeMap<String, Var>, group: Group) -> Result<()> {
        for (path, var) in vars {
            let name = format!("{prefix}{path}");
            if self.list.iter().any(|parameter| parameter.name == name) {
                return Err(UserError::failed(format!("The parameter {name} was added twice")));
            }
            with_values(&var, |_| ()).map_err(engine_error)?;
            self.list.push(Parameter { name, var, group });
        }
        Ok(())
    }

    /// All of them, in order.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = &Parameter> {
        self.list.iter()
    }

    /// Number of values in all of them together.
    #[must_use]
    pub fn elements(&self) -> usize {
        self.list.iter().map(|parameter| parameter.var.elem_count()).sum()
    }

    /// A copy of the values of one of them.
    ///
    /// # Errors
    /// Never on a CPU, where all of them are.
    pub(super) fn value(&self, i: usize) -> TensorResult<Vec<f32>> {
        match self.list.get(i) {
            Some(parameter) => with_values(&parameter.var, <[f32]>::to_vec),
            None => bail!("there is no parameter {i}"),
        }
    }

    /// A copy of all values, in order.
    ///
    /// # Errors
    /// Never on a CPU, where all of them are.
    pub fn values(&self) -> Result<Vec<Vec<f32>>> {
        self.list
            .iter()
            .map(|p| with_values(&p.var, <[f32]>::to_vec))
            .collect::<TensorResult<_>>()
            .map_err(engine_error)
    }

    /// Runs `work` with zeros in the place of all values: an adapter then changes nothing.
    ///
    /// # Errors
    /// Those of `work`.
    pub fn with_zeros<T>(&self, work: impl FnOnce() -> Result<T>) -> Result<T> {
        let values = self.values()?;
        let zeros: Vec<Vec<f32>> = values.iter().map(|values| vec![0.0; values.len()]).collect();
        self.set_values(&zeros)?;
        let result = work();
        self.set_values(&values)?;
        result
    }

    /// Replaces all values, in order.
    ///
    /// # Errors
    /// When a length does not fit.
    pub fn set_values(&self, values: &[Vec<f32>]) -> Result<()> {
        if values.len() != self.list.len() {
            return Err(UserError::failed("The values do not belong to these parameters"));
        }
        let set = |(parameter, values): (&Parameter, &Vec<f32>)| {
            let var = &parameter.var;
            var.set(&Tensor::from_slice(values, var.shape(), var.device())?)
        };
        self.list.iter().zip(values).try_for_each(set).map_err(engine_error)
    }
}

/// One gradient for each of the [`Parameters`], in their order.
pub struct Gradients {
    list: Vec<Tensor>,
}

impl Gradients {
    /// The gradients of a scalar loss.
    ///
    /// Long networks need a deep stack for this: see [`super::on_deep_stack`].
    ///
    /// # Errors
    /// When a parameter gets none. Some operations of the tensor library cut the way back without a word, and such a
    /// training would still seem to work: its loss falls, but part of the network never learns.
    pub fn of(loss: &Tensor, parameters: &Parameters) -> Result<Self> {
        let mut store = checkpoint::backward(loss).map_err(engine_error)?;
        let mut list = Vec::with_capacity(parameters.list.len());
        let mut without = Vec::new();
        for parameter in &parameters.list {
            match store.remove(&parameter.var) {
                // Gradients are added up, measured and used on the processor, wherever the network is: a card need not hold
                // them, nor what the optimizer remembers.
                Some(gradient) => list.push(on_processor(&gradient).map_err(engine_error)?),
                None => without.push(parameter.name.as_str()),
            }
        }
        match without.first() {
            None => Ok(Self { list }),
            Some(first) => Err(UserError::failed(format!(
                "{} parameters get no gradient from the loss (the first is {first})",
                without.len()
            ))),
        }
    }

    /// Adds another part of an accumulated batch, whose loss was divided by the number of parts.
    ///
    /// # Errors
    /// When they are of other parameters.
    pub fn accumulate(&mut self, other: &Self) -> Result<()> {
        if self.list.len() != other.list.len() {
            return Err(UserError::failed("These gradients are of other parameters"));
        }
        for (sum, part) in self.list.iter_mut().zip(&other.list) {
            *sum = (&*sum + part).map_err(engine_error)?;
        }
        Ok(())
    }

    /// Multiplies all of them.
    ///
    /// # Errors
    /// Never on a CPU, where all of them are.
    pub fn scale(&mut self, factor: f64) -> Result<()> {
        for gradient in &mut self.list {
            *gradient = (&*gradient * factor).map_err(engine_error)?;
        }
        Ok(())
    }

    /// All of them, in order, contiguous f32 on a CPU.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = &Tensor> {
        self.list.iter()
    }
}

/// A tensor as contiguous f32 on a CPU: itself, where it is that.
fn on_processor(tensor: &Tensor) -> TensorResult<Tensor> {
    tensor.to_device(&Device::Cpu)?.to_dtype(DType::F32)?.contiguous()
}

/// Looks at the values of a contiguous f32 tensor, without copying them where they are on a CPU.
pub(super) fn with_values<T>(tensor: &Tensor, look: impl FnOnce(&[f32]) -> T) -> TensorResult<T> {
    if !tensor.device().is_cpu() {
        return Ok(look(&tensor.flatten_all()?.to_vec1()?));
    }
    let (storage, layout) = tensor.storage_and_layout();
    match (&*storage, layout.contiguous_offsets()) {
        (Storage::Cpu(CpuStorage::F32(values)), Some((start, end))) => Ok(look(&values[start..end])),
        _ => bail!("training needs contiguous f32 values on a CPU"),
    }
}

#[cfg(test)]
pub(super) mod tests {

    use super::*;

    /// Parameters of the given names and values.
    pub fn parameters(entries: &[(&str, &[f32])]) -> Parameters {
        let mut parameters = Parameters::default();
        let vars = entries
            .iter()
            .map(|(name, values)| ((*name).to_owned(), Var::from_slice(values, values.len(), &Device::Cpu).unwrap()))
            .collect();
        parameters.add("", vars, Group::default()).unwrap();
        parameters
    }

    #[test]
    fn a_parameter_without_a_gradient_is_named() {
        let parameters = parameters(&[("a", &[1.0, 2.0]), ("b", &[3.0, 4.0])]);
        let vars: Vec<&Var> = parameters.iter().map(|parameter| &parameter.var).collect();
        let cut = (vars[0].sqr().unwrap() + vars[1].as_tensor().detach()).unwrap().sum_all().unwrap();
        let error = Gradients::of(&cut, &parameters).err().unwrap();
        assert!(error.sentence.contains("1 parameters") && error.sentence.contains('b'), "{error}");
        let whole = (vars[0].as_tensor() * vars[1].as_tensor()).unwrap().sum_all().unwrap();
        let mut gradients = Gradients::of(&whole, &parameters).unwrap();
        gradients.accumulate(&Gradients::of(&whole, &parameters).unwrap()).unwrap();
        let values: Vec<Vec<f32>> = gradients.iter().map(|gradient| gradient.to_vec1().unwrap()).collect();
        assert_eq!(values, [[6.0, 8.0], [2.0, 4.0]]);
    }

    #[test]
    fn a_network_sees_the_values_that_are_set() {
        let parameters = parameters(&[("a", &[1.0, 2.0])]);
        let seen_by_the_network = parameters.iter().next().unwrap().var.as_tensor().clone();
        parameters.set_values(&[vec![5.0, 6.0]]).unwrap();
        assert_eq!(seen_by_the_network.to_vec1::<f32>().unwrap(), [5.0, 6.0]);
        assert!(parameters.set_values(&[vec![5.0]]).is_err());
        assert_eq!(parameters.elements(), 2);
    }

    #[test]
    fn a_name_is_given_once() {
        let mut parameters = parameters(&[("a", &[1.0])]);
        let again = [("a".to_owned(), Var::from_slice(&[1f32], 1, &Device::Cpu).unwrap())].into();
        assert!(parameters.add("", again, Group::default()).is_err());
    }
}
