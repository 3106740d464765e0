//! What other tools call their samplers and schedules: a table for each.
//!
//! A name that stands in none of them is left out on purpose: nothing here steps as it does. (The names of
//! stable-diffusion-webui are the labels of [`SamplerId`] and [`ScheduleId`] themselves.)

use crate::domain::{SamplerId, ScheduleId};

/// What a tool calls its samplers and schedules.
pub struct Names {
    /// A sampler's name, and the schedule that the name says too.
    pub samplers: &'static [(&'static str, SamplerId, Option<ScheduleId>)],
    /// A schedule's name.
    pub schedules: &'static [(&'static str, ScheduleId)],
}

/// `ComfyUI` 0.3: `SAMPLER_NAMES` and `SCHEDULER_NAMES` of `comfy/samplers.py`. Fooocus and `SwarmUI` use the same.
pub const COMFY: Names = Names {
    samplers: &[
        ("euler", SamplerId::Euler, None),
        ("euler_ancestral", SamplerId::EulerA, None),
        ("heun", SamplerId::Heun, None),
        ("dpm_2", SamplerId::Dpm2, None),
        ("dpm_2_ancestral", SamplerId::Dpm2A, None),
        ("lms", SamplerId::Lms, None),
        ("dpmpp_sde", SamplerId::DpmPpSde, None),
        ("dpmpp_sde_gpu", SamplerId::DpmPpSde, None),
        ("dpmpp_2m", SamplerId::DpmPp2m, None),
        ("dpmpp_2m_sde", SamplerId::DpmPp2mSde, None),
        ("dpmpp_2m_sde_gpu", SamplerId::DpmPp2mSde, None),
        ("ddpm", SamplerId::Ddpm, None),
        ("lcm", SamplerId::Lcm, None),
        ("ddim", SamplerId::Ddim, None),
        ("uni_pc", SamplerId::UniPc, None),
        ("uni_pc_bh2", SamplerId::UniPc, None),
        ("tcd", SamplerId::Tcd, None),
    ],
    schedules: &[
        ("normal", ScheduleId::Linspace),
        ("karras", ScheduleId::Karras),
        ("exponential", ScheduleId::Exponential),
        ("sgm_uniform", ScheduleId::Trailing),
        ("simple", ScheduleId::Trailing),
        ("ddim_uniform", ScheduleId::Leading),
    ],
};

/// `InvokeAI` 3 to 5: `SCHEDULER_NAME_VALUES`; the names of 2.3 that begin with `k_`, and `plms`, are those of its
/// `Generator` on diffusers.
pub const INVOKE: Names = Names {
    samplers: &[
        ("ddim", SamplerId::Ddim, None),
        ("ddpm", SamplerId::Ddpm, None),
        ("dpmpp_2s", SamplerId::DpmPp2s, None),
        ("dpmpp_2s_k", SamplerId::DpmPp2s, Some(ScheduleId::Karras)),
        ("dpmpp_2m", SamplerId::DpmPp2m, None),
        ("dpmpp_2m_k", SamplerId::DpmPp2m, Some(ScheduleId::Karras)),
        ("dpmpp_2m_sde", SamplerId::DpmPp2mSde, None),
        ("dpmpp_2m_sde_k", SamplerId::DpmPp2mSde, Some(ScheduleId::Karras)),
        ("dpmpp_sde", SamplerId::DpmPpSde, None),
        ("dpmpp_sde_k", SamplerId::DpmPpSde, Some(ScheduleId::Karras)),
        ("euler", SamplerId::Euler, None),
        ("euler_k", SamplerId::Euler, Some(ScheduleId::Karras)),
        ("euler_a", SamplerId::EulerA, None),
        ("heun", SamplerId::Heun, None),
        ("heun_k", SamplerId::Heun, Some(ScheduleId::Karras)),
        ("kdpm_2", SamplerId::Dpm2, None),
        ("kdpm_2_k", SamplerId::Dpm2, Some(ScheduleId::Karras)),
        ("kdpm_2_a", SamplerId::Dpm2A, None),
        ("kdpm_2_a_k", SamplerId::Dpm2A, Some(ScheduleId::Karras)),
        ("lms", SamplerId::Lms, None),
        ("lms_k", SamplerId::Lms, Some(ScheduleId::Karras)),
        ("pndm", SamplerId::Pndm, None),
        ("unipc", SamplerId::UniPc, None),
        ("unipc_k", SamplerId::UniPc, Some(ScheduleId::Karras)),
        ("lcm", SamplerId::Lcm, None),
        ("tcd", SamplerId::Tcd, None),
        ("plms", SamplerId::Pndm, None),
        ("dpmpp_2", SamplerId::DpmPp2m, None),
        ("k_dpmpp_2", SamplerId::DpmPp2m, None),
        ("k_dpm_2", SamplerId::Dpm2, None),
        ("k_dpm_2_a", SamplerId::Dpm2A, None),
        ("k_euler", SamplerId::Euler, None),
        ("k_euler_a", SamplerId::EulerA, None),
        ("k_heun", SamplerId::Heun, None),
        ("k_lms", SamplerId::Lms, None),
    ],
    schedules: &[],
};

/// stable-diffusion.cpp: `sample_method_to_str` and `schedule_to_str` of its `stable-diffusion.cpp`.
pub const SD_CPP: Names = Names {
    samplers: &[
        ("euler", SamplerId::Euler, None),
        ("euler_a", SamplerId::EulerA, None),
        ("heun", SamplerId::Heun, None),
        ("dpm2", SamplerId::Dpm2, None),
        ("dpm++2m", SamplerId::DpmPp2m, None),
        ("lcm", SamplerId::Lcm, None),
        ("ddim_trailing", SamplerId::Ddim, Some(ScheduleId::Trailing)),
        ("tcd", SamplerId::Tcd, None),
    ],
    schedules: &[
        ("default", ScheduleId::Automatic),
        ("discrete", ScheduleId::Linspace),
        ("karras", ScheduleId::Karras),
        ("exponential", ScheduleId::Exponential),
        ("sgm_uniform", ScheduleId::Trailing),
        ("simple", ScheduleId::Trailing),
    ],
};

/// `NovelAI`, as its pictures of the versions 1 to 4 say it.
pub const NOVEL_AI: Names = Names {
    samplers: &[
        ("k_euler", SamplerId::Euler, None),
        ("k_euler_ancestral", SamplerId::EulerA, None),
        ("k_dpmpp_2m", SamplerId::DpmPp2m, None),
        ("k_dpmpp_2m_sde", SamplerId::DpmPp2mSde, None),
        ("k_dpmpp_sde", SamplerId::DpmPpSde, None),
        ("k_dpm_2", SamplerId::Dpm2, None),
        ("k_dpm_2_ancestral", SamplerId::Dpm2A, None),
        ("k_lms", SamplerId::Lms, None),
        ("k_heun", SamplerId::Heun, None),
        ("ddim", SamplerId::Ddim, None),
        ("ddim_v3", SamplerId::Ddim, None),
        ("plms", SamplerId::Pndm, None),
    ],
    schedules: &[
        ("native", ScheduleId::Automatic),
        ("karras", ScheduleId::Karras),
        ("exponential", ScheduleId::Exponential),
    ],
};

impl Names {
    /// The sampler of a name, with the schedule that the name says too.
    #[must_use]
    pub fn sampler(&self, name: &str) -> Option<(SamplerId, Option<ScheduleId>)> {
        let name = name.trim();
        let row = self.samplers.iter().find(|(own, ..)| own.eq_ignore_ascii_case(name));
        row.map(|(_, sampler, schedule)| (*sampler, *schedule))
    }

    /// The schedule of a name.
    #[must_use]
    pub fn schedule(&self, name: &str) -> Option<ScheduleId> {
        let name = name.trim();
        self.schedules.iter().find(|(own, _)| own.eq_ignore_ascii_case(name)).map(|(_, schedule)| *schedule)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_name_stands_in_a_table_twice() {
        for names in [COMFY, INVOKE, SD_CPP, NOVEL_AI] {
            let mut samplers: Vec<&str> = names.samplers.iter().map(|(name, ..)| *name).collect();
            let mut schedules: Vec<&str> = names.schedules.iter().map(|(name, _)| *name).collect();
            let (all, levels) = (samplers.len(), schedules.len());
            samplers.sort_unstable();
            samplers.dedup();
            schedules.sort_unstable();
            schedules.dedup();
            assert_eq!((samplers.len(), schedules.len()), (all, levels));
        }
    }

    #[test]
    fn what_steps_otherwise_than_ours_is_not_taken_for_it() {
        assert_eq!(COMFY.sampler("dpmpp_2s_ancestral"), None);
        assert_eq!(COMFY.sampler("dpmpp_3m_sde"), None);
        assert_eq!(INVOKE.sampler("deis"), None);
        assert_eq!(SD_CPP.sampler("dpm++2mv2"), None);
        assert_eq!(COMFY.schedule("beta"), None);
        assert_eq!(INVOKE.sampler("dpmpp_2m_k"), Some((SamplerId::DpmPp2m, Some(ScheduleId::Karras))));
    }
}
