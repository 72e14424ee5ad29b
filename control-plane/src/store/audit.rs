//! The audit log: one chain of entries, each of which covers the hash of the one before.

use super::db::{Arg, Row, Tx};
use jiff::Timestamp;
use serde::Serialize;
use sha2::{Digest, Sha256};

/// Hash before the first entry.
pub const GENESIS: &str = "0000000000000000000000000000000000000000000000000000000000000000";

/// Entries that are read at once.
const PAGE: i64 = 500;

/// What was done, before it has its place in the chain.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NewEntry {
    /// When.
    pub at_ms: i64,
    /// `token`, `user` or `system`.
    pub actor_kind: String,
    /// Id of the token or user.
    pub actor_id: String,
    /// Its name at that time.
    pub actor: String,
    /// Past tense: `created`, `started`, `signed_in`, ….
    pub action: String,
    /// Kind of thing.
    pub kind: String,
    /// Its id.
    pub resource_id: String,
    /// Its name or key at that time.
    pub resource: String,
    /// Version that was made.
    pub version: Option<i64>,
    /// Project of the thing.
    pub project_id: Option<String>,
    /// Environment of the thing.
    pub environment_id: Option<String>,
    /// Id of the request.
    pub request_id: Option<String>,
    /// Why.
    pub comment: Option<String>,
    /// JSON list of what changed.
    pub diff: String,
}

/// An entry of the chain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// 1, 2, 3, ….
    pub seq: i64,
    /// What was done.
    pub entry: NewEntry,
    /// Hash of the entry before.
    pub previous_hash: String,
    /// SHA-256 over the hash before and everything above, in hexadecimal.
    pub hash: String,
}

/// What a check of the whole chain found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Verdict {
    /// Entries that were checked.
    pub n_entries: i64,
    /// Hash of the last one: kept elsewhere, it shows later that nothing up to it was rewritten.
    pub head: String,
    /// The first entry that is not as it was written, and why.
    pub broken_at: Option<i64>,
    /// What is wrong there.
    pub reason: Option<String>,
}

/// Which entries to read.
#[derive(Clone, Debug, Default)]
pub struct Filter {
    /// Only of these projects; of all when absent.
    pub projects: Option<Vec<String>>,
    /// Only of this environment.
    pub environment_id: Option<String>,
    /// Only of this author.
    pub actor: Option<String>,
    /// Only this action.
    pub action: Option<String>,
    /// Only this kind of thing.
    pub kind: Option<String>,
    /// Only this thing, by id or name.
    pub resource: Option<String>,
    /// Only from this time on.
    pub since_ms: Option<i64>,
    /// Only before this time.
    pub until_ms: Option<i64>,
}

/// The hash of an entry. Every field is written with its length, so that no two entries read alike.
fn hash(previous: &str, seq: i64, entry: &NewEntry) -> String {
    let mut hasher = Sha256::new();
    let mut put = |text: Option<&str>| match text {
        None => hasher.update([0]),
        Some(text) => {
            hasher.update([1]);
            hasher.update(u64::try_from(text.len()).unwrap_or(u64::MAX).to_le_bytes());
            hasher.update(text.as_bytes());
        }
    };
    let NewEntry {
        at_ms,
        actor_kind,
        actor_id,
        actor,
        action,
        kind,
        resource_id,
        resource,
        version,
        project_id,
        environment_id,
        request_id,
        comment,
        diff,
    } = entry;
    put(Some(previous));
    put(Some(&seq.to_string()));
    put(Some(&at_ms.to_string()));
    for text in [actor_kind, actor_id, actor, action, kind, resource_id, resource] {
        put(Some(text));
    }
    put(version.map(|version| version.to_string()).as_deref());
    for text in [project_id, environment_id, request_id, comment] {
        put(text.as_deref());
    }
    put(Some(diff));
    hex::encode(hasher.finalize())
}

/// Appends entries. To be called last in a transaction: others who append wait from here to its end.
pub async fn append(tx: &mut Tx, entries: &[NewEntry]) -> anyhow::Result<()> {
    let Ok(n_entries) = i64::try_from(entries.len()) else { return Ok(()) };
    if n_entries == 0 {
        return Ok(());
    }
    tx.execute("UPDATE audit_head SET seq = seq + $1 WHERE id = 1", [n_entries.into()]).await?;
    let head = tx.fetch_optional("SELECT seq, hash FROM audit_head WHERE id = 1", []).await?;
    let head = head.ok_or_else(|| anyhow::anyhow!("the audit log has no head"))?;
    let mut seq = head.int("seq")? - n_entries;
    let mut previous = head.text("hash")?;
    for entry in entries {
        seq += 1;
        let own = hash(&previous, seq, entry);
        tx.execute(
            "INSERT INTO audit (seq, at, actor_kind, actor_id, actor, action, kind, resource_id, resource, \
             version, project_id, environment_id, request_id, comment, diff, previous_hash, hash) \
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17)",
            [
                Arg::from(seq),
                entry.at_ms.into(),
                (&entry.actor_kind).into(),
                (&entry.actor_id).into(),
                (&entry.actor).into(),
                (&entry.action).into(),
                (&entry.kind).into(),
                (&entry.resource_id).into(),
                (&entry.resource).into(),
                entry.version.into(),
                entry.project_id.as_deref().into(),
                entry.environment_id.as_deref().into(),
                entry.request_id.as_deref().into(),
                entry.comment.as_deref().into(),
                (&entry.diff).into(),
                (&previous).into(),
                (&own).into(),
            ],
        )
        .await?;
        previous = own;
    }
    tx.execute("UPDATE audit_head SET hash = $1 WHERE id = 1", [(&previous).into()]).await?;
    Ok(())
}

const COLUMNS: &str = "seq, at, actor_kind, actor_id, actor, action, kind, resource_id, resource, version, \
    project_id, environment_id, request_id, comment, diff, previous_hash, hash";

/// Entries below a place, newest first.
pub async fn list(
    tx: &mut Tx,
    filter: &Filter,
    below: Option<i64>,
    limit: i64,
) -> anyhow::Result<Vec<Entry>> {
    select(tx, filter, "($1 IS NULL OR seq < $1)", "DESC", below, limit).await
}

/// Entries above a place, oldest first; at most 500.
pub async fn export(tx: &mut Tx, filter: &Filter, above: i64) -> anyhow::Result<Vec<Entry>> {
    select(tx, filter, "seq > $1", "ASC", Some(above), PAGE).await
}

async fn select(
    tx: &mut Tx,
    filter: &Filter,
    place: &str,
    direction: &str,
    at: Option<i64>,
    limit: i64,
) -> anyhow::Result<Vec<Entry>> {
    // The projects of one caller are few; as text between commas they fit one placeholder.
    let sql = format!(
        "SELECT {COLUMNS} FROM audit WHERE {place} \
         AND ($2 IS NULL OR (project_id IS NOT NULL AND $2 LIKE '%,' || project_id || ',%')) \
         AND ($3 IS NULL OR environment_id = $3) AND ($4 IS NULL OR actor = $4) \
         AND ($5 IS NULL OR action = $5) AND ($6 IS NULL OR kind = $6) \
         AND ($7 IS NULL OR resource_id = $7 OR resource = $7) \
         AND ($8 IS NULL OR at >= $8) AND ($9 IS NULL OR at < $9) \
         ORDER BY seq {direction} LIMIT $10"
    );
    let projects = filter.projects.as_ref().map(|projects| format!(",{},", projects.join(",")));
    let args = [
        Arg::from(at),
        projects.as_deref().into(),
        filter.environment_id.as_deref().into(),
        filter.actor.as_deref().into(),
        filter.action.as_deref().into(),
        filter.kind.as_deref().into(),
        filter.resource.as_deref().into(),
        filter.since_ms.into(),
        filter.until_ms.into(),
        limit.into(),
    ];
    Ok(tx.fetch_all(&sql, args).await?.iter().map(read).collect::<sqlx::Result<_>>()?)
}

/// Checks the whole chain: that every entry is as it was written, none is missing, and the last one is the
/// head. `anchor` is the number and hash of an entry noted earlier, elsewhere: with it a chain that was
/// rewritten from some entry on and hashed anew is found, too.
pub async fn verify(tx: &mut Tx, anchor: Option<(i64, &str)>) -> anyhow::Result<Verdict> {
    let mut seq = 0;
    let mut previous = GENESIS.to_owned();
    let broken = |n_entries: i64, head: &str, at: i64, reason: String| Verdict {
        n_entries,
        head: head.to_owned(),
        broken_at: Some(at),
        reason: Some(reason),
    };
    loop {
        let entries = export(tx, &Filter::default(), seq).await?;
        for found in &entries {
            let expected = seq + 1;
            if found.seq != expected {
                let reason = format!("entry {expected} is missing");
                return Ok(broken(seq, &previous, expected, reason));
            }
            if found.previous_hash != previous {
                let reason = "does not follow the entry before it".to_owned();
                return Ok(broken(seq, &previous, expected, reason));
            }
            if found.hash != hash(&previous, found.seq, &found.entry) {
                return Ok(broken(seq, &previous, expected, "was changed".to_owned()));
            }
            if anchor.is_some_and(|(at, hash)| at == found.seq && hash != found.hash) {
                let reason = "is not the entry that was noted earlier".to_owned();
                return Ok(broken(seq, &previous, expected, reason));
            }
            seq = expected;
            previous.clone_from(&found.hash);
        }
        if entries.is_empty() {
            break;
        }
    }
    if let Some((at, _)) = anchor.filter(|(at, _)| *at > seq) {
        let reason = format!("entry {at}, which was noted earlier, is missing");
        return Ok(broken(seq, &previous, seq + 1, reason));
    }
    let head = tx.fetch_optional("SELECT seq, hash FROM audit_head WHERE id = 1", []).await?;
    let head = match head {
        Some(row) => Some((row.int("seq")?, row.text("hash")?)),
        None => None,
    };
    if head != Some((seq, previous.clone())) {
        let reason = "entries at the end are missing".to_owned();
        return Ok(broken(seq, &previous, seq + 1, reason));
    }
    Ok(Verdict { n_entries: seq, head: previous, broken_at: None, reason: None })
}

fn read(row: &Row) -> sqlx::Result<Entry> {
    Ok(Entry {
        seq: row.int("seq")?,
        entry: NewEntry {
            at_ms: row.int("at")?,
            actor_kind: row.text("actor_kind")?,
            actor_id: row.text("actor_id")?,
            actor: row.text("actor")?,
            action: row.text("action")?,
            kind: row.text("kind")?,
            resource_id: row.text("resource_id")?,
            resource: row.text("resource")?,
            version: row.opt_int("version")?,
            project_id: row.opt_text("project_id")?,
            environment_id: row.opt_text("environment_id")?,
            request_id: row.opt_text("request_id")?,
            comment: row.opt_text("comment")?,
            diff: row.text("diff")?,
        },
        previous_hash: row.text("previous_hash")?,
        hash: row.text("hash")?,
    })
}

/// When an entry was made.
pub(crate) fn time(entry: &Entry) -> Timestamp {
    Timestamp::from_millisecond(entry.entry.at_ms).unwrap_or(Timestamp::UNIX_EPOCH)
}
