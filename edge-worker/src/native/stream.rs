//! Streams over HTTP: waiting for what the feed asks to wait for, and writing what it says.

use std::sync::Arc;
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::http::Response;
use futures::Stream;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::server::{Edge, now_ms, response};
use crate::stream::{Edition, Feed, Opened};

/// Says to every stream that it should look again.
#[derive(Debug)]
pub(super) struct Bell(watch::Sender<u64>);

impl Bell {
    pub(super) fn new() -> Self {
        Self(watch::Sender::new(0))
    }

    pub(super) fn ring(&self) {
        self.0.send_modify(|n| *n += 1);
    }
}

/// The answer to a request for a stream. It ends with the process.
pub(super) fn answer(edge: Arc<Edge>, opened: Opened) -> Response<Body> {
    metrics::counter!("edge_streams_opened_total").increment(1);
    let head = response(opened.head);
    let (parts, _) = head.into_parts();
    let events = events(edge.shutdown.clone(), edge, opened.feed);
    Response::from_parts(parts, Body::from_stream(events))
}

fn events(
    shutdown: CancellationToken,
    edge: Arc<Edge>,
    feed: Feed,
) -> impl Stream<Item = Result<Bytes, std::convert::Infallible>> + Send {
    let rung = edge.bell.0.subscribe();
    futures::stream::unfold(Some((edge, feed, rung)), move |state| {
        let shutdown = shutdown.clone();
        async move {
            let (edge, mut feed, mut rung) = state?;
            loop {
                rung.mark_unchanged();
                let beat = feed.advance(&edge.service, now_ms());
                if beat.is_over {
                    return None;
                }
                if !beat.bytes.is_empty() {
                    return Some((Ok(Bytes::from(beat.bytes)), Some((edge, feed, rung))));
                }
                let wait_ms = u64::try_from(beat.wake_at_ms - now_ms()).unwrap_or(0);
                tokio::select! {
                    () = shutdown.cancelled() => return None,
                    () = tokio::time::sleep(Duration::from_millis(wait_ms)) => {}
                    // The sender lives as long as the edge, which is held here.
                    _ = rung.changed() => {}
                }
            }
        }
    })
}

/// What the streams were last called for: the edition of each environment that has one.
pub(super) type Called = Vec<(Arc<str>, Option<Edition>)>;

/// Calls the streams when an edition is another one than before, by publishing or by time.
pub(super) fn call(edge: &Edge, called: &mut Called) {
    let environments = edge.service.streamed_environments();
    let editions = environments.into_iter().map(|id| {
        let held = edge.service.environments().get(&id, now_ms()).held();
        (id, held.map(|held| Edition::of(&held, now_ms())))
    });
    let editions: Called = editions.collect();
    metrics::gauge!("edge_streams").set(edge.service.n_streams() as f64);
    if editions != *called {
        *called = editions;
        edge.bell.ring();
    }
}
