//! From the audit log to deliveries.

use crate::definition::WebhookDefinition;
use crate::state::AppState;
use crate::store::audit::{self, Entry, Filter};
use crate::store::{Versioned, webhooks};
use jiff::Timestamp;
use serde_json::{Value, json};

/// Longest diff that a message holds, in bytes of JSON.
const MAX_DIFF_BYTES: usize = 16 * 1024;

/// Writes the deliveries of every entry of the audit log that was not seen yet.
pub(super) async fn fan_out(state: &AppState) -> anyhow::Result<()> {
    loop {
        let mut tx = state.db.read().await?;
        let (mark, head) = webhooks::marks(&mut tx).await?;
        drop(tx);
        if mark >= head {
            return Ok(());
        }
        let mut tx = state.db.write().await?;
        let entries = audit::export(&mut tx, &Filter::default(), mark).await?;
        let Some(last) = entries.last().map(|entry| entry.seq) else { return Ok(()) };
        // Whoever moves the mark writes the deliveries; another replica finds it moved.
        if !webhooks::move_mark(&mut tx, mark, last).await? {
            continue;
        }
        let active = webhooks::active(&mut tx).await.map_err(anyhow::Error::from)?;
        let now = Timestamp::now();
        for entry in &entries {
            for webhook in active.iter().filter(|webhook| wants(webhook, entry)) {
                let event = event(entry);
                let body = message(&event, audit::time(entry), &data(entry));
                webhooks::insert_delivery(&mut tx, &webhook.id, &event, &body, now).await?;
            }
        }
        tx.commit().await?;
    }
}

/// Removes deliveries that came to an end before a time.
pub(super) async fn forget(state: &AppState, before_ms: i64) -> anyhow::Result<()> {
    let mut tx = state.db.write().await?;
    webhooks::forget(&mut tx, before_ms).await?;
    Ok(tx.commit().await?)
}

fn wants(webhook: &Versioned<WebhookDefinition>, entry: &Entry) -> bool {
    let own = entry.entry.project_id.as_deref() == Some(&*webhook.scope_id);
    own && webhook.created_at <= audit::time(entry) && webhook.definition.wants(&event(entry))
}

/// The type of an entry's message: `experiment.started`.
fn event(entry: &Entry) -> String {
    format!("{}.{}", entry.entry.kind, entry.entry.action)
}

fn data(entry: &Entry) -> Value {
    let Entry { seq, entry, .. } = entry;
    let diff: Value = if entry.diff.len() > MAX_DIFF_BYTES {
        Value::Null
    } else {
        serde_json::from_str(&entry.diff).unwrap_or_default()
    };
    json!({
        "kind": entry.kind, "id": entry.resource_id, "name": entry.resource, "action": entry.action,
        "version": entry.version, "project": entry.project_id, "environment": entry.environment_id,
        "actor": entry.actor, "actor_kind": entry.actor_kind, "comment": entry.comment,
        "audit_seq": seq, "diff": diff,
    })
}

/// The body of a message.
pub(crate) fn message(event: &str, at: Timestamp, data: &Value) -> String {
    json!({ "type": event, "timestamp": at, "data": data }).to_string()
}
