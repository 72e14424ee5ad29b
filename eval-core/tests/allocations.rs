//! Deciding asks for no memory.
//!
//! The only test of its program: the counters see every thread.

#[path = "support/counting.rs"]
mod counting;
mod support;

use counting::{Counting, measure};
use eval_core::source::{BucketRange, Condition, Literal};
use eval_core::{Context, Request, blob, compile};
use support::{LIST_KEY, compare, config, experiment, flag, layer, rule, text};

#[global_allocator]
static ALLOC: Counting = Counting;

#[test]
fn a_decision_and_all_that_it_says_allocate_nothing() {
    let mut source = config();
    source.layers.push(layer("l"));
    let mut e = experiment("e");
    e.layer = Some("l".into());
    e.ranges = vec![BucketRange { lo: 0, hi: 10_000 }];
    e.variants = support::variants(&[("control", 5000), ("a", 2500), ("b", 2500)]);
    e.overrides.insert("listed".into(), "b".into());
    e.targeting = Some(Condition::All(vec![
        compare("country", "in", vec![text("US"), text("CA")]),
        compare("platform", "in", vec![text("web"), text("ios")]),
        compare("age", "gte", vec![Literal::Number(18.0)]),
    ]));
    source.experiments.push(e);
    let mut f = flag("f");
    f.rules.push(rule("f/0", 5000, eval_core::source::Serve::Variant("on".into())));
    source.flags.push(f);
    let bytes = blob::encode(&compile(&source).unwrap(), 1, 1);
    let (_, config) = blob::decode(&bytes).unwrap();
    for (country, id) in [("US", "u-1"), ("BR", "u-2"), ("CA", "listed")] {
        let context = Context::new()
            .unit("user_id", id)
            .attribute("country", country)
            .attribute("platform", "web")
            .attribute("age", 33.0);
        let (said, memory) = measure(|| {
            let mut request = Request::new(&config, &context, Some(&LIST_KEY), 0);
            let mut said = 0;
            for key in ["e", "f", "nothing"] {
                let decision = request.evaluate(key);
                said += decision.key().len()
                    + decision.variant().map_or(0, str::len)
                    + decision.value().map_or(0, str::len)
                    + decision.reason().as_str().len()
                    + decision.exposure().map_or(0, |exposure| exposure.layer.len());
            }
            said
        });
        assert!(said > 0);
        assert_eq!(memory.n_allocations, 0, "{id}");
    }
    let (_, memory) = measure(|| vec![0u8; 64]);
    assert_eq!((memory.n_allocations, memory.peak_bytes), (1, 64), "the counters count");
}
