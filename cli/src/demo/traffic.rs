//! Visitors at a steady rate, each through the real edge: one evaluation, then the events of his visit.

use std::time::Duration;

use anyhow::Context;
use serde_json::{Value, json};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::client::Edge;
use crate::demo::shop::EXPERIMENT;
use crate::demo::visitor::Visitor;

/// How many visits may be under way at once; more would only queue at the edge.
const MAX_UNDER_WAY: usize = 32;

/// How many visitors come, and who they are.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Traffic {
    /// Visitors a second.
    pub(crate) rate: f64,
    /// Number of the first visitor; the following ones count up.
    pub(crate) first: u64,
    /// How many come; `None`: until cancelled.
    pub(crate) limit: Option<u64>,
}

/// What became of the visits.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Visits {
    /// Visits that went through.
    pub(crate) n_done: u64,
    /// Visits in which a request failed.
    pub(crate) n_failed: u64,
}

impl Traffic {
    /// Sends visitors until the limit or until cancelled. A failed visit is logged and counted: the edge
    /// may be starting again.
    pub(crate) async fn run(self, edge: &Edge, shutdown: &CancellationToken) -> Visits {
        let mut ticks = tokio::time::interval(Duration::from_secs_f64(1.0 / self.rate.max(0.01)));
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let mut under_way = JoinSet::new();
        let mut visits = Visits::default();
        let numbers = self.first..self.first.saturating_add(self.limit.unwrap_or(u64::MAX));
        for number in numbers {
            tokio::select! {
                _ = ticks.tick() => {}
                () = shutdown.cancelled() => break,
            }
            if under_way.len() >= MAX_UNDER_WAY {
                visits.count(under_way.join_next().await);
            }
            while let Some(ended) = under_way.try_join_next() {
                visits.count(Some(ended));
            }
            let edge = edge.clone();
            under_way.spawn(async move { visit(&edge, number).await });
        }
        while let Some(ended) = under_way.join_next().await {
            visits.count(Some(ended));
        }
        visits
    }
}

impl Visits {
    fn count(&mut self, ended: Option<Result<anyhow::Result<()>, tokio::task::JoinError>>) {
        match ended {
            None => {}
            Some(Ok(Ok(()))) => self.n_done += 1,
            Some(Ok(Err(error))) => {
                self.n_failed += 1;
                tracing::warn!(error = format!("{error:#}"), "a demo visit failed");
            }
            Some(Err(error)) => {
                self.n_failed += 1;
                tracing::warn!(%error, "a demo visit failed");
            }
        }
    }
}

async fn visit(edge: &Edge, number: u64) -> anyhow::Result<()> {
    let visitor = Visitor::number(number);
    let id = visitor.id.clone();
    let answer = edge
        .evaluate(&json!({
            "units": {"user_id": id},
            "attributes": {
                "country": visitor.country,
                "platform": visitor.platform,
                "returning": visitor.returning,
            },
            "keys": [EXPERIMENT],
        }))
        .await?;
    let decision = &answer["decisions"][EXPERIMENT];
    let variant = decision.get("variant").context("an answer without a decision")?;
    let events: Vec<Value> = visitor
        .visit(variant.as_str())
        .into_iter()
        .map(|deed| {
            json!({
                "event_id": Uuid::now_v7(),
                "type": "metric",
                "units": {"user_id": id},
                "name": deed.event,
                "value": deed.value,
                "timestamp": jiff::Timestamp::now().to_string(),
            })
        })
        .collect();
    edge.send_events(&events).await
}
