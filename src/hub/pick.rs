//! [`Plan`]: which files of a repository are needed, and only those.
//!
//! A diffusers pipeline names its components in `model_index.json`; of each come its configuration and vocabulary, and one
//! set of weights. Names of weights follow `diffusers` 0.42, `utils/constants.py` and `utils/hub_utils.py::_add_variant`:
//! `stem[.variant].safetensors`, shards `stem[.variant]-00001-of-00002.safetensors` (older: the variant after the count) with
//! an index `stem.safetensors.index[.variant].json`.

use std::collections::BTreeMap;

use serde_json::Value;

use super::names::RepoId;
use super::repo::{Gate, RemoteFile, RepoInfo};
use crate::domain::{Result, UserError};

/// The file that makes a repository a diffusers pipeline.
pub(super) const MODEL_INDEX: &str = "model_index.json";

/// What to pick.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PlanOptions {
    /// Take the half-size `fp16` weights of a component where they are there.
    pub prefer_fp16: bool,
    /// Take this one file, such as an adapter or a model in one file, and nothing else.
    pub file: Option<String>,
}

/// One file to download.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PlannedFile {
    /// Its path in the repository, with `/`.
    pub name: String,
    /// Its length in bytes.
    pub size_bytes: u64,
    /// The name of its content in the cache.
    pub etag: String,
    /// Its sha256 in lower-case hexadecimal; small files have none.
    pub sha256: Option<String>,
}

/// What a download will bring.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plan {
    /// From where.
    pub repo: RepoId,
    /// The revision that was asked for.
    pub revision: String,
    /// The commit that it is.
    pub commit: String,
    /// The licence as the repository's card names it.
    pub licence: Option<String>,
    /// Whether its terms must be accepted first.
    pub gate: Gate,
    /// What was to be picked.
    pub options: PlanOptions,
    /// The files, in the order in which they come; what makes the model whole comes last.
    pub files: Vec<PlannedFile>,
}

impl Plan {
    /// The bytes of all files, those that are in the cache already too.
    #[must_use]
    pub fn total_bytes(&self) -> u64 {
        self.files.iter().fold(0, |sum, file| sum.saturating_add(file.size_bytes))
    }
}

/// The names of the components that `model_index.json` says are there.
///
/// # Errors
/// When it is no such file.
pub(super) fn components(model_index: &[u8], repo: &RepoId) -> Result<Vec<String>> {
    let wrong = || UserError::input(format!("{MODEL_INDEX} of {repo} is no description of a diffusers pipeline"));
    let Ok(Value::Object(map)) = serde_json::from_slice(model_index) else { return Err(wrong()) };
    // A component is `[library, class]`; `[null, null]` is one that the pipeline does without.
    let is_there =
        |value: &Value| value.as_array().is_some_and(|pair| pair.len() == 2 && pair.iter().all(Value::is_string));
    let names: Vec<String> = map
        .into_iter()
        .filter(|(name, value)| !name.starts_with('_') && !name.contains('/') && is_there(value))
        .map(|(name, _)| name)
        .collect();
    if names.is_empty() { Err(wrong()) } else { Ok(names) }
}

/// The files of a pipeline with these components.
///
/// # Errors
/// When weights that a pipeline cannot do without are not there.
pub(super) fn pipeline<'a>(
    info: &'a RepoInfo,
    components: &[String],
    options: &PlanOptions,
) -> Result<Vec<&'a RemoteFile>> {
    let mut picked = Vec::new();
    for component in components {
        let inside: Vec<(&str, &RemoteFile)> = info
            .files
            .iter()
            .filter_map(|file| Some((file.name.strip_prefix(component.as_str())?.strip_prefix('/')?, file)))
            .filter(|(name, _)| !name.contains('/'))
            .collect();
        let weights = weights(&inside, options.prefer_fp16);
        let needs_weights = matches!(component.as_str(), "unet" | "vae" | "text_encoder" | "text_encoder_2");
        if inside.is_empty() || (needs_weights && weights.is_empty()) {
            let what = if needs_weights { "weights" } else { "files" };
            return Err(UserError::input(format!("{} has no {what} for its {component}", info.repo))
                .hint("it may keep them in one file; name that file, or take another repository"));
        }
        picked.extend(inside.iter().filter(|(name, _)| is_description(name)).map(|(_, file)| *file));
        picked.extend(weights);
    }
    // The description of the whole comes last: a folder that has it has everything.
    picked.extend(info.files.iter().filter(|file| file.name == MODEL_INDEX));
    Ok(picked)
}

/// The one file that is wanted of a repository that is no pipeline.
///
/// # Errors
/// When it is not there, or it is not clear which one is meant.
pub(super) fn single<'a>(info: &'a RepoInfo, options: &PlanOptions) -> Result<Vec<&'a RemoteFile>> {
    if let Some(wanted) = &options.file {
        let found = info.files.iter().find(|file| file.name == *wanted);
        return found.map(|file| vec![file]).ok_or_else(|| {
            UserError::input(format!("{} has no file {wanted}", info.repo)).hint(candidates_hint(info))
        });
    }
    match single_files(info).as_slice() {
        [one] => Ok(vec![one]),
        [] => Err(UserError::input(format!("{} holds no model that can be used here", info.repo))
            .hint("a model is a diffusers folder (with model_index.json) or a .safetensors file")),
        _ => Err(UserError::input(format!("{} holds several models", info.repo)).hint(candidates_hint(info))),
    }
}

fn single_files(info: &RepoInfo) -> Vec<&RemoteFile> {
    let is_shard = |name: &str| Weights::parse(name).is_some_and(|weights| weights.shard.is_some());
    info.files.iter().filter(|file| has_end(&file.name, "safetensors") && !is_shard(&file.name)).collect()
}

fn candidates_hint(info: &RepoInfo) -> String {
    let names: Vec<&str> = single_files(info).iter().map(|file| file.name.as_str()).collect();
    match names.as_slice() {
        [] => "it holds no .safetensors file".to_owned(),
        [first, second, third, rest @ ..] if rest.len() > 2 => {
            format!("name one of {first}, {second}, {third} and {} more", rest.len())
        }
        few => format!("name one of {}", few.join(", ")),
    }
}

/// Configurations and vocabularies; an index of shards comes with its shards.
fn is_description(name: &str) -> bool {
    let is_index = name.contains(".index.");
    (has_end(name, "json") && !is_index) || has_end(name, "txt") || name == "spiece.model"
}

/// Whether a name has this extension.
pub(super) fn has_end(name: &str, extension: &str) -> bool {
    name.rsplit_once('.').is_some_and(|(stem, end)| !stem.is_empty() && end == extension)
}

/// The name of a file of weights, taken apart.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Weights<'a> {
    stem: &'a str,
    variant: Option<&'a str>,
    /// Which of how many, from 1.
    shard: Option<(u32, u32)>,
    extension: &'a str,
}

impl<'a> Weights<'a> {
    fn parse(name: &'a str) -> Option<Self> {
        let (rest, extension) = name.rsplit_once('.')?;
        if !matches!(extension, "safetensors" | "bin") {
            return None;
        }
        let (first, behind) = rest.split_once('.').map_or((rest, None), |(first, behind)| (first, Some(behind)));
        // `stem-1-of-2.variant` or `stem.variant-1-of-2`
        let (stem, mut shard) = split_shard(first);
        let variant = behind.map(|behind| {
            let (variant, late) = split_shard(behind);
            shard = shard.or(late);
            variant
        });
        let is_known = matches!(stem, "diffusion_pytorch_model" | "model" | "pytorch_model");
        (is_known && !variant.is_some_and(|variant| variant.contains('.'))).then_some(Self {
            stem,
            variant,
            shard,
            extension,
        })
    }
}

/// `name-00001-of-00002` is `name` and the first of two.
fn split_shard(text: &str) -> (&str, Option<(u32, u32)>) {
    let parts = || {
        let (rest, count) = text.rsplit_once("-of-")?;
        let (name, number) = rest.rsplit_once('-')?;
        let (number, count) = (number.parse().ok()?, count.parse().ok()?);
        (1 <= number && number <= count).then_some((name, (number, count)))
    };
    parts().map_or((text, None), |(name, shard)| (name, Some(shard)))
}

/// What the files of one set of weights share: extension, variant, count of shards (0 for one file), stem.
type Set<'a> = (&'a str, Option<&'a str>, u32, &'a str);

/// One whole set of weights of a component: safetensors before pickles, the wanted variant before the other, one file before
/// shards. Other variants (`non_ema`, `bf16`, `ema`) are not for making pictures here.
fn weights<'a>(inside: &[(&'a str, &'a RemoteFile)], prefer_fp16: bool) -> Vec<&'a RemoteFile> {
    // The shards of a set, by number; a set in one file is the first of one.
    let mut sets: BTreeMap<Set<'_>, BTreeMap<u32, &RemoteFile>> = BTreeMap::new();
    for (name, file) in inside {
        if let Some(Weights { stem, variant, shard, extension }) = Weights::parse(name) {
            let (number, count) = shard.unwrap_or((1, 0));
            sets.entry((extension, variant, count, stem)).or_default().insert(number, file);
        }
    }
    let variants = if prefer_fp16 { [Some("fp16"), None] } else { [None, Some("fp16")] };
    for extension in ["safetensors", "bin"] {
        for variant in variants {
            for (key, files) in &sets {
                let &(set_extension, set_variant, count, stem) = key;
                if (set_extension, set_variant) != (extension, variant) || files.len() != count.max(1) as usize {
                    continue;
                }
                let mut set: Vec<&RemoteFile> = files.values().copied().collect();
                if count > 0 {
                    let Some(index) = index(inside, stem, variant, extension) else { continue };
                    set.insert(0, index);
                }
                return set;
            }
        }
    }
    Vec::new()
}

/// The index of a set of shards, under the names that were in use over time.
fn index<'a>(
    inside: &[(&'a str, &'a RemoteFile)],
    stem: &str,
    variant: Option<&str>,
    extension: &str,
) -> Option<&'a RemoteFile> {
    let names = match variant {
        None => vec![format!("{stem}.{extension}.index.json")],
        Some(variant) => {
            vec![format!("{stem}.{extension}.index.{variant}.json"), format!("{stem}.{variant}.{extension}.index.json")]
        }
    };
    inside.iter().find(|(name, _)| names.iter().any(|known| known == name)).map(|(_, file)| *file)
}

#[cfg(test)]
#[path = "tests/pick.rs"]
mod tests;
