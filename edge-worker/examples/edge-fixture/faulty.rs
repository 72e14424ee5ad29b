//! What the table of faults (`tests/edge/faults.test.mjs`) needs of Rust: blobs in order with something odd in them, and a native edge
//! whose metrics and logs can be read and whose handler can be made to panic.

use std::path::Path;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::Context as _;
use axum::Router;
use axum::routing::get;
use edge_worker::routing::{Hosts, RoutingConfig};
use eval_core::source::{ConfigSource, ExperimentSource, ExperimentStatus, Literal};
use eval_core::{CompiledConfig, Context, blob};
use metrics_exporter_prometheus::PrometheusBuilder;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::source::{self, ENVIRONMENT};
use crate::variable;

/// Publishes a blob that passes every check and has something odd in it: `unknown-operator` or `damaged-entry`.
pub(crate) fn publish(store: &Path, generation: u64, oddity: &str) -> anyhow::Result<()> {
    let now_ms = i64::try_from(SystemTime::now().duration_since(UNIX_EPOCH)?.as_millis())?;
    let blob = match oddity {
        "unknown-operator" => {
            source::encode(&with_unknown_operator(generation), generation, now_ms)?
        }
        "damaged-entry" => {
            let good = source::encode(&source::source(generation), generation, now_ms)?;
            damage_entry(&good).context("some flipped bit damages an entry and nothing else")?
        }
        other => anyhow::bail!("no oddity is named {other}"),
    };
    crate::write(store, generation, &blob)
}

/// One more experiment, whose targeting compares in a way that this build does not know.
fn with_unknown_operator(generation: u64) -> ConfigSource {
    let mut source = source::source(generation);
    let targeting = source::compare("country", "is_in_orbit", Literal::Bool(true));
    source.experiments.push(ExperimentSource {
        targeting: Some(targeting),
        ..source::experiment("odd", "user_id", ExperimentStatus::Running)
    });
    source
}

/// The blob with the first flipped bit that damages one entry and changes no decision of the others, under a checksum that is right.
fn damage_entry(good: &[u8]) -> Option<Vec<u8>> {
    let (header, body) = blob::verify(good).ok()?;
    let (_, config) = blob::decode(good).ok()?;
    let expected = decisions(&config);
    (0..body.len() * 8).find_map(|bit| {
        let mut body = body.to_vec();
        *body.get_mut(bit / 8)? ^= 1 << (bit % 8);
        let damaged = blob::frame(
            header.format_version,
            &header.environment,
            header.generation,
            header.created_at_ms,
            &body,
        );
        let (_, config) = blob::decode(&damaged).ok()?;
        let is_one = matches!(config.faults(), [fault] if fault.entry.starts_with("experiment `"));
        (is_one && decisions(&config) == expected).then_some(damaged)
    })
}

/// What some units get of the entries that the tests look at.
fn decisions(config: &CompiledConfig<'_>) -> Vec<String> {
    let units = (0..50).map(|n| format!("u-{n}"));
    units
        .flat_map(|unit| {
            let context = Context::new()
                .unit("user_id", unit.clone())
                .unit("anonymous_id", unit.clone())
                .attribute("country", "US")
                .attribute("returning", true);
            let keys = ["checkout", "visitors", "new_nav", "killed", "ratio", "by_experiment"];
            keys.map(|key| {
                let mut request = eval_core::Request::new(config, &context, None, 0);
                format!("{:?}", request.evaluate(key))
            })
        })
        .collect()
}

/// Serves on free ports, printed as one line of JSON. A request with `trap=1` in its query panics.
pub(crate) async fn serve() -> anyhow::Result<()> {
    tracing_subscriber::fmt().with_writer(std::io::stderr).with_ansi(false).init();
    let settings = edge_worker::Settings {
        config_url: variable("SORTITION_CONFIG_URL"),
        collector_url: variable("SORTITION_COLLECTOR_URL"),
        environment: Some(ENVIRONMENT.to_owned()),
        list_secret: Some(source::LIST_SECRET),
        public_keys: edge_worker::trust::PublicKeys::parse(
            &variable("SORTITION_PUBLIC_KEYS").unwrap_or_default(),
        )
        .map_err(anyhow::Error::msg)?,
        config_cache: variable("SORTITION_CONFIG_CACHE").map(Into::into),
        bundled_config: variable("SORTITION_BUNDLED_CONFIG").map(Into::into),
        routing: RoutingConfig {
            hosts: Hosts::parse(&variable("SORTITION_HOSTS").unwrap_or_default())
                .map_err(anyhow::Error::msg)?,
            ..RoutingConfig::default()
        },
        on_request: Some(|_, query| assert!(!query.contains("trap=1"), "asked to")),
        refresh_interval: Duration::from_millis(
            variable("SORTITION_REFRESH_INTERVAL_MS").map_or(Ok(200), |text| text.parse())?,
        ),
        ..edge_worker::Settings::default()
    };
    let recorder = PrometheusBuilder::new().install_recorder()?;
    let metrics = TcpListener::bind("127.0.0.1:0").await?;
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    println!(
        r#"{{"url":"http://{}","metrics":"http://{}/metrics"}}"#,
        listener.local_addr()?,
        metrics.local_addr()?
    );
    let page = Router::new().route("/metrics", get(async move || recorder.render()));
    tokio::spawn(async move { axum::serve(metrics, page).await });
    edge_worker::serve(listener, settings, CancellationToken::new()).await
}
