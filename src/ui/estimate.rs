//! What the draft will take, below Generate, and what the running picture takes.

use egui::{RichText, Ui};

use crate::studio::{State, memory_text};

use super::theme::palette;
use super::widgets::hint_ui;

/// What the draft will take on this machine, and what is missing where it does not fit.
pub fn estimate_ui(ui: &mut Ui, state: &State) {
    if state.generate_blocked().is_some() {
        return; // the reason is said beside its field
    }
    let estimate = state.estimate();
    let explanation = "Judged by the pictures that this machine has made so far. Loading a model comes on top";
    ui.vertical_centered(|ui| {
        let text = match (estimate.text(), estimate.secs) {
            (Some(text), Some(_)) => text,
            (Some(bytes), None) => format!("{bytes} · the first picture tells how long it takes"),
            (None, _) => "The first picture tells how long it takes".to_owned(),
        };
        hint_ui(ui, text).on_hover_text(explanation);
    });
    if let Some(shortage) = estimate.shortage {
        let colour = palette(ui).danger;
        ui.add(egui::Label::new(RichText::new(shortage).small().color(colour)).wrap());
    }
}

/// Speed and memory of the running picture, in the row of its progress.
pub fn pace_ui(ui: &mut Ui, state: &State) {
    let p = palette(ui);
    let pace = state.secs_per_step().map(pace_text);
    let memory = state.shell.machine.memory.map(|memory| memory_text(memory.own_bytes));
    for text in pace.into_iter().chain(memory) {
        ui.label(RichText::new("·").color(p.text_faint));
        ui.label(RichText::new(text).color(p.text_dim));
    }
}

/// Speed as people say it: steps a second where there are several, else seconds a step.
fn pace_text(secs_per_step: f64) -> String {
    if secs_per_step < 0.5 {
        format!("{:.1} steps/s", 1.0 / secs_per_step.max(1e-6))
    } else {
        format!("{secs_per_step:.1} s/step")
    }
}

#[cfg(test)]
mod tests {
    use super::pace_text;

    #[test]
    fn speed_is_said_in_numbers_above_one() {
        for (secs, text) in [(0.1, "10.0 steps/s"), (0.49, "2.0 steps/s"), (0.5, "0.5 s/step"), (8.71, "8.7 s/step")] {
            assert_eq!(pace_text(secs), text);
        }
    }
}
