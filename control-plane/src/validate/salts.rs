//! Salts: two spaces of one environment with the same hash state would deal identical buckets.

use crate::error::Problems;
use crate::store::EnvironmentSnapshot;
use eval_core::bucket::{MAX_SALT_BYTES, SaltState};

/// Reports a salt that cannot be hashed, or that another space of an environment has. `own` names the space
/// itself (as [`users`] does), which may keep its salt.
pub(crate) fn check<'e>(
    salt: &str,
    own: &str,
    pointer: &str,
    environments: impl IntoIterator<Item = &'e EnvironmentSnapshot>,
    problems: &mut Problems,
) {
    if salt.is_empty() || salt.len() > MAX_SALT_BYTES || salt.contains(':') {
        let detail = format!("must be 1 to {MAX_SALT_BYTES} bytes without `:`");
        problems.push(pointer, "invalid_salt", detail);
        return;
    }
    let state = SaltState::new(salt);
    for environment in environments {
        let taken =
            users(environment).find(|(user, other)| user != own && SaltState::new(other) == state);
        if let Some((user, _)) = taken {
            problems.push(pointer, "salt_taken", format!("{user} has the same buckets already"));
            return;
        }
    }
}

/// Every salt of an environment with the space that hashes it.
fn users(snapshot: &EnvironmentSnapshot) -> impl Iterator<Item = (String, &str)> {
    let domain = std::iter::once((
        "the environment's domain".to_owned(),
        snapshot.environment.state.domain_salt.as_str(),
    ));
    let layers = snapshot.layers.iter().filter_map(|layer| {
        Some((layer_name(&layer.definition.name), layer.definition.salt.as_deref()?))
    });
    let holdouts = snapshot.holdouts.iter().filter_map(|holdout| {
        Some((holdout_name(&holdout.definition.name), holdout.definition.salt.as_deref()?))
    });
    let experiments = snapshot.experiments.iter().filter_map(|experiment| {
        let name = experiment_name(&experiment.definition.name);
        Some((name, experiment.definition.salt.as_deref()?))
    });
    let own_layers = snapshot.experiments.iter().map(|experiment| {
        let name = format!("the own layer of {}", experiment_name(&experiment.definition.name));
        (name, experiment.state.own_layer_salt.as_str())
    });
    let flags = snapshot.flags.iter().filter_map(|flag| {
        Some((flag_name(&flag.definition.key), flag.definition.salt.as_deref()?))
    });
    let rules = snapshot.flags.iter().flat_map(|flag| {
        flag.definition.rules.iter().enumerate().filter_map(|(index, rule)| {
            Some((rule_name(&flag.definition.key, index), rule.salt.as_deref()?))
        })
    });
    domain
        .chain(layers)
        .chain(holdouts)
        .chain(experiments)
        .chain(own_layers)
        .chain(flags)
        .chain(rules)
}

/// How a layer is called among the users of salts.
pub(crate) fn layer_name(name: &str) -> String {
    format!("layer `{name}`")
}

/// How a holdout is called.
pub(crate) fn holdout_name(name: &str) -> String {
    format!("holdout `{name}`")
}

/// How an experiment is called.
pub(crate) fn experiment_name(name: &str) -> String {
    format!("experiment `{name}`")
}

/// How a flag is called.
pub(crate) fn flag_name(key: &str) -> String {
    format!("flag `{key}`")
}

/// How a rule is called.
pub(crate) fn rule_name(key: &str, index: usize) -> String {
    format!("rule {index} of flag `{key}`")
}
