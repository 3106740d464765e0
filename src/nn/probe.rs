//! Looking at a network's inner tensors while it runs: parity tests compare every block with the reference.

use std::cell::RefCell;
use std::sync::Arc;

use candle_core::{DType, Device, Result, Tensor};

type Observer = Box<dyn FnMut(&str, &Tensor)>;

thread_local! {
    static OBSERVER: RefCell<Option<Observer>> = const { RefCell::new(None) };
}

/// A module's name, under which it shows its output to the observer.
#[derive(Clone, Debug)]
pub struct Probe(Arc<str>);

impl Probe {
    /// A probe with the module's path, such as `down_blocks.0.resnets.1`.
    #[must_use]
    pub fn new(path: &str) -> Self {
        Self(path.into())
    }

    /// Whether somebody looks: for values that are computed for the look alone.
    #[must_use]
    pub fn active(&self) -> bool {
        OBSERVER.with_borrow(Option::is_some)
    }

    /// Shows an output to the observer, where there is one, and passes it on.
    #[must_use]
    pub fn see(&self, tensor: Tensor) -> Tensor {
        OBSERVER.with_borrow_mut(|observer| {
            // Whoever looks sees f32 on the processor.
            let seen = || -> Result<Tensor> { tensor.to_device(&Device::Cpu)?.to_dtype(DType::F32) };
            if let Some(observer) = observer
                && let Ok(seen) = seen()
            {
                observer(&self.0, &seen);
            }
        });
        tensor
    }
}

/// Runs `work` on this thread while `observer` sees the output of every module by its path.
pub fn observe<T>(observer: impl FnMut(&str, &Tensor) + 'static, work: impl FnOnce() -> T) -> T {
    OBSERVER.set(Some(Box::new(observer)));
    let result = work();
    OBSERVER.set(None);
    result
}
