//! Equality with diffusers, transformers and torch, stage by stage, on stored reference data.
//!
//! The data lies in `tests/reference`, or in the folder that the environment variable `ATELIER_REFERENCE` names. Shapes,
//! names, step counts and prompts are read from it, so data made with another seed is tested by the same code. A file
//! that is missing is a failure. `ATELIER_DEVICE` (such as `cuda:0`) names what computes. Each group prints one line: its cases, the largest error and the tolerance.

#[path = "parity/adapters.rs"]
mod adapters;
#[path = "parity/devices.rs"]
mod devices;
#[path = "parity/guidance.rs"]
mod guidance;
#[path = "parity/models.rs"]
mod models;
#[path = "parity/noise.rs"]
mod noise;
#[path = "parity/pipelines.rs"]
mod pipelines;
#[path = "parity/safety.rs"]
mod safety;
#[path = "parity/schedulers.rs"]
mod schedulers;
#[path = "parity/support.rs"]
mod support;
#[path = "parity/training.rs"]
mod training;
