//! What a command says to the person who called it: results on standard output, problems on standard
//! error. Logs are another matter (`logging`).

use std::io::Write;

/// Writes one line of a command's result. A closed pipe is the reader's choice, not an error.
pub(crate) fn line(text: &str) {
    let mut out = std::io::stdout().lock();
    let _ = writeln!(out, "{text}").and_then(|()| out.flush());
}

/// Writes one line about something that went wrong.
pub(crate) fn problem(text: &str) {
    let _ = writeln!(std::io::stderr().lock(), "{text}");
}
