//! Floor 7: the panels. They draw the state and push actions; they never wait and never compute.

mod adapters;
mod batch;
mod batch_table;
mod canvas;
mod cheat_sheet;
mod compare;
mod device;
mod draft;
mod draft_fields;
mod errors;
mod estimate;
mod extras;
mod filmstrip;
mod gallery;
mod gallery_head;
mod gallery_shelves;
mod grid;
mod icons;
mod import;
mod mask_overlay;
mod models;
mod models_cards;
mod notices;
mod palette;
mod path_prompt;
mod prompt;
mod prompt_highlight;
mod prompt_history;
mod prompt_names;
mod prompt_styles;
mod queue;
mod rail;
mod recipe;
mod settings;
mod shortcuts;
mod source_canvas;
mod source_handles;
mod source_send;
mod source_tools;
mod source_view;
mod textures;
pub mod theme;
mod timeline;
mod tour;
mod train;
mod variation;
mod viewer;
mod widgets;
mod zoom;

use egui::{CentralPanel, Frame, Margin, Panel, Ui};

use crate::domain::Picture;
use crate::domain::PictureId;
use crate::studio::{Action, Place, State};

pub use textures::colour_image;
use textures::{TextureKey, Textures};

/// What the window itself keeps between frames: pictures on the graphics card, and where the keyboard is.
#[derive(Default)]
pub struct Window {
    textures: Textures,
    source: source_canvas::SourceCanvas,
    prompts: prompt::PromptFields,
    prompt_was_focused: bool,
    search_focus: u64,
    had_keyboard: bool,
    before_overlay: BeforeOverlay,
}

/// Who had the keyboard before something came to lie over the window.
#[derive(Default)]
struct BeforeOverlay {
    is_over: bool,
    focused: Option<egui::Id>,
    /// Who is to have it again in the next frame.
    waiting: Option<egui::Id>,
}

impl BeforeOverlay {
    /// Follows the keyboard, and gives it back once nothing lies over the window any more.
    fn follow(&mut self, ctx: &egui::Context, is_over: bool) {
        let was_over = std::mem::replace(&mut self.is_over, is_over);
        let focused = ctx.memory(egui::Memory::focused);
        match (was_over, is_over) {
            (false, false) => match self.waiting.take() {
                // What was done meanwhile may have given it to somebody else.
                Some(id) if focused.is_none() => ctx.memory_mut(|memory| memory.request_focus(id)),
                _ => self.focused = focused,
            },
            // In this frame nothing below may have it yet.
            (true, false) => {
                self.waiting = self.focused;
                ctx.request_repaint();
            }
            (_, true) => {}
        }
    }
}

impl Window {
    /// Takes over a thumbnail that has come from the library.
    pub fn add_thumbnail(&mut self, ctx: &egui::Context, id: PictureId, picture: &Picture) {
        self.textures.insert(ctx, TextureKey::Thumbnail(id), picture);
    }

    /// Takes over a thumbnail of a data set's row.
    pub fn add_row_thumbnail(&mut self, ctx: &egui::Context, ticket: u64, row: usize, picture: &Picture) {
        self.textures.insert(ctx, TextureKey::Row(ticket, row), picture);
    }

    /// Draws the whole window and pushes what the user did.
    pub fn studio_ui(&mut self, ui: &mut Ui, state: &State, actions: &mut Vec<Action>) {
        self.textures.begin_frame(state.gallery.generation);
        self.before_overlay.follow(ui.ctx(), state.shell.overlay.is_some());
        shortcuts::collect(ui.ctx(), state, self.had_keyboard, actions);
        let p = theme::palette(ui);
        let narrow = ui.available_width() < theme::NARROW_BELOW;
        let is_alone = state.place == Place::Gallery && state.viewer.is_alone;
        if !is_alone {
            side(Panel::left("rail"), theme::RAIL_WIDTH, p.rail).show(ui, |ui| rail::rail_ui(ui, state, actions));
        }
        match state.place {
            Place::Create => self.create_ui(ui, state, narrow, actions),
            Place::Gallery => {
                let frame = Frame::new().fill(p.panel);
                let asked = state.gallery.finder.focus;
                let focus_search = std::mem::replace(&mut self.search_focus, asked) != asked;
                CentralPanel::default().frame(frame).show(ui, |ui| {
                    if let Some(compare) = &state.viewer.compare {
                        compare::compare_ui(ui, state, compare, &mut self.textures, actions);
                    } else if state.gallery.large {
                        viewer::viewer_ui(ui, state, &mut self.textures, actions);
                    } else {
                        gallery::gallery_ui(ui, state, focus_search, &mut self.textures, actions);
                    }
                });
            }
            Place::Batch => {
                CentralPanel::default()
                    .frame(Frame::new().fill(p.panel))
                    .show(ui, |ui| batch::batch_ui(ui, state, &mut self.textures, actions));
            }
            Place::Train => {
                CentralPanel::default()
                    .frame(Frame::new().fill(p.panel))
                    .show(ui, |ui| train::train_ui(ui, state, &mut self.textures, actions));
            }
            Place::Models => {
                CentralPanel::default()
                    .frame(Frame::new().fill(p.panel))
                    .show(ui, |ui| models::models_ui(ui, state, actions));
            }
            Place::Settings => {
                CentralPanel::default()
                    .frame(Frame::new().fill(p.panel))
                    .show(ui, |ui| settings::settings_ui(ui, state, actions));
            }
        }
        tour::tour_ui(ui.ctx(), state, narrow, actions);
        palette::palette_ui(ui.ctx(), state, actions);
        cheat_sheet::cheat_sheet_ui(ui.ctx(), state, actions);
        errors::errors_ui(ui.ctx(), state, actions);
        notices::notices_ui(ui.ctx(), state, actions);
        prompt_history::history_ui(ui.ctx(), state, actions);
        prompt_styles::editor_ui(ui.ctx(), state, actions);
        train::settle_caption(ui.ctx(), state, actions);
        grid::grid_dialog_ui(ui.ctx(), state, actions);
        variation::variations_dialog_ui(ui.ctx(), state, actions);
        path_prompt::path_prompt_ui(ui.ctx(), state, actions);
        import::import_ui(ui.ctx(), state, &mut self.textures, actions);
        self.prompts.watch(ui.ctx(), actions);
        self.had_keyboard = ui.memory(|memory| memory.focused().is_some());
    }

    fn create_ui(&mut self, ui: &mut Ui, state: &State, narrow: bool, actions: &mut Vec<Action>) {
        let p = theme::palette(ui);
        let (draft_width, film_width) = if narrow {
            (theme::DRAFT_WIDTH_NARROW, theme::FILM_WIDTH_NARROW)
        } else {
            (theme::DRAFT_WIDTH, theme::FILM_WIDTH)
        };
        let focus_prompt = !std::mem::replace(&mut self.prompt_was_focused, true);
        side(Panel::left("draft"), draft_width, p.panel)
            .show(ui, |ui| draft::draft_ui(ui, state, &mut self.prompts, focus_prompt, actions));
        side(Panel::right("film"), film_width, p.panel)
            .show(ui, |ui| filmstrip::filmstrip_ui(ui, state, &mut self.textures, actions));
        CentralPanel::default()
            .frame(Frame::new().fill(p.canvas))
            .show(ui, |ui| canvas::canvas_ui(ui, state, &mut self.source, &mut self.textures, actions));
    }
}

fn side(panel: Panel, width: f32, fill: egui::Color32) -> Panel {
    panel
        .exact_size(width)
        .resizable(false)
        .show_separator_line(false)
        .frame(Frame::new().fill(fill).inner_margin(Margin::ZERO))
}
