//! From a decision to its exposure: what a request contributes to all of its exposures, worked out once and only when one is needed.

use std::cell::OnceCell;

use eval_core::{AttributeValue, Context, Decision};

use super::{ExposureEvent, token};
use crate::auth::Held;
use crate::response::{push_json_string, to_json};
use crate::service::Service;
use crate::signing::SigningKey;

/// Attributes that exposures carry, for analysis by segment. Others may name a person and stay out of the event store.
const EXPOSED_ATTRIBUTES: [&str; 5] = ["platform", "device", "country", "app_version", "path"];
/// Bytes of an attribute's text; longer ones are left out.
const MAX_TEXT_BYTES: usize = 256;

/// The decisions of one request, on their way to exposures.
pub(crate) struct Decided<'r> {
    held: &'r Held,
    context: &'r Context<'r>,
    now_ms: i64,
    shared: OnceCell<(Vec<(&'r str, &'r str)>, String)>,
}

impl<'r> Decided<'r> {
    pub(crate) fn new(held: &'r Held, context: &'r Context<'r>, now_ms: i64) -> Self {
        Self { held, context, now_ms, shared: OnceCell::new() }
    }

    /// Queues the exposure of a decision, if there is one: only enrolled units are ever logged.
    pub(crate) fn log(&self, service: &Service, key: &str, decision: &Decision<'_>) {
        if service.config().takes_events() {
            self.with_event(decision, |event| service.exposures().log(key, event));
        }
    }

    /// The token under which a client confirms the exposure of a decision later, if there is one to confirm.
    pub(crate) fn token(&self, key: &SigningKey, decision: &Decision<'_>) -> Option<String> {
        self.with_event(decision, |event| token::seal(event, key))
    }

    fn with_event<T>(
        &self,
        decision: &Decision<'_>,
        take: impl FnOnce(&ExposureEvent<'_>) -> T,
    ) -> Option<T> {
        let exposure = decision.exposure()?;
        let (units, attributes_json) =
            self.shared.get_or_init(|| (self.units(), exposed_attributes(self.context)));
        Some(take(&ExposureEvent {
            environment: self.held.environment.id(),
            units,
            flag: decision.key(),
            experiment: exposure.experiment,
            variant: exposure.variant,
            unit_type: exposure.unit_type,
            unit_id: &exposure.unit.to_string(),
            layer: exposure.layer,
            bucket: exposure.bucket,
            reason: decision.reason().as_str(),
            generation: self.held.config.generation(),
            decided_at_ms: self.now_ms,
            shown_at_ms: self.now_ms,
            attributes_json,
        }))
    }

    fn units(&self) -> Vec<(&'r str, &'r str)> {
        self.held
            .config
            .config()
            .unit_types()
            .filter_map(|unit_type| Some((unit_type, self.context.unit_id(unit_type)?)))
            .collect()
    }
}

fn exposed_attributes(context: &Context<'_>) -> String {
    let mut json = Vec::new();
    for name in EXPOSED_ATTRIBUTES {
        let value = match context.value(name) {
            Some(AttributeValue::String(text)) if text.len() <= MAX_TEXT_BYTES => {
                to_json(&text.as_ref())
            }
            Some(AttributeValue::Bool(value)) => to_json(value),
            Some(AttributeValue::Number(value)) => to_json(value),
            _ => continue,
        };
        json.push(if json.is_empty() { b'{' } else { b',' });
        push_json_string(&mut json, name);
        json.push(b':');
        json.extend_from_slice(&value);
    }
    if !json.is_empty() {
        json.push(b'}');
    }
    String::from_utf8(json).expect("JSON writers write UTF-8")
}
