//! What holds for every row of the tables.

use serde_json::json;

use super::*;
use crate::domain::PredictionType;

const SHAPE: [usize; 4] = [1, 1, 4, 4];

/// A network that always knows which clean sample is meant.
fn oracle(sampler: &dyn Sampler, i: usize, input: &[f32], clean: &[f32]) -> Vec<f32> {
    let level = sampler.core().levels[i];
    if sampler.core().scaling == Scaling::Straight {
        let velocity = |(x, c): (&f32, &f32)| ((f64::from(*x) - f64::from(*c)) / level.sigma) as f32;
        return input.iter().zip(clean).map(velocity).collect();
    }
    let noise = |(x, c): (&f32, &f32)| (f64::from(*x) - level.alpha * f64::from(*c)) / level.sigma;
    let pairs = input.iter().zip(clean);
    match sampler.core().prediction {
        PredictionType::Epsilon => pairs.map(|pair| noise(pair) as f32).collect(),
        PredictionType::VPrediction => {
            pairs.map(|pair| (level.alpha * noise(pair) - level.sigma * f64::from(*pair.1)) as f32).collect()
        }
        PredictionType::Sample => clean.to_vec(),
    }
}

/// Runs the calls of `range`, drawing noise from `rng`.
fn run(sampler: &mut dyn Sampler, range: std::ops::Range<usize>, x: &mut [f32], rng: &mut CounterRng, clean: &[f32]) {
    let (mut input, mut noise) = (vec![0.0; x.len()], vec![0.0; x.len()]);
    for i in range {
        sampler.scale_model_input(i, x, &mut input);
        let output = oracle(sampler, i, &input, clean);
        let drawn = sampler.draws_noise(i).then(|| {
            rng.fill_normal(&mut noise);
            noise.as_slice()
        });
        sampler.step(i, &output, x, drawn);
        assert_eq!(sampler.denoised().len(), x.len(), "a preview after every call");
    }
}

/// A model's configuration of the kind that a row is for.
fn model_json(row: &SamplerRow) -> Value {
    match row.kind {
        ModelKind::Diffusion => json!({"timestep_spacing": "leading", "steps_offset": 1}),
        ModelKind::FlowMatching => json!({"_class_name": "FlowMatchEulerDiscreteScheduler", "shift": 3.0}),
    }
}

fn clean_sample() -> Vec<f32> {
    (0..SHAPE.iter().product::<usize>()).map(|i| (i as f32 * 0.7).sin()).collect()
}

fn started(sampler: &dyn Sampler) -> Vec<f32> {
    let scale = sampler.init_noise_sigma() as f32;
    unit_normal(3, SHAPE).into_iter().map(|value| value * scale).collect()
}

#[test]
fn every_sampler_says_how_often_it_asks_the_network() {
    for row in SAMPLERS {
        let sampler = (row.build)(&row.class_defaults(), 10).expect("it can be made");
        assert_eq!(sampler.order(), row.id.evaluations_per_step() as usize, "{}", row.name());
    }
}

#[test]
fn every_id_has_one_row_in_the_order_offered() {
    assert!(SAMPLERS.iter().map(|row| row.id).eq(SamplerId::ALL));
    assert!(SCHEDULES.iter().map(|row| row.id).eq(ScheduleId::ALL));
    for id in SamplerId::ALL {
        let row = sampler_row(id);
        assert_eq!((row.label(), row.name()), (id.label(), id.name()));
        assert!(row.schedules.contains(&ScheduleId::Automatic) && row.tooltip.ends_with('.'));
    }
    assert!(ScheduleId::ALL.iter().all(|id| schedule_row(*id).id == *id));
}

#[test]
fn with_a_perfect_network_every_sampler_reaches_the_clean_sample_by_every_schedule() {
    let clean = clean_sample();
    for row in SAMPLERS {
        for schedule in row.schedules {
            for prediction_type in [PredictionType::Epsilon, PredictionType::VPrediction] {
                for steps in [1, 2, 5, 20, 50] {
                    let config = SchedulerConfig { prediction_type, ..SchedulerConfig::default() };
                    let mut sampler = build(row.id, *schedule, &config, &model_json(row), steps).unwrap();
                    let calls = sampler.timesteps().len();
                    // Leading spacing with few steps begins where little noise is left: so does the sample.
                    let mut x = vec![0.0; clean.len()];
                    sampler.add_noise(0, &clean, &unit_normal(3, SHAPE), &mut x);
                    run(sampler.as_mut(), 0..calls, &mut x, &mut CounterRng::new(1, 0, 0, 0), &clean);
                    // DDIM, PLMS and TCD end at the noise of the first training step, 0.03 times some unit normals. PLMS
                    // combines velocities of several noise levels as if they were of one, as in diffusers.
                    let crude = row.id == SamplerId::Pndm && prediction_type == PredictionType::VPrediction;
                    let tolerance = if crude { 0.5 } else { 0.1 };
                    let error = x.iter().zip(&clean).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
                    let case = format!("{} {schedule} {prediction_type:?} {steps}", row.label());
                    assert!(x.iter().all(|v| v.is_finite()) && error < tolerance, "{case}: {error}");
                    assert_eq!(sampler.denoised().len(), x.len(), "{case}");
                    assert_eq!(sampler.sigmas().len(), calls + 1, "{case}");
                }
            }
        }
    }
}

#[test]
fn a_kept_state_goes_on_to_the_same_bits() {
    let clean = clean_sample();
    for row in SAMPLERS {
        let (config, json) = (SchedulerConfig::default(), model_json(row));
        let build = || build(row.id, ScheduleId::Automatic, &config, &json, 8).unwrap();
        let (mut whole, mut first, mut second) = (build(), build(), build());
        let calls = whole.timesteps().len();
        let mut expected = started(whole.as_ref());
        let mut x = expected.clone();
        let mut noise = CounterRng::new(2, 0, 0, 0);
        run(whole.as_mut(), 0..calls, &mut expected, &mut noise, &clean);
        for middle in 1..calls {
            let mut part = x.clone();
            let mut noise = CounterRng::new(2, 0, 0, 0);
            first.set_state(SamplerState::default());
            run(first.as_mut(), 0..middle, &mut part, &mut noise, &clean);
            let kept = serde_json::to_string(first.state()).unwrap();
            second.set_state(serde_json::from_str(&kept).unwrap());
            run(second.as_mut(), middle..calls, &mut part, &mut noise, &clean);
            assert_eq!(part, expected, "{} at {middle}", row.label());
        }
        x.clear();
    }
}

#[test]
fn a_copy_goes_its_own_way() {
    let config = SchedulerConfig::default();
    let mut sampler = build(SamplerId::DpmPp2m, ScheduleId::Karras, &config, &json!({}), 4).unwrap();
    let copy = sampler.boxed_clone();
    sampler.step(0, &[0.5; 4], &mut [1.0; 4], None);
    assert_eq!((sampler.state().calls, copy.state().calls), (1, 0));
}

#[test]
fn the_users_schedule_takes_the_place_of_the_models() {
    let (config, json) =
        (SchedulerConfig::default(), json!({"use_karras_sigmas": true, "timestep_spacing": "leading"}));
    let timesteps = |schedule| build(SamplerId::Euler, schedule, &config, &json, 20).unwrap().timesteps().to_vec();
    assert_eq!(timesteps(ScheduleId::Automatic), timesteps(ScheduleId::Karras));
    assert_eq!(timesteps(ScheduleId::Leading)[..2], [951.0, 901.0]);
    assert_eq!(timesteps(ScheduleId::Trailing)[..2], [999.0, 949.0]);
    assert_eq!((timesteps(ScheduleId::Linspace)[0], timesteps(ScheduleId::Linspace)[19]), (999.0, 0.0));
}

#[test]
fn latents_are_not_clipped_unless_the_model_says_so() {
    let config = SchedulerConfig::default();
    let after_one_step = |json| {
        let mut sampler = build(SamplerId::Ddim, ScheduleId::Automatic, &config, &json, 1).unwrap();
        let mut x = [9.0];
        sampler.step(0, &[0.0], &mut x, None);
        sampler.denoised()[0]
    };
    assert!(after_one_step(json!({})) > 8.9);
    assert_eq!(after_one_step(json!({"clip_sample": true})), 1.0);
}

#[test]
fn what_cannot_be_built_is_told() {
    let config = SchedulerConfig::default();
    let refused = |id, schedule, json, steps| build(id, schedule, &config, &json, steps).err().expect("an error");
    let error = refused(SamplerId::Ddim, ScheduleId::Karras, json!({}), 20);
    assert!(error.to_string().contains("Simple"), "{error}");
    refused(SamplerId::Lcm, ScheduleId::Automatic, json!({}), 51);
    refused(SamplerId::DpmPp2m, ScheduleId::Automatic, json!({}), 0);
    refused(SamplerId::DpmPp2m, ScheduleId::Automatic, json!({"use_flow_sigmas": true}), 20);
    refused(SamplerId::UniPc, ScheduleId::Automatic, json!({"solver_order": 9}), 20);
    let zero_snr = SchedulerConfig { rescale_betas_zero_snr: true, ..SchedulerConfig::default() };
    let json = json!({"rescale_betas_zero_snr": true});
    assert!(build(SamplerId::Ddim, ScheduleId::Trailing, &zero_snr, &json, 5).is_err());
    assert!(from_diffusers("DEISMultistepScheduler", &json!({}), &json!({}), 5).is_err());
    let sde = json!({"algorithm_type": "sde-dpmsolver", "final_sigmas_type": "sigma_min"});
    assert!(from_diffusers("DPMSolverSinglestepScheduler", &sde, &json!({}), 5).is_err());
    let terminal = json!({"shift_terminal": 0.1});
    assert!(from_diffusers("FlowMatchEulerDiscreteScheduler", &terminal, &json!({}), 1).is_err());
    assert!(from_diffusers("PNDMScheduler", &json!({}), &json!({}), 3).is_err(), "Runge-Kutta needs 4 steps");
    let sample = json!({"prediction_type": "sample", "skip_prk_steps": true});
    assert!(from_diffusers("PNDMScheduler", &sample, &json!({}), 5).is_err());
}

#[test]
fn samplers_and_models_of_two_kinds_are_kept_apart() {
    let config = SchedulerConfig::default();
    let flow = json!({"_class_name": "FlowMatchEulerDiscreteScheduler"});
    let diffusion = json!({"_class_name": "PNDMScheduler"});
    for row in SAMPLERS {
        let (own, other) = match row.kind {
            ModelKind::Diffusion => (&diffusion, &flow),
            ModelKind::FlowMatching => (&flow, &diffusion),
        };
        let result = |json| build(row.id, ScheduleId::Automatic, &config, json, 4).err();
        assert_eq!(result(own), None, "{}", row.label());
        let error = result(other).expect("an error").to_string();
        let offered = samplers_for(ModelKind::of(other)).next().expect("a sampler").label();
        assert!(error.contains(row.label()) && error.contains(offered), "{error}");
    }
    assert!(samplers_for(ModelKind::Diffusion).all(|id| id != SamplerId::FlowMatchEuler));
    let dynamic = json!({"use_dynamic_shifting": true});
    assert!(build(SamplerId::DpmPp2s, ScheduleId::Automatic, &config, &dynamic, 4).is_err());
}

#[test]
fn a_step_in_the_middle_of_a_picture_begins_without_a_past() {
    // Image to image: every sampler begins at any step, and a perfect network still leads to the clean sample.
    let (clean, config) = (clean_sample(), SchedulerConfig::default());
    for row in SAMPLERS {
        for first in 0..9 {
            let mut sampler = build(row.id, ScheduleId::Automatic, &config, &model_json(row), 9).unwrap();
            let (first, calls) = (first * sampler.order(), sampler.timesteps().len());
            let mut x = vec![0.0; clean.len()];
            sampler.add_noise(first, &clean, &unit_normal(3, SHAPE), &mut x);
            run(sampler.as_mut(), first..calls, &mut x, &mut CounterRng::new(1, 0, 0, 0), &clean);
            let error = x.iter().zip(&clean).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
            // Five times the deviation of the noise at the first training step, where some end. PLMS, as in diffusers, then
            // asks the network one timestep ahead of where its sample is.
            let tolerance = if row.id == SamplerId::Pndm { 0.5 } else { 0.15 };
            assert!(error < tolerance, "{} from {first}: {error}", row.label());
        }
    }
}
