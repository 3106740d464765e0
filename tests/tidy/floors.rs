//! The house as data: which module stands on which floor, what it may import, which outside crates it may use.

/// One module of `src/`, that is a folder or a file directly below it.
pub struct Row {
    /// Its name: `ui` for `src/ui/` and `src/ui.rs`.
    pub module: &'static str,
    /// Its floor, from 0 at the bottom.
    pub floor: u8,
    /// The paths below `crate::` that it may import, each with everything below it.
    pub may_import: &'static [&'static str],
    /// The outside crates that it may use, beside [`EVERYWHERE`].
    pub crates: &'static [&'static str],
    /// The modules of `std` that it may not use, in its tests neither where the row says so.
    pub without: Without,
}

/// What of `std` a module does without.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Without {
    /// Nothing: it may read and write.
    Nothing,
    /// No input, no output, but its tests may read the reference data.
    Io,
    /// Neither input and output nor threads, in its tests neither.
    IoAndThreads,
}

/// The modules of `std` that read, write or start programs.
pub const IO: &[&str] = &["fs", "net", "process"];

/// Crates that every module may use.
pub const EVERYWHERE: &[&str] = &["serde", "serde_json", "thiserror", "tracing"];

/// Crates that the tests inside any module may use on top of its row.
pub const IN_TESTS: &[&str] = &["proptest", "tempfile"];

/// Everything below floor 8.
const ALL_BELOW: &[&str] = &[
    "ui", "studio", "engine", "pipeline", "train", "models", "nn", "kernels", "sampling", "weights", "hub", "dataset",
    "library", "domain",
];

/// Crates that the whole program needs at its top.
const PROGRAM: &[&str] = &[
    "candle_core",
    "chrono",
    "clap",
    "crossbeam_channel",
    "indicatif",
    "libmimalloc_sys",
    "mimalloc",
    "rayon",
    "signal_hook",
    "tempfile",
    "tracing_subscriber",
];

/// The house, from the top to the bottom.
pub const FLOORS: &[Row] = &[
    // A step above the two that it joins.
    Row {
        module: "main",
        floor: 9,
        may_import: &[
            "app", "cli", "ui", "studio", "engine", "pipeline", "train", "models", "nn", "kernels", "sampling",
            "weights", "hub", "dataset", "library", "domain",
        ],
        crates: PROGRAM,
        without: Without::Nothing,
    },
    Row {
        module: "app",
        floor: 8,
        may_import: ALL_BELOW,
        crates: &[
            "crossbeam_channel",
            "eframe",
            "egui",
            "egui_extras",
            "image",
            "notify_rust",
            "rfd",
            "skrifa",
            "sysinfo",
        ],
        without: Without::Nothing,
    },
    Row { module: "cli", floor: 8, may_import: ALL_BELOW, crates: PROGRAM, without: Without::Nothing },
    Row {
        module: "ui",
        floor: 7,
        may_import: &["studio", "domain"],
        crates: &["egui", "egui_extras", "egui_plot"],
        without: Without::IoAndThreads,
    },
    Row {
        module: "studio",
        floor: 6,
        may_import: &["engine::EngineHandle", "library", "domain"],
        crates: &[],
        without: Without::IoAndThreads,
    },
    Row {
        module: "engine",
        floor: 5,
        may_import: &["pipeline", "train", "models", "weights", "hub", "library", "domain"],
        crates: &["crossbeam_channel"],
        without: Without::Nothing,
    },
    Row {
        module: "pipeline",
        floor: 4,
        may_import: &["models", "sampling", "dataset", "nn", "weights", "domain"],
        crates: &["candle_core", "candle_transformers", "image", "rayon"],
        without: Without::Nothing,
    },
    Row {
        module: "train",
        floor: 4,
        // The library knows how files are written whole or not at all: checkpoints are.
        may_import: &["models", "sampling", "dataset", "nn", "weights", "library", "domain"],
        crates: &["candle_core", "half", "image", "rayon", "safetensors", "sha2", "toml"],
        without: Without::Nothing,
    },
    Row {
        module: "models",
        floor: 3,
        may_import: &["nn", "weights", "domain"],
        crates: &["candle_core", "candle_transformers", "tokenizers"],
        without: Without::Nothing,
    },
    Row {
        module: "nn",
        floor: 2,
        may_import: &["kernels", "weights", "domain"],
        crates: &["candle_core", "half", "rayon"],
        without: Without::Io,
    },
    Row {
        module: "kernels",
        floor: 1,
        may_import: &["domain"],
        crates: &["gemm", "half", "rayon"],
        without: Without::Io,
    },
    Row { module: "sampling", floor: 1, may_import: &["domain"], crates: &[], without: Without::Io },
    Row {
        module: "weights",
        floor: 1,
        may_import: &["domain"],
        crates: &["bytemuck", "half", "memmap2", "safetensors", "sha2"],
        without: Without::Nothing,
    },
    Row {
        module: "hub",
        floor: 1,
        may_import: &["domain"],
        crates: &["fs4", "hf_hub", "sha2", "tempfile", "ureq"],
        without: Without::Nothing,
    },
    Row {
        module: "dataset",
        floor: 1,
        may_import: &["domain"],
        crates: &["fast_image_resize", "image", "rayon", "tokenizers", "webp"],
        without: Without::Nothing,
    },
    Row {
        module: "library",
        floor: 1,
        may_import: &["domain"],
        crates: &[
            "ab_glyph",
            "chrono",
            "crossbeam_channel",
            "csv",
            "directories",
            "flate2",
            "image",
            "png",
            "rusqlite",
            "sha2",
            "tempfile",
            "trash",
            "zip",
        ],
        without: Without::Nothing,
    },
    Row { module: "domain", floor: 0, may_import: &[], crates: &[], without: Without::Io },
];

/// Where `unsafe` may stand: the intrinsics of the kernels, where a file is mapped, and where the allocator is told how long
/// to keep memory.
pub const UNSAFE: &[&str] = &["src/kernels/", "src/weights/tensor_file.rs", "src/main.rs"];

/// The most lines of a file.
pub const MAX_LINES: usize = 600;

/// Macros that must not be left in code.
pub const LEFTOVERS: &[&str] = &["todo", "unimplemented", "dbg"];

/// Ends of paths that are not used outside tests, and why.
pub const AVOIDED: &[(&[&str], &str)] = &[
    (&["thread", "spawn"], "threads have names: use `thread::Builder`"),
    (&["mpsc", "channel"], "channels are bounded"),
    (&["crossbeam_channel", "unbounded"], "channels are bounded"),
];

/// The one file of `ui` that may make colours, and the ends of paths that make one.
pub const THEME: &str = "src/ui/theme.rs";
/// See [`THEME`]. Colours made of a picture's own pixels (`from_rgba_unmultiplied`) are none of the theme's.
pub const COLOURS: &[&[&str]] = &[
    &["Color32", "from_rgb"],
    &["Color32", "from_gray"],
    &["Color32", "from_black_alpha"],
    &["Color32", "from_white_alpha"],
    &["Color32", "from_hex"],
    &["Color32", "WHITE"],
    &["Color32", "BLACK"],
];

/// The row of a module.
pub fn row(module: &str) -> Option<&'static Row> {
    FLOORS.iter().find(|row| row.module == module)
}

#[test]
fn every_row_points_down() {
    for upper in FLOORS {
        for import in upper.may_import {
            let module = import.split("::").next().unwrap();
            let lower = row(module).unwrap_or_else(|| panic!("{} may import {module}, which has no row", upper.module));
            assert!(lower.floor < upper.floor, "{} may import {module} from floor {}", upper.module, lower.floor);
        }
    }
}

#[test]
fn a_module_has_one_row() {
    for (i, one) in FLOORS.iter().enumerate() {
        assert!(FLOORS[i + 1..].iter().all(|other| other.module != one.module), "{} has two rows", one.module);
    }
}
