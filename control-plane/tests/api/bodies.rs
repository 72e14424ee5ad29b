//! The request bodies of the contract, char for char.

use crate::harness::Server;
use serde_json::{Value, json};

/// Layer, segment and metrics that the checkout experiment refers to.
pub async fn catalogue(server: &Server) {
    let bodies = [
        (
            "layers",
            r#"{ "name": "checkout_layer", "description": "…", "domain_start": 0, "domain_end": 9999 }"#,
        ),
        (
            "segments",
            r#"{ "key": "returning_users", "condition": {"attribute": "returning", "op": "eq", "values": [true]}, "include": [], "exclude": [] }"#,
        ),
        (
            "metrics",
            r#"{ "name": "checkout_conversion_rate", "kind": "proportion", "event": "purchase", "direction": "increase" }"#,
        ),
        ("metrics", r#"{ "name": "revenue_per_user", "kind": "mean", "event": "purchase" }"#),
        (
            "metrics",
            r#"{ "name": "p99_page_load", "kind": "quantile", "quantile": 0.99, "event": "page_load", "direction": "decrease" }"#,
        ),
        (
            "metrics",
            r#"{ "name": "clicks_per_view", "kind": "ratio", "numerator": {"event": "click", "aggregation": "count"}, "denominator": {"event": "view", "aggregation": "count"} }"#,
        ),
        ("metrics", r#"{ "name": "clicks", "kind": "count", "event": "click", "cap": 100 }"#),
        (
            "metrics",
            r#"{ "name": "revenue", "kind": "sum", "event": "purchase", "window": "P7D" }"#,
        ),
        (
            "metrics",
            r#"{ "name": "week_2", "kind": "retention", "event": "visit", "after": "P7D", "window": "P14D" }"#,
        ),
        (
            "metrics",
            r#"{ "name": "checkout", "kind": "funnel", "steps": ["view", "cart", "purchase"] }"#,
        ),
    ];
    for (path, body) in bodies {
        server.made(path, serde_json::from_str(body).unwrap()).await;
    }
}

/// The checkout experiment.
pub fn checkout() -> Value {
    serde_json::from_str(r#"
{ "name": "checkout_redesign_q1_2025", "hypothesis": "New checkout reduces cart abandonment by 5%", "layer": "checkout_layer",
  "variants": [ {"name": "control", "weight": 50, "config": {"checkout_version": "v1"}},
                {"name": "treatment_a", "weight": 25, "config": {"checkout_version": "v2_single_page"}},
                {"name": "treatment_b", "weight": 25, "config": {"checkout_version": "v2_accordion"}} ],
  "targeting": {"countries": ["US", "CA"], "platforms": ["web", "ios"], "user_segment": "returning_users"},
  "primary_metric": "checkout_conversion_rate", "guardrail_metrics": ["p99_page_load", "revenue_per_user"],
  "min_detectable_effect": 0.02, "significance_level": 0.05, "power": 0.8, "estimated_duration_days": 14 }"#).unwrap()
}

/// The flag of the contract.
pub fn new_nav() -> Value {
    json!({ "key": "new_nav", "type": "boolean", "variants": [{"name": "on", "value": true}, {"name": "off", "value": false}],
            "default_variant": "off", "off_variant": "off", "enabled": true,
            "rules": [ {"condition": {"segment": "returning_users"}, "rollout": 25, "serve": {"variant": "on"}},
                       {"serve": {"split": [{"variant": "on", "weight": 50}, {"variant": "off", "weight": 50}]}},
                       {"serve": {"experiment": "checkout_redesign_q1_2025"}} ] })
}

/// An experiment of two equal variants without a layer, which starts without warnings.
pub fn plain(name: &str) -> Value {
    json!({ "name": name, "primary_metric": "clicks_per_view",
            "variants": [{ "name": "control", "weight": 50 }, { "name": "treatment", "weight": 50 }] })
}

/// The same in the contract's layer with a share of its units.
pub fn in_layer(name: &str, traffic: f64) -> Value {
    let mut body = plain(name);
    body["layer"] = json!("checkout_layer");
    body["traffic"] = json!(traffic);
    body
}
