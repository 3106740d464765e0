//! Floor 1: captions and pictures for training.

pub mod garments;
