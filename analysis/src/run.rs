//! The analysis process: cycles of plans → scan → reports → hand-in.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Instant;

use anyhow::Context;
use collector::lake::Lake;
use jiff::Timestamp;
use tokio_util::sync::CancellationToken;

use crate::pipeline::{Questions, assemble, load_plans, scan};
use crate::plan::Plan;
use crate::report::{Report, ReportBatch};
use crate::settings::Settings;
use crate::submit::Submitter;

/// Repeats cycles until cancelled. A cycle that fails is logged, and the next one tries again.
pub async fn run(settings: Settings, shutdown: CancellationToken) -> anyhow::Result<()> {
    let analysis = Analysis::open(&settings)?;
    let mut ticks = tokio::time::interval(settings.interval);
    // A cycle that took longer than the interval must not be followed by a burst.
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            () = shutdown.cancelled() => return Ok(()),
            _ = ticks.tick() => {}
        }
        let cycle = analysis.cycle(&settings, &shutdown);
        // The scan itself also watches the token; this covers waiting for the store or the API.
        let result = tokio::select! {
            () = shutdown.cancelled() => return Ok(()),
            result = cycle => result,
        };
        if let Err(error) = result {
            metrics::counter!("sortition_analysis_failures_total").increment(1);
            tracing::error!(error = format!("{error:#}"), "the analysis cycle failed");
        }
    }
}

/// One cycle: analyses every environment and hands the reports in, if there is a control plane to
/// take them.
pub async fn run_once(settings: &Settings) -> anyhow::Result<Vec<Report>> {
    Analysis::open(settings)?.cycle(settings, &CancellationToken::new()).await
}

/// Reports of one request: a thousand experiments with a dozen metrics are some 10 MB.
const BATCH_REPORTS: usize = 1000;

/// The reports of each environment, in batches that a control plane takes.
fn batches(plans: &[Plan], reports: &[Report], as_of: Timestamp) -> Vec<ReportBatch> {
    let mut batches = Vec::new();
    for plan in plans {
        let own: Vec<&Report> =
            reports.iter().filter(|report| report.environment == plan.environment).collect();
        batches.extend(own.chunks(BATCH_REPORTS).map(|reports| ReportBatch {
            environment: plan.environment.clone(),
            generation: plan.generation,
            as_of,
            reports: reports.iter().map(|report| (*report).clone()).collect(),
        }));
    }
    batches
}

/// What stays open between cycles.
struct Analysis {
    lake: Lake,
    submitter: Option<Submitter>,
}

impl Analysis {
    fn open(settings: &Settings) -> anyhow::Result<Self> {
        let lake = Lake::open(&settings.store).context("opening the store")?;
        let submitter = match &settings.control_plane {
            Some(url) => Some(Submitter::new(url, settings.token.clone())?),
            None => None,
        };
        Ok(Self { lake, submitter })
    }

    async fn cycle(
        &self,
        settings: &Settings,
        cancelled: &CancellationToken,
    ) -> anyhow::Result<Vec<Report>> {
        let started = Instant::now();
        let plans = load_plans(
            self.lake.store().as_ref(),
            settings.project.as_deref(),
            settings.environment.as_deref(),
        )
        .await?;
        let mut by_project: BTreeMap<String, Vec<Plan>> = BTreeMap::new();
        for plan in plans {
            by_project.entry(plan.project.clone()).or_default().push(plan);
        }
        let mut reports = Vec::new();
        let mut failed = 0_usize;
        for (project, plans) in by_project {
            match self.analyse(&project, plans, settings.threads, cancelled).await {
                Ok(batches) => {
                    reports.extend(batches.into_iter().flat_map(|batch| batch.reports));
                }
                // One project's damaged file must not take the results from the others.
                Err(error) => {
                    failed += 1;
                    tracing::error!(project, error = format!("{error:#}"), "analysis failed");
                }
            }
        }
        metrics::histogram!("sortition_analysis_cycle_seconds").record(started.elapsed());
        anyhow::ensure!(failed == 0, "{failed} projects could not be analysed");
        Ok(reports)
    }

    async fn analyse(
        &self,
        project: &str,
        plans: Vec<Plan>,
        threads: usize,
        cancelled: &CancellationToken,
    ) -> anyhow::Result<Vec<ReportBatch>> {
        let (started, as_of) = (Instant::now(), Timestamp::now());
        let questions = Arc::new(Questions::new(plans));
        if questions.is_empty() {
            return Ok(Vec::new());
        }
        let (tally, stats) =
            scan(&self.lake, project, Arc::clone(&questions), threads, cancelled).await?;
        let scanned = started.elapsed();
        let reports = assemble(&questions, &tally, as_of);
        let lag = Timestamp::from_microsecond(stats.max_received)
            .ok()
            .map(|newest| as_of.duration_since(newest).as_secs_f64());
        let batches = batches(questions.plans(), &reports, as_of);
        if let Some(submitter) = &self.submitter {
            for batch in &batches {
                submitter.submit(project, batch).await?;
            }
        }
        let project_label = project.to_owned();
        metrics::counter!("sortition_analysis_rows_total", "project" => project_label.clone())
            .increment(stats.rows);
        if let Some(lag) = lag {
            metrics::gauge!("sortition_analysis_lag_seconds", "project" => project_label).set(lag);
        }
        tracing::info!(
            project,
            experiments = questions.n_experiments(),
            lake = stats.lake,
            files = stats.files,
            rows = stats.rows,
            units = stats.units,
            lag_s = lag,
            scan_ms = scanned.as_secs_f64() * 1e3,
            duration_ms = started.elapsed().as_secs_f64() * 1e3,
            "analysed"
        );
        Ok(batches)
    }
}
