//! What was decided about an experiment: one record that nobody can change, with the results that it rests on and
//! the approvals of others.

use super::change::Change;
use super::transitions::{Move, carry_out, require_variant};
use crate::definition::{ExperimentDefinition, LifecycleStatus, schema};
use crate::error::{ApiError, ProblemDocument, Problems, Warning};
use crate::http::auth::ActorKind;
use crate::http::{Body, EmptyBody, IfMatch, InEnvironment, NoQuery, PathKey};
use crate::reports::results::{Results, results};
use crate::state::AppState;
use crate::store::approvals::{self, ApprovalRow, Subject};
use crate::store::decisions::{self, DecisionRow};
use crate::store::{Tx, Versioned, reports, resource};
use analysis::report::ReportStatus;
use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use utoipa::ToSchema;

/// What is decided.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum DecisionKind {
    /// A variant goes to everyone.
    Ship,
    /// Another experiment is to follow; control for everyone meanwhile.
    Iterate,
    /// The idea is given up: control for everyone.
    Kill,
    /// The data do not tell.
    Inconclusive,
    /// The data cannot be trusted.
    Invalid,
}

/// What is decided, and why.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewDecision {
    /// What is decided.
    #[serde(rename = "decision")]
    kind: DecisionKind,
    /// Variant to ship; for `ship` alone.
    #[serde(default)]
    #[schema(value_type = Option<schema::Name>)]
    variant: Option<String>,
    /// Why.
    #[schema(min_length = 1, max_length = 4000)]
    reason: String,
    /// Codes of warnings that are accepted.
    #[serde(default)]
    #[schema(max_items = 100)]
    acknowledge: Vec<String>,
}

/// A decision about an experiment.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub(crate) struct Decision {
    /// Id of the experiment.
    experiment_id: String,
    /// Its name.
    experiment: String,
    /// What was decided.
    #[serde(rename = "decision")]
    kind: DecisionKind,
    /// Variant that was shipped.
    variant: Option<String>,
    /// Why.
    reason: String,
    /// Who decided.
    author: String,
    /// When.
    #[schema(value_type = schema::Time)]
    decided_at: Timestamp,
    /// Version of the experiment that the decision was about.
    version: i64,
    /// Warnings that the author accepted.
    acknowledged: Vec<String>,
    /// The results as every reader saw them at that time.
    #[schema(value_type = Results)]
    results: Value,
    /// Who agreed, each in person.
    #[serde(default)]
    approvals: Vec<Approval>,
}

/// Somebody agrees.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub(crate) struct Approval {
    /// E-mail address.
    approver: String,
    /// When.
    #[schema(value_type = schema::Time)]
    approved_at: Timestamp,
    /// Why.
    comment: Option<String>,
}

/// Decides about an experiment that has started, once: records the decision with the results, and ends the
/// experiment. `ship` serves the variant to everyone, all others the control; of an experiment that is completed
/// already, `iterate`, `inconclusive` and `invalid` leave what it serves as it is.
#[utoipa::path(post, path = "/experiments/{id}/decision", tag = "experiments", request_body = NewDecision,
    params(IfMatch),
    responses((status = 201, body = Decision), (status = "4XX", body = ProblemDocument)))]
pub(crate) async fn decide_experiment(
    State(state): State<AppState>,
    scope: InEnvironment,
    PathKey(id): PathKey,
    condition: IfMatch,
    body: Body<NewDecision>,
) -> Result<Response, ApiError> {
    let (request, mut problems) = body.partial()?;
    check(&request, &mut problems);
    problems.into_result()?;
    let mut change = Change::in_environment(&state, &scope).await?;
    let before: Versioned<ExperimentDefinition> =
        resource::load(&mut change.tx, &scope.environment_id, &id).await?;
    condition.check(&before)?;
    require_decidable(&before)?;
    require_variant(&before.definition, request.variant.as_deref(), "/variant")?;
    let report = reports::find_report(&mut change.tx, &before.id).await?;
    let looks = reports::list_looks(&mut change.tx, &before.id).await?;
    let seen = results(&before, report, looks, false);
    let raised = if request.kind == DecisionKind::Ship { doubts(&seen) } else { Vec::new() };
    let acknowledged = raised.iter().map(|warning| warning.code.clone()).collect();
    change.require_acknowledged(raised, &request.acknowledge)?;
    let caller = &scope.caller;
    let decision = Decision {
        experiment_id: before.id.clone(),
        experiment: before.definition.name.clone(),
        kind: request.kind,
        variant: request.variant,
        reason: request.reason,
        author: caller.author.clone(),
        decided_at: change.now,
        version: before.version,
        acknowledged,
        results: serde_json::to_value(seen).map_err(|e| ApiError::Internal(e.into()))?,
        approvals: Vec::new(),
    };
    let record = serde_json::to_string(&decision).map_err(|e| ApiError::Internal(e.into()))?;
    let row = DecisionRow {
        experiment_id: before.id.clone(),
        at: change.now,
        actor_kind: caller.kind.as_str().to_owned(),
        actor_id: caller.id.clone(),
        record,
    };
    if !decisions::insert(&mut change.tx, &row).await? {
        let detail = "it was decided about this experiment before; a decision is made once";
        return Err(ApiError::conflict("already_decided", detail));
    }
    if let Some(to) = ending(&before, &decision) {
        carry_out(&mut change, &before, to).await?;
    }
    let image = json!({
        "decision": decision.kind, "variant": decision.variant, "reason": decision.reason,
        "record_sha256": hex::encode(Sha256::digest(row.record.as_bytes())),
    });
    let name = (&*before.id, &*before.definition.name);
    change.note_values("decision", name, None, "decided", None, Some(image)).await?;
    change.commit().await?;
    Ok((StatusCode::CREATED, Json(decision)).into_response())
}

fn check(request: &NewDecision, problems: &mut Problems) {
    match (request.kind, &request.variant) {
        (DecisionKind::Ship, None) => {
            problems.push("/variant", "required", "what is to be shipped?");
        }
        (DecisionKind::Ship, Some(_)) | (_, None) => {}
        (_, Some(_)) => problems.push("/variant", "not_applicable", "only `ship` names one"),
    }
}

fn require_decidable(experiment: &Versioned<ExperimentDefinition>) -> Result<(), ApiError> {
    let status = experiment.state.status;
    if experiment.state.started_at.is_some() && status != LifecycleStatus::Archived {
        return Ok(());
    }
    let detail = format!(
        "it is decided about experiments that have started and are not archived; this one is {}",
        status.as_str()
    );
    Err(ApiError::conflict("not_decidable", detail))
}

/// What is doubtful about shipping on such results.
fn doubts(results: &Results) -> Vec<Warning> {
    let mut warnings = Vec::new();
    let mut warn = |code: &str, detail: &str| {
        warnings.push(Warning { code: code.to_owned(), detail: detail.to_owned() });
    };
    match results.status {
        ReportStatus::NoData => warn("no_results", "no unit's result is known"),
        ReportStatus::Collecting => {
            warn("horizon_not_reached", "neither the planned sample nor the duration is reached");
        }
        ReportStatus::Ready => {}
    }
    if results.srm.as_ref().is_some_and(|srm| !srm.passed) {
        warn("srm_failed", "the group sizes do not fit the split: effects may be artefacts");
    }
    warnings
}

/// What a decision does to its experiment.
fn ending(before: &Versioned<ExperimentDefinition>, decision: &Decision) -> Option<Move> {
    let completed = before.state.status == LifecycleStatus::Completed;
    match (decision.kind, &decision.variant) {
        (DecisionKind::Ship, Some(variant)) => Some(Move::Ship { variant: variant.clone() }),
        (DecisionKind::Kill, _) if completed => Some(Move::Unship),
        _ if completed => None,
        _ => Some(Move::Complete { ship: None }),
    }
}

/// Answers the decision about an experiment.
#[utoipa::path(get, path = "/experiments/{id}/decision", tag = "experiments",
    responses((status = 200, body = Decision), (status = "4XX", body = ProblemDocument)))]
pub(crate) async fn get_decision(
    State(state): State<AppState>,
    scope: InEnvironment,
    PathKey(id): PathKey,
    _: NoQuery,
) -> Result<Json<Decision>, ApiError> {
    let mut tx = state.db.read().await?;
    let (decision, _) = load(&mut tx, &scope, &id).await?;
    Ok(Json(decision))
}

async fn load(
    tx: &mut Tx,
    scope: &InEnvironment,
    id: &str,
) -> Result<(Decision, DecisionRow), ApiError> {
    let experiment: Versioned<ExperimentDefinition> =
        resource::load(tx, &scope.environment_id, id).await?;
    let row = decisions::find(tx, &experiment.id).await?;
    let row = row.ok_or_else(|| ApiError::not_found("decision about experiment", id))?;
    let mut decision: Decision =
        serde_json::from_str(&row.record).map_err(|e| ApiError::Internal(e.into()))?;
    let approvals = approvals::approvals(tx, Subject::Decision(&experiment.id)).await?;
    decision.approvals = approvals
        .into_iter()
        .map(|ApprovalRow { approver, at, comment, .. }| Approval {
            approver,
            approved_at: at,
            comment,
        })
        .collect();
    Ok((decision, row))
}

/// Agrees with a decision, in person: whoever decided cannot, and tokens cannot. `?comment=` says why.
#[utoipa::path(post, path = "/experiments/{id}/decision/approvals", tag = "experiments",
    responses((status = 201, body = Decision), (status = "4XX", body = ProblemDocument)))]
pub(crate) async fn approve_decision(
    State(state): State<AppState>,
    scope: InEnvironment,
    PathKey(id): PathKey,
    _: EmptyBody,
) -> Result<Response, ApiError> {
    let mut change = Change::begin(&state, &scope.caller).await?;
    change.about(&scope);
    let (decision, row) = load(&mut change.tx, &scope, &id).await?;
    let caller = &scope.caller;
    if caller.kind != ActorKind::User {
        let detail = "an approval is given by a person who signed in, not by a token";
        return Err(ApiError::Forbidden(detail.to_owned()));
    }
    if (row.actor_kind.as_str(), &row.actor_id) == (caller.kind.as_str(), &caller.id) {
        let detail = "whoever decided cannot approve the decision";
        return Err(ApiError::conflict("own_decision", detail));
    }
    let approval = ApprovalRow {
        user_id: caller.id.clone(),
        approver: caller.author.clone(),
        at: change.now,
        comment: caller.write.comment.clone(),
    };
    if approvals::approve(&mut change.tx, Subject::Decision(&row.experiment_id), &approval).await? {
        let image = json!({ "approvals": [approval.approver] });
        let name = (&*row.experiment_id, &*decision.experiment);
        change.note_values("decision", name, None, "approved", None, Some(image)).await?;
    }
    let (decision, _) = load(&mut change.tx, &scope, &id).await?;
    change.commit().await?;
    Ok((StatusCode::CREATED, Json(decision)).into_response())
}
