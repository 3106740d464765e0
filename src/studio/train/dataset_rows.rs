//! The rows of a data set as they are searched and changed by hand: captions, exclusions, find and replace, undo.

use crate::domain::dataset::{DatasetCommand, MAX_TOKENS, ProblemKind, RowChange, is_in, replace_all};
use crate::domain::template::one_line;
use crate::studio::{Effect, State};

use super::dataset::{DatasetAction, DatasetMode, DatasetPage};
use super::dataset_hand::{DatasetInHand, HandRow};

/// The most changes that can be taken back.
const MAX_UNDO: usize = 200;

/// Which rows are shown.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum RowFilter {
    /// All of them.
    #[default]
    All,
    /// Those that are excluded.
    Excluded,
    /// Those without a caption.
    WithoutCaption,
    /// Those whose captions are longer than what is read of them.
    TooLong,
}

impl RowFilter {
    /// All of them, as they are offered.
    pub const ALL: [Self; 4] = [Self::All, Self::Excluded, Self::WithoutCaption, Self::TooLong];

    /// Its name.
    #[must_use]
    pub const fn label(self) -> &'static str {
        match self {
            Self::All => "All",
            Self::Excluded => "Excluded",
            Self::WithoutCaption => "Without a caption",
            Self::TooLong => "Too long",
        }
    }

    /// What it shows.
    #[must_use]
    pub const fn description(self) -> &'static str {
        match self {
            Self::All => "Show all pictures",
            Self::Excluded => "Show the pictures that are left out of trainings",
            Self::WithoutCaption => "Show the pictures that have no caption",
            Self::TooLong => "Show captions of more than 77 tokens: their ends are not learnt",
        }
    }

    fn accepts(self, row: &HandRow) -> bool {
        match self {
            Self::All => true,
            Self::Excluded => row.row.is_excluded,
            Self::WithoutCaption => row.row.caption.is_empty(),
            Self::TooLong => row.tokens.is_some_and(|tokens| tokens > MAX_TOKENS),
        }
    }
}

/// Which rows are shown, and what is searched in them.
#[derive(Clone, Debug, Default)]
pub struct RowFinder {
    /// Which rows.
    pub filter: RowFilter,
    /// What their captions hold.
    pub find: String,
    /// What is put in its place.
    pub replacement: String,
    /// Whether upper and lower case are told apart.
    pub match_case: bool,
    visible: Vec<usize>,
    counts: [usize; 4],
}

impl RowFinder {
    /// The places of the rows that are shown.
    #[must_use]
    pub fn visible(&self) -> &[usize] {
        &self.visible
    }

    /// How many rows a filter lets through, whatever is searched.
    #[must_use]
    pub fn count(&self, filter: RowFilter) -> usize {
        RowFilter::ALL.iter().position(|other| *other == filter).map_or(0, |place| self.counts[place])
    }

    /// In how many captions the search is, and would be replaced.
    #[must_use]
    pub fn found(&self) -> usize {
        if self.find.is_empty() { 0 } else { self.visible.len() }
    }
}

/// One change, as it is taken back.
#[derive(Clone, Debug)]
struct Step {
    /// Places, captions and exclusions as they were.
    rows: Vec<(usize, String, bool)>,
}

/// What was changed by hand.
#[derive(Clone, Debug, Default)]
pub struct RowChanges {
    /// The row whose caption is being typed, and what was typed so far.
    pub writing: Option<(usize, String)>,
    done: Vec<Step>,
    undone: Vec<Step>,
}

impl RowChanges {
    /// Whether something can be taken back.
    #[must_use]
    pub fn can_undo(&self) -> bool {
        !self.done.is_empty()
    }

    /// Whether something can be made again.
    #[must_use]
    pub fn can_redo(&self) -> bool {
        !self.undone.is_empty()
    }
}

impl DatasetInHand {
    /// The caption of a row as it is shown: as it is being typed, if it is.
    #[must_use]
    pub fn shown_caption(&self, place: usize) -> &str {
        match &self.changes.writing {
            Some((row, text)) if *row == place => text,
            _ => self.row(place).map_or("", |row| row.row.caption.as_str()),
        }
    }

    /// Finds out which rows are shown.
    pub(super) fn find(&mut self) {
        let RowFinder { filter, find, match_case, .. } = &self.finder;
        let is_shown = |row: &HandRow| filter.accepts(row) && is_in(&row.row.caption, find, *match_case);
        let visible = self.rows.iter().enumerate().filter(|(_, row)| is_shown(row)).map(|(place, _)| place).collect();
        self.finder.visible = visible;
        self.count();
    }

    /// Counts the rows of every filter. Which are shown stays: a row must not vanish while it is worked on.
    pub(super) fn count(&mut self) {
        self.finder.counts = RowFilter::ALL.map(|filter| self.rows.iter().filter(|row| filter.accepts(row)).count());
    }

    /// Gives rows other captions and exclusions. Gives what is to be saved; `None` where nothing changed.
    fn set_rows(&mut self, wanted: Vec<(usize, String, bool)>) -> Option<Step> {
        let mut before = Vec::new();
        for (place, caption, is_excluded) in wanted {
            let Some(row) = self.rows.get_mut(place) else { continue };
            if row.row.caption == caption && row.row.is_excluded == is_excluded {
                continue;
            }
            if row.row.caption != caption {
                row.tokens = None;
            }
            let caption_before = std::mem::replace(&mut row.row.caption, caption);
            let was_excluded = std::mem::replace(&mut row.row.is_excluded, is_excluded);
            before.push((place, caption_before, was_excluded));
            self.unsaved.insert(place);
        }
        (!before.is_empty()).then_some(Step { rows: before })
    }

    /// Makes a change that can be taken back.
    fn change(&mut self, wanted: Vec<(usize, String, bool)>) -> Option<DatasetCommand> {
        let step = self.set_rows(wanted)?;
        self.changes.undone.clear();
        if self.changes.done.len() == MAX_UNDO {
            self.changes.done.remove(0);
        }
        self.changes.done.push(step);
        self.count();
        Some(self.save())
    }

    /// Takes the last change back, or makes it again.
    fn go(&mut self, back: bool) -> Option<DatasetCommand> {
        let changes = &mut self.changes;
        let step = if back { changes.done.pop() } else { changes.undone.pop() }?;
        let first = step.rows.first().map(|(place, ..)| *place);
        let undone = self.set_rows(step.rows)?;
        let other = if back { &mut self.changes.undone } else { &mut self.changes.done };
        other.push(undone);
        self.find();
        if let Some(first) = first {
            self.go_to(first);
        }
        Some(self.save())
    }

    /// Brings a row into view.
    fn go_to(&mut self, place: usize) {
        if !self.finder.visible.contains(&place) {
            (self.finder.filter, self.finder.find) = (RowFilter::All, String::new());
            self.find();
        }
        self.page = DatasetPage::Pictures;
        self.goal = (place, self.goal.1 + 1);
    }

    /// The command that writes what is not surely in the file.
    fn save(&mut self) -> DatasetCommand {
        let change = |place: &usize| {
            let row = &self.rows.get(*place)?.row;
            let (name, caption) = (row.name.clone(), row.caption.clone());
            Some((*place, RowChange { line: row.line?, name, caption, is_excluded: row.is_excluded }))
        };
        let changes: Vec<_> = self.unsaved.iter().filter_map(change).collect();
        self.saving += 1;
        DatasetCommand::Save { ticket: self.ticket, changes }
    }

    fn row_with(&self, place: usize, caption: Option<String>, is_excluded: Option<bool>) -> Vec<(usize, String, bool)> {
        let Some(row) = self.row(place) else { return Vec::new() };
        let caption = caption.unwrap_or_else(|| row.row.caption.clone());
        vec![(place, caption, is_excluded.unwrap_or(row.row.is_excluded))]
    }

    /// Puts the replacement in the place of what is searched, in every caption that is shown.
    fn replace(&mut self) -> Option<DatasetCommand> {
        let RowFinder { find, replacement, match_case, visible, .. } = &self.finder;
        if find.is_empty() {
            return None;
        }
        let replaced = |place: &usize| {
            let row = self.row(*place)?;
            let caption = one_line(&replace_all(&row.row.caption, find, replacement, *match_case));
            Some((*place, caption, row.row.is_excluded))
        };
        let wanted = visible.iter().filter_map(replaced).collect();
        let command = self.change(wanted);
        self.find();
        command
    }

    fn exclude_all(&mut self, kind: ProblemKind) -> Option<DatasetCommand> {
        let rows = self.problems.iter().find(|group| group.kind == kind)?.items.iter().filter_map(|item| item.row);
        let wanted = rows.filter_map(|place| Some((place, self.row(place)?.row.caption.clone(), true))).collect();
        self.change(wanted)
    }
}

impl State {
    /// What the user does with the rows.
    pub(super) fn change_rows(&mut self, action: DatasetAction) -> Vec<Effect> {
        if action == DatasetAction::Commit {
            return self.commit_caption();
        }
        let Some(hand) = &mut self.train.dataset.hand else { return Vec::new() };
        let mut search = |edit: &mut dyn FnMut(&mut RowFinder)| {
            edit(&mut hand.finder);
            hand.find();
        };
        match action {
            DatasetAction::Show(filter) => search(&mut |finder| finder.filter = filter),
            DatasetAction::EditFind(text) => search(&mut |finder| finder.find.clone_from(&text)),
            DatasetAction::ToggleCase => search(&mut |finder| finder.match_case = !finder.match_case),
            DatasetAction::EditReplacement(text) => hand.finder.replacement = text,
            DatasetAction::ShowRow(place) => {
                if hand.can_be_edited {
                    hand.mode = DatasetMode::Captions;
                }
                hand.go_to(place);
            }
            _ if !hand.can_be_edited => {}
            DatasetAction::Write(place, text) => {
                // Another row's text is taken over before this one's begins.
                let is_other = hand.changes.writing.as_ref().is_some_and(|(writing, _)| *writing != place);
                let effects = if is_other { self.commit_caption() } else { Vec::new() };
                if let Some(hand) = &mut self.train.dataset.hand {
                    hand.changes.writing = Some((place, text));
                }
                return effects;
            }
            DatasetAction::Toggle(place) => {
                let is_excluded = hand.row(place).is_some_and(|row| row.row.is_excluded);
                return saved(hand.change(hand.row_with(place, None, Some(!is_excluded))));
            }
            DatasetAction::ExcludeAll(kind) => {
                let command = hand.exclude_all(kind);
                if command.is_some() {
                    self.notices.info("They are left out of trainings from now on. Undo takes them in again", None);
                }
                return saved(command);
            }
            DatasetAction::Replace => {
                let count = hand.finder.found();
                let command = hand.replace();
                if command.is_some() {
                    let captions = if count == 1 { "caption" } else { "captions" };
                    self.notices.info(format!("Replaced in {count} {captions}"), None);
                }
                return saved(command);
            }
            DatasetAction::Undo => return saved(hand.go(true)),
            DatasetAction::Redo => return saved(hand.go(false)),
            _ => {}
        }
        Vec::new()
    }

    /// Takes the caption over that was being typed.
    pub(in crate::studio) fn commit_caption(&mut self) -> Vec<Effect> {
        let Some(hand) = &mut self.train.dataset.hand else { return Vec::new() };
        let Some((place, text)) = hand.changes.writing.take() else { return Vec::new() };
        let wanted = hand.row_with(place, Some(one_line(&text)), None);
        saved(hand.change(wanted))
    }
}

fn saved(command: Option<DatasetCommand>) -> Vec<Effect> {
    command.map(Effect::Dataset).into_iter().collect()
}
