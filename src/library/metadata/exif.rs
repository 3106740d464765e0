//! A small EXIF block for JPEG and WebP: the `parameters` text in `UserComment`, our own JSON in `MakerNote`.
//!
//! Layout: TIFF 6.0 and EXIF 2.32. Big-endian, with the comment in UTF-16BE behind `UNICODE\0`: that is what piexif
//! writes and reads, and through it stable-diffusion-webui. `MakerNote` is the tag for what the writing program wants to
//! keep for itself, so that no viewer shows the JSON.
//!
//! `ComfyUI` writes its graphs into WebP as `Model` and `Make`, with a word and a colon before each
//! (`comfy_extras/nodes_images.py`).

use super::{Embedded, ForeignText};

/// The largest block: a JPEG segment holds 65,533 bytes, with `Exif\0\0` among them.
pub const MAX_BYTES: usize = 65_533 - 6;

const TAG_MAKE: u16 = 0x010F;
const TAG_MODEL: u16 = 0x0110;
const TAG_SOFTWARE: u16 = 0x0131;
const TAG_EXIF_IFD: u16 = 0x8769;
const TAG_MAKER_NOTE: u16 = 0x927C;
const TAG_USER_COMMENT: u16 = 0x9286;
const TYPE_ASCII: u16 = 2;
const TYPE_LONG: u16 = 4;
const TYPE_UNDEFINED: u16 = 7;
const UNICODE: &[u8] = b"UNICODE\0";
const ASCII: &[u8] = b"ASCII\0\0\0";
const MAKER_PREFIX: &[u8] = b"Atelier\0";
const SOFTWARE: &[u8] = b"Atelier\0";
/// Most entries of a directory that are looked at.
const MAX_ENTRIES: usize = 512;

/// The block for a picture, and whether all of it found room. The JSON goes first when it does not, then the text.
#[must_use]
pub fn write(embedded: &Embedded) -> (Vec<u8>, bool) {
    let attempts = [embedded.clone(), Embedded { atelier: None, ..embedded.clone() }, Embedded::default()];
    for (dropped, attempt) in attempts.iter().enumerate() {
        let block = build(attempt);
        if block.len() <= MAX_BYTES {
            return (block, dropped == 0);
        }
    }
    (Vec::new(), false)
}

/// What a block says; nothing where it is broken.
#[must_use]
pub fn read(block: &[u8]) -> Embedded {
    // The prefix belongs to the JPEG segment, but some WebP writers put it in front too.
    let block = block.strip_prefix(b"Exif\0\0").unwrap_or(block);
    read_tiff(block).unwrap_or_default()
}

fn build(embedded: &Embedded) -> Vec<u8> {
    let mut sub_entries = Vec::new();
    if let Some(json) = &embedded.atelier {
        sub_entries.push((TAG_MAKER_NOTE, [MAKER_PREFIX, json.as_bytes()].concat()));
    }
    if let Some(text) = &embedded.parameters {
        let utf16 = text.encode_utf16().flat_map(u16::to_be_bytes);
        sub_entries.push((TAG_USER_COMMENT, UNICODE.iter().copied().chain(utf16).collect()));
    }
    // Header 8, then a directory: 2 + 12 an entry + 4, then what its entries point to.
    let sub_ifd_at = 8 + 2 + 2 * 12 + 4 + SOFTWARE.len();
    let mut block = b"MM\0\x2a\0\0\0\x08".to_vec();
    block.extend(2_u16.to_be_bytes());
    push_entry(&mut block, TAG_SOFTWARE, TYPE_ASCII, SOFTWARE.len(), sub_ifd_at - SOFTWARE.len());
    push_entry(&mut block, TAG_EXIF_IFD, TYPE_LONG, 1, sub_ifd_at);
    block.extend([0; 4]);
    block.extend(SOFTWARE);

    let mut value_at = sub_ifd_at + 2 + sub_entries.len() * 12 + 4;
    block.extend((sub_entries.len() as u16).to_be_bytes());
    for (tag, value) in &sub_entries {
        push_entry(&mut block, *tag, TYPE_UNDEFINED, value.len(), value_at);
        // TIFF wants values at even places.
        value_at += value.len().next_multiple_of(2);
    }
    block.extend([0; 4]);
    for (_, value) in sub_entries {
        let padded = value.len().next_multiple_of(2);
        let end = block.len() + padded;
        block.extend(value);
        block.resize(end, 0);
    }
    block
}

fn push_entry(block: &mut Vec<u8>, tag: u16, kind: u16, count: usize, value: usize) {
    block.extend(tag.to_be_bytes());
    block.extend(kind.to_be_bytes());
    block.extend((count as u32).to_be_bytes());
    block.extend((value as u32).to_be_bytes());
}

/// A TIFF block and its byte order.
#[derive(Clone, Copy)]
struct Tiff<'a> {
    bytes: &'a [u8],
    big_endian: bool,
}

impl<'a> Tiff<'a> {
    fn get(self, at: usize, len: usize) -> Option<&'a [u8]> {
        self.bytes.get(at..at.checked_add(len)?)
    }

    fn u16_at(self, at: usize) -> Option<u16> {
        let bytes = self.get(at, 2)?.try_into().ok()?;
        Some(if self.big_endian { u16::from_be_bytes(bytes) } else { u16::from_le_bytes(bytes) })
    }

    fn offset_at(self, at: usize) -> Option<usize> {
        let bytes = self.get(at, 4)?.try_into().ok()?;
        Some((if self.big_endian { u32::from_be_bytes(bytes) } else { u32::from_le_bytes(bytes) }) as usize)
    }

    /// Where the entry with a tag begins in the directory at `ifd`.
    fn entry(self, ifd: usize, tag: u16) -> Option<usize> {
        let count = usize::from(self.u16_at(ifd)?).min(MAX_ENTRIES);
        (0..count).map(|index| ifd + 2 + index * 12).find(|at| self.u16_at(*at) == Some(tag))
    }

    /// The bytes of an entry of type `UNDEFINED` or `ASCII`; up to four of them stand in the entry itself.
    fn value(self, entry: usize) -> Option<&'a [u8]> {
        if !matches!(self.u16_at(entry + 2)?, TYPE_UNDEFINED | TYPE_ASCII) {
            return None;
        }
        let len = self.offset_at(entry + 4)?;
        self.get(if len <= 4 { entry + 8 } else { self.offset_at(entry + 8)? }, len)
    }
}

fn read_tiff(bytes: &[u8]) -> Option<Embedded> {
    let big_endian = match bytes.get(..4)? {
        b"MM\0\x2a" => true,
        b"II\x2a\0" => false,
        _ => return None,
    };
    let tiff = Tiff { bytes, big_endian };
    let ifd = tiff.offset_at(4)?;
    let mut embedded = Embedded::default();
    for tag in [TAG_MODEL, TAG_MAKE] {
        let text =
            tiff.entry(ifd, tag).and_then(|entry| tiff.value(entry)).and_then(|text| std::str::from_utf8(text).ok());
        let Some((word, json)) = text.and_then(|text| text.trim_matches('\0').split_once(':')) else { continue };
        let of = match word.to_ascii_lowercase().as_str() {
            "prompt" => ForeignText::ComfyPrompt,
            "workflow" => ForeignText::ComfyWorkflow,
            _ => continue,
        };
        if embedded.foreign(of).is_none() {
            embedded.foreign.push((of, json.to_owned()));
        }
    }
    let sub_ifd = tiff.entry(ifd, TAG_EXIF_IFD).and_then(|entry| tiff.offset_at(entry + 8));
    if let Some(sub_ifd) = sub_ifd {
        let value = |tag| tiff.entry(sub_ifd, tag).and_then(|entry| tiff.value(entry));
        embedded.parameters = value(TAG_USER_COMMENT).and_then(|comment| decode_comment(comment, big_endian));
        embedded.atelier = value(TAG_MAKER_NOTE)
            .and_then(|note| Some(std::str::from_utf8(note.strip_prefix(MAKER_PREFIX)?).ok()?.to_owned()));
    }
    Some(embedded)
}

/// A `UserComment`: eight bytes name its encoding.
fn decode_comment(comment: &[u8], big_endian: bool) -> Option<String> {
    let (encoding, text) = comment.split_at_checked(8)?;
    let text = match encoding {
        UNICODE => {
            // EXIF says UTF-16 in the block's byte order, but piexif always writes it big-endian and other tools change
            // the block's order without the comment's: the order that gives more ASCII is the right one.
            let decode = |big: bool| {
                let units = text.chunks_exact(2).map(|pair| {
                    let pair = [pair[0], pair[1]];
                    if big { u16::from_be_bytes(pair) } else { u16::from_le_bytes(pair) }
                });
                String::from_utf16_lossy(&units.collect::<Vec<_>>())
            };
            let (told, other) = (decode(big_endian), decode(!big_endian));
            let ascii = |text: &str| text.bytes().filter(u8::is_ascii).count();
            if ascii(&other) > ascii(&told) { other } else { told }
        }
        ASCII | [0, 0, 0, 0, 0, 0, 0, 0] => String::from_utf8_lossy(text).into_owned(),
        _ => return None,
    };
    let text = text.trim_matches(['\0', '\u{feff}']);
    (!text.is_empty()).then(|| text.to_owned())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_little_endian_block_of_another_tool_is_read() {
        // II, one entry (the EXIF directory at 26), one entry there (UserComment, 8 + 4 bytes at 44), "hi" in UTF-16.
        for (units, name) in [([b'h', 0, b'i', 0], "little-endian"), ([0, b'h', 0, b'i'], "as piexif writes it")] {
            let mut block = b"II\x2a\0\x08\0\0\0".to_vec();
            block.extend([1, 0, 0x69, 0x87, 4, 0, 1, 0, 0, 0, 26, 0, 0, 0, 0, 0, 0, 0]);
            block.extend([1, 0, 0x86, 0x92, 7, 0, 12, 0, 0, 0, 44, 0, 0, 0, 0, 0, 0, 0]);
            block.extend(b"UNICODE\0");
            block.extend(units);
            assert_eq!(read(&block).parameters.as_deref(), Some("hi"), "{name}");
            let prefixed = [b"Exif\0\0", block.as_slice()].concat();
            assert_eq!(read(&prefixed).parameters.as_deref(), Some("hi"));
        }
    }

    #[test]
    fn a_graph_in_a_webp_is_found() {
        // MM, two entries (Make at 38, Model at 50), no directory of EXIF.
        let (workflow, prompt) = (b"workflow:{}\0", b"prompt:[]\0");
        let mut block = b"MM\0\x2a\0\0\0\x08\0\x02".to_vec();
        push_entry(&mut block, TAG_MAKE, TYPE_ASCII, workflow.len(), 38);
        push_entry(&mut block, TAG_MODEL, TYPE_ASCII, prompt.len(), 50);
        block.extend([0; 4]);
        block.extend(workflow);
        block.extend(prompt);
        let embedded = read(&block);
        assert_eq!(embedded.foreign(ForeignText::ComfyPrompt), Some("[]"));
        assert_eq!(embedded.foreign(ForeignText::ComfyWorkflow), Some("{}"));
    }

    #[test]
    fn what_finds_no_room_is_left_out_and_told() {
        let long = Some("x".repeat(20_000));
        let none = Embedded::default;
        let both = Embedded { parameters: long.clone(), atelier: long.clone(), ..none() };
        let (block, whole) = write(&both);
        assert!(whole);
        assert_eq!(read(&block), both);
        let (block, whole) = write(&Embedded { parameters: long.clone(), atelier: Some("x".repeat(40_000)), ..none() });
        assert!(!whole);
        assert_eq!(read(&block), Embedded { parameters: long, ..none() });
        let (block, whole) = write(&Embedded { parameters: Some("絹".repeat(40_000)), ..none() });
        assert!(!whole && block.len() <= MAX_BYTES);
        assert_eq!(read(&block), Embedded::default());
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(text in "[a-zA-Z絹é😀 \n]{1,80}Steps: 1", json in "\\{[^\0]{0,80}") {
            let embedded = Embedded { parameters: Some(text), atelier: Some(json), ..Embedded::default() };
            let (block, whole) = write(&embedded);
            prop_assert!(whole);
            prop_assert_eq!(read(&block), embedded);
        }

        #[test]
        fn any_bytes_and_any_damage_are_read_without_a_panic(
            bytes in proptest::collection::vec(any::<u8>(), 0..200), at in 0..90_usize, byte in any::<u8>(),
        ) {
            let _ = read(&bytes);
            let parameters = Some("p\nSteps: 1".into());
            let embedded = Embedded { parameters, atelier: Some("{}".into()), ..Embedded::default() };
            let (mut block, _) = write(&embedded);
            let at = at % block.len();
            block[at] = byte;
            let _ = read(&block);
            let _ = read(&block[..at]);
        }
    }
}
