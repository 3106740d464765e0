//! One file a sampler, each with its row for the table.

pub mod ddim;
pub mod ddpm;
pub mod dpm2;
pub mod dpm2_a;
mod dpm_solver;
pub mod dpmpp_2m;
pub mod dpmpp_2m_sde;
pub mod dpmpp_2s;
pub mod dpmpp_sde;
pub mod euler;
pub mod euler_a;
pub mod flow_match_euler;
pub mod heun;
pub mod lcm;
pub mod lms;
mod midpoint;
pub mod pndm;
pub mod tcd;
pub mod unipc;

use crate::domain::ScheduleId;

/// For samplers that step from sigma to sigma: every schedule.
const ANY_SCHEDULE: &[ScheduleId] = &ScheduleId::ALL;

/// For DDIM and PLMS, which always go `T / n` training steps down: only what is spaced so. On `linspace` the network
/// would be told of other noise levels than the sample has.
const STRIDED_SCHEDULES: &[ScheduleId] = &[ScheduleId::Automatic, ScheduleId::Trailing, ScheduleId::Leading];

/// For other samplers that step from training step to training step: no spacing by sigma.
const TIMESTEP_SCHEDULES: &[ScheduleId] =
    &[ScheduleId::Automatic, ScheduleId::Trailing, ScheduleId::Leading, ScheduleId::Linspace];

/// Writes the parts of [`Sampler`](crate::sampling::Sampler) that are the same for every sampler with a `core` field.
macro_rules! shared_parts {
    () => {
        fn core(&self) -> &crate::sampling::Core {
            &self.core
        }

        fn core_mut(&mut self) -> &mut crate::sampling::Core {
            &mut self.core
        }

        fn boxed_clone(&self) -> Box<dyn crate::sampling::Sampler> {
            Box::new(self.clone())
        }
    };
}
use shared_parts;
