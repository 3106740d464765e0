//! Names of picture files that every system can hold, whatever the prompt says.

use std::ffi::OsStr;
use std::path::Path;

use chrono::{DateTime, Local};

/// The longest name in bytes, ending included: below every system's 255, with room for what a user's tools add.
pub const MAX_NAME_BYTES: usize = 200;
/// The longest part of a name that comes from the prompt, in bytes.
const MAX_SLUG_BYTES: usize = 80;
/// The longest part before the ending of a name that another program gave, in bytes: a counter finds room behind it.
const MAX_STEM_BYTES: usize = 150;
/// The end of the year 9999, in milliseconds since 1970: the last year with four digits.
const LAST_MS: i64 = 253_402_300_799_999;
/// Names that Windows keeps for devices, whatever the ending.
const RESERVED: [&str; 4] = ["con", "prn", "aux", "nul"];

/// The folder and the name of a new picture, `2026-01-31/235959-42-a-red-dress.png`; `count` above 1 tells it from one
/// that is there already.
#[must_use]
pub fn picture_name(created_ms: i64, seed: u64, prompt: &str, count: u32) -> (String, String) {
    let time = local(created_ms);
    let slug = slug(prompt);
    let separator = if slug.is_empty() { "" } else { "-" };
    let counter = if count > 1 { format!("-{count}") } else { String::new() };
    let name = format!("{}-{seed}{separator}{slug}{counter}.png", time.format("%H%M%S"));
    debug_assert!(name.len() <= MAX_NAME_BYTES);
    (day_of(created_ms), name)
}

/// The folder of a day, `2026-01-31`.
#[must_use]
pub fn day_of(created_ms: i64) -> String {
    local(created_ms).format("%Y-%m-%d").to_string()
}

fn local(created_ms: i64) -> DateTime<Local> {
    DateTime::from_timestamp_millis(created_ms.clamp(0, LAST_MS)).unwrap_or_default().with_timezone(&Local)
}

/// The name of a file that another program named, as far as every system can hold it: the user knows the picture by it.
#[must_use]
pub fn kept_name(name: &OsStr) -> String {
    let name = name.to_string_lossy();
    let path = Path::new(name.as_ref());
    let ending: String = path.extension().unwrap_or_default().to_string_lossy().to_lowercase();
    let ending: String = ending.chars().filter(char::is_ascii_alphanumeric).take(8).collect();
    let is_bad = |c: char| c.is_control() || is_mark(c) || "/\\:*?\"<>|\u{fffd}".contains(c);
    let mut stem = String::new();
    for c in path.file_stem().unwrap_or_default().to_string_lossy().chars() {
        if stem.len() + c.len_utf8() > MAX_STEM_BYTES {
            break;
        }
        stem.push(if is_bad(c) { '-' } else { c });
    }
    let stem = stem.trim_matches(['.', ' ']);
    let stem = match stem {
        "" => "picture".to_owned(),
        stem if is_reserved(&stem.to_lowercase()) => format!("{stem}-picture"),
        stem => stem.to_owned(),
    };
    if ending.is_empty() { stem } else { format!("{stem}.{ending}") }
}

/// A name with a counter behind its stem, from the second on.
#[must_use]
pub fn numbered_name(name: &str, count: u32) -> String {
    match (count, name.rsplit_once('.')) {
        (0 | 1, _) => name.to_owned(),
        (_, Some((stem, ending))) => format!("{stem}-{count}.{ending}"),
        (_, None) => format!("{name}-{count}"),
    }
}

/// Characters that turn the direction of what follows: with them a name can seem to have another ending.
fn is_mark(c: char) -> bool {
    matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// The first words of a text as a part of a file name: letters and digits of any script, joined by `-`.
///
/// At most 80 bytes; empty where the text has neither letters nor digits. Never a name that Windows keeps for a device.
/// Control characters, direction marks, separators, points, quotes and emoji all fall away.
#[must_use]
pub fn slug(text: &str) -> String {
    let mut slug = String::new();
    // Longer than a name can be, shorter than a hostile text.
    for c in text.chars().take(4 * MAX_SLUG_BYTES) {
        if c.is_alphanumeric() {
            let lower: String = c.to_lowercase().filter(|c| c.is_alphanumeric()).collect();
            if slug.len() + lower.len() > MAX_SLUG_BYTES {
                break;
            }
            slug.push_str(&lower);
        } else if !slug.is_empty() && !slug.ends_with('-') {
            if slug.len() == MAX_SLUG_BYTES {
                break;
            }
            slug.push('-');
        }
    }
    let slug = slug.trim_end_matches('-');
    if is_reserved(slug) { format!("{slug}-picture") } else { slug.to_owned() }
}

fn is_reserved(name: &str) -> bool {
    let is_port =
        |rest: &str| matches!(rest, "0" | "1" | "2" | "3" | "4" | "5" | "6" | "7" | "8" | "9" | "¹" | "²" | "³");
    RESERVED.contains(&name)
        || name.strip_prefix("com").is_some_and(is_port)
        || name.strip_prefix("lpt").is_some_and(is_port)
}

#[cfg(test)]
mod tests {
    use std::path::Component;

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_name_tells_when_which_and_what() {
        let (day, name) = picture_name(0, 42, "A red Dress, (linen:1.2)!", 1);
        assert!(day == "1970-01-01" || day == "1969-12-31", "{day} depends on the time zone");
        assert!(name.ends_with("-42-a-red-dress-linen-1-2.png"), "{name}");
        assert!(picture_name(0, 42, "", 3).1.ends_with("-42-3.png"));
        assert!(picture_name(i64::MAX, 1, "x", 1).0.len() <= 11);
    }

    #[test]
    fn what_no_system_likes_falls_away() {
        assert_eq!(slug("a/b\\c:d*e?f\"g<h>i|j"), "a-b-c-d-e-f-g-h-i-j");
        assert_eq!(slug("../../etc/passwd"), "etc-passwd");
        assert_eq!(slug("C:\\x . . ."), "c-x");
        assert_eq!(slug("a\u{202e}gnp.exe\0"), "a-gnp-exe");
        assert_eq!(slug("😀".repeat(2_500).as_str()), "");
        assert_eq!(slug("CON"), "con-picture");
        assert_eq!(slug("  Com1. "), "com1-picture");
        assert_eq!(slug("LPT²"), "lpt²-picture");
        assert_eq!(slug("絹のドレス"), "絹のドレス");
    }

    #[test]
    fn a_name_of_another_program_is_kept_where_systems_allow_it() {
        let kept = |name: &str| kept_name(OsStr::new(name));
        assert_eq!(kept("ComfyUI_00012_.png"), "ComfyUI_00012_.png");
        assert_eq!(kept("00003-1234 (2).JPG"), "00003-1234 (2).jpg");
        assert_eq!(kept("a\u{202e}gnp.exe.png"), "a-gnp.exe.png");
        assert_eq!(kept("CON.png"), "CON-picture.png");
        assert_eq!(kept("..."), "picture");
        assert_eq!(numbered_name("a.b.png", 2), "a.b-2.png");
        assert_eq!(numbered_name("a.b.png", 1), "a.b.png");
    }

    proptest! {
        #[test]
        fn any_name_of_another_program_becomes_a_safe_one(name in "(?s).{0,300}", count in 1..10_000_u32) {
            let kept = numbered_name(&kept_name(OsStr::new(&name)), count);
            prop_assert!(kept.len() <= MAX_NAME_BYTES && !kept.is_empty());
            let components: Vec<_> = Path::new(&kept).components().collect();
            prop_assert!(matches!(components.as_slice(), [Component::Normal(_)]), "{}", kept);
            prop_assert!(!kept.contains(['/', '\\', ':', '*', '?', '"', '<', '>', '|', '\0']));
            prop_assert!(!kept.contains(char::is_control) && !kept.starts_with('.') && !kept.ends_with(['.', ' ']));
        }

        #[test]
        fn any_prompt_gives_a_safe_name(prompt in "(?s).{0,300}", ms in any::<i64>(), seed in any::<u64>(), count in any::<u32>()) {
            let (day, name) = picture_name(ms, seed, &prompt, count);
            for part in [day.as_str(), name.as_str()] {
                prop_assert!(part.len() <= MAX_NAME_BYTES);
                let components: Vec<_> = Path::new(part).components().collect();
                prop_assert!(matches!(components.as_slice(), [Component::Normal(_)]), "{}", part);
                prop_assert!(!part.contains(['/', '\\', ':', '*', '?', '"', '<', '>', '|', '\0']));
                prop_assert!(!part.contains(char::is_control) && !part.contains(char::is_whitespace));
                prop_assert!(!part.ends_with(['.', ' ']) && !part.starts_with('.'));
            }
            prop_assert!(!is_reserved(&slug(&prompt)));
        }
    }
}
