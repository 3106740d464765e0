//! [`PrepareForm`]: how a data set is to be prepared, as it is being typed.

use std::path::{Path, PathBuf};

use crate::domain::ImageFormat;
use crate::domain::dataset::{DatasetPlan, DatasetSource};

/// Sides that are offered, in px: those that models are trained at.
pub const SIDES: [u32; 5] = [256, 512, 768, 1024, 1536];

/// How a data set is to be prepared.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PrepareForm {
    /// How captions are made of columns; empty for the source's own way.
    pub template: String,
    /// Which rows are wanted, a condition a line.
    pub conditions: String,
    /// The pictures' shorter side in px.
    pub side_px: u32,
    /// Their format.
    pub format: ImageFormat,
    /// Quality of JPEG and WebP.
    pub quality: u8,
    /// The most rows, as typed.
    pub limit: String,
    /// The folder, as typed.
    pub folder: String,
    /// How far it was when it was stopped: pictures that are done, and all.
    pub stopped: Option<(usize, usize)>,
}

impl PrepareForm {
    /// The form for a data set that was just read.
    pub(super) fn new(source: &DatasetSource, root: &Path, template: Option<&str>) -> Self {
        let plan = DatasetPlan::default();
        Self {
            template: template.unwrap_or_default().to_owned(),
            conditions: String::new(),
            side_px: plan.side_px,
            format: plan.format,
            quality: plan.quality,
            limit: String::new(),
            folder: beside(source, root).display().to_string(),
            stopped: None,
        }
    }

    /// Puts a column at the end of the template.
    pub(super) fn insert(&mut self, column: &str) {
        let is_behind_word = !self.template.is_empty() && !self.template.ends_with([' ', '(', '\n']);
        self.template.push_str(if is_behind_word { " " } else { "" });
        self.template.extend(["{", column, "}"]);
    }

    /// The plan that it says.
    #[must_use]
    pub fn plan(&self) -> DatasetPlan {
        DatasetPlan {
            template: self.template.clone(),
            conditions: self.conditions.lines().map(str::to_owned).collect(),
            side_px: self.side_px,
            format: self.format,
            quality: self.quality,
            limit: self.limit.trim().parse().ok(),
        }
    }

    /// What is wrong with the limit.
    #[must_use]
    pub fn limit_problem(&self) -> Option<String> {
        let text = self.limit.trim();
        let is_good = text.is_empty() || text.parse::<usize>().is_ok_and(|limit| limit > 0);
        (!is_good).then(|| "A whole number from 1 is wanted".to_owned())
    }

    /// What is wrong with the folder.
    #[must_use]
    pub fn folder_problem(&self) -> Option<String> {
        let text = self.folder.trim();
        if text.is_empty() {
            return Some("Choose a folder for the prepared data set".to_owned());
        }
        (!Path::new(text).is_absolute()).then(|| "The folder's whole path is wanted".to_owned())
    }

    /// What is wrong with any of it.
    #[must_use]
    pub fn problem(&self) -> Option<String> {
        self.limit_problem().or_else(|| self.folder_problem())
    }
}

/// The folder that is proposed: beside the source, with a name that tells what it is.
fn beside(source: &DatasetSource, root: &Path) -> PathBuf {
    let name = match source {
        DatasetSource::Path(_) => root.file_name().map(|name| name.to_string_lossy().into_owned()),
        DatasetSource::Collection { name, .. } => {
            let clean = |c: char| if c.is_alphanumeric() || matches!(c, ' ' | '-' | '_') { c } else { '-' };
            Some(name.trim().chars().map(clean).collect())
        }
    };
    let name = name.filter(|name| !name.is_empty()).unwrap_or_else(|| "data set".to_owned());
    root.parent().unwrap_or(root).join(format!("{name}-prepared"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::CollectionId;

    #[test]
    fn the_folder_that_is_proposed_lies_beside_the_source() {
        let path = |source: &str| DatasetSource::Path(source.into());
        let form = |source: DatasetSource, root: &str| PrepareForm::new(&source, Path::new(root), None).folder;
        assert_eq!(form(path("/data/fashion/styles.csv"), "/data/fashion"), "/data/fashion-prepared");
        assert_eq!(form(path("/"), "/"), "/data set-prepared");
        let folder = PathBuf::from("/home/kim/Pictures/Atelier");
        let collection = DatasetSource::Collection { id: CollectionId(1), name: "Ink: 1/2".to_owned(), folder };
        assert_eq!(form(collection, "/home/kim/Pictures/Atelier"), "/home/kim/Pictures/Ink- 1-2-prepared");
    }

    #[test]
    fn what_is_typed_is_a_plan_or_a_problem() {
        let mut form = PrepareForm::new(&DatasetSource::Path("/a".into()), Path::new("/a"), Some("{x}"));
        form.insert("y");
        form.conditions = "a=1\nb~2".to_owned();
        form.limit = " 12 ".to_owned();
        let plan = form.plan();
        assert_eq!((plan.template.as_str(), plan.conditions.len(), plan.limit), ("{x} {y}", 2, Some(12)));
        assert_eq!(form.problem(), None);
        for limit in ["0", "-1", "many", "1.5"] {
            form.limit = limit.to_owned();
            assert!(form.limit_problem().is_some(), "{limit}");
        }
        form.limit.clear();
        for folder in ["", "  ", "relative/path"] {
            form.folder = folder.to_owned();
            assert!(form.problem().is_some(), "{folder}");
        }
    }
}
