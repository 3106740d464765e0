//! The safety checker against diffusers' `StableDiffusionSafetyChecker` and transformers' `CLIPImageProcessor`.

use std::collections::BTreeMap;
use std::path::Path;

use atelier::domain::Picture;
use atelier::models::safety::SafetyChecker;
use atelier::weights::ModelFiles;
use safetensors::tensor::TensorView;
use safetensors::{Dtype, SafeTensors};
use serde_json::Value;

use crate::models::{tensor, values};
use crate::support::{self, Group, Tensors, path_in_or_beside, read_json};

/// The resampling is the reference's to the last bit; what follows is a division and a subtraction.
const PIXEL_TOLERANCE: f64 = 1e-6;
/// Absolute, in f32 on a CPU, as for the text encoders.
const EMBEDDING_TOLERANCE: f64 = 3e-5;
/// Scores have three digits: either they are equal, or one is off by 1e-3.
const SCORE_TOLERANCE: f64 = 1e-6;

/// The data of this group is its own, also where the rest of the reference lies elsewhere.
fn data(name: &str) -> std::path::PathBuf {
    let own = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/reference/safety").join(name);
    if own.is_file() { own } else { path_in_or_beside(&format!("safety/{name}")) }
}

fn goldens() -> Tensors {
    Tensors::read(data("goldens.safetensors").to_str().expect("a path of text"))
}

fn picture(name: &str) -> Picture {
    let image = image::open(data(&format!("{name}.png"))).expect("a picture").into_rgba8();
    Picture { width_px: image.width(), height_px: image.height(), rgba: image.into_raw() }
}

/// The checker with other thresholds, and the encoder's tensors named as `rename` says.
fn checker(thresholds: &BTreeMap<&str, Vec<f32>>, rename: impl Fn(&str) -> String) -> SafetyChecker {
    let folder = tempfile::tempdir().expect("a folder");
    for name in ["safety_checker/config.json", "feature_extractor/preprocessor_config.json"] {
        let to = folder.path().join(name);
        std::fs::create_dir_all(to.parent().expect("a folder")).expect("a folder");
        std::fs::copy(data(&format!("model/{name}")), to).expect("a copy");
    }
    let bytes = std::fs::read(data("model/safety_checker/model.safetensors")).expect("weights");
    let file = SafeTensors::deserialize(&bytes).expect("weights");
    let raw: BTreeMap<&str, Vec<u8>> = thresholds
        .iter()
        .map(|(name, values)| (*name, values.iter().flat_map(|value| value.to_le_bytes()).collect()))
        .collect();
    let views = file.tensors().into_iter().map(|(name, view)| {
        let view = match raw.get(name.as_str()) {
            Some(raw) => TensorView::new(Dtype::F32, view.shape().to_vec(), raw).expect("as many thresholds"),
            None => view,
        };
        (rename(&name), view)
    });
    safetensors::serialize_to_file(views, None, &folder.path().join("safety_checker/model.safetensors"))
        .expect("written weights");
    let files = ModelFiles::Folder(folder.path().to_path_buf());
    SafetyChecker::load(&files).expect("a sound checker").expect("a checker")
}

fn numbers(value: &Value) -> Vec<f32> {
    value.as_array().expect("numbers").iter().map(|number| number.as_f64().expect("a number") as f32).collect()
}

#[test]
fn safety_checker_stages() {
    support::group("safety checker", |group| {
        let goldens = goldens();
        let checker = checker(&BTreeMap::new(), str::to_owned);
        for name in goldens.names().filter_map(|name| name.strip_suffix(".clip_input")) {
            let golden = |part: &str| goldens.get(&format!("{name}.{part}")).floats();
            let pixels = checker.prepare(&picture(name)).expect("a prepared picture");
            group.case();
            group.within(&format!("{name} clip_input"), &values(&pixels), golden("clip_input"), PIXEL_TOLERANCE);
            let given = tensor(&goldens, &format!("{name}.clip_input"));
            let embedded = values(&checker.embed(&given).expect("a vector"));
            group.case();
            group.within(&format!("{name} image_embeds"), &embedded, golden("image_embeds"), EMBEDDING_TOLERANCE);
        }
    });
}

#[test]
fn safety_checker_verdicts() {
    support::group("safety verdicts", |group| {
        let cases = read_json(&data("cases.json"));
        let mut flagged = 0;
        for (i, case) in cases["cases"].as_array().expect("cases").iter().enumerate() {
            let name = format!("{} {}", case["picture"], case["name"]);
            let thresholds = BTreeMap::from([
                ("concept_embeds_weights", numbers(&case["concept_thresholds"])),
                ("special_care_embeds_weights", numbers(&case["special_thresholds"])),
            ]);
            // Every second file has the names that published ones have.
            let published = |name: &str| match name.strip_prefix("vision_model.") {
                Some(rest) if i % 2 == 1 => format!("vision_model.vision_model.{rest}"),
                _ => name.to_owned(),
            };
            let checker = checker(&thresholds, published);
            let picture = picture(case["picture"].as_str().expect("a name"));
            let scores = checker.scores(&picture).expect("scores");
            group.case();
            check_scores(group, &name, "special_scores", &scores.special_care, case);
            check_scores(group, &name, "concept_scores", &scores.concepts, case);
            let verdict = checker.check(&picture).expect("a verdict");
            group.equal(&name, &Value::Bool(verdict.flagged), &case["flagged"]);
            flagged += usize::from(verdict.flagged);
        }
        assert!(flagged > 0, "no case is flagged");
    });
}

fn check_scores(group: &mut Group, case: &str, what: &str, got: &[f32], expected: &Value) {
    group.within(&format!("{case} {what}"), got, &numbers(&expected[what]), SCORE_TOLERANCE);
}
