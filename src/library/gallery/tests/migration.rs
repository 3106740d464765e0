//! An index of the first version is taken over with every row.

use super::*;
use rusqlite::Connection;

/// What the program wrote before there was a gallery: the first step of the schema as it was, and two pictures.
const FIRST_VERSION: &str = r#"
    PRAGMA journal_mode = wal;
    CREATE TABLE folders (id INTEGER PRIMARY KEY, path TEXT NOT NULL UNIQUE, scanned INTEGER NOT NULL DEFAULT 0);
    CREATE TABLE pictures (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        folder INTEGER NOT NULL REFERENCES folders (id),
        path TEXT NOT NULL,
        created_ms INTEGER NOT NULL,
        width INTEGER NOT NULL,
        height INTEGER NOT NULL,
        recipe TEXT,
        prompt TEXT NOT NULL,
        mtime_ns INTEGER NOT NULL,
        size INTEGER NOT NULL,
        UNIQUE (folder, path)
    );
    CREATE INDEX pictures_newest ON pictures (folder, created_ms DESC, id DESC);
    INSERT INTO folders VALUES (1, 'PICTURES', 1);
    INSERT INTO pictures VALUES (7, 1, '2026-01-31/a.png', 1769850000000, 512, 768,
        '{"request":{"prompt":"a red dress","negative_prompt":"blurry","model":{"path":"/m/x.safetensors"},"width_px":512,"height_px":768,"num_inference_steps":25,"guidance_scale":7.0,"sampler":"euler_a","schedule":"karras","seed":42,"count":1,"clip_skip":0,"guidance_rescale":0.0},"model_name":"X","model_hash":"abc","version":"Atelier 0.1.0","elapsed_secs":3.5}',
        'a red dress', 5, 6);
    INSERT INTO pictures VALUES (9, 1, 'b.png', 1769860000000, 64, 64, NULL, '', 5, 6);
    INSERT INTO pictures VALUES (10, 1, 'c.png', 1769860000000, 64, 64, '{"from": "no version at all"}', '', 5, 6);
    PRAGMA user_version = 1;
"#;

#[test]
fn every_row_is_kept_and_can_be_searched() {
    let dir = tempfile::tempdir().unwrap();
    let paths = Paths::below(dir.path());
    let script = FIRST_VERSION.replace("PICTURES", &paths.pictures_dir.to_string_lossy());
    Connection::open(&paths.database).unwrap().execute_batch(&script).unwrap();
    let index = Index::open(&paths).unwrap();
    assert_eq!(index.set_aside(), None);
    assert!(!index.needs_rescan().unwrap());
    let listed: Vec<i64> = index.list().unwrap().iter().map(|entry| entry.id.0).collect();
    assert_eq!(listed, [10, 9, 7]);
    let home = Home { dir, paths, index };
    for (text, expected) in [
        ("", &["c", "b", "a"][..]),
        ("red dr", &["a"]),
        ("sampler:euler_a steps:25 seed:42 size:768 model:x hash:ab", &["a"]),
        ("recipe:no", &["c", "b"]),
        ("star:yes", &[]),
    ] {
        assert_eq!(home.find(text), expected, "{text}");
    }
    let backup = home.dir.path().join("library.sqlite.backup-v1");
    let old = Connection::open(backup).unwrap();
    assert_eq!(old.query_row("SELECT count(*) FROM pictures", [], |row| row.get::<_, i64>(0)).unwrap(), 3);
}

#[test]
fn one_that_was_cut_off_between_its_two_halves_is_finished() {
    let dir = tempfile::tempdir().unwrap();
    let paths = Paths::below(dir.path());
    let script = FIRST_VERSION.replace("PICTURES", &paths.pictures_dir.to_string_lossy());
    Connection::open(&paths.database).unwrap().execute_batch(&script).unwrap();
    // The new tables are there, and a part of what they should hold.
    let index = Index::open(&paths).unwrap();
    index
        .connection
        .execute_batch("UPDATE state SET facts_version = 0; DELETE FROM facts; DELETE FROM words WHERE rowid = 9;")
        .unwrap();
    drop(index);
    let home = Home { index: Index::open(&paths).unwrap(), dir, paths };
    assert_eq!((home.find("").len(), home.find("red").len()), (3, 1));
}
