//! A hash that is the same everywhere and in every version, and how digests are written.

use std::fmt::Write;

/// The hash of Fowler, Noll and Vo (FNV-1a, 64 bits): stable, which the standard library's need not be. Not for secrets.
#[must_use]
pub fn fnv1a(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3))
}

/// Bytes in hexadecimal digits.
#[must_use]
pub fn hex(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(2 * bytes.len());
    for byte in bytes {
        // Writing to a text cannot fail.
        let _ = write!(text, "{byte:02x}");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::{fnv1a, hex};

    #[test]
    fn the_hash_is_fnv1a() {
        // From the authors' list of test vectors.
        assert_eq!(
            (fnv1a(b""), fnv1a(b"a"), fnv1a(b"foobar")),
            (0xcbf2_9ce4_8422_2325, 0xaf63_dc4c_8601_ec8c, 0x8594_4171_f739_67e8)
        );
    }

    #[test]
    fn every_byte_is_two_digits() {
        assert_eq!(hex(&[0, 9, 0xab, 255]), "0009abff");
    }
}
