//! What the user is told when a hub, a network or a disk does not do what was asked.

use std::io::{self, ErrorKind};
use std::path::Path;
use std::time::Duration;

use ureq::http::HeaderMap;

use super::names::RepoId;
use super::retry::Fault;
use crate::domain::{UserError, bytes_text};

/// What a request is about, for the sentence.
#[derive(Clone, Copy)]
pub(super) struct Subject<'a> {
    /// The hub's address.
    pub endpoint: &'a str,
    /// The repository.
    pub repo: &'a RepoId,
    /// Its revision.
    pub revision: &'a str,
    /// The file, where it is about one.
    pub file: Option<&'a str>,
    /// Whether a token is there to be sent.
    pub signed_in: bool,
}

impl Subject<'_> {
    fn name(&self) -> String {
        self.file.map_or_else(|| self.repo.to_string(), |file| format!("{file} of {}", self.repo))
    }
}

/// What an answer that is no success means.
///
/// The codes of `X-Error-Code` are the hub's own (`hf_raise_for_status` in `huggingface_hub`): it answers 401 for a
/// repository that is not there as well as for one that is closed.
pub(super) fn refusal(status: u16, headers: &HeaderMap, subject: Subject<'_>) -> Fault {
    let Subject { endpoint, repo, revision, signed_in, .. } = subject;
    let name = subject.name();
    let code = header(headers, "x-error-code").unwrap_or_default();
    match (status, code) {
        (401 | 403, "GatedRepo") | (403, "") => Fault::Final(gated(endpoint, repo, signed_in)),
        (401, _) if signed_in && code != "RepoNotFound" => Fault::Final(
            UserError::input(format!("The hub did not accept the access token for {name}"))
                .hint(format!("make a new token at {endpoint}/settings/tokens and enter it under Models or set HF_TOKEN")),
        ),
        (401, _) if !signed_in => Fault::Final(
            UserError::input(format!("The hub wants a sign-in for {name}, or there is no such repository"))
                .hint(format!("check the name; for a private repository make a token at {endpoint}/settings/tokens and enter it under Models or set HF_TOKEN")),
        ),
        (403, _) => Fault::Final(
            UserError::input(format!("The hub does not allow to download {name}"))
                .hint(format!("look at {endpoint}/{repo}; the token may need the right to read this repository")),
        ),
        (404, "RevisionNotFound") => Fault::Final(
            UserError::input(format!("{repo} has no revision {revision}"))
                .hint(format!("its branches and tags are listed at {endpoint}/{repo}/tree/main")),
        ),
        (404 | 410, "EntryNotFound") => Fault::Final(missing_file(endpoint, repo, revision, subject.file)),
        (404 | 410, "") if subject.file.is_some() => {
            Fault::Final(missing_file(endpoint, repo, revision, subject.file))
        }
        (401 | 404 | 410, _) => Fault::Final(
            UserError::input(format!("The hub has no repository {repo}"))
                .hint("check the name; a private one is shown only to its owner's token"),
        ),
        (429, _) => {
            let wait = asked_pause(headers);
            let when = wait.map_or_else(|| "in some minutes".to_owned(), |wait| format!("in {}", pause_text(wait)));
            let mut hint = format!("try again {when}");
            if !signed_in {
                hint.push_str("; with an access token the hub allows more");
            }
            Fault::Again { error: UserError::failed("The hub asks to slow down: too many requests").hint(hint), wait }
        }
        (408 | 425 | 500..=599, _) => Fault::Again {
            error: UserError::failed(format!("The hub cannot answer for {name} just now (HTTP {status})"))
                .hint("that is the server's trouble; try again later, what was downloaded is kept"),
            wait: asked_pause(headers),
        },
        _ => Fault::Final(
            UserError::failed(format!("The hub gave an answer for {name} that makes no sense (HTTP {status})"))
                .hint(format!("check that {endpoint} is a hub's address")),
        ),
    }
}

fn gated(endpoint: &str, repo: &RepoId, signed_in: bool) -> UserError {
    let hint = if signed_in {
        format!("accept the terms at {endpoint}/{repo}, then try again")
    } else {
        format!(
            "accept the terms at {endpoint}/{repo}, make a token at {endpoint}/settings/tokens, enter it under Models or set HF_TOKEN, then try again"
        )
    };
    UserError::input(format!("{repo} is given only to those who accepted its terms")).hint(hint)
}

fn missing_file(endpoint: &str, repo: &RepoId, revision: &str, file: Option<&str>) -> UserError {
    UserError::input(format!("{repo} has no file {} in revision {revision}", file.unwrap_or_default()))
        .hint(format!("its files are listed at {endpoint}/{repo}/tree/{revision}"))
}

/// A network that did not carry a request.
pub(super) fn network(error: &ureq::Error, host: &str) -> Fault {
    let again =
        |sentence: String, hint: &str| Fault::Again { error: UserError::failed(sentence).hint(hint), wait: None };
    match error {
        ureq::Error::HostNotFound => {
            again(format!("Could not find {host}"), "check that this computer is online; what was downloaded is kept")
        }
        ureq::Error::Timeout(_) => stalled(host),
        ureq::Error::Io(_) | ureq::Error::ConnectionFailed | ureq::Error::Protocol(_) => again(
            format!("The connection to {host} failed ({error})"),
            "check that this computer is online, then try again; what was downloaded is kept",
        ),
        _ => Fault::Final(
            UserError::failed(format!("Could not talk to {host}: {error}"))
                .hint("a proxy, a wrong clock or a wrong HF_ENDPOINT may be in the way"),
        ),
    }
}

/// A server that sent nothing for too long.
pub(super) fn stalled(host: &str) -> Fault {
    Fault::Again {
        error: UserError::failed(format!("{host} stopped sending")).hint("try again; what was downloaded is kept"),
        wait: None,
    }
}

/// A file that could not be written.
pub(super) fn disk(error: &io::Error, path: &Path, needed: u64) -> UserError {
    let name = path.file_name().unwrap_or(path.as_os_str()).to_string_lossy();
    let folder = path.parent().unwrap_or(path);
    match error.kind() {
        ErrorKind::StorageFull | ErrorKind::QuotaExceeded | ErrorKind::FileTooLarge => no_room(needed, None, folder),
        ErrorKind::ReadOnlyFilesystem | ErrorKind::PermissionDenied => {
            UserError::failed(format!("Could not write {name}: the folder may not be written to"))
                .hint("allow writing to it, or choose another with HF_HOME")
                .path(folder)
        }
        _ => UserError::failed(format!("Could not write {name}: {error}"))
            .hint("check that the folder is there and that you may write to it")
            .path(folder),
    }
}

/// A disk without room.
pub(super) fn no_room(needed: u64, free: Option<u64>, folder: &Path) -> UserError {
    let needed = bytes_text(needed);
    let sentence = match free {
        Some(free) => {
            format!("The download needs {needed} more, and only {} are free on that disk", bytes_text(free))
        }
        None => format!("The disk is full; the download needs {needed} more"),
    };
    UserError::failed(sentence)
        .hint("free some space, or choose a folder on another disk with HF_HOME; what was downloaded is kept")
        .path(folder)
}

/// The pause that a server asks for: `Retry-After` in seconds or as a date (RFC 9110, 10.2.3), or `t` of the hub's
/// `RateLimit` when nothing remains (`r=0`).
pub(super) fn asked_pause(headers: &HeaderMap) -> Option<Duration> {
    if let Some(text) = header(headers, "retry-after") {
        if let Ok(secs) = text.parse() {
            return Some(Duration::from_secs(secs));
        }
        if let (Some(then), Some(now)) = (http_date(text), header(headers, "date").and_then(http_date)) {
            return Some(Duration::from_secs(then.saturating_sub(now)));
        }
    }
    let limit: Vec<&str> = header(headers, "ratelimit")?.split(';').map(str::trim).collect();
    let secs = limit.iter().find_map(|part| part.strip_prefix("t=")?.parse().ok())?;
    limit.contains(&"r=0").then(|| Duration::from_secs(secs))
}

/// The seconds since 1970 of a date such as `Sun, 06 Nov 1994 08:49:37 GMT` (RFC 9110, 5.6.7, the one form in use).
fn http_date(text: &str) -> Option<u64> {
    const MONTHS: [&str; 12] = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
    let parts: Vec<&str> = text.split_ascii_whitespace().collect();
    let &[_, day, month, year, time, "GMT"] = parts.as_slice() else { return None };
    let day: u64 = day.parse().ok().filter(|day| (1..=31).contains(day))?;
    let month = MONTHS.iter().position(|name| *name == month)? as u64 + 1;
    let year: u64 = year.parse().ok().filter(|year| (1970..=9999).contains(year))?;
    let time: Vec<u64> = time.split(':').map(str::parse).collect::<Result<_, _>>().ok()?;
    let &[hours, minutes, seconds] = time.as_slice() else { return None };
    if hours > 23 || minutes > 59 || seconds > 60 {
        return None;
    }
    // Days since 1970-01-01, years counted from March so that the leap day comes last.
    let (year, month) = if month <= 2 { (year - 1, month + 9) } else { (year, month - 3) };
    let days = year * 365 + year / 4 - year / 100 + year / 400 + (month * 153 + 2) / 5 + day - 1;
    Some((days - 719_468) * 86_400 + hours * 3_600 + minutes * 60 + seconds)
}

/// A header's text.
pub(super) fn header<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name).and_then(|value| value.to_str().ok()).map(str::trim)
}

fn pause_text(pause: Duration) -> String {
    match pause.as_secs() {
        secs @ 0..=119 => format!("{secs} s"),
        secs => format!("{} minutes", secs.div_ceil(60)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
        pairs.iter().map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap())).collect()
    }

    #[test]
    fn a_pause_is_read_in_every_form_that_servers_use() {
        let pause = |pairs: &[(&'static str, &str)]| asked_pause(&headers(pairs)).map(|pause| pause.as_secs());
        assert_eq!(pause(&[]), None);
        assert_eq!(pause(&[("retry-after", "7")]), Some(7));
        let date = ("date", "Sun, 06 Nov 1994 08:49:37 GMT");
        assert_eq!(pause(&[("retry-after", "Sun, 06 Nov 1994 08:50:07 GMT"), date]), Some(30));
        assert_eq!(pause(&[("retry-after", "Sun, 06 Nov 1994 08:00:00 GMT"), date]), Some(0));
        assert_eq!(pause(&[("retry-after", "soon"), date]), None);
        assert_eq!(pause(&[("ratelimit", "\"api\";r=0;t=55")]), Some(55));
        assert_eq!(pause(&[("ratelimit", "\"api\";r=12;t=55")]), None);
    }

    #[test]
    fn dates_are_seconds_since_1970() {
        // The example of RFC 9110, 5.6.7; `date -u -d '1994-11-06 08:49:37' +%s` gives the number.
        assert_eq!(http_date("Sun, 06 Nov 1994 08:49:37 GMT"), Some(784_111_777));
        assert_eq!(http_date("Thu, 01 Jan 1970 00:00:00 GMT"), Some(0));
        assert_eq!(http_date("Thu, 29 Feb 2024 12:00:00 GMT"), Some(1_709_208_000));
        for wrong in ["", "Sun, 06 Foo 1994 08:49:37 GMT", "Sun, 06 Nov 1994 25:49:37 GMT", "Sun, 06 Nov 1994 1 GMT"] {
            assert_eq!(http_date(wrong), None, "{wrong}");
        }
    }
}
