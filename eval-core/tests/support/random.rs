//! Random configs and contexts, from a seed.

#![expect(
    clippy::cast_possible_truncation,
    clippy::cast_possible_wrap,
    reason = "test code: a wrong assumption should stop the test"
)]

use super::*;
use eval_core::{AttributeValue, Context};

/// `SplitMix64` (Steele, Lea, Flood 2014): small, and the same everywhere.
pub(crate) struct Rng(pub(crate) u64);

impl Rng {
    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    pub(crate) fn below(&mut self, n: usize) -> usize {
        (self.next() % n as u64) as usize
    }

    pub(crate) fn chance(&mut self, percent: usize) -> bool {
        self.below(100) < percent
    }

    pub(crate) fn pick<T: Copy>(&mut self, items: &[T]) -> T {
        items[self.below(items.len())]
    }
}

const COUNTRIES: [&str; 6] = ["US", "CA", "DE", "FR", "JP", "BR"];
const UNIT_TYPES: [&str; 2] = ["user_id", "anonymous_id"];

fn condition(rng: &mut Rng, depth: usize, segments: &[String]) -> Condition {
    let below = depth + 1;
    match rng.below(if depth > 2 { 4 } else { 8 }) {
        0 => compare("country", rng.pick(&["in", "not_in", "eq"]), {
            (0..=rng.below(3)).map(|_| text(rng.pick(&COUNTRIES))).collect()
        }),
        1 => compare("age", rng.pick(&["lt", "gte"]), vec![Literal::Number(rng.below(60) as f64)]),
        2 => compare("page", "starts_with", vec![text("/checkout")]),
        3 if !segments.is_empty() => {
            Condition::Segment(segments[rng.below(segments.len())].clone())
        }
        3 => compare("country", "exists", vec![]),
        4 | 5 => {
            Condition::All((0..=rng.below(3)).map(|_| condition(rng, below, segments)).collect())
        }
        6 => Condition::Any((0..=rng.below(3)).map(|_| condition(rng, below, segments)).collect()),
        _ => Condition::Not(Box::new(condition(rng, below, segments))),
    }
}

fn cut(rng: &mut Rng, n: usize) -> Vec<u16> {
    let mut cuts: Vec<u16> = (0..n - 1).map(|_| rng.below(10_001) as u16).collect();
    cuts.sort_unstable();
    cuts.push(10_000);
    cuts
}

/// A config in which everything occurs that evaluation knows.
pub(crate) fn source(rng: &mut Rng) -> ConfigSource {
    let mut source = config();
    source.requires_consent = rng.chance(20);
    for i in 0..rng.below(3) {
        let size = rng.below(2000) as u16;
        source.holdouts.push(HoldoutSource {
            unit_type: (rng.pick(&UNIT_TYPES)).into(),
            ..holdout(&format!("h{i}"), size)
        });
    }
    let mut keys: Vec<String> = Vec::new();
    for i in 0..rng.below(4) {
        let condition = rng.chance(80).then(|| condition(rng, 0, &keys));
        let ids =
            |rng: &mut Rng| (0..rng.below(4)).map(|_| format!("u{}", rng.below(50))).collect();
        keys.push(format!("s{i}"));
        let (include, exclude) = (ids(rng), ids(rng));
        source.segments.push(SegmentSource {
            key: keys[i].clone(),
            unit_type: "user_id".into(),
            condition,
            include,
            exclude,
        });
    }
    for i in 0..rng.below(3) {
        let domain = if rng.chance(50) {
            BucketRange::ALL
        } else {
            BucketRange { lo: 0, hi: 1 + rng.below(10_000) as u16 }
        };
        let unit_type = (rng.pick(&UNIT_TYPES)).into();
        source.layers.push(LayerSource { domain, unit_type, ..layer(&format!("l{i}")) });
    }
    // Every layer is cut into stretches that are dealt to experiments.
    let n_experiments = 1 + rng.below(8);
    for i in 0..n_experiments {
        let mut e = experiment(&format!("e{i}"));
        e.status = rng.pick(&[
            ExperimentStatus::Running,
            ExperimentStatus::Running,
            ExperimentStatus::Running,
            ExperimentStatus::Scheduled,
            ExperimentStatus::Paused,
            ExperimentStatus::Completed,
        ]);
        if e.status == ExperimentStatus::Scheduled || rng.chance(20) {
            e.starts_at = Some(rng.below(2000) as i64);
        }
        if rng.chance(20) {
            e.ends_at = Some(1000 + rng.below(2000) as i64);
        }
        let names = ["control", "a", "b", "c"];
        let n = 2 + rng.below(3);
        let cuts = cut(rng, n);
        let mut lo = 0;
        e.variants = (0..n)
            .map(|v| {
                let range = BucketRange { lo, hi: cuts[v] };
                lo = cuts[v];
                VariantSource {
                    key: names[v].into(),
                    value: format!("{{\"n\":{v}}}"),
                    ranges: vec![range],
                }
            })
            .collect();
        e.control = rng.below(n);
        e.shipped = rng.chance(50).then(|| names[rng.below(n)].to_owned());
        e.sticky = rng.chance(20);
        e.frozen = rng.chance(10);
        e.pause_behaviour = rng.pick(&[PauseBehaviour::Control, PauseBehaviour::KeepServing]);
        e.unit_type = (rng.pick(&UNIT_TYPES)).into();
        if rng.chance(10) {
            e.switchback =
                Some(SwitchbackSource { cluster: "region".into(), anchor_ms: 5, period_ms: 300 });
        }
        if rng.chance(60) {
            e.targeting = Some(condition(rng, 0, &keys));
        }
        for _ in 0..rng.below(3) {
            e.overrides.insert(format!("u{}", rng.below(50)), names[rng.below(n)].into());
        }
        e.holdouts = source
            .holdouts
            .iter()
            .filter(|h| h.unit_type == e.unit_type)
            .map(|h| h.key.clone())
            .filter(|_| rng.chance(40))
            .collect();
        if rng.chance(50) {
            let hi = 1 + rng.below(10_000) as u16;
            e.ranges = vec![BucketRange { lo: 0, hi }];
        }
        source.experiments.push(e);
    }
    for layer in source.layers.clone() {
        let mut members: Vec<usize> = (0..n_experiments)
            .filter(|&i| {
                source.experiments[i].layer.is_none()
                    && source.experiments[i].unit_type == layer.unit_type
            })
            .filter(|_| rng.chance(60))
            .collect();
        members.truncate(3);
        let cuts = cut(rng, 7);
        for &i in &members {
            source.experiments[i].layer = Some(layer.key.clone());
            source.experiments[i].ranges.clear();
        }
        if !members.is_empty() {
            for pair in cuts.windows(2) {
                if rng.chance(80) {
                    let i = rng.pick(&members);
                    source.experiments[i].ranges.push(BucketRange { lo: pair[0], hi: pair[1] });
                }
            }
        }
    }
    for i in 0..rng.below(5) {
        let mut f = flag(&format!("f{i}"));
        f.enabled = rng.chance(85);
        f.default_variant = (rng.pick(&["on", "off"])).into();
        f.unit_type = (rng.pick(&UNIT_TYPES)).into();
        f.holdouts =
            source.holdouts.iter().map(|h| h.key.clone()).filter(|_| rng.chance(20)).collect();
        for _ in 0..rng.below(3) {
            f.targets.insert(format!("u{}", rng.below(50)), (rng.pick(&["on", "off"])).into());
        }
        if i > 0 && rng.chance(40) {
            f.prerequisites
                .push(Prerequisite { flag: format!("f{}", rng.below(i)), variant: "on".into() });
        }
        for r in 0..rng.below(4) {
            let serve = match rng.below(3) {
                0 => Serve::Variant("on".into()),
                1 => Serve::Split(vec![
                    SplitPart {
                        variant: "off".into(),
                        ranges: vec![BucketRange { lo: 0, hi: 3333 }],
                    },
                    SplitPart {
                        variant: "on".into(),
                        ranges: vec![BucketRange { lo: 3333, hi: 10_000 }],
                    },
                ]),
                _ => Serve::Experiment(format!("e{}", rng.below(n_experiments))),
            };
            let mut rule = rule(&format!("f{i}/{r}"), rng.pick(&[10_000, 5000, 100]), serve);
            rule.condition = rng.chance(50).then(|| condition(rng, 0, &keys));
            f.rules.push(rule);
        }
        source.flags.push(f);
    }
    // Flags without rules of experiments gate some experiments: no cycles.
    if let Some(gate) = source.flags.iter().find(|f| {
        f.prerequisites.is_empty()
            && f.rules.iter().all(|r| !matches!(r.serve, Serve::Experiment(_)))
    }) {
        let gate = gate.key.clone();
        for e in &mut source.experiments {
            if rng.chance(20) {
                e.prerequisites.push(Prerequisite { flag: gate.clone(), variant: "on".into() });
            }
        }
    }
    source
}

pub(crate) fn context(rng: &mut Rng) -> Context<'static> {
    let mut context = Context::new();
    if rng.chance(90) {
        context = context.unit("user_id", format!("u{}", rng.below(50)));
    }
    if rng.chance(80) {
        context = context.unit("anonymous_id", format!("anon-{}", rng.next()));
    }
    if rng.chance(50) {
        context = context.attribute("region", rng.pick(&["eu", "us"]));
    }
    if rng.chance(80) {
        context = context.attribute("consent", rng.chance(90));
    }
    if rng.chance(80) {
        let country: AttributeValue<'static> =
            if rng.chance(95) { (rng.pick(&COUNTRIES)).into() } else { 1.0.into() };
        context = context.attribute("country", country);
    }
    if rng.chance(70) {
        context = context.attribute("age", rng.below(80) as f64);
    }
    if rng.chance(60) {
        context = context.attribute("page", rng.pick(&["/", "/checkout/cart", "/about"]));
    }
    for _ in 0..rng.below(3) {
        context =
            context.prior(format!("e{}", rng.below(8)), rng.pick(&["control", "a", "b", "gone"]));
    }
    context
}
