//! The project `default` with its environment `production`, tokens and keys, so that a new installation can
//! be used.

use crate::access::Role;
use crate::api::change::Change;
use crate::api::environments::{new_environment, new_id};
use crate::api::{api_tokens, sdk_keys};
use crate::definition::{EnvironmentDefinition, NoState, ProjectDefinition};
use crate::http::Caller;
use crate::http::scope::{DEFAULT_ENVIRONMENT, DEFAULT_PROJECT};
use crate::publish;
use crate::settings::{BootstrapSecrets, Settings};
use crate::state::AppState;
use crate::store::resource::{self, INSTANCE};
use crate::store::tokens;
use crate::store::{Db, keys};
use anyhow::{Context, bail};
use eval_core::source::KeyKind;

/// Author of what is made at the start.
const AUTHOR: &str = "bootstrap";

/// What a new installation can be used with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bootstrap {
    /// Name of the project.
    pub project: String,
    /// Name of the environment.
    pub environment: String,
    /// Id of the environment.
    pub environment_id: String,
    /// API token of role `admin` for all projects.
    pub admin_token: String,
    /// API token of role `data` for all projects.
    pub data_token: String,
    /// Server SDK key of the environment.
    pub server_sdk_key: String,
    /// Client SDK key of the environment.
    pub client_sdk_key: String,
}

impl Bootstrap {
    /// The secrets to hand in at the next start.
    pub fn secrets(&self) -> BootstrapSecrets {
        BootstrapSecrets {
            environment_id: self.environment_id.clone(),
            admin_token: self.admin_token.clone(),
            data_token: self.data_token.clone(),
            server_sdk_key: self.server_sdk_key.clone(),
            client_sdk_key: self.client_sdk_key.clone(),
        }
    }
}

/// Makes what is missing of project `default`, environment `production`, its keys and tokens, and publishes the
/// environment. With `settings.bootstrap` they are exactly those, and a second call changes nothing; without,
/// each call makes new tokens and keys.
pub async fn bootstrap(settings: &Settings) -> anyhow::Result<Bootstrap> {
    let db = Db::open(&settings.database_url).await?;
    // The receiver is dropped: nobody publishes in the background, so it is done here.
    let (state, _) = AppState::new(db.clone(), settings.clone())?;
    let made = ensure(&state).await?;
    publish::publish_now(&state, &made.environment_id, AUTHOR)
        .await
        .context("publishing the first config")?;
    db.close().await;
    Ok(made)
}

/// Like [`bootstrap`], on an open database and without publishing.
pub(crate) async fn ensure(state: &AppState) -> anyhow::Result<Bootstrap> {
    let secrets = state.settings.bootstrap.as_ref();
    let mut change = Change::begin(state, &Caller::system(AUTHOR)).await?;
    let project = resource::find::<ProjectDefinition>(&mut change.tx, INSTANCE, DEFAULT_PROJECT);
    if project.await?.is_none() {
        let definition = ProjectDefinition {
            name: DEFAULT_PROJECT.to_owned(),
            description: None,
            requires_consent: false,
        };
        let id = Some(DEFAULT_PROJECT.to_owned());
        change.create(INSTANCE, id, definition, NoState {}).await?;
    }
    let found = resource::find::<EnvironmentDefinition>(
        &mut change.tx,
        DEFAULT_PROJECT,
        DEFAULT_ENVIRONMENT,
    );
    let environment_id = match (found.await?, secrets) {
        (Some(found), Some(secrets)) if found.id != secrets.environment_id => bail!(
            "environment {DEFAULT_ENVIRONMENT} is {} in the database, but {} is asked for: these secrets \
             belong to another installation",
            found.id,
            secrets.environment_id
        ),
        (Some(found), _) => found.id,
        (None, secrets) => {
            let id = secrets.map_or_else(
                || new_id(DEFAULT_ENVIRONMENT),
                |secrets| secrets.environment_id.clone(),
            );
            let made =
                new_environment(&mut change, DEFAULT_PROJECT, DEFAULT_ENVIRONMENT, Some(&id));
            made.await?.id
        }
    };
    let secrets = secrets.cloned().unwrap_or_else(|| BootstrapSecrets {
        admin_token: api_tokens::new_token(),
        data_token: api_tokens::new_token(),
        server_sdk_key: sdk_keys::new_key(&environment_id, KeyKind::Server),
        client_sdk_key: sdk_keys::new_key(&environment_id, KeyKind::Client),
        environment_id: environment_id.clone(),
    });
    let now = change.now;
    for (token, name, role) in [
        (&secrets.admin_token, "bootstrap-admin", Role::Admin),
        (&secrets.data_token, "bootstrap-data", Role::Data),
    ] {
        tokens::insert(&mut change.tx, &api_tokens::row(token, name, role, now)).await?;
    }
    for (key, kind) in
        [(&secrets.server_sdk_key, KeyKind::Server), (&secrets.client_sdk_key, KeyKind::Client)]
    {
        let row = sdk_keys::row(key, "bootstrap", kind, now);
        keys::insert(&mut change.tx, &environment_id, &row).await?;
    }
    change.touch(&environment_id).await?;
    change.commit().await?;
    Ok(Bootstrap {
        project: DEFAULT_PROJECT.to_owned(),
        environment: DEFAULT_ENVIRONMENT.to_owned(),
        environment_id,
        admin_token: secrets.admin_token,
        data_token: secrets.data_token,
        server_sdk_key: secrets.server_sdk_key,
        client_sdk_key: secrets.client_sdk_key,
    })
}
