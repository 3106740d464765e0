//! PNG files: writing pixels with text chunks, and reading the text of any PNG without decoding its pixels.
//!
//! Chunk layouts: PNG specification, third edition, 11.3.3 (`tEXt`, `zTXt`, `iTXt`).

use std::io::{self, Read, Seek, SeekFrom};

use flate2::read::ZlibDecoder;

use super::metadata::{ATELIER_KEYWORD, Embedded, PARAMETERS_KEYWORD};
use crate::domain::{Picture, Result, UserError};

const SIGNATURE: [u8; 8] = *b"\x89PNG\r\n\x1a\n";
/// The longest text that is read, after decompression: a prompt of ours has at most 100,000 bytes. A `zTXt` chunk of a
/// few MiB can expand to 1 GiB (image-rs/image-png#696).
const MAX_TEXT_BYTES: usize = 4 << 20;
/// Most chunks of a file that are looked at; a picture of 512 MiB in the usual 8 KiB pieces has 65,536.
const MAX_CHUNKS: usize = 200_000;

/// What the chunks of a PNG tell without its pixels.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PngHead {
    /// Width in px.
    pub width_px: u32,
    /// Height in px.
    pub height_px: u32,
    /// The texts about how it was made.
    pub embedded: Embedded,
    /// The `eXIf` chunk.
    pub exif: Option<Vec<u8>>,
}

/// Encodes a picture, without its alpha where that is opaque everywhere.
///
/// `parameters` goes into `tEXt` if it is Latin-1 and into `iTXt` otherwise, as Pillow and so stable-diffusion-webui
/// writes it; our own JSON always goes into `iTXt`.
///
/// # Errors
/// When the picture's size and its bytes do not agree.
pub fn encode(picture: &Picture, embedded: &Embedded) -> Result<Vec<u8>> {
    let broken = |error: png::EncodingError| UserError::failed(format!("Could not encode the picture: {error}"));
    let opaque = super::image_io::is_opaque(picture);
    let mut bytes = Vec::new();
    let mut encoder = png::Encoder::new(&mut bytes, picture.width_px, picture.height_px);
    encoder.set_color(if opaque { png::ColorType::Rgb } else { png::ColorType::Rgba });
    encoder.set_depth(png::BitDepth::Eight);
    if let Some(text) = &embedded.parameters {
        // NUL ends nothing but trouble: PNG forbids it in a text. The JSON keeps it, escaped.
        let text = text.replace('\0', " ");
        if text.chars().all(|c| u32::from(c) < 256) {
            encoder.add_text_chunk(PARAMETERS_KEYWORD.to_owned(), text).map_err(broken)?;
        } else {
            encoder.add_itxt_chunk(PARAMETERS_KEYWORD.to_owned(), text).map_err(broken)?;
        }
    }
    if let Some(json) = &embedded.atelier {
        encoder.add_itxt_chunk(ATELIER_KEYWORD.to_owned(), json.replace('\0', " ")).map_err(broken)?;
    }
    let mut writer = encoder.write_header().map_err(broken)?;
    if opaque {
        writer.write_image_data(&super::image_io::rgb(picture)).map_err(broken)?;
    } else {
        writer.write_image_data(&picture.rgba).map_err(broken)?;
    }
    writer.finish().map_err(broken)?;
    Ok(bytes)
}

/// Whether these are the first bytes of a PNG.
#[must_use]
pub fn is_png(start: &[u8]) -> bool {
    start.starts_with(&SIGNATURE)
}

/// Reads size and texts, wherever in the file the texts stand. Checksums are not looked at, and a damaged text is passed
/// over: a recipe that can be read is worth more than none.
///
/// # Errors
/// When it is no PNG, or its head is cut off. A file that is cut off later gives what came before.
pub fn read_head(mut file: impl Read + Seek) -> io::Result<PngHead> {
    let mut start = [0; 8 + 8 + 13 + 4]; // signature, chunk head, IHDR, its checksum
    file.read_exact(&mut start)?;
    if !is_png(&start) || &start[12..16] != b"IHDR" {
        return Err(io::Error::new(io::ErrorKind::InvalidData, "it is not a PNG"));
    }
    let side = |at: usize| u32::from_be_bytes([start[at], start[at + 1], start[at + 2], start[at + 3]]);
    let mut head = PngHead { width_px: side(16), height_px: side(20), ..PngHead::default() };
    for _ in 0..MAX_CHUNKS {
        let mut chunk = [0; 8];
        if file.read_exact(&mut chunk).is_err() {
            break;
        }
        let len = u32::from_be_bytes([chunk[0], chunk[1], chunk[2], chunk[3]]);
        let kind: [u8; 4] = [chunk[4], chunk[5], chunk[6], chunk[7]];
        let wanted = matches!(&kind, b"tEXt" | b"zTXt" | b"iTXt" | b"eXIf") && len as usize <= MAX_TEXT_BYTES;
        match &kind {
            b"IEND" => break,
            _ if wanted => {
                let mut data = Vec::new();
                if file.by_ref().take(u64::from(len)).read_to_end(&mut data)? < len as usize {
                    break;
                }
                file.seek(SeekFrom::Current(4))?;
                head.take(kind, data);
            }
            _ => {
                file.seek(SeekFrom::Current(i64::from(len) + 4))?;
            }
        }
    }
    Ok(head)
}

impl PngHead {
    /// Takes in one chunk; the first text of a keyword holds.
    fn take(&mut self, kind: [u8; 4], data: Vec<u8>) {
        if &kind == b"eXIf" {
            self.exif = Some(data);
            return;
        }
        let Some((keyword, rest)) = split_at_nul(&data) else { return };
        let Ok(keyword) = std::str::from_utf8(keyword) else { return };
        self.embedded.take(keyword, || match &kind {
            b"tEXt" => Some(latin1(rest)),
            b"zTXt" => rest.split_first().and_then(|(_method, packed)| Some(latin1(&inflate(packed)?))),
            _ => international(rest),
        });
    }
}

/// The text of an `iTXt` chunk behind its keyword: flag, method, language, NUL, translated keyword, NUL, UTF-8.
fn international(rest: &[u8]) -> Option<String> {
    let (&[compressed, _method], rest) = rest.split_first_chunk()?;
    let (_language, rest) = split_at_nul(rest)?;
    let (_translated, text) = split_at_nul(rest)?;
    if compressed == 0 { String::from_utf8(text.to_vec()).ok() } else { String::from_utf8(inflate(text)?).ok() }
}

fn inflate(packed: &[u8]) -> Option<Vec<u8>> {
    let mut text = Vec::new();
    ZlibDecoder::new(packed).take(MAX_TEXT_BYTES as u64 + 1).read_to_end(&mut text).ok()?;
    (text.len() <= MAX_TEXT_BYTES).then_some(text)
}

fn split_at_nul(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let at = bytes.iter().position(|byte| *byte == 0)?;
    Some((&bytes[..at], &bytes[at + 1..]))
}

fn latin1(bytes: &[u8]) -> String {
    // Strictly Latin-1; but many tools write UTF-8 here, and Latin-1 text is hardly ever valid UTF-8 by chance.
    match std::str::from_utf8(bytes) {
        Ok(text) => text.to_owned(),
        Err(_) => bytes.iter().copied().map(char::from).collect(),
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Cursor, Write};

    use proptest::prelude::*;

    use super::*;

    fn small() -> Picture {
        Picture { width_px: 2, height_px: 1, rgba: vec![1, 2, 3, 255, 4, 5, 6, 255] }
    }

    fn embedded(parameters: &str) -> Embedded {
        let atelier = Some("{\"a\":\"絹\"}".into());
        Embedded { parameters: Some(parameters.into()), atelier, ..Embedded::default() }
    }

    /// `bytes` with a chunk before `IEND`; its checksum is left zero, as `read_head` does not look at it.
    fn with_chunk(bytes: &[u8], kind: [u8; 4], data: &[u8]) -> Vec<u8> {
        let (before, end) = bytes.split_at(bytes.len() - 12);
        [before, &(data.len() as u32).to_be_bytes(), &kind, data, &[0; 4], end].concat()
    }

    fn deflate(text: &[u8]) -> Vec<u8> {
        let mut encoder = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::default());
        encoder.write_all(text).unwrap();
        encoder.finish().unwrap()
    }

    #[test]
    fn latin1_goes_into_text_and_the_rest_into_international_text() {
        for (text, kind) in [("a caf\u{e9}\nSteps: 1", &b"tEXt"[..]), ("絹\nSteps: 1", b"iTXt")] {
            let bytes = encode(&small(), &embedded(text)).unwrap();
            let head = read_head(Cursor::new(&bytes)).unwrap();
            assert_eq!((head.width_px, head.height_px), (2, 1));
            assert_eq!(head.embedded, embedded(text));
            let marker = [kind, b"parameters\0"].concat();
            assert!(bytes.windows(marker.len()).any(|window| window == marker));
        }
    }

    #[test]
    fn compressed_text_behind_the_pixels_is_read() {
        let bytes = encode(&small(), &Embedded::default()).unwrap();
        let packed = with_chunk(&bytes, *b"zTXt", &[b"parameters\0\0", deflate(b"p\nSteps: 1").as_slice()].concat());
        assert_eq!(read_head(Cursor::new(packed)).unwrap().embedded.parameters.as_deref(), Some("p\nSteps: 1"));
        let data = [b"parameters\0\x01\0en\0\0", deflate("絹".as_bytes()).as_slice()].concat();
        let packed = with_chunk(&bytes, *b"iTXt", &data);
        assert_eq!(read_head(Cursor::new(packed)).unwrap().embedded.parameters.as_deref(), Some("絹"));
    }

    #[test]
    fn a_text_that_expands_without_end_is_passed_over() {
        let bomb = [b"parameters\0\0", deflate(&vec![b'a'; 64 << 20]).as_slice()].concat();
        let bytes = with_chunk(&encode(&small(), &Embedded::default()).unwrap(), *b"zTXt", &bomb);
        assert!(bytes.len() < 200_000);
        assert_eq!(read_head(Cursor::new(bytes)).unwrap().embedded, Embedded::default());
    }

    proptest! {
        #[test]
        fn any_damage_is_read_without_a_panic(
            at in any::<prop::sample::Index>(), byte in any::<u8>(), cut in any::<prop::sample::Index>(),
        ) {
            let mut bytes = encode(&small(), &embedded("絹\nSteps: 1")).unwrap();
            let place = at.index(bytes.len());
            bytes[place] = byte;
            let _ = read_head(Cursor::new(&bytes));
            let _ = read_head(Cursor::new(&bytes[..cut.index(bytes.len())]));
        }
    }
}
