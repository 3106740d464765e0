//! The head of the gallery with its search, and the bar of what can be done with the chosen pictures.

use egui::{Align, Align2, ComboBox, Frame, Id, Label, Layout, Margin, RichText, Role, TextEdit, Ui, WidgetInfo, vec2};

use crate::domain::{Marks, RecipeInCopy, SortOrder};
use crate::studio::{Action, GalleryAction, Named, State, ViewerAction, Work};

use super::icons::Icon;
use super::import::running_ui;
use super::theme::{self, palette};
use super::widgets::{Emphasis, action_button_ui, action_icon_ui, button_ui, hint_ui, progress_ui, tooltip};

/// Most sentences below the search: more would push the pictures away while one types.
const MAX_HINTS: usize = 2;

/// What is shown, how many there are, and the search.
pub fn head_ui(ui: &mut Ui, state: &State, focus_search: bool, actions: &mut Vec<Action>) {
    let p = palette(ui);
    let finder = &state.gallery.finder;
    if state.viewer.picking.is_some() {
        picking_ui(ui, actions);
    }
    ui.horizontal(|ui| {
        let collection = finder.collection.and_then(|id| state.gallery.shelves.collection(id));
        if finder.like.is_some() {
            let back = Action::Gallery(GalleryAction::LeaveLike);
            action_icon_ui(ui, Icon::Left, &back, false, theme::CONTROL_HEIGHT, actions);
        }
        let title = match collection {
            _ if finder.like.is_some() => "One recipe",
            Some(collection) => collection.name.as_str(),
            None if finder.starred => GalleryAction::ShowStarred.info().text,
            None => GalleryAction::ShowAll.info().text,
        };
        ui.label(RichText::new(title).text_style(theme::title()).color(p.text));
        if state.gallery.listed {
            let count = state.gallery.ids().len();
            let found = if finder.is_searching() { " found" } else { "" };
            match count {
                0 => {}
                1 => drop(hint_ui(ui, format!("1 picture{found}"))),
                count => drop(hint_ui(ui, format!("{count} pictures{found}"))),
            }
        }
        ui.with_layout(Layout::right_to_left(Align::Center), |ui| {
            ui.add_space(3.0 * theme::UNIT);
            action_icon_ui(ui, Icon::Refresh, &Action::Rescan, false, theme::CONTROL_HEIGHT, actions);
        });
    });
    ui.horizontal(|ui| {
        search_ui(ui, state, focus_search, actions);
    });
    for hint in finder.hints.iter().take(MAX_HINTS) {
        let colour = if hint.is_unfinished() { p.text_faint } else { p.danger };
        ui.add(Label::new(RichText::new(hint.sentence()).small().color(colour)).wrap());
    }
}

fn search_ui(ui: &mut Ui, state: &State, focus_search: bool, actions: &mut Vec<Action>) {
    let finder = &state.gallery.finder;
    let info = GalleryAction::EditSearch(String::new()).info();
    let mut text = finder.text.clone();
    let side = theme::CONTROL_HEIGHT;
    // Three icons, the order, saving the search, the gaps between them, and room for the scroll bar.
    let others = 3.0 * side + theme::SORT_WIDTH + theme::SAVE_SEARCH_WIDTH + 15.0 * theme::UNIT;
    let width = (ui.available_width() - others).max(4.0 * side);
    let field = TextEdit::singleline(&mut text)
        .id(Id::unique("gallery search"))
        .desired_width(width)
        .align(Align2::LEFT_CENTER)
        .hint_text("Search prompts, models, seeds…");
    let response = ui.add_sized(vec2(width, side), field).on_hover_text(info.tooltip);
    let response = response.accessible_name("Search pictures");
    if focus_search {
        response.request_focus();
    }
    // A key that changes nothing, such as Delete at the end, counts as a change too.
    if response.changed() && text != finder.text {
        actions.push(Action::Gallery(GalleryAction::EditSearch(text)));
    }
    ui.add_enabled_ui(finder.is_searching(), |ui| {
        action_icon_ui(ui, Icon::Close, &Action::Gallery(GalleryAction::ClearSearch), false, side, actions);
    });
    let icon = if finder.starred { Icon::Starred } else { Icon::Star };
    action_icon_ui(ui, icon, &Action::Gallery(GalleryAction::ToggleStarred), finder.starred, side, actions);
    let group = Action::Gallery(GalleryAction::ToggleGrouped);
    action_icon_ui(ui, Icon::Stack, &group, finder.is_grouped, side, actions);
    sort_ui(ui, state, actions);
    ui.add_enabled_ui(finder.is_searching() || finder.starred, |ui| {
        let save = Action::Gallery(GalleryAction::Name(Named::OfSearch));
        action_button_ui(ui, &save, Emphasis::Quiet, vec2(theme::SAVE_SEARCH_WIDTH, side), actions);
    });
}

fn sort_ui(ui: &mut Ui, state: &State, actions: &mut Vec<Action>) {
    let finder = &state.gallery.finder;
    let is_arranged = finder
        .collection
        .and_then(|id| state.gallery.shelves.collection(id))
        .is_some_and(|collection| collection.query.is_none());
    let info = GalleryAction::Sort(finder.sort).info();
    let response = ComboBox::from_id_salt("gallery order")
        .selected_text(finder.sort.label())
        .width(theme::SORT_WIDTH)
        .truncate()
        .show_ui(ui, |ui| {
            ui.spacing_mut().item_spacing.y = 2.0;
            for sort in SortOrder::ALL.into_iter().filter(|sort| is_arranged || *sort != SortOrder::Arranged) {
                if ui.selectable_label(finder.sort == sort, sort.label()).clicked() {
                    actions.push(Action::Gallery(GalleryAction::Sort(sort)));
                }
            }
        })
        .response;
    response.on_hover_text(info.tooltip).accessible_name(info.text);
}

/// How many are chosen and what can be done with them; and what is being done.
pub fn chosen_ui(ui: &mut Ui, state: &State, actions: &mut Vec<Action>) {
    for work in &state.gallery.works {
        work_ui(ui, work, actions);
    }
    if let Some(running) = &state.viewer.import.running {
        running_ui(ui, running, actions);
    }
    let count = state.gallery.chosen_count();
    if count == 0 {
        return;
    }
    let p = palette(ui);
    ui.horizontal_wrapped(|ui| {
        ui.label(RichText::new(format!("{count} chosen")).font(theme::semibold(14.0)).color(p.text));
        let any = vec2(0.0, 0.0);
        let star = GalleryAction::StarChosen;
        let text = if state.gallery.subjects_are_starred() { "Take stars back" } else { star.info().text };
        if button_ui(ui, text, Emphasis::Normal, any).on_hover_text(tooltip(&star.info())).clicked() {
            actions.push(Action::Gallery(star));
        }
        rate_ui(ui, actions);
        if count == 2 {
            let compare = Action::Viewer(ViewerAction::CompareChosen);
            action_button_ui(ui, &compare, Emphasis::Normal, any, actions);
        }
        collect_ui(ui, state, actions);
        for action in [GalleryAction::CopyOut, GalleryAction::Zip] {
            action_button_ui(ui, &Action::Gallery(action), Emphasis::Normal, any, actions);
        }
        let recipes = GalleryAction::ToggleRecipes.info();
        let mut with_recipes = state.gallery.recipe_in_copies == RecipeInCopy::Kept;
        if ui.checkbox(&mut with_recipes, recipes.text).on_hover_text(recipes.tooltip).clicked() {
            actions.push(Action::Gallery(GalleryAction::ToggleRecipes));
        }
        action_button_ui(ui, &Action::Trash, Emphasis::Normal, any, actions);
        let none = Action::Gallery(GalleryAction::ChooseNone);
        action_icon_ui(ui, Icon::Close, &none, false, theme::CONTROL_HEIGHT, actions);
    });
}

/// Rates all that is chosen.
fn rate_ui(ui: &mut Ui, actions: &mut Vec<Action>) {
    let menu = ui.menu_button("Rate…", |ui| {
        for rating in (0..=Marks::MAX_RATING).rev() {
            let info = GalleryAction::Rate(rating).info();
            if ui.button(info.text).on_hover_text(tooltip(&info)).clicked() {
                actions.push(Action::Gallery(GalleryAction::Rate(rating)));
            }
        }
    });
    menu.response.on_hover_text("Rate the chosen pictures from 1 to 5; the keys 0 to 5 do so too");
}

/// That a picture is being chosen to compare another one with.
fn picking_ui(ui: &mut Ui, actions: &mut Vec<Action>) {
    let p = palette(ui);
    Frame::new().fill(p.accent_soft).corner_radius(theme::ROUNDING).inner_margin(Margin::symmetric(12, 4)).show(
        ui,
        |ui| {
            ui.horizontal(|ui| {
                ui.label(RichText::new("Click the picture to compare with").color(p.text));
                let stop = Action::Viewer(ViewerAction::StopPicking);
                action_button_ui(ui, &stop, Emphasis::Quiet, vec2(0.0, 0.0), actions);
            });
        },
    );
}

/// Into a collection, and out of the one that is shown.
fn collect_ui(ui: &mut Ui, state: &State, actions: &mut Vec<Action>) {
    let shelves = &state.gallery.shelves;
    let menu = ui.menu_button("Add to collection…", |ui| {
        for collection in shelves.own() {
            let add = GalleryAction::AddTo(collection.id);
            let response = ui.button(&collection.name).on_hover_text(add.info().tooltip);
            if response.clicked() {
                actions.push(Action::Gallery(add));
            }
        }
        if shelves.own().next().is_some() {
            ui.separator();
        }
        let new = GalleryAction::Name(Named::OfChosen);
        if ui.button(new.info().text).on_hover_text(new.info().tooltip).clicked() {
            actions.push(Action::Gallery(new));
        }
    });
    menu.response.on_hover_text("Put the chosen pictures into a collection");
    let shown = state.gallery.finder.collection.and_then(|id| shelves.collection(id));
    if shown.is_some_and(|collection| collection.query.is_none()) {
        action_button_ui(ui, &Action::Gallery(GalleryAction::TakeOut), Emphasis::Normal, vec2(0.0, 0.0), actions);
    }
}

fn work_ui(ui: &mut Ui, work: &Work, actions: &mut Vec<Action>) {
    let Work { ticket, title, target: _, done, total, cancel: _ } = work;
    ui.horizontal(|ui| {
        hint_ui(ui, format!("{title}: {done} of {total}"));
        ui.with_layout(Layout::right_to_left(Align::Center), |ui| {
            let stop = GalleryAction::StopWork(*ticket);
            let info = stop.info();
            let response = button_ui(ui, info.text, Emphasis::Normal, vec2(0.0, 0.0)).on_hover_text(tooltip(&info));
            response.widget_info(|| WidgetInfo::labeled(Role::Button, true, format!("{} {title}", info.text)));
            if response.clicked() {
                actions.push(Action::Gallery(stop));
            }
            progress_ui(ui, *done as f32 / (*total).max(1) as f32, title);
        });
    });
}
