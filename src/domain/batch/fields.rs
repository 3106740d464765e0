//! [`FIELDS`]: the fields of a request that a table can give, under all the names that they go by.

use std::path::{Path, PathBuf};
use std::str::FromStr;

use crate::domain::search::nearest;
use crate::domain::{Extend, GenerateRequest, Hires, InitImage, LoraUse, ModelRef, Variation, safe_path};

/// A field of a request that a table can give.
pub struct Field {
    /// Its name, in the request's own spelling.
    pub name: &'static str,
    /// What it is, for a sentence.
    pub about: &'static str,
    /// Other names of its column, and of its flag in a list.
    aliases: &'static [&'static str],
    /// Its flag in a list, as kohya's scripts call it.
    flag: Option<&'static str>,
    /// Takes a value that is not empty. The error goes on the name of the column.
    set: fn(&mut RowDraft, &str, &Names) -> Result<(), String>,
}

/// What the files are called that a table can name.
#[derive(Clone, Copy, Debug)]
pub struct Names<'a> {
    /// The folder that all other names are below.
    pub folder: &'a Path,
    /// Models by their names.
    pub models: &'a [(String, ModelRef)],
    /// Adapters by their names.
    pub loras: &'a [(String, PathBuf)],
}

/// A request on its way from a row.
pub(super) struct RowDraft {
    pub(super) request: GenerateRequest,
    pub(super) has_seed: bool,
    mask: Option<PathBuf>,
    strength: Option<f64>,
    extend: Option<Extend>,
    hires_strength: Option<f64>,
    variation_strength: Option<f64>,
}

macro_rules! field {
    ($name:literal, $about:literal, [$($alias:literal),*], $flag:expr, $set:expr) => {
        Field { name: $name, about: $about, aliases: &[$($alias),*], flag: $flag, set: $set }
    };
}

/// Every field, in the order in which a list's columns stand. The model comes first where it is used: the others begin
/// with its defaults.
pub static FIELDS: &[Field] = &[
    field!("prompt", "prompt", ["positive", "positive_prompt"], None, |draft, value, _| {
        value.clone_into(&mut draft.request.prompt);
        Ok(())
    }),
    field!("negative_prompt", "negative prompt", ["negative"], Some("n"), |draft, value, _| {
        value.clone_into(&mut draft.request.negative_prompt);
        Ok(())
    }),
    field!("model", "model", ["checkpoint", "ckpt"], None, |draft, value, names| {
        draft.request.model = names.model(value)?;
        Ok(())
    }),
    field!("width_px", "width", ["width", "w"], Some("w"), |draft, value, _| {
        draft.request.width_px = whole(value)?;
        Ok(())
    }),
    field!("height_px", "height", ["height", "h"], Some("h"), |draft, value, _| {
        draft.request.height_px = whole(value)?;
        Ok(())
    }),
    field!("num_inference_steps", "steps", ["steps", "sampling_steps"], Some("s"), |draft, value, _| {
        draft.request.num_inference_steps = whole(value)?;
        Ok(())
    }),
    field!("guidance_scale", "guidance", ["guidance", "cfg", "cfg_scale"], Some("l"), |draft, value, _| {
        draft.request.guidance_scale = number(value)?;
        Ok(())
    }),
    field!("sampler", "sampler", ["sampler_name"], Some("ss"), |draft, value, _| {
        draft.request.sampler = named(value)?;
        Ok(())
    }),
    field!("schedule", "schedule", ["scheduler", "schedule_type"], None, |draft, value, _| {
        draft.request.schedule = named(value)?;
        Ok(())
    }),
    field!("seed", "seed", [], Some("d"), |draft, value, _| {
        // -1 stands for "any" elsewhere.
        if value != "-1" {
            draft.request.seed = whole(value)?;
            draft.has_seed = true;
        }
        Ok(())
    }),
    field!("count", "number of pictures", ["n", "num_images"], None, |draft, value, _| {
        draft.request.count = whole(value)?;
        Ok(())
    }),
    field!("clip_skip", "clip skip", [], None, |draft, value, _| {
        draft.request.clip_skip = whole(value)?;
        Ok(())
    }),
    field!("guidance_rescale", "guidance rescale", ["cfg_rescale"], None, |draft, value, _| {
        draft.request.guidance_rescale = number(value)?;
        Ok(())
    }),
    field!("vae", "VAE", [], None, |draft, value, names| {
        draft.request.vae = Some(names.file(value)?);
        Ok(())
    }),
    field!("loras", "LoRAs", ["lora"], None, |draft, value, names| {
        draft.request.loras = names.loras(value)?;
        Ok(())
    }),
    field!("init", "picture to begin with", ["init_image", "init_picture"], None, |draft, value, names| {
        let picture = names.file(value)?;
        draft.request.init =
            Some(InitImage { picture, mask: None, strength: InitImage::STRENGTH, extend: <_>::default() });
        Ok(())
    }),
    field!("mask", "mask", ["mask_image"], None, |draft, value, names| {
        draft.mask = Some(names.file(value)?);
        Ok(())
    }),
    field!("strength", "strength", ["denoising_strength"], None, |draft, value, _| {
        draft.strength = Some(number(value)?);
        Ok(())
    }),
    field!("extend", "what is painted around", ["outpaint"], None, |draft, value, _| {
        draft.extend = Some(value.parse().map_err(|why| format!("cannot be read: {why}"))?);
        Ok(())
    }),
    field!("upscale", "enlargement", [], None, |draft, value, _| {
        draft.request.upscale = Some(number(value)?);
        Ok(())
    }),
    field!("hires", "second pass", ["hires_scale"], None, |draft, value, _| {
        draft.request.hires = Some(Hires { scale: number(value)?, strength: Hires::STRENGTH });
        Ok(())
    }),
    field!("hires_strength", "second pass's strength", [], None, |draft, value, _| {
        draft.hires_strength = Some(number(value)?);
        Ok(())
    }),
    field!("variation", "variation's seed", ["variation_seed", "subseed"], None, |draft, value, _| {
        draft.request.variation = Some(Variation { seed: whole(value)?, strength: Variation::STRENGTH });
        Ok(())
    }),
    field!("variation_strength", "variation's strength", ["subseed_strength"], None, |draft, value, _| {
        draft.variation_strength = Some(number(value)?);
        Ok(())
    }),
];

impl Field {
    /// The field that a column gives; upper and lower case, blanks, `-` and `_` do not matter.
    #[must_use]
    pub fn of_column(column: &str) -> Option<&'static Self> {
        let wanted = comparable(column);
        FIELDS.iter().find(|field| field.names().any(|name| comparable(name) == wanted))
    }

    /// The field that a flag of a list gives: kohya's, or one of the names of a column.
    #[must_use]
    pub fn of_flag(flag: &str) -> Option<&'static Self> {
        let kohyas = FIELDS.iter().find(|field| field.flag.is_some_and(|own| own.eq_ignore_ascii_case(flag)));
        // The prompt is what stands before the flags.
        kohyas.or_else(|| Self::of_column(flag).filter(|field| field.name != "prompt"))
    }

    /// Every name of its column.
    pub fn names(&self) -> impl Iterator<Item = &'static str> {
        std::iter::once(self.name).chain(self.aliases.iter().copied())
    }

    pub(super) fn flags(&self) -> impl Iterator<Item = &'static str> {
        self.flag.into_iter().chain(self.names()).filter(|name| *name != "prompt")
    }

    /// Takes a row's value. An empty one says nothing.
    pub(super) fn take(&self, draft: &mut RowDraft, value: &str, names: &Names) -> Result<(), String> {
        let value = value.trim();
        if value.is_empty() {
            Ok(())
        } else {
            (self.set)(draft, value, names).map_err(|why| format!("{} {why}", self.about))
        }
    }
}

impl RowDraft {
    pub(super) fn new(request: GenerateRequest) -> Self {
        let (mask, strength, extend, hires_strength, variation_strength) = Default::default();
        Self { request, has_seed: false, mask, strength, extend, hires_strength, variation_strength }
    }

    /// Puts together what several columns say of one field.
    pub(super) fn finish(self) -> Result<(GenerateRequest, bool), String> {
        let Self { mut request, has_seed, mask, strength, extend, hires_strength, variation_strength } = self;
        let what = if mask.is_some() { "mask" } else { "what is painted around" };
        match &mut request.init {
            Some(init) => {
                if let Some(extend) = extend {
                    // The row's size is that of the picture; the whole is as much larger as is painted around.
                    let (wide, high) = extend.sides();
                    request.width_px = request.width_px.saturating_add(wide);
                    request.height_px = request.height_px.saturating_add(high);
                    init.extend = extend;
                }
                if mask.is_some() || extend.is_some() || request.upscale.is_some() {
                    init.strength =
                        InitImage::usual_strength(request.upscale.is_some(), extend.is_some(), mask.is_some());
                }
                init.strength = strength.unwrap_or(init.strength);
                init.mask = mask.or(init.mask.take());
            }
            None if mask.is_some() || extend.is_some() => {
                return Err(format!("{what}: there is no picture to begin with that it is of"));
            }
            None => {}
        }
        if let (Some(hires), Some(strength)) = (&mut request.hires, hires_strength) {
            hires.strength = strength;
        }
        match (&mut request.variation, variation_strength) {
            (Some(variation), Some(strength)) => variation.strength = strength,
            (None, Some(_)) => {
                return Err("variation's strength: there is no variation's seed to go towards".to_owned());
            }
            (_, None) => {}
        }
        Ok((request, has_seed))
    }
}

impl Names<'_> {
    /// A file below the table's folder.
    fn file(&self, name: &str) -> Result<PathBuf, String> {
        Ok(self.folder.join(safe_path(name)?))
    }

    /// `starter`, one of the models by its name or path, or a file or folder below the table's folder.
    fn model(&self, name: &str) -> Result<ModelRef, String> {
        let known = self.models.iter().find(|(known, model)| {
            let is_path = matches!(model, ModelRef::Path(path) if path == Path::new(name));
            known.eq_ignore_ascii_case(name) || is_path
        });
        match known {
            Some((_, model)) => Ok(model.clone()),
            None if name.eq_ignore_ascii_case(ModelRef::STARTER_NAME) => Ok(ModelRef::Starter),
            None => self.file(name).map(ModelRef::Path).map_err(|why| {
                match nearest(name, self.models.iter().map(|(known, _)| known.as_str())) {
                    Some(near) => format!("{why}, and there is no model of that name: did you mean {near}?"),
                    None => format!("{why}, and there is no model of that name"),
                }
            }),
        }
    }

    /// `ink=0.8; wash`, each one of the adapters by its name or a file below the table's folder.
    fn loras(&self, text: &str) -> Result<Vec<LoraUse>, String> {
        let of = |piece: &str| {
            let weighed = piece
                .rsplit_once(['=', ':'])
                .and_then(|(name, weight)| Some((name, weight.trim().parse::<f64>().ok()?)));
            let (name, weight) = weighed.filter(|(_, weight)| weight.is_finite()).unwrap_or((piece, 1.0));
            let name = name.trim();
            let known = self.loras.iter().find(|(known, _)| known.eq_ignore_ascii_case(name));
            let path = known.map_or_else(|| self.file(name), |(_, path)| Ok(path.clone()))?;
            Ok(LoraUse { path, unet_weight: weight, text_encoder_weight: weight })
        };
        text.split([';', ',']).map(str::trim).filter(|piece| !piece.is_empty()).map(of).collect()
    }
}

/// What a name is compared by.
fn comparable(name: &str) -> String {
    name.chars().filter(|c| c.is_alphanumeric()).flat_map(char::to_lowercase).collect()
}

/// A whole number. `20.0` is one: tables write them so.
fn whole<T: FromStr>(text: &str) -> Result<T, String> {
    let digits = text.strip_suffix(".0").unwrap_or(text);
    digits.parse().map_err(|_| format!("is \"{}\", which is no whole number that can be used", cut(text)))
}

fn number(text: &str) -> Result<f64, String> {
    // With a comma, as half of Europe writes it.
    let point = text.replace(',', ".");
    let finite = point.parse::<f64>().ok().filter(|number| number.is_finite());
    finite.ok_or_else(|| format!("is \"{}\", which is no number", cut(text)))
}

fn named<T: FromStr<Err = crate::domain::UserError>>(text: &str) -> Result<T, String> {
    text.parse().map_err(|error: crate::domain::UserError| format!("is not known: {}", error.sentence))
}

/// Not more of a value than a message can hold.
fn cut(text: &str) -> String {
    let mut short: String = text.chars().take(60).collect();
    if short.len() < text.len() {
        short.push('…');
    }
    short
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn every_field_of_a_request_can_be_given_by_its_name() {
        let full = GenerateRequest {
            vae: Some("v".into()),
            loras: vec![LoraUse { path: "l".into(), unet_weight: 1.0, text_encoder_weight: 1.0 }],
            init: Some(InitImage { picture: "p".into(), mask: None, strength: 1.0, extend: <_>::default() }),
            hires: Some(Hires { scale: 2.0, strength: 0.5 }),
            upscale: Some(2.0),
            variation: Some(Variation { seed: 1, strength: 0.5 }),
            ..GenerateRequest::default()
        };
        let json = serde_json::to_value(full).unwrap();
        for field in json.as_object().unwrap().keys() {
            assert!(FIELDS.iter().any(|row| row.name == field), "{field}");
        }
    }

    #[test]
    fn columns_of_one_field_are_put_together() {
        let names = Names { folder: Path::new("/tables"), models: &[], loras: &[] };
        let row = |cells: &[(&str, &str)]| {
            let mut draft = RowDraft::new(GenerateRequest::default());
            for (column, value) in cells {
                Field::of_column(column).unwrap().take(&mut draft, value, &names)?;
            }
            draft.finish().map(|(request, _)| request)
        };
        let extended =
            row(&[("width", "64"), ("height", "64"), ("init", "a.png"), ("extend", "left=8, top=16")]).unwrap();
        assert_eq!((extended.width_px, extended.height_px), (72, 80));
        let init = extended.init.unwrap();
        assert_eq!((init.extend.left, init.extend.top, init.strength), (8, 16, InitImage::EXTEND_STRENGTH));
        let init = row(&[("init", "a.png"), ("mask", "m.png"), ("strength", "0.7")]).unwrap().init.unwrap();
        assert_eq!((init.mask.is_some(), init.strength), (true, 0.7));
        let walked = row(&[("variation_strength", "0.5"), ("variation_seed", "7")]).unwrap().variation;
        assert_eq!(walked, Some(Variation { seed: 7, strength: 0.5 }));
        for cells in [
            &[("extend", "left=8")][..],
            &[("mask", "m.png")],
            &[("variation_strength", "0.5")],
            &[("init", "a.png"), ("extend", "middle=8")],
        ] {
            assert!(row(cells).is_err(), "{cells:?}");
        }
    }

    #[test]
    fn no_name_stands_for_two_fields() {
        let mut columns = HashSet::new();
        for name in FIELDS.iter().flat_map(Field::names) {
            assert!(columns.insert(comparable(name)), "{name}");
        }
        let flags: HashSet<_> = FIELDS.iter().filter_map(|field| field.flag).collect();
        assert_eq!(flags.len(), FIELDS.iter().filter(|field| field.flag.is_some()).count());
        for (column, name) in [
            ("CFG scale", "guidance_scale"),
            ("Width (px)", "width_px"),
            ("n", "count"),
            ("STEPS", "num_inference_steps"),
        ] {
            assert_eq!(Field::of_column(column).map(|field| field.name), Some(name), "{column}");
        }
        assert!(Field::of_column("season").is_none() && Field::of_flag("prompt").is_none());
        assert_eq!(Field::of_flag("n").map(|field| field.name), Some("negative_prompt"));
    }

    #[test]
    fn files_are_known_by_name_or_lie_below_the_folder() {
        let models = [("Dreamy 8".to_owned(), ModelRef::Path("/models/dreamy_8.safetensors".into()))];
        let loras = [("ink".to_owned(), PathBuf::from("/loras/ink.safetensors"))];
        let names = Names { folder: Path::new("/tables"), models: &models, loras: &loras };
        assert_eq!(names.model("dreamy 8"), Ok(models[0].1.clone()));
        assert_eq!(names.model("/models/dreamy_8.safetensors"), Ok(models[0].1.clone()));
        assert_eq!(names.model("Starter"), Ok(ModelRef::Starter));
        assert_eq!(names.model("sub/a.safetensors"), Ok(ModelRef::Path("/tables/sub/a.safetensors".into())));
        for name in ["../../etc/passwd", "/etc/passwd", "C:\\x", "\\\\host\\share", "file:///etc/passwd"] {
            assert!(names.model(name).is_err() && names.file(name).is_err() && names.loras(name).is_err(), "{name}");
        }
        let worn = names.loras("INK=0.5; wash.safetensors, sub:b:-1").unwrap();
        let worn: Vec<_> = worn.iter().map(|lora| (lora.path.to_str().unwrap(), lora.unet_weight)).collect();
        assert_eq!(worn, [("/loras/ink.safetensors", 0.5), ("/tables/wash.safetensors", 1.0), ("/tables/sub:b", -1.0)]);
    }
}
