//! [`Source`]: a model's parts before they are built, from a diffusers folder, a single file, or the program itself.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use super::choices::Choices;
use super::published::{self, Manner};
use super::starter_files;
use crate::domain::{ModelRef, Result, UserError};
use crate::weights::layout::{self, Component};
use crate::weights::{ModelFiles, OpenedFile, Precision, TensorFile, open_file};

/// A model's parts before they are built.
pub(super) struct Source {
    /// Configurations and tokenizers, by their names in a diffusers folder.
    pub files: ModelFiles,
    /// The parts of a single file, under diffusers' names.
    parts: Option<BTreeMap<Component, TensorFile>>,
    /// What is asked first for the autoencoder.
    vae: Option<TensorFile>,
}

impl Source {
    /// Finds a model's parts; `vae` is a file or folder with an autoencoder that takes the place of its own.
    ///
    /// # Errors
    /// When the model or the autoencoder is not there, is broken, or is something else.
    pub fn open(model: &ModelRef, vae: Option<&Path>) -> Result<Self> {
        let vae = vae.map(open_vae).transpose()?;
        match model {
            ModelRef::Starter => Ok(Self { files: starter_files(), parts: None, vae }),
            ModelRef::Path(path) if path.is_file() => Self::single_file(path, vae),
            ModelRef::Path(path) => Ok(Self { files: ModelFiles::folder(path)?, parts: None, vae }),
        }
    }

    fn single_file(path: &Path, vae: Option<TensorFile>) -> Result<Self> {
        let choices = Choices::read(path)?;
        let opened = open_file(path)?;
        let mut parts = layout::split(&opened.file)?.parts;
        if let Some(vae) = &vae {
            parts.insert(Component::Vae, vae.clone());
        }
        let files = match &choices.config {
            Some(folder) => ModelFiles::folder(folder)?,
            None => made(path, &choices, &opened, &parts)?,
        };
        Ok(Self { files, parts: Some(parts), vae })
    }

    /// The weights of a part, under diffusers' names.
    ///
    /// # Errors
    /// When there are none, or their file is broken or not of a known layout.
    pub fn weights(&self, component: Component) -> Result<TensorFile> {
        if let (Component::Vae, Some(vae)) = (component, &self.vae) {
            return Ok(vae.clone());
        }
        let Some(parts) = &self.parts else {
            return layout::part(component, &self.files.part_weights(component.folder(), Precision::Full)?);
        };
        parts.get(&component).cloned().ok_or_else(|| {
            let (what, hint) = match component {
                Component::Unet => ("UNet", "open a whole model's checkpoint"),
                Component::Vae => ("VAE", "choose a VAE file together with it"),
                Component::TextEncoder | Component::TextEncoder2 => {
                    ("text encoder", "open the whole model's checkpoint, or its diffusers folder")
                }
            };
            UserError::input(format!("This model has no {what}")).path(self.files.path("")).hint(hint)
        })
    }

    /// `vae/config.json`, of the autoencoder that takes the place of the model's own where there is one. Its latents are
    /// multiplied by what the model's `UNet` was trained with.
    ///
    /// # Errors
    /// When the file is missing or broken.
    pub fn vae_config(&self) -> Result<serde_json::Value> {
        const NAME: &str = "vae/config.json";
        let own: Option<serde_json::Value> = self.files.has(NAME).then(|| self.files.json(NAME)).transpose()?;
        let Some(vae) = &self.vae else {
            return own.map_or_else(|| self.files.json(NAME), Ok);
        };
        let own = own.unwrap_or_default();
        let mut config = published::vae(vae, own["scaling_factor"].as_f64().unwrap_or(0.18215))?;
        // What shapes do not tell is as in the model's own.
        if let Some(groups) = own.get("norm_num_groups") {
            config["norm_num_groups"] = groups.clone();
        }
        Ok(config)
    }
}

/// The text files that a model in a single file does not have.
fn made(
    path: &Path,
    choices: &Choices,
    opened: &OpenedFile,
    parts: &BTreeMap<Component, TensorFile>,
) -> Result<ModelFiles> {
    let found = layout::inspect(&opened.file, opened.global_step);
    let (Some(family), Some(prediction_type)) = (found.family, found.prediction_type) else {
        let what = found.problems.first().map_or("its family cannot be told", String::as_str);
        return Err(UserError::input(format!("This file is no model that can be run: {what}"))
            .path(path)
            .hint("open a whole model's checkpoint, or the diffusers folder that this file is from"));
    };
    let name = path.file_stem().unwrap_or_default().to_string_lossy().to_lowercase();
    let manner = Manner {
        prediction_type: choices.prediction_type.unwrap_or(prediction_type),
        // Shapes do not tell; published files have it in their names.
        is_turbo: choices.turbo.unwrap_or(found.turbo.is_none() && name.contains("turbo")),
        zero_terminal_snr: opened.file.info("ztsnr").is_some(),
    };
    let files = published::files(parts, family, manner)?;
    Ok(ModelFiles::Made { files: Arc::new(files), of: path.to_path_buf() })
}

/// An autoencoder from a file of any layout, a checkpoint that has one, or the `vae` folder of a diffusers model.
fn open_vae(path: &Path) -> Result<TensorFile> {
    let refuse = |sentence: &str| {
        let hint =
            "choose a VAE's .safetensors, .ckpt or .pt file, or a folder with diffusion_pytorch_model.safetensors";
        UserError::input(sentence).path(path).hint(hint)
    };
    if path.is_dir() {
        let (folder, name) = if path.join("vae").is_dir() {
            (path, "vae")
        } else {
            let name = path.file_name().and_then(|name| name.to_str());
            (path.parent().unwrap_or(Path::new("")), name.ok_or_else(|| refuse("This folder's name cannot be used"))?)
        };
        let files = ModelFiles::Folder(folder.to_path_buf());
        return layout::part(Component::Vae, &files.part_weights(name, Precision::Full)?);
    }
    layout::split(&open_file(path)?.file)?
        .parts
        .remove(&Component::Vae)
        .ok_or_else(|| refuse("There is no VAE in this file"))
}
