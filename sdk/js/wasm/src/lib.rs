//! What JavaScript calls: a client form is decoded once, and each key is one call, text in and text out.
//!
//! What is not here: fetching, refreshing, exposures, time. That is JavaScript's part (`sdk/js/src`).

mod context;

use eval_core::client::{self, Answer};
use eval_core::{CompiledConfig, Decision, blob};
use wasm_bindgen::prelude::wasm_bindgen;

self_cell::self_cell!(
    struct Cell {
        owner: Vec<u8>,
        #[covariant]
        dependent: Decoded,
    }
);

struct Decoded<'b> {
    generation: u64,
    config: CompiledConfig<'b>,
}

/// A client form, ready to be asked.
#[wasm_bindgen]
pub struct Form(Cell);

#[wasm_bindgen]
impl Form {
    /// Decodes a client form, or throws the reason why these bytes are none.
    pub fn decode(bytes: Vec<u8>) -> Result<Form, String> {
        let cell = Cell::try_new(bytes, |bytes| {
            let (header, config) = blob::decode(bytes).map_err(|error| error.to_string())?;
            if config.is_client_form() {
                Ok(Decoded { generation: header.generation, config })
            } else {
                Err("the config is not a client form".to_owned())
            }
        })?;
        Ok(Self(cell))
    }

    /// The generation that the form was made of.
    #[wasm_bindgen(getter)]
    pub fn generation(&self) -> f64 {
        self.0.borrow_dependent().generation as f64
    }

    /// Decides a key. `context` is the JSON `{"units": {…}, "attributes": {…}}`, `now_ms` the time in epoch milliseconds. Answers
    /// `edge`, `not_found`, or the JSON of a decision.
    pub fn evaluate(&self, key: &str, context: &str, now_ms: f64) -> String {
        let config = &self.0.borrow_dependent().config;
        let context = client::translate(config, &context::read(context));
        #[expect(
            clippy::cast_possible_truncation,
            reason = "a clock in milliseconds fits for 200 million years"
        )]
        match client::evaluate(config, &context, key, now_ms as i64) {
            Answer::Decided(decision) => json(&decision),
            Answer::AtEdge => "edge".to_owned(),
            Answer::NotFound => "not_found".to_owned(),
        }
    }
}

fn json(decision: &Decision<'_>) -> String {
    // A `&str` always has a JSON form.
    let variant = serde_json::to_string(&decision.variant()).unwrap_or_default();
    format!(
        r#"{{"variant":{variant},"value":{},"enrolled":{},"reason":"{}"}}"#,
        decision.value().unwrap_or("null"),
        decision.enrolled(),
        decision.reason().as_str()
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use eval_core::source::{
        BucketRange, Condition, ConfigSource, ExperimentSource, ExperimentStatus, Literal,
        PauseBehaviour, VariantSource,
    };

    fn experiment(key: &str, attribute: &str) -> ExperimentSource {
        let variant = |key: &str, lo, hi| VariantSource {
            key: key.to_owned(),
            value: "\"treatment\"".to_owned(),
            ranges: vec![BucketRange { lo, hi }],
        };
        ExperimentSource {
            key: key.to_owned(),
            flag_key: key.to_owned(),
            salt: format!("{key}-salt"),
            unit_type: "user_id".to_owned(),
            status: ExperimentStatus::Running,
            pause_behaviour: PauseBehaviour::Control,
            starts_at: None,
            ends_at: None,
            shipped: None,
            sticky: false,
            frozen: false,
            layer: None,
            own_layer_salt: None,
            ranges: vec![BucketRange::ALL],
            holdouts: Vec::new(),
            prerequisites: Vec::new(),
            targeting: Some(Condition::Compare {
                attribute: attribute.to_owned(),
                op: "eq".to_owned(),
                values: vec![Literal::String("DE".to_owned())],
            }),
            overrides: std::collections::BTreeMap::new(),
            variants: vec![variant("control", 0, 0), variant("treat\"ment", 0, 10_000)],
            control: 0,
            switchback: None,
        }
    }

    fn form() -> Form {
        let source = ConfigSource {
            environment: "production".to_owned(),
            server_only_attributes: vec!["plan".to_owned()],
            experiments: vec![experiment("here", "country"), experiment("there", "plan")],
            ..ConfigSource::default()
        };
        let config = eval_core::compile(&source).unwrap();
        assert!(Form::decode(blob::encode(&config, 1, 0)).is_err(), "a server's config is none");
        Form::decode(blob::encode(&client::form(&config), 7, 0)).unwrap()
    }

    #[test]
    fn decisions_come_as_json_and_others_as_a_word() {
        let form = form();
        let context = r#"{"units":{"user_id":"u-1"},"attributes":{"country":"DE","odd":1e999}}"#;
        let got = form.evaluate("here", context, 0.0);
        let got: serde_json::Value = serde_json::from_str(&got).unwrap();
        let expected = serde_json::json!({"variant": "treat\"ment", "value": "treatment",
            "enrolled": true, "reason": "split"});
        assert_eq!(got, expected);
        assert_eq!(form.evaluate("there", context, 0.0), "edge");
        assert_eq!(form.evaluate("nowhere", context, 0.0), "not_found");
        assert!(form.evaluate("here", "nonsense", 0.0).contains("no_unit"));
    }
}
