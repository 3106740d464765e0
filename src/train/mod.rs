//! Floor 4: trainings. The optimizer and what belongs to it, the loss, checkpoints, and the training of the starter model.
//!
//! Everything that decides a number is deterministic: a training that is killed and resumed ends with the same bits.

mod checkpoint;
mod clip;
mod deep_stack;
mod ema;
mod loss;
mod lr;
mod optimizer;
mod parameters;
pub mod starter;
mod trainer;

pub use checkpoint::Checkpoints;
pub use clip::{clip_factor, global_norm};
pub use deep_stack::on_deep_stack;
pub use ema::{Ema, EmaConfig, EmaWarmup};
pub use loss::{DiffusionLoss, LossWeights};
pub use lr::{LrSchedule, LrShape};
pub use optimizer::{AdamW, AdamWConfig, Moments};
pub use parameters::{Gradients, Group, Parameter, Parameters};
pub use trainer::{Trainer, Update};
