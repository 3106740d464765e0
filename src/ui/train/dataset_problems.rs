//! Everything that is wrong with a data set with what to do about it, and what is in it.

use egui::{Align2, Label, RichText, Role, ScrollArea, Sense, Ui, WidgetInfo, pos2, vec2};

use crate::domain::dataset::Inspection;
use crate::studio::{Action, DatasetAction, DatasetInHand, DatasetWork, DatasetWorkKind, ProblemGroup, ProblemItem};
use crate::ui::icons::Icon;
use crate::ui::theme::{self, palette};
use crate::ui::widgets::{Emphasis, action_button_ui, empty_ui, hint_ui};

use super::dataset::{act, number, wrapped_ui};

/// Problems of a kind that are listed; more are counted.
const MAX_ITEMS: usize = 50;
/// Values of a column that are shown.
const MAX_VALUES: usize = 10;

/// The page.
pub fn problems_ui(ui: &mut Ui, hand: &DatasetInHand, work: Option<&DatasetWork>, actions: &mut Vec<Action>) {
    if hand.problems.is_empty() && hand.inspection.is_none() {
        let is_checking = work.is_some_and(|work| work.kind == DatasetWorkKind::Check);
        let (title, advice) = if is_checking {
            ("Looking at every picture", "What is found is listed here")
        } else {
            ("Nothing was found while it was read", "Look for problems opens every picture, and finds more")
        };
        empty_ui(ui, Icon::Check, title, advice);
        return;
    }
    ScrollArea::vertical().auto_shrink(false).show(ui, |ui| {
        ui.set_max_width(theme::CARDS_WIDTH);
        if hand.problems.is_empty() {
            hint_ui(ui, "Nothing is wrong with it");
        }
        for group in &hand.problems {
            group_ui(ui, hand, group, actions);
            ui.add_space(3.0 * theme::UNIT);
        }
        match &hand.inspection {
            Some(inspection) => inspection_ui(ui, inspection),
            None => {
                wrapped_ui(ui, "This is what was found while it was read. Look for problems opens every picture too");
            }
        }
        ui.add_space(4.0 * theme::UNIT);
    });
}

/// All problems of a kind.
fn group_ui(ui: &mut Ui, hand: &DatasetInHand, group: &ProblemGroup, actions: &mut Vec<Action>) {
    let p = palette(ui);
    let count = group.items.len();
    let colour = if group.kind.loses_a_row() { p.danger } else { p.text };
    ui.horizontal(|ui| {
        ui.label(RichText::new(sentence(group.kind.label())).font(theme::semibold(14.0)).color(colour));
        ui.label(RichText::new(number(count)).font(theme::semibold(14.0)).color(p.text_faint));
        if hand.can_be_edited && group.items.iter().any(|item| item.row.is_some_and(|row| !is_excluded(hand, row))) {
            let exclude = act(DatasetAction::ExcludeAll(group.kind));
            action_button_ui(ui, &exclude, Emphasis::Quiet, vec2(0.0, 6.0 * theme::UNIT), actions);
        }
    });
    ui.scope(|ui| {
        ui.spacing_mut().item_spacing.y = 0.5 * theme::UNIT;
        ui.add(Label::new(RichText::new(sentence(group.kind.hint())).color(p.text_dim)).wrap());
        ui.add_space(theme::UNIT);
        for item in group.items.iter().take(MAX_ITEMS) {
            item_ui(ui, item, actions);
        }
        if count > MAX_ITEMS {
            hint_ui(ui, format!("and {} more", number(count - MAX_ITEMS)));
        }
    });
}

/// A text as a sentence begins.
fn sentence(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().into_iter().flat_map(char::to_uppercase).chain(letters).collect()
}

fn is_excluded(hand: &DatasetInHand, row: usize) -> bool {
    hand.row(row).is_some_and(|row| row.row.is_excluded)
}

/// A problem; one about a row leads to it.
fn item_ui(ui: &mut Ui, item: &ProblemItem, actions: &mut Vec<Action>) {
    let p = palette(ui);
    let text = RichText::new(&item.text).small().color(p.text_faint);
    let Some(row) = item.row else {
        ui.add(Label::new(text).wrap().selectable(true));
        return;
    };
    let action = act(DatasetAction::ShowRow(row));
    let response = ui.add(Label::new(text).wrap().sense(Sense::click()));
    response.widget_info(|| WidgetInfo::labeled(Role::Link, true, &item.text));
    if response.on_hover_text(action.info().tooltip).clicked() {
        actions.push(action);
    }
}

/// What is in it: sizes, lengths, and how often its values are there.
fn inspection_ui(ui: &mut Ui, inspection: &Inspection) {
    let p = palette(ui);
    ui.label(RichText::new("What is in it").font(theme::semibold(14.0)).color(p.text));
    let mut lines = vec![format!("{} rows can be learnt from", number(inspection.rows))];
    for (what, spread) in [("Shorter sides: ", inspection.sides), ("Tokens of a caption: ", inspection.tokens)] {
        if let Some([min, median, max]) = spread {
            let px = if what.starts_with("Shorter") { " px" } else { "" };
            lines.push(format!("{what}{min} to {max}{px}, most around {median}{px}"));
        }
    }
    for line in lines {
        wrapped_ui(ui, &line);
    }
    for (name, values) in &inspection.balance {
        ui.add_space(2.0 * theme::UNIT);
        ui.label(RichText::new(name).text_style(theme::label()).color(p.text_dim));
        let most = values.iter().map(|(_, count)| *count).max().unwrap_or(1);
        for (value, count) in values.iter().take(MAX_VALUES) {
            bar_ui(ui, if value.is_empty() { "(none)" } else { value }, *count, most);
        }
        if values.len() > MAX_VALUES {
            hint_ui(ui, format!("and {} more", number(values.len() - MAX_VALUES)));
        }
    }
}

/// A value with how often it is there, as a bar.
fn bar_ui(ui: &mut Ui, value: &str, count: usize, most: usize) {
    let p = palette(ui);
    let height = 5.0 * theme::UNIT;
    let (rect, response) = ui.allocate_exact_size(vec2(ui.available_width(), height), Sense::hover());
    let said = format!("{value}: {}", number(count));
    response.widget_info(|| WidgetInfo::labeled(Role::Label, true, &said));
    let font = egui::TextStyle::Small.resolve(ui.style());
    let name = theme::BAR_NAME_WIDTH;
    let text = ui.painter().layout(value.to_owned(), font.clone(), p.text_dim, name);
    let at = pos2(rect.left(), rect.center().y - text.size().y.min(height) / 2.0);
    ui.painter().with_clip_rect(rect.with_max_x(rect.left() + name)).galley(at, text, p.text_dim);
    let room = rect.width() - name - theme::BAR_COUNT_WIDTH;
    let length = (room * count as f32 / most.max(1) as f32).max(2.0);
    let bar = egui::Rect::from_min_size(
        pos2(rect.left() + name, rect.top() + 1.5 * theme::UNIT),
        vec2(length, 2.0 * theme::UNIT),
    );
    ui.painter().rect_filled(bar, 2, p.outline);
    let right = pos2(bar.right() + 2.0 * theme::UNIT, rect.center().y);
    ui.painter().text(right, Align2::LEFT_CENTER, number(count), font, p.text_faint);
}
