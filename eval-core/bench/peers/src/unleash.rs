//! Unleash' Yggdrasil (murmur3), with the strategy that hashes once, as everybody else does here.

use crate::model::{User, Work};
use crate::peer::{DecideAll, DecideOne, Peer};
use serde_json::{Value, json};
use std::hint::black_box;
use unleash_yggdrasil::{Context, EngineState};

pub(crate) struct Unleash;

fn variant(engine: &EngineState, key: &str, context: &Context) -> bool {
    let variant = engine.get_variant(key, context, &None);
    black_box(&variant).enabled
}

impl Peer for Unleash {
    const NAME: &'static str = "unleash-yggdrasil 0.21.7";
    type Config<'p> = EngineState;
    type User = Context;

    fn payload(work: &Work) -> Vec<u8> {
        let features: Vec<Value> = work
            .experiments
            .iter()
            .map(|experiment| {
                let constraints: Vec<Value> = experiment
                    .conditions
                    .iter()
                    .map(|(name, values)| {
                        json!({"contextName": name, "operator": "IN", "values": values, "caseInsensitive": false, "inverted": false})
                    })
                    .collect();
                let variants: Vec<Value> = experiment
                    .variants
                    .iter()
                    .map(|v| {
                        json!({
                            "name": v.key, "weight": v.weight / 10, "stickiness": "userId", "payload": {"type": "json", "value": v.value},
                        })
                    })
                    .collect();
                let parameters = json!({"groupId": experiment.salt, "rollout": "100", "stickiness": "userId"});
                json!({
                    "name": experiment.key, "type": "experiment", "enabled": true, "project": "default", "stale": false,
                    "impressionData": false,
                    "strategies": [{"name": "default", "constraints": constraints, "parameters": parameters, "variants": variants}],
                })
            })
            .collect();
        json!({"version": 2, "features": features}).to_string().into_bytes()
    }

    fn load(payload: &[u8]) -> EngineState {
        let engine = EngineState::default();
        let features = serde_json::from_slice(payload).expect("the format is Unleash'");
        assert!(engine.apply_client_features(features).is_none(), "the features are sound");
        engine
    }

    fn user(user: &User) -> Context {
        Context {
            user_id: Some(user.id.clone()),
            session_id: None,
            environment: None,
            app_name: None,
            current_time: None,
            remote_address: None,
            properties: Some(user.attributes.iter().cloned().collect()),
        }
    }

    const ONE: Option<DecideOne<Self>> = Some(variant);

    const ALL: &'static [(&'static str, DecideAll<Self>)] = &[
        ("loop", |engine, keys, context| {
            Some(keys.iter().filter(|key| variant(engine, key, context)).count())
        }),
        ("resolve_all", |engine, _, context| {
            let all = engine.resolve_all(context, &None)?;
            Some(black_box(&all).values().filter(|toggle| toggle.enabled).count())
        }),
    ];
}
