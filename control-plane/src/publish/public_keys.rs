//! The public keys that edges verify configs with, and whether they are still needed.

use std::collections::BTreeSet;

use axum::Json;
use axum::extract::State;
use serde::Serialize;
use utoipa::ToSchema;

use super::Publisher;
use super::sign::Signer;
use crate::error::{ApiError, ProblemDocument};
use crate::http::NoQuery;
use crate::state::AppState;
use crate::store::publications;

/// A key that signs configs, or has signed them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct SigningKeyView {
    /// Its name, as in manifests and in an edge's `/readyz`: the first 16 hexadecimal digits of the public key's SHA-256.
    pub key_id: String,
    /// Ed25519 public key, 64 hexadecimal digits; null for a former key that was given from outside and is not known here any more.
    pub public_key: Option<String>,
    /// Whether this control plane signs with it.
    pub active: bool,
    /// Whether the newest config of some environment is signed under it, so that edges must know it still.
    pub in_use: bool,
}

/// The public keys of an installation.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub(crate) struct PublicKeysView {
    /// The active one first.
    pub(crate) data: Vec<SigningKeyView>,
}

impl Publisher {
    /// Every key that edges may have to know: the active one first, then the one that the database keeps, where another has taken
    /// its place, and those under which configs are still signed.
    pub async fn public_keys(&self) -> anyhow::Result<Vec<SigningKeyView>> {
        let active = self.signer().await?;
        let mut tx = self.db.read().await?;
        let mut in_use = publications::key_ids_in_use(&mut tx).await?;
        let kept = publications::find_signing_key(&mut tx).await?;
        let kept = kept.map(|seed| Signer::from_seed(&seed));
        drop(tx);
        let kept = kept.filter(|kept| kept.key_id() != active.key_id());
        let mut keys = Vec::new();
        for (signer, is_active) in
            [(active, true)].into_iter().chain(kept.iter().map(|k| (k, false)))
        {
            keys.push(SigningKeyView {
                key_id: signer.key_id().to_owned(),
                public_key: Some(signer.public_key()),
                active: is_active,
                in_use: in_use.remove(signer.key_id()),
            });
        }
        keys.extend(unknown(in_use));
        Ok(keys)
    }
}

fn unknown(key_ids: BTreeSet<String>) -> impl Iterator<Item = SigningKeyView> {
    key_ids.into_iter().map(|key_id| SigningKeyView {
        key_id,
        public_key: None,
        active: false,
        in_use: true,
    })
}

/// Answers the public keys of the keys that sign configs: what edges are given as `SORTITION_PUBLIC_KEYS`.
#[utoipa::path(get, path = "/public-keys", tag = "delivery",
    responses((status = 200, body = PublicKeysView), (status = "4XX", body = ProblemDocument)))]
pub(crate) async fn list_public_keys(
    State(state): State<AppState>,
    _: NoQuery,
) -> Result<Json<PublicKeysView>, ApiError> {
    Ok(Json(PublicKeysView { data: state.publisher.public_keys().await? }))
}
