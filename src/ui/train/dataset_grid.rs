//! Pictures with their captions beside them. Only the cards in view are drawn.

use egui::{
    Color32, CornerRadius, Label, Rect, RichText, ScrollArea, Sense, Stroke, StrokeKind, TextEdit, Ui, UiBuilder, Vec2,
    vec2,
};

use crate::domain::dataset::MAX_TOKENS;
use crate::studio::{Action, DatasetAction, DatasetInHand, DatasetMode};
use crate::ui::icons::{self, Icon};
use crate::ui::textures::{TextureKey, Textures};
use crate::ui::theme::{self, palette};
use crate::ui::widgets::{fit, hint_ui, icon_button_ui, picture_ui};

use super::dataset::{act, caption_id, number, wrapped_ui};

fn down() -> egui::Layout {
    egui::Layout::top_down(egui::Align::Min)
}

/// One picture with its caption.
struct Card<'a> {
    /// Its place among the rows.
    row: usize,
    caption: &'a str,
    tokens: Option<u32>,
    can_be_edited: bool,
}

/// The cards.
pub fn grid_ui(ui: &mut Ui, hand: &DatasetInHand, textures: &mut Textures, actions: &mut Vec<Action>) {
    match hand.mode {
        DatasetMode::Captions => {
            let visible = hand.finder.visible();
            if visible.is_empty() {
                ui.add_space(4.0 * theme::UNIT);
                ui.vertical_centered(|ui| {
                    hint_ui(ui, "No picture is like this: show all, or search for something else")
                });
                return;
            }
            let card = |place: usize| {
                let row = *visible.get(place)?;
                let tokens = hand.row(row)?.tokens;
                Some(Card { row, caption: hand.shown_caption(row), tokens, can_be_edited: true })
            };
            let goal = visible.iter().position(|row| *row == hand.goal.0).filter(|_| hand.goal.1 > 0);
            cards_ui(ui, hand, visible.len(), card, goal, textures, actions);
        }
        DatasetMode::Prepare => {
            let Some(look) = &hand.look else { return };
            let more = look.wanted.saturating_sub(look.rows.len());
            if more > 0 {
                let first = number(look.rows.len());
                wrapped_ui(ui, &format!("The first {first} pictures as they will be, and {} more", number(more)));
                ui.add_space(theme::UNIT);
            }
            let card = |place: usize| {
                let looked = look.rows.get(place)?;
                Some(Card {
                    row: looked.row,
                    caption: &looked.caption,
                    tokens: Some(looked.tokens),
                    can_be_edited: false,
                })
            };
            cards_ui(ui, hand, look.rows.len(), card, None, textures, actions);
        }
    }
}

fn cards_ui<'a>(
    ui: &mut Ui,
    hand: &DatasetInHand,
    count: usize,
    card: impl Fn(usize) -> Option<Card<'a>>,
    goal: Option<usize>,
    textures: &mut Textures,
    actions: &mut Vec<Action>,
) {
    // Room for the scroll bar, which floats over the content.
    let width = ui.available_width() - 3.0 * theme::UNIT;
    let columns = ((width + theme::TILE_GAP) / (theme::CARD_WIDTH + theme::TILE_GAP)).floor().max(1.0);
    let size = vec2(((width - (columns - 1.0) * theme::TILE_GAP) / columns).floor(), theme::CARD_HEIGHT);
    let columns = columns as usize;
    ui.spacing_mut().item_spacing = Vec2::splat(theme::TILE_GAP);
    let goal = goal.filter(|_| is_new_goal(ui, hand));
    let mut lacking = Vec::new();
    let rows = count.div_ceil(columns);
    ScrollArea::vertical().id_salt(("cards", hand.ticket)).auto_shrink(false).show_rows(
        ui,
        size.y,
        rows,
        |ui, visible| {
            if let Some(goal) = goal {
                // The row may not be drawn now; its place follows from the first that is.
                let rows_below = (goal / columns) as f32 - visible.start as f32;
                let top = ui.max_rect().top() + rows_below * (size.y + theme::TILE_GAP);
                let place = Rect::from_min_size(egui::pos2(ui.max_rect().left(), top), size);
                ui.scroll_to_rect(place, Some(egui::Align::Center));
            }
            for row in visible {
                ui.horizontal(|ui| {
                    for place in row * columns..((row + 1) * columns).min(count) {
                        if let Some(card) = card(place) {
                            card_ui(ui, hand, &card, size, textures, &mut lacking, actions);
                        }
                    }
                });
            }
        },
    );
    actions.push(act(DatasetAction::InView(lacking)));
}

/// Whether a row was asked for since the last frame.
fn is_new_goal(ui: &Ui, hand: &DatasetInHand) -> bool {
    let id = egui::Id::unique("caption goal");
    let asked = (hand.ticket, hand.goal.1);
    let before = ui.data(|data| data.get_temp::<(u64, u64)>(id));
    ui.data_mut(|data| data.insert_temp(id, asked));
    before != Some(asked)
}

fn card_ui(
    ui: &mut Ui,
    hand: &DatasetInHand,
    card: &Card<'_>,
    size: Vec2,
    textures: &mut Textures,
    lacking: &mut Vec<usize>,
    actions: &mut Vec<Action>,
) {
    let p = palette(ui);
    let Some(row) = hand.row(card.row) else { return };
    let (rect, _) = ui.allocate_exact_size(size, Sense::hover());
    let is_excluded = row.row.is_excluded;
    ui.painter().rect_filled(rect, theme::ROUNDING_LARGE, p.canvas);
    let is_goal = hand.goal.1 > 0 && hand.goal.0 == card.row && card.can_be_edited;
    if is_goal {
        ui.painter().rect_stroke(
            rect,
            CornerRadius::same(theme::ROUNDING_LARGE),
            Stroke::new(1.5, p.accent),
            StrokeKind::Inside,
        );
    }
    let inner = rect.shrink(2.0 * theme::UNIT);
    let picture = Rect::from_min_size(inner.min, Vec2::splat(inner.height()));
    thumbnail_ui(ui, picture, hand, card.row, is_excluded, textures, lacking);
    let text = Rect::from_min_max(egui::pos2(picture.right() + 2.5 * theme::UNIT, inner.top()), inner.max);
    // A child of its own: the next card follows this one, and not its text.
    let mut child = ui.new_child(UiBuilder::new().max_rect(text).id_salt(("card", card.row)).layout(down()));
    child.set_clip_rect(text.expand(theme::UNIT).intersect(ui.clip_rect()));
    child.spacing_mut().item_spacing = Vec2::splat(theme::UNIT);
    text_ui(&mut child, hand, card, text, actions);
}

/// Name, caption, and how long that is.
fn text_ui(ui: &mut Ui, hand: &DatasetInHand, card: &Card<'_>, area: Rect, actions: &mut Vec<Action>) {
    let p = palette(ui);
    let Some(row) = hand.row(card.row) else { return };
    let (name, is_excluded) = (&row.row.name, row.row.is_excluded);
    let short = name.rsplit('/').next().unwrap_or(name);
    let head = Rect::from_min_size(area.min, vec2(area.width(), theme::TILE_BUTTON));
    let name_width = if card.can_be_edited { head.width() - theme::TILE_BUTTON } else { head.width() };
    let name_area = Rect::from_min_size(head.min, vec2(name_width, head.height()));
    let label = Label::new(RichText::new(short).small().color(p.text_faint)).truncate();
    let layout = egui::Layout::left_to_right(egui::Align::Center);
    let label = ui.scope_builder(UiBuilder::new().max_rect(name_area).layout(layout), |ui| ui.add(label)).inner;
    let label = label.on_hover_text(name);
    if card.can_be_edited {
        let corner =
            Rect::from_min_size(head.right_top() - vec2(theme::TILE_BUTTON, 0.0), Vec2::splat(theme::TILE_BUTTON));
        let info = DatasetAction::Toggle(card.row).info();
        let said = format!("{}: {name}", info.text);
        let response = ui
            .scope_builder(UiBuilder::new().max_rect(corner), |ui| {
                icon_button_ui(ui, Icon::Excluded, &said, info.tooltip, is_excluded, theme::TILE_BUTTON)
            })
            .inner;
        if response.clicked() {
            actions.push(act(DatasetAction::Toggle(card.row)));
        }
    }
    let foot_height = 4.0 * theme::UNIT;
    let middle = Rect::from_min_max(
        // The field's margin stands out, so that its text stands below the name.
        egui::pos2(area.left() - if card.can_be_edited { theme::UNIT } else { 0.0 }, head.bottom() + 0.5 * theme::UNIT),
        egui::pos2(area.right(), area.bottom() - foot_height - theme::UNIT),
    );
    ui.scope_builder(UiBuilder::new().max_rect(middle).id_salt("text").layout(down()), |ui| {
        ScrollArea::vertical().id_salt(card.row).auto_shrink(false).show(ui, |ui| {
            if card.can_be_edited {
                field_ui(ui, hand, card, middle.height(), label.id, actions);
            } else {
                let (text, colour) = match card.caption {
                    "" => ("No caption", p.text_faint),
                    caption => (caption, p.text),
                };
                ui.add(Label::new(RichText::new(text).color(colour)).wrap().selectable(true));
            }
        });
    });
    let foot = Rect::from_min_max(egui::pos2(area.left(), area.bottom() - foot_height), area.max);
    ui.scope_builder(UiBuilder::new().max_rect(foot).layout(layout), |ui| {
        if is_excluded {
            ui.label(RichText::new("Excluded").small().color(p.text_dim));
        }
        let Some(tokens) = card.tokens else { return };
        let is_long = tokens > MAX_TOKENS;
        // Start and end are none of the user's words.
        let words = tokens.saturating_sub(2);
        let text = format!("{words} of {} tokens", MAX_TOKENS - 2);
        let colour = if is_long { p.danger } else { p.text_faint };
        let tip = if is_long {
            "The end of this caption is not read"
        } else {
            "A text encoder reads so many pieces of words"
        };
        ui.label(RichText::new(text).small().color(colour)).on_hover_text(tip);
    });
}

/// The caption as it is typed.
fn field_ui(
    ui: &mut Ui,
    hand: &DatasetInHand,
    card: &Card<'_>,
    height: f32,
    name: egui::Id,
    actions: &mut Vec<Action>,
) {
    let mut text = card.caption.to_owned();
    ui.scope(|ui| {
        // A field is seen under the pointer and where one types: a page full of frames is unquiet.
        let widgets = &mut ui.visuals_mut().widgets;
        widgets.inactive.bg_stroke = Stroke::NONE;
        ui.visuals_mut().text_edit_bg_color = Some(Color32::TRANSPARENT);
        let field = TextEdit::multiline(&mut text)
            .id(caption_id(hand.ticket, card.row))
            .desired_rows(3)
            .desired_width(f32::INFINITY)
            .min_size(vec2(0.0, height))
            .hint_text("No caption")
            .margin(egui::Margin { left: 4, right: 4, top: 2, bottom: 2 });
        let response = ui.add(field).labelled_by(name);
        if response.changed() {
            actions.push(act(DatasetAction::Write(card.row, text)));
        }
    });
}

fn thumbnail_ui(
    ui: &mut Ui,
    area: Rect,
    hand: &DatasetInHand,
    place: usize,
    is_excluded: bool,
    textures: &mut Textures,
    lacking: &mut Vec<usize>,
) {
    let p = palette(ui);
    let Some(row) = hand.row(place) else { return };
    if let (Some(texture), Some((width, height))) = (textures.get(TextureKey::Row(hand.ticket, place)), row.thumbnail) {
        let rect = fit(area, width as f32, height as f32, f32::INFINITY);
        picture_ui(ui, rect, texture, theme::ROUNDING - 2, &row.row.name);
        if is_excluded {
            ui.painter().rect_filled(rect, theme::ROUNDING - 2, theme::CUT);
        }
        return;
    }
    let is_broken = hand.is_broken(place);
    if !is_broken {
        lacking.push(place);
    }
    ui.painter().rect_filled(area, theme::ROUNDING - 2, p.panel);
    let icon = Rect::from_center_size(area.center(), Vec2::splat(24.0));
    icons::paint(ui.painter(), icon, if is_broken { Icon::Warning } else { Icon::Picture }, p.text_faint);
}
