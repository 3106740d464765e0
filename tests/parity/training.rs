//! Training against torch, diffusers' `train_text_to_image.py` and `EMAModel`: losses, gradients, parameters after
//! updates, averages, learning rates.

use atelier::domain::{PredictionType, Result};
use atelier::models::Model;
use atelier::models::unet::UNet;
use atelier::nn::Params;
use atelier::sampling::TrainingSchedule;
use atelier::train::{
    AdamWConfig, DiffusionLoss, Ema, EmaConfig, EmaWarmup, Gradients, Group as ParameterGroup, LossWeights, LrSchedule,
    LrShape, Parameters, Trainer, on_deep_stack,
};
use atelier::weights::TensorFile;
use candle_core::Tensor;
use serde_json::Value;

use crate::models::{load, tensor, values};
use crate::support::{self, Group, Tensors, folder, max_abs, read_json};

/// Tolerances of the reference's README: absolute, in f32 on a CPU.
const LOSS_TOLERANCE: f64 = 1e-5;
const PARAMETER_TOLERANCE: f64 = 2e-5;
const TABLE_TOLERANCE: f64 = 1e-9;
const LATENT_TOLERANCE: f64 = 1e-4;

/// Adam's first steps are about the learning rate in size whatever the gradient is, so that where a gradient is nearly
/// zero its rounding decides the direction. On average over a tensor that must not show.
const MEAN_PARAMETER_TOLERANCE: f64 = 1e-6;

fn gradient_tolerance(want: &[f32]) -> f64 {
    1e-5 + 1e-3 * max_abs(want)
}

#[test]
fn learning_rates() {
    support::group("learning rates", |group| {
        let file = read_json(&folder().join("training/lr_schedules.json"));
        let number = |value: &Value| value.as_f64().expect("a number");
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
    support::group("full fine-tuning", |group| {
        let index = read_json(&folder().join("training/index.json"));
        for (name, settings) in index.as_object().expect("models") {
            group.not_yet("LoRA training");
            // The model is made on the thread that trains it, as in the program.
            on_deep_stack(|| {
                match load(name) {
                    Ok(model) => train(group, name, settings, &model)?,
                    Err(reason) => group.not_yet(&reason),
                }
                Ok(())
            })
            .unwrap_or_else(|error| panic!("{name}: {error}"));
        }
    });
}

/// The batch of the reference and the network that learns from it.
struct Case {
    batch: Tensors,
    full: Tensors,
    unet: UNet,
    trainer: Trainer,
    context: Tensor,
    alphas_cumprod: Vec<f64>,
    timesteps: Vec<usize>,
    prediction_type: PredictionType,
}

impl Case {
    fn new(name: &str, settings: &Value, model: &Model) -> Result<Self> {
        let batch = Tensors::read(&format!("training/{name}/batch.safetensors"));
        let number = |value: &Value| value.as_f64().expect("a number");
        let path = folder().join("models").join(name).join("unet/diffusion_pytorch_model.safetensors");
        let params = Params::trainable(TensorFile::open(&path)?);
        let unet = UNet::new(&params, model.unet.config());
        params.finish("UNet")?;
        let mut parameters = Parameters::default();
        let group = ParameterGroup { weight_decay: number(&settings["weight_decay"]), ..ParameterGroup::default() };
        parameters.add("", params.trainable_vars(), group)?;
        let adam = AdamWConfig {
            beta1: number(&settings["betas"][0]),
            beta2: number(&settings["betas"][1]),
            eps: number(&settings["eps"]),
        };
        let schedule = LrSchedule {
            shape: LrShape::Constant,
            base: number(&settings["full"]["lr"]),
            warmup_steps: 0,
            total_steps: number(&settings["steps"]) as u64,
        };
        let ids = batch.get("input_ids");
        let rows: Vec<Vec<u32>> =
            ids.wholes().chunks_exact(ids.shape[1]).map(|row| row.iter().map(|id| *id as u32).collect()).collect();
        Ok(Self {
            full: Tensors::read(&format!("training/{name}/full.safetensors")),
            unet,
            trainer: Trainer::new(parameters, adam, None, schedule, number(&settings["clip"]))?,
            context: model.text.encoder.forward(&rows).expect("a context").last_hidden_state,
            alphas_cumprod: TrainingSchedule::new(&model.scheduler)?.alphas_cumprod().collect(),
            timesteps: batch.get("timesteps").wholes().iter().map(|timestep| *timestep as usize).collect(),
            prediction_type: model.prediction_type(),
            batch,
        })
    }

    fn diffusion_loss(&self, weights: LossWeights) -> DiffusionLoss {
        DiffusionLoss::new(self.alphas_cumprod.clone(), self.prediction_type, weights)
    }

    /// Loss and gradients of the parameters as they are.
    fn gradients(&self, loss: &DiffusionLoss) -> Result<(f64, Gradients)> {
        let latents = tensor(&self.batch, "latents");
        let noise = tensor(&self.batch, "noise");
        let noisy = loss.add_noise(&latents, &noise, &self.timesteps).expect("noisy latents");
        let target = loss.target(&latents, &noise, &self.timesteps).expect("a target");
        let times: Vec<f64> = self.timesteps.iter().map(|timestep| *timestep as f64).collect();
        let prediction = self.unet.forward(&noisy, &times, &self.context.clone().into()).expect("a prediction");
        let loss = loss.loss(&prediction, &target, &self.timesteps).expect("a loss");
        let value = f64::from(loss.to_scalar::<f32>().expect("a scalar"));
        Ok((value, Gradients::of(&loss, &self.trainer.parameters)?))
    }
}

fn train(group: &mut Group, name: &str, settings: &Value, model: &Model) -> Result<()> {
    let mut case = Case::new(name, settings, model)?;
    compare_batch(group, name, &case, model);
    let gamma = settings["min_snr_gamma"].as_f64().expect("gamma");
    for (kind, weights) in [("plain", LossWeights::Plain), ("min_snr", LossWeights::MinSnr { gamma })] {
        let (loss, gradients) = case.gradients(&case.diffusion_loss(weights))?;
        group.case();
        group.within(
            &format!("{name} loss {kind}"),
            &[loss],
            case.full.get(&format!("loss.{kind}")).floats(),
            LOSS_TOLERANCE,
        );
        for (parameter, gradient) in case.trainer.parameters.iter().zip(gradients.iter()) {
            let (path, got) = (&parameter.name, values(gradient));
            let norm = got.iter().map(|value| f64::from(*value).powi(2)).sum::<f64>().sqrt();
            let want = case.full.get(&format!("grad_norm.{kind}.{path}")).floats();
            group.within(&format!("{name} norm {kind} {path}"), &[norm], want, gradient_tolerance(want));
            if let Some(want) = case.full.find(&format!("grad.{kind}.{path}")) {
                let tolerance = gradient_tolerance(want.floats());
                group.within(&format!("{name} gradient {kind} {path}"), &got, want.floats(), tolerance);
            }
        }
    }
    updates(group, name, &mut case)
}

/// Latents, noisy latents, target and signal-to-noise ratios.
fn compare_batch(group: &mut Group, name: &str, case: &Case, model: &Model) {
    let batch = &case.batch;
    let loss = case.diffusion_loss(LossWeights::Plain);
    let encoded = model.vae.encode(&tensor(batch, "pixel_values")).expect("latents");
    let latents = (encoded.sample(&tensor(batch, "vae_noise")).expect("latents") * model.vae.config().scaling_factor)
        .expect("latents");
    group.within(&format!("{name} latents"), &values(&latents), batch.get("latents").floats(), LATENT_TOLERANCE);
    let (latents, noise) = (tensor(batch, "latents"), tensor(batch, "noise"));
    for (what, got) in [
        ("noisy_latents", loss.add_noise(&latents, &noise, &case.timesteps)),
        ("target", loss.target(&latents, &noise, &case.timesteps)),
    ] {
        let got = values(&got.expect("a tensor"));
        group.within(&format!("{name} {what}"), &got, batch.get(what).floats(), LOSS_TOLERANCE);
    }
    let snr: Vec<f64> = case.timesteps.iter().map(|timestep| loss.snr(*timestep)).collect();
    group.within_relative(&format!("{name} snr"), &snr, batch.get("snr").floats(), 1e-5);
}

/// The updates, with both averages beside them.
fn updates(group: &mut Group, name: &str, case: &mut Case) -> Result<()> {
    let warmup = EmaWarmup { inv_gamma: 1.0, power: 0.75 };
    let slow = EmaConfig { min_decay: 0.1, warmup: Some(warmup), ..EmaConfig::default() };
    let mut averages = [("ema", EmaConfig::default()), ("ema_warmup", slow)]
        .map(|(label, config)| Ema::new(&case.trainer.parameters, config).map(|ema| (label, ema)))
        .into_iter()
        .collect::<Result<Vec<_>>>()?;
    let loss = case.diffusion_loss(LossWeights::Plain);
    let (mut losses, mut norms) = (Vec::new(), Vec::new());
    for step in 1..=case.trainer.schedule.total_steps {
        let (value, gradients) = case.gradients(&loss)?;
        let update = case.trainer.update(value, &gradients)?;
        losses.push(update.loss);
        norms.push(update.grad_norm);
        compare_parameters(group, case, &format!("step{step}"), name, &case.trainer.parameters.values()?);
        for (label, ema) in &mut averages {
            ema.update(&case.trainer.parameters)?;
            compare_parameters(group, case, &format!("{label}.step{step}"), name, &ema.shadow);
        }
    }
    group.case();
    group.within(&format!("{name} losses"), &losses, case.full.get("losses").floats(), LOSS_TOLERANCE);
    let want = case.full.get("grad_norms_before_clip").floats();
    group.within(&format!("{name} norms"), &norms, want, gradient_tolerance(want));
    for (label, ema) in &averages {
        // The file has f32 values.
        let got: Vec<f32> = (1..=norms.len() as u64).map(|step| ema.config.decay_at(step) as f32).collect();
        let want = case.full.get(&format!("{label}_decay")).floats();
        group.case();
        group.within(&format!("{name} {label} decay"), &got, want, TABLE_TOLERANCE);
    }
    Ok(())
}

/// Those parameters that the file has under `label`.
fn compare_parameters(group: &mut Group, case: &Case, label: &str, name: &str, all: &[Vec<f32>]) {
    for (parameter, got) in case.trainer.parameters.iter().zip(all) {
        let path = &parameter.name;
        let Some(want) = case.full.find(&format!("{label}.{path}")).map(support::Stored::floats) else { continue };
        let what = format!("{name} {label} {path}");
        group.within(&what, got, want, PARAMETER_TOLERANCE);
        let sum: f64 = got.iter().zip(want).map(|(got, want)| f64::from((got - want).abs())).sum();
        group.error(&format!("{what} on average"), sum / want.len() as f64, MEAN_PARAMETER_TOLERANCE);
    }
}
