//! The starter model's parts as their `config.json` files describe them, in diffusers' layout.

use serde_json::{Value, json};

use crate::domain::{Result, SchedulerConfig, UserError};

/// Side of a picture, in px.
pub const PICTURE_PX: usize = 128;
/// Side of the latents: the autoencoder shrinks by 8.
pub const LATENT_SIDE: usize = PICTURE_PX / 8;
/// Channels of the latents. Stable Diffusion has four; eight keep stripes and dots with an autoencoder a hundred times
/// smaller than its own.
pub const LATENT_CHANNELS: usize = 8;
/// Width of the text's vectors.
const TEXT_WIDTH: usize = 128;

/// `vae/config.json`.
#[must_use]
pub fn vae(scaling_factor: f64) -> Value {
    json!({
        "_class_name": "AutoencoderKL",
        "act_fn": "silu",
        "block_out_channels": [16, 24, 48, 96],
        "down_block_types": vec!["DownEncoderBlock2D"; 4],
        "force_upcast": false,
        "in_channels": 3,
        "latent_channels": LATENT_CHANNELS,
        "layers_per_block": 1,
        // Self-attention in the middle would make crops differ from whole pictures, and training is on crops.
        "mid_block_add_attention": false,
        // Few groups: with as many as channels a normalization would take the absolute colour out of flat areas.
        "norm_num_groups": 2,
        "out_channels": 3,
        "sample_size": PICTURE_PX,
        "scaling_factor": scaling_factor,
        "up_block_types": vec!["UpDecoderBlock2D"; 4],
    })
}

/// `unet/config.json`.
#[must_use]
pub fn unet() -> Value {
    json!({
        "_class_name": "UNet2DConditionModel",
        "_atelier_family": "starter",
        "act_fn": "silu",
        // The number of heads, under the name that diffusers gives it.
        "attention_head_dim": 4,
        "block_out_channels": [64, 96, 128],
        "center_input_sample": false,
        "cross_attention_dim": TEXT_WIDTH,
        // Attention at every level: at the outermost it takes a quarter of the time, and keeps a print's colours and
        // its order the same all over a garment.
        "down_block_types": vec!["CrossAttnDownBlock2D"; 3],
        "downsample_padding": 1,
        "flip_sin_to_cos": true,
        "freq_shift": 0,
        "in_channels": LATENT_CHANNELS,
        "layers_per_block": 1,
        "mid_block_scale_factor": 1,
        "norm_eps": 1e-5,
        "norm_num_groups": 16,
        "out_channels": LATENT_CHANNELS,
        "sample_size": LATENT_SIDE,
        "up_block_types": vec!["CrossAttnUpBlock2D"; 3],
    })
}

/// `text_encoder/config.json`, for a tokenizer with `vocabulary` tokens of which the last two begin and end a prompt.
#[must_use]
pub fn text_encoder(vocabulary: usize, positions: usize) -> Value {
    json!({
        "architectures": ["CLIPTextModel"],
        "model_type": "clip_text_model",
        "attention_dropout": 0.0,
        "bos_token_id": vocabulary - 2,
        "eos_token_id": vocabulary - 1,
        "hidden_act": "quick_gelu",
        "hidden_size": TEXT_WIDTH,
        "initializer_factor": 1.0,
        "initializer_range": 0.02,
        "intermediate_size": 4 * TEXT_WIDTH,
        "layer_norm_eps": 1e-5,
        "max_position_embeddings": positions,
        "num_attention_heads": 4,
        "num_hidden_layers": 3,
        "pad_token_id": vocabulary - 1,
        "projection_dim": TEXT_WIDTH,
        "vocab_size": vocabulary,
    })
}

/// `scheduler/scheduler_config.json`: Stable Diffusion's betas, so that every sampler and schedule meets the noise levels
/// it knows, with v-prediction. Training does not quite end in pure noise then; latents are centred for that reason (see
/// [`super::latents`]), so that what is left of the signal is no common shade.
#[must_use]
pub fn scheduler() -> Value {
    json!({
        "_class_name": "DDIMScheduler",
        "beta_end": 0.012,
        "beta_schedule": "scaled_linear",
        "beta_start": 0.000_85,
        "clip_sample": false,
        "num_train_timesteps": 1000,
        "prediction_type": "v_prediction",
        "rescale_betas_zero_snr": false,
        "set_alpha_to_one": false,
        "steps_offset": 1,
        "timestep_spacing": "trailing",
    })
}

/// The same, read.
///
/// # Errors
/// Never: a test reads it.
pub fn scheduler_config() -> Result<SchedulerConfig> {
    serde_json::from_value(scheduler())
        .map_err(|error| UserError::failed(format!("The starter's schedule is broken: {error}")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::PredictionType;
    use crate::models::clip::ClipTextConfig;
    use crate::models::unet_config::UNetConfig;
    use crate::models::vae::VaeConfig;

    #[test]
    fn every_part_can_be_built() {
        let vae = VaeConfig::from_json(&vae(0.5)).unwrap();
        assert_eq!((vae.scale(), vae.latent_channels, vae.scaling_factor), (8, LATENT_CHANNELS, 0.5));
        let unet = UNetConfig::from_json(&unet()).unwrap();
        let text: ClipTextConfig = serde_json::from_value(text_encoder(300, 40)).unwrap();
        text.check().unwrap();
        assert_eq!((unet.cross_attention_dim, text.eos_token_id), (text.hidden_size, 299));
        let scheduler = scheduler_config().unwrap();
        assert_eq!(scheduler.prediction_type, PredictionType::VPrediction);
    }
}
