//! Drawn catalogue pictures of garments: what the built-in starter model learns from, and the judge that scores it.
//!
//! A [`GarmentSpec`] names a garment; [`render`] draws it, [`caption`] puts it into words, and both are functions of
//! the spec alone, so that a data set is a seed and a range of numbers.

mod bpe;
mod caption;
mod cut;
mod english;
mod judge;
mod paint;
mod pattern;
mod pen;
mod raster;
mod render;
mod rng;
mod shade;
mod spec;
mod zebra;

pub use bpe::{TokenizerFiles, build_tokenizer};
pub use caption::{caption, prompt};
pub use judge::{Judge, Seen, Verdict, judge, prompts};
pub use render::{render, to_chw_f32};
pub use spec::{Background, Colour, GarmentSpec, Kind, Pattern, Split, View};
pub use zebra::{ZebraJudge, zebra_lesson, zebra_picture, zebra_prompts};
