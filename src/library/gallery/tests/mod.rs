//! Tests of the gallery on real files and a real `SQLite`.

mod collected;
mod finding;
mod keeping;
mod migration;

use std::fs;
use std::path::PathBuf;
use std::time::{Duration, UNIX_EPOCH};

use super::super::index::Index;
use super::super::metadata::Embedded;
use super::super::paths::Paths;
use super::super::png_file;
use crate::domain::{GenerateRequest, Picture, PictureId, Recipe, Scope, SearchRequest, SortOrder};

/// A pictures folder with an index.
struct Home {
    dir: tempfile::TempDir,
    paths: Paths,
    index: Index,
}

impl Home {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let paths = Paths::below(dir.path());
        let index = Index::open(&paths).unwrap();
        Self { dir, paths, index }
    }

    /// Adds a picture that was made at `created_ms`.
    fn add(&mut self, name: &str, created_ms: i64, recipe: Option<&Recipe>) -> PictureId {
        let path = self.paths.pictures_dir.join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        let embedded = recipe.map(|recipe| Embedded::of_recipe(recipe, created_ms)).unwrap_or_default();
        let side = recipe.map_or((3, 2), |recipe| (recipe.request.width_px, recipe.request.height_px));
        let rgba = vec![255; 4 * (side.0 * side.1) as usize];
        let picture = Picture { width_px: side.0, height_px: side.1, rgba };
        fs::write(&path, png_file::encode(&picture, &embedded).unwrap()).unwrap();
        if recipe.is_none() {
            // Its file's date is all that it has.
            let date = UNIX_EPOCH + Duration::from_millis(created_ms as u64);
            fs::File::options().write(true).open(&path).unwrap().set_modified(date).unwrap();
        }
        self.index.insert(&path).unwrap().id
    }

    fn path(&self, name: &str) -> PathBuf {
        self.paths.pictures_dir.join(name)
    }

    /// The pictures that a search finds, by file name, newest first.
    fn find(&self, text: &str) -> Vec<String> {
        self.find_with(&SearchRequest { text: text.into(), ..SearchRequest::default() })
    }

    fn find_in(&self, scope: Scope, sort: SortOrder) -> Vec<String> {
        self.find_with(&SearchRequest { scope, sort, ..SearchRequest::default() })
    }

    fn find_with(&self, request: &SearchRequest) -> Vec<String> {
        let found = self.index.find(request, &|| false).unwrap().unwrap();
        let rows = self.index.rows(&found.result.ids).unwrap();
        assert_eq!(rows.len(), found.result.ids.len());
        rows.iter().map(|row| row.entry.path.file_stem().unwrap().to_string_lossy().into_owned()).collect()
    }

    fn reopen(&mut self) {
        self.index = Index::open(&self.paths).unwrap();
    }
}

fn recipe(prompt: &str, change: impl FnOnce(&mut Recipe)) -> Recipe {
    let mut recipe = Recipe {
        request: GenerateRequest { prompt: prompt.into(), width_px: 8, height_px: 8, ..GenerateRequest::default() },
        model_name: "Starter".into(),
        model_hash: "0123456789".into(),
        version: "Atelier 0.1.0".into(),
        elapsed_secs: 0.5,
        safety: None,
        ..Recipe::default()
    };
    change(&mut recipe);
    recipe
}
