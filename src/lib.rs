//! Atelier: a native desktop studio for Stable Diffusion. See ARCHITECTURE.md for the floors and the reading order.

pub mod domain;
