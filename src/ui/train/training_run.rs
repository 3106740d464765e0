//! A training as it runs: how far it is at the top, its pictures in the middle, its curves and hard rows at the right.

use egui::{
    Align, CentralPanel, Frame, Id, Key, Layout, Margin, Panel, RichText, ScrollArea, Sense, TextEdit, Ui, vec2,
};

use crate::studio::{Action, HardRow, TrainingAction, TrainingRun, TrainingStage, duration_text};
use crate::ui::textures::{TextureKey, Textures};
use crate::ui::theme::{self, palette};
use crate::ui::widgets::{Emphasis, button_ui, fit, hint_ui, picture_ui, problem_ui, progress_ui, snippet, tooltip};

use super::training::{act, act_ui, title_ui, wrapped_ui};
use super::training_curves::curves_ui;
use super::training_pictures::pictures_ui;

/// The tab, while a training is shown.
pub fn run_ui(ui: &mut Ui, run: &TrainingRun, textures: &mut Textures, actions: &mut Vec<Action>) {
    let p = palette(ui);
    let narrow = ui.available_width() + theme::RAIL_WIDTH < theme::NARROW_BELOW;
    let frame = Frame::new().fill(p.panel).inner_margin(Margin { left: 16, right: 16, top: 10, bottom: 10 });
    Panel::top("training head").resizable(false).show_separator_line(true).frame(frame).show(ui, |ui| {
        head_ui(ui, run, actions);
    });
    let width = if narrow { theme::TRAINING_SIDE_WIDTH_NARROW } else { theme::TRAINING_SIDE_WIDTH };
    Panel::right("training curves")
        .exact_size(width)
        .resizable(false)
        .show_separator_line(true)
        .frame(Frame::new().fill(p.panel).inner_margin(Margin { left: 12, right: 0, top: 0, bottom: 0 }))
        .show(ui, |ui| {
            // The bar floats over the margin.
            let room = ui.available_width() - 4.0 * theme::UNIT;
            ScrollArea::vertical().auto_shrink(false).show(ui, |ui| {
                ui.set_max_width(room);
                ui.add_space(3.0 * theme::UNIT);
                curves_ui(ui, run);
                notices_ui(ui, run);
                rows_ui(ui, run, textures);
            });
        });
    CentralPanel::default().frame(Frame::new().fill(p.canvas)).show(ui, |ui| {
        if run.is_running() {
            try_ui(ui, run, actions);
        } else {
            results_ui(ui, run, actions);
        }
        pictures_ui(ui, run, textures, actions);
    });
}

/// Its name, what it does, how far it is, what can be done.
fn head_ui(ui: &mut Ui, run: &TrainingRun, actions: &mut Vec<Action>) {
    let p = palette(ui);
    ui.horizontal(|ui| {
        ui.vertical(|ui| {
            ui.spacing_mut().item_spacing.y = 2.0;
            ui.label(RichText::new(&run.config.name).text_style(theme::title()).color(p.text));
            let (text, is_bad) = stage_text(run);
            let colour = if is_bad { p.danger } else { p.text_dim };
            ui.label(RichText::new(text).color(colour));
        });
        ui.with_layout(Layout::right_to_left(Align::Center), |ui| acts_ui(ui, run, actions));
    });
    if let TrainingStage::Failed(error) = &run.stage {
        if let Some(hint) = &error.hint {
            wrapped_ui(ui, hint);
        }
        if let Some(path) = &error.path {
            wrapped_ui(ui, &path.display().to_string());
        }
    }
    ui.add_space(theme::UNIT);
    let share = match run.stage {
        TrainingStage::Preparing(_, done, total) => done as f32 / total.max(1) as f32,
        _ => run.share(),
    };
    progress_ui(ui, share, "Progress of the training");
    ui.add_space(2.0);
    facts_ui(ui, run);
}

/// Where it stands, in one line.
fn facts_ui(ui: &mut Ui, run: &TrainingRun) {
    let Some(now) = &run.now else {
        hint_ui(ui, "The first step follows once model, pictures and captions are ready");
        return;
    };
    let mut facts = vec![format!("Step {} of {}", now.step, now.steps)];
    if now.epoch > 0.0 {
        facts.push(format!("all pictures seen {:.1} times", now.epoch));
    }
    if now.secs_per_step > 0.0 {
        facts.push(format!("{} a step", duration_text(now.secs_per_step)));
    }
    if run.is_running() && now.eta_secs > 0.0 {
        facts.push(format!("{} left", duration_text(now.eta_secs)));
    }
    if let Some(bytes) = run.curves.memory.last() {
        facts.push(format!("{bytes:.1} GB of memory"));
    }
    if let Some(step) = run.resumed {
        facts.push(format!("resumed after step {step}"));
    }
    hint_ui(ui, facts.join(" · "));
}

/// What it does now, and whether that is bad.
fn stage_text(run: &TrainingRun) -> (String, bool) {
    let text = match &run.stage {
        TrainingStage::Beginning => "Reading the model and the pictures…".to_owned(),
        TrainingStage::Preparing(what, done, total) => format!("Encoding {what}: {done} of {total}"),
        TrainingStage::Going => match &run.working {
            Some((what, done, total)) if *total > 1 => format!("Learning · {done} of {total} {what}"),
            _ => "Learning".to_owned(),
        },
        TrainingStage::Pausing => "Pauses after this step".to_owned(),
        TrainingStage::Paused => "Paused".to_owned(),
        TrainingStage::Stopping => "Saves after this step, and ends".to_owned(),
        TrainingStage::Ended if run.now.is_some_and(|now| now.step >= now.steps) => "Done".to_owned(),
        TrainingStage::Ended => "Stopped and saved".to_owned(),
        TrainingStage::Failed(error) => return (error.sentence.clone(), true),
        TrainingStage::Past => "Not running".to_owned(),
    };
    (text, false)
}

fn acts_ui(ui: &mut Ui, run: &TrainingRun, actions: &mut Vec<Action>) {
    if run.is_running() {
        ui.add_enabled_ui(run.stage != TrainingStage::Stopping, |ui| {
            act_ui(ui, TrainingAction::Stop, Emphasis::Normal, 116.0, actions);
        });
        match run.stage {
            TrainingStage::Pausing | TrainingStage::Paused => {
                act_ui(ui, TrainingAction::GoOn, Emphasis::Primary, 88.0, actions);
            }
            TrainingStage::Going | TrainingStage::Preparing(..) => {
                act_ui(ui, TrainingAction::Pause, Emphasis::Normal, 88.0, actions);
            }
            _ => {}
        }
        return;
    }
    act_ui(ui, TrainingAction::Close, Emphasis::Normal, 116.0, actions);
    let use_it = run.result().cloned().map(TrainingAction::Use);
    if run.can_be_resumed() {
        let emphasis = if use_it.is_some() { Emphasis::Normal } else { Emphasis::Primary };
        act_ui(ui, TrainingAction::Resume, emphasis, 96.0, actions);
    }
    if let Some(use_it) = use_it {
        act_ui(ui, use_it, Emphasis::Primary, 124.0, actions);
    }
}

fn notices_ui(ui: &mut Ui, run: &TrainingRun) {
    for notice in &run.notices {
        wrapped_ui(ui, notice);
    }
}

/// The rows that are hardest to learn, with their pictures and captions.
fn rows_ui(ui: &mut Ui, run: &TrainingRun, textures: &mut Textures) {
    ui.add_space(2.0 * theme::UNIT);
    title_ui(ui, "Hardest to learn");
    if run.rows.is_empty() {
        wrapped_ui(
            ui,
            "After some steps the pictures stand here that are learnt worst: often their captions are wrong.",
        );
        return;
    }
    wrapped_ui(ui, "Loss compared with the others at the same noise. Wrong captions and broken pictures come up here.");
    ui.add_space(theme::UNIT);
    for (i, row) in run.rows.iter().enumerate() {
        row_ui(ui, i, row, textures);
    }
}

fn row_ui(ui: &mut Ui, place: usize, hard: &HardRow, textures: &mut Textures) {
    let p = palette(ui);
    let name = hard.row.picture.file_name().unwrap_or_default().to_string_lossy();
    ui.horizontal_top(|ui| {
        let side = 12.0 * theme::UNIT;
        let (rect, _) = ui.allocate_exact_size(vec2(side, side), Sense::hover());
        ui.painter().rect_filled(rect, theme::ROUNDING - 2, p.field);
        if let Some(picture) = &hard.picture {
            let at =
                fit(rect, picture.picture.width_px as f32, picture.picture.height_px as f32, theme::MAX_ENLARGEMENT);
            let texture = textures.load(ui.ctx(), TextureKey::Training(picture.number), &picture.picture);
            picture_ui(ui, at, texture, theme::ROUNDING - 2, &format!("Row {}: {name}", place + 1));
        }
        ui.vertical(|ui| {
            ui.spacing_mut().item_spacing.y = 2.0;
            let caption = if hard.row.caption.is_empty() { "(no caption)" } else { &hard.row.caption };
            let text = RichText::new(snippet(caption, 160)).small().color(p.text);
            let label = egui::Label::new(text).wrap_mode(egui::TextWrapMode::Truncate);
            ui.add(label).on_hover_text(caption);
            hint_ui(ui, format!("{:.1} × the usual loss, seen {} times", hard.row.relative, hard.row.seen));
            ui.add(egui::Label::new(RichText::new(&*name).small().color(p.text_faint)).truncate())
                .on_hover_text(hard.row.picture.display().to_string());
        });
    });
    ui.add_space(theme::UNIT);
}

/// A prompt of the user's own, drawn with the weights as they are.
fn try_ui(ui: &mut Ui, run: &TrainingRun, actions: &mut Vec<Action>) {
    let p = palette(ui);
    let frame = Frame::new().fill(p.panel).inner_margin(Margin { left: 16, right: 16, top: 8, bottom: 8 });
    Panel::bottom("training try").resizable(false).show_separator_line(true).frame(frame).show(ui, |ui| {
        ui.horizontal(|ui| {
            let draw = TrainingAction::Draw;
            let info = draw.info();
            let button = 96.0;
            let mut text = run.sketch.clone();
            let name = TrainingAction::EditSketch(String::new()).info();
            let field = TextEdit::singleline(&mut text)
                .id(Id::unique("training sketch"))
                .desired_width(ui.available_width() - button - 4.0 * theme::UNIT)
                .align(egui::Align2::LEFT_CENTER)
                .hint_text("Try any prompt with what it has learnt until now");
            let response = ui.add(field).accessible_name(name.text).on_hover_text(name.tooltip);
            if response.changed() {
                actions.push(act(TrainingAction::EditSketch(text)));
            }
            let entered = response.lost_focus() && ui.input(|input| input.key_pressed(Key::Enter));
            let can = !run.sketch.trim().is_empty() && run.stage != TrainingStage::Stopping;
            let text = if run.awaited > 0 { "Drawing…" } else { info.text };
            let size = vec2(button, theme::CONTROL_HEIGHT);
            let button = ui
                .add_enabled_ui(can && run.awaited == 0, |ui| button_ui(ui, text, Emphasis::Normal, size))
                .inner
                .on_hover_text(tooltip(&info));
            if button.clicked() || entered && can && run.awaited == 0 {
                actions.push(act(draw));
            }
        });
    });
}

/// What was made, and of which steps more can be made.
fn results_ui(ui: &mut Ui, run: &TrainingRun, actions: &mut Vec<Action>) {
    if run.files.is_empty() && run.saved.is_empty() {
        return;
    }
    let p = palette(ui);
    let frame = Frame::new().fill(p.panel).inner_margin(Margin { left: 16, right: 16, top: 10, bottom: 10 });
    Panel::bottom("training results").resizable(false).show_separator_line(true).frame(frame).show(ui, |ui| {
        ScrollArea::vertical().max_height(160.0).auto_shrink([false, true]).show(ui, |ui| {
            if run.result().is_none() {
                problem_ui(ui, matches!(run.stage, TrainingStage::Ended).then_some("Nothing was made yet"));
            } else {
                title_ui(ui, "Results");
            }
            for file in run.results() {
                result_ui(ui, file, actions);
            }
            let others = run.files.len() - run.results().count();
            if others > 0 {
                let folder = run.config.output.display().to_string();
                let text = if others == 1 { "file for other programs" } else { "files for other programs" };
                hint_ui(ui, format!("{others} {text} beside it: {}", snippet(&folder, 80))).on_hover_text(folder);
            }
            saved_ui(ui, run, actions);
        });
    });
}

fn result_ui(ui: &mut Ui, file: &std::path::Path, actions: &mut Vec<Action>) {
    let p = palette(ui);
    ui.horizontal(|ui| {
        let name = file.file_name().unwrap_or_default().to_string_lossy();
        ui.label(RichText::new(&*name).color(p.text)).on_hover_text(file.display().to_string());
        ui.with_layout(Layout::right_to_left(Align::Center), |ui| {
            let info = TrainingAction::Use(file.to_path_buf()).info();
            let response = button_ui(ui, "Use this", Emphasis::Quiet, vec2(0.0, 0.0));
            let label = format!("Use {name}");
            response.widget_info(|| egui::WidgetInfo::labeled(egui::Role::Button, true, &label));
            if response.on_hover_text(info.tooltip).clicked() {
                actions.push(act(TrainingAction::Use(file.to_path_buf())));
            }
        });
    });
}

/// Steps whose state is kept, to make results of.
fn saved_ui(ui: &mut Ui, run: &TrainingRun, actions: &mut Vec<Action>) {
    if run.saved.is_empty() {
        return;
    }
    let info = TrainingAction::Promote(0).info();
    ui.horizontal_wrapped(|ui| {
        hint_ui(ui, "Make a result of step").on_hover_text(info.tooltip);
        for step in run.saved.iter().rev().take(12) {
            let text = if run.promoting == Some(*step) { format!("{step}…") } else { step.to_string() };
            let response = ui
                .add_enabled_ui(run.promoting.is_none(), |ui| button_ui(ui, &text, Emphasis::Normal, vec2(0.0, 0.0)))
                .inner
                .on_hover_text(info.tooltip);
            let label = format!("Make a result of step {step}");
            response.widget_info(|| egui::WidgetInfo::labeled(egui::Role::Button, run.promoting.is_none(), &label));
            if response.clicked() {
                actions.push(act(TrainingAction::Promote(*step)));
            }
        }
        if run.can_be_compared() {
            let info = TrainingAction::Compare.info();
            let text = if run.is_gathering { "Making them ready…" } else { info.text };
            let response = ui
                .add_enabled_ui(!run.is_gathering, |ui| button_ui(ui, text, Emphasis::Normal, vec2(0.0, 0.0)))
                .inner
                .on_hover_text(info.tooltip);
            if response.clicked() {
                actions.push(act(TrainingAction::Compare));
            }
        }
    });
}
