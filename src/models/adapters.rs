//! [`Wardrobe`]: what a loaded model needs to put adapters on and to take them off again.
//!
//! Adapters are added to the weights, so that a step costs nothing more. Weights that no adapter changes are never read
//! again; those that one does are always made from the file's, so that nothing adds up over many changes.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;

use super::clip::ClipTextEncoder;
use super::load::{Model, Part};
use super::unet::UNet;
use super::vae::AutoencoderKl;
use crate::domain::{Result, UserError};
use crate::nn::{Params, Place, Weight};
use crate::weights::lora::{
    Adapter, Component, Contribution, Fit, FitReport, LoraFile, ModelModules, Module, merge, read,
};
use crate::weights::{TensorFile, open_file, read_json};

/// An adapter in a mix.
#[derive(Clone, Debug, PartialEq)]
pub struct AdapterUse {
    /// Its file.
    pub path: PathBuf,
    /// How strongly it changes the `UNet`: 1 as it was trained.
    pub unet_weight: f64,
    /// The same for the text encoders.
    pub text_encoder_weight: f64,
}

impl AdapterUse {
    fn strength(&self, component: Component) -> f64 {
        match component {
            Component::UNet => self.unet_weight,
            Component::TextEncoder | Component::TextEncoder2 => self.text_encoder_weight,
        }
    }
}

/// An adapter's file as it was read.
struct Opened {
    path: PathBuf,
    modified: Option<SystemTime>,
    file: TensorFile,
    adapter: Adapter,
    report: FitReport,
}

/// A part whose weights adapters change.
pub(super) struct Dressed {
    pub component: Component,
    /// Its weights as they were published, under the names that its network asks for.
    pub file: TensorFile,
    /// Its weights as they are.
    pub weights: BTreeMap<String, Weight>,
    /// The paths of those that adapters changed.
    pub changed: BTreeSet<String>,
}

impl Dressed {
    /// A part that no adapter has changed, from what its network was built with.
    pub fn new(component: Component, file: TensorFile, params: &Params) -> Self {
        Self { component, file, weights: params.frozen(), changed: BTreeSet::new() }
    }

    /// Number of its parameters.
    pub fn elements(&self) -> u64 {
        self.weights.values().map(|weight| weight.elem_count() as u64).sum()
    }
}

/// What a loaded model needs to put adapters on and to take them off again.
pub(super) struct Wardrobe {
    pub parts: Vec<Dressed>,
    opened: Vec<Arc<Opened>>,
    worn: Vec<AdapterUse>,
}

impl Wardrobe {
    pub fn new(parts: Vec<Dressed>) -> Self {
        Self { parts, opened: Vec::new(), worn: Vec::new() }
    }

    pub fn modules(&self) -> ModelModules {
        ModelModules::new(self.parts.iter().flat_map(|part| {
            let tensors = part.file.tensors().iter();
            tensors.filter_map(|(name, info)| Module::of_weight(part.component, name, &info.shape))
        }))
    }

    /// The adapters of a mix, read where they were not yet or have changed.
    fn open(&mut self, mix: &[AdapterUse]) -> Result<Vec<Arc<Opened>>> {
        let mut modules = None;
        let mut opened = Vec::with_capacity(mix.len());
        for wanted in mix {
            let modified = std::fs::metadata(&wanted.path).and_then(|found| found.modified()).ok();
            let known = self.opened.iter().find(|known| known.path == wanted.path && known.modified == modified);
            opened.push(if let Some(known) = known {
                Arc::clone(known)
            } else {
                let modules = modules.get_or_insert_with(|| self.modules());
                Arc::new(Opened::open(&wanted.path, modified, modules)?)
            });
        }
        self.opened.clone_from(&opened);
        Ok(opened)
    }
}

impl Opened {
    fn open(path: &Path, modified: Option<SystemTime>, modules: &ModelModules) -> Result<Self> {
        let (file, fit) = fit_file(path, modules)?;
        let report = fit.report.clone();
        let adapter = fit.into_adapter().map_err(|error| error.path(path))?;
        Ok(Self { path: path.to_path_buf(), modified, file, adapter, report })
    }
}

/// Opens an adapter's file and looks its names up in a model.
///
/// # Errors
/// When the file cannot be read.
pub(super) fn fit_file(path: &Path, modules: &ModelModules) -> Result<(TensorFile, Fit)> {
    let file = open_file(path)?.file;
    let config = path.with_file_name("adapter_config.json");
    let adapter_config = match std::fs::read_to_string(&config) {
        Ok(text) => Some(read_json(&text, &config)?),
        Err(_) => None,
    };
    let lora = LoraFile {
        tensors: file.tensors().iter().map(|(name, info)| (name.clone(), info.shape.clone())).collect(),
        metadata: file.metadata().clone(),
        // peft keeps an adapter for each part in the part's own folder.
        component: adapter_config.as_ref().and_then(|_| part_of(path)),
        adapter_config,
    };
    let scalar = |name: &str| {
        let values = file.read_f32(name)?;
        values.first().copied().ok_or_else(|| UserError::input(format!("The LoRA's tensor {name} is empty")))
    };
    let fit = read(&lora, modules, &scalar);
    Ok((file, fit))
}

/// The part that the folder of a file is named after.
fn part_of(path: &Path) -> Option<Component> {
    let folder = path.parent()?.file_name()?;
    Component::ALL.into_iter().find(|component| component.folder() == folder)
}

impl Model {
    /// Puts a mix of adapters on, in the place of the one that it wears; an empty mix takes all off. The reports say how
    /// each file fits, in the mix's order.
    ///
    /// # Errors
    /// When a file cannot be read or does not fit; the model is then as it was before.
    pub fn wear(&mut self, mix: &[AdapterUse]) -> Result<Vec<FitReport>> {
        let opened = self.wardrobe.open(mix)?;
        let reports = || opened.iter().map(|one| one.report.clone()).collect();
        if self.wardrobe.worn == mix {
            return Ok(reports());
        }
        let mut dressed = Vec::new();
        for part in &self.wardrobe.parts {
            let component = part.component;
            let uses: Vec<(String, Arc<Opened>, f64)> = opened
                .iter()
                .zip(mix)
                .map(|(one, wanted)| {
                    (one.path.to_string_lossy().into_owned(), Arc::clone(one), wanted.strength(component))
                })
                .filter(|(.., strength)| *strength != 0.0)
                .collect();
            let changed: BTreeSet<String> = uses
                .iter()
                .flat_map(|(_, one, _)| {
                    one.adapter.of(component).into_keys().map(|module| format!("{module}.weight")).collect::<Vec<_>>()
                })
                .collect();
            if changed.is_empty() && part.changed.is_empty() {
                continue;
            }
            let mut kept = part.weights.clone();
            kept.retain(|path, _| !changed.contains(path) && !part.changed.contains(path));
            let params =
                Params::changed(part.file.clone(), kept, move |path, values| change(component, &uses, path, values))
                    .at(&self.place_of(component));
            let network = self.rebuild(component, &params)?;
            dressed.push((component, network, params.frozen(), changed));
        }
        // Everything could be made: from here on nothing fails.
        for (component, network, weights, changed) in dressed {
            self.replace(network);
            if let Some(part) = self.wardrobe.parts.iter_mut().find(|part| part.component == component) {
                (part.weights, part.changed) = (weights, changed);
            }
        }
        self.wardrobe.worn = mix.to_vec();
        Ok(reports())
    }

    /// Where a part computes.
    #[must_use]
    pub fn place_of(&self, component: Component) -> Place {
        let part = match component {
            Component::UNet => Part::UNet,
            Component::TextEncoder | Component::TextEncoder2 => Part::TextEncoder,
        };
        self.placement.place(self.info.family, part)
    }

    /// Makes a part anew in wider numbers, after its values left the range of those that it had; `false` where it computes in
    /// f32 already. Adapters are off then, and are to be put on again.
    ///
    /// # Errors
    /// When the device has not enough memory, or the part's file cannot be read any more.
    pub fn widen(&mut self, part: Part) -> Result<bool> {
        if !self.placement.widen(self.info.family, part) {
            return Ok(false);
        }
        let components: &[Component] = match part {
            Part::TextEncoder => &[Component::TextEncoder, Component::TextEncoder2],
            Part::UNet => &[Component::UNet],
            Part::Vae => {
                let params = Params::from_file(self.vae_file.clone()).at(&self.placement.place(self.info.family, part));
                self.vae = AutoencoderKl::new(&params, &self.vae.config().clone());
                params.finish("VAE")?;
                &[]
            }
        };
        for component in components {
            let Some(i) = self.wardrobe.parts.iter().position(|part| part.component == *component) else { continue };
            let params = Params::from_file(self.wardrobe.parts[i].file.clone()).at(&self.place_of(*component));
            let network = self.rebuild(*component, &params)?;
            self.replace(network);
            let part = &mut self.wardrobe.parts[i];
            part.weights = params.frozen();
            part.changed.clear();
            self.wardrobe.worn.clear();
        }
        Ok(true)
    }

    /// Puts a part that was made anew in its place.
    pub(super) fn replace(&mut self, network: Network) {
        match network {
            Network::UNet(unet) => self.unet = *unet,
            Network::Text(encoder) => self.text.encoder = *encoder,
            Network::Text2(encoder) => {
                if let Some(text) = &mut self.text_2 {
                    text.encoder = *encoder;
                }
            }
        }
    }

    pub(super) fn rebuild(&self, component: Component, params: &Params) -> Result<Network> {
        let text = |old: &ClipTextEncoder| {
            let mut encoder = ClipTextEncoder::new(params, old.config());
            params.finish("text encoder")?;
            encoder.set_words(old.words().to_vec())?;
            Ok(Box::new(encoder))
        };
        match component {
            Component::UNet => {
                let unet = UNet::new(params, self.unet.config());
                params.finish("UNet")?;
                Ok(Network::UNet(Box::new(unet)))
            }
            Component::TextEncoder => text(&self.text.encoder).map(Network::Text),
            Component::TextEncoder2 => match &self.text_2 {
                Some(part) => text(&part.encoder).map(Network::Text2),
                None => Err(UserError::failed("The model has no second text encoder")),
            },
        }
    }
}

/// A part that was made anew.
pub(super) enum Network {
    UNet(Box<UNet>),
    Text(Box<ClipTextEncoder>),
    Text2(Box<ClipTextEncoder>),
}

/// Adds what the adapters of a mix say to one weight.
fn change(component: Component, uses: &[(String, Arc<Opened>, f64)], path: &str, values: &mut [f32]) -> Result<()> {
    let Some(module) = path.strip_suffix(".weight") else { return Ok(()) };
    let found: Vec<_> = uses
        .iter()
        .filter_map(|(name, one, strength)| {
            let pair = one.adapter.pairs.iter().find(|pair| pair.component == component && pair.module == module)?;
            Some((name, one, pair, *strength, |tensor: &str| one.file.read_f32(tensor)))
        })
        .collect();
    let contributions: Vec<Contribution<'_>> = found
        .iter()
        .map(|(name, _, pair, strength, read)| Contribution { adapter: name, pair, strength: *strength, read })
        .collect();
    merge(values, &contributions)
}
