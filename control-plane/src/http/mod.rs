//! The conventions that every route follows: who asks, in which project and environment, with what body,
//! on which version, how often.

pub(crate) mod auth;
pub(crate) mod body;
pub(crate) mod path;
pub(crate) mod idempotency;
pub(crate) mod precondition;
pub(crate) mod query;
pub(crate) mod request_id;
pub(crate) mod schema_check;
pub(crate) mod scope;
pub(crate) mod session;
pub(crate) mod rate_limit;
pub(crate) mod write_options;

pub(crate) use auth::Caller;
pub(crate) use body::{Body, EmptyBody, MergePatch};
pub(crate) use path::PathKey;
pub(crate) use precondition::{IfMatch, RequiredIfMatch};
pub(crate) use query::{ListQuery, NoQuery, Query};
pub(crate) use scope::{InEnvironment, InProject};
