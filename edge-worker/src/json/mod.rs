//! Reading JSON that nobody vouches for: requests, the collector's answers, pointers of the store.
//!
//! A document is walked once and its members are kept as text; only what an endpoint asks for is read further. Nothing here recurses and no
//! value is built that nobody wants. It is ours, and not a library's, because of the Worker's size: a general reader brings a type-driven
//! decoder for every struct, two readers of decimal numbers and the printing of what it did not expect, a fifth of the whole.

mod number;
mod scan;
mod text;

use std::borrow::Cow;
use std::fmt;

pub(crate) use scan::Malformed;
use scan::Scanner;

/// One whole JSON value, unread: its text, well-formed, without white space around it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Raw<'r>(&'r str);

/// The members of an object in their order, names decoded and values unread.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Members<'r>(pub(crate) Vec<(Cow<'r, str>, Raw<'r>)>);

/// Why a text was not read as an object.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ObjectError {
    /// It is no JSON.
    Malformed(Malformed),
    /// It is JSON, but no object, or names a member twice.
    WrongType,
}

impl fmt::Display for ObjectError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Malformed(at) => at.fmt(f),
            Self::WrongType => f.write_str("expected an object, each member at most once"),
        }
    }
}

impl<'r> Raw<'r> {
    /// Reads a document of one value.
    ///
    /// # Errors
    ///
    /// What was expected, and where.
    pub(crate) fn read(document: &'r [u8]) -> Result<Self, Malformed> {
        let mut scanner = Scanner::of(document)?;
        let value = scanner.value()?;
        scanner.end()?;
        Ok(Self(value))
    }

    /// Its text.
    pub(crate) fn get(self) -> &'r str {
        self.0
    }

    /// Whether it is `null`.
    pub(crate) fn is_null(self) -> bool {
        self.0 == "null"
    }

    /// The boolean that it is.
    pub(crate) fn boolean(self) -> Option<bool> {
        match self.0 {
            "true" => Some(true),
            "false" => Some(false),
            _ => None,
        }
    }

    /// The string that it is; `None` also where half a surrogate pair stands in it, which is no text.
    pub(crate) fn text(self) -> Option<Cow<'r, str>> {
        text::decoded(self.0.strip_prefix('"')?.strip_suffix('"')?)
    }

    /// The number that it is, rounded to the nearest double; `None` also beyond all doubles.
    pub(crate) fn number(self) -> Option<f64> {
        match self.0.as_bytes().first() {
            Some(b'-' | b'0'..=b'9') => {
                Some(number::parse(self.0)).filter(|number| number.is_finite())
            }
            _ => None,
        }
    }

    /// The whole number from 0 that it is, written without fraction and exponent.
    pub(crate) fn unsigned(self) -> Option<u64> {
        self.0.parse().ok()
    }

    /// The elements of the array that it is.
    pub(crate) fn items(self) -> Option<Vec<Self>> {
        if !self.0.starts_with('[') {
            return None;
        }
        let mut scanner = Scanner::of_text(self.0);
        let mut items = Vec::new();
        scanner.items(|item| items.push(Self(item))).ok()?;
        Some(items)
    }

    /// The members of the object that it is; `None` also where a name is no text.
    pub(crate) fn members(self) -> Option<Members<'r>> {
        Members::scan(&mut Scanner::of_text(self.0)).ok()
    }
}

impl<'r> Members<'r> {
    /// Reads a document that must be an object.
    ///
    /// # Errors
    ///
    /// [`ObjectError`].
    pub(crate) fn read(document: &'r [u8]) -> Result<Self, ObjectError> {
        let mut scanner = Scanner::of(document).map_err(ObjectError::Malformed)?;
        if !scanner.is_at(b'{') {
            return Err(
                Raw::read(document).map_or_else(ObjectError::Malformed, |_| ObjectError::WrongType)
            );
        }
        let members = Self::scan(&mut scanner).map_err(ObjectError::Malformed)?;
        scanner.end().map_err(ObjectError::Malformed)?;
        Ok(members)
    }

    fn scan(scanner: &mut Scanner<'r>) -> Result<Self, Malformed> {
        let mut members = Vec::with_capacity(8);
        scanner.members(|name, value| {
            text::decoded(name).map(|name| members.push((name, Raw(value)))).is_some()
        })?;
        Ok(Self(members))
    }

    /// A member that may occur once; `None` where it is absent or `null`.
    ///
    /// # Errors
    ///
    /// [`ObjectError::WrongType`] when it occurs twice.
    pub(crate) fn member(&self, name: &str) -> Result<Option<Raw<'r>>, ObjectError> {
        let mut found = self.0.iter().filter(|(candidate, _)| candidate == name);
        let first = found.next();
        match found.next() {
            Some(_) => Err(ObjectError::WrongType),
            None => Ok(first.map(|(_, raw)| *raw).filter(|raw| !raw.is_null())),
        }
    }
}

#[cfg(test)]
mod tests;
