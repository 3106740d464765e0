//! [`Secret`]: a text that is kept and sent, but never shown.

use std::fmt;

use serde::{Deserialize, Serialize};

/// A text such as an access token. Its `Debug` form does not show it; it has no `Display`.
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Secret(String);

impl Secret {
    /// Keeps a text.
    #[must_use]
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The text itself, for whoever sends or stores it.
    #[must_use]
    pub fn reveal(&self) -> &str {
        &self.0
    }

    /// Whether there is nothing in it but space.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.trim().is_empty()
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_stored_but_not_shown() {
        let secret = Secret::new("hf_abc");
        assert!(!format!("{secret:?} {:#?}", Some(&secret)).contains("hf_abc"));
        let json = serde_json::to_string(&secret).unwrap();
        assert_eq!(json, "\"hf_abc\"");
        assert_eq!(serde_json::from_str::<Secret>(&json).unwrap(), secret);
        assert!(Secret::new(" ").is_empty() && !secret.is_empty());
    }
}
