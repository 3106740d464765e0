//! A text encoder's names: transformers' with and without their prefix, and `open_clip`'s with its fused projections.
//!
//! Source: `CLIPTextModel`, `CLIPTextModelWithProjection` (transformers); `open_clip/transformer.py` (`open_clip`).

use std::collections::BTreeSet;

use super::{Laid, Names, Naming, below, gap, index};
use crate::weights::{Step, View};

/// What all published files of transformers' naming begin with, and what every file ends with here.
const PREFIX: &str = "text_model.";
/// Modules of a text encoder in transformers' naming, behind the prefix.
const MODULES: &[&str] =
    &["embeddings.token_embedding", "embeddings.position_embedding", "encoder.layers", "final_layer_norm"];
/// What `open_clip` has once: its name, transformers'.
const ONCE: &[(&str, &str)] = &[
    ("token_embedding.weight", "text_model.embeddings.token_embedding.weight"),
    ("positional_embedding", "text_model.embeddings.position_embedding.weight"),
    ("ln_final.weight", "text_model.final_layer_norm.weight"),
    ("ln_final.bias", "text_model.final_layer_norm.bias"),
];
/// What `open_clip` has in every layer.
const LAYER: &[(&str, &str)] = &[
    ("ln_1", "layer_norm1"),
    ("ln_2", "layer_norm2"),
    ("mlp.c_fc", "mlp.fc1"),
    ("mlp.c_proj", "mlp.fc2"),
    ("attn.out_proj", "self_attn.out_proj"),
];
/// The projections that `open_clip` keeps as one, in its order.
const FUSED: [&str; 3] = ["q_proj", "k_proj", "v_proj"];
/// Where the layers of `open_clip` are.
const RESBLOCKS: &str = "transformer.resblocks.";
/// `open_clip`'s projection of the pooled vector, which it multiplies from the right.
const PROJECTION: &str = "text_projection";

/// Lays out a text encoder in any naming.
pub(super) fn lay(names: &Names) -> Laid {
    if names.own().any(|own| own.starts_with(RESBLOCKS)) { lay_open_clip(names) } else { lay_transformers(names) }
}

fn lay_transformers(names: &Names) -> Laid {
    let mut laid = Laid::new(Naming::Transformers);
    for (from, own) in &names.entries {
        let inner = own.strip_prefix(PREFIX).unwrap_or(own);
        if MODULES.iter().any(|module| below(inner, module).is_some_and(|tail| !tail.is_empty())) {
            laid.views.push(View::renamed(format!("{PREFIX}{inner}"), *from));
        } else if *own == "text_projection.weight" {
            laid.views.push(View::renamed(*own, *from));
        } else {
            laid.unknown(from, own);
        }
    }
    laid
}

fn lay_open_clip(names: &Names) -> Laid {
    let mut laid = Laid::new(Naming::OpenClip);
    let layers: BTreeSet<usize> =
        names.own().filter_map(|own| index(own.strip_prefix(RESBLOCKS)?.split('.').next()?)).collect();
    if let Some(missing) = gap(&layers) {
        laid.problems.push(format!("The text encoder lacks {RESBLOCKS}{missing}"));
    }
    let dropped = dropped_layer(names, &layers);
    for (from, own) in &names.entries {
        if let Some((_, name)) = ONCE.iter().find(|(open_clip, _)| open_clip == own) {
            laid.views.push(View::renamed(*name, *from));
        } else if *own == PROJECTION {
            if names.penultimate {
                laid.ignored.push((*from).to_owned());
            } else {
                laid.views.push(View::renamed("text_projection.weight", *from).then(Step::Transposed));
            }
        } else if let Some((layer, inner)) = layer_of(own) {
            let height = names.shape(from).first().copied().unwrap_or(0);
            if dropped == Some(layer) {
                laid.ignored.push((*from).to_owned());
            } else if inner.starts_with("attn.in_proj_") && !height.is_multiple_of(FUSED.len()) {
                laid.problems.push(format!("{own} has {height} rows, which are not three projections"));
            } else if let Some(views) = layer_views(names, from, layer, inner) {
                laid.views.extend(views);
            } else {
                laid.unknown(from, own);
            }
        } else {
            laid.unknown(from, own);
        }
    }
    laid
}

/// Stable Diffusion 2 takes the text from before the last layer, and diffusers' folders end there. Its single files
/// have that layer, but those that diffusers' `convert_diffusers_to_original_stable_diffusion.py` wrote from a folder:
/// 23 layers of the published 24, which are 1024 wide.
fn dropped_layer(names: &Names, layers: &BTreeSet<usize>) -> Option<usize> {
    let width = names.entries.iter().find(|(_, own)| *own == "ln_final.weight").map(|(from, _)| names.shape(from));
    let is_cut_already = layers.len() == 23 && width == Some(&[1024]);
    if names.penultimate && !is_cut_already && layers.len() > 1 { layers.last().copied() } else { None }
}

/// The layer of a name, and the name within it.
fn layer_of(own: &str) -> Option<(usize, &str)> {
    let (layer, inner) = own.strip_prefix(RESBLOCKS)?.split_once('.')?;
    Some((index(layer)?, inner))
}

fn layer_views(names: &Names, from: &str, layer: usize, inner: &str) -> Option<Vec<View>> {
    let to = format!("text_model.encoder.layers.{layer}");
    if let Some(leaf) = inner.strip_prefix("attn.in_proj_").filter(|leaf| ["weight", "bias"].contains(leaf)) {
        let rows = names.shape(from).first().map_or(0, |side| side / FUSED.len());
        let projection = |(i, name): (usize, &&str)| {
            View::renamed(format!("{to}.self_attn.{name}.{leaf}"), from).then(Step::Rows(i * rows..(i + 1) * rows))
        };
        return Some(FUSED.iter().enumerate().map(projection).collect());
    }
    LAYER.iter().find_map(|(open_clip, name)| {
        let tail = below(inner, open_clip).filter(|tail| [".weight", ".bias"].contains(tail))?;
        Some(vec![View::renamed(format!("{to}.{name}{tail}"), from)])
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::weights::{TensorInfo, Tensors};
    use proptest::prelude::*;
    use safetensors::tensor::Dtype;

    /// Lays out tensors of these names, all of 12 numbers but the fused ones.
    fn laid(names: &[&str], penultimate: bool, width: usize) -> Laid {
        let tensors: Tensors = names
            .iter()
            .map(|name| {
                let shape = if name.contains("in_proj_weight") {
                    vec![3 * width, width]
                } else if name.contains("in_proj_bias") {
                    vec![3 * width]
                } else if *name == PROJECTION {
                    vec![width, 2]
                } else {
                    vec![width]
                };
                let bytes = shape.iter().product::<usize>() * 2;
                ((*name).to_owned(), TensorInfo::new(Dtype::F16, shape, None, 0..bytes).unwrap())
            })
            .collect();
        let entries = tensors.keys().map(|name| (name.as_str(), name.as_str())).collect();
        let laid = lay(&Names { entries, tensors: &tensors, penultimate });
        for view in &laid.views {
            view.of(&tensors).unwrap();
        }
        laid
    }

    #[test]
    fn fused_projections_come_apart_in_their_order() {
        let names = ["transformer.resblocks.0.attn.in_proj_weight", "transformer.resblocks.0.attn.in_proj_bias"];
        let views = laid(&names, false, 4).views;
        let mut found: Vec<(&str, &[Step])> =
            views.iter().map(|view| (view.name.as_str(), view.steps.as_slice())).collect();
        found.sort_by_key(|(name, _)| *name);
        let at = |name: &str| format!("text_model.encoder.layers.0.self_attn.{name}");
        for (i, name) in FUSED.iter().enumerate() {
            for leaf in ["weight", "bias"] {
                let expected = [Step::Rows(4 * i..4 * i + 4)];
                assert!(found.contains(&(at(&format!("{name}.{leaf}")).as_str(), &expected[..])), "{found:?}");
            }
        }
        assert_eq!(found.len(), 6);
    }

    #[test]
    fn the_last_layer_is_dropped_only_where_it_is_one_too_many() {
        let layers = |count: usize| -> Vec<String> {
            let mut names: Vec<String> = (0..count).map(|i| format!("{RESBLOCKS}{i}.ln_1.weight")).collect();
            names.extend(["ln_final.weight".to_owned(), PROJECTION.to_owned()]);
            names
        };
        for (count, width, penultimate, expected) in
            [(24, 1024, true, 23), (23, 1024, true, 23), (32, 1280, false, 32), (4, 8, true, 3), (1, 8, true, 1)]
        {
            let names = layers(count);
            let laid = laid(&names.iter().map(String::as_str).collect::<Vec<_>>(), penultimate, width);
            let kept = laid.views.iter().filter(|view| view.name.contains("layer_norm1")).count();
            assert_eq!(kept, expected, "{count} layers of {width}");
            let projection = laid.views.iter().find(|view| view.name == "text_projection.weight");
            assert_eq!(projection.map(|view| view.steps.clone()), (!penultimate).then(|| vec![Step::Transposed]));
            assert_eq!(laid.ignored.contains(&PROJECTION.to_owned()), penultimate);
        }
    }

    #[test]
    fn names_off_the_tables_stay_and_are_told() {
        let names =
            ["transformer.resblocks.0.ln_1.weight", "transformer.resblocks.2.ln_1.weight", "a", "ln_final.gain"];
        let open_clip = laid(&names, false, 4);
        assert_eq!(open_clip.unknown, ["a", "ln_final.gain"]);
        assert_eq!(open_clip.problems, ["The text encoder lacks transformer.resblocks.1"]);
        let transformers = laid(&["embeddings.token_embedding.weight", "encoder.blocks.0", "encoder.layers"], false, 4);
        assert_eq!(transformers.unknown, ["encoder.blocks.0", "encoder.layers"]);
        assert!(transformers.views.iter().any(|view| view.name == "encoder.blocks.0"));
    }

    proptest! {
        #[test]
        fn no_two_names_become_one(
            names in prop::collection::btree_set(
                "(transformer\\.resblocks\\.0?[0-3]\\.(ln_[12]\\.(weight|bias)|attn\\.(in_proj_weight|in_proj_bias\
                 |out_proj\\.weight)|mlp\\.c_(fc|proj)\\.bias|mlp)|ln_final\\.weight|text_projection\
                 |positional_embedding)",
                0..30,
            ),
            penultimate: bool,
        ) {
            let mut names: Vec<&str> = names.iter().map(String::as_str).collect();
            names.push("transformer.resblocks.0.ln_x");
            let views = laid(&names, penultimate, 4).views;
            prop_assert_eq!(views.iter().map(|view| &view.name).collect::<BTreeSet<_>>().len(), views.len());
        }
    }
}
