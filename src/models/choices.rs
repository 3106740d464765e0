//! [`Choices`]: what a user decides about a model whose file does not say it.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::domain::{PredictionType, Result, UserError};
use crate::weights::read_json;

/// What a user decided about a model in a single file: `model.atelier.json` beside `model.safetensors`. What is left out
/// is told from the file.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Choices {
    /// What its network predicts.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub prediction_type: Option<PredictionType>,
    /// Whether it was distilled to a few steps without guidance.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub turbo: Option<bool>,
    /// A diffusers folder whose configurations and tokenizers are taken, for models of other structures than the
    /// published ones; from the file's own folder where it is relative.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub config: Option<PathBuf>,
}

impl Choices {
    /// Where the choices for a model's file stand.
    #[must_use]
    pub fn path_for(model: &Path) -> PathBuf {
        model.with_extension("atelier.json")
    }

    /// The choices for a model's file; the default where there are none.
    ///
    /// # Errors
    /// When the file cannot be read, or says something that is not known.
    pub fn read(model: &Path) -> Result<Self> {
        let path = Self::path_for(model);
        let text = match std::fs::read_to_string(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Self::default()),
            Err(error) => {
                return Err(UserError::input(format!("Could not read the model's choices: {error}")).path(path));
            }
        };
        let mut choices: Self = read_json(&text, &path).map_err(|error| {
            error.hint("it may say prediction_type, turbo and config; delete it to let the file speak for itself")
        })?;
        // `join` keeps an absolute path.
        choices.config = choices.config.map(|config| path.parent().unwrap_or(Path::new("")).join(config));
        Ok(choices)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_said_is_left_to_the_file() {
        let folder = tempfile::tempdir().unwrap();
        let model = folder.path().join("a.b.safetensors");
        assert_eq!(Choices::read(&model).unwrap(), Choices::default());
        std::fs::write(folder.path().join("a.b.atelier.json"), r#"{"turbo": true, "config": "x"}"#).unwrap();
        let choices = Choices::read(&model).unwrap();
        assert_eq!((choices.turbo, choices.prediction_type), (Some(true), None));
        assert_eq!(choices.config, Some(folder.path().join("x")));
        std::fs::write(Choices::path_for(&model), r#"{"terbo": true}"#).unwrap();
        let error = Choices::read(&model).unwrap_err();
        assert!(error.sentence.contains("terbo"), "{error}");
    }
}
