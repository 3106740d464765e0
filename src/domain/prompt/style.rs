//! Prompt styles: named templates that a prompt is put into, as in stable-diffusion-webui (`modules/styles.py`, v1.10).

use std::ops::Range;

use serde::{Deserialize, Serialize};

/// Where the prompt goes in a style.
const PLACE: &str = "{prompt}";
/// Between a prompt and a style without a place for it.
const SEPARATOR: &str = ", ";

/// A named template for both prompts.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct PromptStyle {
    /// What it is called.
    pub name: String,
    /// What the prompt is put into: in the place of `{prompt}`, else in front of it.
    pub prompt: String,
    /// The same for the negative prompt.
    pub negative_prompt: String,
}

/// A prompt that was put into styles.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Styled {
    /// The whole.
    pub text: String,
    /// Where what was typed stands in it, if it stands in it once.
    pub typed: Option<Range<usize>>,
    /// Where in what was typed that begins: white space at its ends may have gone.
    pub skipped: usize,
}

/// Puts a prompt into templates, one after the other. An empty template changes nothing.
#[must_use]
pub fn styled<'a>(prompt: &str, templates: impl IntoIterator<Item = &'a str>) -> Styled {
    let mut styled = Styled { text: prompt.to_owned(), typed: Some(0..prompt.len()), skipped: 0 };
    for template in templates {
        styled.put_into(template);
    }
    styled
}

impl Styled {
    fn put_into(&mut self, template: &str) {
        let template = template.trim();
        if template.is_empty() {
            return;
        }
        let mut places = template.match_indices(PLACE).map(|(at, _)| at);
        if let Some(first) = places.next() {
            let is_once = places.next().is_none();
            self.text = template.replace(PLACE, &self.text);
            self.typed = self.typed.take().filter(|_| is_once).map(|typed| first + typed.start..first + typed.end);
            return;
        }
        let leading = self.text.len() - self.text.trim_start().len();
        let trimmed = self.text.trim().to_owned();
        // White space around the prompt goes, and what was typed with it.
        self.typed = self.typed.take().map(|typed| {
            let (start, end) = (leading, leading + trimmed.len());
            let cut = typed.start.clamp(start, end)..typed.end.clamp(start, end);
            self.skipped += cut.start - typed.start;
            cut.start - start..cut.end - start
        });
        let separator = if trimmed.is_empty() { "" } else { SEPARATOR };
        self.text = format!("{trimmed}{separator}{template}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The first four as `merge_prompts` of stable-diffusion-webui has them.
    #[test]
    fn a_prompt_is_put_into_its_styles() {
        for (prompt, templates, expected, typed) in [
            ("a cat", &["ink, sharp"][..], "a cat, ink, sharp", "a cat"),
            ("a cat", &["a photo of {prompt}, 35 mm"], "a photo of a cat, 35 mm", "a cat"),
            ("", &["ink"], "ink", ""),
            (" a cat ", &["ink"], "a cat, ink", "a cat"),
            ("a cat", &["", "old {prompt}", "ink"], "old a cat, ink", "a cat"),
            ("a cat", &["ink", "old {prompt}"], "old a cat, ink", "a cat"),
        ] {
            let found = styled(prompt, templates.iter().copied());
            assert_eq!(found.text, expected);
            let range = found.typed.expect("it stands there once");
            assert_eq!(&found.text[range.clone()], typed, "{expected}");
            assert_eq!(&prompt[found.skipped..found.skipped + range.len()], typed);
        }
        assert_eq!(
            styled("x", ["{prompt} and {prompt}"]),
            Styled { text: "x and x".to_owned(), typed: None, skipped: 0 }
        );
    }
}
