//! A training's settings as a TOML file: read with every fault at once, written with what each setting means.

mod diffusers;
mod table;

use std::fmt::Write;
use std::path::Path;

use serde_json::Value;

pub use diffusers::{FLAGS, Flag, Translated, from_diffusers};
pub use table::{SETTINGS, Setting};

use crate::dataset::columns::nearest;
use crate::domain::training::{Preset, TrainingConfig};
use crate::domain::{Result, UserError};

/// Reads settings from the text of a TOML file. Paths in it are relative to the file's folder.
///
/// # Errors
/// When it is no TOML (with the line), and when settings are unknown or cannot be as they are: all of them at once.
pub fn read(text: &str, path: &Path) -> Result<TrainingConfig> {
    // A byte order mark is what some editors leave.
    let text = text.trim_start_matches('\u{feff}');
    let table: toml::Table = text.parse().map_err(|error: toml::de::Error| {
        let before = error.span().and_then(|span| text.get(..span.start)).unwrap_or_default();
        let line = 1 + before.matches('\n').count();
        UserError::input(format!("The settings are no TOML: {} in line {line}", error.message())).path(path)
    })?;
    let mut config = TrainingConfig::default();
    let mut faults = Vec::new();
    let given = flat(&table);
    // One that is given replaces the other, whichever has a default.
    let has = |key: &str| given.iter().any(|(name, _)| name == key);
    if has("steps.epochs") && !has("steps.steps") {
        config.steps.steps = None;
    }
    for (key, value) in &given {
        let read = SETTINGS.iter().find(|setting| setting.key == key).map(|setting| (setting.read)(&mut config, value));
        match (read, nearest(key, SETTINGS.iter().map(|setting| setting.key))) {
            (Some(Ok(())), _) => {}
            (Some(Err(wanted)), _) => faults.push(format!("{key} must be {wanted}, not {value}")),
            (None, Some(near)) => faults.push(format!("{key} is no setting: did you mean {near}?")),
            (None, None) => faults.push(format!("{key} is no setting")),
        }
    }
    let base = path.parent().unwrap_or(Path::new(""));
    let is_read = |key: &str| !faults.iter().any(|fault| fault.starts_with(key));
    faults.extend(
        config
            .problems()
            .into_iter()
            .filter(|problem| is_read(problem.key))
            .map(|problem| format!("{} {}", problem.key, problem.sentence))
            .collect::<Vec<_>>(),
    );
    if !faults.is_empty() {
        return Err(refused(&faults).path(path));
    }
    for place in [&mut config.dataset, &mut config.output] {
        *place = base.join(&*place);
    }
    if let crate::domain::ModelRef::Path(place) = &mut config.model {
        *place = base.join(&*place);
    }
    Ok(config)
}

/// Looks whether settings that did not come from a file can be as they are.
///
/// # Errors
/// When they cannot: with every reason.
pub fn check(config: &TrainingConfig) -> Result<()> {
    let faults: Vec<String> =
        config.problems().into_iter().map(|problem| format!("{} {}", problem.key, problem.sentence)).collect();
    if faults.is_empty() { Ok(()) } else { Err(refused(&faults)) }
}

fn refused(faults: &[String]) -> UserError {
    let sentence = match faults {
        [only] => format!("The training's settings cannot be used: {only}"),
        all => format!("The training's settings cannot be used:\n- {}", all.join("\n- ")),
    };
    UserError::input(sentence).hint("atelier train --settings lists all settings and what they mean")
}

/// Every value of a file under its whole key.
fn flat(table: &toml::Table) -> Vec<(String, Value)> {
    let mut all = Vec::new();
    for (name, value) in table {
        match value {
            toml::Value::Table(inner) => {
                all.extend(flat(inner).into_iter().map(|(key, value)| (format!("{name}.{key}"), value)));
            }
            // Dates become text, which no setting with numbers takes.
            other => all.push((name.clone(), serde_json::to_value(other).unwrap_or(Value::Null))),
        }
    }
    all
}

/// Settings as a TOML file, each with what it means; those that a preset has reasons for with its reason.
#[must_use]
pub fn write(config: &TrainingConfig, preset: Option<&Preset>) -> String {
    let mut text = match preset {
        Some(preset) => format!("# {}: {}\n", preset.label, preset.about),
        None => String::new(),
    };
    let mut section = "";
    for setting in SETTINGS {
        let (head, name) = setting.key.rsplit_once('.').unwrap_or(("", setting.key));
        if head != section {
            // Writing to a `String` cannot fail.
            let _ = write!(text, "\n[{head}]\n");
            section = head;
        }
        let _ = writeln!(text, "# {}", setting.about);
        let reason = preset.and_then(|preset| preset.reasons.iter().find(|reason| reason.key == setting.key));
        if let Some(reason) = reason {
            let _ = writeln!(text, "# Here: {}.", reason.sentence);
        }
        let _ = match (setting.show)(config) {
            Value::Null => writeln!(text, "# {name} ="),
            value => writeln!(text, "{name} = {}", toml_text(&value)),
        };
    }
    text
}

/// A value as TOML writes it. What JSON writes is TOML too, but for one sign that must be escaped.
fn toml_text(value: &Value) -> String {
    value.to_string().replace('\u{7f}', "\\u007f")
}

/// All that decides a training's numbers, for its checkpoints: a training goes on only with the same.
#[must_use]
pub fn deciding(config: &TrainingConfig) -> Value {
    let entries = SETTINGS.iter().filter(|setting| setting.decides);
    Value::Object(entries.map(|setting| (setting.key.to_owned(), (setting.show)(config))).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::ModelRef;
    use crate::domain::training::{Method, PRESETS, Targets};

    const FILE: &str = "/home/a/train.toml";

    fn sound(extra: &str) -> String {
        format!("dataset = \"pictures\"\noutput = \"out\"\n{extra}")
    }

    fn faults(text: &str) -> String {
        let error = read(text, Path::new(FILE)).unwrap_err();
        assert_eq!((error.exit_code(), error.path.as_deref()), (2, Some(Path::new(FILE))), "{error}");
        error.sentence
    }

    #[test]
    fn settings_are_read_and_paths_are_beside_the_file() {
        let text = sound(
            "model = \"../sd15\"\nmethod = \"lora\"\n[lora]\nrank = 4\nalpha = 4\ntargets = \"attention\"\n\
             [steps]\nepochs = 3\n[loss]\nmin_snr_gamma = false\n[samples]\nprompts = [\"a cat\", \"a \\\"dog\\\"\"]\n",
        );
        let config = read(&text, Path::new(FILE)).unwrap();
        assert_eq!(config.model, ModelRef::Path("/home/a/../sd15".into()));
        assert_eq!(config.dataset, Path::new("/home/a/pictures"));
        assert_eq!((config.lora.rank, config.lora.alpha, config.lora.targets), (4, 4.0, Targets::Attention));
        assert_eq!((config.steps.steps, config.steps.epochs), (None, Some(3)));
        assert_eq!(config.loss.min_snr_gamma, None);
        assert_eq!(config.samples.prompts, ["a cat", "a \"dog\""]);
        assert_eq!(config.method, Method::Lora);
    }

    #[test]
    fn what_is_written_is_read_again() {
        for preset in PRESETS {
            let mut config =
                TrainingConfig { dataset: "/pictures".into(), output: "/out".into(), ..TrainingConfig::default() };
            (preset.apply)(&mut config);
            config.samples.prompts = vec!["a \"red\" dress\\, 𝄞\u{7f}\n".to_owned()];
            let text = write(&config, Some(preset));
            assert_eq!(read(&text, Path::new(FILE)).unwrap(), config, "{text}");
            for reason in preset.reasons {
                assert!(text.contains(reason.sentence), "{} has a reason for no setting", preset.name);
            }
        }
    }

    #[test]
    fn every_fault_is_named_at_once() {
        let text = sound(
            "model = 5\nmethd = \"lora\"\n[lora]\nrank = 4.5\ntargets = \"some\"\n[pictures]\nresolution = 100\n\
             [optimizer]\nlearning_rat = 1\nepsilon = 2.0\n[quite_other]\nthing = 1\n",
        );
        let faults = faults(&text);
        for fault in [
            "model must be",
            "methd is no setting: did you mean method?",
            "lora.rank must be a whole number, not 4.5",
            "lora.targets must be attention, linear or all, not \"some\"",
            "pictures.resolution must be a multiple of 64 px",
            "optimizer.learning_rat is no setting: did you mean optimizer.learning_rate?",
            "optimizer.epsilon must be above 0 and at most 1",
            "quite_other.thing is no setting",
        ] {
            assert!(faults.contains(fault), "{faults} lacks {fault}");
        }
        assert_eq!(faults.matches("- ").count(), 8, "{faults}");
    }

    #[test]
    fn what_is_no_toml_is_told_with_its_line() {
        assert!(faults("a = 1\nb = = 2\n").contains("line 2"));
        assert!(faults("").contains("dataset is missing"));
    }

    proptest::proptest! {
        #[test]
        fn any_text_is_read_or_refused(text in "(?s).{0,60}", key in "[a-z_.]{1,20}", value in "[-0-9a-z\"\\[\\]., {}=]{0,20}") {
            let path = Path::new(FILE);
            let _ = read(&text, path);
            let _ = read(&format!("\u{feff}{text}é{key} = {value}"), path);
            let _ = read(&format!("{key} = {value}\n"), path);
        }
    }

    #[test]
    fn every_setting_is_told_apart_by_its_key() {
        let keys: std::collections::BTreeSet<&str> = SETTINGS.iter().map(|setting| setting.key).collect();
        assert_eq!(keys.len(), SETTINGS.len());
        // Sections stand together, or the file would have one twice.
        let mut sections: Vec<&str> =
            SETTINGS.iter().map(|setting| setting.key.rsplit_once('.').map_or("", |(head, _)| head)).collect();
        sections.dedup();
        let unique: std::collections::BTreeSet<&str> = sections.iter().copied().collect();
        assert_eq!(unique.len(), sections.len());
    }
}
