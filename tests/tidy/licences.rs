//! Which licences may come in with the crates. deny.toml holds the same list for `cargo deny`; this test needs no tool.

use std::collections::BTreeSet;
use std::iter::Peekable;
use std::str::Chars;

use super::{array, metadata};

/// Licences that ask for no more than a notice, or (MPL-2.0) for the sources of the licensed files alone.
const ALLOWED: &[&str] = &[
    "0BSD",
    "Apache-2.0",
    "BSD-2-Clause",
    "BSD-3-Clause",
    "BSL-1.0",
    "CC0-1.0",
    "CDLA-Permissive-2.0",
    "ISC",
    "MIT",
    "MIT-0",
    "MPL-2.0",
    "NCSA",
    "OFL-1.1",
    "Ubuntu-font-1.0",
    "Unicode-3.0",
    "Unlicense",
    "Zlib",
];

/// Exceptions that take nothing away from the licence they follow.
const ALLOWED_EXCEPTIONS: &[&str] = &["LLVM-exception"];

#[test]
fn every_crate_comes_from_the_registry_under_a_licence_we_may_ship() {
    // The whole tree, on every system. Without the network, the part that this machine builds.
    let tree = metadata(&[]).or_else(|_| metadata(&["--offline", "--filter-platform", &host()]));
    let tree = tree.unwrap_or_else(|error| panic!("cargo metadata: {error}"));
    let resolved: BTreeSet<&str> =
        array(&tree["resolve"]["nodes"]).iter().filter_map(|node| node["id"].as_str()).collect();
    assert!(resolved.len() > 100, "only {} crates were found", resolved.len());
    let mut complaints = Vec::new();
    for package in array(&tree["packages"]) {
        if !package["id"].as_str().is_some_and(|id| resolved.contains(id)) {
            continue;
        }
        let name = package["name"].as_str().unwrap_or_default();
        let source = package["source"].as_str();
        if name != "atelier" && !source.is_some_and(|source| source.starts_with("registry+")) {
            complaints.push(format!("{name} comes from {}", source.unwrap_or("a folder")));
        }
        match package["license"].as_str() {
            Some(expression) => match allows(expression) {
                Ok(true) => {}
                Ok(false) => complaints.push(format!("{name}: {expression}")),
                Err(error) => complaints.push(format!("{name}: {expression}: {error}")),
            },
            None => complaints.push(format!("{name} names no licence")),
        }
    }
    assert!(complaints.is_empty(), "licences and sources:\n{}", complaints.join("\n"));
}

/// The system that this test was built for, as cargo names it.
fn host() -> String {
    let version =
        std::process::Command::new(std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into())).arg("-vV").output();
    let text = String::from_utf8(version.expect("rustc runs, since it built this").stdout).unwrap_or_default();
    text.lines().find_map(|line| line.strip_prefix("host: ")).expect("rustc names its host").to_owned()
}

/// Whether a licence expression can be met with [`ALLOWED`] licences.
///
/// Source: the SPDX specification 2.3, annex D: `AND` binds more strongly than `OR`, `WITH` more strongly than both.
/// Old manifests write `/` for `OR`.
///
/// # Errors
/// When the expression cannot be read.
pub fn allows(expression: &str) -> Result<bool, String> {
    let spaced = expression.replace('(', " ( ").replace(')', " ) ").replace('/', " OR ");
    let mut words = spaced.split_whitespace().peekable();
    let allowed = alternatives(&mut words)?;
    words.next().map_or(Ok(allowed), |word| Err(format!("`{word}` is not expected")))
}

fn alternatives<'a>(words: &mut Peekable<impl Iterator<Item = &'a str>>) -> Result<bool, String> {
    let mut allowed = conditions(words)?;
    while words.next_if_eq(&"OR").is_some() {
        allowed |= conditions(words)?;
    }
    Ok(allowed)
}

fn conditions<'a>(words: &mut Peekable<impl Iterator<Item = &'a str>>) -> Result<bool, String> {
    let mut allowed = condition(words)?;
    while words.next_if_eq(&"AND").is_some() {
        allowed &= condition(words)?;
    }
    Ok(allowed)
}

fn condition<'a>(words: &mut Peekable<impl Iterator<Item = &'a str>>) -> Result<bool, String> {
    match words.next() {
        Some("(") => {
            let allowed = alternatives(words)?;
            words.next_if_eq(&")").map(|_| allowed).ok_or_else(|| "a bracket is not closed".to_owned())
        }
        Some(licence) if is_identifier(licence.chars()) => {
            let allowed = ALLOWED.contains(&licence.trim_end_matches('+'));
            if words.next_if_eq(&"WITH").is_none() {
                return Ok(allowed);
            }
            let exception = words.next().ok_or("WITH names no exception")?;
            Ok(allowed && ALLOWED_EXCEPTIONS.contains(&exception))
        }
        other => Err(format!("`{}` is no licence", other.unwrap_or_default())),
    }
}

fn is_identifier(mut name: Chars) -> bool {
    name.all(|c| c.is_ascii_alphanumeric() || "-.+:".contains(c))
}

#[test]
fn licence_expressions() {
    for good in [
        "MIT",
        "MIT OR Apache-2.0",
        "MIT/Apache-2.0",
        "GPL-3.0-only OR MIT",
        "(MIT OR Apache-2.0) AND Unicode-3.0",
        "Apache-2.0 WITH LLVM-exception OR Apache-2.0 OR MIT",
        "MIT OR GPL-3.0-only AND LGPL-3.0-only",
        "MIT OR Apache-2.0 OR LGPL-2.1-or-later",
    ] {
        assert_eq!(allows(good), Ok(true), "{good}");
    }
    for bad in [
        "GPL-3.0-only",
        "AGPL-3.0-or-later",
        "LGPL-3.0-only",
        "MIT AND GPL-3.0-only",
        "(MIT OR Apache-2.0) AND GPL-2.0-or-later",
        "GPL-2.0-only WITH Classpath-exception-2.0",
        "Apache-2.0 WITH Unknown-exception",
        "LicenseRef-Ours",
    ] {
        assert_eq!(allows(bad), Ok(false), "{bad}");
    }
    for broken in ["", "MIT OR", "(MIT", "MIT)", "MIT Apache-2.0", "OR MIT", "MIT WITH", "see LICENSE!"] {
        assert!(allows(broken).is_err(), "{broken}");
    }
}

#[test]
fn deny_toml_allows_the_same() {
    let settings = include_str!("../../deny.toml");
    let list = settings.split_once("allow = [").and_then(|(_, rest)| rest.split_once(']')).expect("a list of licences");
    let listed: BTreeSet<&str> = list.0.split('"').skip(1).step_by(2).collect();
    let ours = ALLOWED.iter().copied().chain(["Apache-2.0 WITH LLVM-exception"]).collect();
    assert_eq!(listed, ours);
}
