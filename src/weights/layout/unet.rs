//! The `UNet`'s names: the training code's flat lists of blocks (`input_blocks.4.1`) to diffusers' blocks.
//!
//! The structure is read off the names: a downsampling or an upsampling ends a block, whatever its number of layers, so
//! that distilled and tiny networks are laid out by the same table.
//! Source: `ldm/modules/diffusionmodules/openaimodel.py` (`CompVis`), `UNet2DConditionModel` (diffusers).

use std::collections::{BTreeMap, BTreeSet};

use super::{Laid, Names, Naming, below, gap, index};
use crate::weights::View;

/// Names within a module: the training code's, diffusers'.
type Heads = &'static [(&'static str, &'static str)];

const LEAVES: Heads = &[("weight", "weight"), ("bias", "bias")];
const RESNET: Heads = &[
    ("in_layers.0", "norm1"),
    ("in_layers.2", "conv1"),
    ("out_layers.0", "norm2"),
    ("out_layers.3", "conv2"),
    ("emb_layers.1", "time_emb_proj"),
    ("skip_connection", "conv_shortcut"),
];
const ATTENTION: Heads =
    &[("norm", "norm"), ("proj_in", "proj_in"), ("proj_out", "proj_out"), ("transformer_blocks", "transformer_blocks")];
const DOWNSAMPLER: Heads = &[("op", "conv")];
const UPSAMPLER: Heads = &[("conv", "conv")];

/// The modules that are where they are in every network.
const FIXED: &[(&str, &str, Heads)] = &[
    ("input_blocks.0.0", "conv_in", LEAVES),
    ("time_embed.0", "time_embedding.linear_1", LEAVES),
    ("time_embed.2", "time_embedding.linear_2", LEAVES),
    ("label_emb.0.0", "add_embedding.linear_1", LEAVES),
    ("label_emb.0.2", "add_embedding.linear_2", LEAVES),
    ("middle_block.0", "mid_block.resnets.0", RESNET),
    ("middle_block.1", "mid_block.attentions.0", ATTENTION),
    ("middle_block.2", "mid_block.resnets.1", RESNET),
    ("out.0", "conv_norm_out", LEAVES),
    ("out.2", "conv_out", LEAVES),
];

/// Where each module of the training code's network goes.
#[derive(Default)]
struct Modules {
    to: BTreeMap<String, (String, Heads)>,
    problems: Vec<String>,
}

/// Lays out a `UNet` in either naming.
pub(super) fn lay(names: &Names) -> Laid {
    let is_ldm = |own: &str| ["input_blocks.", "output_blocks.", "middle_block."].iter().any(|at| own.starts_with(at));
    if !names.own().any(is_ldm) {
        let mut laid = Laid::new(Naming::Diffusers);
        laid.views = names.entries.iter().map(|(from, own)| View::renamed(*own, *from)).collect();
        return laid;
    }
    let mut laid = Laid::new(Naming::Ldm);
    let modules = Modules::new(names.own());
    for (from, own) in &names.entries {
        match modules.name(own) {
            Some(name) => laid.views.push(View::renamed(name, *from)),
            None => laid.unknown(from, own),
        }
    }
    laid.problems = modules.problems;
    laid
}

impl Modules {
    fn new<'a>(names: impl Iterator<Item = &'a str>) -> Self {
        let mut modules = Self::default();
        for (from, to, heads) in FIXED {
            modules.to.insert((*from).to_owned(), ((*to).to_owned(), heads));
        }
        // Of each numbered block: the numbers within, and what follows them first (`op`, `conv`, `in_layers`, …).
        let mut inputs: BTreeMap<usize, BTreeSet<(usize, &str)>> = BTreeMap::new();
        let mut outputs = inputs.clone();
        for name in names {
            let mut words = name.split('.');
            let blocks = match words.next() {
                Some("input_blocks") => &mut inputs,
                Some("output_blocks") => &mut outputs,
                _ => continue,
            };
            let (block, within) = (words.next().and_then(index), words.next().and_then(index));
            if let (Some(block), Some(within), Some(what)) = (block, within, words.next()) {
                blocks.entry(block).or_default().insert((within, what));
            }
        }
        for (list, blocks) in [("input_blocks", &inputs), ("output_blocks", &outputs)] {
            if let Some(missing) = gap(&blocks.keys().copied().collect()) {
                modules.problems.push(format!("The UNet lacks {list}.{missing}"));
            }
        }
        modules.walk("input_blocks", "down_blocks", inputs.into_iter().skip(1).collect());
        modules.walk("output_blocks", "up_blocks", outputs.into_iter().collect());
        modules
    }

    /// Walks a list of blocks in order; a sampler ends diffusers' block.
    fn walk(&mut self, from: &str, to: &str, blocks: Vec<(usize, BTreeSet<(usize, &str)>)>) {
        let (mut block, mut layer) = (0, 0);
        for (number, modules) in blocks {
            let mut ends = false;
            let mut has_layer = false;
            let mut kinds = BTreeSet::new();
            for (within, what) in modules {
                let (kind, heads, sampler) = match what {
                    "op" => ("downsamplers", DOWNSAMPLER, true),
                    "conv" => ("upsamplers", UPSAMPLER, true),
                    "in_layers" => ("resnets", RESNET, false),
                    "transformer_blocks" => ("attentions", ATTENTION, false),
                    _ => continue,
                };
                if !kinds.insert(kind) {
                    self.problems.push(format!("{from}.{number} has two {kind}"));
                }
                let place = if sampler { 0 } else { layer };
                let target = (format!("{to}.{block}.{kind}.{place}"), heads);
                if let Some((there, _)) = self.to.insert(format!("{from}.{number}.{within}"), target) {
                    self.problems.push(format!("{from}.{number}.{within} is two things, one of them {there}"));
                }
                ends |= sampler;
                has_layer |= !sampler;
            }
            layer += usize::from(has_layer);
            if ends {
                (block, layer) = (block + 1, 0);
            }
        }
    }

    /// diffusers' name of a tensor.
    fn name(&self, own: &str) -> Option<String> {
        // A module is named by two words (`out.0`) or three (`input_blocks.1.0`).
        let mut dots = own.match_indices('.').map(|(at, _)| at).skip(1);
        let ends = [dots.next()?, dots.next().unwrap_or(own.len())];
        let (to, heads, rest) = ends.into_iter().rev().find_map(|end| {
            let (to, heads) = self.to.get(own.get(..end)?)?;
            Some((to, heads, own.get(end + 1..)?))
        })?;
        heads.iter().find_map(|(ldm, diffusers)| Some(format!("{to}.{diffusers}{}", below(rest, ldm)?)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn names_of(tensors: &[&str]) -> Vec<Option<String>> {
        let modules = Modules::new(tensors.iter().copied());
        assert_eq!(modules.problems, [""; 0]);
        tensors.iter().map(|name| modules.name(name)).collect()
    }

    #[test]
    fn a_sampler_ends_a_block() {
        // Blocks of one, then two layers; the second has attention, and so its upsampler is the third module.
        let names = [
            "input_blocks.0.0.weight",
            "input_blocks.1.0.in_layers.2.weight",
            "input_blocks.2.0.op.weight",
            "input_blocks.3.0.in_layers.0.bias",
            "input_blocks.3.1.transformer_blocks.0.attn1.to_q.weight",
            "input_blocks.4.0.skip_connection.weight",
            "input_blocks.4.0.in_layers.0.weight",
            "output_blocks.0.0.in_layers.0.weight",
            "output_blocks.0.1.conv.bias",
            "output_blocks.1.0.in_layers.0.weight",
            "output_blocks.1.1.transformer_blocks.0.norm1.bias",
            "output_blocks.1.1.proj_out.weight",
            "output_blocks.1.2.conv.bias",
            "out.2.bias",
        ];
        let expected = [
            "conv_in.weight",
            "down_blocks.0.resnets.0.conv1.weight",
            "down_blocks.0.downsamplers.0.conv.weight",
            "down_blocks.1.resnets.0.norm1.bias",
            "down_blocks.1.attentions.0.transformer_blocks.0.attn1.to_q.weight",
            "down_blocks.1.resnets.1.conv_shortcut.weight",
            "down_blocks.1.resnets.1.norm1.weight",
            "up_blocks.0.resnets.0.norm1.weight",
            "up_blocks.0.upsamplers.0.conv.bias",
            "up_blocks.1.resnets.0.norm1.weight",
            "up_blocks.1.attentions.0.transformer_blocks.0.norm1.bias",
            "up_blocks.1.attentions.0.proj_out.weight",
            "up_blocks.1.upsamplers.0.conv.bias",
            "conv_out.bias",
        ];
        assert_eq!(names_of(&names), expected.map(|name| Some(name.to_owned())));
    }

    #[test]
    fn names_off_the_tables_are_none() {
        for name in [
            "input_blocks.1.0.in_layers.3.weight",
            "input_blocks.01.0.in_layers.0.weight",
            "input_blocks.99999999999999999999999.0.in_layers.0.weight",
            "out.1.weight",
            "out.0.weights",
            "middle_block.1",
            "",
            ".",
            "..",
        ] {
            let names = ["input_blocks.0.0.weight", "input_blocks.1.0.in_layers.0.weight", name];
            assert_eq!(Modules::new(names.into_iter()).name(name), None, "{name}");
        }
    }

    #[test]
    fn a_missing_block_is_a_problem_not_a_shift() {
        let names = ["input_blocks.0.0.weight", "input_blocks.2.0.in_layers.0.weight"];
        assert_eq!(Modules::new(names.into_iter()).problems, ["The UNet lacks input_blocks.1"]);
        let names = ["output_blocks.0.1.conv.weight", "output_blocks.0.1.transformer_blocks.0.norm1.bias"];
        assert!(Modules::new(names.into_iter()).problems[0].contains("output_blocks.0.1 is two things"));
    }

    proptest! {
        #[test]
        fn no_two_names_become_one(
            names in prop::collection::btree_set(
                "(input_blocks|output_blocks|middle_block|out|time_embed)\\.[0-4]\\.[0-2]\\.\
                 (in_layers\\.[02]|out_layers\\.[03]|op|conv|norm|proj_in|transformer_blocks\\.0\\.norm1\
                 |skip_connection)\
                 \\.(weight|bias)",
                0..40,
            )
        ) {
            let modules = Modules::new(names.iter().map(String::as_str));
            let mapped: Vec<String> = names.iter().filter_map(|name| modules.name(name)).collect();
            let distinct: BTreeSet<&String> = mapped.iter().collect();
            // Where a block has two of a kind or none, the file is refused.
            prop_assert!(distinct.len() == mapped.len() || !modules.problems.is_empty(), "{:?}", mapped);
        }

        #[test]
        fn sound_networks_are_mapped_whole_and_one_to_one(
            blocks in prop::collection::vec((1usize..4, any::<bool>()), 1..5)
        ) {
            let names = sound(&blocks);
            let modules = Modules::new(names.iter().map(String::as_str));
            prop_assert_eq!(&modules.problems, &[""; 0]);
            let mapped: BTreeSet<String> = names.iter().filter_map(|name| modules.name(name)).collect();
            prop_assert_eq!(mapped.len(), names.len());
            // The last block of either list has no sampler, every layer its place.
            for (block, (layers, attention)) in blocks.iter().enumerate() {
                let last = format!("down_blocks.{block}.resnets.{}.norm1.weight", layers - 1);
                prop_assert!(mapped.contains(&last), "{} of {:?}", last, mapped);
                let name = format!("down_blocks.{block}.attentions.{}.norm.bias", layers - 1);
                prop_assert_eq!(mapped.contains(&name), *attention);
                let sampler = mapped.contains(&format!("down_blocks.{block}.downsamplers.0.conv.weight"));
                prop_assert_eq!(sampler, block + 1 < blocks.len());
                let up = blocks.len() - 1 - block;
                let last = format!("up_blocks.{up}.resnets.{layers}.norm1.weight");
                prop_assert!(mapped.contains(&last), "{} of {:?}", last, mapped);
                let sampler = mapped.contains(&format!("up_blocks.{up}.upsamplers.0.conv.weight"));
                prop_assert_eq!(sampler, up + 1 < blocks.len());
            }
        }
    }

    /// The training code's names of a network with these blocks: layers, and whether they have attention.
    fn sound(blocks: &[(usize, bool)]) -> BTreeSet<String> {
        let mut names = BTreeSet::from(["input_blocks.0.0.weight".to_owned()]);
        let mut layer = |at: String, attention: bool| {
            names.insert(format!("{at}.0.in_layers.0.weight"));
            if attention {
                names.insert(format!("{at}.1.norm.bias"));
                names.insert(format!("{at}.1.transformer_blocks.0.norm1.bias"));
            }
        };
        let (mut number, mut samplers) = (1, Vec::new());
        for (block, (layers, attention)) in blocks.iter().enumerate() {
            for _ in 0..*layers {
                layer(format!("input_blocks.{number}"), *attention);
                number += 1;
            }
            if block + 1 < blocks.len() {
                samplers.push(format!("input_blocks.{number}.0.op.weight"));
                number += 1;
            }
        }
        number = 0;
        for (block, (layers, attention)) in blocks.iter().rev().enumerate() {
            for _ in 0..=*layers {
                layer(format!("output_blocks.{number}"), *attention);
                number += 1;
            }
            if block + 1 < blocks.len() {
                samplers.push(format!("output_blocks.{}.{}.conv.weight", number - 1, 1 + usize::from(*attention)));
            }
        }
        names.extend(samplers);
        names
    }
}
