//! What a download would bring, and its progress in the words that the window speaks.

use crate::domain::{Cancel, DownloadPlan, Result, TransferProgress, TransferStage};
use crate::hub::{Gate, Hub, Plan, PlanOptions, Progress, RepoId, Stage};

/// A plan, for the hub and for the window.
#[derive(Clone, Debug)]
pub struct Planned {
    /// The plan.
    pub plan: Plan,
    /// The same for the window.
    pub told: DownloadPlan,
}

/// Asks the hub what a repository would bring. One that was begun goes on as it was begun.
///
/// # Errors
/// As [`Hub::plan`]. Where the terms of a gated repository are not accepted yet, that is the error.
pub fn plan(
    hub: &Hub,
    repo: &str,
    revision: Option<&str>,
    options: Option<&PlanOptions>,
    cancel: &Cancel,
) -> Result<Planned> {
    let repo = RepoId::parse(repo)?;
    let note = hub.note(&repo).filter(|note| !note.is_whole);
    let (noted_revision, noted_options) = note.map(|note| (note.revision.clone(), note.options())).unzip();
    let revision = revision.map(str::to_owned).or(noted_revision).unwrap_or_else(|| "main".to_owned());
    let options = options.cloned().or(noted_options).unwrap_or(PlanOptions { prefer_fp16: true, file: None });
    let plan = hub.plan(&repo, &revision, &options, cancel)?;
    let told = DownloadPlan {
        licence: plan.licence.clone(),
        has_terms: plan.gate != Gate::Open,
        files: plan.files.len(),
        total_bytes: plan.total_bytes(),
        missing_bytes: hub.missing_bytes(&plan),
        free_bytes: hub.free_bytes(),
    };
    Ok(Planned { plan, told })
}

/// The progress of a download or a copy.
#[must_use]
pub fn progress_of(progress: &Progress) -> TransferProgress {
    let stage = match progress.stage {
        Stage::Checking => TransferStage::Checking,
        Stage::Downloading => TransferStage::Moving,
        Stage::Waiting => TransferStage::Waiting,
    };
    TransferProgress {
        stage,
        file: progress.file.clone(),
        file_number: progress.file_number,
        files: progress.files,
        done_bytes: progress.done_bytes,
        total_bytes: progress.total_bytes,
        bytes_per_sec: progress.bytes_per_sec,
        secs_left: progress.secs_left,
    }
}
