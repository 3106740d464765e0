//! Graphs as `ComfyUI` 0.3 writes them, by hand after its default workflow and its examples.

use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::domain::{Hires, SamplerId, ScheduleId};

/// The default workflow with an adapter and a clip skip.
fn plain() -> Value {
    json!({
        "3": {"class_type": "KSampler", "_meta": {"title": "KSampler"}, "inputs": {"seed": 156_680_208_700_286_u64,
            "steps": 20, "cfg": 8.0, "sampler_name": "dpmpp_2m", "scheduler": "karras", "denoise": 1.0,
            "model": ["10", 0], "positive": ["6", 0], "negative": ["7", 0], "latent_image": ["5", 0]}},
        "4": {"class_type": "CheckpointLoaderSimple", "inputs": {"ckpt_name": "SD1\\v1-5-pruned-emaonly.safetensors"}},
        "5": {"class_type": "EmptyLatentImage", "inputs": {"width": 512, "height": 768, "batch_size": 1}},
        "6": {"class_type": "CLIPTextEncode", "inputs": {"text": "a red dress", "clip": ["11", 0]}},
        "7": {"class_type": "CLIPTextEncode", "inputs": {"text": "text, watermark", "clip": ["11", 0]}},
        "8": {"class_type": "VAEDecode", "inputs": {"samples": ["3", 0], "vae": ["4", 2]}},
        "9": {"class_type": "SaveImage", "inputs": {"filename_prefix": "ComfyUI", "images": ["8", 0]}},
        "10": {"class_type": "LoraLoader", "inputs": {"lora_name": "denim.safetensors", "strength_model": 0.8,
            "strength_clip": 1.0, "model": ["4", 0], "clip": ["4", 1]}},
        "11": {"class_type": "CLIPSetLastLayer", "inputs": {"stop_at_clip_layer": -2, "clip": ["10", 1]}}
    })
}

fn read(graph: &Value) -> Recipe {
    prompt(&graph.to_string()).expect("a recipe")
}

#[test]
fn the_default_workflow_is_read_in_full() {
    let recipe = read(&plain());
    let request = &recipe.request;
    assert_eq!(request.prompt, "a red dress <lora:denim:1:0.8>");
    assert_eq!((request.negative_prompt.as_str(), request.seed), ("text, watermark", 156_680_208_700_286));
    assert_eq!((request.width_px, request.height_px, request.num_inference_steps), (512, 768, 20));
    assert_eq!((request.sampler, request.schedule), (SamplerId::DpmPp2m, ScheduleId::Karras));
    assert_eq!((request.guidance_scale, request.clip_skip), (8.0, 1));
    assert_eq!((recipe.model_name.as_str(), recipe.version.as_str()), ("v1-5-pruned-emaonly", "ComfyUI"));
    assert_eq!(recipe.not_understood, Vec::<String>::new());
}

#[test]
fn a_second_sampler_behind_an_enlargement_is_a_second_pass() {
    let mut graph = plain();
    graph["20"] = json!({"class_type": "LatentUpscaleBy", "inputs": {"upscale_method": "bislerp", "scale_by": 1.5,
        "samples": ["3", 0]}});
    graph["21"] = json!({"class_type": "KSampler", "inputs": {"seed": 9, "steps": 14, "cfg": 8.0, "sampler_name": "euler",
        "scheduler": "simple", "denoise": 0.5, "model": ["10", 0], "positive": ["6", 0], "negative": ["7", 0],
        "latent_image": ["20", 0]}});
    graph["8"]["inputs"]["samples"] = json!(["21", 0]);
    let request = read(&graph).request;
    assert_eq!(request.hires, Some(Hires { scale: 1.5, strength: 0.5 }));
    assert_eq!((request.seed, request.width_px), (156_680_208_700_286, 512), "of the first pass");
    graph["20"] = json!({"class_type": "LatentUpscale", "inputs": {"upscale_method": "nearest-exact", "width": 1024,
        "height": 1536, "crop": "disabled", "samples": ["3", 0]}});
    assert_eq!(read(&graph).request.hires, Some(Hires { scale: 2.0, strength: 0.5 }));
}

#[test]
fn the_pieces_of_a_custom_sampler_are_found() {
    let mut graph = plain();
    graph["3"] = json!({"class_type": "SamplerCustomAdvanced", "inputs": {"noise": ["30", 0], "guider": ["31", 0],
        "sampler": ["32", 0], "sigmas": ["33", 0], "latent_image": ["5", 0]}});
    graph["30"] = json!({"class_type": "RandomNoise", "inputs": {"noise_seed": 77}});
    graph["31"] = json!({"class_type": "CFGGuider", "inputs": {"cfg": 3.5, "model": ["10", 0], "positive": ["6", 0],
        "negative": ["7", 0]}});
    graph["32"] = json!({"class_type": "KSamplerSelect", "inputs": {"sampler_name": "euler_ancestral"}});
    graph["33"] = json!({"class_type": "BasicScheduler", "inputs": {"scheduler": "sgm_uniform", "steps": 12,
        "denoise": 1.0, "model": ["10", 0]}});
    let recipe = read(&graph);
    let request = &recipe.request;
    assert_eq!((request.seed, request.num_inference_steps, request.guidance_scale), (77, 12, 3.5));
    assert_eq!((request.sampler, request.schedule), (SamplerId::EulerA, ScheduleId::Trailing));
    assert_eq!(
        (request.negative_prompt.as_str(), recipe.model_name.as_str()),
        ("text, watermark", "v1-5-pruned-emaonly")
    );
}

#[test]
fn what_is_not_done_here_is_named() {
    let mut graph = plain();
    graph["6"]["inputs"]["text"] = json!(["40", 0]);
    graph["40"] = json!({"class_type": "String Literal", "inputs": {"string": "a blue dress"}});
    graph["41"] = json!({"class_type": "ControlNetApplyAdvanced", "inputs": {"strength": 1.0, "positive": ["6", 0],
        "negative": ["7", 0], "control_net": ["42", 0], "image": ["43", 0]}});
    graph["43"] = json!({"class_type": "LoadImage", "inputs": {"image": "pose.png"}});
    graph["44"] = json!({"class_type": "FreeU_V2", "inputs": {"b1": 1.3, "model": ["10", 0]}});
    graph["45"] = json!({"class_type": "VAEEncode", "inputs": {"pixels": ["43", 0], "vae": ["46", 0]}});
    graph["46"] = json!({"class_type": "VAELoader", "inputs": {"vae_name": "mse.safetensors"}});
    for (input, link) in [
        ("positive", json!(["41", 0])),
        ("negative", json!(["41", 1])),
        ("model", json!(["44", 0])),
        ("latent_image", json!(["45", 0])),
        ("sampler_name", json!("res_multistep")),
        ("denoise", json!(0.6)),
    ] {
        graph["3"]["inputs"][input] = link;
    }
    let recipe = read(&graph);
    assert!(recipe.request.prompt.starts_with("a blue dress"), "{}", recipe.request.prompt);
    assert_eq!(recipe.request.negative_prompt, "text, watermark");
    assert_eq!(recipe.request.sampler, SamplerId::default());
    let named = recipe.not_understood.join("\n");
    for what in ["\"res_multistep\"", "ControlNet", "\"FreeU_V2\"", "strength 0.6", "VAE \"mse.safetensors\""] {
        assert!(named.contains(what), "{what}: {named}");
    }
    assert!(!named.contains("String Literal"), "{named}");
}

#[test]
fn a_workflow_of_the_editor_is_read_too() {
    // Muted, passed by, and the plain chain; links are [key, from, output, to, input, type].
    let text = json!({"version": 0.4, "nodes": [
        {"id": 3, "type": "KSampler", "mode": 0, "widgets_values": [42, "randomize", 25, 7, "euler", "normal", 1],
            "inputs": [{"name": "model", "link": 8}, {"name": "positive", "link": 4}, {"name": "negative", "link": 6},
            {"name": "latent_image", "link": 2}]},
        {"id": 4, "type": "CheckpointLoaderSimple", "widgets_values": ["sd_xl_base_1.0.safetensors"]},
        {"id": 5, "type": "EmptyLatentImage", "widgets_values": [1024, 832, 1]},
        {"id": 6, "type": "CLIPTextEncode", "widgets_values": ["a coat"], "inputs": [{"name": "clip", "link": 3}]},
        {"id": 7, "type": "CLIPTextEncode", "widgets_values": [""], "inputs": [{"name": "clip", "link": 5}]},
        {"id": 8, "type": "VAEDecode", "inputs": [{"name": "samples", "link": 7}, {"name": "vae", "link": null}]},
        {"id": 9, "type": "SaveImage", "widgets_values": ["ComfyUI"], "inputs": [{"name": "images", "link": 9}]},
        {"id": 10, "type": "LoraLoader", "mode": 4, "widgets_values": ["off.safetensors", 1, 1],
            "inputs": [{"name": "model", "link": 1}]},
        {"id": 11, "type": "KSampler", "mode": 2, "widgets_values": [1, "fixed", 1, 1, "lcm", "normal", 1]},
        {"id": 12, "type": "Note", "widgets_values": ["hello"]}],
        "links": [[1, 4, 0, 10, 0, "MODEL"], [8, 10, 0, 3, 0, "MODEL"], [2, 5, 0, 3, 3, "LATENT"], [3, 4, 1, 6, 0, "CLIP"],
            [4, 6, 0, 3, 1, "CONDITIONING"], [5, 4, 1, 7, 0, "CLIP"], [6, 7, 0, 3, 2, "CONDITIONING"],
            [7, 3, 0, 8, 0, "LATENT"], [9, 8, 0, 9, 0, "IMAGE"]]})
    .to_string();
    let recipe = workflow(&text).expect("a recipe");
    let request = &recipe.request;
    assert_eq!((request.prompt.as_str(), request.seed, request.num_inference_steps), ("a coat", 42, 25));
    assert_eq!((request.width_px, request.height_px), (1024, 832));
    assert_eq!((request.sampler, request.schedule), (SamplerId::Euler, ScheduleId::Linspace));
    assert_eq!(recipe.model_name, "sd_xl_base_1.0");
    assert_eq!(recipe.not_understood, Vec::<String>::new());
}

#[test]
fn graphs_that_lead_in_circles_come_to_an_end() {
    let mut graph = plain();
    graph["20"] = json!({"class_type": "LatentUpscaleBy", "inputs": {"scale_by": 2.0, "samples": ["3", 0]}});
    graph["3"]["inputs"]["latent_image"] = json!(["20", 0]);
    graph["6"]["inputs"]["text"] = json!(["6", 0]);
    graph["10"]["inputs"]["model"] = json!(["10", 0]);
    graph["11"]["inputs"]["clip"] = json!(["11", 0]);
    graph["30"] = json!({"class_type": "ConditioningCombine", "inputs": {"conditioning_1": ["30", 0],
        "conditioning_2": ["30", 0]}});
    graph["3"]["inputs"]["negative"] = json!(["30", 0]);
    graph["3"]["inputs"]["seed"] = json!(["3", 0]);
    graph["31"] = json!({"class_type": "Reroute", "inputs": {"": ["31", 0]}});
    graph["8"]["inputs"]["vae"] = json!(["31", 0]);
    let recipe = read(&graph);
    assert!(!recipe.not_understood.is_empty());
}

/// Any JSON that looks a little like a graph.
fn any_graph() -> impl Strategy<Value = Value> {
    let value = prop_oneof![
        Just(json!(["1", 0])),
        Just(json!(["2", 0])),
        Just(json!(["3", 1])),
        Just(json!("euler")),
        Just(json!(7)),
        Just(json!(-3.5)),
        Just(json!(null)),
        Just(json!([[]])),
    ];
    let name = prop::sample::select(vec![
        "seed",
        "steps",
        "cfg",
        "sampler_name",
        "scheduler",
        "denoise",
        "model",
        "positive",
        "negative",
        "latent_image",
        "samples",
        "clip",
        "text",
        "conditioning",
        "sampler",
        "sigmas",
        "guider",
        "noise",
        "images",
        "width",
        "lora_name",
    ]);
    let class = prop::sample::select(vec![
        "KSampler",
        "SaveImage",
        "CLIPTextEncode",
        "Reroute",
        "LoraLoader",
        "LatentUpscale",
        "X",
        "ConditioningZeroOut",
    ]);
    let node = (class, prop::collection::hash_map(name, value, 0..12)).prop_map(|(class, inputs)| {
        let inputs: Map<String, Value> = inputs.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
        json!({"class_type": class, "inputs": inputs})
    });
    prop::collection::hash_map("[1-4]", node, 0..5).prop_map(|nodes| Value::Object(nodes.into_iter().collect()))
}

proptest! {
    #[test]
    fn any_graph_is_read_without_a_panic_or_an_end_that_never_comes(graph in any_graph()) {
        let _ = prompt(&graph.to_string());
    }

    #[test]
    fn any_text_is_read_without_a_panic(text in "(?s).{0,200}", at in any::<prop::sample::Index>(), byte in 32..127_u8) {
        let _ = prompt(&text);
        let _ = workflow(&text);
        let mut damaged = plain().to_string().into_bytes();
        let place = at.index(damaged.len());
        damaged[place] = byte;
        let _ = prompt(&String::from_utf8(damaged).unwrap());
    }
}
