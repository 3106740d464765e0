//! `atelier bench`: how long each part of a picture takes on this machine.

use std::io::Write;
use std::time::Instant;

use candle_core::{Device, Tensor};
use serde_json::json;

use super::size::Size;
use crate::domain::{Cancel, ModelRef, Result, UserError};
use crate::models::{self, Model};
use crate::nn::engine_error;
use crate::pipeline::{Sizes, Texts, encode_prompts};
use crate::sampling::TorchCpuRng;

/// Each part runs once to warm up, then this often; the fastest run counts, since others only add what else the machine
/// was doing.
const RUNS: usize = 3;

/// Arguments of `atelier bench`.
#[derive(clap::Args)]
pub struct Args {
    /// The model: `starter`, or a diffusers folder.
    #[arg(long, default_value = "starter", value_name = "NAME|PATH")]
    model: String,
    /// Width and height in px [default: the model's own].
    #[arg(long, value_name = "WxH")]
    size: Option<Size>,
    /// Print one line of JSON.
    #[arg(long)]
    json: bool,
}

/// What was measured, in seconds: the names are those that `--json` prints.
#[allow(clippy::struct_field_names, reason = "the unit belongs to the name")]
struct Report {
    text_s: f64,
    unet_step_s: f64,
    unet_guided_step_s: f64,
    vae_decode_s: f64,
    vae_encode_s: f64,
    load_s: f64,
}

/// Measures and prints.
///
/// # Errors
/// When the model cannot be loaded, or the size does not fit it.
pub fn run(args: &Args) -> Result<()> {
    let begun = Instant::now();
    let model = models::open(&ModelRef::parse(&args.model), None, &Cancel::default(), &mut |_| ())?;
    let load_s = begun.elapsed().as_secs_f64();
    let family = &model.family.capabilities;
    let size = args.size.unwrap_or(Size { width_px: family.native_side_px, height_px: family.native_side_px });
    let request = crate::domain::GenerateRequest {
        width_px: size.width_px,
        height_px: size.height_px,
        ..crate::domain::GenerateRequest::default()
    };
    if let Some(problem) = request.validate(family).into_iter().next() {
        return Err(UserError::input(problem.sentence));
    }
    let report = measure(&model, size, load_s)?;
    print(args.json, &report).map_err(|error| UserError::failed(format!("Could not print the result: {error}")))
}

fn measure(model: &Model, size: Size, load_s: f64) -> Result<Report> {
    let scale = model.vae.config().scale();
    let (height, width) = (size.height_px as usize / scale, size.width_px as usize / scale);
    let mut rng = TorchCpuRng::new(0);
    let mut random = |shape: (usize, usize, usize, usize)| {
        let mut values = vec![0.0; shape.0 * shape.1 * shape.2 * shape.3];
        rng.randn(&mut values);
        Tensor::from_vec(values, shape, &Device::Cpu).map_err(engine_error)
    };
    let channels = model.vae.config().latent_channels;
    let (one, two) = (random((1, channels, height, width))?, random((2, channels, height, width))?);
    let image = random((1, 3, scale * height, scale * width))?;
    let sizes = Sizes::whole(size.height_px, size.width_px);
    let encode = |texts: &[Texts<'_>]| encode_prompts(model, texts, sizes).map(|text| text.condition);
    let both = encode(&["a prompt".into(), "".into()])?;
    let first = both.rows(0, 1).map_err(engine_error)?;
    Ok(Report {
        text_s: fastest(|| encode(&["a prompt".into()]).map(|_| ()))?,
        unet_step_s: fastest(|| model.unet.forward(&one, &[500.0], &first).map(|_| ()).map_err(engine_error))?,
        unet_guided_step_s: fastest(|| {
            model.unet.forward(&two, &[500.0, 500.0], &both).map(|_| ()).map_err(engine_error)
        })?,
        vae_decode_s: fastest(|| model.vae.decode(&one).map(|_| ()).map_err(engine_error))?,
        vae_encode_s: fastest(|| model.vae.encode(&image).map(|_| ()).map_err(engine_error))?,
        load_s,
    })
}

/// The fastest of some runs of `work`, in seconds, after one that does not count.
fn fastest(mut work: impl FnMut() -> Result<()>) -> Result<f64> {
    work()?;
    (0..RUNS).try_fold(f64::INFINITY, |best, _| {
        let begun = Instant::now();
        work()?;
        Ok(best.min(begun.elapsed().as_secs_f64()))
    })
}

fn print(as_json: bool, report: &Report) -> std::io::Result<()> {
    let Report { text_s, unet_step_s, unet_guided_step_s, vae_decode_s, vae_encode_s, load_s } = report;
    let threads = rayon::current_num_threads();
    let peak_gb = peak_memory_bytes().map(|bytes| bytes as f64 / 1e9);
    let mut out = std::io::stdout().lock();
    if as_json {
        let line = json!({
            "text_s": text_s, "unet_step_s": unet_step_s, "unet_guided_step_s": unet_guided_step_s,
            "vae_decode_s": vae_decode_s, "vae_encode_s": vae_encode_s, "load_s": load_s, "peak_gb": peak_gb,
            "dtype": "f32", "threads": threads,
        });
        return writeln!(out, "{line}");
    }
    for (name, seconds) in [
        ("load", load_s),
        ("text encoder", text_s),
        ("UNet step", unet_step_s),
        ("UNet step with guidance", unet_guided_step_s),
        ("VAE decode", vae_decode_s),
        ("VAE encode", vae_encode_s),
    ] {
        writeln!(out, "{name:<24} {seconds:>9.4} s")?;
    }
    if let Some(peak) = peak_gb {
        writeln!(out, "{:<24} {peak:>9.2} GB", "peak memory")?;
    }
    writeln!(out, "f32, {threads} threads")
}

/// The most memory this process has had at once; `None` where the system does not tell it as Linux does.
fn peak_memory_bytes() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find(|line| line.starts_with("VmHWM:"))?;
    line.split_whitespace().nth(1)?.parse::<u64>().ok().map(|kib| kib * 1024)
}
