//! What one stream says, and when: a state machine that is asked again and again, and never waits itself.

use std::sync::Arc;

use sha2::{Digest, Sha256};

use super::edition::Edition;
use super::slots::{Slot, Slots};
use crate::auth::Access;
use crate::config::HeldConfig;
use crate::request::Request;
use crate::service::Service;

/// Milliseconds without an event after which a comment is sent, because proxies take a silent connection for dead.
pub(super) const HEARTBEAT_MS: i64 = 15_000;
/// Milliseconds until a client connects again, at least and at most: those of an edge that ends do not all come at once.
const RETRY_MS: (f64, f64) = (1000.0, 4000.0);
/// Milliseconds by which each open stream widens the time over which the streams of an environment are told of a change, so that not
/// more than 2000 clients a second ask again.
const SPREAD_MS: f64 = 0.5;
/// Milliseconds over which they are told at most.
const MAX_SPREAD_MS: f64 = 5000.0;
/// Milliseconds after which a change by time is told at the earliest: other isolates' clocks may be behind.
const CLOCK_SKEW_MS: i64 = 250;

/// One stream.
#[derive(Debug)]
pub struct Feed {
    slot: Slot,
    slots: Arc<Slots>,
    environment: String,
    key_sha256: [u8; 32],
    /// What the client knows; `None` until it was told anything.
    told: Option<Edition>,
    has_begun: bool,
    /// When the change that was noticed is told.
    due_at_ms: Option<i64>,
    heartbeat_at_ms: i64,
}

/// What a stream does now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Beat {
    /// To be sent; may be empty.
    pub bytes: Vec<u8>,
    /// When to ask again at the latest, milliseconds since the epoch; earlier when a config was loaded.
    pub wake_at_ms: i64,
    /// The stream ends after these bytes.
    pub is_over: bool,
}

impl Feed {
    /// A stream of an environment for a request, if this process or isolate may have another one.
    pub(super) fn open(
        service: &Service,
        environment: String,
        access: &Access<'_>,
        request: &Request<'_>,
    ) -> Option<Self> {
        let slots = service.streams();
        let slot = Slots::take(slots, &environment, service.config().max_streams, request.now_ms)?;
        let resumed = request.headers.last_event_id.and_then(Edition::parse);
        let told =
            resumed.or_else(|| request.query_value("since").and_then(Edition::parse_encoded));
        Some(Self {
            slot,
            slots: slots.clone(),
            environment,
            key_sha256: Sha256::digest(access.key).into(),
            told,
            has_begun: false,
            due_at_ms: None,
            heartbeat_at_ms: 0,
        })
    }

    /// Id of the environment.
    pub fn environment(&self) -> &str {
        &self.environment
    }

    /// What is to be sent now. To be called at [`Beat::wake_at_ms`], and whenever a config was loaded.
    pub fn advance(&mut self, service: &Service, now_ms: i64) -> Beat {
        self.slot.touch(now_ms);
        let held = service.environments().get(&self.environment, now_ms).held();
        let mut bytes = Vec::new();
        if let Some(held) = &held
            && held.config().sdk_key(&self.key_sha256).is_none()
        {
            // The key was taken back. A client that comes again is refused.
            return Beat { bytes, wake_at_ms: now_ms, is_over: true };
        }
        if !self.has_begun {
            let (min, max) = RETRY_MS;
            #[expect(
                clippy::cast_possible_truncation,
                clippy::cast_sign_loss,
                reason = "a few seconds, in whole milliseconds"
            )]
            let retry_ms = (min + service.random().fraction() * (max - min)) as u32;
            bytes.extend_from_slice(format!("retry: {retry_ms}\n\n").as_bytes());
        }
        if let Some(held) = held {
            self.tell(service, &held, now_ms, &mut bytes);
        }
        self.has_begun = true;
        if bytes.is_empty() && now_ms >= self.heartbeat_at_ms {
            bytes.extend_from_slice(b":\n\n");
        }
        if !bytes.is_empty() {
            self.heartbeat_at_ms = now_ms + HEARTBEAT_MS;
        }
        let wake_at_ms = self.heartbeat_at_ms.min(self.due_at_ms.unwrap_or(i64::MAX));
        Beat { bytes, wake_at_ms, is_over: false }
    }

    fn tell(&mut self, service: &Service, held: &HeldConfig, now_ms: i64, bytes: &mut Vec<u8>) {
        let current = Edition::of(held, now_ms);
        let Some(told) = self.told else {
            // A client that says nothing of what it knows may know anything, unless it has waited here for the first config.
            push_config(bytes, held, current);
            if self.has_begun {
                push_refetch(bytes, held, current);
            }
            self.told = Some(current);
            return;
        };
        if !current.is_news_after(told) {
            self.due_at_ms = None;
            if !self.has_begun {
                // An id without data makes no event, and is what the client says when it comes again.
                bytes.extend_from_slice(format!("id: {told}\n\n").as_bytes());
            }
            return;
        }
        let is_published = current.generation > told.generation;
        if self.has_begun {
            let due_at_ms = *self.due_at_ms.get_or_insert_with(|| {
                let n_streams = self.slots.count(&self.environment, now_ms);
                let spread_ms = (n_streams as f64 * SPREAD_MS).min(MAX_SPREAD_MS);
                let skew_ms = if is_published { 0 } else { CLOCK_SKEW_MS };
                #[expect(clippy::cast_possible_truncation, reason = "at most MAX_SPREAD_MS")]
                let delay_ms = (service.random().fraction() * spread_ms) as i64;
                now_ms + skew_ms + delay_ms
            });
            if now_ms < due_at_ms {
                return;
            }
        }
        if is_published {
            push_config(bytes, held, current);
        }
        push_refetch(bytes, held, current);
        self.told = Some(current);
        self.due_at_ms = None;
    }
}

fn push_config(bytes: &mut Vec<u8>, held: &HeldConfig, edition: Edition) {
    let (generation, created_at_ms) = (held.generation(), held.header().created_at_ms);
    bytes.extend_from_slice(
        format!(
            "event: config\nid: {edition}\ndata: {{\"generation\":{generation},\"created_at_ms\":{created_at_ms}}}\n\n"
        )
        .as_bytes(),
    );
}

fn push_refetch(bytes: &mut Vec<u8>, held: &HeldConfig, edition: Edition) {
    let last_modified = held.header().created_at_ms.div_euclid(1000).max(0);
    bytes.extend_from_slice(
        format!(
            "event: message\nid: {edition}\ndata: {{\"type\":\"refetchEvaluation\",\"etag\":\"{edition}\",\"lastModified\":{last_modified}}}\n\n"
        )
        .as_bytes(),
    );
}
