//! [`Shell`]: what is around the work itself. The palette, the cheat sheet, the list of errors, the tour, and how the window
//! behaves.

use std::path::PathBuf;

use crate::domain::{PreviewPace, ShellSettings, Timing};

use super::estimate::Stopwatch;
use super::{Action, Effect, Info, Key, Palette, Place, Shortcut, State, TourStep};

/// How much the scale changes at once, in percent.
const SCALE_STEP: u32 = 10;
/// How many commands of the palette are remembered.
const MAX_RECENT: usize = 8;

/// An act of the user around the work.
#[derive(Clone, Debug, PartialEq)]
pub enum ShellAction {
    /// Open the list of all commands.
    OpenPalette,
    /// What is typed into it.
    EditPalette(String),
    /// Mark another of its rows.
    MarkRow(usize),
    /// Run a command of it, by its name.
    Run(String, Box<Action>),
    /// Show all shortcuts.
    ShowShortcuts,
    /// Show the errors of this session.
    ShowErrors,
    /// Put all that is known of an error on the clipboard, by its key.
    CopyDetails(u64),
    /// Close what lies over the window.
    CloseOverlay,
    /// Show a file: a picture of the gallery there, any other in the system's file manager.
    Show(PathBuf),
    /// Show the folder of the log files.
    OpenLogs,
    /// Begin the tour.
    StartTour,
    /// Go to its next step, or end it.
    NextTourStep,
    /// End the tour.
    EndTour,
    /// Draw everything larger.
    Larger,
    /// Draw everything smaller.
    Smaller,
    /// Draw everything at the system's own scale.
    ResetScale,
    /// Draw everything at this scale, in percent.
    SetScale(u32),
    /// How often the forming picture is shown.
    SetPreview(PreviewPace),
    /// How many threads compute, from the next start on.
    SetThreads(Option<u32>),
    /// Whether the desktop tells when a long queue is done.
    ToggleNotify,
}

impl ShellAction {
    /// Text, tooltip and shortcut.
    #[must_use]
    pub fn info(&self) -> Info {
        let (text, tooltip, shortcut) = match self {
            Self::OpenPalette => ("Commands…", "Find any command by its name", Some(Shortcut::ctrl(Key::P))),
            Self::EditPalette(_) => ("Find a command", "Some of its letters are enough", None),
            Self::MarkRow(_) | Self::Run(..) => ("Run", "Do this", None),
            Self::ShowShortcuts => ("Keyboard shortcuts", "Every key and what it does", Some(Shortcut::plain(Key::F1))),
            Self::ShowErrors => {
                ("Errors of this session", "What went wrong so far, with all that is needed to report it", None)
            }
            Self::CopyDetails(_) => (
                "Copy details",
                "Put the error with program, system and request on the clipboard. It holds names of files, and the \
                 prompt of a picture that failed",
                None,
            ),
            Self::CloseOverlay => ("Close", "Back to the window", None),
            Self::Show(_) => ("Show", "Show it in the gallery, or in its folder", None),
            Self::OpenLogs => ("Open log folder", "Show the files that the program writes down its doings in", None),
            Self::StartTour => ("Take the tour", "Three steps from a prompt to a picture in the gallery", None),
            Self::NextTourStep => ("Next", "Go on with the tour", None),
            Self::EndTour => ("Skip the tour", "It can be begun again in the settings", None),
            Self::Larger => ("Larger", "Draw everything larger", Some(Shortcut::ctrl(Key::Plus))),
            Self::Smaller => ("Smaller", "Draw everything smaller", Some(Shortcut::ctrl(Key::Minus))),
            Self::ResetScale => {
                ("Usual size", "Draw everything at the system's own scale", Some(Shortcut::ctrl(Key::Num0)))
            }
            Self::SetScale(_) => ("Scale", "How large everything is drawn", None),
            Self::SetPreview(PreviewPace::EveryStep) => {
                ("Every step", "Show the forming picture after every step; that takes next to no time", None)
            }
            Self::SetPreview(PreviewPace::EveryFifth) => {
                ("Every fifth", "Show the forming picture after every fifth step", None)
            }
            Self::SetPreview(PreviewPace::Off) => ("Off", "Show only how far the picture is", None),
            Self::SetThreads(_) => (
                "Threads",
                "How many threads compute pictures. All is fastest; fewer leave room for other programs",
                None,
            ),
            Self::ToggleNotify => (
                "Tell me when the queue is done",
                "The desktop tells when work of more than half a minute is done and the window is not in front",
                None,
            ),
        };
        Info { text, tooltip, shortcut }
    }
}

impl From<ShellAction> for Action {
    fn from(action: ShellAction) -> Self {
        Self::Shell(action)
    }
}

/// What lies over the window and has the keyboard.
#[derive(Clone, Debug, PartialEq)]
pub enum Overlay {
    /// The list of all commands.
    Palette(Palette),
    /// All shortcuts.
    Shortcuts,
    /// The errors of this session.
    Errors,
}

/// The memory of this machine, in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Memory {
    /// All of it.
    pub total_bytes: u64,
    /// What programs can still have.
    pub free_bytes: u64,
    /// What this program has.
    pub own_bytes: u64,
}

/// The machine that the program runs on, as `app` looks it up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Machine {
    /// Threads that compute.
    pub threads: u32,
    /// Threads that could.
    pub cores: u32,
    /// Memory; `None` where the system does not tell.
    pub memory: Option<Memory>,
}

impl Default for Machine {
    fn default() -> Self {
        Self { threads: 1, cores: 1, memory: None }
    }
}

/// What is around the work itself.
#[derive(Clone, Debug, Default)]
pub struct Shell {
    /// What lies over the window.
    pub overlay: Option<Overlay>,
    /// Where the tour stands, while it is shown.
    pub tour: Option<TourStep>,
    /// How the window behaves.
    pub settings: ShellSettings,
    /// The machine that the program runs on.
    pub machine: Machine,
    pub(super) stopwatch: Stopwatch,
    /// What recipes of the history tell of families that were not measured yet.
    pub(super) recalled: Vec<Timing>,
}

impl Shell {
    /// `is_first` at the very first start, which begins with the tour.
    pub(super) fn new(mut settings: ShellSettings, is_first: bool) -> Self {
        let bounds = ShellSettings::SCALE_PERCENT;
        settings.scale_percent = settings.scale_percent.clamp(*bounds.start(), *bounds.end());
        settings.threads = settings.threads.map(|threads| threads.clamp(1, ShellSettings::MAX_THREADS));
        let tour = (is_first && !settings.tour_seen).then_some(TourStep::Write);
        Self { tour, settings, ..Self::default() }
    }

    /// How large everything is drawn, 1 as the system has it.
    #[must_use]
    pub fn scale(&self) -> f32 {
        self.settings.scale_percent as f32 / 100.0
    }

    /// Whether the threads that are asked for differ from those that compute now.
    #[must_use]
    pub fn wants_restart(&self) -> bool {
        self.settings.threads.unwrap_or(self.machine.cores) != self.machine.threads
    }
}

impl State {
    /// Carries out an act around the work.
    pub(super) fn apply_shell(&mut self, action: ShellAction) -> Vec<Effect> {
        let shell = &mut self.shell;
        match action {
            ShellAction::OpenPalette => shell.overlay = Some(Overlay::Palette(Palette::default())),
            ShellAction::EditPalette(query) => {
                shell.overlay = Some(Overlay::Palette(Palette { query, marked: 0 }));
            }
            ShellAction::MarkRow(row) => {
                if let Some(Overlay::Palette(palette)) = &mut shell.overlay {
                    palette.marked = row;
                }
            }
            ShellAction::Run(name, action) => {
                shell.overlay = None;
                let recent = &mut shell.settings.recent_commands;
                recent.retain(|other| *other != name);
                recent.insert(0, name);
                recent.truncate(MAX_RECENT);
                self.mark_dirty();
                return self.apply(*action);
            }
            ShellAction::ShowShortcuts => shell.overlay = Some(Overlay::Shortcuts),
            ShellAction::ShowErrors => {
                shell.overlay = Some(Overlay::Errors);
                self.notices.dismiss_errors();
            }
            ShellAction::CopyDetails(key) => {
                let record = self.notices.errors.list().iter().find(|record| record.key == key);
                let Some(text) = record.map(|record| self.error_details(record)) else { return Vec::new() };
                self.notices.info("The details are on the clipboard", None);
                return vec![Effect::CopyText(text)];
            }
            ShellAction::CloseOverlay => shell.overlay = None,
            ShellAction::Show(path) => return self.show_path(path),
            ShellAction::OpenLogs => return vec![Effect::Reveal(self.paths.logs_dir.clone())],
            ShellAction::StartTour => {
                shell.overlay = None;
                shell.tour = Some(TourStep::Write);
                self.place = Place::Create;
            }
            ShellAction::NextTourStep => match shell.tour.and_then(TourStep::next) {
                Some(step) => shell.tour = Some(step),
                None => return self.end_tour(),
            },
            ShellAction::EndTour => return self.end_tour(),
            ShellAction::Larger => return self.set_scale(self.shell.settings.scale_percent + SCALE_STEP),
            ShellAction::Smaller => {
                return self.set_scale(self.shell.settings.scale_percent.saturating_sub(SCALE_STEP));
            }
            ShellAction::ResetScale => return self.set_scale(100),
            ShellAction::SetScale(percent) => return self.set_scale(percent),
            ShellAction::SetPreview(pace) => {
                shell.settings.preview = pace;
                return vec![self.save_settings()];
            }
            ShellAction::SetThreads(threads) => {
                shell.settings.threads = threads.map(|threads| threads.clamp(1, ShellSettings::MAX_THREADS));
                return vec![self.save_settings()];
            }
            ShellAction::ToggleNotify => {
                shell.settings.notify = !shell.settings.notify;
                return vec![self.save_settings()];
            }
        }
        Vec::new()
    }

    /// Sees every act of the user before it is carried out: the tour goes on by what is done.
    pub(super) fn before(&mut self, action: &Action) {
        let Some(step) = self.shell.tour else { return };
        if *action == Action::Generate && self.generate_blocked().is_some() {
            return; // nothing is made
        }
        self.shell.tour = step.after(action);
        if self.shell.tour.is_none() {
            self.shell.settings.tour_seen = true;
            self.mark_dirty();
        }
    }

    /// What `app` looked up since the last frame: the machine, and the time in milliseconds since 1970 UTC.
    pub fn observe(&mut self, machine: Machine, now_ms: i64) {
        self.shell.machine = machine;
        self.notices.errors.now_ms = now_ms;
        self.shell.stopwatch.saw(machine.memory);
    }

    fn end_tour(&mut self) -> Vec<Effect> {
        self.shell.tour = None;
        self.shell.settings.tour_seen = true;
        vec![self.save_settings()]
    }

    fn set_scale(&mut self, percent: u32) -> Vec<Effect> {
        let bounds = ShellSettings::SCALE_PERCENT;
        self.shell.settings.scale_percent = percent.clamp(*bounds.start(), *bounds.end());
        // A slider that is dragged comes by here at every px: it is saved when it rests.
        self.mark_dirty();
        Vec::new()
    }

    /// A picture of the history is shown in the gallery, anything else in the system's file manager.
    fn show_path(&mut self, path: PathBuf) -> Vec<Effect> {
        let of_film = self.film.items().filter_map(|item| item.saved.as_ref().ok()).find(|entry| entry.path == path);
        match of_film.map(|entry| entry.id) {
            Some(id) => {
                self.place = Place::Gallery;
                self.shell.overlay = None;
                self.apply(Action::OpenPicture(id))
            }
            None => vec![Effect::Reveal(path)],
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{state, state_with};
    use super::*;
    use crate::domain::{GenerateRequest, Settings};

    #[test]
    fn the_tour_is_for_the_first_start_only() {
        let mut first = state();
        assert_eq!(first.shell.tour, Some(TourStep::Write));
        first.apply(ShellAction::EndTour.into());
        assert!(first.settings().shell.tour_seen);
        assert_eq!(state_with(first.settings()).shell.tour, None);
        // Somebody who has worked with the program before this was in it needs none.
        let known = Settings { draft: Some(GenerateRequest::default()), ..Settings::default() };
        let mut known = state_with(known);
        assert_eq!(known.shell.tour, None);
        known.apply(ShellAction::StartTour.into());
        assert_eq!(known.shell.tour, Some(TourStep::Write));
    }

    #[test]
    fn the_scale_stays_within_bounds_and_comes_back() {
        let mut state = state();
        for _ in 0..40 {
            state.apply(ShellAction::Larger.into());
        }
        assert_eq!(state.shell.settings.scale_percent, *ShellSettings::SCALE_PERCENT.end());
        assert!(state.settings_dirty());
        state.apply(ShellAction::SetScale(0).into());
        assert_eq!(state.shell.settings.scale_percent, *ShellSettings::SCALE_PERCENT.start());
        state.apply(ShellAction::ResetScale.into());
        assert_eq!(state.shell.scale(), 1.0);
        let broken =
            Settings { shell: ShellSettings { scale_percent: 0, ..ShellSettings::default() }, ..Settings::default() };
        assert!(state_with(broken).shell.scale() >= 0.5, "a file that was edited by hand");
    }

    #[test]
    fn commands_that_were_run_come_first_next_time() {
        let mut state = state();
        let run = |state: &mut State, name: &str| {
            state.apply(ShellAction::Run(name.to_owned(), Box::new(Action::SwapSides)).into())
        };
        for name in ["a", "b", "a"] {
            run(&mut state, name);
        }
        assert_eq!(state.settings().shell.recent_commands, ["a", "b"]);
        for i in 0..20 {
            run(&mut state, &i.to_string());
        }
        assert_eq!(state.settings().shell.recent_commands.len(), MAX_RECENT);
    }

    #[test]
    fn threads_take_effect_at_the_next_start_and_that_is_told() {
        let mut state = state();
        state.observe(Machine { threads: 8, cores: 8, memory: None }, 0);
        assert!(!state.shell.wants_restart());
        state.apply(ShellAction::SetThreads(Some(4)).into());
        assert!(state.shell.wants_restart());
        state.apply(ShellAction::SetThreads(Some(0)).into());
        assert_eq!(state.settings().shell.threads, Some(1));
    }
}
