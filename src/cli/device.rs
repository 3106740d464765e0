//! `--device`, and `atelier device`: what computes.

use std::io::Write;

use super::generate::note;
use crate::domain::{DeviceChoice, Precision, Result, Settings, UserError};
use crate::library::{Paths, load_settings};
use crate::models::Placement;
use crate::nn::Backend;

/// Names what computes where no argument does.
const VARIABLE: &str = "ATELIER_DEVICE";

/// What computes.
#[derive(clap::Args)]
pub struct DeviceArgs {
    /// What computes: auto, cpu, cuda, cuda:1 or metal [default: that of the environment, else the setting, else
    /// auto].
    #[arg(long = "device", value_name = "NAME")]
    asked: Option<DeviceChoice>,
}

impl DeviceArgs {
    /// Opens it; where that fails the processor is used. On stderr stands why, where somebody expects a card: in a program
    /// that was built for them, or where one was asked for.
    ///
    /// # Errors
    /// When the environment names something else.
    pub fn open(&self, precision: Precision) -> Result<Placement> {
        let backend = Backend::open(self.choice()?);
        let used = backend.used();
        let expects = cfg!(any(feature = "cuda", feature = "metal")) && used.reason.is_some();
        if expects || used.is_refused() {
            note(&used.to_string());
        }
        Ok(Placement::on(backend, precision))
    }

    fn choice(&self) -> Result<DeviceChoice> {
        if let Some(asked) = self.asked {
            return Ok(asked);
        }
        // Users without a home have no settings.
        asked_device(&Paths::from_env().map_or_else(|_| Settings::default(), |paths| load_settings(&paths).settings))
    }
}

/// What is to compute where no argument says so: what the environment names, else the setting.
///
/// # Errors
/// When the environment names something else.
pub fn asked_device(settings: &Settings) -> Result<DeviceChoice> {
    match std::env::var(VARIABLE) {
        Ok(name) => name.parse().map_err(|error| UserError::input(format!("{VARIABLE}: {error}"))),
        Err(_) => Ok(settings.device),
    }
}

/// Arguments of `atelier device`.
#[derive(clap::Args)]
pub struct Args {
    #[command(flatten)]
    device: DeviceArgs,
    /// Print one line of JSON.
    #[arg(long)]
    json: bool,
}

/// Says what computes, and why.
///
/// # Errors
/// When the environment names something else, or nobody listens.
pub fn run(args: &Args) -> Result<()> {
    let backend = Backend::open(args.device.choice()?);
    let used = backend.used();
    let mut out = std::io::stdout().lock();
    let written = if args.json {
        let memory = backend.memory();
        writeln!(
            out,
            "{}",
            serde_json::json!({
                "asked": used.asked, "used": used.used, "name": used.name, "reason": used.reason,
                "memory_bytes": used.memory_bytes, "free_bytes": memory.map(|memory| memory.free),
            })
        )
    } else {
        writeln!(out, "{used}")
    };
    written.map_err(|error| UserError::failed(format!("Could not print the result: {error}")))
}
