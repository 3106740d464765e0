//! What is wrong with a data set before anything is learnt from it, and what is in it.

mod balance;
mod duplicates;
mod fingerprint;

use std::collections::{BTreeMap, HashMap, HashSet};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use rayon::prelude::*;
use serde::Serialize;

pub use self::balance::Balance;
use self::duplicates::Repeats;
use self::fingerprint::Fingerprint;
use super::caption::{Template, captions};
use super::picture;
use super::prepare::{Progress, guarded};
use super::problem::{Problem, ProblemKind, count_by_kind, lossy};
use super::rows::{Dataset, Row};
use crate::domain::{Cancel, Result, UserError};

/// How many rows are shown as samples.
const SAMPLES: usize = 10;

/// What a check looks for.
#[derive(Clone, Debug)]
pub struct Options {
    /// How captions are made; without it as the source says.
    pub template: Option<Template>,
    /// A picture whose shorter side is shorter than this is too small, in px.
    pub side_px: u32,
    /// The most tokens of a caption, start and end included: 77 for every CLIP.
    pub max_tokens: usize,
    /// Decides which rows are the samples.
    pub seed: u64,
}

impl Default for Options {
    fn default() -> Self {
        Self { template: None, side_px: 512, max_tokens: 77, seed: 0 }
    }
}

/// What was found.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Report {
    /// The reader's name.
    pub kind: String,
    /// The folder.
    #[serde(serialize_with = "lossy")]
    pub path: PathBuf,
    /// Rows of the source, those that could not be read included.
    pub rows_read: usize,
    /// Rows that can be learnt from: those with a picture that can be read.
    pub rows: usize,
    /// Pictures that can be read.
    pub pictures: usize,
    /// Pictures an epoch shows, with what is repeated.
    pub shown: usize,
    /// The shorter sides of the pictures, in px.
    pub sides: Option<Spread>,
    /// The captions' lengths in tokens, start and end included.
    pub tokens: Option<Spread>,
    /// How many problems there are of each kind.
    pub problem_counts: BTreeMap<ProblemKind, usize>,
    /// All of them.
    pub problems: Vec<Problem>,
    /// Rows by the values of columns that hold classes, then by the captions' most frequent words.
    pub balance: Vec<Balance>,
    /// Some rows, drawn by the seed, in the order of the data set.
    pub samples: Vec<Sample>,
}

/// The smallest, the middle and the largest of many numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Spread {
    /// The smallest.
    pub min: usize,
    /// The median, the upper one of two.
    pub median: usize,
    /// The largest.
    pub max: usize,
}

/// One row to look at.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Sample {
    /// Its line in the table.
    pub line: Option<u64>,
    /// Its picture.
    #[serde(serialize_with = "lossy")]
    pub picture: PathBuf,
    /// Its caption.
    pub text: String,
    /// How many tokens that has.
    pub tokens: usize,
}

/// Looks at every row and every picture of a data set. `tokens` counts a caption's tokens, start and end included.
///
/// # Errors
/// When a column that is asked for is not there, and when it is cancelled. What is wrong with the data is in the report.
pub fn check(
    dataset: &Dataset,
    options: &Options,
    tokens: &(dyn Fn(&str) -> usize + Sync),
    cancel: &Cancel,
    progress: &mut (dyn FnMut(Progress) + Send),
) -> Result<Report> {
    let captions = captions(dataset, options.template.as_ref())?;
    let mut problems = dataset.problems.clone();
    let pictures = Pictures::of(dataset);
    let looks = look(&pictures.rows, cancel, progress)?;
    for (row, look) in pictures.rows.iter().zip(&looks) {
        if let Err(reason) = look {
            let sentence = format!("the picture could not be read: {reason}");
            problems.push(about(row, ProblemKind::BrokenPicture, sentence));
        }
    }
    let rows: Vec<usize> = (0..dataset.rows.len())
        .filter(|index| !dataset.rows[*index].is_excluded)
        .filter(|index| pictures.place(&dataset.rows[*index]).is_some_and(|place| looks[place].is_ok()))
        .collect();
    check_sizes(&pictures.rows, &looks, options.side_px, &mut problems);
    let prints: Vec<Option<Fingerprint>> =
        looks.iter().map(|look| look.as_ref().ok().map(|look| look.print.clone())).collect();
    for (index, repeats) in duplicates::find(&prints).into_iter().enumerate() {
        let (kind, first, how) = match repeats {
            None => continue,
            Some(Repeats::Exactly(first)) => (ProblemKind::ExactDuplicate, first, "has the pixels of"),
            Some(Repeats::Nearly(first)) => (ProblemKind::NearDuplicate, first, "looks like"),
        };
        let (row, first) = (pictures.rows[index], &pictures.rows[first].name);
        problems.push(about(row, kind, format!("{} {how} {first}", row.name)));
    }
    let counts: Vec<usize> = rows.par_iter().map(|index| tokens(&captions[*index])).collect();
    // A reader that looks for captions in files of their own has told already.
    let told: HashSet<&Path> = dataset
        .problems
        .iter()
        .filter(|problem| problem.kind == ProblemKind::EmptyCaption)
        .filter_map(|problem| problem.path.as_deref())
        .collect();
    for (index, count) in rows.iter().zip(&counts) {
        let (row, caption) = (&dataset.rows[*index], &captions[*index]);
        if caption.trim().is_empty() {
            if !row.picture.as_deref().is_some_and(|picture| told.contains(picture)) {
                problems.push(about(row, ProblemKind::EmptyCaption, format!("{} has no caption", row.name)));
            }
        } else if *count > options.max_tokens {
            let sentence = format!("the caption has {count} tokens, {} are read", options.max_tokens);
            problems.push(about(row, ProblemKind::LongCaption, sentence));
        }
    }
    problems.sort_by_key(|problem| problem.kind);
    let mut balance = balance::columns(dataset, &rows);
    balance.push(balance::words(rows.iter().map(|index| (captions[*index].as_str(), dataset.rows[*index].repeats))));
    Ok(Report {
        kind: dataset.kind.clone(),
        path: dataset.root.clone(),
        rows_read: dataset.rows_read,
        rows: rows.len(),
        pictures: looks.iter().flatten().count(),
        shown: rows.iter().map(|index| dataset.rows[*index].repeats as usize).sum(),
        sides: spread(looks.iter().flatten().map(|look| look.short_px as usize).collect()),
        tokens: spread(counts.clone()),
        problem_counts: count_by_kind(&problems),
        problems,
        balance,
        samples: samples(dataset, &captions, &rows, &counts, options.seed),
    })
}

/// The pictures of a data set, each once, with the first row that shows it.
struct Pictures<'a> {
    rows: Vec<&'a Row>,
    places: HashMap<&'a Path, usize>,
}

impl<'a> Pictures<'a> {
    fn of(dataset: &'a Dataset) -> Self {
        let (mut rows, mut places) = (Vec::new(), HashMap::new());
        for row in dataset.rows.iter().filter(|row| !row.is_excluded) {
            if let Some(picture) = row.picture.as_deref() {
                places.entry(picture).or_insert_with(|| {
                    rows.push(row);
                    rows.len() - 1
                });
            }
        }
        Self { rows, places }
    }

    fn place(&self, row: &Row) -> Option<usize> {
        self.places.get(row.picture.as_deref()?).copied()
    }
}

/// What one picture is.
struct Look {
    short_px: u32,
    print: Fingerprint,
}

/// Reads all pictures, on all threads.
fn look(
    rows: &[&Row],
    cancel: &Cancel,
    progress: &mut (dyn FnMut(Progress) + Send),
) -> Result<Vec<std::result::Result<Look, String>>> {
    let mut done = Progress { done: 0, total: rows.len() };
    progress(done);
    let shared = Mutex::new((progress, &mut done));
    rows.par_iter()
        .map(|row| {
            if cancel.is_cancelled() {
                return Err(UserError::cancelled());
            }
            let picture = row.picture.as_deref().unwrap_or(Path::new(""));
            let look = guarded(|| {
                let image = picture::read(picture, None)?;
                Ok(Look { short_px: image.width().min(image.height()), print: Fingerprint::of(&image) })
            });
            let mut shared = shared.lock().unwrap_or_else(PoisonError::into_inner);
            let (progress, done) = &mut *shared;
            done.done += 1;
            progress(**done);
            Ok(look)
        })
        .collect()
}

fn check_sizes(rows: &[&Row], looks: &[std::result::Result<Look, String>], side_px: u32, problems: &mut Vec<Problem>) {
    for (row, look) in rows.iter().zip(looks) {
        if let Ok(Look { short_px, .. }) = look
            && *short_px < side_px
        {
            let sentence = format!("{} is {short_px} px at its shorter side, {side_px} px are wanted", row.name);
            problems.push(about(row, ProblemKind::TooSmall, sentence));
        }
    }
}

fn about(row: &Row, kind: ProblemKind, sentence: String) -> Problem {
    Problem { kind, line: row.line, path: row.picture.clone(), sentence }
}

fn spread(mut numbers: Vec<usize>) -> Option<Spread> {
    numbers.sort_unstable();
    Some(Spread { min: *numbers.first()?, median: numbers[numbers.len() / 2], max: *numbers.last()? })
}

/// Rows drawn without putting back: those with the smallest of numbers that the seed gives them.
fn samples(dataset: &Dataset, captions: &[String], rows: &[usize], tokens: &[usize], seed: u64) -> Vec<Sample> {
    let mut drawn: Vec<usize> = (0..rows.len()).collect();
    drawn.sort_by_key(|place| mixed(seed ^ mixed(*place as u64)));
    drawn.truncate(SAMPLES);
    drawn.sort_unstable();
    drawn
        .into_iter()
        .map(|place| {
            let row = &dataset.rows[rows[place]];
            Sample {
                line: row.line,
                picture: row.picture.clone().unwrap_or_default(),
                text: captions[rows[place]].clone(),
                tokens: tokens[place],
            }
        })
        .collect()
}

/// `SplitMix64`'s output function (Steele, Lea and Flood, 2014).
fn mixed(value: u64) -> u64 {
    let value = value.wrapping_add(0x9E37_79B9_7F4A_7C15);
    let value = (value ^ (value >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    let value = (value ^ (value >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    value ^ (value >> 31)
}
