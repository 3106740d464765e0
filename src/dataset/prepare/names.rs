//! Names of prepared pictures: functions of the source alone, so that a run that goes on finds what an earlier one made.

use crate::domain::fnv1a;
use std::collections::{BTreeMap, HashSet};
use std::path::Path;

use crate::dataset::rows::Dataset;

/// The longest name without its ending, in bytes.
const MAX_STEM_BYTES: usize = 100;
/// Names that Windows keeps for devices.
const RESERVED: [&str; 4] = ["con", "prn", "aux", "nul"];

/// A name without an ending for every picture of a data set. Where two pictures would have one name (upper and lower case
/// are one), the later one's says by a hash of its path which it is.
#[must_use]
pub fn stems(dataset: &Dataset) -> BTreeMap<&Path, String> {
    let mut taken = HashSet::new();
    let mut stems = BTreeMap::new();
    for row in &dataset.rows {
        let Some(picture) = row.picture.as_deref() else { continue };
        stems.entry(picture).or_insert_with(|| {
            let plain = clean(&row.name);
            let hash = fnv1a(row.name.as_bytes());
            let with_hash = [format!("{plain}-{:08x}", hash >> 32), format!("{plain}-{hash:016x}")];
            let numbered = (2u64..).map(|number| format!("{plain}-{hash:016x}-{number}"));
            [plain.clone()]
                .into_iter()
                .chain(with_hash)
                .chain(numbered)
                .find(|stem| taken.insert(stem.to_lowercase()))
                // The numbers do not end.
                .unwrap_or_default()
        });
    }
    stems
}

/// A picture's own name without its ending, of letters, digits, `-`, `_` and points.
fn clean(name: &str) -> String {
    let own = name.rsplit(['/', '\\']).next().unwrap_or_default();
    let own = own.rsplit_once('.').map_or(own, |(stem, _)| stem);
    let mut stem = String::new();
    for c in own.chars() {
        let c = if c.is_alphanumeric() || matches!(c, '_' | '.') { c } else { '-' };
        if stem.len() + c.len_utf8() > MAX_STEM_BYTES {
            break;
        }
        if !(c == '-' && stem.ends_with('-')) {
            stem.push(c);
        }
    }
    let stem = stem.trim_matches(['-', '.']);
    let device = stem.split('.').next().unwrap_or_default().to_lowercase();
    let is_port = ["com", "lpt"].iter().any(|port| device.strip_prefix(port).is_some_and(|n| n.chars().count() == 1));
    if stem.is_empty() || is_port || RESERVED.contains(&device.as_str()) {
        return format!("picture-{stem}").trim_end_matches('-').to_owned();
    }
    stem.to_owned()
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use proptest::prelude::*;

    use super::*;
    use crate::dataset::rows::Row;

    fn names(names: &[&str]) -> Vec<String> {
        let mut dataset = Dataset::new("test", Path::new("."));
        dataset.rows = names
            .iter()
            .map(|name| Row {
                picture: Some(PathBuf::from(name)),
                name: (*name).to_owned(),
                caption: None,
                values: Vec::new(),
                repeats: 1,
                line: None,
                is_excluded: false,
            })
            .collect();
        let stems = stems(&dataset);
        names.iter().map(|name| stems[Path::new(name)].clone()).collect()
    }

    #[test]
    fn pictures_keep_their_names_and_no_two_share_one() {
        let made = names(&[
            "images/1.jpg",
            "10_a/1.jpg",
            "10_b/1.png",
            "10_B/1.PNG",
            "images/1.jpg",
            "x/A b*?.webp",
            "con.jpg",
        ]);
        assert_eq!((made[0].as_str(), made[5].as_str(), made[6].as_str()), ("1", "A-b", "picture-con"));
        assert_eq!(made[4], "1");
        assert!(made[1..4].iter().all(|name| name.starts_with("1-") && name.len() == 10), "{made:?}");
        assert!(made[1] != made[2] && made[2] != made[3] && made[1] != made[3]);
    }

    proptest! {
        #[test]
        fn any_name_becomes_one_that_every_system_holds(name in "(?s).{0,150}") {
            let stem = clean(&name);
            prop_assert!(!stem.is_empty() && stem.len() <= MAX_STEM_BYTES + 8);
            prop_assert!(stem.chars().all(|c| c.is_alphanumeric() || matches!(c, '-' | '_' | '.')));
            prop_assert!(!stem.starts_with('.') && !stem.ends_with('.'));
        }
    }
}
