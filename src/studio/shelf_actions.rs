//! [`ShelfAction`]: every act of the user in the Models place, and what it changes.

use std::path::PathBuf;

use super::{AdapterAction, DialogRequest, Effect, Info, Place, State, TransferState, repo_of};
use crate::domain::{ModelRef, ModelsCommand, ModelsEvent, Secret, TransferEnd, TransferKey, UserError};

/// An act of the user in the Models place.
#[derive(Clone, Debug, PartialEq)]
pub enum ShelfAction {
    /// List the models again.
    Refresh,
    /// Choose a file in a dialog, to look at it.
    ChooseFile,
    /// Choose a folder in a dialog, whose models are listed from now on.
    ChooseFolder,
    /// Say what a file or folder is.
    Inspect(PathBuf),
    /// Close what was looked at.
    CloseLook(PathBuf),
    /// Copy a file into the program's own folder.
    Import(PathBuf),
    /// The repository that is being typed.
    EditRepo(String),
    /// Ask the hub about the repository that was typed.
    PlanTyped,
    /// Ask the hub what a download would bring.
    Plan(String),
    /// Download it, or go on with it.
    Download(String),
    /// Go on with a download that was stopped.
    Resume(String),
    /// Stop a transfer, and keep what arrived.
    Pause(TransferKey),
    /// Stop a transfer, and throw away what it brought.
    Cancel(TransferKey),
    /// Try a transfer that failed again.
    Retry(TransferKey),
    /// Close a transfer that does not move.
    Close(TransferKey),
    /// Draw with this model: its file or folder.
    Use(PathBuf),
    /// Ask whether a model is to be removed.
    AskRemove(PathBuf),
    /// Take it from the disk.
    Remove(PathBuf),
    /// Do not remove it.
    KeepModel,
    /// Do not look into a folder any more.
    ForgetFolder(PathBuf),
    /// The access token that is being typed.
    EditToken(Secret),
    /// Sign in with the token that was typed, and remember it.
    SaveToken,
    /// Forget the remembered token.
    ForgetToken,
    /// Open a page of the hub in the browser.
    OpenPage(String),
    /// Put the address of a page of the hub on the clipboard.
    CopyAddress(String),
}

impl ShelfAction {
    /// Text and tooltip; none has a shortcut.
    #[must_use]
    pub fn info(&self) -> Info {
        let (text, tooltip) = match self {
            Self::Refresh => ("Look again", "Look for models that came or went"),
            Self::ChooseFile => ("Open a file…", "See what a model's file is, and bring it here"),
            Self::ChooseFolder => ("Add a folder…", "List the models of a folder; they stay where they are"),
            Self::Inspect(_) => ("Look", "See what this file is"),
            Self::CloseLook(_) | Self::Close(_) => ("Close", "Take this off the list"),
            Self::Import(_) => ("Import", "Copy it into the folder for its kind, and check its values"),
            Self::EditRepo(_) => ("Repository", "A model on the hub, named like stabilityai/sd-turbo"),
            Self::PlanTyped => ("Look it up", "See what there is to download, and how large it is"),
            Self::Plan(_) => ("Download…", "See what there is to download, and how large it is"),
            Self::Download(_) => ("Download", "Fetch the files that are needed"),
            Self::Resume(_) => ("Go on", "Fetch the rest"),
            Self::Pause(_) => ("Pause", "Stop for now; what arrived is kept"),
            Self::Cancel(_) => ("Cancel", "Stop, and throw away what arrived"),
            Self::Retry(_) => ("Try again", "Go on from what is here already"),
            Self::Use(_) => ("Use this model", "Draw the next pictures with it"),
            Self::AskRemove(_) => ("Remove…", "Take it from the disk"),
            Self::Remove(_) => ("Remove", "Take it from the disk; it can be downloaded or imported again"),
            Self::KeepModel => ("Keep it", "Do not remove it"),
            Self::ForgetFolder(_) => ("Forget", "Do not list this folder's models any more; nothing is deleted"),
            Self::EditToken(_) => ("Access token", "Opens models whose terms you have accepted, and private ones"),
            Self::SaveToken => ("Use this token", "Keep it in the settings, and send it to the hub only"),
            Self::ForgetToken => ("Forget the token", "Take it out of the settings"),
            Self::OpenPage(_) => ("Open its page", "Open the hub's page in the browser"),
            Self::CopyAddress(_) => ("Copy its address", "Put the address of the hub's page on the clipboard"),
        };
        Info { text, tooltip, shortcut: None }
    }
}

impl State {
    /// Carries out an act in the Models place.
    pub(super) fn apply_shelf(&mut self, action: ShelfAction) -> Vec<Effect> {
        let command = match action {
            ShelfAction::Refresh => ModelsCommand::List,
            ShelfAction::ChooseFile => return self.ask(DialogRequest::ModelFile),
            ShelfAction::ChooseFolder => return self.ask(DialogRequest::ModelsFolder),
            ShelfAction::Inspect(path) => {
                self.shelf.look(path.clone());
                ModelsCommand::Inspect(path)
            }
            ShelfAction::CloseLook(path) => {
                self.shelf.forget_look(&path);
                return Vec::new();
            }
            ShelfAction::Import(path) => {
                self.shelf.forget_look(&path);
                self.shelf.set(TransferKey::File(path.clone()), TransferState::Waiting);
                ModelsCommand::Import(path)
            }
            ShelfAction::EditRepo(text) => {
                self.shelf.repo_field = text;
                return Vec::new();
            }
            ShelfAction::PlanTyped => {
                let repo = repo_of(&std::mem::take(&mut self.shelf.repo_field));
                if repo.is_empty() {
                    return Vec::new();
                }
                return self.plan_download(repo);
            }
            ShelfAction::Plan(repo) => return self.plan_download(repo),
            ShelfAction::Download(repo) | ShelfAction::Resume(repo) => {
                self.shelf.set(TransferKey::Repo(repo.clone()), TransferState::Waiting);
                ModelsCommand::Download(repo)
            }
            ShelfAction::Pause(key) => ModelsCommand::Pause(key),
            ShelfAction::Cancel(key) => ModelsCommand::Cancel(key),
            ShelfAction::Retry(key) => {
                let was_planned = self.shelf.transfer(&key).is_some_and(|transfer| transfer.plan.is_some());
                match key {
                    TransferKey::Repo(repo) if !was_planned => return self.plan_download(repo),
                    TransferKey::Repo(repo) => {
                        self.shelf.set(TransferKey::Repo(repo.clone()), TransferState::Waiting);
                        ModelsCommand::Download(repo)
                    }
                    TransferKey::File(path) => {
                        self.shelf.set(TransferKey::File(path.clone()), TransferState::Waiting);
                        ModelsCommand::Import(path)
                    }
                }
            }
            ShelfAction::Close(key) => {
                self.shelf.forget(&key);
                return Vec::new();
            }
            ShelfAction::Use(path) => {
                self.place = Place::Create;
                return self.choose_model(ModelRef::Path(path));
            }
            ShelfAction::AskRemove(path) => {
                self.shelf.removing = Some(path);
                return Vec::new();
            }
            ShelfAction::Remove(path) => ModelsCommand::Remove(path),
            ShelfAction::KeepModel => {
                self.shelf.removing = None;
                return Vec::new();
            }
            ShelfAction::ForgetFolder(folder) => {
                self.shelf.folders.retain(|other| *other != folder);
                return self.use_folders();
            }
            ShelfAction::EditToken(token) => {
                self.shelf.token_field = token;
                return Vec::new();
            }
            ShelfAction::SaveToken => {
                let token = std::mem::take(&mut self.shelf.token_field);
                if token.is_empty() {
                    return Vec::new();
                }
                self.shelf.saved_token = Some(token);
                return self.use_token();
            }
            ShelfAction::ForgetToken => {
                self.shelf.saved_token = None;
                return self.use_token();
            }
            ShelfAction::OpenPage(address) => return vec![Effect::OpenPage(address)],
            ShelfAction::CopyAddress(address) => {
                self.notices.info("The address is on the clipboard", None);
                return vec![Effect::CopyText(address)];
            }
        };
        vec![Effect::Models(command)]
    }

    /// Lists the models of a folder too, from now on.
    pub(super) fn add_models_folder(&mut self, folder: PathBuf) -> Vec<Effect> {
        if !self.shelf.folders.contains(&folder) {
            self.shelf.folders.push(folder);
        }
        self.use_folders()
    }

    /// Takes in what the models' thread says.
    pub fn on_models_event(&mut self, event: ModelsEvent) -> Vec<Effect> {
        if let ModelsEvent::Fitted { model, cards } = event {
            self.adapters.fitted(&model, cards);
            self.prompt.names_version += 1;
            return Vec::new();
        }
        if let ModelsEvent::Prompt(answer) = event {
            return self.on_prompt_answer(answer);
        }
        // An adapter or embedding that was brought here can be worn at once.
        let is_adapter = |path: &PathBuf| {
            [&self.paths.loras_dir, &self.paths.embeddings_dir].iter().any(|folder| path.starts_with(folder))
        };
        let effects = match &event {
            ModelsEvent::TransferEnded { end: TransferEnd::Done(path), .. } if is_adapter(path) => {
                self.apply_adapter(AdapterAction::Refresh)
            }
            _ => Vec::new(),
        };
        match self.shelf.on_event(event) {
            Some(Ok(sentence)) => self.notices.info(sentence, None),
            Some(Err(error)) => self.notices.error(error),
            None => {}
        }
        effects
    }

    /// A command could not be handed to the models' thread.
    pub fn on_models_refused(&mut self, command: ModelsCommand, error: UserError) {
        let event = match command {
            ModelsCommand::Inspect(path) => ModelsEvent::Inspected { path, found: Err(error) },
            ModelsCommand::Prompt(_) => return self.on_prompt_refused(),
            ModelsCommand::Fit(model) => ModelsEvent::Fitted { model, cards: Err(error) },
            ModelsCommand::Plan(repo) | ModelsCommand::Download(repo) => {
                ModelsEvent::TransferEnded { key: TransferKey::Repo(repo), end: TransferEnd::Failed(error) }
            }
            ModelsCommand::Import(path) => {
                ModelsEvent::TransferEnded { key: TransferKey::File(path), end: TransferEnd::Failed(error) }
            }
            ModelsCommand::Remove(path) => ModelsEvent::RemoveFailed { path, error },
            ModelsCommand::List
            | ModelsCommand::UseFolders(_)
            | ModelsCommand::UseToken(_)
            | ModelsCommand::Pause(_)
            | ModelsCommand::Cancel(_)
            | ModelsCommand::Shutdown => return self.notices.error(error),
        };
        self.on_models_event(event);
    }

    fn plan_download(&mut self, repo: String) -> Vec<Effect> {
        let key = TransferKey::Repo(repo.clone());
        let moves = |state: &TransferState| !matches!(state, TransferState::Failed(_) | TransferState::Planned);
        if self.shelf.transfer(&key).is_some_and(|transfer| moves(&transfer.state)) {
            return Vec::new(); // asked for already
        }
        self.shelf.set(key, TransferState::Planning);
        vec![Effect::Models(ModelsCommand::Plan(repo))]
    }

    fn use_folders(&mut self) -> Vec<Effect> {
        vec![self.save_settings(), Effect::Models(ModelsCommand::UseFolders(self.shelf.folders.clone()))]
    }

    fn use_token(&mut self) -> Vec<Effect> {
        vec![self.save_settings(), Effect::Models(ModelsCommand::UseToken(self.shelf.saved_token.clone()))]
    }
}
