//! Who uses what: a definition that others rely on cannot be deleted, nor changed under them.

use crate::definition::targeting::segments_of;
use crate::definition::{ExperimentDefinition, LifecycleStatus, ServeDefinition, Targeting};
use crate::error::ApiError;
use crate::store::{EnvironmentSnapshot, Versioned};
use serde_json::{Map, json};

/// Experiments and flags that use something, by name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Users(Vec<String>);

impl Users {
    /// 409 when there are any.
    pub(crate) fn forbid(self, what: &str, action: &str) -> Result<(), ApiError> {
        if self.0.is_empty() {
            return Ok(());
        }
        let mut extra = Map::new();
        extra.insert("used_by".to_owned(), json!(self.0));
        Err(ApiError::Conflict {
            code: "in_use",
            detail: format!("{what} cannot be {action}: it is used by {}", self.0.join(", ")),
            extra,
        })
    }

    fn push(&mut self, kind: &str, name: &str, environment: &EnvironmentSnapshot) {
        let environment = &environment.environment.definition.name;
        self.0.push(format!("{kind} `{name}` in {environment}"));
    }
}

fn experiments<'s>(
    environments: &'s [EnvironmentSnapshot],
    uses: impl Fn(&Versioned<ExperimentDefinition>) -> bool + 's,
) -> Users {
    let mut users = Users::default();
    for environment in environments {
        for experiment in &environment.experiments {
            if experiment.state.status != LifecycleStatus::Archived && uses(experiment) {
                users.push("experiment", &experiment.definition.name, environment);
            }
        }
    }
    users
}

/// Experiments that name a layer.
pub(crate) fn of_layer(name: &str, environments: &[EnvironmentSnapshot]) -> Users {
    experiments(environments, |experiment| experiment.definition.layer.as_deref() == Some(name))
}

/// Experiments that hold buckets of a layer.
pub(crate) fn holding_buckets(name: &str, environments: &[EnvironmentSnapshot]) -> Users {
    experiments(environments, |experiment| {
        experiment.definition.layer.as_deref() == Some(name)
            && experiment.state.status.is_published()
    })
}

/// Experiments and flags that a holdout covers or that name it.
pub(crate) fn of_holdout(name: &str, environments: &[EnvironmentSnapshot]) -> Users {
    let mut users = experiments(environments, |experiment| {
        experiment.definition.holdouts.iter().any(|holdout| holdout == name)
            || (experiment.state.status.is_published()
                && experiment.state.holdouts.iter().any(|holdout| holdout == name))
    });
    for environment in environments {
        for flag in environment.flags.iter().filter(|flag| flag.state.archived_at.is_none()) {
            if flag.definition.holdouts.iter().any(|holdout| holdout == name) {
                users.push("flag", &flag.definition.key, environment);
            }
        }
    }
    users
}

/// Experiments, flags and segments that refer to a segment.
pub(crate) fn of_segment(key: &str, environments: &[EnvironmentSnapshot]) -> Users {
    let mut users = experiments(environments, |experiment| {
        let condition = experiment.definition.targeting.as_ref().and_then(Targeting::condition);
        condition.is_some_and(|condition| segments_of(&condition).contains(&key))
    });
    for environment in environments {
        for flag in environment.flags.iter().filter(|flag| flag.state.archived_at.is_none()) {
            let refers = flag.definition.rules.iter().any(|rule| {
                let condition = rule.condition.as_ref().and_then(Targeting::condition);
                condition.is_some_and(|condition| segments_of(&condition).contains(&key))
            });
            if refers {
                users.push("flag", &flag.definition.key, environment);
            }
        }
        for segment in &environment.segments {
            let condition = segment.definition.condition.as_ref();
            if condition.is_some_and(|condition| segments_of(condition).contains(&key)) {
                users.push("segment", &segment.definition.key, environment);
            }
        }
    }
    users
}

/// Experiments that measure a metric.
pub(crate) fn of_metric(name: &str, environments: &[EnvironmentSnapshot]) -> Users {
    experiments(environments, |experiment| experiment.definition.metrics().any(|m| m == name))
}

/// Experiments and flags that need a flag.
pub(crate) fn of_flag(key: &str, environment: &EnvironmentSnapshot) -> Users {
    let mut users = experiments(std::slice::from_ref(environment), |experiment| {
        experiment.definition.prerequisites.iter().any(|p| p.flag == key)
    });
    for flag in environment.flags.iter().filter(|flag| flag.state.archived_at.is_none()) {
        if flag.definition.prerequisites.iter().any(|p| p.flag == key) {
            users.push("flag", &flag.definition.key, environment);
        }
    }
    users
}

/// Flags that serve an experiment.
pub(crate) fn of_experiment(name: &str, environment: &EnvironmentSnapshot) -> Users {
    let mut users = Users::default();
    for flag in environment.flags.iter().filter(|flag| flag.state.archived_at.is_none()) {
        let serves = flag.definition.rules.iter().any(
            |rule| matches!(&rule.serve, ServeDefinition::Experiment(served) if served == name),
        );
        if serves {
            users.push("flag", &flag.definition.key, environment);
        }
    }
    users
}
