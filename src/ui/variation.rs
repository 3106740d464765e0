//! Variations: the walk of the draft's seed, and the question how a finished picture is to be varied.

use egui::{CollapsingHeader, Context, Frame, Id, Modal, RichText, Ui, vec2};

use crate::domain::{GenerateRequest, Problem, Variation};
use crate::studio::{Action, Info, State, VariationAction};

use super::draft::problem_of;
use super::draft_fields::{NumberRange, named_number_ui, number_ui, seed_text_ui};
use super::icons::Icon;
use super::theme::{self, palette};
use super::widgets::{
    Emphasis, action_button_ui, action_icon_ui, button_ui, field_name_ui, hint_ui, problem_ui, tooltip,
};

/// Counts that are offered.
const COUNTS: [u32; 3] = [4, 8, 16];

/// The walk of the draft's seed, folded away where there is none.
pub fn variation_ui(ui: &mut Ui, state: &State, problems: &[Problem], actions: &mut Vec<Action>) {
    let variation = state.draft.request.variation;
    let is_on = variation.is_some_and(Variation::is_on);
    let info = act(VariationAction::Strength(0.0)).info();
    let title = RichText::new(info.text).text_style(theme::label()).color(palette(ui).text_dim);
    // What is not as usual is never hidden.
    let header = CollapsingHeader::new(title).id_salt("variation").open(is_on.then_some(true));
    let shown = header.show_unindented(ui, |ui| {
        ui.spacing_mut().item_spacing.y = theme::UNIT;
        let range = NumberRange { slider: 0.0..=1.0, typed: 0.0..=1.0, step: 0.05, decimals: 2 };
        let strength = variation.map_or(0.0, |variation| variation.strength);
        let of_strength = Info { text: "Strength", ..info };
        let named = named_number_ui(ui, &of_strength, Some("the variation"), strength, &range);
        if let Some(strength) = named {
            actions.push(act(VariationAction::Strength(strength)));
        }
        if let Some(variation) = variation.filter(|variation| variation.is_on()) {
            let name = field_name_ui(ui, &act(VariationAction::Seed(0)).info());
            ui.horizontal(|ui| {
                ui.spacing_mut().item_spacing.x = 2.0;
                let width = ui.available_width() - theme::CONTROL_HEIGHT - 2.0;
                if let Some(seed) = seed_text_ui(ui, "variation seed", &name, variation.seed, width) {
                    actions.push(act(VariationAction::Seed(seed)));
                }
                let roll = act(VariationAction::RollSeed);
                action_icon_ui(ui, Icon::Dice, &roll, false, theme::CONTROL_HEIGHT, actions);
            });
        }
        problem_ui(ui, problem_of(problems, "variation"));
    });
    shown.header_response.on_hover_text(info.tooltip);
}

/// The question how a finished picture is to be varied, if it is asked.
pub fn variations_dialog_ui(ctx: &Context, state: &State, actions: &mut Vec<Action>) {
    let Some(of) = &state.variations.of else { return };
    let modal = Modal::new(Id::unique("variations")).show(ctx, |ui| {
        Frame::new().inner_margin(theme::DIALOG_MARGIN).show(ui, |ui| content_ui(ui, state, of, actions));
    });
    if modal.should_close() {
        actions.push(act(VariationAction::Close));
    }
}

/// What stands in the dialog.
fn content_ui(ui: &mut Ui, state: &State, of: &GenerateRequest, actions: &mut Vec<Action>) {
    ui.set_width(360.0);
    let p = palette(ui);
    ui.label(RichText::new("Variations").text_style(theme::title()).color(p.text));
    hint_ui(ui, format!("Pictures around seed {}, made with all that made this one", of.seed));
    if of.variation.is_some_and(Variation::is_on) {
        hint_ui(ui, "This picture is itself a variation: the new ones vary what it came from");
    }
    ui.add_space(theme::UNIT);
    let range = NumberRange { slider: 0.01..=1.0, typed: 0.01..=1.0, step: 0.01, decimals: 2 };
    let info = act(VariationAction::Reach(0.0)).info();
    if let Some(strength) = number_ui(ui, &info, state.variations.strength, &range) {
        actions.push(act(VariationAction::Reach(strength)));
    }
    ui.horizontal(|ui| {
        field_name_ui(ui, &act(VariationAction::Count(0)).info());
        for count in COUNTS {
            let chosen = state.variations.count == count;
            let entry = ui.selectable_label(chosen, count.to_string());
            if entry.on_hover_text(format!("Make {count} variations")).clicked() {
                actions.push(act(VariationAction::Count(count)));
            }
        }
    });
    ui.add_space(2.0 * theme::UNIT);
    ui.horizontal(|ui| {
        let info = act(VariationAction::Make).info();
        let text = format!("Make {} variations", state.variations.count);
        let size = vec2(180.0, theme::CONTROL_HEIGHT);
        if button_ui(ui, &text, Emphasis::Primary, size).on_hover_text(tooltip(&info)).clicked() {
            actions.push(act(VariationAction::Make));
        }
        let size = vec2(96.0, theme::CONTROL_HEIGHT);
        action_button_ui(ui, &act(VariationAction::Close), Emphasis::Normal, size, actions);
    });
}

fn act(action: VariationAction) -> Action {
    Action::Variation(action)
}
