//! What the desktop does for the program besides file dialogs: showing a file in its file manager, telling that work is
//! done. Neither is waited for, and neither is missed where it does not work.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use super::TITLE;

/// The desktop's services. Tests bring their own.
pub trait Desktop {
    /// Shows a file or folder in the file manager.
    fn reveal(&self, path: &Path);
    /// Shows a notification.
    fn notify(&self, title: &str, text: &str);
}

/// The desktop of this system.
#[derive(Clone, Copy, Debug, Default)]
pub struct NativeDesktop;

impl Desktop for NativeDesktop {
    fn reveal(&self, path: &Path) {
        let path = path.to_path_buf();
        on_a_thread("atelier-reveal", move || {
            // What is not there yet is shown where it will be.
            let there = path.ancestors().find(|path| path.exists()).map(Path::to_path_buf);
            let Some(there) = there else { return tracing::warn!("nothing of {} is there", path.display()) };
            if let Err(error) = run(file_manager(&there)) {
                tracing::warn!("{} could not be shown: {error}", there.display());
            }
        });
    }

    fn notify(&self, title: &str, text: &str) {
        let (title, text) = (title.to_owned(), text.to_owned());
        on_a_thread("atelier-notify", move || {
            let shown = notify_rust::Notification::new().appname(TITLE).summary(&title).body(&text).show();
            if let Err(error) = shown {
                // Many desktops have no such service: nobody is to be bothered with that.
                tracing::info!("no notification: {error}");
            }
        });
    }
}

fn on_a_thread(name: &str, work: impl FnOnce() + Send + 'static) {
    if let Err(error) = std::thread::Builder::new().name(name.to_owned()).spawn(work) {
        tracing::warn!("no thread for the desktop: {error}");
    }
}

/// The command that shows a file, marked where the system can, or a folder.
fn file_manager(path: &Path) -> Command {
    if cfg!(target_os = "macos") {
        let mut command = Command::new("open");
        command.arg("-R").arg(path);
        command
    } else if cfg!(windows) {
        let mut command = Command::new("explorer");
        let mut select = std::ffi::OsString::from("/select,");
        select.push(path);
        command.arg(select);
        command
    } else {
        let mut command = Command::new("xdg-open");
        command.arg(folder_of(path));
        command
    }
}

fn folder_of(path: &Path) -> PathBuf {
    if path.is_dir() { path.to_path_buf() } else { path.parent().unwrap_or(path).to_path_buf() }
}

fn run(mut command: Command) -> std::io::Result<()> {
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn()?.wait()?;
    Ok(())
}
