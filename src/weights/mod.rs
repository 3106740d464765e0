//! Floor 1: model files that others made. Names, shapes and values, whatever the layout.

pub mod embedding;
mod fingerprint;
mod folder;
pub mod layout;
pub mod lora;
mod open;
pub mod pickle;
mod shards;
mod shelf;
mod stored;
mod tensor_file;
mod view;
mod write;

pub use fingerprint::Fingerprint;
pub use folder::{ModelFiles, read_json};
pub use open::{OpenedFile, open_file};
pub use shards::Precision;
pub use shelf::Shelf;
pub use stored::{Numbers, Stored};
pub use tensor_file::{Mapping, StoredTensor, TensorFile, Values};
pub use view::{Step, TensorInfo, Tensors, View};
pub use write::{Planned, WrittenAs, write_tensors};

/// Names for a message: the first three, and how many there are.
fn first_three(names: &[String]) -> String {
    let first: Vec<&str> = names.iter().take(3).map(String::as_str).collect();
    let more = if names.len() > first.len() { ", …" } else { "" };
    format!("{}{more} ({})", first.join(", "), names.len())
}
