//! The pictures of a collection with how they were made, for those who are no gallery: a data set, the command line.

use crate::domain::{Collection, CollectionId, PictureEntry, Result, Scope, SearchRequest, SortOrder, UserError};
use crate::library::{Index, Paths};

/// How many rows are read at a time.
const AT_ONCE: usize = 512;

/// A collection by its name, whatever the case.
///
/// # Errors
/// When there is none of that name, with those that there are, or the index cannot be read.
pub fn collection_of_name(paths: &Paths, name: &str) -> Result<Collection> {
    let mut all = Index::open(paths)?.collections()?;
    let wanted = name.trim().to_lowercase();
    if let Some(place) = all.iter().position(|collection| collection.name.to_lowercase() == wanted) {
        return Ok(all.swap_remove(place));
    }
    let error = UserError::input(format!("There is no collection named \"{}\"", name.trim()));
    if all.is_empty() {
        return Err(error.hint("collections are made in the gallery: there is none yet"));
    }
    let names: Vec<&str> = all.iter().map(|collection| collection.name.as_str()).collect();
    Err(error.hint(format!("the collections are {}", names.join(", "))))
}

/// The pictures of a collection, as the user arranged them; of a smart one, those that its search finds.
///
/// # Errors
/// When the index cannot be read.
pub fn pictures_of_collection(paths: &Paths, id: CollectionId) -> Result<Vec<PictureEntry>> {
    let index = Index::open(paths)?;
    let request = SearchRequest { scope: Scope::Collection(id), sort: SortOrder::Arranged, ..SearchRequest::default() };
    let ids = index.find(&request, &|| false)?.map(|found| found.result.ids).unwrap_or_default();
    let mut pictures = Vec::with_capacity(ids.len());
    for some in ids.chunks(AT_ONCE) {
        pictures.extend(index.rows(some)?.into_iter().map(|row| row.entry));
    }
    Ok(pictures)
}
