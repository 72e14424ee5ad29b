//! Handing in reports and reading results.

use analysis::report::Report;
use axum::Json;
use axum::extract::{Request, State};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::{IntoParams, ToSchema};

use super::results::{Results, results};
use crate::access::Role;
use crate::definition::{ExperimentDefinition, schema};
use crate::error::{ApiError, ProblemDocument, Problems};
use crate::http::body::{self, read_limited};
use crate::http::query::refuse_query;
use crate::http::{Caller, InEnvironment, PathKey, Query};
use crate::state::AppState;
use crate::store::{Tx, environments, reports, resource};

/// Largest batch of reports in bytes; some 10 000 experiments with a dozen metrics.
pub(crate) const MAX_BATCH_BYTES: usize = 64 * 1024 * 1024;

/// Reports of one environment, as of one time.
#[derive(Clone, Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ReportsBody {
    /// Environment id.
    #[schema(min_length = 1, max_length = 128)]
    pub(crate) environment: String,
    /// Generation of the plan that was followed.
    #[schema(minimum = 0)]
    pub(crate) generation: u64,
    /// When the computation began.
    #[schema(value_type = schema::Time)]
    pub(crate) as_of: Timestamp,
    /// One report for each experiment, in the shape of the results endpoint with every value filled.
    #[schema(value_type = Vec<Object>, max_items = 100_000)]
    pub(crate) reports: Vec<Value>,
}

/// What became of a batch of reports.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, ToSchema)]
pub(crate) struct ReportsAnswer {
    /// Reports that are kept now.
    pub(crate) accepted: usize,
    /// Reports that are not.
    pub(crate) skipped: Vec<SkippedReport>,
}

/// A report that was not kept.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub(crate) struct SkippedReport {
    /// Its place in the batch, from 0.
    pub(crate) index: usize,
    /// `unknown_experiment` or `older_than_kept`.
    pub(crate) code: String,
    /// The same as a sentence.
    pub(crate) detail: String,
}

/// Takes the reports of an analysis. Reports of experiments that are not in the environment are named
/// in the answer; the others are kept.
#[utoipa::path(post, path = "/reports", tag = "results", request_body = ReportsBody,
    responses((status = 200, body = ReportsAnswer), (status = "4XX", body = ProblemDocument)))]
pub(crate) async fn post_reports(
    State(state): State<AppState>,
    caller: Caller,
    request: Request,
) -> Result<Json<ReportsAnswer>, ApiError> {
    refuse_query(request.uri())?;
    caller.refuse_dry_run()?;
    body::require_json(request.headers(), &["application/json"])?;
    let limit_bytes = MAX_BATCH_BYTES.max(state.settings.body_limit_bytes);
    let bytes = read_limited(request.into_body(), limit_bytes).await?;
    let (parsed, problems) = body::check::<ReportsBody>(body::parse(&bytes)?);
    problems.into_result()?;
    let batch = parsed.ok_or_else(|| ApiError::invalid("", "invalid_value", "is no batch"))?;
    let read = read_reports(&batch)?;

    let mut tx = state.db.write().await?;
    check_reach(&mut tx, &caller, &batch.environment).await?;
    let now = Timestamp::now();
    let mut answer = ReportsAnswer::default();
    for (index, report) in read.iter().enumerate() {
        match keep(&mut tx, &batch.environment, report, now).await? {
            None => answer.accepted += 1,
            Some((code, detail)) => {
                answer.skipped.push(SkippedReport { index, code: code.to_owned(), detail });
            }
        }
    }
    tx.commit().await?;
    tracing::info!(
        environment = batch.environment,
        generation = batch.generation,
        as_of = %batch.as_of,
        n_accepted = answer.accepted,
        n_skipped = answer.skipped.len(),
        "reports"
    );
    Ok(Json(answer))
}

/// The reports of a batch; an error names every one that cannot be read and the member that is wrong.
fn read_reports(batch: &ReportsBody) -> Result<Vec<Report>, ApiError> {
    let mut problems = Problems::default();
    let mut read = Vec::with_capacity(batch.reports.len());
    for (index, report) in batch.reports.iter().enumerate() {
        match serde_path_to_error::deserialize::<_, Report>(report) {
            Ok(report) if report.environment != batch.environment => {
                let detail = "is not the batch's environment";
                problems.push(format!("/reports/{index}/environment"), "mismatch", detail);
            }
            Ok(report) => read.push(report),
            Err(error) => {
                let pointer = format!("/reports/{index}{}", body::pointer_of(error.path()));
                problems.push(pointer, "invalid_value", error.inner().to_string());
            }
        }
    }
    problems.into_result().map(|()| read)
}

/// The environment must exist, in the reach of the caller's token.
async fn check_reach(tx: &mut Tx, caller: &Caller, environment_id: &str) -> Result<(), ApiError> {
    let project = if environment_id.contains('\0') {
        None
    } else {
        environments::project_of(tx, environment_id).await?
    };
    let whole_or_own = caller.environment_id.as_deref().is_none_or(|own| own == environment_id);
    let reached = project.is_some_and(|project| {
        let admin = caller.reach_as(Role::Admin).includes(&project);
        (admin || caller.reach_as(Role::Data).includes(&project)) && whole_or_own
    });
    if reached {
        return Ok(());
    }
    Err(ApiError::invalid("/environment", "unknown", "there is no such environment"))
}

/// Keeps a report, or says why not.
async fn keep(
    tx: &mut Tx,
    environment_id: &str,
    report: &Report,
    now: Timestamp,
) -> Result<Option<(&'static str, String)>, ApiError> {
    let found = resource::find::<ExperimentDefinition>(tx, environment_id, &report.id).await?;
    if found.is_none_or(|experiment| experiment.id != report.id) {
        let detail = format!("there is no experiment `{}` in this environment", report.id);
        return Ok(Some(("unknown_experiment", detail)));
    }
    if reports::record_report(tx, report, now).await? {
        Ok(None)
    } else {
        Ok(Some(("older_than_kept", "a newer report of it is kept already".to_owned())))
    }
}

/// How results are read.
#[derive(Clone, Copy, Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct ResultsQuery {
    /// Show fixed-horizon p-values and verdicts before the horizon, with a warning.
    #[serde(default)]
    peek: bool,
}

/// Answers the results of an experiment: effects and intervals from its first exposures on, p-values
/// and verdicts once its planned sample or duration is reached or it is completed.
#[utoipa::path(get, path = "/experiments/{id}/results", tag = "results", params(ResultsQuery),
    responses((status = 200, body = Results), (status = "4XX", body = ProblemDocument)))]
pub(crate) async fn get_results(
    State(state): State<AppState>,
    scope: InEnvironment,
    PathKey(id): PathKey,
    Query(query): Query<ResultsQuery>,
) -> Result<Json<Results>, ApiError> {
    let mut tx = state.db.read().await?;
    let experiment =
        resource::load::<ExperimentDefinition>(&mut tx, &scope.environment_id, &id).await?;
    let report = reports::find_report(&mut tx, &experiment.id).await?;
    let looks = reports::list_looks(&mut tx, &experiment.id).await?;
    Ok(Json(results(&experiment, report, looks, query.peek)))
}
