//! The VAE's names: the training code's, and diffusers' old and new ones.
//!
//! Source: `ldm/modules/diffusionmodules/model.py` (`CompVis`), `AutoencoderKL` (diffusers).

use std::collections::BTreeSet;

use super::{Laid, Names, Naming, gap, index};
use crate::weights::{Step, View};

/// Modules of an attention: the training code's name, diffusers'.
const ATTENTION: &[(&str, &str)] =
    &[("norm", "group_norm"), ("q", "to_q"), ("k", "to_k"), ("v", "to_v"), ("proj_out", "to_out.0")];
/// The same of the first diffusers releases.
const OLD_ATTENTION: &[(&str, &str)] =
    &[("query", "to_q"), ("key", "to_k"), ("value", "to_v"), ("proj_attn", "to_out.0")];
/// Modules of a residual block.
const RESNET: &[(&str, &str)] = &[
    ("norm1", "norm1"),
    ("conv1", "conv1"),
    ("norm2", "norm2"),
    ("conv2", "conv2"),
    ("nin_shortcut", "conv_shortcut"),
];
/// Modules beside the blocks.
const OUTER: &[(&str, &str)] = &[("conv_in", "conv_in"), ("norm_out", "conv_norm_out"), ("conv_out", "conv_out")];
/// The attention of the middle, under diffusers' names.
const MIDDLE: &str = "mid_block.attentions.0.";

/// Lays out a VAE in any naming.
pub(super) fn lay(names: &Names) -> Laid {
    let is_ldm = |own: &str| {
        matches!(own.split('.').nth(1), Some("mid" | "down" | "up" | "norm_out"))
            && (own.starts_with("encoder.") || own.starts_with("decoder."))
    };
    let mut laid = Laid::new(if names.own().any(is_ldm) { Naming::Ldm } else { Naming::Diffusers });
    let ups: BTreeSet<usize> =
        names.own().filter_map(|own| index(own.strip_prefix("decoder.up.")?.split('.').next()?)).collect();
    let downs: BTreeSet<usize> =
        names.own().filter_map(|own| index(own.strip_prefix("encoder.down.")?.split('.').next()?)).collect();
    for (list, numbers) in [("decoder.up", &ups), ("encoder.down", &downs)] {
        if let Some(missing) = gap(numbers) {
            laid.problems.push(format!("The VAE lacks {list}.{missing}"));
        }
    }
    let last_up = ups.last().copied().unwrap_or(0);
    for (from, own) in &names.entries {
        let name = match laid.naming {
            Naming::Ldm => ldm_name(own, last_up),
            _ => Some(vae_name(own)),
        };
        let Some(name) = name else {
            laid.unknown(from, own);
            continue;
        };
        let is_matrix = name.contains(MIDDLE) && name.ends_with(".weight");
        let view = View::renamed(name, *from);
        // Linear layers that are stored as 1×1 convolutions.
        laid.views.push(match names.shape(from) {
            [out, inner, 1, 1] if is_matrix => view.then(Step::Reshaped(vec![*out, *inner])),
            _ => view,
        });
    }
    laid
}

/// Autoencoders of the first diffusers releases name the projections of their attention otherwise. Other names stay.
#[must_use]
pub fn vae_name(name: &str) -> String {
    let renamed = || {
        let (head, tail) = name.split_once(MIDDLE)?;
        let (module, leaf) = tail.split_once('.')?;
        Some(format!("{head}{MIDDLE}{}.{leaf}", translate(OLD_ATTENTION, module)?))
    };
    renamed().unwrap_or_else(|| name.to_owned())
}

/// diffusers' name of a tensor of the training code; its decoder counts from the other end, to `last_up`.
fn ldm_name(own: &str, last_up: usize) -> Option<String> {
    let words: Vec<&str> = own.split('.').collect();
    let (leaf, modules) = words.split_last()?;
    if !matches!(*leaf, "weight" | "bias") {
        return None;
    }
    let up = |block: &str| last_up.checked_sub(index(block)?);
    let module = match modules {
        ["quant_conv" | "post_quant_conv"] => modules[0].to_owned(),
        [side @ ("encoder" | "decoder"), rest @ ..] => {
            let within = match (*side, rest) {
                (_, [outer]) => translate(OUTER, outer)?.to_owned(),
                (_, ["mid", "attn_1", module]) => format!("{MIDDLE}{}", translate(ATTENTION, module)?),
                (_, ["mid", "block_1", module]) => format!("mid_block.resnets.0.{}", translate(RESNET, module)?),
                (_, ["mid", "block_2", module]) => format!("mid_block.resnets.1.{}", translate(RESNET, module)?),
                ("encoder", ["down", block, "block", layer, module]) => {
                    let (block, layer) = (index(block)?, index(layer)?);
                    format!("down_blocks.{block}.resnets.{layer}.{}", translate(RESNET, module)?)
                }
                ("encoder", ["down", block, "downsample", "conv"]) => {
                    format!("down_blocks.{}.downsamplers.0.conv", index(block)?)
                }
                ("decoder", ["up", block, "block", layer, module]) => {
                    format!("up_blocks.{}.resnets.{}.{}", up(block)?, index(layer)?, translate(RESNET, module)?)
                }
                ("decoder", ["up", block, "upsample", "conv"]) => format!("up_blocks.{}.upsamplers.0.conv", up(block)?),
                _ => return None,
            };
            format!("{side}.{within}")
        }
        _ => return None,
    };
    Some(format!("{module}.{leaf}"))
}

/// The other way round: the training code's name of a tensor of diffusers'.
pub(super) fn single_name(name: &str, last_up: usize) -> Option<String> {
    let words: Vec<&str> = name.split('.').collect();
    let (leaf, modules) = words.split_last()?;
    let up = |block: &str| last_up.checked_sub(index(block)?);
    let module = match modules {
        ["quant_conv" | "post_quant_conv"] => modules[0].to_owned(),
        [side @ ("encoder" | "decoder"), rest @ ..] => {
            let within = match (*side, rest) {
                (_, [outer]) => back(OUTER, outer)?.to_owned(),
                (_, ["mid_block", "attentions", "0", module @ ..]) => {
                    format!("mid.attn_1.{}", back(ATTENTION, &module.join("."))?)
                }
                (_, ["mid_block", "resnets", layer, module]) => {
                    format!("mid.block_{}.{}", 1 + index(layer)?, back(RESNET, module)?)
                }
                ("encoder", ["down_blocks", block, "resnets", layer, module]) => {
                    format!("down.{}.block.{}.{}", index(block)?, index(layer)?, back(RESNET, module)?)
                }
                ("encoder", ["down_blocks", block, "downsamplers", "0", "conv"]) => {
                    format!("down.{}.downsample.conv", index(block)?)
                }
                ("decoder", ["up_blocks", block, "resnets", layer, module]) => {
                    format!("up.{}.block.{}.{}", up(block)?, index(layer)?, back(RESNET, module)?)
                }
                ("decoder", ["up_blocks", block, "upsamplers", "0", "conv"]) => {
                    format!("up.{}.upsample.conv", up(block)?)
                }
                _ => return None,
            };
            format!("{side}.{within}")
        }
        _ => return None,
    };
    Some(format!("{module}.{leaf}"))
}

fn back(table: &'static [(&str, &str)], name: &str) -> Option<&'static str> {
    table.iter().find(|(_, to)| *to == name).map(|(from, _)| *from)
}

fn translate(table: &'static [(&str, &str)], name: &str) -> Option<&'static str> {
    table.iter().find(|(from, _)| *from == name).map(|(_, to)| *to)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_decoder_counts_from_the_other_end() {
        for (name, expected) in [
            ("decoder.up.3.block.0.conv1.weight", Some("decoder.up_blocks.0.resnets.0.conv1.weight")),
            ("decoder.up.0.block.2.nin_shortcut.bias", Some("decoder.up_blocks.3.resnets.2.conv_shortcut.bias")),
            ("decoder.up.1.upsample.conv.bias", Some("decoder.up_blocks.2.upsamplers.0.conv.bias")),
            ("encoder.down.1.downsample.conv.bias", Some("encoder.down_blocks.1.downsamplers.0.conv.bias")),
            ("encoder.mid.attn_1.proj_out.weight", Some("encoder.mid_block.attentions.0.to_out.0.weight")),
            ("decoder.norm_out.bias", Some("decoder.conv_norm_out.bias")),
            ("quant_conv.bias", Some("quant_conv.bias")),
            ("decoder.up.4.upsample.conv.bias", None),
            ("decoder.up.01.upsample.conv.bias", None),
            ("encoder.up.1.upsample.conv.bias", None),
            ("encoder.down.0.attn.0.q.weight", None),
            ("decoder.conv_in.extra", None),
            ("decoder", None),
            ("", None),
        ] {
            assert_eq!(ldm_name(name, 3).as_deref(), expected, "{name}");
        }
    }

    #[test]
    fn only_the_old_attention_is_renamed() {
        for (name, expected) in [
            ("decoder.mid_block.attentions.0.query.weight", "decoder.mid_block.attentions.0.to_q.weight"),
            ("encoder.mid_block.attentions.0.proj_attn.bias", "encoder.mid_block.attentions.0.to_out.0.bias"),
            ("encoder.mid_block.attentions.0.to_k.bias", "encoder.mid_block.attentions.0.to_k.bias"),
            ("encoder.mid_block.attentions.1.key.bias", "encoder.mid_block.attentions.1.key.bias"),
            ("query.weight", "query.weight"),
        ] {
            assert_eq!(vae_name(name), expected);
        }
    }

    proptest! {
        #[test]
        fn no_two_names_become_one(
            names in prop::collection::btree_set(
                "(encoder|decoder)\\.((down|up)\\.0?[0-4]\\.(block\\.[0-2]\\.(conv1|norm2|nin_shortcut)|upsample\\.conv\
                 |downsample\\.conv)|mid\\.(attn_1\\.(q|v|norm|proj_out)|block_[12]\\.conv1)|norm_out|conv_out)\
                 \\.(weight|bias)",
                0..40,
            )
        ) {
            let mapped: Vec<String> = names.iter().filter_map(|name| ldm_name(name, 4)).collect();
            prop_assert_eq!(mapped.iter().collect::<BTreeSet<_>>().len(), mapped.len());
        }
    }
}
