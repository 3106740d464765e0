//! The trainings that make the starter model: the autoencoder, then the text encoder and the denoising network together.
//!
//! All of it is a function of the settings: the pictures are drawn (see [`crate::dataset::garments`]), and every random
//! number is named by seed and step. Each training can be killed at any moment and goes on from its last checkpoint.

mod architecture;
mod curve;
mod draws;
mod export;
mod latents;
mod preview;
mod run;
mod sample;
mod score;
mod sheet;
mod teach;
mod text;
mod unet;
mod vae;

pub use curve::{logged_losses, loss_curve};
pub use export::export;
pub use run::{Progress, Rhythm};
pub use sample::{SAMPLING, SampleSettings};
pub use score::{Scores, judge_model};
pub use sheet::{png, sheet};
pub use teach::{Lesson, LessonPlan, Shown, Standing, judge_lesson, lesson_settings, teach};
pub use unet::{UNetSettings, train_unet};
pub use vae::{VaeSettings, train_vae};
