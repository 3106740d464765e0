//! [`DatasetInHand`]: the data set that is shown, its rows, and what was found wrong with it.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::path::{Path, PathBuf};

use crate::domain::UserError;
use crate::domain::dataset::{
    CaptionLook, DatasetCommand, DatasetRow, DatasetSource, Inspection, OpenedDataset, Problem, ProblemKind,
};

use super::dataset::{DatasetMode, DatasetPage};
use super::dataset_form::PrepareForm;
use super::dataset_rows::{RowChanges, RowFinder};

/// A row of the data set that is shown.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct HandRow {
    /// What was read of it, with its caption as it is now.
    pub row: DatasetRow,
    /// How many tokens its caption has; `None` until it is counted.
    pub tokens: Option<u32>,
    /// Width and height of its thumbnail in px, once that has come.
    pub thumbnail: Option<(u32, u32)>,
}

/// The data set that is shown.
#[derive(Clone, Debug)]
pub struct DatasetInHand {
    /// Its number: textures and answers are known by it.
    pub ticket: u64,
    /// Where it comes from.
    pub source: DatasetSource,
    /// What was recognised.
    pub kind: String,
    /// The folder that it was read from.
    pub root: PathBuf,
    /// Names of its columns.
    pub columns: Vec<String>,
    /// How many rows the source has, those that could not be read included.
    pub rows_read: usize,
    /// Whether its captions can be changed.
    pub can_be_edited: bool,
    /// Its rows.
    pub rows: Vec<HandRow>,
    /// What is shown in the middle.
    pub page: DatasetPage,
    /// What is done with it at the left.
    pub mode: DatasetMode,
    /// How it is to be prepared.
    pub form: PrepareForm,
    /// What the first rows would be.
    pub look: Option<CaptionLook>,
    /// What is wrong with the template or a condition.
    pub look_error: Option<UserError>,
    /// What is wrong with it, by kind.
    pub problems: Vec<ProblemGroup>,
    /// What a check found, once there was one.
    pub inspection: Option<Inspection>,
    /// Which rows are shown.
    pub finder: RowFinder,
    /// What was changed by hand.
    pub changes: RowChanges,
    /// A row that is to be brought into view, and how often that was asked.
    pub goal: (usize, u64),
    /// Rows that were changed and are not surely in the file yet.
    pub(super) unsaved: BTreeSet<usize>,
    /// Saves that are on their way.
    pub(super) saving: usize,
    wanted: Vec<usize>,
    broken: HashSet<usize>,
}

/// All problems of a kind.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProblemGroup {
    /// Of which kind.
    pub kind: ProblemKind,
    /// Each of them.
    pub items: Vec<ProblemItem>,
}

/// One problem.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProblemItem {
    /// Where it is and what is wrong, in a sentence.
    pub text: String,
    /// The row that it is about, where it is about one.
    pub row: Option<usize>,
}

impl DatasetInHand {
    pub(super) fn new(ticket: u64, source: DatasetSource, opened: OpenedDataset) -> Self {
        let OpenedDataset {
            kind,
            root,
            columns,
            default_template,
            rows,
            rows_read,
            problems,
            can_be_edited,
            is_prepared,
        } = opened;
        let form = PrepareForm::new(&source, &root, default_template.as_deref());
        let rows = rows.into_iter().map(|row| HandRow { row, ..HandRow::default() }).collect();
        // One that was prepared here is changed by hand from then on; others are prepared first.
        let mode = if is_prepared && can_be_edited { DatasetMode::Captions } else { DatasetMode::Prepare };
        let mut hand = Self {
            ticket,
            source,
            kind,
            root,
            columns,
            rows_read,
            can_be_edited,
            rows,
            page: DatasetPage::default(),
            mode,
            form,
            look: None,
            look_error: None,
            problems: Vec::new(),
            inspection: None,
            finder: RowFinder::default(),
            changes: RowChanges::default(),
            goal: (0, 0),
            unsaved: BTreeSet::new(),
            saving: 0,
            wanted: Vec::new(),
            broken: HashSet::new(),
        };
        hand.list_problems(&problems);
        hand.find();
        hand
    }

    /// A row by its place.
    #[must_use]
    pub fn row(&self, place: usize) -> Option<&HandRow> {
        self.rows.get(place)
    }

    /// How many rows have a picture.
    #[must_use]
    pub fn with_picture(&self) -> usize {
        self.rows.iter().filter(|row| row.row.picture.is_some()).count()
    }

    /// How many problems there are.
    #[must_use]
    pub fn problem_count(&self) -> usize {
        self.problems.iter().map(|group| group.items.len()).sum()
    }

    /// Whether a row's picture cannot be shown.
    #[must_use]
    pub fn is_broken(&self, place: usize) -> bool {
        self.broken.contains(&place) || self.row(place).is_some_and(|row| row.row.picture.is_none())
    }

    /// Whether all changes are in the file.
    #[must_use]
    pub fn is_saved(&self) -> bool {
        self.unsaved.is_empty()
    }

    /// Asks for the thumbnails of these rows, unless just that was asked before.
    pub(super) fn want_thumbnails(&mut self, rows: &[usize]) -> Option<DatasetCommand> {
        let rows: Vec<usize> = rows.iter().copied().filter(|row| !self.is_broken(*row)).collect();
        if rows == self.wanted {
            return None;
        }
        let picture = |row: usize| self.rows.get(row)?.row.picture.clone().map(|path| (row, path));
        let wanted = rows.iter().filter_map(|row| picture(*row)).collect();
        self.wanted = rows;
        Some(DatasetCommand::Thumbnails { ticket: self.ticket, wanted })
    }

    /// A thumbnail has come, or there is none.
    pub(super) fn thumbnail_came(&mut self, place: usize, size: Option<(u32, u32)>) {
        self.wanted.retain(|wanted| *wanted != place);
        match (size, self.rows.get_mut(place)) {
            (Some(size), Some(row)) => row.thumbnail = Some(size),
            _ => {
                self.broken.insert(place);
            }
        }
    }

    /// What was asked could not be sent: it is asked again when it is drawn next.
    pub(super) fn thumbnails_not_sent(&mut self) {
        self.wanted.clear();
    }

    /// Brings problems into groups, each with its row.
    pub(super) fn list_problems(&mut self, problems: &[Problem]) {
        let mut of_picture: HashMap<&Path, usize> = HashMap::new();
        let mut of_line: HashMap<u64, usize> = HashMap::new();
        for (place, row) in self.rows.iter().enumerate() {
            if let Some(picture) = row.row.picture.as_deref() {
                of_picture.entry(picture).or_insert(place);
            }
            if let Some(line) = row.row.line {
                of_line.entry(line).or_insert(place);
            }
        }
        let mut groups: Vec<ProblemGroup> = Vec::new();
        for problem in problems {
            let by_line = problem.line.and_then(|line| of_line.get(&line));
            let row = problem.path.as_deref().and_then(|path| of_picture.get(path)).or(by_line).copied();
            let item = ProblemItem { text: text_of(problem), row };
            match groups.iter_mut().find(|group| group.kind == problem.kind) {
                Some(group) => group.items.push(item),
                None => groups.push(ProblemGroup { kind: problem.kind, items: vec![item] }),
            }
        }
        groups.sort_by_key(|group| group.kind);
        self.problems = groups;
    }
}

/// A problem with the place where it is.
fn text_of(problem: &Problem) -> String {
    let name = problem.path.as_deref().and_then(Path::file_name).unwrap_or_default().to_string_lossy();
    match (problem.line, name.is_empty()) {
        (Some(line), false) => format!("{name}, line {line}: {}", problem.sentence),
        (Some(line), true) => format!("Line {line}: {}", problem.sentence),
        // Most sentences about a picture begin with its name.
        (None, false) if !problem.sentence.contains(&*name) => format!("{name}: {}", problem.sentence),
        (None, _) => problem.sentence.clone(),
    }
}
