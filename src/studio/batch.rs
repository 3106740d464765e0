//! [`Batch`]: the Batch place. A table, what its rows mean, which of them are wanted, and how far they are.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;

use crate::domain::batch::{BatchMemory, CheckedRow, Plan, RowRange, RowResult, Selection, Table};
use crate::domain::{JobId, ModelRef, PictureEntry, PictureId, UserError};

/// How a row stands.
#[derive(Clone, Debug, Default, PartialEq)]
pub enum RowState {
    /// Its turn has not come.
    #[default]
    Waiting,
    /// Something is wrong with it: it is not made.
    Wrong(String),
    /// It is in the queue, or being made.
    Running,
    /// Its pictures are there.
    Done {
        /// How long it took, in seconds.
        seconds: f64,
        /// Its first picture, where it was made since the start of the program.
        picture: Option<Box<PictureEntry>>,
    },
    /// It could not be made.
    Failed {
        /// How long it took, in seconds.
        seconds: f64,
        /// Why.
        error: String,
    },
}

/// Whether rows are being made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Run {
    /// No row is begun.
    #[default]
    Idle,
    /// One row after the other is.
    Going,
    /// The row in hand is the last one for now.
    Pausing,
}

/// How many rows there are of each kind, among the wanted ones.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RowCounts {
    /// Wanted rows.
    pub all: usize,
    /// Their turn has not come.
    pub waiting: usize,
    /// Something is wrong with them.
    pub wrong: usize,
    /// Their pictures are there.
    pub done: usize,
    /// They could not be made.
    pub failed: usize,
}

/// The row in the queue.
#[derive(Clone, Debug)]
pub(super) struct Active {
    pub(super) job: JobId,
    pub(super) result: RowResult,
    pub(super) picture: Option<Box<PictureEntry>>,
    /// How its job ended, once it has.
    pub(super) ended: Option<RowEnd>,
}

/// How the job of a row ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum RowEnd {
    /// As its result says.
    Made,
    /// The user stopped it: it is as if it had not been begun.
    Stopped,
    /// Its picture could not be saved: no other could be either.
    Unsaved,
}

/// The Batch place.
#[derive(Clone, Debug, Default)]
pub struct Batch {
    /// The table, once it was read.
    pub table: Option<Arc<Table>>,
    /// The file that is being read.
    pub reading: Option<PathBuf>,
    /// Why the table or the template cannot be used.
    pub error: Option<UserError>,
    /// How prompts are made of columns; empty for the column `prompt`.
    pub template: String,
    /// The seed that rows without one draw theirs from.
    pub seed: u64,
    /// Which rows are wanted, as it was typed; empty for all.
    pub rows_field: String,
    /// How many of them, as it was typed; empty for all.
    pub sample_field: String,
    /// Whether the rows are being looked through.
    pub checking: bool,
    /// Whether rows are being made.
    pub run: Run,
    /// The last results file that was put in order.
    pub results: Option<PathBuf>,
    pub(super) plan: Option<Arc<Plan>>,
    pub(super) rows: Vec<RowState>,
    /// The wanted rows, in order.
    pub(super) order: Vec<usize>,
    pub(super) ticket: u64,
    pub(super) active: Option<Active>,
    /// The model of the last row that was begun: it is loaded.
    pub(super) last_model: Option<ModelRef>,
    counts: RowCounts,
    problems: Vec<(u64, String)>,
    /// The rows of pictures that were made since the start.
    pictures: HashMap<PictureId, usize>,
    /// What a table that is being read had when it was last here.
    pub(super) remembered: Option<BatchMemory>,
}

impl Batch {
    pub(super) fn new(remembered: Option<BatchMemory>) -> Self {
        let reading = remembered.as_ref().map(|memory| memory.table.clone());
        Self { reading, remembered, ..Self::default() }
    }

    /// What is remembered for the next start.
    pub(super) fn memory(&self) -> Option<BatchMemory> {
        match (&self.table, &self.remembered) {
            (Some(table), _) => Some(BatchMemory {
                table: table.path.clone(),
                template: self.template.clone(),
                seed: self.seed,
                rows: self.rows_field.clone(),
                sample: self.sample_field.clone(),
            }),
            // It is still being read.
            (None, remembered) => remembered.clone(),
        }
    }

    /// The wanted rows, by their places in the table.
    #[must_use]
    pub fn order(&self) -> &[usize] {
        &self.order
    }

    /// How a row stands.
    #[must_use]
    pub fn row(&self, row: usize) -> &RowState {
        const WAITING: &RowState = &RowState::Waiting;
        self.rows.get(row).unwrap_or(WAITING)
    }

    /// A row's prompt as it will be; `None` while nothing says how prompts are made.
    #[must_use]
    pub fn prompt(&self, row: usize) -> Option<String> {
        self.plan.as_ref().map(|plan| plan.prompt(row))
    }

    /// How many rows there are of each kind.
    #[must_use]
    pub fn counts(&self) -> RowCounts {
        self.counts
    }

    /// What is wrong with wanted rows, and what was read otherwise than it stands there, by line.
    #[must_use]
    pub fn problems(&self) -> &[(u64, String)] {
        &self.problems
    }

    /// The line that a row begins in, from 1.
    #[must_use]
    pub fn line(&self, row: usize) -> u64 {
        self.table.as_ref().and_then(|table| table.rows.get(row)).map_or(0, |row| row.line)
    }

    /// What is wrong with the field for rows.
    #[must_use]
    pub fn rows_problem(&self) -> Option<String> {
        let text = self.rows_field.trim();
        if text.is_empty() { None } else { text.parse::<RowRange>().err() }
    }

    /// What is wrong with the field for a sample.
    #[must_use]
    pub fn sample_problem(&self) -> Option<String> {
        let text = self.sample_field.trim();
        (!text.is_empty() && text.parse::<usize>().is_err()).then(|| format!("\"{text}\" is no number of rows"))
    }

    /// Why no row can be made now.
    #[must_use]
    pub fn blocked(&self) -> Option<String> {
        if self.reading.is_some() {
            return Some("The table is being read".to_owned());
        }
        if self.table.is_none() {
            return Some("Choose a table first".to_owned());
        }
        if let Some(error) = &self.error {
            return Some(error.sentence.clone());
        }
        if let Some(problem) = self.rows_problem().or_else(|| self.sample_problem()) {
            return Some(problem);
        }
        if self.checking {
            return Some("The rows are being looked through".to_owned());
        }
        (self.counts.waiting == 0).then(|| match self.counts {
            RowCounts { failed: 0, .. } => "There is no row to make".to_owned(),
            _ => "There is no row to make but those that failed".to_owned(),
        })
    }

    /// A picture that was made of a row since the start.
    #[must_use]
    pub fn picture(&self, id: PictureId) -> Option<&PictureEntry> {
        match self.rows.get(*self.pictures.get(&id)?)? {
            RowState::Done { picture: Some(entry), .. } => Some(&**entry),
            _ => None,
        }
    }

    /// Whether a job of the queue is a row's.
    #[must_use]
    pub fn has_job(&self, job: JobId) -> bool {
        self.active.as_ref().is_some_and(|active| active.job == job)
    }

    /// How long the rows that wait will take, in seconds, judged by those that were made since the start.
    #[must_use]
    pub fn secs_left(&self) -> Option<f64> {
        let (rows, seconds) = self.pictures.values().fold((0, 0.0), |(rows, sum), row| match self.row(*row) {
            RowState::Done { seconds, .. } => (rows + 1, sum + seconds),
            _ => (rows, sum),
        });
        let left = self.counts.waiting + usize::from(self.active.is_some());
        (rows > 0).then(|| seconds / f64::from(rows) * left as f64)
    }

    /// The row in the queue.
    #[must_use]
    pub fn active_row(&self) -> Option<usize> {
        self.active.as_ref().map(|active| active.result.row)
    }

    /// Finds out which rows are wanted.
    pub(super) fn select(&mut self) {
        let selection = Selection {
            rows: self.rows_field.trim().parse().ok(),
            sample: self.sample_field.trim().parse().ok(),
            shard: None,
        };
        self.order = selection.of(self.rows.len(), self.seed);
        self.count();
        self.list_problems();
    }

    fn list_problems(&mut self) {
        let wrong = self.order.iter().filter_map(|row| match self.row(*row) {
            RowState::Wrong(why) => Some((self.line(*row), why.clone())),
            _ => None,
        });
        let repairs = self.table.iter().flat_map(|table| table.repairs.iter().cloned());
        self.problems = repairs.chain(wrong).collect();
        self.problems.sort();
    }

    /// Takes what was found out about all rows.
    pub(super) fn take_checked(&mut self, rows: Vec<CheckedRow>) {
        let before = std::mem::take(&mut self.rows);
        let state = |(place, row): (usize, CheckedRow)| match (row, before.get(place)) {
            (CheckedRow::Wrong(why), _) => RowState::Wrong(why),
            // What was made since the start has its picture at hand.
            (CheckedRow::Done(_), Some(done @ RowState::Done { .. })) => done.clone(),
            (CheckedRow::Done(result), _) => RowState::Done { seconds: result.seconds, picture: None },
            (CheckedRow::Ready, Some(failed @ RowState::Failed { .. })) => failed.clone(),
            (CheckedRow::Ready, _) => RowState::Waiting,
        };
        self.rows = rows.into_iter().enumerate().map(state).collect();
        self.checking = false;
        self.select();
    }

    /// Gives a row another state.
    pub(super) fn set(&mut self, row: usize, state: RowState) {
        if let RowState::Done { picture: Some(entry), .. } = &state {
            self.pictures.insert(entry.id, row);
        }
        let is_wrong = matches!(state, RowState::Wrong(_));
        if let Some(place) = self.rows.get_mut(row) {
            *place = state;
        }
        self.count();
        if is_wrong {
            self.list_problems();
        }
    }

    /// The rows that failed wait again.
    pub(super) fn retry(&mut self, is_wanted: impl Fn(usize) -> bool) {
        for (place, row) in self.rows.iter_mut().enumerate() {
            if matches!(row, RowState::Failed { .. }) && is_wanted(place) {
                *row = RowState::Waiting;
            }
        }
        self.count();
    }

    fn count(&mut self) {
        let mut counts = RowCounts { all: self.order.len(), ..RowCounts::default() };
        for row in &self.order {
            match self.rows.get(*row) {
                Some(RowState::Waiting) => counts.waiting += 1,
                Some(RowState::Wrong(_)) => counts.wrong += 1,
                Some(RowState::Done { .. }) => counts.done += 1,
                Some(RowState::Failed { .. }) => counts.failed += 1,
                Some(RowState::Running) | None => {}
            }
        }
        self.counts = counts;
    }
}
