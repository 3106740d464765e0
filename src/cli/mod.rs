//! Floor 8: the command line. Without a subcommand the window opens.

mod batch;
mod batch_rows;
mod bench;
mod dataset;
mod extras;
mod gallery;
mod generate;
mod grid;
mod models;
mod progress;
mod queue;
mod replay;
mod size;
mod starter;
mod styles;
mod train;
mod what;

use clap::{Parser, Subcommand};

use crate::domain::Result;

/// A native desktop studio for Stable Diffusion. Without a command, the window opens.
#[derive(Parser)]
#[command(name = "atelier", version = env!("ATELIER_VERSION"), propagate_version = true)]
pub struct Cli {
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Subcommand)]
enum Command {
    /// Make pictures from a prompt.
    Generate(Box<generate::Args>),
    /// Make pictures of the rows of a table: a text list, CSV or JSON lines.
    Batch(Box<batch::Args>),
    /// Take pictures into the gallery.
    Gallery(gallery::Args),
    /// Make pictures again by their recipes, and say whether the same comes of it.
    Replay(replay::Args),
    /// Compare settings: a picture for every combination of values, and all of them on one sheet.
    Grid(Box<grid::Args>),
    /// List, inspect, import, download and remove models.
    Models(models::Args),
    /// Add, list and make the jobs that wait in the queue.
    Queue(queue::Args),
    /// Prepare data sets to train on, and look them over.
    Dataset(dataset::Args),
    /// Teach a model from pictures with captions.
    Train(Box<train::Args>),
    /// Measure this machine: seconds for each part of a picture.
    Bench(bench::Args),
    /// Make the model inside Atelier again: draw its pictures, train it, judge it.
    Starter(starter::Args),
}

impl Cli {
    /// Does what the command line says; `window` opens the window.
    ///
    /// # Errors
    /// As the command's work.
    pub fn run(self, window: impl FnOnce() -> Result<()>) -> Result<()> {
        match self.command {
            None => window(),
            Some(Command::Generate(args)) => generate::run(*args),
            Some(Command::Batch(args)) => batch::run(&args),
            Some(Command::Gallery(args)) => gallery::run(args),
            Some(Command::Replay(args)) => replay::run(&args),
            Some(Command::Grid(args)) => grid::run(*args),
            Some(Command::Models(args)) => models::run(args),
            Some(Command::Queue(args)) => queue::run(args),
            Some(Command::Dataset(args)) => dataset::run(args),
            Some(Command::Train(args)) => train::run(&args),
            Some(Command::Bench(args)) => bench::run(&args),
            Some(Command::Starter(args)) => starter::run(args),
        }
    }
}
