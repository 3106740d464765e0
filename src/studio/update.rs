//! [`State::apply`]: what each act of the user changes, and what is to be done outside for it.

use std::path::PathBuf;

use crate::domain::{BulkWork, ImageFormat, ModelRef, PictureId, UserError};
use crate::library::{GalleryCommand, LibraryCommand, SaveSource};

use super::gallery_actions::ask;
use super::prompt_undo::Touch;
use super::{
    Action, BatchAction, DialogAnswer, DialogRequest, Edit, Effect, ModelStatus, Move, PathPrompt, Place, ShelfAction,
    State, TrainTab, View,
};

/// What a zip file of pictures is called where nobody says otherwise.
pub const ZIP_NAME: &str = "pictures.zip";

impl State {
    /// Carries out an act of the user.
    pub fn apply(&mut self, action: Action) -> Vec<Effect> {
        self.before(&action);
        let touch = Touch::of(&action);
        let mut effects = self.carry_out(action);
        effects.extend(self.settle(&touch));
        effects.extend(self.follow_source());
        effects
    }

    fn carry_out(&mut self, action: Action) -> Vec<Effect> {
        match action {
            Action::Shell(action) => return self.apply_shell(action),
            Action::GoTo(place) => {
                self.place = place;
                if place == Place::Batch {
                    return self.refresh_batch();
                }
                if place == Place::Train && self.train.tab == TrainTab::Training {
                    return self.training_shown();
                }
            }
            Action::ToggleFullScreen => {
                self.full_screen = !self.full_screen;
                return vec![Effect::FullScreen(self.full_screen)];
            }
            Action::Quit => return vec![Effect::Close],
            Action::Generate => return self.generate(),
            Action::Cancel => self.queue.cancel_running(),
            Action::CancelJob(job) => {
                let effects = self.queue.cancel(job);
                return self.taken_out(effects);
            }
            Action::RunNext(job) => return self.queue.run_next(job),
            Action::ClearQueue => {
                let effects = self.queue.clear(|_| true);
                return self.taken_out(effects);
            }
            Action::Queue(action) => return self.apply_queue(action),
            Action::Timeline(action) => return self.apply_timeline(action),
            Action::Edit(Edit::Model(model)) => return self.choose_model(model),
            Action::Edit(edit) => {
                let family = self.family();
                self.draft.edit(edit, family);
                self.mark_dirty();
            }
            Action::Extra(extra) => {
                self.draft.edit_extra(extra);
                self.mark_dirty();
            }
            Action::Source(action) => return self.apply_source(action),
            Action::Variation(action) => return self.apply_variation(&action),
            Action::Grid(action) => return self.apply_grid(action),
            Action::ChooseInit => return self.ask(DialogRequest::Init),
            Action::ChooseMask => return self.ask(DialogRequest::Mask),
            Action::ChooseVae => return self.ask(DialogRequest::Vae),
            Action::BeginWithSelected => return self.begin_with_selected(),
            Action::UpscaleSelected => return self.upscale_selected(),
            Action::Dropped(paths) => return self.dropped(paths),
            Action::SwapSides => {
                let request = &mut self.draft.request;
                std::mem::swap(&mut request.width_px, &mut request.height_px);
                self.mark_dirty();
            }
            Action::RollSeed => {
                self.draft.request.seed = self.seeds.draw();
                self.mark_dirty();
            }
            Action::ToggleSeedLock => {
                self.draft.seed_locked = !self.draft.seed_locked;
                self.mark_dirty();
            }
            Action::Batch(action) => return self.apply_batch(action),
            Action::Train(action) => return self.apply_train(action),
            Action::Shelf(action) => return self.apply_shelf(action),
            Action::Adapter(action) => return self.apply_adapter(action),
            Action::Prompt(action) => return self.apply_prompt(action),
            Action::ChooseModel => return self.ask(DialogRequest::ModelFolder),
            Action::ChoosePicturesFolder => return self.ask(DialogRequest::PicturesFolder),
            Action::ShowLive => {
                self.film.view = View::Live;
                self.source.shown = false;
            }
            Action::ShowFilm(key) => return self.show_film(key),
            Action::OpenPicture(id) => return self.open(id),
            Action::OpenSelected => {
                if let Some(id) = self.gallery.selected {
                    return self.open(id);
                }
            }
            Action::ClosePicture => return self.close_picture(),
            Action::Viewer(action) => return self.apply_viewer(action),
            Action::Move(direction) => return self.move_selection(direction),
            Action::Gallery(action) => return self.apply_gallery(action),
            Action::Rescan => return vec![ask(GalleryCommand::Reconcile), self.search()],
            Action::UseAllParameters | Action::UsePrompt | Action::UseSeed => return self.reuse(&action),
            Action::SaveAs => return self.save_as(),
            Action::CopyPicture => return self.copy_picture(),
            Action::CopyPrompt => return self.copy_prompt(),
            Action::Trash => return self.trash(),
            Action::SetTheme(theme) => {
                self.theme = theme;
                return vec![self.save_settings()];
            }
            Action::Device(action) => return self.apply_device(&action),
            Action::SetSafety(mode) => {
                self.set_safety(mode);
                return vec![self.save_settings()];
            }
            Action::ToggleReveal => self.toggle_reveal(),
            Action::ResetPicturesFolder => return self.use_pictures_folder(None),
            Action::DismissNotice(key) => self.notices.dismiss(key),
            Action::Answered(answer) => {
                if let Some(request) = self.dialog.take() {
                    return self.answered(request, answer);
                }
            }
            Action::EditPath(text) => {
                if let Some(prompt) = &mut self.path_prompt {
                    prompt.text = text;
                }
            }
            Action::AcceptPath => return self.accept_path(),
            Action::DropPath => self.path_prompt = None,
            Action::WindowPlaced(place) => {
                // A maximized window's size is the screen's: the size to go back to is the one before.
                let place = match self.window {
                    Some(before) if place.maximized => crate::domain::WindowPlace { maximized: true, ..before },
                    _ => place,
                };
                if self.window != Some(place) {
                    self.window = Some(place);
                    self.mark_dirty();
                }
            }
        }
        Vec::new()
    }

    fn generate(&mut self) -> Vec<Effect> {
        if let Some(reason) = self.generate_blocked() {
            // The button is disabled with this reason; this answers the shortcut.
            self.notices.info(reason, None);
            return Vec::new();
        }
        let (mut effects, waits) = self.settle_source(&Action::Generate);
        if waits {
            return effects;
        }
        let request = self.styled_request().into_owned();
        if !self.draft.seed_locked {
            self.draft.request.seed = self.seeds.draw();
        }
        effects.push(self.save_settings());
        effects.extend(self.enqueue(request));
        effects
    }

    pub(super) fn choose_model(&mut self, model: ModelRef) -> Vec<Effect> {
        let known = self.family_of(&model);
        self.models.remember(&model);
        let changed = self.draft.request.model != model;
        self.draft.edit(Edit::Model(model.clone()), None);
        self.models.defaults_wanted = None;
        if changed {
            match known {
                Some(family) => self.draft.take_defaults(family),
                None => self.models.defaults_wanted = Some(model.clone()),
            }
        }
        let mut effects = vec![self.save_settings()];
        effects.extend(self.fit_adapters());
        if !matches!(self.models.status(&model), Some(ModelStatus::Ready(_) | ModelStatus::Loading)) {
            effects.push(self.preload(model));
        }
        effects
    }

    fn show_film(&mut self, key: u64) -> Vec<Effect> {
        self.film.view = View::Film(key);
        self.source.shown = false;
        match self.film.item(key) {
            Some(item) if item.picture.is_none() => match &item.saved {
                Ok(entry) => {
                    vec![Effect::Library(LibraryCommand::Open { id: entry.id, path: entry.path.clone() })]
                }
                Err(_) => Vec::new(),
            },
            _ => Vec::new(),
        }
    }

    pub(super) fn open(&mut self, id: PictureId) -> Vec<Effect> {
        if let Some(first) = self.viewer.picking.filter(|first| *first != id) {
            return self.compare(first, id);
        }
        self.viewer.picking = None;
        self.gallery.select(id);
        self.gallery.large = true;
        let mut effects: Vec<Effect> = self.gallery.look_around().map(ask).into_iter().collect();
        effects.extend(self.read_selected());
        effects
    }

    /// Reads the selected picture's file, once its row is known.
    pub(super) fn read_selected(&mut self) -> Vec<Effect> {
        let Some(entry) = self.gallery.selected_entry() else { return Vec::new() };
        if self.gallery.opened.as_ref().is_some_and(|(id, _)| *id == entry.id) {
            return Vec::new();
        }
        vec![Effect::Library(LibraryCommand::Open { id: entry.id, path: entry.path.clone() })]
    }

    fn move_selection(&mut self, direction: Move) -> Vec<Effect> {
        if self.gallery.large && matches!(direction, Move::Up | Move::Down) {
            return Vec::new();
        }
        let Some(id) = self.gallery.neighbour(direction) else { return Vec::new() };
        if self.gallery.large {
            return self.open(id);
        }
        self.gallery.select(id);
        Vec::new()
    }

    fn reuse(&mut self, action: &Action) -> Vec<Effect> {
        let Some(recipe) = self.subject().and_then(|subject| subject.recipe) else { return Vec::new() };
        let recipe = recipe.clone();
        let request = &recipe.request;
        match action {
            Action::UsePrompt => {
                // A recipe's prompts have their styles in them.
                self.prompt.styles.applied.clear();
                self.draft.request.prompt.clone_from(&request.prompt);
                self.draft.request.negative_prompt.clone_from(&request.negative_prompt);
            }
            Action::UseSeed => {
                self.draft.request.seed = request.seed;
                self.draft.seed_locked = true;
            }
            _ => return self.use_recipe(&recipe),
        }
        self.place = Place::Create;
        self.mark_dirty();
        self.set_alone(false)
    }

    fn save_as(&mut self) -> Vec<Effect> {
        let Some(subject) = self.subject() else { return Vec::new() };
        let source = match (subject.entry, subject.picture, subject.recipe) {
            (Some(entry), _, _) => SaveSource::File(entry.path.clone()),
            (None, Some(picture), Some(recipe)) => SaveSource::Memory(picture.clone(), Box::new(recipe.clone())),
            _ => return Vec::new(),
        };
        let suggested_name = match &source {
            SaveSource::File(path) => path.file_name().map(|name| name.to_string_lossy().into_owned()),
            SaveSource::Memory(_, recipe) => Some(format!("atelier-{}.png", recipe.request.seed)),
        }
        .unwrap_or_else(|| "atelier.png".to_owned());
        self.ask(DialogRequest::SavePicture { suggested_name, source })
    }

    fn copy_picture(&mut self) -> Vec<Effect> {
        let Some(subject) = self.subject() else { return Vec::new() };
        match (subject.picture, subject.entry) {
            (Some(picture), _) => {
                let effect = Effect::CopyPicture(picture.clone());
                self.notices.info("The picture is on the clipboard", None);
                vec![effect]
            }
            (None, Some(entry)) => {
                let (id, path) = (entry.id, entry.path.clone());
                self.gallery.copy_when_opened = Some(id);
                vec![Effect::Library(LibraryCommand::Open { id, path })]
            }
            (None, None) => Vec::new(),
        }
    }

    fn copy_prompt(&mut self) -> Vec<Effect> {
        let Some(recipe) = self.subject().and_then(|subject| subject.recipe) else { return Vec::new() };
        let effect = Effect::CopyText(recipe.request.prompt.clone());
        self.notices.info("The prompt is on the clipboard", None);
        vec![effect]
    }

    fn trash(&mut self) -> Vec<Effect> {
        if self.place == Place::Gallery {
            let ids = self.gallery.subjects();
            return if ids.is_empty() { Vec::new() } else { self.work_on(ids, BulkWork::Trash) };
        }
        let Some(subject) = self.subject() else { return Vec::new() };
        match (subject.entry, subject.film_key) {
            // As in the gallery, from where it can be taken back.
            (Some(entry), _) if entry.id.0 > 0 && entry.path.starts_with(self.pictures_folder()) => {
                let ids = vec![entry.id];
                self.work_on(ids, BulkWork::Trash)
            }
            // The index does not know it, or that of another folder does.
            (Some(entry), _) => {
                vec![Effect::Library(LibraryCommand::Trash { id: entry.id, path: entry.path.clone() })]
            }
            // It was never saved, so there is no file: it only leaves the filmstrip.
            (None, Some(key)) => {
                self.film.remove(key);
                Vec::new()
            }
            (None, None) => Vec::new(),
        }
    }

    pub(super) fn ask(&mut self, request: DialogRequest) -> Vec<Effect> {
        if self.dialog.is_some() {
            return Vec::new(); // one dialog at a time
        }
        self.dialog = Some(request.clone());
        vec![Effect::Ask(request)]
    }

    fn answered(&mut self, request: DialogRequest, answer: DialogAnswer) -> Vec<Effect> {
        match answer {
            DialogAnswer::Dismissed => Vec::new(),
            DialogAnswer::Chosen(path) => self.chosen(request, path),
            DialogAnswer::Unavailable => {
                let text = match &request {
                    DialogRequest::ModelFolder
                    | DialogRequest::ModelFile
                    | DialogRequest::ModelsFolder
                    | DialogRequest::BatchTable
                    | DialogRequest::Vae
                    | DialogRequest::ImportFolder
                    | DialogRequest::TrainingSettings
                    | DialogRequest::TrainingFolder
                    | DialogRequest::TrainingDataset
                    | DialogRequest::Dataset(_)
                    | DialogRequest::Styles => String::new(),
                    DialogRequest::SaveTrainingSettings => self.suggested_settings().display().to_string(),
                    DialogRequest::Init | DialogRequest::Mask | DialogRequest::PicturesFolder => {
                        self.pictures_folder().display().to_string()
                    }
                    DialogRequest::CopyOut(_) => self.pictures_folder().display().to_string(),
                    DialogRequest::Zip(_) => self.pictures_folder().join(ZIP_NAME).display().to_string(),
                    DialogRequest::SavePicture { suggested_name, .. } => {
                        self.pictures_folder().join(suggested_name).display().to_string()
                    }
                };
                self.path_prompt = Some(PathPrompt { request, text });
                Vec::new()
            }
        }
    }

    fn accept_path(&mut self) -> Vec<Effect> {
        let Some(PathPrompt { request, text }) = self.path_prompt.take() else { return Vec::new() };
        let path = PathBuf::from(text.trim());
        if !path.is_absolute() {
            let error =
                UserError::input("The path is not a whole one").hint("begin with / or a drive letter").path(&path);
            self.notices.error(error);
            self.path_prompt = Some(PathPrompt { request, text });
            return Vec::new();
        }
        self.chosen(request, path)
    }

    /// Pictures of jobs that are added from now on go there, and the gallery shows what is there.
    fn use_pictures_folder(&mut self, folder: Option<PathBuf>) -> Vec<Effect> {
        self.pictures_dir = folder;
        let folder = self.pictures_folder().to_path_buf();
        self.gallery.leave_folder();
        self.drop_replay();
        let mut effects = self.leave_viewer();
        effects.extend([self.save_settings(), ask(GalleryCommand::UseFolder(folder)), self.search()]);
        effects
    }

    fn chosen(&mut self, request: DialogRequest, mut path: PathBuf) -> Vec<Effect> {
        match request {
            DialogRequest::BatchTable => self.apply_batch(BatchAction::Open(path)),
            DialogRequest::ModelFolder => self.choose_model(ModelRef::Path(path)),
            DialogRequest::ModelFile => self.apply_shelf(ShelfAction::Inspect(path)),
            DialogRequest::ModelsFolder => self.add_models_folder(path),
            DialogRequest::Init | DialogRequest::Mask | DialogRequest::Vae => {
                self.chosen_extra(&request, path);
                Vec::new()
            }
            DialogRequest::Dataset(dialog) => self.chosen_for_dataset(dialog, path),
            DialogRequest::PicturesFolder => self.use_pictures_folder(Some(path)),
            DialogRequest::ImportFolder => self.take_in(vec![path]),
            DialogRequest::Styles => Self::import_styles(path),
            DialogRequest::TrainingSettings
            | DialogRequest::SaveTrainingSettings
            | DialogRequest::TrainingFolder
            | DialogRequest::TrainingDataset => self.training_chosen(&request, path),
            DialogRequest::CopyOut(ids) => {
                self.work_on(ids, BulkWork::CopyTo { folder: path, recipe: self.gallery.recipe_in_copies })
            }
            DialogRequest::Zip(ids) => {
                if path.extension().is_none() {
                    path.set_extension("zip");
                }
                self.work_on(ids, BulkWork::Zip { file: path, recipe: self.gallery.recipe_in_copies })
            }
            DialogRequest::SavePicture { source, .. } => {
                // Without an ending that says otherwise, a copy is a PNG: lossless, with its recipe.
                if ImageFormat::from_path(&path).is_none() && path.extension().is_none() {
                    path.set_extension("png");
                }
                vec![Effect::Library(LibraryCommand::SaveAs { source, target: path })]
            }
        }
    }
}
