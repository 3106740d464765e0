//! Writes PyTorch files byte by byte, right and wrong ones.

/// A pickle's instructions in the order they are added; protocol 2.
#[derive(Clone)]
pub(super) struct Script(pub(super) Vec<u8>);

impl Script {
    /// Only the protocol.
    pub(super) fn new() -> Self {
        Self(vec![0x80, 2])
    }

    /// Bytes as they are.
    pub(super) fn raw(mut self, bytes: impl AsRef<[u8]>) -> Self {
        self.0.extend_from_slice(bytes.as_ref());
        self
    }

    /// A text.
    pub(super) fn text(self, text: &str) -> Self {
        let len = u32::try_from(text.len()).unwrap().to_le_bytes();
        self.raw([b'X']).raw(len).raw(text)
    }

    /// An integer.
    pub(super) fn int(self, value: i64) -> Self {
        self.raw([0x8a, 8]).raw(value.to_le_bytes())
    }

    /// A reference to a Python name.
    pub(super) fn global(self, module: &str, name: &str) -> Self {
        self.raw(format!("c{module}\n{name}\n"))
    }

    /// A tuple of integers.
    pub(super) fn ints(self, values: &[i64]) -> Self {
        values.iter().fold(self.raw("("), |script, value| script.int(*value)).raw("t")
    }

    /// A storage.
    pub(super) fn storage(self, kind: &str, key: &str, numel: i64) -> Self {
        self.raw("(").text("storage").global("torch", kind).text(key).text("cpu").int(numel).raw("tQ")
    }

    /// A tensor on storage 0, which has `numel` values of f32.
    pub(super) fn tensor(self, numel: i64, offset: i64, shape: &[i64], strides: &[i64]) -> Self {
        self.global("torch._utils", "_rebuild_tensor_v2")
            .raw("(")
            .storage("FloatStorage", "0", numel)
            .int(offset)
            .ints(shape)
            .ints(strides)
            .raw(b"\x89")
            .global("collections", "OrderedDict")
            .raw(")RtR")
    }

    /// `{"w": tensor}`, complete.
    pub(super) fn one_tensor(numel: i64, offset: i64, shape: &[i64], strides: &[i64]) -> Vec<u8> {
        Self::new().raw("}").text("w").tensor(numel, offset, shape, strides).raw("s").end()
    }

    /// The finished pickle.
    pub(super) fn end(self) -> Vec<u8> {
        self.raw(".").0
    }
}

/// One entry of a zip file, and what its headers say where that is not the truth.
#[derive(Clone)]
pub(super) struct Entry {
    pub(super) name: String,
    pub(super) data: Vec<u8>,
    pub(super) method: u16,
    pub(super) flags: u16,
    /// The length in the directory.
    pub(super) len: u64,
    /// The name in front of the data.
    pub(super) local_name: String,
    /// Where the directory says the header is, if not where it is.
    pub(super) header: Option<u64>,
}

impl Entry {
    /// A right one.
    pub(super) fn new(name: &str, data: impl AsRef<[u8]>) -> Self {
        let data = data.as_ref().to_vec();
        let (name, len) = (name.to_owned(), data.len() as u64);
        Self { local_name: name.clone(), name, data, method: 0, flags: 0, len, header: None }
    }
}

/// A zip file with or without the records of zip64.
pub(super) fn zip(entries: &[Entry], zip64: bool) -> Vec<u8> {
    let mut file = Vec::new();
    let mut directory = Vec::new();
    for entry in entries {
        let header = entry.header.unwrap_or(file.len() as u64);
        let (short_len, short_header) =
            if zip64 { (u32::MAX, u32::MAX) } else { (entry.len as u32, u32::try_from(header).unwrap()) };
        file.extend(b"PK\x03\x04\x2d\x00");
        file.extend(entry.flags.to_le_bytes());
        file.extend(entry.method.to_le_bytes());
        file.extend([0; 8]);
        file.extend(short_len.to_le_bytes());
        file.extend(short_len.to_le_bytes());
        file.extend((entry.local_name.len() as u16).to_le_bytes());
        file.extend(3u16.to_le_bytes());
        file.extend(entry.local_name.as_bytes());
        file.extend(b"pad");
        file.extend(&entry.data);

        let extra = if zip64 {
            // Another field first, then the one of zip64: lengths and place.
            let mut extra = vec![b'F', b'B', 1, 0, b'Z', 1, 0, 24, 0];
            extra.extend([entry.len, entry.len, header].iter().flat_map(|number| number.to_le_bytes()));
            extra
        } else {
            Vec::new()
        };
        directory.extend(b"PK\x01\x02\x2d\x00\x2d\x00");
        directory.extend(entry.flags.to_le_bytes());
        directory.extend(entry.method.to_le_bytes());
        directory.extend([0; 8]);
        directory.extend(short_len.to_le_bytes());
        directory.extend(short_len.to_le_bytes());
        directory.extend((entry.name.len() as u16).to_le_bytes());
        directory.extend((extra.len() as u16).to_le_bytes());
        directory.extend([0; 10]);
        directory.extend(short_header.to_le_bytes());
        directory.extend(entry.name.as_bytes());
        directory.extend(extra);
    }
    let (start, len, rows) = (file.len() as u64, directory.len() as u64, entries.len() as u64);
    file.extend(directory);
    if zip64 {
        let end64 = file.len() as u64;
        file.extend(b"PK\x06\x06");
        file.extend(44u64.to_le_bytes());
        file.extend([0; 12]);
        file.extend([rows, rows, len, start].iter().flat_map(|number| number.to_le_bytes()));
        file.extend(b"PK\x06\x07\0\0\0\0");
        file.extend(end64.to_le_bytes());
        file.extend(1u32.to_le_bytes());
    }
    file.extend(b"PK\x05\x06\0\0\0\0");
    file.extend((rows as u16).to_le_bytes());
    file.extend((rows as u16).to_le_bytes());
    let (len, start) = if zip64 { (u32::MAX, u32::MAX) } else { (len as u32, start as u32) };
    file.extend(len.to_le_bytes());
    file.extend(start.to_le_bytes());
    file.extend([0; 2]);
    file
}

/// A file as PyTorch lays it out: the pickle, and storage 0.
pub(super) fn file(pickle: &[u8], storage: &[u8]) -> Vec<u8> {
    zip(&[Entry::new("a/data.pkl", pickle), Entry::new("a/data/0", storage), Entry::new("a/version", "3\n")], true)
}

/// Values of f32 as bytes.
pub(super) fn floats(values: &[f32]) -> Vec<u8> {
    values.iter().flat_map(|value| value.to_le_bytes()).collect()
}

/// The stream form around an object's pickle: storage `key` says it has `numel` values.
pub(super) fn stream(object: &[u8], key: &str, numel: i64, data: &[u8]) -> Vec<u8> {
    let keys = Script::new().raw("]").text(key).raw("a").end();
    [&stream_start(object)[..], &keys, &numel.to_le_bytes(), data].concat()
}

/// The stream form around an object without tensors.
pub(super) fn stream_without_storage(object: &[u8]) -> Vec<u8> {
    [&stream_start(object)[..], &Script::new().raw("]").end()].concat()
}

fn stream_start(object: &[u8]) -> Vec<u8> {
    let magic = b"\x80\x02\x8a\x0al\xfc\x9cF\xf9 j\xa8P\x19.";
    let machine = Script::new().raw("}").text("little_endian").raw(b"\x88s").end();
    [magic, &Script::new().int(1001).end()[..], &machine, object].concat()
}
