//! Reading configs: from the R2 bucket that is bound as `CONFIGS`, else over HTTP.

use super::settings::WorkerSettings;
use super::{Env, console, io, now_ms, signature};
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
        Ok(Some(generation)) => console::warn(&format!(
            "the store gives no config; a copy is served: environment={} generation={generation} source={source:?}",
            environment.id()
        )),
        Ok(None) => {}
        Err(reason) => console::error(&format!(
            "the copy of a config is refused: environment={} source={source:?} reason={reason}",
            environment.id()
        )),
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

/// Reads the client form of the config in use.
pub(super) async fn load_client_form(
    env: &Env,
    settings: &WorkerSettings,
    environment: &Environment,
) {
    let keys = &settings.service.public_keys;
    let Some((held, candidate)) = environment.client_form_candidate(keys) else { return };
    let error = match candidate {
        Ok(candidate) => {
            match read(env, settings, &candidate.pointer.object, BLOB_TIMEOUT_MS).await {
                Ok(Some(bytes)) => {
                    let check = candidate.check.as_deref();
                    let is_authentic = signature::is_authentic(check, &bytes).await;
                    let now_ms = now_ms();
                    match environment.offer_client_form(
                        &held,
                        &candidate,
                        bytes,
                        is_authentic,
                        now_ms,
                    ) {
                        Ok(()) => return,
                        Err(refusal) => refusal.to_string(),
                    }
                }
                Ok(None) => "the store does not have it".to_owned(),
                Err(error) => error,
            }
        }
        Err(refusal) => refusal.to_string(),
    };
    environment.fail_client_form(now_ms());
    console::warn(&format!(
        "client form not taken: environment={} error={error}",
        environment.id()
    ));
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
        console::error(&format!(
            "config refused: environment={} object={object} reason={reason}",
            environment.id()
        ));
    }
}

fn log_damage(environment: &Environment) {
    let Some(held) = environment.held() else { return };
    for fault in held.config().faults() {
        console::error(&format!(
            "an entry of the config is damaged: environment={} generation={} entry={} problem={}",
            environment.id(),
            held.generation(),
            fault.entry,
            fault.problem
        ));
    }
}

fn fail(environment: &Environment, error: &str) {
    console::warn(&format!("config not read: environment={} error={error}", environment.id()));
    environment.fail(error, now_ms());
}

/// The object's bytes; `None` when the store does not have it.
async fn read(
    env: &Env,
    settings: &WorkerSettings,
    key: &str,
    timeout_ms: u32,
) -> Result<Option<Vec<u8>>, String> {
    io::read(env, settings.config_url.as_deref(), key, timeout_ms).await
}
