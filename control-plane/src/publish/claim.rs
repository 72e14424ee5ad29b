//! Who owns a generation, and where the pointer stands.
//!
//! A generation is claimed by creating its numbered manifest with a create-only put, the one
//! conditional write that every store has, local files included. So two publishers never both own
//! it. The pointer `latest.json` is a plain overwrite; whoever writes it looks afterwards whether a
//! higher manifest exists and writes again until none does, so that a slow publisher cannot leave
//! an old pointer behind.
//!
//! Everything here can be repeated: after a crash, the same calls with the same bytes finish what
//! was begun.

use futures::{TryStreamExt as _, future};
use object_store::path::Path;
use object_store::{ObjectStoreExt as _, PutMode};

use super::manifest::{Manifest, generation_of, manifest_path, manifests_path, pointer_path};
use super::prepared::Prepared;
use super::upload::{self, Caching, ConfigStore, StoreError};

/// The outcome of claiming a generation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Claim {
    /// The generation is ours, now or since an earlier try.
    Ours,
    /// Another publisher owns it, with other content (or its manifest is damaged: then nobody's).
    Theirs,
}

/// Blob and plan, then the claim, then the pointer: the whole way of a publication through object
/// storage. After a crash anywhere in it, the same call finishes it.
pub async fn deliver(store: &ConfigStore, prepared: &Prepared) -> Result<Claim, StoreError> {
    upload::upload(store, prepared).await?;
    let claimed = claim(store, &prepared.manifest).await?;
    if claimed == Claim::Ours {
        advance_pointer(store, &prepared.manifest.environment).await?;
    }
    Ok(claimed)
}

/// Claims the manifest's generation by creating the numbered manifest. Its blob and plan must be
/// stored already: from here on readers may be pointed at them.
pub async fn claim(store: &ConfigStore, manifest: &Manifest) -> Result<Claim, StoreError> {
    let path = manifest_path(&manifest.environment, manifest.generation);
    match store.put(&path, manifest.to_json().into(), PutMode::Create, Caching::Immutable).await {
        Ok(()) => Ok(Claim::Ours),
        Err(object_store::Error::AlreadyExists { .. }) => {
            let found = read(store, &path).await?;
            let ours = found.is_some_and(|found| found.same_content(manifest));
            Ok(if ours { Claim::Ours } else { Claim::Theirs })
        }
        Err(error) => Err(error.into()),
    }
}

/// Points `latest.json` at the highest manifest, and again while a higher one has appeared
/// meanwhile. Answers the manifest that the pointer then names; `None` when nothing was published.
///
/// A manifest that cannot be read or whose blob is missing (a damaged disk) is passed over: the
/// pointer always names a manifest and a blob that exist.
pub async fn advance_pointer(
    store: &ConfigStore,
    environment: &str,
) -> Result<Option<Manifest>, StoreError> {
    let mut pointed = pointer(store, environment).await?;
    loop {
        let above = pointed.as_ref().map(|manifest| manifest.generation);
        let Some(next) = highest_usable(store, environment, above).await? else {
            return Ok(pointed);
        };
        let path = pointer_path(environment);
        store.put(&path, next.to_json().into(), PutMode::Overwrite, Caching::Revalidate).await?;
        pointed = Some(next);
    }
}

/// The pointer as it stands. A pointer that cannot be read counts as absent: it is rewritten.
pub async fn pointer(
    store: &ConfigStore,
    environment: &str,
) -> Result<Option<Manifest>, StoreError> {
    read(store, &pointer_path(environment)).await
}

/// The manifest of a generation.
pub async fn manifest(
    store: &ConfigStore,
    environment: &str,
    generation: u64,
) -> Result<Option<Manifest>, StoreError> {
    read(store, &manifest_path(environment, generation)).await
}

/// The highest generation that the store knows, claimed or pointed at; 0 when there is none.
pub async fn highest_generation(store: &ConfigStore, environment: &str) -> Result<u64, StoreError> {
    let pointed = pointer(store, environment).await?.map(|manifest| manifest.generation);
    let above = generations_above(store, environment, pointed).await?.into_iter().max();
    Ok(above.or(pointed).unwrap_or(0))
}

/// The highest manifest above `floor` that a reader can follow.
async fn highest_usable(
    store: &ConfigStore,
    environment: &str,
    floor: Option<u64>,
) -> Result<Option<Manifest>, StoreError> {
    let mut generations = generations_above(store, environment, floor).await?;
    generations.sort_unstable_by(|a, b| b.cmp(a));
    for generation in generations {
        if let Some(manifest) = manifest(store, environment, generation).await?
            && store.exists(&Path::from(manifest.object.as_str())).await?
        {
            return Ok(Some(manifest));
        }
        tracing::error!(environment, generation, "a manifest or its blob is damaged; passed over");
    }
    Ok(None)
}

/// Every claimed generation above `floor`. Costs one listing of what is above it, not of the
/// archive, where the store can list from an offset.
async fn generations_above(
    store: &ConfigStore,
    environment: &str,
    floor: Option<u64>,
) -> Result<Vec<u64>, StoreError> {
    let folder = manifests_path(environment);
    let listing = match floor {
        Some(floor) => {
            store.objects().list_with_offset(Some(&folder), &manifest_path(environment, floor))
        }
        None => store.objects().list(Some(&folder)),
    };
    let generations = listing
        .try_filter_map(|meta| future::ready(Ok(generation_of(&meta.location))))
        .try_collect()
        .await?;
    Ok(generations)
}

/// Reads a manifest; `None` when it is absent or is no manifest.
async fn read(store: &ConfigStore, path: &Path) -> Result<Option<Manifest>, StoreError> {
    let bytes = match store.objects().get(path).await {
        Ok(found) => found.bytes().await?,
        Err(object_store::Error::NotFound { .. }) => return Ok(None),
        Err(error) => return Err(error.into()),
    };
    Ok(serde_json::from_slice(&bytes).ok())
}
