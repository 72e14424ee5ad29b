//! From loaded definitions to the bytes of a publication: validate, compile, encode, sign.

use std::sync::Arc;

use analysis::plan::Plan;
use eval_core::{CompiledConfig, blob, client};
use jiff::Timestamp;

use super::prepared::{Parts, Prepared};
use super::sign::Signer;
use super::{Loaded, PublishError, Publisher, compile, plan};

/// A publication that is ready to be recorded.
pub(super) struct Made {
    /// Its bytes.
    pub(super) prepared: Prepared,
    /// Hash of body and plan without generation and time: equal content is not published twice.
    pub(super) content: String,
    /// Revision of the definitions.
    pub(super) revision: i64,
    /// When the bytes were made.
    pub(super) created_at: Timestamp,
    /// Phases that begin with this generation: (experiment id, phase).
    pub(super) new_phases: Vec<(String, u32)>,
    /// The generation whose archived definitions it repeats.
    pub(super) rollback_of: Option<u64>,
}

impl Publisher {
    /// Makes the next publication, above everything that database and store know.
    pub(super) async fn make(
        &self,
        loaded: &Loaded,
        highest_in_store: u64,
    ) -> Result<Made, PublishError> {
        let generation = 1 + loaded.highest.max(highest_in_store);
        let created_at = Timestamp::now();
        let plan = plan::plan(&loaded.snapshot, &loaded.phases, generation, created_at);
        let new_phases = plan
            .experiments
            .iter()
            .map(|experiment| (experiment.id.clone(), experiment.phase))
            .filter(|phase| !loaded.phases.contains_key(phase))
            .collect();
        let signer = self.signer().await?.clone();
        let snapshot = Arc::clone(&loaded.snapshot);
        let list_secret = self.list_secret;
        let revision = snapshot.revision;
        // Ten thousand experiments keep a core busy for tens of milliseconds.
        let (prepared, content) = tokio::task::spawn_blocking(move || {
            let config = compile::compile(&snapshot, list_secret.as_ref())?;
            let made_at = created_at.as_millisecond();
            let blob = blob::encode(&config, generation, made_at);
            let form = client_form(&config, generation, made_at);
            let content = content(&blob, &form, &plan)?;
            Ok::<_, PublishError>((prepare(blob, form, &plan, &signer), content))
        })
        .await
        .map_err(anyhow::Error::from)??;
        Ok(Made { prepared, content, revision, created_at, new_phases, rollback_of: None })
    }
}

/// The client form of a config, of the same generation and time. Made here and not at the edge: the
/// maker would be half of a Worker, and every isolate would make what is made once.
pub(super) fn client_form(
    config: &CompiledConfig<'_>,
    generation: u64,
    created_at_ms: i64,
) -> Vec<u8> {
    blob::encode(&client::form(config), generation, created_at_ms)
}

/// Hashes, signs and names a blob, its client form and its plan, whose generation and time are the
/// blob's.
pub(super) fn prepare(
    blob: Vec<u8>,
    client_form: Vec<u8>,
    plan: &Plan,
    signer: &Signer,
) -> Prepared {
    Prepared::new(
        &plan.project,
        &plan.environment,
        plan.generation,
        plan.created_at,
        Parts { blob: blob.into(), plan: json(plan).into(), client_form: client_form.into() },
        Some(signer),
    )
}

/// Hash of what edges, browsers and analysis read, generation and time apart.
fn content(blob: &[u8], client_form: &[u8], plan: &Plan) -> anyhow::Result<String> {
    let (_, body) = blob::verify(blob)?;
    let (_, client_body) = blob::verify(client_form)?;
    let timeless = Plan { generation: 0, created_at: Timestamp::UNIX_EPOCH, ..plan.clone() };
    let mut hasher = blake3::Hasher::new();
    hasher.update(body);
    hasher.update(client_body);
    hasher.update(&json(&timeless));
    Ok(hasher.finalize().to_hex().to_string())
}

fn json(plan: &Plan) -> Vec<u8> {
    serde_json::to_vec(plan).expect("a plan has string keys and finite numbers")
}
