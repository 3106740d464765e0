//! [`PromptTemplate`]: a prompt with columns in it: `a {colour} {garment}, {season} light`.

use crate::domain::search::nearest;
use crate::domain::template::{Part, fill};
use crate::domain::{Result, UserError};

/// Signs of the prompts' own syntax for choices: braces that hold one are not a column.
const CHOICE_SIGNS: [char; 5] = ['|', '$', ':', '{', '}'];

/// A prompt with columns in braces. `{{column}}` is not one, and neither are the choices of a prompt: `{red|blue}`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PromptTemplate {
    parts: Vec<Part>,
}

impl PromptTemplate {
    /// Reads a template. Every text is one.
    #[must_use]
    pub fn parse(template: &str) -> Self {
        let mut parts = Vec::new();
        let mut text = String::new();
        let mut rest = template;
        while let Some(open) = rest.find('{') {
            text.push_str(&rest[..open]);
            rest = &rest[open..];
            if let Some((inside, behind)) = plain(rest, "{{", "}}") {
                text.extend(["{", inside, "}"]);
                rest = behind;
            } else if let Some((inside, behind)) = plain(rest, "{", "}").filter(|(inside, _)| !inside.trim().is_empty())
            {
                if !text.is_empty() {
                    parts.push(Part::Text(std::mem::take(&mut text)));
                }
                parts.push(Part::Column(inside.trim().to_owned()));
                rest = behind;
            } else {
                text.push('{');
                rest = &rest[1..];
            }
        }
        text.push_str(rest);
        if !text.is_empty() {
            parts.push(Part::Text(text));
        }
        Self { parts }
    }

    /// Looks whether there are the columns.
    ///
    /// # Errors
    /// When there are not, with the column of the nearest name.
    pub fn check(&self, columns: &[String]) -> Result<()> {
        let unknown = self.parts.iter().find_map(|part| match part {
            Part::Column(name) if !columns.contains(name) => Some(name),
            _ => None,
        });
        let Some(name) = unknown else { return Ok(()) };
        let all = columns.join(", ");
        let hint = match nearest(name, columns.iter().map(String::as_str)) {
            Some(column) => format!("did you mean {{{column}}}? The columns are {all}"),
            None => format!("the columns are {all}; {{{{{name}}}}} stands for itself"),
        };
        Err(UserError::input(format!("There is no column \"{name}\" in this table")).hint(hint))
    }

    /// A row's prompt, on one line. Where values are missing, the signs and blanks around them fall away with them.
    #[must_use]
    pub fn fill<'a>(&self, value: impl Fn(&str) -> Option<&'a str>) -> String {
        fill(&self.parts, value)
    }
}

/// What stands between two marks at the beginning of a text, and what is behind them, where it may be a column's name.
fn plain<'a>(text: &'a str, open: &str, close: &str) -> Option<(&'a str, &'a str)> {
    let inside = text.strip_prefix(open)?;
    let end = inside.find(close)?;
    (!inside[..end].contains(CHOICE_SIGNS)).then(|| (&inside[..end], &inside[end + close.len()..]))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn made(template: &str) -> String {
        let value = |name: &str| match name {
            "a" => Some("red"),
            "b" => Some("NA"),
            _ => None,
        };
        PromptTemplate::parse(template).fill(value)
    }

    #[test]
    fn columns_stand_in_braces_and_choices_stay() {
        assert_eq!(made("a {a} dress, {b}, linen"), "a red dress, linen");
        assert_eq!(made("{ a } {red|blue} {2$$x|y} {{a}} {0.5::x|y}"), "red {red|blue} {2$$x|y} {a} {0.5::x|y}");
        assert_eq!(made("{{a|b}|c} {"), "{{a|b}|c} {");
        assert_eq!(made("{} }"), "{} }");
    }

    #[test]
    fn a_column_that_is_not_there_is_named_with_the_nearest() {
        let columns = ["baseColour".to_owned(), "season".to_owned()];
        let error = PromptTemplate::parse("{basecolor}").check(&columns).unwrap_err();
        assert!(error.hint.unwrap().starts_with("did you mean {baseColour}?"));
        let error = PromptTemplate::parse("{xyz}").check(&columns).unwrap_err();
        assert_eq!(error.hint.unwrap(), "the columns are baseColour, season; {{xyz}} stands for itself");
        assert_eq!(PromptTemplate::parse("{season} {a|b}").check(&columns), Ok(()));
    }

    proptest! {
        #[test]
        fn any_text_is_a_template(text in "[{}|a$: ,]{0,24}") {
            let template = PromptTemplate::parse(&text);
            // Nothing but columns and the braces of escapes is taken out.
            let letters = |text: &str| text.matches('|').count();
            prop_assert_eq!(letters(&template.fill(|_| Some("x"))), letters(&text));
        }
    }
}
