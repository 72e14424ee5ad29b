//! In which project and environment a request acts: as its token says, else `X-Project` and `X-Environment`,
//! else `default` and `production`.

use super::auth::Caller;
use crate::definition::{EnvironmentDefinition, ProjectDefinition};
use crate::error::ApiError;
use crate::state::AppState;
use crate::store::resource::{self, INSTANCE};
use axum::extract::FromRequestParts;
use axum::http::{HeaderMap, request::Parts};

/// Project of requests that name none.
pub(crate) const DEFAULT_PROJECT: &str = "default";
/// Environment of requests that name none.
pub(crate) const DEFAULT_ENVIRONMENT: &str = "production";

/// A request within a project.
#[derive(Clone, Debug)]
pub(crate) struct InProject {
    /// Who asks.
    pub(crate) caller: Caller,
    /// Id of the project.
    pub(crate) project_id: String,
}

/// A request within an environment.
#[derive(Clone, Debug)]
pub(crate) struct InEnvironment {
    /// Who asks.
    pub(crate) caller: Caller,
    /// Id of the project.
    pub(crate) project_id: String,
    /// Id of the environment.
    pub(crate) environment_id: String,
}

fn named(headers: &HeaderMap, name: &str) -> Result<Option<String>, ApiError> {
    match headers.get(name).map(|value| value.to_str()) {
        None => Ok(None),
        Some(Ok(value)) => Ok(Some(value.trim().to_owned())),
        Some(Err(_)) => Err(ApiError::InvalidParameter {
            parameter: name.to_owned(),
            detail: "must be plain ASCII".to_owned(),
        }),
    }
}

impl FromRequestParts<AppState> for InProject {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &AppState) -> Result<Self, ApiError> {
        let caller = Caller::from_request_parts(parts, state).await?;
        let asked = named(&parts.headers, "x-project")?;
        let project_id =
            asked.or_else(|| caller.sole_project()).unwrap_or_else(|| DEFAULT_PROJECT.to_owned());
        if !caller.reach().includes(&project_id) {
            return Err(ApiError::not_found("project", project_id));
        }
        let mut tx = state.db.read().await?;
        let project = resource::load::<ProjectDefinition>(&mut tx, INSTANCE, &project_id).await?;
        Ok(Self { caller, project_id: project.id })
    }
}

impl FromRequestParts<AppState> for InEnvironment {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &AppState) -> Result<Self, ApiError> {
        let InProject { caller, project_id } = InProject::from_request_parts(parts, state).await?;
        let asked = named(&parts.headers, "x-environment")?;
        let name = match (&caller.environment_id, asked) {
            (Some(own), None) => own.clone(),
            (_, Some(asked)) => asked,
            (None, None) => DEFAULT_ENVIRONMENT.to_owned(),
        };
        let mut tx = state.db.read().await?;
        let environment =
            resource::load::<EnvironmentDefinition>(&mut tx, &project_id, &name).await?;
        if caller.environment_id.as_ref().is_some_and(|own| *own != environment.id) {
            return Err(ApiError::not_found("environment", name));
        }
        Ok(Self { caller, project_id, environment_id: environment.id })
    }
}
