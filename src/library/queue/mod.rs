//! The queue on the disk: jobs that wait survive the end of the program, however it ends.
//!
//! A job is a row of the table `jobs`, committed before the window counts it as accepted, and gone when its last picture is
//! saved. Which pictures of a job are saved is told by the picture's own file, which is named in the row before it is
//! written (`keeper`): so none is made twice. Where a picture was in the middle of its making is a file of its own, for
//! each job one, which may be lost: the picture is then begun again.
//!
//! Every window has a number and holds a lock of that number while it lives. It takes over the jobs of those whose lock is
//! free, and leaves alone those of a window that is open beside it.

mod handle;
mod keeper;
mod messages;
mod service;
mod store;
#[cfg(test)]
mod tests;

pub use handle::{COMMAND_CAPACITY, EVENT_CAPACITY, QueueHandle};
pub use keeper::JobKeeper;
pub use messages::{QueueCommand, QueueEvent};
pub use service::spawn;
pub use store::{QueueStore, Session, salvage};

/// The step of the schema that brings the queue.
pub(super) const MIGRATION: &str = "
    CREATE TABLE jobs (
        id INTEGER PRIMARY KEY,           -- chosen by the window
        owner INTEGER NOT NULL,           -- the window that runs it: see its lock
        priority INTEGER NOT NULL,        -- 0 goes first
        position INTEGER NOT NULL,        -- among those of one priority
        request TEXT NOT NULL,            -- JSON
        pictures_dir TEXT NOT NULL,
        is_checked INTEGER NOT NULL,
        done INTEGER NOT NULL DEFAULT 0,  -- pictures that are saved
        saving TEXT,                      -- the file of the next one, from before it is written until it counts
        saving_ms INTEGER                 -- the time that stands in that file
    );
    CREATE INDEX jobs_order ON jobs (owner, priority, position);
";
