//! Which unit is randomised, and its bucket.

use crate::bucket::{PreparedUnit, SaltState};
use crate::config::{CompiledConfig, Experiment, Extras, Switchback, UnitTypeId};
use crate::context::Context;
use crate::decision::UnitText;
use crate::evaluate::Request;
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
pub(crate) fn with_slice_text<T>(unit: UnitText<'_>, take: impl FnOnce(&str) -> T) -> Option<T> {
    let mut text = SliceText { bytes: [0; crate::bucket::MAX_UNIT_BYTES], len: 0 };
    write!(text, "{unit}").ok()?;
    let written = std::str::from_utf8(text.bytes.get(..text.len)?).ok()?;
    Some(take(written))
}

impl<'c> Request<'c> {
    /// The request's id of a unit type.
    #[inline]
    pub(crate) fn unit_id(&self, unit_type: UnitTypeId) -> Option<&'c str> {
        match &self.memo {
            Some(memo) => memo.prepared(unit_type).map(PreparedUnit::text),
            None => {
                let config = self.config;
                let name = config.unit_types.get(usize::from(unit_type.0))?;
                self.context.unit_id_of(name, &config.strings)
            }
        }
    }

    /// The unit that an experiment randomises: the request's, or a time slice of its cluster.
    #[inline]
    pub(crate) fn unit(
        &self,
        experiment: &Experiment,
        extras: Option<&Extras>,
    ) -> Option<UnitText<'c>> {
        match extras.and_then(|extras| extras.switchback) {
            Some(design) => self.slice(&design),
            None => self.unit_id(experiment.unit_type).map(UnitText::Id),
        }
    }

    #[cold]
    fn slice(&self, design: &Switchback) -> Option<UnitText<'c>> {
        let name = self.name(design.cluster);
        let cluster = match self.context.unit_id(name) {
            Some(id) => id,
            None => self.context.value(name)?.as_str()?,
        };
        let unit = UnitText::Slice { cluster, slice: design.slice(self.now_ms)? };
        with_slice_text(unit, |_| unit)
    }

    #[inline]
    pub(crate) fn bucket(
        &mut self,
        salt: SaltState,
        unit_type: UnitTypeId,
        unit: UnitText<'c>,
    ) -> u16 {
        match unit {
            UnitText::Id(id) => self.bucket_of(salt, unit_type, id),
            // `unit` has made sure that the slice has a text.
            UnitText::Slice { .. } => with_slice_text(unit, |text| salt.bucket(text)).unwrap_or(0),
        }
    }

    /// Bucket of a plain unit id, by its prepared form where a request keeps one.
    #[inline]
    pub(crate) fn bucket_of(&mut self, salt: SaltState, unit_type: UnitTypeId, id: &str) -> u16 {
        match self.memo.as_ref().and_then(|memo| memo.prepared(unit_type)) {
            Some(prepared) => salt.bucket_prepared(prepared),
            None => salt.bucket(id),
        }
    }
}

/// Room for one request's prepared unit ids, by unit type.
pub(crate) fn prepare<'c>(
    config: &'c CompiledConfig<'c>,
    context: &'c Context<'c>,
) -> Vec<Option<PreparedUnit<'c>>> {
    config
        .unit_types
        .iter()
        .map(|name| context.unit_id_of(name, &config.strings).and_then(PreparedUnit::new))
        .collect()
}
