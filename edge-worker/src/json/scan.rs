//! Where a JSON value begins and ends, and whether it is one: the grammar of RFC 8259, without recursion.

use std::fmt;

/// The first place at which a text is no JSON.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Malformed {
    expected: &'static str,
    /// From 1.
    line: usize,
    /// Bytes of the line before the place.
    column: usize,
}

impl fmt::Display for Malformed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "expected {} at line {} column {}", self.expected, self.line, self.column)
    }
}

/// A place in a document.
#[derive(Debug)]
pub(super) struct Scanner<'r> {
    text: &'r str,
    at: usize,
}

impl<'r> Scanner<'r> {
    pub(super) fn of(document: &'r [u8]) -> Result<Self, Malformed> {
        std::str::from_utf8(document)
            .map(Self::of_text)
            .map_err(|error| malformed("UTF-8", document, error.valid_up_to()))
    }

    pub(super) fn of_text(text: &'r str) -> Self {
        Self { text, at: 0 }
    }

    /// One value, from its first byte to its last.
    pub(super) fn value(&mut self) -> Result<&'r str, Malformed> {
        self.space();
        let start = self.at;
        // The ends of the containers that are open.
        let mut ends: Vec<u8> = Vec::new();
        loop {
            match self.peek() {
                Some(b'{') => {
                    self.at += 1;
                    if !self.is_at(b'}') {
                        self.name()?;
                        ends.push(b'}');
                        continue;
                    }
                    self.at += 1;
                }
                Some(b'[') => {
                    self.at += 1;
                    if !self.is_at(b']') {
                        ends.push(b']');
                        continue;
                    }
                    self.at += 1;
                }
                Some(b'"') => drop(self.string()?),
                Some(b'-' | b'0'..=b'9') => self.number()?,
                _ => self.word()?,
            }
            loop {
                let Some(&end) = ends.last() else { return Ok(self.since(start)) };
                if self.ends(end)? {
                    ends.pop();
                    continue;
                }
                if end == b'}' {
                    self.name()?;
                }
                break;
            }
        }
    }

    /// The elements of the array that begins here.
    pub(super) fn items(&mut self, mut take: impl FnMut(&'r str)) -> Result<(), Malformed> {
        self.byte(b'[', "an array")?;
        if self.is_at(b']') {
            self.at += 1;
            return Ok(());
        }
        loop {
            take(self.value()?);
            if self.ends(b']')? {
                return Ok(());
            }
        }
    }

    /// The members of the object that begins here, their names as they are written; `take` says whether a name is one.
    pub(super) fn members(
        &mut self,
        mut take: impl FnMut(&'r str, &'r str) -> bool,
    ) -> Result<(), Malformed> {
        self.byte(b'{', "an object")?;
        if self.is_at(b'}') {
            self.at += 1;
            return Ok(());
        }
        loop {
            let start = self.at;
            let name = self.name()?;
            if !take(name, self.value()?) {
                self.at = start;
                return Err(self.expected("whole surrogate pairs"));
            }
            if self.ends(b'}')? {
                return Ok(());
            }
        }
    }

    /// That nothing follows.
    pub(super) fn end(&mut self) -> Result<(), Malformed> {
        self.space();
        if self.at == self.text.len() { Ok(()) } else { Err(self.expected("the end")) }
    }

    /// Whether the next byte that is no white space is this one.
    pub(super) fn is_at(&mut self, byte: u8) -> bool {
        self.space();
        self.peek() == Some(byte)
    }

    /// Goes on behind a value in a container: to the next one, or behind the container, if it ends here.
    fn ends(&mut self, end: u8) -> Result<bool, Malformed> {
        let is_end = self.is_at(end);
        let expected = if end == b'}' { "`,` or `}`" } else { "`,` or `]`" };
        self.byte(if is_end { end } else { b',' }, expected)?;
        if !is_end {
            self.space();
        }
        Ok(is_end)
    }

    /// A name and its colon, up to the value.
    fn name(&mut self) -> Result<&'r str, Malformed> {
        self.space();
        let name = self.string()?;
        self.byte(b':', "`:`")?;
        self.space();
        Ok(name)
    }

    /// What stands between the quotes of a string, whose escapes are well-formed, each for itself.
    fn string(&mut self) -> Result<&'r str, Malformed> {
        self.byte(b'"', "a string")?;
        let start = self.at;
        loop {
            match self.peek() {
                Some(b'"') => {
                    let text = self.since(start);
                    self.at += 1;
                    return Ok(text);
                }
                Some(b'\\') => {
                    self.at += 1;
                    let n_digits = match self.peek() {
                        Some(b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't') => 0,
                        Some(b'u') => 4,
                        _ => return Err(self.expected("an escape")),
                    };
                    self.at += 1;
                    for _ in 0..n_digits {
                        if !self.peek().is_some_and(|byte| byte.is_ascii_hexdigit()) {
                            return Err(self.expected("four hexadecimal digits"));
                        }
                        self.at += 1;
                    }
                }
                None | Some(..0x20) => return Err(self.expected("the end of a string")),
                Some(_) => self.at += 1,
            }
        }
    }

    fn number(&mut self) -> Result<(), Malformed> {
        self.skip(b"-");
        match self.peek() {
            Some(b'0') => self.at += 1,
            _ => self.digits()?,
        }
        if self.skip(b".") {
            self.digits()?;
        }
        if self.skip(b"eE") {
            self.skip(b"+-");
            self.digits()?;
        }
        Ok(())
    }

    /// One digit or more.
    fn digits(&mut self) -> Result<(), Malformed> {
        let start = self.at;
        while self.peek().is_some_and(|byte| byte.is_ascii_digit()) {
            self.at += 1;
        }
        if self.at > start { Ok(()) } else { Err(self.expected("a digit")) }
    }

    fn word(&mut self) -> Result<(), Malformed> {
        let rest = self.text.get(self.at..).unwrap_or_default();
        let word = ["true", "false", "null"].into_iter().find(|word| rest.starts_with(word));
        self.at += word.ok_or_else(|| self.expected("a value"))?.len();
        Ok(())
    }

    fn byte(&mut self, byte: u8, expected: &'static str) -> Result<(), Malformed> {
        if !self.is_at(byte) {
            return Err(self.expected(expected));
        }
        self.at += 1;
        Ok(())
    }

    /// Goes over one of these bytes, if one is next.
    fn skip(&mut self, bytes: &[u8]) -> bool {
        let is_there = self.peek().is_some_and(|byte| bytes.contains(&byte));
        self.at += usize::from(is_there);
        is_there
    }

    fn space(&mut self) {
        while self.skip(b" \n\t\r") {}
    }

    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    fn since(&self, start: usize) -> &'r str {
        self.text.get(start..self.at).unwrap_or_default()
    }

    fn expected(&self, expected: &'static str) -> Malformed {
        malformed(expected, self.text.as_bytes(), self.at)
    }
}

fn malformed(expected: &'static str, document: &[u8], at: usize) -> Malformed {
    let before = document.get(..at).unwrap_or(document);
    let line = before.split(|byte| *byte == b'\n').count();
    let column = before.iter().rev().take_while(|byte| **byte != b'\n').count();
    Malformed { expected, line, column }
}
