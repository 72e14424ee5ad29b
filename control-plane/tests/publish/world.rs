//! A database with one environment, written to by anybody and published by anybody.

use control_plane::definition::{
    EnvironmentDefinition, EnvironmentState, FlagDefinition, FlagState, NoState, ProjectDefinition,
};
use control_plane::publish::Publisher;
use control_plane::publish::upload::ConfigStore;
use control_plane::store::publications::{self, Publication, PublicationState};
use control_plane::store::{Db, Resource, Versioned, environments, resource};
use control_plane::{Settings, publish::manifest::Manifest};
use jiff::Timestamp;
use object_store::path::Path;
use serde_json::json;

pub const ENVIRONMENT: &str = "production-k3v9x2mq";
const PROJECT: &str = "default";

/// The database and where it lies.
pub struct World {
    pub db: Db,
    url: String,
    kind: Database,
    _folder: tempfile::TempDir,
}

/// Which database.
#[derive(Clone, Copy, Debug)]
pub enum Database {
    Sqlite,
    Postgres,
}

/// Declares tests that take a fresh [`World`], each to be run on SQLite and on PostgreSQL.
macro_rules! on_both_databases {
    ($($(#[$meta:meta])* async fn $name:ident($world:ident) $body:block)*) => {
        $(
            $(#[$meta])*
            async fn $name($world: crate::world::World) $body
        )*

        mod on_sqlite {
            $(
                #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                async fn $name() {
                    let world = crate::world::World::new(crate::world::Database::Sqlite).await;
                    super::$name(world.expect("SQLite is built in")).await;
                }
            )*
        }

        mod on_postgres {
            $(
                #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                async fn $name() {
                    let world = crate::world::World::new(crate::world::Database::Postgres).await;
                    if let Some(world) = world {
                        super::$name(world).await;
                    }
                }
            )*
        }
    };
}
pub(crate) use on_both_databases;

impl World {
    /// A database with project and environment; `None` when PostgreSQL is to be left out.
    pub async fn new(kind: Database) -> Option<Self> {
        let folder = tempfile::tempdir().unwrap();
        let url = match kind {
            Database::Sqlite => {
                format!("sqlite:{}", folder.path().join("control-plane.db").display())
            }
            Database::Postgres => crate::postgres::database().await?.url,
        };
        let db = Db::open(&url).await.unwrap();
        let world = Self { db, url, kind, _folder: folder };
        let project = json!({ "name": PROJECT });
        let environment = json!({ "name": "production" });
        let mut tx = world.db.write().await.unwrap();
        let project = row::<ProjectDefinition>(resource::INSTANCE, PROJECT, project, NoState {});
        resource::insert(&mut tx, &project).await.unwrap();
        let state = EnvironmentState { domain_salt: "domainsalt23456".to_owned() };
        let environment = row::<EnvironmentDefinition>(PROJECT, ENVIRONMENT, environment, state);
        resource::insert(&mut tx, &environment).await.unwrap();
        tx.commit().await.unwrap();
        Some(world)
    }

    /// Another database of the same kind, with an environment of the same id.
    pub async fn another(&self) -> Self {
        Self::new(self.kind).await.unwrap()
    }

    /// Another connection to the same database, as another process has one.
    pub async fn connect(&self) -> Db {
        Db::connect(&self.url).await.unwrap()
    }

    /// A publisher of a process of its own.
    pub async fn publisher(&self, store: ConfigStore) -> Publisher {
        Publisher::with_store(self.connect().await, store, &Settings::default())
    }

    /// Every publication, oldest first.
    pub async fn publications(&self) -> Vec<Publication> {
        let mut tx = self.db.read().await.unwrap();
        let mut all =
            publications::list_below(&mut tx, ENVIRONMENT, None, None, 10_000).await.unwrap();
        all.reverse();
        all
    }

    /// States of all publications, oldest first.
    pub async fn states(&self) -> Vec<(u64, PublicationState)> {
        let all = self.publications().await;
        all.into_iter().map(|publication| (publication.generation, publication.state)).collect()
    }
}

/// Adds a flag, as the API does: announced by the revision, in one transaction.
pub async fn add_flag(db: &Db, key: &str) {
    let flag = json!({
        "key": key, "type": "boolean", "salt": format!("s{key}"),
        "variants": [{"name": "on", "value": true}, {"name": "off", "value": false}],
        "default_variant": "off", "off_variant": "off"
    });
    let mut tx = db.write().await.unwrap();
    environments::touch(&mut tx, ENVIRONMENT).await.unwrap();
    let flag = row::<FlagDefinition>(ENVIRONMENT, &format!("id-{key}"), flag, FlagState::default());
    resource::insert(&mut tx, &flag).await.unwrap();
    tx.commit().await.unwrap();
}

/// Something authored, in its first version.
pub fn row<D: Resource>(
    scope_id: &str,
    id: &str,
    definition: serde_json::Value,
    state: D::State,
) -> Versioned<D> {
    Versioned {
        id: id.to_owned(),
        scope_id: scope_id.to_owned(),
        version: 1,
        created_at: Timestamp::UNIX_EPOCH,
        updated_at: Timestamp::UNIX_EPOCH,
        definition: serde_json::from_value(definition).unwrap(),
        state,
    }
}

/// The flags of a published blob, read as an edge reads it.
pub async fn flags_of(store: &ConfigStore, manifest: &Manifest) -> Vec<String> {
    let blob = store.read(&Path::from(manifest.object.as_str())).await.unwrap().unwrap();
    let (header, config) = eval_core::blob::decode(&blob).unwrap();
    assert_eq!(header.environment, ENVIRONMENT);
    assert_eq!(header.generation, manifest.generation);
    let mut keys: Vec<_> = config.keys().map(str::to_owned).collect();
    keys.sort();
    keys
}
