//! [`Fingerprint`]: the hash that names a model in recipes, worked out beside the first steps.

use std::sync::{Arc, OnceLock};

use sha2::{Digest, Sha256};

use super::tensor_file::TensorFile;

/// The first ten hex digits of the sha256 of all files that weights come from, as other tools write it.
///
/// A full model's takes a second, which nobody should wait for before the first picture: a thread of its own reads the
/// files, and only who asks earlier waits.
#[derive(Clone)]
pub struct Fingerprint {
    file: TensorFile,
    digits: Arc<OnceLock<String>>,
}

impl Fingerprint {
    /// Begins to work it out.
    #[must_use]
    pub fn of(file: TensorFile) -> Self {
        let fingerprint = Self { file, digits: Arc::default() };
        let worker = fingerprint.clone();
        let thread = std::thread::Builder::new().name("atelier-hash".to_owned()).spawn(move || {
            worker.get();
        });
        if let Err(error) = thread {
            tracing::debug!("the model is hashed when its hash is asked for: {error}");
        }
        fingerprint
    }

    /// The digits; waits until they are there.
    pub fn get(&self) -> &str {
        self.digits.get_or_init(|| {
            let mut hasher = Sha256::new();
            for mapping in self.file.mappings() {
                hasher.update(&mapping[..]);
            }
            let digest = hasher.finalize();
            let first = digest.iter().take(5).fold(0u64, |number, byte| number << 8 | u64::from(*byte));
            format!("{first:010x}")
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_digits_are_those_of_sha256() {
        // An empty safetensors file, hashed with coreutils' sha256sum.
        let bytes: &[u8] = b"\x02\0\0\0\0\0\0\0{}";
        let file = TensorFile::embedded(bytes, "empty").unwrap();
        assert_eq!(Fingerprint::of(file).get(), "411a485216");
    }
}
