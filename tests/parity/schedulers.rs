//! Schedules and samplers against diffusers' schedulers, all variants of the reference data.

use atelier::domain::SchedulerConfig;
use atelier::sampling::{Sampler, TrainingSchedule, from_diffusers};
use serde_json::{Map, Value, json};

use crate::support::{self, Group, Tensors, max_abs};

/// Of sigmas, fractional timesteps and alphas, relative: diffusers keeps them in f32.
const SCHEDULE_TOLERANCE: f64 = 1e-5;
/// Of a whole trajectory, relative to the largest value on its way: errors of each step add up.
const TRAJECTORY_TOLERANCE: f64 = 1e-4;
/// Of a single step, and of what the network sees, relative to the largest value on the way: diffusers computes in f32.
const STEP_TOLERANCE: f64 = 2e-5;
/// The data's `add_noise` tensors were made with schedules of this many steps (said in its description alone).
const ADD_NOISE_STEPS: usize = 10;

struct Reference {
    json: Value,
    tensors: Tensors,
}

impl Reference {
    fn read() -> Self {
        let json = support::read_json(&support::path("schedulers/cases.json"));
        Self { json, tensors: Tensors::read("schedulers/cases.safetensors") }
    }

    fn cases(&self) -> impl Iterator<Item = &Value> {
        self.json["cases"].as_array().expect("cases").iter()
    }

    /// Calls `check` with every case. A class without a sampler is a failure.
    fn each(&self, group: &mut Group, check: impl Fn(&mut Group, &Case, Box<dyn Sampler>)) {
        for json in self.cases() {
            let case = Case { json, tensors: &self.tensors };
            group.case();
            match case.sampler() {
                Ok(sampler) => check(group, &case, sampler),
                Err(error) => group.fail(format!("{}: {error}", case.id())),
            }
        }
    }
}

struct Case<'a> {
    json: &'a Value,
    tensors: &'a Tensors,
}

impl Case<'_> {
    fn text(&self, key: &str) -> &str {
        self.json[key].as_str().unwrap_or_else(|| panic!("{key} is not a text"))
    }

    fn id(&self) -> &str {
        self.text("id")
    }

    fn sampler(&self) -> atelier::domain::Result<Box<dyn Sampler>> {
        let mut arguments = Map::new();
        for key in ["set_timesteps", "step"] {
            arguments.extend(self.json[key].as_object().expect("arguments").clone());
        }
        // For DPM++ SDE the data's own unit normals take the place of torchsde's path; other classes do not read this.
        arguments.insert("brownian_path".into(), false.into());
        let steps = self.json["steps"].as_u64().expect("a number of steps") as usize;
        from_diffusers(self.text("scheduler"), &self.json["config"], &Value::Object(arguments), steps)
    }

    fn tensor(&self, name: &str) -> &support::Stored {
        self.tensors.get(&format!("{}/{name}", self.id()))
    }

    /// How far off, relatively, timestep `i` may be because diffusers lost digits of it.
    ///
    /// It takes the midpoints of DPM2 a from `next^2 - up^2` in f32, a difference of two numbers that are nearly equal
    /// where the next sigma is much smaller: of their rounding errors, `(sigma / next)^2` times as much is left.
    fn cancelled(&self, i: usize) -> f64 {
        if self.text("scheduler") != "KDPM2AncestralDiscreteScheduler" || i.is_multiple_of(2) {
            return 0.0;
        }
        let sigmas = self.tensor("sigmas").floats();
        f64::from(sigmas[i - 1] / sigmas[i]).powi(2) * f64::from(f32::EPSILON)
    }

    /// The noise that step `i` was given, where the case has any.
    fn noise(&self, i: usize) -> Option<&[f32]> {
        (self.json["noise_drawn"][i] == 1).then(|| self.tensor("noise").row(i))
    }
}

/// The stand-in for a network that the data was made with.
fn model(input: &[f32], timestep: f64) -> Vec<f32> {
    let factor = 0.9 * (timestep / 1000.0).cos();
    input.iter().map(|x| (f64::from(*x) * factor + 0.1 * f64::from(*x).sin()) as f32).collect()
}

#[test]
fn schedules() {
    support::group("schedulers/schedules", |group| {
        Reference::read().each(group, |group, case, sampler| {
            let id = case.id();
            let (timesteps, stored) = (sampler.timesteps(), case.tensor("timesteps").floats());
            if case.json["integer_timesteps"] == true {
                let stored: Vec<f64> = stored.iter().map(|t| f64::from(*t)).collect();
                group.equal(&format!("{id} timesteps"), &timesteps, &stored.as_slice());
            } else {
                group.equal(&format!("{id} number of timesteps"), &timesteps.len(), &stored.len());
                for (i, (got, want)) in timesteps.iter().zip(stored).enumerate() {
                    let (what, tolerance) = (format!("{id} timestep {i}"), SCHEDULE_TOLERANCE + case.cancelled(i));
                    // Below timestep 1 the tolerance is absolute: f32 logarithms of sigmas tell no more.
                    group.within_relative_above(&what, &[*got], &[*want], tolerance, 1.0);
                }
            }
            if let Some(sigmas) = case.tensors.find(&format!("{id}/sigmas")) {
                let what = format!("{id} sigmas");
                // The two DPM2 have more of the final zeros than they use.
                let listed = sampler.sigmas().len().min(sigmas.floats().len());
                let (used, unused) = sigmas.floats().split_at(listed);
                group.within_relative(&what, sampler.sigmas(), used, SCHEDULE_TOLERANCE);
                group.equal(&what, &unused, &vec![0.0; unused.len()].as_slice());
            }
            let init = case.tensor("init_noise_sigma").floats();
            let what = format!("{id} init_noise_sigma");
            group.within_relative(&what, &[sampler.init_noise_sigma()], init, SCHEDULE_TOLERANCE);
            group.equal(&format!("{id} order"), &Some(sampler.order() as u64), &case.json["order"].as_u64());
            let draws: Vec<u64> = (0..timesteps.len()).map(|i| u64::from(sampler.draws_noise(i))).collect();
            group.equal(&format!("{id} noise drawn"), &json!(draws), &case.json["noise_drawn"]);
        });
    });
}

#[test]
fn trajectories() {
    let reference = Reference::read();
    let initial = reference.tensors.get("initial").floats();
    support::group("schedulers/trajectories", |group| {
        reference.each(group, |group, case, mut sampler| {
            let (stored, inputs) = (case.tensor("x"), case.tensor("model_input"));
            let mut x: Vec<f32> =
                initial.iter().map(|value| (f64::from(*value) * sampler.init_noise_sigma()) as f32).collect();
            let (mut input, mut largest) = (vec![0.0; x.len()], 1.0_f64);
            let calls = sampler.timesteps().len();
            group.equal(&format!("{} calls", case.id()), &(calls + 1), &stored.shape[0]);
            for i in 0..calls {
                largest = largest.max(max_abs(stored.row(i)));
                sampler.scale_model_input(i, &x, &mut input);
                let what = format!("{} input {i}", case.id());
                group.within(&what, &input, inputs.row(i), TRAJECTORY_TOLERANCE * largest);
                let output = model(&input, sampler.timesteps()[i]);
                sampler.step(i, &output, &mut x, case.noise(i));
                largest = largest.max(max_abs(stored.row(i + 1)));
                let what = format!("{} step {i}", case.id());
                group.within(&what, &x, stored.row(i + 1), TRAJECTORY_TOLERANCE * largest);
            }
        });
    });
}

#[test]
fn single_steps() {
    support::group("schedulers/steps", |group| {
        Reference::read().each(group, |group, case, mut sampler| {
            let (stored, inputs) = (case.tensor("x"), case.tensor("model_input"));
            let mut largest = 1.0_f64;
            for i in 0..sampler.timesteps().len() {
                let mut x = stored.row(i).to_vec();
                largest = largest.max(max_abs(&x));
                let mut input = vec![0.0; x.len()];
                sampler.scale_model_input(i, &x, &mut input);
                let what = format!("{} input {i}", case.id());
                group.within(&what, &input, inputs.row(i), STEP_TOLERANCE * max_abs(inputs.row(i)).max(1.0));
                let output = model(inputs.row(i), sampler.timesteps()[i]);
                sampler.step(i, &output, &mut x, case.noise(i));
                largest = largest.max(max_abs(stored.row(i + 1)));
                let what = format!("{} step {i}", case.id());
                group.within(&what, &x, stored.row(i + 1), STEP_TOLERANCE * largest);
            }
        });
    });
}

/// What the configurations of a file have in common: the training schedule alone.
fn training_config(config: &Value) -> Value {
    let keys = ["num_train_timesteps", "beta_start", "beta_end", "beta_schedule"];
    keys.iter().map(|key| ((*key).to_owned(), config[*key].clone())).collect::<Map<_, _>>().into()
}

#[test]
fn add_noise() {
    let reference = Reference::read();
    let tensor = |name: &str| reference.tensors.get(&format!("add_noise/{name}")).floats();
    let (clean, noise) = (tensor("clean"), tensor("noise"));
    let config = training_config(&reference.cases().next().expect("a case")["config"]);
    support::group("schedulers/add_noise", |group| {
        let entries = reference.json["add_noise"].as_array().expect("add_noise");
        for (n, entry) in entries.iter().enumerate() {
            let class = entry["scheduler"].as_str().expect("a class");
            group.case();
            let sampler = match from_diffusers(class, &config, &json!({}), ADD_NOISE_STEPS) {
                Ok(sampler) => sampler,
                Err(error) => {
                    group.fail(format!("{class}: {error}"));
                    continue;
                }
            };
            let index = entry["timesteps_index"].as_u64().expect("an index") as usize;
            let what = format!("{class}/{index}");
            let told = entry["timestep"].as_f64().expect("a timestep");
            group.within(&format!("{what} timestep"), &[sampler.timesteps()[index]], &[told], 1e-3);
            let mut out = vec![0.0; clean.len()];
            sampler.add_noise(index, clean, noise, &mut out);
            // The tensors are numbered by step, the entries by evaluation.
            let step = index / sampler.order();
            let want = tensor(&format!("{class}/{step}"));
            group.within(&format!("{what} (entry {n})"), &out, want, STEP_TOLERANCE * max_abs(want).max(1.0));
        }
    });
}

#[test]
fn alphas_cumprod() {
    let reference = Reference::read();
    let base = training_config(&reference.cases().next().expect("a case")["config"]);
    support::group("schedulers/alphas_cumprod", |group| {
        for name in reference.tensors.names().filter_map(|name| name.strip_prefix("alphas_cumprod/")) {
            group.case();
            let change = match name {
                "scaled_linear" => json!({}),
                "zero_snr" => json!({"rescale_betas_zero_snr": true}),
                "cosine" => json!({"beta_schedule": "squaredcos_cap_v2"}),
                "linear" => json!({"beta_schedule": "linear", "beta_start": 0.0001, "beta_end": 0.02}),
                other => panic!("the reference data has a schedule {other} that this test does not know"),
            };
            let mut config = base.clone();
            config.as_object_mut().expect("an object").extend(change.as_object().expect("an object").clone());
            let config: SchedulerConfig = serde_json::from_value(config).expect("a configuration");
            let alphas: Vec<f64> = TrainingSchedule::new(&config).expect("a schedule").alphas_cumprod().collect();
            let want = reference.tensors.get(&format!("alphas_cumprod/{name}")).floats();
            group.within_relative(name, &alphas, want, SCHEDULE_TOLERANCE);
        }
    });
}
