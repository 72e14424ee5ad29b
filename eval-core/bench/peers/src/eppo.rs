//! Eppo's core (md5). Its single call reads the clock; an assignment comes with its event.

use crate::model::{User, Work};
use crate::peer::{DecideAll, DecideOne, Peer};
use eppo_core::configuration_store::ConfigurationStore;
use eppo_core::eval::{Evaluator, EvaluatorConfig};
use eppo_core::ufc::UniversalFlagConfig;
use eppo_core::{AttributeValue, Attributes, Configuration, ContextAttributes, SdkMetadata, Str};
use serde_json::{Map, Value, json};
use std::hint::black_box;
use std::sync::Arc;

pub(crate) struct Eppo;

const SDK: SdkMetadata = SdkMetadata { name: "bench", version: "0" };

pub(crate) struct Subject {
    key: Str,
    attributes: Arc<Attributes>,
    context: Arc<ContextAttributes>,
}

fn assign(evaluator: &Evaluator, key: &str, subject: &Subject) -> bool {
    let assignment = evaluator
        .get_assignment(key, &subject.key, &subject.attributes, None)
        .expect("the flag is sound");
    black_box(&assignment).is_some()
}

impl Peer for Eppo {
    const NAME: &'static str = "eppo_core 10.0.0";
    type Config<'p> = Evaluator;
    type User = Subject;

    fn payload(work: &Work) -> Vec<u8> {
        let mut flags = Map::new();
        for experiment in &work.experiments {
            let variations: Map<String, Value> = experiment
                .variants
                .iter()
                .map(|v| (v.key.clone(), json!({"key": v.key, "value": v.value})))
                .collect();
            let mut start = 0;
            let splits: Vec<Value> = experiment
                .variants
                .iter()
                .map(|variant| {
                    let range = json!({"start": start, "end": start + variant.weight});
                    start += variant.weight;
                    json!({"variationKey": variant.key, "shards": [{"salt": experiment.salt, "ranges": [range]}]})
                })
                .collect();
            let conditions: Vec<Value> = experiment
                .conditions
                .iter()
                .map(|(name, values)| json!({"attribute": name, "operator": "ONE_OF", "value": values}))
                .collect();
            flags.insert(
                experiment.key.clone(),
                json!({
                    "key": experiment.key, "enabled": true, "variationType": "JSON", "variations": variations, "totalShards": 10_000,
                    "allocations": [{"key": "exp", "rules": [{"conditions": conditions}], "splits": splits, "doLog": true}],
                }),
            );
        }
        let config = json!({
            "createdAt": "2026-11-01T00:00:00.000Z", "format": "SERVER", "environment": {"name": "prod"}, "flags": flags, "bandits": {},
        });
        config.to_string().into_bytes()
    }

    fn load(payload: &[u8]) -> Evaluator {
        let flags =
            UniversalFlagConfig::from_json(SDK, payload.to_vec()).expect("the format is Eppo's");
        let store = Arc::new(ConfigurationStore::new());
        store.set_configuration(Arc::new(Configuration::from_server_response(flags, None)));
        Evaluator::new(EvaluatorConfig { configuration_store: store, sdk_metadata: SDK })
    }

    fn user(user: &User) -> Subject {
        let attributes: Attributes = user
            .attributes
            .iter()
            .map(|(name, value)| (Str::new(name), AttributeValue::from(value.as_str())))
            .collect();
        let context: ContextAttributes = attributes.clone().into();
        Subject { key: Str::new(&user.id), attributes: attributes.into(), context: context.into() }
    }

    const ONE: Option<DecideOne<Self>> = Some(assign);

    const ALL: &'static [(&'static str, DecideAll<Self>)] = &[
        ("loop", |evaluator, keys, subject| {
            Some(keys.iter().filter(|key| assign(evaluator, key, subject)).count())
        }),
        ("get_precomputed_configuration", |evaluator, _, subject| {
            black_box(evaluator.get_precomputed_configuration(
                &subject.key,
                &subject.context,
                &Default::default(),
            ));
            None
        }),
    ];
}
