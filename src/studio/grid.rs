//! [`GridAction`]: writing a grid: which fields differ along its axes, by which values, and what that amounts to.

use crate::domain::grid::{Axes, Axis, Choices, Field, Grid};
use crate::domain::{ModelRef, UserError};

use super::grid_run::GridRun;
use super::{Action, Effect, Info, State};

/// An act of the user about grids. Axes are counted from left to right, from top to bottom, from page to page.
#[derive(Clone, Debug, PartialEq)]
pub enum GridAction {
    /// Begin to write one.
    Open,
    /// Close it; what was written stays.
    Close,
    /// What differs along an axis; nothing for `None`.
    Field(usize, Option<&'static Field>),
    /// By which values.
    Values(usize, String),
    /// All values that there are.
    Fill(usize),
    /// Make its pictures.
    Make,
    /// Stop one that is being made; its sheet is made of what is there.
    Stop(u64),
    /// Write the one of the sheet in view again.
    UseSelected,
}

impl GridAction {
    /// Text and tooltip.
    pub(super) fn info(&self) -> Info {
        let (text, tooltip) = match self {
            Self::Open => {
                ("Grid…", "Compare settings: a picture for every combination of values, and all of them on one sheet")
            }
            Self::Close => ("Close", "Close without making any; what is written here stays"),
            Self::Field(0, _) => ("From left to right", "What differs from column to column"),
            Self::Field(1, _) => ("From top to bottom", "What differs from row to row"),
            Self::Field(..) => ("From page to page", "What differs from block to block"),
            Self::Values(..) => (
                "Values",
                "A list such as 1, 4, 7; for numbers also ranges such as 1-5, 10-50 (+10) or 0-1 [5]. Quotation marks \
                 keep text with commas together",
            ),
            Self::Fill(_) => ("All", "Fill in all values that there are"),
            Self::Make => ("Make the grid", "Add its pictures to the queue; the sheet is made when all are there"),
            Self::Stop(_) => {
                ("Stop the grid", "Take its pictures out of the queue; the sheet is made of what is there")
            }
            Self::UseSelected => ("Use this grid…", "Take over this sheet's settings and axes, and make it anew"),
        };
        Info { text, tooltip, shortcut: None }
    }
}

/// What is written for one axis.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct AxisDraft {
    /// What differs.
    pub field: Option<&'static Field>,
    /// By which values, as typed.
    pub text: String,
}

/// A grid that can be made.
#[derive(Clone, Debug)]
pub struct GridPlan {
    /// What it is.
    pub grid: Grid,
    /// How many pictures it has.
    pub pictures: usize,
    /// How long that will take, judged by the last picture of the same model; `None` where there is none.
    pub secs: Option<f64>,
}

/// What is written amounts to this.
#[derive(Clone, Debug, Default)]
pub struct GridCheck {
    /// Of each axis: its values as they will stand beside the pictures, or what is wrong with them.
    pub axes: [Option<Result<Vec<String>, Vec<String>>>; 3],
    /// What is wrong with the whole.
    pub problems: Vec<String>,
    /// What would be made, where nothing is wrong.
    pub plan: Option<GridPlan>,
}

/// Grids: the one that is written, and those that are made.
#[derive(Clone, Debug)]
pub struct Grids {
    /// Whether one is being written.
    pub is_open: bool,
    /// What is written.
    pub axes: [AxisDraft; 3],
    /// What that amounts to.
    pub check: GridCheck,
    pub(super) runs: Vec<GridRun>,
    pub(super) last_key: u64,
}

impl Default for Grids {
    /// Guidance, with the table's example: something that works at once.
    fn default() -> Self {
        let first = Field::of_name("guidance");
        let text = first.map(|field| field.example.to_owned()).unwrap_or_default();
        let axes = [AxisDraft { field: first, text }, AxisDraft::default(), AxisDraft::default()];
        Self { is_open: false, axes, check: GridCheck::default(), runs: Vec::new(), last_key: 0 }
    }
}

impl State {
    /// Carries out an act about grids.
    pub(super) fn apply_grid(&mut self, action: GridAction) -> Vec<Effect> {
        match action {
            GridAction::Open => self.grids.is_open = true,
            GridAction::Close => self.grids.is_open = false,
            GridAction::Field(at, field) => {
                let Some(axis) = self.grids.axes.get_mut(at) else { return Vec::new() };
                // Numbers stay where the new field takes them too.
                if field.is_none_or(|field| Axis::read(field, &axis.text).is_err()) {
                    axis.text.clear();
                }
                axis.field = field;
            }
            GridAction::Values(at, text) => {
                let Some(axis) = self.grids.axes.get_mut(at) else { return Vec::new() };
                axis.text = text;
            }
            GridAction::Fill(at) => self.fill(at),
            GridAction::Make => return self.make_grid(),
            GridAction::Stop(key) => {
                let jobs = self.grids.jobs_of(key);
                return jobs.into_iter().flat_map(|job| self.apply(Action::CancelJob(job))).collect();
            }
            GridAction::UseSelected => return self.use_grid(),
        }
        if self.grids.is_open {
            self.check_grid();
        }
        Vec::new()
    }

    fn fill(&mut self, at: usize) {
        let Some(choices) = self.grids.axes.get(at).and_then(|axis| axis.field?.choices()) else { return };
        let values: Vec<String> = match choices {
            Choices::Samplers => self.catalog.samplers.iter().map(|sampler| sampler.name().to_owned()).collect(),
            Choices::Schedules => self.catalog.schedules.iter().map(|schedule| schedule.name().to_owned()).collect(),
            Choices::Models => {
                let own = std::iter::once(ModelRef::STARTER_NAME.to_owned());
                own.chain(self.models.recent.iter().map(|path| path.display().to_string())).collect()
            }
        };
        self.grids.axes[at].text = crate::domain::grid::values::list_text(values.iter().map(String::as_str));
    }

    /// The axis that is written, with models called by their names turned into their files.
    fn read_axis(&self, at: usize) -> Option<Result<Axis, Vec<String>>> {
        let AxisDraft { field, text } = &self.grids.axes[at];
        let field = (*field)?;
        let mut read = Axis::read(field, text);
        if let (Ok(axis), Some(Choices::Models)) = (&mut read, field.choices()) {
            for value in &mut axis.values {
                let entry = self.shelf.entries.iter().find(|entry| entry.name.eq_ignore_ascii_case(value));
                if let Some(entry) = entry {
                    *value = entry.path.display().to_string();
                }
            }
        }
        Some(read)
    }

    /// Works out what is written, once for each change.
    fn check_grid(&mut self) {
        let read = [0, 1, 2].map(|at| self.read_axis(at));
        let mut problems = Vec::new();
        let plan = match &read {
            [None, None, None] => {
                problems.push("Choose what is to differ".to_owned());
                None
            }
            [None, ..] => {
                problems.push("Choose what is to differ from left to right".to_owned());
                None
            }
            [Some(Ok(x)), y, z] if !matches!(y, Some(Err(_))) && !matches!(z, Some(Err(_))) => {
                let of = |axis: &Option<Result<Axis, Vec<String>>>| axis.clone().and_then(Result::ok);
                let axes = Axes { x: x.clone(), y: of(y), z: of(z) };
                let grid = Grid { base: self.styled_request().into_owned(), axes };
                problems = grid.problems(&|model| self.family_of(model));
                let secs = self.secs_of_grid(&grid);
                problems.is_empty().then(|| GridPlan { pictures: grid.axes.cells(), secs, grid })
            }
            _ => None,
        };
        let axes = read.map(|axis| axis.map(|read| read.map(|axis| axis.labels())));
        self.grids.check = GridCheck { axes, problems, plan };
    }

    /// How long all pictures will take, where that is known of each.
    fn secs_of_grid(&self, grid: &Grid) -> Option<f64> {
        (0..grid.axes.cells()).map(|cell| self.estimate_of(&grid.cell(cell).ok()?).secs).sum()
    }

    fn use_grid(&mut self) -> Vec<Effect> {
        let Some(recipe) = self.subject().and_then(|subject| subject.recipe) else { return Vec::new() };
        let Some(axes) = recipe.grid.clone() else { return Vec::new() };
        self.grids.axes = axes
            .all()
            .map(|axis| axis.map(|axis| AxisDraft { field: Some(axis.field), text: axis.text() }).unwrap_or_default());
        let effects = self.apply(Action::UseAllParameters);
        self.grids.is_open = true;
        self.check_grid();
        effects
    }

    fn make_grid(&mut self) -> Vec<Effect> {
        // The family may have become known meanwhile, or the model have failed.
        self.check_grid();
        if let Some(reason) = self.generate_blocked() {
            self.notices.error(UserError::input(reason));
            return Vec::new();
        }
        let (mut effects, waits) = self.settle_source(&Action::Grid(GridAction::Make));
        if waits {
            return effects;
        }
        let Some(GridPlan { grid, .. }) = self.grids.check.plan.take() else { return effects };
        self.grids.is_open = false;
        effects.push(self.save_settings());
        effects.extend(self.begin_grid(grid));
        if !self.draft.seed_locked {
            self.draft.request.seed = self.seeds.draw();
        }
        effects
    }
}
