//! Plans and inspections of headers made here, at the sizes of published models: no data, so they cost nothing.

use proptest::prelude::*;
use safetensors::tensor::Dtype;

use super::detect::BaseFamily::{self, Sd1, Sd2, Sdxl};
use super::detect::Certainty::{self, Certain, Guess, Likely};
use super::detect::Variant::{self, Base, Inpaint};
use super::detect::{Clues, Inspection, detect};
use super::kind::Kind;
use super::{Component, is_ignored, plan, plan_part, split};
use crate::domain::PredictionType::{self, Epsilon, VPrediction};
use crate::weights::{TensorFile, TensorInfo, Tensors};

/// A header: names and shapes, all f16.
#[derive(Clone, Default)]
struct Header(Vec<(String, Vec<usize>)>);

impl Header {
    fn with(mut self, prefix: &str, tensors: &[(&str, &[usize])]) -> Self {
        self.0.extend(tensors.iter().map(|(name, shape)| (format!("{prefix}{name}"), shape.to_vec())));
        self
    }

    /// A `UNet` of the training code's names, of one block.
    fn unet(self, prefix: &str, channels: usize, context: usize, linear: bool) -> Self {
        let projection: &[usize] = if linear { &[320, 320] } else { &[320, 320, 1, 1] };
        self.with(
            prefix,
            &[
                ("input_blocks.0.0.weight", &[320, channels, 3, 3]),
                ("input_blocks.1.0.in_layers.2.weight", &[320, 320, 3, 3]),
                ("input_blocks.1.1.proj_in.weight", projection),
                ("input_blocks.1.1.transformer_blocks.0.attn2.to_k.weight", &[320, context]),
                ("middle_block.0.in_layers.2.weight", &[320, 320, 3, 3]),
                ("output_blocks.0.0.in_layers.2.weight", &[320, 640, 3, 3]),
                ("out.0.weight", &[320]),
                ("out.2.weight", &[4, 320, 3, 3]),
                ("time_embed.0.weight", &[1280, 320]),
            ],
        )
    }

    /// What a `UNet` has that takes a vector of the whole text.
    fn pooled(self, prefix: &str) -> Self {
        self.with(prefix, &[("label_emb.0.0.weight", &[1280, 2816]), ("label_emb.0.2.weight", &[1280, 1280])])
    }

    fn vae(self, prefix: &str) -> Self {
        self.with(
            prefix,
            &[
                ("encoder.conv_in.weight", &[128, 3, 3, 3]),
                ("encoder.conv_out.weight", &[8, 512, 3, 3]),
                ("encoder.down.0.block.0.conv1.weight", &[128, 128, 3, 3]),
                ("decoder.conv_in.weight", &[512, 4, 3, 3]),
                ("decoder.conv_out.weight", &[3, 128, 3, 3]),
                ("decoder.mid.attn_1.q.weight", &[512, 512, 1, 1]),
                ("decoder.up.0.block.0.conv1.weight", &[128, 128, 3, 3]),
            ],
        )
    }

    fn clip(self, prefix: &str, width: usize) -> Self {
        self.with(
            prefix,
            &[
                ("embeddings.position_embedding.weight", &[77, width]),
                ("embeddings.token_embedding.weight", &[49408, width]),
                ("embeddings.position_ids", &[1, 77]),
                ("encoder.layers.0.self_attn.q_proj.weight", &[width, width]),
                ("final_layer_norm.weight", &[width]),
            ],
        )
    }

    fn open_clip(self, prefix: &str, width: usize) -> Self {
        self.with(
            prefix,
            &[
                ("positional_embedding", &[77, width]),
                ("token_embedding.weight", &[49408, width]),
                ("transformer.resblocks.0.attn.in_proj_weight", &[3 * width, width]),
                ("transformer.resblocks.1.attn.in_proj_weight", &[3 * width, width]),
                ("ln_final.weight", &[width]),
                ("text_projection", &[width, width]),
                ("logit_scale", &[]),
            ],
        )
    }

    fn tensors(&self) -> Tensors {
        self.tensors_as(Dtype::F16)
    }

    fn tensors_as(&self, dtype: Dtype) -> Tensors {
        self.0
            .iter()
            .map(|(name, shape)| {
                let bytes = shape.iter().product::<usize>() * dtype.bitsize() / 8;
                (name.clone(), TensorInfo::new(dtype, shape.clone(), None, 0..bytes).unwrap())
            })
            .collect()
    }

    fn inspect(&self, clues: &Clues) -> Inspection {
        let tensors = self.tensors();
        detect(&tensors, &plan(&tensors), clues)
    }
}

const UNET: &str = "model.diffusion_model.";
const VAE: &str = "first_stage_model.";
const CLIP: &str = "cond_stage_model.transformer.text_model.";
const SECOND: &str = "conditioner.embedders.1.model.";

fn sd1(channels: usize) -> Header {
    Header::default().unet(UNET, channels, 768, false).vae(VAE).clip(CLIP, 768)
}

fn sd2(channels: usize) -> Header {
    Header::default().unet(UNET, channels, 1024, true).vae(VAE).open_clip("cond_stage_model.model.", 1024)
}

fn sdxl(channels: usize) -> Header {
    Header::default()
        .unet(UNET, channels, 2048, true)
        .pooled(UNET)
        .vae(VAE)
        .clip("conditioner.embedders.0.transformer.text_model.", 768)
        .open_clip(SECOND, 1280)
}

#[test]
fn whole_checkpoints_are_told_apart() {
    /// Header, clues; family, variant, whether it is a Turbo model, prediction, and how sure that is.
    type Row = (Header, Clues, BaseFamily, Variant, Option<bool>, PredictionType, Certainty);

    let none = Clues::default();
    let step = |step| Clues { global_step: Some(step), ..none };
    let std = |std| Clues { sd2_probe_std: Some(std), ..none };
    let scheduler = |of| Clues { scheduler: Some(of), ..none };
    let v_marked = sdxl(4).with("", &[("v_pred", &[]), ("ztsnr", &[])]);
    let table: [Row; 13] = [
        (sd1(4), none, Sd1, Base, Some(false), Epsilon, Likely),
        (sd1(9), none, Sd1, Inpaint, Some(false), Epsilon, Likely),
        (sd1(4), scheduler(VPrediction), Sd1, Base, Some(false), VPrediction, Certain),
        (sd2(4), none, Sd2, Base, None, VPrediction, Guess),
        (sd2(4), step(875_000), Sd2, Base, None, Epsilon, Likely),
        (sd2(4), step(140_000), Sd2, Base, None, VPrediction, Likely),
        (sd2(4), std(0.12), Sd2, Base, None, VPrediction, Likely),
        (sd2(4), std(0.03), Sd2, Base, None, Epsilon, Likely),
        (sd2(4), scheduler(Epsilon), Sd2, Base, None, Epsilon, Certain),
        (sd2(9), none, Sd2, Inpaint, Some(false), Epsilon, Likely),
        (sdxl(4), none, Sdxl, Base, None, Epsilon, Likely),
        (sdxl(9), none, Sdxl, Inpaint, Some(false), Epsilon, Likely),
        (v_marked, none, Sdxl, Base, None, VPrediction, Certain),
    ];
    for (i, (header, clues, family, variant, turbo, prediction, certainty)) in table.into_iter().enumerate() {
        let found = header.inspect(&clues);
        assert_eq!(found.problems, [""; 0], "row {i}");
        assert_eq!((found.kind, found.usable), (Kind::Checkpoint, true), "row {i}");
        assert_eq!((found.family, found.variant, found.turbo), (Some(family), Some(variant), turbo), "row {i}");
        assert_eq!(
            (found.prediction_type, found.prediction_certainty),
            (Some(prediction), Some(certainty)),
            "row {i}: {:?}",
            found.prediction_reason
        );
        assert_eq!(found.dtype, "f16");
        assert_eq!(found.components.len(), if family == Sdxl { 4 } else { 3 });
        assert_eq!(found.parameters, found.components.iter().map(|part| part.parameters).sum::<u64>());
    }
}

#[test]
fn every_kind_of_file_is_told() {
    let words = |name: &str, width: usize| Header::default().with("", &[(name, &[4, width])]);
    let one = |name: &str| Header::default().with("", &[(name, &[4, 768])]);
    let words_of_two = words("clip_l", 768).with("", &[("clip_g", &[4, 1280])]);
    let refiner = Header::default()
        .unet(UNET, 4, 1280, true)
        .pooled(UNET)
        .vae(VAE)
        .open_clip("conditioner.embedders.0.model.", 1280);
    let unclip = sd2(4).pooled(UNET);
    let table = [
        (Header::default().unet(UNET, 4, 768, false), Kind::Unet, Some(Sd1)),
        (Header::default().unet("", 4, 1024, true), Kind::Unet, Some(Sd2)),
        (Header::default().unet("", 4, 2048, true).pooled(""), Kind::Unet, Some(Sdxl)),
        (Header::default().vae(VAE), Kind::Vae, None),
        (Header::default().vae(""), Kind::Vae, None),
        // The text encoder of 768 is both Stable Diffusion 1's and SDXL's first.
        (Header::default().clip("", 768), Kind::TextEncoder, None),
        (Header::default().clip("text_model.", 1024), Kind::TextEncoder, Some(Sd2)),
        (Header::default().open_clip("", 1280), Kind::TextEncoder, Some(Sdxl)),
        (Header::default().unet(UNET, 4, 1280, true).pooled(UNET), Kind::Refiner, Some(Sdxl)),
        (refiner, Kind::Refiner, Some(Sdxl)),
        (sd1(8), Kind::InstructPix2pix, Some(Sd1)),
        (sd2(5), Kind::Depth, Some(Sd2)),
        (sd2(7), Kind::Upscaler, Some(Sd2)),
        (unclip, Kind::Unclip, Some(Sd2)),
        (words("emb_params", 768), Kind::TextualInversion, Some(Sd1)),
        (words("string_to_param.*", 1024), Kind::TextualInversion, Some(Sd2)),
        (words("<cat>", 48), Kind::TextualInversion, None),
        (words("my-cat", 768), Kind::TextualInversion, Some(Sd1)),
        (words_of_two, Kind::TextualInversion, Some(Sdxl)),
        (
            one("lora_unet_down_blocks_0_attentions_0_transformer_blocks_0_attn2_to_k.lora_down.weight"),
            Kind::Lora,
            Some(Sd1),
        ),
        (
            one("unet.up_blocks.0.attentions.0.transformer_blocks.0.attn2.processor.to_k_lora.down.weight"),
            Kind::Lora,
            Some(Sd1),
        ),
        (one("lora_te2_text_model_encoder_layers_0_self_attn_q_proj.lora_up.weight"), Kind::Lora, Some(Sdxl)),
        (one("lora_unet_x.hada_w1_a"), Kind::Lora, None),
        (one("transformer.single_transformer_blocks.0.attn.to_q.lora_A.weight"), Kind::Lora, None),
        (one("model.diffusion_model.joint_blocks.0.x_block.attn.qkv.weight"), Kind::Sd3, None),
        (one("transformer_blocks.0.attn.add_q_proj.weight"), Kind::Sd3, None),
        (one("double_blocks.0.img_attn.qkv.weight"), Kind::Flux, None),
        (one("model.diffusion_model.double_blocks.0.img_attn.qkv.weight"), Kind::Flux, None),
        (one("adaln_single.linear.weight"), Kind::Transformer, None),
        (one("control_model.input_blocks.0.0.weight"), Kind::ControlNet, None),
        (one("controlnet_cond_embedding.conv_in.weight"), Kind::ControlNet, None),
        (one("image_proj.proj.weight"), Kind::OtherAdapter, None),
        (one("down_blocks.0.motion_modules.0.norm.weight"), Kind::Video, None),
        (one("encoder.block.0.layer.0.SelfAttention.q.weight"), Kind::T5, None),
        (one("special_care_embeds"), Kind::SafetyChecker, None),
        (one("layers.0.weight"), Kind::Unknown, None),
        (Header::default(), Kind::Unknown, None),
    ];
    for (header, kind, family) in table {
        let found = header.inspect(&Clues::default());
        let first = header.0.first();
        assert_eq!((found.kind, found.family), (kind, family), "{first:?}");
        assert_eq!(found.usable, found.description.contains("can be used"), "{}", found.description);
        assert_eq!(found.problems, [""; 0], "{first:?}");
    }
}

#[test]
fn what_is_wrong_is_told() {
    let no_vae = Header::default().unet(UNET, 4, 768, false).clip(CLIP, 768);
    let no_second = Header::default()
        .unet(UNET, 4, 2048, true)
        .pooled(UNET)
        .vae(VAE)
        .clip("conditioner.embedders.0.transformer.text_model.", 768);
    let other_text = Header::default().unet(UNET, 4, 768, false).vae(VAE).clip(CLIP, 1024);
    let mut odd_projection = sd2(4);
    odd_projection.0.retain(|(name, _)| !name.ends_with("resblocks.0.attn.in_proj_weight"));
    let odd_projection = odd_projection
        .with("", &[("cond_stage_model.model.transformer.resblocks.0.attn.in_proj_weight", &[3073, 1024])]);
    let gap = sd1(4).with(UNET, &[("input_blocks.3.0.in_layers.2.weight", &[320, 320, 3, 3])]);
    let table = [
        (no_vae, "It has no VAE"),
        (no_second, "no second text encoder"),
        (Header::default().unet(UNET, 4, 768, false).vae(VAE), "It has no text encoder"),
        (Header::default().vae(VAE).clip(CLIP, 768), "It has no UNet"),
        (other_text, "reads text 768 wide, but its text encoders write 1024"),
        (sd1(6), "takes 6 channels"),
        (
            sd1(4).with(UNET, &[("input_blocks.1.0.gate.weight", &[320])]),
            "in no table: model.diffusion_model.input_blocks.1.0.gate",
        ),
        (sd1(4).with("", &[("something.else", &[320])]), "in no table: something.else (1)"),
        (sd1(4).clip("cond_stage_model.transformer.", 768), "Two tensors would be text_model.embeddings"),
        (odd_projection, "3073 rows, which are not three projections"),
        (gap, "lacks input_blocks.2"),
        (sdxl(4).with("", &[("edm_vpred.sigma_max", &[])]), "EDM"),
        (
            Header::default().with(UNET, &[("input_blocks.0.0.weight", &[320, 4, 3, 3])]),
            "missing: unet.conv_norm_out.weight, ",
        ),
    ];
    for (header, expected) in table {
        let found = header.inspect(&Clues::default());
        assert!(
            found.problems.iter().any(|problem| problem.contains(expected)),
            "{:?} lack {expected}",
            found.problems
        );
    }
    let eight_bit = sd1(4).tensors_as(Dtype::F8_E4M3);
    let found = detect(&eight_bit, &plan(&eight_bit), &Clues::default());
    assert!(found.problems.iter().any(|problem| problem.contains("as f8_e4m3")), "{:?}", found.problems);
    assert_eq!(found.dtype, "f8_e4m3");
}

#[test]
fn what_is_not_needed_is_ignored_and_not_counted() {
    let plain = sd1(4).inspect(&Clues::default());
    let extras: [(&str, &[usize]); 8] = [
        ("betas", &[1000]),
        ("model_ema.decay", &[]),
        ("model_ema.diffusion_modelinput_blocks00weight", &[320, 4, 3, 3]),
        ("first_stage_model.loss.logvar", &[]),
        ("cond_stage_model.logit_scale", &[]),
        ("posterior_variance", &[1000]),
        ("alphas_cumprod", &[1000]),
        ("cond_stage_model.model.visual.proj", &[1280, 1024]),
    ];
    let found = sd1(4).with("", &extras).inspect(&Clues::default());
    assert_eq!((found.parameters, &found.problems, &found.unknown), (plain.parameters, &Vec::new(), &Vec::new()));
    assert_eq!(found.ignored.len(), plain.ignored.len() + extras.len());
    assert_eq!(plain.ignored, ["cond_stage_model.transformer.text_model.embeddings.position_ids"]);
}

#[test]
fn a_file_without_a_model_is_refused_by_what_it_is() {
    static LORA: &[u8] = br#"{"lora_unet_a.lora_up.weight":{"dtype":"F16","shape":[0],"data_offsets":[0,0]}}"#;
    let bytes = [&(LORA.len() as u64).to_le_bytes()[..], LORA].concat();
    let file = TensorFile::embedded(bytes.leak(), "lora.safetensors").unwrap();
    let error = split(&file).err().unwrap();
    assert!(error.sentence.contains("This is a LoRA"), "{error}");
    assert_eq!(error.exit_code(), 2);
}

#[test]
fn an_inspection_is_plain_json() {
    let json = serde_json::to_value(sdxl(4).inspect(&Clues::default())).unwrap();
    assert_eq!((&json["family"], &json["variant"]), (&"sdxl".into(), &"base".into()));
    assert_eq!((&json["prediction_type"], &json["dtype"]), (&"epsilon".into(), &"f16".into()));
    assert_eq!(json["components"][3]["name"], "text_encoder_2");
    assert!(json["turbo"].is_null() && json["parameters"].is_u64() && json["problems"].is_array());
}

proptest! {
    /// Every stored name is used, ignored, or told as unknown; none is lost, none is used twice but fused ones.
    #[test]
    fn no_name_is_lost(
        names in prop::collection::btree_set(
            "(model\\.diffusion_model\\.|first_stage_model\\.|cond_stage_model\\.(model|transformer)\\.|)\
             (input_blocks\\.[0-3]\\.[01]\\.(op|in_layers\\.0|x)|encoder\\.(down\\.1\\.block\\.0\\.conv1|layers\\.0)\
             |conv_in\
             |transformer\\.resblocks\\.[0-2]\\.(ln_1|attn\\.in_proj)|betas|position_ids|[a-z]{1,3})[._](weight|bias)",
            0..30,
        ),
        component in prop::sample::select(Component::ALL.to_vec()),
    ) {
        let mut header = Header::default();
        header.0.extend(names.iter().map(|name| (name.clone(), vec![6, 2])));
        let tensors = header.tensors();
        for plan in [plan(&tensors), plan_part(component, &tensors)] {
            let views = plan.parts.values().flat_map(|part| &part.views);
            let used: Vec<&str> = views.map(|view| view.from.as_str()).collect();
            for name in &names {
                let is_used = used.contains(&name.as_str());
                prop_assert!(is_used || plan.ignored.contains(name) || plan.unknown.contains(name), "{} is lost", name);
                prop_assert!(!(is_used && plan.ignored.contains(name)), "{} is used and ignored", name);
                prop_assert!(!is_ignored(name) || !is_used);
            }
        }
    }
}
