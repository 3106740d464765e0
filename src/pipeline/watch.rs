//! [`Watch`]: whoever makes a picture and wants to see its steps, keep them, or go on where it was interrupted.

use super::snapshot::Snapshot;
use crate::domain::{GenerateRequest, Picture};
use crate::sampling::SamplerState;

/// How a picture comes along.
pub enum Progress {
    /// A step is done.
    Step {
        /// Steps done, from 1.
        step: u32,
        /// All steps.
        steps: u32,
        /// What the picture is expected to become, one px for each of the latents.
        preview: Picture,
    },
    /// All steps are done; the latents are being decoded.
    Decoding,
}

/// Where a picture has come to after an evaluation of the network.
pub struct Reached<'a> {
    /// What the picture is made of: see [`Snapshot::key`].
    pub key: &'a str,
    /// The step that is done now, from 1; `None` between two evaluations of one step.
    pub step: Option<u32>,
    /// Evaluations that were made.
    pub call: usize,
    /// How many times noise was drawn.
    pub draws: usize,
    /// The latents.
    pub latents: &'a [f32],
    /// What the sampler looks back at.
    pub state: &'a SamplerState,
    /// What the picture is expected to become.
    pub preview: &'a Picture,
}

impl Reached<'_> {
    /// All that is needed to go on from here.
    #[must_use]
    pub fn snapshot(&self) -> Snapshot {
        Snapshot {
            key: self.key.to_owned(),
            call: self.call,
            draws: self.draws,
            latents: self.latents.to_vec(),
            state: self.state.clone(),
        }
    }
}

/// Whoever makes a picture. A closure that takes [`Progress`] is one that keeps nothing.
pub trait Watch {
    /// Is told how the picture comes along.
    fn progress(&mut self, progress: Progress);

    /// Is shown where it has come to, after every evaluation of a picture's first pass. Enlargements show nothing.
    fn reached(&mut self, _reached: &Reached<'_>) {}

    /// Where the picture `key` was when it was interrupted, if it was. What is of another picture is passed over.
    fn resume(&mut self, _key: &str) -> Option<Snapshot> {
        None
    }

    /// Where the picture of `request` was when `step` (from 1) was done, if that is still known; else it is made again.
    fn recall(&mut self, _request: &GenerateRequest, _key: &str, _step: u32) -> Option<Snapshot> {
        None
    }
}

impl<F: FnMut(Progress)> Watch for F {
    fn progress(&mut self, progress: Progress) {
        self(progress);
    }
}

/// Passes on how it comes along, and keeps the rest to itself: for a picture that is only made for the sake of another.
pub(super) struct Beside<'a>(pub(super) &'a mut dyn Watch);

impl Watch for Beside<'_> {
    fn progress(&mut self, progress: Progress) {
        self.0.progress(progress);
    }
}
