//! Starts experiments whose time has come and completes those whose time is over.
//!
//! The edges follow the times by themselves; this keeps what people see, and what is planned for the
//! analysis, in step. Any number of processes may run it: each move is made once, under its environment's lock.

use crate::api::change::Change;
use crate::definition::{ExperimentDefinition, LifecycleStatus};
use crate::error::ApiError;
use crate::http::Caller;
use crate::lifecycle::transition::{self, Transition};
use crate::state::AppState;
use crate::store::{Versioned, resource};
use jiff::Timestamp;
use std::time::Duration;
use tokio::time::MissedTickBehavior;
use tokio_util::sync::CancellationToken;

/// Author of the moves.
const AUTHOR: &str = "scheduler";

/// Looks for due experiments until `shutdown`.
pub(crate) async fn run(state: AppState, shutdown: CancellationToken) {
    let period = Duration::from_secs(state.settings.scheduler_interval_s.max(1));
    let mut ticks = tokio::time::interval(period);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            () = shutdown.cancelled() => return,
            _ = ticks.tick() => {}
        }
        if let Err(error) = move_due(&state, Timestamp::now()).await {
            tracing::error!(%error, "looking for due experiments failed");
        }
    }
}

/// Moves every experiment that is due at `now`; answers how many moved.
pub(crate) async fn move_due(state: &AppState, now: Timestamp) -> Result<usize, ApiError> {
    let mut tx = state.db.read().await?;
    let due = resource::list_due(&mut tx, now).await?;
    drop(tx);
    let mut n_moved = 0;
    for (environment_id, id) in due {
        match move_one(state, &environment_id, &id, now).await {
            Ok(moved) => n_moved += usize::from(moved),
            // One that cannot move must not hold up the others.
            Err(error) => tracing::error!(%error, experiment = id, "a due experiment did not move"),
        }
    }
    Ok(n_moved)
}

async fn move_one(
    state: &AppState,
    environment_id: &str,
    id: &str,
    now: Timestamp,
) -> Result<bool, ApiError> {
    let mut change = Change::of_environment(state, environment_id, &Caller::system(AUTHOR)).await?;
    let Some(before) =
        resource::find::<ExperimentDefinition>(&mut change.tx, environment_id, id).await?
    else {
        return Ok(false);
    };
    let Some((transition, after)) = moved(&before, now)? else { return Ok(false) };
    let due = transition::due_at(&after.definition, &after.state);
    change.update(transition.past(), &before, after.definition, after.state).await?;
    resource::set_due(&mut change.tx, id, due).await?;
    change.commit().await?;
    Ok(true)
}

type Move = (Transition, Versioned<ExperimentDefinition>);

fn moved(
    before: &Versioned<ExperimentDefinition>,
    now: Timestamp,
) -> Result<Option<Move>, ApiError> {
    let mut after = before.clone();
    let definition = &before.definition;
    let status = before.state.status;
    let is_over = definition.end_at.is_some_and(|end| end <= now);
    let is_due = definition.start_at.is_none_or(|start| start <= now);
    if is_over && status.holds_buckets() {
        transition::complete(&mut after.state, None, now)?;
        return Ok(Some((Transition::Complete, after)));
    }
    if is_due && status == LifecycleStatus::Scheduled {
        transition::begin(&mut after.state, now);
        return Ok(Some((Transition::Start, after)));
    }
    Ok(None)
}
