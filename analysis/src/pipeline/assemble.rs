//! Sufficient statistics become a report.

use jiff::Timestamp;

use super::arm::Arms;
use super::compare::metric_report;
use super::correct::correct;
use super::days::DayCounts;
use super::questions::Questions;
use super::tally::{ExperimentTally, Tally};
use crate::methods::{srm, srm_breakdown};
use crate::plan::{Plan, PlannedExperiment, PlannedStatus};
use crate::recommendation::{Evidence, recommend};
use crate::report::{
    DayExposures, MetricReport, Planned, Report, ReportStatus, SrmReport, Warning,
};

/// One report for each experiment of the questions, in their order.
pub fn assemble(questions: &Questions, tally: &Tally, as_of: Timestamp) -> Vec<Report> {
    questions
        .experiments
        .iter()
        .zip(&tally.experiments)
        .map(|(question, found)| {
            let plan = &questions.plans()[question.plan];
            report(plan, questions.planned(question), found, tally.non_finite_values, as_of)
        })
        .collect()
}

fn report(
    plan: &Plan,
    experiment: &PlannedExperiment,
    found: &ExperimentTally,
    non_finite_values: u64,
    as_of: Timestamp,
) -> Report {
    let counts: Vec<u64> = found.variants.iter().map(|variant| variant.n).collect();
    let names = || experiment.variants.iter().map(|variant| variant.variant.clone());
    let mut warnings = Vec::new();
    let sample_reached = sample_reached(experiment, &counts);
    let planned = experiment.metrics.iter().enumerate();
    let arms: Vec<Arms<'_>> =
        planned.map(|(index, metric)| Arms::of(found, index, metric)).collect();
    let mut metrics: Vec<MetricReport> = arms
        .iter()
        .enumerate()
        .map(|(index, arms)| metric_report(experiment, index, found, arms, &mut warnings))
        .collect();
    correct(&mut metrics, &arms, experiment, &counts);
    let srm = srm_report(experiment, &counts, &found.days);
    warn_about_units(srm.as_ref(), found, non_finite_values, &counts, &mut warnings);
    let status = status(experiment, &counts, sample_reached, as_of);
    let recommendations = recommend(&Evidence {
        metrics: &metrics,
        srm: srm.as_ref(),
        warnings: &warnings,
        horizon_reached: status == ReportStatus::Ready,
        alpha: experiment.alpha,
    });
    Report {
        id: experiment.id.clone(),
        experiment_id: experiment.id.clone(),
        experiment: experiment.experiment.clone(),
        project: plan.project.clone(),
        environment: plan.environment.clone(),
        generation: plan.generation,
        as_of,
        status,
        phase: experiment.phase,
        generations: found.generations.iter().copied().collect(),
        alpha: experiment.alpha,
        exposures: names().zip(counts.iter().copied()).collect(),
        excluded_multiple_variants: found.excluded_multiple_variants,
        srm,
        metrics,
        warnings,
        recommendations,
        looks: Vec::new(),
        planned: Planned {
            alpha: experiment.alpha,
            power: experiment.power,
            min_detectable_effect: experiment.min_detectable_effect,
            mde_type: experiment.mde_type,
            required_units_per_variant: experiment.required_units_per_variant.clone(),
            planned_end_at: experiment.planned_end_at,
            phase_started_at: experiment.phase_started_at,
            sample_reached,
            group_sequential: experiment.group_sequential.clone(),
        },
    }
}

pub(super) fn warn(warnings: &mut Vec<Warning>, code: &str, detail: String) {
    warnings.push(Warning { code: code.to_owned(), detail });
}

/// Whether every variant has its planned units; false when no number was planned.
fn sample_reached(experiment: &PlannedExperiment, counts: &[u64]) -> bool {
    experiment.required_units_per_variant.as_ref().is_some_and(|required| {
        let reached = |name: &str, n: u64| required.get(name).is_none_or(|required| n >= *required);
        experiment.variants.iter().zip(counts).all(|(variant, n)| reached(&variant.variant, *n))
    })
}

fn status(
    experiment: &PlannedExperiment,
    counts: &[u64],
    sample_reached: bool,
    as_of: Timestamp,
) -> ReportStatus {
    let ended = experiment.status == PlannedStatus::Completed
        || experiment.planned_end_at.is_some_and(|end| end <= as_of);
    if counts.iter().all(|n| *n == 0) {
        ReportStatus::NoData
    } else if ended || sample_reached {
        ReportStatus::Ready
    } else {
        ReportStatus::Collecting
    }
}

fn srm_report(
    experiment: &PlannedExperiment,
    counts: &[u64],
    days: &DayCounts,
) -> Option<SrmReport> {
    if counts.iter().all(|n| *n == 0) {
        return None;
    }
    let weights: Vec<f64> =
        experiment.variants.iter().map(|variant| f64::from(variant.share)).collect();
    let fixed = srm::srm(counts, &weights).ok();
    let sequential = srm::srm_sequential(counts, &weights, srm::CONCENTRATION).ok();
    let expected = srm::expected(counts, &weights);
    let names = || experiment.variants.iter().map(|variant| variant.variant.clone());
    let rows: Vec<(i64, Vec<u64>)> =
        days.rows().map(|(day, counts)| (day, counts.to_vec())).collect();
    let by_day: Vec<Vec<u64>> = rows.iter().map(|(_, counts)| counts.clone()).collect();
    // The course over the days matters only where there is something to date.
    let onset = sequential
        .filter(|test| test.p_value < srm::ALERT)
        .and_then(|_| srm_breakdown::by_day(&by_day, &weights, srm::CONCENTRATION).ok());
    let date = |row: Option<usize>| rows.get(row?).map(|(day, _)| date(*day));
    Some(SrmReport {
        statistic: fixed.map(|test| test.statistic).filter(|statistic| statistic.is_finite()),
        p_value: fixed.map(|test| test.p_value),
        sequential_p_value: sequential.map(|test| test.p_value),
        running_p_value: None,
        passed: sequential.is_none_or(|test| test.p_value >= srm::ALERT),
        expected: names().zip(expected).filter(|(_, units)| units.is_finite()).collect(),
        detected_on: date(onset.as_ref().and_then(|onset| onset.detected)),
        onset_on: date(onset.as_ref().and_then(|onset| onset.onset)),
        days: rows
            .iter()
            .filter(|(_, counts)| counts.iter().any(|count| *count > 0))
            .map(|(day, counts)| DayExposures {
                day: self::date(*day),
                exposures: names().zip(counts.iter().copied()).collect(),
            })
            .collect(),
    })
}

/// A day since 1970 as `2026-11-20`.
fn date(day: i64) -> String {
    let start = day.saturating_mul(86_400);
    Timestamp::from_second(start).map_or_else(
        |_| day.to_string(),
        |start| start.to_zoned(jiff::tz::TimeZone::UTC).date().to_string(),
    )
}

fn warn_about_units(
    srm: Option<&SrmReport>,
    found: &ExperimentTally,
    non_finite_values: u64,
    counts: &[u64],
    warnings: &mut Vec<Warning>,
) {
    if srm.is_some_and(|srm| !srm.passed) {
        let detail = "the group sizes contradict the planned split: find the cause before believing \
                      any result";
        warn(warnings, "sample_ratio_mismatch", detail.to_owned());
    }
    let excluded = found.excluded_multiple_variants;
    let all = excluded + counts.iter().sum::<u64>();
    if excluded > 0 && excluded * 100 >= all {
        let detail = format!("{excluded} of {all} units were seen in more than one variant");
        warn(warnings, "multiple_variants", detail);
    }
    if found.unknown_variant_exposures > 0 {
        let detail = format!(
            "{} exposures name a variant that the plan does not know",
            found.unknown_variant_exposures
        );
        warn(warnings, "unknown_variant", detail);
    }
    if non_finite_values > 0 {
        let detail =
            format!("{non_finite_values} events of the project have a value that is no number");
        warn(warnings, "non_finite_values", detail);
    }
}
