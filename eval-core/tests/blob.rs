//! The blob: what is refused, what is reported, and that nothing panics.

#![expect(
    clippy::unwrap_used,
    clippy::cast_possible_truncation,
    clippy::cast_possible_wrap,
    reason = "test code: a wrong assumption should stop the test"
)]

mod support;

use eval_core::blob::{self, DecodeError, FORMAT_VERSION, HEADER_BYTES};
use eval_core::source::*;
use eval_core::{CompileError, Context, Request, compile};
use support::random::{Rng, context, source};
use support::*;

fn sample() -> Vec<u8> {
    let mut rng = Rng(11);
    let mut source = source(&mut rng);
    source.sdk_keys.push(SdkKeySource { sha256: [3; 32], kind: KeyKind::Client });
    source.sdk_keys.push(SdkKeySource { sha256: [1; 32], kind: KeyKind::Server });
    blob::encode(&compile(&source).unwrap(), 42, 1_700_000_000_000)
}

#[test]
fn a_blob_says_what_it_is() {
    let bytes = sample();
    let (header, config) = blob::decode(&bytes).unwrap();
    assert_eq!(
        (header.generation, header.created_at_ms, header.format_version),
        (42, 1_700_000_000_000, FORMAT_VERSION)
    );
    assert_eq!(header.environment, "production-test0001");
    assert_eq!(header.body_len, bytes.len() - HEADER_BYTES);
    assert_eq!((config.project(), config.environment()), ("shop", "production-test0001"));
    assert_eq!(config.sdk_key(&[1; 32]), Some(KeyKind::Server));
    assert_eq!(config.sdk_key(&[3; 32]), Some(KeyKind::Client));
    assert_eq!(config.sdk_key(&[2; 32]), None);
}

#[test]
fn every_truncation_and_every_flipped_bit_is_refused() {
    let bytes = sample();
    for len in 0..bytes.len() {
        assert!(matches!(blob::decode(&bytes[..len]), Err(DecodeError::Truncated { .. })), "{len}");
    }
    let mut longer = bytes.clone();
    longer.push(0);
    assert_eq!(blob::decode(&longer).unwrap_err(), DecodeError::Trailing { surplus: 1 });
    for at in 0..bytes.len() {
        for bit in 0..8 {
            let mut damaged = bytes.clone();
            damaged[at] ^= 1 << bit;
            assert!(blob::decode(&damaged).is_err(), "byte {at} bit {bit}");
        }
    }
}

#[test]
fn other_formats_are_named() {
    let mut newer = sample();
    for found in [0, FORMAT_VERSION + 1] {
        newer[4..6].copy_from_slice(&found.to_le_bytes());
        assert_eq!(blob::decode(&newer).unwrap_err(), DecodeError::UnknownFormat { found });
    }
    assert_eq!(blob::decode(b"{\"json\":true}").unwrap_err(), DecodeError::Magic);
    assert!(matches!(blob::decode(b""), Err(DecodeError::Truncated { .. })));
}

#[test]
fn a_body_of_nonsense_never_panics_and_damaged_entries_are_inactive() {
    // Random damage under a right checksum: what a broken publisher could produce.
    let seed = std::env::var("SORTITION_TEST_SEED")
        .ok()
        .and_then(|text| text.parse().ok())
        .unwrap_or(20_261_121);
    println!("SORTITION_TEST_SEED={seed}");
    let mut rng = Rng(seed);
    let mut n_decoded = 0;
    for _ in 0..3000 {
        let source = source(&mut rng);
        let bytes = blob::encode(&compile(&source).unwrap(), 1, 1);
        let mut body = bytes[HEADER_BYTES..].to_vec();
        for _ in 0..=rng.below(4) {
            let at = rng.below(body.len());
            match rng.below(3) {
                0 => body[at] = rng.next() as u8,
                1 => body[at] ^= 1 << rng.below(8),
                _ => body.truncate(at.max(1)),
            }
        }
        let damaged = blob::frame(FORMAT_VERSION, &source.environment, 1, 1, &body);
        let Ok((_, config)) = blob::decode(&damaged) else { continue };
        n_decoded += 1;
        for _ in 0..5 {
            let context = context(&mut rng);
            let mut request =
                Request::new(&config, &context, Some(&LIST_KEY), rng.below(4000) as i64);
            let keys: Vec<String> = config.keys().map(str::to_owned).collect();
            for key in &keys {
                let decision = request.evaluate(key);
                assert!(!decision.enrolled() || decision.variant().is_some());
                let _ = request.explain(key);
            }
            request.evaluate_all(|_| {});
        }
    }
    assert!(n_decoded > 100, "{n_decoded}");
}

#[test]
fn an_empty_environment_has_a_blob_too() {
    let source = config();
    let bytes = blob::encode(&compile(&source).unwrap(), 1, 0);
    let (_, config) = blob::decode(&bytes).unwrap();
    let context = Context::new().unit("user_id", "u");
    assert_eq!(
        Request::new(&config, &context, None, 0).evaluate("x").reason().as_str(),
        "not_found"
    );
    assert_eq!(config.n_keys(), 0);
    assert!(!config.has_lists());
}

#[test]
fn compiling_names_what_is_wrong() {
    #[track_caller]
    fn refused(change: impl Fn(&mut ConfigSource), words: &[&str]) {
        let mut source = config();
        source.layers.push(layer("l"));
        source.experiments.push(experiment("e"));
        source.experiments.push(experiment("e2"));
        source.flags.push(flag("f"));
        source.flags.push(flag("g"));
        change(&mut source);
        let error = compile(&source).unwrap_err().to_string();
        for word in words {
            assert!(error.contains(word), "`{error}` lacks `{word}`");
        }
    }
    refused(|s| s.experiments[1].key = "e".into(), &["experiment `e`", "twice"]);
    refused(|s| s.experiments[1].flag_key = "e".into(), &["key `e`", "twice"]);
    refused(|s| s.experiments[0].flag_key = "f".into(), &["key `f`", "twice"]);
    refused(|s| s.experiments[0].layer = Some("x".into()), &["experiment `e`", "layer `x`"]);
    refused(|s| s.experiments[0].holdouts = vec!["x".into()], &["experiment `e`", "holdout `x`"]);
    refused(
        |s| s.experiments[0].targeting = Some(Condition::Segment("x".into())),
        &["experiment `e`", "segment `x`"],
    );
    refused(|s| s.experiments[0].salt = "a:b".into(), &["experiment `e`", "salt"]);
    refused(
        |s| s.experiments[0].salt = s.experiments[1].salt.clone(),
        &["`e`", "`e2`", "identical"],
    );
    refused(
        |s| s.experiments[0].variants[1].ranges[0].hi = 9999,
        &["experiment `e`", "9999 of 10000"],
    );
    refused(|s| s.experiments[0].variants[1].ranges[0].lo = 4999, &["10001 of 10000"]);
    refused(|s| s.experiments[0].control = 2, &["experiment `e`", "control"]);
    refused(|s| s.experiments[0].shipped = Some("x".into()), &["experiment `e`", "variant `x`"]);
    refused(
        |s| s.experiments[0].status = ExperimentStatus::Scheduled,
        &["experiment `e`", "start"],
    );
    refused(|s| s.flags[0].default_variant = "x".into(), &["flag `f`", "variant `x`"]);
    refused(
        |s| s.flags[0].rules = vec![rule("r", 1, Serve::Experiment("x".into()))],
        &["rule 0 of flag `f`", "experiment `x`"],
    );
    refused(
        |s| {
            for e in &mut s.experiments {
                e.layer = Some("l".into());
                e.ranges = vec![BucketRange { lo: 0, hi: 1 }];
            }
        },
        &["layer `l`", "bucket 0", "`e`", "`e2`"],
    );
    refused(
        |s| {
            s.flags[0].prerequisites.push(Prerequisite { flag: "g".into(), variant: "on".into() });
            s.flags[1].prerequisites.push(Prerequisite { flag: "f".into(), variant: "on".into() });
        },
        &["prerequisites", "f → g → f"],
    );
    refused(
        |s| {
            // A cycle through a rule that serves an experiment.
            s.flags[0].rules = vec![rule("r", 10_000, Serve::Experiment("e".into()))];
            s.experiments[0]
                .prerequisites
                .push(Prerequisite { flag: "f".into(), variant: "on".into() });
        },
        &["prerequisites", "back"],
    );
    refused(
        |s| {
            for (key, other) in [("a", "b"), ("b", "a")] {
                let condition = Some(Condition::Segment(other.into()));
                s.segments.push(SegmentSource {
                    key: key.into(),
                    unit_type: "user_id".into(),
                    condition,
                    include: vec![],
                    exclude: vec![],
                });
            }
        },
        &["segments", "a → b → a"],
    );
    refused(
        |s| {
            let mut condition = compare("a", "exists", vec![]);
            for _ in 0..40 {
                condition = Condition::Not(Box::new(condition));
            }
            s.experiments[0].targeting = Some(condition);
        },
        &["experiment `e`", "deep"],
    );
    refused(
        |s| {
            // Segments that double at every level: two to the thirtieth comparisons.
            let mut condition = compare("a", "exists", vec![]);
            for i in 0..30 {
                let key = format!("s{i:02}");
                s.segments.push(SegmentSource {
                    key: key.clone(),
                    unit_type: "user_id".into(),
                    condition: Some(condition),
                    include: vec![],
                    exclude: vec![],
                });
                let twice = Condition::Segment(key);
                condition = Condition::All(vec![twice.clone(), Condition::Not(Box::new(twice))]);
            }
            s.experiments[0].targeting = Some(condition);
        },
        &["comparisons"],
    );
}

#[test]
fn equal_salts_are_refused_whoever_uses_them() {
    let mut source = config();
    source.layers.push(layer("l"));
    let mut e = experiment("e");
    e.salt = source.layers[0].salt.clone();
    source.experiments.push(e);
    assert!(matches!(compile(&source), Err(CompileError::SaltCollision { .. })));
}
