//! Journeys of visitors through changing experiments: nobody flips within a cookie jar.
//!
//! A journey is one browser: it visits without an account, logs in as one of two people, logs out, and comes back, while the
//! experiments are ramped up and down, their weights change, and enrolment is frozen. Every step goes through the whole service:
//! request, cookie, evaluator, answer.

use std::collections::BTreeMap;

use crate::common::{ask, parsed, post, sent_back, service, settings};
use crate::source;
use edge_worker::service::{Service, ServiceConfig};
use eval_core::source::{BucketRange, ConfigSource, ExperimentSource};
use serde_json::{Value, json};

/// Name, unit type, whether it is sticky.
const EXPERIMENTS: [(&str, &str, bool); 6] = [
    ("banner", "anonymous_id", true),
    ("closing", "anonymous_id", true),
    ("ramp", "anonymous_id", false),
    ("checkout", "user_id", true),
    ("pricing", "account_id", true),
    ("app", "device_id", true),
];

/// For each generation: traffic and weight of the treatment of sticky experiments in buckets, traffic of the plain ramp, whether
/// enrolment is frozen.
const TIMELINE: [(u16, u16, u16, bool); 6] = [
    (1000, 5000, 1000, false),
    (5000, 1000, 2500, false),
    (10_000, 9000, 5000, false),
    (3000, 2000, 10_000, false),
    (2000, 5000, 10_000, true),
    (10_000, 0, 10_000, true),
];

fn config(generation: usize) -> ConfigSource {
    let (traffic, weight, ramp, frozen) = TIMELINE[generation];
    let mut source = source::source(1);
    let template =
        source.experiments.iter().find(|e| e.key == "visitors").expect("it is there").clone();
    source.experiments = EXPERIMENTS
        .iter()
        .map(|&(name, unit_type, sticky)| {
            let mut variants = template.variants.clone();
            let weight = if sticky { weight } else { 5000 };
            variants[0].ranges = vec![BucketRange { lo: weight, hi: 10_000 }];
            variants[1].ranges = vec![BucketRange { lo: 0, hi: weight }];
            for variant in &mut variants {
                variant.ranges.retain(|range| range.lo < range.hi);
            }
            ExperimentSource {
                key: name.to_owned(),
                flag_key: name.to_owned(),
                salt: format!("{name}-split"),
                own_layer_salt: Some(format!("{name}-layer")),
                unit_type: unit_type.to_owned(),
                ranges: vec![BucketRange { lo: 0, hi: if sticky { traffic } else { ramp } }],
                sticky,
                frozen: frozen && sticky,
                variants,
                ..template.clone()
            }
        })
        .collect();
    source.flags.clear();
    source
}

/// `SplitMix64`: enough for a simulation, and repeatable.
struct Dice(u64);

impl Dice {
    fn below(&mut self, n: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % n
    }
}

#[derive(Default)]
struct Tally {
    enrolments: u64,
    decisions: u64,
    flips: u64,
    largest_cookie: usize,
}

/// One browser, from its first visit to its last.
fn journey(
    services: &[Service],
    number: u64,
    dice: &mut Dice,
    keeps_cookie: bool,
    tally: &mut Tally,
) {
    let device = format!("d-{number}");
    let own_id = format!("a-{number}");
    let mut jar: Option<String> = None;
    let mut user: Option<String> = None;
    let mut enrolled: BTreeMap<(&str, String), Value> = BTreeMap::new();
    let mut generation = usize::try_from(dice.below(4)).expect("small");
    for _ in 0..8 + dice.below(8) {
        match dice.below(6) {
            0 | 1 => user = Some(format!("u-{number}-{}", dice.below(2))),
            2 => user = None,
            3 => generation = (generation + 1).min(services.len() - 1),
            _ => {}
        }
        let mut units = json!({"device_id": device});
        if let Some(user) = &user {
            units["user_id"] = json!(user);
            units["account_id"] = json!(format!("of-{user}"));
        }
        if !keeps_cookie {
            units["anonymous_id"] = json!(own_id);
        }
        let mut body = json!({"units": units, "exposure": "none", "cookie": keeps_cookie});
        if dice.below(2) == 0 {
            body["keys"] = json!(EXPERIMENTS.map(|(name, ..)| name));
        }
        let body = body.to_string();
        let mut request = post("/v1/evaluate", body.as_bytes());
        request.headers.cookie = jar.as_deref();
        let answer = ask(&services[generation], &request);
        if let Some(set) = answer.header("set-cookie") {
            tally.largest_cookie = tally.largest_cookie.max(set.len());
            jar = Some(sent_back(set));
        }
        let answer = parsed(&answer);
        let anonymous = answer["anonymous_id"].as_str().unwrap_or(&own_id).to_owned();
        for (name, unit_type, _) in EXPERIMENTS {
            let unit = match unit_type {
                "anonymous_id" => Some(anonymous.clone()),
                "device_id" => Some(device.clone()),
                _ => user.clone(),
            };
            let Some(unit) = unit else { continue };
            let decision = &answer["decisions"][name];
            tally.decisions += 1;
            let is_enrolled = decision["enrolled"] == true;
            if let Some(before) = enrolled.get(&(name, unit.clone())) {
                tally.flips += u64::from(!is_enrolled || decision["variant"] != *before);
            } else if is_enrolled {
                tally.enrolments += 1;
                enrolled.insert((name, unit), decision["variant"].clone());
            }
        }
    }
}

fn simulate(n_journeys: u64, seed: u64, keeps_cookie: bool) -> Tally {
    let services: Vec<Service> = (0..TIMELINE.len())
        .map(|generation| {
            let seed = [u8::try_from(generation).expect("few"); 32];
            let settings = ServiceConfig { has_collector: false, seed, ..settings() };
            service(settings, &config(generation), generation as u64 + 1)
        })
        .collect();
    let mut tally = Tally::default();
    for number in 0..n_journeys {
        let mut dice = Dice(seed ^ number.wrapping_mul(0x2545_f491_4f6c_dd1d));
        journey(&services, number, &mut dice, keeps_cookie, &mut tally);
    }
    tally
}

fn nobody_flips(n_journeys: u64, seed: u64) -> String {
    let with = simulate(n_journeys, seed, true);
    assert_eq!(with.flips, 0, "seed {seed}");
    assert!(with.enrolments > n_journeys && with.largest_cookie <= 1024);
    let without = simulate(n_journeys.min(1000), seed, false);
    assert!(without.flips > 0, "the journeys would flip without the cookie, or they test nothing");
    format!(
        "{n_journeys} journeys, seed {seed}: {} decisions, {} enrolments, {} flips, largest cookie {} bytes; without cookie, of {}: {} flips",
        with.decisions,
        with.enrolments,
        with.flips,
        with.largest_cookie,
        n_journeys.min(1000),
        without.flips
    )
}

#[test]
fn nobody_flips_in_a_cookie_jar() {
    println!("{}", nobody_flips(400, 20_261_120));
}

#[test]
#[ignore = "slow: 100 000 journeys"]
fn nobody_flips_in_100_000_cookie_jars() {
    println!("{}", nobody_flips(100_000, 20_261_121));
}
