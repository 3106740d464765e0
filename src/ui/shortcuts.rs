//! Turns keys into actions, by the one table of [`crate::studio::KEYED`].

use egui::{Context, Modifiers, Popup};

use crate::studio::{Action, KEYED, Key, Place, Scope, Shortcut, State};

/// Pushes the actions whose keys were pressed, before any widget sees the keys: Ctrl+Enter must not become a new line.
/// `had_keyboard` is whether a widget had the keyboard when the last frame ended: Esc has taken it away by now, and is
/// that widget's all the same.
pub fn collect(ctx: &Context, state: &State, had_keyboard: bool, actions: &mut Vec<Action>) {
    if state.path_prompt.is_some() || state.grids.is_open || state.variations.of.is_some() {
        return; // the dialog in the window has the keys
    }
    let typing = had_keyboard || ctx.memory(|memory| memory.focused().is_some()) || Popup::is_any_open(ctx);
    for (scope, action) in KEYED {
        if holds(*scope, state, typing)
            && let Some(shortcut) = action.info().shortcut
            && pressed(ctx, shortcut)
        {
            actions.push(action.clone());
        }
    }
}

fn holds(scope: Scope, state: &State, typing: bool) -> bool {
    let gallery = state.place == Place::Gallery;
    let large = gallery && state.gallery.large;
    match scope {
        Scope::Anywhere => true,
        Scope::Elsewhere => !gallery,
        Scope::Picture => large,
        Scope::Gallery => gallery && !typing,
        Scope::Grid => gallery && !large && !typing,
    }
}

fn pressed(ctx: &Context, shortcut: Shortcut) -> bool {
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
                if *key == egui_key(shortcut.key) && held.matches_exact(modifiers) =>
            {
                found = true;
                false
            }
            _ => true,
        });
        found
    })
}

fn egui_key(key: Key) -> egui::Key {
    match key {
        Key::Enter => egui::Key::Enter,
        Key::Escape => egui::Key::Escape,
        Key::Delete => egui::Key::Delete,
        Key::Left => egui::Key::ArrowLeft,
        Key::Right => egui::Key::ArrowRight,
        Key::Up => egui::Key::ArrowUp,
        Key::Down => egui::Key::ArrowDown,
        Key::F5 => egui::Key::F5,
        Key::F11 => egui::Key::F11,
        Key::Num1 => egui::Key::Num1,
        Key::Num2 => egui::Key::Num2,
        Key::Num3 => egui::Key::Num3,
        Key::Num4 => egui::Key::Num4,
        Key::A => egui::Key::A,
        Key::C => egui::Key::C,
        Key::F => egui::Key::F,
        Key::Q => egui::Key::Q,
        Key::R => egui::Key::R,
        Key::S => egui::Key::S,
        Key::X => egui::Key::X,
        Key::Z => egui::Key::Z,
    }
}
