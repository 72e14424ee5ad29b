//! What the edge hands to visitors: the identity cookie and the tokens of deferred exposures, through the portable service.

mod common;
mod deferred;
mod identity;
mod journeys;
#[path = "../../examples/edge-fixture/source.rs"]
mod source;
