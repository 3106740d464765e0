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
        SamplerId::UniPc => ("UniPC", "Good pictures in very few steps"),
        SamplerId::Lcm => ("LCM", "For latent consistency models only: 4 to 8 steps"),
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
