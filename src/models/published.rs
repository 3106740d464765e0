//! The configurations that a model in a single file does not carry: read off its shapes, and completed by what all
//! published models of its family have in common (`configs` of the `runwayml`/`stabilityai` repositories).
//!
//! Groups of norms and heads of attention leave no trace in shapes. A model with others needs its configuration beside it
//! (see [`super::Choices`]).

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::domain::{PredictionType, Result, UserError};
use crate::weights::TensorFile;
use crate::weights::layout::Component;
use crate::weights::layout::detect::BaseFamily;

/// Channels of one attention head, in Stable Diffusion 2 and XL and in all text encoders.
const HEAD_WIDTH: usize = 64;
/// Heads of every attention in Stable Diffusion 1.
const SD1_HEADS: usize = 8;
/// More blocks or layers than any model has.
const MOST: usize = 1000;
/// Waves of each size that Stable Diffusion XL is told.
const SIZE_WAVES: usize = 256;
/// The width of `OpenAI`'s CLIP; the wider encoders are `OpenCLIP`'s.
const CLIP_WIDTH: usize = 768;
/// What `OpenCLIP`'s encoders were trained to see behind a prompt.
const OPEN_CLIP_PAD: &str = "!";

/// What decides a schedule, besides the family.
#[derive(Clone, Copy, Debug)]
pub(super) struct Manner {
    /// What the network predicts.
    pub prediction_type: PredictionType,
    /// Whether it was distilled to a few steps without guidance.
    pub is_turbo: bool,
    /// Whether its schedule ends in pure noise.
    pub zero_terminal_snr: bool,
}

/// The text files of a diffusers folder for a model of these components.
///
/// # Errors
/// When a component lacks what its structure is read off.
pub(super) fn files(
    parts: &BTreeMap<Component, TensorFile>,
    family: BaseFamily,
    manner: Manner,
) -> Result<BTreeMap<String, String>> {
    let mut files = BTreeMap::from([
        ("model_index.json".to_owned(), json!({ "force_zeros_for_empty_prompt": family == BaseFamily::Sdxl })),
        ("scheduler/scheduler_config.json".to_owned(), scheduler(family, manner)),
    ]);
    for (component, file) in parts {
        let folder = component.folder();
        let config = match component {
            Component::Unet => unet(file, family)?,
            Component::Vae => vae(file, scaling_factor(family))?,
            Component::TextEncoder | Component::TextEncoder2 => {
                let config = text(file)?;
                if config["hidden_size"] != CLIP_WIDTH {
                    let name = folder.replace("text_encoder", "tokenizer");
                    files.insert(format!("{name}/special_tokens_map.json"), json!({ "pad_token": OPEN_CLIP_PAD }));
                }
                config
            }
        };
        files.insert(format!("{folder}/config.json"), config);
    }
    Ok(files.into_iter().map(|(name, value)| (name, value.to_string())).collect())
}

/// What latents of a family are multiplied by.
fn scaling_factor(family: BaseFamily) -> f64 {
    if family == BaseFamily::Sdxl { 0.13025 } else { 0.18215 }
}

fn scheduler(family: BaseFamily, manner: Manner) -> Value {
    let Manner { prediction_type, is_turbo, zero_terminal_snr } = manner;
    let class = match family {
        _ if is_turbo && family == BaseFamily::Sdxl => "EulerAncestralDiscreteScheduler",
        BaseFamily::Sdxl => "EulerDiscreteScheduler",
        _ if is_turbo => "EulerDiscreteScheduler",
        _ => "PNDMScheduler",
    };
    json!({
        "_class_name": class,
        "beta_start": 0.000_85,
        "beta_end": 0.012,
        "beta_schedule": "scaled_linear",
        "num_train_timesteps": 1000,
        "prediction_type": prediction_type,
        "rescale_betas_zero_snr": zero_terminal_snr,
        "set_alpha_to_one": false,
        "skip_prk_steps": true,
        "steps_offset": 1,
        "timestep_spacing": if is_turbo || zero_terminal_snr { "trailing" } else { "leading" },
    })
}

/// A component's shapes by name.
struct Shapes<'a>(&'a TensorFile);

impl Shapes<'_> {
    /// One dimension of a tensor.
    fn at(&self, name: &str, dimension: usize) -> Option<usize> {
        self.0.info(name)?.shape.get(dimension).copied()
    }

    /// The same where a network cannot be without it.
    fn need(&self, name: &str, dimension: usize) -> Result<usize> {
        self.at(name, dimension).ok_or_else(|| {
            UserError::input(format!(
                "The model's structure cannot be read: {name} is missing or has too few dimensions"
            ))
            .path(self.0.path())
            .hint("the file is incomplete; download it again")
        })
    }

    /// How many of the tensors `name(0)`, `name(1)`, … there are.
    fn count(&self, name: impl Fn(usize) -> String) -> usize {
        (0..MOST).take_while(|i| self.0.info(&name(*i)).is_some()).count()
    }
}

fn unet(file: &TensorFile, family: BaseFamily) -> Result<Value> {
    let shapes = Shapes(file);
    let levels = shapes.count(|i| format!("down_blocks.{i}.resnets.0.conv1.weight"));
    let channels: Vec<usize> = (0..levels)
        .map(|i| shapes.need(&format!("down_blocks.{i}.resnets.0.conv1.weight"), 0))
        .collect::<Result<_>>()?;
    let transformer = |i: usize| format!("down_blocks.{i}.attentions.0.transformer_blocks");
    let depths: Vec<usize> =
        (0..levels).map(|i| shapes.count(|n| format!("{}.{n}.norm1.weight", transformer(i)))).collect();
    let kind = |depth: &usize, way: &str| match depth {
        0 => format!("{way}Block2D"),
        _ => format!("CrossAttn{way}Block2D"),
    };
    let down: Vec<String> = depths.iter().map(|depth| kind(depth, "Down")).collect();
    let up: Vec<String> = depths.iter().rev().map(|depth| kind(depth, "Up")).collect();
    // The middle has as many as the innermost level; where that has none, one.
    let depths: Vec<usize> = depths.into_iter().map(|depth| depth.max(1)).collect();
    let is_linear = file.info("mid_block.attentions.0.proj_in.weight").is_some_and(|info| info.shape.len() == 2);
    let heads: Vec<usize> = channels
        .iter()
        .map(|channels| if family == BaseFamily::Sd1 { SD1_HEADS } else { (channels / HEAD_WIDTH).max(1) })
        .collect();
    let added = shapes.at("add_embedding.linear_1.weight", 1);
    Ok(json!({
        "in_channels": shapes.need("conv_in.weight", 1)?,
        "out_channels": shapes.need("conv_out.weight", 0)?,
        "block_out_channels": channels,
        "down_block_types": down,
        "up_block_types": up,
        "layers_per_block": shapes.count(|i| format!("down_blocks.0.resnets.{i}.conv1.weight")),
        "cross_attention_dim": shapes.need("mid_block.attentions.0.transformer_blocks.0.attn2.to_k.weight", 1)?,
        "attention_head_dim": heads,
        "transformer_layers_per_block": depths,
        "use_linear_projection": is_linear,
        "addition_embed_type": added.map(|_| "text_time"),
        "addition_time_embed_dim": added.map(|_| SIZE_WAVES),
        "projection_class_embeddings_input_dim": added,
        "time_cond_proj_dim": shapes.at("time_embedding.cond_proj.weight", 1),
    }))
}

/// `vae/config.json` of an autoencoder whose latents are multiplied by `scaling_factor`.
///
/// # Errors
/// When it lacks what its structure is read off.
pub(super) fn vae(file: &TensorFile, scaling_factor: f64) -> Result<Value> {
    let shapes = Shapes(file);
    let level = |i: usize| format!("encoder.down_blocks.{i}.resnets.0.conv1.weight");
    let channels: Vec<usize> = (0..shapes.count(level)).map(|i| shapes.need(&level(i), 0)).collect::<Result<_>>()?;
    Ok(json!({
        "in_channels": shapes.need("encoder.conv_in.weight", 1)?,
        "out_channels": shapes.need("decoder.conv_out.weight", 0)?,
        "latent_channels": shapes.need("decoder.conv_in.weight", 1)?,
        "block_out_channels": channels,
        "layers_per_block": shapes.count(|i| format!("encoder.down_blocks.0.resnets.{i}.conv1.weight")),
        "scaling_factor": scaling_factor,
        "mid_block_add_attention": file.info("decoder.mid_block.attentions.0.to_q.weight").is_some(),
        "use_quant_conv": file.info("quant_conv.weight").is_some(),
        "use_post_quant_conv": file.info("post_quant_conv.weight").is_some(),
    }))
}

fn text(file: &TensorFile) -> Result<Value> {
    let shapes = Shapes(file);
    let embeddings = "text_model.embeddings";
    let layers = "text_model.encoder.layers";
    let width = shapes.need(&format!("{embeddings}.token_embedding.weight"), 1)?;
    let projection = shapes.at("text_projection.weight", 0);
    Ok(json!({
        "architectures": [if projection.is_some() { "CLIPTextModelWithProjection" } else { "CLIPTextModel" }],
        "vocab_size": shapes.need(&format!("{embeddings}.token_embedding.weight"), 0)?,
        "hidden_size": width,
        "intermediate_size": shapes.need(&format!("{layers}.0.mlp.fc1.weight"), 0)?,
        "num_hidden_layers": shapes.count(|i| format!("{layers}.{i}.layer_norm1.weight")),
        "num_attention_heads": (width / HEAD_WIDTH).max(1),
        "max_position_embeddings": shapes.need(&format!("{embeddings}.position_embedding.weight"), 0)?,
        "hidden_act": if width == CLIP_WIDTH { "quick_gelu" } else { "gelu" },
        "projection_dim": projection,
    }))
}

#[cfg(test)]
mod tests {
    use std::path::{Path, PathBuf};

    use super::*;
    use crate::weights::layout;
    use crate::weights::{ModelFiles, Precision};

    fn models() -> PathBuf {
        std::env::var_os("ATELIER_REFERENCE")
            .map_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/reference"), PathBuf::from)
            .join("models")
    }

    /// What shapes tell is what the model's own configuration says.
    #[test]
    fn structures_are_read_off_shapes() {
        let mut compared = 0;
        for (name, family) in [
            ("sd1", BaseFamily::Sd1),
            ("inpaint", BaseFamily::Sd1),
            ("sd2", BaseFamily::Sd2),
            ("sdxl", BaseFamily::Sdxl),
        ] {
            let files = ModelFiles::Folder(models().join(name));
            let parts: BTreeMap<Component, TensorFile> = Component::ALL
                .into_iter()
                .filter(|component| files.has_part_weights(component.folder()))
                .map(|component| {
                    let file = files.part_weights(component.folder(), Precision::Full).unwrap();
                    (component, layout::part(component, &file).unwrap())
                })
                .collect();
            let manner = Manner { prediction_type: PredictionType::Epsilon, is_turbo: false, zero_terminal_snr: false };
            let made = super::files(&parts, family, manner).unwrap();
            for component in parts.keys() {
                let config = format!("{}/config.json", component.folder());
                let made: Value = serde_json::from_str(&made[&config]).unwrap();
                let own: Value = files.json(&config).unwrap();
                for (field, value) in made.as_object().unwrap() {
                    // What leaves no trace in shapes is as in the published models, which the tiny ones are not.
                    let untold = ["attention_head_dim", "num_attention_heads", "addition_time_embed_dim", "hidden_act"];
                    if untold.contains(&field.as_str()) || !own.as_object().unwrap().contains_key(field) {
                        continue;
                    }
                    let each = |value: &Value| match (field.as_str(), value) {
                        ("transformer_layers_per_block", Value::Number(_)) => {
                            vec![value.clone(); own["block_out_channels"].as_array().unwrap().len()].into()
                        }
                        _ => value.clone(),
                    };
                    // transformers writes a projection's width even where there is no projection.
                    if field == "projection_dim" && value.is_null() {
                        continue;
                    }
                    assert_eq!(each(value), each(&own[field]), "{name} {config} {field}");
                    compared += 1;
                }
            }
        }
        assert!(compared > 20, "the reference data has no models");
    }
}
