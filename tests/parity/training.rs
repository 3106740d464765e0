//! Training against torch, diffusers' `train_text_to_image.py` and `EMAModel`: losses, gradients, parameters after
//! updates, averages, learning rates.

use atelier::domain::Result;
use atelier::domain::training::{Method, Targets, TrainingConfig};
use atelier::models::text::{Ids, Sizes};
use atelier::train::{
    AdamWConfig, Batch, Ema, EmaConfig, EmaWarmup, Gradients, Learner, LrSchedule, LrShape, Trainer, on_deep_stack,
};
use serde_json::Value;

use crate::models::{load, slack, tensor, values};
use crate::support::{self, Group, Tensors, folder, max_abs, read_json};

/// Tolerances of the reference's README: absolute, in f32 on a CPU.
const LOSS_TOLERANCE: f64 = 1e-5;
const PARAMETER_TOLERANCE: f64 = 2e-5;
const TABLE_TOLERANCE: f64 = 1e-9;
const LATENT_TOLERANCE: f64 = 1e-4;
/// That of text encoders.
const CONTEXT_TOLERANCE: f64 = 3e-5;

/// Adam's first steps are about the learning rate in size whatever the gradient is, so that where a gradient is nearly
/// zero its rounding decides the direction. On average over a tensor that must not show.
const MEAN_PARAMETER_TOLERANCE: f64 = 1e-6;

fn gradient_tolerance(want: &[f32]) -> f64 {
    slack() * (1e-5 + 1e-3 * max_abs(want))
}

#[test]
fn learning_rates() {
    support::group("learning rates", |group| {
        let file = read_json(&folder().join("training/lr_schedules.json"));
        for (name, table) in file["tables"].as_object().expect("tables") {
            let shape = match name.as_str() {
                "constant" => LrShape::Constant,
                "constant_with_warmup" => LrShape::ConstantWithWarmup,
                "linear" => LrShape::Linear,
                "cosine" => LrShape::Cosine,
                "cosine_with_restarts" => LrShape::CosineWithRestarts { cycles: number(&table["num_cycles"]) },
                "polynomial" => LrShape::Polynomial { power: number(&table["power"]) },
                other => {
                    group.not_yet(other);
                    continue;
                }
            };
            let schedule = LrSchedule {
                shape,
                base: number(&file["base_lr"]),
                warmup_steps: number(&file["warmup"]) as u64,
                total_steps: number(&file["total"]) as u64,
            };
            let want: Vec<f64> = table["values"].as_array().expect("values").iter().map(number).collect();
            let got: Vec<f64> = (0..want.len() as u64).map(|step| schedule.at(step)).collect();
            group.case();
            group.within(name, &got, &want, TABLE_TOLERANCE);
        }
    });
}

#[test]
fn full_fine_tuning() {
    each_training("full fine-tuning", Method::Full);
}

#[test]
fn lora_training() {
    each_training("LoRA training", Method::Lora);
}

/// Every training of the reference by a method, plain and with blocks that are computed again for their gradients.
fn each_training(name: &'static str, method: Method) {
    support::group(name, |group| {
        let index = read_json(&folder().join("training/index.json"));
        for (name, settings) in index.as_object().expect("models") {
            for checkpointing in [false, true] {
                // The model is made on the thread that trains it, as in the program.
                on_deep_stack(|| train(group, name, settings, method, checkpointing))
                    .unwrap_or_else(|error| panic!("{name}: {error}"));
            }
        }
    });
}

/// The batch of the reference and the model that learns from it.
struct Case {
    name: String,
    settings: Value,
    batch: Tensors,
    wanted: Tensors,
    learner: Learner,
    trainer: Trainer,
    ids: Ids,
    timesteps: Vec<usize>,
}

fn number(value: &Value) -> f64 {
    value.as_f64().expect("a number")
}

impl Case {
    /// `gamma` is that of min-SNR.
    fn new(name: &str, settings: &Value, method: Method, checkpointing: bool, gamma: Option<f64>) -> Result<Self> {
        let model = load(name).expect("every model with a training can be loaded");
        let batch = Tensors::read(&format!("training/{name}/batch.safetensors"));
        let kind = if method == Method::Lora { "lora" } else { "full" };
        let wanted = Tensors::read(&format!("training/{name}/{kind}.safetensors"));
        let mut config = TrainingConfig { method, ..TrainingConfig::default() };
        config.loss.min_snr_gamma = gamma;
        config.optimizer.learning_rate = number(&settings[kind]["lr"]);
        config.optimizer.weight_decay = number(&settings["weight_decay"]);
        config.steps.gradient_checkpointing = checkpointing;
        if method == Method::Lora {
            let lora = &settings["lora"];
            config.lora.rank = number(&lora["rank"]) as u32;
            config.lora.alpha = number(&lora["alpha"]);
            config.lora.targets = Targets::Attention;
            config.text_encoder = lora["text_encoder"].as_bool().expect("whether the text encoder learns");
        }
        let ids = batch.get("input_ids");
        let rows: Vec<Vec<u32>> =
            ids.wholes().chunks_exact(ids.shape[1]).map(|row| row.iter().map(|id| *id as u32).collect()).collect();
        let (learner, parameters) = Learner::new(model, &config)?;
        if method == Method::Lora {
            let begin: Vec<Vec<f32>> = parameters
                .iter()
                .map(|parameter| wanted.get(&format!("init.{}", parameter.name)).floats().to_vec())
                .collect();
            parameters.set_values(&begin)?;
        }
        let adam = AdamWConfig {
            beta1: number(&settings["betas"][0]),
            beta2: number(&settings["betas"][1]),
            eps: number(&settings["eps"]),
        };
        let schedule = LrSchedule {
            shape: LrShape::Constant,
            base: config.optimizer.learning_rate,
            warmup_steps: 0,
            total_steps: number(&settings["steps"]) as u64,
        };
        Ok(Self {
            name: format!("{name}{}", if checkpointing { " checkpointed" } else { "" }),
            settings: settings.clone(),
            learner,
            trainer: Trainer::new(parameters, adam, None, schedule, number(&settings["clip"]))?,
            ids: Ids { first: rows, second: Vec::new() },
            timesteps: batch.get("timesteps").wholes().iter().map(|timestep| *timestep as usize).collect(),
            batch,
            wanted,
        })
    }

    fn batch(&self) -> Result<Batch> {
        let sizes = vec![Sizes::whole(0, 0); self.ids.first.len()];
        Ok(Batch {
            latents: tensor(&self.batch, "latents"),
            noise: tensor(&self.batch, "noise"),
            timesteps: self.timesteps.clone(),
            condition: self.learner.condition(&self.ids, &sizes)?,
        })
    }

    /// Loss and gradients of the parameters as they are.
    fn gradients(&self) -> Result<(f64, Gradients)> {
        let loss = self.learner.loss(&self.batch()?)?;
        let value = f64::from(loss.to_scalar::<f32>().expect("a scalar"));
        Ok((value, Gradients::of(&loss, &self.trainer.parameters)?))
    }

    /// The name of a parameter in the reference: that of whole networks has no prefix.
    fn wanted_name<'a>(&self, name: &'a str) -> &'a str {
        if self.wanted.find("prediction").is_some() { name } else { name.trim_start_matches("unet.") }
    }
}

fn train(group: &mut Group, name: &str, settings: &Value, method: Method, checkpointing: bool) -> Result<()> {
    let gamma = settings["min_snr_gamma"].as_f64().expect("gamma");
    for (kind, gamma) in [("min_snr", Some(gamma)), ("plain", None)] {
        let mut case = Case::new(name, settings, method, checkpointing, gamma)?;
        if kind == "plain" && !checkpointing {
            compare_batch(group, &case);
        }
        compare_gradients(group, &case, kind)?;
        if kind == "plain" {
            updates(group, &mut case)?;
        }
    }
    Ok(())
}

/// The loss, and of every parameter the gradient or its norm, whichever the file has.
fn compare_gradients(group: &mut Group, case: &Case, kind: &str) -> Result<()> {
    let name = &case.name;
    if let (Some(prediction), Some(context)) = (case.wanted.find("prediction"), case.wanted.find("context")) {
        let batch = case.batch()?;
        let got = values(&case.learner.prediction(&batch)?);
        group.within(&format!("{name} prediction"), &got, prediction.floats(), slack() * LATENT_TOLERANCE);
        let got = values(&batch.condition.text);
        group.within(&format!("{name} context"), &got, context.floats(), slack() * CONTEXT_TOLERANCE);
    }
    let (loss, gradients) = case.gradients()?;
    group.case();
    let want = case.wanted.get(&format!("loss.{kind}")).floats();
    group.within(&format!("{name} loss {kind}"), &[loss], want, slack() * LOSS_TOLERANCE);
    let mut compared = 0;
    for (parameter, gradient) in case.trainer.parameters.iter().zip(gradients.iter()) {
        let (path, got) = (case.wanted_name(&parameter.name), values(gradient));
        let norm = got.iter().map(|value| f64::from(*value).powi(2)).sum::<f64>().sqrt();
        if let Some(want) = case.wanted.find(&format!("grad_norm.{kind}.{path}")) {
            let want = want.floats();
            group.within(&format!("{name} norm {kind} {path}"), &[norm], want, gradient_tolerance(want));
            compared += 1;
        }
        if let Some(want) = case.wanted.find(&format!("grad.{kind}.{path}")) {
            let tolerance = gradient_tolerance(want.floats());
            group.within(&format!("{name} gradient {kind} {path}"), &got, want.floats(), tolerance);
            compared += 1;
        }
    }
    if compared < case.trainer.parameters.iter().len() {
        group.fail(format!("{name}: of {} parameters only {compared} gradients", case.trainer.parameters.iter().len()));
    }
    // And none of the file's is left over.
    let prefix = format!("grad.{kind}.");
    for path in case.wanted.names().filter_map(|name| name.strip_prefix(&prefix)) {
        if !case.trainer.parameters.iter().any(|parameter| case.wanted_name(&parameter.name) == path) {
            group.fail(format!("{name}: {path} is not trained"));
        }
    }
    Ok(())
}

/// Latents, noisy latents, target and signal-to-noise ratios.
fn compare_batch(group: &mut Group, case: &Case) {
    let (batch, name) = (&case.batch, &case.name);
    let loss = case.learner.diffusion_loss();
    let vae = &case.learner.model.vae;
    let encoded = vae.encode(&tensor(batch, "pixel_values")).expect("latents");
    let latents =
        (encoded.sample(&tensor(batch, "vae_noise")).expect("latents") * vae.config().scaling_factor).expect("latents");
    group.within(
        &format!("{name} latents"),
        &values(&latents),
        batch.get("latents").floats(),
        slack() * LATENT_TOLERANCE,
    );
    let (latents, noise) = (tensor(batch, "latents"), tensor(batch, "noise"));
    for (what, got) in [
        ("noisy_latents", loss.add_noise(&latents, &noise, &case.timesteps)),
        ("target", loss.target(&latents, &noise, &case.timesteps)),
    ] {
        let got = values(&got.expect("a tensor"));
        group.within(&format!("{name} {what}"), &got, batch.get(what).floats(), slack() * LOSS_TOLERANCE);
    }
    let snr: Vec<f64> = case.timesteps.iter().map(|timestep| loss.snr(*timestep)).collect();
    group.within_relative(&format!("{name} snr"), &snr, batch.get("snr").floats(), 1e-5);
}

/// The updates, with both averages beside them.
fn updates(group: &mut Group, case: &mut Case) -> Result<()> {
    let name = case.name.clone();
    let warmup = EmaWarmup { inv_gamma: 1.0, power: 0.75 };
    let slow = EmaConfig { min_decay: 0.1, warmup: Some(warmup), ..EmaConfig::default() };
    let mut averages = [("ema", EmaConfig::default()), ("ema_warmup", slow)]
        .map(|(label, config)| Ema::new(&case.trainer.parameters, config).map(|ema| (label, ema)))
        .into_iter()
        .collect::<Result<Vec<_>>>()?;
    let (mut losses, mut norms) = (Vec::new(), Vec::new());
    for step in 1..=number(&case.settings["steps"]) as u64 {
        let (value, gradients) = case.gradients()?;
        let update = case.trainer.update(value, &gradients)?;
        losses.push(update.loss);
        norms.push(update.grad_norm);
        compare_parameters(group, case, &format!("step{step}"), &case.trainer.parameters.values()?);
        for (label, ema) in &mut averages {
            ema.update(&case.trainer.parameters)?;
            compare_parameters(group, case, &format!("{label}.step{step}"), &ema.shadow);
        }
    }
    group.case();
    group.within(&format!("{name} losses"), &losses, case.wanted.get("losses").floats(), slack() * LOSS_TOLERANCE);
    let want = case.wanted.get("grad_norms_before_clip").floats();
    group.within(&format!("{name} norms"), &norms, want, gradient_tolerance(want));
    for (label, ema) in &averages {
        let Some(want) = case.wanted.find(&format!("{label}_decay")) else { continue };
        // The file has f32 values.
        let got: Vec<f32> = (1..=norms.len() as u64).map(|step| ema.config.decay_at(step) as f32).collect();
        group.case();
        group.within(&format!("{name} {label} decay"), &got, want.floats(), TABLE_TOLERANCE);
    }
    Ok(())
}

/// Those parameters that the file has under `label`.
fn compare_parameters(group: &mut Group, case: &Case, label: &str, all: &[Vec<f32>]) {
    for (parameter, got) in case.trainer.parameters.iter().zip(all) {
        let path = case.wanted_name(&parameter.name);
        let Some(want) = case.wanted.find(&format!("{label}.{path}")).map(support::Stored::floats) else { continue };
        let what = format!("{} {label} {path}", case.name);
        group.within(&what, got, want, slack() * PARAMETER_TOLERANCE);
        let sum: f64 = got.iter().zip(want).map(|(got, want)| f64::from((got - want).abs())).sum();
        group.error(&format!("{what} on average"), sum / want.len() as f64, slack() * MEAN_PARAMETER_TOLERANCE);
    }
}
