//! Flagsmith's engine (md5). It decides whole environments only, and holds the identity inside of the environment.

use crate::model::{User, Work};
use crate::peer::{DecideAll, DecideOne, Peer};
use flagsmith_flag_engine::engine::get_evaluation_result;
use flagsmith_flag_engine::engine_eval::context::{EngineEvaluationContext, IdentityContext};
use flagsmith_flag_engine::engine_eval::environment_to_context;
use flagsmith_flag_engine::environments::Environment;
use flagsmith_flag_engine::types::{FlagsmithValue, FlagsmithValueType};
use serde_json::{Value, json};
use std::cell::RefCell;
use std::hint::black_box;

pub(crate) struct Flagsmith;

impl Peer for Flagsmith {
    const NAME: &'static str = "flagsmith-flag-engine 0.7.0";
    type Config<'p> = RefCell<EngineEvaluationContext>;
    type User = IdentityContext;

    fn payload(work: &Work) -> Vec<u8> {
        let mut states = Vec::new();
        let mut segments = Vec::new();
        for (at, experiment) in work.experiments.iter().enumerate() {
            let feature = json!({"id": at + 1, "name": experiment.key, "type": "MULTIVARIATE"});
            let uuid = |n: usize| format!("{n:08x}-0000-4000-a000-{at:012x}");
            states.push(json!({
                "feature": feature, "enabled": false, "django_id": null, "featurestate_uuid": uuid(0), "feature_state_value": null,
                "multivariate_feature_state_values": [],
            }));
            let [control, others @ ..] = experiment.variants.as_slice() else {
                panic!("experiments have variants")
            };
            let multivariate: Vec<Value> = others
                .iter()
                .enumerate()
                .map(|(k, v)| {
                    let id = at * others.len() + k + 1;
                    json!({
                        "id": id, "mv_fs_value_uuid": uuid(k + 1), "percentage_allocation": f64::from(v.weight) / 100.0,
                        "multivariate_feature_option": {"id": id, "key": v.key, "value": v.value},
                    })
                })
                .collect();
            let conditions: Vec<Value> = experiment
                .conditions
                .iter()
                .map(|(name, values)| json!({"operator": "IN", "property_": name, "value": values.join(",")}))
                .collect();
            segments.push(json!({
                "id": at + 1, "name": format!("{}-audience", experiment.key),
                "rules": [{"type": "ALL", "rules": [], "conditions": conditions}],
                "feature_states": [{
                    "feature": feature, "enabled": true, "django_id": null, "featurestate_uuid": experiment.salt,
                    "feature_segment": {"priority": 0}, "feature_state_value": control.value,
                    "multivariate_feature_state_values": multivariate,
                }],
            }));
        }
        let organisation = json!({
            "id": 1, "name": "o", "feature_analytics": false, "stop_serving_flags": false, "persist_trait_data": false,
        });
        let project = json!({
            "id": 1, "name": "p", "hide_disabled_flags": false, "organisation": organisation, "segments": segments,
        });
        let environment = json!({
            "id": 1, "api_key": "ser.k", "name": "prod", "project": project, "feature_states": states, "identity_overrides": [],
        });
        environment.to_string().into_bytes()
    }

    fn load(payload: &[u8]) -> Self::Config<'_> {
        let environment: Environment =
            serde_json::from_slice(payload).expect("the format is Flagsmith's");
        RefCell::new(environment_to_context(environment))
    }

    fn user(user: &User) -> IdentityContext {
        let value = |text: &str| FlagsmithValue {
            value_type: FlagsmithValueType::String,
            value: text.to_owned(),
        };
        let traits = user.attributes.iter().map(|(name, text)| (name.clone(), value(text)));
        IdentityContext {
            identifier: user.id.clone(),
            key: user.id.clone(),
            traits: traits.collect(),
        }
    }

    const ONE: Option<DecideOne<Self>> = None;

    const ALL: &'static [(&'static str, DecideAll<Self>)] =
        &[("get_evaluation_result", |context, _, user| {
            let mut context = context.borrow_mut();
            context.identity = Some(user.clone());
            let result = get_evaluation_result(&context);
            Some(black_box(&result).flags.values().filter(|flag| flag.enabled).count())
        })];
}
