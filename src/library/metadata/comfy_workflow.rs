//! The form in which `ComfyUI`'s editor keeps a graph (`workflow`): nodes with their widgets' values in order, and a list
//! of links. For the nodes of a plain workflow the names of those values are known; they become a graph as in `prompt`.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::comfy::{Graph, Node};

/// The names of a node's widgets in the order of their values; an empty name is a value that is no input.
const WIDGETS: &[(&str, &[&str])] = &[
    ("KSampler", &["seed", "", "steps", "cfg", "sampler_name", "scheduler", "denoise"]),
    (
        "KSamplerAdvanced",
        &["add_noise", "noise_seed", "", "steps", "cfg", "sampler_name", "scheduler", "start_at_step", "end_at_step"],
    ),
    ("SamplerCustom", &["add_noise", "noise_seed", "", "cfg"]),
    ("RandomNoise", &["noise_seed", ""]),
    ("KSamplerSelect", &["sampler_name"]),
    ("BasicScheduler", &["scheduler", "steps", "denoise"]),
    ("KarrasScheduler", &["steps", "sigma_max", "sigma_min", "rho"]),
    ("CFGGuider", &["cfg"]),
    ("CheckpointLoaderSimple", &["ckpt_name"]),
    ("UNETLoader", &["unet_name", "weight_dtype"]),
    ("VAELoader", &["vae_name"]),
    ("LoraLoader", &["lora_name", "strength_model", "strength_clip"]),
    ("LoraLoaderModelOnly", &["lora_name", "strength_model"]),
    ("CLIPTextEncode", &["text"]),
    ("CLIPSetLastLayer", &["stop_at_clip_layer"]),
    ("EmptyLatentImage", &["width", "height", "batch_size"]),
    ("LatentUpscale", &["upscale_method", "width", "height", "crop"]),
    ("LatentUpscaleBy", &["upscale_method", "scale_by"]),
    ("PrimitiveNode", &["value"]),
];
/// What the editor says of nodes that do nothing: muted, and passed by.
const MUTED: u64 = 2;
const PASSED_BY: u64 = 4;

/// The graph of a workflow; `None` where it is none, or has too many nodes.
pub(super) fn graph(workflow: &Value, max_nodes: usize) -> Option<Graph> {
    let nodes = workflow.get("nodes")?.as_array()?;
    let links = workflow.get("links")?.as_array()?;
    if nodes.len() > max_nodes || links.len() > 8 * max_nodes {
        return None;
    }
    // A link is `[key, from node, from output, to node, to input, type]`.
    let sources: BTreeMap<u64, Value> = links
        .iter()
        .filter_map(|link| {
            let from = link.get(1)?;
            let name = from.as_str().map_or_else(|| from.to_string(), str::to_owned);
            Some((link.get(0)?.as_u64()?, json!([name, link.get(2)?.as_u64()?])))
        })
        .collect();
    let mut graph = Graph::default();
    for node in nodes {
        let (Some(id), Some(class)) = (node.get("id"), node.get("type").and_then(Value::as_str)) else { continue };
        let mode = node.get("mode").and_then(Value::as_u64).unwrap_or(0);
        if class == "Note" || class == "MarkdownNote" || mode == MUTED {
            continue;
        }
        // What is passed by hands its inputs on, as a reroute does.
        let is_passed_by = mode == PASSED_BY;
        let mut inputs = Map::new();
        let names = WIDGETS.iter().find(|(own, _)| *own == class).map_or(&[][..], |(_, names)| *names);
        let values = node.get("widgets_values").and_then(Value::as_array);
        for (name, value) in names.iter().zip(values.into_iter().flatten()).filter(|(name, _)| !name.is_empty()) {
            inputs.insert((*name).to_owned(), value.clone());
        }
        for input in node.get("inputs").and_then(Value::as_array).into_iter().flatten() {
            let source = input.get("link").and_then(Value::as_u64).and_then(|link| sources.get(&link));
            if let (Some(name), Some(source)) = (input.get("name").and_then(Value::as_str), source) {
                inputs.insert(name.to_owned(), source.clone());
            }
        }
        let class = if is_passed_by { "Reroute" } else { class }.to_owned();
        let name = id.as_str().map_or_else(|| id.to_string(), str::to_owned);
        graph.nodes.insert(name, Node { class, inputs });
    }
    Some(graph)
}
