//! What a reader may see of a report, and when.

use std::collections::BTreeMap;

use analysis::planned_looks::judge;
use analysis::recommendation::{Evidence, recommend};
use analysis::report::{
    Look, MetricReport, Planned, Recommendation, Report, ReportStatus, SrmReport, Verdict, Warning,
};
use jiff::Timestamp;
use serde::Serialize;
use utoipa::ToSchema;

use crate::definition::{ExperimentDefinition, LifecycleStatus, schema};
use crate::store::Versioned;

/// The answer of the results endpoint.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub struct Results {
    /// Experiment id.
    pub id: String,
    /// Experiment name.
    pub experiment: String,
    /// When the computation began; null before the first one.
    #[schema(value_type = Option<schema::Time>)]
    pub as_of: Option<Timestamp>,
    /// Whether there is something to decide on.
    pub status: ReportStatus,
    /// Phase that the numbers are about.
    pub phase: u32,
    /// Config generations seen in the counted exposures, rising.
    pub generations: Vec<u64>,
    /// Two-sided significance level.
    pub alpha: f64,
    /// Units by variant.
    pub exposures: BTreeMap<String, u64>,
    /// Units seen in more than one variant, and therefore left out.
    pub excluded_multiple_variants: u64,
    /// Sample-ratio check; null when no unit was exposed.
    pub srm: Option<SrmReport>,
    /// One entry for each metric.
    pub metrics: Vec<MetricReport>,
    /// What a reader must know before believing the rest.
    pub warnings: Vec<Warning>,
    /// What to do with each treatment, with the conditions met and unmet.
    pub recommendations: Vec<Recommendation>,
    /// Earlier analyses in which something was new, oldest first.
    pub looks: Vec<Look>,
    /// What was planned; null before the first report.
    pub planned: Option<Planned>,
}

/// The results of an experiment from its latest report. Fixed-horizon p-values and verdicts are
/// withheld before the horizon, unless the reader insists on peeking.
pub fn results(
    experiment: &Versioned<ExperimentDefinition>,
    report: Option<Report>,
    looks: Vec<Look>,
    peek: bool,
) -> Results {
    let Some(report) = report else { return nothing_yet(experiment, looks) };
    let reached = horizon_is_reached(experiment.state.status, &report);
    let mut warnings = report.warnings;
    let mut metrics = report.metrics;
    let mut srm = report.srm;
    if let Some(look) = looks.last().filter(|look| look.phase == report.phase) {
        for metric in &mut metrics {
            fill_running(metric, look);
            fill_looks(metric, look, &report.planned);
        }
        if let Some(srm) = &mut srm {
            srm.running_p_value = look.srm_running_p_value;
        }
    }
    // Before what is withheld is taken out: the rules look at it only once the horizon is reached.
    let recommendations = recommend(&Evidence {
        metrics: &metrics,
        srm: srm.as_ref(),
        warnings: &warnings,
        horizon_reached: reached,
        alpha: report.alpha,
    });
    if !reached && peek {
        warnings.push(warning(
            "peeking",
            "fixed-horizon p-values are shown before the planned sample or duration is reached; \
             deciding by them finds differences that are not there",
        ));
    } else if !reached {
        metrics.iter_mut().for_each(withhold);
    }
    let phase = experiment.state.phase();
    if report.phase < phase {
        let detail =
            format!("the numbers are about phase {}; phase {phase} has begun since", report.phase);
        warnings.push(warning("older_phase", &detail));
    }
    Results {
        id: experiment.id.clone(),
        experiment: experiment.definition.name.clone(),
        as_of: Some(report.as_of),
        status: match report.status {
            ReportStatus::NoData => ReportStatus::NoData,
            _ if reached => ReportStatus::Ready,
            _ => ReportStatus::Collecting,
        },
        phase: report.phase,
        generations: report.generations,
        alpha: report.alpha,
        exposures: report.exposures,
        excluded_multiple_variants: report.excluded_multiple_variants,
        srm,
        metrics,
        warnings,
        recommendations,
        looks,
        planned: Some(report.planned),
    }
}

/// Whether the planned sample or duration is reached, or the experiment is over.
fn horizon_is_reached(status: LifecycleStatus, report: &Report) -> bool {
    let over = matches!(status, LifecycleStatus::Completed | LifecycleStatus::Archived);
    let planned = &report.planned;
    over || planned.sample_reached || planned.planned_end_at.is_some_and(|end| end <= report.as_of)
}

/// Fills in the smallest always-valid p-value of all looks.
fn fill_running(metric: &mut MetricReport, look: &Look) {
    let Some(least) = look.running_p_values.get(&metric.metric) else { return };
    for variant in &mut metric.variants {
        let sequential = variant.comparison.as_mut().and_then(|c| c.sequential.as_mut());
        if let Some(sequential) = sequential {
            sequential.running_p_value = least.get(&variant.variant).copied();
        }
    }
}

/// Fills in what the planned looks have found.
fn fill_looks(metric: &mut MetricReport, look: &Look, planned: &Planned) {
    let Some(plan) = &planned.group_sequential else { return };
    let taken = look.group_sequential.get(&metric.metric);
    for variant in &mut metric.variants {
        let state = variant.comparison.as_mut().and_then(|c| c.group_sequential.as_mut());
        if let Some(state) = state {
            let taken = taken.and_then(|taken| taken.get(&variant.variant)).cloned();
            judge(state, plan, planned.power, metric.direction, taken.unwrap_or_default());
        }
    }
}

/// Takes out what is only right at the horizon. Always-valid values stay.
fn withhold(metric: &mut MetricReport) {
    for comparison in metric.variants.iter_mut().filter_map(|variant| variant.comparison.as_mut()) {
        comparison.p_value = None;
        comparison.p_adjusted = None;
        comparison.ci_adjusted = None;
        comparison.lift_ci_adjusted = None;
        if let Some(cuped) = &mut comparison.cuped {
            cuped.p_value = None;
        }
        if let Some(state) = &mut comparison.group_sequential {
            state.statistic = None;
        }
        comparison.verdict = Verdict::Collecting;
    }
}

fn nothing_yet(experiment: &Versioned<ExperimentDefinition>, looks: Vec<Look>) -> Results {
    let definition = &experiment.definition;
    Results {
        id: experiment.id.clone(),
        experiment: definition.name.clone(),
        as_of: None,
        status: ReportStatus::NoData,
        phase: experiment.state.phase().max(1),
        generations: Vec::new(),
        alpha: definition.significance_level,
        exposures: definition.variants.iter().map(|variant| (variant.name.clone(), 0)).collect(),
        excluded_multiple_variants: 0,
        srm: None,
        metrics: Vec::new(),
        warnings: vec![warning("not_analysed", "no analysis has reported on it yet")],
        recommendations: Vec::new(),
        looks,
        planned: None,
    }
}

fn warning(code: &str, detail: &str) -> Warning {
    Warning { code: code.to_owned(), detail: detail.to_owned() }
}
