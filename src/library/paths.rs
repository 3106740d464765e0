//! [`Paths`]: where the user's files are.

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use crate::domain::{Result, Settings, UserError};

/// The environment variable that puts everything below one folder.
pub const HOME_VARIABLE: &str = "ATELIER_HOME";

/// Where the user's files are. Nothing is created before it is written to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Paths {
    /// The settings, JSON.
    pub settings_file: PathBuf,
    /// The styles that prompts are put into, JSON.
    pub styles_file: PathBuf,
    /// The index of the pictures and the queue, `SQLite`. It can be deleted: the index is rebuilt, from the pictures and
    /// the file beside them, and jobs that waited are gone.
    pub database: PathBuf,
    /// Where the pictures of waiting jobs are in their making, and which windows are open.
    pub queue_dir: PathBuf,
    /// All steps of pictures, where the settings say that they are kept.
    pub steps_dir: PathBuf,
    /// The cache of thumbnails. It can be deleted and is rebuilt.
    pub thumbnails_dir: PathBuf,
    /// The finished pictures, one folder a day.
    pub pictures_dir: PathBuf,
    /// `LoRA` files that prompts can name.
    pub loras_dir: PathBuf,
    /// Textual inversions that prompts can name.
    pub embeddings_dir: PathBuf,
    /// Lists of texts that prompts draw from.
    pub wildcards_dir: PathBuf,
    /// Models that were imported, one file or folder each.
    pub models_dir: PathBuf,
    /// Masks that were painted and pictures that were pasted, for requests to begin with.
    pub sources_dir: PathBuf,
    /// Trainings, one folder each.
    pub trainings_dir: PathBuf,
    /// What the program wrote down about itself.
    pub logs_dir: PathBuf,
}

impl Paths {
    /// The paths of this user: below `ATELIER_HOME` where that is set, else where the system keeps such files.
    ///
    /// # Errors
    /// When the system names no home folder.
    pub fn from_env() -> Result<Self> {
        if let Some(home) = std::env::var_os(HOME_VARIABLE).filter(|home| !home.is_empty()) {
            let home = std::path::absolute(&home).map_err(|error| {
                UserError::input(format!("{HOME_VARIABLE} is no folder's name: {error}")).path(&home)
            })?;
            return Ok(Self::below(home));
        }
        let (Some(project), Some(user)) =
            (directories::ProjectDirs::from("", "", "Atelier"), directories::UserDirs::new())
        else {
            return Err(UserError::failed("The system names no home folder for this user")
                .hint(format!("set {HOME_VARIABLE} to a folder in which Atelier may keep its files")));
        };
        // Not every system has a pictures folder set up (a server, a container).
        let pictures = user.picture_dir().map_or_else(|| user.home_dir().join("Pictures"), Path::to_path_buf);
        Ok(Self {
            settings_file: project.config_dir().join("settings.json"),
            styles_file: project.config_dir().join("styles.json"),
            database: project.data_dir().join("library.sqlite"),
            queue_dir: project.data_dir().join("queue"),
            steps_dir: project.data_dir().join("steps"),
            thumbnails_dir: project.cache_dir().join("thumbnails"),
            pictures_dir: pictures.join("Atelier"),
            loras_dir: project.data_dir().join("loras"),
            embeddings_dir: project.data_dir().join("embeddings"),
            wildcards_dir: project.data_dir().join("wildcards"),
            models_dir: project.data_dir().join("models"),
            sources_dir: project.data_dir().join("sources"),
            trainings_dir: project.data_dir().join("trainings"),
            logs_dir: project.data_dir().join("logs"),
        })
    }

    /// Everything below one folder, as `ATELIER_HOME` asks for it.
    #[must_use]
    pub fn below(home: impl AsRef<Path>) -> Self {
        let home = home.as_ref();
        Self {
            settings_file: home.join("settings.json"),
            styles_file: home.join("styles.json"),
            database: home.join("library.sqlite"),
            queue_dir: home.join("queue"),
            steps_dir: home.join("steps"),
            thumbnails_dir: home.join("cache").join("thumbnails"),
            pictures_dir: home.join("pictures"),
            loras_dir: home.join("loras"),
            embeddings_dir: home.join("embeddings"),
            wildcards_dir: home.join("wildcards"),
            models_dir: home.join("models"),
            sources_dir: home.join("sources"),
            trainings_dir: home.join("trainings"),
            logs_dir: home.join("logs"),
        }
    }

    /// These paths, with the pictures where the settings want them.
    #[must_use]
    pub fn with_settings(mut self, settings: &Settings) -> Self {
        if let Some(dir) = &settings.pictures_dir {
            self.pictures_dir.clone_from(dir);
        }
        self
    }
}

/// Makes a folder and those above it, if they are not there yet.
///
/// # Errors
/// When that fails, with the folder's path.
pub fn ensure_dir(dir: &Path) -> Result<()> {
    fs::create_dir_all(dir).map_err(|error| {
        let reason = match error.kind() {
            ErrorKind::ReadOnlyFilesystem | ErrorKind::PermissionDenied => "writing there is not allowed".to_owned(),
            ErrorKind::StorageFull | ErrorKind::QuotaExceeded => "there is no room on the disk".to_owned(),
            _ => error.to_string(),
        };
        UserError::failed(format!("Could not create the folder {}: {reason}", file_name(dir)))
            .hint("check that the disk is there and that you may write to it")
            .path(dir)
    })
}

/// The last part of a path, for a sentence.
#[must_use]
pub fn file_name(path: &Path) -> String {
    path.file_name().unwrap_or(path.as_os_str()).to_string_lossy().into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everything_lies_below_the_home_until_the_settings_say_otherwise() {
        let paths = Paths::below("/h");
        assert_eq!(paths.settings_file, Path::new("/h/settings.json"));
        assert_eq!(paths.database, Path::new("/h/library.sqlite"));
        assert_eq!(paths.thumbnails_dir, Path::new("/h/cache/thumbnails"));
        assert_eq!(paths.models_dir, Path::new("/h/models"));
        assert_eq!(paths.clone().with_settings(&Settings::default()).pictures_dir, Path::new("/h/pictures"));
        let settings = Settings { pictures_dir: Some("/elsewhere".into()), ..Settings::default() };
        assert_eq!(paths.with_settings(&settings).pictures_dir, Path::new("/elsewhere"));
    }

    #[test]
    fn a_folder_that_cannot_be_made_is_named() {
        let home = tempfile::tempdir().unwrap();
        let file = home.path().join("file");
        fs::write(&file, b"in the way").unwrap();
        let error = ensure_dir(&file.join("below")).unwrap_err();
        assert_eq!(error.path.as_deref(), Some(file.join("below").as_path()));
    }
}
