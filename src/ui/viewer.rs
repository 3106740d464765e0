//! The gallery's large view: a picture, its recipe, and what can be done with it.

use egui::{CentralPanel, Frame, Grid, Margin, Panel, Rect, RichText, ScrollArea, Ui, Vec2, vec2};

use crate::domain::grid::Axis;
use crate::domain::{PictureEntry, Recipe, Variation, Verdict};
use crate::studio::{self, Action, GalleryAction, GridAction, Move, State, VariationAction, duration_text};

use super::gallery::entry_name;
use super::icons::Icon;
use super::textures::{TextureKey, Textures};
use super::theme::{self, palette};
use super::widgets::{
    Emphasis, action_icon_ui, button_ui, empty_ui, fit, hidden_ui, hint_ui, icon_button_ui, picture_ui, tooltip,
};

/// The selected picture, large.
pub fn viewer_ui(ui: &mut Ui, state: &State, textures: &mut Textures, actions: &mut Vec<Action>) {
    // Until its row is read, there is only the bar.
    let entry = state.gallery.selected_entry();
    let p = palette(ui);
    let recipe_frame = Frame::new().fill(p.panel);
    Panel::right("recipe")
        .exact_size(theme::RECIPE_WIDTH)
        .resizable(false)
        .show_separator_line(false)
        .frame(recipe_frame)
        .show(ui, |ui| {
            if let Some(entry) = entry {
                recipe_ui(ui, state, entry, actions);
            }
        });
    CentralPanel::default().frame(Frame::new().fill(p.canvas)).show(ui, |ui| {
        let bar = Frame::new().fill(p.canvas).inner_margin(Margin::symmetric(12, 8));
        Panel::top("viewer bar").resizable(false).show_separator_line(false).frame(bar).show(ui, |ui| {
            bar_ui(ui, state, actions);
        });
        if let Some(entry) = entry {
            large_ui(ui, state, entry, textures, actions);
        }
    });
}

fn bar_ui(ui: &mut Ui, state: &State, actions: &mut Vec<Action>) {
    ui.horizontal(|ui| {
        let back = Action::ClosePicture.info();
        if icon_button_ui(ui, Icon::Left, back.text, &tooltip(&back), false, theme::CONTROL_HEIGHT).clicked() {
            actions.push(Action::ClosePicture);
        }
        hint_ui(ui, back.text);
        ui.with_layout(egui::Layout::right_to_left(egui::Align::Center), |ui| {
            let count = state.gallery.ids().len();
            let index = state.gallery.selected_index();
            for (icon, direction, possible) in [
                (Icon::Right, Move::Next, index.is_none_or(|index| index + 1 < count)),
                (Icon::Left, Move::Previous, index.is_none_or(|index| index > 0)),
            ] {
                let action = Action::Move(direction);
                let info = action.info();
                ui.add_enabled_ui(possible, |ui| {
                    let side = theme::CONTROL_HEIGHT;
                    if icon_button_ui(ui, icon, info.text, &tooltip(&info), false, side).clicked() {
                        actions.push(action);
                    }
                });
            }
            if let Some(index) = index {
                hint_ui(ui, format!("{} of {count}", index + 1));
            }
            let starred = state.gallery.selected.is_some_and(|id| state.gallery.is_starred(id));
            let icon = if starred { Icon::Starred } else { Icon::Star };
            let star = Action::Gallery(GalleryAction::StarChosen);
            action_icon_ui(ui, icon, &star, starred, theme::CONTROL_HEIGHT, actions);
        });
    });
}

fn large_ui(ui: &mut Ui, state: &State, entry: &PictureEntry, textures: &mut Textures, actions: &mut Vec<Action>) {
    let available = ui.available_rect_before_wrap();
    let area = Rect::from_min_max(available.min + vec2(20.0, 0.0), available.max - vec2(20.0, 20.0));
    let rect = fit(area, entry.width_px as f32, entry.height_px as f32, theme::MAX_ENLARGEMENT);
    let description = format!("Large picture: {}", entry_name(entry));
    match &state.gallery.opened {
        Some((id, picture)) if *id == entry.id => {
            if let Some(verdict) = state.hidden_picture(entry.id) {
                let key = TextureKey::HiddenFull(entry.id, state.safety);
                let texture = textures.load_hidden(ui.ctx(), key, picture, state.safety, verdict);
                hidden_ui(ui, rect, texture, actions);
            } else {
                let texture = textures.load(ui.ctx(), TextureKey::Full(entry.id), picture);
                picture_ui(ui, rect, texture, theme::ROUNDING, &description);
            }
        }
        _ if state.gallery.is_broken(entry.id) => {
            empty_ui(ui, Icon::Warning, "This picture could not be read", "Its file may have been moved or damaged");
        }
        // Until the file is read, its thumbnail stands in, so that going through pictures does not flicker.
        _ => {
            if let Some(texture) = textures.get(TextureKey::Thumbnail(entry.id)) {
                texture.paint(ui, rect, theme::ROUNDING);
            } else {
                ui.painter().rect_filled(rect, theme::ROUNDING, palette(ui).panel);
            }
        }
    }
}

fn recipe_ui(ui: &mut Ui, state: &State, entry: &PictureEntry, actions: &mut Vec<Action>) {
    let p = palette(ui);
    let margin = Margin { left: 20, right: 20, top: 16, bottom: 16 };
    let bottom = Frame::new().fill(p.panel).inner_margin(margin);
    Panel::bottom("recipe actions").resizable(false).show_separator_line(true).frame(bottom).show(ui, |ui| {
        buttons_ui(ui, entry.recipe.as_ref(), actions);
    });
    ScrollArea::vertical().auto_shrink(false).show(ui, |ui| {
        Frame::new().inner_margin(margin).show(ui, |ui| {
            ui.set_width(ui.available_width());
            if let Some(recipe) = &entry.recipe {
                facts_ui(ui, recipe);
            } else {
                section_ui(ui, "Recipe");
                ui.label(RichText::new("This picture carries no recipe that can be read").color(p.text_dim));
            }
            ui.add_space(3.0 * theme::UNIT);
            section_ui(ui, "File");
            hint_ui(ui, (state.catalog.local_date)(entry.created_ms));
            let path = entry.path.display().to_string();
            ui.add(egui::Label::new(RichText::new(path).small().color(p.text_dim)).wrap().selectable(true));
        });
    });
}

fn safety_text(verdict: Verdict) -> String {
    format!("{} ({:+.3})", if verdict.flagged { "Flagged" } else { "Nothing found" }, verdict.score)
}

fn variation_text(variation: Variation) -> String {
    format!("{} of the way to seed {}", variation.strength, variation.seed)
}

/// What a sheet shows along one direction.
fn axis_text(axis: Option<&Axis>) -> String {
    axis.map(|axis| format!("{}: {}", axis.field.label, axis.text())).unwrap_or_default()
}

fn section_ui(ui: &mut Ui, title: &str) {
    let colour = palette(ui).text_dim;
    ui.label(RichText::new(title).text_style(theme::label()).color(colour));
}

fn facts_ui(ui: &mut Ui, recipe: &Recipe) {
    let p = palette(ui);
    let Recipe { request, model_name, model_hash, version, elapsed_secs, safety, grid } = recipe;
    let [across, down, pages] = grid.as_ref().map_or([None, None, None], |axes| axes.all()).map(axis_text);
    let texts = [
        ("Prompt", &request.prompt),
        ("Negative prompt", &request.negative_prompt),
        ("Across", &across),
        ("Down", &down),
        ("Pages", &pages),
    ];
    for (title, text) in texts {
        if !text.is_empty() {
            section_ui(ui, title);
            ui.add(egui::Label::new(RichText::new(text).color(p.text)).wrap().selectable(true));
            ui.add_space(2.0 * theme::UNIT);
        }
    }
    section_ui(ui, "Recipe");
    let facts = [
        ("Model", format!("{model_name}\n{model_hash}").trim_end().to_owned()),
        (
            match (&request.upscale, grid) {
                (Some(_), _) => "Tiles",
                (None, Some(_)) => "Each picture",
                (None, None) => "Size",
            },
            format!("{} × {} px", request.width_px, request.height_px),
        ),
        ("Enlarged", request.upscale.map(|scale| format!("{scale} times")).unwrap_or_default()),
        ("Steps", request.num_inference_steps.to_string()),
        ("Guidance", format!("{}", request.guidance_scale)),
        ("Sampler", studio::sampler(request.sampler).name.to_owned()),
        ("Schedule", studio::schedule(request.schedule).name.to_owned()),
        ("Seed", request.seed.to_string()),
        ("Variation", request.variation.map(variation_text).unwrap_or_default()),
        ("Time", duration_text(*elapsed_secs)),
        ("Made by", version.clone()),
        ("Safety", safety.map(safety_text).unwrap_or_default()),
    ];
    Grid::new("facts").num_columns(2).spacing(vec2(16.0, 4.0)).min_row_height(20.0).show(ui, |ui| {
        for (name, value) in facts.into_iter().filter(|(_, value)| !value.is_empty()) {
            ui.label(RichText::new(name).color(p.text_faint));
            ui.add(egui::Label::new(RichText::new(value).color(p.text)).selectable(true));
            ui.end_row();
        }
    });
}

fn buttons_ui(ui: &mut Ui, recipe: Option<&Recipe>, actions: &mut Vec<Action>) {
    let has_recipe = recipe.is_some();
    let anew = if recipe.is_some_and(|recipe| recipe.grid.is_some()) {
        Action::Grid(GridAction::UseSelected)
    } else {
        Action::Variation(VariationAction::Open)
    };
    let width = ui.available_width();
    let half = ((width - ui.spacing().item_spacing.x) / 2.0).floor();
    let mut button = |ui: &mut Ui, action: Action, emphasis: Emphasis, size: Vec2, needs_recipe: bool| {
        let info = action.info();
        let response =
            ui.add_enabled_ui(has_recipe || !needs_recipe, |ui| button_ui(ui, info.text, emphasis, size)).inner;
        let response = response.on_hover_text(tooltip(&info)).on_disabled_hover_text("This picture carries no recipe");
        if response.clicked() {
            actions.push(action);
        }
    };
    let wide = vec2(width, 36.0);
    let narrow = vec2(half, theme::CONTROL_HEIGHT);
    button(ui, Action::UseAllParameters, Emphasis::Primary, wide, true);
    button(ui, anew, Emphasis::Normal, vec2(width, theme::CONTROL_HEIGHT), true);
    ui.horizontal(|ui| {
        button(ui, Action::BeginWithSelected, Emphasis::Normal, narrow, false);
        button(ui, Action::UpscaleSelected, Emphasis::Normal, narrow, false);
    });
    ui.horizontal(|ui| {
        button(ui, Action::UsePrompt, Emphasis::Normal, narrow, true);
        button(ui, Action::UseSeed, Emphasis::Normal, narrow, true);
    });
    ui.horizontal(|ui| {
        button(ui, Action::CopyPicture, Emphasis::Normal, narrow, false);
        button(ui, Action::CopyPrompt, Emphasis::Normal, narrow, true);
    });
    ui.horizontal(|ui| {
        button(ui, Action::SaveAs, Emphasis::Normal, narrow, false);
        button(ui, Action::Trash, Emphasis::Normal, narrow, false);
    });
}
