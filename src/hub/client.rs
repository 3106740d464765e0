//! [`Hub`]: asks a hub what a repository holds, and plans what to download of it.

use std::fmt::Write;

use hf_hub::Repo;

use super::config::HubConfig;
use super::messages::{self, Subject, header};
use super::names::{RepoId, check_revision, is_safe_etag, is_sha256};
use super::pick::{self, MODEL_INDEX, Plan, PlanOptions, PlannedFile};
use super::repo::{self, RemoteFile, RepoInfo};
use super::retry::{Fault, Tried, Tries};
use super::wire::{Answer, Ask, Wire};
use crate::domain::{Cancel, Result, UserError};

/// The longest answer about a repository: tens of thousands of files.
const MAX_INFO_BYTES: usize = 32 << 20;
/// The longest `model_index.json`.
const MAX_INDEX_BYTES: usize = 1 << 20;

/// A hub and a cache of what was downloaded from it.
pub struct Hub {
    pub(super) config: HubConfig,
    pub(super) wire: Wire,
}

impl Hub {
    /// A hub; nothing is asked yet.
    #[must_use]
    pub fn new(config: HubConfig) -> Self {
        Self { wire: Wire::new(&config), config }
    }

    /// What this hub was made with.
    #[must_use]
    pub fn config(&self) -> &HubConfig {
        &self.config
    }

    /// What a repository holds at a revision (`main`, a tag, a commit).
    ///
    /// # Errors
    /// When the hub cannot be asked, or does not know or does not give the repository, each with what to do; the
    /// cancellation.
    pub fn info(&self, repo: &RepoId, revision: &str, cancel: &Cancel) -> Result<RepoInfo> {
        check_revision(revision)?;
        let asked = Repo::model(repo.as_str().to_owned());
        let url = format!(
            "{}/api/models/{}/revision/{}?blobs=true",
            self.config.endpoint,
            asked.url(),
            encode(revision, false)
        );
        let json = self.small(&url, self.subject(repo, revision, None), MAX_INFO_BYTES, cancel)?;
        repo::parse(&json, repo, revision)
    }

    /// Picks the files that are needed of a repository.
    ///
    /// # Errors
    /// As [`info`](Self::info); when it holds no model, or several and none was named.
    pub fn plan(&self, repo: &RepoId, revision: &str, options: &PlanOptions, cancel: &Cancel) -> Result<Plan> {
        self.plan_of(self.info(repo, revision, cancel)?, options, cancel)
    }

    /// As [`plan`](Self::plan), of what [`info`](Self::info) told.
    ///
    /// # Errors
    /// As there.
    pub fn plan_of(&self, info: RepoInfo, options: &PlanOptions, cancel: &Cancel) -> Result<Plan> {
        let (repo, revision) = (&info.repo, info.revision.as_str());
        let is_pipeline = options.file.is_none() && info.files.iter().any(|file| file.name == MODEL_INDEX);
        let picked = if is_pipeline {
            let url = self.file_url(repo, &info.commit, MODEL_INDEX);
            let subject = self.subject(repo, revision, Some(MODEL_INDEX));
            let index = self.small(&url, subject, MAX_INDEX_BYTES, cancel)?;
            pick::pipeline(&info, &pick::components(&index, repo)?, options)?
        } else {
            pick::single(&info, options)?
        };
        let files = picked.into_iter().map(|file| self.planned(&info, file, cancel)).collect::<Result<_>>()?;
        let RepoInfo { repo, revision, commit, licence, gate, .. } = info;
        Ok(Plan { repo, revision, commit, licence, gate, options: options.clone(), files })
    }

    /// A file with its size and its hash; where the list had none, the file itself is asked.
    fn planned(&self, info: &RepoInfo, file: &RemoteFile, cancel: &Cancel) -> Result<PlannedFile> {
        let name = file.name.clone();
        if let (Some(size_bytes), Some(etag)) = (file.size_bytes, file.etag.clone()) {
            return Ok(PlannedFile { name, size_bytes, etag, sha256: file.sha256.clone() });
        }
        let url = self.file_url(&info.repo, &info.commit, &name);
        let subject = self.subject(&info.repo, &info.revision, Some(&name));
        let answer = self.again(cancel, || {
            let answer = self.wire.send(Ask::Head, &url, cancel)?;
            if (200..400).contains(&answer.status) { Ok(answer) } else { Err(refusal(&answer, subject)) }
        })?;
        let is_last = answer.status == 200;
        let size = header(&answer.hub_headers, "x-linked-size")
            .or_else(|| header(&answer.headers, "content-length").filter(|_| is_last));
        let tag =
            header(&answer.hub_headers, "x-linked-etag").or_else(|| header(&answer.headers, "etag")).map(plain_etag);
        let (Some(size_bytes), Some(etag)) =
            (size.and_then(|size| size.parse().ok()), tag.filter(|tag| is_safe_etag(tag)).map(str::to_owned))
        else {
            return Err(UserError::failed(format!("The hub does not say how long {name} of {} is", info.repo))
                .hint(format!("check that {} is a hub's address", self.config.endpoint)));
        };
        let sha256 = is_sha256(&etag).then(|| etag.to_ascii_lowercase());
        Ok(PlannedFile { name, size_bytes, etag, sha256 })
    }

    /// The address of a repository's page, for people.
    #[must_use]
    pub fn page(&self, repo: &RepoId) -> String {
        format!("{}/{repo}", self.config.endpoint)
    }

    /// The address of the page where access tokens are made.
    #[must_use]
    pub fn token_page(&self) -> String {
        format!("{}/settings/tokens", self.config.endpoint)
    }

    /// The address of a file's content.
    pub(super) fn file_url(&self, repo: &RepoId, commit: &str, file: &str) -> String {
        let repo = Repo::model(repo.as_str().to_owned());
        format!("{}/{}/resolve/{}/{}", self.config.endpoint, repo.url(), commit, encode(file, true))
    }

    pub(super) fn subject<'a>(&'a self, repo: &'a RepoId, revision: &'a str, file: Option<&'a str>) -> Subject<'a> {
        let signed_in = self.wire.signs_in();
        Subject { endpoint: &self.config.endpoint, repo, revision, file, signed_in }
    }

    /// A small body.
    fn small(&self, url: &str, subject: Subject<'_>, limit: usize, cancel: &Cancel) -> Result<Vec<u8>> {
        self.again(cancel, || {
            let answer = self.wire.send(Ask::Body { from: 0 }, url, cancel)?;
            match answer.status {
                200 if answer.is_web_page() => Err(web_page(subject).into()),
                200 => answer.small_body(limit, cancel),
                _ => Err(refusal(&answer, subject)),
            }
        })
    }

    /// Tries until it succeeds or another try is pointless.
    fn again<T>(&self, cancel: &Cancel, mut attempt: impl FnMut() -> Tried<T>) -> Result<T> {
        self.check_online()?;
        let mut tries = Tries::new(&self.config.timing, cancel);
        loop {
            match attempt() {
                Ok(done) => return Ok(done),
                Err(fault) => tries.next(fault, &mut |_| {})?,
            }
        }
    }

    pub(super) fn check_online(&self) -> Result<()> {
        if self.config.offline {
            return Err(UserError::input("HF_HUB_OFFLINE forbids to ask the hub")
                .hint("unset that variable to download models"));
        }
        Ok(())
    }
}

/// What an answer that is no success means.
pub(super) fn refusal(answer: &Answer, subject: Subject<'_>) -> Fault {
    if !answer.is_from_hub && matches!(answer.status, 400..=499) && answer.status != 429 {
        // The address that the hub gave for the content is good for a time only; it gives another.
        let error = UserError::failed(format!("The hub's store does not give a file of {}", subject.repo))
            .hint("try again; what was downloaded is kept");
        return Fault::Again { error, wait: None };
    }
    messages::refusal(answer.status, &answer.headers, subject)
}

/// A web page where something else was asked for.
pub(super) fn web_page(subject: Subject<'_>) -> UserError {
    let what = subject.file.map_or_else(|| subject.repo.to_string(), str::to_owned);
    UserError::failed(format!("A web page came instead of {what}"))
        .hint("a network that wants a sign-in first, or a proxy, answers in the hub's place; or HF_ENDPOINT is wrong")
}

/// An entity tag without its quotes and its mark of weakness.
pub(super) fn plain_etag(tag: &str) -> &str {
    tag.strip_prefix("W/").unwrap_or(tag).trim_matches('"')
}

/// A path as a part of an address (RFC 3986, 2.3), with its slashes or without.
fn encode(path: &str, keep_slashes: bool) -> String {
    let mut text = String::with_capacity(path.len());
    for byte in path.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => text.push(byte.into()),
            b'/' if keep_slashes => text.push('/'),
            _ => {
                // Writing to a text cannot fail.
                let _ = write!(text, "%{byte:02X}");
            }
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_encoded_for_addresses() {
        assert_eq!(encode("unet/é x#1.json", true), "unet/%C3%A9%20x%231.json");
        assert_eq!(encode("refs/pr/1", false), "refs%2Fpr%2F1");
        assert_eq!(plain_etag("W/\"abc\""), "abc");
    }
}
