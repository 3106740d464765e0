//! Tables of every form and encoding, and their results: written, cut off, joined, kept.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use proptest::prelude::*;
use tempfile::TempDir;

use super::*;
use crate::dataset::source::lines::MAX_LINE_BYTES;
use crate::domain::batch::{CheckedRow, Form, Plan, RowResult, RowStatus, Setup, Shard, Table, request_key};
use crate::domain::{GenerateRequest, Result};

fn written(folder: &Path, name: &str, bytes: impl AsRef<[u8]>) -> PathBuf {
    let path = folder.join(name);
    fs::write(&path, bytes).unwrap();
    path
}

fn table(name: &str, bytes: impl AsRef<[u8]>) -> Result<Table> {
    let folder = TempDir::new().unwrap();
    read(&written(folder.path(), name, bytes))
}

fn values(table: &Table) -> Vec<Vec<&str>> {
    let row = |row: &crate::domain::batch::TableRow| row.values.len();
    table
        .rows
        .iter()
        .map(|found| table.columns.iter().enumerate().take(row(found)).map(|(i, _)| table.value(found, i)).collect())
        .collect()
}

fn setup() -> Setup {
    Setup {
        template: String::new(),
        base: GenerateRequest::default(),
        seed: 0,
        families: Vec::new(),
        models: Vec::new(),
        loras: Vec::new(),
    }
}

fn plan(table: &Arc<Table>) -> Plan {
    Plan::new(Arc::clone(table), Arc::new(setup())).unwrap()
}

fn done(row: usize, plan: &Plan, path: &str) -> RowResult {
    RowResult {
        row,
        status: RowStatus::Done,
        paths: vec![path.to_owned()],
        seed: Some(5),
        seconds: 1.25,
        error: String::new(),
        request: request_key(&plan.request(row).unwrap()),
    }
}

#[test]
fn lists_tables_and_json_lines_are_read() {
    let list = table("a.txt", "# mine\na red dress --w 64\n\na coat --s 3 --w 72\nx --stepz 3\n").unwrap();
    assert_eq!((list.form, list.columns.join(" ").as_str()), (Form::List, "prompt width_px num_inference_steps"));
    assert_eq!(values(&list), [vec!["a red dress", "64", ""], vec!["a coat", "72", "3"], vec!["x --stepz 3"]]);
    assert_eq!(list.rows.iter().map(|row| row.line).collect::<Vec<_>>(), [2, 4, 5]);
    assert!(list.rows[2].problem.as_ref().unwrap().contains("--steps"));

    let csv = table("a.csv", "prompt;w\r\n\"a; b\";7,5\r\n\r\nc\r\nd;e;f\r\n").unwrap();
    assert_eq!((csv.form, csv.columns.len()), (Form::Csv(';'), 2));
    assert_eq!(values(&csv)[..2], [vec!["a; b", "7,5"], vec!["c"]]);
    assert!(csv.rows[2].problem.as_ref().unwrap().contains("3 values"));
    assert_eq!(csv.rows.iter().map(|row| row.line).collect::<Vec<_>>(), [2, 4, 5]);

    let json = table(
        "a.jsonl",
        "{\"prompt\": \"x\", \"w\": 64, \"tags\": [\"a\", 2]}\n{broken\n{\"n\": null, \"w\": 7.5}\n[]\n",
    )
    .unwrap();
    let mut columns = json.columns.clone();
    columns.sort();
    assert_eq!(columns, ["n", "prompt", "tags", "w"]);
    let of = |row: usize, name: &str| json.value(&json.rows[row], json.column(name).unwrap()).to_owned();
    assert_eq!(
        (of(0, "w"), of(0, "tags"), of(2, "n"), of(2, "w")),
        ("64".into(), "a, 2".into(), String::new(), "7.5".into())
    );
    assert!(json.rows[1].problem.is_some() && json.rows[3].problem.is_some());
}

#[test]
fn encodings_and_marks_of_other_systems_are_read() {
    let text = "\u{feff}prompt,w\r\n\"été, neige\",64\r\n";
    let expected = vec![vec!["été, neige", "64"]];
    assert_eq!(values(&table("a.csv", text).unwrap()), expected);
    for encode in [u16::to_le_bytes, u16::to_be_bytes] {
        let bytes: Vec<u8> = text.encode_utf16().flat_map(encode).collect();
        assert_eq!(values(&table("a.csv", bytes).unwrap()), expected);
    }
    let western = table("a.csv", b"prompt\ncaf\xe9\nx\0y\n").unwrap();
    assert_eq!(values(&western), [vec!["café"], vec!["xy"]]);
    assert_eq!(western.repairs.iter().map(|(line, _)| *line).collect::<Vec<_>>(), [2, 3]);
}

#[test]
fn a_row_that_cannot_be_read_is_listed_with_its_line() {
    let mut bytes = b"prompt,w\nfirst,64\n".to_vec();
    bytes.extend(vec![b'x'; 3 * MAX_LINE_BYTES]);
    bytes.extend(b"\n\"never closed,72\nlast,80\n");
    let table = table("a.csv", bytes).unwrap();
    let rows: Vec<_> = table.rows.iter().map(|row| (row.line, row.problem.is_some())).collect();
    assert_eq!(rows, [(2, false), (3, true), (4, false), (5, false)]);
    assert_eq!(table.value(&table.rows[2], 0), "\"never closed");
    assert_eq!(table.repairs[0].0, 4);
}

#[test]
fn what_is_no_table_is_refused() {
    let folder = TempDir::new().unwrap();
    for (name, text, expected) in [
        ("a.png", "x", "ends in .png"),
        ("a.csv", "", "no rows"),
        ("b.csv", "prompt\n", "no rows"),
        ("c.csv", "a,a\n1,2\n", "Two columns"),
        ("d.txt", "# only this\n", "no rows"),
        ("e.json", "[{\"prompt\": \"x\"}]", "array"),
        ("f.csv", "\n\n", "no rows"),
    ] {
        let error = read(&written(folder.path(), name, text)).unwrap_err();
        assert!(error.sentence.contains(expected) && error.exit_code() == 2, "{name}: {error}");
    }
    assert!(read(folder.path()).unwrap_err().sentence.contains("folder"));
    assert!(read(&folder.path().join("missing.csv")).is_err());
    let many = "x\n".repeat(100_001);
    assert!(read(&written(folder.path(), "many.txt", &many)).unwrap_err().sentence.contains("more than 100000"));
    assert!(read(&written(folder.path(), "many.csv", &many)).is_ok(), "the first line names the column");
}

#[test]
fn results_are_added_row_by_row_and_found_again() {
    let folder = TempDir::new().unwrap();
    let text = "prompt,seed,note\n\"a, b\",,first\nc,9,\"two\nlines\"\nd,,\n";
    for (name, text) in [
        ("a.csv", text.to_owned()),
        ("a.tsv", text.replace("\"a, b\"", "a b").replace(',', "\t")),
        (
            "a.jsonl",
            "{\"prompt\":\"a\",\"seed\":null}\n{\"prompt\":\"c\"}\n{\"prompt\":\"d\",\"x\":{\"y\":1}}\n".to_owned(),
        ),
        ("a.txt", "a\nc --d 3\nd\n".to_owned()),
    ] {
        let table = Arc::new(read(&written(folder.path(), name, text)).unwrap());
        let plan = plan(&table);
        let out = folder.path().join(name.replace('.', "-"));
        let mut results = Results::open(Arc::clone(&table), &out, None, []).unwrap();
        let two = RowResult { paths: vec!["x, y.png".into(), "z.png".into()], ..done(1, &plan, "") };
        results.add(RowResult::failed(2, "it is \"broken\",\nvery")).unwrap();
        results.add(two.clone()).unwrap();
        let path = results.path().to_path_buf();
        // As a crash leaves it: not in order, and the line in hand cut off.
        let mut bytes = fs::read(&path).unwrap();
        drop(results);
        let cut = bytes.len() - 20;
        bytes.extend_from_within(cut - 30..cut);
        fs::write(&path, &bytes).unwrap();
        let found = read_results(&table, &out);
        assert!(found.contains(&two), "{name}: {found:?}");
        assert_eq!(found.iter().filter(|result| result.row == 2).count(), 1, "{name}");
        assert_eq!(found.iter().find(|result| result.row == 2).unwrap().error, "it is \"broken\",\nvery");

        let checked = check_rows(&plan, &found);
        assert_eq!(checked[0], CheckedRow::Ready);
        assert_eq!(checked[1], CheckedRow::Done(Box::new(two.clone())), "{name}");
        let mut results = Results::open(Arc::clone(&table), &out, None, [two.clone()]).unwrap();
        results.add(done(0, &plan, "first.png")).unwrap();
        results.add(done(2, &plan, "third.png")).unwrap();
        assert_eq!(results.finish().unwrap(), path);
        let rows: Vec<_> = read_results(&table, &out).into_iter().map(|result| (result.row, result.status)).collect();
        assert_eq!(rows, [0, 1, 2].map(|row| (row, RowStatus::Done)), "{name}: each row once, in order");
    }
    let text = fs::read_to_string(folder.path().join("a-csv/a.results.csv")).unwrap();
    let (header, rest) = text.split_once("\r\n").unwrap();
    assert_eq!(header, "prompt,seed,note,row,line,status,path,result_seed,seconds,error,request");
    assert!(rest.starts_with("\"a, b\",,first,1,2,ok,first.png,5,1.250,,"), "{rest}");
    let text = fs::read_to_string(folder.path().join("a-jsonl/a.results.jsonl")).unwrap();
    let last = text.lines().next_back().unwrap();
    assert!(last.starts_with("{\"prompt\":\"d\",\"x\":{\"y\":1},\"row\":3,\"line\":3,\"status\":\"ok\""), "{last}");
}

#[test]
fn shares_write_their_own_files_and_are_joined_by_a_run_of_all() {
    let folder = TempDir::new().unwrap();
    let table = Arc::new(read(&written(folder.path(), "a.txt", "a\nb\nc\n")).unwrap());
    let plan = plan(&table);
    for index in [1, 2] {
        let shard = Shard { index, of: 2 };
        let mut results = Results::open(Arc::clone(&table), folder.path(), Some(shard), []).unwrap();
        for row in (0..3).filter(|row| shard.has(*row)) {
            results.add(done(row, &plan, &format!("{row}.png"))).unwrap();
        }
        let name = results.finish().unwrap();
        assert_eq!(name.file_name().unwrap().to_str(), Some(format!("a.results-{index}-of-2.csv").as_str()));
    }
    let made: Vec<RowResult> = check_rows(&plan, &read_results(&table, folder.path()))
        .into_iter()
        .filter_map(|row| match row {
            CheckedRow::Done(result) => Some(*result),
            _ => None,
        })
        .collect();
    let all = Results::open(Arc::clone(&table), folder.path(), None, made).unwrap().finish().unwrap();
    assert_eq!(fs::read_to_string(all).unwrap().lines().count(), 4, "the header and three rows");
}

#[test]
fn results_of_another_template_are_kept_and_two_batches_do_not_mix() {
    let folder = TempDir::new().unwrap();
    let table = Arc::new(read(&written(folder.path(), "a.txt", "a\nb\n")).unwrap());
    let plan = plan(&table);
    let mut results = Results::open(Arc::clone(&table), folder.path(), None, []).unwrap();
    results.add(done(0, &plan, "a.png")).unwrap();
    results.add(RowResult::failed(1, "x")).unwrap();
    let error = Results::open(Arc::clone(&table), folder.path(), None, []).err().unwrap();
    assert!(error.sentence.contains("Another batch"), "{error}");
    results.finish().unwrap();
    // Nothing of the first is done for the second: it was another request.
    let results = Results::open(Arc::clone(&table), folder.path(), None, []).unwrap();
    drop(results);
    assert!(folder.path().join("a.results-old-1.csv").is_file());
    let found = read_results(&table, folder.path());
    assert!(found.contains(&done(0, &plan, "a.png")), "it is still known");
    assert_eq!(found.iter().filter(|result| result.row == 1).count(), 2, "what failed is carried over");
}

#[cfg(unix)]
#[test]
fn files_that_rows_name_must_be_there_and_no_link_leads_out() {
    let (inside, outside) = (TempDir::new().unwrap(), TempDir::new().unwrap());
    written(outside.path(), "secret.png", "x");
    written(inside.path(), "here.png", "x");
    std::os::unix::fs::symlink(outside.path(), inside.path().join("sub")).unwrap();
    let text = "prompt,init\na,here.png\nb,gone.png\nc,sub/secret.png\nd,../x.png\n";
    let table = Arc::new(read(&written(inside.path(), "a.csv", text)).unwrap());
    let checked = check_rows(&plan(&table), &[]);
    assert_eq!(checked[0], CheckedRow::Ready);
    for (row, expected) in [(1, "gone.png is not there"), (2, "leads out"), (3, "leads out")] {
        let CheckedRow::Wrong(why) = &checked[row] else { panic!("row {row} is {:?}", checked[row]) };
        assert!(why.contains(expected), "{why}");
    }
}

proptest! {
    #[test]
    fn any_bytes_are_a_table_or_an_error(bytes in prop::collection::vec(any::<u8>(), 0..200), ending in 0..3_usize) {
        let _ = table(["a.csv", "a.jsonl", "a.txt"][ending], bytes);
    }

    #[test]
    fn any_table_is_copied_with_its_results(
        cells in prop::collection::vec(("[ -~\n]{0,12}", "[ -~é]{1,12}"), 1..6), error in "[ -~\n]{0,20}"
    ) {
        let folder = TempDir::new().unwrap();
        let mut text = String::new();
        for (note, prompt) in std::iter::once(&("note".to_owned(), "prompt".to_owned())).chain(&cells) {
            crate::dataset::source::csv::write_separated(&mut text, ',', [note.as_str(), prompt.as_str()]);
        }
        let Ok(table) = read(&written(folder.path(), "a.csv", text)) else { return Ok(()) };
        let table = Arc::new(table);
        let mut results = Results::open(Arc::clone(&table), folder.path(), None, []).unwrap();
        let failed: Vec<RowResult> = (0..table.rows.len()).map(|row| RowResult::failed(row, error.trim())).collect();
        for result in &failed {
            results.add(result.clone()).unwrap();
        }
        let path = results.finish().unwrap();
        prop_assert_eq!(read_results(&table, folder.path()), failed);
        let copy = read(&path).unwrap();
        for (own, copied) in table.rows.iter().zip(&copy.rows) {
            prop_assert_eq!(table.value(own, 1), copy.value(copied, 1));
        }
    }
}
