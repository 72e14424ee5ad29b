//! The statistics keep what they claim: the checks of `docs/calibration.md`.

use analysis::calibration::{Effort, SEED, calibrate, markdown};

fn assert_all_hold(effort: Effort) {
    let threads = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let sections = calibrate(effort, SEED, threads, &|_| {});
    let document = markdown(&sections, SEED, "this test");
    let outside: Vec<String> = sections
        .iter()
        .flat_map(|section| &section.checks)
        .filter(|check| !check.holds())
        .map(|check| format!("{}: {} in {:?}", check.what, check.measured, check.band))
        .collect();
    assert!(outside.is_empty(), "{document}\n{outside:#?}");
    assert!(sections.iter().all(|section| !section.checks.is_empty()));
}

#[test]
fn a_twentieth_of_the_checks_runs_holds() {
    assert_all_hold(Effort::Quick);
}

#[test]
#[ignore = "minutes of simulations"]
fn every_check_holds() {
    assert_all_hold(Effort::Full);
}
