//! Prometheus metrics on a private port of their own: what the parts record through the `metrics` facade.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::Context;
use axum::Router;
use axum::routing::get;
use clap::Args;
use metrics_exporter_prometheus::PrometheusBuilder;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

/// How many ports above the default are tried when it is taken, as it is when several parts run on one machine.
const PORTS_TRIED: u16 = 16;

/// Where to answer Prometheus.
#[derive(Debug, Clone, Args)]
pub(crate) struct MetricsArgs {
    /// Address of `GET /metrics`. When absent: the first free port from 9464 up on 127.0.0.1. Port 0: any free port.
    #[arg(long, env = "SORTITION_METRICS_LISTEN", value_name = "ADDRESS")]
    metrics_listen: Option<SocketAddr>,
}

/// Installs the recorder and serves it until the token is cancelled.
pub(crate) async fn serve(args: &MetricsArgs, shutdown: CancellationToken) -> anyhow::Result<()> {
    let handle = PrometheusBuilder::new().install_recorder().context("metrics recorder")?;
    let listener = bind(args.metrics_listen).await?;
    let address = listener.local_addr()?;
    tracing::info!(%address, "metrics at /metrics");

    let upkeep = handle.clone();
    let stop = shutdown.clone();
    tokio::spawn(async move {
        let mut ticks = tokio::time::interval(Duration::from_secs(5));
        loop {
            tokio::select! {
                _ = ticks.tick() => upkeep.run_upkeep(),
                () = stop.cancelled() => return,
            }
        }
    });
    let routes = Router::new().route("/metrics", get(move || async move { handle.render() }));
    tokio::spawn(async move {
        let served =
            axum::serve(listener, routes).with_graceful_shutdown(shutdown.cancelled_owned());
        if let Err(error) = served.await {
            tracing::error!(%error, "metrics endpoint ended");
        }
    });
    Ok(())
}

async fn bind(address: Option<SocketAddr>) -> anyhow::Result<TcpListener> {
    if let Some(address) = address {
        return TcpListener::bind(address).await.with_context(|| format!("metrics port {address}"));
    }
    for port in 9464..9464 + PORTS_TRIED {
        if let Ok(listener) = TcpListener::bind(("127.0.0.1", port)).await {
            return Ok(listener);
        }
    }
    anyhow::bail!("no free port for metrics from 9464 up; set --metrics-listen")
}
