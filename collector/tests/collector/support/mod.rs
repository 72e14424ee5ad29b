//! What the tests share: a running collector, its clients, and a reader of its lake.

pub(crate) mod disk;
pub(crate) mod lake;
pub(crate) mod s3;
pub(crate) mod server;
pub(crate) mod store;

use serde_json::{Value, json};
use uuid::Uuid;

/// A metric event with a fresh id.
pub(crate) fn purchase(user: &str, value: f64) -> Value {
    json!({
        "event_id": Uuid::now_v7(),
        "type": "metric",
        "units": {"user_id": user},
        "name": "purchase",
        "value": value,
        "timestamp": jiff::Timestamp::now(),
    })
}

/// An exposure with a fresh id.
pub(crate) fn exposure(user: &str, variant: &str) -> Value {
    json!({
        "event_id": Uuid::now_v7(),
        "type": "exposure",
        "units": {"user_id": user, "anonymous_id": format!("a-{user}")},
        "unit_type": "user_id",
        "experiment": "checkout",
        "variant": variant,
        "generation": 42,
        "timestamp": jiff::Timestamp::now(),
        "attributes": {"platform": "web", "returning": true},
        "sdk": "edge/0.1.0",
    })
}

/// Events as lines of JSON.
pub(crate) fn lines(events: &[Value]) -> String {
    events.iter().fold(String::new(), |mut lines, event| {
        lines.push_str(&event.to_string());
        lines.push('\n');
        lines
    })
}

/// The id of an event.
pub(crate) fn id_of(event: &Value) -> Uuid {
    event["event_id"].as_str().unwrap().parse().unwrap()
}
