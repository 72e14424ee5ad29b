//! LaunchDarkly's evaluation (sha1). Flags are evaluated where they lie; its own server SDK clones each one first.

use crate::model::{User, Work};
use crate::peer::{DecideAll, DecideOne, Peer};
use launchdarkly_server_sdk_evaluation::{
    Context, ContextBuilder, Flag, Reason, Segment, Store, evaluate,
};
use serde_json::{Map, Value, json};
use std::collections::HashMap;
use std::hint::black_box;

pub(crate) struct LaunchDarkly;

#[derive(serde::Deserialize)]
pub(crate) struct Data {
    flags: HashMap<String, Flag>,
    segments: HashMap<String, Segment>,
}

impl Store for Data {
    fn flag(&self, key: &str) -> Option<Flag> {
        self.flags.get(key).cloned()
    }

    fn segment(&self, key: &str) -> Option<Segment> {
        self.segments.get(key).cloned()
    }
}

fn detail(data: &Data, key: &str, context: &Context) -> bool {
    let detail = evaluate(data, &data.flags[key], context, None);
    matches!(black_box(&detail).reason, Reason::RuleMatch { .. })
}

impl Peer for LaunchDarkly {
    const NAME: &'static str = "launchdarkly-…-evaluation 2.2.1";
    type Config<'p> = Data;
    type User = Context;

    fn payload(work: &Work) -> Vec<u8> {
        let mut flags = Map::new();
        for experiment in &work.experiments {
            let clauses: Vec<Value> = experiment
                .conditions
                .iter()
                .map(|(name, values)| {
                    json!({"contextKind": "user", "attribute": name, "op": "in", "values": values, "negate": false})
                })
                .collect();
            let weights: Vec<Value> = experiment
                .variants
                .iter()
                .enumerate()
                .map(|(at, v)| json!({"variation": at, "weight": u32::from(v.weight) * 10}))
                .collect();
            let variations: Vec<Value> = experiment
                .variants
                .iter()
                .map(|v| serde_json::from_str(&v.value).expect("values are JSON"))
                .collect();
            let rollout = json!({"kind": "experiment", "contextKind": "user", "bucketBy": "key", "variations": weights});
            flags.insert(
                experiment.key.clone(),
                json!({
                    "key": experiment.key, "version": 1, "on": true, "prerequisites": [], "targets": [], "contextTargets": [],
                    "rules": [{"id": "rule-1", "clauses": clauses, "rollout": rollout, "trackEvents": true}],
                    "fallthrough": {"variation": 0}, "offVariation": 0, "variations": variations,
                    "clientSideAvailability": {"usingMobileKey": true, "usingEnvironmentId": true}, "clientSide": true,
                    "salt": experiment.salt, "trackEvents": false, "trackEventsFallthrough": false, "debugEventsUntilDate": null,
                    "deleted": false,
                }),
            );
        }
        json!({"flags": flags, "segments": {}}).to_string().into_bytes()
    }

    fn load(payload: &[u8]) -> Data {
        serde_json::from_slice(payload).expect("the format is LaunchDarkly's")
    }

    fn user(user: &User) -> Context {
        let mut builder = ContextBuilder::new(user.id.clone());
        for (name, value) in &user.attributes {
            builder.set_string(name, value.clone());
        }
        builder.build().expect("the context is sound")
    }

    const ONE: Option<DecideOne<Self>> = Some(detail);

    const ALL: &'static [(&'static str, DecideAll<Self>)] = &[("loop", |data, keys, context| {
        Some(keys.iter().filter(|key| detail(data, key, context)).count())
    })];
}
