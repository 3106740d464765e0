//! The progress line of every command.

use indicatif::{ProgressBar, ProgressStyle};

/// A progress line on stderr, which shows itself only at a terminal; its length is told later. `template` is in the words
/// of `indicatif::ProgressStyle`, and a constant of the caller, which a run of the program shows.
pub fn bar(template: &str) -> ProgressBar {
    let bar = ProgressBar::no_length();
    if let Ok(style) = ProgressStyle::with_template(template) {
        bar.set_style(style);
    }
    bar
}

/// The same, or none at all where `is_quiet`: beside `--json`.
pub fn bar_unless(is_quiet: bool, template: &str) -> ProgressBar {
    if is_quiet { ProgressBar::hidden() } else { bar(template) }
}
