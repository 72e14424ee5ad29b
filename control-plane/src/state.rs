//! What every request handler shares.

use crate::http::rate_limit::RateLimits;
use crate::publish::Publisher;
use crate::settings::Settings;
use crate::store::Db;
use std::sync::Arc;
use tokio::sync::mpsc;
use uuid::Uuid;

/// Shared state of the service; cheap to clone.
#[derive(Clone)]
pub struct AppState {
    /// The database.
    pub db: Db,
    /// Settings of this process.
    pub settings: Arc<Settings>,
    /// Where changed environments are announced; see [`crate::publish::request`].
    pub publish_requests: mpsc::UnboundedSender<PublishRequest>,
    /// Compiles environments and puts them on object storage.
    pub publisher: Publisher,
    /// How many requests each caller has left.
    pub(crate) rate_limits: Arc<RateLimits>,
    /// Id of this process among the replicas.
    pub replica: Arc<str>,
    /// Client for forwarding events to the collector.
    pub http: reqwest::Client,
}

/// An environment whose definitions changed.
///
/// Losing one loses nothing but time: the database knows which environments changed since they were last
/// published (`environments.revision` above the published revision).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PublishRequest {
    /// Id of the environment.
    pub environment_id: String,
    /// Who changed it.
    pub author: String,
}

impl AppState {
    /// State over an open database, and the receiving end of [`AppState::publish_requests`], which
    /// [`crate::publish::queue::run`] takes. Fails when the settings name no store.
    pub fn new(
        db: Db,
        settings: Settings,
    ) -> anyhow::Result<(Self, mpsc::UnboundedReceiver<PublishRequest>)> {
        let (publish_requests, receiver) = mpsc::unbounded_channel();
        let state = Self {
            publisher: Publisher::new(db.clone(), &settings)?,
            db,
            rate_limits: Arc::new(RateLimits::new(settings.rate_limit_per_minute)),
            settings: Arc::new(settings),
            publish_requests,
            replica: Uuid::now_v7().to_string().into(),
            http: reqwest::Client::new(),
        };
        Ok((state, receiver))
    }
}
