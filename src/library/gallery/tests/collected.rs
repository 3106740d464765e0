//! The pictures of a collection, for those who are no gallery.

use super::*;
use crate::library::{collection_of_name, pictures_of_collection};

#[test]
fn a_collection_is_found_by_its_name_and_gives_its_pictures_in_their_order() {
    let mut home = Home::new();
    let ids = [("a.png", 1000), ("b.png", 2000), ("c.png", 3000)]
        .map(|(name, created_ms)| home.add(name, created_ms, Some(&recipe(name, |_| {}))));
    assert!(collection_of_name(&home.paths, "Summer").unwrap_err().hint.unwrap().contains("none yet"));
    let summer = home.index.create_collection("Summer", None).unwrap();
    home.index.collect(summer, &[ids[2], ids[0]]).unwrap();
    home.index.create_collection("Second", Some("b")).unwrap();
    let found = collection_of_name(&home.paths, " sUMMER ").unwrap();
    assert_eq!((found.id, found.name.as_str()), (summer, "Summer"));
    let names = |name: &str| -> Vec<String> {
        let collection = collection_of_name(&home.paths, name).unwrap();
        let pictures = pictures_of_collection(&home.paths, collection.id).unwrap();
        pictures.iter().map(|entry| entry.path.file_stem().unwrap().to_string_lossy().into_owned()).collect()
    };
    assert_eq!(names("summer"), ["c", "a"]);
    // A smart one holds what its search finds.
    assert_eq!(names("second"), ["b"]);
    let error = collection_of_name(&home.paths, "Winter").unwrap_err();
    assert!(error.hint.unwrap().contains("Second, Summer"));
}
