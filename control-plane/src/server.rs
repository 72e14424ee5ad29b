//! The running service: HTTP, publishing in the background, the scheduler, webhooks.

use crate::bootstrap;
use crate::publish;
use crate::routes;
use crate::scheduler;
use crate::settings::Settings;
use crate::state::AppState;
use crate::store::Db;
use crate::webhooks;
use anyhow::Context;
use std::future::IntoFuture;
use std::time::Duration;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

/// How long stopping waits for requests that are under way.
const LAST_CALL: Duration = Duration::from_secs(10);

/// Serves on `settings.listen` until `shutdown`, then finishes what is under way.
pub async fn run(settings: Settings, shutdown: CancellationToken) -> anyhow::Result<()> {
    let listener = TcpListener::bind(settings.listen)
        .await
        .with_context(|| format!("listening on {}", settings.listen))?;
    serve(listener, settings, shutdown).await
}

/// Like [`run`], on a listener that is bound already.
pub async fn serve(
    listener: TcpListener,
    settings: Settings,
    shutdown: CancellationToken,
) -> anyhow::Result<()> {
    let db = Db::open(&settings.database_url).await?;
    let must_bootstrap = settings.bootstrap.is_some();
    let (state, requests) = AppState::new(db.clone(), settings)?;
    if must_bootstrap {
        bootstrap::ensure(&state).await.context("making the default project")?;
    }
    // Publishing outlives the requests that ask for it.
    let publishing_ends = CancellationToken::new();
    let publishing = tokio::spawn(publish::queue::run(
        state.publisher.clone(),
        requests,
        publishing_ends.clone(),
    ));
    let scheduling = tokio::spawn(scheduler::run(state.clone(), shutdown.clone()));
    let messaging = tokio::spawn(webhooks::run(state.clone(), shutdown.clone()));
    tracing::info!(address = %listener.local_addr()?, "control plane is listening");
    let serving = axum::serve(listener, routes::router(state))
        .with_graceful_shutdown(shutdown.clone().cancelled_owned())
        .into_future();
    let patience = async {
        shutdown.cancelled().await;
        tokio::time::sleep(LAST_CALL).await;
    };
    tokio::select! {
        ended = serving => ended.context("serving HTTP")?,
        () = patience => tracing::warn!("some clients kept their connections open to the end"),
    }
    // Also when serving ended by itself.
    shutdown.cancel();
    scheduling.await.context("the scheduler stopped")?;
    messaging.await.context("the sender of webhooks stopped")?;
    publishing_ends.cancel();
    publishing.await.context("publishing stopped")?;
    db.close().await;
    Ok(())
}
