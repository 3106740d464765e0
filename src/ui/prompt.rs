//! The two fields of the prompt: highlighted, counted, with names offered for what is being typed.

use std::ops::Range;

use egui::text::{CCursor, CCursorRange};
use egui::text_edit::{TextEditOutput, TextEditState};
use egui::{
    Align, EventFilter, Galley, Id, Label, Layout, Margin, Pos2, RichText, Stroke, SurrenderFocusOn, TextBuffer,
    TextEdit, Ui, vec2,
};

use crate::domain::Problem;
use crate::domain::prompt::TokenCount;
use crate::studio::{Action, HistoryAction, PromptAction, PromptField, State};

use super::draft::problem_of;
use super::icons::Icon;
use super::prompt_highlight::{Highlights, Marked};
use super::prompt_names::{is_over_names, names_ui};
use super::prompt_styles::{styles_menu_ui, worn_ui};
use super::theme::{self, palette};
use super::widgets::{action_icon_ui, field_name_ui, hint_ui, problem_ui};

/// After so long without a change, in seconds, the next one is undone by itself.
const REST_SECS: f64 = 1.0;
/// Frames in which a field is given the keyboard.
const FOCUS_TRIES: u8 = 2;
/// Side of the buttons beside a field's name.
const BUTTON: f32 = 24.0;
/// Height of a field's name without buttons.
const LINE: f32 = 16.0;

/// What the fields keep between frames.
#[derive(Default)]
pub struct PromptFields {
    highlights: Highlights,
    /// The selection that was made last, by its serial.
    selected: u64,
    /// The field that is to get the keyboard, and in how many more frames that is tried: a dialog that closes holds it.
    wanted: Option<(PromptField, u8)>,
    /// When the draft was last changed.
    changed_at: f64,
}

impl PromptFields {
    /// Tells where the hand rested between two changes.
    pub fn watch(&mut self, ctx: &egui::Context, actions: &mut Vec<Action>) {
        let is_change = |action: &Action| {
            matches!(
                action,
                Action::Edit(_) | Action::Extra(_) | Action::Adapter(_) | Action::Prompt(PromptAction::Weigh(_))
            )
        };
        if actions.iter().any(is_change) {
            let now = ctx.input(|input| input.time);
            if now - std::mem::replace(&mut self.changed_at, now) > REST_SECS {
                actions.insert(0, Action::Prompt(PromptAction::Rest));
            }
        }
    }

    /// Both fields. `focus` puts the keyboard into the first.
    pub fn show(&mut self, ui: &mut Ui, state: &State, focus: bool, problems: &[Problem], actions: &mut Vec<Action>) {
        let rows = if ui.ctx().content_rect().height() < theme::SHORT_BELOW { 3 } else { 5 };
        self.field_ui(ui, state, PromptField::Prompt, rows, actions);
        problem_ui(ui, problem_of(problems, "prompt"));
        worn_ui(ui, state, actions);
        ui.add_space(theme::UNIT);
        self.field_ui(ui, state, PromptField::Negative, 2, actions);
        problem_ui(ui, problem_of(problems, "negative_prompt"));
        if focus {
            ui.memory_mut(|memory| memory.request_focus(id_of(PromptField::Prompt)));
        }
    }

    fn field_ui(&mut self, ui: &mut Ui, state: &State, field: PromptField, rows: usize, actions: &mut Vec<Action>) {
        let tokens = state.tokens(field);
        let name = head_ui(ui, state, field, tokens.as_ref(), actions);
        let id = id_of(field);
        self.select(ui, state, field);
        self.take_keyboard(ui, field);
        let text = field.text(&state.draft.request);
        let mut edited = text.to_owned();
        let completion = state.prompt.completion.as_ref().filter(|completion| completion.field == field);
        let is_open = completion.is_some();
        let mut marked = Marked::default();
        let highlights = &mut self.highlights;
        let mut layouter = |ui: &Ui, text: &dyn TextBuffer, width: f32| {
            marked = highlights.read(ui, state, field, text.as_str());
            let mut job = marked.job.clone();
            job.wrap.max_width = width;
            ui.fonts_mut(|fonts| fonts.layout_job(job))
        };
        let edit = TextEdit::multiline(&mut edited)
            .id(id)
            .desired_rows(rows)
            .desired_width(f32::INFINITY)
            .margin(Margin::symmetric(10, 8))
            .hint_text(match field {
                PromptField::Prompt => "Describe a picture",
                PromptField::Negative => "Nothing in particular",
            })
            // While names are offered, Tab and Esc are about them.
            .event_filter(EventFilter { horizontal_arrows: true, vertical_arrows: true, tab: is_open, escape: is_open })
            .layouter(&mut layouter);
        // A click on a name must not take the keyboard away from the field that it is for.
        let keeps_keyboard = is_open && is_over_names(ui.ctx());
        let output = keeping_keyboard(ui, keeps_keyboard, |ui| edit.show(ui));
        let response = output.response.response.clone().labelled_by(name.id);
        if let Some(tokens) = &tokens {
            borders_ui(ui, &output, &edited, tokens);
        }
        if edited != text {
            actions.push(Action::Edit(field.edit(edited.clone())));
        }
        tell_cursor(ui, state, field, &output, &edited, actions);
        let is_focused = response.has_focus();
        if let Some(pos) = response.hover_pos()
            && let Some(sentence) = remark_at(&output.galley, output.galley_pos, pos, &edited, &marked)
        {
            response.on_hover_text_at_pointer(sentence);
        }
        remark_ui(ui, &marked, is_focused);
        if let Some(completion) = completion {
            let cursor = char_index(&edited, completion.stub.range.start);
            let anchor = output.galley.pos_from_cursor(CCursor::new(cursor)).translate(output.galley_pos.to_vec2());
            names_ui(ui, completion, anchor, actions);
        }
    }

    /// Selects what the state wants selected, once.
    fn select(&mut self, ui: &Ui, state: &State, field: PromptField) {
        let Some(wish) = state.prompt.selection.as_ref().filter(|wish| wish.field == field) else { return };
        if wish.serial <= self.selected {
            return;
        }
        self.selected = wish.serial;
        self.wanted = Some((field, FOCUS_TRIES));
        let text = field.text(&state.draft.request);
        let id = id_of(field);
        let mut edit = TextEditState::load(ui.ctx(), id).unwrap_or_default();
        let at = |byte: usize| CCursor::new(char_index(text, byte));
        edit.cursor.set_char_range(Some(CCursorRange::two(at(wish.range.start), at(wish.range.end))));
        edit.store(ui.ctx(), id);
    }

    fn take_keyboard(&mut self, ui: &Ui, field: PromptField) {
        if let Some((wanted, tries)) = self.wanted
            && wanted == field
        {
            self.wanted = tries.checked_sub(1).map(|tries| (field, tries));
            ui.memory_mut(|memory| memory.request_focus(id_of(field)));
            ui.ctx().request_repaint();
        }
    }
}

/// The key of a field's widget.
pub fn id_of(field: PromptField) -> Id {
    Id::unique(match field {
        PromptField::Prompt => "prompt",
        PromptField::Negative => "negative_prompt",
    })
}

/// The field's name, what can be done with it, and how many tokens it takes.
fn head_ui(
    ui: &mut Ui,
    state: &State,
    field: PromptField,
    tokens: Option<&TokenCount>,
    actions: &mut Vec<Action>,
) -> egui::Response {
    let info = Action::Edit(field.edit(String::new())).info();
    let height = if field == PromptField::Prompt { BUTTON } else { LINE };
    let size = vec2(ui.available_width(), height);
    let inner = ui.allocate_ui_with_layout(size, Layout::left_to_right(Align::Center), |ui| {
        let name = field_name_ui(ui, &info);
        ui.with_layout(Layout::right_to_left(Align::Center), |ui| {
            if field == PromptField::Prompt {
                ui.spacing_mut().item_spacing.x = theme::UNIT;
                styles_menu_ui(ui, state, BUTTON, actions);
                let earlier = Action::Prompt(PromptAction::History(HistoryAction::Open));
                action_icon_ui(ui, Icon::History, &earlier, false, BUTTON, actions);
            }
            if let Some(tokens) = tokens {
                hint_ui(ui, tokens.text()).on_hover_text(tokens.explanation());
            }
        });
        name
    });
    inner.inner
}

/// Shows a field that keeps the keyboard although there is a click elsewhere.
fn keeping_keyboard<T>(ui: &mut Ui, keeps: bool, show: impl FnOnce(&mut Ui) -> T) -> T {
    let ctx = ui.ctx().clone();
    let before = ctx.options(|options| options.input_options.surrender_focus_on);
    if keeps {
        ctx.options_mut(|options| options.input_options.surrender_focus_on = SurrenderFocusOn::Never);
    }
    let shown = show(ui);
    if keeps {
        ctx.options_mut(|options| options.input_options.surrender_focus_on = before);
    }
    shown
}

/// A mark in the text where each further chunk begins.
fn borders_ui(ui: &Ui, output: &TextEditOutput, text: &str, tokens: &TokenCount) {
    let p = palette(ui);
    let painter = ui.painter_at(output.text_clip_rect.expand(2.0));
    for border in tokens.borders.iter().filter(|border| text.is_char_boundary(**border)) {
        let cursor = CCursor { prefer_next_row: true, ..CCursor::new(char_index(text, *border)) };
        let at = output.galley.pos_from_cursor(cursor).translate(output.galley_pos.to_vec2());
        let x = at.left() - 1.5;
        let stroke = Stroke::new(1.0, p.accent);
        painter.vline(x, at.y_range(), stroke);
        painter.hline(x..=x + theme::UNIT, at.top() + 0.5, stroke);
    }
}

/// Tells the state where the cursor is, where that is news to it.
fn tell_cursor(
    ui: &Ui,
    state: &State,
    field: PromptField,
    output: &TextEditOutput,
    text: &str,
    actions: &mut Vec<Action>,
) {
    let known = state.prompt.cursor.as_ref().filter(|(known, _)| *known == field);
    let has_keyboard = ui.memory(|memory| memory.has_focus(id_of(field)));
    match output.cursor_range.filter(|_| has_keyboard) {
        Some(range) => {
            let [start, end] = range.sorted_cursors().map(|cursor| byte_index(text, cursor.index.0));
            if known.is_none_or(|(_, known)| *known != (start..end)) {
                actions.push(Action::Prompt(PromptAction::Cursor(field, start..end)));
            }
        }
        // A field that was just given the keyboard has it in the next frame.
        None if known.is_some() && !has_keyboard => actions.push(Action::Prompt(PromptAction::Leave)),
        None => {}
    }
}

/// What is remarked on at the pointer.
fn remark_at(galley: &Galley, galley_pos: Pos2, pointer: Pos2, text: &str, marked: &Marked) -> Option<String> {
    let inside = pointer - galley_pos;
    if !galley.rect.contains(inside.to_pos2()) {
        return None;
    }
    let at = byte_index(text, galley.cursor_from_pos(inside).index.0);
    let touches = |range: &Range<usize>| range.start <= at && at <= range.end;
    marked.remarks.iter().find(|remark| touches(&remark.range)).map(|remark| remark.sentence.clone())
}

/// The first remark below the field. While one types, only what cannot be right: a bracket is not closed yet.
fn remark_ui(ui: &mut Ui, marked: &Marked, is_typing: bool) {
    let p = palette(ui);
    let first_error = marked.remarks.iter().find(|remark| remark.is_error);
    let shown = first_error.or_else(|| marked.remarks.first().filter(|_| !is_typing));
    if let Some(remark) = shown {
        let colour = if remark.is_error { p.danger } else { p.text_faint };
        ui.add(Label::new(RichText::new(&remark.sentence).small().color(colour)).wrap());
    }
}

/// The character at a byte.
fn char_index(text: &str, byte: usize) -> usize {
    text.char_indices().take_while(|(at, _)| *at < byte).count()
}

/// The byte of a character; the end for those beyond it.
fn byte_index(text: &str, character: usize) -> usize {
    text.char_indices().nth(character).map_or(text.len(), |(at, _)| at)
}
