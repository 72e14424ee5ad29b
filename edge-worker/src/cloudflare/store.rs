//! Reading configs: from the R2 bucket that is bound as `CONFIGS`, else over HTTP.

use worker::worker_sys::web_sys;
use worker::{AbortSignal, Env, Fetch, Method, Request};

use super::now_ms;
use super::settings::{WorkerSettings, bucket};
use crate::archive::{Loaded, Wanted};
use crate::config::pointer_key;
use crate::environments::{Environment, Next};

/// Milliseconds that one HTTP read may take; the first request of an isolate waits for two of them at most.
const READ_TIMEOUT_MS: u32 = 5000;

/// Reads the pointer and, when it names something newer, the blob; the environment keeps what it makes of them.
pub(super) async fn load(env: &Env, settings: &WorkerSettings, environment: &Environment) {
    let pointer = match read(env, settings, &pointer_key(environment.id())).await {
        Ok(pointer) => pointer,
        Err(error) => return fail(environment, &error),
    };
    let Next::Fetch(pointer) = environment.receive_pointer(pointer.as_deref(), now_ms()) else {
        return;
    };
    match read(env, settings, &pointer.object).await {
        Ok(Some(bytes)) => {
            if !environment.offer(&pointer, bytes, now_ms()) {
                let reason = environment.status().last_error.unwrap_or_default();
                worker::console_error!(
                    "config refused: environment={} object={} reason={reason}",
                    environment.id(),
                    pointer.object
                );
            }
        }
        Ok(None) => fail(
            environment,
            &format!("the pointer names {}, which the store does not have", pointer.object),
        ),
        Err(error) => fail(environment, &error),
    }
}

/// Reads a generation by its manifest. Nothing of what is held changes.
pub(super) async fn load_archived(env: &Env, settings: &WorkerSettings, wanted: &Wanted) -> Loaded {
    let pointer = match read(env, settings, &wanted.manifest_key()).await {
        Ok(Some(manifest)) => wanted.object(&manifest),
        Ok(None) => return Loaded::Missing,
        Err(error) => Err(error),
    };
    match pointer {
        Ok(pointer) => match read(env, settings, &pointer.object).await {
            Ok(bytes) => Loaded::from_object(wanted, &pointer, bytes),
            Err(error) => Loaded::Unreadable(error),
        },
        Err(error) => Loaded::Unreadable(error),
    }
}

fn fail(environment: &Environment, error: &str) {
    worker::console_warn!("config not read: environment={} error={error}", environment.id());
    environment.fail(error, now_ms());
}

/// The object's bytes; `None` when the store does not have it.
async fn read(env: &Env, settings: &WorkerSettings, key: &str) -> Result<Option<Vec<u8>>, String> {
    let result = match (bucket(env), &settings.config_url) {
        (Some(bucket), _) => read_bucket(&bucket, key).await,
        (None, Some(base)) => read_http(&format!("{base}/{key}")).await,
        (None, None) => {
            return Err("neither the R2 binding CONFIGS nor SORTITION_CONFIG_URL is set".to_owned());
        }
    };
    result.map_err(|error| format!("reading {key}: {error}"))
}

async fn read_bucket(bucket: &worker::Bucket, key: &str) -> worker::Result<Option<Vec<u8>>> {
    let Some(object) = bucket.get(key).execute().await? else { return Ok(None) };
    match object.body() {
        Some(body) => body.bytes().await.map(Some),
        None => Ok(None),
    }
}

async fn read_http(url: &str) -> worker::Result<Option<Vec<u8>>> {
    // Not `Fetch::Url`, which links a URL parser with its Unicode tables: a third of the Worker.
    let request = Request::new(url, Method::Get)?;
    let signal = AbortSignal::from(web_sys::AbortSignal::timeout_with_u32(READ_TIMEOUT_MS));
    let mut response = Fetch::Request(request).send_with_signal(&signal).await?;
    match response.status_code() {
        200 => response.bytes().await.map(Some),
        404 => Ok(None),
        status => Err(worker::Error::RustError(format!("the store answered {status}"))),
    }
}
