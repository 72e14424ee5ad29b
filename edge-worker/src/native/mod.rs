//! The edge as an HTTP server of its own: the same service, for those who do not use Cloudflare.

mod collector;
mod copies;
mod guard;
mod recorded;
mod routing;
mod server;
mod settings;
mod signature;
mod span;
mod spool;
mod store;
mod stream;

pub use server::{run, serve};
pub use settings::Settings;
pub use store::copy_of;
