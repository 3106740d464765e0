//! Floor 1: model files that others made. Names, shapes and values, without knowing what they are for.

mod folder;
mod tensor_file;

pub use folder::{ModelFiles, read_json};
pub use tensor_file::{TensorFile, TensorInfo};
