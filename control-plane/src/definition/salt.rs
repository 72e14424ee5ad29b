//! Salts and other random names.

use rand::RngExt;

/// RFC 4648 base32 in lower case.
const ALPHABET: &[u8; 32] = b"abcdefghijklmnopqrstuvwxyz234567";

/// Length of a generated salt: with the colon it fills four hash blocks, so that the unit id starts on
/// a block boundary.
pub const SALT_LENGTH: usize = 15;

/// A new salt of 75 random bits.
pub fn generate() -> String {
    random_base32(SALT_LENGTH)
}

/// `length` random characters of the base32 alphabet, five bits each, from the system's secure generator.
pub fn random_base32(length: usize) -> String {
    let mut rng = rand::rng();
    (0..length).map(|_| char::from(ALPHABET[rng.random_range(0..ALPHABET.len())])).collect()
}
