//! The recipe of a picture: beside the large view with all that can be done with the picture, and where one of another
//! program is looked at.

use egui::{Frame, Grid, Margin, Panel, RichText, Role, ScrollArea, Ui, Vec2, WidgetInfo, vec2};

use crate::domain::grid::Axis;
use crate::domain::{FieldDifference, Outcome, PictureEntry, Recipe, Variation, Verdict};
use crate::studio::{
    self, Action, GridAction, Remade, Replay, ReplayAction, Stage, State, VariationAction, ViewerAction, duration_text,
};

use super::theme::{self, palette};
use super::widgets::{Emphasis, action_button_ui, button_ui, hint_ui, progress_ui, tooltip};

/// The recipe of the picture that is shown large, and what can be done with it.
pub fn recipe_ui(ui: &mut Ui, state: &State, entry: &PictureEntry, actions: &mut Vec<Action>) {
    let p = palette(ui);
    let margin = Margin { left: 20, right: 20, top: 16, bottom: 16 };
    let bottom = Frame::new().fill(p.panel).inner_margin(margin);
    Panel::bottom("recipe actions").resizable(false).show_separator_line(true).frame(bottom).show(ui, |ui| {
        buttons_ui(ui, state, entry.recipe.as_ref(), actions);
    });
    ScrollArea::vertical().auto_shrink(false).show(ui, |ui| {
        Frame::new().inner_margin(margin).show(ui, |ui| {
            ui.set_width(ui.available_width());
            if let Some(replay) = state.viewer.replay.as_ref().filter(|replay| replay.id == entry.id) {
                replay_ui(ui, replay, actions);
            }
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

/// The name of a part.
pub fn section_ui(ui: &mut Ui, title: &str) {
    let colour = palette(ui).text_dim;
    ui.label(RichText::new(title).text_style(theme::label()).color(colour));
}

/// All that a recipe says.
pub fn facts_ui(ui: &mut Ui, recipe: &Recipe) {
    let p = palette(ui);
    let Recipe { request, model_name, model_hash, version, elapsed_secs, safety, machine, grid, not_understood } =
        recipe;
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
        // Other programs do not say.
        ("Time", if *elapsed_secs > 0.0 { duration_text(*elapsed_secs) } else { String::new() }),
        ("Made by", version.clone()),
        ("On", machine.as_ref().map(ToString::to_string).unwrap_or_default()),
        ("Safety", safety.map(safety_text).unwrap_or_default()),
    ];
    Grid::new("facts").num_columns(2).spacing(vec2(16.0, 4.0)).min_row_height(20.0).show(ui, |ui| {
        for (name, value) in facts.into_iter().filter(|(_, value)| !value.is_empty()) {
            ui.label(RichText::new(name).color(p.text_faint));
            ui.add(egui::Label::new(RichText::new(value).color(p.text)).selectable(true));
            ui.end_row();
        }
    });
    not_understood_ui(ui, not_understood);
}

/// What of another program's recipe could not be taken over.
fn not_understood_ui(ui: &mut Ui, sentences: &[String]) {
    if sentences.is_empty() {
        return;
    }
    ui.add_space(2.0 * theme::UNIT);
    section_ui(ui, "Not taken over");
    for sentence in sentences {
        let text = RichText::new(sentence).small().color(palette(ui).text_dim);
        ui.add(egui::Label::new(text).wrap().selectable(true));
    }
}

fn buttons_ui(ui: &mut Ui, state: &State, recipe: Option<&Recipe>, actions: &mut Vec<Action>) {
    let has_recipe = recipe.is_some();
    let anew = if recipe.is_some_and(|recipe| recipe.grid.is_some()) {
        Action::Grid(GridAction::UseSelected)
    } else {
        Action::Variation(VariationAction::Open)
    };
    let width = ui.available_width();
    let half = ((width - ui.spacing().item_spacing.x) / 2.0).floor();
    let mut again_wanted = false;
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
        button(ui, Action::Viewer(ViewerAction::Remix), Emphasis::Normal, narrow, true);
        let again = ReplayAction::Begin.info();
        let blocked = state.replay_blocked();
        let response =
            ui.add_enabled_ui(blocked.is_none(), |ui| button_ui(ui, again.text, Emphasis::Normal, narrow)).inner;
        let response = response.on_hover_text(tooltip(&again)).on_disabled_hover_text(blocked.unwrap_or_default());
        if response.clicked() {
            again_wanted = true;
        }
    });
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
    if again_wanted {
        actions.push(ReplayAction::Begin.into());
    }
}

/// How far it is with making the picture again, and what came of it.
fn replay_ui(ui: &mut Ui, replay: &Replay, actions: &mut Vec<Action>) {
    let p = palette(ui);
    Frame::new().fill(p.raised).corner_radius(theme::ROUNDING).inner_margin(12).show(ui, |ui| {
        ui.set_width(ui.available_width());
        section_ui(ui, "Made again");
        match &replay.stage {
            Stage::Waiting => {
                hint_ui(ui, "Getting ready");
                action_button_ui(ui, &ReplayAction::Stop.into(), Emphasis::Normal, vec2(0.0, 0.0), actions);
            }
            Stage::Steps(step, steps) => {
                hint_ui(ui, format!("Step {step} of {steps}"));
                progress_ui(ui, *step as f32 / (*steps).max(1) as f32, "Making it again");
                action_button_ui(ui, &ReplayAction::Stop.into(), Emphasis::Normal, vec2(0.0, 0.0), actions);
            }
            Stage::Failed(error) => {
                for (text, colour) in [(Some(&error.sentence), p.danger), (error.hint.as_ref(), p.text_dim)] {
                    if let Some(text) = text {
                        ui.add(egui::Label::new(RichText::new(text).small().color(colour)).wrap().selectable(true));
                    }
                }
                close_ui(ui, actions);
            }
            Stage::Made(remade) => remade_ui(ui, remade, actions),
        }
    });
    ui.add_space(3.0 * theme::UNIT);
}

fn remade_ui(ui: &mut Ui, remade: &Remade, actions: &mut Vec<Action>) {
    let p = palette(ui);
    let Remade { picture: _, recipe: _, outcome, reasons, is_kept } = remade;
    let colour = if matches!(outcome, Outcome::Differs(_)) { p.danger } else { p.text };
    ui.add(egui::Label::new(RichText::new(outcome.sentence()).color(colour)).wrap().selectable(true));
    match outcome {
        Outcome::Identical => {}
        _ if reasons.is_empty() => {
            let text = "The model, the program and this machine are as they were: a file that it is made with may have \
                        changed, or this file was worked over";
            ui.add(egui::Label::new(RichText::new(text).small().color(p.text_dim)).wrap());
        }
        _ => {
            hint_ui(ui, "because these are others now than then:");
            differences_ui(ui, reasons, ["Then", "Now"]);
        }
    }
    ui.horizontal_wrapped(|ui| {
        if *outcome != Outcome::Identical {
            action_button_ui(ui, &ReplayAction::Compare.into(), Emphasis::Normal, vec2(0.0, 0.0), actions);
            ui.add_enabled_ui(!is_kept, |ui| {
                action_button_ui(ui, &ReplayAction::Keep.into(), Emphasis::Normal, vec2(0.0, 0.0), actions);
            });
        }
        close_ui(ui, actions);
    });
}

fn close_ui(ui: &mut Ui, actions: &mut Vec<Action>) {
    let info = ReplayAction::Close.info();
    let response = button_ui(ui, info.text, Emphasis::Quiet, vec2(0.0, 0.0)).on_hover_text(tooltip(&info));
    response.widget_info(|| WidgetInfo::labeled(Role::Button, true, "Close what was made again"));
    if response.clicked() {
        actions.push(ReplayAction::Close.into());
    }
}

/// Fields that differ, one below the other: what the first says and what the second.
pub fn differences_ui(ui: &mut Ui, differences: &[FieldDifference], names: [&str; 2]) {
    let p = palette(ui);
    for FieldDifference { field, one, other } in differences {
        ui.add_space(theme::UNIT);
        ui.label(RichText::new(field).small().color(p.text_faint));
        for (name, text) in names.into_iter().zip([one, other]) {
            let text = if text.is_empty() { "nothing" } else { text };
            ui.horizontal_top(|ui| {
                let (rect, _) = ui.allocate_exact_size(vec2(theme::SIDE_NAME_WIDTH, 16.0), egui::Sense::hover());
                ui.painter().text(
                    rect.left_center(),
                    egui::Align2::LEFT_CENTER,
                    name,
                    egui::TextStyle::Small.resolve(ui.style()),
                    p.text_faint,
                );
                ui.add(egui::Label::new(RichText::new(text).color(p.text)).wrap().selectable(true));
            });
        }
    }
}
