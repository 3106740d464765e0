//! What a tensor's name in an adapter file says: which module ([`Key::stem`], not looked up yet), which part of what
//! kind of adapter ([`Role`]), in whose spelling ([`Spelling`]).

use std::fmt;

use serde::{Deserialize, Serialize};

use super::modules::Component;

/// What a tensor is for its module.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Role {
    /// `[rank, in, …]`, peft's A.
    Down,
    /// `[out, rank, …]`, peft's B.
    Up,
    /// The kernel between the two: `LoCon` by Tucker's decomposition.
    Mid,
    /// The scale's numerator.
    Alpha,
    /// A factor of `LoHa`'s products, `hada_w1_a` to `hada_w2_b`.
    Hada(HadaFactor),
    /// Part of an adapter of a kind that is not applied.
    Refused(Method),
}

/// The factors of `LoHa`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum HadaFactor {
    W1A,
    W1B,
    W2A,
    W2B,
    T1,
    T2,
}

/// Kinds of adapters that are refused by name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Method {
    /// Kronecker products (`LyCORIS`).
    LoKr,
    /// `LoRA` with a learned magnitude.
    Dora,
    /// Learned factors on activations.
    Ia3,
    /// Orthogonal rotations, also in butterfly form.
    Oft,
    /// Generalised `LoRA`.
    Glora,
    /// Whole differences of weights, as extracted from fine-tuned models.
    FullDifference,
    /// `LoRA` on a table of embeddings.
    Embedding,
    /// `LoRA` with biases.
    Bias,
    /// Shared random projections.
    Vera,
}

impl fmt::Display for Method {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::LoKr => "LoKr",
            Self::Dora => "DoRA",
            Self::Ia3 => "(IA)³",
            Self::Oft => "OFT",
            Self::Glora => "GLoRA",
            Self::FullDifference => "full-difference",
            Self::Embedding => "embedding LoRA",
            Self::Bias => "LoRA with biases",
            Self::Vera => "VeRA",
        })
    }
}

/// How a name spells what it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Spelling {
    /// `lora_A.weight`: peft, and diffusers since it builds on peft.
    LetterAB,
    /// `lora.down.weight`, `lora_linear_layer.down.weight`: diffusers before that.
    Dotted,
    /// `to_q_lora.down.weight`: the attention processors of early diffusers.
    Processor,
    /// `lora_down.weight`, `hada_w1_a`: kohya and `LyCORIS`.
    Underscored,
    /// The same for all: `alpha`.
    Neutral,
}

/// A name taken apart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Key<'a> {
    /// What is before the role: the module's name, with prefixes.
    pub stem: &'a str,
    /// What the tensor is.
    pub role: Role,
    /// Whose spelling it is.
    pub spelling: Spelling,
}

/// Ends of names.
const ENDS: &[(&str, Role, Spelling)] = &[
    (".lora_A.weight", Role::Down, Spelling::LetterAB),
    (".lora_B.weight", Role::Up, Spelling::LetterAB),
    (".lora.down.weight", Role::Down, Spelling::Dotted),
    (".lora.up.weight", Role::Up, Spelling::Dotted),
    (".lora_linear_layer.down.weight", Role::Down, Spelling::Dotted),
    (".lora_linear_layer.up.weight", Role::Up, Spelling::Dotted),
    ("_lora.down.weight", Role::Down, Spelling::Processor),
    ("_lora.up.weight", Role::Up, Spelling::Processor),
    (".lora_down.weight", Role::Down, Spelling::Underscored),
    (".lora_up.weight", Role::Up, Spelling::Underscored),
    (".lora_mid.weight", Role::Mid, Spelling::Underscored),
    (".hada_w1_a", Role::Hada(HadaFactor::W1A), Spelling::Underscored),
    (".hada_w1_b", Role::Hada(HadaFactor::W1B), Spelling::Underscored),
    (".hada_w2_a", Role::Hada(HadaFactor::W2A), Spelling::Underscored),
    (".hada_w2_b", Role::Hada(HadaFactor::W2B), Spelling::Underscored),
    (".hada_t1", Role::Hada(HadaFactor::T1), Spelling::Underscored),
    (".hada_t2", Role::Hada(HadaFactor::T2), Spelling::Underscored),
    (".alpha", Role::Alpha, Spelling::Neutral),
    (".dora_scale", Role::Refused(Method::Dora), Spelling::Neutral),
    (".on_input", Role::Refused(Method::Ia3), Spelling::Neutral),
    (".a1.weight", Role::Refused(Method::Glora), Spelling::Neutral),
    (".a2.weight", Role::Refused(Method::Glora), Spelling::Neutral),
    (".b1.weight", Role::Refused(Method::Glora), Spelling::Neutral),
    (".b2.weight", Role::Refused(Method::Glora), Spelling::Neutral),
    (".diff", Role::Refused(Method::FullDifference), Spelling::Neutral),
    (".diff_b", Role::Refused(Method::FullDifference), Spelling::Neutral),
    (".set_weight", Role::Refused(Method::FullDifference), Spelling::Neutral),
    (".lora_up.bias", Role::Refused(Method::Bias), Spelling::Neutral),
    (".lora_B.bias", Role::Refused(Method::Bias), Spelling::Neutral),
];

/// Marks inside names, behind which anything may stand (peft writes an adapter's name there, `LyCORIS` a factor's).
const MARKS: &[(&str, Method)] = &[
    (".lokr_", Method::LoKr),
    (".lora_magnitude_vector", Method::Dora),
    (".oft_", Method::Oft),
    (".boft_", Method::Oft),
    (".ia3_l", Method::Ia3),
    (".vera_lambda", Method::Vera),
    (".lora_embedding_", Method::Embedding),
];

/// Takes a name apart. `None` where it is no part of any adapter that is known.
pub(super) fn parse(name: &str) -> Option<Key<'_>> {
    let key = ends(name).or_else(|| named_adapter(name)).or_else(|| marks(name))?;
    (!key.stem.is_empty()).then_some(key)
}

fn ends(name: &str) -> Option<Key<'_>> {
    let found = ENDS.iter().find_map(|(end, role, spelling)| {
        name.strip_suffix(end).map(|stem| Key { stem, role: *role, spelling: *spelling })
    })?;
    if found.role == Role::Alpha && !is_kohya(found.stem) {
        // Beside `to_q.lora.down` stands `to_q.lora.alpha`.
        let stem = ["_lora", ".lora_linear_layer", ".lora"].iter().find_map(|end| found.stem.strip_suffix(end));
        return Some(Key { stem: stem.unwrap_or(found.stem), ..found });
    }
    Some(found)
}

/// `….lora_A.default.weight`, as peft's state has it before it is saved.
fn named_adapter(name: &str) -> Option<Key<'_>> {
    let (rest, _adapter) = name.strip_suffix(".weight")?.rsplit_once('.')?;
    let (stem, role) = match (rest.strip_suffix(".lora_A"), rest.strip_suffix(".lora_B")) {
        (Some(stem), _) => (stem, Role::Down),
        (_, Some(stem)) => (stem, Role::Up),
        _ => return None,
    };
    Some(Key { stem, role, spelling: Spelling::LetterAB })
}

fn marks(name: &str) -> Option<Key<'_>> {
    MARKS.iter().find_map(|(mark, method)| {
        let at = name.find(mark)?;
        Some(Key { stem: &name[..at], role: Role::Refused(*method), spelling: Spelling::Neutral })
    })
}

/// Whether a stem is a name of kohya's, which has no dots.
pub(super) fn is_kohya(stem: &str) -> bool {
    stem.starts_with("lora_") && !stem.contains('.')
}

/// Where a stem with dots says that it belongs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Place<'a> {
    /// The part, where it says one.
    pub component: Option<Component>,
    /// The module's path.
    pub path: &'a str,
    /// Whether it began with peft's `base_model.model.`
    pub peft: bool,
}

/// Prefixes of stems with dots. Longer ones that begin alike come first.
const PREFIXES: &[(&str, Component)] = &[
    ("unet.", Component::UNet),
    ("model.diffusion_model.", Component::UNet),
    ("diffusion_model.", Component::UNet),
    ("text_encoder_2.", Component::TextEncoder2),
    ("text_encoder.", Component::TextEncoder),
];

/// Takes the prefixes off a stem with dots.
pub(super) fn place(stem: &str) -> Place<'_> {
    let (stem, peft) = match stem.strip_prefix("base_model.model.") {
        Some(rest) => (rest, true),
        None => (stem, false),
    };
    match PREFIXES.iter().find_map(|(prefix, component)| stem.strip_prefix(prefix).map(|path| (path, *component))) {
        Some((path, component)) => Place { component: Some(component), path, peft },
        None => Place { component: None, path: stem, peft },
    }
}

/// The part that a stem names, whether or not the model has such a module.
pub(super) fn component_of(stem: &str) -> Option<Component> {
    if is_kohya(stem) {
        let parts = Component::ALL.into_iter().rev();
        return parts.into_iter().find(|component| {
            super::modules::kohya_prefixes(*component).iter().any(|prefix| stem.starts_with(prefix))
        });
    }
    place(stem).component
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn every_spelling_is_taken_apart() {
        let (down, up) = (Role::Down, Role::Up);
        for (name, stem, role) in [
            ("unet.a.to_q.lora_A.weight", "unet.a.to_q", down),
            ("base_model.model.a.to_q.lora_B.default.weight", "base_model.model.a.to_q", up),
            ("unet.a.to_q.lora.down.weight", "unet.a.to_q", down),
            ("text_encoder.a.q_proj.lora_linear_layer.up.weight", "text_encoder.a.q_proj", up),
            ("a.attn1.processor.to_q_lora.down.weight", "a.attn1.processor.to_q", down),
            ("a.attn1.processor.to_q_lora.alpha", "a.attn1.processor.to_q", Role::Alpha),
            ("unet.a.to_q.lora.alpha", "unet.a.to_q", Role::Alpha),
            ("unet.a.to_q.alpha", "unet.a.to_q", Role::Alpha),
            ("lora_unet_a.lora_down.weight", "lora_unet_a", down),
            ("lora_unet_a.lora_mid.weight", "lora_unet_a", Role::Mid),
            ("lora_unet_a.alpha", "lora_unet_a", Role::Alpha),
            ("lora_unet_a.hada_w2_b", "lora_unet_a", Role::Hada(HadaFactor::W2B)),
            ("lora_unet_a.lokr_w1_a", "lora_unet_a", Role::Refused(Method::LoKr)),
            ("lora_unet_a.dora_scale", "lora_unet_a", Role::Refused(Method::Dora)),
            ("unet.a.lora_magnitude_vector.weight", "unet.a", Role::Refused(Method::Dora)),
            ("lora_unet_a.oft_blocks", "lora_unet_a", Role::Refused(Method::Oft)),
            ("lora_unet_a.on_input", "lora_unet_a", Role::Refused(Method::Ia3)),
            ("lora_unet_a.b2.weight", "lora_unet_a", Role::Refused(Method::Glora)),
            ("diffusion_model.a.diff_b", "diffusion_model.a", Role::Refused(Method::FullDifference)),
        ] {
            let key = parse(name).unwrap_or_else(|| panic!("{name}"));
            assert_eq!((key.stem, key.role), (stem, role), "{name}");
        }
        for name in ["", ".alpha", "conv_in.weight", "diffusion_model.conv_in.bias", "emb_params", "lora_A.weight"] {
            assert_eq!(parse(name), None, "{name}");
        }
    }

    #[test]
    fn prefixes_name_the_part() {
        for (stem, component, path, peft) in [
            ("unet.conv_in", Some(Component::UNet), "conv_in", false),
            ("base_model.model.unet.conv_in", Some(Component::UNet), "conv_in", true),
            ("base_model.model.conv_in", None, "conv_in", true),
            ("text_encoder_2.text_model.a", Some(Component::TextEncoder2), "text_model.a", false),
            ("text_encoder.a", Some(Component::TextEncoder), "a", false),
            ("diffusion_model.input_blocks.0.0", Some(Component::UNet), "input_blocks.0.0", false),
        ] {
            assert_eq!(place(stem), Place { component, path, peft }, "{stem}");
        }
        for (stem, component) in [
            ("lora_unet_a", Some(Component::UNet)),
            ("lora_te_a", Some(Component::TextEncoder)),
            ("lora_te1_a", Some(Component::TextEncoder)),
            ("lora_te2_a", Some(Component::TextEncoder2)),
            ("lora_transformer_a", None),
        ] {
            assert_eq!(component_of(stem), component, "{stem}");
        }
    }

    proptest! {
        #[test]
        fn any_name_is_taken_apart_or_left(name in r"(lora_unet_|unet\.|base_model\.model\.|)[a-z0-9_.é]{0,20}(\.alpha|\.lora_A\.weight|\.lokr_w1|_lora\.up\.weight|\.x\.weight|)") {
            if let Some(key) = parse(&name) {
                prop_assert!(name.starts_with(key.stem));
                let _ = (place(key.stem), component_of(key.stem));
            }
        }
    }
}
