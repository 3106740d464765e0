//! The layers that an adapter changes, and how its weights begin.

use std::collections::BTreeMap;

use candle_core::Var;

use super::draws;
use crate::domain::training::{LoraSettings, Targets};
use crate::domain::{Result, UserError};
use crate::nn::{LowRank, Place, engine_error};
use crate::weights::lora::{Component, ModelModules, Module, SaveForm, SavedPair, pair_names};

/// Ends of the paths of layers, by what is targeted: of the `UNet`, of text encoders.
struct Ends {
    targets: Targets,
    unet: &'static [&'static str],
    text: &'static [&'static str],
}

/// The table of targets; each row adds to those before it. kohya's default is the second, diffusers' and peft's the first.
const ENDS: &[Ends] = &[
    Ends {
        targets: Targets::Attention,
        unet: &[".to_q", ".to_k", ".to_v", ".to_out.0"],
        text: &[".q_proj", ".k_proj", ".v_proj", ".out_proj"],
    },
    Ends {
        targets: Targets::Linear,
        unet: &[".ff.net.0.proj", ".ff.net.2", ".proj_in", ".proj_out"],
        text: &[".mlp.fc1", ".mlp.fc2"],
    },
    Ends {
        targets: Targets::All,
        unet: &[".conv1", ".conv2", ".conv_shortcut", ".time_emb_proj", ".downsamplers.0.conv", ".upsamplers.0.conv"],
        text: &[],
    },
];

/// The layers of a part that are changed.
#[must_use]
pub fn targets(modules: &ModelModules, component: Component, targets: Targets) -> Vec<Module> {
    let mut wanted: Vec<&str> = Vec::new();
    for ends in ENDS {
        wanted.extend(if component == Component::UNet { ends.unet } else { ends.text });
        if ends.targets == targets {
            break;
        }
    }
    let all = modules.modules().iter().filter(|module| module.component == component);
    all.filter(|module| wanted.iter().any(|end| module.path.ends_with(end))).cloned().collect()
}

/// The names of an adapter's parameters: diffusers'.
pub(super) fn parameter_names(modules: &ModelModules, module: &Module) -> Result<(String, String)> {
    pair_names(modules, SaveForm::Diffusers, module.component, &module.path)
        .map(|names| (names.down, names.up))
        .ok_or_else(|| UserError::failed(format!("{} has no name in a LoRA's file", module.path)))
}

/// An adapter before its first step: changes by the layer's path, and the variables by their names.
pub(super) struct Begun {
    pub changes: BTreeMap<String, LowRank>,
    pub vars: BTreeMap<String, Var>,
    pub pairs: Vec<SavedPair>,
}

/// Begins changes of some layers: `down` uniform within ±1/√inputs, as peft and kohya do (`kaiming_uniform(a = √5)`), and
/// `up` zero, so that at first nothing is changed. They are in f32, where the layers compute.
///
/// # Errors
/// When a layer cannot be named.
pub(super) fn begin(
    modules: &ModelModules,
    layers: &[Module],
    settings: &LoraSettings,
    seed: u64,
    place: &Place,
) -> Result<Begun> {
    let mut begun = Begun { changes: BTreeMap::new(), vars: BTreeMap::new(), pairs: Vec::new() };
    let rank = settings.rank as usize;
    for module in layers {
        let (down_name, up_name) = parameter_names(modules, module)?;
        let mut down_shape = module.shape.clone();
        down_shape[0] = rank;
        let mut up_shape = vec![1; module.shape.len()];
        (up_shape[0], up_shape[1]) = (module.rows(), rank);
        let bound = 1.0 / (module.columns() as f64).sqrt();
        let mut rng = draws::weights(seed, &down_name);
        let values: Vec<f32> =
            (0..rank * module.columns()).map(|_| (bound * (2.0 * rng.uniform() - 1.0)) as f32).collect();
        let down = Var::from_slice(&values, down_shape, place.device()).map_err(engine_error)?;
        let up = Var::zeros(up_shape, candle_core::DType::F32, place.device()).map_err(engine_error)?;
        let scale = settings.alpha / f64::from(settings.rank);
        let change = LowRank { down: down.as_tensor().clone(), up: up.as_tensor().clone(), scale };
        begun.changes.insert(module.path.clone(), change);
        begun.vars.extend([(down_name, down), (up_name, up)]);
        begun.pairs.push(SavedPair {
            component: module.component,
            module: module.path.clone(),
            rank,
            alpha: settings.alpha,
        });
    }
    Ok(begun)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn module(path: &str, shape: &[usize]) -> Module {
        Module { component: Component::UNet, path: path.to_owned(), shape: shape.to_vec() }
    }

    #[test]
    fn adapters_begin_without_changing_anything() {
        let layers = [module("mid_block.attentions.0.proj_in", &[8, 4, 1, 1]), module("a.to_q", &[6, 16])];
        let modules = ModelModules::new(layers.clone());
        let settings = LoraSettings { rank: 2, alpha: 1.0, targets: Targets::Linear };
        let begun = begin(&modules, &layers, &settings, 5, &Place::default()).unwrap();
        assert_eq!(begun.vars.len(), 4);
        let change = &begun.changes["mid_block.attentions.0.proj_in"];
        assert_eq!((change.down.dims(), change.up.dims()), (&[2, 4, 1, 1][..], &[8, 2, 1, 1][..]));
        assert_eq!(change.scale, 0.5);
        let down: Vec<f32> = change.down.flatten_all().unwrap().to_vec1().unwrap();
        assert!(down.iter().all(|value| value.abs() <= 0.5) && down.iter().any(|value| value.abs() > 0.1));
        let up: Vec<f32> = begun.changes["a.to_q"].up.flatten_all().unwrap().to_vec1().unwrap();
        assert_eq!(up, [0.0; 12]);
        // The order in which layers come does not matter.
        let again = begin(&modules, &layers[..1], &settings, 5, &Place::default()).unwrap();
        let same: Vec<f32> =
            again.changes["mid_block.attentions.0.proj_in"].down.flatten_all().unwrap().to_vec1().unwrap();
        assert_eq!(down, same);
    }
}
