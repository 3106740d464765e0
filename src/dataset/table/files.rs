//! What can only be told of rows by looking at files: those that they name, and what was made of them before.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use crate::domain::batch::{CheckedRow, Plan, RowResult, request_key};
use crate::domain::{GenerateRequest, ModelRef};

/// Looks through all rows of a table: what is wrong with each, and which were made before.
#[must_use]
pub fn check_rows(plan: &Plan, results: &[RowResult]) -> Vec<CheckedRow> {
    let mut made: HashMap<usize, Vec<&RowResult>> = HashMap::new();
    for result in results {
        made.entry(result.row).or_default().push(result);
    }
    let folder = plan.table().folder();
    let root = folder.canonicalize().unwrap_or_else(|_| folder.clone());
    // The same few files are named again and again.
    let mut looked: HashMap<PathBuf, Option<String>> = HashMap::new();
    let mut problem = |request: &GenerateRequest| {
        named_files(request).find_map(|path| {
            looked.entry(path.to_path_buf()).or_insert_with(|| problem_of(path, &folder, &root)).clone()
        })
    };
    let rows = (0..plan.table().rows.len()).map(|row| match plan.request(row) {
        Err(why) => CheckedRow::Wrong(why),
        Ok(request) => {
            let key = request_key(&request);
            let done = made.get(&row).and_then(|results| results.iter().rfind(|result| result.is_done(&key)));
            match done {
                Some(result) => CheckedRow::Done(Box::new((*result).clone())),
                None => problem(&request).map_or(CheckedRow::Ready, CheckedRow::Wrong),
            }
        }
    });
    rows.collect()
}

/// Every file that a request names.
fn named_files(request: &GenerateRequest) -> impl Iterator<Item = &Path> {
    let model = match &request.model {
        ModelRef::Path(path) => Some(path),
        ModelRef::Starter => None,
    };
    let init = request.init.iter().flat_map(|init| std::iter::once(&init.picture).chain(&init.mask));
    let loras = request.loras.iter().map(|lora| &lora.path);
    model.into_iter().chain(&request.vae).chain(init).chain(loras).map(PathBuf::as_path)
}

/// Files elsewhere are the user's own choice; those that the table names must be there, and no link may lead out.
fn problem_of(path: &Path, folder: &Path, root: &Path) -> Option<String> {
    let name = path.strip_prefix(folder).ok()?.display().to_string();
    match path.canonicalize() {
        Ok(real) if real.starts_with(root) => None,
        Ok(_) => Some(format!("{name} is a link that leads out of the table's folder")),
        Err(_) => Some(format!("{name} is not there")),
    }
}
