//! The handlers: extract, load, check, change, answer. `routes.rs` has the table of paths.

pub(crate) mod answer;
pub(crate) mod change;
pub(crate) mod diff;
pub(crate) mod served;
pub(crate) mod views;
pub(crate) mod projects;
pub(crate) mod environments;
pub(crate) mod sdk_keys;
pub(crate) mod api_tokens;
pub(crate) mod passwords;
pub(crate) mod users;
pub(crate) mod sessions;
pub(crate) mod audit;
pub(crate) mod shared;
pub(crate) mod shared_handlers;
pub(crate) mod layers;
pub(crate) mod holdouts;
pub(crate) mod segments;
pub(crate) mod metrics;
pub(crate) mod experiments;
pub(crate) mod experiment_view;
pub(crate) mod transitions;
pub(crate) mod flags;
pub(crate) mod history;
pub(crate) mod events;
pub(crate) mod health;
