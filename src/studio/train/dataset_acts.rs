//! What the acts of the user change about the data set, and what is to be done outside for them.

use std::path::PathBuf;

use crate::domain::Cancel;
use crate::domain::dataset::{DatasetCommand, DatasetPlan, DatasetSource};
use crate::studio::{DialogRequest, Effect, Place, State};

use super::TrainTab;
use super::dataset::{
    DatasetAction, DatasetDesk, DatasetDialog, DatasetMode, DatasetPage, DatasetWork, DatasetWorkKind,
};

/// How many rows are looked at while the template is written.
const LOOKED_AT: usize = 24;

impl State {
    pub(super) fn apply_dataset(&mut self, action: DatasetAction) -> Vec<Effect> {
        // What was typed is taken over before anything else is done.
        let stays = matches!(action, DatasetAction::Write(..) | DatasetAction::InView(_) | DatasetAction::Commit);
        let mut effects = if stays { Vec::new() } else { self.commit_caption() };
        effects.extend(self.do_with_dataset(action));
        effects
    }

    fn do_with_dataset(&mut self, action: DatasetAction) -> Vec<Effect> {
        match action {
            DatasetAction::ChooseFolder => return self.ask(DialogRequest::Dataset(DatasetDialog::Folder)),
            DatasetAction::ChooseTable => return self.ask(DialogRequest::Dataset(DatasetDialog::Table)),
            DatasetAction::ChooseTarget => return self.ask(DialogRequest::Dataset(DatasetDialog::Target)),
            DatasetAction::Open(path) => return self.open_another(DatasetSource::Path(path)),
            DatasetAction::OpenCollection(id) => {
                let Some(collection) = self.gallery.shelves.collection(id) else { return Vec::new() };
                let (name, folder) = (collection.name.clone(), self.pictures_folder().to_path_buf());
                return self.open_another(DatasetSource::Collection { id, name, folder });
            }
            DatasetAction::Reload => {
                let Some(hand) = &self.train.dataset.hand else { return Vec::new() };
                let (source, form) = (hand.source.clone(), hand.form.clone());
                let effects = self.open_dataset(source.clone());
                if !effects.is_empty() {
                    self.train.dataset.again = Some((source, form));
                }
                return effects;
            }
            DatasetAction::Close => {
                if self.is_dataset_busy() {
                    return Vec::new();
                }
                let ticket = self.train.dataset.ticket;
                let look_ticket = self.train.dataset.look_ticket;
                self.train.dataset = DatasetDesk { ticket, look_ticket, ..DatasetDesk::default() };
                return vec![Effect::Dataset(DatasetCommand::Close)];
            }
            DatasetAction::BackToSource => {
                let source = self.train.dataset.came_from.as_ref().map(|(source, _)| source.clone());
                return source.map(|source| self.open_dataset(source)).unwrap_or_default();
            }
            DatasetAction::Prepare | DatasetAction::GoOn => return self.prepare_dataset(),
            DatasetAction::Check => return self.check_dataset(),
            DatasetAction::Pause | DatasetAction::Stop => {
                if let Some(work) = &mut self.train.dataset.work {
                    work.cancel.cancel();
                    work.is_stopping = true;
                }
            }
            DatasetAction::Train => {
                let Some(hand) = &self.train.dataset.hand else { return Vec::new() };
                // Captions that can be changed by hand are whole; others are made of columns.
                let template = (!hand.can_be_edited).then(|| hand.form.template.clone());
                let DatasetSource::Path(path) = hand.source.clone() else {
                    self.notices.info("Prepare the collection first: a training reads it from a folder", None);
                    return Vec::new();
                };
                return self.train_on(path, template.filter(|template| !template.is_empty()));
            }
            other => return self.do_with_hand(other),
        }
        Vec::new()
    }

    /// What is done with the data set that is shown.
    fn do_with_hand(&mut self, action: DatasetAction) -> Vec<Effect> {
        let Some(hand) = &mut self.train.dataset.hand else { return Vec::new() };
        let form = &mut hand.form;
        // What changes captions or rows is looked at again.
        let is_looked_at = match action {
            DatasetAction::EditTemplate(template) => {
                form.template = template;
                true
            }
            DatasetAction::Insert(column) => {
                form.insert(&column);
                true
            }
            DatasetAction::EditConditions(text) => {
                form.conditions = text;
                true
            }
            DatasetAction::EditLimit(text) => {
                form.limit = text;
                true
            }
            DatasetAction::Side(side_px) => {
                form.side_px = side_px;
                false
            }
            DatasetAction::Format(format) => {
                form.format = format;
                false
            }
            DatasetAction::Quality(quality) => {
                form.quality = quality.clamp(1, 100);
                false
            }
            DatasetAction::EditFolder(folder) => {
                (form.folder, form.stopped) = (folder, None);
                false
            }
            DatasetAction::Page(page) => {
                hand.page = page;
                false
            }
            DatasetAction::Mode(mode) => {
                (hand.mode, hand.page) = (mode, DatasetPage::Pictures);
                mode == DatasetMode::Prepare && hand.look.is_none()
            }
            DatasetAction::InView(rows) => {
                return hand.want_thumbnails(&rows).into_iter().map(Effect::Dataset).collect();
            }
            other => return self.change_rows(other),
        };
        if is_looked_at { self.look_at_dataset() } else { Vec::new() }
    }

    /// Reads a data set that has nothing to do with the one before.
    fn open_another(&mut self, source: DatasetSource) -> Vec<Effect> {
        let effects = self.open_dataset(source);
        if !effects.is_empty() {
            (self.train.dataset.came_from, self.train.dataset.again) = (None, None);
        }
        effects
    }

    /// Reads a data set.
    pub(super) fn open_dataset(&mut self, source: DatasetSource) -> Vec<Effect> {
        (self.place, self.train.tab) = (Place::Train, TrainTab::Dataset);
        if self.is_dataset_busy() {
            return Vec::new();
        }
        let desk = &mut self.train.dataset;
        desk.ticket += 1;
        (desk.hand, desk.error, desk.prepared) = (None, None, None);
        desk.opening = Some(source.clone());
        vec![Effect::Dataset(DatasetCommand::Open { ticket: desk.ticket, source })]
    }

    /// Whether something is being done with the data set; says so.
    fn is_dataset_busy(&mut self) -> bool {
        let is_busy = self.train.dataset.work.is_some();
        if is_busy {
            self.notices.info("The data set is being worked on: pause that first", None);
        }
        is_busy
    }

    /// Asks what the first rows would be.
    pub(super) fn look_at_dataset(&mut self) -> Vec<Effect> {
        let desk = &mut self.train.dataset;
        let Some(hand) = &desk.hand else { return Vec::new() };
        desk.look_ticket += 1;
        let look = DatasetCommand::Look { ticket: desk.look_ticket, plan: hand.form.plan(), most: LOOKED_AT };
        vec![Effect::Dataset(look)]
    }

    fn prepare_dataset(&mut self) -> Vec<Effect> {
        if self.is_dataset_busy() {
            return Vec::new();
        }
        if let Some(reason) = self.train.dataset.prepare_blocked() {
            self.notices.info(reason, None);
            return Vec::new();
        }
        let Some(hand) = &mut self.train.dataset.hand else { return Vec::new() };
        hand.form.stopped = None;
        let (plan, folder, cancel) = (hand.form.plan(), PathBuf::from(hand.form.folder.trim()), Cancel::default());
        self.begin_dataset_work(DatasetWorkKind::Prepare, cancel.clone());
        vec![Effect::Dataset(DatasetCommand::Prepare { plan, folder, cancel })]
    }

    fn check_dataset(&mut self) -> Vec<Effect> {
        if self.is_dataset_busy() {
            return Vec::new();
        }
        let Some(hand) = &mut self.train.dataset.hand else { return Vec::new() };
        hand.page = DatasetPage::Problems;
        // What is changed by hand has its captions already.
        let plan = match hand.mode {
            DatasetMode::Captions => DatasetPlan { side_px: hand.form.side_px, ..DatasetPlan::default() },
            DatasetMode::Prepare => hand.form.plan(),
        };
        let cancel = Cancel::default();
        self.begin_dataset_work(DatasetWorkKind::Check, cancel.clone());
        vec![Effect::Dataset(DatasetCommand::Check { plan, cancel })]
    }

    fn begin_dataset_work(&mut self, kind: DatasetWorkKind, cancel: Cancel) {
        self.train.dataset.work = Some(DatasetWork { kind, done: 0, total: 0, is_stopping: false, cancel });
    }

    /// A folder or a file was chosen in a dialog.
    pub(in crate::studio) fn chosen_for_dataset(&mut self, dialog: DatasetDialog, path: PathBuf) -> Vec<Effect> {
        match dialog {
            DatasetDialog::Folder | DatasetDialog::Table => self.apply_dataset(DatasetAction::Open(path)),
            DatasetDialog::Target => self.apply_dataset(DatasetAction::EditFolder(path.display().to_string())),
        }
    }

    /// What was dropped on the data set's tab is read as one; `None` elsewhere.
    pub(in crate::studio) fn dropped_on_dataset(&mut self, paths: &[PathBuf]) -> Option<Vec<Effect>> {
        if self.place != Place::Train || self.train.tab != TrainTab::Dataset {
            return None;
        }
        Some(paths.first().map(|path| self.apply_dataset(DatasetAction::Open(path.clone()))).unwrap_or_default())
    }
}
