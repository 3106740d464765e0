//! Small text files of the user: read with a limit, whatever editor wrote them.

use std::fs::File;
use std::io::{ErrorKind, Read};
use std::path::Path;

/// The text of a file of at most `max_bytes`, `None` where there is none, or a reason.
pub(super) fn read_text(path: &Path, max_bytes: u64) -> Result<Option<String>, String> {
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error.to_string()),
    };
    let mut bytes = Vec::new();
    file.take(max_bytes + 1).read_to_end(&mut bytes).map_err(|error| error.to_string())?;
    if bytes.len() as u64 > max_bytes {
        return Err(format!("it has more than {max_bytes} bytes"));
    }
    // Spreadsheets, and some editors of Windows, write a byte order mark.
    let text = String::from_utf8(bytes).map_err(|_| "it is not UTF-8".to_owned())?;
    Ok(Some(text.strip_prefix('\u{feff}').map_or_else(|| text.clone(), str::to_owned)))
}
