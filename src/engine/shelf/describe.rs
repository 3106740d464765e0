//! What a file or folder is, whatever its format, and whether its values are numbers.

use std::path::Path;

use crate::domain::{Cancel, ModelSummary, Result, UserError};
use crate::weights::layout::detect::{BaseFamily, Variant};
use crate::weights::layout::kind::Kind;
use crate::weights::layout::{self, Inspection};
use crate::weights::{ModelFiles, OpenedFile, Precision, open_file};

/// The header's key for a licence in safetensors files (the Stability AI "modelspec" metadata, 1.0).
const LICENCE_KEY: &str = "modelspec.license";
/// The longest licence that is shown: a name, not a text.
const MAX_LICENCE_CHARS: usize = 80;

/// Says what a file, or a folder in diffusers' layout, is. Names and shapes are read, not the weights.
///
/// # Errors
/// When it cannot be read, or is broken.
pub fn inspect(path: &Path) -> Result<(Inspection, Option<String>)> {
    if path.is_dir() {
        return Ok((layout::inspect_folder(&ModelFiles::folder(path)?, Precision::Full)?, None));
    }
    let OpenedFile { file, global_step } = open_file(path)?;
    let licence = file.metadata().get(LICENCE_KEY).map(|text| text.chars().take(MAX_LICENCE_CHARS).collect());
    Ok((layout::inspect(&file, global_step), licence))
}

/// What it is, for people.
///
/// # Errors
/// When it cannot be read, is of a kind that cannot be used, or something is wrong with it.
pub fn summarise(path: &Path) -> Result<ModelSummary> {
    let (found, licence) = inspect(path)?;
    if !found.usable {
        return Err(UserError::input(found.description)
            .hint("models of Stable Diffusion 1, 2 and XL, their parts and their LoRAs can be used")
            .path(path));
    }
    if let [first, rest @ ..] = found.problems.as_slice() {
        let more = if rest.is_empty() { String::new() } else { format!(" (and {} more problems)", rest.len()) };
        let sentence = format!("{}{more}", first.trim_end_matches('.'));
        return Err(UserError::input(sentence).hint("the file is damaged or incomplete; get it again").path(path));
    }
    Ok(ModelSummary {
        is_model: found.kind == Kind::Checkpoint,
        family: family_text(&found),
        dtype: found.dtype,
        parameters: found.parameters,
        components: found.components.iter().map(|component| component.name.folder().to_owned()).collect(),
        description: found.description,
        licence,
    })
}

fn family_text(found: &Inspection) -> Option<String> {
    let base = match found.family? {
        BaseFamily::Sd1 => "Stable Diffusion 1",
        BaseFamily::Sd2 => "Stable Diffusion 2",
        BaseFamily::Sdxl => "Stable Diffusion XL",
    };
    Some(match found.variant {
        Some(Variant::Inpaint) => format!("{base}, inpainting"),
        Some(Variant::Base) | None => base.to_owned(),
    })
}

/// Reads all values of a file and sees whether they are numbers. Those that a picture does not need are passed over.
///
/// # Errors
/// When some are NaN or infinite: the first three tensors and how many; the cancellation.
pub fn check_finite(opened: &OpenedFile, cancel: &Cancel) -> Result<()> {
    use std::collections::BTreeSet;
    let file = &opened.file;
    let ignored: BTreeSet<String> = layout::plan(file.tensors()).ignored.into_iter().collect();
    let mut broken = Vec::new();
    for name in file.names().filter(|name| !ignored.contains(*name)) {
        if cancel.is_cancelled() {
            return Err(UserError::cancelled());
        }
        // Whole numbers, such as positions, are always finite; nothing else of a file that was inspected fails here.
        let Ok(values) = file.read_f32(name) else { continue };
        if !values.iter().all(|value| value.is_finite()) {
            broken.push(name.to_owned());
        }
    }
    if broken.is_empty() {
        return Ok(());
    }
    let first: Vec<&str> = broken.iter().take(3).map(String::as_str).collect();
    let more = if broken.len() > first.len() { ", …" } else { "" };
    let count = broken.len();
    let tensors = if count == 1 { "1 tensor".to_owned() } else { format!("{count} tensors") };
    Err(UserError::input(format!("{tensors} of the file hold NaN or infinity ({}{more})", first.join(", ")))
        .hint("pictures would be black or noise; get another copy, the training of this one may have failed")
        .path(file.path()))
}
