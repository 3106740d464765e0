//! [`HubConfig`]: which hub, which cache, which token, how patient.
//!
//! The environment variables and their defaults are those of Python's `huggingface_hub` (its reference, `environment_variables.md`), so
//! that both find the same files.

use std::ffi::OsString;
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use ureq::http::Uri;

use crate::domain::{Result, UserError};

/// The hub that is asked when `HF_ENDPOINT` names no other.
pub const DEFAULT_ENDPOINT: &str = "https://huggingface.co";

/// An access token. Its `Debug` form does not show it.
#[derive(Clone, PartialEq, Eq)]
pub struct Token(String);

impl Token {
    /// A token as a person pastes it; space around it is dropped. `None` when nothing is left.
    ///
    /// # Errors
    /// When it holds a character that no token has, such as a line break in its middle.
    pub fn parse(text: &str) -> Result<Option<Self>> {
        let text = text.trim();
        if text.is_empty() {
            return Ok(None);
        }
        if !text.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(UserError::input("The hub's access token holds characters that no token has")
                .hint("copy it once more from the hub's page of access tokens"));
        }
        Ok(Some(Self(text.to_owned())))
    }

    /// The value of the `Authorization` header.
    pub(super) fn bearer(&self) -> String {
        format!("Bearer {}", self.0)
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token(…)")
    }
}

/// How patient a [`Hub`](super::Hub) is.
#[derive(Clone, Debug)]
pub struct Timing {
    /// How long a connection may take to be made.
    pub connect: Duration,
    /// How long the server may send nothing before the connection counts as stalled.
    pub stall: Duration,
    /// Tries of one request, or of one file without getting on, before it fails.
    pub tries: u32,
    /// The pause after the first failed try; it doubles with every further one.
    pub first_pause: Duration,
    /// The longest pause, also when the server asks for a longer one: then the request fails at once.
    pub longest_pause: Duration,
}

impl Default for Timing {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(15),
            stall: Duration::from_secs(10),
            tries: 6,
            first_pause: Duration::from_millis(500),
            longest_pause: Duration::from_mins(2),
        }
    }
}

/// Which hub, which cache, which token.
#[derive(Clone, Debug)]
pub struct HubConfig {
    /// The hub's address without a slash at its end (`HF_ENDPOINT`).
    pub endpoint: String,
    /// The folder with `models--org--name` below it (`HF_HUB_CACHE`, else `hub` in `HF_HOME`).
    pub cache_dir: PathBuf,
    /// What to sign in with.
    pub token: Option<Token>,
    /// How the program names itself to the hub.
    pub user_agent: String,
    /// `HF_HUB_OFFLINE` forbids to ask the hub.
    pub offline: bool,
    /// How patient to be.
    pub timing: Timing,
    /// The free bytes of the disk that a folder lies on. A field, so that tests can fill the disk.
    pub(super) free_bytes: fn(&Path) -> io::Result<u64>,
}

impl HubConfig {
    /// The configuration that this process's environment asks for.
    ///
    /// `settings_token` is the token that the user entered in the program; it comes before `HF_TOKEN`, and that before
    /// the file that the hub's own tools leave after signing in.
    ///
    /// # Errors
    /// When `HF_ENDPOINT` is no address, a token is no token, or the system names no home folder.
    pub fn from_env(settings_token: Option<&str>) -> Result<Self> {
        Self::from_variables(settings_token, |name| std::env::var_os(name), std::env::home_dir().as_deref())
    }

    /// As [`from_env`](Self::from_env), with the variables given.
    ///
    /// # Errors
    /// As there.
    pub fn from_variables(
        settings_token: Option<&str>,
        variable: impl Fn(&str) -> Option<OsString>,
        home: Option<&Path>,
    ) -> Result<Self> {
        let set = |name: &str| variable(name).filter(|value| !value.is_empty());
        let text = |name: &str| set(name).and_then(|value| value.into_string().ok());
        let is_on = |name: &str| {
            text(name).is_some_and(|value| matches!(value.to_ascii_uppercase().as_str(), "1" | "ON" | "YES" | "TRUE"))
        };

        let hf_home = match set("HF_HOME").map(PathBuf::from) {
            Some(folder) => under_home(&folder, home),
            None => set("XDG_CACHE_HOME")
                .map(|cache| under_home(Path::new(&cache), home))
                .or_else(|| home.map(|home| home.join(".cache")))
                .map(|cache| cache.join("huggingface"))
                .ok_or_else(|| {
                    UserError::failed("The system names no home folder for this user")
                        .hint("set HF_HOME to a folder in which downloaded models may be kept")
                })?,
        };
        let cache_dir = set("HF_HUB_CACHE")
            .or_else(|| set("HUGGINGFACE_HUB_CACHE"))
            .map_or_else(|| hf_home.join("hub"), |folder| under_home(Path::new(&folder), home));

        let token = match settings_token.map_or(Ok(None), Token::parse)? {
            Some(token) => Some(token),
            None => match text("HF_TOKEN").or_else(|| text("HUGGING_FACE_HUB_TOKEN")) {
                Some(token) => Token::parse(&token)?,
                None => token_file(set("HF_TOKEN_PATH").map(PathBuf::from), &hf_home)?,
            },
        };

        let mut config = Self::new(text("HF_ENDPOINT").as_deref().unwrap_or(DEFAULT_ENDPOINT), cache_dir)?;
        config.token = token;
        config.offline = is_on("HF_HUB_OFFLINE");
        Ok(config)
    }

    /// A hub and a cache, without a token.
    ///
    /// # Errors
    /// When the endpoint is no http or https address.
    pub fn new(endpoint: &str, cache_dir: impl Into<PathBuf>) -> Result<Self> {
        let endpoint = endpoint.trim().trim_end_matches('/');
        let is_address = endpoint.parse::<Uri>().is_ok_and(|uri| {
            matches!(uri.scheme_str(), Some("http" | "https"))
                && uri.authority().is_some_and(|authority| !authority.as_str().contains('@'))
                && uri.query().is_none()
        });
        if !is_address {
            return Err(UserError::input(format!("{endpoint:?} is no address of a hub"))
                .hint(format!("HF_ENDPOINT must look like {DEFAULT_ENDPOINT}")));
        }
        Ok(Self {
            endpoint: endpoint.to_owned(),
            cache_dir: cache_dir.into(),
            token: None,
            user_agent: concat!("atelier/", env!("CARGO_PKG_VERSION")).to_owned(),
            offline: false,
            timing: Timing::default(),
            free_bytes: |folder| fs4::available_space(folder),
        })
    }
}

/// The token that signing in with the hub's own tools left.
fn token_file(path: Option<PathBuf>, hf_home: &Path) -> Result<Option<Token>> {
    let text = match path {
        Some(path) => std::fs::read_to_string(path).ok(),
        None => hf_hub::Cache::new(hf_home.join("hub")).token(),
    };
    text.as_deref().map_or(Ok(None), Token::parse)
}

/// A folder as Python's tools read it: `~` is the home folder.
fn under_home(folder: &Path, home: Option<&Path>) -> PathBuf {
    match (folder.strip_prefix("~"), home) {
        (Ok(rest), Some(home)) => home.join(rest),
        _ => folder.to_path_buf(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(variables: &[(&str, &str)], settings_token: Option<&str>, home: &Path) -> Result<HubConfig> {
        let lookup = |name: &str| variables.iter().find(|(key, _)| *key == name).map(|(_, value)| value.into());
        HubConfig::from_variables(settings_token, lookup, Some(home))
    }

    #[test]
    fn folders_follow_the_variables_of_the_hubs_own_tools() {
        let home = Path::new("/h");
        let cache = |variables: &[(&str, &str)]| config(variables, None, home).unwrap().cache_dir;
        assert_eq!(cache(&[]), Path::new("/h/.cache/huggingface/hub"));
        assert_eq!(cache(&[("XDG_CACHE_HOME", "/x")]), Path::new("/x/huggingface/hub"));
        assert_eq!(cache(&[("XDG_CACHE_HOME", "/x"), ("HF_HOME", "~/m")]), Path::new("/h/m/hub"));
        assert_eq!(cache(&[("HF_HOME", "/m"), ("HF_HUB_CACHE", "/c")]), Path::new("/c"));
    }

    #[test]
    fn the_token_of_the_settings_comes_first_then_the_variable_then_the_file() {
        let home = tempfile::tempdir().unwrap();
        let bearer = |variables: &[(&str, &str)], settings: Option<&str>| {
            config(variables, settings, home.path()).unwrap().token.map(|token| token.bearer())
        };
        assert_eq!(bearer(&[], None), None);
        let folder = home.path().join(".cache/huggingface");
        std::fs::create_dir_all(&folder).unwrap();
        std::fs::write(folder.join("token"), "hf_file\n").unwrap();
        assert_eq!(bearer(&[], None).as_deref(), Some("Bearer hf_file"));
        assert_eq!(bearer(&[("HF_TOKEN", "hf_env")], None).as_deref(), Some("Bearer hf_env"));
        assert_eq!(bearer(&[("HF_TOKEN", "hf_env")], Some(" hf_own ")).as_deref(), Some("Bearer hf_own"));
        assert_eq!(bearer(&[("HF_TOKEN", "hf_env")], Some("  ")).as_deref(), Some("Bearer hf_env"));
        assert!(Token::parse("hf_a\r\nHost: x").is_err(), "a line break would end the header");
    }

    #[test]
    fn the_token_is_not_shown() {
        let token = Token::parse("hf_secret").unwrap();
        assert!(!format!("{token:?}").contains("secret"));
    }

    #[test]
    fn an_endpoint_must_be_an_address() {
        let home = Path::new("/h");
        let with = |endpoint: &str| config(&[("HF_ENDPOINT", endpoint)], None, home).map(|config| config.endpoint);
        assert_eq!(with("http://localhost:80/mirror/").unwrap(), "http://localhost:80/mirror");
        for wrong in ["localhost", "ftp://host", "file:///etc", "http://user@host", "https://host/?a=b", "http://"] {
            let error = with(wrong).unwrap_err();
            assert!(error.hint.is_some(), "{wrong}");
        }
    }
}
