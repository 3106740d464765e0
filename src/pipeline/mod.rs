//! Floor 4: from a request to a picture.

mod denoise;
mod generate;
mod image;
mod start;
mod text;

pub use denoise::{Conditioning, Denoiser, StepDone};
pub use generate::{Generated, Progress, generate};
pub use image::{picture_from_tensor, tensor_from_picture};
pub use start::{Blend, Source, Start};
pub use text::{Sizes, TextContext, Texts, encode_prompts, nothing_said};
