//! Writes a script into the head of an HTML page while the page streams through.
//!
//! The page's bytes pass unchanged. Only what may turn out to be the tag before which the script belongs is held back, and nothing
//! after the script was written, so a page of any size passes in constant memory. The place is the first of:
//!
//! 1. after `<head …>` and white space, and after a `<meta … charset …>` that comes right behind it, so that the declaration stays where browsers look;
//! 2. before the first other tag or text, for pages that leave out the head: browsers open it there by themselves.
//!
//! Nothing with an effect precedes either place, so the script runs before every other script of the page. Comments, the document type,
//! `<html …>` and white space are passed by. A page that shows neither within [`MAX_SCANNED_BYTES`] is left as it is.

/// Bytes at the beginning of a page in which the head must begin.
pub const MAX_SCANNED_BYTES: usize = 64 * 1024;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// Between tags.
    Outside,
    /// After `<`; the held bytes tell what kind of tag it is.
    Open,
    /// In a tag, outside of quotes.
    Tag,
    /// In a quoted value.
    Quoted(u8),
    /// In a comment: its last four bytes, and how many there were since it was opened.
    Comment { last: u32, n_bytes: u32 },
    /// In a document type, or what browsers read as a comment up to `>`.
    Declaration,
    /// The script is written, or will never be.
    Done,
}

/// One page under way.
#[derive(Debug)]
pub struct Injector {
    script: Vec<u8>,
    state: State,
    /// From `<` on.
    held: Vec<u8>,
    n_scanned: usize,
    is_in_head: bool,
    has_injected: bool,
}

impl Injector {
    /// A page that has not begun yet. `script` is a whole element.
    pub fn new(script: Vec<u8>) -> Self {
        Self {
            script,
            state: State::Outside,
            held: Vec::new(),
            n_scanned: 0,
            is_in_head: false,
            has_injected: false,
        }
    }

    /// Whether the rest of the page may pass without being looked at.
    pub fn is_done(&self) -> bool {
        self.state == State::Done
    }

    /// Whether the script was written.
    pub fn has_injected(&self) -> bool {
        self.has_injected
    }

    /// Takes the next bytes of the page and appends what can go on to the client.
    pub fn push(&mut self, chunk: &[u8], out: &mut Vec<u8>) {
        let mut rest = chunk;
        while let Some((&byte, others)) = rest.split_first() {
            if self.state == State::Done {
                out.extend_from_slice(rest);
                return;
            }
            rest = others;
            self.n_scanned += 1;
            self.step(byte, out);
            if self.n_scanned >= MAX_SCANNED_BYTES && self.state != State::Done {
                out.append(&mut self.held);
                self.state = State::Done;
            }
        }
    }

    /// The page has ended.
    pub fn finish(&mut self, out: &mut Vec<u8>) {
        if self.state == State::Outside && self.n_scanned > 0 {
            self.inject(out);
        }
        out.append(&mut self.held);
        self.state = State::Done;
    }

    fn step(&mut self, byte: u8, out: &mut Vec<u8>) {
        match self.state {
            State::Done => out.push(byte),
            State::Outside => self.outside(byte, out),
            State::Open => self.open(byte, out),
            State::Tag => {
                self.held.push(byte);
                match byte {
                    b'"' | b'\'' => self.state = State::Quoted(byte),
                    b'>' => self.close(out),
                    _ => {}
                }
            }
            State::Quoted(quote) => {
                self.held.push(byte);
                if byte == quote {
                    self.state = State::Tag;
                }
            }
            State::Comment { last, n_bytes } => {
                out.push(byte);
                let last = last << 8 | u32::from(byte);
                let n_bytes = n_bytes.saturating_add(1);
                // `<!-->` and `<!--->` are whole comments too; `<!--!>` is not.
                let is_end = last & 0x00ff_ffff == u32::from_be_bytes(*b"\0-->")
                    || (last == u32::from_be_bytes(*b"--!>") && n_bytes >= 4);
                self.state = if is_end { State::Outside } else { State::Comment { last, n_bytes } };
            }
            State::Declaration => {
                self.held.push(byte);
                if byte == b'>' {
                    self.pass(out);
                }
            }
        }
    }

    fn outside(&mut self, byte: u8, out: &mut Vec<u8>) {
        match byte {
            b'<' => {
                self.held.push(byte);
                self.state = State::Open;
            }
            b' ' | b'\t' | b'\n' | b'\r' | 0x0c => out.push(byte),
            // The byte order mark.
            0xef | 0xbb | 0xbf if self.n_scanned <= 3 => out.push(byte),
            _ => {
                self.inject(out);
                out.push(byte);
            }
        }
    }

    fn open(&mut self, byte: u8, out: &mut Vec<u8>) {
        self.held.push(byte);
        match self.held.as_slice() {
            b"<!" | b"<!-" => {}
            b"<!--" => {
                out.append(&mut self.held);
                self.state = State::Comment { last: u32::from_be_bytes(*b"<!--"), n_bytes: 0 };
            }
            [b'<', b'!' | b'?', ..] => {
                self.state = State::Declaration;
                if byte == b'>' {
                    self.pass(out);
                }
            }
            _ => {
                let name = self.held.get(1..).unwrap_or_default();
                if is_wanted_start(name, self.is_in_head) {
                    return;
                }
                let is_end_of_name =
                    matches!(byte, b' ' | b'\t' | b'\n' | b'\r' | 0x0c | b'/' | b'>');
                let whole = name.split_last().map_or(&[][..], |(_, name)| name);
                if !(is_end_of_name && is_wanted(whole, self.is_in_head)) {
                    // Some other tag: the script belongs before it.
                    self.inject(out);
                    out.append(&mut self.held);
                } else if byte == b'>' {
                    self.close(out);
                } else {
                    self.state = State::Tag;
                }
            }
        }
    }

    /// A tag that is passed by has ended.
    fn close(&mut self, out: &mut Vec<u8>) {
        let tag = std::mem::take(&mut self.held);
        let lower = tag.to_ascii_lowercase();
        let was_in_head = self.is_in_head;
        let is_charset = lower.windows(7).any(|window| window == b"charset");
        if was_in_head && !is_charset {
            // Another `<meta>`: it comes after the script.
            self.inject(out);
            out.extend_from_slice(&tag);
            return;
        }
        out.extend_from_slice(&tag);
        if was_in_head {
            self.inject(out);
        } else {
            self.is_in_head = lower.get(1..5) == Some(b"head");
            self.state = State::Outside;
        }
    }

    /// What was held is passed by.
    fn pass(&mut self, out: &mut Vec<u8>) {
        out.append(&mut self.held);
        self.state = State::Outside;
    }

    fn inject(&mut self, out: &mut Vec<u8>) {
        out.append(&mut self.script);
        self.has_injected = true;
        self.state = State::Done;
    }
}

/// The tags that are passed by.
fn wanted(is_in_head: bool) -> &'static [&'static str] {
    if is_in_head { &["meta"] } else { &["html", "head"] }
}

fn is_wanted(name: &[u8], is_in_head: bool) -> bool {
    wanted(is_in_head).iter().any(|wanted| name.eq_ignore_ascii_case(wanted.as_bytes()))
}

/// Whether more letters could make it one of them.
fn is_wanted_start(name: &[u8], is_in_head: bool) -> bool {
    wanted(is_in_head).iter().any(|wanted| {
        wanted.as_bytes().get(..name.len()).is_some_and(|start| name.eq_ignore_ascii_case(start))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The page with the script in it, pushed in chunks of `size` bytes.
    fn injected(page: &[u8], size: usize) -> (String, bool) {
        let mut injector = Injector::new(b"[S]".to_vec());
        let mut out = Vec::new();
        for chunk in page.chunks(size) {
            injector.push(chunk, &mut out);
        }
        injector.finish(&mut out);
        (String::from_utf8_lossy(&out).into_owned(), injector.has_injected())
    }

    #[test]
    fn the_script_comes_first_in_the_head_however_the_page_is_cut() {
        let cases = [
            "<!doctype html><html><head>[S]<title>a</title></head></html>",
            "\u{feff}<!DOCTYPE html>\n<HTML lang='a>b'>\n<HEAD class=\"x>y\">\n[S]<script>1</script>",
            "<html><head><meta charset=utf-8>[S]<title>",
            "<html><head>\n  <META http-equiv=Content-Type content='text/html; charset=x'>[S]",
            "<head>[S]<meta name=viewport content=a><meta charset=utf-8>",
            "<head>[S]<metadata>",
            "<head >[S]</head>",
            "<head/>[S]<title>",
            "<!-- <head> --><head>[S]x",
            "<!--!><head>--><head>[S]",
            "<!--><head>[S]",
            "<!---><head>[S]",
            "<!-- a --!><head>[S]",
            "<!-- a -- > <head> --><!---->[S]<body>",
            "<!-- <head> ---><html>[S]<header>",
            "<?xml version='1.0'?><head>[S]",
            "<!doctype html>[S]<title>a</title>",
            "<!doctype html><html>[S]<body><head>",
            "<html>[S]</head>",
            "[S]text<head>",
            "[S]<script>1</script><head>",
            "[S]<headline>",
            "[S]<h>",
            "[S]<h",
            "[S]<>",
            "<!>[S]a",
            "<!doctype html>\n[S]",
            "<!-- only a comment -->[S]",
        ];
        for case in cases {
            let page = case.replace("[S]", "");
            for size in 1..=page.len() {
                let case = if case == "[S]<h" { "<h" } else { case };
                assert_eq!(injected(page.as_bytes(), size).0, case, "in chunks of {size}");
            }
        }
    }

    #[test]
    fn pages_without_a_place_stay_as_they_are() {
        let long = format!("<!-- {} -->", "x".repeat(MAX_SCANNED_BYTES));
        let tag = format!("<html class='{}'><head>", "x".repeat(MAX_SCANNED_BYTES));
        for page in ["", "<!-- never closed <head>", "<html class='never closed", &long, &tag] {
            let (out, has_injected) = injected(page.as_bytes(), 1000);
            assert!(out == page && !has_injected, "{page:.40}");
        }
    }

    #[test]
    fn what_is_held_back_is_bounded() {
        let mut injector = Injector::new(b"[S]".to_vec());
        let mut out = Vec::new();
        injector.push(b"<!--", &mut out);
        for _ in 0..10_000 {
            injector.push(b"x-", &mut out);
            assert_eq!(injector.held.len(), 0);
        }
        injector.push(b"--><head>x", &mut out);
        assert!(out.ends_with(b"--><head>[S]x"));
        assert_eq!(out.len(), 4 + 20_000 + 10 + 3);
    }
}
