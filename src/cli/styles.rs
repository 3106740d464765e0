//! `--style`: the user's styles, for prompts that are typed on the command line.

use crate::domain::prompt::{PromptStyle, styled};
use crate::domain::{Result, UserError};
use crate::library::{LoadedStyles, Paths, load_styles};

/// Puts both prompts into the styles of these names, one after the other.
///
/// # Errors
/// When the styles cannot be read, or none has one of the names.
pub fn put_into(names: &[String], prompt: &str, negative_prompt: &str) -> Result<(String, String)> {
    if names.is_empty() {
        return Ok((prompt.to_owned(), negative_prompt.to_owned()));
    }
    let LoadedStyles { styles, problem } = load_styles(&Paths::from_env()?.styles_file);
    if let Some(problem) = problem {
        return Err(problem);
    }
    let worn = names.iter().map(|name| find(&styles, name)).collect::<Result<Vec<_>>>()?;
    let prompt = styled(prompt, worn.iter().map(|style| style.prompt.as_str())).text;
    let negative_prompt = styled(negative_prompt, worn.iter().map(|style| style.negative_prompt.as_str())).text;
    Ok((prompt, negative_prompt))
}

/// The style of a name: as it is written, else in any case.
fn find<'a>(styles: &'a [PromptStyle], name: &str) -> Result<&'a PromptStyle> {
    let exact = styles.iter().find(|style| style.name == name);
    let lower = name.to_lowercase();
    exact.or_else(|| styles.iter().find(|style| style.name.to_lowercase() == lower)).ok_or_else(|| {
        let names: Vec<&str> = styles.iter().map(|style| style.name.as_str()).collect();
        let hint = match names.as_slice() {
            [] => "there are none yet: write them in the window, or import a styles.csv there".to_owned(),
            names => format!("there are {}", names.join(", ")),
        };
        UserError::input(format!("There is no style called {name}")).hint(hint)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_style_is_found_by_its_name() {
        let style = |name: &str| PromptStyle { name: name.to_owned(), ..PromptStyle::default() };
        let styles = [style("ink"), style("Ink"), style("Old photo")];
        for (name, found) in [("Ink", "Ink"), ("INK", "ink"), ("old PHOTO", "Old photo")] {
            assert_eq!(find(&styles, name).unwrap().name, found);
        }
        let error = find(&styles, "pen").unwrap_err();
        assert_eq!(error.hint.as_deref(), Some("there are ink, Ink, Old photo"));
        assert!(find(&[], "pen").unwrap_err().hint.is_some());
    }
}
