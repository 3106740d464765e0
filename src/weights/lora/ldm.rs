//! LDM's names of a `UNet`'s modules (`input_blocks.4.1.proj_in`), from diffusers' names and the structure of the blocks.
//!
//! LDM counts all layers of all levels through (`openaimodel.py` of CompVis/latent-diffusion): a residual block with its
//! transformer is one entry, a downsampling is one of its own, and an upsampling is the last place of the entry before
//! it. So the number depends on how many layers the levels before have, which is read from the names themselves.

use std::collections::{BTreeMap, BTreeSet};

/// What a level is made of.
#[derive(Default)]
struct Block {
    layers: BTreeSet<usize>,
    attentions: BTreeSet<usize>,
    sampler: bool,
}

/// Modules outside the levels.
const SINGLE: &[(&str, &str)] = &[
    ("conv_in", "input_blocks.0.0"),
    ("time_embedding.linear_1", "time_embed.0"),
    ("time_embedding.linear_2", "time_embed.2"),
    ("add_embedding.linear_1", "label_emb.0.0"),
    ("add_embedding.linear_2", "label_emb.0.2"),
    ("conv_norm_out", "out.0"),
    ("conv_out", "out.2"),
];

/// Modules inside a residual block.
const RESNET: &[(&str, &str)] = &[
    ("norm1", "in_layers.0"),
    ("conv1", "in_layers.2"),
    ("time_emb_proj", "emb_layers.1"),
    ("norm2", "out_layers.0"),
    ("conv2", "out_layers.3"),
    ("conv_shortcut", "skip_connection"),
];

/// LDM's path of every module among `paths` (diffusers' names) that has one.
pub(in crate::weights) fn ldm_paths<'a>(paths: impl Iterator<Item = &'a str>) -> BTreeMap<String, String> {
    let paths: Vec<&str> = paths.collect();
    let places = places(&paths);
    let mut found = BTreeMap::new();
    for path in paths {
        if let Some(ldm) = ldm_path(path, &places) {
            found.insert(path.to_owned(), ldm);
        }
    }
    found
}

/// `down_blocks.1.resnets.0` and the like → LDM's place.
fn places(paths: &[&str]) -> BTreeMap<String, String> {
    let (mut down, mut up) = (BTreeMap::new(), BTreeMap::new());
    for path in paths {
        note(path, "down_blocks", &mut down);
        note(path, "up_blocks", &mut up);
    }
    let mut places = BTreeMap::new();
    for (from, to) in [("resnets.0", 0), ("attentions.0", 1), ("resnets.1", 2)] {
        places.insert(format!("mid_block.{from}"), format!("middle_block.{to}"));
    }
    // Entry 0 of the input is `conv_in`.
    let mut entry = 1;
    for (level, block) in &down {
        for layer in &block.layers {
            places.insert(format!("down_blocks.{level}.resnets.{layer}"), format!("input_blocks.{entry}.0"));
            places.insert(format!("down_blocks.{level}.attentions.{layer}"), format!("input_blocks.{entry}.1"));
            entry += 1;
        }
        if block.sampler {
            places.insert(format!("down_blocks.{level}.downsamplers.0.conv"), format!("input_blocks.{entry}.0.op"));
            entry += 1;
        }
    }
    entry = 0;
    for (level, block) in &up {
        for layer in &block.layers {
            places.insert(format!("up_blocks.{level}.resnets.{layer}"), format!("output_blocks.{entry}.0"));
            places.insert(format!("up_blocks.{level}.attentions.{layer}"), format!("output_blocks.{entry}.1"));
            if block.sampler && Some(layer) == block.layers.last() {
                // The upsampling follows what the entry has.
                let place = if block.attentions.contains(layer) { 2 } else { 1 };
                places.insert(
                    format!("up_blocks.{level}.upsamplers.0.conv"),
                    format!("output_blocks.{entry}.{place}.conv"),
                );
            }
            entry += 1;
        }
    }
    places
}

/// Notes what a path tells of its level's structure.
fn note(path: &str, blocks: &str, found: &mut BTreeMap<usize, Block>) {
    let mut parts = path.split('.');
    if parts.next() != Some(blocks) {
        return;
    }
    let Some(level) = parts.next().and_then(|level| level.parse().ok()) else { return };
    let (kind, number) = (parts.next(), parts.next().and_then(|number| number.parse().ok()));
    let block: &mut Block = found.entry(level).or_default();
    match (kind, number) {
        (Some("resnets"), Some(number)) => drop(block.layers.insert(number)),
        (Some("attentions"), Some(number)) => {
            // A table of attentions alone still tells of its layers.
            block.layers.insert(number);
            block.attentions.insert(number);
        }
        (Some("downsamplers" | "upsamplers"), _) => block.sampler = true,
        _ => {}
    }
}

fn ldm_path(path: &str, places: &BTreeMap<String, String>) -> Option<String> {
    if let Some((_, ldm)) = SINGLE.iter().find(|(diffusers, _)| *diffusers == path) {
        return Some((*ldm).to_owned());
    }
    if let Some(ldm) = places.get(path) {
        return Some(ldm.clone());
    }
    // The longest place that the path lies in: `down_blocks.1.attentions.0` of `down_blocks.1.attentions.0.proj_in`.
    let (place, inner) = path
        .rmatch_indices('.')
        .find_map(|(dot, _)| places.get(&path[..dot]).map(|place| (place, &path[dot + 1..])))?;
    let inner = if path.contains(".resnets.") {
        RESNET.iter().find(|(diffusers, _)| *diffusers == inner).map(|(_, ldm)| *ldm)?
    } else {
        inner
    };
    Some(format!("{place}.{inner}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The names of SDXL's `UNet`: three levels, the outermost without attention.
    fn sdxl() -> Vec<String> {
        let mut paths = vec!["conv_in".to_owned(), "conv_out".to_owned(), "add_embedding.linear_2".to_owned()];
        for level in 0..3 {
            for layer in 0..2 {
                paths.push(format!("down_blocks.{level}.resnets.{layer}.conv1"));
                if level > 0 {
                    paths.push(format!("down_blocks.{level}.attentions.{layer}.proj_in"));
                }
            }
            for layer in 0..3 {
                paths.push(format!("up_blocks.{level}.resnets.{layer}.conv_shortcut"));
                if level < 2 {
                    paths.push(format!("up_blocks.{level}.attentions.{layer}.proj_out"));
                }
            }
            if level < 2 {
                paths.push(format!("down_blocks.{level}.downsamplers.0.conv"));
                paths.push(format!("up_blocks.{level}.upsamplers.0.conv"));
            }
        }
        paths.push("mid_block.attentions.0.transformer_blocks.9.attn2.to_k".to_owned());
        paths
    }

    #[test]
    fn sdxls_modules_have_their_published_names() {
        let paths = sdxl();
        let ldm = ldm_paths(paths.iter().map(String::as_str));
        // From the names in the published sd_xl_base_1.0.safetensors and the folder of the same model.
        for (diffusers, expected) in [
            ("conv_in", "input_blocks.0.0"),
            ("conv_out", "out.2"),
            ("add_embedding.linear_2", "label_emb.0.2"),
            ("down_blocks.0.resnets.0.conv1", "input_blocks.1.0.in_layers.2"),
            ("down_blocks.0.downsamplers.0.conv", "input_blocks.3.0.op"),
            ("down_blocks.1.attentions.0.proj_in", "input_blocks.4.1.proj_in"),
            ("down_blocks.2.attentions.1.proj_in", "input_blocks.8.1.proj_in"),
            (
                "mid_block.attentions.0.transformer_blocks.9.attn2.to_k",
                "middle_block.1.transformer_blocks.9.attn2.to_k",
            ),
            ("up_blocks.0.attentions.0.proj_out", "output_blocks.0.1.proj_out"),
            ("up_blocks.0.upsamplers.0.conv", "output_blocks.2.2.conv"),
            ("up_blocks.1.upsamplers.0.conv", "output_blocks.5.2.conv"),
            ("up_blocks.2.resnets.2.conv_shortcut", "output_blocks.8.0.skip_connection"),
        ] {
            assert_eq!(ldm.get(diffusers).map(String::as_str), Some(expected), "{diffusers}");
        }
        assert_eq!(ldm.len(), paths.len(), "every module has a name");
        let distinct: BTreeSet<&String> = ldm.values().collect();
        assert_eq!(distinct.len(), paths.len(), "and one of its own");
    }

    #[test]
    fn strange_names_have_no_place() {
        let strange = ["", ".", "down_blocks", "down_blocks.x.resnets.0.conv1", "down_blocks.0.resnets.0.other", "é.0"];
        assert!(ldm_paths(strange.into_iter()).is_empty());
    }
}
