//! What a file says of its own scale beside its tensors: peft's `adapter_config.json`, diffusers' `lora_adapter_metadata`,
//! kohya's `ss_network_alpha`.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use super::keys::Method;
use super::modules::{Component, bare};

/// What one configuration of peft's says.
#[derive(Clone, Debug, Default, PartialEq)]
struct Config {
    alpha: Option<f64>,
    /// Patterns of module names, and the alpha of those.
    patterns: Vec<(String, f64)>,
    /// Whether alpha is divided by the rank's root instead of the rank.
    rank_stabilized: bool,
}

/// All that a file says of its scale.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Stated {
    /// For each part (diffusers), or for all (peft).
    configs: Vec<(Option<Component>, Config)>,
    kohya_alpha: Option<f64>,
    kohya_conv_alpha: Option<f64>,
    /// Kinds of adapters that it says to be, and that are not applied.
    pub methods: Vec<Method>,
    /// What in it could not be understood, although it changes the result.
    pub faults: Vec<String>,
}

impl Stated {
    /// Reads the header's metadata and peft's configuration.
    pub fn new(metadata: &BTreeMap<String, String>, adapter_config: Option<&Value>) -> Self {
        let mut stated = Self::default();
        if let Some(config) = adapter_config {
            match config.as_object() {
                Some(config) => stated.read_config(None, config),
                None => stated.faults.push("adapter_config.json is not an object".to_owned()),
            }
        }
        if let Some(text) = metadata.get("lora_adapter_metadata") {
            match serde_json::from_str::<Map<String, Value>>(text) {
                Ok(all) => stated.read_parts(&all),
                Err(error) => stated.faults.push(format!("the header's lora_adapter_metadata is not JSON: {error}")),
            }
        }
        stated.kohya_alpha = metadata.get("ss_network_alpha").and_then(|text| alpha(text.parse().ok()));
        // `--network_args conv_dim=… conv_alpha=…`: strings, or numbers in some versions.
        let args =
            metadata.get("ss_network_args").and_then(|text| serde_json::from_str::<Map<String, Value>>(text).ok());
        stated.kohya_conv_alpha = args
            .as_ref()
            .and_then(|args| args.get("conv_alpha"))
            .and_then(|value| alpha(value.as_f64().or_else(|| value.as_str().and_then(|text| text.parse().ok()))));
        stated
    }

    /// `unet.r`, `unet.lora_alpha`, `text_encoder.r` …: one configuration for each part.
    fn read_parts(&mut self, all: &Map<String, Value>) {
        for component in Component::ALL {
            let prefix = format!("{}.", component.folder());
            let config: Map<String, Value> = all
                .iter()
                .filter_map(|(name, value)| Some((name.strip_prefix(&prefix)?.to_owned(), value.clone())))
                .collect();
            if !config.is_empty() {
                self.read_config(Some(component), &config);
            }
        }
    }

    fn read_config(&mut self, component: Option<Component>, config: &Map<String, Value>) {
        let on = |name: &str| config.get(name).is_some_and(|value| *value == Value::Bool(true));
        for (name, method) in [("use_dora", Method::Dora), ("lora_bias", Method::Bias)] {
            if on(name) && !self.methods.contains(&method) {
                self.methods.push(method);
            }
        }
        let kind = config.get("peft_type").and_then(Value::as_str).unwrap_or("LORA").to_ascii_uppercase();
        match kind.as_str() {
            "LORA" | "LOHA" => {}
            "LOKR" => self.methods.push(Method::LoKr),
            "IA3" => self.methods.push(Method::Ia3),
            "OFT" | "BOFT" | "HRA" => self.methods.push(Method::Oft),
            "VERA" => self.methods.push(Method::Vera),
            _ => self.faults.push(format!("adapters of the kind {kind:?} are not known")),
        }
        let value = config.get(if kind == "LOHA" { "alpha" } else { "lora_alpha" });
        let mut read = Config {
            alpha: alpha(value.and_then(Value::as_f64)),
            patterns: Vec::new(),
            rank_stabilized: on("use_rslora"),
        };
        for (pattern, value) in config.get("alpha_pattern").and_then(Value::as_object).into_iter().flatten() {
            match alpha(value.as_f64()) {
                Some(value) if is_literal(pattern) => read.patterns.push((pattern.clone(), value)),
                _ => self.faults.push(format!("its alpha_pattern {pattern:?} cannot be followed")),
            }
        }
        self.configs.push((component, read));
    }

    fn config(&self, component: Component) -> Option<&Config> {
        self.configs.iter().find(|(of, _)| of.is_none_or(|of| of == component)).map(|(_, config)| config)
    }

    /// The alpha of a module, where one is stated. kohya has one of its own for kernels larger than 1×1.
    pub fn alpha(&self, component: Component, path: &str, is_large_kernel: bool) -> Option<f64> {
        if let Some(config) = self.config(component) {
            let pattern = config.patterns.iter().find(|(pattern, _)| covers(pattern, path));
            return pattern.map(|(_, alpha)| *alpha).or(config.alpha);
        }
        if is_large_kernel { self.kohya_conv_alpha.or(self.kohya_alpha) } else { self.kohya_alpha }
    }

    /// Whether a part's alpha is divided by the rank's root (<https://arxiv.org/abs/2312.03732>).
    pub fn is_rank_stabilized(&self, component: Component) -> bool {
        self.config(component).is_some_and(|config| config.rank_stabilized)
    }
}

/// A usable alpha. kohya means the rank by 0, so that nothing is stated then.
fn alpha(value: Option<f64>) -> Option<f64> {
    value.filter(|value| value.is_finite() && *value != 0.0)
}

/// Whether a pattern is a name, perhaps anchored. Names are all that diffusers and kohya's converters write; a real
/// regular expression is refused rather than read wrongly.
fn is_literal(pattern: &str) -> bool {
    let name = pattern.strip_prefix('^').unwrap_or(pattern);
    !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_' || c == '.')
}

/// Whether a pattern covers a module, as in peft (`(.*\.)?(pattern)$`, from the start where anchored).
fn covers(pattern: &str, path: &str) -> bool {
    let path = bare(path);
    if let Some(whole) = pattern.strip_prefix('^') {
        return bare(whole) == path;
    }
    let end = bare(pattern);
    path == end || path.strip_suffix(end).is_some_and(|head| head.ends_with('.'))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn header(entries: &[(&str, &str)]) -> BTreeMap<String, String> {
        entries.iter().map(|(name, text)| ((*name).to_owned(), (*text).to_owned())).collect()
    }

    #[test]
    fn each_maker_states_alpha_in_its_own_way() {
        let unet = Component::UNet;
        let peft = Stated::new(
            &header(&[]),
            Some(&json!({"peft_type": "LORA", "r": 4, "lora_alpha": 8, "alpha_pattern": {"attn2.to_k": 2}})),
        );
        assert_eq!(peft.alpha(unet, "a.attn2.to_k", false), Some(2.0));
        assert_eq!(peft.alpha(unet, "a.xattn2.to_k", false), Some(8.0), "a pattern ends at a dot");
        assert!(!peft.is_rank_stabilized(unet));

        let text = r#"{"unet.r": 4, "unet.lora_alpha": 2, "text_encoder.lora_alpha": 6, "text_encoder.use_rslora": true,
            "text_encoder.alpha_pattern": {"text_model.encoder.layers.0.mlp.fc1": 3}}"#;
        let diffusers = Stated::new(&header(&[("lora_adapter_metadata", text)]), None);
        assert_eq!(diffusers.alpha(unet, "conv_in", true), Some(2.0));
        assert_eq!(diffusers.alpha(Component::TextEncoder, "encoder.layers.0.mlp.fc1", false), Some(3.0));
        assert_eq!(diffusers.alpha(Component::TextEncoder, "text_model.encoder.layers.1.mlp.fc1", false), Some(6.0));
        assert_eq!(diffusers.alpha(Component::TextEncoder2, "a", false), None);
        assert!(diffusers.is_rank_stabilized(Component::TextEncoder));

        let kohya = Stated::new(
            &header(&[("ss_network_alpha", "8"), ("ss_network_args", r#"{"conv_dim": "4", "conv_alpha": "1"}"#)]),
            None,
        );
        assert_eq!((kohya.alpha(unet, "a", false), kohya.alpha(unet, "a", true)), (Some(8.0), Some(1.0)));
        for silent in ["None", "0", "NaN", ""] {
            assert_eq!(Stated::new(&header(&[("ss_network_alpha", silent)]), None).alpha(unet, "a", false), None);
        }
    }

    #[test]
    fn what_cannot_be_followed_is_said() {
        let config =
            json!({"peft_type": "LORA", "use_dora": true, "lora_alpha": 1, "alpha_pattern": {"blocks.[0-3]": 2}});
        let stated = Stated::new(&header(&[]), Some(&config));
        assert_eq!(stated.methods, [Method::Dora]);
        assert!(stated.faults[0].contains("blocks.[0-3]"), "{:?}", stated.faults);
        assert_eq!(Stated::new(&header(&[]), Some(&json!({"peft_type": "LOKR"}))).methods, [Method::LoKr]);
        assert_eq!(Stated::new(&header(&[("lora_adapter_metadata", "{")]), None).faults.len(), 1);
        assert_eq!(Stated::new(&header(&[]), Some(&json!([]))).faults.len(), 1);
    }
}
