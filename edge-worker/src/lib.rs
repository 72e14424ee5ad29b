//! The edge of Sortition: a portable HTTP service over the evaluator, and the two shells that it runs in.
//!
//! The service ([`service`], [`routes`]) is synchronous and pure but for its cache: a request goes in, an answer comes out of memory.
//! It decides what to load and what to forward; the shells do the I/O: `cloudflare` in a Worker (compiled to Wasm, driven by
//! `shim/index.js`), `native` as an HTTP server of its own.
//!
//! What is not here: evaluation (`eval-core`), the making and publishing of configs (`control-plane`), the durability of events
//! (`collector`). The edge knows no database.

pub mod request;
pub mod response;
pub mod frame;
pub mod service;
pub mod routes;
mod auth;
mod json;
mod sorted;
mod context;
pub mod evaluate;
pub mod ofrep;
pub mod freshness;
pub mod stream;
pub mod bundle;
mod client_form;
pub mod assignments;
pub mod archive;
pub mod events;
mod deferred;
pub mod queue;
pub mod health;
pub mod fail_open;
pub mod config;
pub mod trust;
pub mod copies;
pub mod standing;
pub mod environments;
pub mod exposures;
pub mod routing;
pub mod identity;
pub mod signing;
pub mod random;
pub mod base64url;

#[cfg(target_arch = "wasm32")]
mod cloudflare;
// Fuzzing is about the portable service alone.
#[cfg(not(any(target_arch = "wasm32", fuzzing)))]
mod native;

#[cfg(not(any(target_arch = "wasm32", fuzzing)))]
pub use native::{Settings, copy_of, run, serve};
