//! Pickles that mean harm, or claim what is not there: refused with a sentence that names it.

use super::super::{PickleFile, Scalar};
use super::forge::{Script, file, floats, stream, stream_without_storage};

/// Expects that a file with this pickle is refused, in both forms, for the same reason.
#[track_caller]
fn refused(pickle: &[u8], expected: &str) {
    let data = floats(&[0.0; 4]);
    refused_file(&file(pickle, &data), expected);
    // A stream has no more storages than its object refers to.
    let has_storage = pickle.windows(12).any(|bytes| bytes == b"FloatStorage");
    refused_file(&if has_storage { stream(pickle, "0", 4, &data) } else { stream_without_storage(pickle) }, expected);
}

#[track_caller]
fn refused_file(file: &[u8], expected: &str) {
    let error = PickleFile::read(file).expect_err(expected);
    assert!(error.sentence.contains(expected), "{error} lacks {expected}");
    assert_eq!((error.exit_code(), error.hint.is_some()), (2, true), "{error}");
}

#[test]
fn what_wants_to_run_is_named() {
    let call = |module: &str, name: &str| Script::new().global(module, name).text("id").raw([0x85, b'R']).end();
    for (module, name) in [
        ("os", "system"),
        ("posix", "system"),
        ("nt", "system"),
        ("builtins", "eval"),
        ("__builtin__", "exec"),
        ("builtins", "getattr"),
        ("subprocess", "Popen"),
        ("torch", "load"),
        ("torch", "FloatStorage.__init__"),
        ("torch._utils", "_rebuild_tensor_v2.__globals__"),
        ("collections", "OrderedDict "),
        ("numpy", "load"),
    ] {
        refused(&call(module, name), &format!("This file wants to run {module}.{name}; it is not opened"));
    }
    // The name need not be called, nor stand at the top.
    refused(&Script::new().raw("}").text("w").global("os", "system").raw("s").end(), "wants to run os.system");
    // Protocol 4 takes the name from the stack, INST has it inside.
    let from_stack = |module: &[u8], name: &[u8]| {
        let (module_len, name_len) = (module.len() as u8, name.len() as u8);
        let script = Script(vec![0x80, 4, 0x8c, module_len]).raw(module).raw([0x8c, name_len]).raw(name);
        script.raw([0x93, b')', b'R']).end()
    };
    refused(&from_stack(b"os", b"system"), "wants to run os.system");
    refused(&from_stack(b"builtins", b"eval"), "wants to run builtins.eval");
    refused(&Script::new().raw("(").text("id").raw("ios\nsystem\n").end(), "wants to run os.system");
    // What could bend a line of text is shown, not printed.
    refused(&call("o\u{1b}[2Js\u{202e}", "x"), r"o\u{1b}[2Js\u{202e}.x");
}

#[test]
fn instructions_that_no_model_needs_are_named() {
    for (bytes, name) in [
        (&b"(cos\nsystem\no"[..], "wants to run os.system"),
        (b"(ccollections\nOrderedDict\no", "instruction OBJ"),
        (b"\x82\x01", "instruction EXT1"),
        (b"\x83\x01\x00", "instruction EXT2"),
        (b"\x84\x01\x00\x00\x00", "instruction EXT4"),
        (b"ccollections\nOrderedDict\n)}\x92", "instruction NEWOBJ_EX"),
        (b"P0\n", "instruction PERSID"),
        (b"\x8d\xff\xff\xff\xff\xff\xff\xff\x7f", "instruction BINUNICODE8"),
        (b"B\xff\xff\xff\xff", "instruction BINBYTES"),
        (b"N2", "instruction DUP"),
        (b"\x00", "unknown instruction 0x00"),
        (b"\xff", "unknown instruction 0xff"),
    ] {
        refused(&Script::new().raw(bytes).end(), name);
    }
    refused(b"\x80\x06N.", "unknown protocol 6");
}

#[test]
fn inert_names_cannot_be_used_for_anything() {
    // Building objects of the names that are passed over gives nothing, whatever they are given.
    let inert = Script::new()
        .raw("}(")
        .text("score")
        .global("numpy.core.multiarray", "scalar")
        .global("numpy", "dtype")
        .text("f8")
        .int(0)
        .int(1)
        .raw([0x87, b'R'])
        .raw("(")
        .int(3)
        .text("<")
        .raw("NNNtb")
        .global("_codecs", "encode")
        .text("\u{e9}")
        .text("latin1")
        .raw([0x86, b'R', 0x86, b'R'])
        .text("callbacks")
        .raw("}")
        .global("pytorch_lightning.callbacks.model_checkpoint", "ModelCheckpoint")
        .raw("}s")
        .text("made")
        .global("pytorch_lightning.callbacks", "model_checkpoint")
        .raw(b")\x81}b")
        .text("step")
        .int(7)
        .text("w")
        .tensor(4, 0, &[4], &[1])
        .raw("u")
        .end();
    let read = PickleFile::read(&file(&inert, &floats(&[0.0; 4]))).unwrap();
    assert_eq!(read.tensors.keys().collect::<Vec<_>>(), ["w"]);
    assert_eq!(read.scalars.into_iter().collect::<Vec<_>>(), [("step".to_owned(), Scalar::Int(7))]);
    refused(&Script::new().global("torch", "FloatStorage").raw(")R").end(), "builds a storage by a call");
    refused(&Script::new().text("os").raw(")R").end(), "calls what is no name");
    refused(&Script::new().global("torch", "FloatStorage").raw(b")\x81").end(), "of what is no class");
    refused(&Script::new().raw(")N").raw("b").end(), "gives a state to what has none");
}

#[test]
fn claimed_lengths_are_not_believed() {
    let cut_off = |script: Script| refused_file(&file(&script.0, &[0; 16]), "cut off");
    cut_off(Script::new().raw(b"X\xff\xff\xff\xffabc"));
    cut_off(Script::new().raw(b"X\xff\xff\xff\x7f"));
    cut_off(Script::new().raw(b"\x8a\xff\x01"));
    cut_off(Script::new().raw(b"\x8c\xff"));
    cut_off(Script::new().raw("cos"));
    cut_off(Script::new().raw(b"\x95\x01"));
    refused(&Script::new().text(&"a".repeat((1 << 20) + 1)).end(), "a text of 1048577 bytes");
    refused(&Script::new().raw("c").raw("a".repeat(300)).raw("\nb\n").end(), "too long");
    refused(&Script::new().raw(b"X\x02\0\0\0\xff\xfe").end(), "not UTF-8");
}

#[test]
fn towers_and_bombs_reach_a_limit() {
    // Marks inside marks; dictionaries inside dictionaries; one that holds itself.
    refused(&Script::new().raw("(".repeat(300)).end(), "nests more than 256 deep");
    let mut tower = Script::new().raw("}");
    for _ in 0..100 {
        tower = tower.text("a").raw("}");
    }
    refused(&tower.raw("s".repeat(100)).end(), "dictionaries inside dictionaries");
    refused(&Script::new().raw("}q\0").text("a").raw("h\0s").end(), "dictionaries inside dictionaries");
    // Each dictionary holds the one before twice: 2³⁰ of them to walk through.
    let mut laughs = Script::new().raw("}q\0");
    for _ in 0..30 {
        laughs = laughs.raw("}(").text("a").raw("h\0").text("b").raw("h\0uq\0");
    }
    refused(&laughs.end(), "dictionaries inside dictionaries");
    // The machine is the same in both forms; these are long.
    let big = |pickle: Vec<u8>, expected: &str| refused_file(&file(&pickle, &[]), expected);
    big(Script::new().raw("N".repeat((1 << 18) + 1)).end(), "piles up");
    big(Script::new().raw("}".repeat((1 << 18) + 1)).end(), "containers");
    big(Script::new().raw("]").raw("Na".repeat((1 << 20) + 1)).end(), "items");
    big(Script::new().raw("N").raw([0x94].repeat((1 << 19) + 1)).end(), "remembers more");
    big(Script::new().raw("N").raw("q\0".repeat(1 << 22)).end(), "steps");
    // Lists inside lists are dropped without a call for each.
    let mut deep = Script::new();
    for _ in 0..1 << 16 {
        deep = deep.raw(b"]\x85");
    }
    refused(&deep.end(), "no dictionary of tensors");
}

#[test]
fn a_stack_is_not_reached_below_its_marks() {
    for script in
        ["t", "R", "b", "s", "Q", "a", "u", "e", "\u{1}", "N(a", "}(s", "N(R", "(.", "}(N", "q\0", "N(q\0", "h\0"]
    {
        assert!(PickleFile::read(&file(&Script::new().raw(script).end(), &[0; 16])).is_err(), "{script:?}");
    }
    refused(&Script::new().raw("NN(").raw([0x86]).end(), "more values than it has");
    refused(&Script::new().raw("u").end(), "never opened");
    refused(&Script::new().raw("(u").end(), "more values than it has");
    refused(&Script::new().raw("}(Nu").end(), "a key without a value");
    refused(&Script::new().raw("h\x05").end(), "never remembered");
    refused(&Script::new().raw("](NNu").end(), "no dictionary");
    refused(&Script::new().raw("}Na").end(), "no list");
}

#[test]
fn tensors_must_be_described_whole() {
    let rebuild = || Script::new().global("torch._utils", "_rebuild_tensor_v2");
    refused(&rebuild().raw(")R").end(), "too few or wrong arguments");
    refused(&rebuild().raw("N").raw([0x85, b'R']).end(), "too few or wrong arguments");
    refused(&rebuild().raw("NR").end(), "too few or wrong arguments");
    refused(&rebuild().raw("(NNNNNNNNtR").end(), "too few or wrong arguments");
    refused(&rebuild().raw("(NK\0))NNtR").end(), "no storage");
    refused(&rebuild().raw("(").storage("FloatStorage", "0", 4).raw("K\0NNNNtR").end(), "no shape");
    refused(&rebuild().raw("(").storage("FloatStorage", "0", 4).raw("K\0").ints(&[2]).raw("NNNtR").end(), "no shape");
    let waiting = rebuild().raw("(").storage("FloatStorage", "0", 4).raw("K\0").ints(&[4]).ints(&[1]);
    let waiting = waiting.raw("NN}").text("neg").raw(b"\x88stR").end();
    refused(&waiting, "not as they are stored");
    refused(&Script::new().global("torch._utils", "_rebuild_parameter").raw(b"NNN\x87R").end(), "a parameter");
    refused(&Script::new().global("torch._utils", "_rebuild_parameter").raw(")R").end(), "a parameter");
    refused(&Script::new().global("collections", "OrderedDict").raw("NR").end(), "a dictionary");

    let persistent = |script: Script| script.raw("Q").end();
    refused(&persistent(Script::new().raw(")")), "no storage");
    refused(&persistent(Script::new().raw("N")), "no storage");
    refused(&persistent(Script::new().text("storage").raw([0x85])), "no storage");
    let storage = |key: &str, numel: i64| Script::new().storage("FloatStorage", key, numel).end();
    refused(&storage("0", -1), "negative length");
    refused(&storage("", 4), "no proper name");
    refused(&storage(&"0".repeat(65), 4), "no proper name");
    let view = Script::new().raw("(").text("storage").global("torch", "FloatStorage").text("0").text("cpu").int(4);
    refused(&view.raw("(NNNttQ").end(), "a view of a storage");
}

#[test]
fn a_tensor_stays_inside_its_storage() {
    let huge = i64::MAX;
    for (numel, offset, shape, strides, expected) in [
        (4, 0, &[5][..], &[1][..], "does not fit its storage"),
        (4, 1, &[4], &[1], "does not fit its storage"),
        (4, 0, &[2, 2], &[3, 1], "does not fit its storage"),
        (4, huge, &[1], &[1], "does not fit its storage"),
        (4, 5, &[0], &[1], "does not fit its storage"),
        (4, 0, &[2], &[huge], "does not fit its storage"),
        (4, 0, &[3, 3], &[huge, huge], "does not fit its storage"),
        (4, 0, &[huge, huge], &[1, 1], "does not fit its storage"),
        (4, 0, &[huge, huge, 0], &[1, 1, 1], "does not fit its storage"),
        // Stride 0 repeats one value: a terabyte out of four bytes.
        (4, 0, &[1 << 38], &[0], "does not fit its storage"),
        (4, -1, &[1], &[1], "begins before its storage"),
        (4, 0, &[-1], &[1], "not of whole numbers"),
        (4, 0, &[2], &[-1], "not of whole numbers"),
        (4, 0, &[2], &[1, 1], "1 axes and 2 strides"),
        (4, 0, &[1; 17], &[1; 17], "17 axes"),
        // True to what the pickle says, but not to what the file has.
        (5, 0, &[5], &[1], "the tensor w claims 5 values, but its storage has 16 bytes"),
        (huge, 0, &[1 << 40], &[1], "the tensor w claims"),
    ] {
        refused(&Script::one_tensor(numel, offset, shape, strides), expected);
    }
    let elsewhere = Script::new().raw("}").text("w").global("torch._utils", "_rebuild_tensor_v2").raw("(");
    let elsewhere = elsewhere.storage("FloatStorage", "1", 4).raw("K\0").ints(&[4]).ints(&[1]).raw("NNtRs").end();
    let error = PickleFile::read(&file(&elsewhere, &[0; 16])).unwrap_err();
    assert!(error.sentence.contains("the tensor w has no data: there is no storage 1"), "{error}");
}

#[test]
fn names_are_bounded_and_stand_for_one_tensor() {
    let tensor = |script: Script| script.tensor(4, 0, &[4], &[1]);
    let twice = tensor(tensor(Script::new().raw("}(").text("w")).text("w")).raw("u").end();
    refused(&twice, "two tensors named w");
    let inside = Script::new().raw("}(").text("state_dict").raw("}").text("w");
    let both = tensor(tensor(inside).raw("s").text("w")).raw("u").end();
    refused(&both, "two tensors named w");
    refused(&tensor(Script::new().raw("}").text(&"w".repeat(513))).raw("s").end(), "a name far longer");
    refused(&Script::new().raw("N").end(), "no dictionary of tensors");
    refused(&Script::new().raw("}").text("step").int(1).raw("s").end(), "holds no tensors");
}

#[test]
fn streams_are_read_to_their_end() {
    let data = floats(&[1.0, 2.0, 3.0, 4.0]);
    let pickle = Script::one_tensor(4, 0, &[4], &[1]);
    let good = stream(&pickle, "0", 4, &data);
    assert_eq!(PickleFile::read(&good).unwrap().tensors["w"].bytes(&good).unwrap(), data.as_slice());
    let sentence = |file: &[u8]| PickleFile::read(file).unwrap_err().sentence;
    for len in 0..good.len() {
        assert!(PickleFile::read(&good[..len]).is_err(), "{len} bytes");
    }
    assert!(sentence(&good[..good.len() - 1]).contains("cut off"));
    assert!(sentence(&[&good[..], b"\0"].concat()).contains("goes on behind its last storage"));
    assert!(sentence(&stream(&pickle, "0", i64::MAX, &data)).contains("cut off"));
    assert!(sentence(&stream(&pickle, "0", -1, &data)).contains("negative length"));
    assert!(sentence(&stream(&pickle, "1", 4, &data)).contains("nothing says what its storage 1 holds"));
    assert!(sentence(&stream(&pickle, "0", 3, &data[..12])).contains("the tensor w claims 4 values"));
    assert!(sentence(&Script::new().int(5).end()).contains("not one that PyTorch wrote"));
    // Big-endian: NEWFALSE in place of NEWTRUE, behind the name.
    let at = good.windows(13).position(|bytes| bytes == b"little_endian").unwrap() + 13;
    let mut big = good.clone();
    assert_eq!(big[at], 0x88);
    big[at] = 0x89;
    assert!(sentence(&big).contains("big-endian"));
}
