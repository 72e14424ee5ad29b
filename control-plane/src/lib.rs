//! The control plane: people define experiments, flags and what they share through an API; every change is
//! validated, versioned and published to the edges.
//!
//! Reading order: [`definition`] (what people author), [`access`] (who may do what), `validate/` (which definitions are sound), `lifecycle/`
//! (how an experiment moves and gets its buckets), [`store`] (SQL), `api/` and `routes.rs` (HTTP), [`publish`]
//! (definitions → config on object storage).
//!
//! Not here: evaluation (`eval-core`), event intake (`collector`), statistics (`analysis`), and the parsing of
//! flags and environment variables into [`Settings`] (`cli`).

pub mod definition;
pub mod access;
mod error;
mod settings;
mod state;
pub mod store;
mod validate;
mod lifecycle;
pub mod power;
pub mod publish;
pub mod reports;
mod http;
mod api;
mod openapi;
pub mod routes;
mod ui;
mod scheduler;
pub mod webhooks;
mod bootstrap;
mod server;

pub use bootstrap::{Bootstrap, bootstrap};
pub use error::{ApiError, Problem, Problems, Warning};
pub use server::{run, serve};
pub use settings::{BootstrapSecrets, Settings};
pub use state::{AppState, PublishRequest};
