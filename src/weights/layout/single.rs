//! The other way round: diffusers' names to those of single files (the training code's, transformers' and `open_clip`'s).

use std::collections::BTreeMap;

use super::Component;
use super::vae::single_name as vae_name;
use crate::weights::lora::ldm_paths;

/// How a tensor of a single file is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Making {
    /// Of one tensor, as it is.
    Same,
    /// Of several, one below the other.
    Joined,
    /// Of one matrix, turned.
    Transposed,
}

/// A tensor of a single file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SingleTensor {
    /// Its name.
    pub name: String,
    /// Its shape.
    pub shape: Vec<usize>,
    /// The tensors that it is made of, in diffusers' names.
    pub from: Vec<String>,
    /// How.
    pub making: Making,
}

/// Whose layout a single file has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SingleLayout {
    /// Stable Diffusion 1.
    Sd1,
    /// Stable Diffusion 2.
    Sd2,
    /// Stable Diffusion XL.
    Sdxl,
}

/// Names and shapes of a component's tensors, in diffusers' names.
pub type Shapes = BTreeMap<String, Vec<usize>>;

/// The tensors of a component in a single file.
///
/// # Errors
/// Names the tensors that the layout has no place for.
pub fn single_file(
    layout: SingleLayout,
    component: Component,
    shapes: &Shapes,
) -> Result<Vec<SingleTensor>, Vec<String>> {
    match (component, layout) {
        (Component::Unet, _) => unet(shapes),
        (Component::Vae, _) => vae(shapes),
        (Component::TextEncoder, SingleLayout::Sd1) => Ok(transformers("cond_stage_model.transformer.", shapes)),
        (Component::TextEncoder, SingleLayout::Sdxl) => {
            Ok(transformers("conditioner.embedders.0.transformer.", shapes))
        }
        (Component::TextEncoder, SingleLayout::Sd2) => open_clip("cond_stage_model.model.", shapes, true),
        (Component::TextEncoder2, _) => open_clip("conditioner.embedders.1.model.", shapes, false),
    }
}

fn renamed(name: String, from: &str, shape: &[usize]) -> SingleTensor {
    SingleTensor { name, shape: shape.to_vec(), from: vec![from.to_owned()], making: Making::Same }
}

/// Every name by `name_of`, or those that have none.
fn all(
    shapes: &Shapes,
    name_of: impl Fn(&str, &[usize]) -> Option<SingleTensor>,
) -> Result<Vec<SingleTensor>, Vec<String>> {
    let mut without = Vec::new();
    let mut tensors = Vec::with_capacity(shapes.len());
    for (name, shape) in shapes {
        match name_of(name, shape) {
            Some(tensor) => tensors.push(tensor),
            None => without.push(name.clone()),
        }
    }
    if without.is_empty() { Ok(tensors) } else { Err(without) }
}

fn unet(shapes: &Shapes) -> Result<Vec<SingleTensor>, Vec<String>> {
    let modules = shapes.keys().filter_map(|name| name.rsplit_once('.').map(|(module, _)| module));
    let paths = ldm_paths(modules);
    all(shapes, |name, shape| {
        let (module, leaf) = name.rsplit_once('.')?;
        Some(renamed(format!("model.diffusion_model.{}.{leaf}", paths.get(module)?), name, shape))
    })
}

fn vae(shapes: &Shapes) -> Result<Vec<SingleTensor>, Vec<String>> {
    let ups = shapes.keys().filter_map(|name| name.strip_prefix("decoder.up_blocks.")?.split('.').next()?.parse().ok());
    let last_up: usize = ups.max().unwrap_or(0);
    all(shapes, |name, shape| {
        let single = vae_name(name, last_up)?;
        // Projections of the attention are stored as 1×1 convolutions.
        let shape = match shape {
            [rows, columns] => vec![*rows, *columns, 1, 1],
            shape => shape.to_vec(),
        };
        Some(renamed(format!("first_stage_model.{single}"), name, &shape))
    })
}

fn transformers(prefix: &str, shapes: &Shapes) -> Vec<SingleTensor> {
    shapes.iter().map(|(name, shape)| renamed(format!("{prefix}{name}"), name, shape)).collect()
}

/// What transformers and `open_clip` have in every layer, but for the projections of the attention.
const LAYER: &[(&str, &str)] = &[
    ("layer_norm1", "ln_1"),
    ("layer_norm2", "ln_2"),
    ("mlp.fc1", "mlp.c_fc"),
    ("mlp.fc2", "mlp.c_proj"),
    ("self_attn.out_proj", "attn.out_proj"),
];
/// The projections that `open_clip` keeps as one, in its order; the first stands for all.
const FUSED: [&str; 3] = ["self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj"];

/// `with_last`: one layer more than is used, as Stable Diffusion 2's files have. It is a copy of the one before; nothing
/// reads it, but programs that build the whole network miss it.
fn open_clip(prefix: &str, shapes: &Shapes, with_last: bool) -> Result<Vec<SingleTensor>, Vec<String>> {
    let layer_of = |name: &str| -> Option<(usize, String)> {
        let (layer, inner) = name.strip_prefix("text_model.encoder.layers.")?.split_once('.')?;
        Some((layer.parse().ok()?, inner.to_owned()))
    };
    let last = shapes.keys().filter_map(|name| layer_of(name)).map(|(layer, _)| layer).max();
    let mut tensors = Vec::with_capacity(shapes.len());
    let mut without = Vec::new();
    for (name, shape) in shapes {
        let mut add = |single: String, shape: &[usize], from: Vec<String>, making: Making| {
            tensors.push(SingleTensor { name: format!("{prefix}{single}"), shape: shape.to_vec(), from, making });
        };
        let once = match name.as_str() {
            "text_model.embeddings.token_embedding.weight" => Some("token_embedding.weight"),
            "text_model.embeddings.position_embedding.weight" => Some("positional_embedding"),
            "text_model.final_layer_norm.weight" => Some("ln_final.weight"),
            "text_model.final_layer_norm.bias" => Some("ln_final.bias"),
            _ => None,
        };
        if let Some(single) = once {
            add(single.to_owned(), shape, vec![name.clone()], Making::Same);
        } else if name == "text_projection.weight" {
            add("text_projection".to_owned(), &[shape[1], shape[0]], vec![name.clone()], Making::Transposed);
        } else if let Some((layer, inner)) = layer_of(name) {
            let mut places = vec![layer];
            places.extend(Some(layer + 1).filter(|_| with_last && Some(layer) == last));
            let (module, leaf) = inner.rsplit_once('.').unwrap_or((&inner, ""));
            for place in places {
                let at = format!("transformer.resblocks.{place}");
                if module == FUSED[0] {
                    let mut joined = shape.clone();
                    joined[0] *= FUSED.len();
                    let head = name.strip_suffix(&inner).unwrap_or_default();
                    let from = FUSED.iter().map(|projection| format!("{head}{projection}.{leaf}")).collect();
                    add(format!("{at}.attn.in_proj_{leaf}"), &joined, from, Making::Joined);
                } else if let Some((_, open_clip)) = LAYER.iter().find(|(here, _)| *here == module) {
                    add(format!("{at}.{open_clip}.{leaf}"), shape, vec![name.clone()], Making::Same);
                } else if !FUSED.contains(&module) && without.last() != Some(name) {
                    without.push(name.clone());
                }
            }
        } else {
            without.push(name.clone());
        }
    }
    if without.is_empty() { Ok(tensors) } else { Err(without) }
}
