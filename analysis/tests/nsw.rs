//! A real randomised experiment through the pipeline: the National Supported Work demonstration.
//!
//! Dehejia & Wahba's (1999) subset of `LaLonde`'s (1986) data, 185 treated and 260 controls; published
//! difference in mean 1978 earnings: 1 794 dollars.

mod support;

use analysis::report::{Comparison, Report};
use analysis::{Settings, run_once};
use serde_json::json;
use support::{DAY, LakeWriter, Row, What, unit_hash};

async fn report() -> Report {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/data/nsw.csv");
    let text = std::fs::read_to_string(path).expect("the data are in the repository");
    let (mut exposures, mut earnings) = (Vec::new(), Vec::new());
    for (unit, line) in (0_u64..).zip(text.lines().skip(1).filter(|line| !line.is_empty())) {
        let fields: Vec<&str> = line.split(',').collect();
        let (treated, re78) = (fields[1] == "1", fields[10].parse::<f64>().expect("earnings"));
        let row = |what, ts| Row {
            event_id: u128::from(unit),
            env: "production-nswnswns".into(),
            unit_type: "user_id".into(),
            unit_hash: unit_hash("user_id", unit),
            ts,
            received: ts,
            what,
        };
        let variant = if treated { "training" } else { "control" }.into();
        let exposure = What::Exposure { experiment: "nsw".into(), variant, generation: Some(1) };
        exposures.push(row(exposure, DAY));
        if re78 > 0.0 {
            let what = What::Metric { name: "earnings_1978".into(), value: Some(re78) };
            earnings.push(row(what, DAY + 1));
        }
    }
    let folder = tempfile::tempdir().expect("a folder");
    let mut lake = LakeWriter::new(folder.path(), "nsw");
    lake.write_fresh(&mut exposures);
    lake.write_fresh(&mut earnings);
    lake.commit();
    let plan = json!({
        "project": "nsw", "environment": "production-nswnswns", "generation": 1,
        "created_at": "2026-11-20T00:00:00Z",
        "experiments": [{
            "id": "nsw", "experiment": "nsw", "status": "completed", "unit_type": "user_id",
            "alpha": 0.05, "power": 0.8,
            "variants": [{"variant": "control", "share": 5843}, {"variant": "training", "share": 4157}],
            "metrics": [
                {"metric": "earnings", "role": "primary", "kind": "mean", "event": "earnings_1978"},
                {"metric": "employed", "kind": "proportion", "event": "earnings_1978"},
            ],
        }],
    });
    lake.publish(&serde_json::from_value(plan).expect("a plan"));
    let settings = Settings { store: lake.url(), ..Settings::default() };
    run_once(&settings).await.expect("a report").remove(0)
}

fn comparison(report: &Report, metric: usize) -> &Comparison {
    report.metrics[metric].variants[1].comparison.as_ref().expect("a treatment")
}

#[tokio::test(flavor = "multi_thread")]
async fn training_raised_earnings_by_1794_dollars() {
    let report = report().await;
    assert_eq!(report.exposures["control"], 260);
    assert_eq!(report.exposures["training"], 185);
    assert!(report.srm.as_ref().expect("units").passed);
    // scipy 1.17: ttest_ind(re78[treat == 1], re78[treat == 0], equal_var=False).
    let earnings = comparison(&report, 0);
    let near = |got: Option<f64>, expected: f64, tolerance: f64| {
        let got = got.expect("a number");
        assert!((got - expected).abs() < tolerance, "{got} {expected}");
    };
    near(earnings.effect, 1_794.342_404, 1e-4);
    near(earnings.p_value, 0.007_892_978, 1e-8);
    near(earnings.p_adjusted, 0.007_892_978, 1e-8);
    let employed = comparison(&report, 1);
    near(employed.effect, 140.0 / 185.0 - 168.0 / 260.0, 1e-12);
    near(report.metrics[1].variants[0].value, 0.6462, 5e-5);
    near(report.metrics[1].variants[1].value, 0.7568, 5e-5);
}
