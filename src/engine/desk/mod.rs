//! The thread that keeps the files of trainings: it foresees, looks into folders, reads and writes settings and pictures,
//! while the engine may be in the middle of a long step.

mod handle;

use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crossbeam_channel::{Receiver, Sender, bounded};

use super::Wake;
use crate::domain::training::{DeskCommand, DeskEvent};
use crate::domain::{Picture, Result, UserError};
use crate::library::thumbnails::shrink;
use crate::library::{read_picture, write_atomically};
use crate::train;

pub use handle::{COMMAND_CAPACITY, DeskHandle, EVENT_CAPACITY};

/// Starts the thread. It calls `wake` after every event.
///
/// # Errors
/// When the system gives no thread.
pub fn spawn(wake: Wake) -> Result<DeskHandle> {
    let (commands, far_commands) = bounded(COMMAND_CAPACITY);
    let (far_events, events) = bounded(EVENT_CAPACITY);
    let thread = std::thread::Builder::new()
        .name("atelier-trainings".to_owned())
        .spawn(move || run(&far_commands, &far_events, &wake))
        .map_err(|error| {
            UserError::failed(format!("Trainings could not be kept: {error}")).hint("close other programs")
        })?;
    Ok(DeskHandle::new(commands, events, Some(thread)))
}

fn run(commands: &Receiver<DeskCommand>, events: &Sender<DeskEvent>, wake: &Wake) {
    let mut waiting = VecDeque::new();
    loop {
        if waiting.is_empty() {
            let Ok(command) = commands.recv() else { return };
            waiting.push_back(command);
        }
        waiting.extend(commands.try_iter());
        if waiting.iter().any(|command| matches!(command, DeskCommand::Shutdown)) {
            return;
        }
        let Some(command) = waiting.pop_front() else { continue };
        // Of several questions about what a training needs the last one counts.
        let is_forecast = |command: &DeskCommand| matches!(command, DeskCommand::Foresee { .. });
        if is_forecast(&command) && waiting.iter().any(is_forecast) {
            continue;
        }
        // A fault in one answer must not cost the others.
        let faulty = failed(&command);
        let answer = catch_unwind(AssertUnwindSafe(|| answer(command))).unwrap_or(faulty);
        if let Some(answer) = answer {
            // Nobody listens any more: the window is closing.
            let _ = events.send(answer);
            wake();
        }
    }
}

fn answer(command: DeskCommand) -> Option<DeskEvent> {
    Some(match command {
        DeskCommand::Foresee { ticket, config } => DeskEvent::Foreseen { ticket, forecast: train::foresee(&config) },
        DeskCommand::Look(folder) => {
            let past = train::past(&folder).map(|past| past.map(Box::new));
            DeskEvent::Found { folder, past }
        }
        DeskCommand::Read(path) => {
            let config = std::fs::read_to_string(&path)
                .map_err(|error| UserError::input(format!("Could not read the settings: {error}")).path(&path))
                .and_then(|text| train::config::read(&text, &path));
            DeskEvent::Read { path, config: config.map(Box::new) }
        }
        DeskCommand::Write { config, path } => {
            let text = train::config::write(&config, None);
            let result = write_atomically(&path, text.as_bytes());
            DeskEvent::Written { path, result }
        }
        DeskCommand::Show { path, is_small } => {
            let picture = read_picture(&path).map(|picture| Arc::new(made_small(picture, is_small)));
            DeskEvent::Shown { path, is_small, picture }
        }
        DeskCommand::Promote { config, step } => DeskEvent::Promoted { step, files: train::promote(&config, step) },
        DeskCommand::Gather { config, steps, file, folder } => {
            let made = steps.into_iter().map(|step| {
                let files = train::promote(&config, step)?;
                files.first().cloned().ok_or_else(|| UserError::failed(format!("Nothing was made of step {step}")))
            });
            let all = made.chain(file.map(Ok)).map(|file| file.and_then(|file| install(&file, &folder)));
            DeskEvent::Gathered(all.collect())
        }
        DeskCommand::Install { file, folder } => {
            let name = install(&file, &folder);
            DeskEvent::Installed { file, name }
        }
        DeskCommand::Shutdown => return None,
    })
}

fn made_small(picture: Picture, is_small: bool) -> Picture {
    if is_small { shrink(picture) } else { picture }
}

/// What is answered where the program itself is at fault.
fn failed(command: &DeskCommand) -> Option<DeskEvent> {
    let error = || {
        UserError::failed("A fault in the program: a training's files could not be worked on")
            .hint("what was saved is whole; please report this")
    };
    Some(match command.clone() {
        DeskCommand::Foresee { ticket, .. } => DeskEvent::Foreseen { ticket, forecast: Err(error()) },
        DeskCommand::Look(folder) => DeskEvent::Found { folder, past: Err(error()) },
        DeskCommand::Read(path) => DeskEvent::Read { path, config: Err(error()) },
        DeskCommand::Write { path, .. } => DeskEvent::Written { path, result: Err(error()) },
        DeskCommand::Show { path, is_small } => DeskEvent::Shown { path, is_small, picture: Err(error()) },
        DeskCommand::Promote { step, .. } => DeskEvent::Promoted { step, files: Err(error()) },
        DeskCommand::Gather { .. } => DeskEvent::Gathered(Err(error())),
        DeskCommand::Install { file, .. } => DeskEvent::Installed { file, name: Err(error()) },
        DeskCommand::Shutdown => return None,
    })
}

/// Copies an adapter into the folder of adapters and gives its name there. One of the same name that is another is left as it
/// is.
fn install(file: &Path, folder: &Path) -> Result<String> {
    let cannot = |error: std::io::Error| {
        UserError::failed(format!("Could not put the adapter where prompts can name it: {error}")).path(file)
    };
    let bytes = std::fs::read(file).map_err(cannot)?;
    let stem = file.file_stem().unwrap_or_default().to_string_lossy().into_owned();
    let names = std::iter::once(stem.clone()).chain((2..1000).map(|number| format!("{stem}-{number}")));
    for name in names {
        let target: PathBuf = folder.join(format!("{name}.safetensors"));
        match std::fs::metadata(&target) {
            Ok(there) if there.len() == bytes.len() as u64 && std::fs::read(&target).is_ok_and(|old| old == bytes) => {
                return Ok(name);
            }
            Ok(_) => {}
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                write_atomically(&target, &bytes)?;
                return Ok(name);
            }
            Err(error) => return Err(cannot(error)),
        }
    }
    Err(UserError::failed("There are too many adapters of this name").path(folder))
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use super::*;
    use crate::domain::training::TrainingConfig;

    #[test]
    fn an_adapter_of_the_same_name_is_not_overwritten() {
        let home = tempfile::tempdir().unwrap();
        let (file, folder) = (home.path().join("style.safetensors"), home.path().join("loras"));
        std::fs::write(&file, b"first").unwrap();
        assert_eq!(install(&file, &folder).unwrap(), "style");
        assert_eq!(install(&file, &folder).unwrap(), "style", "it is there already");
        std::fs::write(&file, b"second").unwrap();
        assert_eq!(install(&file, &folder).unwrap(), "style-2");
        assert_eq!(std::fs::read(folder.join("style.safetensors")).unwrap(), b"first");
        assert!(install(&home.path().join("none.safetensors"), &folder).is_err());
    }

    #[test]
    fn the_thread_answers_and_ends() {
        let home = tempfile::tempdir().unwrap();
        let desk = spawn(Box::new(|| ())).unwrap();
        let next = || {
            let begun = Instant::now();
            loop {
                if let Some(event) = desk.try_event() {
                    return event;
                }
                assert!(begun.elapsed() < Duration::from_mins(1), "the thread does not answer");
                std::thread::sleep(Duration::from_millis(2));
            }
        };
        desk.send(DeskCommand::Look(home.path().to_path_buf())).unwrap();
        assert!(matches!(next(), DeskEvent::Found { past: Ok(None), .. }));
        let config = Box::new(TrainingConfig {
            dataset: home.path().join("pictures"),
            output: home.path().join("out"),
            ..TrainingConfig::default()
        });
        let path = home.path().join("mine.toml");
        desk.send(DeskCommand::Write { config: config.clone(), path: path.clone() }).unwrap();
        assert!(matches!(next(), DeskEvent::Written { result: Ok(()), .. }));
        desk.send(DeskCommand::Read(path)).unwrap();
        let DeskEvent::Read { config: Ok(read), .. } = next() else { panic!("the settings are sound") };
        assert_eq!(read, config);
        desk.send(DeskCommand::Foresee { ticket: 3, config }).unwrap();
        assert!(matches!(next(), DeskEvent::Foreseen { ticket: 3, forecast: Err(_) }), "there are no pictures");
        desk.shut_down();
    }
}
