//! Which bytes are in the gallery already.

use std::collections::{HashMap, HashSet};

use sha2::{Digest, Sha256};

use super::super::image_io::read_file;
use super::super::index::Index;
use crate::domain::Result;

type Hash = [u8; 32];

/// The files of the pictures folder by their sizes, and the hashes of those that were compared. Only a file of the same
/// size is ever read for it: most imports read none.
pub(super) struct Known {
    by_size: HashMap<u64, Vec<String>>,
    /// By size, for those whose files were read.
    hashes: HashMap<u64, HashSet<Hash>>,
}

impl Known {
    /// What the index knows.
    ///
    /// # Errors
    /// When it cannot be read.
    pub(super) fn of(index: &Index) -> Result<Self> {
        let mut by_size: HashMap<u64, Vec<String>> = HashMap::new();
        for (relative, size) in index.sizes()? {
            by_size.entry(size).or_default().push(relative);
        }
        Ok(Self { by_size, hashes: HashMap::new() })
    }

    /// Whether a file with just these bytes is there.
    pub(super) fn has(&mut self, index: &Index, bytes: &[u8]) -> bool {
        let size = bytes.len() as u64;
        if let Some(names) = self.by_size.remove(&size) {
            // One that went meanwhile, or cannot be read now, is no reason to leave a picture out.
            let read = names.iter().filter_map(|name| read_file(&index.absolute(name)).ok());
            let hashes = read.map(|bytes| hash(&bytes)).collect();
            self.hashes.insert(size, hashes);
        }
        self.hashes.get(&size).is_some_and(|hashes| hashes.contains(&hash(bytes)))
    }

    /// Remembers a file that has just come.
    pub(super) fn add(&mut self, bytes: &[u8]) {
        self.hashes.entry(bytes.len() as u64).or_default().insert(hash(bytes));
    }
}

fn hash(bytes: &[u8]) -> Hash {
    Sha256::digest(bytes).into()
}
