//! Atelier: a native desktop studio for Stable Diffusion. See ARCHITECTURE.md for the floors and the reading order.

pub mod app;
pub mod cli;
pub mod dataset;
pub mod domain;
pub mod engine;
pub mod hub;
pub mod kernels;
pub mod library;
pub mod models;
pub mod nn;
pub mod pipeline;
pub mod sampling;
pub mod studio;
pub mod train;
pub mod ui;
pub mod weights;
