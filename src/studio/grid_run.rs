//! [`GridRun`]: a grid that is being made: a job for each of its pictures, and the sheet when all have come or gone.

use std::sync::Arc;

use crate::domain::grid::Grid;
use crate::domain::{JobId, Picture, PictureEntry, Recipe, UserError};
use crate::library::{LibraryCommand, QueueCommand, SheetCell, SheetMade, SheetOrder};

use super::grid::Grids;
use super::{Effect, Place, State, View};

/// What stands in the place of a picture that was taken out of the queue.
const STOPPED: &str = "Stopped";
/// What stands in the place of a picture that failed; the message has told why.
const FAILED: &str = "Failed";

/// How a cell stands.
#[derive(Clone, Debug)]
enum Cell {
    /// Its job waits or runs.
    Waiting(JobId),
    /// It is made, or never will be.
    Settled(SheetCell),
}

/// A grid that is being made.
#[derive(Clone, Debug)]
pub(super) struct GridRun {
    key: u64,
    grid: Grid,
    cells: Vec<Cell>,
    pictures_dir: std::path::PathBuf,
    /// What is told of the sheet, once a picture has come.
    recipe: Option<Recipe>,
}

impl GridRun {
    /// The order for its sheet. Without a single picture there is nothing to lay out, and the user knows.
    fn into_order(self) -> Option<Effect> {
        let Self { key: _, grid: _, cells, pictures_dir, recipe } = self;
        let settled = |cell| match cell {
            Cell::Settled(cell) => cell,
            Cell::Waiting(_) => SheetCell::Blank(STOPPED.to_owned()),
        };
        let order = SheetOrder { cells: cells.into_iter().map(settled).collect(), recipe: recipe?, pictures_dir };
        Some(Effect::Library(LibraryCommand::Sheet(Box::new(order))))
    }
}

/// How far a grid is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GridProgress {
    /// Its key.
    pub key: u64,
    /// Pictures that have come or gone.
    pub settled: usize,
    /// All of them.
    pub pictures: usize,
}

impl Grids {
    /// The grids that are being made.
    pub fn progress(&self) -> impl Iterator<Item = GridProgress> {
        self.runs.iter().map(|run| GridProgress {
            key: run.key,
            settled: run.cells.iter().filter(|cell| matches!(cell, Cell::Settled(_))).count(),
            pictures: run.cells.len(),
        })
    }

    /// The jobs of a grid that wait or run.
    pub(super) fn jobs_of(&self, key: u64) -> Vec<JobId> {
        let cells = self.runs.iter().filter(|run| run.key == key).flat_map(|run| &run.cells);
        cells.filter_map(|cell| if let Cell::Waiting(job) = cell { Some(*job) } else { None }).collect()
    }

    /// A picture has come: a cell, if it is one.
    pub(super) fn take_in(
        &mut self,
        job: JobId,
        picture: &Arc<Picture>,
        recipe: &Recipe,
        saved: &Result<PictureEntry, UserError>,
    ) {
        let Some((run, at)) = self.cell_of(job) else { return };
        let cell = match saved {
            Ok(entry) => SheetCell::File(entry.path.clone()),
            Err(_) => SheetCell::Memory(Arc::clone(picture)),
        };
        run.cells[at] = Cell::Settled(cell);
        run.grid.tell(&mut run.recipe, recipe);
    }

    /// A job has failed: a cell stays blank, if it was one.
    pub(super) fn failed(&mut self, job: JobId, error: &UserError) {
        if let Some((run, at)) = self.cell_of(job) {
            let reason = if error.is_cancelled() { STOPPED } else { FAILED };
            run.cells[at] = Cell::Settled(SheetCell::Blank(reason.to_owned()));
        }
    }

    fn cell_of(&mut self, job: JobId) -> Option<(&mut GridRun, usize)> {
        let is_it = |cell: &Cell| matches!(cell, Cell::Waiting(other) if *other == job);
        self.runs.iter_mut().find_map(|run| run.cells.iter().position(is_it).map(|at| (run, at)))
    }
}

impl State {
    /// Adds the pictures of a grid to the queue: what is costly to change changes least often.
    pub(super) fn begin_grid(&mut self, grid: Grid) -> Vec<Effect> {
        self.notices.dismiss_info();
        self.grids.last_key += 1;
        let nothing = Cell::Settled(SheetCell::Blank(FAILED.to_owned()));
        let mut cells = vec![nothing; grid.axes.cells()];
        // All cells were looked at before; one that cannot be asked for stays blank.
        let asked = grid.axes.order().into_iter().filter_map(|at| Some((at, grid.cell(at).ok()?)));
        let (places, requests): (Vec<usize>, Vec<_>) = asked.unzip();
        let effects = self.enqueue_all(requests);
        let added = effects.iter().flat_map(|effect| match effect {
            Effect::Queue(QueueCommand::Add(jobs)) => jobs.as_slice(),
            _ => &[],
        });
        for (at, job) in places.into_iter().zip(added) {
            cells[at] = Cell::Waiting(job.id);
        }
        let pictures_dir = self.pictures_folder().to_path_buf();
        self.grids.runs.push(GridRun { key: self.grids.last_key, grid, cells, pictures_dir, recipe: None });
        self.place = Place::Create;
        self.film.view = View::Live;
        effects
    }

    /// Looks after the grids: pictures that left the queue without having come stay blank, and where none is awaited any
    /// more the sheet is asked for. To be called whenever something may have happened.
    pub fn tend_grids(&mut self) -> Vec<Effect> {
        if self.grids.runs.is_empty() {
            return Vec::new();
        }
        let running = self.queue.running().map(|running| running.job.id);
        let queued: std::collections::HashSet<JobId> = self.queue.waiting().map(|job| job.id).chain(running).collect();
        let mut ended = Vec::new();
        for run in &mut self.grids.runs {
            for cell in &mut run.cells {
                if matches!(cell, Cell::Waiting(job) if !queued.contains(job)) {
                    *cell = Cell::Settled(SheetCell::Blank(STOPPED.to_owned()));
                }
            }
        }
        self.grids.runs.retain_mut(|run| {
            let is_ended = run.cells.iter().all(|cell| matches!(cell, Cell::Settled(_)));
            if is_ended {
                ended.push(run.clone());
            }
            !is_ended
        });
        ended.into_iter().filter_map(GridRun::into_order).collect()
    }

    /// A sheet has come: it is one of the session's pictures.
    pub(super) fn sheet_made(&mut self, made: SheetMade) -> Vec<Effect> {
        let SheetMade { picture, recipe, saved } = made;
        if let Err(error) = &saved {
            self.notices.error(error.clone());
        }
        let is_here = saved.as_ref().is_ok_and(|entry| entry.path.starts_with(self.pictures_folder()));
        self.film.add(picture, recipe, saved);
        self.notices.info("The grid is finished: its sheet is the newest picture of this session", None);
        if is_here { self.refresh_gallery() } else { Vec::new() }
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{entry, finish, job, kept, state};
    use super::*;
    use crate::domain::grid::Axis;
    use crate::domain::{Event, Job};
    use crate::library::LibraryEvent;
    use crate::studio::{Action, AxisDraft, GridAction};

    fn act(state: &mut State, action: GridAction) -> Vec<Effect> {
        state.apply(Action::Grid(action))
    }

    /// A state whose grid of steps and guidance is being made.
    fn begun(x: &str, y: &str) -> (State, Job) {
        let mut state = state();
        act(&mut state, GridAction::Open);
        let axis = |text: &str| {
            let Axis { field, .. } = Axis::read_named(text).unwrap();
            AxisDraft { field: Some(field), text: text.split_once('=').unwrap().1.to_owned() }
        };
        for (at, text) in [x, y].into_iter().enumerate() {
            let AxisDraft { field, text } = axis(text);
            act(&mut state, GridAction::Field(at, field));
            act(&mut state, GridAction::Values(at, text));
        }
        let effects = act(&mut state, GridAction::Make);
        let first = job(&kept(&mut state, effects)).expect("the first picture is sent at once");
        (state, first)
    }

    fn order(effects: &[Effect]) -> Option<SheetOrder> {
        effects.iter().find_map(|effect| match effect {
            Effect::Library(LibraryCommand::Sheet(order)) => Some((**order).clone()),
            _ => None,
        })
    }

    fn progress(state: &State) -> Vec<(usize, usize)> {
        state.grids.progress().map(|progress| (progress.settled, progress.pictures)).collect()
    }

    #[test]
    fn each_cell_is_a_job_and_the_sheet_is_asked_for_when_all_are_there() {
        let (mut state, mut sent) = begun("steps=3,5", "guidance=1,2");
        assert!(!state.grids.is_open);
        assert_eq!(state.queue.waiting().len(), 3);
        for at in 0..4 {
            assert_eq!(progress(&state), [(at, 4)]);
            let expected = ([3, 5][at % 2], [1.0, 2.0][at / 2]);
            assert_eq!((sent.request.num_inference_steps, sent.request.guidance_scale), expected);
            assert!(order(&state.tend_grids()).is_none());
            let effects = finish(&mut state, &sent, Ok(entry(at as i64, &format!("cell {at}"))));
            if at < 3 {
                sent = job(&effects).expect("the next picture is sent");
            }
        }
        let order = order(&state.tend_grids()).expect("all are there");
        assert!(
            order.cells.iter().enumerate().all(|(at, cell)| {
                matches!(cell, SheetCell::File(path) if path.ends_with(format!("cell {at}.png")))
            })
        );
        assert_eq!(order.recipe.grid.as_ref().map(|axes| axes.sides()), Some([2, 2, 1]));
        assert_eq!(order.recipe.elapsed_secs, 4.0, "one second each");
        assert!(state.tend_grids().is_empty() && progress(&state).is_empty());

        let (picture, recipe) = (super::super::tests::picture(8), order.recipe);
        let made = SheetMade { picture, recipe, saved: Ok(entry(9, "sheet")) };
        state.on_library_event(LibraryEvent::Sheet(Box::new(made)));
        assert!(state.film.newest().is_some_and(|item| item.recipe.grid.is_some()));
    }

    #[test]
    fn what_fails_or_is_stopped_stays_blank() {
        let (mut state, first) = begun("steps=3,5", "guidance=1,2");
        let effects = state.on_event(Event::Failed { job: first.id, error: UserError::failed("no room") });
        let second = job(&effects).expect("the next picture is sent");
        let waiting = state.queue.waiting().find(|job| job.id != first.id).expect("one waits").id;
        state.apply(Action::CancelJob(waiting));
        let unsaved = Err(UserError::failed("disk full"));
        let last = job(&finish(&mut state, &second, unsaved)).expect("the last is sent");
        assert!(state.tend_grids().is_empty(), "one is still on its way");
        finish(&mut state, &last, Ok(entry(4, "last")));
        let order = order(&state.tend_grids()).expect("the sheet is made all the same");
        let kinds: Vec<&str> = order
            .cells
            .iter()
            .map(|cell| match cell {
                SheetCell::Blank(reason) => reason,
                SheetCell::Memory(_) => "memory",
                SheetCell::File(_) => "file",
            })
            .collect();
        assert_eq!(kinds, ["Failed", "memory", "Stopped", "file"]);
    }

    #[test]
    fn a_grid_that_is_stopped_makes_a_sheet_of_what_is_there_or_none() {
        let (mut state, first) = begun("steps=3,5", "guidance=1,2");
        let second = job(&finish(&mut state, &first, Ok(entry(1, "first")))).expect("the next is sent");
        act(&mut state, GridAction::Stop(1));
        assert!(state.queue.waiting().len() == 0 && second.cancel.is_cancelled());
        assert!(state.tend_grids().is_empty(), "the running one has not ended");
        state.on_event(Event::Cancelled { job: second.id });
        let order = order(&state.tend_grids()).expect("one picture is there");
        assert_eq!(order.cells.iter().filter(|cell| matches!(cell, SheetCell::Blank(_))).count(), 3);

        let (mut state, first) = begun("steps=3,5", "guidance=1");
        act(&mut state, GridAction::Stop(1));
        state.on_event(Event::Cancelled { job: first.id });
        assert!(state.tend_grids().is_empty() && progress(&state).is_empty(), "there is nothing to lay out");
    }

    #[test]
    fn what_is_wrong_is_said_and_nothing_is_made() {
        let mut state = state();
        act(&mut state, GridAction::Open);
        let plan = state.grids.check.plan.as_ref().expect("the example can be made");
        assert_eq!((plan.pictures, plan.secs), (3, None));
        act(&mut state, GridAction::Values(0, "1, many, -5".into()));
        assert!(matches!(&state.grids.check.axes[0], Some(Err(problems)) if problems.len() == 1));
        assert!(state.grids.check.plan.is_none() && act(&mut state, GridAction::Make).is_empty());
        act(&mut state, GridAction::Values(0, "1, 500".into()));
        assert_eq!(state.grids.check.problems.len(), 1, "{:?}", state.grids.check.problems);
        act(&mut state, GridAction::Field(0, None));
        assert!(state.grids.check.problems[0].contains("Choose"));
        assert!(act(&mut state, GridAction::Make).is_empty() && state.queue.running().is_none());

        let sampler = crate::domain::grid::Field::of_name("sampler");
        act(&mut state, GridAction::Field(0, sampler));
        act(&mut state, GridAction::Fill(0));
        assert_eq!(state.grids.axes[0].text, "dpmpp_2m");
        for at in [3, 99] {
            assert!(act(&mut state, GridAction::Values(at, "1".into())).is_empty());
            assert!(act(&mut state, GridAction::Field(at, sampler)).is_empty());
            assert!(act(&mut state, GridAction::Fill(at)).is_empty());
        }
    }

    #[test]
    fn numbers_stay_when_the_field_changes_to_one_that_takes_them() {
        let mut state = state();
        let field = crate::domain::grid::Field::of_name;
        act(&mut state, GridAction::Values(0, "3, 4".into()));
        act(&mut state, GridAction::Field(0, field("steps")));
        assert_eq!(state.grids.axes[0].text, "3, 4");
        act(&mut state, GridAction::Field(0, field("sampler")));
        assert_eq!(state.grids.axes[0].text, "");
    }
}
