//! Every reader on a small data set of its form, with every fault that its form is known for.

use std::fs;

use proptest::prelude::*;
use tempfile::TempDir;

use super::*;

/// A folder with these files; pictures need no content to be listed.
fn folder(files: &[(&str, &[u8])]) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    for (name, content) in files {
        let path = folder.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
    }
    folder
}

fn read_as(kind: &str, files: &[(&str, &[u8])]) -> Dataset {
    let folder = folder(files);
    let dataset = read(folder.path(), None).unwrap();
    assert_eq!(dataset.kind, kind);
    dataset
}

/// The kinds and lines of the problems.
fn problems(dataset: &Dataset) -> Vec<(ProblemKind, Option<u64>)> {
    dataset.problems.iter().map(|problem| (problem.kind, problem.line)).collect()
}

/// Names, whether the picture is there, captions.
fn rows(dataset: &Dataset) -> Vec<(&str, bool, &str)> {
    dataset
        .rows
        .iter()
        .map(|row| (row.name.as_str(), row.picture.is_some(), row.caption.as_deref().unwrap_or_default()))
        .collect()
}

use ProblemKind::{
    CaptionWithoutPicture, DuplicateRow, EmptyCaption, MissingPicture, RepairedRow, SkippedFolder, SkippedRow,
    UnlistedPicture, UnsafePath,
};

const STYLES: &str = "id,gender,masterCategory,subCategory,articleType,baseColour,season,year,usage,productDisplayName";

#[test]
fn styles_are_read_with_all_their_broken_rows() {
    let table = format!(
        "\u{feff}{STYLES}\r\n\
         1,Men,Apparel,Topwear,Shirts,Navy Blue,Fall,2011,Casual,Turtle Check Men Navy Blue Shirt\r\n\
         2,Women,Apparel,Dress,Dresses,Red,Summer,2012,NA,Red Dress, with belt, long\r\n\
         3,Women,Apparel,Dress,Dresses,Red,Summer,2012,Casual,\"Quoted, \"\"fine\"\" dress\"\r\n\
         4,Women,Apparel,Dress\r\n\
         \r\n\
         1,Men,Apparel,Topwear,Shirts,Black,Fall,2011,Casual,Again\r\n\
         5,Men,Apparel,Topwear,Shirts,Black,Fall,2011,Casual,No picture\r\n\
         6,Men,Apparel,Topwear,Shirts,Black,Fall,2011,Casual,\"A quote that is open\r\n\
         ,Men,Apparel,Topwear,Shirts,Black,Fall,2011,Casual,No id\r\n\
         ../../x,Men,Apparel,Topwear,Shirts,Black,Fall,2011,Casual,Leads out\r\n\
         7,Men,Apparel,Topwear,Shirts,Black,Fall,2011,Casual,Caf"
    );
    // Windows-1252 in the last line.
    let mut table = table.into_bytes();
    table.extend(b"\xe9\r\n");
    let dataset = read_as(
        "styles",
        &[
            ("styles.csv", &table),
            ("images/1.jpg", b""),
            ("images/2.JPG", b""),
            ("images/3.png", b""),
            ("images/6.jpg", b""),
            ("images/7.jpg", b""),
            ("images/999.jpg", b""),
        ],
    );
    assert_eq!(dataset.rows_read, 10);
    let names: Vec<(&str, bool)> = rows(&dataset).iter().map(|row| (row.0, row.1)).collect();
    assert_eq!(
        names,
        [
            ("images/1.jpg", true),
            ("images/2.JPG", true),
            ("images/3.png", true),
            ("images/5.jpg", false),
            ("images/6.jpg", true),
            ("images/7.jpg", true)
        ]
    );
    let value = |row: usize, column: &str| dataset.value(&dataset.rows[row], column).unwrap();
    assert_eq!(value(1, "productDisplayName"), "Red Dress, with belt, long");
    assert_eq!(value(1, "usage"), "NA", "it is data");
    assert_eq!(value(2, "productDisplayName"), "Quoted, \"fine\" dress");
    assert_eq!(value(4, "productDisplayName"), "\"A quote that is open");
    assert_eq!(value(5, "productDisplayName"), "Café");
    assert_eq!(dataset.rows[5].line, Some(12));
    assert_eq!(
        problems(&dataset),
        [
            (RepairedRow, Some(3)),
            (RepairedRow, Some(9)),
            (RepairedRow, Some(12)),
            (SkippedRow, Some(5)),
            (SkippedRow, Some(10)),
            (UnsafePath, Some(11)),
            (DuplicateRow, Some(7)),
            (MissingPicture, Some(8)),
            (UnlistedPicture, None),
        ]
    );
    let captions = crate::dataset::caption::captions(&dataset, None).unwrap();
    assert_eq!(captions[0], "Navy Blue Fall Men Shirts, Turtle Check Men Navy Blue Shirt");
}

#[test]
fn a_header_that_ends_in_commas_adds_no_columns() {
    let table = format!(
        "{STYLES},,\n\
         1,Men,Apparel,Topwear,Shirts,Blue,Fall,2011,Casual,Shirt,,\n\
         2,Men,Apparel,Topwear,Shirts,Blue,Fall,2011,Casual,Shirt, long,\n\
         3,Men,Apparel,Topwear,Shirts,Blue,Fall,2011,Casual,Shirt\n"
    );
    let files: [(&str, &[u8]); 4] =
        [("styles.csv", table.as_bytes()), ("images/1.jpg", b""), ("images/2.jpg", b""), ("images/3.jpg", b"")];
    let dataset = read_as("styles", &files);
    assert_eq!(dataset.columns.len(), 10);
    let names: Vec<&str> = dataset.rows.iter().map(|row| dataset.value(row, "productDisplayName").unwrap()).collect();
    assert_eq!(names, ["Shirt", "Shirt, long", "Shirt"]);
    assert_eq!(problems(&dataset), [(RepairedRow, Some(3))]);
}

#[test]
fn a_table_is_known_by_what_is_in_it() {
    let table = "productDisplayName,id\nA dress,1\n";
    let folder = folder(&[("whatever.csv", table.as_bytes()), ("images/1.jpg", b"")]);
    let dataset = read(&folder.path().join("whatever.csv"), None).unwrap();
    assert_eq!((dataset.kind.as_str(), dataset.rows[0].picture.is_some()), ("styles", true));
    assert_eq!(crate::dataset::caption::captions(&dataset, None).unwrap(), ["A dress"]);
    assert_eq!(read(folder.path(), Some("folder")).unwrap().kind, "folder");
    assert_eq!(read(folder.path(), Some("kohya")).unwrap_err().exit_code(), 2);
    assert_eq!(read(folder.path(), Some("nonsense")).unwrap_err().exit_code(), 2);
    assert_eq!(read(&folder.path().join("none"), None).unwrap_err().exit_code(), 2);
    let empty = tempfile::tempdir().unwrap();
    assert_eq!(read(empty.path(), None).unwrap_err().exit_code(), 2);
}

#[test]
fn imagefolder_lines_are_read_and_hostile_paths_refused() {
    let table = concat!(
        "{\"file_name\": \"a.png\", \"text\": \"A  red\\ndress\"}\r\n",
        "{\"file_name\": \"sub/b.png\", \"text\": null, \"repeats\": 3}\n",
        "\n",
        "{\"file_name\": \"../../etc/passwd\", \"text\": \"x\"}\n",
        "{\"file_name\": \"/etc/passwd\"}\n",
        "{\"file_name\": \"C:\\\\x\"}\n",
        "{\"file_name\": \"\\\\\\\\host\\\\share\\\\x.png\"}\n",
        "{\"file_name\": \"file:///etc/passwd\"}\n",
        "{\"file_name\": \"https://host/x.png\"}\n",
        "{\"file_name\": \"a\\u0000.png\"}\n",
        "{\"text\": \"no name\"}\n",
        "[1, 2]\n",
        "{\"file_name\": \"a.png\"\n",
        "{\"file_name\": \"gone.png\", \"text\": [\"first\", \"second\"]}\n",
        "{\"file_name\": \"sub\\\\b.png\", \"text\": \"by \\\\, \\u00e9\", \"colour\": 5}\n",
    );
    let files: [(&str, &[u8]); 4] =
        [("metadata.jsonl", table.as_bytes()), ("a.png", b""), ("sub/b.png", b""), ("c.png", b"")];
    let dataset = read_as("imagefolder", &files);
    assert_eq!(dataset.rows_read, 14);
    assert_eq!(
        rows(&dataset),
        [
            ("a.png", true, "A red dress"),
            ("sub/b.png", true, ""),
            ("gone.png", false, "first"),
            ("sub/b.png", true, "by \\, é")
        ]
    );
    assert_eq!(dataset.columns, ["file_name", "text", "repeats", "colour"]);
    assert_eq!(dataset.rows.iter().map(|row| row.repeats).collect::<Vec<_>>(), [1, 3, 1, 1]);
    assert_eq!(dataset.value(&dataset.rows[3], "colour"), Some("5"));
    let mut expected = vec![(SkippedRow, Some(11)), (SkippedRow, Some(12)), (SkippedRow, Some(13))];
    expected.extend((4..=10).map(|line| (UnsafePath, Some(line))));
    expected.extend([(MissingPicture, Some(14)), (UnlistedPicture, None)]);
    assert_eq!(problems(&dataset), expected);
}

#[test]
fn imagefolder_tables_are_read_with_quotes_commas_and_missing_columns() {
    let table = "\u{feff}file_name,text\r\n\
        a.png,\"A red, \"\"red\"\"\r\ndress\"\r\n\
        b.png,a caption, with commas\r\n\
        c.png\r\n\
        d.png,\"open\r\n\
        e.png,last,,\r\n";
    let pictures = ["a.png", "b.png", "c.png", "d.png", "e.png"].map(|name| (name, &b""[..]));
    let files = [&[("metadata.csv", table.as_bytes())], &pictures[..]].concat();
    let dataset = read_as("imagefolder", &files);
    assert_eq!(
        rows(&dataset),
        [
            ("a.png", true, "A red, \"red\" dress"),
            ("b.png", true, "a caption, with commas"),
            ("c.png", true, ""),
            ("d.png", true, "\"open"),
            ("e.png", true, "last")
        ]
    );
    assert_eq!(dataset.rows.iter().map(|row| row.line.unwrap()).collect::<Vec<_>>(), [2, 4, 5, 6, 7]);
    assert_eq!(problems(&dataset), [(RepairedRow, Some(4)), (RepairedRow, Some(5)), (RepairedRow, Some(6))]);
    // In UTF-16, with a caption column of another name.
    let utf16: Vec<u8> = "\u{feff}file_name,what\r\na.png,né\r\n".encode_utf16().flat_map(u16::to_le_bytes).collect();
    let dataset = read_as("imagefolder", &[("metadata.csv", &utf16), ("a.png", b"")]);
    assert_eq!(rows(&dataset), [("a.png", true, "né")]);
}

#[test]
fn kohya_folders_say_how_often_and_what() {
    let dataset = read_as(
        "kohya",
        &[
            ("10_red dress/1.png", b""),
            ("10_red dress/1.txt", b"first line\nsecond line\n"),
            ("10_red dress/2.jpg", b""),
            ("2_top/1.webp", b""),
            ("2_top/1.caption", "\u{feff}a  top\r\n".as_bytes()),
            ("2_top/3.png", b""),
            ("2_top/3.txt", b"\n"),
            ("2_top/gone.txt", b"nobody"),
            ("2_top/deeper/4.png", b""),
            ("reg/5.png", b""),
            ("6.png", b""),
        ],
    );
    assert_eq!(
        rows(&dataset),
        [
            ("10_red dress/1.png", true, "first line"),
            ("10_red dress/2.jpg", true, "red dress"),
            ("2_top/1.webp", true, "a top"),
            ("2_top/3.png", true, "top")
        ]
    );
    assert_eq!(dataset.rows.iter().map(|row| row.repeats).collect::<Vec<_>>(), [10, 10, 2, 2]);
    let kinds: Vec<ProblemKind> = dataset.problems.iter().map(|problem| problem.kind).collect();
    let expected = [SkippedFolder, SkippedFolder, SkippedFolder, CaptionWithoutPicture, EmptyCaption, EmptyCaption];
    assert_eq!(kinds, expected);
}

#[test]
fn flickrs_broken_row_is_mended() {
    let table = "image_name| comment_number| comment\n\
        1.jpg| 0| Two young guys | and a dog .\n\
        1.jpg| 1|  \"quoted\n\
        2.jpg| 4   A dog runs across the grass .\n\
        2.jpg| A dog\n\
        nonsense\n\
        3.jpg| 0| gone\n";
    let files: [(&str, &[u8]); 3] =
        [("results.csv", table.as_bytes()), ("flickr30k_images/1.jpg", b""), ("flickr30k_images/2.jpg", b"")];
    let dataset = read_as("flickr30k", &files);
    assert_eq!(
        rows(&dataset),
        [
            ("flickr30k_images/1.jpg", true, "Two young guys | and a dog ."),
            ("flickr30k_images/1.jpg", true, "\"quoted"),
            ("flickr30k_images/2.jpg", true, "A dog runs across the grass ."),
            ("3.jpg", false, "gone")
        ]
    );
    assert_eq!(dataset.value(&dataset.rows[2], "comment_number"), Some("4"));
    let expected = [(RepairedRow, Some(4)), (SkippedRow, Some(5)), (SkippedRow, Some(6)), (MissingPicture, Some(7))];
    assert_eq!(problems(&dataset), expected);
}

#[test]
fn products_are_read_as_an_array_as_lines_and_by_id() {
    let product =
        r#"{"id": 1, "images": ["a.jpg", "b.jpg"], "description": "<p>Red &amp; white</p>", "price": {"value": 5}}"#;
    let second = r#"{"id": "2", "description": "By id", "tags": null}"#;
    let pictures = ["images/a.jpg", "images/b.jpg", "images/2.jpg"].map(|name| (name, &b""[..]));
    let expected = [
        ("images/a.jpg", true, "Red & white"),
        ("images/b.jpg", true, "Red & white"),
        ("images/2.jpg", true, "By id"),
        ("gone.jpg", false, ""),
    ];
    let third = r#"{"id": 3, "image": "gone.jpg"}"#;
    let tables = [
        format!("[{product},\n{second}, 7, {third}, {{}}, {{\"id\": 4, \"image\": \"../x.jpg\"}}]"),
        format!("\u{feff}{product}\r\n{second}\n7\n{third}\n{{}}\n{{\"id\": 4, \"image\": \"../x.jpg\"}}\n"),
        format!(
            "{{\"n\": 6, \"products\": [{product}, {second}, 7, {third}, {{}}, {{\"id\": 4, \"image\": \"../x.jpg\"}}]}}"
        ),
    ];
    for table in tables {
        let files = [&[("product_data.json", table.as_bytes())], &pictures[..]].concat();
        let dataset = read_as("product-json", &files);
        assert_eq!((rows(&dataset).as_slice(), dataset.rows_read), (&expected[..], 6), "{table}");
        assert_eq!(dataset.value(&dataset.rows[0], "price.value"), Some("5"));
        assert_eq!(dataset.value(&dataset.rows[2], "id"), Some("2"));
        let kinds: Vec<ProblemKind> = dataset.problems.iter().map(|problem| problem.kind).collect();
        assert_eq!(kinds, [SkippedRow, SkippedRow, UnsafePath, MissingPicture], "{table}");
    }
    let broken = folder(&[("product_data.json", b"[{\"id\": 1, \"description\": \"x\"},")]);
    assert_eq!(read(broken.path(), None).unwrap_err().exit_code(), 2);
}

#[test]
fn files_of_one_product_each_are_read() {
    let style = r#"{"data": {"productDisplayName": "Shirt", "articleType": {"typeName": "Shirts"}, "baseColour": "Blue",
        "productDescriptors": {"description": {"value": "<b>Blue</b>&nbsp;shirt"}}}}"#;
    let files: [(&str, &[u8]); 5] = [
        ("styles/10.json", style.as_bytes()),
        ("styles/9.json", b"{\"data\": {\"productDisplayName\": \"Top\"}}"),
        ("styles/8.json", b"{"),
        ("images/10.jpg", b""),
        ("images/9.jpg", b""),
    ];
    let dataset = read_as("product-json", &files);
    assert_eq!(rows(&dataset), [("images/9.jpg", true, "Top"), ("images/10.jpg", true, "Blue shirt")]);
    assert_eq!(dataset.value(&dataset.rows[1], "articleType"), Some("Shirts"));
    assert_eq!(problems(&dataset), [(SkippedRow, None)]);
    // Beside a table they add what it does not say.
    let table: (&str, &[u8]) = ("product_data.json", b"[{\"id\": 10, \"description\": \"Own\"}]");
    let dataset = read_as("product-json", &[&[table], &files[..]].concat());
    assert_eq!(rows(&dataset), [("images/10.jpg", true, "Own")]);
    assert_eq!(dataset.value(&dataset.rows[0], "baseColour"), Some("Blue"));
}

#[test]
fn pictures_with_captions_beside_them_are_read() {
    let dataset = read_as(
        "folder",
        &[
            ("a.png", b""),
            ("a.txt", b"caf\xe9\r\nsecond line"),
            ("sub/b.JPEG", b""),
            ("sub/b.txt", b"b"),
            ("c.webp", b""),
            ("gone.txt", b"nobody"),
            ("notes.md", b"no caption"),
        ],
    );
    let expected = [("a.png", true, "café second line"), ("c.webp", true, ""), ("sub/b.JPEG", true, "b")];
    assert_eq!(rows(&dataset), expected);
    let expected = [(RepairedRow, Some(1)), (CaptionWithoutPicture, None), (EmptyCaption, None)];
    assert_eq!(problems(&dataset), expected);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Whatever a table holds, each of its rows is read, or left out with a problem that names its line.
    #[test]
    fn no_row_is_lost_in_silence(body in "(?s)([a-c0-9,\"|{}:\\[\\] \r\n\u{e9}\0]|\"file_name\": \"a.png\"){0,120}", which in 0..4usize) {
        let (name, head) = [
            ("styles.csv", "id,productDisplayName\n"),
            ("metadata.csv", "file_name,text\n"),
            ("results.csv", "image_name| comment_number| comment\n"),
            ("metadata.jsonl", "{\"file_name\": \"first.png\"}\n"),
        ][which];
        let folder = folder(&[(name, format!("{head}{body}").as_bytes())]);
        if let Ok(dataset) = read(folder.path(), None) {
            let lost = dataset.problems.iter().filter(|problem| problem.kind.loses_a_row() && problem.kind != MissingPicture);
            prop_assert_eq!(dataset.rows_read, dataset.rows.len() + lost.count());
            prop_assert!(dataset.rows.iter().all(|row| row.line.is_some() && !row.name.contains("..")));
        }
    }
}
