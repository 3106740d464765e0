//! [`make`]: a picture as a user asked for it: wildcards drawn, adapters put on, words taught.

use super::assets::Assets;
use super::generate::{Progress, generate};
use crate::domain::prompt::{Drawn, Prompt, WildcardLists, draw_both, extract_networks, find_word};
use crate::domain::{Cancel, GenerateRequest, Picture, Result, UserError, Verdict};
use crate::models::{AdapterUse, Model, Word};
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
/// As [`generate`]; and when an adapter or embedding is not there, cannot be read, or does not fit the model.
pub fn make(
    model: &mut Model,
    request: &GenerateRequest,
    assets: &Assets,
    is_checked: bool,
    cancel: &Cancel,
    progress: &mut dyn FnMut(Progress),
) -> Result<Made> {
    let (request, mut notices) = drawn(request, assets);
    notices.extend(dress(model, &request, &assets.shelf)?);
    let generated = generate(model, &request, cancel, progress)?;
    notices.extend(generated.notices);
    let safety = if is_checked { model.check_safety(&generated.picture)? } else { None };
    Ok(Made { picture: generated.picture, request, safety, notices })
}

/// The prompts with their braces and wildcards drawn; the seed decides, so that a picture can be made again.
pub(super) fn draw(prompt: &str, negative_prompt: &str, seed: u64, wildcards: &WildcardLists) -> (Drawn, Drawn) {
    let mut rng = CounterRng::new(seed, DRAW_WILDCARDS, 0, 0);
    draw_both(prompt, negative_prompt, &|name| wildcards.choices(name), &mut || rng.next_u32())
}

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

/// Puts the adapters of a request on (those that it lists, then those that its prompt names with `<lora:…>`), and teaches
/// the embeddings that stand in its prompts. What was on before is taken off. The notices say how each adapter fits.
///
/// # Errors
/// When an adapter or embedding is not there, cannot be read, or does not fit the model.
fn dress(model: &mut Model, request: &GenerateRequest, shelf: &Shelf) -> Result<Vec<String>> {
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
    let reports = model.wear(&mix)?;
    let notices = mix.iter().zip(&reports).map(|(lora, report)| notice(lora, report)).collect();

    let texts = read_texts(&request.prompt, &request.negative_prompt);
    let named = shelf.embeddings().filter(|(name, _)| texts.iter().any(|text| find_word(text, name).is_some()));
    let words = named.map(|(name, path)| Word::open(name, path)).collect::<Result<Vec<_>>>()?;
    model.teach(words)?;
    Ok(notices)
}

fn notice(lora: &AdapterUse, report: &FitReport) -> String {
    let name = lora.path.file_stem().unwrap_or_default().to_string_lossy();
    let notes = if report.notes.is_empty() { String::new() } else { format!("; {}", report.notes.join("; ")) };
    format!("{name}: {}{notes}", report.summary())
}
