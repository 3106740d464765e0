//! [`State`]: all that the window shows.

use std::collections::HashSet;
use std::path::PathBuf;
use std::sync::Arc;

use crate::domain::batch::BatchCommand;
use crate::domain::{
    Capabilities, CatalogueEntry, Command, FamilyId, ModelRef, ModelsCommand, Picture, PictureEntry, PictureId,
    Problem, Recipe, SafetyMode, SamplerId, ScheduleId, Settings, Theme, WindowPlace,
};
use crate::library::{GalleryCommand, LibraryCommand, Paths, QueueCommand};

use super::gallery_actions::ask;
use super::safety::Revealed;
use super::{
    Adapters, Batch, DeviceDesk, DialogRequest, Draft, Effect, Film, FilmItem, Gallery, Grids, ModelStatus, Models,
    Notices, PromptDesk, Queue, Seeds, Shelf, Shell, Size, Source, Timeline, TrainState, TrainingDesk, Variations,
    View, Viewer,
};

/// The places of the window.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Place {
    /// Write a prompt, watch the picture form.
    #[default]
    Create,
    /// Every picture made so far.
    Gallery,
    /// The rows of a table, made into pictures.
    Batch,
    /// Teach a model one's own pictures.
    Train,
    /// Which models are here, and how more come.
    Models,
    /// Look, folders, about.
    Settings,
}

impl Place {
    /// All of them, as they stand in the rail.
    pub const ALL: [Self; 6] = [Self::Create, Self::Gallery, Self::Batch, Self::Train, Self::Models, Self::Settings];
}

/// What is built in, as data from the floors below.
#[derive(Clone, Debug)]
pub struct Catalog {
    /// What each family can do. The starter's must be among them.
    pub families: Vec<&'static Capabilities>,
    /// The samplers to choose from.
    pub samplers: Vec<SamplerId>,
    /// The schedules to choose from.
    pub schedules: Vec<ScheduleId>,
    /// Good first models on the hub.
    pub models: &'static [CatalogueEntry],
    /// Writes a time in milliseconds since 1970 UTC as a local date: `21 Nov 2026, 14:05`.
    pub local_date: fn(i64) -> String,
}

impl Catalog {
    /// What a family can do.
    #[must_use]
    pub fn family(&self, id: FamilyId) -> Option<&'static Capabilities> {
        self.families.iter().copied().find(|family| family.family == id)
    }
}

/// A field for a path, where no file dialog could be opened.
#[derive(Clone, Debug)]
pub struct PathPrompt {
    /// What is asked for.
    pub request: DialogRequest,
    /// What was typed.
    pub text: String,
}

/// The picture that "use seed", "save as" and the like are about.
#[derive(Clone, Copy, Debug)]
pub struct Subject<'a> {
    /// How it was made, if that is known.
    pub recipe: Option<&'a Recipe>,
    /// Its place in the history, if it was saved.
    pub entry: Option<&'a PictureEntry>,
    /// The picture, if it is in memory.
    pub picture: Option<&'a Arc<Picture>>,
    /// Its key in the filmstrip, if it is shown from there.
    pub film_key: Option<u64>,
}

/// All that the window shows.
#[derive(Clone, Debug)]
pub struct State {
    /// The place that is shown.
    pub place: Place,
    /// What is being written.
    pub draft: Draft,
    /// The picture that it begins with, and its mask as it is painted.
    pub source: Source,
    /// What runs and what waits.
    pub queue: Queue,
    /// The pictures of this session.
    pub film: Film,
    /// Their steps.
    pub timeline: Timeline,
    /// The pictures of all sessions.
    pub gallery: Gallery,
    /// Looking at pictures closely: zoom, comparing, making again, importing.
    pub viewer: Viewer,
    /// How a finished picture is varied.
    pub variations: Variations,
    /// Grids: the one that is written, and those that are made.
    pub grids: Grids,
    /// Messages.
    pub notices: Notices,
    /// What is around the work: the palette, the tour, how the window behaves.
    pub shell: Shell,
    /// What can draw.
    pub models: Models,
    /// Which models are here, and how more come.
    pub shelf: Shelf,
    /// The Batch place.
    pub batch: Batch,
    /// The Train place.
    pub train: TrainState,
    /// The adapters and embeddings of the user's folders.
    pub adapters: Adapters,
    /// Writing prompts.
    pub prompt: PromptDesk,
    /// What is built in.
    pub catalog: Catalog,
    /// Where the user's files are; the pictures, unless [`State::pictures_dir`] says otherwise.
    pub paths: Paths,
    /// Dark or light.
    pub theme: Theme,
    /// Whether the window fills the screen.
    pub full_screen: bool,
    /// Where new pictures go, if not into the user's own pictures folder.
    pub pictures_dir: Option<PathBuf>,
    /// What becomes of pictures that a model's safety checker flags.
    pub safety: SafetyMode,
    /// What computes.
    pub device: DeviceDesk,
    pub(super) revealed: HashSet<Revealed>,
    /// Models whose family the library was told, by their hashes.
    pub(super) families_told: HashSet<(String, FamilyId)>,
    /// The dialog that is open now.
    pub dialog: Option<DialogRequest>,
    /// The field for a path, where no dialog could be opened.
    pub path_prompt: Option<PathPrompt>,
    pub(super) window: Option<WindowPlace>,
    pub(super) seeds: Seeds,
    settings_dirty: bool,
}

impl State {
    /// The state at the start. `entropy` is any number that differs from start to start; seeds begin from it.
    #[must_use]
    pub fn new(settings: Settings, catalog: Catalog, paths: Paths, entropy: u64) -> Self {
        let Settings {
            theme,
            window,
            draft,
            seed_locked,
            model_paths,
            pictures_dir,
            model_folders,
            safety,
            device,
            shell,
            keep_steps,
            hub_token,
            batch,
            styles,
            training,
        } = settings;
        let shell = Shell::new(shell, draft.is_none());
        let mut seeds = Seeds::new(entropy);
        let draft = match (draft, catalog.family(FamilyId::Starter)) {
            (Some(request), _) => Draft { request, seed_locked },
            (None, Some(family)) => Draft::example(family, seeds.draw()),
            (None, None) => Draft { request: crate::domain::GenerateRequest::default(), seed_locked },
        };
        Self {
            place: Place::default(),
            source: Source::default(),
            queue: Queue::new(entropy),
            film: Film::default(),
            timeline: Timeline::new(keep_steps),
            gallery: Gallery::default(),
            viewer: Viewer::default(),
            variations: Variations::default(),
            grids: Grids::default(),
            notices: Notices::default(),
            shell,
            models: Models::new(model_paths),
            shelf: Shelf::new(model_folders, hub_token),
            batch: Batch::new(batch),
            train: TrainState { training: TrainingDesk::new(training, &paths.trainings_dir), ..TrainState::default() },
            adapters: Adapters::default(),
            prompt: PromptDesk::new(&draft, styles),
            draft,
            catalog,
            paths,
            theme,
            full_screen: false,
            pictures_dir,
            safety,
            device: DeviceDesk::new(device),
            revealed: HashSet::new(),
            families_told: HashSet::new(),
            dialog: None,
            path_prompt: None,
            window,
            seeds,
            settings_dirty: false,
        }
    }

    /// What to do first: fill the gallery, look for new files, load the draft's model, see which adapters fit it.
    pub fn start(&mut self) -> Vec<Effect> {
        let mut effects = self.refresh_gallery();
        effects.extend([
            ask(GalleryCommand::Reconcile),
            Effect::Queue(QueueCommand::Load),
            Effect::Models(ModelsCommand::List),
            self.preload(self.draft.request.model.clone()),
        ]);
        effects.extend(self.fit_adapters());
        let table = self.batch.reading.clone();
        effects.extend(table.map(|table| Effect::Batch(BatchCommand::Read(table))));
        effects.extend(self.follow_source());
        effects.extend(self.start_prompts());
        effects.extend(self.start_training_desk());
        effects
    }

    /// What is remembered for the next start.
    #[must_use]
    pub fn settings(&self) -> Settings {
        Settings {
            theme: self.theme,
            window: self.window,
            // While a waiting job is being changed, the draft is the one that comes back afterwards.
            draft: Some(self.queue.editing.as_ref().map_or(&self.draft.request, |e| &e.draft_before).clone()),
            seed_locked: self.draft.seed_locked,
            model_paths: self.models.recent.clone(),
            pictures_dir: self.pictures_dir.clone(),
            model_folders: self.shelf.folders.clone(),
            safety: self.safety,
            device: self.device.choice,
            keep_steps: self.timeline.keeps_steps,
            shell: self.shell.settings.clone(),
            hub_token: self.shelf.saved_token.clone(),
            batch: self.batch.memory(),
            styles: self.prompt.styles.applied.clone(),
            training: self.train.training.memory(),
        }
    }

    /// Whether the settings changed since they were last saved.
    #[must_use]
    pub fn settings_dirty(&self) -> bool {
        self.settings_dirty
    }

    /// Hands out the save of the settings and counts them as saved.
    pub fn save_settings(&mut self) -> Effect {
        self.settings_dirty = false;
        Effect::Library(LibraryCommand::SaveSettings(Box::new(self.settings())))
    }

    pub(super) fn mark_dirty(&mut self) {
        self.settings_dirty = true;
    }

    pub(super) fn preload(&mut self, model: ModelRef) -> Effect {
        self.models.set(model.clone(), ModelStatus::Loading);
        Effect::Engine(Command::Preload(model))
    }

    /// What a model's family can do; `None` while the family is not known. The starter's is known from the start.
    #[must_use]
    pub fn family_of(&self, model: &ModelRef) -> Option<&'static Capabilities> {
        match (self.models.info(model), model) {
            (Some(info), _) => self.catalog.family(info.family),
            (None, ModelRef::Starter) => self.catalog.family(FamilyId::Starter),
            (None, ModelRef::Path(_)) => None,
        }
    }

    /// What the draft's family can do.
    #[must_use]
    pub fn family(&self) -> Option<&'static Capabilities> {
        self.family_of(&self.draft.request.model)
    }

    /// Bounds of the draft's sides.
    #[must_use]
    pub fn size_bounds(&self) -> Option<Size> {
        self.family().map(Size::of)
    }

    /// What is wrong with the draft, field by field.
    #[must_use]
    pub fn problems(&self) -> Vec<Problem> {
        self.family().map(|family| self.styled_request().validate(family)).unwrap_or_default()
    }

    /// Why Generate cannot be used now.
    #[must_use]
    pub fn generate_blocked(&self) -> Option<String> {
        let model = &self.draft.request.model;
        if self.family().is_none() {
            return Some(match self.models.status(model) {
                Some(ModelStatus::Failed(error)) => format!("{}. Choose another model", error.sentence),
                Some(ModelStatus::Ready(_)) => "This model is of a kind that cannot be used here".to_owned(),
                Some(ModelStatus::Loading) | None => "The model is being loaded".to_owned(),
            });
        }
        let problem = self.problems().into_iter().next().map(|problem| problem.sentence);
        problem.or_else(|| self.source.problem(self.draft.request.init.as_ref()))
    }

    /// The picture of this session that is in view; `None` while a forming one is, or none was made.
    #[must_use]
    pub fn film_in_view(&self) -> Option<&FilmItem> {
        match self.film.view {
            View::Film(key) => self.film.item(key),
            View::Live if self.queue.running().is_some() => None,
            View::Live => self.film.newest(),
        }
    }

    /// The picture that picture actions are about, in the place that is shown.
    #[must_use]
    pub fn subject(&self) -> Option<Subject<'_>> {
        match self.place {
            Place::Create => self.film_in_view().map(|item| Subject {
                recipe: Some(&item.recipe),
                entry: item.saved.as_ref().ok(),
                picture: item.picture.as_ref(),
                film_key: Some(item.key),
            }),
            Place::Gallery => self.gallery.selected_entry().map(|entry| Subject {
                recipe: entry.recipe.as_ref(),
                entry: Some(entry),
                picture: self.gallery.opened.as_ref().filter(|(id, _)| *id == entry.id).map(|(_, picture)| picture),
                film_key: None,
            }),
            Place::Batch | Place::Train | Place::Models | Place::Settings => None,
        }
    }

    /// A picture that was saved, if it is known in the gallery or in the filmstrip.
    #[must_use]
    pub fn saved_entry(&self, id: PictureId) -> Option<&PictureEntry> {
        let of_film = || self.film.items().filter_map(|item| item.saved.as_ref().ok()).find(|entry| entry.id == id);
        self.gallery.entry(id).or_else(of_film).or_else(|| self.batch.picture(id))
    }

    /// Where new pictures go.
    #[must_use]
    pub fn pictures_folder(&self) -> &std::path::Path {
        self.pictures_dir.as_deref().unwrap_or(&self.paths.pictures_dir)
    }
}
