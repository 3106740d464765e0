//! What the window asks of the queue's thread, and what that tells.

use crate::domain::{JobId, Priority, QueuedJob, UserError};

/// What the window asks of the queue's thread.
#[derive(Clone, Debug, PartialEq)]
pub enum QueueCommand {
    /// Take over what was left by windows that are gone. Answered by `Loaded`.
    Load,
    /// Keep jobs, behind those that are there, all or none. Answered by `Kept` or `NotKept`.
    Add(Vec<QueuedJob>),
    /// Keep another request, from its first picture on, in a job's place. Answered by `Kept` or `NotKept`.
    Change(Box<QueuedJob>),
    /// Keep an order: the first to run first.
    Arrange(Vec<(JobId, Priority)>),
    /// Forget jobs: they are finished, or not wanted any more.
    Remove(Vec<JobId>),
    /// End the thread when all before is done.
    Shutdown,
}

/// What the queue's thread tells the window.
#[derive(Clone, Debug, PartialEq)]
pub enum QueueEvent {
    /// Jobs that were left, in their order.
    Loaded(Vec<QueuedJob>),
    /// Jobs are on the disk: they may run.
    Kept(Vec<JobId>),
    /// Jobs could not be written to the disk.
    NotKept {
        /// Which.
        jobs: Vec<JobId>,
        /// Why.
        error: UserError,
    },
    /// Something else could not be read or written.
    Failed {
        /// Why.
        error: UserError,
    },
}
