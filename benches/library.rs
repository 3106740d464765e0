//! How fast a large library is: `cargo bench --bench library -- [pictures, 50000] [folder to keep it in]`.
//!
//! Prints times of opening, of the first page, of searches of each kind, of marks on all pictures, and the memory that
//! is taken: by the clock and, where the system tells (Linux), by the processor, which other programs disturb less.
//! Nothing is compared; the numbers are read by people.

#![expect(clippy::print_stdout, reason = "a measurement prints")]
#![expect(clippy::unwrap_used, reason = "a measurement that fails has nothing to go on with")]

#[path = "library/made.rs"]
mod made;
#[path = "library/times.rs"]
mod times;

use std::path::PathBuf;
use std::time::Duration;

use atelier::domain::{PictureId, Scope, SearchRequest, SortOrder};
use atelier::library::{GalleryCommand, GalleryEvent, Index, LibraryCommand, LibraryEvent, Paths, Ticket, spawn};
use times::{Times, milliseconds, print_quantiles, resident_kib};

/// Runs of each search.
const RUNS: usize = 41;
/// Pictures of a page: those in view of a large window, and as many above and below.
const PAGE: usize = 150;

/// Searches by kind.
const SEARCHES: &[(&str, &str)] = &[
    ("everything", ""),
    ("first letter", "d"),
    ("two letters", "dr"),
    ("a common word", "dress "),
    ("a word unfinished", "dres"),
    ("two words", "red dress "),
    ("a phrase", "\"golden hour\""),
    ("a rare word", "marigold "),
    ("without a word", "-dress"),
    ("either word", "cat OR dog sea "),
    ("sampler", "sampler:euler_a"),
    ("model", "model:turbo"),
    ("size and steps", "size:>8 steps:20..30"),
    ("a LoRA", "lora:denim"),
    ("a month", "date:2025-11"),
    ("a seed", "seed:42"),
    ("a file", "file:day-100"),
    ("starred", "star:yes"),
    ("much at once", "red dress -cat sampler:euler size:>8 steps:20..30 date:2025 safe:yes"),
];

fn main() {
    // `cargo bench` adds `--bench`.
    let mut arguments = std::env::args().skip(1).filter(|argument| !argument.starts_with("--"));
    let count: u64 = arguments.next().map_or(50_000, |count| count.parse().unwrap());
    let temporary = tempfile::tempdir().unwrap();
    let home = arguments.next().map_or_else(|| temporary.path().to_path_buf(), PathBuf::from);
    let paths = Paths::below(&home);
    if !paths.pictures_dir.exists() {
        timed("writing the pictures", || made::write_pictures(&paths, count));
        timed("reading them into a new index", || Index::open(&paths).unwrap().rescan().unwrap());
    }
    let empty = resident_kib();
    let mut index = timed("opening the index", || Index::open(&paths).unwrap());
    let newest = SearchRequest::default();
    let ids = timed("all keys, newest first", || find(&index, &newest));
    timed("the first page", || index.rows(&ids[..PAGE.min(ids.len())]).unwrap());
    timed("collections and counts", || (index.collections().unwrap(), index.counts().unwrap()));
    println!("{:<34} {:>8} KiB above {} KiB", "memory with the list open", resident_kib() - empty, empty);

    timed("a star for every hundredth", || {
        let some: Vec<PictureId> = ids.iter().copied().step_by(100).collect();
        index.star(&some, true).unwrap();
    });
    println!("\n{:<34} {:>8} {:>10} {:>10} {:>10} {:>10}", "search", "found", "p50", "p95", "p50 cpu", "p95 cpu");
    for (kind, text) in SEARCHES {
        measure(&index, kind, &SearchRequest { text: (*text).to_owned(), ..SearchRequest::default() });
    }
    for sort in SortOrder::ALL {
        measure(&index, sort.label(), &SearchRequest { sort, ..SearchRequest::default() });
    }
    measure(&index, "grouped by recipe", &SearchRequest { is_grouped: true, ..SearchRequest::default() });
    measure(&index, "of one recipe", &SearchRequest { scope: Scope::SameRecipe(ids[9]), ..SearchRequest::default() });
    pages(&index, &ids);

    println!();
    timed("a rating for all", || index.rate(&ids, 3).unwrap());
    let all = timed("a collection of all", || {
        let all = index.create_collection("All", None).unwrap();
        index.collect(all, &ids).unwrap();
        all
    });
    timed("moving one to its front", || index.arrange(all, &ids[ids.len() - 1..], Some(ids[0])).unwrap());
    timed("writing all marks down", || index.keep().unwrap());
    timed("deleting that collection", || index.delete_collection(all).unwrap());
    timed("a rescan with nothing new", || index.rescan().unwrap());
    index.rate(&ids, 0).unwrap();
    drop(index);
    through_the_thread(&paths);
    println!("{:<34} {:>8} KiB above {} KiB", "memory at the end", resident_kib() - empty, empty);
}

fn find(index: &Index, request: &SearchRequest) -> Vec<PictureId> {
    index.find(request, &|| false).unwrap().unwrap().result.ids
}

fn measure(index: &Index, kind: &str, request: &SearchRequest) {
    let mut found = 0;
    let times = (0..RUNS).map(|_| {
        let start = Times::now();
        found = find(index, request).len();
        start.elapsed()
    });
    let times: Vec<Times> = times.collect();
    print_quantiles(kind, found, &times);
}

/// Pages from all over the list.
fn pages(index: &Index, ids: &[PictureId]) {
    let mut dice = made::Dice(1);
    let times = (0..RUNS).map(|_| {
        let first = dice.below(ids.len().saturating_sub(PAGE).max(1) as u64) as usize;
        let start = Times::now();
        index.rows(&ids[first..(first + PAGE).min(ids.len())]).unwrap();
        start.elapsed()
    });
    print_quantiles("a page anywhere", PAGE, &times.collect::<Vec<_>>());
}

/// From the command to the event, as the window sees it, with the opening of the index.
fn through_the_thread(paths: &Paths) {
    let handle = spawn(paths.clone(), Box::new(|| {})).unwrap();
    for round in ["first", "second"] {
        timed(&format!("{round} answer of the thread"), || {
            let command = GalleryCommand::Search { ticket: Ticket(1), request: SearchRequest::default() };
            handle.send(LibraryCommand::Gallery(command)).unwrap();
            loop {
                match handle.try_event() {
                    Some(LibraryEvent::Gallery(GalleryEvent::Found { .. })) => break,
                    _ => std::thread::sleep(Duration::from_micros(200)),
                }
            }
        });
    }
    handle.shut_down();
}

fn timed<T>(what: &str, work: impl FnOnce() -> T) -> T {
    let start = Times::now();
    let made = work();
    let Times { clock, processor } = start.elapsed();
    println!("{what:<34} {:>11} {:>11}", milliseconds(clock), milliseconds(processor));
    made
}
