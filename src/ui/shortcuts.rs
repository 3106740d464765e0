//! Turns keys into actions, by the one table behind [`crate::studio::shortcuts`].

use std::sync::Arc;

use egui::{Context, Modifiers, Popup};

use crate::studio::{Action, Key, Place, Scope, Shortcut, SourceAction, State, TrainTab, shortcuts};

use super::adapters;
use super::textures::picture_from_colours;

/// Pushes the actions whose keys were pressed, before any widget sees the keys: Ctrl+Enter must not become a new line.
/// `had_keyboard` is whether a widget had the keyboard when the last frame ended: Esc has taken it away by now, and is
/// that widget's all the same.
pub fn collect(ctx: &Context, state: &State, had_keyboard: bool, actions: &mut Vec<Action>) {
    let has_dialog = state.path_prompt.is_some()
        || state.prompt.has_dialog()
        || state.viewer.import.is_over_window()
        || state.grids.is_open
        || state.variations.of.is_some();
    if has_dialog || state.shell.overlay.is_some() {
        return; // what lies over the window has the keys
    }
    if state.place == Place::Create {
        collect_pasted(ctx, actions);
    }
    let typing = had_keyboard || ctx.memory(|memory| memory.focused().is_some()) || Popup::is_any_open(ctx);
    let writing = ctx.text_edit_focused() || Popup::is_any_open(ctx);
    for (scope, shortcut, action) in shortcuts() {
        if holds(ctx, scope, state, typing, writing) && pressed(ctx, shortcut) {
            actions.push(action.clone());
        }
    }
}

/// A picture that was pasted is begun with. Text on the clipboard goes where the keyboard is.
fn collect_pasted(ctx: &Context, actions: &mut Vec<Action>) {
    let pasted = ctx.input(|input| {
        let picture = |event: &egui::Event| match event {
            egui::Event::PasteImage(picture) => Some(Arc::clone(picture)),
            _ => None,
        };
        input.events.iter().find_map(picture)
    });
    if let Some(picture) = pasted {
        actions.push(Action::Source(SourceAction::Paste(Arc::new(picture_from_colours(&picture)))));
    }
}

fn holds(ctx: &Context, scope: Scope, state: &State, typing: bool, writing: bool) -> bool {
    let create = state.place == Place::Create;
    let completion = state.prompt.completion.as_ref().filter(|_| create);
    let painting = create && state.source.is_shown() && !writing;
    let gallery = state.place == Place::Gallery;
    let comparing = gallery && state.viewer.compare.is_some();
    let gallery = gallery && !comparing;
    let large = gallery && state.gallery.large;
    match scope {
        Scope::Anywhere => true,
        Scope::Resting => !typing,
        // Esc closes a menu first.
        Scope::Elsewhere => !gallery && !comparing && !Popup::is_any_open(ctx),
        Scope::Canvas => painting,
        // A search has its own undo.
        Scope::Draft => create && !painting && ctx.memory(|memory| memory.focused() != Some(adapters::search_id())),
        Scope::Prompt => create && state.prompt.cursor.is_some(),
        Scope::Names => completion.is_some(),
        Scope::ChosenName => completion.is_some_and(|completion| completion.chosen.is_some()),
        Scope::Steps => create && !typing && !state.source.is_shown() && state.steps_in_view().is_some(),
        Scope::Picture => large,
        Scope::Dataset => state.place == Place::Train && state.train.tab == TrainTab::Dataset && !writing,
        Scope::Large => large && !typing,
        Scope::Compare => comparing && !typing,
        Scope::Gallery => gallery && !typing,
        Scope::Grid => gallery && !large && !typing,
    }
}

/// Whether a shortcut was pressed; no widget sees it then.
pub fn pressed(ctx: &Context, shortcut: Shortcut) -> bool {
    let mut modifiers = Modifiers::NONE;
    if shortcut.ctrl {
        modifiers |= Modifiers::COMMAND;
    }
    if shortcut.shift {
        modifiers |= Modifiers::SHIFT;
    }
    // Not `consume_key`: that also takes a key with modifiers that were not asked for.
    ctx.input_mut(|input| {
        let mut found = false;
        input.events.retain(|event| match event {
            egui::Event::Key { key, pressed: true, modifiers: held, .. }
                if is_pressed(*key, *held, shortcut.key, modifiers) =>
            {
                found = true;
                false
            }
            _ => true,
        });
        found
    })
}

/// Whether `key` with what is held is the one that is wanted. Where `+` is above `=`, it takes Shift, and often none is held.
fn is_pressed(key: egui::Key, held: Modifiers, wanted: Key, modifiers: Modifiers) -> bool {
    let is_key = key == egui_key(wanted) || (wanted == Key::Plus && key == egui::Key::Equals);
    is_key && Modifiers { shift: held.shift && !wanted.is_sign(), ..held }.matches_exact(modifiers)
}

fn egui_key(key: Key) -> egui::Key {
    match key {
        Key::Enter => egui::Key::Enter,
        Key::Escape => egui::Key::Escape,
        Key::Delete => egui::Key::Delete,
        Key::Tab => egui::Key::Tab,
        Key::Left => egui::Key::ArrowLeft,
        Key::Right => egui::Key::ArrowRight,
        Key::Up => egui::Key::ArrowUp,
        Key::Down => egui::Key::ArrowDown,
        Key::F1 => egui::Key::F1,
        Key::F5 => egui::Key::F5,
        Key::F11 => egui::Key::F11,
        Key::Question => egui::Key::Questionmark,
        Key::Num1 => egui::Key::Num1,
        Key::Num2 => egui::Key::Num2,
        Key::Num3 => egui::Key::Num3,
        Key::Num4 => egui::Key::Num4,
        Key::Num0 => egui::Key::Num0,
        Key::Num5 => egui::Key::Num5,
        Key::Num6 => egui::Key::Num6,
        Key::Minus => egui::Key::Minus,
        Key::Plus => egui::Key::Plus,
        Key::Space => egui::Key::Space,
        Key::OpenBracket => egui::Key::OpenBracket,
        Key::CloseBracket => egui::Key::CloseBracket,
        Key::A => egui::Key::A,
        Key::B => egui::Key::B,
        Key::C => egui::Key::C,
        Key::E => egui::Key::E,
        Key::F => egui::Key::F,
        Key::I => egui::Key::I,
        Key::M => egui::Key::M,
        Key::H => egui::Key::H,
        Key::P => egui::Key::P,
        Key::Q => egui::Key::Q,
        Key::R => egui::Key::R,
        Key::S => egui::Key::S,
        Key::X => egui::Key::X,
        Key::Y => egui::Key::Y,
        Key::Z => egui::Key::Z,
    }
}
