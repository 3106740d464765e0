//! [`import`]: a file is looked at, copied, and its values checked, before it counts as a model.

use std::path::Path;

use super::describe::{check_finite, inspect, summarise};
use super::list::Places;
use crate::domain::{Cancel, Result};
use crate::hub::{self, Imported, Progress};
use crate::weights::layout::kind::Kind;
use crate::weights::open_file;

/// Brings a file into the program's own folder for its kind: models, adapters or embeddings.
///
/// # Errors
/// When it is refused (what is wrong and what to do), when the copy fails, or a value is NaN or infinite; the
/// cancellation. Nothing stays then.
pub fn import(from: &Path, places: &Places, cancel: &Cancel, progress: &mut dyn FnMut(&Progress)) -> Result<Imported> {
    // Before the copy: what is refused costs no time and no room.
    summarise(from)?;
    let folder = match inspect(from)?.0.kind {
        Kind::Lora => &places.loras_dir,
        Kind::TextualInversion => &places.embeddings_dir,
        _ => &places.models_dir,
    };
    let mut check = |copy: &Path| {
        // The copy is looked at again: the file may have changed meanwhile, and what is kept is the copy.
        let checked = summarise(copy).and_then(|_| check_finite(&open_file(copy)?, cancel));
        // The copy vanishes; the message is about the file that was given.
        checked.map_err(|error| if error.path.is_some() { error.path(from) } else { error })
    };
    hub::import_file(from, folder, cancel, &mut check, progress)
}

/// A file's or folder's name, for people.
pub(super) fn name_of(path: &Path) -> String {
    path.file_name().unwrap_or(path.as_os_str()).to_string_lossy().into_owned()
}
