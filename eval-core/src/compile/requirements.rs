//! Prerequisites: references, cycles, depth.

use crate::compile::intern::index;
use crate::compile::{CompileError, Compiler};
use crate::config::{PrerequisiteRow, RuleServe, Span, Target};
use crate::source::Prerequisite;

/// Longest chain of prerequisites.
pub const MAX_PREREQUISITE_DEPTH: usize = 16;

/// State of the search for cycles.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Mark {
    New,
    Open,
    Done(usize),
}

impl Compiler<'_> {
    pub(super) fn prerequisite_span(
        &mut self,
        entry: &dyn Fn() -> String,
        required: &[Prerequisite],
    ) -> Result<Span, CompileError> {
        if required.is_empty() {
            return Ok(Span::default());
        }
        let start = index(self.config.prerequisites.len());
        for requirement in required {
            let Some(&id) = self.entry_ids.get(requirement.flag.as_str()) else {
                return Err(CompileError::Unknown {
                    entry: entry(),
                    kind: "flag",
                    key: requirement.flag.clone(),
                });
            };
            let target = self.config.entries.get(id as usize).map(|e| e.target());
            let variants = match target {
                Some(Target::Flag(at)) => self.flags.get(at as usize).map(|flag| &flag.variants),
                Some(Target::Experiment(at)) => {
                    self.experiments.get(at as usize).map(|e| &e.variants)
                }
                None => None,
            };
            let position =
                variants.and_then(|list| list.iter().position(|v| v.key == requirement.variant));
            let Some(variant) = position.and_then(|at| u16::try_from(at).ok()) else {
                return Err(CompileError::Unknown {
                    entry: entry(),
                    kind: "variant",
                    key: format!("{}/{}", requirement.flag, requirement.variant),
                });
            };
            self.config.prerequisites.push(PrerequisiteRow { entry: id, variant });
        }
        Ok(Span { start, len: index(required.len()) })
    }

    /// Refuses requirements that lead back to themselves, through flags' rules too.
    pub(super) fn requirements(&self) -> Result<(), CompileError> {
        let mut marks = vec![Mark::New; self.config.entries.len()];
        for entry in 0..self.config.entries.len() {
            self.depth_of(entry, &mut marks, &mut Vec::new())?;
        }
        Ok(())
    }

    fn depth_of(
        &self,
        entry: usize,
        marks: &mut [Mark],
        path: &mut Vec<usize>,
    ) -> Result<usize, CompileError> {
        match marks.get(entry).copied() {
            Some(Mark::Done(depth)) => return Ok(depth),
            Some(Mark::Open) => {
                let from = path.iter().position(|&at| at == entry).unwrap_or(0);
                let round = path.get(from..).unwrap_or_default().iter().chain([&entry]);
                return Err(CompileError::Cycle {
                    kind: "prerequisites",
                    path: round.map(|&at| self.entry_key(at)).collect(),
                });
            }
            Some(Mark::New) => {}
            None => return Ok(0),
        }
        let too_deep = |at: usize| CompileError::TooDeep {
            entry: self.entry_key(at),
            limit: MAX_PREREQUISITE_DEPTH,
        };
        if path.len() > MAX_PREREQUISITE_DEPTH {
            return Err(too_deep(path.first().copied().unwrap_or(entry)));
        }
        if let Some(mark) = marks.get_mut(entry) {
            *mark = Mark::Open;
        }
        path.push(entry);
        let mut depth = 0usize;
        for required in self.required_by(entry) {
            depth = depth.max(self.depth_of(required, marks, path)?.saturating_add(1));
        }
        path.pop();
        if depth > MAX_PREREQUISITE_DEPTH {
            return Err(too_deep(entry));
        }
        if let Some(mark) = marks.get_mut(entry) {
            *mark = Mark::Done(depth);
        }
        Ok(depth)
    }

    /// Entries whose decision this entry's decision asks for.
    fn required_by(&self, entry: usize) -> Vec<usize> {
        let mut spans = Vec::new();
        let experiment_span = |id: u32| {
            let experiment = self.config.experiments.get(id as usize)?;
            Some(self.config.extras_of(experiment)?.prerequisites)
        };
        match self.config.entries.get(entry).map(|e| e.target()) {
            Some(Target::Experiment(id)) => spans.extend(experiment_span(id)),
            Some(Target::Flag(id)) => {
                if let Some(flag) = self.config.flags.get(id as usize) {
                    spans.push(flag.prerequisites);
                    for rule in flag.rules.of(&self.config.rules) {
                        if let RuleServe::Experiment(id) = rule.serve {
                            spans.extend(experiment_span(id.0));
                        }
                    }
                }
            }
            None => {}
        }
        let rows = spans.into_iter().flat_map(|span| span.of(&self.config.prerequisites));
        rows.map(|row| row.entry as usize).collect()
    }

    fn entry_key(&self, entry: usize) -> String {
        let found = self.entry_ids.iter().find(|(_, id)| **id as usize == entry);
        found.map_or(String::new(), |(key, _)| (*key).to_owned())
    }
}
