//! Latents and texts' vectors, computed once and kept on disk under a hash of all that decides them.
//!
//! A cache can be deleted at any time. What cannot be read in it is made again; what was made with another model, other
//! pictures or other settings has another name.

use std::io;
use std::path::{Path, PathBuf};

use candle_core::{Device, Tensor};
use image::RgbImage;
use sha2::{Digest, Sha256};

use super::buckets::Placed;
use super::learner::condition;
use crate::dataset::picture;
use crate::domain::{Result, UserError, hex};
use crate::library::atomic::write_cache;
use crate::models::Model;
use crate::models::embeddings::{AddedCondition, Condition};
use crate::models::text::{Ids, Sizes, tokens};
use crate::nn::{engine_error, without_gradients};
use crate::weights::layout::Component;
use crate::weights::{Planned, TensorFile, Values, WrittenAs, write_tensors};

/// Raised when the same picture or text gives other numbers, so that those of older versions are made again.
const VERSION: u32 = 1;

/// How a picture is shown to the network.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct View {
    /// How it is scaled and cropped.
    pub placed: Placed,
    /// Whether it is mirrored.
    pub mirrored: bool,
}

/// A folder of what was computed once.
pub struct Cache {
    folder: PathBuf,
    vae: String,
    text: String,
}

impl Cache {
    /// In `folder`, for a model.
    ///
    /// # Errors
    /// When the model's weights cannot be read.
    pub fn open(folder: &Path, model: &Model) -> Result<Self> {
        let scaled = format!("{:?}", model.vae.config());
        let mut text = vec![Component::TextEncoder];
        text.extend(model.text_2.as_ref().map(|_| Component::TextEncoder2));
        let configs: Vec<String> = [Some(&model.text), model.text_2.as_ref()]
            .into_iter()
            .flatten()
            .map(|part| format!("{:?}", part.encoder.config()))
            .collect();
        Ok(Self {
            folder: folder.to_path_buf(),
            vae: digest_of(model, &[Component::Vae], &scaled)?,
            text: digest_of(model, &text, &configs.concat())?,
        })
    }

    /// The file of a picture's latents; `content` is the hash of its file.
    fn latents_path(&self, content: &str, view: View) -> PathBuf {
        self.path("latents", &format!("{VERSION} {} {content} {view:?}", self.vae))
    }

    /// The file of a text's vectors.
    fn text_path(&self, text: &str) -> PathBuf {
        self.path("text", &format!("{VERSION} {} {text}", self.text))
    }

    fn path(&self, kind: &str, name: &str) -> PathBuf {
        self.folder.join(kind).join(format!("{}.safetensors", hex(&Sha256::digest(name))))
    }

    /// Whether a picture's latents are there.
    #[must_use]
    pub fn has_latents(&self, content: &str, view: View) -> bool {
        read(&self.latents_path(content, view)).is_some()
    }

    /// The moments of a picture's latents `[2 * channels, height, width]`, from disk or computed now and kept.
    ///
    /// # Errors
    /// When the picture or the disk fails.
    pub fn moments(&self, model: &Model, file: &Path, content: &str, view: View) -> Result<Tensor> {
        let path = self.latents_path(content, view);
        if let Some(moments) = read(&path).and_then(|file| tensor(&file, "moments")) {
            return Ok(moments);
        }
        let moments = encode(model, &[shown(file, view)?])?.get(0).map_err(engine_error)?;
        write(&path, &[("moments", &moments)])?;
        Ok(moments)
    }

    /// Whether a text's vectors are there.
    #[must_use]
    pub fn has_text(&self, text: &str) -> bool {
        read(&self.text_path(text)).is_some()
    }

    /// What the network is told of a text, one row, from disk or computed now and kept. Sizes are not in it.
    ///
    /// # Errors
    /// When a text encoder or the disk fails.
    pub fn text(&self, model: &Model, text: &str) -> Result<Condition> {
        let path = self.text_path(text);
        if let Some(condition) = read(&path).and_then(|file| read_condition(&file, model.text_2.is_some())) {
            return Ok(condition);
        }
        let condition = without_gradients(|| condition(model, &ids(model, &[text])?, &[Sizes::whole(0, 0)]))?;
        let mut tensors = vec![("text", &condition.text)];
        tensors.extend(condition.added.as_ref().map(|added| ("pooled", &added.text_embeds)));
        write(&path, &tensors)?;
        Ok(condition)
    }
}

/// The ids of texts for each text encoder.
///
/// # Errors
/// When a tokenizer fails, which no text makes it do.
pub fn ids(model: &Model, texts: &[&str]) -> Result<Ids> {
    let second = match &model.text_2 {
        Some(part) => tokens(part, texts)?.0,
        None => Vec::new(),
    };
    Ok(Ids { first: tokens(&model.text, texts)?.0, second })
}

/// A picture as the network sees it, `[3, height, width]` in −1..1.
///
/// # Errors
/// When the file is no picture any more.
pub fn shown(file: &Path, view: View) -> Result<Tensor> {
    let whole = picture::read(file, None)
        .map_err(|why| UserError::failed(format!("A picture of the data set cannot be read: {why}")).path(file))?;
    planes(&picture::scaled(&whole, view.placed.scaled.0, view.placed.scaled.1), view).map_err(engine_error)
}

fn planes(scaled: &RgbImage, view: View) -> candle_core::Result<Tensor> {
    let View { placed: Placed { corner, size, .. }, mirrored } = view;
    let mut planes = Vec::with_capacity(3 * size.0 as usize * size.1 as usize);
    for channel in 0..3 {
        for y in 0..size.1 {
            for x in 0..size.0 {
                let x = if mirrored { size.0 - 1 - x } else { x };
                let byte = scaled.get_pixel(corner.0 + x, corner.1 + y)[channel];
                planes.push(f32::from(byte) / 127.5 - 1.0);
            }
        }
    }
    Tensor::from_vec(planes, (3, size.1 as usize, size.0 as usize), &Device::Cpu)
}

/// The moments of pictures of one size, `[pictures, 2 * channels, height, width]`.
///
/// # Errors
/// When the autoencoder fails.
pub fn encode(model: &Model, pictures: &[Tensor]) -> Result<Tensor> {
    let encode = || {
        let distribution = model.vae.encode(&Tensor::stack(pictures, 0)?)?;
        Tensor::cat(&[&distribution.mean, &distribution.logvar], 1)?.contiguous()
    };
    without_gradients(encode).map_err(engine_error)
}

/// The hash of a file's content.
///
/// # Errors
/// When it cannot be read.
pub fn content_hash(path: &Path) -> Result<String> {
    let hash = || -> io::Result<String> {
        let mut hasher = Sha256::new();
        io::copy(&mut std::fs::File::open(path)?, &mut hasher)?;
        Ok(hex(&hasher.finalize()))
    };
    hash().map_err(|error| UserError::failed(format!("A picture of the data set cannot be read: {error}")).path(path))
}

/// A hash of parts of a model: names, shapes and numbers of their weights, and what else decides them.
fn digest_of(model: &Model, parts: &[Component], rest: &str) -> Result<String> {
    let mut hasher = Sha256::new();
    hasher.update(rest);
    for part in parts {
        let file = model.part_file(*part)?;
        for name in file.names() {
            hasher.update(format!("\n{name} {:?}\n", file.info(name).map(|info| &info.shape)));
            let bytes: Vec<u8> = match file.read(name)? {
                Values::F32(values) => values.iter().flat_map(|value| value.to_le_bytes()).collect(),
                Values::F16(values) => values.iter().flat_map(|value| value.to_le_bytes()).collect(),
                Values::Bf16(values) => values.iter().flat_map(|value| value.to_le_bytes()).collect(),
            };
            hasher.update(bytes);
            file.release_tensor(name);
        }
    }
    Ok(hex(&hasher.finalize()))
}

/// A file of the cache, if it is there and whole.
fn read(path: &Path) -> Option<TensorFile> {
    path.is_file().then(|| TensorFile::open(path).ok()).flatten()
}

fn tensor(file: &TensorFile, name: &str) -> Option<Tensor> {
    let shape = file.info(name)?.shape.clone();
    Tensor::from_vec(file.read_f32(name).ok()?, shape, &Device::Cpu).ok()
}

fn read_condition(file: &TensorFile, is_pair: bool) -> Option<Condition> {
    let text = tensor(file, "text")?;
    let added = if is_pair {
        let time_ids = Tensor::zeros((1, 6), candle_core::DType::F32, &Device::Cpu).ok()?;
        Some(AddedCondition { text_embeds: tensor(file, "pooled")?, time_ids })
    } else {
        None
    };
    Some(Condition { text, added, guidance_scale: None })
}

fn write(path: &Path, tensors: &[(&str, &Tensor)]) -> Result<()> {
    let planned: Vec<Planned> = tensors
        .iter()
        .map(|(name, tensor)| Planned { name: (*name).to_owned(), shape: tensor.dims().to_vec() })
        .collect();
    let mut values = |i: usize| tensors[i].1.flatten_all().and_then(|flat| flat.to_vec1()).map_err(io::Error::other);
    let mut bytes = Vec::new();
    write_tensors(&mut bytes, &std::collections::BTreeMap::new(), &planned, WrittenAs::F32, &mut values)
        .map_err(|error| UserError::failed(format!("What was encoded cannot be kept: {error}")).path(path))?;
    write_cache(path, &bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::training::Crop;
    use crate::domain::{Cancel, ModelRef};
    use crate::models;

    #[test]
    fn pictures_are_cropped_and_mirrored_in_their_planes() {
        let picture = RgbImage::from_fn(4, 2, |x, y| image::Rgb([(x * 10) as u8, (y * 100) as u8, 255]));
        let placed = Placed { scaled: (4, 2), corner: (1, 0), size: (2, 2) };
        for (mirrored, wanted) in [(false, [10.0, 20.0]), (true, [20.0, 10.0])] {
            let values: Vec<Vec<Vec<f32>>> = planes(&picture, View { placed, mirrored }).unwrap().to_vec3().unwrap();
            let first: Vec<f32> = values[0][0].iter().map(|value| ((value + 1.0) * 127.5).round()).collect();
            assert_eq!(first, wanted);
            assert_eq!((values[1][0][0], values[2][1][1]), (-1.0, 1.0));
        }
    }

    #[test]
    fn what_is_kept_is_what_was_computed_and_a_broken_file_is_made_again() {
        let folder = tempfile::tempdir().unwrap();
        let model = models::open(&ModelRef::Starter, None, &Cancel::default(), &mut |_| ()).unwrap();
        let cache = Cache::open(folder.path(), &model).unwrap();
        let file = folder.path().join("a.png");
        RgbImage::from_fn(96, 64, |x, y| image::Rgb([x as u8, y as u8, 7])).save(&file).unwrap();
        let content = content_hash(&file).unwrap();
        let placed = Placed::of((96, 64), (64, 64), Crop::Centre, &mut |_| 0);
        let view = View { placed, mirrored: false };
        let values = |tensor: &Tensor| tensor.flatten_all().unwrap().to_vec1::<f32>().unwrap();
        assert!(!cache.has_latents(&content, view) && !cache.has_text("a red dress"));
        let first = (cache.moments(&model, &file, &content, view).unwrap(), cache.text(&model, "a red dress").unwrap());
        assert!(cache.has_latents(&content, view) && cache.has_text("a red dress"));
        assert!(!cache.has_latents(&content, View { mirrored: true, ..view }) && !cache.has_text("a dress"));
        for broken in [false, true] {
            if broken {
                std::fs::write(cache.latents_path(&content, view), b"cut").unwrap();
                std::fs::write(cache.text_path("a red dress"), b"cut").unwrap();
                assert!(!cache.has_latents(&content, view));
            }
            let moments = cache.moments(&model, &file, &content, view).unwrap();
            assert_eq!(values(&moments), values(&first.0));
            assert_eq!(values(&cache.text(&model, "a red dress").unwrap().text), values(&first.1.text));
        }
    }
}
