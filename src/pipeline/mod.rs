//! Floor 4: from a request to a picture.

mod assets;
mod count;
mod denoise;
mod extend;
mod finite;
mod generate;
mod make;
mod prompt;
mod replay;
mod snapshot;
mod source;
mod start;
mod upscale;
mod watch;

pub use crate::models::image::{picture_from_tensor, tensor_from_picture};
pub use crate::models::text::{Sizes, TextContext, Texts, encode_prompts, nothing_said};
pub use assets::Assets;
pub use count::PromptCounter;
pub use denoise::{Conditioning, Denoiser, Scheduled, StepDone};
pub use generate::{Generated, generate};
pub use make::{Made, make, make_watched, see_step};
pub use prompt::prompt_ids;
pub use replay::{Replayed, check_files, replay};
pub use snapshot::Snapshot;
pub use start::{Blend, Source, Start};
pub use watch::{Progress, Reached, Watch};

/// How exactly the pictures are computed that this thread makes: exactly where nobody chooses.
pub use crate::nn::with_precision;

pub use crate::sampling::SamplerState;
