//! [`Thumbnails`]: small pictures for the gallery, cached on disk within a bound. Threads can share one.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use image::imageops::FilterType;
use image::{DynamicImage, RgbaImage};
use sha2::{Digest, Sha256};

use super::atomic;
use super::image_io::{self, is_opaque, read_file, unreadable};
use super::index::Stamp;
use super::metadata::Embedded;
use crate::domain::{ImageFormat, Picture, Result, UserError, hex};

/// The longest side of a thumbnail, in px.
pub const MAX_SIDE_PX: u32 = 256;
/// The most bytes of the cache: room for about 50,000 thumbnails.
pub const MAX_CACHE_BYTES: u64 = 512 << 20;

/// How a file of the cache begins that says why there is no thumbnail; the reason follows.
const BROKEN: &[u8] = b"no thumbnail: ";
/// A file of the cache that was used counts as new, but is not touched more often than this.
const TOUCH_AFTER: Duration = Duration::from_hours(24);
/// Picture files from this size on are decoded one at a time: they may take a GiB.
const LARGE_BYTES: i64 = 16 << 20;

/// The cache of thumbnails. Its files can be deleted at any time, also by another program.
pub struct Thumbnails {
    dir: PathBuf,
    max_bytes: u64,
    /// Bytes of the cache's files; counted when the first is added.
    bytes: Mutex<Option<u64>>,
    /// Held while a large picture is decoded.
    large: Mutex<()>,
}

impl Thumbnails {
    /// A cache in a folder, which is made when it is needed.
    #[must_use]
    pub fn new(dir: PathBuf) -> Self {
        Self { dir, max_bytes: MAX_CACHE_BYTES, bytes: Mutex::new(None), large: Mutex::new(()) }
    }

    /// The thumbnail of a picture file, at most [`MAX_SIDE_PX`] a side: from the cache, else made and put there.
    ///
    /// A picture that turned out to be broken is remembered in the cache too, and not decoded again until it changes.
    ///
    /// # Errors
    /// When the picture cannot be read. A cache that cannot be written costs time only.
    pub fn get(&self, path: &Path) -> Result<Picture> {
        let metadata = fs::metadata(path).map_err(|error| {
            UserError::input(format!("The picture cannot be read: {error}")).hint("it was moved or deleted").path(path)
        })?;
        let stamp = Stamp::of(&metadata);
        let cached = self.cached_file(path, stamp);
        if let Some(known) = read_cached(path, &cached) {
            return known;
        }
        // Poisoned by a decoder that panicked: there is nothing in it that could be half done.
        let large = (stamp.size >= LARGE_BYTES).then(|| self.large.lock().unwrap_or_else(PoisonError::into_inner));
        let bytes = read_file(path)?;
        let decoded = image_io::decode(&bytes);
        drop((bytes, large));
        match decoded {
            // Its own file is as quick to read.
            Ok(picture) if picture.width_px.max(picture.height_px) <= MAX_SIDE_PX => Ok(picture),
            Ok(picture) => {
                let thumbnail = shrink(picture);
                let format = if is_opaque(&thumbnail) { ImageFormat::Jpeg } else { ImageFormat::WebP };
                match image_io::encode(&thumbnail, &Embedded::default(), format) {
                    Ok(encoded) => self.keep(&cached, &encoded.bytes),
                    Err(error) => tracing::warn!(%error, "a thumbnail could not be kept"),
                }
                Ok(thumbnail)
            }
            Err(reason) => {
                self.keep(&cached, &[BROKEN, reason.as_bytes()].concat());
                Err(unreadable(path, &reason))
            }
        }
    }

    /// Named by a hash of path, date and size, so that a changed picture gets a new thumbnail.
    fn cached_file(&self, path: &Path, stamp: Stamp) -> PathBuf {
        let mut hash = Sha256::new();
        hash.update(path.as_os_str().as_encoded_bytes());
        hash.update([0]);
        hash.update(stamp.mtime_ns.to_le_bytes());
        hash.update(stamp.size.to_le_bytes());
        let name = hex(&hash.finalize()[..16]);
        // 256 folders, because some systems are slow with tens of thousands of files in one.
        self.dir.join(&name[..2]).join(name)
    }

    fn keep(&self, cached: &Path, bytes: &[u8]) {
        if let Err(error) = atomic::write_cache(cached, bytes) {
            tracing::warn!(%error, "a thumbnail could not be kept");
            return;
        }
        let mut counted = self.bytes.lock().unwrap_or_else(PoisonError::into_inner);
        let total = match *counted {
            Some(before) => before + bytes.len() as u64,
            // The new one is among them.
            None => files_below(&self.dir).iter().map(|file| file.1).sum(),
        };
        *counted = Some(if total > self.max_bytes { self.evict() } else { total });
    }

    /// Deletes the files that were not used for longest until a quarter of the bound is free. Gives the bytes that are
    /// left.
    fn evict(&self) -> u64 {
        let mut files = files_below(&self.dir);
        files.sort_unstable();
        let mut bytes: u64 = files.iter().map(|file| file.1).sum();
        for (_, len, path) in files {
            if bytes <= self.max_bytes / 4 * 3 {
                break;
            }
            if fs::remove_file(&path).is_ok() {
                bytes -= len;
            }
        }
        bytes
    }
}

/// What the cache knows of a picture: its thumbnail, or that it has none. `None` where it knows nothing, or nothing that
/// can be read.
fn read_cached(path: &Path, cached: &Path) -> Option<Result<Picture>> {
    let bytes = fs::read(cached).ok()?;
    let age = fs::metadata(cached).and_then(|metadata| metadata.modified()).ok()?.elapsed();
    if age.is_ok_and(|age| age > TOUCH_AFTER) {
        // Where that fails it is taken for old a little early.
        let _ = fs::File::options().write(true).open(cached).and_then(|file| file.set_modified(SystemTime::now()));
    }
    if let Some(reason) = bytes.strip_prefix(BROKEN) {
        return Some(Err(unreadable(path, &String::from_utf8_lossy(reason))));
    }
    image_io::decode(&bytes).ok().map(Ok)
}

/// Makes a picture at most [`MAX_SIDE_PX`] a side, in its own proportions.
#[must_use]
pub fn shrink(picture: Picture) -> Picture {
    let Picture { width_px, height_px, rgba } = picture;
    if width_px.max(height_px) <= MAX_SIDE_PX {
        return Picture { width_px, height_px, rgba };
    }
    let longest = f64::from(width_px.max(height_px));
    let side = |px: u32| ((f64::from(px) * f64::from(MAX_SIDE_PX) / longest).round() as u32).max(1);
    let Some(image) = RgbaImage::from_raw(width_px, height_px, rgba) else {
        // A picture whose bytes do not fit its size: nothing that can be shown.
        return Picture { width_px: 1, height_px: 1, rgba: vec![0; 4] };
    };
    let small = DynamicImage::from(image).resize_exact(side(width_px), side(height_px), FilterType::Triangle);
    let small = small.into_rgba8();
    Picture { width_px: small.width(), height_px: small.height(), rgba: small.into_raw() }
}

/// The cache's files: date, bytes, path.
fn files_below(dir: &Path) -> Vec<(SystemTime, u64, PathBuf)> {
    let below = |dir: &Path| fs::read_dir(dir).into_iter().flatten().flatten();
    let files = below(dir).flat_map(|folder| below(&folder.path()).collect::<Vec<_>>());
    let told = files.filter_map(|file| {
        let metadata = file.metadata().ok().filter(fs::Metadata::is_file)?;
        Some((metadata.modified().unwrap_or(SystemTime::UNIX_EPOCH), metadata.len(), file.path()))
    });
    told.collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::library::image_io::encode;

    fn file_of(dir: &Path, name: &str, width_px: u32, height_px: u32, alpha: u8) -> PathBuf {
        let rgba = [200, 100, 50, alpha].repeat((width_px * height_px) as usize);
        let picture = Picture { width_px, height_px, rgba };
        let path = dir.join(name);
        fs::write(&path, encode(&picture, &Embedded::default(), ImageFormat::Png).unwrap().bytes).unwrap();
        path
    }

    #[test]
    fn proportions_and_colours_are_kept_and_the_second_time_it_comes_from_the_cache() {
        let home = tempfile::tempdir().unwrap();
        let thumbnails = Thumbnails::new(home.path().join("cache"));
        for (name, width, height, alpha, small) in [
            ("a.png", 1024, 512, 255, (256, 128)),
            ("b.png", 2, 2000, 128, (1, 256)),
            ("c.png", 100, 256, 255, (100, 256)),
        ] {
            let path = file_of(home.path(), name, width, height, alpha);
            for _ in 0..2 {
                let thumbnail = thumbnails.get(&path).unwrap();
                assert_eq!((thumbnail.width_px, thumbnail.height_px), small);
                let near = |at: usize, value: u8| thumbnail.rgba[at].abs_diff(value) <= 4;
                assert!(near(0, 200) && near(1, 100) && near(2, 50) && thumbnail.rgba[3] == alpha);
            }
        }
        assert_eq!(files_below(&home.path().join("cache")).len(), 2, "the small one is its own thumbnail");
    }

    #[test]
    fn a_changed_picture_and_a_broken_cache_give_the_right_thumbnail() {
        let home = tempfile::tempdir().unwrap();
        let cache = home.path().join("cache");
        let path = file_of(home.path(), "a.png", 600, 300, 255);
        let thumbnails = Thumbnails::new(cache.clone());
        thumbnails.get(&path).unwrap();
        let (_, _, cached) = files_below(&cache).remove(0);
        fs::write(&cached, b"broken").unwrap();
        assert_eq!(thumbnails.get(&path).unwrap().height_px, 128);
        file_of(home.path(), "a.png", 300, 600, 255);
        assert_eq!(thumbnails.get(&path).unwrap().height_px, 256);
        fs::remove_file(&path).unwrap();
        assert_eq!(thumbnails.get(&path).unwrap_err().path, Some(path));
    }

    #[test]
    fn a_broken_picture_is_remembered_until_it_changes() {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("a.png");
        fs::write(&path, b"\x89PNG\r\n\x1a\nbroken").unwrap();
        let thumbnails = Thumbnails::new(home.path().join("cache"));
        let first = thumbnails.get(&path).unwrap_err();
        let (_, _, cached) = files_below(&home.path().join("cache")).remove(0);
        assert_eq!(thumbnails.get(&path).unwrap_err(), first);
        fs::write(&cached, [BROKEN, b"a reason of its own"].concat()).unwrap();
        assert!(thumbnails.get(&path).unwrap_err().sentence.contains("a reason of its own"), "it is not decoded again");
        file_of(home.path(), "a.png", 300, 300, 255);
        assert!(thumbnails.get(&path).is_ok());
        // What is only away is not broken.
        fs::remove_file(&path).unwrap();
        assert!(thumbnails.get(&path).is_err());
        assert_eq!(files_below(&home.path().join("cache")).len(), 2);
    }

    #[test]
    fn what_was_used_lately_is_kept_longest() {
        let home = tempfile::tempdir().unwrap();
        let cache = home.path().join("cache");
        let thumbnails = Thumbnails { max_bytes: 20_000, ..Thumbnails::new(cache.clone()) };
        let long_ago = SystemTime::now() - Duration::from_hours(24 * 30);
        let files: Vec<PathBuf> =
            (0..20).map(|index| file_of(home.path(), &format!("{index}.png"), 300, 300, 255)).collect();
        thumbnails.get(&files[0]).unwrap();
        let (_, _, first) = files_below(&cache).remove(0);
        fs::File::options().write(true).open(&first).unwrap().set_modified(long_ago).unwrap();
        thumbnails.get(&files[0]).unwrap();
        assert!(fs::metadata(&first).unwrap().modified().unwrap() > long_ago + Duration::from_hours(24));
    }

    #[test]
    fn the_cache_keeps_within_its_bound_and_may_be_unwritable() {
        let home = tempfile::tempdir().unwrap();
        let cache = home.path().join("cache");
        let thumbnails = Thumbnails { max_bytes: 6000, ..Thumbnails::new(cache.clone()) };
        for index in 0..20 {
            thumbnails.get(&file_of(home.path(), &format!("{index}.png"), 300, 300, 255)).unwrap();
            assert!(files_below(&cache).iter().map(|file| file.1).sum::<u64>() <= 6000);
        }
        assert!(!files_below(&cache).is_empty());

        let in_the_way = home.path().join("0.png");
        let unwritable = Thumbnails::new(in_the_way.join("cache"));
        assert_eq!(unwritable.get(&in_the_way).unwrap().width_px, 256);
    }
}
