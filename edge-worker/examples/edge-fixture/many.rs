//! Configs as large as those of big users, for benchmarks: experiments with three variants of about 60 bytes and two or three conditions,
//! and flags with a rule.

use eval_core::source::{
    BucketRange, Condition, ConfigSource, ExperimentSource, ExperimentStatus, FlagSource, Literal,
    RuleSource, Serve, VariantSource,
};

use crate::source;

const COUNTRIES: [&str; 10] = ["US", "CA", "GB", "DE", "FR", "BR", "IN", "JP", "AU", "MX"];
const PLATFORMS: [&str; 3] = ["web", "ios", "android"];
const PLANS: [&str; 4] = ["pro", "free", "team", "trial"];
const WORDS: [&str; 12] = [
    "checkout", "pricing", "search", "banner", "upsell", "ranking", "feed", "invite", "coupon",
    "billing", "tooltip", "layout",
];

/// Numbers that are the same in every run (`SplitMix64`).
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, n: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        usize::try_from((z ^ (z >> 31)) >> 33).unwrap_or(0) % n
    }

    fn pick(&mut self, from: &[&'static str]) -> &'static str {
        from[self.below(from.len())]
    }

    fn salt(&mut self) -> String {
        (0..15).map(|_| char::from(b"abcdefghijklmnopqrstuvwxyz234567"[self.below(32)])).collect()
    }

    fn some(&mut self, attribute: &str, from: &[&'static str], n: usize) -> Condition {
        let start = self.below(from.len());
        let values = from.iter().cycle().skip(start).take(n);
        Condition::Compare {
            attribute: attribute.to_owned(),
            op: "in".to_owned(),
            values: values.map(|value| Literal::String((*value).to_owned())).collect(),
        }
    }

    fn variant(&mut self, key: &str, lo: u16, hi: u16) -> VariantSource {
        let title = [self.pick(&WORDS), self.pick(&WORDS), self.pick(&WORDS)].join(" ");
        let (color, size) = (self.below(1 << 24), 8 + self.below(56));
        VariantSource {
            key: key.to_owned(),
            value: format!(r##"{{"title":"{title}","color":"#{color:06x}","size":{size}}}"##),
            ranges: vec![BucketRange { lo, hi }],
        }
    }

    fn experiment(&mut self, n: usize) -> ExperimentSource {
        let key = format!("{}-{}-{n:05}", self.pick(&WORDS), self.pick(&WORDS));
        let (n_countries, n_platforms) = (2 + self.below(6), 1 + self.below(2));
        let mut parts = vec![
            self.some("country", &COUNTRIES, n_countries),
            self.some("platform", &PLATFORMS, n_platforms),
        ];
        if self.below(2) == 0 {
            parts.push(self.some("plan", &PLANS, 1));
        }
        ExperimentSource {
            salt: self.salt(),
            own_layer_salt: Some(self.salt()),
            targeting: Some(Condition::All(parts)),
            variants: vec![
                self.variant("control", 0, 5000),
                self.variant("treatment_a", 5000, 7500),
                self.variant("treatment_b", 7500, 10_000),
            ],
            ..source::experiment(&key, "user_id", ExperimentStatus::Running)
        }
    }

    fn flag(&mut self, n: usize) -> FlagSource {
        let key = format!("flag-{}-{n:05}", self.pick(&WORDS));
        let n_countries = 2 + self.below(6);
        let rule = RuleSource {
            salt: self.salt(),
            condition: Some(self.some("country", &COUNTRIES, n_countries)),
            rollout: 5000,
            serve: Serve::Variant("on".to_owned()),
        };
        FlagSource {
            salt: self.salt(),
            rules: vec![rule],
            ..source::flag(&key, &[("on", "true"), ("off", "false")])
        }
    }
}

/// So many experiments and flags.
pub(crate) fn source(n_experiments: usize, n_flags: usize) -> ConfigSource {
    let mut numbers = Numbers(42);
    ConfigSource {
        environment: source::ENVIRONMENT.to_owned(),
        project: "default".to_owned(),
        domain_salt: "domaindomain234".to_owned(),
        sdk_keys: source::sdk_keys(),
        experiments: (0..n_experiments).map(|n| numbers.experiment(n)).collect(),
        flags: (0..n_flags).map(|n| numbers.flag(n)).collect(),
        ..ConfigSource::default()
    }
}
