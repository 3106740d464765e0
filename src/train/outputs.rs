//! What a training makes: an adapter as kohya's and as diffusers' file, or a whole model as a folder and as a single file.

use std::collections::{BTreeMap, HashMap};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

use super::Parameters;
use super::learner::Learner;
use super::lora::parameter_names;
use crate::domain::training::{Method, SavePrecision, TrainingConfig};
use crate::domain::{FamilyId, Result, UserError, hex};
use crate::library::atomic::NewFile;
use crate::library::write_atomically;
use crate::models::Model;
use crate::weights::layout::{Component, Making, Shapes, SingleLayout, single_file};
use crate::weights::lora::{About, BaseFamily, Module, SaveForm, header, pair_names};
use crate::weights::{Planned, WrittenAs, write_tensors};

/// Writes what was learnt up to `step` into the training's folder, under `stem`, and gives the files.
///
/// # Errors
/// When a value is not finite or does not fit the precision, or the disk fails.
pub fn write(
    learner: &Learner,
    parameters: &Parameters,
    config: &TrainingConfig,
    step: u64,
    stem: &str,
) -> Result<Vec<PathBuf>> {
    match config.method {
        Method::Lora => write_lora(learner, parameters, config, step, stem),
        Method::Full => write_model(learner, parameters, config, stem),
    }
}

fn written_as(config: &TrainingConfig) -> WrittenAs {
    match config.save_precision {
        SavePrecision::F16 => WrittenAs::F16,
        SavePrecision::F32 => WrittenAs::F32,
    }
}

/// The values of parameters, by name.
struct Trained<'a> {
    parameters: &'a Parameters,
    places: HashMap<&'a str, usize>,
}

impl<'a> Trained<'a> {
    fn new(parameters: &'a Parameters) -> Self {
        let places = parameters.iter().enumerate().map(|(i, parameter)| (parameter.name.as_str(), i)).collect();
        Self { parameters, places }
    }

    fn has(&self, name: &str) -> bool {
        self.places.contains_key(name)
    }

    fn read(&self, name: &str) -> io::Result<Vec<f32>> {
        let place = self.places.get(name).ok_or_else(|| io::Error::other(format!("{name} is not trained")))?;
        self.parameters.value(*place).map_err(io::Error::other)
    }
}

fn write_lora(
    learner: &Learner,
    parameters: &Parameters,
    config: &TrainingConfig,
    step: u64,
    stem: &str,
) -> Result<Vec<PathBuf>> {
    let kohya = SaveForm::kohya_for(&learner.modules);
    let about = about(&learner.model, config, step);
    [(kohya, format!("{stem}.safetensors")), (SaveForm::Diffusers, format!("{stem}-diffusers.safetensors"))]
        .into_iter()
        .map(|(form, name)| {
            let path = config.output.join(name);
            let bytes = adapter_file(learner, &Trained::new(parameters), config, form, &about)
                .map_err(|error| UserError::failed(format!("The adapter cannot be written: {error}")).path(&path))?;
            write_atomically(&path, &bytes)?;
            Ok(path)
        })
        .collect()
}

/// What a header tells of the training. No date: the same training is the same file.
fn about(model: &Model, config: &TrainingConfig, step: u64) -> About {
    let base = match model.info.family {
        FamilyId::Sd1 => Some(BaseFamily::Sd1),
        FamilyId::Sd2 => Some(BaseFamily::Sd2),
        FamilyId::Sdxl => Some(BaseFamily::Sdxl),
        _ => None,
    };
    About {
        title: Some(config.name.clone()),
        base,
        resolution: Some((config.pictures.resolution, config.pictures.resolution)),
        date: None,
        steps: Some(step),
        learning_rate: Some(config.optimizer.learning_rate),
        seed: Some(config.seed),
    }
}

/// An adapter's file in a form.
fn adapter_file(
    learner: &Learner,
    trained: &Trained<'_>,
    config: &TrainingConfig,
    form: SaveForm,
    about: &About,
) -> io::Result<Vec<u8>> {
    /// Where a tensor's values come from.
    enum Source {
        Parameter(String),
        Alpha(f64),
    }
    let (mut planned, mut sources) = (Vec::new(), Vec::new());
    for pair in &learner.pairs {
        let module = learner
            .modules
            .modules()
            .iter()
            .find(|module| module.component == pair.component && module.path == pair.module);
        let names = pair_names(&learner.modules, form, pair.component, &pair.module);
        let (Some(module), Some(names)) = (module, names) else {
            return Err(io::Error::other(format!("{} has no name in this form", pair.module)));
        };
        let (down_shape, up_shape) = factor_shapes(module, pair.rank);
        let (down, up) = parameter_names(&learner.modules, module).map_err(io::Error::other)?;
        let entries = [(names.down, down_shape, Source::Parameter(down)), (names.up, up_shape, Source::Parameter(up))];
        let alpha = names.alpha.map(|name| (name, Vec::new(), Source::Alpha(pair.alpha)));
        for (name, shape, source) in entries.into_iter().chain(alpha) {
            planned.push(Planned { name, shape });
            sources.push(source);
        }
    }
    let mut values = |i: usize| match &sources[i] {
        Source::Parameter(name) => trained.read(name),
        Source::Alpha(alpha) => Ok(vec![*alpha as f32]),
    };
    let mut metadata = header(form, &learner.pairs, about);
    let mut bytes = Vec::new();
    write_tensors(&mut bytes, &metadata, &planned, written_as(config), &mut values)?;
    if form == SaveForm::Diffusers {
        return Ok(bytes);
    }
    // Other programs know an adapter by the hash of what follows the header.
    let length = bytes.first_chunk().map_or(0, |length| u64::from_le_bytes(*length) as usize);
    let hash = hex(&Sha256::digest(&bytes[8 + length..]));
    metadata.insert("sshs_model_hash".to_owned(), hash);
    bytes.clear();
    write_tensors(&mut bytes, &metadata, &planned, written_as(config), &mut values)?;
    Ok(bytes)
}

/// Shapes of a change's factors: down, up.
fn factor_shapes(module: &Module, rank: usize) -> (Vec<usize>, Vec<usize>) {
    let mut down = module.shape.clone();
    down[0] = rank;
    let mut up = vec![1; module.shape.len()];
    (up[0], up[1]) = (module.rows(), rank);
    (down, up)
}

/// The text files of a diffusers folder; those that a model has are copied.
const TEXT_FILES: &[&str] = &[
    "model_index.json",
    "atelier.json",
    "scheduler/scheduler_config.json",
    "unet/config.json",
    "vae/config.json",
    "text_encoder/config.json",
    "text_encoder_2/config.json",
    "tokenizer/vocab.json",
    "tokenizer/merges.txt",
    "tokenizer/tokenizer.json",
    "tokenizer/tokenizer_config.json",
    "tokenizer/special_tokens_map.json",
    "tokenizer_2/vocab.json",
    "tokenizer_2/merges.txt",
    "tokenizer_2/tokenizer.json",
    "tokenizer_2/tokenizer_config.json",
    "tokenizer_2/special_tokens_map.json",
    "feature_extractor/preprocessor_config.json",
];

fn write_model(
    learner: &Learner,
    parameters: &Parameters,
    config: &TrainingConfig,
    stem: &str,
) -> Result<Vec<PathBuf>> {
    let model = &learner.model;
    let trained = Trained::new(parameters);
    let folder = config.output.join(stem);
    let files = model.files();
    for name in TEXT_FILES.iter().filter(|name| files.has(name)) {
        write_atomically(&folder.join(name), files.text(name)?.as_bytes())?;
    }
    let components: Vec<Component> =
        Component::ALL.into_iter().filter(|component| model.part_file(*component).is_ok()).collect();
    for component in &components {
        let names = shapes(model, *component)?;
        let planned: Vec<Planned> =
            names.iter().map(|(name, shape)| Planned { name: name.clone(), shape: shape.clone() }).collect();
        let file = match component {
            Component::Unet | Component::Vae => "diffusion_pytorch_model.safetensors",
            Component::TextEncoder | Component::TextEncoder2 => "model.safetensors",
        };
        let path = folder.join(component.folder()).join(file);
        let mut values = |i: usize| read(model, &trained, *component, &planned[i].name);
        write_file(&path, &planned, written_as(config), &mut values)?;
    }
    let mut made = vec![folder];
    let layout = match model.info.family {
        FamilyId::Sd1 => SingleLayout::Sd1,
        FamilyId::Sd2 => SingleLayout::Sd2,
        FamilyId::Sdxl => SingleLayout::Sdxl,
        // A single file says nothing of its sizes, which are not those of a published family.
        _ => return Ok(made),
    };
    made.push(write_single(model, &trained, config, layout, &components, stem)?);
    Ok(made)
}

/// Names and shapes of a part's tensors as folders have them.
fn shapes(model: &Model, component: Component) -> Result<Shapes> {
    let file = model.part_file(component)?;
    let named = file.tensors().iter().filter(|(name, _)| !name.ends_with("position_ids"));
    Ok(named.map(|(name, info)| (published(component, name), info.shape.clone())).collect())
}

/// A text encoder's tensors stand below `text_model.`, its projection does not.
fn published(component: Component, name: &str) -> String {
    match component {
        Component::Unet | Component::Vae => name.to_owned(),
        _ if name.starts_with("text_projection") => name.to_owned(),
        _ => format!("text_model.{}", bare(name)),
    }
}

fn bare(name: &str) -> &str {
    name.strip_prefix("text_model.").unwrap_or(name)
}

/// A tensor by its published name: as it was trained, or as it was.
fn read(model: &Model, trained: &Trained<'_>, component: Component, name: &str) -> io::Result<Vec<f32>> {
    let own = match component {
        Component::Unet | Component::Vae => name,
        Component::TextEncoder | Component::TextEncoder2 => bare(name),
    };
    let parameter = format!("{}.{own}", component.folder());
    if trained.has(&parameter) {
        return trained.read(&parameter);
    }
    let file = model.part_file(component).map_err(io::Error::other)?;
    let values = file.read_f32(own).map_err(io::Error::other)?;
    file.release_tensor(own);
    Ok(values)
}

fn write_single(
    model: &Model,
    trained: &Trained<'_>,
    config: &TrainingConfig,
    layout: SingleLayout,
    components: &[Component],
    stem: &str,
) -> Result<PathBuf> {
    let path = config.output.join(format!("{stem}.safetensors"));
    let (mut planned, mut tensors) = (Vec::new(), Vec::new());
    let mut all: BTreeMap<Component, Shapes> = BTreeMap::new();
    for component in components {
        let names = shapes(model, *component)?;
        let single = single_file(layout, *component, &names).map_err(|names| {
            let sentence = format!("A single file has no place for {} of the {}", names.join(", "), component.folder());
            UserError::failed(sentence).path(&path)
        })?;
        for tensor in single {
            planned.push(Planned { name: tensor.name.clone(), shape: tensor.shape.clone() });
            tensors.push((*component, tensor));
        }
        all.insert(*component, names);
    }
    let mut values = |i: usize| {
        let (component, tensor) = &tensors[i];
        let mut values = Vec::new();
        for name in &tensor.from {
            values.extend(read(model, trained, *component, name)?);
        }
        if tensor.making == Making::Transposed {
            let (rows, columns) = (tensor.shape[1], tensor.shape[0]);
            values = (0..columns)
                .flat_map(|column| (0..rows).map(move |row| (row, column)))
                .map(|(row, column)| values[row * columns + column])
                .collect();
        }
        Ok(values)
    };
    write_file(&path, &planned, written_as(config), &mut values)?;
    Ok(path)
}

/// Writes a file of weights, piece by piece, that is there as a whole or not at all.
fn write_file(
    path: &Path,
    planned: &[Planned],
    written_as: WrittenAs,
    values: &mut dyn FnMut(usize) -> io::Result<Vec<f32>>,
) -> Result<()> {
    let cannot = |error: io::Error| UserError::failed(format!("The model cannot be written: {error}")).path(path);
    let mut file = NewFile::begin(path)?;
    let mut out = BufWriter::with_capacity(1 << 20, &mut file);
    let metadata = BTreeMap::from([("format".to_owned(), "pt".to_owned())]);
    write_tensors(&mut out, &metadata, planned, written_as, values).map_err(cannot)?;
    out.flush().map_err(cannot)?;
    drop(out);
    file.finish()
}
