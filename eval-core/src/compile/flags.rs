//! Flags and their rules.

use crate::bucket::BUCKET_COUNT;
use crate::compile::experiments::{UNUSED, covers};
use crate::compile::intern::index;
use crate::compile::{CompileError, Compiler};
use crate::config::{ExperimentId, Flag, Rule, RuleServe, Span};
use crate::source::{FlagSource, RuleSource, Serve};

impl Compiler<'_> {
    pub(super) fn flags(&mut self) -> Result<(), CompileError> {
        for at in 0..self.flags.len() {
            if let Some(&source) = self.flags.get(at) {
                let flag = self.flag(source)?;
                self.config.flags.push(flag);
            }
        }
        Ok(())
    }

    fn flag(&mut self, source: &FlagSource) -> Result<Flag, CompileError> {
        let entry = || format!("flag `{}`", source.key);
        let variant_of = |key: &str| {
            source
                .variants
                .iter()
                .position(|variant| variant.key == key)
                .and_then(|at| u16::try_from(at).ok())
        };
        let known = |key: &str| {
            variant_of(key).ok_or_else(|| CompileError::Unknown {
                entry: entry(),
                kind: "variant",
                key: key.to_owned(),
            })
        };
        let default_variant = known(&source.default_variant)?;
        let off_variant = known(&source.off_variant)?;
        let splits = source.rules.iter().any(|rule| matches!(rule.serve, Serve::Split(_)));
        let salt = if splits { self.salts.absorb(&source.salt, entry)? } else { UNUSED };
        let variants = self.variants(&entry, &source.variants)?;
        let holdouts = self.holdout_span(&entry, &source.holdouts)?;
        let prerequisites = self.prerequisite_span(&entry, &source.prerequisites)?;
        let (targets, target_variants) =
            self.listed_variants(&entry, &source.unit_type, &source.targets, &variant_of)?;
        if source.rules.len() > 1000 {
            return Err(CompileError::Value {
                entry: entry(),
                problem: "at most 1000 rules".into(),
            });
        }
        let mut rules = Vec::with_capacity(source.rules.len());
        for (i, rule) in source.rules.iter().enumerate() {
            rules.push(self.rule(source, i, rule, &known)?);
        }
        let span = Span { start: index(self.config.rules.len()), len: index(rules.len()) };
        self.config.rules.extend(rules);
        Ok(Flag {
            key: self.strings.intern(&source.key),
            salt,
            unit_type: self.unit_type(&source.unit_type),
            enabled: source.enabled,
            variants,
            default_variant,
            off_variant,
            holdouts,
            prerequisites,
            targets,
            target_variants: if targets.is_empty() { 0 } else { target_variants },
            rules: if span.is_empty() { Span::default() } else { span },
            damaged: false,
        })
    }

    fn rule(
        &mut self,
        flag: &FlagSource,
        position: usize,
        source: &RuleSource,
        known: &dyn Fn(&str) -> Result<u16, CompileError>,
    ) -> Result<Rule, CompileError> {
        let entry = || format!("rule {position} of flag `{}`", flag.key);
        if source.rollout > BUCKET_COUNT {
            return Err(CompileError::Ranges {
                entry: entry(),
                problem: "a rollout includes at most 10000 buckets".into(),
            });
        }
        let salt = if source.rollout < BUCKET_COUNT {
            self.salts.absorb(&source.salt, entry)?
        } else {
            UNUSED
        };
        let condition = match &source.condition {
            Some(condition) => Some(self.conditions.add(
                &entry(),
                condition,
                &mut self.strings,
                &self.segment_ids,
            )?),
            None => None,
        };
        let serve = match &source.serve {
            Serve::Variant(key) => RuleServe::Variant(known(key)?),
            Serve::Experiment(key) => {
                let position = self
                    .experiments
                    .binary_search_by(|experiment| experiment.key.as_str().cmp(key));
                match position {
                    Ok(position) => RuleServe::Experiment(ExperimentId(index(position))),
                    Err(_) => {
                        return Err(CompileError::Unknown {
                            entry: entry(),
                            kind: "experiment",
                            key: key.clone(),
                        });
                    }
                }
            }
            Serve::Split(parts) => {
                let mut claims = Vec::new();
                for part in parts {
                    let variant = known(&part.variant)?;
                    claims.extend(part.ranges.iter().map(|range| (variant, *range)));
                }
                covers(&claims)
                    .map_err(|problem| CompileError::Ranges { entry: entry(), problem })?;
                let name = |at: u16| {
                    flag.variants.get(usize::from(at)).map_or(String::new(), |v| v.key.clone())
                };
                RuleServe::Split(self.slots.intern(&claims, entry, name)?)
            }
        };
        Ok(Rule { salt, rollout: source.rollout, condition, serve })
    }
}
