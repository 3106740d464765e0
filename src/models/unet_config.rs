//! `unet/config.json`, as diffusers' `UNet2DConditionModel` writes it.

use serde::Deserialize;
use serde_json::Value;

use crate::domain::{Result, UserError};

/// One number for all blocks, or one a block.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(untagged)]
pub enum PerBlock {
    /// The same for all.
    Same(usize),
    /// One each, from the outermost block.
    Each(Vec<usize>),
}

impl PerBlock {
    /// The number of block `i`.
    #[must_use]
    pub fn at(&self, i: usize) -> usize {
        match self {
            Self::Same(value) => *value,
            Self::Each(values) => values.get(i).copied().unwrap_or(0),
        }
    }

    fn fits(&self, blocks: usize) -> bool {
        match self {
            Self::Same(value) => *value > 0,
            Self::Each(values) => values.len() == blocks && !values.contains(&0),
        }
    }
}

/// The kinds of blocks that the published families use.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
pub enum BlockType {
    /// Residual blocks with a transformer behind each, then a downsampling.
    CrossAttnDownBlock2D,
    /// Residual blocks, then a downsampling.
    DownBlock2D,
    /// Residual blocks with a transformer behind each, then an upsampling.
    CrossAttnUpBlock2D,
    /// Residual blocks, then an upsampling.
    UpBlock2D,
}

impl BlockType {
    /// Whether it looks at the text.
    #[must_use]
    pub fn has_attention(self) -> bool {
        matches!(self, Self::CrossAttnDownBlock2D | Self::CrossAttnUpBlock2D)
    }
}

/// The structure of a `UNet`.
#[derive(Clone, Debug, PartialEq, Deserialize)]
pub struct UNetConfig {
    /// Channels of the input: those of the latents, more for inpainting.
    pub in_channels: usize,
    /// Channels of the output: those of the latents.
    pub out_channels: usize,
    /// Channels of each level, from the outermost.
    pub block_out_channels: Vec<usize>,
    /// Kind of each down block, from the outermost.
    pub down_block_types: Vec<BlockType>,
    /// Kind of each up block, from the innermost.
    pub up_block_types: Vec<BlockType>,
    /// Residual blocks of a down block; an up block has one more.
    pub layers_per_block: usize,
    /// Width of the text's vectors.
    pub cross_attention_dim: usize,
    /// The number of **heads**, under the name that it has in published files.
    #[serde(default = "default_heads")]
    pub attention_head_dim: PerBlock,
    /// Transformer blocks behind each residual block.
    #[serde(default = "default_transformer_layers")]
    pub transformer_layers_per_block: PerBlock,
    /// Whether transformers project by linear layers instead of 1×1 convolutions.
    #[serde(default)]
    pub use_linear_projection: bool,
    /// Groups of the norms.
    #[serde(default = "default_groups")]
    pub norm_num_groups: usize,
    /// Epsilon of the residual blocks' norms.
    #[serde(default = "default_eps")]
    pub norm_eps: f64,
    /// Whether the timestep's cosines come before its sines.
    #[serde(default = "default_true")]
    pub flip_sin_to_cos: bool,
    /// Shift of the timestep's frequencies.
    #[serde(default)]
    pub freq_shift: f64,
    /// What it wants to know beyond the text: `text_time` is the pooled text and sizes in px.
    #[serde(default)]
    pub addition_embed_type: Option<String>,
    /// Waves of each size.
    #[serde(default)]
    pub addition_time_embed_dim: Option<usize>,
    /// Width of the pooled text and all waves together.
    #[serde(default)]
    pub projection_class_embeddings_input_dim: Option<usize>,
    /// Waves of the guidance scale, where it was distilled to follow one.
    #[serde(default)]
    pub time_cond_proj_dim: Option<usize>,
    /// Side of the latents that it was trained on.
    #[serde(default)]
    pub sample_size: Option<usize>,
}

/// Original height and width, top and left of the crop, target height and width.
const SIZES: usize = 6;

fn default_heads() -> PerBlock {
    PerBlock::Same(8)
}
fn default_transformer_layers() -> PerBlock {
    PerBlock::Same(1)
}
fn default_groups() -> usize {
    32
}
fn default_eps() -> f64 {
    1e-5
}
fn default_true() -> bool {
    true
}

/// Fields that change the network in ways that are not built: with any other value the model is refused by name.
const UNSUPPORTED: &[(&str, &[&str])] = &[
    ("act_fn", &["\"silu\""]),
    ("addition_embed_type", &["null", "\"text_time\""]),
    ("attention_type", &["\"default\""]),
    ("center_input_sample", &["false"]),
    ("class_embed_type", &["null"]),
    ("class_embeddings_concat", &["false"]),
    ("conv_in_kernel", &["3"]),
    ("conv_out_kernel", &["3"]),
    ("cross_attention_norm", &["null"]),
    ("downsample_padding", &["1"]),
    ("dual_cross_attention", &["false"]),
    ("encoder_hid_dim", &["null"]),
    ("encoder_hid_dim_type", &["null"]),
    ("mid_block_only_cross_attention", &["null", "false"]),
    ("mid_block_scale_factor", &["1", "1.0"]),
    ("mid_block_type", &["\"UNetMidBlock2DCrossAttn\""]),
    ("num_attention_heads", &["null"]),
    ("num_class_embeds", &["null"]),
    ("only_cross_attention", &["false"]),
    ("resnet_out_scale_factor", &["1", "1.0"]),
    ("resnet_skip_time_act", &["false"]),
    ("resnet_time_scale_shift", &["\"default\""]),
    ("reverse_transformer_layers_per_block", &["null"]),
    ("time_embedding_act_fn", &["null"]),
    ("time_embedding_dim", &["null"]),
    ("time_embedding_type", &["\"positional\""]),
    ("timestep_post_act", &["null"]),
];

impl UNetConfig {
    /// Reads the structure from `config.json`'s value.
    ///
    /// # Errors
    /// When a field is missing or of another kind, the numbers do not fit together, or the network has a part that is
    /// not built; the field is named.
    pub fn from_json(value: &Value) -> Result<Self> {
        for (field, allowed) in UNSUPPORTED {
            if let Some(found) = value.get(field)
                && !allowed.contains(&found.to_string().as_str())
            {
                let sentence = format!("This UNet has {field} = {found}, which Atelier cannot run");
                return Err(
                    UserError::input(sentence).hint("the published Stable Diffusion models have it at its default")
                );
            }
        }
        let config = Self::deserialize(value)
            .map_err(|error| UserError::input(format!("The UNet's config.json cannot be used: {error}")))?;
        config.check()?;
        Ok(config)
    }

    fn check(&self) -> Result<()> {
        let blocks = self.block_out_channels.len();
        let groups = self.norm_num_groups;
        let channels_fit = groups > 0 && self.block_out_channels.iter().all(|c| *c > 0 && c % groups == 0);
        let heads_fit = self.attention_head_dim.fits(blocks)
            && self.block_out_channels.iter().enumerate().all(|(i, c)| c % self.attention_head_dim.at(i) == 0);
        let sound = [
            (blocks > 0 && blocks <= 8, "block_out_channels"),
            (self.down_block_types.len() == blocks, "down_block_types"),
            (self.up_block_types.len() == blocks, "up_block_types"),
            (self.in_channels > 0 && self.out_channels > 0, "in_channels"),
            (self.layers_per_block > 0 && self.layers_per_block <= 8, "layers_per_block"),
            (self.cross_attention_dim > 0, "cross_attention_dim"),
            (channels_fit, "norm_num_groups"),
            (heads_fit, "attention_head_dim"),
            (self.transformer_layers_per_block.fits(blocks), "transformer_layers_per_block"),
            (self.addition_embed_type.is_none() || self.added_condition().is_some(), "addition_time_embed_dim"),
            (self.time_cond_proj_dim.is_none_or(|waves| (2..=4096).contains(&waves)), "time_cond_proj_dim"),
        ];
        match sound.iter().find(|(fits, _)| !fits) {
            Some((_, field)) => {
                Err(UserError::input(format!("The UNet's config.json cannot be used: {field} does not fit")))
            }
            None => Ok(()),
        }
    }

    /// Where it wants to know sizes and the pooled text: waves of each size, and the width of it all together.
    #[must_use]
    pub fn added_condition(&self) -> Option<(usize, usize)> {
        self.addition_embed_type.as_ref()?;
        let (waves, inputs) = (self.addition_time_embed_dim?, self.projection_class_embeddings_input_dim?);
        (waves > 0 && waves.checked_mul(SIZES)? < inputs).then_some((waves, inputs))
    }

    /// Width of the pooled text that it wants to know.
    #[must_use]
    pub fn pooled_dim(&self) -> Option<usize> {
        self.added_condition().map(|(waves, inputs)| inputs - SIZES * waves)
    }

    /// Width of the timestep's embedding.
    #[must_use]
    pub fn time_embed_dim(&self) -> usize {
        4 * self.block_out_channels[0]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config() -> Value {
        serde_json::json!({
            "in_channels": 4, "out_channels": 4, "block_out_channels": [32, 64],
            "down_block_types": ["CrossAttnDownBlock2D", "DownBlock2D"],
            "up_block_types": ["UpBlock2D", "CrossAttnUpBlock2D"],
            "layers_per_block": 2, "cross_attention_dim": 48, "attention_head_dim": 8
        })
    }

    #[test]
    fn absent_fields_have_diffusers_defaults() {
        let config = UNetConfig::from_json(&config()).unwrap();
        assert_eq!((config.norm_num_groups, config.norm_eps, config.time_embed_dim()), (32, 1e-5, 128));
        assert!(config.flip_sin_to_cos && !config.use_linear_projection);
    }

    #[test]
    fn what_is_not_built_is_refused_by_name() {
        for (field, value) in [
            ("class_embed_type", serde_json::json!("timestep")),
            ("addition_embed_type", serde_json::json!("text")),
            // Without the widths that belong to it.
            ("addition_embed_type", serde_json::json!("text_time")),
            ("down_block_types", serde_json::json!(["AttnDownBlock2D", "DownBlock2D"])),
            ("attention_head_dim", serde_json::json!([8])),
            ("attention_head_dim", serde_json::json!(0)),
            ("norm_num_groups", serde_json::json!(0)),
            ("block_out_channels", serde_json::json!([])),
        ] {
            let mut config = config();
            config[field] = value.clone();
            let error = UNetConfig::from_json(&config).unwrap_err();
            assert_eq!(error.exit_code(), 2, "{field} = {value}");
        }
    }
}
