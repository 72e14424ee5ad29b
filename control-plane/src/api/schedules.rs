//! Schedules: create, read, list, cancel, and what the scheduler does when a step is due.

use super::answer::{self, ListOf};
use super::change::Change;
use super::history::{self, Version};
use super::shared::to_value;
use super::transitions::{self, Move};
use super::{experiments, flags};
use crate::definition::{
    ExperimentDefinition, FlagDefinition, ScheduleDefinition, ScheduleState, ScheduleStatus,
    StepAction, StepDefinition, StepOutcome, schema,
};
use crate::error::{ApiError, ProblemDocument, Problems};
use crate::http::body::{MergePatch, check};
use crate::http::{
    Body, Caller, EmptyBody, IfMatch, InEnvironment, ListQuery, NoQuery, PathKey, Query,
};
use crate::state::AppState;
use crate::store::{EnvironmentSnapshot, Resource, Tx, Versioned, load_environment_in, resource};
use crate::validate::{experiment as experiment_rules, flag as flag_rules};
use axum::extract::State;
use axum::http::Uri;
use axum::response::Response;
use jiff::Timestamp;
use serde::Serialize;
use serde_json::{Map, Value};
use utoipa::ToSchema;

/// Words by which lists of schedules are filtered.
const STATUSES: [&str; 4] = ["active", "done", "failed", "cancelled"];

/// A schedule.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(crate) struct Schedule {
    /// Id.
    id: String,
    /// Name.
    name: String,
    /// What it is for.
    description: Option<String>,
    /// The experiment that it moves.
    experiment: Option<String>,
    /// The flag that it moves.
    flag: Option<String>,
    /// Where it stands.
    status: ScheduleStatus,
    /// Its steps, with what became of those that were due.
    steps: Vec<ScheduleStep>,
    /// Who asked for it.
    author: String,
    /// 1, 2, 3, …; also the `ETag`. Every step makes one.
    version: i64,
    /// When it was created.
    #[schema(value_type = schema::Time)]
    created_at: Timestamp,
    /// When it was last changed.
    #[schema(value_type = schema::Time)]
    updated_at: Timestamp,
}

/// A step of a schedule.
#[derive(Clone, Debug, Serialize, ToSchema)]
struct ScheduleStep {
    /// When.
    #[schema(value_type = schema::Time)]
    at: Timestamp,
    /// The move.
    #[serde(skip_serializing_if = "Option::is_none")]
    action: Option<StepAction>,
    /// The patch.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Object>)]
    patch: Option<Map<String, Value>>,
    /// Variant that is shipped.
    #[serde(skip_serializing_if = "Option::is_none")]
    variant: Option<String>,
    /// Codes of warnings that are accepted.
    acknowledge: Vec<String>,
    /// What became of it; null while it is to come.
    outcome: Option<StepOutcome>,
}

impl From<Versioned<ScheduleDefinition>> for Schedule {
    fn from(item: Versioned<ScheduleDefinition>) -> Self {
        let Versioned { id, definition, state, version, created_at, updated_at, .. } = item;
        let mut outcomes = state.outcomes.into_iter();
        let steps = definition.steps.into_iter().map(|step| {
            let StepDefinition { at, action, patch, variant, acknowledge } = step;
            ScheduleStep { at, action, patch, variant, acknowledge, outcome: outcomes.next() }
        });
        Self {
            id,
            name: definition.name,
            description: definition.description,
            experiment: definition.experiment,
            flag: definition.flag,
            status: state.status,
            steps: steps.collect(),
            author: state.author,
            version,
            created_at,
            updated_at,
        }
    }
}

/// Has steps made at given times: moves of an experiment, or changes of an experiment or flag. Every step is checked
/// again when it is due; one that is refused then ends the schedule.
#[utoipa::path(post, path = "/schedules", tag = "schedules", request_body = ScheduleDefinition,
    responses((status = 201, body = Schedule), (status = "4XX", body = ProblemDocument)))]
pub(crate) async fn create_schedule(
    State(state): State<AppState>,
    scope: InEnvironment,
    body: Body<ScheduleDefinition>,
) -> Result<Response, ApiError> {
    let (definition, mut problems) = body.partial()?;
    let mut change = Change::in_environment(&state, &scope).await?;
    change.only_drafts();
    let snapshot = load_environment_in(&mut change.tx, &scope.environment_id).await?;
    // Its steps are the scheduler's, which nobody asks for approvals.
    change.guard(&snapshot.environment).await?;
    check_steps(&definition, change.now, &mut problems);
    let target_id = check_target(&definition, &snapshot, &mut problems);
    problems.into_result()?;
    let first = definition.steps.first().map(|step| step.at);
    let schedule = ScheduleState {
        target_id,
        author: scope.caller.author.clone(),
        ..ScheduleState::default()
    };
    let item = change.create(&scope.environment_id, None, definition, schedule).await?;
    resource::set_due::<ScheduleDefinition>(&mut change.tx, &item.id, first).await?;
    change.commit().await?;
    let location = format!("/schedules/{}", item.definition.name);
    Ok(answer::created(item.version, &location, Schedule::from(item)))
}

fn check_steps(definition: &ScheduleDefinition, now: Timestamp, problems: &mut Problems) {
    let mut last = now;
    for (index, step) in definition.steps.iter().enumerate() {
        let at = |member: &str| format!("/steps/{index}/{member}");
        if step.at <= last {
            let rule =
                if index == 0 { "has passed already" } else { "must be after the step before" };
            problems.push(at("at"), "out_of_range", rule);
        }
        last = step.at.max(last);
        match (step.action, &step.patch) {
            (None, None) => {
                problems.push(at("action"), "required", "a step has `action` or `patch`");
            }
            (Some(_), Some(_)) => {
                problems.push(
                    at("patch"),
                    "not_applicable",
                    "a step has `action` or `patch`, not both",
                );
            }
            (Some(_), None) if definition.flag.is_some() => {
                problems.push(at("action"), "not_applicable", "flags are changed by `patch`");
            }
            _ => {}
        }
        match (step.action == Some(StepAction::Ship), &step.variant) {
            (true, None) => problems.push(at("variant"), "required", "what is to be shipped?"),
            (false, Some(_)) => {
                problems.push(at("variant"), "not_applicable", "only `ship` names one");
            }
            _ => {}
        }
    }
}

/// Id of what the schedule moves. Patches are tried one after the other on the definition as it is now.
fn check_target(
    definition: &ScheduleDefinition,
    snapshot: &EnvironmentSnapshot,
    problems: &mut Problems,
) -> String {
    match (&definition.experiment, &definition.flag) {
        (Some(name), None) => {
            let found = snapshot
                .experiments
                .iter()
                .find(|item| item.id == *name || item.definition.name == *name);
            let Some(found) = found else {
                let detail = format!("there is no experiment `{name}`");
                problems.push("/experiment", "unknown_experiment", detail);
                return String::new();
            };
            let variants = &found.definition.variants;
            for (index, step) in definition.steps.iter().enumerate() {
                if let Some(name) = &step.variant
                    && !variants.iter().any(|variant| variant.name == *name)
                {
                    let detail = format!("there is no variant `{name}`");
                    problems.push(format!("/steps/{index}/variant"), "unknown_variant", detail);
                }
            }
            try_patches(&found.definition, &definition.steps, problems, |patched| {
                experiment_rules::check(patched, &found.id, snapshot)
            });
            found.id.clone()
        }
        (None, Some(key)) => {
            let found = snapshot.flags.iter().find(|item| item.definition.key == *key);
            let Some(found) = found.filter(|flag| flag.state.archived_at.is_none()) else {
                let detail = format!("there is no active flag `{key}`");
                problems.push("/flag", "unknown_flag", detail);
                return String::new();
            };
            try_patches(&found.definition, &definition.steps, problems, |patched| {
                flag_rules::check(patched, key, snapshot)
            });
            found.id.clone()
        }
        _ => {
            problems.push(
                "/experiment",
                "required",
                "a schedule names an `experiment` or a `flag`",
            );
            String::new()
        }
    }
}

fn try_patches<D: Resource + ToSchema>(
    definition: &D,
    steps: &[StepDefinition],
    problems: &mut Problems,
    rules: impl Fn(&D) -> Problems,
) {
    let Ok(mut value) = to_value(definition) else { return };
    for (index, step) in steps.iter().enumerate() {
        let Some(patch) = &step.patch else { continue };
        value = MergePatch::new(patch.clone()).apply(value);
        let (patched, mut found) = check::<D>(value.clone());
        if let Some(patched) = patched {
            found.extend(rules(&patched));
        }
        for problem in found.iter() {
            let pointer = format!("/steps/{index}/patch{}", problem.pointer);
            problems.push(pointer, &problem.code, &problem.detail);
        }
    }
}

/// Lists schedules, newest first.
#[utoipa::path(get, path = "/schedules", tag = "schedules", params(ListQuery),
    responses((status = 200, body = ListOf<Schedule>), (status = "4XX", body = ProblemDocument)))]
pub(crate) async fn list_schedules(
    State(state): State<AppState>,
    scope: InEnvironment,
    Query(query): Query<ListQuery>,
    uri: Uri,
) -> Result<Response, ApiError> {
    let page = query.page(&STATUSES)?;
    let mut tx = state.db.read().await?;
    let (items, next) =
        answer::page::<ScheduleDefinition>(&mut tx, &scope.environment_id, &page).await?;
    Ok(answer::list(&uri, next, items.into_iter().map(Schedule::from).collect()))
}

/// Answers a schedule by its name or id.
#[utoipa::path(get, path = "/schedules/{name}", tag = "schedules",
    responses((status = 200, body = Schedule), (status = "4XX", body = ProblemDocument)))]
pub(crate) async fn get_schedule(
    State(state): State<AppState>,
    scope: InEnvironment,
    PathKey(name): PathKey,
    _: NoQuery,
) -> Result<Response, ApiError> {
    let mut tx = state.db.read().await?;
    let item = resource::load::<ScheduleDefinition>(&mut tx, &scope.environment_id, &name).await?;
    Ok(answer::ok(item.version, Schedule::from(item)))
}

/// Calls off the steps that are still to come.
#[utoipa::path(post, path = "/schedules/{name}/cancel", tag = "schedules",
    params(IfMatch),
    responses((status = 200, body = Schedule), (status = "4XX", body = ProblemDocument)))]
pub(crate) async fn cancel_schedule(
    State(state): State<AppState>,
    scope: InEnvironment,
    PathKey(name): PathKey,
    condition: IfMatch,
    _: EmptyBody,
) -> Result<Response, ApiError> {
    let mut change = Change::in_environment(&state, &scope).await?;
    change.only_drafts();
    let before: Versioned<ScheduleDefinition> =
        resource::load(&mut change.tx, &scope.environment_id, &name).await?;
    condition.check(&before)?;
    if before.state.status != ScheduleStatus::Active {
        let detail =
            format!("the schedule is {}: nothing is to come", before.state.status.as_str());
        return Err(ApiError::conflict("not_active", detail));
    }
    let cancelled = ScheduleState { status: ScheduleStatus::Cancelled, ..before.state.clone() };
    let item = change.update("cancelled", &before, before.definition.clone(), cancelled).await?;
    resource::set_due::<ScheduleDefinition>(&mut change.tx, &item.id, None).await?;
    change.commit().await?;
    Ok(answer::ok(item.version, Schedule::from(item)))
}

/// Lists the changes of a schedule, newest first; every step is one.
#[utoipa::path(get, path = "/schedules/{name}/history", tag = "schedules", params(ListQuery),
    responses((status = 200, body = ListOf<Version>), (status = "4XX", body = ProblemDocument)))]
pub(crate) async fn list_schedule_history(
    State(state): State<AppState>,
    scope: InEnvironment,
    PathKey(name): PathKey,
    Query(query): Query<ListQuery>,
    uri: Uri,
) -> Result<Response, ApiError> {
    let mut tx = state.db.read().await?;
    let item: Versioned<ScheduleDefinition> =
        resource::load(&mut tx, &scope.environment_id, &name).await?;
    history::answer::<ScheduleDefinition>(&mut tx, &item.id, &query, &uri).await
}

/// Makes the next step of a schedule if it is due at `now`. The step and the note that it was made are one transaction:
/// after a crash at any point it is made once. Answers whether there may be another one due.
pub(crate) async fn make_step(
    state: &AppState,
    author: &str,
    environment_id: &str,
    id: &str,
    now: Timestamp,
) -> Result<bool, ApiError> {
    let mut tx = state.db.read().await?;
    let Some(seen) = find(&mut tx, environment_id, id).await? else { return Ok(false) };
    drop(tx);
    let Some((index, step)) = seen.definition.next_step(&seen.state) else { return Ok(false) };
    if step.at > now {
        return Ok(false);
    }
    let mut caller = Caller::system(author);
    caller.write.comment = Some(format!(
        "step {} of schedule `{}` by {}",
        index + 1,
        seen.definition.name,
        seen.state.author
    ));
    let mut change = Change::of_environment(state, environment_id, &caller).await?;
    // Another replica may have made it meanwhile, or somebody may have called it off.
    if find(&mut change.tx, environment_id, id).await?.as_ref() != Some(&seen) {
        return Ok(true);
    }
    let made = match carry_out(&mut change, &seen, step).await {
        Ok(()) => note(&mut change, &seen, None).await,
        Err(refused) => Err(refused),
    };
    let made = match made {
        Ok(()) => change.commit().await,
        Err(refused) => {
            drop(change);
            Err(refused)
        }
    };
    match made {
        Ok(()) => Ok(true),
        Err(error @ (ApiError::Internal(_) | ApiError::Unavailable(_))) => Err(error),
        Err(refused) => {
            tracing::warn!(schedule = seen.definition.name, step = index + 1, error = %refused, "a step was refused");
            let mut change = Change::of_environment(state, environment_id, &caller).await?;
            change.only_drafts();
            if find(&mut change.tx, environment_id, id).await?.as_ref() == Some(&seen) {
                note(&mut change, &seen, Some(refused.document())).await?;
                change.commit().await?;
            }
            Ok(false)
        }
    }
}

async fn find(
    tx: &mut Tx,
    environment_id: &str,
    id: &str,
) -> Result<Option<Versioned<ScheduleDefinition>>, ApiError> {
    resource::find::<ScheduleDefinition>(tx, environment_id, id).await
}

/// Notes what became of the next step.
async fn note(
    change: &mut Change<'_>,
    before: &Versioned<ScheduleDefinition>,
    problem: Option<Value>,
) -> Result<(), ApiError> {
    let mut after = before.state.clone();
    let action = if problem.is_some() { "step_failed" } else { "step_made" };
    let failed = problem.is_some();
    after.outcomes.push(StepOutcome { at: change.now, problem });
    if failed {
        after.status = ScheduleStatus::Failed;
    } else if after.outcomes.len() == before.definition.steps.len() {
        after.status = ScheduleStatus::Done;
    }
    let due = before.definition.next_step(&after).map(|(_, step)| step.at);
    change.update(action, before, before.definition.clone(), after).await?;
    resource::set_due::<ScheduleDefinition>(&mut change.tx, &before.id, due).await?;
    Ok(())
}

async fn carry_out(
    change: &mut Change<'_>,
    schedule: &Versioned<ScheduleDefinition>,
    step: &StepDefinition,
) -> Result<(), ApiError> {
    let (scope, target) = (&schedule.scope_id, &schedule.state.target_id);
    if schedule.definition.flag.is_some() {
        let before = resource::load::<FlagDefinition>(&mut change.tx, scope, target).await?;
        let patch = MergePatch::new(step.patch.clone().unwrap_or_default());
        let merged = patch.apply(to_value(&before.definition)?);
        flags::redefine(change, "updated", &before, merged).await?;
        return Ok(());
    }
    let before = resource::load::<ExperimentDefinition>(&mut change.tx, scope, target).await?;
    let acknowledge = step.acknowledge.clone();
    let to = match (step.action, &step.patch) {
        (None, patch) => {
            let patch = MergePatch::new(patch.clone().unwrap_or_default());
            let merged = patch.apply(to_value(&before.definition)?);
            experiments::redefine(change, "updated", &before, merged).await?;
            return Ok(());
        }
        (Some(StepAction::Start), _) => Move::Start { acknowledge },
        (Some(StepAction::Pause), _) => Move::Pause,
        (Some(StepAction::Resume), _) => Move::Resume,
        (Some(StepAction::FreezeEnrolment), _) => Move::FreezeEnrolment { acknowledge },
        (Some(StepAction::Unfreeze), _) => Move::Unfreeze,
        (Some(StepAction::Complete), _) => Move::Complete { ship: None },
        (Some(StepAction::Ship), _) => {
            Move::Ship { variant: step.variant.clone().unwrap_or_default() }
        }
        (Some(StepAction::Archive), _) => Move::Archive,
    };
    transitions::carry_out(change, &before, to).await?;
    Ok(())
}
