//! Prompts that were used before, to be searched and used again.

use egui::{
    Color32, Context, Id, Key, Label, Modal, Modifiers, RichText, Role, ScrollArea, Sense, TextEdit, Ui, UiBuilder,
    WidgetInfo, vec2,
};

use crate::studio::{Action, History, HistoryAction, PromptAction, State};

use super::theme::{self, palette};
use super::widgets::{Emphasis, action_button_ui, dialog_frame, hint_ui, snippet};

const WIDTH: f32 = 560.0;
const HEIGHT: f32 = 380.0;
const ROW_HEIGHT: f32 = 46.0;
/// Of a prompt in the list.
const CHARS: usize = 150;

fn action(action: HistoryAction) -> Action {
    Action::Prompt(PromptAction::History(action))
}

/// The list, while it is open.
pub fn history_ui(ctx: &Context, state: &State, actions: &mut Vec<Action>) {
    let Some(history) = &state.prompt.history else { return };
    let modal = Modal::new(Id::unique("earlier prompts")).frame(dialog_frame(ctx)).show(ctx, |ui| {
        ui.set_width(WIDTH.min(ctx.content_rect().width() - 64.0));
        let p = palette(ui);
        ui.label(RichText::new("Earlier prompts").text_style(theme::title()).color(p.text));
        search_ui(ui, history, actions);
        ui.add_space(theme::UNIT);
        ScrollArea::vertical().max_height(HEIGHT).auto_shrink([false, true]).show(ui, |ui| {
            ui.spacing_mut().item_spacing.y = 2.0;
            for (index, used) in history.found.iter().enumerate() {
                let negative = used.negative_prompt.trim();
                let date = (state.catalog.local_date)(used.created_ms);
                let below =
                    if negative.is_empty() { date } else { format!("{date} · without {}", snippet(negative, 60)) };
                if row_ui(ui, &used.prompt, &below, index == history.chosen) {
                    actions.push(action(HistoryAction::Use(index)));
                }
            }
        });
        if history.found.is_empty() && !history.is_waiting {
            let text = if history.search.trim().is_empty() {
                "None yet. Prompts are listed here once a picture was made from them"
            } else {
                "No prompt has all of these words"
            };
            hint_ui(ui, text);
        }
        ui.add_space(theme::UNIT);
        let size = vec2(96.0, theme::CONTROL_HEIGHT);
        action_button_ui(ui, &action(HistoryAction::Close), Emphasis::Normal, size, actions);
    });
    if modal.should_close() {
        actions.push(action(HistoryAction::Close));
    }
}

fn search_ui(ui: &mut Ui, history: &History, actions: &mut Vec<Action>) {
    let info = HistoryAction::Search(String::new()).info();
    let id = Id::unique("search earlier prompts");
    // Up and Down are about the list, also while one types.
    for (key, step) in [(Key::ArrowDown, HistoryAction::Next), (Key::ArrowUp, HistoryAction::Previous)] {
        if ui.input_mut(|input| input.consume_key(Modifiers::NONE, key)) {
            actions.push(action(step));
        }
    }
    let mut text = history.search.clone();
    let field = TextEdit::singleline(&mut text).id(id).desired_width(f32::INFINITY).hint_text("Search…");
    let response = ui.add(field).on_hover_text(info.tooltip);
    let response = response.accessible_name(info.text);
    if text != history.search {
        actions.push(action(HistoryAction::Search(text)));
    }
    if response.lost_focus() && ui.input(|input| input.key_pressed(Key::Enter)) {
        actions.push(action(HistoryAction::UseChosen));
    } else if ui.memory(|memory| memory.focused().is_none()) {
        response.request_focus();
    }
}

fn row_ui(ui: &mut Ui, prompt: &str, below: &str, is_chosen: bool) -> bool {
    let p = palette(ui);
    let (rect, response) = ui.allocate_exact_size(vec2(ui.available_width(), ROW_HEIGHT), Sense::click());
    let name = format!("Use: {}", snippet(prompt, CHARS));
    response.widget_info(|| WidgetInfo::selected(Role::Button, true, is_chosen, name.clone()));
    let fill = match (is_chosen, response.hovered() || response.has_focus()) {
        (true, _) => p.accent_soft,
        (false, true) => p.field_hover,
        (false, false) => Color32::TRANSPARENT,
    };
    ui.painter().rect_filled(rect, theme::ROUNDING, fill);
    let inside = rect.shrink2(vec2(2.0 * theme::UNIT, theme::UNIT));
    // A child of its own: its texts must not move the next row.
    let mut texts = ui.new_child(UiBuilder::new().max_rect(inside));
    texts.spacing_mut().item_spacing.y = 2.0;
    let one_line: Vec<&str> = prompt.split_whitespace().collect();
    texts.add(Label::new(RichText::new(one_line.join(" ")).color(p.text)).truncate());
    texts.add(Label::new(RichText::new(below).small().color(p.text_faint)).truncate());
    if is_chosen && !ui.clip_rect().contains_rect(rect) {
        response.scroll_to_me(None);
    }
    response.on_hover_text(prompt).clicked()
}
