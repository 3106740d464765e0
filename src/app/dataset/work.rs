//! The long work on a data set, on a thread of its own: preparing it, and looking at every picture.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, Sender, bounded};

use super::Outbox;
use crate::dataset::prepare::Progress;
use crate::dataset::{Dataset, check, look, prepare};
use crate::domain::dataset::{DatasetEvent, DatasetPlan, Inspection, MAX_TOKENS, Preparation};
use crate::domain::{Cancel, Result, UserError};

/// How often progress is told.
const TOLD_EVERY: Duration = Duration::from_millis(100);

/// What is to be done.
pub enum Job {
    /// Prepare the data set into a folder.
    Prepare {
        /// How.
        plan: DatasetPlan,
        /// The folder.
        folder: PathBuf,
        /// Stops it.
        cancel: Cancel,
    },
    /// Look at every row and every picture.
    Check {
        /// How.
        plan: DatasetPlan,
        /// Stops it.
        cancel: Cancel,
    },
}

/// Work that goes on.
pub struct Work {
    cancel: Cancel,
    /// Closed when the work has ended.
    ended: Receiver<()>,
    thread: JoinHandle<()>,
}

impl Work {
    /// Begins it.
    ///
    /// # Errors
    /// When the system gives no thread.
    pub fn begin(
        job: Job,
        dataset: Arc<Dataset>,
        count_tokens: Arc<dyn Fn(&str) -> u32 + Send + Sync>,
        outbox: Outbox,
    ) -> Result<Self> {
        let (ending, ended) = bounded(1);
        let (Job::Prepare { cancel, .. } | Job::Check { cancel, .. }) = &job;
        let cancel = cancel.clone();
        let thread = std::thread::Builder::new()
            .name("atelier-dataset-work".to_owned())
            .spawn(move || carry_out(job, &dataset, &*count_tokens, &outbox, ending))
            .map_err(|error| {
                UserError::failed(format!("The work could not begin: {error}")).hint("close other programs")
            })?;
        Ok(Self { cancel, ended, thread })
    }

    /// Closes when the work has ended.
    pub const fn ended(&self) -> &Receiver<()> {
        &self.ended
    }

    /// Stops it, and waits until it has.
    pub fn stop(self) {
        self.cancel.cancel();
        let _ = self.thread.join();
    }
}

fn carry_out(
    job: Job,
    dataset: &Dataset,
    count_tokens: &(dyn Fn(&str) -> u32 + Send + Sync),
    outbox: &Outbox,
    ending: Sender<()>,
) {
    let mut told = Instant::now();
    let mut progress = |Progress { done, total }: Progress| {
        if told.elapsed() >= TOLD_EVERY || done == 0 || done == total {
            told = Instant::now();
            outbox.mention(DatasetEvent::Progress { done, total });
        }
    };
    let fault = || {
        UserError::failed("A fault in the program: the work on the data set broke off")
            .hint("what is finished is kept; please report this")
    };
    let event = match job {
        Job::Prepare { plan, folder, cancel } => {
            let work = || {
                let report = prepare(dataset, &folder, &look::options(&plan)?, &cancel, &mut progress)?;
                Ok(Box::new(preparation(report)))
            };
            DatasetEvent::Prepared(catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|_| Err(fault())))
        }
        Job::Check { plan, cancel } => {
            let work = || {
                let tokens = |caption: &str| count_tokens(caption) as usize;
                let options = check::Options {
                    template: look::template(&plan)?,
                    side_px: plan.side_px,
                    max_tokens: MAX_TOKENS as usize,
                    ..check::Options::default()
                };
                let report = check(dataset, &options, &tokens, &cancel, &mut progress)?;
                Ok(Box::new(inspection(report)))
            };
            DatasetEvent::Checked(catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|_| Err(fault())))
        }
    };
    outbox.tell(event);
    drop(ending);
}

fn preparation(report: prepare::Report) -> Preparation {
    let left_out = [
        (report.rows_unwanted, "are not what the conditions ask for"),
        (report.rows_excluded, "are excluded in the source"),
        (report.rows_without_picture, "have no picture"),
        (report.rows_with_broken_picture, "have a picture that cannot be read"),
        (report.rows_behind_limit, "are more than were wanted"),
    ];
    Preparation {
        folder: report.path,
        rows: report.rows,
        pictures: report.pictures,
        made: report.made,
        kept_by_hand: report.rows_kept_by_hand,
        left_out: left_out.into_iter().filter(|(count, _)| *count > 0).collect(),
        problems: report.problems,
    }
}

fn inspection(report: check::Report) -> Inspection {
    let spread = |spread: check::Spread| [spread.min, spread.median, spread.max];
    Inspection {
        rows: report.rows,
        sides: report.sides.map(spread),
        tokens: report.tokens.map(spread),
        problems: report.problems,
        balance: report.balance.into_iter().map(|balance| (balance.column, balance.counts)).collect(),
    }
}
