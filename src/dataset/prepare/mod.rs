//! From any data set to one that a training reads at once: pictures of one size and format, `metadata.jsonl`, a clean table.
//!
//! In the folder: `images/`, `metadata.jsonl` (imagefolder: `file_name`, `text`), `cleaned.csv` (the same with all columns),
//! `problems.jsonl` (what was repaired or left out, and why), and the journal by which a stopped run goes on.

mod by_hand;
mod journal;
mod names;

use std::collections::{BTreeMap, HashMap, HashSet};
use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use rayon::prelude::*;
use serde::Serialize;
use serde_json::json;

use self::by_hand::ByHand;
use self::journal::{Entry, Head, Journal, Stamp};
use super::caption::{Template, captions};
use super::columns::Condition;
use super::files::{self, Keep, explain};
use super::picture;
use super::problem::{Problem, ProblemKind, count_by_kind, lossy};
use super::rows::{Dataset, Row};
use super::source::{EDITED, EXCLUDED, write_record};
use crate::domain::{Cancel, ImageFormat, Result, UserError};

/// Raised when pictures are made in another way, so that those of older versions are made again.
const VERSION: u32 = 1;
/// The folder of pictures in a prepared data set.
const IMAGES: &str = "images";
/// The table that makes a data set of the folder.
const METADATA: &str = "metadata.jsonl";

/// What is made of a data set.
#[derive(Clone, Debug)]
pub struct Options {
    /// How captions are made; without it as the source says.
    pub template: Option<Template>,
    /// Which rows are wanted: those that all of these accept.
    pub conditions: Vec<Condition>,
    /// What a picture's shorter side becomes, in px. Smaller ones stay as they are.
    pub side_px: u32,
    /// The pictures' format.
    pub format: ImageFormat,
    /// Quality of JPEG and WebP, 1 to 100.
    pub quality: u8,
    /// The most rows.
    pub limit: Option<usize>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            template: None,
            conditions: Vec::new(),
            side_px: 512,
            format: ImageFormat::Jpeg,
            quality: 90,
            limit: None,
        }
    }
}

/// How far a preparation is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Progress {
    /// Pictures that are done, those of earlier runs included.
    pub done: usize,
    /// All pictures.
    pub total: usize,
}

/// What was made.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Report {
    /// The reader's name.
    pub kind: String,
    /// The folder of the prepared data set.
    #[serde(serialize_with = "lossy")]
    pub path: PathBuf,
    /// Rows of the source, those that could not be read included.
    pub rows_read: usize,
    /// Rows that the conditions left out.
    pub rows_unwanted: usize,
    /// Rows left out because they are excluded in the source.
    pub rows_excluded: usize,
    /// Rows left out because their picture is not there.
    pub rows_without_picture: usize,
    /// Rows left out because their picture cannot be read.
    pub rows_with_broken_picture: usize,
    /// Rows behind the limit.
    pub rows_behind_limit: usize,
    /// Rows of the prepared data set.
    pub rows: usize,
    /// Those of them without a caption.
    pub rows_without_caption: usize,
    /// Those of them whose caption was written, or which were excluded, by hand in this folder before: they stay so.
    pub rows_kept_by_hand: usize,
    /// Its pictures.
    pub pictures: usize,
    /// How many of them were made now.
    pub made: usize,
    /// How many of them an earlier run had made.
    pub kept: usize,
    /// How many problems there are of each kind.
    pub problem_counts: BTreeMap<ProblemKind, usize>,
    /// All that was repaired or left out; `problems.jsonl` has it too.
    #[serde(skip)]
    pub problems: Vec<Problem>,
}

/// A picture to be made.
struct Job<'a> {
    source: &'a Path,
    /// Its name in the folder of pictures.
    file: String,
    /// The first row that shows it.
    line: Option<u64>,
}

/// Makes a prepared data set in the folder `out`. What an earlier run with the same settings finished is kept.
///
/// # Errors
/// When a column that is asked for is not there, when the folder holds or is something else, or cannot be written, and when
/// it is cancelled: what is finished until then stays. Pictures that cannot be read are no error but in the report.
pub fn prepare(
    dataset: &Dataset,
    out: &Path,
    options: &Options,
    cancel: &Cancel,
    progress: &mut (dyn FnMut(Progress) + Send),
) -> Result<Report> {
    if !(1..=100).contains(&options.quality) || options.side_px == 0 {
        return Err(UserError::input("A quality is 1 to 100, and a size is 1 px or more"));
    }
    options.conditions.iter().try_for_each(|condition| condition.check(dataset))?;
    let captions = captions(dataset, options.template.as_ref())?;
    let mut report = Report {
        kind: dataset.kind.clone(),
        path: out.to_path_buf(),
        rows_read: dataset.rows_read,
        rows_unwanted: 0,
        rows_excluded: 0,
        rows_without_picture: 0,
        rows_with_broken_picture: 0,
        rows_behind_limit: 0,
        rows: 0,
        rows_without_caption: 0,
        rows_kept_by_hand: 0,
        pictures: 0,
        made: 0,
        kept: 0,
        problem_counts: BTreeMap::new(),
        problems: dataset.problems.clone(),
    };
    let rows = select(dataset, options, &mut report);
    if rows.is_empty() {
        return Err(nothing_left(&report, dataset));
    }
    let mut journal = open_folder(dataset, out, options)?;
    let jobs = jobs(dataset, &rows, picture::ending(options.format));
    let made = make_all(&jobs, &out.join(IMAGES), options, &mut journal, cancel, progress)?;

    report.problems.extend(made.problems);
    report.made = made.count;
    report.kept = jobs.len() - made.count - made.broken.len();
    let files: HashMap<&Path, &str> = jobs
        .iter()
        .filter(|job| !made.broken.contains(job.source))
        .map(|job| (job.source, job.file.as_str()))
        .collect();
    report.pictures = files.len();
    let mut by_hand = ByHand::read(&out.join(METADATA))?;
    let rows: Vec<Prepared<'_>> = rows
        .into_iter()
        .filter_map(|index| {
            let row = &dataset.rows[index];
            let file = format!("{IMAGES}/{}", files.get(row.picture.as_deref()?)?);
            let kept = by_hand.next(&file);
            let is_edited = kept.caption.is_some();
            let text = kept.caption.unwrap_or_else(|| captions[index].clone());
            Some(Prepared { row, file, text, is_edited, is_excluded: kept.is_excluded })
        })
        .collect();
    report.rows_with_broken_picture = report.rows - rows.len();
    report.rows = rows.len();
    report.rows_kept_by_hand = rows.iter().filter(|row| row.is_edited || row.is_excluded).count();
    report.rows_without_caption = rows.iter().filter(|row| row.text.is_empty()).count();
    if rows.is_empty() {
        return Err(nothing_left(&report, dataset));
    }
    report.problem_counts = count_by_kind(&report.problems);
    write_tables(dataset, &rows, &report.problems, out)?;
    let wanted: HashSet<&str> = files.into_values().collect();
    for stale in journal.files().filter(|file| !wanted.contains(file)) {
        // Made by an earlier run for rows or settings that are no more. One that is gone already is as good.
        let _ = fs::remove_file(out.join(IMAGES).join(stale));
    }
    Ok(report)
}

/// A row of the prepared data set.
struct Prepared<'a> {
    row: &'a Row,
    /// Its picture, from the data set's folder.
    file: String,
    text: String,
    /// Whether the text was written by hand.
    is_edited: bool,
    /// Whether it was excluded by hand.
    is_excluded: bool,
}

/// The places of the rows that are wanted and have a picture.
fn select(dataset: &Dataset, options: &Options, report: &mut Report) -> Vec<usize> {
    let mut rows = Vec::new();
    for (index, row) in dataset.rows.iter().enumerate() {
        if !options.conditions.iter().all(|condition| condition.accepts(dataset, row)) {
            report.rows_unwanted += 1;
        } else if row.is_excluded {
            report.rows_excluded += 1;
        } else if row.picture.is_none() {
            report.rows_without_picture += 1;
        } else if options.limit.is_some_and(|limit| rows.len() >= limit) {
            report.rows_behind_limit += 1;
        } else {
            rows.push(index);
        }
    }
    report.rows = rows.len();
    rows
}

fn nothing_left(report: &Report, dataset: &Dataset) -> UserError {
    UserError::input("No row of this data set is left")
        .hint(format!(
            "of {} rows, {} are not what the conditions ask for, {} are excluded, {} have no picture, {} have one that cannot \
             be read",
            report.rows_read, report.rows_unwanted, report.rows_excluded, report.rows_without_picture, report.rows_with_broken_picture
        ))
        .path(dataset.table.as_ref().unwrap_or(&dataset.root))
}

/// Whether a folder holds a data set that was prepared here, or one that is being prepared.
#[must_use]
pub fn is_prepared(folder: &Path) -> bool {
    folder.join(journal::NAME).exists()
}

/// Makes the folder, and sees to it that nothing in it is lost.
fn open_folder(dataset: &Dataset, out: &Path, options: &Options) -> Result<Journal> {
    let images = out.join(IMAGES);
    // Looked at before anything is made: the source may be where the folder would be.
    let nearest = out.ancestors().find(|path| path.exists() && !path.as_os_str().is_empty()).unwrap_or(Path::new("."));
    if let (Ok(nearest), Ok(root)) = (nearest.canonicalize(), dataset.root.canonicalize())
        && nearest.starts_with(&root)
    {
        return Err(UserError::input("The prepared data set would lie within its source")
            .hint("choose a folder beside the source")
            .path(out));
    }
    let is_ours = is_prepared(out);
    if !is_ours && (out.join(METADATA).exists() || images.exists()) {
        return Err(UserError::input("This folder holds another data set").hint("choose an empty folder").path(out));
    }
    fs::create_dir_all(&images).map_err(|error| explain(&error, &images, 0))?;
    let head = Head {
        version: VERSION,
        side_px: options.side_px,
        ending: picture::ending(options.format).to_owned(),
        quality: options.quality,
    };
    let journal = Journal::open(out, &head)?;
    // Behind the lock: nobody else is writing here.
    files::sweep(&images);
    files::sweep(out);
    Ok(journal)
}

/// One job for each picture, in the order of the rows.
fn jobs<'a>(dataset: &'a Dataset, rows: &[usize], ending: &str) -> Vec<Job<'a>> {
    let stems = names::stems(dataset);
    let mut seen = HashSet::new();
    rows.iter()
        .filter_map(|index| {
            let row = &dataset.rows[*index];
            let source = row.picture.as_deref()?;
            let stem = stems.get(source)?;
            seen.insert(source).then(|| Job { source, file: format!("{stem}.{ending}"), line: row.line })
        })
        .collect()
}

/// What came of the pictures.
#[derive(Default)]
struct Made {
    count: usize,
    broken: HashSet<PathBuf>,
    problems: Vec<Problem>,
}

/// Makes the pictures that are not there yet, on all threads.
fn make_all(
    jobs: &[Job<'_>],
    images: &Path,
    options: &Options,
    journal: &mut Journal,
    cancel: &Cancel,
    progress: &mut (dyn FnMut(Progress) + Send),
) -> Result<Made> {
    let todo: Vec<(usize, &Job<'_>, Option<Stamp>)> = jobs
        .par_iter()
        .enumerate()
        .filter_map(|(index, job)| {
            let stamp = Stamp::of(job.source);
            let is_made = stamp.as_ref().is_some_and(|stamp| journal.has(images, &job.file, stamp));
            (!is_made).then_some((index, job, stamp))
        })
        .collect();
    let mut done = Progress { done: jobs.len() - todo.len(), total: jobs.len() };
    progress(done);
    // What all threads add to, one at a time; no picture is worked on while it is held.
    let shared = Mutex::new((Made::default(), journal, progress, &mut done));
    let broken = Mutex::new(Vec::new());
    todo.into_par_iter().try_for_each(|(index, job, stamp)| {
        if cancel.is_cancelled() {
            return Err(UserError::cancelled());
        }
        let outcome = make(job.source, &images.join(&job.file), options)?;
        let mut shared = shared.lock().unwrap_or_else(PoisonError::into_inner);
        let (made, journal, progress, done) = &mut *shared;
        match (outcome, stamp) {
            (Ok(bytes), Some(source)) => {
                made.count += 1;
                journal.add(Entry { file: job.file.clone(), bytes, source })?;
            }
            // Made of a file that was gone when its stamp was taken: not known to the next run.
            (Ok(_), None) => made.count += 1,
            (Err(reason), _) => {
                let sentence = format!("the picture could not be read: {reason}");
                let path = Some(job.source.to_path_buf());
                let problem = Problem { kind: ProblemKind::BrokenPicture, line: job.line, path, sentence };
                broken.lock().unwrap_or_else(PoisonError::into_inner).push((index, problem));
                made.broken.insert(job.source.to_path_buf());
            }
        }
        done.done += 1;
        progress(**done);
        Ok(())
    })?;
    let (mut made, ..) = shared.into_inner().unwrap_or_else(PoisonError::into_inner);
    // In the order of the rows, whichever thread found them.
    let mut broken = broken.into_inner().unwrap_or_else(PoisonError::into_inner);
    broken.sort_by_key(|(index, _)| *index);
    made.problems = broken.into_iter().map(|(_, problem)| problem).collect();
    Ok(made)
}

/// Makes one picture: its size in bytes, or why it cannot be read.
fn make(source: &Path, target: &Path, options: &Options) -> Result<std::result::Result<u64, String>> {
    let encoded = guarded(|| {
        let image = picture::read(source, Some(options.side_px))?;
        picture::encode(&image, options.format, options.quality)
    });
    match encoded {
        Ok(bytes) => files::write(target, &bytes, Keep::Maybe).map(|()| Ok(bytes.len() as u64)),
        Err(reason) => Ok(Err(reason)),
    }
}

/// Work on a file of unknown origin: where a decoder gives up by a panic, that is one broken picture and not the end.
pub(super) fn guarded<T>(work: impl FnOnce() -> std::result::Result<T, String>) -> std::result::Result<T, String> {
    catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|_| Err("its decoder failed".to_owned()))
}

/// Writes the tables; the one that makes a data set of the folder comes last.
fn write_tables(dataset: &Dataset, rows: &[Prepared<'_>], problems: &[Problem], out: &Path) -> Result<()> {
    let has_repeats = rows.iter().any(|row| row.row.repeats != 1);
    let own = ["file_name", "text", "repeats"];
    let columns: Vec<usize> =
        (0..dataset.columns.len()).filter(|index| !own.contains(&dataset.columns[*index].as_str())).collect();
    let (mut table, mut metadata) = (String::new(), String::new());
    let named = columns.iter().map(|index| dataset.columns[*index].as_str());
    write_record(&mut table, own.into_iter().take(if has_repeats { 3 } else { 2 }).chain(named));
    for Prepared { row, file, text, is_edited, is_excluded } in rows {
        let repeats = row.repeats.to_string();
        let values = columns.iter().map(|index| row.values.get(*index).map_or("", String::as_str));
        let first = [file.as_str(), text.as_str(), repeats.as_str()];
        write_record(&mut table, first.into_iter().take(if has_repeats { 3 } else { 2 }).chain(values));
        let mut line = json!({ "file_name": file, "text": text });
        if has_repeats {
            line["repeats"] = json!(row.repeats);
        }
        for (column, is_so) in [(EDITED, is_edited), (EXCLUDED, is_excluded)] {
            if *is_so {
                line[column] = json!(true);
            }
        }
        metadata.push_str(&line.to_string());
        metadata.push('\n');
    }
    let mut told = String::new();
    for problem in problems {
        let mut line = json!(problem);
        line["what_to_do"] = json!(problem.kind.hint());
        told.push_str(&line.to_string());
        told.push('\n');
    }
    files::write(&out.join("problems.jsonl"), told.as_bytes(), Keep::Surely)?;
    files::write(&out.join("cleaned.csv"), table.as_bytes(), Keep::Surely)?;
    files::write(&out.join(METADATA), metadata.as_bytes(), Keep::Surely)
}
