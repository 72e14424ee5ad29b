//! Which unit is randomised, and its bucket.

use crate::bucket::{PreparedUnit, SaltState};
use crate::config::{CompiledConfig, Experiment, Extras, Switchback, UnitTypeId};
use crate::context::{AttributeValue, Context};
use crate::decision::Unit;
use crate::evaluate::Request;
use std::borrow::Cow;
use std::fmt::Write;

/// Room for `cluster@slice`, the text that a switchback hashes.
struct SliceText {
    bytes: [u8; crate::bucket::MAX_UNIT_BYTES],
    len: usize,
}

impl Write for SliceText {
    fn write_str(&mut self, text: &str) -> std::fmt::Result {
        let end = self.len.checked_add(text.len()).ok_or(std::fmt::Error)?;
        self.bytes.get_mut(self.len..end).ok_or(std::fmt::Error)?.copy_from_slice(text.as_bytes());
        self.len = end;
        Ok(())
    }
}

/// Hands the text of a unit to `take`; none for a slice that is longer than a unit id may be.
#[cold]
#[inline(never)]
pub(crate) fn with_slice_text<T>(unit: Unit<'_>, take: impl FnOnce(&str) -> T) -> Option<T> {
    let mut text = SliceText { bytes: [0; crate::bucket::MAX_UNIT_BYTES], len: 0 };
    write!(text, "{}", unit.text()).ok()?;
    let written = std::str::from_utf8(text.bytes.get(..text.len)?).ok()?;
    Some(take(written))
}

impl<'c> Request<'c> {
    /// The request's id of a unit type.
    #[inline(always)]
    pub(crate) fn unit_id(&self, unit_type: UnitTypeId) -> Option<&'c Cow<'c, str>> {
        if let Some(memo) = &self.memo {
            return memo.unit(unit_type).map(|(id, _)| *id);
        }
        let config = self.config;
        let name = config.unit_types.get(usize::from(unit_type.0))?;
        self.context.unit_id_of(name, &config.strings)
    }

    /// The unit that an experiment randomises: the request's, or a time slice of its cluster.
    #[inline(always)]
    pub(crate) fn unit(
        &self,
        experiment: &Experiment,
        extras: Option<&Extras>,
    ) -> Option<Unit<'c>> {
        match extras.and_then(|extras| extras.switchback) {
            Some(design) => self.slice(&design),
            None => self.unit_id(experiment.unit_type).map(|id| Unit { id, slice: None }),
        }
    }

    #[cold]
    fn slice(&self, design: &Switchback) -> Option<Unit<'c>> {
        let name = self.name(design.cluster);
        let cluster = self.context.unit_named(name).or_else(|| match self.context.value(name) {
            Some(AttributeValue::String(cluster)) => Some(cluster),
            _ => None,
        })?;
        let unit = Unit { id: cluster, slice: Some(design.slice(self.now_ms)?) };
        with_slice_text(unit, |_| unit)
    }

    #[inline(always)]
    pub(crate) fn bucket(&mut self, salt: SaltState, unit_type: UnitTypeId, unit: Unit<'c>) -> u16 {
        match unit.slice {
            None => self.bucket_of(salt, unit_type, unit.id),
            // `unit` has made sure that the slice has a text.
            Some(_) => with_slice_text(unit, |text| salt.bucket(text)).unwrap_or(0),
        }
    }

    /// Bucket of a plain unit id, by its prepared form where a request keeps one.
    #[inline(always)]
    pub(crate) fn bucket_of(&mut self, salt: SaltState, unit_type: UnitTypeId, id: &str) -> u16 {
        match self.memo.as_ref().and_then(|memo| memo.unit(unit_type)) {
            Some((_, prepared)) => salt.bucket_prepared(prepared),
            None => salt.bucket(id),
        }
    }
}

/// A request's id of a unit type, and what hashing it under any salt begins with.
pub(crate) type KnownUnit<'c> = (&'c Cow<'c, str>, PreparedUnit<'c>);

/// One request's unit ids, by unit type.
pub(crate) fn prepare<'c>(
    config: &'c CompiledConfig<'c>,
    context: &'c Context<'c>,
) -> Vec<Option<KnownUnit<'c>>> {
    let prepare = |name| {
        let id = context.unit_id_of(name, &config.strings)?;
        Some((id, PreparedUnit::new(id)?))
    };
    config.unit_types.iter().map(prepare).collect()
}
