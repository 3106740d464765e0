//! `ComfyUI`: the graph of nodes that made a picture, as `prompt` (the form of its interface for programs) or as `workflow`
//! (the form of its editor), which [`super::comfy_workflow`] turns into the other.
//!
//! A graph can be anything. Read is the way back from where the picture was saved to the sampler, and from there to what
//! goes into it: model, adapters, texts, size. A second sampler behind an enlargement of latents is a second pass. Nodes on
//! that way that are not known are named.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use serde_json::{Map, Value};

use super::comfy_workflow;
use super::foreign::{Draft, json, number, quoted, stem, whole};
use super::samplers::COMFY;
use crate::domain::Recipe;

/// Most nodes of a graph.
const MAX_NODES: usize = 10_000;
/// Most nodes that one way leads through.
const MAX_WAY: usize = 200;

/// A node: what it is, and its inputs, which are values or links (`[node, output]`).
#[derive(Clone, Debug, Default)]
pub(super) struct Node {
    pub class: String,
    pub inputs: Map<String, Value>,
}

/// A graph by the names of its nodes.
#[derive(Clone, Debug, Default)]
pub(super) struct Graph {
    pub nodes: BTreeMap<String, Node>,
}

/// Reads the text `prompt`.
#[must_use]
pub fn prompt(text: &str) -> Option<Recipe> {
    let Value::Object(nodes) = json(text)? else { return None };
    if nodes.len() > MAX_NODES {
        return None;
    }
    let node = |value: Value| {
        let Value::Object(mut fields) = value else { return None };
        let Some(Value::String(class)) = fields.remove("class_type") else { return None };
        let Some(Value::Object(inputs)) = fields.remove("inputs") else { return None };
        Some(Node { class, inputs })
    };
    let nodes = nodes.into_iter().filter_map(|(name, value)| Some((name, node(value)?))).collect();
    Graph { nodes }.recipe()
}

/// Reads the text `workflow`.
#[must_use]
pub fn workflow(text: &str) -> Option<Recipe> {
    comfy_workflow::graph(&json(text)?, MAX_NODES)?.recipe()
}

/// Nodes that change nothing that a recipe of ours could say, or that are read on the way.
fn is_known(class: &str) -> bool {
    const KNOWN: [&str; 24] = [
        "SaveImage",
        "PreviewImage",
        "SaveImageWebsocket",
        "VAEDecode",
        "VAEDecodeTiled",
        "VAELoader",
        "VAEEncode",
        "CLIPSetLastLayer",
        "LoraLoader",
        "LoraLoaderModelOnly",
        "RandomNoise",
        "KSamplerSelect",
        "BasicScheduler",
        "KarrasScheduler",
        "ExponentialScheduler",
        "SDTurboScheduler",
        "CFGGuider",
        "BasicGuider",
        "Reroute",
        "PrimitiveNode",
        "LatentUpscale",
        "LatentUpscaleBy",
        "ConditioningZeroOut",
        "UNETLoader",
    ];
    KNOWN.contains(&class)
        || [
            "CLIPTextEncode",
            "CheckpointLoader",
            "KSampler",
            "SamplerCustom",
            "Empty",
            "Primitive",
            "CLIPLoader",
            "DualCLIPLoader",
        ]
        .iter()
        .any(|start| class.starts_with(start))
}

impl Node {
    fn text(&self, name: &str) -> Option<&str> {
        self.inputs.get(name)?.as_str()
    }

    /// The node that an input comes from.
    fn link(&self, name: &str) -> Option<&str> {
        link_of(self.inputs.get(name)?)
    }

    fn is_sampler(&self) -> bool {
        let has = |name: &str| self.inputs.contains_key(name);
        (has("steps") && has("sampler_name") && has("positive")) || (has("sampler") && has("sigmas"))
    }
}

fn link_of(value: &Value) -> Option<&str> {
    match value.as_array()?.as_slice() {
        [Value::String(node), Value::Number(_)] => Some(node),
        _ => None,
    }
}

impl Graph {
    fn node(&self, name: &str) -> Option<&Node> {
        self.nodes.get(name)
    }

    /// The node behind an input, past nodes that only pass it on.
    fn behind<'a>(&'a self, node: &'a Node, input: &str) -> Option<&'a Node> {
        let mut node = self.node(node.link(input)?)?;
        for _ in 0..MAX_WAY {
            if node.class != "Reroute" {
                return Some(node);
            }
            node = self.node(node.inputs.values().find_map(link_of)?)?;
        }
        None
    }

    /// The nearest node on the ways back from `from` that is asked for.
    fn nearest<'a>(&'a self, from: &'a str, is_it: &dyn Fn(&Node) -> bool) -> Option<&'a str> {
        let mut seen = BTreeSet::from([from]);
        let mut waiting = VecDeque::from([from]);
        while let Some(name) = waiting.pop_front() {
            let Some(node) = self.node(name) else { continue };
            if is_it(node) {
                return Some(name);
            }
            waiting.extend(node.inputs.values().filter_map(link_of).filter(|link| seen.insert(link)));
        }
        None
    }

    /// The sampler that made what was saved; without a node that saves, the last one.
    fn sampler(&self) -> Option<&str> {
        let ends = |is_end: &dyn Fn(&str) -> bool| {
            let names: Vec<&str> =
                self.nodes.iter().filter(|(_, node)| is_end(&node.class)).map(|(name, _)| name.as_str()).collect();
            names.into_iter().find_map(|name| self.nearest(name, &Node::is_sampler))
        };
        ends(&|class| class.contains("Save") && class.contains("Image"))
            .or_else(|| ends(&|class| class == "PreviewImage"))
            .or_else(|| {
                let samplers = self.nodes.iter().filter(|(_, node)| node.is_sampler()).map(|(name, _)| name);
                samplers.max_by_key(|name| name.parse::<u64>().unwrap_or(0)).map(String::as_str)
            })
    }

    fn recipe(&self) -> Option<Recipe> {
        let mut draft = Draft::of("ComfyUI", "");
        let mut sampler = self.node(self.sampler()?)?;
        // The first pass says what the picture is; a later one only what became of it.
        let mut passes = 0;
        while let Some((first, scale)) = self.first_pass(sampler) {
            passes += 1;
            if passes > 8 {
                break; // a graph that leads in a circle
            }
            let strength = self.denoise(sampler);
            match scale {
                Some(scale) if passes == 1 => draft.set_hires(scale, strength),
                Some(_) => draft.note("It had more than two passes, of which two are taken over"),
                None => draft.note("A second pass at the same size, such as a refiner's, is left out"),
            }
            sampler = first;
        }
        self.read_sampler(sampler, &mut draft);
        self.read_latents(sampler, &mut draft);
        self.read_texts(sampler, &mut draft);
        self.read_model(sampler, &mut draft);
        self.name_unknown(&mut draft);
        Some(draft.finish())
    }

    /// The pass before this one, and how many times as large this one is; `None` for the same size.
    fn first_pass<'a>(&'a self, sampler: &'a Node) -> Option<(&'a Node, Option<f64>)> {
        let mut node = self.latent(sampler)?;
        let mut scale: Option<f64> = None;
        let mut to_width = None;
        for _ in 0..MAX_WAY {
            if node.is_sampler() {
                let width = self.latent(node).and_then(|empty| empty.inputs.get("width")).and_then(number);
                let by_size = to_width.zip(width).map(|(to, from): (f64, f64)| to / from);
                return Some((node, by_size.or(scale)));
            }
            if node.class.starts_with("LatentUpscale") {
                scale = node.inputs.get("scale_by").and_then(number).map(|by| by * scale.unwrap_or(1.0)).or(scale);
                to_width = to_width.or_else(|| node.inputs.get("width").and_then(number));
            }
            node = self.behind(node, "samples").or_else(|| self.behind(node, "latent"))?;
        }
        None
    }

    fn latent<'a>(&'a self, sampler: &'a Node) -> Option<&'a Node> {
        self.behind(sampler, "latent_image").or_else(|| self.behind(sampler, "latent"))
    }

    fn denoise(&self, sampler: &Node) -> f64 {
        let own = sampler.inputs.get("denoise").and_then(number);
        let sigmas = || self.behind(sampler, "sigmas")?.inputs.get("denoise").and_then(number);
        own.or_else(sigmas).unwrap_or(1.0)
    }

    /// A value of a node itself, or of one that it comes from.
    fn value<'a>(&'a self, node: &'a Node, name: &str) -> Option<&'a Value> {
        let mut value = node.inputs.get(name)?;
        for _ in 0..MAX_WAY {
            let Some(link) = link_of(value) else { return Some(value) };
            let source = self.node(link)?;
            let own = [name, "value", "seed", "noise_seed", "int", "float"];
            value = own.iter().find_map(|name| source.inputs.get(*name)).or_else(|| source.inputs.values().next())?;
        }
        None
    }

    fn read_sampler(&self, sampler: &Node, draft: &mut Draft) {
        // The pieces of a custom sampler are nodes of their own.
        let piece = |input: &str| self.behind(sampler, input);
        let from = |node: Option<&Node>, name: &str| node.and_then(|node| self.value(node, name)).cloned();
        let own = |name: &str| from(Some(sampler), name);
        let seed = own("seed").or_else(|| own("noise_seed")).or_else(|| from(piece("noise"), "noise_seed"));
        draft.set_seed(seed.as_ref().and_then(whole));
        draft.set_steps(own("steps").or_else(|| from(piece("sigmas"), "steps")).as_ref().and_then(whole));
        let guider = piece("guider");
        match own("cfg").or_else(|| from(guider, "cfg")) {
            Some(scale) => draft.set_guidance(number(&scale)),
            // A basic guider follows one text, without guidance.
            None if guider.is_some() => draft.set_guidance(Some(1.0)),
            None => {}
        }
        let text = |value: Option<Value>| value.as_ref().and_then(Value::as_str).map(str::to_owned);
        let name = text(own("sampler_name")).or_else(|| text(from(piece("sampler"), "sampler_name")));
        let schedule = text(own("scheduler")).or_else(|| text(from(piece("sigmas"), "scheduler"))).or_else(|| {
            let class = piece("sigmas")?.class.as_str();
            ["Karras", "Exponential"].iter().find(|kind| class.starts_with(**kind)).map(|kind| kind.to_lowercase())
        });
        draft.set_sampler(&COMFY, name.as_deref(), schedule.as_deref());
        if own("start_at_step").as_ref().and_then(whole).is_some_and(|step| step > 0) {
            draft.note("It began in the middle of its steps, which is not done here");
        }
    }

    fn read_latents(&self, sampler: &Node, draft: &mut Draft) {
        let Some(latent) = self.latent(sampler) else { return };
        let side = |name: &str| self.value(latent, name).and_then(whole);
        draft.set_size(side("width"), side("height"));
        let strength = self.denoise(sampler);
        if latent.class.contains("Encode") || strength < 1.0 {
            draft.note(format!("It began with another picture (strength {strength}), which is not in the file"));
        }
    }

    fn read_texts(&self, sampler: &Node, draft: &mut Draft) {
        let guider = self.behind(sampler, "guider");
        let side = |names: &[&str]| {
            let of = |node| names.iter().find_map(|name| self.behind(node, name));
            of(sampler).or_else(|| guider.and_then(of))
        };
        let mut layers = None;
        for (names, is_negative) in [(&["positive", "conditioning"][..], false), (&["negative"][..], true)] {
            let Some(node) = side(names) else { continue };
            let mut texts = Vec::new();
            self.collect_texts(node, is_negative, &mut texts, &mut layers, draft, &mut 0);
            if texts.len() > 1 {
                draft.note("Several prompts were combined: they are taken over one behind the other");
            }
            let text = texts.join(", ");
            if is_negative { draft.request.negative_prompt = text } else { draft.request.prompt = text }
        }
        if let Some(layers) = layers {
            draft.set_clip_skip(layers);
        }
    }

    /// The texts that a conditioning is made of.
    fn collect_texts(
        &self,
        node: &Node,
        is_negative: bool,
        texts: &mut Vec<String>,
        layers: &mut Option<u64>,
        draft: &mut Draft,
        met: &mut usize,
    ) {
        *met += 1;
        if *met > MAX_WAY {
            return;
        }
        if node.class.contains("ControlNet") {
            draft.note("ControlNet shaped it, which is not used here");
        }
        if node.class == "ConditioningZeroOut" {
            return;
        }
        let encoded = ["text", "text_g", "text_l", "prompt", "text_positive"];
        let mut own: Vec<String> = encoded.iter().filter_map(|name| self.text_of(node, name, 0)).collect();
        own.dedup();
        if node.class.starts_with("CLIPTextEncode") || !own.is_empty() {
            *layers = layers.or_else(|| self.left_out(node));
            texts.extend(own.into_iter().map(|text| text.trim().to_owned()).filter(|text| !text.is_empty()));
            return;
        }
        // A node that changes both sides passes each on under its name.
        let sides = if is_negative { ["negative", "positive"] } else { ["positive", "negative"] };
        if let Some(next) = self.behind(node, sides[0]) {
            return self.collect_texts(next, is_negative, texts, layers, draft, met);
        }
        let inputs: Vec<&String> = node.inputs.keys().filter(|name| name.starts_with("conditioning")).collect();
        for name in inputs {
            if let Some(next) = self.behind(node, name) {
                self.collect_texts(next, is_negative, texts, layers, draft, met);
            }
        }
    }

    /// A text that a node holds or is given by others.
    fn text_of(&self, node: &Node, name: &str, depth: usize) -> Option<String> {
        let value = node.inputs.get(name)?;
        if let Value::String(text) = value {
            return Some(text.clone());
        }
        if depth > 32 {
            return None;
        }
        let source = self.node(link_of(value)?)?;
        let names = ["text", "value", "string", "prompt", "Text", "String", "text_a", "text_b", "text1", "text2"];
        let texts: Vec<String> = names.iter().filter_map(|name| self.text_of(source, name, depth + 8)).collect();
        (!texts.is_empty()).then(|| texts.join(", "))
    }

    /// How many of the text encoder's last layers are left out: -1 means none, as it counts from the end.
    fn left_out(&self, text: &Node) -> Option<u64> {
        let mut node = self.behind(text, "clip")?;
        for _ in 0..MAX_WAY {
            if let Some(stop) = node.inputs.get("stop_at_clip_layer").and_then(number) {
                return (stop <= -1.0).then(|| (-stop - 1.0) as u64);
            }
            node = self.behind(node, "clip")?;
        }
        None
    }

    fn read_model(&self, sampler: &Node, draft: &mut Draft) {
        let piece = |input: &str| self.behind(sampler, input);
        let mut next = piece("model").or_else(|| self.behind(piece("guider")?, "model"));
        let mut loras = Vec::new();
        for _ in 0..MAX_WAY {
            let Some(node) = next else { break };
            if let Some(name) = node.text("lora_name") {
                let weight = |name: &str| self.value(node, name).and_then(number);
                let unet = weight("strength_model").unwrap_or(1.0);
                // One for the model alone leaves the text encoder as it is.
                let text = weight("strength_clip").unwrap_or(if node.class.contains("ModelOnly") { 0.0 } else { unet });
                loras.push((name.to_owned(), unet, text));
            }
            if let Some(name) = node.text("ckpt_name").or_else(|| node.text("unet_name")) {
                stem(name).clone_into(&mut draft.model_name);
                break;
            }
            next = self.behind(node, "model").or_else(|| self.behind(node, "model1"));
        }
        for (name, unet, text) in loras.into_iter().rev() {
            draft.add_lora(&name, unet, text);
        }
    }

    /// Names the nodes before the saved picture that are not known.
    fn name_unknown(&self, draft: &mut Draft) {
        let mut classes: Vec<&str> = Vec::new();
        let ends = self.nodes.iter().filter(|(_, node)| node.class.contains("Save") && node.class.contains("Image"));
        let mut seen: BTreeSet<&str> = BTreeSet::new();
        let mut waiting: Vec<&str> = ends.map(|(name, _)| name.as_str()).collect();
        if waiting.is_empty() {
            waiting.extend(self.nodes.keys().map(String::as_str));
        }
        while let Some(name) = waiting.pop() {
            let Some(node) = self.node(name).filter(|_| seen.insert(name)) else { continue };
            waiting.extend(node.inputs.values().filter_map(link_of));
            if node.class == "VAELoader" {
                let name = node.text("vae_name").unwrap_or_default();
                draft.note(format!("The VAE {} is not taken over: choose its file", quoted(name)));
            }
            let is_read = node.class.contains("ControlNet") || node.class == "LoadImage" || node.is_sampler();
            let is_text = node.inputs.len() <= 1 && node.inputs.values().all(Value::is_string);
            if !is_known(&node.class) && !is_read && !is_text && !node.class.contains("Save") {
                classes.push(&node.class);
            }
        }
        classes.sort_unstable();
        classes.dedup();
        for class in classes {
            draft.note(format!("The node {} is not known here: what it did is left out", quoted(class)));
        }
    }
}

#[cfg(test)]
#[path = "comfy_tests.rs"]
mod tests;
