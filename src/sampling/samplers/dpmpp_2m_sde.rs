//! DPM++ 2M SDE: the same solver for the stochastic equation, with new noise at every step.

use super::ANY_SCHEDULE;
use super::dpm_solver::{CLASS, Multistep, READS};
use crate::domain::SamplerId;
use crate::sampling::options::Algorithm;
use crate::sampling::table::{ModelKind, SamplerRow};

pub(in crate::sampling) const ROW: SamplerRow = SamplerRow {
    id: SamplerId::DpmPp2mSde,
    class: CLASS,
    tooltip: "DPM++ 2M with new noise at every step: more detail, and a picture that changes with the steps.",
    schedules: ANY_SCHEDULE,
    draws_noise: true,
    kind: ModelKind::Diffusion,
    reads: READS,
    defaults: |options| options.algorithm_type = Algorithm::SdeDpmSolverPlusPlus,
    settle: |options| {
        options.algorithm_type = Algorithm::SdeDpmSolverPlusPlus;
        options.solver_order = 2;
    },
    build: |options, steps| Ok(Box::new(Multistep::new(options, steps)?)),
};
