//! The fields of the draft below the usual ones: a picture to begin with, a second pass, another autoencoder.

use std::path::Path;

use egui::{CollapsingHeader, ComboBox, DragValue, RichText, Ui, vec2};

use crate::domain::{Extend, Problem, limits};
use crate::studio::{Action, Extra, SourceAction, State};

use super::draft::problem_of;
use super::draft_fields::{NumberRange, number_ui};
use super::icons::Icon;
use super::theme::{self, palette};
use super::widgets::{
    Emphasis, action_button_ui, button_ui, field_name_ui, hint_ui, icon_button_ui, problem_ui, snippet,
};

/// Sizes of an enlargement, in times of the picture.
const UPSCALES: [f64; 4] = [1.5, 2.0, 3.0, 4.0];
/// Sizes of the second pass, in times of the first.
const SCALES: [f64; 3] = [1.5, 2.0, 3.0];

/// The picture to begin with.
pub fn init_ui(ui: &mut Ui, state: &State, problems: &[Problem], actions: &mut Vec<Action>) {
    field_name_ui(ui, &Extra::Init(None).into_action().info());
    match &state.draft.request.init {
        None => {
            ui.horizontal(|ui| {
                action_button_ui(ui, &Action::ChooseInit, Emphasis::Normal, vec2(0.0, theme::CONTROL_HEIGHT), actions);
                hint_ui(ui, "or drop or paste one");
            });
        }
        Some(init) => {
            file_ui(ui, &init.picture, "Begin with noise", Extra::Init(None), actions);
            let upscale = state.draft.request.upscale;
            // What is enlarged may stay as it is.
            let least = if upscale.is_some() { 0.0 } else { 0.05 };
            let range = NumberRange { slider: least..=1.0, typed: least..=1.0, step: 0.05, decimals: 2 };
            let info = Extra::Strength(0.0).into_action().info();
            if let Some(strength) = number_ui(ui, &info, init.strength, &range) {
                actions.push(Extra::Strength(strength).into_action());
            }
            enlarge_ui(ui, upscale, actions);
            problem_ui(ui, problem_of(problems, "upscale"));
            if upscale.is_some() {
                problem_ui(ui, problem_of(problems, "init"));
                return;
            }
            extend_ui(ui, init.extend, actions);
            problem_ui(ui, problem_of(problems, "extend"));
            if let Some(mask) = &init.mask {
                field_name_ui(ui, &Extra::Mask(None).into_action().info());
                if mask.parent() == Some(&state.paths.sources_dir) || state.source.is_painted(mask) {
                    let path = mask.display().to_string();
                    row_ui(ui, "Painted on the picture", &path, "Without the mask", Extra::Mask(None), actions);
                } else {
                    file_ui(ui, mask, "Without the mask", Extra::Mask(None), actions);
                }
            } else {
                ui.horizontal_wrapped(|ui| {
                    let size = vec2(0.0, theme::CONTROL_HEIGHT);
                    if !state.source.is_shown() {
                        let show = SourceAction::Show(true).info();
                        let paint = button_ui(ui, "Paint a mask", Emphasis::Normal, size);
                        if paint.on_hover_text(show.tooltip).clicked() {
                            actions.push(Action::Source(SourceAction::Show(true)));
                        }
                    }
                    action_button_ui(ui, &Action::ChooseMask, Emphasis::Normal, size, actions);
                });
            }
        }
    }
    problem_ui(ui, problem_of(problems, "init"));
}

/// How many times as large the picture is made.
fn enlarge_ui(ui: &mut Ui, upscale: Option<f64>, actions: &mut Vec<Action>) {
    ui.horizontal(|ui| {
        let name = field_name_ui(ui, &Extra::Upscale(None).into_action().info());
        ComboBox::from_id_salt("upscale")
            .selected_text(upscale.map_or_else(|| "Off".to_owned(), times))
            .show_ui(ui, |ui| {
                for scale in std::iter::once(None).chain(UPSCALES.map(Some)) {
                    let text = scale.map_or_else(|| "Off".to_owned(), times);
                    if ui.selectable_label(upscale == scale, text).clicked() {
                        actions.push(Extra::Upscale(scale).into_action());
                    }
                }
            })
            .response
            .labelled_by(name.id);
    });
}

/// One of the edges of what is painted around a picture.
type Edge = fn(&mut Extend) -> &mut u32;

/// How much is painted beyond each edge.
fn extend_ui(ui: &mut Ui, extend: Extend, actions: &mut Vec<Action>) {
    let info = Extra::Extend(extend).into_action().info();
    field_name_ui(ui, &info);
    ui.horizontal(|ui| {
        ui.spacing_mut().item_spacing.x = theme::UNIT;
        let width = ((ui.available_width() - 3.0 * theme::UNIT) / 4.0).floor();
        let edges: [(&str, Edge); 4] = [
            ("Left", |extend| &mut extend.left),
            ("Right", |extend| &mut extend.right),
            ("Top", |extend| &mut extend.top),
            ("Bottom", |extend| &mut extend.bottom),
        ];
        for (name, edge) in edges {
            let mut edited = extend;
            let field = DragValue::new(edge(&mut edited))
                .speed(f64::from(Extend::MULTIPLE_PX) / 4.0)
                .prefix(format!("{}  ", &name[..1]))
                // Otherwise the first digit that is typed would already be made a multiple.
                .update_while_editing(false);
            let response = ui.add_sized(vec2(width, theme::CONTROL_HEIGHT), field);
            let response = response.accessible_name(format!("Paint around: {}", name.to_lowercase()));
            let tooltip = format!("{}. {name}: a multiple of {}", info.tooltip, Extend::MULTIPLE_PX);
            if response.on_hover_text(tooltip).changed() && edited != extend {
                actions.push(Extra::Extend(edited).into_action());
            }
        }
    });
}

/// What few pictures need.
pub fn more_ui(ui: &mut Ui, state: &State, problems: &[Problem], actions: &mut Vec<Action>) {
    let request = &state.draft.request;
    // What is not as usual is never hidden.
    let in_use = request.hires.is_some() || request.clip_skip > 0 || request.vae.is_some();
    let title = RichText::new("More").text_style(theme::label()).color(palette(ui).text_dim);
    CollapsingHeader::new(title).id_salt("more").open(in_use.then_some(true)).show_unindented(ui, |ui| {
        ui.spacing_mut().item_spacing.y = theme::UNIT;
        let chosen = request.hires.map_or_else(|| "Off".to_owned(), |hires| times(hires.scale));
        ui.horizontal(|ui| {
            let name = field_name_ui(ui, &Extra::Hires(None).into_action().info());
            ComboBox::from_id_salt("hires")
                .selected_text(chosen)
                .show_ui(ui, |ui| {
                    for scale in std::iter::once(None).chain(SCALES.map(Some)) {
                        let text = scale.map_or_else(|| "Off".to_owned(), times);
                        let is_it = request.hires.map(|hires| hires.scale) == scale;
                        if ui.selectable_label(is_it, text).clicked() {
                            actions.push(Extra::Hires(scale).into_action());
                        }
                    }
                })
                .response
                .labelled_by(name.id);
        });
        if let Some(hires) = request.hires {
            let range = NumberRange { slider: 0.05..=1.0, typed: 0.05..=1.0, step: 0.05, decimals: 2 };
            let info = Extra::HiresStrength(0.0).into_action().info();
            if let Some(strength) = number_ui(ui, &info, hires.strength, &range) {
                actions.push(Extra::HiresStrength(strength).into_action());
            }
        }
        problem_ui(ui, problem_of(problems, "hires"));
        ui.horizontal(|ui| {
            let name = field_name_ui(ui, &Extra::ClipSkip(0).into_action().info());
            let mut layers = request.clip_skip;
            let field = DragValue::new(&mut layers).range(0..=limits::MAX_CLIP_SKIP).speed(0.05);
            let response = ui.add_sized(vec2(56.0, theme::CONTROL_HEIGHT), field).labelled_by(name.id);
            if response.changed() && layers != request.clip_skip {
                actions.push(Extra::ClipSkip(layers).into_action());
            }
        });
        problem_ui(ui, problem_of(problems, "clip_skip"));
        field_name_ui(ui, &Extra::Vae(None).into_action().info());
        if let Some(vae) = &request.vae {
            file_ui(ui, vae, "The model's own VAE", Extra::Vae(None), actions);
        } else {
            action_button_ui(ui, &Action::ChooseVae, Emphasis::Normal, vec2(0.0, theme::CONTROL_HEIGHT), actions);
        }
    });
}

fn times(scale: f64) -> String {
    format!("{scale} times as large")
}

/// A file's name, and a cross that takes it away.
fn file_ui(ui: &mut Ui, path: &Path, remove: &str, without: Extra, actions: &mut Vec<Action>) {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    row_ui(ui, &name, &path.display().to_string(), remove, without, actions);
}

/// A name, and a cross that takes away what it stands for.
fn row_ui(ui: &mut Ui, name: &str, tooltip: &str, remove: &str, without: Extra, actions: &mut Vec<Action>) {
    ui.horizontal(|ui| {
        ui.label(RichText::new(snippet(name, 34)).color(palette(ui).text)).on_hover_text(tooltip);
        if icon_button_ui(ui, Icon::Close, remove, remove, false, theme::CONTROL_HEIGHT).clicked() {
            actions.push(without.into_action());
        }
    });
}

impl Extra {
    fn into_action(self) -> Action {
        Action::Extra(self)
    }
}
