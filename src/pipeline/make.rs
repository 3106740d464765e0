//! [`make`]: a picture as a user asked for it: wildcards drawn, adapters put on, words taught.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;

use super::assets::Assets;
use super::finite::in_range;
use super::generate::{Origin, come_to, generate_watched, picture_of};
use super::snapshot::{Snapshot, name_of};
use super::watch::{Beside, Progress, Watch};
use crate::domain::prompt::{Drawn, Prompt, WildcardLists, draw_both, extract_networks, find_word};
use crate::domain::{Cancel, GenerateRequest, ModelRef, Picture, Result, UserError, Verdict};
use crate::models::{AdapterUse, Model, Word};
use crate::nn::{operands, precision_now};
use crate::sampling::CounterRng;
use crate::weights::Shelf;
use crate::weights::lora::FitReport;

/// Names the stream of random numbers that wildcards are drawn with.
const DRAW_WILDCARDS: u32 = 0x5749_4c44;

/// A picture that was made.
pub struct Made {
    /// The picture.
    pub picture: Picture,
    /// What it was made of: the request with its wildcards drawn.
    pub request: GenerateRequest,
    /// What the model's safety checker says of it; `None` where it was not asked or there is none.
    pub safety: Option<Verdict>,
    /// Things worth telling that stopped nothing.
    pub notices: Vec<String>,
}

/// Makes the picture of `request` (the first of its count), with what its prompts name. The model keeps the adapters on,
/// so that the next picture with the same ones begins at once. `is_checked` asks the model's safety checker.
///
/// # Errors
/// As [`super::generate()`]; and when an adapter or embedding is not there, cannot be read, or does not fit the model.
pub fn make(
    model: &mut Model,
    request: &GenerateRequest,
    assets: &Assets,
    is_checked: bool,
    cancel: &Cancel,
    mut progress: &mut dyn FnMut(Progress),
) -> Result<Made> {
    make_watched(model, request, assets, is_checked, cancel, &mut progress)
}

/// As [`make`], for somebody who keeps what is reached, and goes on where a picture was interrupted.
///
/// # Errors
/// As [`make`].
pub fn make_watched(
    model: &mut Model,
    request: &GenerateRequest,
    assets: &Assets,
    is_checked: bool,
    cancel: &Cancel,
    watch: &mut dyn Watch,
) -> Result<Made> {
    let (request, mut notices) = drawn(request, assets);
    let outfit = Outfit::of(&request, &assets.shelf)?;
    let key = key_of(&request, &outfit);
    let is_interrupted = watch.resume(&key).is_some_and(|kept| kept.key == key);
    let parent = match &request.fork {
        // What was reached already is beyond the branching.
        Some(fork) if !is_interrupted => {
            Some(at_step(model, &fork.parent.single(0), fork.step, assets, cancel, watch)?)
        }
        _ => None,
    };
    notices.extend(outfit.put_on(model)?);
    let origin = Origin { key: &key, parent: parent.as_ref() };
    let generated = in_range(model, &mut |sentence| notices.push(sentence), |model| {
        generate_watched(model, &request, origin, cancel, watch)
    })?;
    notices.extend(generated.notices);
    let safety = if is_checked { model.check_safety(&generated.picture)? } else { None };
    Ok(Made { picture: generated.picture, request, safety, notices })
}

/// The prompts with their braces and wildcards drawn; the seed decides, so that a picture can be made again.
pub(super) fn draw(prompt: &str, negative_prompt: &str, seed: u64, wildcards: &WildcardLists) -> (Drawn, Drawn) {
    let mut rng = CounterRng::new(seed, DRAW_WILDCARDS, 0, 0);
    draw_both(prompt, negative_prompt, &|name| wildcards.choices(name), &mut || rng.next_u32())
}

/// What the picture of `request` was expected to become at a step, from 1.
///
/// # Errors
/// As [`make`]; and when the picture begins after that step.
pub fn see_step(
    model: &mut Model,
    request: &GenerateRequest,
    step: u32,
    assets: &Assets,
    cancel: &Cancel,
    watch: &mut dyn Watch,
) -> Result<Picture> {
    let request = request.single(0);
    let snapshot = at_step(model, &request, step, assets, cancel, watch)?;
    in_range(model, &mut |_| (), |model| picture_of(model, &request, &snapshot, cancel))
}

/// Where the picture of `request`, whose wildcards are drawn, is after a step: as it is still known, else made again,
/// with all that it branches off itself.
fn at_step(
    model: &mut Model,
    request: &GenerateRequest,
    step: u32,
    assets: &Assets,
    cancel: &Cancel,
    watch: &mut dyn Watch,
) -> Result<Snapshot> {
    let outfit = Outfit::of(request, &assets.shelf)?;
    let key = key_of(request, &outfit);
    if let Some(known) = watch.recall(request, &key, step).filter(|known| known.key == key) {
        return Ok(known);
    }
    let parent = match &request.fork {
        Some(fork) => Some(at_step(model, &fork.parent.single(0), fork.step, assets, cancel, watch)?),
        None => None,
    };
    outfit.put_on(model)?;
    let origin = Origin { key: &key, parent: parent.as_ref() };
    in_range(model, &mut |_| (), |model| come_to(model, request, step, origin, cancel, &mut Beside(watch)))
}

/// Names what a picture is made of: the request, the program, the numbers it multiplies, and the files that go into it as
/// they are now. While this
/// stays the same, the picture does.
fn key_of(request: &GenerateRequest, outfit: &Outfit) -> String {
    // A path that is no Unicode cannot be told: such a picture begins anew.
    let told = serde_json::to_vec(request).unwrap_or_default();
    let model = match &request.model {
        ModelRef::Starter => None,
        ModelRef::Path(path) => Some(path.clone()),
    };
    let pictures = request.init.iter().flat_map(|init| std::iter::once(&init.picture).chain(&init.mask));
    let files = outfit.mix.iter().map(|lora| &lora.path).chain(outfit.words.iter().map(|(_, path)| path));
    let files = files.chain(&model).chain(&request.vae).chain(pictures);
    let mut stamps = String::new();
    files.for_each(|path| stamp(path, FOLDER_DEPTH, &mut stamps));
    // What was reached in one precision does not go on in another.
    let numbers = operands(precision_now()).as_bytes();
    name_of(&[env!("CARGO_PKG_VERSION").as_bytes(), numbers, &told, stamps.as_bytes()])
}

/// How deep a model's folder is looked into: its parts lie in folders of their own.
const FOLDER_DEPTH: u32 = 2;

/// What tells whether a file, or one in a folder, was changed: names, lengths and times.
fn stamp(path: &Path, depth: u32, out: &mut String) {
    use std::fmt::Write;
    let metadata = fs::metadata(path);
    let changed = metadata.as_ref().ok().and_then(|metadata| metadata.modified().ok());
    let nanoseconds = changed.and_then(|time| time.duration_since(UNIX_EPOCH).ok()).map_or(0, |time| time.as_nanos());
    let len = metadata.as_ref().map_or(0, fs::Metadata::len);
    // Writing to a text cannot fail.
    let _ = writeln!(out, "{} {len} {nanoseconds}", path.display());
    if depth > 0
        && metadata.is_ok_and(|metadata| metadata.is_dir())
        && let Ok(entries) = fs::read_dir(path)
    {
        let mut entries: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).collect();
        entries.sort();
        for entry in &entries {
            stamp(entry, depth - 1, out);
        }
    }
}

/// The request with its braces and wildcards drawn; its seed decides, so that a picture can be made again.
fn drawn(request: &GenerateRequest, assets: &Assets) -> (GenerateRequest, Vec<String>) {
    let (prompt, negative) = draw(&request.prompt, &request.negative_prompt, request.seed, &assets.wildcards);
    let mut notices = Vec::new();
    for (_, problems) in [&prompt, &negative] {
        if !problems.is_empty() {
            notices.extend(problems.iter().map(ToString::to_string));
            notices.extend(assets.problems.clone());
        }
    }
    let (prompt, negative_prompt) = (prompt.0.text, negative.0.text);
    (GenerateRequest { prompt, negative_prompt, ..request.clone() }, notices)
}

/// The texts in which the names of embeddings are looked for: each as it is read at some step, so that a name within a
/// weight or a schedule is found, and both as they are written.
pub(super) fn read_texts(prompt: &str, negative_prompt: &str) -> Vec<String> {
    [Prompt::parse(prompt, 1), Prompt::parse_negative(negative_prompt, 1)]
        .iter()
        .flat_map(|read| read.parts.iter())
        .flat_map(|part| part.texts.iter().map(|text| text.text.clone()))
        .chain([prompt.to_owned(), negative_prompt.to_owned()])
        .collect()
}

/// What a model wears for a request: the adapters that it lists, those that its prompt names with `<lora:…>`, and the
/// embeddings that stand in its prompts.
struct Outfit {
    mix: Vec<AdapterUse>,
    /// Names and files.
    words: Vec<(String, PathBuf)>,
}

impl Outfit {
    /// # Errors
    /// When an adapter is not there.
    fn of(request: &GenerateRequest, shelf: &Shelf) -> Result<Self> {
        let mut mix: Vec<AdapterUse> = request
            .loras
            .iter()
            .map(|lora| AdapterUse {
                path: lora.path.clone(),
                unet_weight: lora.unet_weight,
                text_encoder_weight: lora.text_encoder_weight,
            })
            .collect();
        for network in extract_networks(&request.prompt).networks {
            let Some(path) = shelf.lora(&network.name) else {
                let names: Vec<&str> = shelf.loras().take(5).collect();
                let hint = match names.as_slice() {
                    [] => "put its file into the loras folder".to_owned(),
                    names => {
                        format!("there are {}{}", names.join(", "), if shelf.loras().count() > 5 { ", …" } else { "" })
                    }
                };
                return Err(UserError::input(format!("There is no LoRA called {}", network.name)).hint(hint));
            };
            mix.push(AdapterUse {
                path: path.to_path_buf(),
                unet_weight: network.unet_weight,
                text_encoder_weight: network.text_encoder_weight,
            });
        }
        let texts = read_texts(&request.prompt, &request.negative_prompt);
        let named = shelf.embeddings().filter(|(name, _)| texts.iter().any(|text| find_word(text, name).is_some()));
        Ok(Self { mix, words: named.map(|(name, path)| (name.to_owned(), path.to_path_buf())).collect() })
    }

    /// Takes off what was on before. The notices say how each adapter fits.
    ///
    /// # Errors
    /// When an adapter or embedding cannot be read, or does not fit the model.
    fn put_on(&self, model: &mut Model) -> Result<Vec<String>> {
        let reports = model.wear(&self.mix)?;
        let notices = self.mix.iter().zip(&reports).map(|(lora, report)| notice(lora, report)).collect();
        let words = self.words.iter().map(|(name, path)| Word::open(name, path)).collect::<Result<Vec<_>>>()?;
        model.teach(words)?;
        Ok(notices)
    }
}

fn notice(lora: &AdapterUse, report: &FitReport) -> String {
    let name = lora.path.file_stem().unwrap_or_default().to_string_lossy();
    let notes = if report.notes.is_empty() { String::new() } else { format!("; {}", report.notes.join("; ")) };
    format!("{name}: {}{notes}", report.summary())
}
