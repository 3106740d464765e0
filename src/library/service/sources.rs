//! The thread's answers about the picture to begin with and its mask.

use std::path::Path;
use std::sync::Arc;

use super::super::image_io::read_picture;
use super::super::messages::LibraryEvent;
use super::super::sources::{SourceCommand, SourceEvent, keep_mask, keep_picture, read_mask, sweep};
use super::{Service, guarded};
use crate::domain::{Plane, Result};

impl Service<'_> {
    pub(super) fn answer_source(&mut self, command: SourceCommand) {
        let event = match command {
            SourceCommand::Read { ticket, picture, mask } => {
                let read = guarded(&picture, || read_picture(&picture)).map(Arc::new);
                let size = read.as_ref().ok().map(|picture| (picture.width_px, picture.height_px));
                let read_mask = |path: &Path, size| -> Result<Plane> { guarded(path, || read_mask(path, size)) };
                let mask = mask.zip(size).map(|(path, size)| read_mask(&path, size));
                SourceEvent::Read { ticket, picture: read, mask }
            }
            SourceCommand::KeepMask { ticket, plane, feather_px } => {
                let kept = guarded(&self.paths.sources_dir, || keep_mask(&self.paths, &plane, feather_px));
                SourceEvent::MaskKept { ticket, kept }
            }
            SourceCommand::KeepPicture(picture) => {
                let kept = guarded(&self.paths.sources_dir, || keep_picture(&self.paths, &picture));
                SourceEvent::PictureKept(kept)
            }
            SourceCommand::Sweep(needed) => {
                let paths = self.paths.clone();
                let swept = sweep(&paths, &needed, || self.with_index(|index| index.sources_in_recipes()));
                if let Err(error) = swept {
                    // It is tried again at the next start.
                    tracing::warn!(%error, "old masks were not looked through");
                }
                return;
            }
        };
        self.outbox.send(LibraryEvent::Source(event));
    }
}
