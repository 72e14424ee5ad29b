//! Webhooks: whom to tell what happened in a project.

use super::schema;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// A receiver of messages about what happens in a project.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct WebhookDefinition {
    /// Name, unique in the project.
    #[schema(value_type = schema::Name)]
    pub name: String,
    /// Who receives, and what for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(max_length = 4000)]
    pub description: Option<String>,
    /// Where messages are posted: an `https` URL; `http` in networks that are allowed by configuration alone.
    #[schema(min_length = 1, max_length = 2048)]
    pub url: String,
    /// Which messages: `*`, `experiment.*`, `experiment.started`, ….
    #[serde(default = "everything")]
    #[schema(value_type = Vec<schema::EventPattern>, min_items = 1, max_items = 100)]
    pub events: Vec<String>,
    /// Whether messages are sent.
    #[serde(default = "enabled")]
    pub enabled: bool,
}

fn everything() -> Vec<String> {
    vec!["*".to_owned()]
}

fn enabled() -> bool {
    true
}

/// What the platform adds to a webhook.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct WebhookState {
    /// Whether messages are sent.
    pub enabled: bool,
}

impl WebhookDefinition {
    /// Whether a message of this type is wanted.
    pub fn wants(&self, event: &str) -> bool {
        self.events.iter().any(|pattern| match pattern.strip_suffix('*') {
            Some(beginning) => event.starts_with(beginning),
            None => event == pattern,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::WebhookDefinition;
    use serde_json::json;

    #[test]
    fn patterns_are_exact_or_end_in_a_star() {
        let wants = |patterns: &[&str], event: &str| {
            let body = json!({ "name": "w", "url": "https://x.org", "events": patterns });
            serde_json::from_value::<WebhookDefinition>(body).unwrap().wants(event)
        };
        assert!(wants(&["*"], "flag.updated"));
        assert!(wants(&["experiment.*"], "experiment.started"));
        assert!(!wants(&["experiment.*"], "flag.updated"));
        assert!(wants(&["flag.killed", "experiment.started"], "experiment.started"));
        assert!(!wants(&["experiment.start"], "experiment.started"));
    }
}
