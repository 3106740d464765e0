//! `atelier train`: adapters and whole models from pictures with captions.

use std::fmt::Write as _;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use indicatif::ProgressBar;
use serde_json::{Value, json};

use super::device::DeviceArgs;
use super::progress::bar_unless;
use crate::domain::training::{Control, Forecast, PRESETS, Preset, TrainingConfig, TrainingEvent, suit};
use crate::domain::{ModelRef, Precision, Result, UserError, bytes_text};
use crate::library::write_atomically;
use crate::models::{Placement, family_of};
use crate::train::{self, config};

/// Arguments of `atelier train`.
#[derive(clap::Args)]
#[allow(clippy::struct_excessive_bools, reason = "each is a switch of its own on the command line")]
pub struct Args {
    /// The settings, as a TOML file; --preset writes one to begin with, --settings lists all of them.
    #[arg(value_name = "CONFIG", required_unless_present_any = ["preset", "from_diffusers", "settings", "presets"])]
    config: Option<PathBuf>,
    /// Go on with a training that was stopped or killed, from its last checkpoint.
    #[arg(long, conflicts_with_all = ["from_diffusers", "settings", "presets"])]
    resume: bool,
    #[command(flatten)]
    device: DeviceArgs,
    /// Print every event as one line of JSON.
    #[arg(long)]
    json: bool,
    /// Begin with a preset instead of a file: quick-lora, style-lora, subject-lora or full.
    #[arg(long, value_name = "NAME", requires = "dataset", requires = "out", conflicts_with = "config")]
    preset: Option<String>,
    /// The model to begin with: `starter`, a folder or a file.
    #[arg(long, value_name = "NAME|PATH", requires = "preset")]
    model: Option<String>,
    /// The pictures with captions.
    #[arg(long, value_name = "PATH", requires = "preset")]
    dataset: Option<PathBuf>,
    /// The folder of what is made.
    #[arg(long, value_name = "DIR", requires = "preset")]
    out: Option<PathBuf>,
    /// Only write the settings to this file, to be changed and trained by.
    #[arg(long, value_name = "FILE", conflicts_with = "config")]
    save: Option<PathBuf>,
    /// Take over a command for diffusers' training scripts, and print its settings (or write them, with --save).
    #[arg(long, value_name = "COMMAND", conflicts_with_all = ["config", "preset"])]
    from_diffusers: Option<String>,
    /// List all settings with what they mean.
    #[arg(long)]
    settings: bool,
    /// List the presets with their reasons.
    #[arg(long)]
    presets: bool,
}

/// Does the work.
///
/// # Errors
/// Settings, a model or a data set that cannot be used (exit code 2), work that failed (exit code 1).
pub fn run(args: &Args) -> Result<()> {
    if args.settings {
        return say(&config::write(&TrainingConfig::default(), None));
    }
    if args.presets {
        return say(&PRESETS.iter().map(described).collect::<Vec<_>>().join("\n"));
    }
    if let Some(command) = &args.from_diffusers {
        let taken = config::from_diffusers(command)?;
        let mut text = String::new();
        for note in &taken.notes {
            // Writing to a text cannot fail.
            let _ = writeln!(text, "# {note}");
        }
        text.push_str(&config::write(&taken.config, None));
        return settings(args.save.as_deref(), &text);
    }
    let config = match (&args.config, &args.preset) {
        (Some(path), _) => {
            let text = std::fs::read_to_string(path)
                .map_err(|error| UserError::input(format!("Could not read the settings: {error}")).path(path))?;
            config::read(&text, path)?
        }
        (None, Some(name)) => {
            let (config, preset) = from_preset(args, name)?;
            if args.save.is_some() {
                return settings(args.save.as_deref(), &config::write(&config, Some(preset)));
            }
            config
        }
        (None, None) => return Err(UserError::input("There are no settings").hint("give a file or a --preset")),
    };
    carry_out(&config, args.resume, args.device.open(Precision::Fast)?, args.json)
}

/// Prints settings, or writes them to a file.
fn settings(to: Option<&Path>, text: &str) -> Result<()> {
    match to {
        Some(path) => {
            write_atomically(path, text.as_bytes())?;
            say(&format!("{}\n", path.display()))
        }
        None => say(text),
    }
}

fn described(preset: &Preset) -> String {
    let mut config = TrainingConfig::default();
    (preset.apply)(&mut config);
    let mut text = format!("{} (--preset {})\n    {}\n", preset.label, preset.name, preset.about);
    for reason in preset.reasons {
        let value = config::SETTINGS.iter().find(|setting| setting.key == reason.key);
        let value = value.map_or(Value::Null, |setting| (setting.show)(&config));
        let _ = writeln!(text, "    {} = {value}: {}", reason.key, reason.sentence);
    }
    text
}

/// The settings of a preset, as they suit the model and at the size that it knows best.
fn from_preset(args: &Args, name: &str) -> Result<(TrainingConfig, &'static Preset)> {
    let preset = PRESETS.iter().find(|preset| preset.name == name).ok_or_else(|| {
        let names: Vec<&str> = PRESETS.iter().map(|preset| preset.name).collect();
        UserError::input(format!("There is no preset called {name}")).hint(format!("there are {}", names.join(", ")))
    })?;
    let mut config = TrainingConfig {
        model: args.model.as_deref().map_or(ModelRef::Starter, ModelRef::parse),
        dataset: args.dataset.clone().unwrap_or_default(),
        output: args.out.clone().unwrap_or_default(),
        name: preset.name.to_owned(),
        ..TrainingConfig::default()
    };
    (preset.apply)(&mut config);
    let capabilities = &family_of(&config.model)?.capabilities;
    suit(&mut config, capabilities.family);
    config.fit_to_side(capabilities.native_side_px);
    config::check(&config)?;
    Ok((config, preset))
}

fn carry_out(config: &TrainingConfig, resume: bool, placement: Placement, as_json: bool) -> Result<()> {
    let stop = stopped_by_signals();
    let bar = bar_unless(as_json, "{msg} {wide_bar} {pos} of {len}");
    let (mut failed, mut is_told) = (None, false);
    let outcome = train::run_on(placement, config, resume, &mut |event| {
        let told = match (as_json, line(&event)) {
            (true, Some(line)) => say(&format!("{line}\n")),
            (true, None) => Ok(()),
            (false, _) => show(&bar, &event),
        };
        // Nobody listens any more: the training ends well all the same.
        let is_lost = told.is_err();
        if let Err(error) = told {
            failed.get_or_insert(error);
        }
        let is_stopped = stop.load(Ordering::SeqCst);
        if is_stopped && !is_told {
            is_told = true;
            // When stderr is closed there is nobody to tell.
            let _ = writeln!(std::io::stderr(), "stopping and saving; Ctrl-C again ends at once");
        }
        if is_lost || is_stopped { Control::StopAndSave } else { Control::Continue }
    });
    bar.finish_and_clear();
    let outcome = outcome?;
    if let Some(error) = failed {
        return Err(error);
    }
    if as_json {
        return Ok(());
    }
    let mut files = String::new();
    for file in &outcome.files {
        let _ = writeln!(files, "{}", file.display());
    }
    let left = outcome.steps - outcome.step;
    if left > 0 {
        return say(&format!("{files}    stopped after step {}; --resume does the other {left}\n", outcome.step));
    }
    say(&files)
}

/// Set by Ctrl-C or by a request to end; the second one ends the program at once.
fn stopped_by_signals() -> Arc<AtomicBool> {
    let stop = Arc::new(AtomicBool::new(false));
    for signal in [signal_hook::consts::SIGINT, signal_hook::consts::SIGTERM] {
        // The first of the two looks whether the flag is set, the second sets it.
        let registered = signal_hook::flag::register_conditional_shutdown(signal, 130, Arc::clone(&stop))
            .and_then(|_| signal_hook::flag::register(signal, Arc::clone(&stop)));
        if let Err(error) = registered {
            tracing::warn!("the training cannot be told to end: {error}");
        }
    }
    stop
}

/// An event as a line of JSON; none where it only gives others their turn.
fn line(event: &TrainingEvent) -> Option<Value> {
    let named = |name: &str, fields: Value| {
        let mut all = serde_json::Map::from_iter([("event".to_owned(), json!(name))]);
        if let Value::Object(fields) = fields {
            all.extend(fields);
        }
        Value::Object(all)
    };
    Some(match event {
        TrainingEvent::Working { .. } => return None,
        TrainingEvent::Forecast(forecast) => {
            let mut value = named("forecast", json!(forecast));
            value["bytes"] = json!(forecast.bytes());
            value
        }
        TrainingEvent::Notice(text) => named("notice", json!({ "text": text })),
        TrainingEvent::Preparing { what, done, total } => {
            named("preparing", json!({ "what": what, "done": done, "total": total }))
        }
        TrainingEvent::Resumed(step) => named("resumed", json!({ "step": step })),
        TrainingEvent::Step(step) => named("step", json!(step)),
        TrainingEvent::Validated { step, loss } => named("validation", json!({ "step": step, "loss": loss })),
        TrainingEvent::Sample { step, prompt, path, .. } => {
            named("sample", json!({ "step": step, "prompt": prompt, "path": path.to_string_lossy() }))
        }
        TrainingEvent::Rows(rows) => named("rows", json!({ "hardest": rows })),
        TrainingEvent::Drawn { step, sketch, path, .. } => {
            named("drawn", json!({ "step": step, "prompt": sketch.prompt, "path": path.to_string_lossy() }))
        }
        TrainingEvent::Saved { step, path } => named("saved", json!({ "step": step, "path": path.to_string_lossy() })),
        TrainingEvent::Paused(step) => named("paused", json!({ "step": step })),
        TrainingEvent::Ended { step, steps, files } => {
            let files: Vec<_> = files.iter().map(|file| file.to_string_lossy()).collect();
            named("ended", json!({ "step": step, "steps": steps, "files": files }))
        }
    })
}

/// An event for a person.
fn show(bar: &ProgressBar, event: &TrainingEvent) -> Result<()> {
    let print = |text: &str| bar.suspend(|| say(text));
    match event {
        TrainingEvent::Forecast(forecast) => print(&foretold(forecast)),
        TrainingEvent::Notice(text) => print(&format!("    {text}\n")),
        TrainingEvent::Preparing { what, done, total } => {
            bar.set_length(*total as u64);
            bar.set_position(*done as u64);
            bar.set_message(format!("encoding {what}"));
            Ok(())
        }
        TrainingEvent::Resumed(step) => print(&format!("    goes on after step {step}\n")),
        TrainingEvent::Step(step) => {
            bar.set_length(step.steps);
            bar.set_position(step.step);
            bar.set_message(format!(
                "loss {:.4}, {:.2} s a step, {} left",
                step.smoothed,
                step.secs_per_step,
                duration(step.eta_secs)
            ));
            Ok(())
        }
        TrainingEvent::Validated { step, loss } => {
            print(&format!("    step {step}: loss of the pictures kept apart {loss:.4}\n"))
        }
        TrainingEvent::Sample { path, .. } | TrainingEvent::Drawn { path, .. } => {
            print(&format!("    {}\n", path.display()))
        }
        TrainingEvent::Working { .. }
        | TrainingEvent::Rows(_)
        | TrainingEvent::Saved { .. }
        | TrainingEvent::Paused(_)
        | TrainingEvent::Ended { .. } => Ok(()),
    }
}

/// What a training will need, in words.
fn foretold(forecast: &Forecast) -> String {
    let mut text = format!("About {} of memory:\n", bytes_text(forecast.bytes()));
    for share in &forecast.memory {
        let _ = writeln!(text, "    {:>9}  {}", bytes_text(share.bytes), share.what);
    }
    let all = forecast.secs_per_step * forecast.steps as f64;
    let _ = writeln!(
        text,
        "About {} for {} steps, {:.1} s each, {} numbers trained",
        duration(all),
        forecast.steps,
        forecast.secs_per_step,
        forecast.trained
    );
    text
}

/// A time in words of its size.
fn duration(secs: f64) -> String {
    match secs {
        secs if secs < 90.0 => format!("{secs:.0} s"),
        secs if secs < 5400.0 => format!("{:.0} min", secs / 60.0),
        secs => format!("{:.1} h", secs / 3600.0),
    }
}

fn say(text: &str) -> Result<()> {
    std::io::stdout()
        .lock()
        .write_all(text.as_bytes())
        .map_err(|error| UserError::failed(format!("Could not print the result: {error}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_reason_of_a_preset_is_of_a_setting() {
        for preset in PRESETS {
            let text = described(preset);
            assert!(!text.contains("= null:"), "{text}");
        }
    }

    #[test]
    fn times_are_told_in_their_size() {
        assert_eq!([30.4, 600.0, 7200.0].map(duration), ["30 s", "10 min", "2.0 h"]);
    }
}
