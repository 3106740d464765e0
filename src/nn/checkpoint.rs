//! Gradient checkpointing (Chen et al. 2016, <https://arxiv.org/abs/1604.06174>): a part of a network keeps its inputs and
//! its result while it is trained, and is computed again on the way back. Memory for time.
//!
//! A part is one operation of the tensor library with up to three tracked inputs. Gradients of the parameters inside do
//! not come back through it, but beside it: [`backward`] collects them. [`kept`] is the same part without the saving; the
//! two give the same bits.

use std::cell::RefCell;
use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::Arc;

use candle_core::backprop::GradStore;
use candle_core::{DType, Result, Tensor, TensorId, Var, bail};

use super::ops::given::{Back, given};
use super::place;

/// A part of a network: its inputs to its result.
pub type Run = Arc<dyn Fn(&[Tensor]) -> Result<Tensor> + Send + Sync>;

thread_local! {
    /// Gradients of parameters inside of parts, while a backward pass runs on this thread.
    static INSIDE: RefCell<Option<HashMap<TensorId, Tensor>>> = const { RefCell::new(None) };
}

/// The result of `run` on `inputs`, of which at most three may be such as gradients are asked for. Parameters inside get
/// their gradients by [`backward`].
///
/// # Errors
/// Those of `run`, and when more inputs are tracked.
pub fn checkpointed(inputs: &[&Tensor], run: Run) -> Result<Tensor> {
    let tracked: Vec<usize> = (0..inputs.len()).filter(|i| inputs[*i].track_op()).collect();
    let detached: Vec<Tensor> = inputs.iter().map(|input| input.detach()).collect();
    // What is inside may be trained, so that a graph is made in any case; with the result it goes.
    let out = run(&detached)?.detach().contiguous()?;
    let part = Part { run, inputs: detached, tracked: tracked.clone(), is_portable: place::is_portable() };
    if tracked.is_empty() {
        // The library follows a graph to variables: this one stands for those inside.
        let standing = Var::zeros(1, DType::F32, out.device())?;
        return given(&[standing.as_tensor()], &out, Box::new(move |_, grad| part.gradients(grad).map(|_| vec![None])));
    }
    let back: Back = Box::new(move |_, grad| part.gradients(grad));
    given(&tracked.iter().map(|i| inputs[*i]).collect::<Vec<_>>(), &out, back)
}

/// The result of `run` on `inputs`, all of which is kept for the way back. Gradients are those of [`checkpointed`] to the
/// bit: those of an input are added up within the part first, and then to what comes from elsewhere.
///
/// # Errors
/// Those of `run`.
pub fn kept(inputs: &[&Tensor], run: &Run) -> Result<Tensor> {
    // The same values as another node of the graph, where sums of gradients meet.
    let bounded = inputs.iter().map(|input| match input {
        input if input.track_op() && input.is_contiguous() => input.reshape(input.shape()),
        input => Ok((*input).clone()),
    });
    run(&bounded.collect::<Result<Vec<_>>>()?)
}

/// The gradients of a scalar loss, those of parameters inside of [`checkpointed`] parts among them.
///
/// # Errors
/// When an operation has no gradient or fails.
pub fn backward(loss: &Tensor) -> Result<GradStore> {
    /// Also when the work panics.
    struct Restore;
    impl Drop for Restore {
        fn drop(&mut self) {
            INSIDE.set(None);
        }
    }
    let _restore = Restore;
    INSIDE.set(Some(HashMap::new()));
    let mut store = loss.backward()?;
    for (id, gradient) in INSIDE.take().unwrap_or_default() {
        let sum = match store.get_id(id) {
            Some(outside) => (outside + gradient)?,
            None => gradient,
        };
        store.insert_id(id, sum);
    }
    Ok(store)
}

struct Part {
    run: Run,
    /// The inputs, without their history.
    inputs: Vec<Tensor>,
    /// Which of them are the operation's arguments.
    tracked: Vec<usize>,
    /// Whether the operations are those of graphics cards, as they were the first time.
    is_portable: bool,
}

impl Part {
    /// Gradients of the tracked inputs, in their order.
    fn gradients(&self, grad: &Tensor) -> Result<Vec<Option<Tensor>>> {
        let mut inputs = self.inputs.clone();
        let mut vars = Vec::with_capacity(self.tracked.len());
        for i in &self.tracked {
            let var = Var::from_tensor(&inputs[*i])?;
            inputs[*i] = var.as_tensor().clone();
            vars.push(var);
        }
        // The sum's gradient is one, so that the product's is what came in.
        let grad = grad.detach();
        let out = place::with_portable(self.is_portable, || (self.run)(&inputs))?;
        let mut store = (out * &grad)?.sum_all()?.backward()?;
        // The product's other side gets one too, and that holds all that the part is made of.
        store.remove(&grad);
        let gradients = vars
            .iter()
            .zip(&self.tracked)
            .map(|(var, i)| match store.remove(var) {
                Some(gradient) => Ok(Some(gradient)),
                // The library wants one for every argument that leads to a variable.
                None => self.inputs[*i].zeros_like().map(Some),
            })
            .collect::<Result<Vec<_>>>()?;
        let rest: Vec<TensorId> = store.get_ids().copied().collect();
        INSIDE.with_borrow_mut(|inside| {
            let Some(inside) = inside else { bail!("this loss needs the backward pass of checkpoints") };
            for id in rest {
                let Some(gradient) = store.get_id(id) else { continue };
                match inside.entry(id) {
                    Entry::Occupied(mut entry) => *entry.get_mut() = (entry.get() + gradient)?,
                    Entry::Vacant(entry) => drop(entry.insert(gradient.clone())),
                }
            }
            Ok(())
        })?;
        Ok(gradients)
    }
}

#[cfg(test)]
mod tests {
    use candle_core::Device;

    use super::*;

    fn var(values: &[f32]) -> Var {
        Var::from_slice(values, values.len(), &Device::Cpu).unwrap()
    }

    /// `x² p + y`, with the parameter `p` inside.
    fn part(p: &Var) -> Run {
        let p = p.as_tensor().clone();
        Arc::new(move |inputs| ((inputs[0].sqr()? * &p)? + &inputs[1])?.contiguous())
    }

    #[test]
    fn gradients_are_those_without_a_checkpoint() {
        let (x, y, p) = (var(&[1.0, -2.0]), var(&[0.5, 3.0]), var(&[2.0, -1.5]));
        // The parameter stands inside of two parts and outside.
        let whole = |run: &dyn Fn(&[&Tensor]) -> Tensor| {
            let once = run(&[&x, &y]);
            let twice = run(&[&once, &x]);
            backward(&(twice * p.as_tensor()).unwrap().sum_all().unwrap()).unwrap()
        };
        let run = part(&p);
        let expected = whole(&|inputs| run(&inputs.iter().map(|input| (*input).clone()).collect::<Vec<_>>()).unwrap());
        let found = whole(&|inputs| checkpointed(inputs, Arc::clone(&run)).unwrap());
        for var in [&x, &y, &p] {
            let values = |store: &GradStore| store.get(var).unwrap().to_vec1::<f32>().unwrap();
            assert_eq!(values(&found), values(&expected));
        }
    }

    #[test]
    fn sums_of_gradients_are_taken_in_the_same_order() {
        let (x, p) = (var(&[1.0]), var(&[1.0]));
        // Within the part 1e8 and −1e8 meet before the one from outside: taken in another order, the one is lost.
        let inner = p.as_tensor().clone();
        let run: Run = Arc::new(move |inputs| {
            let (large, back) = ((&inputs[0] * 1e8)?, (&inputs[0] * -1e8)?);
            (large + back)? * &inner
        });
        let found = |part: &dyn Fn(&[&Tensor]) -> Tensor| {
            let loss = (x.as_tensor() + part(&[&x])).unwrap().sum_all().unwrap();
            backward(&loss).unwrap().get(&x).unwrap().to_vec1::<f32>().unwrap()
        };
        assert_eq!(found(&|inputs| checkpointed(inputs, Arc::clone(&run)).unwrap()), [1.0]);
        assert_eq!(found(&|inputs| kept(inputs, &run).unwrap()), [1.0]);
    }

    #[test]
    fn only_gradients_of_parameters_are_left() {
        let (x, p) = (var(&[1.0, -2.0]), var(&[2.0, -1.5]));
        let out = checkpointed(&[&x, &x], part(&p)).unwrap();
        let store = backward(&out.sum_all().unwrap()).unwrap();
        assert_eq!(store.get_ids().count(), 2);
    }

    #[test]
    fn a_part_without_tracked_inputs_gives_its_parameters_gradients() {
        let (x, p) = (Tensor::new(&[3f32, 4.0], &Device::Cpu).unwrap(), var(&[2.0, -1.5]));
        let out = checkpointed(&[&x, &x], part(&p)).unwrap();
        assert_eq!(out.to_vec1::<f32>().unwrap(), [21.0, -20.0]);
        let store = backward(&out.sum_all().unwrap()).unwrap();
        assert_eq!(store.get(&p).unwrap().to_vec1::<f32>().unwrap(), [9.0, 16.0]);
    }

    #[test]
    fn the_librarys_own_backward_pass_is_refused() {
        let (x, p) = (var(&[1.0]), var(&[2.0]));
        let out = checkpointed(&[&x, &x], part(&p)).unwrap();
        assert!(out.backward().is_err());
    }
}
