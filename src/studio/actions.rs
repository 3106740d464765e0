//! [`Action`]: every act of the user, with its text, its tooltip and its keys.

use std::path::PathBuf;

use crate::domain::{JobId, ModelRef, PictureId, SafetyMode, SamplerId, ScheduleId, Theme, WindowPlace};

use super::{
    AdapterAction, BatchAction, DeviceAction, DialogAnswer, Extra, GalleryAction, GridAction, Key, Place, PromptAction,
    QueueAction, ShelfAction, ShellAction, Shortcut, SourceAction, TimelineAction, TrainAction, VariationAction,
    ViewerAction,
};

/// A change of one field of the draft. Values out of bounds are brought into them.
#[derive(Clone, Debug, PartialEq)]
pub enum Edit {
    /// What to draw.
    Prompt(String),
    /// What to steer away from.
    NegativePrompt(String),
    /// Which model draws it.
    Model(ModelRef),
    /// Width in px.
    Width(u32),
    /// Height in px.
    Height(u32),
    /// Both sides in px, from a preset.
    Size(u32, u32),
    /// How many denoising steps.
    Steps(u32),
    /// How closely to follow the prompt.
    Guidance(f64),
    /// How to step.
    Sampler(SamplerId),
    /// Which noise levels to step through.
    Schedule(ScheduleId),
    /// The seed of the first picture.
    Seed(u64),
    /// How many pictures.
    Count(u32),
}

/// Where to go in the gallery.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Move {
    /// To the newer neighbour.
    Previous,
    /// To the older neighbour.
    Next,
    /// One row up in the grid.
    Up,
    /// One row down in the grid.
    Down,
}

/// Every act of the user.
#[derive(Clone, Debug, PartialEq)]
pub enum Action {
    /// Show another place.
    GoTo(Place),
    /// Fill the screen, or stop doing so.
    ToggleFullScreen,
    /// End the program.
    Quit,
    /// Queue the draft.
    Generate,
    /// Stop the running job.
    Cancel,
    /// Take a job out of the queue, or stop it if it runs.
    CancelJob(JobId),
    /// Let a waiting job run next.
    RunNext(JobId),
    /// Take all waiting jobs out of the queue.
    ClearQueue,
    /// Something with the jobs that wait.
    Queue(QueueAction),
    /// Something with the steps of a picture.
    Timeline(TimelineAction),
    /// Change a field of the draft.
    Edit(Edit),
    /// Change what a picture is made with besides the prompt.
    Extra(Extra),
    /// Something with adapters and embeddings.
    Adapter(AdapterAction),
    /// Something with the picture to begin with: painting a mask, looking closer.
    Source(SourceAction),
    /// Something with the prompt that is being written.
    Prompt(PromptAction),
    /// Something with variations.
    Variation(VariationAction),
    /// Something with grids.
    Grid(GridAction),
    /// Choose the picture to begin with in a dialog.
    ChooseInit,
    /// Choose its mask in a dialog.
    ChooseMask,
    /// Choose another autoencoder in a dialog.
    ChooseVae,
    /// Begin with the picture in view.
    BeginWithSelected,
    /// Make the picture in view larger.
    UpscaleSelected,
    /// Files were dropped on the window.
    Dropped(Vec<PathBuf>),
    /// Swap width and height.
    SwapSides,
    /// Draw a new seed.
    RollSeed,
    /// Keep the seed after Generate, or draw a new one each time.
    ToggleSeedLock,
    /// Choose a model's folder in a dialog.
    ChooseModel,
    /// Something in the Batch place.
    Batch(BatchAction),
    /// Something in the Train place.
    Train(TrainAction),
    /// Something in the Models place.
    Shelf(ShelfAction),
    /// Something around the work: the palette, the tour, errors, the scale.
    Shell(ShellAction),
    /// Show the picture that is forming.
    ShowLive,
    /// Show a picture of this session, by its key.
    ShowFilm(u64),
    /// Select a picture of the history and show it large.
    OpenPicture(PictureId),
    /// Show the selected picture large.
    OpenSelected,
    /// Back from the large view to the grid.
    ClosePicture,
    /// Select a neighbour in the gallery.
    Move(Move),
    /// Something with a picture that is looked at closely: zoom, comparing, making it again; and importing.
    Viewer(ViewerAction),
    /// Something in the gallery: searching, stars, collections, several pictures at once.
    Gallery(GalleryAction),
    /// Look for new and deleted files.
    Rescan,
    /// Make the picture's recipe the draft.
    UseAllParameters,
    /// Take over the picture's prompts only.
    UsePrompt,
    /// Take over the picture's seed only, and lock it.
    UseSeed,
    /// Write a copy of the picture somewhere.
    SaveAs,
    /// Put the picture on the clipboard.
    CopyPicture,
    /// Put its prompt on the clipboard.
    CopyPrompt,
    /// Move the picture to the system's trash.
    Trash,
    /// Dark or light.
    SetTheme(Theme),
    /// What becomes of flagged pictures.
    SetSafety(SafetyMode),
    /// What computes.
    Device(DeviceAction),
    /// Show the hidden picture in view, or hide it again.
    ToggleReveal,
    /// Choose where pictures go.
    ChoosePicturesFolder,
    /// Put pictures into the user's own pictures folder again.
    ResetPicturesFolder,
    /// Close a notice, by its key.
    DismissNotice(u64),
    /// A dialog was answered.
    Answered(DialogAnswer),
    /// The path typed where no file dialog could be opened.
    EditPath(String),
    /// Go on with the typed path.
    AcceptPath,
    /// Close the path field.
    DropPath,
    /// The window has another size.
    WindowPlaced(WindowPlace),
}

/// How an action is presented.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Info {
    /// On the button: sentence case, a verb, `…` where more input follows.
    pub text: &'static str,
    /// Explains it.
    pub tooltip: &'static str,
    /// The keys for it.
    pub shortcut: Option<Shortcut>,
}

impl Action {
    /// Text, tooltip and shortcut.
    #[must_use]
    pub fn info(&self) -> Info {
        let info = |text, tooltip, shortcut| Info { text, tooltip, shortcut };
        match self {
            Self::GoTo(Place::Create) => {
                info("Create", "Write a prompt and make pictures", Some(Shortcut::ctrl(Key::Num1)))
            }
            Self::GoTo(Place::Gallery) => info("Gallery", "Every picture made so far", Some(Shortcut::ctrl(Key::Num2))),
            Self::GoTo(Place::Batch) => {
                info("Batch", "The rows of a table, made into pictures", Some(Shortcut::ctrl(Key::Num3)))
            }
            Self::GoTo(Place::Train) => {
                info("Train", "Teach a model your own pictures", Some(Shortcut::ctrl(Key::Num4)))
            }
            Self::GoTo(Place::Models) => {
                info("Models", "Which models are here, and how more come", Some(Shortcut::ctrl(Key::Num5)))
            }
            Self::GoTo(Place::Settings) => info("Settings", "Look, folders, about", Some(Shortcut::ctrl(Key::Num6))),
            Self::ToggleFullScreen => info("Full screen", "Fill the screen, or stop", Some(Shortcut::plain(Key::F11))),
            Self::Quit => info("Quit", "Close the window", Some(Shortcut::ctrl(Key::Q))),
            Self::Generate => info("Generate", "Make pictures from these settings", Some(Shortcut::ctrl(Key::Enter))),
            Self::Cancel => info("Cancel", "Stop the picture that is being made", Some(Shortcut::plain(Key::Escape))),
            Self::CancelJob(_) => info("Remove", "Take this job out of the queue", None),
            Self::RunNext(_) => info("Run next", "Let this job run before the others that wait", None),
            Self::ClearQueue => info("Clear queue", "Take out every job that waits; the running one goes on", None),
            Self::Queue(action) => action.info(),
            Self::Timeline(action) => action.info(),
            Self::Edit(edit) => edit.info(),
            Self::Extra(extra) => extra.info(),
            Self::Source(action) => action.info(),
            Self::Variation(action) => action.info(),
            Self::Grid(action) => action.info(),
            Self::ChooseInit => info("Begin with a picture…", "A PNG, JPEG or WebP picture", None),
            Self::ChooseMask => {
                info("Choose a mask…", "A picture whose white parts are painted anew, while the rest stays", None)
            }
            Self::ChooseVae => info("Choose another VAE…", "A VAE's .safetensors, .ckpt or .pt file", None),
            Self::BeginWithSelected => info(
                "Begin with it",
                "Make this picture into something new: it takes the place of the noise",
                Some(Shortcut::plain(Key::B)),
            ),
            Self::UpscaleSelected => info(
                "Upscale 2×",
                "Make this picture twice as wide and high, and paint detail into it with what made it",
                None,
            ),
            Self::SwapSides => info("Swap sides", "Swap width and height", None),
            Self::RollSeed => info("New seed", "Draw another seed, for another picture", Some(Shortcut::ctrl(Key::R))),
            Self::ToggleSeedLock => info(
                "Keep seed",
                "Keep the seed after Generate: the same settings then make the same picture again",
                None,
            ),
            Self::Batch(action) => action.info(),
            Self::Train(action) => action.info(),
            Self::Shelf(action) => action.info(),
            Self::Shell(action) => action.info(),
            Self::Adapter(action) => action.info(),
            Self::Prompt(action) => action.info(),
            Self::ChooseModel => {
                info("Open model folder…", "A Stable Diffusion model as a folder with model_index.json", None)
            }
            Self::ShowLive => info("Watch", "Show the picture that is being made", None),
            Self::ShowFilm(_) => info("Show", "Show this picture", None),
            Self::OpenPicture(_) => info("Open", "Show this picture large, with its recipe", None),
            Self::OpenSelected => {
                info("Open", "Show the selected picture large, with its recipe", Some(Shortcut::plain(Key::Enter)))
            }
            Self::ClosePicture => {
                info("Back to all pictures", "Close the large view", Some(Shortcut::plain(Key::Escape)))
            }
            Self::Move(Move::Previous) => {
                info("Newer picture", "Go to the newer picture", Some(Shortcut::plain(Key::Left)))
            }
            Self::Move(Move::Next) => {
                info("Older picture", "Go to the older picture", Some(Shortcut::plain(Key::Right)))
            }
            Self::Move(Move::Up) => info("Row up", "Go one row up", Some(Shortcut::plain(Key::Up))),
            Self::Move(Move::Down) => info("Row down", "Go one row down", Some(Shortcut::plain(Key::Down))),
            Self::Gallery(action) => action.info(),
            Self::Viewer(action) => action.info(),
            Self::WindowPlaced(_) | Self::Answered(_) | Self::Dropped(_) => info("", "", None),
            Self::Rescan => info("Refresh", "Look for new and deleted files", Some(Shortcut::plain(Key::F5))),
            Self::UseAllParameters => {
                info("Use all parameters", "Take over everything that made this picture, seed included", None)
            }
            Self::UsePrompt => info("Use prompt", "Take over the prompt and the negative prompt", None),
            Self::UseSeed => info("Use seed", "Take over the seed, and keep it", None),
            Self::SaveAs => info("Save as…", "Write a copy as PNG, JPEG or WebP", Some(Shortcut::ctrl(Key::S))),
            Self::CopyPicture => {
                info("Copy picture", "Put the picture on the clipboard", Some(Shortcut::ctrl_shift(Key::C)))
            }
            Self::CopyPrompt => info("Copy prompt", "Put the prompt on the clipboard", None),
            Self::Trash => info(
                "Move to trash",
                "Move the picture's file to the system's trash, from where it can be brought back",
                Some(Shortcut::plain(Key::Delete)),
            ),
            Self::SetTheme(Theme::Dark) => info("Dark", "Dark greys: pictures stand out", None),
            Self::SetTheme(Theme::Light) => info("Light", "Light greys: for a bright room", None),
            Self::Device(action) => action.info(),
            Self::SetTheme(Theme::System) => info("As the system", "Dark or light, as the system is set up", None),
            Self::SetSafety(mode) => info(mode.label(), mode.description(), None),
            Self::ToggleReveal => info("Show it", "Show this picture although it may be unsafe", None),
            Self::ChoosePicturesFolder => {
                info("Change…", "Choose where new pictures go; those made before stay where they are", None)
            }
            Self::ResetPicturesFolder => {
                info("Use the default", "Put new pictures into your own pictures folder", None)
            }
            Self::DismissNotice(_) => info("Dismiss", "Close this message", None),
            Self::EditPath(_) => info("Path", "The whole path of the file or folder", None),
            Self::AcceptPath => info("Go on", "Use this path", None),
            Self::DropPath => info("Never mind", "Close without a path", None),
        }
    }
}

impl Edit {
    /// The field's name and what it means, for people who do not know the field's jargon.
    fn info(&self) -> Info {
        let (text, tooltip) = match self {
            Self::Prompt(_) => {
                ("Prompt", "What to draw, in plain words. Ctrl+↑ and Ctrl+↓ weigh the word under the cursor")
            }
            Self::NegativePrompt(_) => ("Negative prompt", "What to keep out of the picture; may stay empty"),
            Self::Model(_) => ("Model", "The network that draws the picture"),
            Self::Width(_) => ("Width", "Width of the picture in pixels"),
            Self::Height(_) => ("Height", "Height of the picture in pixels"),
            Self::Size(..) => ("Size", "Models draw best near the size that they were trained at"),
            Self::Steps(_) => {
                ("Steps", "How often the noise is refined. More takes longer; beyond about 30 little changes")
            }
            Self::Guidance(_) => (
                "Guidance",
                "How closely the picture follows the prompt (classifier-free guidance scale). 1 is free, 7 is usual \
                 for large models, high values look harsh",
            ),
            Self::Sampler(_) => ("Sampler", "The method that steps from noise to the picture"),
            Self::Schedule(_) => ("Schedule", "How the noise levels are spread over the steps"),
            Self::Seed(_) => {
                ("Seed", "The number that the noise is drawn from. The same seed and settings make the same picture")
            }
            Self::Count(_) => ("Pictures", "How many pictures to make, each with the next seed"),
        };
        Info { text, tooltip, shortcut: None }
    }
}
