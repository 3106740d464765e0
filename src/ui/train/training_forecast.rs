//! What a training will need, beside the button that begins it.

use egui::{Frame, Margin, Panel, Rect, RichText, ScrollArea, Sense, Ui, vec2};

use crate::domain::bytes_text;
use crate::domain::training::Forecast;
use crate::studio::{Action, Foresight, State, TrainingAction, duration_text};
use crate::ui::theme::{self, palette};
use crate::ui::widgets::{Emphasis, button_ui, hint_ui, problem_ui, tooltip};

use super::training::{act, fact_ui, title_ui, wrapped_ui};
use super::training_fields::capitalised;
use super::training_setup::preset_name;

/// The column at the right.
pub fn forecast_ui(ui: &mut Ui, state: &State, actions: &mut Vec<Action>) {
    let p = palette(ui);
    let frame = Frame::new().fill(p.panel).inner_margin(Margin { top: 8, ..Margin::ZERO });
    Panel::bottom("training start").show_separator_line(false).resizable(false).frame(frame).show(ui, |ui| {
        start_ui(ui, state, actions);
    });
    ScrollArea::vertical().auto_shrink(false).show(ui, |ui| {
        let desk = &state.train.training;
        title_ui(ui, "What it will take");
        ui.label(preset_name(state).small().color(p.text_dim));
        ui.add_space(2.0 * theme::UNIT);
        match (&desk.foresight, desk.foresight.forecast()) {
            (Foresight::Failed(error), _) => {
                problem_ui(ui, Some(&error.sentence));
                if let Some(hint) = &error.hint {
                    wrapped_ui(ui, hint);
                }
                if let Some(path) = &error.path {
                    wrapped_ui(ui, &path.display().to_string());
                }
            }
            (foresight, Some(forecast)) => {
                let is_old = matches!(foresight, Foresight::Asked(_));
                ui.scope(|ui| {
                    if is_old {
                        ui.set_opacity(0.5);
                    }
                    known_ui(ui, forecast);
                });
            }
            (Foresight::Asked(_), None) => wrapped_ui(ui, "Being worked out…"),
            _ => {
                wrapped_ui(
                    ui,
                    "Once a data set is chosen, memory and time are worked out here before anything begins.",
                );
            }
        }
    });
}

fn known_ui(ui: &mut Ui, forecast: &Forecast) {
    let p = palette(ui);
    let big = |text: String| RichText::new(text).font(theme::semibold(22.0)).color(p.text);
    let all = forecast.secs_per_step * forecast.steps as f64;
    ui.label(big(format!("About {}", about_text(all))));
    hint_ui(ui, format!("{} steps of {} on this computer", forecast.steps, duration_text(forecast.secs_per_step)));
    ui.add_space(3.0 * theme::UNIT);
    ui.label(big(format!("About {}", bytes_text(forecast.bytes()))));
    hint_ui(ui, "of memory, at most");
    ui.add_space(theme::UNIT);
    shares_ui(ui, forecast);
    ui.add_space(2.0 * theme::UNIT);
    fact_ui(ui, "Numbers that are trained", &crate::ui::draft::count_text(forecast.trained));
    ui.add_space(theme::UNIT);
    wrapped_ui(
        ui,
        "Too much? Fewer pictures at a time, a lower resolution, or Compute again instead of keeping need less memory; a \
         smaller rank and fewer batches of a step need less time.",
    );
}

/// What fills the memory, as a bar and as a list.
fn shares_ui(ui: &mut Ui, forecast: &Forecast) {
    let p = palette(ui);
    let all = forecast.bytes().max(1) as f32;
    let colours = [p.named, p.accent, p.drawn, p.text_faint];
    let (rect, _) = ui.allocate_exact_size(vec2(ui.available_width(), 2.0 * theme::UNIT), Sense::hover());
    let mut left = rect.left();
    for (share, colour) in forecast.memory.iter().zip(colours) {
        let width = rect.width() * share.bytes as f32 / all;
        let part = Rect::from_min_size(egui::pos2(left, rect.top()), vec2((width - 1.0).max(1.0), rect.height()));
        ui.painter().rect_filled(part, 2, colour);
        left += width;
    }
    ui.add_space(theme::UNIT);
    for (share, colour) in forecast.memory.iter().zip(colours) {
        ui.horizontal_top(|ui| {
            let (dot, _) = ui.allocate_exact_size(vec2(2.0 * theme::UNIT, 4.0 * theme::UNIT), Sense::hover());
            ui.painter().circle_filled(dot.center(), 3.5, colour);
            let room = ui.available_width() - 72.0;
            ui.vertical(|ui| {
                ui.set_width(room);
                wrapped_ui(ui, &capitalised(share.what));
            });
            ui.with_layout(egui::Layout::right_to_left(egui::Align::Min), |ui| {
                ui.label(RichText::new(bytes_text(share.bytes)).small().color(p.text));
            });
        });
    }
}

fn start_ui(ui: &mut Ui, state: &State, actions: &mut Vec<Action>) {
    let desk = &state.train.training;
    let blocked = desk.blocked();
    if let Some(reason) = &blocked {
        wrapped_ui(ui, reason);
    }
    let info = TrainingAction::Begin.info();
    let size = vec2(ui.available_width(), theme::GENERATE_HEIGHT);
    let response = ui
        .add_enabled_ui(blocked.is_none(), |ui| button_ui(ui, info.text, Emphasis::Primary, size))
        .inner
        .on_hover_text(tooltip(&info))
        .on_disabled_hover_text(blocked.unwrap_or_default());
    if response.clicked() {
        actions.push(act(TrainingAction::Begin));
    }
}

/// A time as exactly as a forecast can tell it.
fn about_text(secs: f64) -> String {
    match secs {
        secs if secs < 90.0 => format!("{secs:.0} s"),
        secs if secs < 5400.0 => format!("{:.0} min", secs / 60.0),
        secs if secs < 172_800.0 => format!("{:.1} h", secs / 3600.0),
        secs => format!("{:.1} days", secs / 86_400.0),
    }
}

#[cfg(test)]
mod tests {
    use super::about_text;

    #[test]
    fn a_time_is_told_in_its_size() {
        let told = [30.4, 186.0, 7200.0, 400_000.0].map(about_text);
        assert_eq!(told, ["30 s", "3 min", "2.0 h", "4.6 days"]);
    }
}
