//! Downloading a plan: file by file into the cache, from the bytes that are there.

use std::fs::File;
use std::io::{Read, Seek, Write};
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

use super::cache::{RepoCache, make_parent};
use super::client::{Hub, plain_etag, refusal, web_page};
use super::messages::{self, header};
use super::names::{check_revision, is_commit, is_safe_etag, is_safe_file, is_sha256};
use super::note::Note;
use super::pick::{Plan, PlannedFile, has_end};
use super::progress::{Meter, Progress, Stage};
use super::retry::{Fault, Tried, Tries, check};
use super::wire::{Answer, Ask};
use crate::domain::{Cancel, Result, UserError, hex};

/// Bytes that a try must bring for the failed ones before it to be forgotten.
const GOT_ON_BYTES: u64 = 1 << 20;
/// How often one file may be begun again from its first byte.
const MAX_RESTARTS: u32 = 2;
/// Bytes that stay free on the disk, for everything else that writes there.
const SPARE_BYTES: u64 = 64 << 20;

/// A plan that is in the cache now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Downloaded {
    /// The folder with the files under the repository's names.
    pub folder: PathBuf,
    /// The bytes that came over the network.
    pub fetched_bytes: u64,
}

impl Hub {
    /// Downloads what is missing of a plan.
    ///
    /// Cancelling is how a download is paused: what arrived stays, and the next call with the same plan, in this run of the
    /// program or another, goes on from there. `progress` is called at most about 20 times a second.
    ///
    /// # Errors
    /// When the disk has no room, the hub or the network fails for good, or a file is not what the hub says it is (it is
    /// thrown away and named); the cancellation.
    pub fn download(&self, plan: &Plan, cancel: &Cancel, progress: &mut dyn FnMut(&Progress)) -> Result<Downloaded> {
        check_plan(plan)?;
        let cache = RepoCache::new(&self.config.cache_dir, &plan.repo);
        self.check_room(&cache, plan)?;
        if cache.missing_bytes(plan) > 0 {
            cache.begin_note(plan);
        }
        let mut meter = Meter::new(plan.files.len(), plan.total_bytes(), progress);
        let mut fetched_bytes = 0;
        for file in &plan.files {
            meter.begin(&file.name);
            fetched_bytes += Transfer { hub: self, cache: &cache, plan, file, cancel, meter: &mut meter }.run()?;
            meter.end(file.size_bytes);
        }
        cache.write_ref(&plan.revision, &plan.commit)?;
        cache.write_note(&Note::of(plan, true, Vec::new()));
        Ok(Downloaded { folder: cache.snapshot(&plan.commit), fetched_bytes })
    }

    /// The bytes of a plan that are not here yet.
    #[must_use]
    pub fn missing_bytes(&self, plan: &Plan) -> u64 {
        RepoCache::new(&self.config.cache_dir, &plan.repo).missing_bytes(plan)
    }

    /// The free bytes of the disk that the cache lies on. `None` where it does not say.
    #[must_use]
    pub fn free_bytes(&self) -> Option<u64> {
        // The folder may not be there yet; the disk is that of the nearest one above it.
        self.config.cache_dir.ancestors().find_map(|above| (self.config.free_bytes)(above).ok())
    }

    fn check_room(&self, cache: &RepoCache, plan: &Plan) -> Result<()> {
        let missing = cache.missing_bytes(plan);
        if missing == 0 {
            return Ok(());
        }
        self.check_online()?;
        let folder = &self.config.cache_dir;
        match self.free_bytes() {
            Some(free) if free < missing.saturating_add(SPARE_BYTES) => {
                Err(messages::no_room(missing, Some(free), folder))
            }
            // A file system that does not say is written to until it refuses.
            _ => Ok(()),
        }
    }
}

/// A plan may come from another place than [`Hub::plan`]: its names become paths.
fn check_plan(plan: &Plan) -> Result<()> {
    check_revision(&plan.revision)?;
    let is_safe = |file: &PlannedFile| {
        is_safe_file(&file.name)
            && is_safe_etag(&file.etag)
            && file.sha256.as_ref().is_none_or(|sha| is_sha256(sha) && !sha.contains(|c: char| c.is_ascii_uppercase()))
    };
    match plan.files.iter().find(|file| !is_safe(file)) {
        Some(file) => Err(UserError::input(format!("{:?} is not a safe name for a file", file.name))),
        None if plan.files.is_empty() || !is_commit(&plan.commit) => {
            Err(UserError::input(format!("The plan for {} names nothing to download", plan.repo)))
        }
        None => Ok(()),
    }
}

/// One file on its way.
struct Transfer<'a, 'm> {
    hub: &'a Hub,
    cache: &'a RepoCache,
    plan: &'a Plan,
    file: &'a PlannedFile,
    cancel: &'a Cancel,
    meter: &'a mut Meter<'m>,
}

impl Transfer<'_, '_> {
    /// Brings the file into the cache and says how many bytes came over the network.
    fn run(mut self) -> Result<u64> {
        check(self.cancel)?;
        let (file, commit) = (self.file, &self.plan.commit);
        if self.cache.has(commit, file) {
            return Ok(0);
        }
        let meter = &mut *self.meter;
        let _lock = self.cache.lock(file, self.cancel, &mut || meter.stand(Stage::Waiting, 0))?;
        let mut fetched = 0;
        if !self.cache.has_blob(file) {
            self.hub.check_online()?;
            let mut partial = self.open()?;
            fetched = self.fill_rightly(&mut partial)?;
            partial.file.sync_all().map_err(|error| messages::disk(&error, &partial.path, 0))?;
            drop(partial);
            self.cache.publish(file)?;
        }
        self.cache.link(commit, file)?;
        Ok(fetched)
    }

    /// What an earlier download left. Without a sha256 nothing could tell whether it is good, so it is not used.
    fn open(&mut self) -> Result<Partial> {
        let mut partial = Partial::open(self.cache.incomplete(self.file))?;
        let length = partial.file.metadata().map_or(0, |metadata| metadata.len());
        if self.file.sha256.is_none() || length > self.file.size_bytes {
            partial.clear()?;
        } else {
            partial.read_back(self.cancel, self.meter)?;
        }
        Ok(partial)
    }

    /// Fills the file until it is what the hub says.
    fn fill_rightly(&mut self, partial: &mut Partial) -> Result<u64> {
        let mut fetched = self.fill(partial)?;
        let Some(wanted) = &self.file.sha256 else { return Ok(fetched) };
        let mut found = partial.sha256();
        if found != *wanted && partial.is_joined {
            // A piece of an earlier download may be to blame, such as one from before a power cut.
            tracing::info!("{} was wrong when it was joined from pieces; it is begun again", self.file.name);
            partial.clear()?;
            fetched += self.fill(partial)?;
            found = partial.sha256();
        }
        if found == *wanted {
            return Ok(fetched);
        }
        partial.discard();
        let name = &self.file.name;
        Err(UserError::failed(format!(
            "{name} of {} arrived wrong and was thrown away: its sha256 is {found}, the hub's is {wanted}",
            self.plan.repo
        ))
        .hint("try again; if it stays so, something between the hub and this computer changes files"))
    }

    /// Fills the file up to its length.
    fn fill(&mut self, partial: &mut Partial) -> Result<u64> {
        let mut tries = Tries::new(&self.hub.config.timing, self.cancel);
        let mut state = Attempts { best: partial.length, ..Attempts::default() };
        while partial.length < self.file.size_bytes {
            let Err(fault) = self.attempt(partial, &mut state) else { continue };
            if partial.length >= state.best + GOT_ON_BYTES {
                tries.got_on();
            }
            state.best = state.best.max(partial.length);
            let (meter, length) = (&mut *self.meter, partial.length);
            tries.next(fault, &mut |_| meter.stand(Stage::Waiting, length))?;
        }
        Ok(state.fetched)
    }

    /// One request for what is missing.
    fn attempt(&mut self, partial: &mut Partial, state: &mut Attempts) -> Tried<()> {
        let file = self.file;
        let subject = self.hub.subject(&self.plan.repo, &self.plan.revision, Some(&file.name));
        let url = self.hub.file_url(&self.plan.repo, &self.plan.commit, &file.name);
        let answer = self.hub.wire.send(Ask::Body { from: partial.length }, &url, self.cancel)?;
        self.check_unchanged(&answer)?;
        let tag = header(&answer.headers, "etag").map(|tag| plain_etag(tag).to_owned());
        let is_other = tag.is_some() && state.tag.is_some() && tag != state.tag;
        state.tag = tag.or(state.tag.take());
        match answer.status {
            200 if answer.is_web_page() && !has_end(&file.name, "html") => return Err(web_page(subject).into()),
            // The server knows no ranges and begins at the first byte.
            200 if partial.length > 0 => state.restart(partial, file)?,
            200 => {}
            206 if !is_other && continues(&answer, partial.length, file.size_bytes) => {
                partial.is_joined |= partial.length > 0;
            }
            // The piece is not the one that was asked for, or not of the same content: all from the first byte.
            206 | 416 => {
                state.restart(partial, file)?;
                return Ok(());
            }
            _ => return Err(refusal(&answer, subject)),
        }
        let missing = file.size_bytes - partial.length;
        let promised = header(&answer.headers, "content-length").and_then(|length| length.parse::<u64>().ok());
        if let Some(promised) = promised.filter(|promised| *promised != missing) {
            return Err(wrong_length(file, &self.plan.repo, partial.length + promised));
        }
        while let Some(chunk) = answer.chunk(self.cancel)? {
            let length = partial.length + chunk.len() as u64;
            if length > file.size_bytes {
                partial.clear()?;
                return Err(wrong_length(file, &self.plan.repo, length));
            }
            partial.append(&chunk, file.size_bytes)?;
            state.fetched += chunk.len() as u64;
            self.meter.arrive(chunk.len() as u64, length);
        }
        if partial.length < file.size_bytes {
            return Err(wrong_length(file, &self.plan.repo, partial.length));
        }
        Ok(())
    }

    /// The hub's own tag of a file's content is the one that the plan has.
    fn check_unchanged(&self, answer: &Answer) -> Result<()> {
        match header(&answer.hub_headers, "x-linked-etag").map(plain_etag) {
            Some(tag) if !tag.eq_ignore_ascii_case(&self.file.etag) && answer.status < 400 => {
                Err(UserError::failed(format!("{} of {} changed on the hub", self.file.name, self.plan.repo))
                    .hint("try again; the list of files is then read anew"))
            }
            _ => Ok(()),
        }
    }
}

/// What the tries of one file have seen.
#[derive(Default)]
struct Attempts {
    /// The tag of the content that the last answer had, from whichever host.
    tag: Option<String>,
    restarts: u32,
    /// The most bytes that the file had.
    best: u64,
    fetched: u64,
}

impl Attempts {
    /// Drops what is there, to begin at the first byte.
    fn restart(&mut self, partial: &mut Partial, file: &PlannedFile) -> Result<()> {
        self.restarts += 1;
        if self.restarts > MAX_RESTARTS {
            return Err(UserError::failed(format!("The server does not let {} be completed", file.name))
                .hint("try again later; it does not give the pieces that it is asked for"));
        }
        partial.clear()
    }
}

/// Whether an answer is the rest of the content from `from` on.
fn continues(answer: &Answer, from: u64, size: u64) -> bool {
    let range = || {
        let (range, total) = header(&answer.headers, "content-range")?.strip_prefix("bytes ")?.split_once('/')?;
        let (first, last) = range.trim().split_once('-')?;
        let total = total.trim();
        let is_total_right = total == "*" || total.parse() == Ok(size);
        Some(first.parse() == Ok(from) && last.parse::<u64>().is_ok_and(|last| last < size) && is_total_right)
    };
    range().unwrap_or(false)
}

fn wrong_length(file: &PlannedFile, repo: &super::RepoId, length: u64) -> Fault {
    let error = UserError::failed(format!(
        "The server sent {length} bytes of {} of {repo}; the hub says that it has {}",
        file.name, file.size_bytes
    ))
    .hint("try again; what was downloaded rightly is kept");
    Fault::Again { error, wait: None }
}

/// A file while it comes, with the sha256 of what is there.
struct Partial {
    path: PathBuf,
    file: File,
    length: u64,
    hash: Sha256,
    /// Whether it was put together from more than one answer.
    is_joined: bool,
}

impl Partial {
    fn open(path: PathBuf) -> Result<Self> {
        make_parent(&path)?;
        let file = File::options().read(true).write(true).create(true).truncate(false).open(&path);
        let file = file.map_err(|error| messages::disk(&error, &path, 0))?;
        Ok(Self { path, file, length: 0, hash: Sha256::new(), is_joined: false })
    }

    /// Reads what is there.
    fn read_back(&mut self, cancel: &Cancel, meter: &mut Meter<'_>) -> Result<()> {
        let mut buffer = vec![0; 1 << 20];
        loop {
            check(cancel)?;
            let length = self.file.read(&mut buffer).map_err(|error| unreadable(&error, &self.path))?;
            if length == 0 {
                return Ok(());
            }
            self.hash.update(&buffer[..length]);
            self.length += length as u64;
            self.is_joined = true;
            meter.stand(Stage::Checking, self.length);
        }
    }

    fn append(&mut self, bytes: &[u8], size: u64) -> Result<()> {
        self.file.write_all(bytes).map_err(|error| messages::disk(&error, &self.path, size - self.length))?;
        self.hash.update(bytes);
        self.length += bytes.len() as u64;
        Ok(())
    }

    fn clear(&mut self) -> Result<()> {
        let emptied = self.file.set_len(0).and_then(|()| self.file.rewind());
        emptied.map_err(|error| messages::disk(&error, &self.path, 0))?;
        (self.length, self.hash, self.is_joined) = (0, Sha256::new(), false);
        Ok(())
    }

    fn sha256(&self) -> String {
        hex(&self.hash.clone().finalize())
    }

    /// Throws the file away, as far as that can be done; empty it does no harm.
    fn discard(&mut self) {
        let _ = self.file.set_len(0);
        let _ = std::fs::remove_file(&self.path);
    }
}

fn unreadable(error: &std::io::Error, path: &Path) -> UserError {
    UserError::failed(format!("Could not read what was downloaded so far: {error}"))
        .hint("remove that file and try again")
        .path(path)
}
