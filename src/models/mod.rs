//! Floor 3: the networks, one file a part, and the families they make, one file and one row in [`FAMILIES`] each.

mod adapters;
mod choices;
pub mod clip;
pub mod clip_image;
pub mod clip_vision;
pub mod embeddings;
mod family;
mod forecast;
pub mod image;
mod load;
mod outline;
mod placement;
pub mod preview;
mod published;
mod resnet;
pub mod safety;
mod source;
pub mod text;
pub mod tokenizer;
mod training;
mod transformer;
pub mod unet;
pub mod unet_config;
pub mod vae;
pub mod vae_tiling;
mod words;

pub use adapters::AdapterUse;
pub use choices::Choices;
pub use family::{FAMILIES, Family, capabilities};
pub use forecast::weigh;
pub use forecast::{WorkForecast, smaller_tiling};
pub use load::{LoadStep, Model, Part, TextPart, clip_tokenizer, open, open_on, open_tokenizer, starter_files};
pub use outline::{EmbeddingReport, Outline, capabilities_of};
pub use placement::Placement;
pub use training::family_of;

pub use crate::nn::{Backend, is_out_of_memory};
pub use words::Word;
