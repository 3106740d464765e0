//! Files bent at random: read or refused, never a panic, and what is read lies inside the file.

use proptest::prelude::*;

use super::super::PickleFile;
use super::forge::{Script, file, floats, stream};

/// Reads a file and touches every number that it is said to have.
fn survive(file: &[u8]) {
    let Ok(read) = PickleFile::read(file) else { return };
    for (name, tensor) in &read.tensors {
        let bytes = tensor.bytes(file).unwrap();
        assert_eq!(bytes.len() * 8, tensor.numel() * tensor.dtype.bitsize(), "{name}");
    }
}

/// Good files of both forms, with every kind of value.
fn good() -> [Vec<u8>; 2] {
    let pickle = Script::new()
        .raw("}q\0(")
        .text("epoch")
        .int(3)
        .text("name")
        .raw(b"\x8c\x03cat")
        .text("loss")
        .raw(b"G\x3f\xf0\0\0\0\0\0\0")
        .text("state_dict")
        .global("collections", "OrderedDict")
        .raw(")Rq\x01(")
        .text("a.weight")
        .tensor(6, 0, &[2, 3], &[3, 1])
        .text("b.weight")
        .tensor(6, 1, &[2, 2], &[1, 2])
        .raw("u}")
        .text("_metadata")
        .raw("Nsb")
        .text("list")
        .raw("](NJ\x01\0\0\0e")
        .raw("u")
        .end();
    let data = floats(&[1.0, 2.0, 3.0, 4.0, 5.0, 6.0]);
    [file(&pickle, &data), stream(&pickle, "0", 6, &data)]
}

/// One instruction with its operand, or something like one.
fn instruction() -> impl Strategy<Value = Vec<u8>> {
    let fixed: Vec<Vec<u8>> = [
        &b"}"[..],
        b"]",
        b")",
        b"(",
        b"t",
        b"\x85",
        b"\x86",
        b"\x87",
        b"R",
        b"b",
        b"\x81",
        b"Q",
        b"a",
        b"e",
        b"s",
        b"u",
        b"N",
        b"\x88",
        b"\x89",
        b"K\x00",
        b"K\x04",
        b"J\xff\xff\xff\xff",
        b"\x8a\x00",
        b"h\x00",
        b"h\x01",
        b"q\x00",
        b"q\x01",
        b"\x94",
        b"\x93",
        b"\x8f",
        b"X\x01\x00\x00\x000",
        b"U\x07storage",
        b"X\x07\x00\x00\x00storage",
        b"ctorch\nFloatStorage\n",
        b"ctorch._utils\n_rebuild_tensor_v2\n",
        b"ctorch._utils\n_rebuild_parameter\n",
        b"ccollections\nOrderedDict\n",
        b"ctorch.nn.modules.container\nParameterDict\n",
        b"cnumpy\ndtype\n",
    ]
    .map(<[u8]>::to_vec)
    .to_vec();
    prop_oneof![
        20 => proptest::sample::select(fixed),
        1 => proptest::collection::vec(any::<u8>(), 1..6),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1024, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_good_file_with_other_bytes(
        which in 0..2usize,
        changes in proptest::collection::vec((any::<proptest::sample::Index>(), any::<u8>()), 1..12),
    ) {
        let mut file = good()[which].clone();
        for (at, byte) in changes {
            let at = at.index(file.len());
            file[at] = byte;
        }
        survive(&file);
    }

    #[test]
    fn a_good_file_with_a_piece_moved(
        which in 0..2usize,
        from in any::<proptest::sample::Index>(),
        to in any::<proptest::sample::Index>(),
        len in 0..64usize,
    ) {
        let mut file = good()[which].clone();
        let from = from.index(file.len());
        let piece: Vec<u8> = file.drain(from..(from + len).min(file.len())).collect();
        let to = to.index(file.len() + 1);
        file.splice(to..to, piece);
        survive(&file);
    }

    #[test]
    fn random_bytes(form in 0..3usize, bytes in proptest::collection::vec(any::<u8>(), 0..512)) {
        let start: &[u8] = [&b""[..], b"PK\x03\x04", b"\x80\x02"][form];
        survive(&[start, &bytes].concat());
        survive(&file(&[b"\x80\x02", &bytes[..], b"."].concat(), &[0; 16]));
    }

    #[test]
    fn random_instructions(script in proptest::collection::vec(instruction(), 0..48)) {
        let pickle = [b"\x80\x02", &script.concat()[..], b"."].concat();
        survive(&file(&pickle, &[0; 16]));
        survive(&stream(&pickle, "0", 4, &[0; 16]));
    }
}

#[test]
fn the_files_that_are_bent_are_good() {
    for file in good() {
        let read = PickleFile::read(&file).unwrap();
        assert_eq!(read.tensors.keys().collect::<Vec<_>>(), ["a.weight", "b.weight"]);
        assert_eq!(read.scalars.keys().collect::<Vec<_>>(), ["epoch", "loss", "name"]);
        assert_eq!(read.tensors["b.weight"].bytes(&file).unwrap(), floats(&[2.0, 4.0, 3.0, 5.0]));
        survive(&file);
    }
}
