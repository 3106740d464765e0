//! The program is killed at named places and at random moments, and started again: every picture is whole and listed once,
//! every job is done or waits, and what was interrupted ends in the same picture.
//!
//! `ATELIER_CRASH_RUNS=200 cargo test --release --test crash` is the long form of the random kills.

#![allow(clippy::unwrap_used, reason = "a test may fail by panicking")]

use std::collections::BTreeMap;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};
use std::sync::LazyLock;
use std::time::Duration;

use atelier::domain::{Picture, SearchRequest, Settings, Theme};
use atelier::library::crash::{CRASH_POINTS, CRASH_VARIABLE};
use atelier::library::{Index, Paths, load_settings, read_info, read_picture, save_settings};

/// The kills of the random test, unless the environment says otherwise.
const RUNS: u64 = 8;

/// What is asked for: three jobs, four pictures, samplers that look back, draw noise, or evaluate twice.
const JOBS: &str = r#"{"prompt": "a red dress", "width_px": 64, "height_px": 64, "num_inference_steps": 3, "sampler": "euler_a", "seed": 1, "count": 2}
{"prompt": "a blue shirt", "width_px": 64, "height_px": 64, "num_inference_steps": 3, "sampler": "heun", "seed": 5}
{"prompt": "a green hat", "width_px": 64, "height_px": 64, "num_inference_steps": 3, "sampler": "dpmpp_2m_sde", "seed": 9}
"#;
const SEEDS: [u64; 4] = [1, 2, 5, 9];

struct Home(tempfile::TempDir);

impl Home {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn paths(&self) -> Paths {
        Paths::below(self.0.path())
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_atelier"));
        command.args(arguments).env("ATELIER_HOME", self.0.path()).env_remove(CRASH_VARIABLE);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
        command
    }

    /// Adds the jobs, and crashes where that is wanted.
    fn add(&self, crash_at: Option<&str>) -> ExitStatus {
        let mut command = self.command(&["queue", "add", "-"]);
        command.envs(crash_at.map(|place| (CRASH_VARIABLE, place))).stdin(Stdio::piped());
        let mut child = command.spawn().unwrap();
        child.stdin.take().unwrap().write_all(JOBS.as_bytes()).unwrap();
        child.wait().unwrap()
    }

    /// Makes what waits, and crashes where that is wanted.
    fn run(&self, crash_at: Option<&str>) -> ExitStatus {
        let mut command = self.command(&["queue", "run", "--every-step"]);
        let output = command.envs(crash_at.map(|place| (CRASH_VARIABLE, place))).output().unwrap();
        if crash_at.is_none() {
            assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        }
        output.status
    }

    /// The seeds of the jobs that wait, with the pictures of each that are done.
    fn waiting(&self) -> Vec<(u64, u64)> {
        let output = self.command(&["queue", "list", "--json"]).stdout(Stdio::piped()).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let lines = String::from_utf8(output.stdout).unwrap();
        let jobs = lines.lines().map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap());
        jobs.map(|job| (job["request"]["seed"].as_u64().unwrap(), job["done"].as_u64().unwrap())).collect()
    }

    fn files(&self) -> Vec<PathBuf> {
        let Ok(days) = std::fs::read_dir(self.paths().pictures_dir) else { return Vec::new() };
        let files = days.flatten().filter_map(|day| std::fs::read_dir(day.path()).ok()).flatten().flatten();
        let files = files.map(|file| file.path());
        files.filter(|path| path.extension().is_some_and(|ending| ending == "png")).collect()
    }

    /// The finished pictures by their seeds. Each must be whole and there once.
    fn pictures(&self) -> BTreeMap<u64, Picture> {
        let mut pictures = BTreeMap::new();
        for path in self.files() {
            let recipe = read_info(&path).unwrap().embedded.recipe().unwrap();
            let picture = read_picture(&path).unwrap_or_else(|error| panic!("half a picture: {error}"));
            let before = pictures.insert(recipe.request.seed, picture);
            assert!(before.is_none(), "the picture of seed {} was made twice", recipe.request.seed);
        }
        pictures
    }

    /// After a crash: what is there is right, and what is not there waits.
    fn check_crashed(&self, place: &str) {
        let pictures = self.pictures();
        for (seed, picture) in &pictures {
            assert!(*picture == UNINTERRUPTED[seed], "{place}: the picture of seed {seed}");
        }
        let waiting = self.waiting();
        let order: Vec<u64> = waiting.iter().map(|(seed, _)| *seed).collect();
        assert!(order.is_sorted(), "{place}: the jobs are in their order: {order:?}");
        for seed in SEEDS {
            let is_waiting = order.contains(&seed) || (seed == 2 && order.contains(&1));
            assert!(is_waiting || pictures.contains_key(&seed), "{place}: seed {seed} is lost");
        }
        assert!(waiting.iter().all(|(_, done)| *done as usize <= pictures.len()), "{place}: {waiting:?}");
    }

    /// At the end: every picture is there, as it is without a crash, and listed once; nothing waits.
    fn check_done(&self, place: &str) {
        let pictures = self.pictures();
        assert_eq!(pictures.keys().copied().collect::<Vec<u64>>(), SEEDS, "{place}");
        for (seed, picture) in &pictures {
            assert!(*picture == UNINTERRUPTED[seed], "{place}: the picture of seed {seed}");
        }
        assert_eq!(self.waiting(), [], "{place}");
        let mut index = Index::open(&self.paths()).unwrap();
        index.rescan().unwrap();
        let listed = index.find(&SearchRequest::default(), &|| false).unwrap().unwrap().result.total;
        assert_eq!(listed, SEEDS.len(), "{place}");
        let left = std::fs::read_dir(self.paths().queue_dir).unwrap().flatten();
        let left: Vec<PathBuf> =
            left.map(|file| file.path()).filter(|path| path.extension().is_some_and(|e| e == "progress")).collect();
        assert!(left.is_empty(), "{place}: {left:?}");
    }
}

/// The pictures of a program that nobody kills.
static UNINTERRUPTED: LazyLock<BTreeMap<u64, Picture>> = LazyLock::new(|| {
    let home = Home::new();
    assert!(home.add(None).success());
    assert_eq!(home.waiting(), [(1, 0), (5, 0), (9, 0)]);
    home.run(None);
    assert_eq!(home.waiting(), []);
    let pictures = home.pictures();
    assert_eq!(pictures.keys().copied().collect::<Vec<u64>>(), SEEDS);
    pictures
});

#[test]
fn a_crash_at_any_place_costs_no_job_and_no_picture() {
    for place in CRASH_POINTS {
        if place.starts_with("queue.add") {
            let home = Home::new();
            assert!(!home.add(Some(place)).success(), "{place}");
            let kept = home.waiting();
            match *place {
                "queue.adding" => {
                    assert_eq!(kept, [], "all or none");
                    assert!(home.add(None).success());
                }
                _ => assert_eq!(kept, [(1, 0), (5, 0), (9, 0)]),
            }
            home.run(None);
            home.check_done(place);
            continue;
        }
        // Within the first picture, between two of one job, and in a later job.
        let times: &[u32] = if place.starts_with("cache.") { &[1, 5] } else { &[1, 2] };
        let home = Home::new();
        assert!(home.add(None).success());
        for time in times {
            let status = home.run(Some(&format!("{place}#{time}")));
            assert!(!status.success(), "{place} is passed {time} times");
            home.check_crashed(place);
        }
        home.run(None);
        home.check_done(place);
    }
}

#[test]
fn a_kill_at_any_moment_costs_no_job_and_no_picture() {
    let runs = std::env::var("ATELIER_CRASH_RUNS").ok().and_then(|runs| runs.parse().ok()).unwrap_or(RUNS);
    let begun = std::time::Instant::now();
    let home = Home::new();
    assert!(home.add(None).success());
    home.run(None);
    // Twice as long as one picture takes, so that kills come at all stages.
    let whole = begun.elapsed();
    let mut random = 0x9e37_79b9_7f4a_7c15_u64;
    let mut home = Home::new();
    assert!(home.add(None).success());
    for run in 0..runs {
        let mut child = home.command(&["queue", "run", "--every-step"]).stderr(Stdio::null()).spawn().unwrap();
        random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        std::thread::sleep(whole.mul_f64((random >> 40) as f64 / f64::from(1 << 24)));
        let is_done = child.try_wait().unwrap().is_some();
        let _ = child.kill();
        child.wait().unwrap();
        home.check_crashed(&format!("kill {run}"));
        if is_done || home.waiting().is_empty() {
            home.check_done(&format!("kill {run}"));
            home = Home::new();
            assert!(home.add(None).success());
        }
    }
    home.run(None);
    home.check_done("after all kills");
}

/// What the child below is told.
const SETTINGS_HOME: &str = "ATELIER_TEST_SETTINGS_HOME";

fn settings(number: usize) -> Settings {
    let theme = if number.is_multiple_of(2) { Theme::Dark } else { Theme::Light };
    let model_paths = (0..200).map(|i| PathBuf::from(format!("/models/{number}/{i}"))).collect();
    Settings { theme, seed_locked: theme == Theme::Dark, model_paths, ..Settings::default() }
}

#[test]
fn settings_are_the_old_or_the_new_ones() {
    for round in 0..5_u64 {
        let home = tempfile::tempdir().unwrap();
        let paths = Paths::below(home.path());
        save_settings(&paths, &settings(0)).unwrap();
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "child_saves_settings", "--ignored"])
            .env(SETTINGS_HOME, home.path())
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        std::thread::sleep(Duration::from_millis(40 + 7 * round));
        child.kill().unwrap();
        child.wait().unwrap();
        let loaded = load_settings(&paths);
        assert!(loaded.problem.is_none(), "never reset: {:?}", loaded.problem);
        let number = loaded.settings.model_paths[0].components().nth(2).unwrap();
        let number = number.as_os_str().to_string_lossy().parse().unwrap();
        assert_eq!(loaded.settings, settings(number), "one whole, not two halves");
    }
}

#[test]
#[ignore = "run in a child process, and killed, by the test above"]
fn child_saves_settings() {
    let Some(home) = std::env::var_os(SETTINGS_HOME) else { return };
    let paths = Paths::below(Path::new(&home));
    for number in 1.. {
        save_settings(&paths, &settings(number)).unwrap();
    }
}
