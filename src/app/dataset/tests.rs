//! The data sets' thread on real files.

use std::fs;

use serde_json::Value;

use super::*;
use crate::domain::Cancel;
use crate::domain::dataset::{DatasetPlan, ProblemKind};

/// Words of a caption, with a start and an end.
fn words(caption: &str) -> u32 {
    caption.split_whitespace().count() as u32 + 2
}

fn start(home: &Path) -> DatasetHandle {
    spawn(Paths::below(home), Box::new(words), Arc::new(|| ())).unwrap()
}

fn next(handle: &DatasetHandle) -> DatasetEvent {
    handle.events.recv_timeout(Duration::from_mins(1)).expect("the thread answers")
}

/// The next event that is not about how far something is.
fn next_news(handle: &DatasetHandle) -> DatasetEvent {
    loop {
        match next(handle) {
            DatasetEvent::Progress { .. } => {}
            event => return event,
        }
    }
}

/// Fashion Product Images with so many rows; the second one's picture is broken.
fn fashion(folder: &Path, rows: u32) {
    let head = "id,gender,masterCategory,subCategory,articleType,baseColour,season,year,usage,productDisplayName";
    let mut table = vec![head.to_owned()];
    fs::create_dir_all(folder.join("images")).unwrap();
    for id in 1..=rows {
        table.push(format!("{id},Women,Apparel,Dress,Dresses,Red,Fall,2011,NA,Dress {id}"));
        let path = folder.join(format!("images/{id}.jpg"));
        if id == 2 {
            fs::write(path, b"no picture").unwrap();
        } else {
            let shade = |x: u32| image::Rgb([(x * 3) as u8, (id * 20) as u8, 90]);
            image::RgbImage::from_fn(80, 60, |x, _| shade(x)).save(path).unwrap();
        }
    }
    fs::write(folder.join("styles.csv"), table.join("\n")).unwrap();
}

fn open(handle: &DatasetHandle, ticket: u64, path: &Path) -> crate::domain::dataset::OpenedDataset {
    handle.send(DatasetCommand::Open { ticket, source: DatasetSource::Path(path.to_path_buf()) }).unwrap();
    match next_news(handle) {
        DatasetEvent::Opened { ticket: of, opened } if of == ticket => *opened.unwrap(),
        other => panic!("{other:?}"),
    }
}

fn plan() -> DatasetPlan {
    DatasetPlan {
        template: "a {baseColour} dress, {productDisplayName}".to_owned(),
        side_px: 32,
        ..DatasetPlan::default()
    }
}

fn prepare(handle: &DatasetHandle, folder: &Path, plan: DatasetPlan) -> crate::domain::dataset::Preparation {
    let prepare = DatasetCommand::Prepare { plan, folder: folder.to_path_buf(), cancel: Cancel::default() };
    handle.send(prepare).unwrap();
    match next_news(handle) {
        DatasetEvent::Prepared(result) => *result.unwrap(),
        other => panic!("{other:?}"),
    }
}

fn save(handle: &DatasetHandle, ticket: u64, rows: &[(usize, &str, bool)]) {
    let change = |(row, caption, is_excluded): &(usize, &str, bool)| {
        let name = format!("images/{}.jpg", [1, 3, 4][*row]);
        (*row, RowChange { line: *row as u64 + 1, name, caption: (*caption).to_owned(), is_excluded: *is_excluded })
    };
    handle.send(DatasetCommand::Save { ticket, changes: rows.iter().map(change).collect() }).unwrap();
    loop {
        if let DatasetEvent::Saved { result, .. } = next_news(handle) {
            return result.unwrap();
        }
    }
}

fn metadata(folder: &Path) -> Vec<Value> {
    let text = fs::read_to_string(folder.join("metadata.jsonl")).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[test]
fn a_table_is_read_looked_at_prepared_and_changed() {
    let home = tempfile::tempdir().unwrap();
    let (source, out) = (home.path().join("fashion"), home.path().join("out"));
    fashion(&source, 4);
    let handle = start(home.path());
    let opened = open(&handle, 1, &source);
    assert_eq!((opened.kind.as_str(), opened.rows.len(), opened.can_be_edited), ("Fashion Product Images", 4, false));
    assert!(opened.default_template.is_some() && !opened.is_prepared);

    handle.send(DatasetCommand::Look { ticket: 7, plan: plan(), most: 2 }).unwrap();
    match next_news(&handle) {
        DatasetEvent::Looked { ticket: 7, look: Ok(look) } => {
            assert_eq!((look.wanted, look.rows.len()), (4, 2));
            assert_eq!((look.rows[0].caption.as_str(), look.rows[0].tokens), ("a Red dress, Dress 1", 7));
        }
        other => panic!("{other:?}"),
    }
    let wanted = vec![(0, opened.rows[0].picture.clone().unwrap()), (1, opened.rows[1].picture.clone().unwrap())];
    handle.send(DatasetCommand::Thumbnails { ticket: 1, wanted }).unwrap();
    let mut came = Vec::new();
    while came.len() < 2 {
        if let DatasetEvent::Thumbnail { ticket: 1, row, picture } = next_news(&handle) {
            came.push((row, picture.ok().map(|picture| (picture.width_px, picture.height_px))));
        }
    }
    came.sort_unstable();
    assert_eq!(came, [(0, Some((80, 60))), (1, None)]);

    let made = prepare(&handle, &out, plan());
    assert_eq!((made.rows, made.made, made.kept_by_hand), (3, 3, 0));
    assert_eq!(made.left_out, [(1, "have a picture that cannot be read")]);

    let opened = open(&handle, 2, &out);
    assert!(opened.can_be_edited && opened.is_prepared);
    match next_news(&handle) {
        DatasetEvent::Counted { ticket: 2, counts } => assert_eq!(counts, [(0, 7), (1, 7), (2, 7)]),
        other => panic!("{other:?}"),
    }
    save(&handle, 2, &[(0, "mine", false), (2, "a Red dress, Dress 4", true)]);
    let rows = metadata(&out);
    assert_eq!((&rows[0]["text"], &rows[2]["excluded"]), (&Value::from("mine"), &Value::from(true)));
    assert_eq!(rows[1].as_object().unwrap().len(), 2, "what was not changed says no more than before");

    // Prepared again, with other captions: what was done by hand stays.
    open(&handle, 3, &source);
    let made = prepare(&handle, &out, DatasetPlan { template: "{articleType}".to_owned(), ..plan() });
    assert_eq!((made.rows, made.made, made.kept_by_hand), (3, 0, 2));
    let rows = metadata(&out);
    let texts: Vec<_> = rows.iter().map(|row| row["text"].as_str().unwrap()).collect();
    assert_eq!((texts, &rows[2]["excluded"]), (vec!["mine", "Dresses", "Dresses"], &Value::from(true)));
    handle.shut_down();
}

#[test]
fn a_check_tells_everything_and_leaves_the_excluded_out() {
    let home = tempfile::tempdir().unwrap();
    let (source, out) = (home.path().join("fashion"), home.path().join("out"));
    fashion(&source, 4);
    let handle = start(home.path());
    open(&handle, 1, &source);
    prepare(&handle, &out, plan());
    open(&handle, 2, &out);
    save(&handle, 2, &[(0, "", false), (1, "a", true)]);
    let plan = DatasetPlan { side_px: 33, ..DatasetPlan::default() };
    handle.send(DatasetCommand::Check { plan, cancel: Cancel::default() }).unwrap();
    let found = loop {
        if let DatasetEvent::Checked(result) = next_news(&handle) {
            break *result.unwrap();
        }
    };
    assert_eq!((found.rows, found.sides), (2, Some([32, 32, 32])));
    let count = |kind| found.problems.iter().filter(|problem| problem.kind == kind).count();
    assert_eq!((count(ProblemKind::TooSmall), count(ProblemKind::EmptyCaption)), (2, 1));
    handle.shut_down();
}

#[test]
fn what_is_stopped_goes_on_and_what_is_bad_is_said() {
    let home = tempfile::tempdir().unwrap();
    let (source, out) = (home.path().join("fashion"), home.path().join("out"));
    fashion(&source, 6);
    let handle = start(home.path());
    open(&handle, 1, &source);
    let cancel = Cancel::default();
    cancel.cancel();
    handle.send(DatasetCommand::Prepare { plan: plan(), folder: out.clone(), cancel }).unwrap();
    match next_news(&handle) {
        DatasetEvent::Prepared(Err(error)) => assert!(error.is_cancelled()),
        other => panic!("{other:?}"),
    }
    assert!(!out.join("metadata.jsonl").exists());
    assert_eq!(prepare(&handle, &out, plan()).rows, 5);
    // Within its source: said, nothing made.
    let inside = source.join("out");
    handle.send(DatasetCommand::Prepare { plan: plan(), folder: inside.clone(), cancel: Cancel::default() }).unwrap();
    assert!(matches!(next_news(&handle), DatasetEvent::Prepared(Err(_))));
    assert!(!inside.exists());
    // Rows of a table are not written to.
    handle.send(DatasetCommand::Save { ticket: 1, changes: Vec::new() }).unwrap();
    assert!(matches!(next_news(&handle), DatasetEvent::Saved { result: Err(_), .. }));
    handle.send(DatasetCommand::Open { ticket: 2, source: DatasetSource::Path(home.path().join("none")) }).unwrap();
    assert!(matches!(next_news(&handle), DatasetEvent::Opened { ticket: 2, opened: Err(_) }));
    // Nothing is in hand now: what is asked of it is passed over, and the thread lives.
    handle.send(DatasetCommand::Check { plan: plan(), cancel: Cancel::default() }).unwrap();
    handle.send(DatasetCommand::Thumbnails { ticket: 1, wanted: vec![(0, out)] }).unwrap();
    assert_eq!(open(&handle, 3, &source).rows.len(), 6);
    handle.shut_down();
}

#[test]
fn it_ends_while_work_goes_on_and_nobody_listens() {
    let home = tempfile::tempdir().unwrap();
    let source = home.path().join("fashion");
    fashion(&source, 40);
    let handle = start(home.path());
    open(&handle, 1, &source);
    let folder = home.path().join("out");
    handle.send(DatasetCommand::Prepare { plan: plan(), folder, cancel: Cancel::default() }).unwrap();
    handle.shut_down();
}
