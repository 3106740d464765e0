//! The cards of the Models place: a model, a transfer, a file that was looked at, an error.

use egui::{Frame, Margin, RichText, Role, Stroke, Ui, WidgetInfo, vec2};

use crate::domain::{
    DownloadPlan, ModelEntry, ModelState, ModelSummary, TransferKey, TransferProgress, TransferStage, UserError,
    bytes_text,
};
use crate::studio::{Action, Look, ShelfAction, Transfer, TransferState, time_left_text};

use super::draft::count_text;
use super::theme::{self, palette};
use super::widgets::{Emphasis, button_ui, hint_ui, progress_ui, tooltip};

/// A raised area as wide as the page.
pub fn card_ui(ui: &mut Ui, add_contents: impl FnOnce(&mut Ui)) {
    let p = palette(ui);
    Frame::new()
        .fill(p.raised)
        .stroke(Stroke::new(1.0, p.line))
        .corner_radius(theme::ROUNDING_LARGE)
        .inner_margin(Margin::symmetric(16, 12))
        .show(ui, |ui| {
            ui.set_width(ui.available_width());
            ui.spacing_mut().item_spacing.y = theme::UNIT;
            add_contents(ui);
        });
}

/// A button that stands several times on the page: `name` tells a screen reader which one it is.
pub fn named_button_ui(ui: &mut Ui, action: ShelfAction, emphasis: Emphasis, name: &str, actions: &mut Vec<Action>) {
    let info = action.info();
    let response = button_ui(ui, info.text, emphasis, vec2(0.0, 0.0)).on_hover_text(tooltip(&info));
    let enabled = ui.is_enabled();
    response.widget_info(|| WidgetInfo::labeled(Role::Button, enabled, format!("{} {name}", info.text)));
    if response.clicked() {
        actions.push(Action::Shelf(action));
    }
}

/// What went wrong, what to do, and where.
pub fn error_ui(ui: &mut Ui, error: &UserError) {
    let p = palette(ui);
    let UserError { kind: _, sentence, hint, path } = error;
    ui.add(egui::Label::new(RichText::new(sentence).color(p.danger)).wrap().selectable(true));
    if let Some(hint) = hint {
        ui.add(egui::Label::new(RichText::new(hint).small().color(p.text_dim)).wrap().selectable(true));
    }
    if let Some(path) = path {
        let path = RichText::new(path.display().to_string()).small().color(p.text_faint);
        ui.add(egui::Label::new(path).wrap().selectable(true));
    }
}

fn title_ui(ui: &mut Ui, title: &str) {
    let p = palette(ui);
    ui.add(egui::Label::new(RichText::new(title).font(theme::semibold(14.0)).color(p.text)).wrap());
}

/// A model on this computer.
pub fn entry_ui(ui: &mut Ui, entry: &ModelEntry, is_asked: bool, actions: &mut Vec<Action>) {
    card_ui(ui, |ui| {
        title_ui(ui, &entry.name);
        match &entry.state {
            ModelState::Ready(summary) => {
                summary_ui(ui, summary, Some(entry));
                hint_ui(ui, entry.path.display().to_string());
            }
            ModelState::Refused(error) => error_ui(ui, error),
            ModelState::Unfinished { have_bytes, total_bytes } => {
                let (have, total) = (bytes_text(*have_bytes), bytes_text(*total_bytes));
                hint_ui(ui, format!("Its download was begun: {have} of {total} are here"));
            }
        }
        let is_used = entry.summary().is_some_and(|summary| summary.is_model);
        let is_begun = matches!(entry.state, ModelState::Unfinished { .. });
        if !(is_used || is_begun || entry.is_removable()) {
            return; // nothing can be done with it here
        }
        ui.add_space(theme::UNIT);
        if is_asked {
            ask_removal_ui(ui, entry, actions);
            return;
        }
        ui.horizontal(|ui| {
            match (&entry.state, &entry.repo) {
                (ModelState::Ready(summary), _) if summary.is_model => {
                    let action = ShelfAction::Use(entry.path.clone());
                    named_button_ui(ui, action, Emphasis::Normal, &entry.name, actions);
                }
                (ModelState::Unfinished { .. }, Some(repo)) => {
                    named_button_ui(ui, ShelfAction::Resume(repo.clone()), Emphasis::Normal, &entry.name, actions);
                }
                _ => {}
            }
            if entry.is_removable() {
                let action = ShelfAction::AskRemove(entry.path.clone());
                named_button_ui(ui, action, Emphasis::Quiet, &entry.name, actions);
            }
        });
    });
}

fn ask_removal_ui(ui: &mut Ui, entry: &ModelEntry, actions: &mut Vec<Action>) {
    let p = palette(ui);
    let what = match &entry.repo {
        Some(repo) => format!("Remove all that was downloaded of {repo}? Other programs that use it miss it then"),
        None => format!("Remove {} from the disk?", bytes_text(entry.size_bytes)),
    };
    ui.add(egui::Label::new(RichText::new(what).color(p.text)).wrap());
    ui.horizontal(|ui| {
        let action = ShelfAction::Remove(entry.path.clone());
        named_button_ui(ui, action, Emphasis::Normal, &entry.name, actions);
        named_button_ui(ui, ShelfAction::KeepModel, Emphasis::Quiet, &entry.name, actions);
    });
}

/// What a model is, on one line; of an entry its size and licence too.
fn summary_ui(ui: &mut Ui, summary: &ModelSummary, entry: Option<&ModelEntry>) {
    let p = palette(ui);
    let ModelSummary { description, is_model: _, family, dtype, parameters, components, licence } = summary;
    ui.add(egui::Label::new(RichText::new(description).color(p.text_dim)).wrap());
    let mut facts: Vec<String> = family.iter().cloned().collect();
    facts.push(format!("{dtype}, {} parameters", count_text(*parameters)));
    if let Some(entry) = entry {
        facts.push(bytes_text(entry.size_bytes));
    }
    if let Some(licence) = entry.and_then(|entry| entry.licence.as_ref()).or(licence.as_ref()) {
        facts.push(format!("licence: {licence}"));
    }
    hint_ui(ui, facts.join(" · ")).on_hover_text(format!("Holds: {}", components.join(", ")));
}

/// A file or folder that is or was looked at.
pub fn look_ui(ui: &mut Ui, look: &Look, actions: &mut Vec<Action>) {
    let Look { path, found } = look;
    let name = path.file_name().unwrap_or(path.as_os_str()).to_string_lossy().into_owned();
    card_ui(ui, |ui| {
        title_ui(ui, &name);
        match found {
            None => {
                ui.horizontal(|ui| {
                    ui.add(egui::Spinner::new().size(theme::ICON));
                    hint_ui(ui, "Looking at it…");
                });
            }
            Some(Ok(summary)) => {
                summary_ui(ui, summary, None);
                hint_ui(ui, path.display().to_string());
            }
            Some(Err(error)) => error_ui(ui, error),
        }
        ui.add_space(theme::UNIT);
        ui.horizontal(|ui| {
            if let Some(Ok(summary)) = found {
                named_button_ui(ui, ShelfAction::Import(path.clone()), Emphasis::Primary, &name, actions);
                if summary.is_model {
                    named_button_ui(ui, ShelfAction::Use(path.clone()), Emphasis::Normal, &name, actions);
                }
            }
            named_button_ui(ui, ShelfAction::CloseLook(path.clone()), Emphasis::Quiet, &name, actions);
        });
    });
}

/// A download or an import.
pub fn transfer_ui(ui: &mut Ui, transfer: &Transfer, actions: &mut Vec<Action>) {
    let Transfer { key, state, plan, page } = transfer;
    let name = key.name();
    card_ui(ui, |ui| {
        title_ui(ui, &name);
        match state {
            TransferState::Planning => {
                ui.horizontal(|ui| {
                    ui.add(egui::Spinner::new().size(theme::ICON));
                    hint_ui(ui, "Asking the hub…");
                });
            }
            TransferState::Planned => {}
            TransferState::Waiting => drop(hint_ui(ui, "Waits for its turn")),
            TransferState::Running(progress) => progress_of_ui(ui, progress, &name),
            TransferState::Paused(last) => {
                if let Some(progress) = last {
                    progress_ui(ui, fraction(progress), &format!("Download of {name}"));
                    hint_ui(ui, format!("Paused at {}", amount_text(progress)));
                } else {
                    hint_ui(ui, "Paused; what arrived is kept");
                }
            }
            TransferState::Failed(error) => error_ui(ui, error),
        }
        if let (TransferState::Planned, Some(plan)) = (state, plan) {
            plan_ui(ui, plan);
        }
        ui.add_space(theme::UNIT);
        ui.horizontal(|ui| buttons_ui(ui, transfer, &name, actions));
        if let (Some(plan), Some(page)) = (plan, page)
            && (plan.has_terms || matches!(state, TransferState::Planned))
        {
            ui.horizontal(|ui| {
                hint_ui(ui, page);
                named_button_ui(ui, ShelfAction::OpenPage(page.clone()), Emphasis::Quiet, &name, actions);
                named_button_ui(ui, ShelfAction::CopyAddress(page.clone()), Emphasis::Quiet, &name, actions);
            });
        }
    });
}

fn buttons_ui(ui: &mut Ui, transfer: &Transfer, name: &str, actions: &mut Vec<Action>) {
    let Transfer { key, state, plan, .. } = transfer;
    let mut button = |action, emphasis| named_button_ui(ui, action, emphasis, name, actions);
    let cancel = || ShelfAction::Cancel(key.clone());
    match (state, key) {
        (TransferState::Planned, TransferKey::Repo(repo)) => {
            let has_room = plan.as_ref().is_none_or(|plan| !lacks_room(plan));
            if has_room {
                button(ShelfAction::Download(repo.clone()), Emphasis::Primary);
            }
            button(ShelfAction::Close(key.clone()), Emphasis::Quiet);
        }
        (TransferState::Running(_), TransferKey::Repo(_)) => {
            button(ShelfAction::Pause(key.clone()), Emphasis::Normal);
            button(cancel(), Emphasis::Quiet);
        }
        (TransferState::Paused(_), TransferKey::Repo(repo)) => {
            button(ShelfAction::Resume(repo.clone()), Emphasis::Normal);
            button(cancel(), Emphasis::Quiet);
        }
        (TransferState::Failed(_), _) => {
            button(ShelfAction::Retry(key.clone()), Emphasis::Normal);
            button(ShelfAction::Close(key.clone()), Emphasis::Quiet);
        }
        _ => button(cancel(), Emphasis::Quiet),
    }
}

/// What a download will bring, and whether there is room for it.
fn plan_ui(ui: &mut Ui, plan: &DownloadPlan) {
    let p = palette(ui);
    let DownloadPlan { licence, has_terms, files, total_bytes, missing_bytes, free_bytes } = plan;
    let mut text = match (*missing_bytes, files) {
        (0, _) => "Everything is here already".to_owned(),
        (missing, 1) => format!("One file, {} to fetch", bytes_text(missing)),
        (missing, files) => format!("{files} files, {} to fetch", bytes_text(missing)),
    };
    if *missing_bytes > 0 && missing_bytes < total_bytes {
        text = format!("{text} of {}", bytes_text(*total_bytes));
    }
    if let Some(free) = free_bytes {
        text = format!("{text}; {} are free", bytes_text(*free));
    }
    ui.label(RichText::new(text).color(p.text_dim));
    match licence {
        Some(licence) => hint_ui(ui, format!("Licence: {licence}")),
        None => hint_ui(ui, "Its card names no licence"),
    };
    if *has_terms {
        hint_ui(ui, "Its maker has terms: accept them on its page, and enter an access token below");
    }
    if lacks_room(plan) {
        ui.label(RichText::new("There is not enough room for it on the disk").color(p.danger));
        hint_ui(ui, "Free some space, or choose a folder on another disk with HF_HOME");
    }
}

fn lacks_room(plan: &DownloadPlan) -> bool {
    plan.free_bytes.is_some_and(|free| free < plan.missing_bytes)
}

fn progress_of_ui(ui: &mut Ui, progress: &TransferProgress, name: &str) {
    progress_ui(ui, fraction(progress), &format!("Transfer of {name}"));
    let mut text = amount_text(progress);
    match progress.stage {
        TransferStage::Checking => text = format!("Checking what is here · {text}"),
        TransferStage::Waiting => text = format!("Waiting for the hub · {text}"),
        TransferStage::Moving => {
            if let Some(speed) = progress.bytes_per_sec {
                text = format!("{text} · {}/s", bytes_text(speed.max(0.0) as u64));
            }
            if let Some(secs) = progress.secs_left {
                text = format!("{text} · {}", time_left_text(secs));
            }
        }
    }
    let p = palette(ui);
    ui.label(RichText::new(text).color(p.text_dim));
    if progress.files > 1 {
        hint_ui(ui, format!("{} ({} of {})", progress.file, progress.file_number, progress.files));
    }
}

fn amount_text(progress: &TransferProgress) -> String {
    format!("{} of {}", bytes_text(progress.done_bytes), bytes_text(progress.total_bytes))
}

fn fraction(progress: &TransferProgress) -> f32 {
    if progress.total_bytes == 0 { 0.0 } else { (progress.done_bytes as f64 / progress.total_bytes as f64) as f32 }
}
