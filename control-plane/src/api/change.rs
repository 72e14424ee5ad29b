//! A change: one transaction that writes rows, their history and the audit log, then tells publishing.

use super::diff::{Difference, diff};
use super::served::{self, ServedChange};
use crate::access::Role;
use crate::definition::EnvironmentDefinition;
use crate::error::{ApiError, Warning};
use crate::http::auth::ActorKind;
use crate::http::write_options::Approvals;
use crate::http::{Caller, InEnvironment, InProject};
use crate::publish;
use crate::state::AppState;
use crate::store::audit::{self, NewEntry};
use crate::store::history::{self, Change as Record};
use crate::store::{
    EnvironmentSnapshot, Resource, Tx, Versioned, environments, load_environment_in, resource,
};
use jiff::Timestamp;
use serde::Serialize;
use serde_json::{Map, Value, json};
use utoipa::ToSchema;
use uuid::Uuid;

/// An open change. Dropping it undoes everything.
pub(crate) struct Change<'s> {
    state: &'s AppState,
    /// The transaction.
    pub(crate) tx: Tx,
    /// When it happens.
    pub(crate) now: Timestamp,
    caller: Caller,
    project_id: Option<String>,
    environment_id: Option<String>,
    environment_ids: Vec<String>,
    /// Environments as they were, where the difference matters.
    before: Vec<EnvironmentSnapshot>,
    entries: Vec<(NewEntry, Vec<Difference>)>,
    warnings: Vec<Warning>,
}

/// What a write would do: the answer to `?dry_run=true`.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Preview {
    /// Always true: nothing was done.
    dry_run: bool,
    /// What would change.
    #[schema(inline)]
    changes: Vec<PreviewedChange>,
    /// Warnings that the write would have to acknowledge.
    #[schema(inline)]
    warnings: Vec<Warning>,
    /// What it would do to the environments whose config it touches.
    #[schema(inline)]
    environments: Vec<ServedChange>,
}

/// One thing that would change.
#[derive(Debug, Serialize, ToSchema)]
struct PreviewedChange {
    /// Kind of thing.
    kind: String,
    /// Its name or key.
    resource: String,
    /// `created`, `updated`, `started`, ….
    action: String,
    /// Version that would be made.
    version: Option<i64>,
    /// What would differ, of `definition` and `state`.
    #[schema(inline)]
    diff: Vec<Difference>,
}

impl<'s> Change<'s> {
    /// A change that touches no environment.
    pub(crate) async fn begin(state: &'s AppState, caller: &Caller) -> Result<Self, ApiError> {
        let tx = state.db.write().await?;
        // The database keeps milliseconds; what is answered is what is stored.
        let now = Timestamp::from_millisecond(Timestamp::now().as_millisecond())
            .expect("the present has a time in milliseconds");
        Ok(Self {
            state,
            tx,
            now,
            caller: caller.clone(),
            project_id: None,
            environment_id: None,
            environment_ids: Vec::new(),
            before: Vec::new(),
            entries: Vec::new(),
            warnings: Vec::new(),
        })
    }

    /// A change of what all environments of a project share; other writers of the project wait.
    pub(crate) async fn in_project(
        state: &'s AppState,
        scope: &InProject,
    ) -> Result<Self, ApiError> {
        scope.caller.require_whole_project()?;
        let mut change = Self::begin(state, &scope.caller).await?;
        change.project_id = Some(scope.project_id.clone());
        environments::touch_all(&mut change.tx, &scope.project_id).await?;
        for environment_id in environments::ids(&mut change.tx, &scope.project_id).await? {
            change.remember(&environment_id).await?;
            change.environment_ids.push(environment_id);
        }
        Ok(change)
    }

    /// A change within one environment; its other writers wait.
    pub(crate) async fn in_environment(
        state: &'s AppState,
        scope: &InEnvironment,
    ) -> Result<Self, ApiError> {
        let mut change = Self::of_environment(state, &scope.environment_id, &scope.caller).await?;
        change.project_id = Some(scope.project_id.clone());
        Ok(change)
    }

    /// Says of which project the change is, for the audit log: of no environment alone.
    pub(crate) fn about_project(&mut self, project_id: &str) {
        self.project_id = Some(project_id.to_owned());
        self.environment_id = None;
    }

    /// Says of which environment the change is, for the audit log.
    pub(crate) fn about(&mut self, scope: &InEnvironment) {
        self.project_id = Some(scope.project_id.clone());
        self.environment_id = Some(scope.environment_id.clone());
    }

    /// Keeps an environment as it is before the change, if it will be compared with what it is then.
    async fn remember(&mut self, environment_id: &str) -> Result<(), ApiError> {
        let needed = self.caller.write.dry_run || !self.caller.may_serve || {
            self.takes_approvals()
                && environments::required_approvals(&mut self.tx, environment_id).await? > 0
        };
        if needed {
            self.before.push(load_environment_in(&mut self.tx, environment_id).await?);
        }
        Ok(())
    }

    /// Whether the change takes approvals where an environment asks for them. The platform's own moves were approved
    /// with what asked for them.
    fn takes_approvals(&self) -> bool {
        self.caller.kind != ActorKind::System && self.caller.write.approvals != Approvals::Given
    }

    /// 409 unless the change may go on in an environment that asks for approvals: it has them, is a dry run, or is an
    /// admin's emergency, which is logged.
    pub(crate) async fn guard(
        &mut self,
        environment: &Versioned<EnvironmentDefinition>,
    ) -> Result<(), ApiError> {
        let required = environment.definition.required_approvals;
        if required == 0 || !self.takes_approvals() || self.caller.write.dry_run {
            return Ok(());
        }
        let name = &environment.definition.name;
        if self.caller.write.approvals != Approvals::Emergency {
            let mut extra = Map::new();
            extra.insert("environment".to_owned(), json!(environment.id));
            extra.insert("required_approvals".to_owned(), json!(required));
            return Err(ApiError::Conflict {
                code: "needs_approval",
                detail: format!(
                    "in environment `{name}` this takes {required} approvals: send it with ?propose=true"
                ),
                extra,
            });
        }
        if !self.caller.reach_as(Role::Admin).includes(&environment.scope_id) {
            let detail = "only an admin acts without approvals in an emergency";
            return Err(ApiError::Forbidden(detail.to_owned()));
        }
        let id = (&*environment.id, &**name);
        self.note_values("environment", id, None, "approval_bypassed", None, None).await
    }

    /// Notes warnings, and refuses the write unless they are acknowledged. A dry run answers them instead.
    pub(crate) fn require_acknowledged(
        &mut self,
        raised: Vec<Warning>,
        acknowledged: &[String],
    ) -> Result<(), ApiError> {
        let open: Vec<Warning> =
            raised.into_iter().filter(|warning| !acknowledged.contains(&warning.code)).collect();
        if open.is_empty() || self.caller.write.dry_run {
            self.warnings.extend(open);
            return Ok(());
        }
        Err(ApiError::Unacknowledged(open))
    }

    /// Like [`Change::in_environment`], for those who have no request.
    pub(crate) async fn of_environment(
        state: &'s AppState,
        environment_id: &str,
        caller: &Caller,
    ) -> Result<Self, ApiError> {
        let mut change = Self::begin(state, caller).await?;
        change.touch(environment_id).await?;
        change.environment_id = Some(environment_id.to_owned());
        Ok(change)
    }

    /// Has an environment published when the change is committed.
    pub(crate) async fn touch(&mut self, environment_id: &str) -> Result<(), ApiError> {
        environments::touch(&mut self.tx, environment_id).await?;
        self.remember(environment_id).await?;
        self.environment_ids.push(environment_id.to_owned());
        Ok(())
    }

    /// Says that only drafts change: no config is compiled from them, so nothing needs to be compiled or
    /// published for this change.
    pub(crate) fn only_drafts(&mut self) {
        self.environment_ids.clear();
    }

    /// Stores something new as version 1.
    pub(crate) async fn create<D: Resource>(
        &mut self,
        scope_id: &str,
        id: Option<String>,
        definition: D,
        state: D::State,
    ) -> Result<Versioned<D>, ApiError> {
        let item = Versioned {
            id: id.unwrap_or_else(|| Uuid::now_v7().to_string()),
            scope_id: scope_id.to_owned(),
            version: 1,
            created_at: self.now,
            updated_at: self.now,
            definition,
            state,
        };
        resource::insert(&mut self.tx, &item).await?;
        self.note("created", None, Some(&item)).await?;
        Ok(item)
    }

    /// Stores a change of something; one that changes nothing makes no version.
    pub(crate) async fn update<D: Resource>(
        &mut self,
        action: &str,
        before: &Versioned<D>,
        definition: D,
        state: D::State,
    ) -> Result<Versioned<D>, ApiError> {
        if before.definition == definition && before.state == state {
            return Ok(before.clone());
        }
        let after = Versioned {
            id: before.id.clone(),
            scope_id: before.scope_id.clone(),
            version: before.version + 1,
            created_at: before.created_at,
            updated_at: self.now,
            definition,
            state,
        };
        resource::update(&mut self.tx, &after).await?;
        self.note(action, Some(before), Some(&after)).await?;
        Ok(after)
    }

    /// Removes something.
    pub(crate) async fn delete<D: Resource>(
        &mut self,
        item: &Versioned<D>,
    ) -> Result<(), ApiError> {
        resource::delete::<D>(&mut self.tx, &item.id).await?;
        self.note("deleted", Some(item), None).await?;
        Ok(())
    }

    /// Puts a change of a thing into its history and into the audit log.
    async fn note<D: Resource>(
        &mut self,
        action: &str,
        before: Option<&Versioned<D>>,
        after: Option<&Versioned<D>>,
    ) -> Result<(), ApiError> {
        let Some(item) = after.or(before) else { return Ok(()) };
        let version = if after.is_some() { item.version } else { item.version + 1 };
        let (old, new) = (before.map(history::image), after.map(history::image));
        let (id, key) = (item.id.clone(), item.definition.key().to_owned());
        self.note_values(D::KIND, (&id, &key), Some(version), action, old, new).await
    }

    /// Records a change of something that is no definition, such as a key or a person. `version` puts it
    /// into a history, too.
    pub(crate) async fn note_values(
        &mut self,
        kind: &str,
        (id, name): (&str, &str),
        version: Option<i64>,
        action: &str,
        before: Option<Value>,
        after: Option<Value>,
    ) -> Result<(), ApiError> {
        let differences = diff(before.as_ref(), after.as_ref());
        let caller = self.caller.clone();
        // A project or an environment is the scope of its own changes.
        let own = |of: &str, scope: &Option<String>| {
            if kind == of { Some(id.to_owned()) } else { scope.clone() }
        };
        let entry = NewEntry {
            at_ms: self.now.as_millisecond(),
            actor_kind: caller.kind.as_str().to_owned(),
            actor_id: caller.id.clone(),
            actor: caller.author.clone(),
            action: action.to_owned(),
            kind: kind.to_owned(),
            resource_id: id.to_owned(),
            resource: name.to_owned(),
            version,
            project_id: own("project", &self.project_id),
            environment_id: own("environment", &self.environment_id),
            request_id: caller.request_id.clone(),
            comment: caller.write.comment.clone(),
            diff: serde_json::to_string(&differences).map_err(|e| ApiError::Internal(e.into()))?,
        };
        self.entries.push((entry, differences));
        if let Some(version) = version {
            let record = Record {
                action,
                author: &caller.author,
                at: self.now,
                comment: caller.write.comment.as_deref(),
            };
            history::record_values(&mut self.tx, kind, id, version, record, before, after).await?;
        }
        Ok(())
    }

    /// Makes the change durable and has the environments that it touches published. A change after which one
    /// of them would not compile is refused: it would keep every later change from the edges. A dry run ends
    /// here with what the change would do, as [`ApiError::Previewed`]: whatever a handler does, nothing is kept.
    pub(crate) async fn commit(mut self) -> Result<(), ApiError> {
        let list_secret = self.state.settings.list_secret;
        let mut previews = Vec::new();
        let touched = self.environment_ids.clone();
        let earlier = std::mem::take(&mut self.before);
        for environment_id in &touched {
            let snapshot = load_environment_in(&mut self.tx, environment_id).await?;
            let refuse = |error: eval_core::CompileError| {
                ApiError::invalid("", "does_not_compile", error.to_string())
            };
            let before = earlier.iter().find(|before| before.environment.id == *environment_id);
            if let Some(before) = before.filter(|_| !self.caller.may_serve)
                && served::differs(before, &snapshot, list_secret.as_ref())
            {
                return Err(ApiError::NeedsPublisher);
            }
            if let Some(before) = before.filter(|before| {
                before.environment.definition.required_approvals > 0 && self.takes_approvals()
            }) && served::differs(before, &snapshot, list_secret.as_ref())
            {
                self.guard(&before.environment).await?;
            }
            match before.filter(|_| self.caller.write.dry_run) {
                Some(before) => {
                    let now_ms = self.now.as_millisecond();
                    let list_secret = list_secret.as_ref();
                    previews.push(
                        served::compare(before, &snapshot, list_secret, now_ms).map_err(refuse)?,
                    );
                }
                None => {
                    publish::compile::compile(&snapshot, None).map_err(refuse)?;
                }
            }
        }
        if self.caller.write.dry_run {
            let preview = self.preview(previews);
            let preview =
                serde_json::to_value(preview).map_err(|e| ApiError::Internal(e.into()))?;
            return Err(ApiError::Previewed(Box::new(preview)));
        }
        let entries: Vec<NewEntry> = self.entries.into_iter().map(|(entry, _)| entry).collect();
        audit::append(&mut self.tx, &entries).await?;
        self.tx.commit().await?;
        for environment_id in &touched {
            publish::request(self.state, environment_id, &self.caller.author);
        }
        Ok(())
    }

    fn preview(&mut self, environments: Vec<ServedChange>) -> Preview {
        let changes = std::mem::take(&mut self.entries).into_iter().map(|(entry, diff)| {
            let NewEntry { kind, resource, action, version, .. } = entry;
            PreviewedChange { kind, resource, action, version, diff }
        });
        Preview {
            dry_run: true,
            changes: changes.collect(),
            warnings: std::mem::take(&mut self.warnings),
            environments,
        }
    }
}
