//! [`BatchAction`]: every act of the user in the Batch place, and what it changes.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::domain::batch::{BatchCommand, BatchEvent, Plan, Setup, Table};
use crate::domain::{GenerateRequest, ModelRef, ModelState, PictureId};

use super::gallery_actions::ask;
use super::{Action, Batch, DialogRequest, Effect, Info, Place, RowState, Run, State};

/// Endings of tables.
pub(super) const TABLES: [&str; 6] = ["csv", "tsv", "jsonl", "ndjson", "txt", "json"];

/// An act of the user in the Batch place.
#[derive(Clone, Debug, PartialEq)]
pub enum BatchAction {
    /// Choose a table in a dialog.
    Choose,
    /// Read a table.
    Open(PathBuf),
    /// Read the table again.
    Reload,
    /// Put the table away.
    Close,
    /// How prompts are made of columns.
    EditTemplate(String),
    /// Put a column into the template.
    Insert(String),
    /// The seed that rows without one draw theirs from.
    EditSeed(u64),
    /// Which rows are wanted.
    EditRows(String),
    /// How many of them.
    EditSample(String),
    /// Make the rows that wait.
    Run,
    /// Begin no more rows after the one in hand.
    Pause,
    /// Stop the row in hand too.
    Stop,
    /// Try all rows again that failed.
    RetryFailed,
    /// Try a row again.
    Retry(usize),
    /// Show a row's picture in the gallery.
    Show(PictureId),
    /// Which pictures of rows are in view and lack their thumbnails.
    InView(Vec<PictureId>),
}

impl BatchAction {
    /// Text and tooltip.
    #[must_use]
    pub fn info(&self) -> Info {
        let (text, tooltip) = match self {
            Self::Choose => {
                ("Open a table…", "A text list with a prompt a line (.txt), CSV (.csv, .tsv) or JSON lines (.jsonl)")
            }
            Self::Open(_) | Self::InView(_) => ("", ""),
            Self::Reload => ("Read it again", "Read the table again after it was changed; what is made stays made"),
            Self::Close => ("Close", "Put the table away. The file and the pictures stay"),
            Self::EditTemplate(_) => (
                "Prompt of each row",
                "Columns stand in braces, as in: a {colour} {garment}. Left empty, the column \"prompt\" is taken",
            ),
            Self::Insert(_) => ("Insert", "Put this column at the end of the prompt"),
            Self::EditSeed(_) => (
                "Seed",
                "Rows without a seed of their own draw one from this and their number, so that the same table makes \
                 the same pictures",
            ),
            Self::EditRows(_) => ("Rows", "Only these rows, counted from 1: 3-10, 3- or -10. Left empty, all"),
            Self::EditSample(_) => ("Sample", "Only so many of them, drawn by the seed. Left empty, all"),
            Self::Run => {
                ("Make the pictures", "Make the rows that wait, one after the other; jobs of Create go between")
            }
            Self::Pause => ("Pause", "Finish the row in hand, and begin no more"),
            Self::Stop => ("Stop", "Stop the row in hand too; what is made stays made"),
            Self::RetryFailed => ("Try failed rows again", "Make the rows again that failed"),
            Self::Retry(_) => ("Try again", "Make this row again"),
            Self::Show(_) => ("Show", "Show this picture in the gallery"),
        };
        Info { text, tooltip, shortcut: None }
    }
}

impl State {
    pub(super) fn apply_batch(&mut self, action: BatchAction) -> Vec<Effect> {
        match action {
            BatchAction::Choose => return self.ask(DialogRequest::BatchTable),
            BatchAction::Open(path) => return self.open_table(path),
            BatchAction::Reload => {
                let path = self.batch.table.as_ref().map(|table| table.path.clone());
                return path.map(|path| self.open_table(path)).unwrap_or_default();
            }
            BatchAction::Close => {
                if self.batch.active.is_some() {
                    self.notices.info("The batch is running: stop it first", None);
                    return Vec::new();
                }
                self.batch = Batch::default();
                self.mark_dirty();
            }
            BatchAction::EditTemplate(template) => return self.edit_batch(|batch| batch.template = template),
            BatchAction::Insert(column) => {
                return self.edit_batch(|batch| {
                    let is_behind_word = !batch.template.is_empty() && !batch.template.ends_with([' ', '(', '\n']);
                    batch.template.push_str(if is_behind_word { " " } else { "" });
                    batch.template.extend(["{", &column, "}"]);
                });
            }
            BatchAction::EditSeed(seed) => return self.edit_batch(|batch| batch.seed = seed),
            BatchAction::EditRows(rows) => self.edit_selection(|batch| batch.rows_field = rows),
            BatchAction::EditSample(sample) => self.edit_selection(|batch| batch.sample_field = sample),
            BatchAction::Run => return self.run_batch(),
            BatchAction::Pause => {
                if self.batch.run == Run::Going {
                    self.batch.run = Run::Pausing;
                }
            }
            BatchAction::Stop => {
                if self.batch.run != Run::Idle {
                    self.batch.run = Run::Pausing;
                    if let Some(active) = &self.batch.active {
                        return self.apply(Action::CancelJob(active.job));
                    }
                }
            }
            BatchAction::RetryFailed => {
                self.batch.retry(|_| true);
                return self.run_batch();
            }
            BatchAction::Retry(row) => {
                self.batch.retry(|other| other == row);
                return self.run_batch();
            }
            BatchAction::Show(id) => {
                self.place = Place::Gallery;
                return self.apply(Action::OpenPicture(id));
            }
            BatchAction::InView(ids) => {
                let entry = |id| self.batch.picture(id).map(|entry| (id, entry.path.clone()));
                let wanted = ids.into_iter().filter_map(entry).collect();
                return self.gallery.want_thumbnails(wanted).map(ask).into_iter().collect();
            }
        }
        Vec::new()
    }

    /// Looks the rows through again, where something else may have changed: the draft gives what rows do not say.
    pub(super) fn refresh_batch(&mut self) -> Vec<Effect> {
        if self.batch.table.is_some() && self.batch.active.is_none() { self.plan_batch() } else { Vec::new() }
    }

    /// Takes in what the batches' thread says.
    pub fn on_batch_event(&mut self, event: BatchEvent) -> Vec<Effect> {
        match event {
            BatchEvent::Read { path, table } => {
                if self.batch.reading.take_if(|reading| *reading == path).is_none() {
                    return Vec::new(); // another one was opened meanwhile
                }
                match table {
                    Ok(table) => return self.take_table(table),
                    Err(error) => {
                        self.batch.error = Some(error);
                        self.batch.remembered = None;
                        self.mark_dirty();
                    }
                }
            }
            BatchEvent::Checked { ticket, rows } => {
                if ticket == self.batch.ticket && self.batch.active.is_none() {
                    self.batch.take_checked(rows);
                }
            }
            BatchEvent::ResultsFailed(error) => {
                if self.batch.run == Run::Going {
                    self.batch.run = Run::Pausing;
                }
                self.notices.error(error);
                return self.after_row();
            }
            BatchEvent::Ended { path } => self.batch.results = Some(path),
        }
        Vec::new()
    }

    /// A command could not be handed to the batches' thread.
    pub fn on_batch_refused(&mut self, command: &BatchCommand, error: crate::domain::UserError) {
        match command {
            BatchCommand::Read(_) => self.batch.reading = None,
            BatchCommand::Check { .. } => self.batch.checking = false,
            _ => {}
        }
        self.notices.error(error);
    }

    fn open_table(&mut self, path: PathBuf) -> Vec<Effect> {
        self.place = Place::Batch;
        if self.batch.active.is_some() {
            self.notices.info("The batch is running: stop it first", None);
            return Vec::new();
        }
        let is_same = self.batch.table.as_ref().is_some_and(|table| table.path == path);
        // The same table again keeps what was said of it.
        let remembered = if is_same { self.batch.memory() } else { None };
        self.batch = Batch::new(remembered);
        self.batch.reading = Some(path.clone());
        vec![Effect::Batch(BatchCommand::Read(path))]
    }

    fn take_table(&mut self, table: Arc<Table>) -> Vec<Effect> {
        let batch = &mut self.batch;
        if let Some(memory) = batch.remembered.take() {
            (batch.template, batch.seed) = (memory.template, memory.seed);
            (batch.rows_field, batch.sample_field) = (memory.rows, memory.sample);
        }
        batch.rows = vec![RowState::Waiting; table.rows.len()];
        batch.table = Some(table);
        self.mark_dirty();
        self.plan_batch()
    }

    fn edit_selection(&mut self, edit: impl FnOnce(&mut Batch)) {
        edit(&mut self.batch);
        self.batch.select();
        self.mark_dirty();
    }

    fn edit_batch(&mut self, edit: impl FnOnce(&mut Batch)) -> Vec<Effect> {
        if self.batch.active.is_some() {
            return Vec::new(); // what runs was begun with what was said then
        }
        edit(&mut self.batch);
        self.mark_dirty();
        self.plan_batch()
    }

    /// Finds out what the rows mean, and has them looked through.
    fn plan_batch(&mut self) -> Vec<Effect> {
        let Some(table) = self.batch.table.clone() else { return Vec::new() };
        let mut setup = self.batch_setup();
        let plan = Plan::new(Arc::clone(&table), Arc::new(setup.clone())).map(|plan| {
            // Models that rows name are among those that are known, or below the table's folder.
            let named = plan.names_models();
            let families = named.then(|| setup.models.iter().map(|(_, model)| model.clone()).collect::<Vec<_>>());
            for model in families.into_iter().flatten() {
                if !setup.families.iter().any(|(known, _)| *known == model) {
                    setup.families.extend(self.family_of(&model).map(|family| (model, family)));
                }
            }
            if named { Plan::new(Arc::clone(&table), Arc::new(setup)).unwrap_or(plan) } else { plan }
        });
        let batch = &mut self.batch;
        batch.ticket += 1;
        match plan {
            Ok(plan) => {
                let plan = Arc::new(plan);
                (batch.plan, batch.error, batch.checking) = (Some(Arc::clone(&plan)), None, true);
                batch.select();
                vec![Effect::Batch(BatchCommand::Check { ticket: batch.ticket, plan })]
            }
            Err(error) => {
                (batch.plan, batch.error, batch.checking) = (None, Some(error), false);
                batch.select();
                Vec::new()
            }
        }
    }

    /// What rows do not say is as in Create.
    fn batch_setup(&self) -> Setup {
        let base = GenerateRequest { count: 1, seed: 0, prompt: String::new(), ..self.draft.request.clone() };
        let path = |path: &Path| ModelRef::Path(path.to_path_buf());
        let stem = |path: &Path| path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        let ready = self.shelf.entries.iter().filter(|entry| matches!(entry.state, ModelState::Ready(_)));
        let listed =
            ready.flat_map(|entry| [(entry.name.clone(), path(&entry.path)), (stem(&entry.path), path(&entry.path))]);
        let recent = self.models.recent.iter().map(|recent| (stem(recent), path(recent)));
        let families = [base.model.clone(), ModelRef::Starter];
        Setup {
            template: self.batch.template.clone(),
            seed: self.batch.seed,
            families: families
                .into_iter()
                .filter_map(|model| self.family_of(&model).map(|family| (model, family)))
                .collect(),
            models: listed.chain(recent).collect(),
            loras: self.adapters.loras.iter().map(|card| (card.name.clone(), card.path.clone())).collect(),
            base,
        }
    }
}
