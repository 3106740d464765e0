//! Captions made of a row's columns by a template: `{baseColour} {season} {gender} {articleType}, {productDisplayName}`.

use super::columns;
use super::rows::{Dataset, Row};
use crate::domain::template::{Part, fill};
use crate::domain::{Result, UserError};

/// A caption's template: text, and columns in braces. `{{` and `}}` are braces.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Template {
    parts: Vec<Part>,
}

impl Template {
    /// Reads a template.
    ///
    /// # Errors
    /// When a brace is left open or closes nothing, or a pair is empty.
    pub fn parse(template: &str) -> Result<Self> {
        let wrong = |sentence: &str| {
            UserError::input(format!("The caption template \"{template}\" {sentence}"))
                .hint("columns stand in braces, as in {baseColour} {articleType}; braces themselves are {{ and }}")
        };
        let mut parts = Vec::new();
        let mut text = String::new();
        let mut rest = template.chars().peekable();
        while let Some(c) = rest.next() {
            match c {
                '{' | '}' if rest.peek() == Some(&c) => {
                    rest.next();
                    text.push(c);
                }
                '{' => {
                    let mut name = String::new();
                    loop {
                        match rest.next() {
                            Some('}') => break,
                            Some('{') | None => return Err(wrong("leaves a brace open")),
                            Some(c) => name.push(c),
                        }
                    }
                    let name = name.trim();
                    if name.is_empty() {
                        return Err(wrong("has braces with no column in them"));
                    }
                    if !text.is_empty() {
                        parts.push(Part::Text(std::mem::take(&mut text)));
                    }
                    parts.push(Part::Column(name.to_owned()));
                }
                '}' => return Err(wrong("closes a brace that is not open")),
                c => text.push(c),
            }
        }
        if !text.is_empty() {
            parts.push(Part::Text(text));
        }
        Ok(Self { parts })
    }

    /// Looks whether the data set has the columns.
    ///
    /// # Errors
    /// When it has not, with the column of the nearest name.
    pub fn check(&self, dataset: &Dataset) -> Result<()> {
        for part in &self.parts {
            if let Part::Column(name) = part
                && dataset.column(name).is_none()
            {
                return Err(columns::unknown(name, &dataset.columns));
            }
        }
        Ok(())
    }

    /// A row's caption, on one line. Where values are missing, the signs and blanks around them fall away with them.
    #[must_use]
    pub fn caption(&self, dataset: &Dataset, row: &Row) -> String {
        fill(&self.parts, |name| dataset.value(row, name))
    }
}

/// The captions of a data set: by the template given, else by the source's own, else the rows' own.
///
/// # Errors
/// When a template names a column that is not there, or captions are asked of a table that has columns but no captions.
pub fn captions(dataset: &Dataset, template: Option<&Template>) -> Result<Vec<String>> {
    let own = match (template, dataset.default_template) {
        (None, Some(text)) => Some(Template::parse(text)?),
        _ => None,
    };
    if let Some(template) = template.or(own.as_ref()) {
        template.check(dataset)?;
        return Ok(dataset.rows.iter().map(|row| template.caption(dataset, row)).collect());
    }
    if !dataset.rows.is_empty() && !dataset.columns.is_empty() && dataset.rows.iter().all(|row| row.caption.is_none()) {
        let text = dataset.columns.join(", ");
        return Err(UserError::input("This data set has columns but no captions")
            .hint(format!(
                "say how captions are made, as in --caption \"{{{}}}\"; the columns are {text}",
                dataset.columns[0]
            ))
            .path(dataset.table.as_ref().unwrap_or(&dataset.root)));
    }
    Ok(dataset.rows.iter().map(|row| row.caption.clone().unwrap_or_default()).collect())
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use proptest::prelude::*;

    use super::*;
    use crate::domain::template::{NO_VALUE, SEPARATORS, is_separator, one_line};

    /// The caption that a template makes of values of the columns a, b, c and so on.
    fn made(template: &str, values: &[&str]) -> String {
        let mut dataset = Dataset::new("test", Path::new("."));
        dataset.columns = ('a'..).take(values.len()).map(String::from).collect();
        let values = values.iter().map(|value| (*value).to_owned()).collect();
        let row = Row {
            picture: None,
            name: String::new(),
            caption: None,
            values,
            repeats: 1,
            line: None,
            is_excluded: false,
        };
        let template = Template::parse(template).unwrap();
        template.check(&dataset).unwrap();
        template.caption(&dataset, &row)
    }

    #[test]
    fn missing_values_take_their_signs_along() {
        let template = "{a} {b} {c} {d}, {e}";
        assert_eq!(made(template, &["Red", "Fall", "Women", "Tops", "A top"]), "Red Fall Women Tops, A top");
        assert_eq!(made(template, &["", "Fall", "Women", "Tops", "A top"]), "Fall Women Tops, A top");
        assert_eq!(made(template, &["Red", "NA", "", "Tops", "A top"]), "Red Tops, A top");
        assert_eq!(made(template, &["Red", "Fall", "Women", "NA", "A top"]), "Red Fall Women, A top");
        assert_eq!(made(template, &["Red", "Fall", "Women", "Tops", " "]), "Red Fall Women Tops");
        assert_eq!(made(template, &["", "", "", "", "A top"]), "A top");
        assert_eq!(made(template, &["", "", "", "", ""]), "");
        assert_eq!(made("{a}, {b}, {c}", &["x", "", "z"]), "x, z");
        assert_eq!(made("{a},{b},{c}", &["x", "", "z"]), "x,z");
        assert_eq!(made("{a} - {b}, {c}", &["x", "", "z"]), "x - z");
        assert_eq!(made("{a} ({b}) {c}", &["x", "", "z"]), "x z");
        assert_eq!(made("{a} ({b} {c})", &["x", "", "z"]), "x (z)");
        assert_eq!(made("{a} ({b} {c})", &["x", "y", ""]), "x (y)");
        assert_eq!(made("{a} ({b} {c})", &["x", "", ""]), "x");
        assert_eq!(made("{a}, {b}.", &["x", ""]), "x.");
        assert_eq!(made("a photo of {a}, {b}", &["", "y"]), "a photo of, y");
        assert_eq!(made("{a}{b}", &["x", "y"]), "xy");
    }

    #[test]
    fn braces_blanks_and_what_is_in_a_value_stay() {
        assert_eq!(made("{{{a}}} {{}}", &["x"]), "{x} {}");
        assert_eq!(made("{ a }", &["  red,\n {b} -- \tNA "]), "red, {b} -- NA");
        assert_eq!(made("no columns", &[]), "no columns");
        assert_eq!(made("", &[]), "");
    }

    #[test]
    fn what_is_wrong_with_a_template_is_said() {
        for template in ["{", "{a", "}", "a}", "{}", "{ }", "{a{b}}", "{{a}"] {
            assert_eq!(Template::parse(template).unwrap_err().exit_code(), 2, "{template}");
        }
        let mut dataset = Dataset::new("test", Path::new("."));
        dataset.columns = vec!["baseColour".to_owned(), "season".to_owned()];
        let error = Template::parse("{basecolor}").unwrap().check(&dataset).unwrap_err();
        assert!(error.hint.unwrap().starts_with("did you mean baseColour?"));
    }

    #[test]
    fn captions_come_from_the_template_the_source_or_the_rows() {
        let pairs = [(Path::new("missing.png").to_path_buf(), "A  red\ndress".to_owned())];
        let mut dataset = Dataset::from_pairs("test", Path::new("."), pairs);
        assert_eq!(captions(&dataset, None).unwrap(), ["A red dress"]);
        let template = Template::parse("{caption}!").unwrap();
        assert_eq!(captions(&dataset, Some(&template)).unwrap(), ["A red dress!"]);
        dataset.default_template = Some("so: {caption}");
        assert_eq!(captions(&dataset, None).unwrap(), ["so: A red dress"]);
        dataset.default_template = None;
        dataset.rows[0].caption = None;
        assert_eq!(captions(&dataset, None).unwrap_err().exit_code(), 2);
    }

    proptest! {
        #[test]
        fn no_caption_has_double_blanks_or_dangling_signs(
            parts in prop::collection::vec(("[a-z]{1,4}|NA|", prop::sample::select(&[" ", ", ", " / ", " - ", ",", "; "][..])), 1..7)
        ) {
            let names: Vec<String> = ('a'..).take(parts.len()).map(String::from).collect();
            let mut template = String::new();
            for (i, (name, (_, sign))) in names.iter().zip(&parts).enumerate() {
                if i > 0 {
                    template.push_str(sign);
                }
                template.extend(["{", name, "}"]);
            }
            let values: Vec<&str> = parts.iter().map(|(value, _)| value.as_str()).collect();
            let caption = made(&template, &values);
            let wanted: Vec<&str> = values.into_iter().filter(|value| !NO_VALUE.contains(value)).collect();
            let words: Vec<&str> = caption.split(is_separator).filter(|word| !word.is_empty()).collect();
            prop_assert_eq!(&words, &wanted);
            prop_assert!(!caption.contains("  ") && !caption.contains(" ,") && !caption.contains(" ;"), "{}", caption);
            prop_assert!(!caption.starts_with(is_separator) && !caption.ends_with(is_separator), "{}", caption);
            let signs = caption.split(|c| !SEPARATORS.contains(&c));
            prop_assert!(signs.into_iter().all(|run| run.len() <= 1), "{}", caption);
            prop_assert!(!caption.contains(", ,") && !caption.contains("/ /") && !caption.contains("- ,"), "{}", caption);
        }

        #[test]
        fn any_text_is_a_template_or_an_error(template in "[{}a-c ,]{0,20}", value in "(?s).{0,20}") {
            if let Ok(template) = Template::parse(&template) {
                let mut dataset = Dataset::new("test", Path::new("."));
                dataset.columns = vec!["a".to_owned()];
                let row =
                    Row { picture: None, name: String::new(), caption: None, values: vec![value], repeats: 1, line: None, is_excluded: false };
                if template.check(&dataset).is_ok() {
                    let caption = template.caption(&dataset, &row);
                    prop_assert_eq!(one_line(&caption), caption);
                }
            }
        }
    }
}
