//! [`Palette`]: every command by its name. What can be run without more input comes from the tables, so that an act that
//! gets a row there is found here too.

use std::collections::HashSet;

use crate::domain::{ModelRef, PreviewPace, SafetyMode, Theme};

use super::fuzzy::{Fit, fit};
use super::gallery_search::Named;
use super::{
    Action, BatchAction, DatasetAction, Edit, GalleryAction, HistoryAction, ImportAction, KEYED, Place, PromptAction,
    QueueAction, ReplayAction, Scope, ShelfAction, ShellAction, Shortcut, SourceAction, State, StyleAction,
    TrainAction, TrainingAction, ViewerAction, labels,
};

/// Acts and the group that they are found under. Those of [`KEYED`] that are not here are found under their scope.
pub static COMMANDS: &[(&str, Action)] = &[
    ("Create", Action::Generate),
    ("Create", Action::RollSeed),
    ("Create", Action::ToggleSeedLock),
    ("Create", Action::SwapSides),
    ("Create", Action::ChooseInit),
    ("Create", Action::ChooseMask),
    ("Create", Action::ChooseVae),
    ("Create", Action::ShowLive),
    ("Create", Action::Prompt(PromptAction::Undo)),
    ("Create", Action::Prompt(PromptAction::Redo)),
    ("Create", Action::Prompt(PromptAction::History(HistoryAction::Open))),
    ("Create", Action::Prompt(PromptAction::Style(StyleAction::Open))),
    ("Create", Action::Source(SourceAction::Toggle)),
    ("Queue", Action::Cancel),
    ("Queue", Action::ClearQueue),
    ("Queue", Action::Queue(QueueAction::Pause)),
    ("Queue", Action::Queue(QueueAction::Resume)),
    ("Queue", Action::Queue(QueueAction::ToggleList)),
    ("Queue", Action::Queue(QueueAction::CancelAll)),
    ("Batch", Action::Batch(BatchAction::Choose)),
    ("Batch", Action::Batch(BatchAction::Run)),
    ("Batch", Action::Batch(BatchAction::Pause)),
    ("Batch", Action::Batch(BatchAction::RetryFailed)),
    ("Picture", Action::SaveAs),
    ("Picture", Action::CopyPicture),
    ("Picture", Action::CopyPrompt),
    ("Picture", Action::UseAllParameters),
    ("Picture", Action::UsePrompt),
    ("Picture", Action::UseSeed),
    ("Picture", Action::BeginWithSelected),
    ("Picture", Action::UpscaleSelected),
    ("Picture", Action::Trash),
    ("Gallery", Action::Gallery(GalleryAction::Find)),
    ("Gallery", Action::Gallery(GalleryAction::ShowAll)),
    ("Gallery", Action::Gallery(GalleryAction::ShowStarred)),
    ("Gallery", Action::Gallery(GalleryAction::CopyOut)),
    ("Gallery", Action::Gallery(GalleryAction::Zip)),
    ("Gallery", Action::Gallery(GalleryAction::Name(Named::Empty))),
    ("Gallery", Action::Viewer(ViewerAction::CompareChosen)),
    ("Gallery", Action::Viewer(ViewerAction::Import(ImportAction::ChooseFolder))),
    ("Picture", Action::Viewer(ViewerAction::Remix)),
    ("Picture", Action::Viewer(ViewerAction::Replay(ReplayAction::Begin))),
    ("Data set", Action::Train(TrainAction::Dataset(DatasetAction::ChooseFolder))),
    ("Data set", Action::Train(TrainAction::Dataset(DatasetAction::ChooseTable))),
    ("Data set", Action::Train(TrainAction::Dataset(DatasetAction::Prepare))),
    ("Data set", Action::Train(TrainAction::Dataset(DatasetAction::Check))),
    ("Training", Action::Train(TrainAction::Training(TrainingAction::Begin))),
    ("Training", Action::Train(TrainAction::Training(TrainingAction::Pause))),
    ("Training", Action::Train(TrainAction::Training(TrainingAction::GoOn))),
    ("Training", Action::Train(TrainAction::Training(TrainingAction::Stop))),
    ("Training", Action::Train(TrainAction::Training(TrainingAction::Resume))),
    ("Training", Action::Train(TrainAction::Training(TrainingAction::OpenTraining))),
    ("Training", Action::Train(TrainAction::Training(TrainingAction::OpenSettings))),
    ("Training", Action::Train(TrainAction::Training(TrainingAction::SaveSettings))),
    ("Models", Action::ChooseModel),
    ("Models", Action::Shelf(ShelfAction::ChooseFile)),
    ("Models", Action::Shelf(ShelfAction::ChooseFolder)),
    ("Models", Action::Shelf(ShelfAction::Refresh)),
    ("Settings", Action::ChoosePicturesFolder),
    ("Settings", Action::Shell(ShellAction::ToggleNotify)),
    ("Look", Action::Shell(ShellAction::Larger)),
    ("Look", Action::Shell(ShellAction::Smaller)),
    ("Look", Action::Shell(ShellAction::ResetScale)),
    ("Window", Action::ToggleFullScreen),
    ("Window", Action::Quit),
    ("Help", Action::Shell(ShellAction::ShowShortcuts)),
    ("Help", Action::Shell(ShellAction::ShowErrors)),
    ("Help", Action::Shell(ShellAction::OpenLogs)),
    ("Help", Action::Shell(ShellAction::StartTour)),
];

/// What is typed into the palette, and which row is marked.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Palette {
    /// What is typed.
    pub query: String,
    /// The row that Enter runs.
    pub marked: usize,
}

/// A command of the palette.
#[derive(Clone, Debug, PartialEq)]
pub struct Entry {
    /// Its name, with the group before it: `Gallery: Star`.
    pub name: String,
    /// How many of the name's characters are the group.
    pub group_chars: usize,
    /// What it does.
    pub tooltip: &'static str,
    /// Its keys.
    pub shortcut: Option<Shortcut>,
    /// The act.
    pub action: Action,
    /// Why it cannot be done now.
    pub blocked: Option<String>,
    /// Which characters of the name fit what was typed.
    pub places: Vec<usize>,
}

impl Entry {
    fn new(state: &State, group: &str, action: Action, text: &str, blocked: Option<String>) -> Self {
        let info = action.info();
        let blocked = blocked.or_else(|| state.why_not(&action));
        Self {
            name: format!("{group}: {text}"),
            group_chars: group.chars().count() + 2,
            tooltip: info.tooltip,
            shortcut: info.shortcut,
            action,
            blocked,
            places: Vec::new(),
        }
    }
}

impl State {
    /// The commands that fit what is typed, the best first; with nothing typed, those that were run last come first.
    #[must_use]
    pub fn palette_entries(&self, query: &str) -> Vec<Entry> {
        let recent = &self.shell.settings.recent_commands;
        let age = |name: &str| recent.iter().position(|other| other == name).unwrap_or(usize::MAX);
        if query.trim().is_empty() {
            let mut entries = self.all_commands();
            entries.sort_by_key(|entry| age(&entry.name));
            return entries;
        }
        let mut found: Vec<(i32, Entry)> = Vec::new();
        for mut entry in self.all_commands() {
            let Some(Fit { mut score, places }) = fit(query, &entry.name) else { continue };
            entry.places = places;
            // The command itself is meant rather than its group.
            let own: String = entry.name.chars().skip(entry.group_chars).collect();
            if let Some(fit) = fit(query, &own).filter(|fit| fit.score + OWN_NAME > score) {
                score = fit.score + OWN_NAME;
                entry.places = fit.places.into_iter().map(|place| place + entry.group_chars).collect();
            }
            if entry.name.eq_ignore_ascii_case(query.trim()) {
                score += WHOLE_NAME;
            }
            let recently = if age(&entry.name) == usize::MAX { 0 } else { RECENTLY };
            let blocked = if entry.blocked.is_some() { BLOCKED } else { 0 };
            found.push((score + recently + blocked, entry));
        }
        found.sort_by_key(|(score, _)| std::cmp::Reverse(*score));
        found.into_iter().map(|(_, entry)| entry).collect()
    }

    /// All commands: places, both tables, then what can be chosen from.
    fn all_commands(&self) -> Vec<Entry> {
        let mut entries: Vec<Entry> = Vec::new();
        let mut named = HashSet::new();
        let mut add = |entry: Entry| {
            if named.insert(entry.name.clone()) {
                entries.push(entry);
            }
        };
        for place in Place::ALL {
            let action = Action::GoTo(place);
            let text = action.info().text;
            add(Entry::new(self, "Go to", action, text, None));
        }
        for (group, action) in COMMANDS {
            add(Entry::new(self, group, action.clone(), action.info().text, None));
        }
        let is_elsewhere = |action: &Action| {
            matches!(action, Action::GoTo(_) | Action::Shell(ShellAction::OpenPalette))
                || COMMANDS.iter().any(|(_, other)| other == action)
        };
        // Names are offered only while one types elsewhere, never beside the palette.
        let is_offering = |scope: &Scope| matches!(scope, Scope::Names | Scope::ChosenName);
        for (scope, action) in KEYED.iter().filter(|(scope, action)| !is_offering(scope) && !is_elsewhere(action)) {
            let blocked = self.out_of_scope(*scope).map(str::to_owned);
            add(Entry::new(self, scope.title(), action.clone(), action.info().text, blocked));
        }
        let listed = self.shelf.entries.iter().filter(|entry| entry.summary().is_some_and(|summary| summary.is_model));
        let models = std::iter::once(ModelRef::Starter)
            .chain(self.models.recent.iter().cloned().map(ModelRef::Path))
            .chain(listed.map(|entry| ModelRef::Path(entry.path.clone())));
        let mut taken = HashSet::new();
        for model in models {
            let name = match (&model, self.models.name(&model)) {
                (ModelRef::Path(path), name) if taken.contains(&name) => format!("{name} ({})", path.display()),
                (_, name) => name,
            };
            taken.insert(name.clone());
            let blocked = (self.draft.request.model == model).then(|| IN_USE.to_owned());
            add(Entry::new(self, "Model", Action::Edit(Edit::Model(model)), &name, blocked));
        }
        let request = &self.draft.request;
        for id in self.catalog.samplers.iter().copied() {
            let blocked = (request.sampler == id).then(|| IN_USE.to_owned());
            let entry = Entry::new(self, "Sampler", Action::Edit(Edit::Sampler(id)), labels::sampler(id).name, blocked);
            add(Entry { tooltip: labels::sampler(id).explanation, ..entry });
        }
        for id in self.catalog.schedules.iter().copied() {
            let blocked = (request.schedule == id).then(|| IN_USE.to_owned());
            let entry =
                Entry::new(self, "Schedule", Action::Edit(Edit::Schedule(id)), labels::schedule(id).name, blocked);
            add(Entry { tooltip: labels::schedule(id).explanation, ..entry });
        }
        let chosen = Theme::ALL
            .map(|theme| ("Theme", Action::SetTheme(theme), self.theme == theme))
            .into_iter()
            .chain(PreviewPace::ALL.map(|pace| {
                let is_chosen = self.shell.settings.preview == pace;
                ("Preview", Action::Shell(ShellAction::SetPreview(pace)), is_chosen)
            }))
            .chain(SafetyMode::ALL.map(|mode| ("Safety", Action::SetSafety(mode), self.safety == mode)));
        for (group, action, is_chosen) in chosen {
            let text = action.info().text;
            add(Entry::new(self, group, action, text, is_chosen.then(|| IN_USE.to_owned())));
        }
        entries
    }

    /// Why a scope's keys do not hold in the place that is shown.
    fn out_of_scope(&self, scope: Scope) -> Option<&'static str> {
        let in_gallery = self.place == Place::Gallery;
        let in_create = self.place == Place::Create;
        match scope {
            Scope::Anywhere | Scope::Resting => None,
            Scope::Elsewhere => in_gallery.then_some("Not in the gallery"),
            Scope::Gallery => (!in_gallery).then_some("Only in the gallery"),
            Scope::Picture | Scope::Large => {
                (!in_gallery || !self.gallery.large).then_some("Only while a picture of the gallery is open")
            }
            Scope::Compare => self.viewer.compare.is_none().then_some("Only while two pictures are compared"),
            Scope::Dataset => self.train.dataset.hand.is_none().then_some("Only while a data set is shown"),
            Scope::Draft => (!in_create).then_some("Only in Create"),
            Scope::Prompt => {
                (!in_create || self.prompt.cursor.is_none()).then_some("Only while the cursor is in a prompt")
            }
            Scope::Names | Scope::ChosenName => Some("Only while names are offered"),
            Scope::Canvas => {
                (!in_create || !self.source.is_shown()).then_some("Only while the picture to begin with is shown")
            }
            Scope::Steps => {
                (!in_create || self.steps_in_view().is_none()).then_some("Only while a picture with its steps is shown")
            }
            Scope::Grid => (!in_gallery || self.gallery.large).then_some("Only in the gallery's grid"),
        }
    }

    /// Why an act would do nothing now.
    #[must_use]
    pub fn why_not(&self, action: &Action) -> Option<String> {
        let unless = |is_possible: bool, reason: &str| (!is_possible).then(|| reason.to_owned());
        match action {
            Action::Generate => self.generate_blocked(),
            Action::Cancel | Action::ShowLive => unless(self.queue.running().is_some(), "No picture is being made"),
            Action::ClearQueue => unless(self.queue.waiting().len() > 0, "Nothing waits"),
            Action::Queue(QueueAction::CancelAll) => unless(
                self.queue.running().is_some() || self.queue.waiting().len() > 0,
                "Nothing runs and nothing waits",
            ),
            Action::ChooseMask => unless(self.draft.request.init.is_some(), "Begin with a picture first"),
            Action::SaveAs | Action::CopyPicture | Action::Trash => {
                unless(self.subject().is_some(), "No picture is in view")
            }
            Action::CopyPrompt
            | Action::UseAllParameters
            | Action::UsePrompt
            | Action::UseSeed
            | Action::BeginWithSelected
            | Action::UpscaleSelected => {
                let recipe = self.subject().and_then(|subject| subject.recipe);
                unless(recipe.is_some(), "No picture with a recipe is in view")
            }
            Action::OpenSelected
            | Action::Gallery(
                GalleryAction::StarChosen | GalleryAction::CopyOut | GalleryAction::Zip | GalleryAction::ChooseSelected,
            ) => unless(!self.gallery.subjects().is_empty(), "No picture of the gallery is chosen"),
            Action::Gallery(GalleryAction::UndoTrash) => {
                unless(self.gallery.can_undo(), "Nothing was moved to the trash")
            }
            Action::Viewer(ViewerAction::Remix) => unless(self.subject().is_some(), "No picture is in view"),
            Action::Viewer(ViewerAction::Replay(ReplayAction::Begin)) => self.replay_blocked().map(str::to_owned),
            Action::Viewer(ViewerAction::CompareChosen) => {
                unless(self.gallery.subjects().len() == 2, "Choose two pictures of the gallery first")
            }
            Action::Train(TrainAction::Dataset(action)) => self.train.dataset.blocked(action),
            Action::Train(TrainAction::Training(action)) => self.train.training.cannot(action),
            Action::Batch(BatchAction::Run) => self.batch.blocked(),
            Action::Batch(BatchAction::Pause) => unless(self.batch.active_row().is_some(), "No batch is running"),
            Action::Queue(QueueAction::Pause) => unless(!self.queue.paused, "It is paused already"),
            Action::Queue(QueueAction::Resume) => unless(self.queue.paused, "It is not paused"),
            Action::GoTo(place) => unless(self.place != *place, "It is shown already"),
            Action::Shell(ShellAction::ShowErrors) => {
                unless(!self.notices.errors.list().is_empty(), "Nothing went wrong so far")
            }
            _ => None,
        }
    }
}

/// Said of what is chosen already.
const IN_USE: &str = "In use already";
/// What a command gains whose own name fits, without its group.
const OWN_NAME: i32 = 6;
/// What one gains that was typed in full.
const WHOLE_NAME: i32 = 100;
/// What a command gains that was run lately.
const RECENTLY: i32 = 4;
/// What one loses that cannot be run now.
const BLOCKED: i32 = -6;

#[cfg(test)]
mod tests {
    use super::super::tests::{generate, state};
    use super::*;

    fn names(state: &State, query: &str) -> Vec<String> {
        state.palette_entries(query).into_iter().map(|entry| entry.name).collect()
    }

    #[test]
    fn every_act_of_the_tables_is_found_by_its_name() {
        let state = state();
        let all = state.palette_entries("");
        let acts = KEYED.iter().map(|(_, action)| action).chain(COMMANDS.iter().map(|(_, action)| action));
        let is_offering = |action: &Action| {
            KEYED.iter().any(|(scope, other)| other == action && matches!(scope, Scope::Names | Scope::ChosenName))
        };
        let own = Action::Shell(ShellAction::OpenPalette);
        for action in acts.filter(|action| **action != own && !is_offering(action)) {
            assert!(all.iter().any(|entry| entry.action == *action), "{action:?} cannot be found");
        }
        let mut names: Vec<&str> = all.iter().map(|entry| entry.name.as_str()).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), all.len(), "two commands have one name");
        for entry in &all {
            assert!(!entry.tooltip.is_empty() && !entry.name.ends_with(": "), "{}", entry.name);
            let found = state.palette_entries(&entry.name);
            assert_eq!(found[0].name, entry.name, "typed in full it comes first");
        }
    }

    #[test]
    fn what_was_run_last_comes_first() {
        let mut state = state();
        state.apply(ShellAction::Run("Create: Swap sides".to_owned(), Box::new(Action::SwapSides)).into());
        state.apply(ShellAction::Run("Go to: Gallery".to_owned(), Box::new(Action::GoTo(Place::Gallery))).into());
        assert_eq!(names(&state, "")[..2], ["Go to: Gallery", "Create: Swap sides"]);
        assert_eq!(names(&state, "swap")[0], "Create: Swap sides");
        assert!(names(&state, "no such command").is_empty());
        let group_only = names(&state, "model").iter().position(|name| name.starts_with("Model: ")).expect("models");
        let own_name = names(&state, "model").iter().position(|name| name == "Go to: Models").expect("the place");
        assert!(own_name < group_only, "what is called so comes before what is of a group called so");
    }

    #[test]
    fn what_cannot_be_done_says_why() {
        let mut state = state();
        let blocked = |state: &State, name: &str| {
            let all = state.palette_entries("");
            all.into_iter().find(|entry| entry.name == name).expect("it is there").blocked
        };
        assert_eq!(blocked(&state, "Queue: Cancel").as_deref(), Some("No picture is being made"));
        assert_eq!(blocked(&state, "Gallery: Star").as_deref(), Some("Only in the gallery"));
        assert_eq!(blocked(&state, "Create: Generate"), None);
        assert!(generate(&mut state).is_some());
        assert_eq!(blocked(&state, "Queue: Cancel"), None);
        assert_eq!(blocked(&state, "Theme: Dark").as_deref(), Some(IN_USE));
        assert_eq!(blocked(&state, "Theme: Light"), None);
    }
}
