//! [`safe_path`]: names of files as tables give them, which must not lead out of the table's folder.

/// A file's name as a table gives it, if it stays within its folder: with `/`, and without `.` and `//`.
///
/// # Errors
/// Why it does not.
pub fn safe_path(name: &str) -> Result<String, String> {
    let name = name.trim();
    let refuse = |why: &str| Err(format!("\"{}\" {why}", name.chars().take(200).collect::<String>().escape_debug()));
    if name.is_empty() {
        return Err("it names no file".to_owned());
    }
    if name.contains("://") || name.to_ascii_lowercase().starts_with("file:") {
        return refuse("is an address, and nothing is fetched");
    }
    let name_slashes = name.replace('\\', "/");
    let has_drive = name_slashes.as_bytes().get(1) == Some(&b':') && name_slashes.as_bytes()[0].is_ascii_alphabetic();
    if name_slashes.starts_with('/') || has_drive {
        return refuse("is an absolute path");
    }
    if name_slashes.split('/').any(|part| part == "..") {
        return refuse("leads out of its folder");
    }
    if name_slashes.contains(char::is_control) {
        return refuse("holds control characters");
    }
    let parts: Vec<&str> = name_slashes.split('/').filter(|part| !part.is_empty() && *part != ".").collect();
    if parts.is_empty() {
        return refuse("names no file");
    }
    Ok(parts.join("/"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_lead_out_are_refused() {
        for name in [
            "../../etc/passwd",
            "a/../../b.jpg",
            "..\\b.jpg",
            "/etc/passwd",
            "C:\\x.jpg",
            "c:x.jpg",
            "\\\\host\\share\\x.jpg",
            "file:///etc/passwd",
            "FILE:x",
            "http://host/x.jpg",
            "a\0b.jpg",
            "",
            " ",
            "./",
        ] {
            assert!(safe_path(name).is_err(), "{name:?}");
        }
        assert_eq!(safe_path(" .\\images//a b.jpg ").unwrap(), "images/a b.jpg");
        assert_eq!(safe_path("..a/b..jpg").unwrap(), "..a/b..jpg");
    }
}
