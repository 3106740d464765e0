//! What a training needs of a loaded model: parts that learn, in the place of those that only compute.

use std::collections::BTreeMap;

use candle_core::Var;

use super::family::{self, Family};
use super::load::Model;
use super::source::Source;
use crate::domain::{ModelRef, Result, UserError};
use crate::nn::{LowRank, Params};
use crate::weights::layout;
use crate::weights::lora::{Component, ModelModules};
use crate::weights::{ModelFiles, TensorFile};

/// The family of a model; only its configurations are read.
///
/// # Errors
/// When the model is not there, is broken, or is of no known family.
pub fn family_of(model: &ModelRef) -> Result<&'static Family> {
    let files = Source::open(model, None)?.files;
    family::detect(&files.json("unet/config.json")?, &files.json("scheduler/scheduler_config.json")?)
}

impl Model {
    /// The layers that adapters change, of all parts.
    #[must_use]
    pub fn modules(&self) -> ModelModules {
        self.wardrobe.modules()
    }

    /// Builds a part anew over the same frozen weights, with changes of low rank on some layers, by their paths. They
    /// share their memory with those that are given.
    ///
    /// # Errors
    /// When the model has no such part.
    pub fn adapt(&mut self, component: Component, low_rank: BTreeMap<String, LowRank>) -> Result<()> {
        let part = self.dressed(component)?;
        let params = Params::adapted(part.file.clone(), part.weights.clone(), low_rank).at(&self.place_of(component));
        let network = self.rebuild(component, &params)?;
        self.replace(network);
        Ok(())
    }

    /// Builds a part anew with weights that are trained, in f32, and gives them by their paths.
    ///
    /// # Errors
    /// When the model has no such part, or its file is broken.
    pub fn train_whole(&mut self, component: Component) -> Result<BTreeMap<String, Var>> {
        let params = Params::trainable(self.dressed(component)?.file.clone()).at(&self.place_of(component));
        let network = self.rebuild(component, &params)?;
        self.replace(network);
        Ok(params.trainable_vars())
    }

    /// The weights of a part as they were published, under diffusers' names (a text encoder's without `text_model.`).
    ///
    /// # Errors
    /// When the model has no such part.
    pub fn part_file(&self, component: layout::Component) -> Result<&TensorFile> {
        let component = match component {
            layout::Component::Vae => return Ok(&self.vae_file),
            layout::Component::Unet => Component::UNet,
            layout::Component::TextEncoder => Component::TextEncoder,
            layout::Component::TextEncoder2 => Component::TextEncoder2,
        };
        self.dressed(component).map(|part| &part.file)
    }

    /// The first ten hex digits of the hash of its denoising network, as recipes have it.
    #[must_use]
    pub fn hash(&self) -> &str {
        self.fingerprint.get()
    }

    /// The model's text files: configurations and tokenizers.
    #[must_use]
    pub fn files(&self) -> &ModelFiles {
        &self.files
    }

    fn dressed(&self, component: Component) -> Result<&super::adapters::Dressed> {
        let found = self.wardrobe.parts.iter().find(|part| part.component == component);
        found.ok_or_else(|| UserError::input(format!("The model has no {component}")))
    }
}
