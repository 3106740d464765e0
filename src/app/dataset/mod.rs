//! The data sets' thread: it reads them, looks their captions through, writes changed rows, and has the long work done on
//! a thread beside it, so that captions and thumbnails go on meanwhile.

#[cfg(test)]
mod tests;
mod work;

use std::collections::VecDeque;
use std::ops::Range;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use crossbeam_channel::{Receiver, Sender, TrySendError, bounded, never, select};

use crate::dataset::{Dataset, Metadata, look, picture, source};
use crate::domain::dataset::{DatasetCommand, DatasetEvent, DatasetSource, RowChange};
use crate::domain::{Picture, PictureId, Result, UserError};
use crate::library::{Paths, ThumbnailPool, pictures_of_collection};

use super::Wake;
use work::{Job, Work};

/// Commands that may wait: a letter typed into the template is one.
const COMMAND_CAPACITY: usize = 1024;
/// Events that may wait.
const EVENT_CAPACITY: usize = 256;
/// The longer side of a thumbnail, in px: twice what a card shows, for screens with small dots.
const THUMBNAIL_PX: u32 = 224;
/// How many captions are counted between two looks for commands.
const COUNTED_AT_ONCE: usize = 512;

/// Counts a caption's tokens, start and end included.
pub type CountTokens = Box<dyn Fn(&str) -> u32 + Send + Sync>;

/// The near end of the channels to the data sets' thread.
pub struct DatasetHandle {
    commands: Sender<DatasetCommand>,
    events: Receiver<DatasetEvent>,
    thread: Option<JoinHandle<()>>,
}

impl DatasetHandle {
    /// Joins the two channels. A test passes its own far ends and no thread.
    #[must_use]
    pub fn new(
        commands: Sender<DatasetCommand>,
        events: Receiver<DatasetEvent>,
        thread: Option<JoinHandle<()>>,
    ) -> Self {
        Self { commands, events, thread }
    }

    /// Asks for something, without ever waiting.
    ///
    /// # Errors
    /// When the thread is gone, or does not keep up.
    pub fn send(&self, command: DatasetCommand) -> Result<()> {
        self.commands.try_send(command).map_err(|error| match error {
            TrySendError::Full(_) => {
                UserError::failed("The disk with the data set does not keep up").hint("try again in a moment")
            }
            TrySendError::Disconnected(_) => UserError::failed("The thread that works on data sets has stopped")
                .hint("close the window and open it again; what was prepared is on the disk"),
        })
    }

    /// The next event that is there, without ever waiting.
    #[must_use]
    pub fn try_event(&self) -> Option<DatasetEvent> {
        self.events.try_recv().ok()
    }

    /// Ends the thread when what was asked is done and what runs has been stopped, and waits for it.
    pub fn shut_down(self) {
        let Self { commands, events, thread } = self;
        // The end of the channel says it all: what waits in it is still taken out.
        drop(commands);
        if let Some(thread) = thread {
            // Events are drained meanwhile, so that a thread that waits to send one can end.
            while !thread.is_finished() {
                let _ = events.recv_timeout(Duration::from_millis(20));
            }
            let _ = thread.join();
        }
    }
}

/// Starts the thread. It calls `wake` after every event.
///
/// # Errors
/// When the system gives no thread.
pub fn spawn(paths: Paths, count_tokens: CountTokens, wake: Wake) -> Result<DatasetHandle> {
    let (commands, far_commands) = bounded(COMMAND_CAPACITY);
    let (far_events, events) = bounded(EVENT_CAPACITY);
    let count_tokens: Arc<dyn Fn(&str) -> u32 + Send + Sync> = Arc::from(count_tokens);
    let outbox = Outbox { events: far_events, wake };
    let worker =
        Worker { paths, count_tokens, outbox, thumbnails: None, hand: None, uncounted: VecDeque::new(), work: None };
    let thread = std::thread::Builder::new()
        .name("atelier-dataset".to_owned())
        .spawn(move || worker.run(&far_commands))
        .map_err(|error| {
            UserError::failed(format!("Data sets could not be read: {error}")).hint("close other programs")
        })?;
    Ok(DatasetHandle::new(commands, events, Some(thread)))
}

/// Where events go.
#[derive(Clone)]
struct Outbox {
    events: Sender<DatasetEvent>,
    wake: Wake,
}

impl Outbox {
    /// Says something, and waits until there is room for it.
    fn tell(&self, event: DatasetEvent) {
        // Nobody listens any more: the window is closing.
        let _ = self.events.send(event);
        (self.wake)();
    }

    /// Says something that may be missed.
    fn mention(&self, event: DatasetEvent) {
        if self.events.try_send(event).is_ok() {
            (self.wake)();
        }
    }
}

/// The data set in hand.
struct Hand {
    ticket: u64,
    dataset: Arc<Dataset>,
    /// Its table, from the first change on.
    metadata: Option<Metadata>,
}

struct Worker {
    paths: Paths,
    count_tokens: Arc<dyn Fn(&str) -> u32 + Send + Sync>,
    outbox: Outbox,
    /// From the first thumbnail on, of the data set with this ticket.
    thumbnails: Option<(u64, ThumbnailPool)>,
    hand: Option<Hand>,
    /// Rows of the one in hand whose captions are still to be counted.
    uncounted: VecDeque<Range<usize>>,
    work: Option<Work>,
}

impl Worker {
    fn run(mut self, commands: &Receiver<DatasetCommand>) {
        let mut waiting = VecDeque::new();
        loop {
            if waiting.is_empty() {
                match self.next(commands) {
                    Next::Command(command) => waiting.push_back(command),
                    Next::Again => continue,
                    Next::End => break,
                }
            }
            waiting.extend(commands.try_iter());
            let Some(command) = waiting.pop_front() else { continue };
            // Of several questions in a row about what was just typed the last one counts.
            let is_look = |command: &DatasetCommand| matches!(command, DatasetCommand::Look { .. });
            if is_look(&command) && waiting.front().is_some_and(is_look) {
                continue;
            }
            // A fault in a reader must not cost the changes that are still to be written.
            if catch_unwind(AssertUnwindSafe(|| self.answer(command, &mut waiting))).is_err() {
                let error = UserError::failed("A fault in the program: a data set could not be worked on")
                    .hint("nothing was written; please report this");
                self.outbox.tell(DatasetEvent::Failed(error));
            }
        }
        if let Some(work) = self.work.take() {
            work.stop();
        }
    }

    /// Waits for a command; passes on thumbnails and counts captions meanwhile.
    fn next(&mut self, commands: &Receiver<DatasetCommand>) -> Next {
        if let Some(range) = self.uncounted.pop_front() {
            if let Ok(command) = commands.try_recv() {
                self.uncounted.push_front(range);
                return Next::Command(command);
            }
            self.count(range);
            return Next::Again;
        }
        let made = self.thumbnails.as_ref().map_or_else(never, |(_, pool)| pool.results().clone());
        let ended = self.work.as_ref().map_or_else(never, |work| work.ended().clone());
        select! {
            recv(commands) -> command => command.map_or(Next::End, Next::Command),
            recv(made) -> made => {
                if let (Ok((PictureId(row), picture)), Some((ticket, _))) = (made, &self.thumbnails)
                    && let Ok(row) = usize::try_from(row)
                {
                    self.outbox.tell(DatasetEvent::Thumbnail { ticket: *ticket, row, picture });
                }
                Next::Again
            }
            recv(ended) -> _ => {
                if let Some(work) = self.work.take() {
                    work.stop();
                }
                Next::Again
            }
        }
    }

    fn answer(&mut self, command: DatasetCommand, waiting: &mut VecDeque<DatasetCommand>) {
        match command {
            DatasetCommand::Open { ticket, source } => self.open(ticket, &source),
            DatasetCommand::Close => {
                (self.hand, self.thumbnails) = (None, None);
                self.uncounted.clear();
            }
            DatasetCommand::Look { ticket, plan, most } => {
                let Some(hand) = &self.hand else { return };
                let look = look::look(&hand.dataset, &plan, most, &*self.count_tokens);
                self.outbox.tell(DatasetEvent::Looked { ticket, look });
            }
            DatasetCommand::Prepare { plan, folder, cancel } => self.begin(Job::Prepare { plan, folder, cancel }),
            DatasetCommand::Check { plan, cancel } => self.begin(Job::Check { plan, cancel }),
            DatasetCommand::Save { ticket, changes } => {
                let mut all = vec![changes];
                // Those that wait behind it are written with it.
                while let Some(DatasetCommand::Save { ticket: next, .. }) = waiting.front()
                    && *next == ticket
                    && let Some(DatasetCommand::Save { changes, .. }) = waiting.pop_front()
                {
                    all.push(changes);
                }
                self.save(ticket, &all);
            }
            DatasetCommand::Thumbnails { ticket, wanted } => self.want(ticket, wanted),
        }
    }

    fn open(&mut self, ticket: u64, source: &DatasetSource) {
        (self.hand, self.thumbnails) = (None, None);
        self.uncounted.clear();
        let opened = self.read(source).map(|dataset| {
            let label = source::READERS.iter().find(|reader| reader.name == dataset.kind).map(|reader| reader.label);
            let opened = Box::new(look::opened(&dataset, label.unwrap_or("Collection of the gallery")));
            if opened.can_be_edited {
                let rows = dataset.rows.len();
                let ranges = (0..rows).step_by(COUNTED_AT_ONCE).map(|from| from..(from + COUNTED_AT_ONCE).min(rows));
                self.uncounted = ranges.collect();
            }
            self.hand = Some(Hand { ticket, dataset: Arc::new(dataset), metadata: None });
            opened
        });
        self.outbox.tell(DatasetEvent::Opened { ticket, opened });
    }

    fn read(&self, source: &DatasetSource) -> Result<Dataset> {
        match source {
            DatasetSource::Path(path) => source::read(path, None),
            DatasetSource::Collection { id, name, folder } => {
                let paths = Paths { pictures_dir: folder.clone(), ..self.paths.clone() };
                let pictures = pictures_of_collection(&paths, *id)?;
                if pictures.is_empty() {
                    return Err(UserError::input(format!("There is no picture in the collection {name}"))
                        .hint("choose pictures in the gallery, and add them to it"));
                }
                Ok(source::of_collection(folder, &pictures))
            }
        }
    }

    fn count(&mut self, range: Range<usize>) {
        let Some(hand) = &self.hand else { return };
        let count = |row: usize| {
            let caption = hand.dataset.rows.get(row)?.caption.as_deref().unwrap_or_default();
            Some((row, (self.count_tokens)(caption)))
        };
        let counts = range.filter_map(count).collect();
        self.outbox.tell(DatasetEvent::Counted { ticket: hand.ticket, counts });
    }

    fn begin(&mut self, job: Job) {
        if let Some(work) = self.work.take() {
            work.stop();
        }
        let Some(hand) = &self.hand else { return };
        let dataset = Arc::clone(&hand.dataset);
        match Work::begin(job, dataset, Arc::clone(&self.count_tokens), self.outbox.clone()) {
            Ok(work) => self.work = Some(work),
            Err(error) => self.outbox.tell(DatasetEvent::Failed(error)),
        }
    }

    fn save(&mut self, ticket: u64, all: &[Vec<(usize, RowChange)>]) {
        let Some(hand) = self.hand.as_mut().filter(|hand| hand.ticket == ticket) else { return };
        let result = write(hand, all);
        if result.is_ok() {
            // What is prepared or checked next is what is in the file.
            let dataset = Arc::make_mut(&mut hand.dataset);
            let caption_column = dataset.caption_column.as_deref().and_then(|name| dataset.column(name));
            let mut counts = Vec::new();
            for (place, change) in all.iter().flatten() {
                let Some(row) = dataset.rows.get_mut(*place) else { continue };
                counts.push((*place, (self.count_tokens)(&change.caption)));
                row.is_excluded = change.is_excluded;
                row.caption = Some(change.caption.clone()).filter(|caption| !caption.is_empty());
                if let Some(column) = caption_column {
                    row.values.resize(row.values.len().max(column + 1), String::new());
                    row.values[column].clone_from(&change.caption);
                }
            }
            self.outbox.tell(DatasetEvent::Counted { ticket, counts });
        } else {
            // What is in memory is not in the file: the next change begins with the file again.
            hand.metadata = None;
        }
        self.outbox.tell(DatasetEvent::Saved { ticket, count: all.len(), result });
    }

    fn want(&mut self, ticket: u64, wanted: Vec<(usize, PathBuf)>) {
        if self.hand.as_ref().is_none_or(|hand| hand.ticket != ticket) {
            return;
        }
        if self.thumbnails.as_ref().is_none_or(|(of, _)| *of != ticket) {
            self.thumbnails = None;
            match ThumbnailPool::start_with(Box::new(thumbnail)) {
                Ok(pool) => self.thumbnails = Some((ticket, pool)),
                Err(error) => return self.outbox.tell(DatasetEvent::Failed(error)),
            }
        }
        let key = |(row, path)| i64::try_from(row).ok().map(|row| (PictureId(row), path));
        if let Some((_, pool)) = &self.thumbnails {
            pool.want(wanted.into_iter().filter_map(key).collect());
        }
    }
}

/// What the thread does next.
enum Next {
    Command(DatasetCommand),
    /// Something else was done meanwhile.
    Again,
    End,
}

fn write(hand: &mut Hand, all: &[Vec<(usize, RowChange)>]) -> Result<()> {
    let dataset = &hand.dataset;
    let (Some(table), Some(column)) = (&dataset.table, &dataset.caption_column) else {
        return Err(UserError::input("The captions of this data set cannot be changed here")
            .hint("prepare it into a folder of its own, and change them there"));
    };
    if hand.metadata.is_none() {
        hand.metadata = Some(Metadata::open(table, column)?);
    }
    let Some(metadata) = &mut hand.metadata else { return Ok(()) };
    let changes: Vec<RowChange> = all.iter().flatten().map(|(_, change)| change.clone()).collect();
    metadata.change(&changes)?;
    metadata.save()
}

/// A small picture of a file, whatever it is.
fn thumbnail(path: &Path) -> Result<Picture> {
    let image = picture::read(path, Some(2 * THUMBNAIL_PX))
        .map_err(|why| UserError::input(format!("This picture cannot be read: {why}")).path(path))?;
    let (width, height) = image.dimensions();
    let scale = (f64::from(THUMBNAIL_PX) / f64::from(width.max(height))).min(1.0);
    let side = |length: u32| ((f64::from(length) * scale).round() as u32).max(1);
    let small = picture::scaled(&image, side(width), side(height));
    let rgba = small.pixels().flat_map(|px| [px[0], px[1], px[2], u8::MAX]).collect();
    Ok(Picture { width_px: small.width(), height_px: small.height(), rgba })
}
