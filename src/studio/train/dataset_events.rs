//! What the data sets' thread says, and what that changes.

use std::path::PathBuf;
use std::sync::Arc;

use crate::domain::dataset::{DatasetCommand, DatasetEvent, DatasetSource, OpenedDataset, Preparation};
use crate::domain::{Result, UserError};
use crate::studio::{Effect, State};

use super::dataset::{DatasetMode, DatasetWorkKind};
use super::dataset_hand::DatasetInHand;

impl State {
    /// Takes in what the data sets' thread says.
    pub fn on_dataset_event(&mut self, event: DatasetEvent) -> Vec<Effect> {
        let desk = &mut self.train.dataset;
        match event {
            DatasetEvent::Opened { ticket, opened } => {
                if ticket == desk.ticket
                    && let Some(source) = desk.opening.take()
                {
                    return self.take_dataset(ticket, source, opened);
                }
            }
            DatasetEvent::Looked { ticket, look } => {
                if ticket == desk.look_ticket
                    && let Some(hand) = &mut desk.hand
                {
                    match look {
                        Ok(look) => (hand.look, hand.look_error) = (Some(look), None),
                        Err(error) => hand.look_error = Some(error),
                    }
                }
            }
            DatasetEvent::Progress { done, total } => {
                if let Some(work) = &mut desk.work {
                    (work.done, work.total) = (done, total);
                }
            }
            DatasetEvent::Prepared(result) => return self.prepared(result.map(|preparation| *preparation)),
            DatasetEvent::Checked(result) => {
                desk.work = None;
                match (result, &mut desk.hand) {
                    (Ok(inspection), Some(hand)) => {
                        hand.list_problems(&inspection.problems);
                        hand.inspection = Some(*inspection);
                    }
                    (Err(error), _) if !error.is_cancelled() => self.notices.error(error),
                    _ => {}
                }
            }
            DatasetEvent::Saved { ticket, count, result } => {
                if let Some(hand) = desk.hand.as_mut().filter(|hand| hand.ticket == ticket) {
                    hand.saving = hand.saving.saturating_sub(count);
                    // While others are on their way, what they hold is not surely written.
                    if result.is_ok() && hand.saving == 0 {
                        hand.unsaved.clear();
                    }
                }
                if let Err(error) = result {
                    self.notices.error(error);
                }
            }
            DatasetEvent::Counted { ticket, counts } => {
                if let Some(hand) = desk.hand.as_mut().filter(|hand| hand.ticket == ticket) {
                    for (place, tokens) in counts {
                        if let Some(row) = hand.rows.get_mut(place) {
                            row.tokens = Some(tokens);
                        }
                    }
                    hand.count();
                }
            }
            DatasetEvent::Thumbnail { ticket, row, picture } => {
                if let Some(hand) = desk.hand.as_mut().filter(|hand| hand.ticket == ticket) {
                    hand.thumbnail_came(
                        row,
                        picture.as_ref().ok().map(|picture| (picture.width_px, picture.height_px)),
                    );
                    if let Ok(picture) = picture {
                        desk.thumbnails.push((ticket, row, Arc::new(picture)));
                    }
                }
            }
            DatasetEvent::Failed(error) => {
                (desk.work, desk.opening) = (None, None);
                self.notices.error(error);
            }
        }
        Vec::new()
    }

    /// A command could not be handed to the data sets' thread.
    pub fn on_dataset_refused(&mut self, command: &DatasetCommand, error: UserError) {
        let desk = &mut self.train.dataset;
        match command {
            DatasetCommand::Open { .. } => desk.opening = None,
            DatasetCommand::Prepare { .. } | DatasetCommand::Check { .. } => desk.work = None,
            DatasetCommand::Save { .. } => {
                if let Some(hand) = &mut desk.hand {
                    hand.saving = hand.saving.saturating_sub(1);
                }
            }
            DatasetCommand::Thumbnails { .. } => {
                if let Some(hand) = &mut desk.hand {
                    hand.thumbnails_not_sent();
                }
                return; // they are asked for again when they are drawn next
            }
            DatasetCommand::Look { .. } | DatasetCommand::Close => {}
        }
        self.notices.error(error);
    }

    fn take_dataset(&mut self, ticket: u64, source: DatasetSource, opened: Result<Box<OpenedDataset>>) -> Vec<Effect> {
        let desk = &mut self.train.dataset;
        let opened = match opened {
            Ok(opened) => opened,
            Err(error) => {
                desk.error = Some(error);
                return Vec::new();
            }
        };
        let mut hand = DatasetInHand::new(ticket, source, *opened);
        let known = desk.again.take().or_else(|| desk.came_from.clone());
        if let Some((_, form)) = known.filter(|(source, _)| *source == hand.source) {
            hand.form = form;
        }
        if let Some(prepared) = desk.prepared.as_ref().filter(|prepared| prepared.folder == hand.root) {
            // What was lost on the way is not known to the folder itself.
            hand.list_problems(&prepared.problems);
        }
        let is_looked_at = hand.mode == DatasetMode::Prepare;
        desk.hand = Some(hand);
        if is_looked_at { self.look_at_dataset() } else { Vec::new() }
    }

    fn prepared(&mut self, result: Result<Preparation>) -> Vec<Effect> {
        let desk = &mut self.train.dataset;
        let Some(work) = desk.work.take_if(|work| work.kind == DatasetWorkKind::Prepare) else { return Vec::new() };
        match (result, &mut desk.hand) {
            (Ok(preparation), Some(hand)) => {
                desk.came_from = Some((hand.source.clone(), hand.form.clone()));
                let folder = preparation.folder.clone();
                let rows = if preparation.rows == 1 { "row" } else { "rows" };
                self.notices.info(format!("{} {rows} are prepared", preparation.rows), Some(folder.clone()));
                let effects = self.open_dataset(DatasetSource::Path(PathBuf::from(&folder)));
                self.train.dataset.prepared = Some(preparation);
                effects
            }
            (Err(error), hand) => {
                if let Some(hand) = hand {
                    hand.form.stopped = (work.total > 0).then_some((work.done, work.total));
                }
                if !error.is_cancelled() {
                    self.notices.error(error);
                }
                Vec::new()
            }
            (Ok(_), None) => Vec::new(),
        }
    }
}
