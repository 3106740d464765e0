//! The draft's column: everything that makes a picture, and Generate.

use egui::{Button, Frame, Margin, Panel, RichText, ScrollArea, Ui, vec2};

use crate::domain::{ModelRef, Problem};
use crate::studio::{Action, Edit, ModelStatus, State};

use super::adapters::adapters_ui;
use super::draft_fields::{combo_ui, count_ui, guidance_ui, sampler_and_schedule_ui, seed_ui, size_ui, steps_ui};
use super::extras::{init_ui, more_ui};
use super::grid::grid_button_ui;
use super::prompt::PromptFields;
use super::theme::{self, palette};
use super::variation::variation_ui;
use super::widgets::{Emphasis, button_ui, hint_ui, problem_ui, tooltip};

const MARGIN: i8 = 16;

/// The draft's column. `focus_prompt` puts the keyboard into the prompt.
pub fn draft_ui(ui: &mut Ui, state: &State, prompts: &mut PromptFields, focus_prompt: bool, actions: &mut Vec<Action>) {
    let p = palette(ui);
    let problems = state.problems();
    let bottom = Frame::new().fill(p.panel).inner_margin(Margin { left: MARGIN, right: MARGIN, top: 12, bottom: 12 });
    Panel::bottom("generate").resizable(false).show_separator_line(true).frame(bottom).show(ui, |ui| {
        generate_ui(ui, state, actions);
        super::estimate::estimate_ui(ui, state);
    });
    ScrollArea::vertical().auto_shrink(false).show(ui, |ui| {
        Frame::new().inner_margin(Margin { left: MARGIN, right: MARGIN, top: 16, bottom: 16 }).show(ui, |ui| {
            ui.spacing_mut().item_spacing.y = theme::UNIT;
            let gap = 3.0 * theme::UNIT;
            prompts.show(ui, state, focus_prompt, &problems, actions);
            ui.add_space(gap);
            model_ui(ui, state, actions);
            adapters_ui(ui, state, actions);
            ui.add_space(gap);
            size_ui(ui, state, &problems, actions);
            ui.add_space(gap);
            steps_ui(ui, state, &problems, actions);
            guidance_ui(ui, state, &problems, actions);
            ui.add_space(gap);
            sampler_and_schedule_ui(ui, state, actions);
            ui.add_space(gap);
            ui.horizontal_top(|ui| {
                let count_width = 112.0;
                let seed_width = ui.available_width() - count_width - 3.0 * theme::UNIT;
                ui.allocate_ui(vec2(seed_width, 0.0), |ui| ui.vertical(|ui| seed_ui(ui, state, actions)));
                ui.add_space(theme::UNIT);
                ui.vertical(|ui| count_ui(ui, state, &problems, actions));
            });
            variation_ui(ui, state, &problems, actions);
            ui.add_space(gap);
            init_ui(ui, state, &problems, actions);
            super::timeline::draft_fork_ui(ui, state, &problems, actions);
            ui.add_space(gap);
            more_ui(ui, state, &problems, actions);
        });
    });
}

/// The sentence on what is wrong with a field.
pub fn problem_of<'a>(problems: &'a [Problem], field: &str) -> Option<&'a str> {
    problems.iter().find(|problem| problem.field == field).map(|problem| problem.sentence.as_str())
}

fn model_ui(ui: &mut Ui, state: &State, actions: &mut Vec<Action>) {
    let chosen = &state.draft.request.model;
    let info = Action::Edit(Edit::Model(ModelRef::Starter)).info();
    let width = ui.available_width();
    combo_ui(ui, "model", &info, &state.models.name(chosen), width, |ui| {
        let starter = std::iter::once(ModelRef::Starter);
        for model in starter.chain(state.models.recent.iter().cloned().map(ModelRef::Path)) {
            let path = match &model {
                ModelRef::Starter => "The small model inside the program".to_owned(),
                ModelRef::Path(path) => path.display().to_string(),
            };
            let entry = ui.selectable_label(*chosen == model, state.models.name(&model)).on_hover_text(path);
            if entry.clicked() {
                actions.push(Action::Edit(Edit::Model(model)));
            }
        }
        ui.separator();
        let open = Action::ChooseModel.info();
        if button_ui(ui, open.text, Emphasis::Quiet, vec2(0.0, 0.0)).on_hover_text(tooltip(&open)).clicked() {
            actions.push(Action::ChooseModel);
            ui.close();
        }
    });
    match (state.models.status(chosen), state.family()) {
        (Some(ModelStatus::Failed(error)), _) => problem_ui(ui, Some(&error.sentence)),
        (Some(ModelStatus::Loading), None) => {
            hint_ui(ui, if state.queue.running().is_some() { "Loads after this picture" } else { "Loading…" });
        }
        (Some(ModelStatus::Ready(info)), Some(family)) => {
            hint_ui(ui, format!("{} · {} parameters", family.label, count_text(info.parameters)));
        }
        (_, Some(family)) => {
            hint_ui(ui, family.label);
        }
        (_, None) => {}
    }
}

/// A large number as people say it: `860 M`.
pub fn count_text(count: u64) -> String {
    match count {
        0..=999_999 => count.to_string(),
        1_000_000..=9_999_999 => format!("{:.1} M", count as f64 / 1e6),
        10_000_000..=999_999_999 => format!("{:.0} M", count as f64 / 1e6),
        _ => format!("{:.1} B", count as f64 / 1e9),
    }
}

fn generate_ui(ui: &mut Ui, state: &State, actions: &mut Vec<Action>) {
    let blocked = state.generate_blocked();
    let width = ui.available_width();
    let grid = vec2(theme::GRID_BUTTON_WIDTH, theme::GENERATE_HEIGHT);
    let Some(running) = state.queue.running() else {
        ui.horizontal(|ui| {
            let width = width - grid.x - ui.spacing().item_spacing.x;
            generate_button_ui(ui, "Generate", Emphasis::Primary, width, blocked.as_deref(), actions);
            grid_button_ui(ui, grid, blocked.as_deref(), actions);
        });
        return;
    };
    // While a picture forms, the wide button stops it; Generate stays within reach and queues another.
    ui.horizontal(|ui| {
        let cancel_width = ((width - grid.x) * 0.52).round();
        let size = vec2(cancel_width, theme::GENERATE_HEIGHT);
        let info = Action::Cancel.info();
        let text = if running.cancelling { "Cancelling…" } else { info.text };
        let cancel = ui
            .add_enabled_ui(!running.cancelling, |ui| button_ui(ui, text, Emphasis::Primary, size))
            .inner
            .on_hover_text(tooltip(&info));
        if cancel.clicked() {
            actions.push(Action::Cancel);
        }
        let rest = ui.available_width() - grid.x - ui.spacing().item_spacing.x;
        generate_button_ui(ui, "Generate", Emphasis::Normal, rest, blocked.as_deref(), actions);
        grid_button_ui(ui, grid, blocked.as_deref(), actions);
    });
}

fn generate_button_ui(
    ui: &mut Ui,
    text: &str,
    emphasis: Emphasis,
    width: f32,
    blocked: Option<&str>,
    actions: &mut Vec<Action>,
) {
    let info = Action::Generate.info();
    let size = vec2(width, theme::GENERATE_HEIGHT);
    let response = ui
        .add_enabled_ui(blocked.is_none(), |ui| match emphasis {
            Emphasis::Primary | Emphasis::Quiet => button_ui(ui, text, emphasis, size),
            Emphasis::Normal => {
                let label = RichText::new(text).font(theme::semibold(14.0));
                ui.add_sized(size, Button::new(label))
            }
        })
        .inner;
    let response = response.on_hover_text(tooltip(&info)).on_disabled_hover_text(blocked.unwrap_or_default());
    if response.clicked() {
        actions.push(Action::Generate);
    }
}

#[cfg(test)]
mod tests {
    use super::count_text;

    #[test]
    fn large_numbers_read_as_people_say_them() {
        for (count, text) in [(0, "0"), (1_500_000, "1.5 M"), (859_520_964, "860 M"), (2_567_463_684, "2.6 B")] {
            assert_eq!(count_text(count), text);
        }
    }
}
