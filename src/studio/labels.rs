//! Names of samplers and schedules for people, and what they mean.

use crate::domain::{SamplerId, ScheduleId};

/// A name and its explanation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Labelled {
    /// As other tools spell it.
    pub name: &'static str,
    /// One sentence.
    pub explanation: &'static str,
}

/// How a sampler is shown.
#[must_use]
pub fn sampler(id: SamplerId) -> Labelled {
    let (name, explanation) = match id {
        SamplerId::Ddpm => {
            ("DDPM", "The training process run backwards, with fresh noise at each step; wants many steps")
        }
        SamplerId::Ddim => ("DDIM", "Early and simple, without fresh noise; good from about 30 steps"),
        SamplerId::Pndm => ("PNDM", "Multistep; the first choice of Stable Diffusion 1"),
        SamplerId::Euler => ("Euler", "Simple and dependable; good from about 20 steps"),
        SamplerId::EulerA => ("Euler a", "Euler with fresh noise at each step: lively, and never quite settles"),
        SamplerId::Heun => ("Heun", "Two evaluations a step: twice as slow, more precise"),
        SamplerId::DpmPp2m => ("DPM++ 2M", "Good pictures in few steps; a good first choice"),
        SamplerId::DpmPp2mSde => ("DPM++ 2M SDE", "DPM++ 2M with fresh noise at each step: more detail, more steps"),
        SamplerId::DpmPpSde => {
            ("DPM++ SDE", "Fresh noise and two evaluations a step: rich detail in few steps, twice as slow")
        }
        SamplerId::DpmPp2s => {
            ("DPM++ 2S", "Looks ahead instead of back: calm at low step counts; an even number fits best")
        }
        SamplerId::Dpm2 => ("DPM2", "Two evaluations a step, the second halfway: twice as slow, more precise"),
        SamplerId::Dpm2A => ("DPM2 a", "DPM2 with fresh noise at each step: lively, and never quite settles"),
        SamplerId::Lms => ("LMS", "Looks back at four steps: precise with many steps, rough with few"),
        SamplerId::UniPc => ("UniPC", "Good pictures in very few steps"),
        SamplerId::Lcm => ("LCM", "For latent consistency models only: 4 to 8 steps"),
        SamplerId::Tcd => ("TCD", "For trajectory consistency models only: 4 to 8 steps"),
        SamplerId::FlowMatchEuler => ("Flow match Euler", "For models trained by flow matching only"),
    };
    Labelled { name, explanation }
}

/// How a schedule is shown.
#[must_use]
pub fn schedule(id: ScheduleId) -> Labelled {
    let (name, explanation) = match id {
        ScheduleId::Automatic => ("Automatic", "As the model's own settings say"),
        ScheduleId::Karras => ("Karras", "More steps at low noise, for fine detail"),
        ScheduleId::Exponential => ("Exponential", "Evenly spaced on a logarithmic scale"),
        ScheduleId::Trailing => ("Trailing", "Counted from the end; good with few steps"),
        ScheduleId::Leading => ("Leading", "Counted from the start, as Stable Diffusion 1 does"),
        ScheduleId::Linspace => ("Linspace", "Evenly over the whole range"),
    };
    Labelled { name, explanation }
}
