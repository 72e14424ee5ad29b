//! Base64 with the alphabet of URLs and no padding (RFC 4648, section 5): cookies and tokens travel as such text.

const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

/// Characters that `n_bytes` bytes take.
pub const fn encoded_len(n_bytes: usize) -> usize {
    (n_bytes * 4).div_ceil(3)
}

/// Writes bytes as text.
pub fn encode(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(encoded_len(bytes.len()));
    for chunk in bytes.chunks(3) {
        let mut bits = 0_u32;
        for at in 0..3 {
            bits = bits << 8 | u32::from(chunk.get(at).copied().unwrap_or(0));
        }
        for at in 0..=chunk.len() {
            let symbol = bits >> (18 - 6 * at) & 63;
            text.push(ALPHABET.get(symbol as usize).map_or('A', |&byte| char::from(byte)));
        }
    }
    text
}

/// Reads text back; `None` for anything that [`encode`] does not write.
pub fn decode(text: &str) -> Option<Vec<u8>> {
    let mut bytes = Vec::with_capacity(text.len() * 3 / 4);
    for chunk in text.as_bytes().chunks(4) {
        let mut bits = 0_u32;
        for &symbol in chunk {
            bits = bits << 6 | value(symbol)?;
        }
        match *chunk {
            [_, _, _, _] => bytes.extend_from_slice(bits.to_be_bytes().get(1..)?),
            [_, _, _] if bits.trailing_zeros() >= 2 => {
                bytes.extend_from_slice((bits >> 2).to_be_bytes().get(2..)?);
            }
            [_, _] if bits.trailing_zeros() >= 4 => {
                bytes.extend_from_slice((bits >> 4).to_be_bytes().get(3..)?);
            }
            _ => return None,
        }
    }
    Some(bytes)
}

fn value(symbol: u8) -> Option<u32> {
    Some(u32::from(match symbol {
        b'A'..=b'Z' => symbol - b'A',
        b'a'..=b'z' => symbol - b'a' + 26,
        b'0'..=b'9' => symbol - b'0' + 52,
        b'-' => 62,
        b'_' => 63,
        _ => return None,
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_that_of_the_standard() {
        // RFC 4648, section 10, without padding; the last two use the two characters that URLs changed.
        let cases: [(&[u8], &str); 9] = [
            (b"", ""),
            (b"f", "Zg"),
            (b"fo", "Zm8"),
            (b"foo", "Zm9v"),
            (b"foob", "Zm9vYg"),
            (b"fooba", "Zm9vYmE"),
            (b"foobar", "Zm9vYmFy"),
            (&[0xfb, 0xff], "-_8"),
            (&[0xff, 0xef], "_-8"),
        ];
        for (bytes, text) in cases {
            assert_eq!(encode(bytes), text);
            assert_eq!(encoded_len(bytes.len()), text.len());
            assert_eq!(decode(text).as_deref(), Some(bytes));
        }
    }

    #[test]
    fn what_encoding_never_writes_is_refused() {
        for text in ["Z", "Zg==", "Zh", "Zm9", "Zm9v\n", "Zm+v", "Zm/v", "Zmé"] {
            assert_eq!(decode(text), None, "{text}");
        }
    }

    proptest::proptest! {
        #[test]
        fn what_was_written_is_read(bytes: Vec<u8>) {
            proptest::prop_assert_eq!(decode(&encode(&bytes)), Some(bytes));
        }
    }
}
