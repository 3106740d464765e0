//! Layouts: what the tensors of a file are called, and how they become those of diffusers' folders.
//!
//! A plan is made from names and shapes alone and is carried out as views, so a file of any size is laid out at once.
//! Every component of every layout ends under the names of diffusers and transformers, a text encoder's with the prefix
//! `text_model.`. What is in a component but in no table keeps its name, so that the network which is built from the
//! component complains about it, instead of running without.

pub mod detect;
mod inspect;
pub mod kind;
mod single;
mod text;
mod unet;
mod vae;

#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::{TensorFile, Tensors, View, first_three};
use crate::domain::{Result, UserError};
use kind::Kind;

pub use detect::Inspection;
pub use inspect::{inspect, inspect_folder};
pub use single::{Making, Shapes, SingleLayout, SingleTensor, single_file};
pub use vae::vae_name;

/// A network of a model.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Component {
    /// The denoising network.
    Unet,
    /// The autoencoder.
    Vae,
    /// The first text encoder.
    TextEncoder,
    /// SDXL's second text encoder.
    #[serde(rename = "text_encoder_2")]
    TextEncoder2,
}

impl Component {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Unet, Self::Vae, Self::TextEncoder, Self::TextEncoder2];

    /// Its folder in diffusers' layout.
    pub fn folder(self) -> &'static str {
        match self {
            Self::Unet => "unet",
            Self::Vae => "vae",
            Self::TextEncoder => "text_encoder",
            Self::TextEncoder2 => "text_encoder_2",
        }
    }
}

/// Whose names a component has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Naming {
    /// The original training code's (`CompVis`, Stability AI): `UNet` and VAE of single files.
    Ldm,
    /// diffusers': `UNet` and VAE of folders.
    Diffusers,
    /// transformers': text encoders of folders, and of single files of Stable Diffusion 1.
    Transformers,
    /// `open_clip`'s: text encoders of single files of Stable Diffusion 2 and SDXL.
    OpenClip,
}

/// How one component is laid out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PartPlan {
    /// Whose names the file has.
    pub naming: Naming,
    /// Its tensors.
    pub views: Vec<View>,
}

/// How a file is laid out.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Plan {
    /// The components in it.
    pub parts: BTreeMap<Component, PartPlan>,
    /// What a picture does not need: buffers of the training, averages, layers that are not used.
    pub ignored: Vec<String>,
    /// What is in no table.
    pub unknown: Vec<String>,
    /// Sentences on what does not fit together.
    pub problems: Vec<String>,
}

/// The components of a file, each as a file of its own over the same mapping.
pub struct Split {
    /// The components.
    pub parts: BTreeMap<Component, TensorFile>,
    /// As in [`Plan`].
    pub ignored: Vec<String>,
    /// As in [`Plan`].
    pub unknown: Vec<String>,
}

/// The names of one component, as the tables below take them.
struct Names<'a> {
    /// Name in the file, and without what stands before the component's own names.
    entries: Vec<(&'a str, &'a str)>,
    tensors: &'a Tensors,
    /// Whether the text is taken from before the last layer, which the file has nevertheless.
    penultimate: bool,
}

impl<'a> Names<'a> {
    /// The component's own names.
    fn own(&self) -> impl Iterator<Item = &'a str> {
        self.entries.iter().map(|(_, own)| *own)
    }

    /// The dimensions of a tensor by its name in the file.
    fn shape(&self, from: &str) -> &'a [usize] {
        self.tensors.get(from).map_or(&[], |info| &info.shape)
    }
}

/// What a table made of a component.
struct Laid {
    naming: Naming,
    views: Vec<View>,
    ignored: Vec<String>,
    unknown: Vec<String>,
    problems: Vec<String>,
}

impl Laid {
    fn new(naming: Naming) -> Self {
        Self { naming, views: Vec::new(), ignored: Vec::new(), unknown: Vec::new(), problems: Vec::new() }
    }

    /// A tensor that no table has keeps its name.
    fn unknown(&mut self, from: &str, own: &str) {
        self.unknown.push(from.to_owned());
        self.views.push(View::renamed(own, from));
    }
}

/// What stands before a component's names in single files, and whether its last layer is not used.
const PREFIXES: &[(&str, Component, bool)] = &[
    ("model.diffusion_model.", Component::Unet, false),
    ("first_stage_model.", Component::Vae, false),
    ("cond_stage_model.transformer.", Component::TextEncoder, false),
    ("cond_stage_model.model.", Component::TextEncoder, true),
    ("conditioner.embedders.0.transformer.", Component::TextEncoder, false),
    // The refiner's only text encoder is SDXL's second.
    ("conditioner.embedders.0.model.", Component::TextEncoder2, false),
    ("conditioner.embedders.1.model.", Component::TextEncoder2, false),
];

/// How the names of a component begin where a file holds nothing else.
const HEADS: &[(Component, &[&str])] = &[
    (
        Component::Unet,
        &[
            "input_blocks.",
            "middle_block.",
            "output_blocks.",
            "time_embed.",
            "label_emb.",
            "out.",
            "down_blocks.",
            "mid_block.",
            "up_blocks.",
            "time_embedding.",
            "add_embedding.",
            "class_embedding.",
            "conv_in.",
            "conv_norm_out.",
            "conv_out.",
        ],
    ),
    (
        Component::TextEncoder,
        &[
            "text_model.",
            "embeddings.",
            "encoder.layers.",
            "final_layer_norm.",
            "text_projection",
            "transformer.resblocks.",
            "token_embedding.",
            "positional_embedding",
            "ln_final.",
        ],
    ),
    (Component::Vae, &["encoder.", "decoder.", "quant_conv.", "post_quant_conv."]),
];

/// Buffers of the training code (`ldm/models/diffusion/ddpm.py`, `sgm`), by their whole names.
const IGNORED: &[&str] = &[
    "alphas_cumprod",
    "alphas_cumprod_prev",
    "betas",
    "denoiser.sigmas",
    "global_step",
    "log_one_minus_alphas_cumprod",
    "logit_scale",
    "logvar",
    "lvlb_weights",
    "position_ids",
    "posterior_log_variance_clipped",
    "posterior_mean_coef1",
    "posterior_mean_coef2",
    "posterior_variance",
    "scale_factor",
    "sqrt_alphas_cumprod",
    "sqrt_one_minus_alphas_cumprod",
    "sqrt_recip_alphas_cumprod",
    "sqrt_recipm1_alphas_cumprod",
    "v_pred",
    "ztsnr",
];

/// The same by how they begin: averages over the training, losses, the picture half of CLIP.
const IGNORED_HEADS: &[&str] = &[
    "cond_stage_model.model.visual.",
    "conditioner.embedders.0.model.visual.",
    "conditioner.embedders.1.model.visual.",
    "edm_",
    "embedding_manager.",
    "first_stage_model.loss.",
    "first_stage_model.model_ema.",
    "loss.",
    "model_ema.",
    "vision_model.",
    "visual_projection.",
];

/// The same by how they end.
const IGNORED_TAILS: &[&str] = &[".attn_mask", ".logit_scale", ".position_ids"];

/// Plans how the tensors of a file are laid out: a whole checkpoint, or a file of one component in any naming.
#[must_use]
pub fn plan(tensors: &Tensors) -> Plan {
    let mut plan = Plan::default();
    let mut groups: BTreeMap<Component, Names> = BTreeMap::new();
    for name in tensors.keys() {
        if is_ignored(name) {
            plan.ignored.push(name.clone());
            continue;
        }
        let prefixed = PREFIXES.iter().find_map(|(prefix, component, penultimate)| {
            name.strip_prefix(prefix).map(|own| (*component, own, *penultimate))
        });
        let bare = || {
            let (component, _) = HEADS.iter().find(|(_, heads)| heads.iter().any(|head| name.starts_with(head)))?;
            Some((*component, name.as_str(), false))
        };
        let Some((component, own, penultimate)) = prefixed.or_else(bare) else {
            plan.unknown.push(name.clone());
            continue;
        };
        let group =
            groups.entry(component).or_insert_with(|| Names { entries: Vec::new(), tensors, penultimate: false });
        group.entries.push((name, own));
        group.penultimate |= penultimate;
    }
    for (component, names) in groups {
        plan.add(component, &names);
    }
    plan
}

/// Plans a file that holds nothing but `component`, as in a folder.
#[must_use]
pub fn plan_part(component: Component, tensors: &Tensors) -> Plan {
    let mut plan = Plan::default();
    let mut entries = Vec::with_capacity(tensors.len());
    let mut penultimate = false;
    for name in tensors.keys() {
        if is_ignored(name) {
            plan.ignored.push(name.clone());
            continue;
        }
        // The part of a single file may still carry what stood before its names there.
        let own = PREFIXES.iter().find_map(|(prefix, _, last)| name.strip_prefix(prefix).map(|own| (own, *last)));
        penultimate |= own.is_some_and(|(_, last)| last);
        entries.push((name.as_str(), own.map_or(name.as_str(), |(own, _)| own)));
    }
    plan.add(component, &Names { entries, tensors, penultimate });
    plan
}

/// The components of a file, each under diffusers' names.
///
/// # Errors
/// When it holds none that can be used, or its tensors do not fit the layout that their names are of.
pub fn split(file: &TensorFile) -> Result<Split> {
    let plan = plan(file.tensors());
    let kind = Kind::of(file.tensors(), &plan);
    if !matches!(kind, Kind::Checkpoint | Kind::Unet | Kind::Vae | Kind::TextEncoder) {
        let hint = match kind {
            Kind::Lora => "add it to a model, under LoRAs",
            Kind::TextualInversion => "add it to the embeddings, and write its word into the prompt",
            _ => "models of Stable Diffusion 1, 2 and XL can be used",
        };
        return Err(UserError::input(kind.sentence()).path(file.path()).hint(hint));
    }
    plan.check(file)?;
    let parts = plan.parts.iter().map(|(component, part)| Ok((*component, file.viewed(&part.views)?)));
    Ok(Split { parts: parts.collect::<Result<_>>()?, ignored: plan.ignored, unknown: plan.unknown })
}

/// A file of one component under diffusers' names, whatever naming it has.
///
/// # Errors
/// When its tensors do not fit the layout that their names are of.
pub fn part(component: Component, file: &TensorFile) -> Result<TensorFile> {
    let plan = plan_part(component, file.tensors());
    plan.check(file)?;
    match plan.parts.get(&component) {
        Some(part) => file.viewed(&part.views),
        None => file.viewed(&[]),
    }
}

impl Plan {
    /// The tensors of a component as its views make them. A view that does not fit is left out; `problems` has it.
    #[must_use]
    pub fn tensors_of(&self, component: Component, stored: &Tensors) -> Tensors {
        let views = self.parts.get(&component).map_or(&[][..], |part| &part.views);
        views.iter().filter_map(|view| Some((view.name.clone(), view.of(stored).ok()?))).collect()
    }

    fn add(&mut self, component: Component, names: &Names) {
        let laid = match component {
            Component::Unet => unet::lay(names),
            Component::Vae => vae::lay(names),
            Component::TextEncoder | Component::TextEncoder2 => text::lay(names),
        };
        self.ignored.extend(laid.ignored);
        self.unknown.extend(laid.unknown);
        self.problems.extend(laid.problems);
        let mut taken = BTreeSet::new();
        for view in &laid.views {
            if !taken.insert(&view.name) {
                self.problems.push(format!("Two tensors would be {}", view.name));
            }
            self.problems.extend(view.of(names.tensors).err());
        }
        self.parts.insert(component, PartPlan { naming: laid.naming, views: laid.views });
    }

    fn check(&self, file: &TensorFile) -> Result<()> {
        if self.problems.is_empty() {
            return Ok(());
        }
        let sentence = format!("The weights cannot be laid out: {}", first_three(&self.problems));
        Err(UserError::input(sentence).path(file.path()).hint("the file is damaged, or not of a known layout"))
    }
}

fn is_ignored(name: &str) -> bool {
    IGNORED.contains(&name)
        || IGNORED_HEADS.iter().any(|head| name.starts_with(head))
        || IGNORED_TAILS.iter().any(|tail| name.ends_with(tail))
}

/// The tail of a name behind a module: `weight` of `norm.weight` for `norm`, empty for the module itself.
fn below<'a>(name: &'a str, module: &str) -> Option<&'a str> {
    let tail = name.strip_prefix(module)?;
    (tail.is_empty() || tail.starts_with('.')).then_some(tail)
}

/// A number as names have it: no sign, no leading zeros, so that two texts are never one number.
fn index(text: &str) -> Option<usize> {
    let number = text.parse::<usize>().ok()?;
    (number.to_string() == text).then_some(number)
}

/// The first number that is missing from `0..=largest`, if any.
fn gap(numbers: &BTreeSet<usize>) -> Option<usize> {
    numbers.iter().enumerate().find(|(expected, found)| expected != *found).map(|(expected, _)| expected)
}
