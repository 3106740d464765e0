//! The zip form: right ones in both layouts, and what a zip file can be made to say.

use super::super::PickleFile;
use super::forge::{Entry, Script, file, floats, zip};

fn entries() -> Vec<Entry> {
    let pickle = Script::one_tensor(4, 0, &[4], &[1]);
    vec![
        Entry::new("any name/data.pkl", pickle),
        Entry::new("any name/byteorder", "little"),
        Entry::new("any name/data/0", floats(&[1.0, 2.0, 3.0, 4.0])),
        Entry::new("any name/version", "3\n"),
        Entry::new("any name/.format_version", "1"),
        Entry::new("any name/.data/serialization_id", "0123"),
    ]
}

/// Expects that the archive is refused after a change, in both layouts.
#[track_caller]
fn refused(change: impl Fn(&mut Vec<Entry>), expected: &str) {
    for zip64 in [false, true] {
        let mut changed = entries();
        change(&mut changed);
        let error = PickleFile::read(&zip(&changed, zip64)).expect_err(expected);
        assert!(error.sentence.contains(expected), "zip64 {zip64}: {error} lacks {expected}");
        assert_eq!((error.exit_code(), error.hint.is_some()), (2, true), "{error}");
    }
}

#[test]
fn both_layouts_and_a_comment_are_read() {
    for zip64 in [false, true] {
        let mut file = zip(&entries(), zip64);
        let read = PickleFile::read(&file).unwrap();
        assert_eq!(read.tensors["w"].bytes(&file).unwrap(), floats(&[1.0, 2.0, 3.0, 4.0]));
        // A comment, with the signature of an end record inside.
        let comment = [&b"PK\x05\x06"[..], &[0; 30]].concat();
        let len = file.len();
        file[len - 2..].copy_from_slice(&(comment.len() as u16).to_le_bytes());
        file.extend(comment);
        assert_eq!(PickleFile::read(&file).unwrap(), read);
    }
    // Old files do not say the order of their bytes.
    let old: Vec<_> = entries().into_iter().filter(|entry| !entry.name.ends_with("byteorder")).collect();
    PickleFile::read(&zip(&old, true)).unwrap();
}

#[test]
fn tensors_that_are_not_row_major_are_gathered() {
    let values = floats(&[0.0, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0]);
    let transposed = file(&Script::one_tensor(7, 1, &[2, 3], &[1, 2]), &values);
    let tensor = PickleFile::read(&transposed).unwrap().tensors.remove("w").unwrap();
    assert_eq!((tensor.shape.as_slice(), tensor.strides.as_deref()), (&[2, 3][..], Some(&[1, 2][..])));
    assert_eq!(tensor.range.len(), 6 * 4);
    assert_eq!(tensor.bytes(&transposed).unwrap(), floats(&[1.0, 3.0, 5.0, 2.0, 4.0, 6.0]));
    assert!(tensor.bytes(&transposed[..8]).is_err());
    // The stride of an axis of one says nothing.
    let single = file(&Script::one_tensor(7, 0, &[1, 7], &[99, 1]), &values);
    let tensor = PickleFile::read(&single).unwrap().tensors.remove("w").unwrap();
    assert_eq!((tensor.strides.as_ref(), tensor.numel()), (None, 7));
    // A single number has no axes; a tensor can have no numbers.
    let scalar = file(&Script::one_tensor(7, 3, &[], &[]), &values);
    assert_eq!(PickleFile::read(&scalar).unwrap().tensors["w"].bytes(&scalar).unwrap(), floats(&[3.0]));
    let empty = file(&Script::one_tensor(7, 7, &[0, 4], &[4, 1]), &values);
    assert_eq!(PickleFile::read(&empty).unwrap().tensors["w"].bytes(&empty).unwrap(), [0u8; 0].as_slice());
}

#[test]
fn entries_are_stored_and_stand_alone() {
    for method in [8, 9, 12, 14, 93, 95] {
        refused(|entries| entries[0].method = method, "a compressed entry, any name/data.pkl");
        refused(|entries| entries[2].method = method, "a compressed entry, any name/data/0");
    }
    refused(|entries| entries[2].flags = 1, "an encrypted entry");
    refused(|entries| entries.push(entries[0].clone()), "two entries named any name/data.pkl");
    refused(|entries| entries.push(entries[2].clone()), "two entries named any name/data/0");
    refused(|entries| entries.push(Entry::new("other/data.pkl", "N.")), "several folders");
    refused(|entries| drop(entries.remove(0)), "without a model in it");
    refused(|entries| entries[1].data = b"big".to_vec().tap_len(&mut entries[1].len), "big-endian");
    refused(|entries| entries[1].data = b"mixed!".to_vec(), "stored as mixed!");
}

/// Sets a length beside the data that has it.
trait TapLen {
    fn tap_len(self, len: &mut u64) -> Self;
}

impl TapLen for Vec<u8> {
    fn tap_len(self, len: &mut u64) -> Self {
        *len = self.len() as u64;
        self
    }
}

#[test]
fn entries_are_named_as_pytorch_names_them() {
    for name in
        ["any name/data/0/1", "any name/data/a", "any name/data/", "any name/../x", "any name/", "data.pkl", "/x"]
    {
        refused(|entries| entries.push(Entry::new(name, "x")), &format!("an entry {name}, which no model has"));
    }
    refused(|entries| entries.push(Entry::new("any name/code/m.py", "x")), "a TorchScript program");
    refused(|entries| entries.push(Entry::new("any name/constants.pkl", "x")), "a TorchScript program");
}

#[test]
fn the_directory_must_be_true() {
    refused(|entries| entries[2].header = Some(0), "data/0 is not where the directory says");
    refused(|entries| entries[2].header = Some(1 << 30), "data/0 is not where the directory says");
    refused(|entries| entries[2].local_name = "any name/data/1".to_owned(), "data/0 is not where the directory says");
    refused(|entries| entries[5].len = 1 << 30, "serialization_id is not where the directory says");
    // Longer than it is: into the next entry's header.
    refused(|entries| entries[2].len += 4, "overlaps another");
    let mut far = entries();
    far[2].header = Some(u64::MAX);
    assert!(PickleFile::read(&zip(&far, true)).unwrap_err().sentence.contains("is not where"));
    far[2].header = None;
    far[2].len = u64::MAX;
    assert!(PickleFile::read(&zip(&far, true)).unwrap_err().sentence.contains("is not where"));
}

#[test]
fn a_cut_archive_is_refused_wherever_it_is_cut() {
    for zip64 in [false, true] {
        let file = zip(&entries(), zip64);
        for len in 0..file.len() {
            assert!(PickleFile::read(&file[..len]).is_err(), "{len} bytes");
        }
        let error = PickleFile::read(&file[..file.len() / 2]).unwrap_err();
        assert!(error.sentence.contains("cut off"), "{error}");
    }
}

#[test]
fn other_kinds_of_files_are_told_apart() {
    let tar = [&[b'a'; 257][..], b"ustar\x0000", &[0; 300]].concat();
    let safetensors = [&2u64.to_le_bytes()[..], b"{}"].concat();
    for (file, expected) in [
        (&b""[..], "The file is empty"),
        (b"\x80", "cut off"),
        (b"PK\x05\x06\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0", "not a PyTorch file"),
        (b"a prompt, and another line\n", "not a PyTorch file"),
        (b"<!DOCTYPE html><html><body>Sign in</body></html>", "a web page"),
        (b"\xef\xbb\xbf \r\n<html>", "a web page"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n", "a pointer to a file"),
        (b"GGUF\x03\0\0\0", "a GGUF file"),
        (&tar, "a tar archive"),
        (&safetensors, "a safetensors file"),
        (&[0; 64], "not a PyTorch file"),
    ] {
        let error = PickleFile::read(file).unwrap_err();
        assert!(error.sentence.contains(expected), "{error} lacks {expected}");
        assert_eq!((error.exit_code(), error.hint.is_some()), (2, true), "{error}");
    }
}
