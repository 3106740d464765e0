//! `atelier bench`: how long each part of a picture takes on this machine, beside other programs.

use std::io::Write;
use std::process::{Command, Stdio};
use std::time::Instant;

use candle_core::{Device, Tensor};
use serde_json::{Value, json};

use super::device::DeviceArgs;
use super::precision::HowExactly;
use super::size::Size;
use crate::domain::{Cancel, GenerateRequest, ModelRef, Result, UserError};
use crate::models::embeddings::Condition;
use crate::models::{self, Model};
use crate::nn::{engine_error, operands, with_precision};
use crate::pipeline::{Sizes, Texts, encode_prompts};
use crate::sampling::TorchCpuRng;

/// Arguments of `atelier bench`.
#[derive(clap::Args)]
pub struct Args {
    /// The model: `starter`, a diffusers folder, or a file (.safetensors, .ckpt).
    #[arg(long, default_value = "starter", value_name = "NAME|PATH")]
    model: String,
    /// Width and height in px [default: the model's own].
    #[arg(long, value_name = "WxH")]
    size: Option<Size>,
    /// Only this part; give it once for each.
    #[arg(long, value_name = "PART")]
    part: Vec<Part>,
    /// How often each part runs after one run that does not count; the fastest counts.
    #[arg(long, default_value_t = 3, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1000))]
    runs: u32,
    #[command(flatten)]
    how_exactly: HowExactly,
    #[command(flatten)]
    device: DeviceArgs,
    /// Another program to run in turn with each part, as `COMMAND MODEL PART`; it prints a line of JSON with `best_s`.
    /// See benches/peers.py. Give it once for each.
    #[arg(long, value_name = "COMMAND")]
    peer: Vec<String>,
    /// Print one line of JSON.
    #[arg(long)]
    json: bool,
}

/// What can be measured.
#[derive(Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Part {
    /// A prompt through the text encoders.
    Text,
    /// An evaluation of the network without guidance.
    Step,
    /// An evaluation with guidance: prompt and negative prompt in one batch.
    GuidedStep,
    /// Latents to picture.
    Decode,
    /// Picture to latents.
    Encode,
}

impl Part {
    const ALL: [Self; 5] = [Self::Text, Self::Step, Self::GuidedStep, Self::Decode, Self::Encode];

    /// As it is called for people, as `--json` calls its seconds, and as `--part` and peers call it.
    fn names(self) -> (&'static str, &'static str, &'static str) {
        match self {
            Self::Text => ("text encoder", "text_s", "text"),
            Self::Step => ("UNet step", "unet_step_s", "step"),
            Self::GuidedStep => ("UNet step with guidance", "unet_guided_step_s", "guided-step"),
            Self::Decode => ("VAE decode", "vae_decode_s", "decode"),
            Self::Encode => ("VAE encode", "vae_encode_s", "encode"),
        }
    }
}

/// What a part took.
struct Measured {
    part: Part,
    seconds: f64,
    /// Each peer's command and what it said.
    peers: Vec<(String, Value)>,
}

/// Measures and prints.
///
/// # Errors
/// When the model cannot be loaded, the size does not fit it, or a peer fails.
pub fn run(args: &Args) -> Result<()> {
    let precision = args.how_exactly.precision();
    let placement = args.device.open(precision)?;
    let begun = Instant::now();
    let model = models::open_on(placement, &ModelRef::parse(&args.model), None, &Cancel::default(), &mut |_| ())?;
    let load_s = begun.elapsed().as_secs_f64();
    let family = &model.family.capabilities;
    let size = args.size.unwrap_or(Size { width_px: family.native_side_px, height_px: family.native_side_px });
    let request = GenerateRequest { width_px: size.width_px, height_px: size.height_px, ..GenerateRequest::default() };
    if let Some(problem) = request.validate(family).into_iter().next() {
        return Err(UserError::input(problem.sentence));
    }
    let bench = Bench::new(&model, size)?;
    let parts = if args.part.is_empty() { Part::ALL.to_vec() } else { args.part.clone() };
    // Beside a first picture the model's hash is worked out; it is not what is measured.
    model.wait_for_hash();
    let mut measured = Vec::new();
    for part in parts {
        let seconds = with_precision(precision, || bench.fastest(part, args.runs))?;
        let beside = |command: &String| Ok((command.clone(), peer(command, &args.model, part)?));
        measured.push(Measured { part, seconds, peers: args.peer.iter().map(beside).collect::<Result<_>>()? });
    }
    // What the kernels make of their operands; elsewhere the numbers of the network.
    let place = model.unet.place();
    let dtype = if place.is_kernels() {
        operands(precision).to_owned()
    } else {
        format!("{} on {}", place.compute(), model.placement().used().used)
    };
    print(args.json, load_s, &dtype, &measured)
        .map_err(|error| UserError::failed(format!("Could not print the result: {error}")))
}

/// A model, and random inputs for each of its parts.
struct Bench<'a> {
    model: &'a Model,
    sizes: Sizes,
    /// `[1, channels, height, width]`.
    latents: Tensor,
    /// The prompt and the negative prompt.
    both: Condition,
    /// The prompt alone.
    first: Condition,
    /// `[1, 3, height, width]`.
    image: Tensor,
}

impl<'a> Bench<'a> {
    fn new(model: &'a Model, size: Size) -> Result<Self> {
        let scale = model.vae.config().scale();
        let (height, width) = (size.height_px as usize / scale, size.width_px as usize / scale);
        let mut rng = TorchCpuRng::new(0);
        let mut random = |shape: (usize, usize, usize, usize)| {
            let mut values = vec![0.0; shape.0 * shape.1 * shape.2 * shape.3];
            rng.randn(&mut values);
            Tensor::from_vec(values, shape, &Device::Cpu).map_err(engine_error)
        };
        let latents = random((1, model.unet.config().in_channels, height, width))?;
        let image = random((1, 3, scale * height, scale * width))?;
        let sizes = Sizes::whole(size.height_px, size.width_px);
        let both = encode_prompts(model, &["a prompt".into(), "".into()], sizes)?.condition;
        let first = both.rows(0, 1).map_err(engine_error)?;
        Ok(Self { model, sizes, latents, both, first, image })
    }

    /// The fastest of some runs of a part, in seconds, after one that does not count: others only add what else the
    /// machine was doing.
    fn fastest(&self, part: Part, runs: u32) -> Result<f64> {
        // As when a picture is made: the memory is that of a part and what it needs.
        if part != Part::Text {
            self.model.release(models::Part::TextEncoder);
        }
        if matches!(part, Part::Decode | Part::Encode) {
            self.model.release(models::Part::UNet);
        }
        self.once(part)?;
        (0..runs).try_fold(f64::INFINITY, |best, _| {
            let begun = Instant::now();
            self.once(part)?;
            Ok(best.min(begun.elapsed().as_secs_f64()))
        })
    }

    fn once(&self, part: Part) -> Result<()> {
        let model = self.model;
        match part {
            Part::Text => {
                let texts: [Texts<'_>; 1] = ["a prompt".into()];
                return encode_prompts(model, &texts, self.sizes).map(|_| ());
            }
            Part::Step => model.unet.forward(&self.latents, &[500.0], &self.first),
            Part::GuidedStep => model.unet.forward(&self.latents, &[500.0], &self.both),
            Part::Decode => self
                .latents
                .narrow(1, 0, model.vae.config().latent_channels)
                .and_then(|latents| model.vae.decode(&latents)),
            Part::Encode => model.vae.encode(&self.image).map(|latents| latents.mean),
        }
        .map(|_| ())
        .map_err(engine_error)
    }
}

/// Runs another program on the same part and reads what it measured.
fn peer(command: &str, model: &str, part: Part) -> Result<Value> {
    let failed = |what: String| {
        UserError::failed(format!("The peer did not measure this part: {what}"))
            .hint(format!("try it alone: {command} {model} {}", part.names().2))
    };
    let mut words = command.split_whitespace();
    let program = words.next().ok_or_else(|| UserError::input("--peer names no program"))?;
    let output = Command::new(program)
        .args(words)
        .args([model, part.names().2])
        .stdin(Stdio::null())
        .stderr(Stdio::inherit())
        .output()
        .map_err(|error| failed(error.to_string()))?;
    if !output.status.success() {
        return Err(failed(output.status.to_string()));
    }
    let text = String::from_utf8_lossy(&output.stdout);
    text.lines()
        .rev()
        .filter_map(|line| serde_json::from_str::<Value>(line).ok())
        .find(|found| found["best_s"].is_number())
        .ok_or_else(|| failed("it printed no best_s".to_owned()))
}

fn print(as_json: bool, load_s: f64, dtype: &str, measured: &[Measured]) -> std::io::Result<()> {
    let threads = rayon::current_num_threads();
    let peak_gb = peak_memory_bytes().map(|bytes| bytes as f64 / 1e9);
    let mut out = std::io::stdout().lock();
    if as_json {
        let mut line = json!({ "load_s": load_s, "peak_gb": peak_gb, "dtype": dtype, "threads": threads });
        let mut peers = Vec::new();
        for Measured { part, seconds, peers: beside } in measured {
            line[part.names().1] = json!(seconds);
            for (command, found) in beside {
                let ratio = found["best_s"].as_f64().map(|best_s| seconds / best_s);
                peers.push(json!({ "peer": command, "part": part.names().2, "ours_s": seconds, "ratio": ratio,
                    "best_s": found["best_s"], "peak_gb": found["peak_gb"] }));
            }
        }
        line["peers"] = json!(peers);
        return writeln!(out, "{line}");
    }
    writeln!(out, "{:<24} {load_s:>9.4} s", "load")?;
    for Measured { part, seconds, peers } in measured {
        writeln!(out, "{:<24} {seconds:>9.4} s", part.names().0)?;
        for (command, found) in peers {
            let best_s = found["best_s"].as_f64().unwrap_or(f64::NAN);
            writeln!(out, "    {best_s:>9.4} s  we take {:.2} of it: {command}", seconds / best_s)?;
        }
    }
    if let Some(peak) = peak_gb {
        writeln!(out, "{:<24} {peak:>9.2} GB", "peak memory")?;
    }
    writeln!(out, "{dtype}, {threads} threads")
}

/// The most memory this process has had at once; `None` where the system does not tell it as Linux does.
fn peak_memory_bytes() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find(|line| line.starts_with("VmHWM:"))?;
    line.split_whitespace().nth(1)?.parse::<u64>().ok().map(|kib| kib * 1024)
}
