//! Reports of the analysis: the latest of each experiment, and when it looked.

use analysis::planned_looks::due_look;
use analysis::report::{Look, Report};
use jiff::Timestamp;

use super::db::Tx;

/// Looks that are read back, newest kept.
const LOOKS_SHOWN: i64 = 100;

/// Keeps a report unless a newer one is there, and a look if it saw something new. Answers whether it
/// was kept.
pub async fn record_report(tx: &mut Tx, report: &Report, now: Timestamp) -> anyhow::Result<bool> {
    let kept = tx
        .execute(
            "INSERT INTO reports (experiment_id, environment_id, generation, as_of, received_at, report)
             VALUES ($1, $2, $3, $4, $5, $6)
             ON CONFLICT (experiment_id) DO UPDATE SET environment_id = excluded.environment_id,
                 generation = excluded.generation, as_of = excluded.as_of,
                 received_at = excluded.received_at, report = excluded.report
             WHERE reports.as_of <= excluded.as_of",
            [
                (&report.id).into(),
                (&report.environment).into(),
                i64::try_from(report.generation)?.into(),
                report.as_of.as_millisecond().into(),
                now.as_millisecond().into(),
                serde_json::to_string(report)?.into(),
            ],
        )
        .await?
        > 0;
    if !kept {
        return Ok(false);
    }
    let last = list_looks(tx, &report.id).await?.pop();
    let look = look_of(report, last.as_ref());
    if last.is_none_or(|last| is_new(&last, &look)) {
        tx.execute(
            "INSERT INTO report_looks (experiment_id, as_of, look) VALUES ($1, $2, $3)
             ON CONFLICT (experiment_id, as_of) DO NOTHING",
            [
                (&report.id).into(),
                look.as_of.as_millisecond().into(),
                serde_json::to_string(&look)?.into(),
            ],
        )
        .await?;
    }
    Ok(true)
}

/// The look that a report is, after the last one.
///
/// Always-valid p-values hold at every look at once, so their running minimum is one as well. It
/// depends on when one looked and cannot be recomputed from the data: it is kept here, and begins
/// anew with each phase. So is what a planned look found, which is taken once.
fn look_of(report: &Report, last: Option<&Look>) -> Look {
    let before = last.filter(|last| last.phase == report.phase);
    let mut running_p_values = before.map(|look| look.running_p_values.clone()).unwrap_or_default();
    for metric in &report.metrics {
        for variant in &metric.variants {
            let sequential = variant.comparison.as_ref().and_then(|c| c.sequential.as_ref());
            let decides = sequential.filter(|sequential| sequential.gate.is_none());
            let Some(p) = decides.and_then(|sequential| sequential.p_value) else { continue };
            let of_metric = running_p_values.entry(metric.metric.clone()).or_default();
            let least = of_metric.entry(variant.variant.clone()).or_insert(p);
            *least = least.min(p);
        }
    }
    let srm = report.srm.as_ref().and_then(|srm| srm.sequential_p_value);
    let mut group_sequential = before.map(|look| look.group_sequential.clone()).unwrap_or_default();
    for metric in &report.metrics {
        for variant in &metric.variants {
            let Some(comparison) = &variant.comparison else { continue };
            let taken =
                group_sequential.get(&metric.metric).and_then(|own| own.get(&variant.variant));
            let taken = taken.and_then(|looks| looks.last()).map_or(0, |look| look.planned);
            let Some(look) = due_look(comparison, taken, report.as_of) else { continue };
            let of_metric = group_sequential.entry(metric.metric.clone()).or_default();
            of_metric.entry(variant.variant.clone()).or_default().push(look);
        }
    }
    let least_srm = [before.and_then(|look| look.srm_running_p_value), srm];
    Look {
        as_of: report.as_of,
        generation: report.generation,
        exposures: report.exposures.clone(),
        phase: report.phase,
        running_p_values,
        srm_running_p_value: least_srm.into_iter().flatten().reduce(f64::min),
        group_sequential,
    }
}

/// Whether a look saw what the last one had not seen.
fn is_new(last: &Look, look: &Look) -> bool {
    last.exposures != look.exposures
        || last.phase != look.phase
        || last.running_p_values != look.running_p_values
        || last.srm_running_p_value != look.srm_running_p_value
        || last.group_sequential != look.group_sequential
}

/// The latest report of an experiment.
pub async fn find_report(tx: &mut Tx, experiment_id: &str) -> anyhow::Result<Option<Report>> {
    let row = tx
        .fetch_optional(
            "SELECT report FROM reports WHERE experiment_id = $1",
            [experiment_id.into()],
        )
        .await?;
    row.map(|row| Ok(serde_json::from_str(&row.text("report")?)?)).transpose()
}

/// The latest report of each experiment of an environment, newest first.
pub async fn list_latest(
    tx: &mut Tx,
    environment_id: &str,
    limit: i64,
) -> anyhow::Result<Vec<Report>> {
    let rows = tx
        .fetch_all(
            "SELECT report FROM reports WHERE environment_id = $1 \
             ORDER BY as_of DESC, experiment_id LIMIT $2",
            [environment_id.into(), limit.into()],
        )
        .await?;
    rows.iter().map(|row| Ok(serde_json::from_str(&row.text("report")?)?)).collect()
}

/// The newest looks at an experiment, oldest first.
pub async fn list_looks(tx: &mut Tx, experiment_id: &str) -> anyhow::Result<Vec<Look>> {
    let rows = tx
        .fetch_all(
            "SELECT look FROM report_looks WHERE experiment_id = $1 ORDER BY as_of DESC LIMIT $2",
            [experiment_id.into(), LOOKS_SHOWN.into()],
        )
        .await?;
    let looks = rows.iter().rev().map(|row| Ok(serde_json::from_str(&row.text("look")?)?));
    looks.collect()
}
