//! Copies of configs that need no store: what a deployment bundles, and what the native edge keeps on disk.
//!
//! A copy is the pointer on one line, as JSON, and the blob right behind the line feed, `size` bytes long. A file may hold the copies of
//! several environments, one after the other:
//!
//! ```text
//! {"generation":7,"object":"configs/production-k3v9x2mq/7-….bin","blake3":"…","size":1234,"key_id":"…","signature":"…"}⏎
//! <1234 bytes>{"generation":3,"object":"configs/staging-…
//! ```
//!
//! A copy is trusted no more than the store: it passes the same checks, its signature included.

use crate::config::Pointer;

/// A copy within a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfigCopy<'f> {
    /// What the store's pointer said when the copy was made.
    pub pointer: Pointer,
    /// The blob.
    pub blob: &'f [u8],
}

impl<'f> ConfigCopy<'f> {
    /// The bytes of a file that holds this copy.
    pub fn to_bytes(&self) -> Vec<u8> {
        let size = Some(self.blob.len() as u64);
        let mut bytes = crate::response::to_json(&Pointer { size, ..self.pointer.clone() });
        bytes.push(b'\n');
        bytes.extend_from_slice(self.blob);
        bytes
    }

    /// The copies in a file, up to the first that is not whole, and what is wrong with that one.
    pub fn read_all(file: &'f [u8]) -> (Vec<Self>, Option<String>) {
        let (mut copies, mut rest) = (Vec::new(), file);
        while !rest.is_empty() {
            match Self::read(rest) {
                Ok((copy, behind)) => {
                    copies.push(copy);
                    rest = behind;
                }
                Err(problem) => return (copies, Some(problem)),
            }
        }
        (copies, None)
    }

    /// The copy of an environment in a file.
    pub fn find(file: &'f [u8], environment: &str) -> Result<Option<Self>, String> {
        let (copies, problem) = Self::read_all(file);
        let found = copies.into_iter().find(|copy| copy.pointer.environment() == Some(environment));
        match problem {
            Some(problem) if found.is_none() => Err(problem),
            _ => Ok(found),
        }
    }

    fn read(file: &'f [u8]) -> Result<(Self, &'f [u8]), String> {
        let line = file.iter().position(|byte| *byte == b'\n');
        let (line, rest) = line
            .and_then(|at| Some((file.get(..at)?, file.get(at + 1..)?)))
            .ok_or("it does not begin with a pointer on a line of its own")?;
        let pointer = Pointer::parse(line)
            .map_err(|error| format!("its first line is no pointer: {error}"))?;
        let size = pointer.size.ok_or("its pointer has no size")?;
        let (blob, rest) = usize::try_from(size)
            .ok()
            .and_then(|size| rest.split_at_checked(size))
            .ok_or_else(|| format!("it ends after {} of the blob's {size} bytes", rest.len()))?;
        Ok((Self { pointer, blob }, rest))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pointer(environment: &str, generation: u64) -> Pointer {
        Pointer {
            generation,
            object: format!("configs/{environment}/{generation}-0.bin"),
            ..Pointer::default()
        }
    }

    #[test]
    fn copies_of_several_environments_stand_in_one_file() {
        let one = ConfigCopy { pointer: pointer("a", 1), blob: b"{}\nfirst" };
        let two = ConfigCopy { pointer: pointer("b", 2), blob: b"" };
        let file = [one.to_bytes(), two.to_bytes()].concat();
        let (copies, problem) = ConfigCopy::read_all(&file);
        assert_eq!((copies.len(), problem), (2, None));
        assert_eq!(ConfigCopy::find(&file, "a").unwrap().unwrap().blob, one.blob);
        assert_eq!(ConfigCopy::find(&file, "b").unwrap().unwrap().pointer.generation, 2);
        assert_eq!(ConfigCopy::find(&file, "c").unwrap(), None);
        assert_eq!(ConfigCopy::find(b"", "a").unwrap(), None, "an empty file bundles nothing");
    }

    #[test]
    fn a_file_that_breaks_off_gives_what_is_whole() {
        let whole = ConfigCopy { pointer: pointer("a", 1), blob: b"first" }.to_bytes();
        let file = [whole.clone(), whole.clone()].concat();
        for end in whole.len() + 1..file.len() {
            let (copies, problem) = ConfigCopy::read_all(&file[..end]);
            assert_eq!(copies.len(), 1, "cut at {end}");
            assert!(problem.is_some(), "cut at {end}");
        }
        assert!(ConfigCopy::find(&whole[..whole.len() - 1], "a").unwrap_err().contains("4 of the"));
        assert!(ConfigCopy::find(b"<html>", "a").is_err());
        assert!(ConfigCopy::find(b"{}\n", "a").is_err());
    }
}
