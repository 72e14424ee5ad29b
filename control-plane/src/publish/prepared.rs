//! A publication with all its bytes: what a retry must repeat exactly.

use bytes::Bytes;
use jiff::Timestamp;

use super::manifest::{ClientFormObject, Manifest, client_form_path, object_path, plan_path};
use super::sign::Signer;

/// Everything that a publication writes to object storage. The blob's header holds generation and
/// time and its hash names the object, so these bytes are kept until the publication is live.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Prepared {
    /// What becomes the numbered manifest and the pointer.
    pub manifest: Manifest,
    /// Header and body.
    pub blob: Bytes,
    /// The analysis plan, JSON.
    pub plan: Bytes,
    /// The client form, header and body; `None` in what a version without client forms left behind.
    pub client_form: Option<Bytes>,
}

/// What a publication consists of, before it is named.
#[derive(Clone, Debug)]
pub struct Parts {
    /// Header and body.
    pub blob: Bytes,
    /// The analysis plan, JSON.
    pub plan: Bytes,
    /// The client form, header and body.
    pub client_form: Bytes,
}

impl Prepared {
    /// Hashes, signs and names the bytes.
    pub fn new(
        project: &str,
        environment: &str,
        generation: u64,
        made_at: Timestamp,
        parts: Parts,
        signer: Option<&Signer>,
    ) -> Self {
        let Parts { blob, plan, client_form } = parts;
        let sign = |bytes: &[u8]| signer.map(|signer| signer.sign(bytes));
        let client_hash = blake3::hash(&client_form).to_hex().to_string();
        let blake3 = blake3::hash(&blob).to_hex().to_string();
        let plan_hash = blake3::hash(&plan).to_hex();
        let manifest = Manifest {
            generation,
            object: object_path(environment, generation, &blake3).into(),
            size: blob.len() as u64,
            published_at: made_at.to_string(),
            key_id: signer.map(|signer| signer.key_id().to_owned()),
            signature: sign(&blob),
            environment: environment.to_owned(),
            project: project.to_owned(),
            plan: Some(plan_path(environment, generation, &plan_hash).into()),
            client_form: Some(ClientFormObject {
                object: client_form_path(environment, generation, &client_hash).into(),
                size: client_form.len() as u64,
                signature: sign(&client_form),
                blake3: client_hash,
            }),
            blake3,
        };
        Self { manifest, blob, plan, client_form: Some(client_form) }
    }
}
