//! Floor 4: from a request to a picture.

mod assets;
mod denoise;
mod extend;
mod generate;
mod image;
mod make;
mod prompt;
mod snapshot;
mod source;
mod start;
mod text;
mod upscale;
mod watch;

pub use assets::Assets;
pub use denoise::{Conditioning, Denoiser, Scheduled, StepDone};
pub use generate::{Generated, generate};
pub use image::{picture_from_tensor, tensor_from_picture};
pub use make::{Made, make, make_watched, see_step};
pub use prompt::prompt_ids;
pub use snapshot::Snapshot;
pub use start::{Blend, Source, Start};
pub use text::{Sizes, TextContext, Texts, encode_prompts, nothing_said};
pub use watch::{Progress, Reached, Watch};

pub use crate::sampling::SamplerState;
