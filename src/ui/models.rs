//! Models: what is here, what is on its way, what was refused and why, and how more come.

use egui::{Align, Align2, Frame, Id, Key, Layout, Margin, RichText, ScrollArea, TextEdit, Ui, vec2};

use crate::domain::{CatalogueEntry, ModelState, Secret, TokenSource, TransferKey, bytes_text};
use crate::studio::{Action, ShelfAction, State, TransferState};

use super::icons::Icon;
use super::models_cards::{card_ui, entry_ui, error_ui, look_ui, named_button_ui, transfer_ui};
use super::theme::{self, palette};
use super::widgets::{Emphasis, action_button_ui, action_icon_ui, button_ui, hint_ui, problem_ui, tooltip};

/// All of it on one page.
pub fn models_ui(ui: &mut Ui, state: &State, actions: &mut Vec<Action>) {
    // A file that is dropped anywhere on the page is looked at.
    let dropped = ui.input(|input| input.raw.dropped_files.clone());
    actions.extend(dropped.iter().map(|file| Action::Shelf(ShelfAction::Inspect(file.path().to_path_buf()))));
    ScrollArea::vertical().auto_shrink(false).show(ui, |ui| {
        Frame::new().inner_margin(Margin { left: 24, right: 24, top: 20, bottom: 24 }).show(ui, |ui| {
            ui.set_width(ui.available_width().min(theme::CARDS_WIDTH));
            header_ui(ui, actions);
            if !state.shelf.transfers.is_empty() {
                section_ui(ui, "On the way", |ui| {
                    for transfer in &state.shelf.transfers {
                        transfer_ui(ui, transfer, actions);
                    }
                });
            }
            if !state.shelf.looks.is_empty() {
                section_ui(ui, "Looked at", |ui| {
                    for look in &state.shelf.looks {
                        look_ui(ui, look, actions);
                    }
                });
            }
            section_ui(ui, "On this computer", |ui| here_ui(ui, state, actions));
            section_ui(ui, "Good first models", |ui| {
                for entry in state.catalog.models {
                    catalogue_ui(ui, state, entry, actions);
                }
            });
            section_ui(ui, "From the hub", |ui| card_ui(ui, |ui| repo_ui(ui, state, actions)));
            section_ui(ui, "Access token", |ui| card_ui(ui, |ui| token_ui(ui, state, actions)));
            section_ui(ui, "Folders", |ui| card_ui(ui, |ui| folders_ui(ui, state, actions)));
        });
    });
}

fn header_ui(ui: &mut Ui, actions: &mut Vec<Action>) {
    let p = palette(ui);
    ui.horizontal(|ui| {
        ui.label(RichText::new("Models").text_style(theme::title()).color(p.text));
        // Beside the title, at the left: messages come at the top in the middle, and would cover them.
        ui.add_space(2.0 * theme::UNIT);
        for action in [ShelfAction::ChooseFile, ShelfAction::ChooseFolder] {
            action_button_ui(ui, &Action::Shelf(action), Emphasis::Normal, vec2(0.0, 0.0), actions);
        }
        let refresh = Action::Shelf(ShelfAction::Refresh);
        action_icon_ui(ui, Icon::Refresh, &refresh, false, theme::CONTROL_HEIGHT, actions);
    });
    ui.add_space(2.0 * theme::UNIT);
}

fn section_ui(ui: &mut Ui, title: &str, add_contents: impl FnOnce(&mut Ui)) {
    let p = palette(ui);
    ui.label(RichText::new(title).font(theme::semibold(13.0)).color(p.text_dim));
    add_contents(ui);
    ui.add_space(3.0 * theme::UNIT);
}

fn here_ui(ui: &mut Ui, state: &State, actions: &mut Vec<Action>) {
    let shelf = &state.shelf;
    for problem in &shelf.problems {
        card_ui(ui, |ui| error_ui(ui, problem));
    }
    let mut shown = shelf.shown().peekable();
    if shown.peek().is_none() {
        let p = palette(ui);
        card_ui(ui, |ui| {
            let (title, advice) = if shelf.listed {
                (
                    "No models yet",
                    "The starter inside Atelier draws garments. For all else download one below, or open a file",
                )
            } else {
                ("Looking for models", "This takes a moment")
            };
            ui.label(RichText::new(title).font(theme::semibold(14.0)).color(p.text_dim));
            hint_ui(ui, advice);
        });
        return;
    }
    for entry in shown {
        let is_asked = shelf.removing.as_ref() == Some(&entry.path);
        entry_ui(ui, entry, is_asked, actions);
    }
}

fn catalogue_ui(ui: &mut Ui, state: &State, entry: &CatalogueEntry, actions: &mut Vec<Action>) {
    let p = palette(ui);
    card_ui(ui, |ui| {
        ui.horizontal_top(|ui| {
            let text_width = ui.available_width() - theme::CARD_BUTTON_WIDTH;
            ui.vertical(|ui| {
                ui.set_width(text_width);
                ui.spacing_mut().item_spacing.y = theme::UNIT / 2.0;
                ui.label(RichText::new(entry.name).font(theme::semibold(14.0)).color(p.text));
                ui.add(egui::Label::new(RichText::new(entry.good_at).color(p.text_dim)).wrap());
                let size = bytes_text(entry.approx_bytes);
                hint_ui(ui, format!("{} · {} px · about {size} · {}", entry.family, entry.side_px, entry.licence));
            });
            ui.with_layout(Layout::right_to_left(Align::Min), |ui| {
                let is_here = state
                    .shelf
                    .from_repo(entry.repo)
                    .is_some_and(|found| !matches!(found.state, ModelState::Unfinished { .. }));
                let transfer = state.shelf.transfer(&TransferKey::Repo(entry.repo.to_owned()));
                if transfer.is_some_and(|transfer| !matches!(transfer.state, TransferState::Failed(_))) {
                    hint_ui(ui, "Coming");
                } else if is_here {
                    hint_ui(ui, "Here already");
                } else {
                    named_button_ui(
                        ui,
                        ShelfAction::Plan(entry.repo.to_owned()),
                        Emphasis::Normal,
                        entry.name,
                        actions,
                    );
                }
            });
        });
    });
}

fn repo_ui(ui: &mut Ui, state: &State, actions: &mut Vec<Action>) {
    let info = ShelfAction::EditRepo(String::new()).info();
    ui.horizontal(|ui| {
        let look_up = Action::Shelf(ShelfAction::PlanTyped);
        let name = super::widgets::field_name_ui(ui, &info);
        let mut text = state.shelf.repo_field.clone();
        let width = (ui.available_width() - theme::CARD_BUTTON_WIDTH).max(theme::CARD_BUTTON_WIDTH);
        let field = TextEdit::singleline(&mut text).id(Id::unique("repository")).desired_width(width);
        let response = ui.add(field.hint_text("stabilityai/sd-turbo").align(Align2::LEFT_CENTER)).labelled_by(name.id);
        let is_entered = response.lost_focus() && ui.input(|input| input.key_pressed(Key::Enter));
        if response.changed() {
            actions.push(Action::Shelf(ShelfAction::EditRepo(text)));
        }
        let info = look_up.info();
        let button = ui.add_enabled_ui(!state.shelf.repo_field.trim().is_empty(), |ui| {
            button_ui(ui, info.text, Emphasis::Normal, vec2(0.0, 0.0)).on_hover_text(tooltip(&info))
        });
        if button.inner.clicked() || is_entered {
            actions.push(look_up);
        }
    });
    hint_ui(ui, "Only the files that are needed are fetched, into the cache that Python's tools use too");
}

fn token_ui(ui: &mut Ui, state: &State, actions: &mut Vec<Action>) {
    let shelf = &state.shelf;
    let told = match shelf.token {
        TokenSource::None => "None is set. Only models whose terms must be accepted, and private ones, need one",
        TokenSource::Settings => "The one that you entered is used. It is sent to the hub and to nobody else",
        TokenSource::Elsewhere => "The one of HF_TOKEN, or of the hub's own tools, is used",
    };
    hint_ui(ui, told);
    ui.horizontal(|ui| {
        let name = super::widgets::field_name_ui(ui, &ShelfAction::EditToken(Secret::default()).info());
        let mut text = shelf.token_field.reveal().to_owned();
        let width = (ui.available_width() - theme::CARD_BUTTON_WIDTH).max(theme::CARD_BUTTON_WIDTH);
        let field = TextEdit::singleline(&mut text).id(Id::unique("token")).password(true).desired_width(width);
        let response = ui.add(field.hint_text("hf_…").align(Align2::LEFT_CENTER)).labelled_by(name.id);
        if response.changed() {
            actions.push(Action::Shelf(ShelfAction::EditToken(Secret::new(text))));
        }
        let save = Action::Shelf(ShelfAction::SaveToken);
        ui.add_enabled_ui(!shelf.token_field.is_empty(), |ui| {
            action_button_ui(ui, &save, Emphasis::Normal, vec2(0.0, 0.0), actions);
        });
    });
    problem_ui(ui, shelf.token_problem.as_ref().map(|problem| problem.sentence.as_str()));
    ui.horizontal(|ui| {
        if shelf.token == TokenSource::Settings || shelf.token_problem.is_some() {
            action_button_ui(ui, &Action::Shelf(ShelfAction::ForgetToken), Emphasis::Normal, vec2(0.0, 0.0), actions);
        }
        if let Some(page) = shelf.token_page.as_ref().filter(|page| !page.is_empty()) {
            hint_ui(ui, format!("Tokens are made at {page}"));
            for action in [ShelfAction::OpenPage(page.clone()), ShelfAction::CopyAddress(page.clone())] {
                named_button_ui(ui, action, Emphasis::Quiet, "of the page of tokens", actions);
            }
        }
    });
}

fn folders_ui(ui: &mut Ui, state: &State, actions: &mut Vec<Action>) {
    let p = palette(ui);
    hint_ui(ui, "Imported files go here:");
    let own = RichText::new(state.paths.models_dir.display().to_string()).small().color(p.text_dim);
    ui.add(egui::Label::new(own).wrap().selectable(true));
    if !state.shelf.folders.is_empty() {
        hint_ui(ui, "These are looked through too. Nothing in them is copied or changed:");
    }
    for folder in &state.shelf.folders {
        ui.horizontal(|ui| {
            let path = folder.display().to_string();
            named_button_ui(ui, ShelfAction::ForgetFolder(folder.clone()), Emphasis::Quiet, &path, actions);
            ui.add(egui::Label::new(RichText::new(path).small().color(p.text_dim)).wrap().selectable(true));
        });
    }
}
