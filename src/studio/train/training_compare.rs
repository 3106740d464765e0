//! The kept steps of a training side by side: a grid in Create of steps, prompts and weights.

use crate::domain::Result;
use crate::domain::grid::Field;
use crate::domain::grid::values::list_text;
use crate::domain::training::{DeskCommand, Method};
use crate::studio::{Action, Effect, GridAction, Place, State};

use super::TrainingRun;

/// The most steps that are compared: the newest.
const MAX_STEPS: usize = 6;
/// The weights that they are put on with: not at all, half, as they were trained.
const WEIGHTS: &str = "0, 0.5, 1";

impl TrainingRun {
    /// Whether there is something to compare: adapters, which can be put on one after the other.
    #[must_use]
    pub fn can_be_compared(&self) -> bool {
        !self.is_running() && self.config.method == Method::Lora && !self.saved.is_empty()
    }
}

impl State {
    /// Makes the kept steps ready.
    pub(super) fn compare_steps(&mut self) -> Vec<Effect> {
        let folder = self.paths.loras_dir.clone();
        let Some(run) = self.train.training.run.as_mut().filter(|run| run.can_be_compared() && !run.is_gathering)
        else {
            return Vec::new();
        };
        run.is_gathering = true;
        // The last one is the result itself, where that was made.
        let is_whole = run.now.is_some_and(|now| now.step >= now.steps);
        let file = run.result().cloned().filter(|_| is_whole);
        let last = run.now.map(|now| now.step).filter(|_| file.is_some());
        let mut steps: Vec<u64> = run.saved.iter().copied().filter(|step| Some(*step) != last).collect();
        steps.drain(..steps.len().saturating_sub(MAX_STEPS));
        let config = Box::new(run.config.clone());
        vec![Effect::Desk(DeskCommand::Gather { config, steps, file, folder })]
    }

    /// They can be named: the grid is written, and shown to be changed or made.
    pub(super) fn steps_gathered(&mut self, names: Result<Vec<String>>) -> Vec<Effect> {
        let Some(run) = &mut self.train.training.run else { return Vec::new() };
        run.is_gathering = false;
        let names = match names {
            Ok(names) => names,
            Err(error) => {
                self.notices.error(error);
                return Vec::new();
            }
        };
        let (model, prompts) = (run.config.model.clone(), run.config.samples.prompts.clone());
        self.place = Place::Create;
        let mut effects = if self.draft.request.model == model { Vec::new() } else { self.choose_model(model) };
        // The folder has new files.
        self.adapters.model = None;
        effects.extend(self.fit_adapters());
        let prompts = list_text(prompts.iter().map(String::as_str));
        let axes = [
            ("lora", list_text(names.iter().map(String::as_str))),
            ("prompt", prompts),
            ("lora_weight", WEIGHTS.to_owned()),
        ];
        for (at, (name, values)) in axes.into_iter().enumerate() {
            let field = Field::of_name(name).filter(|_| !values.is_empty());
            effects.extend(self.apply(Action::Grid(GridAction::Field(at, field))));
            effects.extend(self.apply(Action::Grid(GridAction::Values(at, values))));
        }
        effects.extend(self.apply(Action::Grid(GridAction::Open)));
        effects
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::training::{DeskEvent, TrainingConfig};
    use crate::domain::{Settings, UserError};
    use crate::studio::tests::state_with;
    use crate::studio::{TrainAction, TrainingAction, TrainingStage};

    #[test]
    fn the_kept_steps_become_a_grid_that_can_be_made() {
        let mut state = state_with(Settings::default());
        state.start();
        let mut config = TrainingConfig { output: "/out".into(), ..TrainingConfig::default() };
        config.samples.prompts = vec!["a boot, \"brown\"".to_owned(), "a scarf".to_owned()];
        let mut run = TrainingRun::new(config);
        run.stage = TrainingStage::Ended;
        run.saved = (1..=9).collect();
        state.train.training.run = Some(run);
        let effects = state.apply(Action::Train(TrainAction::Training(TrainingAction::Compare)));
        let [Effect::Desk(DeskCommand::Gather { steps, file: None, .. })] = effects.as_slice() else {
            panic!("{effects:?}")
        };
        assert_eq!(*steps, (4..=9).collect::<Vec<_>>());
        let names = (4..=9).map(|step| format!("boots-step-{step:06}")).collect();
        state.on_desk_event(DeskEvent::Gathered(Ok(names)));
        assert_eq!((state.place, state.grids.is_open), (Place::Create, true));
        let plan = state.grids.check.plan.as_ref().unwrap_or_else(|| panic!("{:?}", state.grids.check));
        assert_eq!(plan.pictures, 6 * 2 * 3);
        let first = plan.grid.cell(0).unwrap();
        assert_eq!(first.prompt, "a boot, \"brown\" <lora:boots-step-000004:0>");
    }

    #[test]
    fn what_cannot_be_made_ready_is_told() {
        let mut state = state_with(Settings::default());
        let mut run = TrainingRun::new(TrainingConfig::default());
        (run.stage, run.saved) = (TrainingStage::Ended, vec![5]);
        state.train.training.run = Some(run);
        state.apply(Action::Train(TrainAction::Training(TrainingAction::Compare)));
        assert!(state.train.training.run.as_ref().unwrap().is_gathering);
        state.on_desk_event(DeskEvent::Gathered(Err(UserError::failed("The disk is full"))));
        assert!(!state.train.training.run.as_ref().unwrap().is_gathering && !state.grids.is_open);
        assert_eq!(state.notices.list().len(), 1);
    }
}
