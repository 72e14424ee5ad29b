//! What the whole-platform tests share: a platform of their own, HTTP calls as any client makes them,
//! and computations that use none of the platform's code.
//!
//! [`platform`] starts `sortition dev` with a state folder and ports of its own; [`calls`] are requests;
//! [`formula`] recomputes assignments from what the API shows; [`mod@reference`] recomputes results from raw
//! events.
#![forbid(unsafe_code)]
#![expect(clippy::missing_panics_doc, reason = "a panic is how a test fails")]

pub mod platform;
pub mod calls;
pub mod formula;
pub mod reference;
