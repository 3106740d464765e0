//! Styles: the menu of them, those that are worn, and the dialog in which they are written.

use egui::{
    Align, Context, CornerRadius, Frame, Id, Layout, Margin, Modal, Popup, PopupCloseBehavior, RichText, ScrollArea,
    Stroke, TextEdit, Ui, vec2,
};

use crate::domain::prompt::PromptStyle;
use crate::studio::{Action, PromptAction, State, StyleAction, StyleEditor, Styles};

use super::icons::Icon;
use super::theme::{self, palette};
use super::widgets::{
    Emphasis, action_button_ui, dialog_frame, field_name_ui, hint_ui, icon_button_ui, problem_ui, snippet,
};

const MENU_WIDTH: f32 = 240.0;
const MENU_HEIGHT: f32 = 320.0;
const EDITOR_WIDTH: f32 = 680.0;
const EDITOR_HEIGHT: f32 = 304.0;
const LIST_WIDTH: f32 = 200.0;
/// Of a name on a chip or in a list.
const NAME_CHARS: usize = 24;

fn action(action: StyleAction) -> Action {
    Action::Prompt(PromptAction::Style(action))
}

/// The button for the menu of styles, and the menu.
pub fn styles_menu_ui(ui: &mut Ui, state: &State, side: f32, actions: &mut Vec<Action>) {
    let styles = &state.prompt.styles;
    let tooltip = "Styles: texts of your own that the prompt is put into when a picture is made";
    let button = icon_button_ui(ui, Icon::Styles, "Styles", tooltip, !styles.applied.is_empty(), side);
    Popup::menu(&button).close_behavior(PopupCloseBehavior::CloseOnClickOutside).width(MENU_WIDTH).show(|ui| {
        ui.spacing_mut().item_spacing.y = theme::UNIT;
        if styles.list.is_empty() {
            hint_ui(ui, "No styles yet");
        }
        ScrollArea::vertical().max_height(MENU_HEIGHT).show(ui, |ui| {
            for style in &styles.list {
                let mut on = styles.applied.contains(&style.name);
                let name = snippet(&style.name, NAME_CHARS);
                if ui.checkbox(&mut on, name).on_hover_text(told(style)).clicked() {
                    actions.push(action(StyleAction::Wear(style.name.clone(), on)));
                }
            }
        });
        ui.separator();
        for act in [StyleAction::FromDraft, StyleAction::Open] {
            let info = act.info();
            if ui.button(info.text).on_hover_text(info.tooltip).clicked() {
                actions.push(action(act));
                ui.close();
            }
        }
    });
}

/// The styles that the prompt is put into, each with a cross.
pub fn worn_ui(ui: &mut Ui, state: &State, actions: &mut Vec<Action>) {
    let styles = &state.prompt.styles;
    if styles.applied.is_empty() {
        return;
    }
    let p = palette(ui);
    ui.add_space(theme::UNIT);
    ui.horizontal_wrapped(|ui| {
        ui.spacing_mut().item_spacing = vec2(theme::UNIT, theme::UNIT);
        for name in &styles.applied {
            let style = styles.get(name);
            let (stroke, colour, tooltip) = match style {
                Some(style) => (p.outline, p.text_dim, told(style)),
                None => (p.danger, p.danger, "There is no style of this name any more".to_owned()),
            };
            Frame::new()
                .fill(p.field)
                .stroke(Stroke::new(1.0, stroke))
                .corner_radius(CornerRadius::same(theme::ROUNDING))
                .inner_margin(Margin { left: 8, right: 2, top: 0, bottom: 0 })
                .show(ui, |ui| {
                    ui.horizontal(|ui| {
                        ui.spacing_mut().item_spacing.x = 2.0;
                        let text = RichText::new(snippet(name, NAME_CHARS)).small().color(colour);
                        ui.label(text).on_hover_text(tooltip);
                        let off = StyleAction::Wear(name.clone(), false);
                        let info = off.info();
                        let label = format!("{} {name}", info.text);
                        if icon_button_ui(ui, Icon::Close, &label, info.tooltip, false, 22.0).clicked() {
                            actions.push(action(off));
                        }
                    });
                });
        }
    });
}

/// What a style says, for a tooltip.
fn told(PromptStyle { name: _, prompt, negative_prompt }: &PromptStyle) -> String {
    let prompt = if prompt.trim().is_empty() { "(nothing)" } else { prompt.trim() };
    match negative_prompt.trim() {
        "" => prompt.to_owned(),
        negative => format!("{prompt}\nwithout: {negative}"),
    }
}

/// The dialog in which styles are written, while it is open.
pub fn editor_ui(ctx: &Context, state: &State, actions: &mut Vec<Action>) {
    let styles = &state.prompt.styles;
    let Some(editor) = &styles.editor else { return };
    let modal = Modal::new(Id::unique("styles")).frame(dialog_frame(ctx)).show(ctx, |ui| {
        ui.set_width(EDITOR_WIDTH.min(ctx.content_rect().width() - 64.0));
        let p = palette(ui);
        ui.label(RichText::new("Styles").text_style(theme::title()).color(p.text));
        ui.add_space(theme::UNIT);
        ui.horizontal_top(|ui| {
            ui.allocate_ui_with_layout(vec2(LIST_WIDTH, EDITOR_HEIGHT), Layout::top_down(Align::Min), |ui| {
                ui.set_min_size(vec2(LIST_WIDTH, EDITOR_HEIGHT));
                list_ui(ui, styles, editor, actions);
            });
            ui.add_space(2.0 * theme::UNIT);
            ui.vertical(|ui| fields_ui(ui, styles, editor, actions));
        });
    });
    // Before a file dialog that cannot be opened is asked about in the window.
    if modal.should_close() && state.path_prompt.is_none() {
        actions.push(action(StyleAction::Close));
    }
}

fn list_ui(ui: &mut Ui, styles: &Styles, editor: &StyleEditor, actions: &mut Vec<Action>) {
    ui.spacing_mut().item_spacing.y = 2.0;
    ScrollArea::vertical().max_height(EDITOR_HEIGHT - 2.0 * theme::CONTROL_HEIGHT).show(ui, |ui| {
        for style in &styles.list {
            let is_it = editor.changed.as_ref() == Some(&style.name);
            let response = ui.selectable_label(is_it, snippet(&style.name, NAME_CHARS)).on_hover_text(told(style));
            if response.clicked() {
                actions.push(action(StyleAction::Choose(style.name.clone())));
            }
        }
        if styles.list.is_empty() {
            hint_ui(ui, "None yet");
        }
    });
    ui.add_space(theme::UNIT);
    ui.horizontal(|ui| {
        let any = vec2(0.0, theme::CONTROL_HEIGHT);
        action_button_ui(ui, &action(StyleAction::New), Emphasis::Normal, any, actions);
        action_button_ui(ui, &action(StyleAction::Import), Emphasis::Quiet, any, actions);
    });
}

/// What writing in a field does.
type Write = fn(String) -> StyleAction;

fn fields_ui(ui: &mut Ui, styles: &Styles, editor: &StyleEditor, actions: &mut Vec<Action>) {
    ui.spacing_mut().item_spacing.y = theme::UNIT;
    let PromptStyle { name, prompt, negative_prompt } = &editor.style;
    let fields: [(Write, &str, usize); 3] =
        [(StyleAction::Name, name, 1), (StyleAction::Prompt, prompt, 4), (StyleAction::Negative, negative_prompt, 3)];
    for (write, text, rows) in fields {
        let info = write(String::new()).info();
        let label = field_name_ui(ui, &info);
        let mut edited = text.to_owned();
        let field = if rows == 1 { TextEdit::singleline(&mut edited) } else { TextEdit::multiline(&mut edited) };
        let field = field.id(Id::unique(("style", info.text))).desired_rows(rows).desired_width(f32::INFINITY);
        let response = ui.add(field.margin(Margin::symmetric(10, 6))).labelled_by(label.id);
        if edited != text {
            actions.push(action(write(edited)));
        }
        // A dialog begins with the keyboard in its first field.
        if rows == 1 && ui.memory(|memory| memory.focused().is_none()) {
            response.request_focus();
        }
    }
    hint_ui(ui, "{prompt} stands for what you write; without it, the style goes behind that.");
    let is_new = editor.changed.is_none();
    let is_same = editor.changed.as_deref().and_then(|name| styles.get(name)) == Some(&editor.style);
    let problem = styles.problem();
    let is_begun = *editor != StyleEditor::default();
    problem_ui(ui, problem.filter(|_| is_begun));
    ui.add_space(theme::UNIT);
    ui.horizontal(|ui| {
        let size = vec2(96.0, theme::CONTROL_HEIGHT);
        ui.add_enabled_ui(problem.is_none() && !is_same, |ui| {
            action_button_ui(ui, &action(StyleAction::Save), Emphasis::Primary, size, actions);
        });
        ui.add_enabled_ui(!is_new, |ui| {
            action_button_ui(ui, &action(StyleAction::Delete), Emphasis::Normal, size, actions);
        });
        action_button_ui(ui, &action(StyleAction::Close), Emphasis::Normal, size, actions);
    });
}
