//! A library of 500 pictures from end to end: files, index, searches, marks, a lost index.

#[path = "../benches/library/made.rs"]
mod made;

use std::fs;

use atelier::domain::{Scope, SearchRequest, SearchResult, SortOrder};
use atelier::library::{Index, Paths};
use made::{FIRST_MS, RARE};

const COUNT: u64 = 500;

#[expect(clippy::unwrap_used, reason = "a test may, also outside of its own function")]
fn find(index: &Index, request: &SearchRequest) -> SearchResult {
    index.find(request, &|| false).unwrap().unwrap().result
}

fn count(index: &Index, text: &str) -> usize {
    find(index, &SearchRequest { text: text.to_owned(), ..SearchRequest::default() }).total
}

#[test]
fn a_library_of_500_is_searched_marked_and_rebuilt() {
    let home = tempfile::tempdir().unwrap();
    let paths = Paths::below(home.path());
    made::write_pictures(&paths, COUNT);
    let mut index = Index::open(&paths).unwrap();
    assert_eq!(index.rescan().unwrap().added, COUNT as usize);

    // What the files say, counted without the index.
    let rows = index.rows(&find(&index, &SearchRequest::default()).ids).unwrap();
    assert!(rows.is_sorted_by(|a, b| a.entry.created_ms > b.entry.created_ms));
    assert_eq!(rows.last().unwrap().entry.created_ms, FIRST_MS);
    let recipes: Vec<_> = rows.iter().map(|row| row.entry.recipe.clone().unwrap()).collect();
    let has = |prompt: &str, word: &str| prompt.split(' ').any(|other| other == word);
    let expect = |text: &str, holds: &dyn Fn(&atelier::domain::Recipe) -> bool| {
        assert_eq!(count(&index, text), recipes.iter().filter(|recipe| holds(recipe)).count(), "{text}");
    };
    expect("dress ", &|recipe| has(&recipe.request.prompt, "dress"));
    expect("-prompt:\"dress\"", &|recipe| !has(&recipe.request.prompt, "dress"));
    expect("cat OR dog ", &|recipe| has(&recipe.request.prompt, "cat") || has(&recipe.request.prompt, "dog"));
    expect("\"red dress\"", &|recipe| format!(" {} ", recipe.request.prompt).contains(" red dress "));
    expect("steps:20..30", &|recipe| (20..=30).contains(&recipe.request.num_inference_steps));
    expect("guidance:>5", &|recipe| recipe.request.guidance_scale > 5.0);
    expect("model:turbo", &|recipe| recipe.model_name.contains("Turbo"));
    expect("family:starter", &|recipe| recipe.model_name == "Starter");
    expect("lora:silk", &|recipe| !recipe.request.loras.is_empty());
    expect("lora:denim", &|recipe| recipe.request.prompt.contains("<lora:denim"));
    expect("safe:no", &|recipe| recipe.safety.is_some_and(|verdict| verdict.flagged));
    assert_eq!(count(&index, "marigold "), COUNT.div_ceil(RARE) as usize);

    // Four of each recipe, but where the rare word makes one of them another.
    let grouped = find(&index, &SearchRequest { is_grouped: true, ..SearchRequest::default() });
    assert_eq!(grouped.ids.len(), (COUNT / 4 + COUNT.div_ceil(RARE)) as usize);
    assert_eq!(grouped.group_sizes.iter().sum::<u32>() as usize, grouped.total);
    let same =
        SearchRequest { scope: Scope::SameRecipe(grouped.ids[0]), sort: SortOrder::Seed, ..SearchRequest::default() };
    assert_eq!(find(&index, &same).ids.len(), 4);

    let tenth: Vec<_> = rows.iter().map(|row| row.entry.id).step_by(10).collect();
    index.star(&tenth, true).unwrap();
    let collection = index.create_collection("Tenth", None).unwrap();
    index.collect(collection, &tenth).unwrap();
    assert_eq!(index.keep().unwrap(), None);
    drop(index);
    fs::remove_file(&paths.database).unwrap();
    let mut index = Index::open(&paths).unwrap();
    assert_eq!(index.rescan().unwrap().added, COUNT as usize);
    assert_eq!((count(&index, "star:yes"), count(&index, "in:tenth")), (50, 50));
}
