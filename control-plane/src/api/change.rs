//! A change: one transaction that writes rows and their history, then tells publishing.

use crate::error::ApiError;
use crate::http::{InEnvironment, InProject};
use crate::publish;
use crate::state::AppState;
use crate::store::history::{self, Change as Record};
use crate::store::{Resource, Tx, Versioned, environments, load_environment_in, resource};
use jiff::Timestamp;
use uuid::Uuid;

/// An open change. Dropping it undoes everything.
pub(crate) struct Change<'s> {
    state: &'s AppState,
    /// The transaction.
    pub(crate) tx: Tx,
    /// When it happens.
    pub(crate) now: Timestamp,
    author: String,
    environment_ids: Vec<String>,
}

impl<'s> Change<'s> {
    /// A change that touches no environment.
    pub(crate) async fn begin(state: &'s AppState, author: &str) -> Result<Self, ApiError> {
        let tx = state.db.write().await?;
        // The database keeps milliseconds; what is answered is what is stored.
        let now = Timestamp::from_millisecond(Timestamp::now().as_millisecond())
            .expect("the present has a time in milliseconds");
        Ok(Self { state, tx, now, author: author.to_owned(), environment_ids: Vec::new() })
    }

    /// A change of what all environments of a project share; other writers of the project wait.
    pub(crate) async fn in_project(
        state: &'s AppState,
        scope: &InProject,
    ) -> Result<Self, ApiError> {
        scope.caller.require_whole_project()?;
        let mut change = Self::begin(state, &scope.caller.author).await?;
        environments::touch_all(&mut change.tx, &scope.project_id).await?;
        change.environment_ids = environments::ids(&mut change.tx, &scope.project_id).await?;
        Ok(change)
    }

    /// A change within one environment; its other writers wait.
    pub(crate) async fn in_environment(
        state: &'s AppState,
        scope: &InEnvironment,
    ) -> Result<Self, ApiError> {
        Self::of_environment(state, &scope.environment_id, &scope.caller.author).await
    }

    /// Like [`Change::in_environment`], for those who have no request.
    pub(crate) async fn of_environment(
        state: &'s AppState,
        environment_id: &str,
        author: &str,
    ) -> Result<Self, ApiError> {
        let mut change = Self::begin(state, author).await?;
        change.touch(environment_id).await?;
        Ok(change)
    }

    /// Has an environment published when the change is committed.
    pub(crate) async fn touch(&mut self, environment_id: &str) -> Result<(), ApiError> {
        environments::touch(&mut self.tx, environment_id).await?;
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
        let author = self.author.clone();
        let record = Record { action: "created", author: &author, at: self.now };
        history::record(&mut self.tx, record, None, Some(&item)).await?;
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
        let author = self.author.clone();
        let record = Record { action, author: &author, at: self.now };
        history::record(&mut self.tx, record, Some(before), Some(&after)).await?;
        Ok(after)
    }

    /// Removes something.
    pub(crate) async fn delete<D: Resource>(
        &mut self,
        item: &Versioned<D>,
    ) -> Result<(), ApiError> {
        resource::delete::<D>(&mut self.tx, &item.id).await?;
        let author = self.author.clone();
        let record = Record { action: "deleted", author: &author, at: self.now };
        history::record(&mut self.tx, record, Some(item), None).await?;
        Ok(())
    }

    /// Records a change of something that has no version of its own, such as a key.
    pub(crate) async fn record(
        &mut self,
        kind: &str,
        id: &str,
        version: i64,
        action: &str,
        after: serde_json::Value,
    ) -> Result<(), ApiError> {
        let author = self.author.clone();
        let record = Record { action, author: &author, at: self.now };
        history::record_values(&mut self.tx, kind, id, version, record, None, Some(after)).await?;
        Ok(())
    }

    /// Makes the change durable and has the environments that it touches published. A change after which one
    /// of them would not compile is refused: it would keep every later change from the edges.
    pub(crate) async fn commit(mut self) -> Result<(), ApiError> {
        for environment_id in &self.environment_ids {
            let snapshot = load_environment_in(&mut self.tx, environment_id).await?;
            if let Err(error) = publish::compile::compile(&snapshot, None) {
                return Err(ApiError::invalid("", "does_not_compile", error.to_string()));
            }
        }
        self.tx.commit().await?;
        for environment_id in &self.environment_ids {
            publish::request(self.state, environment_id, &self.author);
        }
        Ok(())
    }
}
