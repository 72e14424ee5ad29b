//! Reading configs: from the R2 bucket that is bound as `CONFIGS`, else over HTTP.

use worker::worker_sys::web_sys;
use worker::{AbortSignal, Env, Fetch, Method, Request};

use super::now_ms;
use super::settings::{WorkerSettings, bucket};
use super::signature;
use crate::archive::{Loaded, Wanted};
use crate::config::pointer_key;
use crate::copies::ConfigCopy;
use crate::environments::{BLOB_TIMEOUT_MS, Environment, Next, POINTER_TIMEOUT_MS};
use crate::standing::Source;

/// Reads the pointer and, when it names something newer, the blob; the environment keeps what it makes of them. Whether a new config
/// is held.
pub(super) async fn load(env: &Env, settings: &WorkerSettings, environment: &Environment) -> bool {
    let pointer =
        match read(env, settings, &pointer_key(environment.id()), POINTER_TIMEOUT_MS).await {
            Ok(pointer) => pointer,
            Err(error) => {
                fail(environment, &error);
                return false;
            }
        };
    let keys = &settings.service.public_keys;
    let next = environment.receive_pointer(pointer.as_deref(), keys, now_ms());
    let Next::Fetch(candidate) = next else {
        log_failure(environment);
        return false;
    };
    let object = &candidate.pointer.object;
    match read(env, settings, object, BLOB_TIMEOUT_MS).await {
        Ok(Some(bytes)) => {
            let is_authentic = signature::is_authentic(candidate.check.as_deref(), &bytes).await;
            if environment.offer(&candidate, bytes, is_authentic, now_ms()) {
                log_damage(environment);
                return true;
            }
            log_failure(environment);
        }
        Ok(None) => {
            let error = format!("the pointer names {object}, which the store does not have");
            fail(environment, &error);
        }
        Err(error) => fail(environment, &error),
    }
    false
}

/// Serves what a file of copies has of an environment, if it is newer than what is held.
pub(super) async fn adopt(
    settings: &WorkerSettings,
    environment: &Environment,
    file: &[u8],
    source: Source,
) {
    match try_adopt(settings, environment, file, source).await {
        Ok(Some(generation)) => worker::console_warn!(
            "the store gives no config; a copy is served: environment={} generation={generation} source={source:?}",
            environment.id()
        ),
        Ok(None) => {}
        Err(reason) => worker::console_error!(
            "the copy of a config is refused: environment={} source={source:?} reason={reason}",
            environment.id()
        ),
    }
}

async fn try_adopt(
    settings: &WorkerSettings,
    environment: &Environment,
    file: &[u8],
    source: Source,
) -> Result<Option<u64>, String> {
    let Some(copy) = ConfigCopy::find(file, environment.id())? else { return Ok(None) };
    let generation = copy.pointer.generation;
    if environment.held().is_some_and(|held| held.generation() >= generation) {
        return Ok(None);
    }
    let keys = &settings.service.public_keys;
    let candidate = environment.receive_copy(&copy, keys).map_err(|e| e.to_string())?;
    let is_authentic = signature::is_authentic(candidate.check.as_deref(), copy.blob).await;
    let is_new = environment
        .adopt(&candidate, copy.blob.to_vec(), is_authentic, source)
        .map_err(|e| e.to_string())?;
    Ok(is_new.then_some(generation))
}

/// Reads a generation by its manifest. Nothing of what is held changes.
pub(super) async fn load_archived(env: &Env, settings: &WorkerSettings, wanted: &Wanted) -> Loaded {
    let candidate = match read(env, settings, &wanted.manifest_key(), POINTER_TIMEOUT_MS).await {
        Ok(Some(manifest)) => wanted.object(&manifest, &settings.service.public_keys),
        Ok(None) => return Loaded::Missing,
        Err(error) => Err(error),
    };
    match candidate {
        Ok(candidate) => {
            match read(env, settings, &candidate.pointer.object, BLOB_TIMEOUT_MS).await {
                Ok(bytes) => {
                    let blob = bytes.as_deref().unwrap_or_default();
                    let is_authentic =
                        signature::is_authentic(candidate.check.as_deref(), blob).await;
                    Loaded::from_object(wanted, &candidate, bytes, is_authentic)
                }
                Err(error) => Loaded::Unreadable(error),
            }
        }
        Err(error) => Loaded::Unreadable(error),
    }
}

/// What was wrong with a pointer or blob; nothing where the held config is the newest.
fn log_failure(environment: &Environment) {
    let status = environment.status();
    if let Some(reason) = status.last_error {
        let object = status.last_refused.map(|refused| refused.object).unwrap_or_default();
        worker::console_error!(
            "config refused: environment={} object={object} reason={reason}",
            environment.id()
        );
    }
}

fn log_damage(environment: &Environment) {
    let Some(held) = environment.held() else { return };
    for fault in held.config().faults() {
        worker::console_error!(
            "an entry of the config is damaged: environment={} generation={} entry={} problem={}",
            environment.id(),
            held.generation(),
            fault.entry,
            fault.problem
        );
    }
}

fn fail(environment: &Environment, error: &str) {
    worker::console_warn!("config not read: environment={} error={error}", environment.id());
    environment.fail(error, now_ms());
}

/// The object's bytes; `None` when the store does not have it.
async fn read(
    env: &Env,
    settings: &WorkerSettings,
    key: &str,
    timeout_ms: u32,
) -> Result<Option<Vec<u8>>, String> {
    let result = match (bucket(env), &settings.config_url) {
        (Some(bucket), _) => read_bucket(&bucket, key).await,
        (None, Some(base)) => read_http(&format!("{base}/{key}"), timeout_ms).await,
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

async fn read_http(url: &str, timeout_ms: u32) -> worker::Result<Option<Vec<u8>>> {
    // Not `Fetch::Url`, which links a URL parser with its Unicode tables: a third of the Worker.
    let request = Request::new(url, Method::Get)?;
    let signal = AbortSignal::from(web_sys::AbortSignal::timeout_with_u32(timeout_ms));
    let mut response = Fetch::Request(request).send_with_signal(&signal).await?;
    match response.status_code() {
        200 => response.bytes().await.map(Some),
        404 => Ok(None),
        status => Err(worker::Error::RustError(format!("the store answered {status}"))),
    }
}
