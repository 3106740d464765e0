//! [`Learner`]: a model of which a part is trained, and the loss of a batch.

use candle_core::Tensor;

use super::lora::{begin, targets};
use super::{DiffusionLoss, Group, LossWeights, Parameters};
use crate::domain::training::{Method, TrainingConfig};
use crate::domain::{FamilyId, Result, UserError};
use crate::models::Model;
use crate::models::embeddings::Condition;
use crate::models::text::{Ids, Sizes, encode_ids};
use crate::nn::engine_error;
use crate::sampling::TrainingSchedule;
use crate::weights::layout;
use crate::weights::lora::{Component, ModelModules, Module, SavedPair};

/// A model of which a part is trained.
pub struct Learner {
    /// The model, with its trained part.
    pub model: Model,
    loss: DiffusionLoss,
    /// What an adapter changes; nothing where whole parts are trained.
    pub(super) pairs: Vec<SavedPair>,
    /// The model's layers, for their names in files.
    pub(super) modules: ModelModules,
}

/// What one evaluation learns from, all of one size.
pub struct Batch {
    /// Scaled latents `[batch, channels, height, width]`.
    pub latents: Tensor,
    /// Noise of the same shape.
    pub noise: Tensor,
    /// How noisy each is.
    pub timesteps: Vec<usize>,
    /// What the network is told of each.
    pub condition: Condition,
}

/// Looks whether a family can be trained.
///
/// # Errors
/// When it cannot, with the reason.
pub fn check_family(model: &Model) -> Result<()> {
    let capabilities = &model.family.capabilities;
    let why = match capabilities.family {
        FamilyId::Starter | FamilyId::Sd1 | FamilyId::Sd2 | FamilyId::Sdxl => return Ok(()),
        FamilyId::Sd1Inpaint | FamilyId::Sd2Inpaint | FamilyId::SdxlInpaint => {
            "it paints parts of pictures anew, which a data set of pictures and captions does not teach"
        }
        FamilyId::Lcm | FamilyId::SdTurbo | FamilyId::SdxlTurbo => {
            "it was distilled to need few steps, which a training would undo"
        }
    };
    Err(UserError::input(format!("{} cannot be trained: {why}", capabilities.label))
        .hint("train the model that it was made from; an adapter of that fits this one too"))
}

/// The parts that learn.
fn parts(model: &Model, config: &TrainingConfig) -> Vec<Component> {
    let mut parts = vec![Component::UNet];
    if config.text_encoder {
        parts.push(Component::TextEncoder);
        parts.extend(model.text_2.as_ref().map(|_| Component::TextEncoder2));
    }
    parts
}

/// Whether a weight or layer of a text encoder has no say in the context: of two encoders the first one's last layer,
/// because the context is taken from before it, and what follows.
fn is_unused(model: &Model, component: Component, path: &str) -> bool {
    if component != Component::TextEncoder || model.text_2.is_none() {
        return false;
    }
    let last = model.text.encoder.config().num_hidden_layers.saturating_sub(1);
    path.starts_with(&format!("encoder.layers.{last}."))
        || path.starts_with("final_layer_norm.")
        || path.starts_with("text_projection")
}

/// How many numbers a training would train. Nothing is made for it.
///
/// # Errors
/// When the model lacks a part.
pub(super) fn trained(model: &Model, config: &TrainingConfig) -> Result<u64> {
    let modules = model.modules();
    let mut sum = 0;
    for component in parts(model, config) {
        match config.method {
            Method::Lora => {
                let layers = targets(&modules, component, config.lora.targets);
                let layers = layers.iter().filter(|layer| !is_unused(model, component, &layer.path));
                // `down` has the rank's rows, `up` its columns.
                let numbers = |layer: &Module| (layer.rows() + layer.columns()) as u64 * u64::from(config.lora.rank);
                sum += layers.map(numbers).sum::<u64>();
            }
            Method::Full => {
                let part = match component {
                    Component::UNet => layout::Component::Unet,
                    Component::TextEncoder => layout::Component::TextEncoder,
                    Component::TextEncoder2 => layout::Component::TextEncoder2,
                };
                let tensors = model.part_file(part)?.tensors();
                let used = tensors.iter().filter(|(path, _)| !is_unused(model, component, path));
                sum += used.map(|(_, info)| info.shape.iter().product::<usize>() as u64).sum::<u64>();
            }
        }
    }
    Ok(sum)
}

impl Learner {
    /// Prepares a model for training, and gives what is trained.
    ///
    /// # Errors
    /// When the model cannot be trained, or has no layer to change.
    pub fn new(mut model: Model, config: &TrainingConfig) -> Result<(Self, Parameters)> {
        check_family(&model)?;
        let schedule = TrainingSchedule::new(&model.scheduler)?;
        let weights = match config.loss.min_snr_gamma {
            Some(gamma) => LossWeights::MinSnr { gamma },
            None => LossWeights::Plain,
        };
        let loss = DiffusionLoss::new(schedule.alphas_cumprod().collect(), model.prediction_type(), weights);
        let modules = model.modules();
        let optimizer = &config.optimizer;
        let unet_group = Group { lr_factor: 1.0, weight_decay: optimizer.weight_decay };
        let text_rate = optimizer.text_encoder_learning_rate.unwrap_or(optimizer.learning_rate);
        let text_group = Group { lr_factor: text_rate / optimizer.learning_rate, ..unet_group };
        let (mut parameters, mut pairs) = (Parameters::default(), Vec::new());
        for component in parts(&model, config) {
            let group = if component == Component::UNet { unet_group } else { text_group };
            match config.method {
                Method::Lora => {
                    let mut layers = targets(&modules, component, config.lora.targets);
                    layers.retain(|layer| !is_unused(&model, component, &layer.path));
                    if layers.is_empty() {
                        return Err(UserError::input(format!("The {component} has no layer that lora.targets names")));
                    }
                    let begun = begin(&modules, &layers, &config.lora, config.seed, &model.place_of(component))?;
                    model.adapt(component, begun.changes)?;
                    parameters.add("", begun.vars, group)?;
                    pairs.extend(begun.pairs);
                }
                Method::Full => {
                    let mut vars = model.train_whole(component)?;
                    vars.retain(|path, _| !is_unused(&model, component, path));
                    parameters.add(&format!("{}.", component.folder()), vars, group)?;
                }
            }
        }
        model.unet.set_checkpointing(config.steps.gradient_checkpointing);
        Ok((Self { model, loss, pairs, modules }, parameters))
    }

    /// The loss that is made smaller.
    #[must_use]
    pub fn diffusion_loss(&self) -> &DiffusionLoss {
        &self.loss
    }

    /// What the network predicts of a batch.
    ///
    /// # Errors
    /// When shapes do not fit.
    pub fn prediction(&self, batch: &Batch) -> Result<Tensor> {
        let predict = || {
            let noisy = self.loss.add_noise(&batch.latents, &batch.noise, &batch.timesteps)?;
            let times: Vec<f64> = batch.timesteps.iter().map(|timestep| *timestep as f64).collect();
            self.model.unet.forward(&noisy, &times, &batch.condition)
        };
        predict().map_err(engine_error)
    }

    /// The mean loss of a batch, a scalar.
    ///
    /// # Errors
    /// When shapes do not fit.
    pub fn loss(&self, batch: &Batch) -> Result<Tensor> {
        self.losses(batch).map(|(loss, _)| loss)
    }

    /// The mean loss of a batch, a scalar, and the mean squared error of each of its pictures, whatever it counts.
    ///
    /// # Errors
    /// When shapes do not fit.
    pub fn losses(&self, batch: &Batch) -> Result<(Tensor, Vec<f32>)> {
        let prediction = self.prediction(batch)?;
        let of_target = || {
            let target = self.loss.target(&batch.latents, &batch.noise, &batch.timesteps)?;
            let loss = self.loss.loss(&prediction, &target, &batch.timesteps)?;
            let errors = (prediction.detach() - target)?.sqr()?.flatten_from(1)?.mean(1)?.to_vec1()?;
            Ok((loss, errors))
        };
        of_target().map_err(engine_error)
    }

    /// What the network is told of rows of token ids, with the text encoders as they are now. `sizes` is one for each row,
    /// for networks that are told sizes.
    ///
    /// # Errors
    /// When a text encoder fails.
    pub fn condition(&self, ids: &Ids, sizes: &[Sizes]) -> Result<Condition> {
        condition(&self.model, ids, sizes)
    }
}

/// See [`Learner::condition`].
pub(super) fn condition(model: &Model, ids: &Ids, sizes: &[Sizes]) -> Result<Condition> {
    let first = sizes.first().copied().unwrap_or(Sizes::whole(0, 0));
    let mut condition = encode_ids(model, ids, first, 0)?;
    if let Some(added) = &mut condition.added {
        added.time_ids = time_ids(sizes)?;
    }
    Ok(condition)
}

/// What the network is told of sizes, `[batch, 6]`.
pub(super) fn time_ids(sizes: &[Sizes]) -> Result<Tensor> {
    let values: Vec<f32> = sizes.iter().flat_map(|sizes| sizes.ids()).collect();
    Tensor::from_vec(values, (sizes.len(), 6), &candle_core::Device::Cpu).map_err(engine_error)
}
