//! [`RepoInfo`]: what a repository holds, as the hub's API tells it.

use serde::Deserialize;
use serde_json::Value;

use super::names::{RepoId, is_commit, is_safe_etag, is_safe_file, is_sha256};
use crate::domain::{Result, UserError};

/// Whether a repository's terms must be accepted before it can be downloaded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Gate {
    /// It is open to all.
    Open,
    /// Accepting the terms on its page opens it at once.
    Automatic,
    /// Somebody looks at every request.
    Manual,
}

/// One file of a repository.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RemoteFile {
    /// Its path in the repository, with `/`; safe to join to a folder.
    pub name: String,
    /// Its length in bytes, where the hub told it.
    pub size_bytes: Option<u64>,
    /// The name of its content in the cache: the sha256 of a large file, git's hash of a small one.
    pub etag: Option<String>,
    /// The sha256 of a large file, in lower-case hexadecimal.
    pub sha256: Option<String>,
}

/// A repository at one revision.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RepoInfo {
    /// Its name.
    pub repo: RepoId,
    /// The revision that was asked for.
    pub revision: String,
    /// The commit that the revision is now, 40 hexadecimal digits.
    pub commit: String,
    /// Its licence as its card names it, such as `creativeml-openrail-m`.
    pub licence: Option<String>,
    /// Whether its terms must be accepted first.
    pub gate: Gate,
    /// Whether only its owner's token can see it.
    pub is_private: bool,
    /// Its files, sorted by name.
    pub files: Vec<RemoteFile>,
    /// Names of files that are not safe to join to a folder; they are never downloaded.
    pub refused_names: Vec<String>,
}

/// The answer of `api/models/{repo}/revision/{revision}?blobs=true` (`ModelInfo` in `huggingface_hub`'s `hf_api.py`).
#[derive(Deserialize)]
struct Wire {
    sha: Option<String>,
    #[serde(default)]
    private: bool,
    #[serde(default)]
    gated: Value,
    #[serde(default, rename = "cardData")]
    card_data: Value,
    #[serde(default)]
    tags: Vec<Value>,
    #[serde(default)]
    siblings: Vec<Sibling>,
}

#[derive(Deserialize)]
struct Sibling {
    rfilename: String,
    size: Option<u64>,
    #[serde(rename = "blobId")]
    blob_id: Option<String>,
    lfs: Option<Lfs>,
}

#[derive(Deserialize)]
struct Lfs {
    sha256: Option<String>,
    // Older mirrors name it after git-lfs.
    oid: Option<String>,
    size: Option<u64>,
}

/// Reads the hub's answer.
///
/// # Errors
/// When it is not what a hub sends.
pub(super) fn parse(json: &[u8], repo: &RepoId, revision: &str) -> Result<RepoInfo> {
    let wrong = |what: &str| {
        UserError::failed(format!("The hub's answer about {repo} makes no sense: {what}"))
            .hint("check HF_ENDPOINT; a network that wants a sign-in first may answer in the hub's place")
    };
    let wire: Wire = serde_json::from_slice(json).map_err(|error| wrong(&error.to_string()))?;
    let commit = wire.sha.filter(|sha| is_commit(sha)).ok_or_else(|| wrong("it names no commit"))?.to_ascii_lowercase();
    let gate = match wire.gated {
        Value::Null | Value::Bool(false) => Gate::Open,
        Value::String(how) if how == "auto" => Gate::Automatic,
        _ => Gate::Manual,
    };
    let tagged = || wire.tags.iter().find_map(|tag| tag.as_str()?.strip_prefix("license:"));
    // A licence that is on no list is called `other`; its own name stands beside it.
    let card = |key: &str| wire.card_data.get(key).and_then(Value::as_str);
    let licence = card("license").filter(|name| *name != "other").or_else(|| card("license_name")).or_else(tagged);
    let licence = licence.or_else(|| card("license")).map(str::to_owned);

    let (files, refused): (Vec<_>, Vec<_>) =
        wire.siblings.into_iter().partition(|sibling| is_safe_file(&sibling.rfilename));
    let mut files: Vec<RemoteFile> = files.into_iter().map(remote_file).collect();
    files.sort_by(|one, other| one.name.cmp(&other.name));
    files.dedup_by(|one, other| one.name == other.name);
    Ok(RepoInfo {
        repo: repo.clone(),
        revision: revision.to_owned(),
        commit,
        licence,
        gate,
        is_private: wire.private,
        files,
        refused_names: refused.into_iter().map(|sibling| sibling.rfilename).collect(),
    })
}

fn remote_file(sibling: Sibling) -> RemoteFile {
    let (sha256, lfs_size) = match sibling.lfs {
        Some(lfs) => {
            (lfs.sha256.or(lfs.oid).filter(|sha| is_sha256(sha)).map(|sha| sha.to_ascii_lowercase()), lfs.size)
        }
        None => (None, None),
    };
    let etag = sha256.clone().or(sibling.blob_id.filter(|id| is_safe_etag(id)));
    RemoteFile { name: sibling.rfilename, size_bytes: lfs_size.or(sibling.size), etag, sha256 }
}

#[cfg(test)]
mod tests {
    use super::*;

    const COMMIT: &str = "b21b4d6f2c4ba4c1d3b4f0d1f4a3c2b1a0918273";

    fn info(json: &str) -> Result<RepoInfo> {
        parse(json.as_bytes(), &RepoId::parse("org/name").unwrap(), "main")
    }

    #[test]
    fn sizes_hashes_licence_and_gate_are_read() {
        let sha = "a".repeat(64);
        let info = info(&format!(
            r#"{{"sha": "{COMMIT}", "gated": "auto", "tags": ["license:mit"], "cardData": {{"license": "other", "license_name": "own"}},
                "siblings": [
                    {{"rfilename": "b.safetensors", "size": 5, "blobId": "{COMMIT}", "lfs": {{"sha256": "{sha}", "size": 7, "pointerSize": 134}}}},
                    {{"rfilename": "a.json", "size": 3, "blobId": "{COMMIT}"}},
                    {{"rfilename": "c.json"}}]}}"#
        ))
        .unwrap();
        assert_eq!((info.commit.as_str(), info.gate, info.licence.as_deref()), (COMMIT, Gate::Automatic, Some("own")));
        let [a, b, c] = info.files.as_slice() else { panic!("three files") };
        assert_eq!((a.name.as_str(), a.size_bytes, a.etag.as_deref()), ("a.json", Some(3), Some(COMMIT)));
        assert_eq!((b.size_bytes, b.sha256.as_deref()), (Some(7), Some(sha.as_str())));
        assert_eq!((c.size_bytes, c.etag.as_deref()), (None, None));
    }

    #[test]
    fn names_that_are_not_safe_are_set_aside() {
        let info = info(&format!(
            r#"{{"sha": "{COMMIT}", "siblings": [{{"rfilename": "../../.bashrc"}}, {{"rfilename": "ok.json"}},
                {{"rfilename": "/etc/passwd"}}, {{"rfilename": "a\u0000b"}}]}}"#
        ))
        .unwrap();
        assert_eq!(info.files.len(), 1);
        assert_eq!(info.refused_names, ["../../.bashrc", "/etc/passwd", "a\0b"]);
    }

    #[test]
    fn answers_of_no_hub_are_refused() {
        for wrong in ["", "<html>", "[]", "{}", r#"{"sha": "../x"}"#, r#"{"sha": 1}"#] {
            assert!(info(wrong).is_err(), "{wrong}");
        }
    }
}
