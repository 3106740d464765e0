//! What all groups share: finding and reading reference files, comparing, reporting.
#![allow(dead_code, reason = "not every group needs every function")]

use std::collections::BTreeMap;
use std::io::Write;
use std::path::{Path, PathBuf};

use half::{bf16, f16};
use safetensors::{Dtype, SafeTensors};
use serde_json::Value;

/// The folder of the reference data.
pub fn folder() -> PathBuf {
    let folder = std::env::var_os("ATELIER_REFERENCE")
        .map_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/reference"), PathBuf::from);
    assert!(folder.is_dir(), "the reference data is missing: there is no folder {}", folder.display());
    folder
}

/// A file of the reference data.
pub fn path(name: &str) -> PathBuf {
    let path = folder().join(name);
    assert!(path.is_file(), "the reference data is incomplete: there is no file {}", path.display());
    path
}

/// A file that lies in the reference folder, or beside it.
pub fn path_in_or_beside(name: &str) -> PathBuf {
    let beside = folder().join("..").join(name);
    if !folder().join(name).is_file() && beside.is_file() { beside } else { path(name) }
}

/// Reads a JSON file.
pub fn read_json(path: &Path) -> Value {
    let text = std::fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    serde_json::from_str(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// A tensor of a reference file.
#[derive(Clone, Debug)]
pub struct Stored {
    /// Its shape.
    pub shape: Vec<usize>,
    values: Values,
}

#[derive(Clone, Debug)]
enum Values {
    Float(Vec<f32>),
    Whole(Vec<i64>),
}

impl Stored {
    /// Its numbers, in order; float16 and bfloat16 are widened.
    pub fn floats(&self) -> &[f32] {
        match &self.values {
            Values::Float(values) => values,
            Values::Whole(_) => panic!("a tensor of whole numbers where floating point was expected"),
        }
    }

    /// Its whole numbers, in order.
    pub fn wholes(&self) -> &[i64] {
        match &self.values {
            Values::Whole(values) => values,
            Values::Float(_) => panic!("a floating-point tensor where whole numbers were expected"),
        }
    }

    /// Whether its numbers are whole.
    pub fn is_whole(&self) -> bool {
        matches!(self.values, Values::Whole(_))
    }

    /// Part `i` along the first axis.
    pub fn row(&self, i: usize) -> &[f32] {
        let size = self.shape[1..].iter().product();
        self.floats().chunks_exact(size).nth(i).unwrap_or_else(|| panic!("there is no row {i} in {:?}", self.shape))
    }
}

/// The tensors of a safetensors file, by name.
pub struct Tensors {
    path: PathBuf,
    tensors: BTreeMap<String, Stored>,
}

impl Tensors {
    /// Reads a file of the reference data.
    pub fn read(name: &str) -> Self {
        let path = path(name);
        let bytes = std::fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        let file = SafeTensors::deserialize(&bytes).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        let tensors = file
            .tensors()
            .into_iter()
            .map(|(name, view)| {
                let values = values(view.dtype(), view.data());
                (name, Stored { shape: view.shape().to_vec(), values })
            })
            .collect();
        Self { path, tensors }
    }

    /// A tensor that must be there.
    pub fn get(&self, name: &str) -> &Stored {
        self.find(name).unwrap_or_else(|| panic!("{} has no tensor {name}", self.path.display()))
    }

    /// A tensor that may be there.
    pub fn find(&self, name: &str) -> Option<&Stored> {
        self.tensors.get(name)
    }

    /// All names, in alphabetical order.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.tensors.keys().map(String::as_str)
    }
}

fn values(dtype: Dtype, data: &[u8]) -> Values {
    macro_rules! read {
        ($number:ty, $widen:expr) => {{
            let (numbers, _) = data.as_chunks();
            numbers.iter().map(|bytes| $widen(<$number>::from_le_bytes(*bytes))).collect()
        }};
    }
    match dtype {
        Dtype::F32 => Values::Float(read!(f32, |v| v)),
        Dtype::F16 => Values::Float(read!(f16, f16::to_f32)),
        Dtype::BF16 => Values::Float(read!(bf16, bf16::to_f32)),
        Dtype::I64 => Values::Whole(read!(i64, |v| v)),
        Dtype::I32 => Values::Whole(read!(i32, i64::from)),
        Dtype::U8 => Values::Whole(data.iter().map(|v| i64::from(*v)).collect()),
        other => panic!("no reference file should hold {other:?}"),
    }
}

/// The largest difference, or why there is none: the lengths differ, or a number is not one.
pub fn max_abs_diff<A: Copy + Into<f64>, B: Copy + Into<f64>>(got: &[A], want: &[B]) -> Result<f64, String> {
    if got.len() != want.len() {
        return Err(format!("{} values instead of {}", got.len(), want.len()));
    }
    let differences = got.iter().zip(want).map(|(a, b)| ((*a).into() - (*b).into()).abs());
    // NaN is lost by `max`, so it is looked for; an infinity less itself is one.
    differences.enumerate().try_fold(0.0_f64, |most, (i, difference)| {
        if difference.is_nan() { Err(format!("value {i} is not a number")) } else { Ok(most.max(difference)) }
    })
}

/// The largest magnitude.
pub fn max_abs(values: &[f32]) -> f64 {
    values.iter().map(|value| f64::from(value.abs())).fold(0.0, f64::max)
}

/// A group of comparisons with one line in the report.
pub struct Group {
    name: &'static str,
    cases: usize,
    /// The comparison that came closest to its tolerance: share, error, tolerance, case.
    worst: (f64, f64, f64, String),
    failures: Vec<String>,
    not_yet: BTreeMap<String, usize>,
}

/// Runs a group: `checks` registers its comparisons, then the line is printed, and any failure fails the test.
pub fn group(name: &'static str, checks: impl FnOnce(&mut Group)) {
    let mut group = Group::new(name);
    checks(&mut group);
    // Written to the stream itself: the test harness keeps what a passing test prints to itself.
    let _ = writeln!(std::io::stdout().lock(), "{}", group.line());
    if let Err(failures) = group.verdict() {
        panic!("{failures}");
    }
}

impl Group {
    fn new(name: &'static str) -> Self {
        let worst = (-1.0, 0.0, 0.0, String::new());
        Self { name, cases: 0, worst, failures: Vec::new(), not_yet: BTreeMap::new() }
    }

    /// Counts a case. A case may have any number of comparisons.
    pub fn case(&mut self) {
        self.cases += 1;
    }

    /// Counts a case of something that is not built yet.
    pub fn not_yet(&mut self, what: &str) {
        *self.not_yet.entry(what.to_owned()).or_default() += 1;
    }

    /// Compares values within an absolute tolerance.
    pub fn within<A: Copy + Into<f64>, B: Copy + Into<f64>>(
        &mut self,
        what: &str,
        got: &[A],
        want: &[B],
        tolerance: f64,
    ) {
        match max_abs_diff(got, want) {
            Err(reason) => self.failures.push(format!("{what}: {reason}")),
            Ok(error) => self.error(what, error, tolerance),
        }
    }

    /// Compares values within a tolerance relative to each wanted one; a wanted 0 is to be met exactly.
    pub fn within_relative<A: Copy + Into<f64>, B: Copy + Into<f64>>(
        &mut self,
        what: &str,
        got: &[A],
        want: &[B],
        tolerance: f64,
    ) {
        self.within_relative_above(what, got, want, tolerance, 0.0);
    }

    /// Compares values within a tolerance relative to each wanted one, or to `floor` where that is larger.
    pub fn within_relative_above<A: Copy + Into<f64>, B: Copy + Into<f64>>(
        &mut self,
        what: &str,
        got: &[A],
        want: &[B],
        tolerance: f64,
        floor: f64,
    ) {
        let unit = |want: B| want.into().abs().max(floor).max(f64::MIN_POSITIVE);
        if got.len() != want.len() {
            return self.fail(format!("{what}: {} values instead of {}", got.len(), want.len()));
        }
        let got: Vec<f64> = got.iter().zip(want).map(|(got, want)| (*got).into() / unit(*want)).collect();
        let want: Vec<f64> = want.iter().map(|want| (*want).into() / unit(*want)).collect();
        self.within(what, &got, &want, tolerance);
    }

    /// Compares for equality.
    pub fn equal<T: PartialEq + std::fmt::Debug>(&mut self, what: &str, got: &T, want: &T) {
        if got != want {
            self.failures.push(format!("{what}: {got:?} instead of {want:?}"));
        }
    }

    /// Registers an error that was computed elsewhere.
    pub fn error(&mut self, what: &str, error: f64, tolerance: f64) {
        let share = error / tolerance;
        if share.is_nan() || share > 1.0 {
            self.failures.push(format!("{what}: error {error:.3e}, tolerance {tolerance:.3e}"));
        }
        if share > self.worst.0 {
            self.worst = (share, error, tolerance, what.to_owned());
        }
    }

    /// Registers a failure.
    pub fn fail(&mut self, what: String) {
        self.failures.push(what);
    }

    /// The group's line in the report.
    fn line(&self) -> String {
        let Self { name, cases, worst: (share, error, tolerance, what), failures, not_yet } = self;
        let errors = if *share < 0.0 {
            "compared for equality".to_owned()
        } else {
            format!("largest error {error:.1e}, tolerance {tolerance:.1e} ({what})")
        };
        let failed = match failures.len() {
            0 => String::new(),
            n => format!("; {n} comparisons FAILED"),
        };
        let each: Vec<String> = not_yet.iter().map(|(what, count)| format!("{what} {count}")).collect();
        let not_yet = match not_yet.values().sum::<usize>() {
            0 => String::new(),
            n => format!("; not yet: {n} cases ({})", each.join(", ")),
        };
        format!("parity {name}: {cases} cases, {errors}{failed}{not_yet}")
    }

    /// What went wrong. Nothing to compare is wrong, too.
    fn verdict(mut self) -> Result<(), String> {
        if self.cases == 0 {
            self.failures.push("the reference data has no case".to_owned());
        }
        if self.failures.is_empty() {
            return Ok(());
        }
        let shown: Vec<&str> = self.failures.iter().take(20).map(String::as_str).collect();
        Err(format!("{}: {} comparisons failed:\n{}", self.name, self.failures.len(), shown.join("\n")))
    }
}

#[test]
fn a_comparison_can_fail() {
    assert_eq!(max_abs_diff(&[1.0_f32, 2.0], &[1.0_f32, 2.5]), Ok(0.5));
    assert!(max_abs_diff(&[f32::NAN], &[1.0_f32]).is_err());
    assert!(max_abs_diff(&[1.0_f32], &[f32::NAN]).is_err());
    assert!(max_abs_diff(&[f32::INFINITY], &[f32::INFINITY]).is_err());
    assert!(max_abs_diff(&[1.0_f32], &[1.0_f32, 1.0]).is_err());

    let passes = |check: fn(&mut Group)| {
        let mut group = Group::new("self-test");
        group.case();
        check(&mut group);
        group.verdict().is_ok()
    };
    assert!(Group::new("self-test").verdict().is_err(), "no case is a failure");
    assert!(passes(|group| group.within("", &[1.0_f32], &[1.000_1_f32], 1e-3)));
    assert!(!passes(|group| group.within("", &[1.0_f32], &[1.1_f32], 1e-3)));
    assert!(passes(|group| group.within_relative("", &[100.0_f32, 0.0], &[100.05_f32, 0.0], 1e-3)));
    assert!(!passes(|group| group.within_relative("", &[1e-9_f32], &[0.0_f32], 1e-3)));
    assert!(passes(|group| group.within_relative_above("", &[1e-9_f32], &[0.0_f32], 1e-3, 1.0)));
    assert!(!passes(|group| group.within_relative("", &[1.0_f32], &[1.0_f32, 1.0], 1e-3)));
    assert!(!passes(|group| group.error("", f64::NAN, 1.0)));
    assert!(!passes(|group| group.equal("", &1, &2)));
    assert!(!passes(|group| group.fail(String::new())));
}
