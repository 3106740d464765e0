//! Floor 4: from a request to a picture.

mod assets;
mod count;
mod denoise;
mod extend;
mod generate;
mod image;
mod make;
mod prompt;
mod source;
mod start;
mod text;
mod upscale;

pub use assets::Assets;
pub use count::PromptCounter;
pub use denoise::{Conditioning, Denoiser, Scheduled, StepDone};
pub use generate::{Generated, Progress, generate};
pub use image::{picture_from_tensor, tensor_from_picture};
pub use make::{Made, make};
pub use prompt::prompt_ids;
pub use start::{Blend, Source, Start};
pub use text::{Sizes, TextContext, Texts, encode_prompts, nothing_said};
