//! Making a picture again: a job whose picture is compared with its file instead of being saved.

use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use super::{Worker, guarded};
use crate::domain::{Event, Job, Result, UserError};
use crate::library::read_picture;
use crate::pipeline::{self, Progress};

impl Worker {
    pub(super) fn replay(&mut self, job: &Job, original: &Path) {
        self.outbox.send(Event::Started { job: job.id });
        let result = guarded(|| self.make_again(job, original));
        let job = job.id;
        self.outbox.send(match result {
            Ok(()) => Event::Done { job },
            Err(error) if error.is_cancelled() => Event::Cancelled { job },
            Err(error) => Event::Failed { job, error },
        });
    }

    fn make_again(&mut self, job: &Job, original: &Path) -> Result<()> {
        if job.cancel.is_cancelled() {
            return Err(UserError::cancelled());
        }
        let request = job.request.single(0);
        let assets = (self.look_up)();
        pipeline::check_files(&request, &assets)?;
        let original = read_picture(original)?;
        self.load(&request.model, request.vae.as_deref(), &job.cancel)?;
        let model = self.loaded.in_hand()?;
        let (begun, outbox) = (Instant::now(), &self.outbox);
        let replayed =
            pipeline::replay(model, &request, &original, &assets, job.is_checked, &job.cancel, &mut |progress| {
                let (job, index, elapsed_secs) = (job.id, 0, begun.elapsed().as_secs_f64());
                match progress {
                    Progress::Step { step, steps, preview } => {
                        let preview = Arc::new(preview);
                        outbox.send_preview(Event::Step { job, index, step, steps, preview, elapsed_secs });
                    }
                    Progress::Decoding => outbox.send(Event::Decoding { job, index }),
                }
            })?;
        self.outbox.send(Event::Replayed {
            job: job.id,
            picture: Arc::new(replayed.picture),
            recipe: Box::new(replayed.recipe),
            outcome: replayed.outcome,
        });
        Ok(())
    }
}
