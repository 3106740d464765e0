//! DPM++ 2M: the second-order multistep DPM-Solver++ (Lu et al. 2022, "DPM-Solver++: Fast solver for guided sampling").

use super::ANY_SCHEDULE;
use super::dpm_solver::{CLASS, Multistep, READS};
use crate::domain::SamplerId;
use crate::sampling::options::Algorithm;
use crate::sampling::table::{ModelKind, SamplerRow};

pub(in crate::sampling) const ROW: SamplerRow = SamplerRow {
    id: SamplerId::DpmPp2m,
    class: CLASS,
    tooltip: "Looks back one step: good pictures with 15 to 25 steps; the best first choice.",
    schedules: ANY_SCHEDULE,
    draws_noise: false,
    kind: ModelKind::Diffusion,
    reads: READS,
    defaults: |_| {},
    settle: |options| {
        options.algorithm_type = Algorithm::DpmSolverPlusPlus;
        options.solver_order = 2;
    },
    build: |options, steps| Ok(Box::new(Multistep::new(options, steps)?)),
};
