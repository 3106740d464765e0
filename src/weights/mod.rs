//! Floor 1: model files that others made. Names, shapes and values, whatever the layout.

pub mod embedding;
mod folder;
pub mod layout;
pub mod lora;
pub mod pickle;
mod shards;
mod tensor_file;
mod view;

pub use folder::{ModelFiles, read_json};
pub use shards::Precision;
pub use tensor_file::{Mapping, StoredTensor, TensorFile};
pub use view::{Step, TensorInfo, Tensors, View};

/// Names for a message: the first three, and how many there are.
fn first_three(names: &[String]) -> String {
    let first: Vec<&str> = names.iter().take(3).map(String::as_str).collect();
    let more = if names.len() > first.len() { ", …" } else { "" };
    format!("{}{more} ({})", first.join(", "), names.len())
}
