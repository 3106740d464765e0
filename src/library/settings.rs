//! Reading and writing the settings. A file that cannot be read is kept aside, never silently reset.

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use serde_json::{Map, Value};

use super::atomic;
use super::paths::{Paths, file_name};
use super::text_file::read_text;
use crate::domain::{Result, Settings, UserError};

/// No settings file of ours is near this; a larger one is something else.
const MAX_BYTES: u64 = 16 << 20;

/// The settings of a start, and what was wrong with their file.
#[derive(Clone, Debug)]
pub struct LoadedSettings {
    /// The settings; a field that could not be read has its default.
    pub settings: Settings,
    /// To be shown: the file was broken, and where it is kept.
    pub problem: Option<UserError>,
}

/// Reads the settings. No file means the first start: the defaults, and nothing to tell.
#[must_use]
pub fn load(paths: &Paths) -> LoadedSettings {
    let path = &paths.settings_file;
    if let Some(folder) = path.parent() {
        atomic::sweep(folder);
    }
    let text = match read_text(path, MAX_BYTES) {
        Ok(None) => return LoadedSettings { settings: Settings::default(), problem: None },
        Ok(Some(text)) => text,
        Err(reason) => {
            return LoadedSettings { settings: Settings::default(), problem: Some(set_aside(path, &reason)) };
        }
    };
    // First an object, because serde would read an empty list as a struct whose fields are all missing.
    let (settings, reason) = match serde_json::from_str::<Map<String, Value>>(&text) {
        Ok(fields) => match serde_json::from_value(Value::Object(fields.clone())) {
            Ok(settings) => return LoadedSettings { settings, problem: None },
            Err(error) => (salvage(fields), error),
        },
        Err(error) => (Settings::default(), error),
    };
    LoadedSettings { settings, problem: Some(set_aside(path, &reason.to_string())) }
}

/// Writes the settings atomically.
///
/// # Errors
/// When the file cannot be written; the old one is then as it was.
pub fn save(paths: &Paths, settings: &Settings) -> Result<()> {
    let mut text = serde_json::to_string_pretty(settings).map_err(|error| {
        UserError::failed(format!("Could not write the settings: {error}"))
            .hint("a folder whose name is not Unicode cannot be remembered")
            .path(&paths.settings_file)
    })?;
    text.push('\n');
    // The hub's access token may be among them.
    atomic::write_private(&paths.settings_file, text.as_bytes())
}

/// What can be kept of a file in which one field or another is wrong: each field is tried on its own.
fn salvage(fields: Map<String, Value>) -> Settings {
    let good = fields.into_iter().filter(|(name, value)| {
        let alone = Map::from_iter([(name.clone(), value.clone())]);
        serde_json::from_value::<Settings>(Value::Object(alone)).is_ok()
    });
    serde_json::from_value(Value::Object(good.collect())).unwrap_or_default()
}

/// Renames the broken file, so that the next save does not replace it, and says so.
fn set_aside(path: &Path, reason: &str) -> UserError {
    let error = UserError::failed(format!("The settings could not be read: {reason}"));
    match rename_aside(path, "broken") {
        Ok(kept) => error
            .hint(format!("what could not be read is as at the first start; the file is kept as {}", file_name(&kept)))
            .path(kept),
        Err(rename) => error
            .hint(format!("move the file away before you change a setting: it could not be kept aside ({rename})"))
            .path(path),
    }
}

/// Renames `name.ending` to `name.<why>-<time>.ending`, never over a file that is there.
pub(super) fn rename_aside(path: &Path, why: &str) -> std::io::Result<PathBuf> {
    let time = chrono::Local::now().format("%Y%m%d-%H%M%S");
    let stem = path.file_stem().unwrap_or_default().to_string_lossy();
    let ending = path.extension().map(|ending| format!(".{}", ending.to_string_lossy())).unwrap_or_default();
    for count in 1..1000 {
        let suffix = if count == 1 { String::new() } else { format!("-{count}") };
        let aside = path.with_file_name(format!("{stem}.{why}-{time}{suffix}{ending}"));
        if aside.symlink_metadata().is_err() {
            fs::rename(path, &aside)?;
            return Ok(aside);
        }
    }
    Err(std::io::Error::from(ErrorKind::AlreadyExists))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{GenerateRequest, Theme};

    fn paths_with(text: &[u8]) -> (tempfile::TempDir, Paths) {
        let home = tempfile::tempdir().unwrap();
        let paths = Paths::below(home.path());
        fs::write(&paths.settings_file, text).unwrap();
        (home, paths)
    }

    #[test]
    fn what_is_saved_is_loaded() {
        let home = tempfile::tempdir().unwrap();
        let paths = Paths::below(home.path().join("not yet there"));
        let first = load(&paths);
        assert_eq!(first.settings, Settings::default());
        assert!(first.problem.is_none());
        let draft =
            GenerateRequest { prompt: "a \"dress\"\nof 絹".into(), seed: u64::MAX, ..GenerateRequest::default() };
        let settings = Settings {
            theme: Theme::Light,
            draft: Some(draft),
            model_paths: vec!["/models/a b".into()],
            ..Settings::default()
        };
        save(&paths, &settings).unwrap();
        let loaded = load(&paths);
        assert_eq!(loaded.settings, settings);
        assert!(loaded.problem.is_none());
    }

    #[test]
    #[cfg(unix)]
    fn nobody_else_may_read_the_token() {
        use std::os::unix::fs::PermissionsExt;
        let home = tempfile::tempdir().unwrap();
        let paths = Paths::below(home.path());
        let settings = Settings { hub_token: Some(crate::domain::Secret::new("hf_abc")), ..Settings::default() };
        save(&paths, &settings).unwrap();
        assert_eq!(fs::metadata(&paths.settings_file).unwrap().permissions().mode() & 0o077, 0);
        assert_eq!(load(&paths).settings, settings);
    }

    #[test]
    fn unknown_fields_are_passed_over_and_missing_ones_have_defaults() {
        let (_home, paths) = paths_with(b"\xef\xbb\xbf{\"seed_locked\": true, \"from_the_future\": [1]}");
        let loaded = load(&paths);
        assert!(loaded.problem.is_none());
        assert_eq!(loaded.settings, Settings { seed_locked: true, ..Settings::default() });
    }

    #[test]
    fn a_broken_file_is_kept_aside_and_reported() {
        for text in [&b""[..], b"{\"theme\": \"da", b"\xff\xfe{", b"[]", b"null"] {
            let (home, paths) = paths_with(text);
            let loaded = load(&paths);
            assert_eq!(loaded.settings, Settings::default());
            let kept = loaded.problem.unwrap().path.unwrap();
            assert!(file_name(&kept).starts_with("settings.broken-"), "{}", kept.display());
            assert_eq!(fs::read(&kept).unwrap(), text);
            assert!(!paths.settings_file.exists());

            // A second broken file within the same second does not replace the first.
            fs::write(&paths.settings_file, b"also broken").unwrap();
            assert!(load(&paths).problem.is_some());
            assert_eq!(fs::read(&kept).unwrap(), text);
            assert_eq!(fs::read_dir(home.path()).unwrap().count(), 2);
        }
    }

    #[test]
    fn one_wrong_field_does_not_cost_the_others() {
        let (_home, paths) = paths_with(br#"{"theme": "sepia", "seed_locked": true, "pictures_dir": "/p"}"#);
        let loaded = load(&paths);
        assert!(loaded.problem.is_some());
        let kept = Settings { seed_locked: true, pictures_dir: Some("/p".into()), ..Settings::default() };
        assert_eq!(loaded.settings, kept);
    }

    #[test]
    fn a_failed_save_keeps_the_old_settings() {
        let (home, paths) = paths_with(b"{}");
        fs::remove_file(&paths.settings_file).unwrap();
        fs::create_dir(&paths.settings_file).unwrap();
        assert!(save(&paths, &Settings::default()).is_err());
        assert_eq!(fs::read_dir(home.path()).unwrap().count(), 1);
    }
}
