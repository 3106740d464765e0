//! [`ModelModules`]: the modules of a model that an adapter can change, under every name that files give them.

use std::collections::{BTreeMap, HashMap};
use std::fmt;

use serde::{Deserialize, Serialize};

use super::ldm;

/// A part of a model that adapters change.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Component {
    /// The denoising network.
    #[serde(rename = "unet")]
    UNet,
    /// The text encoder, the first where there are two.
    #[serde(rename = "text_encoder")]
    TextEncoder,
    /// The second text encoder.
    #[serde(rename = "text_encoder_2")]
    TextEncoder2,
}

impl Component {
    /// All of them, in the order of reports.
    pub const ALL: [Self; 3] = [Self::UNet, Self::TextEncoder, Self::TextEncoder2];

    /// Its folder in diffusers' layout, which is also its prefix in diffusers' names.
    #[must_use]
    pub fn folder(self) -> &'static str {
        match self {
            Self::UNet => "unet",
            Self::TextEncoder => "text_encoder",
            Self::TextEncoder2 => "text_encoder_2",
        }
    }
}

impl fmt::Display for Component {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::UNet => "UNet",
            Self::TextEncoder => "text encoder",
            Self::TextEncoder2 => "second text encoder",
        })
    }
}

/// A linear layer or a convolution of a model.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Module {
    /// The part that it belongs to.
    pub component: Component,
    /// Its path in diffusers' (transformers') names, such as `mid_block.attentions.0.proj_in`. A text encoder's may
    /// begin with `text_model.` or not.
    pub path: String,
    /// Its weight's shape: `[out, in]` or `[out, in, kernel height, kernel width]`.
    pub shape: Vec<usize>,
}

impl Module {
    /// The module that a tensor `….weight` belongs to. `None` for biases, norms, and whatever else no adapter changes.
    #[must_use]
    pub fn of_weight(component: Component, name: &str, shape: &[usize]) -> Option<Self> {
        let path = name.strip_suffix(".weight")?;
        is_target(shape).then(|| Self { component, path: path.to_owned(), shape: shape.to_vec() })
    }

    /// Rows of its weight as a matrix.
    #[must_use]
    pub fn rows(&self) -> usize {
        self.shape[0]
    }

    /// Columns of its weight as a matrix: inputs times the kernel's area.
    #[must_use]
    pub fn columns(&self) -> usize {
        self.shape[1..].iter().product()
    }
}

/// Whether a weight of this shape is a matrix or a kernel with elements in it, countable without overflow.
fn is_target(shape: &[usize]) -> bool {
    matches!(shape.len(), 2 | 4) && !shape.contains(&0) && elements(shape).is_some()
}

/// Number of elements of a shape; `None` where that is more than can be counted.
pub(super) fn elements(shape: &[usize]) -> Option<usize> {
    shape.iter().try_fold(1usize, |product, side| product.checked_mul(*side))
}

/// A text encoder's path without the `text_model.` that some versions of transformers write.
pub(super) fn bare(path: &str) -> &str {
    path.strip_prefix("text_model.").unwrap_or(path)
}

/// What a name leads to.
#[derive(Clone, Copy)]
enum Entry {
    One(usize),
    /// Two modules share the name, so that it says nothing.
    Several,
}

/// The modules of a model under every name that files give them.
pub struct ModelModules {
    modules: Vec<Module>,
    /// Names with dots, without the part's prefix and without `text_model.`.
    dotted: HashMap<(Component, String), Entry>,
    /// kohya's names, whole.
    underscored: HashMap<String, Entry>,
    /// Paths of the `UNet`'s modules in LDM's names.
    ldm: BTreeMap<String, String>,
}

impl ModelModules {
    /// Builds the names of all modules. Shapes that no adapter can change are left out.
    #[must_use]
    pub fn new(modules: impl IntoIterator<Item = Module>) -> Self {
        let modules: Vec<Module> = modules.into_iter().filter(|module| is_target(&module.shape)).collect();
        let unet = modules.iter().filter(|module| module.component == Component::UNet);
        let ldm = ldm::ldm_paths(unet.map(|module| module.path.as_str()));
        let mut all = Self { modules: Vec::new(), dotted: HashMap::new(), underscored: HashMap::new(), ldm };
        for (i, module) in modules.iter().enumerate() {
            all.name(i, module);
        }
        all.modules = modules;
        all
    }

    fn name(&mut self, i: usize, module: &Module) {
        let component = module.component;
        let path = if component == Component::UNet { module.path.as_str() } else { bare(&module.path) };
        self.name_dotted(component, path.to_owned(), i);
        for alias in aliases(component, path) {
            self.name_dotted(component, alias, i);
        }
        let mut paths = vec![path.to_owned()];
        if component == Component::UNet {
            if let Some(ldm) = self.ldm.get(path).cloned() {
                self.name_dotted(component, ldm.clone(), i);
                paths.push(ldm);
            }
        } else {
            paths.push(format!("text_model.{path}"));
        }
        for path in paths {
            for prefix in kohya_prefixes(component) {
                add(&mut self.underscored, kohya_name(prefix, &path), i);
            }
        }
    }

    fn name_dotted(&mut self, component: Component, path: String, i: usize) {
        add(&mut self.dotted, (component, path), i);
    }

    /// All modules, in the order that they came in.
    #[must_use]
    pub fn modules(&self) -> &[Module] {
        &self.modules
    }

    /// Whether the model has such a part.
    #[must_use]
    pub fn has(&self, component: Component) -> bool {
        self.modules.iter().any(|module| module.component == component)
    }

    /// The module of a path with dots, in diffusers' names (old ones too) or LDM's, with `text_model.` or without.
    #[must_use]
    pub fn by_path(&self, component: Component, path: &str) -> Option<&Module> {
        self.index_by_path(component, path).and_then(|i| self.modules.get(i))
    }

    /// The module of a whole kohya name, such as `lora_unet_mid_block_attentions_0_proj_in`.
    #[must_use]
    pub fn by_kohya_name(&self, name: &str) -> Option<&Module> {
        self.index_by_kohya_name(name).and_then(|i| self.modules.get(i))
    }

    /// As [`Self::by_path`]: where it stands in [`Self::modules`].
    pub(super) fn index_by_path(&self, component: Component, path: &str) -> Option<usize> {
        let path = if component == Component::UNet { path } else { bare(path) };
        only(self.dotted.get(&(component, path.to_owned())))
    }

    /// As [`Self::by_kohya_name`]: where it stands in [`Self::modules`].
    pub(super) fn index_by_kohya_name(&self, name: &str) -> Option<usize> {
        only(self.underscored.get(name))
    }

    /// The path of a `UNet` module in LDM's names.
    #[must_use]
    pub fn ldm_path(&self, path: &str) -> Option<&str> {
        self.ldm.get(path).map(String::as_str)
    }
}

fn only(entry: Option<&Entry>) -> Option<usize> {
    match entry {
        Some(Entry::One(i)) => Some(*i),
        Some(Entry::Several) | None => None,
    }
}

fn add<K: std::hash::Hash + Eq>(names: &mut HashMap<K, Entry>, name: K, i: usize) {
    names
        .entry(name)
        .and_modify(|entry| {
            if !matches!(entry, Entry::One(other) if *other == i) {
                *entry = Entry::Several;
            }
        })
        .or_insert(Entry::One(i));
}

/// kohya's prefixes of a part: the name of a single text encoder, and that of the first of two.
pub(super) fn kohya_prefixes(component: Component) -> &'static [&'static str] {
    match component {
        Component::UNet => &["lora_unet_"],
        Component::TextEncoder => &["lora_te_", "lora_te1_"],
        Component::TextEncoder2 => &["lora_te2_"],
    }
}

/// kohya's name of a module: prefix, and the path with underscores (`networks/lora.py` of sd-scripts).
pub(super) fn kohya_name(prefix: &str, path: &str) -> String {
    format!("{prefix}{}", path.replace('.', "_"))
}

/// Other names with dots: those of diffusers' attention processors, before version 0.22.
fn aliases(component: Component, path: &str) -> Vec<String> {
    let (head, tail) = match path.strip_suffix(".to_out.0") {
        Some(head) => (head, "to_out.0"),
        None => path.rsplit_once('.').unwrap_or(("", path)),
    };
    let old = match (component, tail) {
        (Component::UNet, "to_q" | "to_k" | "to_v") => tail,
        (Component::UNet, "to_out.0") => "to_out",
        (Component::UNet, _) => return Vec::new(),
        (_, "q_proj") => "to_q",
        (_, "k_proj") => "to_k",
        (_, "v_proj") => "to_v",
        (_, "out_proj") => "to_out",
        _ => return Vec::new(),
    };
    vec![format!("{head}.{old}"), format!("{head}.processor.{old}")]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn module(component: Component, path: &str) -> Module {
        Module { component, path: path.to_owned(), shape: vec![4, 4] }
    }

    #[test]
    fn a_module_is_found_under_all_its_names() {
        let path = "down_blocks.0.attentions.0.transformer_blocks.0.attn1.to_out.0";
        let model = ModelModules::new([
            module(Component::UNet, path),
            module(Component::UNet, "down_blocks.0.resnets.0.conv1"),
            module(Component::TextEncoder, "text_model.encoder.layers.0.self_attn.q_proj"),
            module(Component::TextEncoder2, "encoder.layers.0.self_attn.q_proj"),
        ]);
        let block = "attentions.0.transformer_blocks.0.attn1";
        for name in [
            path.to_owned(),
            format!("down_blocks.0.{block}.to_out"),
            format!("down_blocks.0.{block}.processor.to_out"),
            "input_blocks.1.1.transformer_blocks.0.attn1.to_out.0".to_owned(),
        ] {
            assert_eq!(model.by_path(Component::UNet, &name).map(|found| found.path.as_str()), Some(path), "{name}");
        }
        for name in [
            "lora_unet_down_blocks_0_attentions_0_transformer_blocks_0_attn1_to_out_0",
            "lora_unet_input_blocks_1_1_transformer_blocks_0_attn1_to_out_0",
        ] {
            assert_eq!(model.by_kohya_name(name).map(|found| found.path.as_str()), Some(path), "{name}");
        }
        for prefix in ["lora_te_", "lora_te1_", "lora_te2_"] {
            let component = if prefix == "lora_te2_" { Component::TextEncoder2 } else { Component::TextEncoder };
            for middle in ["", "text_model_"] {
                let name = format!("{prefix}{middle}encoder_layers_0_self_attn_q_proj");
                assert_eq!(model.by_kohya_name(&name).map(|found| found.component), Some(component), "{name}");
            }
        }
        for name in ["encoder.layers.0.self_attn.q_proj", "text_model.encoder.layers.0.self_attn.to_q"] {
            for component in [Component::TextEncoder, Component::TextEncoder2] {
                assert!(model.by_path(component, name).is_some(), "{name}");
            }
            assert!(model.by_path(Component::UNet, name).is_none());
        }
    }

    #[test]
    fn a_name_that_two_modules_share_leads_to_neither() {
        let model = ModelModules::new([module(Component::UNet, "a.b_c"), module(Component::UNet, "a_b.c")]);
        assert!(model.by_kohya_name("lora_unet_a_b_c").is_none());
        assert!(model.by_path(Component::UNet, "a.b_c").is_some());
    }

    #[test]
    fn only_matrices_and_kernels_are_targets() {
        for (name, shape, expected) in [
            ("a.weight", &[2usize, 3] as &[_], true),
            ("a.weight", &[2, 3, 3, 3], true),
            ("a.weight", &[2], false),
            ("a.weight", &[2, 0], false),
            ("a.weight", &[usize::MAX, 2], false),
            ("a.bias", &[2, 3], false),
        ] {
            assert_eq!(Module::of_weight(Component::UNet, name, shape).is_some(), expected, "{name} {shape:?}");
        }
    }
}
