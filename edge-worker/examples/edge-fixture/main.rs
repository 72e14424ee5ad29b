//! What the tests in `tests/edge` need of Rust: published configs, and the native edge to compare the Worker with.
//!
//! ```text
//! edge-fixture publish <store folder> <generation> [routes]   writes the blob and points latest.json at it; `routes` is a file with a
//!                                                             JSON list of routes
//! edge-fixture publish-odd <store folder> <generation> <oddity>   the same, with something odd in a blob that is in order
//! edge-fixture publish-many <store folder> <generation> <experiments> <flags>   the same, with so many experiments and flags
//! edge-fixture generations <experiments> <count>                  writes so many generations to standard output, see [`generations`]
//! edge-fixture serve-faulty                                       serves the native edge with metrics and logs, settings from the environment
//! edge-fixture serve <store folder>                           serves the native edge on a free port, printed as one line of JSON
//! ```
//!
//! `serve` reads the settings of routing from the environment, as `sortition edge` does, and `SORTITION_COLLECTOR_URL`.
#![expect(clippy::print_stdout, reason = "a tool of the tests: its output is what they read")]

mod client_form;
mod faulty;
mod many;
mod source;

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::Context as _;
use edge_worker::routing::{Hosts, RoutingConfig};
use eval_core::blob;
use eval_core::route::RouteSource;
use eval_core::source::ConfigSource;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["publish", store, generation] => {
            publish(Path::new(store), generation.parse()?, Vec::new())
        }
        ["publish", store, generation, routes] => {
            let routes = serde_json::from_slice(&std::fs::read(routes)?)?;
            publish(Path::new(store), generation.parse()?, routes)
        }
        ["publish-odd", store, generation, oddity] => {
            faulty::publish(Path::new(store), generation.parse()?, oddity)
        }
        ["publish-many", store, generation, n_experiments, n_flags] => {
            let source = many::source(n_experiments.parse()?, n_flags.parse()?);
            publish_source(Path::new(store), generation.parse()?, &source)
        }
        ["generations", n_experiments, count] => {
            generations(n_experiments.parse()?, count.parse()?)
        }
        ["serve", store] => serve(store).await,
        ["serve-faulty"] => faulty::serve().await,
        _ => anyhow::bail!(
            "usage: edge-fixture publish <store folder> <generation> [routes] | serve <store folder>"
        ),
    }
}

fn publish(store: &Path, generation: u64, routes: Vec<RouteSource>) -> anyhow::Result<()> {
    publish_source(store, generation, &ConfigSource { routes, ..source::source(generation) })
}

fn publish_source(store: &Path, generation: u64, source: &ConfigSource) -> anyhow::Result<()> {
    let created_at_ms = i64::try_from(SystemTime::now().duration_since(UNIX_EPOCH)?.as_millis())?;
    let form = client_form::encode(source, generation, created_at_ms)?;
    let form_path = store.join(source::pointer(generation).1).with_extension("client.bin");
    std::fs::create_dir_all(form_path.parent().context("the object lies in a folder")?)?;
    std::fs::write(form_path, form)?;
    write(store, generation, &source::encode(source, generation, created_at_ms)?)
}

/// Writes the bodies of two configs of different sizes, each after its length (4 bytes, little endian), and then the headers of the
/// generations from 1 on: of the first body where the number is odd, of the second where it is even. The body follows a header to make a blob.
fn generations(n_experiments: usize, count: u64) -> anyhow::Result<()> {
    let body = |n_experiments| -> anyhow::Result<Vec<u8>> {
        let blob = source::encode(&many::source(n_experiments, 0), 1, 0)?;
        Ok(blob.get(blob::HEADER_BYTES..).context("a blob has a header")?.to_vec())
    };
    let bodies = [body(n_experiments - n_experiments / 10)?, body(n_experiments)?];
    let mut out = std::io::stdout().lock();
    for body in &bodies {
        out.write_all(&u32::try_from(body.len())?.to_le_bytes())?;
        out.write_all(body)?;
    }
    for generation in 1..=count {
        let body = &bodies[usize::from(generation % 2 == 0)];
        let blob = blob::frame(blob::FORMAT_VERSION, source::ENVIRONMENT, generation, 0, body);
        out.write_all(blob.get(..blob::HEADER_BYTES).context("a blob has a header")?)?;
    }
    Ok(())
}

/// Writes a blob and what names it, and says under which keys it can be asked for.
fn write(store: &Path, generation: u64, blob: &[u8]) -> anyhow::Result<()> {
    let (pointer, object) = source::pointer(generation);
    let hash = blake3::hash(blob).to_hex();
    let more = format!(r#","blake3":"{hash}","size":{}}}"#, blob.len());
    let pointer = pointer.strip_suffix('}').context("a pointer is an object")?.to_owned() + &more;
    let object = store.join(object);
    let folder: PathBuf = object.parent().context("the object lies in a folder")?.to_owned();
    std::fs::create_dir_all(&folder)?;
    std::fs::write(&object, blob)?;
    std::fs::create_dir_all(folder.join("manifests"))?;
    std::fs::write(folder.join(format!("manifests/{generation:020}.json")), &pointer)?;
    std::fs::write(folder.join("latest.json.new"), pointer)?;
    std::fs::rename(folder.join("latest.json.new"), folder.join("latest.json"))?;
    println!(
        r#"{{"environment":"{}","server_key":"{}","client_key":"{}","list_secret":"{}"}}"#,
        source::ENVIRONMENT,
        source::SERVER_KEY,
        source::CLIENT_KEY,
        source::LIST_SECRET.map(|byte| format!("{byte:02x}")).concat(),
    );
    Ok(())
}

fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}

async fn serve(store: &str) -> anyhow::Result<()> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    println!(r#"{{"url":"http://{}"}}"#, listener.local_addr()?);
    let settings = edge_worker::Settings {
        store: Some(format!("file://{store}")),
        environment: Some(source::ENVIRONMENT.to_owned()),
        list_secret: Some(source::LIST_SECRET),
        collector_url: variable("SORTITION_COLLECTOR_URL"),
        routing: RoutingConfig {
            hosts: Hosts::parse(&variable("SORTITION_HOSTS").unwrap_or_default())
                .map_err(anyhow::Error::msg)?,
            sdk_keys: RoutingConfig::parse_keys(
                &variable("SORTITION_ROUTING_KEYS").unwrap_or_default(),
            ),
            origin_timeout_ms: variable("SORTITION_ORIGIN_TIMEOUT_MS")
                .map_or(Ok(10_000), |t| t.parse())?,
        },
        refresh_interval: Duration::from_millis(200),
        max_streams: variable("SORTITION_MAX_STREAMS").map_or(Ok(100), |n| n.parse())?,
        ..edge_worker::Settings::default()
    };
    edge_worker::serve(listener, settings, CancellationToken::new()).await
}
