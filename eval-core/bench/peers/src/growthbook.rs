//! GrowthBook (fnv1a). It has no call that decides everything.

use crate::model::{User, Work};
use crate::peer::{DecideAll, DecideOne, Peer};
use growthbook_rust::dto::GrowthBookResponse;
use growthbook_rust::growthbook::GrowthBook;
use growthbook_rust::model_public::{GrowthBookAttribute, GrowthBookAttributeValue};
use serde_json::{Map, Value, json};
use std::hint::black_box;

pub(crate) struct Growth;

fn check(client: &GrowthBook, key: &str, user: &Option<Vec<GrowthBookAttribute>>) -> bool {
    let result = client.check(key, user);
    black_box(&result).experiment_result.is_some()
}

impl Peer for Growth {
    const NAME: &'static str = "growthbook-rust 0.4.0";
    type Config<'p> = GrowthBook;
    type User = Option<Vec<GrowthBookAttribute>>;

    fn payload(work: &Work) -> Vec<u8> {
        let mut features = Map::new();
        for experiment in &work.experiments {
            let condition: Map<String, Value> = experiment
                .conditions
                .iter()
                .map(|(name, values)| (name.clone(), json!({"$in": values})))
                .collect();
            let weights: Vec<f64> =
                experiment.variants.iter().map(|v| f64::from(v.weight) / 10_000.0).collect();
            let meta: Vec<Value> =
                experiment.variants.iter().map(|v| json!({"key": v.key})).collect();
            let variations: Vec<Value> = experiment
                .variants
                .iter()
                .map(|v| serde_json::from_str(&v.value).expect("values are JSON"))
                .collect();
            features.insert(
                experiment.key.clone(),
                json!({
                    "defaultValue": {},
                    "rules": [{
                        "key": experiment.key, "seed": experiment.salt, "hashAttribute": "id", "hashVersion": 2, "condition": condition,
                        "coverage": 1, "weights": weights, "meta": meta, "variations": variations,
                    }],
                }),
            );
        }
        let response =
            json!({"status": 200, "features": features, "dateUpdated": "2026-11-01T00:00:00.000Z"});
        response.to_string().into_bytes()
    }

    fn load(payload: &[u8]) -> GrowthBook {
        let response: GrowthBookResponse =
            serde_json::from_slice(payload).expect("the format is GrowthBook's");
        GrowthBook {
            forced_variations: None,
            features: response.features.expect("there are features"),
            attributes: None,
            sticky_bucket_service: None,
            saved_groups: Default::default(),
        }
    }

    fn user(user: &User) -> Self::User {
        let text = |name: &str, value: &str| {
            GrowthBookAttribute::new(
                name.to_owned(),
                GrowthBookAttributeValue::String(value.to_owned()),
            )
        };
        let attributes = user.attributes.iter().map(|(name, value)| text(name, value));
        Some(std::iter::once(text("id", &user.id)).chain(attributes).collect())
    }

    const ONE: Option<DecideOne<Self>> = Some(check);

    const ALL: &'static [(&'static str, DecideAll<Self>)] = &[("loop", |client, keys, user| {
        Some(keys.iter().filter(|key| check(client, key, user)).count())
    })];
}
