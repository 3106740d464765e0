//! Shows every rule failing: a good house in memory, one thing broken in it, the complaint that must come of it.

use std::collections::BTreeSet;

use super::floors::MAX_LINES;
use super::rules::{Sources, complaints};
use super::scan::scan;

/// A small house without a complaint. The code says nothing of worth; the names and the rules are real.
const HOUSE: &[(&str, &str)] = &[
    (
        "src/lib.rs",
        "//! Root.\npub mod domain; pub mod kernels; pub mod library; pub mod nn; pub mod studio; pub mod ui;",
    ),
    ("src/main.rs", "//! Program.\nuse atelier::{app, ui::theme}; use clap::Parser; fn main() { cli::run(app::run) }"),
    ("src/domain/mod.rs", "//! Data.\nuse serde::Serialize; mod event; pub use event::Event;"),
    ("src/domain/event.rs", "//! Events.\nuse super::Event; use thiserror::Error;"),
    ("src/kernels/mod.rs", "//! Kernels.\nuse crate::domain::Event; fn f() { unsafe { rayon::join(a, b) } }"),
    (
        "src/library/mod.rs",
        "//! Files.\nuse rusqlite::Connection; mod trash; fn f() { trash::delete(); std::fs::read(p) }",
    ),
    ("src/library/trash.rs", "//! Trash.\nuse super::super::domain::Event; #[path = \"trash_tests.rs\"] mod tests;"),
    ("src/library/trash_tests.rs", "//! Tests.\nuse super::super::Shelf; use super::super::super::domain::Event;"),
    (
        "src/nn/mod.rs",
        "//! Layers.\nuse candle_core::{Tensor, Device}; use crate::{kernels::{self, norm}, domain::Event};",
    ),
    ("src/studio/mod.rs", "//! State.\nuse crate::engine::EngineHandle; use crate::library::{Paths, Shelf as Row};"),
    (
        "src/ui/mod.rs",
        "//! Panels.\npub mod theme; mod image { use super::super::studio::State; } fn f() { image::show() }",
    ),
    ("src/ui/theme.rs", "//! Colours.\nuse egui::Color32; #[allow(dead_code, reason = \"a sample\")] const A: u8 = 0;"),
];

fn house() -> Sources {
    HOUSE.iter().map(|(file, text)| ((*file).to_owned(), (*text).to_owned())).collect()
}

fn complaints_of(sources: &Sources) -> Vec<String> {
    let crates: BTreeSet<String> = [
        "candle_core",
        "clap",
        "crossbeam_channel",
        "eframe",
        "egui",
        "image",
        "indicatif",
        "proptest",
        "rayon",
        "rfd",
        "rusqlite",
        "serde",
        "tempfile",
        "thiserror",
        "trash",
    ]
    .map(ToOwned::to_owned)
    .into();
    complaints(sources, &crates)
}

/// Adds code to a file of the good house and expects complaints about that file with these words, and no other.
#[track_caller]
fn fails(file: &str, code: &str, words: &str) {
    let mut sources = house();
    let text = sources.get_mut(file).expect("a file of the house");
    text.push('\n');
    text.push_str(code);
    let found = complaints_of(&sources);
    assert!(
        !found.is_empty() && found.iter().all(|one| one.starts_with(file) && one.contains(words)),
        "{code}\nshould fail with: {words}\nbut gave: {found:#?}"
    );
}

#[track_caller]
fn passes(file: &str, code: &str) {
    let mut sources = house();
    sources.get_mut(file).expect("a file of the house").push_str(code);
    assert_eq!(complaints_of(&sources), Vec::<String>::new(), "{code}");
}

#[test]
fn the_good_house_has_no_complaint() {
    assert_eq!(complaints_of(&house()), Vec::<String>::new());
}

#[test]
fn an_import_from_above_or_beside() {
    let words = "may not import";
    fails("src/domain/event.rs", "use crate::ui::theme;", "domain (floor 0) may not import that of ui (floor 7)");
    fails("src/library/mod.rs", "use crate::kernels::norm;", words);
    fails("src/ui/theme.rs", "use crate::nn;", words);
    fails("src/ui/theme.rs", "pub(crate) use crate::nn::Linear;", words);
    fails("src/ui/theme.rs", "use crate::{domain::Event, nn::{self}};", words);
    fails("src/ui/theme.rs", "use crate::{domain::{Event}, studio::{a, b::{C}}, nn::layers::{Linear, Conv}};", words);
    fails("src/ui/theme.rs", "use crate::nn as domain;", words);
    fails("src/ui/theme.rs", "use crate::nn::*;", words);
    fails("src/ui/theme.rs", "use crate::r#nn::x;", words);
    fails("src/studio/mod.rs", "use crate::engine::spawn;", "studio (floor 6) may not import that of engine");
    fails("src/studio/mod.rs", "use crate::engine;", words);
    fails("src/domain/mod.rs", "use crate::gone::X;", "gone has no row");
}

#[test]
fn an_import_through_super() {
    let words = "may not import";
    fails("src/ui/mod.rs", "use super::nn::Linear;", words);
    fails("src/ui/theme.rs", "use super::super::nn::Linear;", words);
    fails("src/ui/theme.rs", "use super::super::{domain, nn::Linear};", words);
    fails("src/ui/theme.rs", "use super::{super::nn::Linear};", words);
    fails("src/ui/theme.rs", "mod a { mod b { use super::super::super::super::nn::Linear; } }", words);
    fails("src/ui/theme.rs", "mod a { fn f() { self::super::super::super::nn::f() } }", words);
    fails("src/library/trash_tests.rs", "use super::super::super::kernels::norm;", words);
    passes("src/ui/theme.rs", "mod nn { fn f() {} } mod a { use super::nn::f; }");
    passes("src/ui/theme.rs", "use super::nn::f;");
}

#[test]
fn a_path_in_the_code() {
    let words = "may not import";
    fails("src/ui/theme.rs", "fn f() { crate::nn::f() }", words);
    fails("src/ui/theme.rs", "fn f() -> crate::nn::T { loop {} }", words);
    fails("src/ui/theme.rs", "impl crate::nn::T for X {}", words);
    fails("src/ui/theme.rs", "fn f() { g(<crate::nn::T as Default>::default()) }", words);
    fails("src/ui/theme.rs", "fn f() { println!(\"{}\", crate::nn::f()) }", words);
    fails("src/ui/theme.rs", "macro_rules! m { () => { $crate::nn::f() } }", words);
    fails("src/ui/theme.rs", "#[derive(Serialize)] struct S { #[serde(with = \"crate::nn::hex\")] a: u8 }", words);
    fails("src/ui/theme.rs", "fn f() { return crate::nn::f() }", words);
    passes(
        "src/ui/theme.rs",
        "// crate::nn::f()\n/// [`crate::nn::f`]\nfn f() { g(\"crate::nn::f()\") /* crate::nn */ }",
    );
}

#[test]
fn the_whole_crate() {
    fails("src/ui/theme.rs", "use crate::*;", "names the whole crate");
    fails("src/ui/theme.rs", "use super::super as root;", "names the whole crate");
    fails("src/ui/theme.rs", "use crate::{self as root};", "names the whole crate");
    fails("src/lib.rs", "pub use nn::Linear;", "the root only names modules");
}

#[test]
fn an_outside_crate_on_another_row() {
    fails("src/ui/theme.rs", "use candle_core::Tensor;", "candle_core is not on the row of ui");
    fails("src/kernels/mod.rs", "fn f(t: &::candle_core::Tensor) {}", "candle_core is not on the row of kernels");
    fails("src/kernels/mod.rs", "#[cfg(test)] mod tests { use candle_core::Tensor; }", "candle_core");
    fails("src/studio/mod.rs", "fn f(ui: &mut egui::Ui) {}", "egui");
    fails("src/ui/theme.rs", "use eframe::App;", "eframe");
    fails("src/ui/theme.rs", "fn f() { rfd::FileDialog::new() }", "rfd");
    fails("src/nn/mod.rs", "use clap::Parser;", "clap");
    fails("src/nn/mod.rs", "use {indicatif::ProgressBar};", "indicatif");
    fails("src/nn/mod.rs", "extern crate rusqlite;", "rusqlite");
    fails("src/nn/mod.rs", "fn f() { assert!(::rusqlite::is_open()) }", "rusqlite");
    fails("src/library/mod.rs", "fn f() { ::image::open(p); ::rfd::open(p) }", "rfd");
    fails("src/nn/mod.rs", "use proptest::prelude::*;", "proptest");
    passes("src/nn/mod.rs", "#[cfg(test)] mod tests { use proptest::prelude::*; use tempfile::tempdir; }");
    passes("src/nn/mod.rs", "#[cfg(all(test, unix))] use proptest::prelude::*;");
    fails("src/nn/mod.rs", "#[cfg(test)] use proptest::a; use proptest::b;", "proptest");
    fails("src/nn/mod.rs", "#[cfg(not(test))] mod a { use proptest::prelude::*; }", "proptest");
}

#[test]
fn files_and_threads_where_they_do_not_belong() {
    fails("src/ui/theme.rs", "use std::fs;", "ui does without it");
    fails("src/ui/theme.rs", "use std::{collections::BTreeMap, fs::{self, File}};", "ui does without it");
    fails("src/ui/theme.rs", "fn f() { std::fs::read(p) }", "ui does without it");
    fails("src/ui/theme.rs", "#[cfg(test)] mod tests { use std::fs; }", "ui does without it");
    fails("src/ui/theme.rs", "use std as s;", "ui does without it");
    fails("src/studio/mod.rs", "use ::std::fs::File;", "studio does without it");
    fails("src/studio/mod.rs", "fn f() { std::thread::sleep(d) }", "studio does without it");
    fails("src/domain/mod.rs", "use std::process::Command;", "domain does without it");
    passes("src/kernels/mod.rs", "#[cfg(test)] mod tests { use std::fs; }");
    fails("src/library/mod.rs", "fn f() { std::thread::spawn(g) }", "threads have names");
    fails("src/library/mod.rs", "use std::sync::mpsc::{self, channel};", "channels are bounded");
    fails("src/library/mod.rs", "fn f() { crossbeam_channel::unbounded() }", "channels are bounded");
}

#[test]
fn a_colour_outside_the_theme() {
    fails("src/ui/mod.rs", "const C: egui::Color32 = egui::Color32::from_rgb(1, 2, 3);", "colours come from");
    fails("src/ui/mod.rs", "use egui::Color32; fn f() { g(Color32::WHITE) }", "colours come from");
    passes("src/ui/theme.rs", "const C: Color32 = Color32::from_gray(8);");
}

#[test]
fn what_is_left_over_or_unexplained() {
    fails("src/nn/mod.rs", "#[allow(dead_code)] fn f() {}", "without a `reason`");
    fails("src/nn/mod.rs", "#[expect(dead_code)] fn f() {}", "without a `reason`");
    fails("src/nn/mod.rs", "#[cfg_attr(test, allow(clippy::x))] fn f() {}", "without a `reason`");
    fails("src/nn/mod.rs", "fn f() { todo!() }", "`todo!` is left over");
    fails("src/nn/mod.rs", "fn f() { g(std::unimplemented!()) }", "`unimplemented!` is left over");
    fails("src/nn/mod.rs", "fn f() { vec![dbg!(x)] }", "`dbg!` is left over");
    passes("src/nn/mod.rs", "fn todo() -> bool { todo != unimplemented && \"todo!()\".is_empty() } // todo!()");
    fails("src/nn/mod.rs", "fn f() { unsafe { g() } }", "`unsafe` belongs to");
    fails("src/library/mod.rs", "unsafe impl Send for X {}", "`unsafe` belongs to");
    passes("src/nn/mod.rs", "/* unsafe */ #[deny(unsafe_code)] fn f() { \"unsafe\"; }");
}

#[test]
fn a_file_that_is_long_headless_lost_or_broken() {
    fails("src/nn/mod.rs", &"\n".repeat(MAX_LINES), "the most is 600");
    let mut sources = house();
    sources.insert("src/nn/mod.rs".to_owned(), "use std::fmt;".to_owned());
    sources.insert("src/nn/lost.rs".to_owned(), "//! Lost.".to_owned());
    sources.insert("src/ui/theme.rs".to_owned(), "//! Broken.\nfn f( {".to_owned());
    sources.insert("tests/long.rs".to_owned(), format!("//! Long.\n{}", "//\n".repeat(MAX_LINES)));
    let found = complaints_of(&sources).join("\n");
    for expected in [
        "src/nn/mod.rs: does not begin with a `//!` sentence",
        "src/nn/lost.rs: no `mod` line leads here",
        "src/ui/theme.rs: cannot be read",
        "tests/long.rs: 601 lines",
    ] {
        assert!(found.contains(expected), "{expected}\nis not among\n{found}");
    }
    assert_eq!(found.lines().count(), 4, "{found}");
}

#[test]
fn a_complaint_names_the_line() {
    let facts = scan("//! A.\n\nuse std::fmt;\nfn f() {\n    crate::nn::f()\n}\n").unwrap();
    let lines: Vec<usize> = facts.mentions.iter().map(|mention| mention.line).collect();
    assert_eq!(lines, [3, 5]);
}
