//! Numbers of one type for each key.
//!
//! JSON has one kind of number, and typed clients have two: to them `1` is an integer and `1.5` a float, and a client that asks for a float refuses
//! the integer. Whoever wrote `1` beside `1.5` meant a float, or could not write `1.0` (JavaScript cannot). So where one variant of a
//! key has a fraction or an exponent, its whole numbers get a fraction, too. A flag and the experiments that its rules serve answer under one key, and are
//! written alike. Numbers inside of objects and lists stay as they are, and so do keys whose numbers are all whole.

use std::collections::BTreeSet;

use eval_core::source::{ConfigSource, FlagSource, Serve, VariantSource};

/// Writes the numbers of each key alike.
pub(super) fn unify(source: &mut ConfigSource) {
    let floats = float_experiments(source);
    for flag in &mut source.flags {
        if has_float(&flag.variants) || served(flag).any(|name| floats.contains(name)) {
            write_floats(&mut flag.variants);
        }
    }
    for experiment in &mut source.experiments {
        if floats.contains(&experiment.key) {
            write_floats(&mut experiment.variants);
        }
    }
}

/// Experiments whose numbers are floats, by their own variants or by those of a flag that serves them.
fn float_experiments(source: &ConfigSource) -> BTreeSet<String> {
    let own = source.experiments.iter().filter(|experiment| has_float(&experiment.variants));
    let mut floats: BTreeSet<String> = own.map(|experiment| experiment.key.clone()).collect();
    // Flags may share experiments, so what one of them brings in may decide on others.
    loop {
        let n_known = floats.len();
        for flag in &source.flags {
            if has_float(&flag.variants) || served(flag).any(|name| floats.contains(name)) {
                floats.extend(served(flag).map(ToOwned::to_owned));
            }
        }
        if floats.len() == n_known {
            return floats;
        }
    }
}

fn served(flag: &FlagSource) -> impl Iterator<Item = &str> {
    flag.rules.iter().filter_map(|rule| match &rule.serve {
        Serve::Experiment(name) => Some(name.as_str()),
        Serve::Variant(_) | Serve::Split(_) => None,
    })
}

fn is_number(json: &str) -> bool {
    json.starts_with(|first: char| first == '-' || first.is_ascii_digit())
}

fn is_float(json: &str) -> bool {
    is_number(json) && json.contains(['.', 'e', 'E'])
}

fn has_float(variants: &[VariantSource]) -> bool {
    variants.iter().any(|variant| is_float(&variant.value))
}

fn write_floats(variants: &mut [VariantSource]) {
    for VariantSource { value, .. } in variants {
        if is_number(value) && !is_float(value) {
            value.push_str(".0");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(values: &[&str]) -> Vec<String> {
        let variant = |value: &&str| VariantSource {
            key: "v".to_owned(),
            value: (*value).to_owned(),
            ranges: Vec::new(),
        };
        let mut variants: Vec<_> = values.iter().map(variant).collect();
        if has_float(&variants) {
            write_floats(&mut variants);
        }
        variants.into_iter().map(|variant| variant.value).collect()
    }

    #[test]
    fn whole_numbers_beside_a_float_become_floats_and_nothing_else_changes() {
        assert_eq!(
            written(&["1", "1.5", "-3", "0", "9007199254740993"]),
            ["1.0", "1.5", "-3.0", "0.0", "9007199254740993.0"]
        );
        assert_eq!(written(&["1", "1e30"]), ["1.0", "1e30"]);
        assert_eq!(written(&["1", "2.0", "null"]), ["1.0", "2.0", "null"]);
        for unchanged in [
            &["1", "2", "-3"][..],
            &["1", "\"1.5\""],
            &["1", "{\"price\":1.5}"],
            &["1", "[1.5]"],
            &["true", "false"],
            &["1.5", "{\"price\":1}", "[1]", "\"1\""],
        ] {
            assert_eq!(written(unchanged), unchanged);
        }
    }
}
