//! A collection of the gallery: its pictures, and their prompts as captions.

use std::path::Path;

use crate::dataset::problem::ProblemKind;
use crate::dataset::rows::{Dataset, Row, one_line, slashes};
use crate::domain::prompt::{Piece, Prompt};
use crate::domain::{PictureEntry, Recipe};

/// Its name on the command line.
const KIND: &str = "collection";
/// What a row says of its picture besides the caption. Names as in a recipe.
const COLUMNS: [&str; 8] =
    ["caption", "prompt", "negative_prompt", "model", "seed", "sampler", "width_px", "height_px"];

/// A data set of the pictures of a collection, in the collection's order; `folder` is where the pictures are.
#[must_use]
pub fn of_collection(folder: &Path, pictures: &[PictureEntry]) -> Dataset {
    let columns = COLUMNS.map(str::to_owned).to_vec();
    let mut dataset = Dataset { columns, rows_read: pictures.len(), ..Dataset::new(KIND, folder) };
    for entry in pictures {
        let name = slashes(entry.path.strip_prefix(folder).unwrap_or(&entry.path));
        let is_there = entry.path.is_file();
        let caption = entry.recipe.as_ref().map(caption_of).filter(|caption| !caption.is_empty());
        if !is_there {
            dataset.problem(ProblemKind::MissingPicture, None, &entry.path, format!("{name} is not there"));
        } else if caption.is_none() {
            let why = if entry.recipe.is_some() { "its prompt is empty" } else { "it does not say how it was made" };
            dataset.problem(ProblemKind::EmptyCaption, None, &entry.path, format!("{name}: {why}"));
        }
        dataset.rows.push(Row {
            picture: is_there.then(|| entry.path.clone()),
            name,
            values: values(entry, caption.as_deref().unwrap_or_default()),
            caption,
            repeats: 1,
            line: None,
            is_excluded: false,
        });
    }
    dataset.sorted()
}

fn values(entry: &PictureEntry, caption: &str) -> Vec<String> {
    let size = [entry.width_px.to_string(), entry.height_px.to_string()];
    let made = match &entry.recipe {
        Some(Recipe { request, .. }) => [
            one_line(&request.prompt),
            one_line(&request.negative_prompt),
            request.model.to_string(),
            request.seed.to_string(),
            request.sampler.to_string(),
        ],
        None => Default::default(),
    };
    [caption.to_owned()].into_iter().chain(made).chain(size).collect()
}

/// What a prompt says in plain words: without weights, brackets and adapters, as it stood at the last step.
fn caption_of(recipe: &Recipe) -> String {
    let steps = recipe.request.num_inference_steps.max(1);
    let prompt = Prompt::parse(&recipe.request.prompt, steps);
    let mut words = String::new();
    for part in &prompt.parts {
        if !words.trim_end().is_empty() {
            words.push_str(", ");
        }
        for piece in &part.at(steps).pieces {
            match piece {
                Piece::Run { text, .. } => words.push_str(text),
                Piece::Break => words.push(' '),
            }
        }
    }
    // Where an adapter stood before a comma, a blank is left over.
    let caption = one_line(&words).replace(" ,", ",");
    caption.trim_matches([',', ' ']).to_owned()
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::*;
    use crate::dataset::caption::captions;
    use crate::domain::{GenerateRequest, PictureId};

    fn entry(path: PathBuf, prompt: Option<&str>) -> PictureEntry {
        let recipe = |prompt: &str| Recipe {
            request: GenerateRequest { prompt: prompt.to_owned(), seed: 5, ..GenerateRequest::default() },
            ..Recipe::default()
        };
        PictureEntry { id: PictureId(1), path, created_ms: 0, width_px: 64, height_px: 96, recipe: prompt.map(recipe) }
    }

    #[test]
    fn prompts_are_captions_in_plain_words() {
        let folder = tempfile::tempdir().unwrap();
        let there = folder.path().join("a.png");
        std::fs::write(&there, "").unwrap();
        let prompts = [
            ("a (red:1.3) [dress] <lora:ink:0.8>,\n long", "a red dress, long"),
            ("a [cat:dog:0.5] on a \\(small\\) mat", "a dog on a (small) mat"),
            ("a house BREAK at night", "a house at night"),
            ("one AND two :0.5", "one, two"),
        ];
        let mut pictures: Vec<_> = prompts.iter().map(|(prompt, _)| entry(there.clone(), Some(prompt))).collect();
        pictures.push(entry(there, None));
        pictures.push(entry(folder.path().join("gone.png"), Some("gone")));
        let dataset = of_collection(folder.path(), &pictures);
        let made = captions(&dataset, None).unwrap();
        assert_eq!(made[..4], prompts.map(|(_, caption)| caption));
        assert_eq!((made[4].as_str(), dataset.rows[5].picture.is_some(), dataset.rows_read), ("", false, 6));
        let kinds: Vec<_> = dataset.problems.iter().map(|problem| problem.kind).collect();
        assert_eq!(kinds, [ProblemKind::MissingPicture, ProblemKind::EmptyCaption]);
        assert_eq!(dataset.value(&dataset.rows[0], "seed"), Some("5"));
        assert_eq!(dataset.value(&dataset.rows[0], "height_px"), Some("96"));
    }
}
