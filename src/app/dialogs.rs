//! File dialogs, on a thread of their own: they block until they are answered.

use std::path::Path;
use std::time::{Duration, Instant};

use crate::studio::{DatasetDialog, DialogAnswer, DialogRequest, ZIP_NAME};

/// Takes the answer of a dialog, from any thread.
pub type Answer = Box<dyn FnOnce(DialogAnswer) + Send>;

/// Asks the user for a file or folder. Tests answer for the user.
pub trait Dialogs {
    /// Opens a dialog, beginning in `folder`, and returns at once. `answer` is called exactly once.
    fn ask(&self, request: &DialogRequest, folder: &Path, answer: Answer);
}

/// The dialogs of the system.
#[derive(Clone, Copy, Debug, Default)]
pub struct NativeDialogs;

impl Dialogs for NativeDialogs {
    fn ask(&self, request: &DialogRequest, folder: &Path, answer: Answer) {
        let (request, folder) = (request.clone(), folder.to_path_buf());
        let thread = std::thread::Builder::new().name("atelier-dialog".to_owned());
        if let Err(error) = thread.spawn(move || answer(open(&request, &folder))) {
            // The answer went with the closure: whoever waits for it sees that it will not come.
            tracing::error!("no thread for a dialog: {error}");
        }
    }
}

fn open(request: &DialogRequest, folder: &Path) -> DialogAnswer {
    let begun = Instant::now();
    let dialog = rfd::FileDialog::new();
    let dialog = if folder.is_dir() { dialog.set_directory(folder) } else { dialog };
    let chosen = match request {
        DialogRequest::ModelFolder => dialog.set_title("Open a model's folder").pick_folder(),
        DialogRequest::ModelFile => dialog
            .set_title("Open a model's file")
            .add_filter("Models", &["safetensors", "ckpt", "pt", "pth", "bin"])
            .add_filter("All files", &["*"])
            .pick_file(),
        DialogRequest::ModelsFolder => dialog.set_title("Choose a folder with models").pick_folder(),
        DialogRequest::Init => pictures(dialog.set_title("Begin with a picture")).pick_file(),
        DialogRequest::Mask => pictures(dialog.set_title("Choose a mask")).pick_file(),
        DialogRequest::Vae => {
            dialog.set_title("Choose a VAE").add_filter("VAE", &["safetensors", "ckpt", "pt", "bin"]).pick_file()
        }
        DialogRequest::BatchTable => dialog
            .set_title("Open a table")
            .add_filter("Tables", &["txt", "csv", "tsv", "jsonl", "ndjson", "json"])
            .pick_file(),
        DialogRequest::TrainingSettings => {
            dialog.set_title("Open a training's settings").add_filter("Settings", &["toml"]).pick_file()
        }
        DialogRequest::SaveTrainingSettings => dialog
            .set_title("Save the training's settings")
            .set_file_name("training.toml")
            .add_filter("Settings", &["toml"])
            .save_file(),
        DialogRequest::TrainingFolder => dialog.set_title("Open a training's folder").pick_folder(),
        DialogRequest::TrainingDataset => dialog.set_title("Choose pictures with captions").pick_folder(),
        DialogRequest::Styles => dialog.set_title("Import styles").add_filter("Styles", &["csv", "json"]).pick_file(),
        DialogRequest::Dataset(DatasetDialog::Folder) => dialog.set_title("Open a data set's folder").pick_folder(),
        DialogRequest::Dataset(DatasetDialog::Table) => dialog
            .set_title("Open a data set's table")
            .add_filter("Tables", &["csv", "json", "jsonl", "ndjson"])
            .pick_file(),
        DialogRequest::Dataset(DatasetDialog::Target) => {
            dialog.set_title("Choose a folder for the prepared data set").pick_folder()
        }
        DialogRequest::PicturesFolder => dialog.set_title("Choose a folder for pictures").pick_folder(),
        DialogRequest::ImportFolder => dialog.set_title("Import the pictures of a folder").pick_folder(),
        DialogRequest::CopyOut(_) => dialog.set_title("Choose a folder for the copies").pick_folder(),
        DialogRequest::Zip(_) => {
            dialog.set_title("Write a zip file").set_file_name(ZIP_NAME).add_filter("Zip", &["zip"]).save_file()
        }
        DialogRequest::SavePicture { suggested_name, .. } => dialog
            .set_title("Save the picture as")
            .set_file_name(suggested_name)
            .add_filter("PNG", &["png"])
            .add_filter("JPEG", &["jpg", "jpeg"])
            .add_filter("WebP", &["webp"])
            .save_file(),
    };
    match chosen {
        Some(path) => DialogAnswer::Chosen(path),
        None if begun.elapsed() < FASTER_THAN_A_PERSON && !has_dialog_program() => DialogAnswer::Unavailable,
        None => DialogAnswer::Dismissed,
    }
}

fn pictures(dialog: rfd::FileDialog) -> rfd::FileDialog {
    dialog.add_filter("Pictures", &["png", "jpg", "jpeg", "webp"])
}

/// Nobody reads and closes a dialog in this time: an answer that comes sooner means that none was opened.
const FASTER_THAN_A_PERSON: Duration = Duration::from_millis(300);

/// Whether the program is there that shows dialogs where the desktop has no portal. Elsewhere the system itself does.
fn has_dialog_program() -> bool {
    if !cfg!(all(unix, not(target_os = "macos"))) {
        return true;
    }
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).any(|dir| dir.join("zenity").is_file())
}
