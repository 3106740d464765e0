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
