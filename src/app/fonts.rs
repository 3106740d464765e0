//! Fonts of the system, for scripts that the built-in faces lack. When a character first needs one, a thread looks for it:
//! a box stands in its place for the moment that this takes, and the window does not wait.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use crossbeam_channel::{Receiver, Sender, bounded};
use egui::epaint::text::{FallbackRequest, FontData, FontInsert, FontProvider};
use skrifa::{FontRef, MetadataProvider};

/// How deep font folders are searched.
const MAX_DEPTH: usize = 6;
/// Larger files are not taken: the largest CJK collections have about 150 MB with all weights, 20 MB with one.
const MAX_BYTES: u64 = 64 << 20;
/// Fonts that are looked into for a character that none of those named below has.
const MAX_OTHERS: usize = 400;
/// Characters that may wait for the thread. One that finds no room asks again when another was found.
const MAX_WAITING: usize = 256;

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

/// Tried for every other character, and where a script's own fonts lack one.
static ANY: &[&str] = &[
    "dejavusans.",
    "notosans-regular",
    "notosanssymbols2",
    "notosanssymbols",
    "notocoloremoji",
    "notoemoji",
    "applecoloremoji",
    "seguiemj",
    "freesans.",
    "segoeui.",
    "seguisym",
    "arialunicode",
    "unifont",
];

/// Lets a context ask the system for fonts.
pub fn install(ctx: &egui::Context) {
    let provider: Arc<dyn FontProvider> =
        Arc::new(Provider { shared: Arc::default(), asked: OnceLock::new(), ctx: ctx.clone() });
    ctx.add_font_provider(provider);
}

/// A font that is in memory for as long as the program runs: the window keeps drawing with it.
#[derive(Clone, Debug)]
struct Face {
    name: String,
    bytes: &'static [u8],
}

/// What was found for a character; `None` where no font has it.
type Found = Arc<Mutex<HashMap<char, Option<Face>>>>;

/// Answers with what the thread has found, and lets it look for the rest.
struct Provider {
    shared: Found,
    /// The way to the thread, which begins with the first character that is missing.
    asked: OnceLock<Sender<char>>,
    ctx: egui::Context,
}

impl FontProvider for Provider {
    fn font_for(&self, request: &FallbackRequest<'_>) -> Option<FontInsert> {
        let wanted = request.cluster.chars().next()?;
        let known = self.shared.lock().unwrap_or_else(PoisonError::into_inner).get(&wanted).cloned();
        let Some(face) = known else {
            let asked = self.asked.get_or_init(|| look_on_a_thread(Arc::clone(&self.shared), self.ctx.clone()));
            // Without room or thread the box stays.
            let _ = asked.try_send(wanted);
            return None;
        };
        let Face { name, bytes } = face?;
        Some(FontInsert { name, data: FontData::from_static(bytes), families: Vec::new() })
    }
}

fn look_on_a_thread(shared: Found, ctx: egui::Context) -> Sender<char> {
    let (sender, asked) = bounded(MAX_WAITING);
    let again = sender.clone();
    let thread = std::thread::Builder::new().name("atelier-fonts".to_owned());
    if let Err(error) = thread.spawn(move || look(&asked, &again, &shared, &ctx)) {
        tracing::warn!("no thread for fonts: {error}");
    }
    sender
}

/// Looks for the characters that come, until the program ends.
fn look(asked: &Receiver<char>, again: &Sender<char>, shared: &Found, ctx: &egui::Context) {
    let mut shelf = FontShelf::default();
    while let Ok(first) = asked.recv() {
        for wanted in std::iter::once(first).chain(asked.try_iter()) {
            let is_known = |found: &Found| found.lock().unwrap_or_else(PoisonError::into_inner).contains_key(&wanted);
            if !is_known(shared) {
                let face = shelf.find(wanted);
                shared.lock().unwrap_or_else(PoisonError::into_inner).insert(wanted, face);
            }
        }
        // Whoever provides fonts is asked once for each character: another one with the same answers is asked again.
        let asked = OnceLock::from(again.clone());
        let provider = Provider { shared: Arc::clone(shared), asked, ctx: ctx.clone() };
        ctx.set_font_providers(vec![Arc::new(provider)]);
    }
}

/// The fonts of the system, and those in use.
#[derive(Default)]
struct FontShelf {
    installed: Option<Vec<PathBuf>>,
    in_use: Vec<Face>,
}

impl FontShelf {
    /// The best font that has a character.
    fn find(&mut self, wanted: char) -> Option<Face> {
        let installed =
            self.installed.get_or_insert_with(|| font_dirs().iter().flat_map(|dir| fonts_below(dir)).collect());
        for path in candidates(wanted, installed) {
            let name = path.display().to_string();
            if let Some(face) = self.in_use.iter().find(|face| face.name == name) {
                if has_glyph(face.bytes, wanted) {
                    return Some(face.clone());
                }
                continue;
            }
            let Ok(bytes) = std::fs::read(path) else { continue };
            if has_glyph(&bytes, wanted) {
                tracing::info!("font for {wanted:?}: {name}");
                let face = Face { name, bytes: bytes.leak() };
                self.in_use.push(face.clone());
                return Some(face);
            }
        }
        tracing::info!("no font of this system has {wanted:?}");
        None
    }
}

fn has_glyph(bytes: &[u8], wanted: char) -> bool {
    FontRef::from_index(bytes, 0).is_ok_and(|font| font.charmap().map(wanted).is_some())
}

/// The installed fonts that may have a character, the best first.
fn candidates(wanted: char, installed: &[PathBuf]) -> Vec<&PathBuf> {
    let scripts = SCRIPTS.iter().filter(|script| (script.from..=script.to).contains(&wanted));
    let names = scripts.flat_map(|script| script.names).chain(ANY);
    let mut found: Vec<&PathBuf> = Vec::new();
    for name in names {
        found.extend(installed.iter().filter(|path| simple_name(path).starts_with(name)));
    }
    // An upright face of a usual weight rather than any other.
    let is_plain = |path: &&PathBuf| {
        let name = simple_name(path);
        !["bold", "italic", "oblique", "light", "thin", "black", "mono"].iter().any(|style| name.contains(style))
    };
    let (plain, styled): (Vec<&PathBuf>, Vec<&PathBuf>) = installed.iter().partition(is_plain);
    found.extend(plain.into_iter().chain(styled).take(MAX_OTHERS));
    let mut seen = std::collections::HashSet::new();
    found.retain(|path| seen.insert(*path));
    found
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
    fn each_script_finds_its_font_first() {
        let installed: Vec<PathBuf> = [
            "/f/Anything.ttf",
            "/f/DejaVuSans.ttf",
            "/f/NotoSansCJK-Bold.ttc",
            "/f/NotoSansCJK-Regular.ttc",
            "/f/NotoSansThai-Regular.ttf",
        ]
        .map(PathBuf::from)
        .to_vec();
        let first = |c| candidates(c, &installed)[0].display().to_string();
        assert_eq!(first('猫'), "/f/NotoSansCJK-Regular.ttc");
        assert_eq!(first('ไ'), "/f/NotoSansThai-Regular.ttf");
        assert_eq!(first('∮'), "/f/DejaVuSans.ttf");
        assert_eq!(first('क'), "/f/DejaVuSans.ttf", "any font may have it: it is looked into");
        let all = candidates('猫', &installed);
        assert_eq!(all.len(), installed.len(), "each of them is tried, once");
        assert_eq!(all[all.len() - 1], &installed[0]);
    }

    /// With the fonts of this system, whatever they are.
    #[test]
    fn a_character_that_some_font_has_is_drawn_after_a_moment() {
        let mut shelf = FontShelf::default();
        // Devanagari, Georgian, Thai, Chinese, Arabic, an emoji of 2020: none is in the built-in fonts.
        let wanted: Vec<char> = "कⴀไ猫ب🫐".chars().filter(|c| shelf.find(*c).is_some()).collect();
        if wanted.is_empty() {
            println!("this system has no font for any of them: nothing to look at");
            return;
        }
        let ctx = egui::Context::default();
        install(&ctx);
        let text: String = wanted.iter().collect();
        let font = egui::FontId::proportional(14.0);
        let begun = std::time::Instant::now();
        loop {
            let _ = ctx.run_ui(egui::RawInput::default(), |ui| {
                ui.label(&text);
            });
            if wanted.iter().all(|c| ctx.fonts_mut(|fonts| fonts.has_glyph(&font, *c))) {
                return;
            }
            assert!(begun.elapsed().as_secs() < 30, "{text} is not drawn");
            std::thread::sleep(std::time::Duration::from_millis(10));
        }
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
