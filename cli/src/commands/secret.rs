//! Secrets as arguments.

use std::fmt;
use std::str::FromStr;

/// 32 secret bytes, given as 64 hexadecimal digits. Never printed.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct Secret([u8; 32]);

impl Secret {
    pub(crate) fn bytes(self) -> [u8; 32] {
        self.0
    }
}

impl FromStr for Secret {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let mut bytes = [0; 32];
        hex::decode_to_slice(text.trim(), &mut bytes)
            .map_err(|_| "expected 64 hexadecimal digits")?;
        Ok(Self(bytes))
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::Secret;

    #[test]
    fn a_secret_is_64_hexadecimal_digits_and_is_not_printed() {
        let secret: Secret = "ab".repeat(32).parse().unwrap();
        assert_eq!(secret.bytes(), [0xab; 32]);
        assert_eq!(format!("{secret:?}"), "Secret(…)");
        assert!("ab".parse::<Secret>().is_err());
    }
}
