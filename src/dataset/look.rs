//! A data set as the window shows it: its rows, and a look at what a plan would make of the first ones.

use super::caption::{Template, captions};
use super::columns::Condition;
use super::prepare;
use super::rows::Dataset;
use crate::domain::Result;
use crate::domain::dataset::{CaptionLook, DatasetPlan, DatasetRow, LookedRow, OpenedDataset};

/// What the window shows of a data set; `kind` is what people call its form.
#[must_use]
pub fn opened(dataset: &Dataset, kind: &str) -> OpenedDataset {
    let row = |row: &super::Row| DatasetRow {
        name: row.name.clone(),
        picture: row.picture.clone(),
        caption: row.caption.clone().unwrap_or_default(),
        line: row.line,
        is_excluded: row.is_excluded,
    };
    OpenedDataset {
        kind: kind.to_owned(),
        root: dataset.root.clone(),
        columns: dataset.columns.clone(),
        default_template: dataset.default_template.map(str::to_owned),
        rows: dataset.rows.iter().map(row).collect(),
        rows_read: dataset.rows_read,
        problems: dataset.problems.clone(),
        can_be_edited: dataset.caption_column.is_some(),
        is_prepared: prepare::is_prepared(&dataset.root),
    }
}

/// A plan as it is followed.
///
/// # Errors
/// When its template or a condition is not well formed.
pub fn options(plan: &DatasetPlan) -> Result<prepare::Options> {
    let conditions = plan.conditions.iter().map(|text| text.trim()).filter(|text| !text.is_empty());
    Ok(prepare::Options {
        template: template(plan)?,
        conditions: conditions.map(Condition::parse).collect::<Result<_>>()?,
        side_px: plan.side_px,
        format: plan.format,
        quality: plan.quality,
        limit: plan.limit,
    })
}

/// A plan's template; `None` for the source's own way.
///
/// # Errors
/// When it is not well formed.
pub fn template(plan: &DatasetPlan) -> Result<Option<Template>> {
    Some(plan.template.trim()).filter(|text| !text.is_empty()).map(Template::parse).transpose()
}

/// The first rows as a plan would make them, at most so many. `tokens` counts a caption's tokens.
///
/// # Errors
/// When the template or a condition is not well formed, or names a column that is not there.
pub fn look(dataset: &Dataset, plan: &DatasetPlan, most: usize, tokens: &dyn Fn(&str) -> u32) -> Result<CaptionLook> {
    let options = options(plan)?;
    options.conditions.iter().try_for_each(|condition| condition.check(dataset))?;
    let captions = captions(dataset, options.template.as_ref())?;
    let mut look = CaptionLook::default();
    for (place, (row, caption)) in dataset.rows.iter().zip(captions).enumerate() {
        let is_wanted = options.conditions.iter().all(|condition| condition.accepts(dataset, row));
        if row.picture.is_none()
            || row.is_excluded
            || !is_wanted
            || plan.limit.is_some_and(|limit| look.wanted >= limit)
        {
            continue;
        }
        look.wanted += 1;
        look.without_caption += usize::from(caption.is_empty());
        if look.rows.len() < most {
            look.rows.push(LookedRow { row: place, tokens: tokens(&caption), caption });
        }
    }
    Ok(look)
}

#[cfg(test)]
mod tests {
    use std::path::{Path, PathBuf};

    use super::*;
    use crate::dataset::Row;

    fn dataset() -> Dataset {
        let mut dataset = Dataset::new("styles", Path::new("."));
        dataset.columns = ["colour", "kind"].map(str::to_owned).to_vec();
        let rows = [("Red", "Dress", true), ("Blue", "Top", true), ("Blue", "Dress", false), ("", "Dress", true)];
        dataset.rows = rows
            .into_iter()
            .map(|(colour, kind, is_there)| Row {
                picture: is_there.then(|| PathBuf::from("x.jpg")),
                name: "x.jpg".to_owned(),
                caption: None,
                values: vec![colour.to_owned(), kind.to_owned()],
                repeats: 1,
                line: None,
                is_excluded: false,
            })
            .collect();
        dataset
    }

    fn plan(template: &str, conditions: &[&str], limit: Option<usize>) -> DatasetPlan {
        DatasetPlan {
            template: template.to_owned(),
            conditions: conditions.iter().map(|text| (*text).to_owned()).collect(),
            limit,
            ..DatasetPlan::default()
        }
    }

    #[test]
    fn the_first_wanted_rows_are_shown_as_they_would_be() {
        let words = |caption: &str| caption.split_whitespace().count() as u32;
        let look = |plan: &DatasetPlan, most| look(&dataset(), plan, most, &words);
        let seen = look(&plan("a {colour} {kind}", &["kind=dress", " "], None), 1).unwrap();
        assert_eq!((seen.wanted, seen.without_caption, seen.rows.len()), (2, 0, 1));
        assert_eq!(seen.rows[0], LookedRow { row: 0, caption: "a Red Dress".to_owned(), tokens: 3 });
        let seen = look(&plan("{colour}", &[], None), 9).unwrap();
        assert_eq!((seen.wanted, seen.without_caption), (3, 1));
        assert_eq!(seen.rows.iter().map(|row| row.row).collect::<Vec<_>>(), [0, 1, 3]);
        assert_eq!(look(&plan("{colour}", &[], Some(2)), 9).unwrap().wanted, 2);
        for (template, condition) in
            [("{", "kind=x"), ("{nothing}", "kind=x"), ("x", "nothing=x"), ("x", "kind"), ("", "kind=x")]
        {
            assert_eq!(
                look(&plan(template, &[condition], None), 9).unwrap_err().exit_code(),
                2,
                "{template} {condition}"
            );
        }
    }
}
