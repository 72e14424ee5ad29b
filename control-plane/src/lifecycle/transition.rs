//! Legal moves of an experiment, and what each does to its state.

use super::split;
use super::traffic;
use crate::definition::{
    ExperimentDefinition, ExperimentState, HoldoutDefinition, HoldoutScope, LifecycleStatus, Phase,
};
use crate::error::ApiError;
use crate::store::Versioned;
use jiff::Timestamp;
use serde_json::{Map, json};

/// A move that people or the scheduler ask for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Transition {
    /// Begin, now or at `start_at`.
    Start,
    /// Stop enrolling for a while.
    Pause,
    /// Enrol again.
    Resume,
    /// Enrol nobody new, and go on measuring whoever is in.
    FreezeEnrolment,
    /// Enrol new units again.
    Unfreeze,
    /// End for good.
    Complete,
    /// Serve one variant to everyone; ends the experiment if it has not ended.
    Ship,
    /// Put away.
    Archive,
}

impl Transition {
    /// Every transition.
    pub(crate) const ALL: [Self; 8] = [
        Self::Start,
        Self::Pause,
        Self::Resume,
        Self::FreezeEnrolment,
        Self::Unfreeze,
        Self::Complete,
        Self::Ship,
        Self::Archive,
    ];

    /// The last part of its path.
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Start => "start",
            Self::Pause => "pause",
            Self::Resume => "resume",
            Self::FreezeEnrolment => "freeze-enrolment",
            Self::Unfreeze => "unfreeze",
            Self::Complete => "complete",
            Self::Ship => "ship",
            Self::Archive => "archive",
        }
    }

    /// What the history calls it.
    pub(crate) fn past(self) -> &'static str {
        match self {
            Self::Start => "started",
            Self::Pause => "paused",
            Self::Resume => "resumed",
            Self::FreezeEnrolment => "enrolment_frozen",
            Self::Unfreeze => "unfrozen",
            Self::Complete => "completed",
            Self::Ship => "shipped",
            Self::Archive => "archived",
        }
    }

    /// From where it is legal.
    fn is_legal_from(self, state: &ExperimentState) -> bool {
        use LifecycleStatus::{Completed, Draft, Paused, Running, Scheduled};
        let status = state.status;
        match self {
            Self::Start => status == Draft,
            Self::Pause => status == Running,
            Self::Resume => status == Paused,
            Self::FreezeEnrolment => matches!(status, Running | Paused) && !state.frozen,
            Self::Unfreeze => matches!(status, Running | Paused) && state.frozen,
            Self::Ship => matches!(status, Running | Paused | Completed),
            Self::Complete => matches!(status, Scheduled | Running | Paused),
            Self::Archive => matches!(status, Draft | Completed),
        }
    }
}

/// 409 unless the move is legal, saying which ones are.
pub(crate) fn require_legal(
    transition: Transition,
    state: &ExperimentState,
) -> Result<(), ApiError> {
    if transition.is_legal_from(state) {
        return Ok(());
    }
    let status = state.status;
    let frozen = if state.frozen { " with frozen enrolment" } else { "" };
    let allowed: Vec<&str> = Transition::ALL
        .into_iter()
        .filter(|transition| transition.is_legal_from(state))
        .map(Transition::word)
        .collect();
    let mut extra = Map::new();
    extra.insert("status_now".to_owned(), json!(status));
    extra.insert("allowed".to_owned(), json!(allowed));
    Err(ApiError::Conflict {
        code: "illegal_transition",
        detail: format!(
            "`{}` is not possible for an experiment that is {}{frozen}; possible: {}",
            transition.word(),
            status.as_str(),
            if allowed.is_empty() { "nothing".to_owned() } else { allowed.join(", ") }
        ),
        extra,
    })
}

/// Starts or schedules a draft: buckets, variant ranges, covering holdouts, phase 1.
pub(crate) fn start(
    experiment: &mut Versioned<ExperimentDefinition>,
    others: &[Versioned<ExperimentDefinition>],
    holdouts: &[Versioned<HoldoutDefinition>],
    now: Timestamp,
) -> Result<(), ApiError> {
    let Versioned { id, definition, state, .. } = experiment;
    require_legal(Transition::Start, state)?;
    traffic::allocate(id, definition, state, others.iter())?;
    state.variant_ranges = split::contiguous(
        definition.variants.iter().map(|variant| (variant.name.as_str(), variant.weight.buckets())),
    );
    state.holdouts = covering(definition, holdouts);
    match definition.start_at {
        Some(start_at) if start_at > now => state.status = LifecycleStatus::Scheduled,
        _ => begin(state, now),
    }
    Ok(())
}

/// Holdouts that cover an experiment which starts now: those that it names and those of the whole project.
pub(crate) fn covering(
    definition: &ExperimentDefinition,
    holdouts: &[Versioned<HoldoutDefinition>],
) -> Vec<String> {
    holdouts
        .iter()
        .map(|holdout| &holdout.definition)
        .filter(|holdout| {
            let whole_project =
                holdout.scope == HoldoutScope::Project && holdout.unit == definition.unit;
            whole_project || definition.holdouts.contains(&holdout.name)
        })
        .map(|holdout| holdout.name.clone())
        .collect()
}

/// From scheduled (or just started) to running.
pub(crate) fn begin(state: &mut ExperimentState, now: Timestamp) {
    state.status = LifecycleStatus::Running;
    state.started_at = Some(now);
    state.phases = vec![Phase { number: 1, started_at: now, reason: "started".to_owned() }];
}

/// Begins a new phase of an experiment that has started.
pub(crate) fn new_phase(state: &mut ExperimentState, reason: &str, now: Timestamp) {
    if let Some(last) = state.phases.last() {
        let number = last.number + 1;
        state.phases.push(Phase { number, started_at: now, reason: reason.to_owned() });
    }
}

/// Stops enrolling; the buckets stay.
pub(crate) fn pause(state: &mut ExperimentState, now: Timestamp) -> Result<(), ApiError> {
    require_legal(Transition::Pause, state)?;
    state.status = LifecycleStatus::Paused;
    state.paused_at = Some(now);
    Ok(())
}

/// Enrols again.
pub(crate) fn resume(state: &mut ExperimentState) -> Result<(), ApiError> {
    require_legal(Transition::Resume, state)?;
    state.status = LifecycleStatus::Running;
    state.paused_at = None;
    Ok(())
}

/// Ends the experiment; its buckets are free for others from now on.
pub(crate) fn complete(
    state: &mut ExperimentState,
    shipped: Option<String>,
    now: Timestamp,
) -> Result<(), ApiError> {
    require_legal(Transition::Complete, state)?;
    end(state, now);
    state.shipped = shipped;
    Ok(())
}

fn end(state: &mut ExperimentState, now: Timestamp) {
    state.status = LifecycleStatus::Completed;
    state.ended_at = Some(now);
    state.paused_at = None;
    state.frozen = false;
    state.frozen_at = None;
}

/// Serves a variant to everyone from now on; ends the experiment if it has not ended.
pub(crate) fn ship(
    state: &mut ExperimentState,
    variant: String,
    now: Timestamp,
) -> Result<(), ApiError> {
    require_legal(Transition::Ship, state)?;
    if state.status != LifecycleStatus::Completed {
        end(state, now);
    }
    state.shipped = Some(variant);
    Ok(())
}

/// Enrols nobody new: units with a prior assignment stay in, and are measured.
pub(crate) fn freeze_enrolment(
    definition: &ExperimentDefinition,
    state: &mut ExperimentState,
    now: Timestamp,
) -> Result<(), ApiError> {
    require_legal(Transition::FreezeEnrolment, state)?;
    if definition.switchback.is_some() {
        return Err(ApiError::conflict(
            "not_freezable",
            "a switchback experiment randomises slices of time: there is no unit that could stay in",
        ));
    }
    state.frozen = true;
    state.frozen_at = Some(now);
    Ok(())
}

/// Enrols new units again.
pub(crate) fn unfreeze(state: &mut ExperimentState) -> Result<(), ApiError> {
    require_legal(Transition::Unfreeze, state)?;
    state.frozen = false;
    state.frozen_at = None;
    Ok(())
}

/// Puts the experiment away.
pub(crate) fn archive(state: &mut ExperimentState) -> Result<(), ApiError> {
    require_legal(Transition::Archive, state)?;
    state.status = LifecycleStatus::Archived;
    Ok(())
}

/// When the scheduler must look at an experiment next.
pub(crate) fn due_at(
    definition: &ExperimentDefinition,
    state: &ExperimentState,
) -> Option<Timestamp> {
    match state.status {
        LifecycleStatus::Scheduled => definition.start_at.or(definition.end_at),
        LifecycleStatus::Running | LifecycleStatus::Paused => definition.end_at,
        _ => None,
    }
}
