//! Whether there is a display at all, and what to say where the windowing library would panic.

use std::panic::{AssertUnwindSafe, catch_unwind};

use crate::domain::{Result, UserError};

/// What a person without a display can do.
const HINT: &str = "make pictures without a window: atelier generate \"a prompt\" (see atelier generate --help)";

/// Looks for a display before the windowing library does.
///
/// # Errors
/// Bad usage (exit code 2) on a system that names no display.
pub fn check() -> Result<()> {
    check_variables(|name| std::env::var_os(name).is_some_and(|value| !value.is_empty()))
}

fn check_variables(is_set: impl Fn(&str) -> bool) -> Result<()> {
    let named = ["WAYLAND_DISPLAY", "WAYLAND_SOCKET", "DISPLAY"].into_iter().any(is_set);
    let needs_name = cfg!(all(unix, not(target_os = "macos")));
    if needs_name && !named { Err(no_display("neither DISPLAY nor WAYLAND_DISPLAY is set")) } else { Ok(()) }
}

/// The error for a system without a display.
pub fn no_display(reason: &str) -> UserError {
    UserError::input(format!("There is no display to open a window on: {reason}")).hint(HINT)
}

/// Runs the window. A panic of the windowing library, as over a missing system library, becomes an error.
///
/// # Errors
/// What `run` fails with, or what it panicked over.
pub fn without_panic(run: impl FnOnce() -> Result<()>) -> Result<()> {
    // Nothing that `run` touches is used afterwards but the handles of the threads, which stay whole.
    catch_unwind(AssertUnwindSafe(run)).unwrap_or_else(|panic| {
        let message = panic
            .downcast_ref::<String>()
            .map(String::as_str)
            .or_else(|| panic.downcast_ref::<&str>().copied())
            .unwrap_or("unknown");
        Err(explain(message))
    })
}

/// Says what to do about a panic of the windowing library.
fn explain(message: &str) -> UserError {
    let first_line = message.lines().next().unwrap_or_default();
    // xkbcommon-dl: "Library libxkbcommon-x11.so could not be loaded."
    let library =
        ["libxkbcommon-x11", "libxkbcommon", "libX11-xcb", "libXcursor", "libXi", "libX11", "libwayland-client"]
            .into_iter()
            .find(|name| message.contains(name));
    match library {
        Some(name) => UserError::failed(format!(
            "The window could not be opened: the system library {name} is missing"
        ))
        .hint(
            "install it; on Debian and Ubuntu: apt install libxkbcommon-x11-0 libx11-6 libx11-xcb1 libxcursor1 libxi6",
        ),
        None => UserError::failed(format!("The window failed: {first_line}"))
            .hint("pictures that were finished are saved; start Atelier again"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[cfg(all(unix, not(target_os = "macos")))]
    fn without_a_display_the_way_out_is_named() {
        let error = check_variables(|_| false).expect_err("no display is named");
        assert_eq!(error.exit_code(), 2);
        assert!(error.to_string().contains("atelier generate"), "{error}");
        for name in ["DISPLAY", "WAYLAND_DISPLAY"] {
            assert_eq!(check_variables(|asked| asked == name), Ok(()));
        }
    }

    #[test]
    fn a_missing_library_is_named() {
        // The sentence of xkbcommon-dl 0.4.2, src/x11.rs.
        let error = explain("Library libxkbcommon-x11.so could not be loaded.");
        assert!(error.sentence.contains("libxkbcommon-x11") && error.to_string().contains("apt install"), "{error}");
        let error = without_panic(|| panic!("boom")).expect_err("it panicked");
        assert!(error.sentence.contains("boom"), "{error}");
    }
}
