//! Fonts of the system, for scripts that the built-in faces lack. A font is read when a character first needs it.

use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use egui::epaint::text::{FallbackRequest, FontData, FontInsert};

/// How deep font folders are searched.
const MAX_DEPTH: usize = 6;
/// Larger files are not taken: the largest CJK collections have about 150 MB with all weights, 20 MB with one.
const MAX_BYTES: u64 = 64 << 20;

/// Fonts for a range of characters: beginnings of file names in lower case, without spaces, best first.
struct Script {
    from: char,
    to: char,
    names: &'static [&'static str],
}

const CJK: &[&str] = &[
    "notosanscjk-regular",
    "notosanscjk",
    "notosanssc",
    "notosansjp",
    "notosanskr",
    "sourcehansans",
    "pingfang",
    "hiraginosansgb",
    "msyh",
    "yugothr",
    "meiryo",
    "malgun",
    "wqy-microhei",
    "wqy-zenhei",
    "droidsansfallback",
    "simsun",
];

static SCRIPTS: &[Script] = &[
    Script { from: '\u{1100}', to: '\u{11ff}', names: &["notosanscjk", "notosanskr", "malgun", "applesdgothicneo"] },
    Script {
        from: '\u{ac00}',
        to: '\u{d7ff}',
        names: &["notosanscjk", "notosanskr", "malgun", "applesdgothicneo", "nanumgothic"],
    },
    Script { from: '\u{2e80}', to: '\u{9fff}', names: CJK },
    Script { from: '\u{f900}', to: '\u{faff}', names: CJK },
    Script { from: '\u{fe30}', to: '\u{ffef}', names: CJK },
    Script { from: '\u{20000}', to: '\u{323af}', names: CJK },
    Script {
        from: '\u{0590}',
        to: '\u{05ff}',
        names: &["notosanshebrew-regular", "dejavusans.", "segoeui.", "arial."],
    },
    Script {
        from: '\u{0600}',
        to: '\u{06ff}',
        names: &["notosansarabic-regular", "dejavusans.", "segoeui.", "geezapro"],
    },
    Script { from: '\u{0900}', to: '\u{097f}', names: &["notosansdevanagari-regular", "lohit-devanagari", "nirmala"] },
    Script { from: '\u{0e00}', to: '\u{0e7f}', names: &["notosansthai-regular", "leelawui", "thonburi"] },
];

/// Tried for every other character.
static ANY: &[&str] = &[
    "dejavusans.",
    "notosans-regular",
    "notosanssymbols2",
    "notosanssymbols",
    "freesans.",
    "segoeui.",
    "seguisym",
    "arialunicode",
    "unifont",
];

/// Lets a context ask the system for fonts.
pub fn install(ctx: &egui::Context) {
    ctx.add_font_provider(Arc::new(find));
}

fn find(request: &FallbackRequest<'_>) -> Option<FontInsert> {
    static INSTALLED: OnceLock<Vec<PathBuf>> = OnceLock::new();
    let installed = INSTALLED.get_or_init(|| font_dirs().iter().flat_map(|dir| fonts_below(dir)).collect());
    let wanted = request.cluster.chars().next()?;
    let path = choose(wanted, installed)?;
    let bytes = std::fs::read(path).inspect_err(|error| tracing::warn!("{}: {error}", path.display())).ok()?;
    tracing::info!("font for {wanted:?}: {}", path.display());
    Some(FontInsert { name: path.display().to_string(), data: FontData::from_owned(bytes), families: Vec::new() })
}

/// The best of the installed fonts for a character.
fn choose(wanted: char, installed: &[PathBuf]) -> Option<&PathBuf> {
    let scripts = SCRIPTS.iter().filter(|script| (script.from..=script.to).contains(&wanted));
    let names = scripts.flat_map(|script| script.names);
    // A font of one script does not stand in for another: a box is better than a wrong face's box.
    let any = (!SCRIPTS.iter().any(|script| (script.from..=script.to).contains(&wanted))).then_some(ANY);
    names
        .chain(any.into_iter().flatten())
        .find_map(|name| installed.iter().find(|path| simple_name(path).starts_with(name)))
}

fn simple_name(path: &Path) -> String {
    let name = path.file_name().unwrap_or_default().to_string_lossy().to_lowercase();
    name.chars().filter(|c| !c.is_whitespace()).collect()
}

fn font_dirs() -> Vec<PathBuf> {
    let mut dirs: Vec<PathBuf> = if cfg!(windows) {
        vec![PathBuf::from(std::env::var_os("WINDIR").unwrap_or_else(|| "C:\\Windows".into())).join("Fonts")]
    } else if cfg!(target_os = "macos") {
        vec!["/System/Library/Fonts".into(), "/Library/Fonts".into()]
    } else {
        vec!["/usr/share/fonts".into(), "/usr/local/share/fonts".into()]
    };
    if let Some(home) = std::env::var_os("HOME").map(PathBuf::from) {
        dirs.extend(["Library/Fonts", ".local/share/fonts", ".fonts"].map(|dir| home.join(dir)));
    }
    dirs
}

/// The font files below a folder. What cannot be read is left out.
fn fonts_below(dir: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut pending = vec![(dir.to_path_buf(), 0)];
    while let Some((dir, depth)) = pending.pop() {
        for entry in std::fs::read_dir(&dir).into_iter().flatten().flatten() {
            let path = entry.path();
            let Ok(metadata) = entry.metadata() else { continue };
            if metadata.is_dir() && depth < MAX_DEPTH {
                pending.push((path, depth + 1));
            } else if metadata.is_file() && metadata.len() <= MAX_BYTES && is_font(&path) {
                found.push(path);
            }
        }
    }
    found.sort();
    found
}

fn is_font(path: &Path) -> bool {
    path.extension().is_some_and(|ending| ["ttf", "otf", "ttc"].iter().any(|font| ending.eq_ignore_ascii_case(font)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_script_finds_its_font() {
        let installed: Vec<PathBuf> = [
            "/f/DejaVuSans.ttf",
            "/f/NotoSansCJK-Bold.ttc",
            "/f/NotoSansCJK-Regular.ttc",
            "/f/NotoSansThai-Regular.ttf",
        ]
        .map(PathBuf::from)
        .to_vec();
        let chosen = |c| choose(c, &installed).map(|path| path.display().to_string());
        assert_eq!(chosen('猫').as_deref(), Some("/f/NotoSansCJK-Regular.ttc"));
        assert_eq!(chosen('ไ').as_deref(), Some("/f/NotoSansThai-Regular.ttf"));
        assert_eq!(chosen('∮').as_deref(), Some("/f/DejaVuSans.ttf"));
        assert_eq!(chosen('क'), None, "no font of the script is installed");
    }

    #[test]
    fn only_font_files_are_found() {
        let dir = tempfile::tempdir().expect("a temporary folder");
        std::fs::create_dir(dir.path().join("deeper")).expect("a folder");
        for name in ["a.TTF", "deeper/b.otf", "readme.txt"] {
            std::fs::write(dir.path().join(name), b"").expect("a file");
        }
        let found = fonts_below(dir.path());
        assert_eq!(found, [dir.path().join("a.TTF"), dir.path().join("deeper/b.otf")]);
    }
}
