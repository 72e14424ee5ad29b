//! Starts experiments whose time has come, completes those whose time is over, makes the steps of schedules, and takes
//! expired SDK keys out of the configs.
//!
//! The edges follow an experiment's own times by themselves; this keeps what people see, and what is planned for the
//! analysis, in step. One of the replicas does it, under a lease; and if two ever believed to have it, each move would
//! still be made once, under its environment's lock.

use crate::api::change::Change;
use crate::api::{schedules, sdk_keys};
use crate::definition::{ExperimentDefinition, LifecycleStatus, ScheduleDefinition};
use crate::error::ApiError;
use crate::http::Caller;
use crate::lifecycle::transition::{self, Transition};
use crate::state::AppState;
use crate::store::keys;
use crate::store::leases::Lease;
use crate::store::{Versioned, resource};
use jiff::Timestamp;
use std::time::Duration;
use tokio::time::MissedTickBehavior;
use tokio_util::sync::CancellationToken;

/// Author of the moves.
const AUTHOR: &str = "scheduler";

/// How long the others wait for a scheduler that is gone.
const LEASE: Duration = Duration::from_secs(5);

/// Looks for what is due until `shutdown`.
pub(crate) async fn run(state: AppState, shutdown: CancellationToken) {
    let period = Duration::from_secs(state.settings.scheduler_interval_s);
    if period.is_zero() {
        return;
    }
    let mut ticks = tokio::time::interval(period);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let lease_ms = i64::try_from(LEASE.max(period * 3).as_millis()).unwrap_or(i64::MAX);
    let lease = Lease::new("scheduler", &state.replica, lease_ms);
    loop {
        tokio::select! {
            () = shutdown.cancelled() => break,
            _ = ticks.tick() => {}
        }
        match lease.hold(&state.db).await {
            Ok(true) => {}
            Ok(false) => continue,
            Err(error) => {
                tracing::error!(%error, "cannot see who is the scheduler");
                continue;
            }
        }
        let now = Timestamp::now();
        if let Err(error) = move_due(&state, now).await {
            tracing::error!(%error, "looking for due experiments failed");
        }
        if let Err(error) = expire_keys(&state, now).await {
            tracing::error!(%error, "looking for expired SDK keys failed");
        }
        if let Err(error) = make_due_steps(&state, now).await {
            tracing::error!(%error, "looking for due steps failed");
        }
    }
    if let Err(error) = lease.release(&state.db).await {
        tracing::warn!(%error, "the scheduler's lease was not given back");
    }
}

/// Takes keys whose time is over out of the configs.
async fn expire_keys(state: &AppState, now: Timestamp) -> Result<(), ApiError> {
    let mut tx = state.db.read().await?;
    let expired = keys::list_expired(&mut tx, now).await?;
    drop(tx);
    for (environment_id, id) in expired {
        if let Err(error) = sdk_keys::expire(state, AUTHOR, &environment_id, &id, now).await {
            tracing::error!(%error, key = id, "an SDK key did not expire");
        }
    }
    Ok(())
}

/// Makes every step that is due at `now`, those of one schedule in order.
async fn make_due_steps(state: &AppState, now: Timestamp) -> Result<(), ApiError> {
    let mut tx = state.db.read().await?;
    let due = resource::list_due::<ScheduleDefinition>(&mut tx, now).await?;
    drop(tx);
    for (environment_id, id) in due {
        loop {
            match schedules::make_step(state, AUTHOR, &environment_id, &id, now).await {
                Ok(true) => {}
                Ok(false) => break,
                Err(error) => {
                    tracing::error!(%error, schedule = id, "a due step was not made");
                    break;
                }
            }
        }
    }
    Ok(())
}

/// Moves every experiment that is due at `now`; answers how many moved.
pub(crate) async fn move_due(state: &AppState, now: Timestamp) -> Result<usize, ApiError> {
    let mut tx = state.db.read().await?;
    let due = resource::list_due::<ExperimentDefinition>(&mut tx, now).await?;
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
    resource::set_due::<ExperimentDefinition>(&mut change.tx, id, due).await?;
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
