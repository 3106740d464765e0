//! `LoRA` files of the reference data, fitted to the reference models: every key of every form finds its layer, and all
//! forms of an adapter give the same merged weights.
//!
//! The data lies in `tests/reference`, or in the folder that the environment variable `ATELIER_REFERENCE` names.

#![allow(clippy::unwrap_used, reason = "in a test, what cannot be read is a failure")]

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use atelier::domain::Result;
use atelier::weights::lora::{
    About, AlphaSource, BaseFamily, Component, Contribution, Fit, FitReport, Form, LoraFile, Method, ModelModules,
    Module, Reason, SaveForm, SavedPair, adapter_config, add_pair, header, merge, pair_names, read,
};
use atelier::weights::{TensorFile, open_file};
use proptest::prelude::*;
use safetensors::SafeTensors;
use serde_json::Value;

fn reference() -> PathBuf {
    std::env::var_os("ATELIER_REFERENCE")
        .map_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/reference"), PathBuf::from)
}

/// Those names whose file is in this set of data, by `file`: the repository's own set is a part of the whole. None at all
/// is a failure.
fn present<'a>(names: &[&'a str], file: impl Fn(&str) -> String) -> Vec<&'a str> {
    let found: Vec<&str> = names.iter().copied().filter(|name| reference().join(file(name)).is_file()).collect();
    assert!(!found.is_empty(), "the reference data has none of {names:?}");
    found
}

/// A model in a single file: as safetensors, or where that is not there as a checkpoint of PyTorch.
fn single_file(name: &str) -> String {
    let safetensors = format!("single_file/{name}.safetensors");
    if reference().join(&safetensors).is_file() { safetensors } else { format!("single_file/{name}.ckpt") }
}

/// The models that are here.
fn models() -> Vec<&'static str> {
    present(&["sd1", "sd2", "sdxl"], |name| format!("models/{name}/unet/diffusion_pytorch_model.safetensors"))
}

/// An adapter for Stable Diffusion 1, in kohya's form.
fn kohya() -> PathBuf {
    let file = |name: &str| format!("lora/{name}/kohya/lora.safetensors");
    reference().join(file(present(&["attn", "alpha"], file)[0]))
}

fn read_text(path: &Path) -> String {
    std::fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// The weights of a model's parts.
struct Model {
    files: BTreeMap<Component, TensorFile>,
    modules: ModelModules,
}

impl Model {
    fn open(name: &str) -> Self {
        let folder = reference().join("models").join(name);
        let index: Value = serde_json::from_str(&read_text(&folder.join("model_index.json"))).unwrap();
        // Every part that the model has must be there: without its weights a test would say nothing.
        let parts = Component::ALL.into_iter().filter(|component| index.get(component.folder()).is_some());
        let files: BTreeMap<Component, TensorFile> = parts
            .map(|component| {
                let weights = if component == Component::UNet { "diffusion_pytorch_model" } else { "model" };
                let path = folder.join(component.folder()).join(format!("{weights}.safetensors"));
                (component, TensorFile::open(&path).unwrap())
            })
            .collect();
        let modules = ModelModules::new(files.iter().flat_map(|(component, file)| {
            file.names().filter_map(|name| Module::of_weight(*component, name, &file.info(name).unwrap().shape))
        }));
        Self { files, modules }
    }

    fn weight(&self, component: Component, module: &str) -> Vec<f32> {
        self.files[&component].read_f32(&format!("{module}.weight")).unwrap()
    }
}

/// An adapter's file and what is known of it.
struct Adapter {
    tensors: TensorFile,
    file: LoraFile,
}

impl Adapter {
    fn open(path: &Path) -> Self {
        let tensors = TensorFile::open(path).unwrap();
        let bytes = std::fs::read(path).unwrap();
        let (_, head) = SafeTensors::read_metadata(&bytes).unwrap();
        let config = path.with_file_name("adapter_config.json");
        let adapter_config = std::fs::read_to_string(config).ok().map(|text| serde_json::from_str(&text).unwrap());
        let folder = path.parent().unwrap().file_name().unwrap();
        let component = Component::ALL.into_iter().find(|component| component.folder() == folder);
        let names = tensors.names().map(|name| (name.to_owned(), tensors.info(name).unwrap().shape.clone())).collect();
        let metadata = head.metadata().clone().unwrap_or_default().into_iter().collect();
        Self { tensors, file: LoraFile { tensors: names, metadata, adapter_config, component } }
    }

    fn fit(&self, model: &Model) -> Fit {
        fit(&self.file, &self.tensors, &model.modules)
    }
}

fn fit(file: &LoraFile, tensors: &TensorFile, modules: &ModelModules) -> Fit {
    read(file, modules, &|name| Ok(tensors.read_f32(name)?[0]))
}

/// Where the forms of one adapter lie, below its folder: a form may be several files.
const FORMS: &[(&str, &[&str], Form)] = &[
    ("peft", &["peft/unet/adapter_model.safetensors", "peft/text_encoder/adapter_model.safetensors"], Form::Peft),
    ("diffusers", &["diffusers/pytorch_lora_weights.safetensors"], Form::Diffusers),
    ("diffusers_old", &["diffusers_old/pytorch_lora_weights.safetensors"], Form::DiffusersDotted),
    ("kohya", &["kohya/lora.safetensors"], Form::Kohya),
];

fn index() -> Value {
    serde_json::from_str(&read_text(&reference().join("lora/index.json"))).unwrap()
}

/// A weight of a model with an adapter's part of it added, as f64 sums of products: alpha and rank are the index's.
fn expected(weight: &[f32], up: &[f32], down: &[f32], rank: usize, scale: f64) -> Vec<f64> {
    let columns = down.len() / rank;
    let product = |i: usize| {
        (0..rank)
            .map(|r| f64::from(up[i / columns * rank + r]) * f64::from(down[r * columns + i % columns]))
            .sum::<f64>()
    };
    weight.iter().enumerate().map(|(i, value)| f64::from(*value) + scale * product(i)).collect()
}

/// Merged weights by part and module.
type Merged = BTreeMap<(Component, String), Vec<f32>>;

fn merged(model: &Model, adapter: &Adapter, rank: usize, scale: f64, into: &mut Merged) -> FitReport {
    let fit = adapter.fit(model);
    let report = fit.report.clone();
    assert!(report.is_whole(), "{}: {}", adapter.tensors.path().display(), report.summary());
    for pair in fit.into_adapter().unwrap().pairs {
        let base = model.weight(pair.component, &pair.module);
        let mut weight = base.clone();
        add_pair(&mut weight, &pair, 0.7, &|name| adapter.tensors.read_f32(name)).unwrap();
        assert_eq!(pair.rank, rank, "{}", pair.module);
        let atelier::weights::lora::Factors::Lora { down, up, mid: None } = &pair.factors else {
            panic!("{} is no plain LoRA", pair.module);
        };
        let (down, up) = (adapter.tensors.read_f32(down).unwrap(), adapter.tensors.read_f32(up).unwrap());
        for (value, expected) in weight.iter().zip(expected(&base, &up, &down, rank, 0.7 * scale)) {
            // Weights are of the order of 1: a few roundings of f32.
            assert!((f64::from(*value) - expected).abs() < 1e-6, "{}: {value} is not {expected}", pair.module);
        }
        assert!(into.insert((pair.component, pair.module.clone()), weight).is_none(), "{} twice", pair.module);
    }
    report
}

#[test]
fn every_key_of_every_form_is_used_and_all_forms_are_one_adapter() {
    let index = index();
    for (name, entry) in index["adapters"].as_object().unwrap() {
        let model = Model::open(entry["model"].as_str().unwrap());
        let (rank, alpha) = (entry["rank"].as_u64().unwrap() as usize, entry["alpha"].as_f64().unwrap());
        let folder = reference().join("lora").join(name);
        let mut first: Option<Merged> = None;
        let mut forms = 0;
        for (label, files, form) in FORMS {
            let paths: Vec<PathBuf> =
                files.iter().map(|file| folder.join(file)).filter(|path| path.is_file()).collect();
            if paths.is_empty() {
                continue;
            }
            forms += 1;
            let mut weights = Merged::new();
            for path in &paths {
                let report = merged(&model, &Adapter::open(path), rank, alpha / rank as f64, &mut weights);
                let expected = if name == "sdxl_kohya" { Form::KohyaLdm } else { *form };
                assert_eq!(report.form, Some(expected), "{name}/{label}");
                let silent = *form == Form::DiffusersDotted;
                assert_eq!(report.notes.len(), usize::from(silent), "{name}/{label}: {:?}", report.notes);
            }
            assert_eq!(weights.len() as u64, entry["modules"].as_u64().unwrap(), "{name}/{label}");
            match &first {
                // All numbers are f16 ones, so that every form holds the same bits.
                Some(first) => assert!(*first == weights, "{name}/{label} gives other weights"),
                None => first = Some(weights),
            }
        }
        assert!(forms > 0, "{name} has no file");
    }
}

#[test]
fn ldm_names_lead_to_the_same_numbers() {
    for name in present(&models(), single_file) {
        let model = Model::open(name);
        let single = open_file(&reference().join(single_file(name))).unwrap().file;
        let mut seen = BTreeSet::new();
        let unet = model.modules.modules().iter().filter(|module| module.component == Component::UNet);
        for module in unet {
            let path = &module.path;
            let ldm = model.modules.ldm_path(path).unwrap_or_else(|| panic!("{name}: {path} has no LDM name"));
            assert!(seen.insert(ldm.to_owned()), "{name}: {ldm} twice");
            let values = single.read_f32(&format!("model.diffusion_model.{ldm}.weight")).unwrap();
            assert_eq!(values, model.weight(Component::UNet, path), "{name}: {path} is not {ldm}");
        }
    }
}

#[test]
fn an_adapter_of_another_family_is_refused_with_both_widths() {
    let sdxl = reference().join("lora/sdxl_kohya/kohya/lora.safetensors");
    if sdxl.is_file() {
        let fit = Adapter::open(&sdxl).fit(&Model::open("sd1"));
        assert_eq!(fit.report.base.looks, Some(BaseFamily::Sdxl));
        let error = fit.into_adapter().unwrap_err();
        assert!(error.sentence.contains("looks at text of width 72, the model at text of width 48"), "{error}");
        assert_eq!(error.exit_code(), 2);
    }
    // One for text of another width, as those of another family are.
    let mut sd1 = Adapter::open(&kohya());
    for (name, shape) in &mut sd1.file.tensors {
        if name.contains("attn2_to_k.lora_down") {
            shape[1] += 1;
        }
    }
    let error = sd1.fit(&Model::open("sd1")).into_adapter().unwrap_err();
    assert!(error.sentence.contains("made for another model"), "{error}");
    for other in models().into_iter().filter(|name| *name != "sd1") {
        let error = Adapter::open(&kohya()).fit(&Model::open(other)).into_adapter().unwrap_err();
        assert!(error.sentence.contains("made for another model"), "{other}: {error}");
    }
}

#[test]
fn half_a_pair_and_hostile_shapes_are_left_out_by_name() {
    let model = Model::open("sd1");
    let mut adapter = Adapter::open(&kohya());
    let whole = adapter.file.tensors.len();
    let stem = |file: &LoraFile, at: usize| file.tensors[at * 3].0.split('.').next().unwrap().to_owned();
    // Three tensors a layer, in the order of their names: alpha, down, up.
    let (half, huge, scalar) = (stem(&adapter.file, 0), stem(&adapter.file, 40), stem(&adapter.file, 50));
    adapter.file.tensors.retain(|(name, _)| *name != format!("{half}.lora_up.weight"));
    for (name, shape) in &mut adapter.file.tensors {
        if *name == format!("{huge}.lora_down.weight") {
            *shape = vec![usize::MAX, 3, usize::MAX];
        }
        if *name == format!("{scalar}.alpha") {
            *shape = vec![0];
        }
    }
    adapter.file.tensors.push(("lora_unet_nothing_of_ours.lora_up.weight".to_owned(), vec![1, 1]));
    adapter.file.tensors.push(("bundle_emb.word.emb_params".to_owned(), vec![1, 48]));
    let report = adapter.fit(&model).report;
    assert!(report.refusal.is_none() && !report.is_whole());
    assert_eq!((report.keys, report.keys_matched), (whole - 1 + 2, whole - 9));
    let reason = |name: &str| &report.ignored.iter().find(|ignored| ignored.name == name).unwrap().reason;
    assert_eq!(*reason(&half), Reason::Incomplete { missing: "its up half".to_owned() });
    let Reason::WrongShape { found, weight, .. } = reason(&huge) else { panic!("{:?}", reason(&huge)) };
    assert_eq!((found.as_slice(), weight.len()), ([usize::MAX, 3, usize::MAX].as_slice(), 2));
    assert!(matches!(reason(&scalar), Reason::BadAlpha { .. }));
    assert_eq!(*reason("lora_unet_nothing_of_ours"), Reason::UnknownModule);
    assert_eq!(*reason("bundle_emb.word.emb_params"), Reason::NotAnAdapterKey);
    assert_eq!(report.ignored.len(), 5);
    assert!(report.summary().contains("its up half is missing"), "{}", report.summary());
    let json = serde_json::to_string(&report).unwrap();
    assert_eq!(serde_json::from_str::<FitReport>(&json).unwrap(), report, "the report is plain data");
}

#[test]
fn other_kinds_of_adapters_are_refused_by_name() {
    let model = Model::open("sd1");
    for (ending, method) in [
        ("lokr_w1", Method::LoKr),
        ("dora_scale", Method::Dora),
        ("oft_blocks", Method::Oft),
        ("on_input", Method::Ia3),
        ("a1.weight", Method::Glora),
        ("diff", Method::FullDifference),
    ] {
        let mut adapter = Adapter::open(&kohya());
        let stem = adapter.file.tensors[0].0.split('.').next().unwrap().to_owned();
        // Two, since a layer has several tensors of such a kind.
        for end in ["", "_b"] {
            adapter.file.tensors.push((format!("{stem}.{ending}").replace("_w1", &format!("_w1{end}")), vec![16, 1]));
        }
        let error = adapter.fit(&model).into_adapter().unwrap_err();
        assert!(error.sentence.contains(&method.to_string()), "{ending}: {error}");
    }
}

#[test]
fn what_is_no_lora_is_refused() {
    let model = Model::open("sd1");
    let unet = &model.files[&Component::UNet];
    let names = unet.names().map(|name| (name.to_owned(), unet.info(name).unwrap().shape.clone())).collect();
    for tensors in [names, Vec::new()] {
        let fit = fit(&LoraFile { tensors, ..LoraFile::default() }, unet, &model.modules);
        assert_eq!(fit.report.keys_matched, 0);
        assert!(fit.into_adapter().unwrap_err().sentence.contains("holds no LoRA"));
    }
}

#[test]
fn several_adapters_merge_to_the_same_bits_in_any_order() {
    let model = Model::open("sd1");
    let file = |name: &str| format!("lora/{name}/diffusers/pytorch_lora_weights.safetensors");
    let mut adapters: Vec<Adapter> = present(&["attn", "alpha"], file)
        .into_iter()
        .map(|name| Adapter::open(&reference().join(file(name))))
        .collect();
    if adapters.len() == 1 {
        adapters.push(Adapter::open(&kohya()));
    }
    let changes: Vec<_> = adapters.iter().map(|adapter| adapter.fit(&model).into_adapter().unwrap()).collect();
    let module = &changes[0].pairs[7].module;
    let pairs: Vec<_> = changes.iter().map(|change| change.of(Component::UNet)[module.as_str()]).collect();
    let reads: Vec<_> =
        adapters.iter().map(|adapter| |name: &str| -> Result<Vec<f32>> { adapter.tensors.read_f32(name) }).collect();
    let one = Contribution { adapter: "one", pair: pairs[0], strength: 0.8, read: &reads[0] };
    let two = Contribution { adapter: "two", pair: pairs[1], strength: -0.3, read: &reads[1] };
    let base = model.weight(Component::UNet, module);
    let (mut forward, mut backward, mut alone) = (base.clone(), base.clone(), base.clone());
    merge(&mut forward, &[one, two]).unwrap();
    merge(&mut backward, &[two, one]).unwrap();
    merge(&mut alone, &[one]).unwrap();
    assert_eq!(forward, backward);
    assert!(forward != alone && alone != base);
}

/// A choice of a model's modules with ranks and alphas, to be written.
fn saved(modules: &ModelModules, picks: &[(prop::sample::Index, usize, u32)]) -> Vec<SavedPair> {
    let mut pairs = BTreeMap::new();
    for (index, rank, alpha) in picks {
        let module = index.get(modules.modules());
        pairs.insert((module.component, module.path.clone()), (*rank, f64::from(*alpha) / 2.0));
    }
    pairs.into_iter().map(|((component, module), (rank, alpha))| SavedPair { component, module, rank, alpha }).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn what_is_written_is_read_back(
        name in prop::sample::select(models()),
        picks in prop::collection::vec((any::<prop::sample::Index>(), 1usize..6, 1u32..20), 1..12),
    ) {
        let model = Model::open(name);
        let pairs = saved(&model.modules, &picks);
        for form in SaveForm::ALL {
            let mut found = Vec::new();
            // peft has a file for each part; the other forms one for all.
            let parts: Vec<Option<Component>> =
                if form == SaveForm::Peft { Component::ALL.map(Some).to_vec() } else { vec![None] };
            for part in parts {
                let pairs: Vec<SavedPair> =
                    pairs.iter().filter(|pair| part.is_none_or(|part| part == pair.component)).cloned().collect();
                if pairs.is_empty() {
                    continue;
                }
                let mut file = LoraFile {
                    metadata: header(form, &pairs, &About { base: Some(BaseFamily::Sd1), ..About::default() }),
                    adapter_config: part.map(|part| adapter_config(part, &pairs)),
                    component: part,
                    ..LoraFile::default()
                };
                let mut alphas = BTreeMap::new();
                for pair in &pairs {
                    let names = pair_names(&model.modules, form, pair.component, &pair.module).unwrap();
                    let shape = &model.modules.by_path(pair.component, &pair.module).unwrap().shape;
                    let mut down = vec![pair.rank];
                    down.extend(&shape[1..]);
                    file.tensors.push((names.down, down));
                    file.tensors.push((names.up, vec![shape[0], pair.rank]));
                    if let Some(alpha) = names.alpha {
                        file.tensors.push((alpha.clone(), Vec::new()));
                        alphas.insert(alpha, pair.alpha as f32);
                    }
                }
                let fit = read(&file, &model.modules, &|name| Ok(alphas[name]));
                prop_assert!(fit.report.is_whole(), "{form:?}: {}", fit.report.summary());
                prop_assert_eq!(fit.report.base.stated_family, Some(BaseFamily::Sd1));
                for pair in fit.into_adapter().unwrap().pairs {
                    prop_assert!(pair.alpha.source != AlphaSource::Rank);
                    found.push(SavedPair {
                        component: pair.component,
                        module: pair.module,
                        rank: pair.rank,
                        alpha: pair.alpha.value,
                    });
                }
            }
            found.sort_by(|a, b| (a.component, &a.module).cmp(&(b.component, &b.module)));
            prop_assert_eq!(&found, &pairs, "{:?}", form);
        }
    }
}
