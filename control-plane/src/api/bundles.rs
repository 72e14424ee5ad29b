//! Experiments as code: everything that people define in an environment as one document, out and in again.
//!
//! An import makes what is missing and changes what differs, in one transaction and under the rules of the same requests
//! one by one; what the document does not name stays. With `?dry_run=true` it answers the difference: what
//! `sortition plan` shows. Where things stand (running, completed, archived) is not part of the document.

use super::change::Change;
use super::shared::{self, Shared, to_value};
use super::{experiments, flags};
use crate::definition::{
    ExperimentDefinition, FlagDefinition, HoldoutDefinition, LayerDefinition, LifecycleStatus,
    MetricDefinition, SegmentDefinition,
};
use crate::error::{ApiError, ProblemDocument, Problems};
use crate::http::body::{check, parse, read_limited, require_json};
use crate::http::query::refuse_query;
use crate::http::{InEnvironment, InProject, Query};
use crate::state::AppState;
use crate::store::{EnvironmentSnapshot, Resource, Versioned, load_environment_in};
use axum::Json;
use axum::extract::{FromRequest, Request, State};
use axum::http::header;
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use utoipa::{IntoParams, ToSchema};

/// Media type of YAML (RFC 9512).
const YAML: &str = "application/yaml";

/// Version of the document's form.
const FORM: u32 = 1;

/// Everything that people define in an environment and what it shares with its project.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Bundle {
    /// Version of this form: 1.
    #[schema(minimum = 1, maximum = 1)]
    sortition: u32,
    /// Segments of the project.
    #[serde(default)]
    #[schema(max_items = 10_000)]
    segments: Vec<SegmentDefinition>,
    /// Layers of the project.
    #[serde(default)]
    #[schema(max_items = 10_000)]
    layers: Vec<LayerDefinition>,
    /// Holdouts of the project.
    #[serde(default)]
    #[schema(max_items = 10_000)]
    holdouts: Vec<HoldoutDefinition>,
    /// Metrics of the project.
    #[serde(default)]
    #[schema(max_items = 10_000)]
    metrics: Vec<MetricDefinition>,
    /// Experiments of the environment.
    #[serde(default)]
    #[schema(max_items = 10_000)]
    experiments: Vec<ExperimentDefinition>,
    /// Flags of the environment.
    #[serde(default)]
    #[schema(max_items = 10_000)]
    flags: Vec<FlagDefinition>,
}

/// How an export is written.
#[derive(Clone, Copy, Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct ExportQuery {
    /// `json` or `yaml`.
    #[serde(default)]
    #[param(inline)]
    format: Format,
}

/// How a document is written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Format {
    /// JSON.
    #[default]
    Json,
    /// YAML.
    Yaml,
}

/// What an import did.
#[derive(Clone, Debug, Default, Serialize, ToSchema)]
pub(crate) struct Imported {
    /// What was made, as `kind name`.
    created: Vec<String>,
    /// What was changed.
    updated: Vec<String>,
    /// How many were as the document says already.
    n_unchanged: usize,
}

/// Answers everything that people define in the environment, but for what is archived.
#[utoipa::path(get, path = "/export", tag = "export", params(ExportQuery),
    responses((status = 200, body = Bundle), (status = "4XX", body = ProblemDocument)))]
pub(crate) async fn export_bundle(
    State(state): State<AppState>,
    scope: InEnvironment,
    Query(query): Query<ExportQuery>,
) -> Result<Response, ApiError> {
    let mut tx = state.db.read().await?;
    let snapshot = load_environment_in(&mut tx, &scope.environment_id).await?;
    drop(tx);
    let bundle = bundle(snapshot);
    match query.format {
        Format::Json => Ok(Json(bundle).into_response()),
        Format::Yaml => {
            let value = serde_json::to_value(&bundle).map_err(|e| ApiError::Internal(e.into()))?;
            let text =
                serde_yaml_ng::to_string(&value).map_err(|e| ApiError::Internal(e.into()))?;
            Ok(([(header::CONTENT_TYPE, YAML)], text).into_response())
        }
    }
}

fn bundle(snapshot: EnvironmentSnapshot) -> Bundle {
    fn definitions<D: Resource>(items: Vec<Versioned<D>>) -> Vec<D> {
        items.into_iter().map(|item| item.definition).collect()
    }
    let mut experiments = snapshot.experiments;
    experiments.retain(|item| item.state.status != LifecycleStatus::Archived);
    let mut flags = snapshot.flags;
    flags.retain(|item| item.state.archived_at.is_none());
    Bundle {
        sortition: FORM,
        segments: definitions(snapshot.segments),
        layers: definitions(snapshot.layers),
        holdouts: definitions(snapshot.holdouts),
        metrics: definitions(snapshot.metrics),
        experiments: definitions(experiments),
        flags: definitions(flags),
    }
}

/// A document of an import, as JSON or YAML.
pub(crate) struct ImportBody(Value);

impl FromRequest<AppState> for ImportBody {
    type Rejection = ApiError;

    async fn from_request(request: Request, state: &AppState) -> Result<Self, ApiError> {
        refuse_query(request.uri())?;
        require_json(request.headers(), &["application/json", YAML])?;
        let given = request.headers().get(header::CONTENT_TYPE).and_then(|v| v.to_str().ok());
        let is_yaml = given.is_some_and(|given| given.starts_with(YAML));
        let limit = state.settings.body_limit_bytes.max(MAX_BYTES);
        let bytes = read_limited(request.into_body(), limit).await?;
        if !is_yaml {
            return parse(&bytes).map(Self);
        }
        serde_yaml_ng::from_slice(&bytes)
            .map(Self)
            .map_err(|error| ApiError::MalformedJson(error.to_string()))
    }
}

/// Largest document in bytes.
pub(crate) const MAX_BYTES: usize = 16 * 1024 * 1024;

/// Makes what is missing of a document, and changes what differs, all of it or nothing. `?dry_run=true` answers the
/// difference.
#[utoipa::path(post, path = "/import", tag = "export", request_body = Bundle,
    responses((status = 200, body = Imported), (status = "4XX", body = ProblemDocument)))]
pub(crate) async fn import_bundle(
    State(state): State<AppState>,
    scope: InEnvironment,
    ImportBody(value): ImportBody,
) -> Result<Json<Imported>, ApiError> {
    let mut raw = value.clone();
    // The whole form first, so that every wrong field is named at once.
    let (_, problems) = check::<Bundle>(value);
    problems.into_result()?;
    let shared = ["segments", "layers", "holdouts", "metrics"];
    let is_shared = shared.iter().any(|list| raw[*list].as_array().is_some_and(|l| !l.is_empty()));
    let mut change = if is_shared {
        let InEnvironment { caller, project_id, .. } = scope.clone();
        Change::in_project(&state, &InProject { caller, project_id }).await?
    } else {
        Change::in_environment(&state, &scope).await?
    };
    let snapshot = load_environment_in(&mut change.tx, &scope.environment_id).await?;
    let mut waiting = Vec::new();
    collect(&mut raw, "segments", &snapshot.segments, &mut waiting);
    collect(&mut raw, "layers", &snapshot.layers, &mut waiting);
    collect(&mut raw, "holdouts", &snapshot.holdouts, &mut waiting);
    collect(&mut raw, "metrics", &snapshot.metrics, &mut waiting);
    collect(&mut raw, "experiments", &snapshot.experiments, &mut waiting);
    collect(&mut raw, "flags", &snapshot.flags, &mut waiting);
    refuse_twins(&waiting)?;
    let mut done = Imported::default();
    waiting.retain(|item| {
        done.n_unchanged += usize::from(item.unchanged);
        !item.unchanged
    });
    let only_drafts = !is_shared && waiting.iter().all(|item| item.leaves_config(&snapshot));
    put_all(&mut change, &scope, &snapshot, waiting, &mut done).await?;
    if only_drafts {
        change.only_drafts();
    }
    change.commit().await?;
    Ok(Json(done))
}

/// One definition of the document.
struct Item {
    list: &'static str,
    /// Its place in the list.
    index: usize,
    key: String,
    value: Value,
    /// Whether there is one of this key.
    exists: bool,
    /// Whether it is as the document says.
    unchanged: bool,
}

impl Item {
    fn pointer(&self) -> String {
        format!("/{}/{}", self.list, self.index)
    }

    /// Whether no config is compiled from it.
    fn leaves_config(&self, snapshot: &EnvironmentSnapshot) -> bool {
        self.list == "experiments"
            && snapshot
                .experiments
                .iter()
                .find(|known| known.definition.name == self.key)
                .is_none_or(|known| known.state.status == LifecycleStatus::Draft)
    }

    /// `experiment checkout`.
    fn title(&self) -> String {
        format!("{} {}", self.list.trim_end_matches('s'), self.key)
    }
}

/// Takes a list out of the document and finds out what is there already.
fn collect<D: Resource + ToSchema>(
    document: &mut Value,
    list: &'static str,
    known: &[Versioned<D>],
    into: &mut Vec<Item>,
) {
    let Value::Array(values) = document[list].take() else { return };
    for (index, mut value) in values.into_iter().enumerate() {
        let key = ["name", "key"].iter().find_map(|member| value[*member].as_str());
        let key = key.unwrap_or_default().to_owned();
        let own = known.iter().find(|item| item.definition.key() == key);
        let before = own.and_then(|own| to_value(&own.definition).ok());
        if let Some(before) = &before {
            keep_salts(&mut value, before);
        }
        let (definition, _) = check::<D>(value.clone());
        let unchanged = own.is_some_and(|own| Some(&own.definition) == definition.as_ref());
        into.push(Item { list, index, key, value, exists: own.is_some(), unchanged });
    }
}

/// Salts that the document leaves to the platform stay as they are.
fn keep_salts(value: &mut Value, before: &Value) {
    let Some(members) = value.as_object_mut() else { return };
    if let Some(salt) = before.get("salt").filter(|salt| salt.is_string()) {
        members.entry("salt").or_insert_with(|| salt.clone());
    }
    if let (Some(Value::Array(rules)), Some(Value::Array(old))) =
        (members.get_mut("rules"), before.get("rules"))
    {
        rules.iter_mut().zip(old).for_each(|(rule, old)| keep_salts(rule, old));
    }
}

fn refuse_twins(items: &[Item]) -> Result<(), ApiError> {
    let mut problems = Problems::default();
    let mut seen = BTreeSet::new();
    for item in items {
        if !seen.insert((item.list, item.key.as_str())) {
            let detail = format!("`{}` stands here twice", item.key);
            problems.push(item.pointer(), "duplicate", detail);
        }
    }
    problems.into_result()
}

/// Puts every definition. Those that refer to one which is still to come are tried again after it; when none of
/// those that are left can be put, what is wrong with them is answered.
async fn put_all(
    change: &mut Change<'_>,
    scope: &InEnvironment,
    snapshot: &EnvironmentSnapshot,
    mut waiting: Vec<Item>,
    done: &mut Imported,
) -> Result<(), ApiError> {
    while !waiting.is_empty() {
        let mut left = Vec::new();
        let mut problems = Problems::default();
        let n_waiting = waiting.len();
        for item in waiting {
            match put(change, scope, snapshot, &item).await {
                Ok(()) if item.exists => done.updated.push(item.title()),
                Ok(()) => done.created.push(item.title()),
                Err(ApiError::Invalid(found)) => {
                    for problem in found.iter() {
                        let pointer = format!("{}{}", item.pointer(), problem.pointer);
                        problems.push(pointer, &problem.code, &problem.detail);
                    }
                    left.push(item);
                }
                Err(ApiError::Conflict { code, detail, mut extra }) => {
                    extra.insert("pointer".to_owned(), json!(item.pointer()));
                    let detail = format!("{}: {detail}", item.title());
                    return Err(ApiError::Conflict { code, detail, extra });
                }
                Err(other) => return Err(other),
            }
        }
        if left.len() == n_waiting {
            return Err(ApiError::Invalid(problems));
        }
        waiting = left;
    }
    Ok(())
}

async fn put(
    change: &mut Change<'_>,
    scope: &InEnvironment,
    snapshot: &EnvironmentSnapshot,
    item: &Item,
) -> Result<(), ApiError> {
    let project = &scope.project_id;
    match item.list {
        "segments" => put_shared(change, project, &snapshot.segments, item).await,
        "layers" => put_shared(change, project, &snapshot.layers, item).await,
        "holdouts" => put_shared(change, project, &snapshot.holdouts, item).await,
        "metrics" => put_shared(change, project, &snapshot.metrics, item).await,
        "experiments" => {
            change.about(scope);
            let own = snapshot.experiments.iter().find(|own| own.definition.name == item.key);
            if let Some(before) = own {
                let value = item.value.clone();
                experiments::redefine(change, "updated", before, value).await.map(drop)
            } else {
                let (definition, problems) = read::<ExperimentDefinition>(item)?;
                let environment = &scope.environment_id;
                experiments::define(change, environment, definition, problems).await.map(drop)
            }
        }
        _ => {
            change.about(scope);
            let own = snapshot.flags.iter().find(|own| own.definition.key == item.key);
            if let Some(before) = own {
                let value = item.value.clone();
                flags::redefine(change, "updated", before, value).await.map(drop)
            } else {
                let (definition, problems) = read::<FlagDefinition>(item)?;
                let environment = &scope.environment_id;
                flags::define(change, environment, definition, problems).await.map(drop)
            }
        }
    }
}

fn read<D: Resource + ToSchema>(item: &Item) -> Result<(D, Problems), ApiError> {
    let (definition, problems) = check::<D>(item.value.clone());
    match definition {
        Some(definition) => Ok((definition, problems)),
        None => Err(ApiError::Invalid(problems)),
    }
}

async fn put_shared<D: Shared>(
    change: &mut Change<'_>,
    project_id: &str,
    known: &[Versioned<D>],
    item: &Item,
) -> Result<(), ApiError> {
    change.about_project(project_id);
    if let Some(before) = known.iter().find(|own| own.definition.key() == item.key) {
        shared::redefine(change, project_id, "updated", before, item.value.clone()).await?;
    } else {
        let (definition, problems) = read::<D>(item)?;
        shared::define(change, project_id, definition, problems).await?;
    }
    Ok(())
}
