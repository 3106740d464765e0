//! Floor 4: trainings. The optimizer and what belongs to it, the loss, checkpoints; adapters and whole models from a data set
//! ([`run()`]), and the training of the starter model from nothing ([`starter`]).
//!
//! Everything that decides a number is deterministic: a training that is killed and resumed ends with the same bits.

mod batches;
mod buckets;
mod checkpoint;
mod clip;
pub mod config;
mod dataset_cache;
mod deep_stack;
mod draws;
mod ema;
mod examples;
mod forecast;
mod journal;
mod learner;
pub mod lora;
mod loss;
mod loss_scale;
mod lr;
mod optimizer;
mod order;
mod outputs;
mod pace;
mod parameters;
mod past;
mod ranking;
mod run;
mod sample;
pub mod starter;
mod trainer;

pub use checkpoint::Checkpoints;
pub use clip::{clip_factor, global_norm};
pub use deep_stack::on_deep_stack;
pub use ema::{Ema, EmaConfig, EmaWarmup};
pub use forecast::foresee;
pub use learner::{Batch, Learner, check_family};
pub use loss::{DiffusionLoss, LossWeights};
pub use lr::{LrSchedule, LrShape};
pub use optimizer::{AdamW, AdamWConfig, Moments};
pub use parameters::{Gradients, Group, Parameter, Parameters};
pub use past::{past, promote};
pub use run::{Outcome, Tell, run, run_on};
pub use trainer::{Trainer, Update};
