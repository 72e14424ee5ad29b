//! Reports of the analysis: the latest of each experiment, and when it looked.

use analysis::report::{Look, Report};
use jiff::Timestamp;

use super::db::Tx;

/// Looks that are read back, newest kept.
const LOOKS_SHOWN: i64 = 100;

/// Keeps a report unless a newer one is there, and the look if it saw something new. Answers whether
/// it was kept.
pub async fn record_report(
    tx: &mut Tx,
    report: &Report,
    look: &Look,
    now: Timestamp,
) -> anyhow::Result<bool> {
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
    if last.is_none_or(|last| last.exposures != look.exposures) {
        tx.execute(
            "INSERT INTO report_looks (experiment_id, as_of, look) VALUES ($1, $2, $3)
             ON CONFLICT (experiment_id, as_of) DO NOTHING",
            [
                (&report.id).into(),
                look.as_of.as_millisecond().into(),
                serde_json::to_string(look)?.into(),
            ],
        )
        .await?;
    }
    Ok(true)
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
