//! Publications: which generation holds what, and how far it got.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::Context as _;
use jiff::Timestamp;
use serde::Serialize;
use utoipa::ToSchema;

use super::db::{Row, Tx, is_unique_violation};
use crate::publish::manifest::Manifest;
use crate::publish::prepared::Prepared;

/// How far a publication got.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum PublicationState {
    /// Recorded with its bytes; not known to have reached the edges.
    Pending,
    /// Its manifest is claimed and the pointer stands at it or above it.
    Live,
    /// Never claimed: a later publication took its place.
    Superseded,
}

/// One publication, without its bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Publication {
    /// Environment id.
    pub environment_id: String,
    /// Generation.
    pub generation: u64,
    /// Who asked for it.
    pub author: String,
    /// How far it got.
    pub state: PublicationState,
    /// The definitions' revision that was compiled.
    pub revision: i64,
    /// Hash of what was compiled, without generation and time.
    pub content: String,
    /// The generation whose archived definitions it repeats.
    pub rollback_of: Option<u64>,
    /// What was or is to be claimed.
    pub manifest: Manifest,
    /// When its bytes were made.
    pub created_at: Timestamp,
    /// When it was known to be live.
    pub live_at: Option<Timestamp>,
}

/// What is recorded of a publication before anything is uploaded.
#[derive(Clone, Debug)]
pub struct NewPublication<'a> {
    /// Who asked for it.
    pub author: &'a str,
    /// The definitions' revision that was compiled.
    pub revision: i64,
    /// Hash of what was compiled, without generation and time.
    pub content: &'a str,
    /// The generation whose archived definitions it repeats.
    pub rollback_of: Option<u64>,
    /// The bytes.
    pub prepared: &'a Prepared,
    /// When they were made.
    pub created_at: Timestamp,
}

/// Records a publication as pending. `false` when the generation is taken: someone else published
/// since this one was prepared, so that its definitions may be older than theirs.
pub async fn insert_pending(tx: &mut Tx, new: &NewPublication<'_>) -> anyhow::Result<bool> {
    let manifest = &new.prepared.manifest;
    let inserted = tx
        .execute(
            "INSERT INTO publications (environment_id, generation, author, state, revision, content,
                 rollback_of, manifest, blob, plan, client_form, created_at)
             VALUES ($1, $2, $3, 'pending', $4, $5, $6, $7, $8, $9, $10, $11)",
            [
                (&manifest.environment).into(),
                number(manifest.generation)?.into(),
                new.author.into(),
                new.revision.into(),
                new.content.into(),
                new.rollback_of.map(number).transpose()?.into(),
                serde_json::to_string(manifest)?.into(),
                new.prepared.blob.as_ref().into(),
                new.prepared.plan.as_ref().into(),
                new.prepared.client_form.as_deref().into(),
                new.created_at.as_millisecond().into(),
            ],
        )
        .await;
    match inserted {
        Ok(_) => Ok(true),
        Err(error) if is_unique_violation(&error) => Ok(false),
        Err(error) => Err(error).context("recording a publication"),
    }
}

/// Marks a publication live and lets go of its bytes, which object storage has now.
pub async fn mark_live(
    tx: &mut Tx,
    environment_id: &str,
    generation: u64,
    now: Timestamp,
) -> anyhow::Result<()> {
    tx.execute(
        "UPDATE publications SET state = 'live', live_at = COALESCE(live_at, $3),
             blob = NULL, plan = NULL, client_form = NULL
         WHERE environment_id = $1 AND generation = $2",
        [environment_id.into(), number(generation)?.into(), now.as_millisecond().into()],
    )
    .await?;
    Ok(())
}

/// Marks a pending publication as overtaken.
pub async fn mark_superseded(
    tx: &mut Tx,
    environment_id: &str,
    generation: u64,
) -> anyhow::Result<()> {
    tx.execute(
        "UPDATE publications SET state = 'superseded',
             blob = NULL, plan = NULL, client_form = NULL
         WHERE environment_id = $1 AND generation = $2 AND state = 'pending'",
        [environment_id.into(), number(generation)?.into()],
    )
    .await?;
    Ok(())
}

/// Notes that a publication also stands for a later revision, which compiled to the same content.
pub async fn confirm_revision(
    tx: &mut Tx,
    environment_id: &str,
    generation: u64,
    revision: i64,
) -> anyhow::Result<()> {
    tx.execute(
        "UPDATE publications SET revision = $3
         WHERE environment_id = $1 AND generation = $2 AND revision < $3",
        [environment_id.into(), number(generation)?.into(), revision.into()],
    )
    .await?;
    Ok(())
}

/// Every pending publication of an environment with its bytes, oldest first.
pub async fn list_pending(tx: &mut Tx, environment_id: &str) -> anyhow::Result<Vec<Prepared>> {
    tx.fetch_all(
        "SELECT manifest, blob, plan, client_form FROM publications
         WHERE environment_id = $1 AND state = 'pending' ORDER BY generation",
        [environment_id.into()],
    )
    .await?
    .iter()
    .map(|row| {
        Ok(Prepared {
            manifest: serde_json::from_str(&row.text("manifest")?)?,
            blob: row.bytes("blob")?.into(),
            plan: row.bytes("plan")?.into(),
            client_form: row.opt_bytes("client_form")?.map(Into::into),
        })
    })
    .collect()
}

/// The highest generation that was ever recorded; 0 when there is none.
pub async fn highest_generation(tx: &mut Tx, environment_id: &str) -> anyhow::Result<u64> {
    let row = tx
        .fetch_optional(
            "SELECT MAX(generation) AS generation FROM publications WHERE environment_id = $1",
            [environment_id.into()],
        )
        .await?;
    let generation = row.map(|row| row.opt_int("generation")).transpose()?.flatten();
    Ok(generation.map(u64::try_from).transpose()?.unwrap_or(0))
}

/// The newest live publication.
pub async fn find_current(
    tx: &mut Tx,
    environment_id: &str,
) -> anyhow::Result<Option<Publication>> {
    tx.fetch_optional(
        "SELECT environment_id, generation, author, state, revision, content, rollback_of, manifest,
             created_at, live_at
         FROM publications WHERE environment_id = $1 AND state = 'live'
         ORDER BY generation DESC LIMIT 1",
        [environment_id.into()],
    )
    .await?
    .map(|row| publication(&row))
    .transpose()
}

/// One publication.
pub async fn find(
    tx: &mut Tx,
    environment_id: &str,
    generation: u64,
) -> anyhow::Result<Option<Publication>> {
    tx.fetch_optional(
        "SELECT environment_id, generation, author, state, revision, content, rollback_of, manifest,
             created_at, live_at
         FROM publications WHERE environment_id = $1 AND generation = $2",
        [environment_id.into(), number(generation)?.into()],
    )
    .await?
    .map(|row| publication(&row))
    .transpose()
}

/// Publications below a generation and in a state, newest first.
pub async fn list_below(
    tx: &mut Tx,
    environment_id: &str,
    below: Option<u64>,
    state: Option<&str>,
    limit: usize,
) -> anyhow::Result<Vec<Publication>> {
    let below = below.map_or(Ok(i64::MAX), number)?;
    tx.fetch_all(
        "SELECT environment_id, generation, author, state, revision, content, rollback_of, manifest,
             created_at, live_at
         FROM publications WHERE environment_id = $1 AND generation < $2
             AND ($3 IS NULL OR state = $3)
         ORDER BY generation DESC LIMIT $4",
        [environment_id.into(), below.into(), state.into(), i64::try_from(limit)?.into()],
    )
    .await?
    .iter()
    .map(publication)
    .collect()
}

/// Ids of environments whose definitions are newer than what is live of them, or that have a pending
/// publication.
pub async fn environments_to_publish(tx: &mut Tx) -> anyhow::Result<Vec<String>> {
    tx.fetch_all(
        "SELECT id FROM environments
         WHERE revision > COALESCE((SELECT revision FROM publications
                 WHERE environment_id = environments.id AND state = 'live'
                 ORDER BY generation DESC LIMIT 1), -1)
             OR id IN (SELECT environment_id FROM publications WHERE state = 'pending')
         ORDER BY id",
        [],
    )
    .await?
    .iter()
    .map(|row| Ok(row.text("id")?))
    .collect()
}

/// The first generation of each phase of an experiment that was published: (experiment id, phase) →
/// generation, for the experiments of one environment.
pub async fn load_phases(
    tx: &mut Tx,
    environment_id: &str,
) -> anyhow::Result<BTreeMap<(String, u32), u64>> {
    tx.fetch_all(
        "SELECT experiment_id, phase, generation FROM publication_phases WHERE environment_id = $1",
        [environment_id.into()],
    )
    .await?
    .iter()
    .map(|row| {
        let phase = u32::try_from(row.int("phase")?)?;
        let generation = u64::try_from(row.int("generation")?)?;
        Ok(((row.text("experiment_id")?, phase), generation))
    })
    .collect()
}

/// Notes with which generation a phase begins; the first note stays.
pub async fn record_phase(
    tx: &mut Tx,
    environment_id: &str,
    experiment_id: &str,
    phase: u32,
    generation: u64,
) -> anyhow::Result<()> {
    tx.execute(
        "INSERT INTO publication_phases (environment_id, experiment_id, phase, generation)
         VALUES ($1, $2, $3, $4) ON CONFLICT (experiment_id, phase) DO NOTHING",
        [
            environment_id.into(),
            experiment_id.into(),
            i64::from(phase).into(),
            number(generation)?.into(),
        ],
    )
    .await?;
    Ok(())
}

/// The kept signing key; `seed` becomes it when there is none yet.
pub async fn load_or_keep_signing_key(
    tx: &mut Tx,
    seed: &[u8; 32],
    now: Timestamp,
) -> anyhow::Result<[u8; 32]> {
    tx.execute(
        "INSERT INTO signing_key (id, seed, created_at) VALUES (1, $1, $2)
         ON CONFLICT (id) DO NOTHING",
        [seed.as_slice().into(), now.as_millisecond().into()],
    )
    .await?;
    find_signing_key(tx).await?.context("the signing key was just kept")
}

/// The kept signing key, if there is one.
pub async fn find_signing_key(tx: &mut Tx) -> anyhow::Result<Option<[u8; 32]>> {
    let row = tx.fetch_optional("SELECT seed FROM signing_key WHERE id = 1", []).await?;
    let seed = row.map(|row| row.bytes("seed")).transpose()?;
    let seed = seed.map(<[u8; 32]>::try_from).transpose();
    seed.map_err(|_| anyhow::anyhow!("the kept signing key has not 32 bytes"))
}

/// Keys under which the newest live config of some environment is signed.
pub async fn key_ids_in_use(tx: &mut Tx) -> anyhow::Result<BTreeSet<String>> {
    let rows = tx
        .fetch_all(
            "SELECT manifest FROM publications WHERE state = 'live' AND generation =
                 (SELECT MAX(generation) FROM publications AS newer
                  WHERE newer.environment_id = publications.environment_id AND newer.state = 'live')",
            [],
        )
        .await?;
    let mut ids = BTreeSet::new();
    for row in rows {
        let manifest: Manifest = serde_json::from_str(&row.text("manifest")?)?;
        ids.extend(manifest.key_id);
    }
    Ok(ids)
}

fn publication(row: &Row) -> anyhow::Result<Publication> {
    let generation = |value: i64| u64::try_from(value);
    Ok(Publication {
        environment_id: row.text("environment_id")?,
        generation: generation(row.int("generation")?)?,
        author: row.text("author")?,
        state: match row.text("state")?.as_str() {
            "live" => PublicationState::Live,
            "superseded" => PublicationState::Superseded,
            _ => PublicationState::Pending,
        },
        revision: row.int("revision")?,
        content: row.text("content")?,
        rollback_of: row.opt_int("rollback_of")?.map(generation).transpose()?,
        manifest: serde_json::from_str(&row.text("manifest")?)?,
        created_at: Timestamp::from_millisecond(row.int("created_at")?)?,
        live_at: row.opt_int("live_at")?.map(Timestamp::from_millisecond).transpose()?,
    })
}

fn number(generation: u64) -> anyhow::Result<i64> {
    i64::try_from(generation).context("a generation beyond 2^63")
}
