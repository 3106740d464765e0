//! The batches' thread: it reads tables, looks their rows through, and writes down what becomes of them, for the window.

use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use crossbeam_channel::{Receiver, Sender, TrySendError, bounded};

use crate::dataset::table::{Results, check_rows, read, read_results};
use crate::domain::batch::{BatchCommand, BatchEvent, CheckedRow, Plan, RowResult, Table};
use crate::domain::{Result, UserError};

/// Commands that may wait: a letter typed into the template is one.
const COMMAND_CAPACITY: usize = 1024;
/// Events that may wait.
const EVENT_CAPACITY: usize = 64;

/// The near end of the channels to the batches' thread.
pub struct BatchHandle {
    commands: Sender<BatchCommand>,
    events: Receiver<BatchEvent>,
    thread: Option<JoinHandle<()>>,
}

impl BatchHandle {
    /// Joins the two channels. A test passes its own far ends and no thread.
    #[must_use]
    pub fn new(commands: Sender<BatchCommand>, events: Receiver<BatchEvent>, thread: Option<JoinHandle<()>>) -> Self {
        Self { commands, events, thread }
    }

    /// Asks for something, without ever waiting.
    ///
    /// # Errors
    /// When the thread is gone, or does not keep up.
    pub fn send(&self, command: BatchCommand) -> Result<()> {
        self.commands.try_send(command).map_err(|error| match error {
            TrySendError::Full(_) => {
                UserError::failed("The disk with the table does not keep up").hint("try again in a moment")
            }
            TrySendError::Disconnected(_) => UserError::failed("The thread that reads tables has stopped")
                .hint("close the window and open it again; the pictures are in the gallery"),
        })
    }

    /// The next event that is there, without ever waiting.
    #[must_use]
    pub fn try_event(&self) -> Option<BatchEvent> {
        self.events.try_recv().ok()
    }

    /// Ends the thread when all that was asked is done, and waits for it.
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
pub fn spawn(wake: Box<dyn Fn() + Send>) -> Result<BatchHandle> {
    let (commands, far_commands) = bounded(COMMAND_CAPACITY);
    let (far_events, events) = bounded(EVENT_CAPACITY);
    let thread = std::thread::Builder::new()
        .name("atelier-batch".to_owned())
        .spawn(move || Worker { events: far_events, wake, made: None, results: None }.run(&far_commands))
        .map_err(|error| {
            UserError::failed(format!("Tables could not be read: {error}")).hint("close other programs")
        })?;
    Ok(BatchHandle::new(commands, events, Some(thread)))
}

struct Worker {
    events: Sender<BatchEvent>,
    wake: Box<dyn Fn() + Send>,
    /// What was made before of the table that was looked through last.
    made: Option<(Arc<Table>, Vec<RowResult>)>,
    results: Option<Results>,
}

impl Worker {
    fn run(mut self, commands: &Receiver<BatchCommand>) {
        let mut waiting = VecDeque::new();
        loop {
            if waiting.is_empty() {
                let Ok(command) = commands.recv() else { return };
                waiting.push_back(command);
            }
            waiting.extend(commands.try_iter());
            let Some(command) = waiting.pop_front() else { continue };
            // Of several questions in a row about what was just typed the last one counts.
            let is_check = |command: &BatchCommand| matches!(command, BatchCommand::Check { .. });
            if is_check(&command) && waiting.front().is_some_and(is_check) {
                continue;
            }
            if matches!(command, BatchCommand::Shutdown) {
                return;
            }
            // A fault in a reader must not cost the results of what is being made.
            if catch_unwind(AssertUnwindSafe(|| self.answer(command))).is_err() {
                let error = UserError::failed("A fault in the program: a table could not be worked on");
                self.tell(BatchEvent::ResultsFailed(error.hint("the pictures are in the gallery; please report this")));
            }
        }
    }

    fn tell(&self, event: BatchEvent) {
        // Nobody listens any more: the window is closing.
        let _ = self.events.send(event);
        (self.wake)();
    }

    fn answer(&mut self, command: BatchCommand) {
        match command {
            BatchCommand::Read(path) => {
                let table = read(&path).map(Arc::new);
                self.tell(BatchEvent::Read { path, table });
            }
            BatchCommand::Check { ticket, plan } => {
                let rows = self.check(&plan);
                self.tell(BatchEvent::Checked { ticket, rows });
            }
            BatchCommand::Begin(table) => {
                let made = self.made.take().filter(|(of, _)| Arc::ptr_eq(of, &table)).map(|(_, made)| made);
                match Results::open(Arc::clone(&table), &table.folder(), None, made.unwrap_or_default()) {
                    Ok(results) => self.results = Some(results),
                    Err(error) => self.tell(BatchEvent::ResultsFailed(error)),
                }
            }
            BatchCommand::Note(rows) => {
                let Some(results) = &mut self.results else { return };
                if let Err(error) = rows.into_iter().try_for_each(|row| results.add(row)) {
                    self.tell(BatchEvent::ResultsFailed(error));
                }
            }
            BatchCommand::End => match self.results.take().map(Results::finish) {
                Some(Ok(path)) => self.tell(BatchEvent::Ended { path }),
                Some(Err(error)) => self.tell(BatchEvent::ResultsFailed(error)),
                None => {}
            },
            // Taken by `run`.
            BatchCommand::Shutdown => {}
        }
    }

    fn check(&mut self, plan: &Plan) -> Vec<CheckedRow> {
        let table = plan.table();
        let rows = check_rows(plan, &read_results(table, &table.folder()));
        let made = rows.iter().filter_map(|row| match row {
            CheckedRow::Done(result) => Some((**result).clone()),
            _ => None,
        });
        self.made = Some((Arc::clone(table), made.collect()));
        rows
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::GenerateRequest;
    use crate::domain::batch::{RowStatus, Setup};

    fn next(handle: &BatchHandle) -> BatchEvent {
        handle.events.recv_timeout(Duration::from_mins(1)).expect("the thread answers")
    }

    fn setup(template: &str) -> Setup {
        Setup {
            template: template.to_owned(),
            base: GenerateRequest::default(),
            seed: 0,
            families: Vec::new(),
            models: Vec::new(),
            loras: Vec::new(),
        }
    }

    #[test]
    fn a_table_is_read_looked_through_and_its_results_are_found_again() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.csv");
        std::fs::write(&path, "prompt,w\na,64\nb,wide\n").unwrap();
        let handle = spawn(Box::new(|| ())).unwrap();
        handle.send(BatchCommand::Read(path)).unwrap();
        let BatchEvent::Read { table: Ok(table), .. } = next(&handle) else { panic!("the table is good") };
        let plan = Arc::new(Plan::new(Arc::clone(&table), Arc::new(setup(""))).unwrap());
        let check = |ticket| BatchCommand::Check { ticket, plan: Arc::clone(&plan) };
        handle.send(check(1)).unwrap();
        let BatchEvent::Checked { ticket: 1, rows } = next(&handle) else { panic!("the rows were looked through") };
        assert_eq!(rows[0], CheckedRow::Ready);
        assert!(matches!(&rows[1], CheckedRow::Wrong(why) if why.contains("wide")));

        let mut result = RowResult::failed(0, "");
        result.status = RowStatus::Done;
        result.request = crate::domain::batch::request_key(&plan.request(0).unwrap());
        for command in [BatchCommand::Begin(table), BatchCommand::Note(vec![result.clone()]), BatchCommand::End] {
            handle.send(command).unwrap();
        }
        let BatchEvent::Ended { path } = next(&handle) else { panic!("the results are in order") };
        assert_eq!(path, folder.path().join("a.results.csv"));
        handle.send(check(2)).unwrap();
        let BatchEvent::Checked { ticket: 2, rows } = next(&handle) else { panic!("the rows were looked through") };
        assert_eq!(rows[0], CheckedRow::Done(Box::new(result)));
        handle.shut_down();
    }
}
