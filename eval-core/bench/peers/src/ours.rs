//! Sortition. All of an answer is read, which others have read when they answer.

use crate::model::{User, Work};
use crate::peer::{DecideAll, DecideOne, Peer};
use eval_core::{CompiledConfig, Context, Decision, Request, blob, compile};
use std::hint::black_box;

pub(crate) struct Sortition;

fn read(decision: &Decision<'_>) -> bool {
    black_box(&decision.variant());
    black_box(&decision.value_bytes());
    black_box(&decision.reason());
    black_box(&decision.exposure());
    decision.enrolled()
}

impl Peer for Sortition {
    const NAME: &'static str = "sortition";
    type Config<'p> = CompiledConfig<'p>;
    type User = Context<'static>;

    fn payload(work: &Work) -> Vec<u8> {
        blob::encode(&compile(&work.source).expect("the model compiles"), 1, 1)
    }

    fn load(payload: &[u8]) -> CompiledConfig<'_> {
        blob::decode(payload).expect("the blob is whole").1
    }

    fn user(user: &User) -> Context<'static> {
        let context = Context::new().unit("user_id", user.id.clone());
        user.attributes
            .iter()
            .fold(context, |context, (name, value)| context.attribute(name.clone(), value.clone()))
    }

    const ONE: Option<DecideOne<Self>> =
        Some(|config, key, context| read(&Request::new(config, context, None, 0).evaluate(key)));

    const ALL: &'static [(&'static str, DecideAll<Self>)] =
        &[("evaluate_all", |config, _, context| {
            let mut n_in = 0;
            Request::new(config, context, None, 0)
                .evaluate_all(|decision| n_in += usize::from(read(decision)));
            Some(n_in)
        })];
}
