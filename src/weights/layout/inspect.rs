//! Inspecting what lies on disk: a file, or a model's folder.

use serde::Deserialize;

use super::detect::{Clues, Inspection, SD2_PROBE, detect};
use super::kind::Unet;
use super::{Component, Plan, plan, plan_part};
use crate::domain::{PredictionType, Result};
use crate::weights::{ModelFiles, Precision, TensorFile, Tensors};

/// The width of the text that published models of Stable Diffusion 2 read.
const SD2_WIDTH: usize = 1024;
/// A bias has as many numbers as a level has channels, which is at most some thousands.
const MOST_PROBED: usize = 1 << 16;

/// Says what a file is. Its header is read, and of Stable Diffusion 2 one bias; `global_step` is what a `.ckpt` says
/// beside its tensors.
#[must_use]
pub fn inspect(file: &TensorFile, global_step: Option<i64>) -> Inspection {
    let plan = plan(file.tensors());
    let clues = Clues { global_step, sd2_probe_std: probe(file, &plan), scheduler: None };
    detect(file.tensors(), &plan, &clues)
}

/// Says what a folder in diffusers' layout is.
///
/// # Errors
/// When it has no weights, or one of its files is broken.
pub fn inspect_folder(files: &ModelFiles, prefer: Precision) -> Result<Inspection> {
    let mut whole = Plan::default();
    let mut tensors = Tensors::new();
    let mut probed = None;
    for component in Component::ALL {
        let folder = component.folder();
        if component != Component::Unet && !files.has_part_weights(folder) {
            continue;
        }
        let file = files.part_weights(folder, prefer)?;
        let mut part = plan_part(component, file.tensors());
        if component == Component::Unet {
            probed = probe(&file, &part);
        }
        // Files of different folders have the same names, so each name gets its folder.
        let at = |name: &str| format!("{folder}/{name}");
        for views in part.parts.values_mut() {
            views.views.iter_mut().for_each(|view| view.from = at(&view.from));
        }
        tensors.extend(file.tensors().iter().map(|(name, info)| (at(name), info.clone())));
        whole.ignored.extend(part.ignored.iter().map(|name| at(name)));
        whole.unknown.extend(part.unknown.iter().map(|name| at(name)));
        whole.problems.extend(part.problems);
        whole.parts.extend(part.parts);
    }
    let clues = Clues { global_step: None, sd2_probe_std: probed, scheduler: scheduler_of(files)? };
    let mut found = detect(&tensors, &whole, &clues);
    if found.kind == super::kind::Kind::Checkpoint {
        "This is a Stable Diffusion model in a folder; it can be used as a model.".clone_into(&mut found.description);
    }
    Ok(found)
}

/// What a folder's scheduler says of the prediction. Old folders say nothing, which means epsilon to diffusers.
fn scheduler_of(files: &ModelFiles) -> Result<Option<PredictionType>> {
    #[derive(Deserialize)]
    struct Scheduler {
        #[serde(default)]
        prediction_type: PredictionType,
    }
    const NAME: &str = "scheduler/scheduler_config.json";
    if !files.has(NAME) {
        return Ok(None);
    }
    files.json::<Scheduler>(NAME).map(|scheduler| Some(scheduler.prediction_type))
}

/// The standard deviation of [`SD2_PROBE`], where the `UNet` is of the published width.
fn probe(file: &TensorFile, plan: &Plan) -> Option<f64> {
    let unet = Unet::of(&plan.tensors_of(Component::Unet, file.tensors()));
    let view = plan.parts.get(&Component::Unet)?.views.iter().find(|view| view.name == SD2_PROBE)?;
    let info = view.of(file.tensors()).ok()?;
    if unet.context_width != Some(SD2_WIDTH) || unet.has_pooled_text || info.elements() > MOST_PROBED {
        return None;
    }
    let values = file.viewed(std::slice::from_ref(view)).ok()?.read_f32(SD2_PROBE).ok()?;
    standard_deviation(&values)
}

/// With `n - 1`, as torch has it. `None` of fewer than two numbers, or where one is not finite.
fn standard_deviation(values: &[f32]) -> Option<f64> {
    if values.len() < 2 {
        return None;
    }
    let count = values.len() as f64;
    let mean = values.iter().map(|value| f64::from(*value)).sum::<f64>() / count;
    let squares = values.iter().map(|value| (f64::from(*value) - mean).powi(2)).sum::<f64>();
    Some((squares / (count - 1.0)).sqrt()).filter(|std| std.is_finite())
}

#[cfg(test)]
mod tests {
    use super::super::detect::{BaseFamily, Certainty};
    use super::*;

    /// The names that matter of Stable Diffusion 2's `UNet`, with the probe's two values; the text is `width` wide.
    fn unet(width: usize, probe: [f32; 2]) -> TensorFile {
        let mut names: Vec<(String, Vec<usize>)> = Vec::new();
        let mut add =
            |name: String, shape: &[usize]| names.push((format!("model.diffusion_model.{name}"), shape.to_vec()));
        add("input_blocks.0.0.weight".to_owned(), &[1, 4, 1, 1]);
        for block in 0..12 {
            add(format!("output_blocks.{block}.0.in_layers.0.weight"), &[1]);
        }
        for (block, module) in [(2, 1), (5, 2), (8, 2)] {
            add(format!("output_blocks.{block}.{module}.conv.weight"), &[1]);
        }
        add("output_blocks.11.1.proj_in.weight".to_owned(), &[1, 1]);
        add("output_blocks.11.1.transformer_blocks.0.attn2.to_k.weight".to_owned(), &[1, width]);
        add("output_blocks.11.1.transformer_blocks.0.norm1.bias".to_owned(), &[2]);
        let (mut entries, mut data) = (Vec::new(), Vec::new());
        for (name, shape) in names {
            let start = data.len();
            let values = if name.ends_with("norm1.bias") { probe.to_vec() } else { vec![0.0; shape.iter().product()] };
            data.extend(values.into_iter().flat_map(f32::to_le_bytes));
            let end = data.len();
            entries.push(format!(r#""{name}":{{"dtype":"F32","shape":{shape:?},"data_offsets":[{start},{end}]}}"#));
        }
        let header = format!("{{{}}}", entries.join(","));
        let bytes = [&(header.len() as u64).to_le_bytes()[..], header.as_bytes(), &data].concat();
        TensorFile::embedded(bytes.leak(), "test").unwrap()
    }

    #[test]
    fn a_bias_tells_what_stable_diffusion_2_predicts() {
        use Certainty::{Guess, Likely};
        use PredictionType::{Epsilon, VPrediction};
        for (width, probe, prediction, certainty) in [
            // The deviation of two numbers ±a is a√2; the limit is 0.09.
            (1024, [0.064, -0.064], VPrediction, Likely),
            (1024, [0.063, -0.063], Epsilon, Likely),
            // A damaged file tells nothing, and neither does a width that the rule was not made for.
            (1024, [f32::NAN, 0.0], VPrediction, Guess),
            (40, [0.01, -0.01], VPrediction, Guess),
        ] {
            let found = inspect(&unet(width, probe), None);
            assert_eq!(found.family, Some(BaseFamily::Sd2));
            assert_eq!(
                (found.prediction_type, found.prediction_certainty),
                (Some(prediction), Some(certainty)),
                "{probe:?}"
            );
        }
    }
}
