//! Names from outside: repositories, revisions, files. Nothing becomes part of a path before it passed here.

use std::fmt;

use crate::domain::{Result, UserError};

/// The name of a repository, `org/name` or, for a few old ones, `name`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RepoId(String);

impl RepoId {
    /// A name as a person types it. The rule is the hub's own (`validate_repo_id` in `huggingface_hub`): letters, digits,
    /// `-`, `_` and `.`, at most 96 of them, no `--` and no `..`, neither `-` nor `.` at an end.
    ///
    /// # Errors
    /// When it is no such name.
    pub fn parse(text: &str) -> Result<Self> {
        let text = text.trim().trim_matches('/');
        let parts: Vec<&str> = text.split('/').collect();
        if parts.len() <= 2 && text.len() <= 96 && parts.iter().all(|part| is_repo_part(part)) {
            return Ok(Self(text.to_owned()));
        }
        Err(UserError::input(format!("{text:?} is no name of a repository"))
            .hint("a repository is named like stabilityai/sd-turbo"))
    }

    /// The repository of a folder of the cache, `models--org--name`.
    pub(super) fn from_folder(folder: &str) -> Option<Self> {
        Self::parse(&folder.strip_prefix("models--")?.replacen("--", "/", 1)).ok()
    }

    /// `org/name`.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for RepoId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

fn is_repo_part(part: &str) -> bool {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
    !part.is_empty()
        && part.bytes().all(is_plain)
        && !part.contains("--")
        && !part.contains("..")
        && !part.starts_with(['-', '.'])
        && !part.ends_with(['-', '.'])
        && !is_device(part)
}

/// Checks a revision: a branch, a tag, a commit or `refs/pr/1`.
///
/// # Errors
/// When it could leave the folder of references, or is no name that git allows.
pub(super) fn check_revision(revision: &str) -> Result<()> {
    if is_safe_file(revision) && !revision.contains("@{") && !revision.contains([' ', '~', '^', '%', '#']) {
        return Ok(());
    }
    Err(UserError::input(format!("{revision:?} is no name of a revision"))
        .hint("a revision is a branch such as main, a tag, or a commit"))
}

/// Whether a text is a commit's whole hash.
pub(super) fn is_commit(text: &str) -> bool {
    text.len() == 40 && text.bytes().all(|byte| byte.is_ascii_hexdigit())
}

/// Whether a text is a sha256 in hexadecimal.
pub(super) fn is_sha256(text: &str) -> bool {
    text.len() == 64 && text.bytes().all(|byte| byte.is_ascii_hexdigit())
}

/// Whether an entity tag can name a file of the cache.
pub(super) fn is_safe_etag(etag: &str) -> bool {
    (1..=128).contains(&etag.len())
        && etag.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_')
        && !is_device(etag)
}

/// Whether a path that a server sent stays below the folder it is joined to, on every system.
///
/// No absolute path, no `..`, no backslash, no drive, no stream, no NUL or other control character, no mark that turns
/// the direction of writing, no device of Windows, nothing that Windows would rename (a point or a space at the end).
pub(super) fn is_safe_file(path: &str) -> bool {
    path.len() <= 500 && path.split('/').all(is_safe_part)
}

fn is_safe_part(part: &str) -> bool {
    let is_odd = |c: char| {
        c.is_control()
            || matches!(c, '\\' | ':' | '*' | '?' | '"' | '<' | '>' | '|')
            || matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
    };
    !part.is_empty()
        && part.len() <= 200
        && part != "."
        && part != ".."
        && !part.contains(is_odd)
        && !part.ends_with(['.', ' '])
        && !part.starts_with(' ')
        && !is_device(part)
}

/// Whether Windows takes a name for a device, which it does whatever follows the first point.
fn is_device(part: &str) -> bool {
    let stem = part.split('.').next().unwrap_or_default().trim_end().to_ascii_uppercase();
    match stem.as_str() {
        "CON" | "PRN" | "AUX" | "NUL" | "CONIN$" | "CONOUT$" => true,
        _ if stem.starts_with("COM") || stem.starts_with("LPT") => {
            let rest: String = stem.chars().skip(3).collect();
            matches!(rest.as_str(), "0" | "1" | "2" | "3" | "4" | "5" | "6" | "7" | "8" | "9" | "¹" | "²" | "³")
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use std::path::{Component, Path};

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn names_of_repositories_are_the_hubs() {
        for good in ["stabilityai/sd-turbo", "gpt2", "a/b.c_d-e", " stabilityai/sd-turbo/ "] {
            assert!(RepoId::parse(good).is_ok(), "{good}");
        }
        for bad in ["", "a/b/c", "../etc", "a/..", "a/.b", "a--b/c", "a/b c", "a/b?x", "a\\b", "a/NUL", "é/b", "-a/b"]
        {
            assert!(RepoId::parse(bad).is_err(), "{bad}");
        }
        assert!(RepoId::parse(&"a".repeat(97)).is_err());
        assert_eq!(RepoId::from_folder("models--a--b-c").unwrap().as_str(), "a/b-c");
        assert_eq!(RepoId::from_folder("datasets--a--b"), None);
        assert_eq!(RepoId::from_folder("models--..--b"), None);
    }

    #[test]
    fn files_that_would_leave_their_folder_or_break_a_system_are_refused() {
        for good in
            ["model_index.json", "unet/diffusion_pytorch_model.fp16.safetensors", ".gitattributes", "common.txt"]
        {
            assert!(is_safe_file(good), "{good}");
        }
        for bad in [
            "",
            "/etc/passwd",
            "../x",
            "a/../../x",
            "a/./b",
            "a//b",
            "a/",
            "C:\\x",
            "C:/x",
            "a\\b",
            "\\\\host\\share",
            "a\0b",
            "a\nb",
            "nul",
            "a/NUL.json",
            "com1.safetensors",
            "LPT9",
            "x.",
            "x ",
            " x",
            "a:stream",
            "a\u{202e}b",
        ] {
            assert!(!is_safe_file(bad), "{bad:?}");
        }
    }

    #[test]
    fn revisions_may_hold_slashes_but_no_way_out() {
        for good in ["main", "refs/pr/1", "v1.0", "fp16"] {
            assert!(check_revision(good).is_ok(), "{good}");
        }
        for bad in ["", "../main", "/main", "a b", "a%2F..", "a#b", "a?b"] {
            assert!(check_revision(bad).is_err(), "{bad}");
        }
    }

    proptest! {
        #[test]
        fn a_safe_file_stays_below_its_folder(path in r"[a.\\/: A-Z\x00\u{202e}~1]{0,24}") {
            if is_safe_file(&path) {
                prop_assert!(Path::new(&path).components().all(|part| matches!(part, Component::Normal(_))));
            }
        }
    }
}
