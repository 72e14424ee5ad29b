//! What may follow the body: sections that most configs do without, each `tag, length (four bytes, little endian), bytes`.
//!
//! A section with nothing in it is not written, so a config that uses none of them has the bytes that it always had.

/// Attributes that only servers know.
pub(super) const SERVER_ONLY: u8 = 1;
/// Marks a client form: the keys that only the edge decides.
pub(super) const AT_EDGE: u8 = 2;
/// Routes of the CDN.
pub(super) const ROUTES: u8 = 3;

/// Appends a section.
pub(super) fn write(bytes: &mut Vec<u8>, tag: u8, section: &[u8]) {
    if section.is_empty() {
        return;
    }
    bytes.push(tag);
    bytes.extend_from_slice(&u32::try_from(section.len()).unwrap_or(u32::MAX).to_le_bytes());
    bytes.extend_from_slice(section);
}

/// Tag and bytes of each section; ends with the first that is not whole.
pub(super) fn read(bytes: &[u8]) -> impl Iterator<Item = Result<(u8, &[u8]), String>> {
    let mut rest = bytes;
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        let section = split(rest).map(|(tag, section, others)| {
            rest = others;
            (tag, section)
        });
        if section.is_none() {
            rest = &[];
        }
        Some(section.ok_or_else(|| "what follows the last table is no whole section".to_owned()))
    })
}

fn split(bytes: &[u8]) -> Option<(u8, &[u8], &[u8])> {
    let (&tag, bytes) = bytes.split_first()?;
    let (len, bytes) = bytes.split_first_chunk()?;
    let (section, others) = bytes.split_at_checked(u32::from_le_bytes(*len) as usize)?;
    Some((tag, section, others))
}
