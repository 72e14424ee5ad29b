//! The body: every table of a config, the large ones as columns.
//!
//! Format 2 is format 1 and, after its tables, the table of the variants' values: a value that several variants have is kept once,
//! and values stand in the text in the order that compresses best.

use crate::blob::columns::{Ascending, Bytes, Expected, Fresh, Numbers, SaltStates};
use crate::blob::conditions::{Comparisons, Nodes};
use crate::blob::rows::{Entries, Experiments, Flags, Holdouts, Layers, Rules};
use crate::blob::{client_marks, routes, sections};
use crate::check::check;
use crate::compile::{key_index, transitions};
use crate::config::{CompiledConfig, Extras, HoldoutId, PrerequisiteRow, SdkKey, Segment, Span};
use crate::route::RouteTable;
use crate::slots::Run;
use crate::strings::{SEPARATOR, StringId, StringTable, Word};
use crate::targeting::{LiteralRow, Patterns};
use serde::{Deserialize, Serialize};
use std::borrow::Cow;

#[derive(Serialize, Deserialize)]
struct Body<'b> {
    environment: &'b str,
    project: &'b str,
    requires_consent: bool,
    #[serde(borrow)]
    domain_salt: SaltStates<'b>,
    n_strings: u32,
    /// Every string, each followed by a separator.
    text: &'b str,
    /// Separators, counted from 0, that belong to a string.
    joints: Ascending<'b>,
    /// 33 bytes each: the hash, and 1 for a server key.
    sdk_keys: Bytes<'b>,
    unit_types: Ascending<'b>,
    attributes: Ascending<'b>,
    slots: Slots<'b>,
    texts: Numbers<'b>,
    literals: Vec<LiteralRow>,
    patterns: Ascending<'b>,
    comparisons: Comparisons<'b>,
    nodes: Nodes<'b>,
    segments: Vec<Segment>,
    layers: Layers<'b>,
    holdouts: Holdouts<'b>,
    holdout_ids: Vec<HoldoutId>,
    prerequisites: Vec<PrerequisiteRow>,
    fingerprints: Bytes<'b>,
    listed_variants: Numbers<'b>,
    extras: Vec<Extras>,
    variant_names: Ascending<'b>,
    experiments: Experiments<'b>,
    rules: Rules<'b>,
    flags: Flags<'b>,
    entries: Entries<'b>,
}

/// Slot tables, one after the other.
#[derive(Serialize, Deserialize)]
struct Slots<'b> {
    /// Runs of each table.
    #[serde(borrow)]
    lens: Numbers<'b>,
    ends: Expected<'b>,
    owners: Numbers<'b>,
}

impl Slots<'_> {
    fn of(config: &CompiledConfig<'_>) -> Self {
        let mut before = 0;
        let end = |run: &Run| (std::mem::replace(&mut before, u32::from(run.end)), run.end.into());
        Self {
            lens: Numbers::of(config.slots.iter().map(|span| span.len)),
            ends: Expected::of(config.runs.iter().map(end)),
            owners: Numbers::of(config.runs.iter().map(|run| u32::from(run.owner))),
        }
    }

    fn runs(&self) -> Vec<Run> {
        let mut before = 0u32;
        let mut runs = Vec::with_capacity(self.owners.len());
        runs.extend(self.ends.iter().zip(self.owners.iter()).map(|(distance, owner)| {
            before = before.wrapping_add(distance);
            Run { end: low_half(before), owner: low_half(owner) }
        }));
        runs
    }

    fn slots(&self) -> Vec<Span> {
        let mut start = 0u32;
        let mut slots = Vec::with_capacity(self.lens.len());
        slots.extend(self.lens.iter().map(|len| {
            let span = Span { start, len };
            start = start.saturating_add(len);
            span
        }));
        slots
    }
}

/// A number that its column holds in 16 bits. A column of nonsense makes other nonsense of it.
pub(super) fn low_half(number: u32) -> u16 {
    (number & 0xffff) as u16
}

/// A number that its column holds in 8 bits.
pub(super) fn low_byte(number: u32) -> u8 {
    (number & 0xff) as u8
}

pub(super) fn ids<'b>(ids: impl Iterator<Item = StringId>) -> Ascending<'b> {
    Ascending::of(ids.map(|id| id.0))
}

/// Writes the newest format.
pub(super) fn write(config: &CompiledConfig<'_>) -> Vec<u8> {
    let body = Body {
        environment: &config.environment,
        project: &config.project,
        requires_consent: config.requires_consent,
        domain_salt: SaltStates::of(std::iter::once(config.domain_salt)),
        n_strings: u32::try_from(config.strings.len()).unwrap_or(u32::MAX),
        text: &config.strings.text,
        joints: joints(&config.strings),
        sdk_keys: Bytes(
            config
                .sdk_keys
                .iter()
                .flat_map(|key| key.sha256.into_iter().chain([u8::from(key.server)]))
                .collect(),
        ),
        unit_types: ids(config.unit_types.iter().map(|name| name.id)),
        attributes: ids(config.attributes.iter().map(|name| name.id)),
        slots: Slots::of(config),
        texts: Numbers::of(config.texts.iter().map(|text| text.id.0)),
        literals: config.literals.clone(),
        patterns: ids(config.patterns.sources.iter().copied()),
        comparisons: Comparisons::of(config),
        nodes: Nodes::of(config),
        segments: config.segments.clone(),
        layers: Layers::of(config),
        holdouts: Holdouts::of(config),
        holdout_ids: config.holdout_ids.clone(),
        prerequisites: config.prerequisites.clone(),
        fingerprints: Bytes(Cow::Borrowed(&config.fingerprints)),
        listed_variants: Numbers::of(config.listed_variants.iter().map(|&at| u32::from(at))),
        extras: config.extras.clone(),
        variant_names: ids(config.variant_names.iter().copied()),
        experiments: Experiments::of(config),
        rules: Rules::of(config),
        flags: Flags::of(config),
        entries: Entries::of(config),
    };
    // Writing numbers and strings to memory cannot fail; an empty body would be refused by every reader.
    let values = Fresh::of(config.variant_values.iter().map(|id| id.0), u32::MAX);
    let mut bytes = postcard::to_allocvec(&(body, values)).unwrap_or_default();
    sections::write(
        &mut bytes,
        sections::SERVER_ONLY,
        &client_marks::write_server_only(&config.server_only),
    );
    sections::write(
        &mut bytes,
        sections::AT_EDGE,
        &client_marks::write_at_edge(config.at_edge.as_deref()),
    );
    sections::write(&mut bytes, sections::ROUTES, &routes::write(&config.routes));
    bytes
}

pub(super) fn read(bytes: &[u8], format_version: u16) -> Result<CompiledConfig<'_>, String> {
    let (body, rest) =
        postcard::take_from_bytes::<Body<'_>>(bytes).map_err(|error| error.to_string())?;
    let mut variant_values = Vec::new();
    let rest = if format_version == 1 {
        // The values of an experiment or flag were strings that followed each other.
        let n_strings = body.n_strings.min(u32::try_from(body.text.len()).unwrap_or(u32::MAX));
        variant_values.extend((0..n_strings).map(StringId));
        rest
    } else {
        let (values, rest) =
            postcard::take_from_bytes::<Fresh<'_>>(rest).map_err(|error| error.to_string())?;
        variant_values.reserve_exact(values.len());
        variant_values.extend(values.iter(u32::MAX).map(StringId));
        rest
    };
    let mut route_faults = Vec::new();
    let mut route_table = RouteTable::default();
    let (mut server_only, mut at_edge) = (Vec::new(), None);
    for section in sections::read(rest) {
        match section? {
            (sections::SERVER_ONLY, bytes) => server_only = client_marks::read_server_only(bytes)?,
            (sections::AT_EDGE, bytes) => at_edge = Some(client_marks::read_at_edge(bytes)?),
            (sections::ROUTES, bytes) => route_table = routes::read(bytes, &mut route_faults)?,
            // To pass it over would be to decide otherwise than was meant.
            (tag, _) => return Err(format!("section {tag} is not known")),
        }
    }
    let strings = strings_of(body.text, body.n_strings, &body.joints)?;
    let word = |id: u32| Word::new(&strings, StringId(id));
    let n_comparisons = body.comparisons.len();
    let mut texts = Vec::with_capacity(body.texts.len());
    texts.extend(body.texts.iter().map(word));
    let mut variant_names = Vec::with_capacity(body.variant_names.len());
    variant_names.extend(body.variant_names.iter().map(StringId));
    let mut config = CompiledConfig {
        environment: body.environment.to_owned(),
        project: body.project.to_owned(),
        requires_consent: body.requires_consent,
        domain_salt: body.domain_salt.iter().next().unwrap_or_default(),
        sdk_keys: sdk_keys_of(&body.sdk_keys),
        unit_types: body.unit_types.iter().map(word).collect(),
        attributes: body.attributes.iter().map(word).collect(),
        runs: body.slots.runs(),
        slots: body.slots.slots(),
        comparisons: body.comparisons.rows(),
        nodes: body.nodes.rows(),
        children: body.nodes.children(n_comparisons),
        texts,
        literals: body.literals,
        patterns: Patterns::new(body.patterns.iter().map(StringId).collect()),
        segments: body.segments,
        layers: body.layers.rows(),
        holdouts: body.holdouts.rows(),
        holdout_ids: body.holdout_ids,
        prerequisites: body.prerequisites,
        fingerprints: body.fingerprints.0,
        listed_variants: body.listed_variants.iter().map(low_half).collect(),
        extras: body.extras,
        variant_names,
        variant_values,
        experiments: body.experiments.rows(n_comparisons)?,
        rules: body.rules.rows(n_comparisons),
        flags: body.flags.rows(),
        entries: body.entries.rows(),
        routes: route_table,
        server_only,
        at_edge,
        ..CompiledConfig::default()
    };
    config.strings = strings;
    check(&mut config);
    config.faults.append(&mut route_faults);
    config.transitions = transitions(&config);
    config.index = key_index(&config);
    Ok(config)
}

/// Which separators of the text belong to strings.
fn joints<'b>(strings: &StringTable<'_>) -> Ascending<'b> {
    let mut separator = 0u32;
    let mut joints = Vec::new();
    for at in 0..strings.len() {
        let string = strings.bytes(StringId(u32::try_from(at).unwrap_or(u32::MAX)));
        for _ in string.iter().filter(|&&byte| char::from(byte) == SEPARATOR) {
            joints.push(separator);
            separator = separator.wrapping_add(1);
        }
        separator = separator.wrapping_add(1);
    }
    Ascending::of(joints.into_iter())
}

fn strings_of<'b>(
    text: &'b str,
    n_strings: u32,
    joints: &Ascending<'_>,
) -> Result<StringTable<'b>, String> {
    if u32::try_from(text.len()).is_err() {
        return Err("the text is longer than 4 GiB".into());
    }
    let n_strings = n_strings as usize;
    if n_strings > text.len() {
        return Err("the text holds fewer strings than it should".into());
    }
    let mut starts = Vec::with_capacity(n_strings.saturating_add(1));
    starts.push(0);
    let mut joints = joints.iter();
    let mut joint = joints.next();
    let mut separator = 0u32;
    each_zero(text.as_bytes(), |at| {
        if joint == Some(separator) {
            joint = joints.next();
        } else if starts.len() <= n_strings {
            // Below the text's length, which was looked at above.
            starts.push(u32::try_from(at).unwrap_or(u32::MAX).saturating_add(1));
        }
        separator = separator.saturating_add(1);
    });
    let end = starts.last().copied().unwrap_or(0) as usize;
    if starts.len() != n_strings.saturating_add(1) || end != text.len() {
        return Err("the text does not hold the strings that it should".into());
    }
    Ok(StringTable { text: Cow::Borrowed(text), starts })
}

/// Finds the bytes that are zero, as every separator is, eight at a time.
fn each_zero(bytes: &[u8], mut found: impl FnMut(usize)) {
    const LOW: u64 = 0x7f7f_7f7f_7f7f_7f7f;
    let (blocks, rest) = bytes.as_chunks::<8>();
    let mut start = 0usize;
    for block in blocks {
        let word = u64::from_le_bytes(*block);
        // The highest bit of every byte that is zero, and no other bit.
        let mut zeros = !((word & LOW).wrapping_add(LOW) | word | LOW);
        while zeros != 0 {
            found(start.wrapping_add(zeros.trailing_zeros() as usize / 8));
            zeros &= zeros.wrapping_sub(1);
        }
        start = start.wrapping_add(8);
    }
    for (at, byte) in rest.iter().enumerate() {
        if *byte == 0 {
            found(start.wrapping_add(at));
        }
    }
}

fn sdk_keys_of(bytes: &Bytes<'_>) -> Vec<SdkKey> {
    let (keys, _) = bytes.0.as_chunks::<33>();
    let key = |bytes: &[u8; 33]| {
        let (sha256, server) = bytes.split_at_checked(32)?;
        Some(SdkKey { sha256: sha256.try_into().ok()?, server: server == [1] })
    };
    keys.iter().filter_map(key).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn zeros_are_found_wherever_they_are(bytes in prop::collection::vec(prop_oneof![Just(0u8), Just(1), Just(0x80), any::<u8>()], 0..70)) {
            let mut found = Vec::new();
            each_zero(&bytes, |at| found.push(at));
            let expected: Vec<usize> = (0..bytes.len()).filter(|&at| bytes[at] == 0).collect();
            prop_assert_eq!(found, expected);
        }
    }
}
