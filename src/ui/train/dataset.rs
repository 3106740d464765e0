//! The data set: where it comes from and what is done with it at the left, its pictures or its problems in the middle.

use egui::{Align, CentralPanel, Frame, Id, Layout, Margin, RichText, Role, Sense, Stroke, Ui, WidgetInfo, vec2};

use crate::domain::dataset::DatasetSource;
use crate::studio::{
    Action, DatasetAction, DatasetInHand, DatasetMode, DatasetPage, DatasetWork, DatasetWorkKind, State, TrainAction,
};
use crate::ui::icons::Icon;
use crate::ui::textures::Textures;
use crate::ui::theme::{self, palette};
use crate::ui::widgets::{
    Emphasis, action_button_ui, action_icon_ui, column_ui, empty_ui, hint_ui, problem_ui, progress_ui, tooltip,
};

use super::dataset_captions::captions_ui;
use super::dataset_grid::grid_ui;
use super::dataset_prepare::prepare_ui;
use super::dataset_problems::problems_ui;

/// An act with the data set.
pub fn act(action: DatasetAction) -> Action {
    Action::Train(TrainAction::Dataset(action))
}

/// The field of a row's caption.
pub fn caption_id(ticket: u64, row: usize) -> Id {
    Id::unique(("caption", ticket, row))
}

/// The tab.
pub fn dataset_ui(ui: &mut Ui, state: &State, textures: &mut Textures, actions: &mut Vec<Action>) {
    let p = palette(ui);
    let desk = &state.train.dataset;
    let Some(hand) = &desk.hand else {
        empty_place_ui(ui, state, actions);
        return;
    };
    column_ui(
        ui,
        "dataset",
        actions,
        |ui, actions| work_ui(ui, state, hand, actions),
        |ui, actions| {
            head_ui(ui, state, hand, actions);
            match hand.mode {
                DatasetMode::Prepare => prepare_ui(ui, state, hand, actions),
                DatasetMode::Captions => captions_ui(ui, hand, actions),
            }
        },
    );
    CentralPanel::default().frame(Frame::new().fill(p.panel)).show(ui, |ui| {
        Frame::new().inner_margin(Margin { left: 24, right: 12, top: 12, bottom: 0 }).show(ui, |ui| {
            page_head_ui(ui, hand, actions);
            match hand.page {
                DatasetPage::Pictures => grid_ui(ui, hand, textures, actions),
                DatasetPage::Problems => problems_ui(ui, hand, desk.work.as_ref(), actions),
            }
        });
    });
}

/// What to do where there is no data set.
fn empty_place_ui(ui: &mut Ui, state: &State, actions: &mut Vec<Action>) {
    let desk = &state.train.dataset;
    if let Some(source) = &desk.opening {
        empty_ui(ui, Icon::Train, &format!("Reading {}", source.name()), "A large one takes a moment");
        return;
    }
    empty_ui(
        ui,
        Icon::Train,
        "Pictures and captions to learn from",
        "Drop a folder or a table here, or open one: pictures with .txt captions, metadata.jsonl, styles.csv and others",
    );
    ui.add_space(2.0 * theme::UNIT);
    let size = vec2(160.0, theme::CONTROL_HEIGHT);
    let buttons = 3.0 * size.x + 2.0 * ui.spacing().item_spacing.x;
    ui.horizontal(|ui| {
        ui.add_space(((ui.available_width() - buttons) / 2.0).max(0.0));
        action_button_ui(ui, &act(DatasetAction::ChooseFolder), Emphasis::Primary, size, actions);
        action_button_ui(ui, &act(DatasetAction::ChooseTable), Emphasis::Normal, size, actions);
        collections_ui(ui, state, size, actions);
    });
    if let Some(error) = &desk.error {
        ui.add_space(2.0 * theme::UNIT);
        ui.vertical_centered(|ui| {
            ui.set_max_width(theme::TEXT_WIDTH);
            problem_ui(ui, Some(&error.sentence));
            for line in error.hint.iter().cloned().chain(error.path.as_ref().map(|path| path.display().to_string())) {
                wrapped_ui(ui, &line);
            }
        });
    }
}

/// The collections of the gallery, to choose one from.
fn collections_ui(ui: &mut Ui, state: &State, size: egui::Vec2, actions: &mut Vec<Action>) {
    let collections = &state.gallery.shelves.collections;
    let enabled = !collections.is_empty();
    let response = ui
        .add_enabled_ui(enabled, |ui| {
            ui.spacing_mut().interact_size = size;
            ui.scope(|ui| {
                ui.set_min_size(size);
                ui.menu_button("Take a collection…", |ui| {
                    for collection in collections {
                        if ui.button(&collection.name).clicked() {
                            actions.push(act(DatasetAction::OpenCollection(collection.id)));
                            ui.close();
                        }
                    }
                })
                .response
            })
            .inner
        })
        .inner;
    response
        .on_hover_text("The pictures of a collection of the gallery, with their prompts as captions")
        .on_disabled_hover_text("There is no collection yet: they are made in the gallery");
}

/// A hint of any length.
pub fn wrapped_ui(ui: &mut Ui, text: &str) {
    let colour = palette(ui).text_faint;
    ui.add(egui::Label::new(RichText::new(text).small().color(colour)).wrap());
}

/// What it is, and how much of it there is.
fn head_ui(ui: &mut Ui, state: &State, hand: &DatasetInHand, actions: &mut Vec<Action>) {
    let p = palette(ui);
    ui.allocate_ui_with_layout(
        vec2(ui.available_width(), theme::CONTROL_HEIGHT),
        Layout::right_to_left(Align::Center),
        |ui| {
            for (icon, action) in [(Icon::Close, DatasetAction::Close), (Icon::Refresh, DatasetAction::Reload)] {
                action_icon_ui(ui, icon, &act(action), false, theme::CONTROL_HEIGHT, actions);
            }
            ui.with_layout(Layout::left_to_right(Align::Center), |ui| {
                let text = RichText::new(hand.source.name()).text_style(theme::title()).color(p.text);
                let whole = match &hand.source {
                    DatasetSource::Path(path) => path.display().to_string(),
                    DatasetSource::Collection { .. } => "A collection of the gallery".to_owned(),
                };
                ui.add(egui::Label::new(text).truncate()).on_hover_text(whole);
            });
        },
    );
    let (all, there) = (hand.rows_read, hand.with_picture());
    let pictures = if there == all { String::new() } else { format!(", {} with a picture", number(there)) };
    wrapped_ui(ui, &format!("{}: {} rows{pictures}", hand.kind, number(all)));
    if let Some(prepared) = &state.train.dataset.prepared {
        for (count, why) in &prepared.left_out {
            wrapped_ui(ui, &format!("{} rows {why}", number(*count)));
        }
        if prepared.kept_by_hand > 0 {
            wrapped_ui(ui, &format!("{} rows stay as they were changed by hand", number(prepared.kept_by_hand)));
        }
    }
    if state.train.dataset.came_from.as_ref().is_some_and(|(source, _)| *source != hand.source) {
        let back = act(DatasetAction::BackToSource);
        action_button_ui(ui, &back, Emphasis::Quiet, vec2(0.0, 6.0 * theme::UNIT), actions);
    }
    if hand.can_be_edited {
        ui.add_space(theme::UNIT);
        ui.horizontal(|ui| {
            ui.spacing_mut().item_spacing.x = 5.0 * theme::UNIT;
            for mode in [DatasetMode::Captions, DatasetMode::Prepare] {
                let action = act(DatasetAction::Mode(mode));
                let info = action.info();
                let response = underlined_ui(ui, Role::RadioButton, info.text, hand.mode == mode);
                if response.on_hover_text(tooltip(&info)).clicked() {
                    actions.push(action);
                }
            }
        });
    }
    ui.add_space(2.0 * theme::UNIT);
}

/// A choice that is underlined where it is chosen.
pub fn underlined_ui(ui: &mut Ui, role: Role, text: &str, chosen: bool) -> egui::Response {
    let p = palette(ui);
    let font = theme::semibold(13.5);
    let galley = ui.painter().layout_no_wrap(text.to_owned(), font, p.text);
    let (rect, response) = ui.allocate_exact_size(vec2(galley.size().x, theme::CONTROL_HEIGHT), Sense::click());
    response.widget_info(|| WidgetInfo::selected(role, true, chosen, text));
    let colour = if chosen || response.hovered() { p.text } else { p.text_dim };
    let at = rect.left_center() - vec2(0.0, galley.size().y / 2.0);
    ui.painter().galley_with_override_text_color(at, galley, colour);
    if chosen {
        ui.painter().hline(rect.x_range(), rect.bottom() - 1.0, Stroke::new(2.0, p.accent));
    }
    if response.has_focus() {
        let stroke = ui.visuals().widgets.active.bg_stroke;
        ui.painter().rect_stroke(rect.expand(theme::UNIT), theme::ROUNDING, stroke, egui::StrokeKind::Inside);
    }
    response
}

/// What is shown in the middle, and whether what was changed is in the file.
fn page_head_ui(ui: &mut Ui, hand: &DatasetInHand, actions: &mut Vec<Action>) {
    ui.allocate_ui_with_layout(
        vec2(ui.available_width(), theme::CONTROL_HEIGHT),
        Layout::right_to_left(Align::Center),
        |ui| {
            if hand.mode == DatasetMode::Captions {
                ui.add_space(2.0 * theme::UNIT);
                for (icon, action, is_on) in [
                    (Icon::Redo, DatasetAction::Redo, hand.changes.can_redo()),
                    (Icon::Undo, DatasetAction::Undo, hand.changes.can_undo()),
                ] {
                    ui.add_enabled_ui(is_on, |ui| {
                        action_icon_ui(ui, icon, &act(action), false, theme::CONTROL_HEIGHT, actions);
                    });
                }
                if hand.changes.can_undo() || !hand.is_saved() {
                    hint_ui(ui, if hand.is_saved() { "Saved" } else { "Saving" });
                }
            }
            ui.with_layout(Layout::left_to_right(Align::Center), |ui| {
                ui.spacing_mut().item_spacing.x = 5.0 * theme::UNIT;
                for page in [DatasetPage::Pictures, DatasetPage::Problems] {
                    let action = act(DatasetAction::Page(page));
                    let info = action.info();
                    let count = hand.problem_count();
                    let text = match page {
                        DatasetPage::Problems if count > 0 => format!("{} ({})", info.text, number(count)),
                        _ => info.text.to_owned(),
                    };
                    let response = underlined_ui(ui, Role::Tab, &text, hand.page == page);
                    if response.on_hover_text(tooltip(&info)).clicked() {
                        actions.push(action);
                    }
                }
            });
        },
    );
    ui.add_space(2.0 * theme::UNIT);
}

/// How far it is, and what can be done next.
fn work_ui(ui: &mut Ui, state: &State, hand: &DatasetInHand, actions: &mut Vec<Action>) {
    let desk = &state.train.dataset;
    if let Some(work) = &desk.work {
        running_ui(ui, work, actions);
        return;
    }
    let wide = vec2(ui.available_width(), theme::GENERATE_HEIGHT);
    let low = vec2(wide.x, theme::CONTROL_HEIGHT);
    let check = act(DatasetAction::Check);
    match hand.mode {
        DatasetMode::Prepare => {
            if let Some((done, total)) = hand.form.stopped {
                progress_ui(ui, share(done, total), "Progress of the data set");
                wrapped_ui(ui, &format!("Paused: {} of {} pictures are ready", number(done), number(total)));
            } else if let Some(look) = &hand.look {
                let without = match look.without_caption {
                    0 => String::new(),
                    count => format!(", {} without a caption", number(count)),
                };
                wrapped_ui(ui, &format!("{} rows are wanted{without}", number(look.wanted)));
            }
            let stopped = hand.form.stopped.is_some();
            let action = act(if stopped { DatasetAction::GoOn } else { DatasetAction::Prepare });
            let blocked = desk.prepare_blocked();
            let info = action.info();
            let response = ui
                .add_enabled_ui(blocked.is_none(), |ui| {
                    crate::ui::widgets::button_ui(ui, info.text, Emphasis::Primary, wide)
                })
                .inner
                .on_hover_text(tooltip(&info));
            let response = match blocked {
                Some(reason) => response.on_disabled_hover_text(reason),
                None => response,
            };
            if response.clicked() {
                actions.push(action);
            }
        }
        DatasetMode::Captions => {
            action_button_ui(ui, &act(DatasetAction::Train), Emphasis::Primary, wide, actions);
        }
    }
    action_button_ui(ui, &check, Emphasis::Normal, low, actions);
}

fn running_ui(ui: &mut Ui, work: &DatasetWork, actions: &mut Vec<Action>) {
    progress_ui(ui, share(work.done, work.total), "Progress of the data set");
    let what = match (work.is_stopping, work.kind) {
        (true, _) => "Stopping",
        (false, DatasetWorkKind::Prepare) => "Preparing",
        (false, DatasetWorkKind::Check) => "Looking at every picture",
    };
    let far = match work.total {
        0 => String::new(),
        total => format!(": {} of {}", number(work.done), number(total)),
    };
    wrapped_ui(ui, &format!("{what}{far}"));
    let size = vec2(ui.available_width(), theme::CONTROL_HEIGHT);
    ui.add_enabled_ui(!work.is_stopping, |ui| {
        let stop = match work.kind {
            DatasetWorkKind::Prepare => DatasetAction::Pause,
            DatasetWorkKind::Check => DatasetAction::Stop,
        };
        action_button_ui(ui, &act(stop), Emphasis::Normal, size, actions);
    });
}

fn share(done: usize, total: usize) -> f32 {
    done as f32 / total.max(1) as f32
}

/// A count with its thousands apart.
pub fn number(count: usize) -> String {
    let digits = count.to_string();
    let mut text = String::new();
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn thousands_stand_apart() {
        let texts = [0, 7, 999, 1000, 44_424, 1_234_567].map(number);
        assert_eq!(texts, ["0", "7", "999", "1,000", "44,424", "1,234,567"]);
    }
}
