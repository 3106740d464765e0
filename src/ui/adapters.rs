//! `LoRA`s and embeddings in the draft: how each fits the model, and switches and sliders that edit the prompt.

use egui::{Align, CollapsingHeader, Id, Label, Layout, RichText, TextEdit, Ui, vec2};

use crate::domain::prompt::Network;
use crate::domain::{AdapterCard, EmbeddingFit, LoraFit, UserError, limits};
use crate::studio::{Action, AdapterAction, Info, State, can_be_named};

use super::draft_fields::{NumberRange, named_number_ui};
use super::icons::Icon;
use super::theme::{self, palette};
use super::widgets::{Emphasis, action_button_ui, action_icon_ui, hint_ui, problem_ui, tooltip};

/// The key of the search's field.
pub fn search_id() -> Id {
    Id::unique("adapters_search")
}

/// All adapters and embeddings, behind a line that tells how many are in use.
pub fn adapters_ui(ui: &mut Ui, state: &State, actions: &mut Vec<Action>) {
    let worn = state.worn();
    let said = state.adapters.embeddings.iter().filter(|card| state.says(&card.name) != (false, false)).count();
    let in_use = worn.len() + said;
    let title = match in_use {
        0 => "LoRAs and embeddings".to_owned(),
        count => format!("LoRAs and embeddings: {count} in use"),
    };
    let title = RichText::new(title).text_style(theme::label()).color(palette(ui).text_dim);
    // What is in use is never hidden.
    let open = (in_use > 0).then_some(true);
    CollapsingHeader::new(title).id_salt("adapters").open(open).show_unindented(ui, |ui| {
        ui.spacing_mut().item_spacing.y = theme::UNIT;
        let adapters = &state.adapters;
        if let Some(UserError { sentence, .. }) = &adapters.problem {
            problem_ui(ui, Some(&format!("It cannot be told what fits: {sentence}")));
        } else if adapters.loras.is_empty() && adapters.embeddings.is_empty() {
            none_ui(ui, state, actions);
            return;
        }
        search_ui(ui, state, actions);
        for card in adapters.found_loras() {
            let worn = worn.iter().find(|network| network.name.to_lowercase() == card.name.to_lowercase());
            lora_ui(ui, card, worn, actions);
        }
        for card in adapters.found_embeddings() {
            embedding_ui(ui, card, state.says(&card.name), actions);
        }
        if adapters.has_search() && adapters.found_loras().count() + adapters.found_embeddings().count() == 0 {
            hint_ui(ui, "None of them has this in its name");
        }
    });
}

/// What to do where there are none.
fn none_ui(ui: &mut Ui, state: &State, actions: &mut Vec<Action>) {
    if state.adapters.is_waiting {
        hint_ui(ui, "Looking for them…");
        return;
    }
    let p = palette(ui);
    for (what, folder) in [("LoRAs", &state.paths.loras_dir), ("Embeddings", &state.paths.embeddings_dir)] {
        let text = RichText::new(format!("None yet. {what} go into {}", folder.display())).small().color(p.text_faint);
        ui.add(Label::new(text).wrap().selectable(true));
    }
    let again = Action::Adapter(AdapterAction::Refresh);
    action_button_ui(ui, &again, Emphasis::Normal, vec2(0.0, 0.0), actions);
}

/// The search, where there are many, and looking again.
fn search_ui(ui: &mut Ui, state: &State, actions: &mut Vec<Action>) {
    ui.horizontal(|ui| {
        let again = Action::Adapter(AdapterAction::Refresh);
        if state.adapters.has_search() {
            let info = AdapterAction::Search(String::new()).info();
            let mut text = state.adapters.search.clone();
            let width = ui.available_width() - theme::CONTROL_HEIGHT - 2.0 * theme::UNIT;
            let field = TextEdit::singleline(&mut text).id(search_id()).desired_width(width);
            let response = ui.add(field.hint_text(info.text)).on_hover_text(info.tooltip);
            if response.accessible_name("Search LoRAs and embeddings").changed() {
                actions.push(Action::Adapter(AdapterAction::Search(text)));
            }
        } else {
            let counted = state.adapters.loras.len() + state.adapters.embeddings.len();
            hint_ui(ui, if state.adapters.is_waiting { "Looking…".to_owned() } else { format!("{counted} here") });
        }
        ui.with_layout(Layout::right_to_left(Align::Center), |ui| {
            action_icon_ui(ui, Icon::Refresh, &again, false, theme::CONTROL_HEIGHT, actions);
        });
    });
}

fn lora_ui(ui: &mut Ui, card: &AdapterCard<LoraFit>, worn: Option<&Network>, actions: &mut Vec<Action>) {
    let p = palette(ui);
    let name = &card.name;
    let refusal = card.refusal().cloned().or_else(|| {
        let unnamed = UserError::input("A prompt cannot name this file");
        (!can_be_named(name)).then(|| unnamed.hint("rename it: without < > : = and spaces at its ends"))
    });
    let mut on = worn.is_some();
    // One that does not fit can still be taken off.
    let can = on || refusal.is_none();
    let info = AdapterAction::Wear(String::new(), true).info();
    let label = RichText::new(name).color(if can { p.text } else { p.text_faint });
    let switch = ui.add_enabled_ui(can, |ui| ui.checkbox(&mut on, label)).inner;
    let switch = switch.on_hover_text(format!("{}\n{}", info.tooltip, card.path.display()));
    if switch.clicked() {
        actions.push(Action::Adapter(AdapterAction::Wear(name.clone(), on)));
    }
    ui.indent(("lora", name), |ui| {
        let apart = worn.is_some_and(|worn| worn.text_encoder_weight != worn.unet_weight);
        if let Some(worn) = worn.filter(|_| !apart) {
            let info = AdapterAction::Weigh(String::new(), 1.0, 1.0).info();
            if let Some(weight) = weight_ui(ui, &info, name, worn.unet_weight) {
                actions.push(Action::Adapter(AdapterAction::Weigh(name.clone(), weight, weight)));
            }
        }
        if let Some(refusal) = &refusal {
            refusal_ui(ui, refusal);
        }
        let Ok(fit) = &card.fit else { return };
        let made_for = fit.made_for.as_ref().map(|family| format!(" · {family}")).unwrap_or_default();
        let title = RichText::new(format!("{}{made_for}", fit.matched_text())).small().color(p.text_faint);
        CollapsingHeader::new(title).id_salt(("fit", name)).open(apart.then_some(true)).show_unindented(ui, |ui| {
            if let Some(worn) = worn {
                apart_ui(ui, name, worn, actions);
            }
            fit_ui(ui, fit);
        });
    });
}

/// The two weights of an adapter.
fn apart_ui(ui: &mut Ui, name: &str, worn: &Network, actions: &mut Vec<Action>) {
    let (text, unet) = (worn.text_encoder_weight, worn.unet_weight);
    let weigh = |text, unet| Action::Adapter(AdapterAction::Weigh(name.to_owned(), text, unet));
    let info = Info { text: "Text", tooltip: "How strongly it changes how the prompt is read", shortcut: None };
    if let Some(weight) = weight_ui(ui, &info, name, text) {
        actions.push(weigh(weight, unet));
    }
    let info = Info { text: "UNet", tooltip: "How strongly it changes how the picture is drawn", shortcut: None };
    if let Some(weight) = weight_ui(ui, &info, name, unet) {
        actions.push(weigh(text, weight));
    }
}

fn weight_ui(ui: &mut Ui, info: &Info, name: &str, weight: f64) -> Option<f64> {
    const MOST: f64 = limits::MAX_LORA_WEIGHT;
    let range = NumberRange { slider: 0.0..=1.5, typed: -MOST..=MOST, step: 0.05, decimals: 2 };
    named_number_ui(ui, info, Some(name), weight, &range)
}

/// What is known of how a file fits, line by line.
fn fit_ui(ui: &mut Ui, fit: &LoraFit) {
    let LoraFit { keys: _, keys_matched: _, parts, made_for: _, form, ignored, first_ignored, notes, refusal: _ } = fit;
    for (part, matched, keys) in parts {
        hint_ui(ui, format!("{part}: {matched} of {keys} keys"));
    }
    if let Some(form) = form {
        hint_ui(ui, format!("Names of {form}"));
    }
    let p = palette(ui);
    for one in first_ignored {
        ui.add(Label::new(RichText::new(format!("Not used: {one}")).small().color(p.text_dim)).wrap());
    }
    if *ignored > first_ignored.len() {
        hint_ui(ui, format!("and {} more that are not used", ignored - first_ignored.len()));
    }
    for note in notes {
        ui.add(Label::new(RichText::new(note).small().color(p.text_dim)).wrap());
    }
}

fn embedding_ui(
    ui: &mut Ui,
    card: &AdapterCard<EmbeddingFit>,
    (said, avoided): (bool, bool),
    actions: &mut Vec<Action>,
) {
    let p = palette(ui);
    let name = &card.name;
    let refusal = card.refusal().cloned();
    ui.horizontal(|ui| {
        let colour = if refusal.is_none() { p.text } else { p.text_faint };
        ui.with_layout(Layout::right_to_left(Align::Center), |ui| {
            for (on, action) in [
                (avoided, AdapterAction::Avoid as fn(String, bool) -> AdapterAction),
                (said, AdapterAction::Say as fn(String, bool) -> AdapterAction),
            ] {
                let info = action(String::new(), true).info();
                let can = on || refusal.is_none();
                let response = ui.add_enabled_ui(can, |ui| ui.selectable_label(on, RichText::new(info.text).small()));
                let response = response.inner.on_hover_text(tooltip(&info));
                if response.accessible_name(format!("{name} in the {}", place_of(info.text))).clicked() {
                    actions.push(Action::Adapter(action(name.clone(), !on)));
                }
            }
            ui.with_layout(Layout::left_to_right(Align::Center), |ui| {
                let label = Label::new(RichText::new(name).color(colour)).truncate();
                ui.add(label).on_hover_text(card.path.display().to_string());
            });
        });
    });
    ui.indent(("embedding", name), |ui| {
        if let Some(refusal) = &refusal {
            refusal_ui(ui, refusal);
        }
        if let Ok(fit) = &card.fit {
            let vectors = if fit.vectors == 1 { "1 vector".to_owned() } else { format!("{} vectors", fit.vectors) };
            let widths: Vec<String> = fit.widths.iter().map(ToString::to_string).collect();
            hint_ui(ui, format!("Embedding, {vectors} of width {}", widths.join(" and ")));
        }
    });
}

fn place_of(button: &str) -> &'static str {
    if button == "Prompt" { "prompt" } else { "negative prompt" }
}

fn refusal_ui(ui: &mut Ui, UserError { sentence, hint, .. }: &UserError) {
    let p = palette(ui);
    ui.add(Label::new(RichText::new(sentence).small().color(p.danger)).wrap());
    if let Some(hint) = hint {
        ui.add(Label::new(RichText::new(hint).small().color(p.text_faint)).wrap());
    }
}
