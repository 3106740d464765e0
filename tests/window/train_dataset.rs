//! Train → Data set: a source is read, looked at and prepared; captions are changed by hand; problems are told.

use std::path::{Path, PathBuf};

use atelier::domain::dataset::{
    CaptionLook, DatasetCommand, DatasetEvent, DatasetPlan, DatasetRow, DatasetSource, Inspection, LookedRow,
    OpenedDataset, Preparation, Problem, ProblemKind,
};
use atelier::domain::{Cancel, Collection, CollectionId, Settings, Theme, UserError};
use atelier::library::{Counts, GalleryEvent, LibraryEvent};
use atelier::studio::{DatasetDialog, DatasetInHand, DialogAnswer, DialogRequest, Place, TrainTab};
use egui::{Key, Modifiers, Role};
use egui_kittest::kittest::Queryable;

use super::bench::{Bench, garment};
use super::looks::snapshot;

const GARMENTS: [&str; 6] = ["Pullover", "Raincoat", "Dress", "Boot", "Scarf", "Shirt"];
const COLOURS: [&str; 5] = ["Red", "Navy Blue", "Mustard", "Green", "Purple"];

fn caption(number: usize) -> String {
    format!("{} Fall Women {}", COLOURS[number % COLOURS.len()], GARMENTS[number % GARMENTS.len()])
}

/// So many rows in `/data/fashion`, as a table or prepared.
fn fashion(count: usize, is_prepared: bool) -> OpenedDataset {
    let row = |number: usize| DatasetRow {
        name: format!("images/{}.jpg", 15_970 + number),
        picture: Some(PathBuf::from(format!("/data/fashion/images/{}.jpg", 15_970 + number))),
        caption: if is_prepared { caption(number) } else { String::new() },
        line: Some(number as u64 + 1 + u64::from(!is_prepared)),
        is_excluded: false,
    };
    OpenedDataset {
        kind: if is_prepared { "imagefolder" } else { "Fashion Product Images" }.to_owned(),
        root: "/data/fashion".into(),
        columns: ["id", "gender", "articleType", "baseColour", "season", "productDisplayName"]
            .map(str::to_owned)
            .to_vec(),
        default_template: Some("{baseColour} {season} {gender} {articleType}".to_owned()),
        rows: (0..count).map(row).collect(),
        rows_read: count,
        problems: Vec::new(),
        can_be_edited: is_prepared,
        is_prepared,
    }
}

fn asked(bench: &Bench) -> Vec<DatasetCommand> {
    let wanted = |command: &DatasetCommand| !matches!(command, DatasetCommand::Thumbnails { .. });
    bench.dataset_commands.try_iter().filter(wanted).collect()
}

fn tell(bench: &mut Bench, event: DatasetEvent) {
    bench.dataset_events.send(event).expect("the window listens");
    bench.harness.run();
}

fn hand(bench: &Bench) -> &DatasetInHand {
    bench.state().train.dataset.hand.as_ref().expect("a data set is shown")
}

/// Opens a data set by the dialog.
fn open(bench: &mut Bench, opened: OpenedDataset) {
    bench.go_to("Train");
    bench.script.borrow_mut().answers.push(DialogAnswer::Chosen(opened.root.clone()));
    bench.click("Open a folder…");
    bench.harness.run();
    let commands = asked(bench);
    let [DatasetCommand::Open { ticket, source: DatasetSource::Path(path) }] = commands.as_slice() else {
        panic!("{commands:?}")
    };
    assert_eq!(*path, opened.root);
    assert!(bench.has("Reading fashion"));
    tell(bench, DatasetEvent::Opened { ticket: *ticket, opened: Ok(Box::new(opened)) });
}

/// Answers the last look with captions like the plan's; gives the plan.
fn look(bench: &mut Bench, wanted: usize) -> DatasetPlan {
    let looks: Vec<(u64, DatasetPlan, usize)> = asked(bench)
        .into_iter()
        .filter_map(|command| match command {
            DatasetCommand::Look { ticket, plan, most } => Some((ticket, plan, most)),
            _ => None,
        })
        .collect();
    let (ticket, plan, most) = looks.into_iter().next_back().expect("a look is asked for");
    let row = |row| LookedRow { row, caption: caption(row), tokens: if row == 3 { 80 } else { 7 } };
    let rows = (0..wanted.min(most)).map(row).collect();
    tell(bench, DatasetEvent::Looked { ticket, look: Ok(CaptionLook { rows, wanted, without_caption: 1 }) });
    plan
}

/// Answers the thumbnails that are asked for; gives how many there were.
fn bring_thumbnails(bench: &mut Bench) -> usize {
    let mut count = 0;
    loop {
        let wanted: Vec<_> = bench
            .dataset_commands
            .try_iter()
            .filter_map(|command| match command {
                DatasetCommand::Thumbnails { ticket, wanted } => Some((ticket, wanted)),
                _ => None,
            })
            .collect();
        let Some((ticket, wanted)) = wanted.into_iter().next_back().filter(|(_, wanted)| !wanted.is_empty()) else {
            return count;
        };
        count += wanted.len();
        for (row, _) in wanted {
            let width = if row % 3 == 0 { 96 } else { 128 };
            let picture = Ok(garment(width, 128, row as u32));
            bench.dataset_events.send(DatasetEvent::Thumbnail { ticket, row, picture }).expect("the window listens");
        }
        bench.harness.run();
    }
}

fn type_into(bench: &mut Bench, role: Role, field: &str, text: &str) {
    bench.harness.get_by_role_and_label(role, field).focus();
    bench.harness.run();
    bench.press(Modifiers::COMMAND, Key::A);
    bench.harness.event(egui::Event::Text(text.to_owned()));
    bench.harness.run();
}

/// A prepared data set whose captions can be changed.
fn prepared(count: usize) -> Bench {
    let mut bench = Bench::first_start();
    open(&mut bench, fashion(count, true));
    let ticket = hand(&bench).ticket;
    let counts = (0..count).map(|row| (row, if row == 4 { 81 } else { 8 })).collect();
    tell(&mut bench, DatasetEvent::Counted { ticket, counts });
    bench
}

/// The rows of all saves that were sent: place, caption, whether it is excluded.
fn saved(bench: &Bench) -> Vec<(usize, String, bool)> {
    let rows = |command| match command {
        DatasetCommand::Save { changes, .. } => changes,
        _ => Vec::new(),
    };
    let row = |(row, change): (usize, atelier::domain::dataset::RowChange)| (row, change.caption, change.is_excluded);
    asked(bench).into_iter().flat_map(rows).map(row).collect()
}

fn save_is_done(bench: &mut Bench) {
    let ticket = hand(bench).ticket;
    tell(bench, DatasetEvent::Saved { ticket, count: 1, result: Ok(()) });
}

#[test]
fn the_place_has_its_tabs() {
    let mut bench = Bench::first_start();
    bench.go_to("Train");
    assert_eq!((bench.state().place, bench.state().train.tab), (Place::Train, TrainTab::Dataset));
    assert!(bench.has("Pictures and captions to learn from"));
    bench.go_to("Training");
    assert_eq!(bench.state().train.tab, TrainTab::Training);
    bench.go_to("Data set");
    assert_eq!(bench.state().train.tab, TrainTab::Dataset);
}

#[test]
fn what_cannot_be_read_is_said_with_what_is_wanted() {
    let mut bench = Bench::first_start();
    bench.go_to("Train");
    bench.script.borrow_mut().answers.push(DialogAnswer::Chosen("/data/notes.csv".into()));
    bench.click("Open a table…");
    bench.harness.run();
    assert!(matches!(bench.script.borrow().asked.last(), Some(DialogRequest::Dataset(DatasetDialog::Table))));
    let ticket = match asked(&bench).as_slice() {
        [DatasetCommand::Open { ticket, .. }] => *ticket,
        other => panic!("{other:?}"),
    };
    let error =
        UserError::input("No data set was recognised here").hint("one of these is wanted").path("/data/notes.csv");
    tell(&mut bench, DatasetEvent::Opened { ticket, opened: Err(error) });
    for said in ["No data set was recognised here", "one of these is wanted", "/data/notes.csv", "Open a folder…"] {
        assert!(bench.has(said), "{said}");
    }
}

#[test]
fn a_folder_that_is_dropped_and_a_collection_that_is_chosen_are_read() {
    let mut bench = Bench::first_start();
    let collections =
        vec![Collection { id: CollectionId(4), name: "Ink drawings".to_owned(), query: None, count: Some(12) }];
    let counts = Counts { all: 12, starred: 0 };
    bench.library(LibraryEvent::Gallery(GalleryEvent::Overview { counts, collections }));
    bench.go_to("Train");
    bench.click("Take a collection…");
    bench.click("Ink drawings");
    match asked(&bench).as_slice() {
        [DatasetCommand::Open { source: DatasetSource::Collection { id, name, folder }, .. }] => {
            assert_eq!((*id, name.as_str()), (CollectionId(4), "Ink drawings"));
            assert_eq!(folder, bench.state().pictures_folder());
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn captions_are_seen_as_the_template_is_written() {
    let mut bench = Bench::first_start();
    open(&mut bench, fashion(44_424, false));
    let plan = look(&mut bench, 44_424);
    assert_eq!(plan.template, "{baseColour} {season} {gender} {articleType}");
    assert!(bench.has("Fashion Product Images: 44,424 rows"));
    assert!(bench.has("The first 24 pictures as they will be, and 44,400 more"));
    assert!(bench.has("44,424 rows are wanted, 1 without a caption"));
    assert!(bench.has(&caption(1)) && bench.has("78 of 75 tokens"));
    type_into(&mut bench, Role::MultilineTextInput, "Caption of each picture", "a {baseColour}");
    bench.click("{articleType}");
    type_into(&mut bench, Role::MultilineTextInput, "Only rows where", "articleType=Dresses");
    let plan = look(&mut bench, 0);
    assert_eq!(
        (plan.template.as_str(), plan.conditions.as_slice()),
        ("a {baseColour} {articleType}", &["articleType=Dresses".to_owned()][..])
    );
    // No row is left: there is nothing to prepare.
    bench.click("Prepare");
    assert!(asked(&bench).is_empty());
    // What is wrong is said below the fields.
    type_into(&mut bench, Role::MultilineTextInput, "Caption of each picture", "a {colour}");
    let ticket = match asked(&bench).last() {
        Some(DatasetCommand::Look { ticket, .. }) => *ticket,
        other => panic!("{other:?}"),
    };
    let error = UserError::input("There is no column \"colour\" in this data set").hint("did you mean baseColour?");
    tell(&mut bench, DatasetEvent::Looked { ticket, look: Err(error) });
    assert!(bench.has("There is no column \"colour\" in this data set") && bench.has("did you mean baseColour?"));
}

#[test]
fn a_data_set_is_prepared_paused_and_gone_on_with() {
    let mut bench = Bench::first_start();
    open(&mut bench, fashion(100, false));
    look(&mut bench, 100);
    type_into(&mut bench, Role::TextInput, "At most", "80");
    look(&mut bench, 80);
    type_into(&mut bench, Role::TextInput, "Into the folder", "/data/small");
    bench.click("Prepare");
    let cancel: Cancel = match asked(&bench).as_slice() {
        [DatasetCommand::Prepare { folder, plan, cancel }] => {
            assert_eq!((folder.as_path(), plan.limit), (Path::new("/data/small"), Some(80)));
            cancel.clone()
        }
        other => panic!("{other:?}"),
    };
    tell(&mut bench, DatasetEvent::Progress { done: 20, total: 80 });
    assert!(bench.has("Preparing: 20 of 80"));
    bench.click("Pause");
    assert!(cancel.is_cancelled() && bench.has("Stopping: 20 of 80"));
    tell(&mut bench, DatasetEvent::Prepared(Err(UserError::cancelled())));
    assert!(bench.has("Paused: 20 of 80 pictures are ready"));
    bench.click("Go on");
    assert!(matches!(asked(&bench).as_slice(), [DatasetCommand::Prepare { .. }]));
    let made = Preparation { folder: "/data/small".into(), rows: 80, ..Preparation::default() };
    tell(&mut bench, DatasetEvent::Prepared(Ok(Box::new(made))));
    let ticket = match asked(&bench).as_slice() {
        [DatasetCommand::Open { ticket, .. }] => *ticket,
        other => panic!("{other:?}"),
    };
    let opened = OpenedDataset { root: "/data/small".into(), ..fashion(80, true) };
    tell(&mut bench, DatasetEvent::Opened { ticket, opened: Ok(Box::new(opened)) });
    assert!(bench.has("imagefolder: 80 rows") && bench.has("Train on it"));
    bench.click("Back to the source");
    assert!(matches!(asked(&bench).as_slice(), [DatasetCommand::Open { .. }]));
}

#[test]
fn a_caption_is_written_and_saved_when_its_field_is_left() {
    let mut bench = prepared(12);
    type_into(&mut bench, Role::MultilineTextInput, "15971.jpg", "a raincoat");
    assert!(saved(&bench).is_empty(), "it is still being written");
    bench.harness.get_by_role_and_label(Role::TextInput, "Find in captions").focus();
    bench.harness.run();
    assert_eq!(saved(&bench), [(1, "a raincoat".to_owned(), false)]);
    assert!(bench.has("Saving"));
    save_is_done(&mut bench);
    assert!(bench.has("Saved"));
    // Also where the whole place is left.
    type_into(&mut bench, Role::MultilineTextInput, "15972.jpg", "a dress");
    bench.go_to("Gallery");
    assert_eq!(saved(&bench), [(2, "a dress".to_owned(), false)]);
    save_is_done(&mut bench);
    bench.go_to("Train");
    bench.click("Exclude: images/15973.jpg");
    assert_eq!(saved(&bench), [(3, caption(3), true)]);
    save_is_done(&mut bench);
    assert_eq!(bench.harness.query_all_by_label("Excluded").count(), 2, "the filter, and the card");
    bench.press(Modifiers::COMMAND, Key::Z);
    assert_eq!(saved(&bench), [(3, caption(3), false)]);
    save_is_done(&mut bench);
    bench.press(Modifiers::COMMAND | Modifiers::SHIFT, Key::Z);
    assert_eq!(saved(&bench), [(3, caption(3), true)]);
}

#[test]
fn text_is_replaced_in_all_captions_that_are_shown() {
    let mut bench = prepared(30);
    type_into(&mut bench, Role::TextInput, "Find in captions", "navy");
    assert_eq!(hand(&bench).finder.visible().len(), 6);
    type_into(&mut bench, Role::TextInput, "Replace with", "dark");
    bench.click("Replace in 6 captions");
    let rows = saved(&bench);
    assert_eq!((rows.len(), rows[0].1.as_str()), (6, "dark Blue Fall Women Raincoat"));
    assert!(bench.has("No caption holds this") && bench.has("Replaced in 6 captions"));
    bench.click("Undo");
    assert_eq!(saved(&bench).len(), 6);
    assert_eq!(hand(&bench).rows[1].row.caption, caption(1));
    bench.harness.get_by_role_and_label(Role::RadioButton, "Too long").click();
    bench.harness.run();
    bench.harness.get_by_role_and_label(Role::TextInput, "Find in captions").focus();
    bench.harness.run();
    bench.press(Modifiers::COMMAND, Key::A);
    bench.press(Modifiers::NONE, Key::Backspace);
    assert_eq!(hand(&bench).finder.visible(), [4]);
}

#[test]
fn of_many_rows_only_those_in_view_are_drawn_and_asked_for() {
    let mut bench = prepared(44_424);
    let first = bring_thumbnails(&mut bench);
    assert!((8..64).contains(&first), "{first}");
    let fields = bench.harness.get_all_by_role(Role::MultilineTextInput).count();
    assert!(fields < 64, "{fields}");
    assert_eq!(bring_thumbnails(&mut bench), 0, "each is asked for once");
}

#[test]
fn problems_are_listed_with_what_to_do() {
    let mut bench = prepared(12);
    bench.click("Look for problems");
    assert!(matches!(asked(&bench).as_slice(), [DatasetCommand::Check { .. }]));
    assert!(bench.has("What is found is listed here"));
    tell(&mut bench, DatasetEvent::Checked(Ok(Box::new(inspection()))));
    assert!(bench.has("Pictures that are there twice") && bench.has("Rows that could not be read"));
    assert!(bench.has("Keep one of them: the others only make it weigh more"));
    assert!(bench.has("12 rows can be learnt from") && bench.has("Dresses: 5,400"));
    bench.harness.get_by_label("images/15978.jpg has the pixels of images/15971.jpg").click();
    bench.harness.run();
    assert_eq!(hand(&bench).goal.0, 8);
    bench.go_to("Problems (4)");
    // Of those that are too small, and of those that are there twice; a line that cannot be read has no picture.
    let buttons: Vec<_> = bench.harness.get_all_by_label("Exclude them all").collect();
    assert_eq!(buttons.len(), 2);
    buttons[1].click();
    drop(buttons);
    bench.harness.run();
    assert_eq!(saved(&bench).iter().map(|row| (row.0, row.2)).collect::<Vec<_>>(), [(8, true), (9, true)]);
}

fn inspection() -> Inspection {
    let about = |kind, number: usize, sentence: String| Problem {
        kind,
        line: None,
        path: Some(format!("/data/fashion/images/{}.jpg", 15_970 + number).into()),
        sentence,
    };
    let twice = |number: usize| {
        let sentence = format!("images/{}.jpg has the pixels of images/15971.jpg", 15_970 + number);
        about(ProblemKind::ExactDuplicate, number, sentence)
    };
    let small = "images/15972.jpg is 480 px at its shorter side, 512 px are wanted";
    Inspection {
        rows: 12,
        sides: Some([480, 512, 512]),
        tokens: Some([5, 9, 81]),
        problems: vec![
            Problem {
                kind: ProblemKind::SkippedRow,
                line: Some(40),
                path: Some("/data/fashion/metadata.jsonl".into()),
                sentence: "the line is no JSON: EOF while parsing an object".to_owned(),
            },
            about(ProblemKind::TooSmall, 2, small.to_owned()),
            twice(8),
            twice(9),
        ],
        balance: vec![
            (
                "articleType".to_owned(),
                [("Dresses", 5_400), ("Shirts", 3_217), ("Tops", 1_762), ("Heels", 1_323), ("Sandals", 897)]
                    .map(|(value, count)| (value.to_owned(), count))
                    .to_vec(),
            ),
            (
                "words".to_owned(),
                [("women", 7_100), ("blue", 4_918), ("red", 2_432)]
                    .map(|(value, count)| (value.to_owned(), count))
                    .to_vec(),
            ),
        ],
    }
}

#[test]
fn looks_of_a_source() {
    let mut bench = Bench::first_start();
    open(&mut bench, fashion(44_424, false));
    look(&mut bench, 44_424);
    bench.harness.run();
    bring_thumbnails(&mut bench);
    snapshot(&mut bench, "train_dataset");
}

#[test]
fn looks_of_captions_light() {
    let mut bench = Bench::with(Settings { theme: Theme::Light, ..Settings::default() }, [1280.0, 800.0]);
    open(&mut bench, fashion(2_000, true));
    let ticket = hand(&bench).ticket;
    let counts = (0..2_000).map(|row| (row, if row == 4 { 81 } else { 8 })).collect();
    tell(&mut bench, DatasetEvent::Counted { ticket, counts });
    bring_thumbnails(&mut bench);
    bench.click("Exclude: images/15973.jpg");
    save_is_done(&mut bench);
    type_into(&mut bench, Role::TextInput, "Find in captions", "women");
    type_into(&mut bench, Role::TextInput, "Replace with", "woman's");
    bench.harness.get_by_role_and_label(Role::MultilineTextInput, "15971.jpg").focus();
    bench.harness.run();
    bring_thumbnails(&mut bench);
    snapshot(&mut bench, "train_captions");
}

#[test]
fn looks_of_problems() {
    let mut bench = prepared(12);
    bench.click("Look for problems");
    tell(&mut bench, DatasetEvent::Checked(Ok(Box::new(inspection()))));
    snapshot(&mut bench, "train_problems");
}
