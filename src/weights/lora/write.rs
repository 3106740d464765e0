//! Names and metadata of a `LoRA` file of ours, as peft, diffusers and kohya write theirs.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::base::BaseFamily;
use super::modules::{Component, ModelModules, bare, kohya_name};

/// Whose names a file gets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SaveForm {
    /// peft's: one file and one [`adapter_config`] for each part.
    Peft,
    /// diffusers': one file, alpha in its header.
    Diffusers,
    /// kohya's, with diffusers' modules: Stable Diffusion 1 and 2.
    Kohya,
    /// kohya's, with LDM's modules: Stable Diffusion XL.
    KohyaLdm,
}

impl SaveForm {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Peft, Self::Diffusers, Self::Kohya, Self::KohyaLdm];

    /// The form of kohya's that other programs expect for a model.
    #[must_use]
    pub fn kohya_for(model: &ModelModules) -> Self {
        if model.has(Component::TextEncoder2) { Self::KohyaLdm } else { Self::Kohya }
    }

    fn is_kohya(self) -> bool {
        matches!(self, Self::Kohya | Self::KohyaLdm)
    }
}

/// The names of the tensors of one change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PairNames {
    /// `[rank, in, …]`.
    pub down: String,
    /// `[out, rank, …]`.
    pub up: String,
    /// One number, where the form has a tensor for it.
    pub alpha: Option<String>,
}

/// The names of a module's tensors. `None` where the form has none for it: a `UNet`'s module that LDM does not have.
#[must_use]
pub fn pair_names(model: &ModelModules, form: SaveForm, component: Component, module: &str) -> Option<PairNames> {
    let stem = match form {
        SaveForm::Peft => format!("base_model.model.{}", published(component, module)),
        SaveForm::Diffusers => format!("{}.{}", component.folder(), published(component, module)),
        SaveForm::Kohya | SaveForm::KohyaLdm => {
            let path = match (form, component) {
                (SaveForm::KohyaLdm, Component::UNet) => model.ldm_path(module)?.to_owned(),
                _ => published(component, module),
            };
            kohya_name(kohya_prefix(model, component), &path)
        }
    };
    let (down, up) = if form.is_kohya() { ("lora_down", "lora_up") } else { ("lora_A", "lora_B") };
    Some(PairNames {
        down: format!("{stem}.{down}.weight"),
        up: format!("{stem}.{up}.weight"),
        alpha: form.is_kohya().then(|| format!("{stem}.alpha")),
    })
}

/// A module's path as published files have it: a text encoder's begins with `text_model.`, its last projection does not.
fn published(component: Component, module: &str) -> String {
    let path = bare(module);
    match component {
        Component::UNet => module.to_owned(),
        _ if path.starts_with("text_projection") => path.to_owned(),
        _ => format!("text_model.{path}"),
    }
}

fn kohya_prefix(model: &ModelModules, component: Component) -> &'static str {
    match component {
        Component::UNet => "lora_unet_",
        Component::TextEncoder if model.has(Component::TextEncoder2) => "lora_te1_",
        Component::TextEncoder => "lora_te_",
        Component::TextEncoder2 => "lora_te2_",
    }
}

/// One change that is written.
#[derive(Clone, Debug, PartialEq)]
pub struct SavedPair {
    /// The part.
    pub component: Component,
    /// The module's path, as the model's table spells it.
    pub module: String,
    /// Its rank.
    pub rank: usize,
    /// Its alpha.
    pub alpha: f64,
}

/// What a header tells beside the scale. What is not known stays out.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct About {
    /// Its name for people.
    pub title: Option<String>,
    /// The family that it was trained on.
    pub base: Option<BaseFamily>,
    /// Width and height that it was trained at, in px.
    pub resolution: Option<(u32, u32)>,
    /// When it was trained, as ISO 8601.
    pub date: Option<String>,
    /// Steps of its training.
    pub steps: Option<u64>,
    /// Learning rate of its training.
    pub learning_rate: Option<f64>,
    /// Seed of its training.
    pub seed: Option<u64>,
}

/// The header's metadata of a file in a form.
#[must_use]
pub fn header(form: SaveForm, pairs: &[SavedPair], about: &About) -> BTreeMap<String, String> {
    let mut header = BTreeMap::from([("format".to_owned(), "pt".to_owned())]);
    if form == SaveForm::Diffusers {
        let mut all = Map::new();
        for component in Component::ALL {
            for (name, value) in configuration(component, pairs, Spelled::Bare) {
                all.insert(format!("{}.{name}", component.folder()), value);
            }
        }
        header.insert("lora_adapter_metadata".to_owned(), Value::Object(all).to_string());
    }
    if form.is_kohya() {
        header.insert("ss_network_module".to_owned(), "networks.lora".to_owned());
        let (rank, alpha) = common(pairs);
        header.insert("ss_network_dim".to_owned(), rank.to_string());
        header.insert("ss_network_alpha".to_owned(), alpha.to_string());
    }
    describe(&mut header, form, about);
    header
}

/// The entries of a header that people and galleries read (`ModelSpec` 1.0.1, and sd-scripts' own).
fn describe(header: &mut BTreeMap<String, String>, form: SaveForm, about: &About) {
    let About { title, base, resolution, date, steps, learning_rate, seed } = about;
    let mut say = |name: &str, value: Option<String>| {
        if let Some(value) = value {
            header.insert(name.to_owned(), value);
        }
    };
    say("modelspec.sai_model_spec", Some("1.0.1".to_owned()));
    say("modelspec.architecture", base.and_then(architecture).map(|name| format!("{name}/lora")));
    say("modelspec.implementation", Some("diffusers".to_owned()).filter(|_| !form.is_kohya()));
    say("modelspec.title", title.clone());
    say("modelspec.date", date.clone());
    say("modelspec.resolution", resolution.map(|(width, height)| format!("{width}x{height}")));
    if form.is_kohya() {
        say("ss_v2", base.map(|base| if base == BaseFamily::Sd2 { "True" } else { "False" }.to_owned()));
        say("ss_base_model_version", base.and_then(version).map(str::to_owned));
        say("ss_output_name", title.clone());
        say("ss_resolution", resolution.map(|(width, height)| format!("({width}, {height})")));
        say("ss_steps", steps.map(|steps| steps.to_string()));
        say("ss_learning_rate", learning_rate.map(|rate| rate.to_string()));
        say("ss_seed", seed.map(|seed| seed.to_string()));
    }
}

fn architecture(base: BaseFamily) -> Option<&'static str> {
    match base {
        BaseFamily::Sd1 => Some("stable-diffusion-v1"),
        BaseFamily::Sd2 => Some("stable-diffusion-v2-512"),
        BaseFamily::Sdxl => Some("stable-diffusion-xl-v1-base"),
        BaseFamily::SdxlRefiner => Some("stable-diffusion-xl-v1-refiner"),
        BaseFamily::Transformer => None,
    }
}

fn version(base: BaseFamily) -> Option<&'static str> {
    match base {
        BaseFamily::Sd1 => Some("sd_v1"),
        BaseFamily::Sd2 => Some("sd_v2"),
        BaseFamily::Sdxl => Some("sdxl_base_v1-0"),
        BaseFamily::SdxlRefiner | BaseFamily::Transformer => None,
    }
}

/// `adapter_config.json` of one part, for peft.
#[must_use]
pub fn adapter_config(component: Component, pairs: &[SavedPair]) -> Value {
    let mut config = configuration(component, pairs, Spelled::Published);
    config.insert("peft_type".to_owned(), json!("LORA"));
    config.insert("task_type".to_owned(), Value::Null);
    config.insert("base_model_name_or_path".to_owned(), Value::Null);
    config.insert("bias".to_owned(), json!("none"));
    config.insert("inference_mode".to_owned(), json!(true));
    config.insert("lora_dropout".to_owned(), json!(0.0));
    Value::Object(config)
}

/// How module names are spelled within a configuration.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Spelled {
    Published,
    /// Without `text_model.`: diffusers with transformers 5.6 and later finds no module otherwise.
    Bare,
}

/// peft's configuration of one part: the commonest rank and alpha, and the modules that differ. Empty where the part has
/// no change.
fn configuration(component: Component, pairs: &[SavedPair], spelled: Spelled) -> Map<String, Value> {
    let pairs: Vec<&SavedPair> = pairs.iter().filter(|pair| pair.component == component).collect();
    if pairs.is_empty() {
        return Map::new();
    }
    let (rank, alpha) = common(pairs.iter().copied());
    let name = |pair: &SavedPair| match spelled {
        Spelled::Published => published(component, &pair.module),
        Spelled::Bare => bare(&pair.module).to_owned(),
    };
    let mut targets: Vec<String> = pairs.iter().map(|pair| name(pair)).collect();
    targets.sort();
    let differ = |differs: &dyn Fn(&SavedPair) -> Option<Value>| {
        pairs.iter().filter_map(|pair| Some((name(pair), differs(pair)?))).collect::<Map<String, Value>>()
    };
    let ranks = differ(&|pair| (pair.rank != rank).then(|| json!(pair.rank)));
    let alphas = differ(&|pair| (pair.alpha != alpha).then(|| number(pair.alpha)));
    let entries = [
        ("r", json!(rank)),
        ("lora_alpha", number(alpha)),
        ("target_modules", json!(targets)),
        ("rank_pattern", Value::Object(ranks)),
        ("alpha_pattern", Value::Object(alphas)),
        ("use_dora", json!(false)),
        ("lora_bias", json!(false)),
        ("use_rslora", json!(false)),
    ];
    entries.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
}

/// A whole number as one, which peft's own configurations have.
fn number(value: f64) -> Value {
    if value.fract() == 0.0 && value.abs() < 1e15 { json!(value as i64) } else { json!(value) }
}

/// The commonest rank and alpha; the smaller rank of two that are as common.
fn common<'a>(pairs: impl IntoIterator<Item = &'a SavedPair>) -> (usize, f64) {
    let mut counts: BTreeMap<(usize, u64), usize> = BTreeMap::new();
    for pair in pairs {
        *counts.entry((pair.rank, pair.alpha.to_bits())).or_default() += 1;
    }
    let most = counts.iter().max_by_key(|(key, count)| (**count, std::cmp::Reverse(**key)));
    most.map_or((0, 0.0), |((rank, alpha), _)| (*rank, f64::from_bits(*alpha)))
}
