//! Writes down which commit the program is built from (`ATELIER_VERSION`), and gives the Windows program its icon.

#![allow(clippy::print_stdout, reason = "this is how a build script speaks to cargo")]

use std::path::{Path, PathBuf};
use std::process::Command;

/// What the program is made of: a change here makes a new program, a change elsewhere does not.
const SOURCES: &[&str] = &["build.rs", "Cargo.toml", "Cargo.lock", "src", "assets"];

fn main() {
    for source in SOURCES {
        println!("cargo::rerun-if-changed={source}");
    }
    let package = env!("CARGO_PKG_VERSION");
    let commit = commit().unwrap_or_else(|| "unknown".to_owned());
    println!("cargo::rustc-env=ATELIER_VERSION={package} ({commit})");
    embed_icon();
}

/// The commit as `1a2b3c4d5e`, with `-dirty` when [`SOURCES`] differ from it. None outside a repository of our own, as
/// in an unpacked archive.
fn commit() -> Option<String> {
    let own = Path::new(env!("CARGO_MANIFEST_DIR")).canonicalize().ok()?;
    // An archive unpacked inside another project's repository must not take that one's commit.
    if PathBuf::from(git(&["rev-parse", "--show-toplevel"])?).canonicalize().ok()? != own {
        return None;
    }
    // These files change with every commit, checkout and reset. One that is missing would make cargo run this each time.
    let branch = git(&["symbolic-ref", "--quiet", "HEAD"]);
    for name in ["HEAD", "logs/HEAD", "packed-refs"].into_iter().chain(branch.as_deref()) {
        if let Some(file) = git(&["rev-parse", "--git-path", name])
            && Path::new(&file).exists()
        {
            println!("cargo::rerun-if-changed={file}");
        }
    }
    let hash = git(&["rev-parse", "--short=10", "HEAD"])?;
    let status = [&["status", "--porcelain", "--untracked-files=normal", "--"], SOURCES].concat();
    let dirty = if git(&status)?.is_empty() { "" } else { "-dirty" };
    Some(format!("{hash}{dirty}"))
}

/// What git prints, or None where it fails or is not installed.
fn git(arguments: &[&str]) -> Option<String> {
    // Without optional locks, `git status` here never gets in the way of a git that the user runs meanwhile.
    let output = Command::new("git").arg("--no-optional-locks").args(arguments).output().ok()?;
    output.status.success().then(|| String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

/// Puts the icon into the program's file, where Windows looks for it. A missing resource compiler costs the icon only.
#[cfg(windows)]
fn embed_icon() {
    if std::env::var_os("CARGO_CFG_WINDOWS").is_some()
        && let Err(error) = winresource::WindowsResource::new().set_icon("assets/icon.ico").compile()
    {
        println!("cargo::warning=the program gets no icon: {error}");
    }
}

/// Elsewhere the window brings its icon along.
#[cfg(not(windows))]
fn embed_icon() {}
