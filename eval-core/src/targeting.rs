//! Conditions on attributes: operators, comparisons, and the trees over them.
//!
//! A missing attribute makes every comparison false, `neq` and `not_in` included, so that nobody is enrolled by
//! ignorance. Types never coerce, and a type mismatch is false.

use crate::config::{AttributeId, SegmentId, Span};
use crate::context::AttributeValue;
use crate::pattern::{Regex, RegexBuilder};
use crate::strings::{StringId, StringTable, Word, head};
use crate::time::parse_rfc3339;
use std::cmp::Ordering;
use std::net::IpAddr;
use std::sync::OnceLock;

/// Longest pattern of `matches`, in bytes.
pub const MAX_PATTERN_BYTES: usize = 512;

/// Largest compiled pattern, in bytes: bounds the time of a match, which is linear in pattern × text.
const MAX_PATTERN_SIZE: usize = 64 * 1024;

macro_rules! operators {
    ($($(#[$doc:meta])* $name:ident = $code:literal, $text:literal;)*) => {
        /// How an attribute is compared. The numbers are part of the blob format.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
        pub enum Operator {
            $($(#[$doc])* $name = $code,)*
        }

        impl Operator {
            /// Every operator.
            pub const ALL: &'static [Self] = &[$(Self::$name,)*];

            /// The operator's name in the API.
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$name => $text,)* }
            }

            /// The operator of an API name.
            pub fn parse(text: &str) -> Option<Self> {
                match text { $($text => Some(Self::$name),)* _ => None }
            }

            pub(crate) fn from_code(code: u8) -> Option<Self> {
                match code { $($code => Some(Self::$name),)* _ => None }
            }

            pub(crate) fn code(self) -> u8 {
                match self { $(Self::$name => $code,)* }
            }
        }
    };
}

operators! {
    /// Equals the value (or one of them).
    Eq = 1, "eq";
    /// Present, of the values' type, and none of them.
    Neq = 2, "neq";
    /// Equals one of the values.
    In = 3, "in";
    /// Present, of the values' type, and none of them.
    NotIn = 4, "not_in";
    /// Number below.
    Lt = 5, "lt";
    /// Number below or equal.
    Lte = 6, "lte";
    /// Number above.
    Gt = 7, "gt";
    /// Number above or equal.
    Gte = 8, "gte";
    /// Time before; RFC 3339 text or epoch milliseconds.
    Before = 9, "before";
    /// Time after; RFC 3339 text or epoch milliseconds.
    After = 10, "after";
    /// Same SemVer 2.0 precedence.
    SemverEq = 11, "semver_eq";
    /// Lower SemVer 2.0 precedence.
    SemverLt = 12, "semver_lt";
    /// Lower or the same SemVer 2.0 precedence.
    SemverLte = 13, "semver_lte";
    /// Higher SemVer 2.0 precedence.
    SemverGt = 14, "semver_gt";
    /// Higher or the same SemVer 2.0 precedence.
    SemverGte = 15, "semver_gte";
    /// Text contains one of the values.
    Contains = 16, "contains";
    /// Text starts with one of the values.
    StartsWith = 17, "starts_with";
    /// Text ends with one of the values.
    EndsWith = 18, "ends_with";
    /// One of the regular expressions is found in the text, in linear time.
    Matches = 19, "matches";
    /// The attribute is present.
    Exists = 20, "exists";
    /// The list has one of the values.
    ContainsAny = 21, "contains_any";
    /// The list has all of the values.
    ContainsAll = 22, "contains_all";
    /// The IP address lies in one of the networks (CIDR).
    IpIn = 23, "ip_in";
}

/// Index of a node in its config: comparisons first, then all others. Children have lower indices than their parents.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize,
)]
pub(crate) struct NodeId(pub(crate) u32);

/// A node of a condition tree that is not a comparison.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Node {
    All(Span),
    Any(Span),
    Not(NodeId),
    Segment(SegmentId),
    /// Stands for what cannot be evaluated; false.
    Never,
}

/// `attribute op values`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Comparison {
    pub(crate) attribute: AttributeId,
    /// Code of the operator; one that this build does not know makes the comparison false.
    pub(crate) op: u8,
    /// Values that are texts.
    pub(crate) texts: Span,
    /// All others.
    pub(crate) literals: Span,
}

/// An IP network, as a prefix of an IPv6 address (IPv4 mapped).
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, serde::Serialize, serde::Deserialize,
)]
pub(crate) struct Network {
    pub(crate) address: [u8; 16],
    pub(crate) prefix_bits: u8,
}

/// A value to compare with that is not a text, in the form that its operator reads.
#[derive(Clone, Copy, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
pub(crate) enum LiteralRow {
    Bool(bool),
    Number(f64),
    Time(i64),
    Network(Network),
    /// Index into the patterns.
    Pattern(u32),
}

/// Regular expressions, compiled when first used.
#[derive(Clone, Debug, Default)]
pub(crate) struct Patterns {
    pub(crate) sources: Vec<StringId>,
    compiled: Vec<OnceLock<Option<Regex>>>,
}

impl Patterns {
    pub(crate) fn new(sources: Vec<StringId>) -> Self {
        let compiled = sources.iter().map(|_| OnceLock::new()).collect();
        Self { sources, compiled }
    }

    fn is_match(&self, strings: &StringTable<'_>, index: u32, text: &str) -> bool {
        let index = index as usize;
        let (Some(&source), Some(cell)) = (self.sources.get(index), self.compiled.get(index))
        else {
            return false;
        };
        cell.get_or_init(|| compile_pattern(strings.get(source)).ok())
            .as_ref()
            .is_some_and(|pattern| pattern.is_match(text))
    }
}

/// Compiles a pattern of `matches`, or says why it is refused.
pub fn compile_pattern(source: &str) -> Result<Regex, String> {
    if source.len() > MAX_PATTERN_BYTES {
        return Err(format!("a pattern has at most {MAX_PATTERN_BYTES} bytes"));
    }
    RegexBuilder::new(source)
        .size_limit(MAX_PATTERN_SIZE)
        .build()
        .map_err(|error| error.to_string())
}

/// Reads a network such as `10.0.0.0/8` or `2001:db8::/32`; an address alone is a network of one.
pub(crate) fn parse_network(text: &str) -> Option<Network> {
    let (address, bits) = match text.split_once('/') {
        Some((address, bits)) => (address, Some(bits)),
        None => (text, None),
    };
    let address: IpAddr = address.parse().ok()?;
    let widest: u8 = if address.is_ipv4() { 32 } else { 128 };
    let bits = match bits {
        Some(bits) if !bits.is_empty() && bits.bytes().all(|byte| byte.is_ascii_digit()) => {
            bits.parse::<u8>().ok()?
        }
        Some(_) => return None,
        None => widest,
    };
    if bits > widest {
        return None;
    }
    let prefix_bits = if address.is_ipv4() { bits.saturating_add(96) } else { bits };
    Some(Network { address: octets(address), prefix_bits })
}

/// Whether a text is an IP network as `ip_in` reads them.
pub fn is_network(text: &str) -> bool {
    parse_network(text).is_some()
}

fn octets(address: IpAddr) -> [u8; 16] {
    match address {
        IpAddr::V4(v4) => v4.to_ipv6_mapped().octets(),
        IpAddr::V6(v6) => v6.octets(),
    }
}

impl Network {
    fn contains(&self, address: IpAddr) -> bool {
        let shift = 128u32.saturating_sub(u32::from(self.prefix_bits));
        let prefix = |octets: [u8; 16]| u128::from_be_bytes(octets).checked_shr(shift).unwrap_or(0);
        prefix(self.address) == prefix(octets(address))
    }
}

/// Everything that a comparison reads besides the attribute.
#[derive(Clone, Copy)]
pub(crate) struct Operands<'c> {
    pub(crate) strings: &'c StringTable<'c>,
    pub(crate) patterns: &'c Patterns,
    pub(crate) texts: &'c [Word],
    pub(crate) literals: &'c [LiteralRow],
}

/// Whether a comparison is true of a value that is present.
pub(crate) fn compare(op: Operator, value: &AttributeValue<'_>, operands: Operands<'_>) -> bool {
    match op {
        Operator::Exists => true,
        Operator::Eq | Operator::In => operands.holds(value) == Some(true),
        Operator::Neq | Operator::NotIn => operands.holds(value) == Some(false),
        Operator::Lt => operands.number(value, |order| order == Ordering::Less),
        Operator::Lte => operands.number(value, Ordering::is_le),
        Operator::Gt => operands.number(value, |order| order == Ordering::Greater),
        Operator::Gte => operands.number(value, Ordering::is_ge),
        Operator::Before => operands.time(value, |order| order == Ordering::Less),
        Operator::After => operands.time(value, |order| order == Ordering::Greater),
        Operator::SemverEq => operands.version(value, Ordering::is_eq),
        Operator::SemverLt => operands.version(value, Ordering::is_lt),
        Operator::SemverLte => operands.version(value, Ordering::is_le),
        Operator::SemverGt => operands.version(value, Ordering::is_gt),
        Operator::SemverGte => operands.version(value, Ordering::is_ge),
        Operator::Contains => operands.text(value, |text, part| text.contains(part)),
        Operator::StartsWith => operands.text(value, |text, part| text.starts_with(part)),
        Operator::EndsWith => operands.text(value, |text, part| text.ends_with(part)),
        Operator::Matches => value.as_str().is_some_and(|text| {
            operands.literals.iter().any(|literal| match literal {
                LiteralRow::Pattern(index) => {
                    operands.patterns.is_match(operands.strings, *index, text)
                }
                _ => false,
            })
        }),
        Operator::ContainsAny => match value {
            AttributeValue::List(list) => {
                list.iter().any(|element| operands.holds(element) == Some(true))
            }
            _ => false,
        },
        Operator::ContainsAll => match value {
            AttributeValue::List(list) => {
                operands
                    .literals
                    .iter()
                    .all(|literal| list.iter().any(|element| equals(literal, element)))
                    && operands.texts.iter().all(|word| {
                        list.iter().any(|element| {
                            element.as_str().is_some_and(|text| word.is(text, operands.strings))
                        })
                    })
            }
            _ => false,
        },
        Operator::IpIn => {
            value.as_str().and_then(|text| text.parse::<IpAddr>().ok()).is_some_and(|address| {
                operands.literals.iter().any(|literal| match literal {
                    LiteralRow::Network(network) => network.contains(address),
                    _ => false,
                })
            })
        }
    }
}

/// Most texts that are compared one by one; longer lists are searched.
const MAX_SCANNED: usize = 16;

fn equals(literal: &LiteralRow, value: &AttributeValue<'_>) -> bool {
    match (literal, value) {
        (LiteralRow::Bool(a), AttributeValue::Bool(b)) => a == b,
        #[expect(
            clippy::float_cmp,
            reason = "equality of JSON numbers is what the author asks for"
        )]
        (LiteralRow::Number(a), AttributeValue::Number(b)) => a == b,
        _ => false,
    }
}

#[inline(never)]
fn is_listed(words: &[Word], strings: &StringTable<'_>, text: &str) -> bool {
    words.binary_search_by(|word| strings.bytes(word.id).cmp(text.as_bytes())).is_ok()
}

/// Whether a text is one of some words.
#[inline(always)]
pub(crate) fn has_text(words: &[Word], strings: &StringTable<'_>, text: &str) -> bool {
    if words.len() > MAX_SCANNED {
        return is_listed(words, strings, text);
    }
    let head = head(text.as_bytes());
    for word in words {
        if word.is_headed(head, text, strings) {
            return true;
        }
    }
    false
}

impl Operands<'_> {
    /// Whether the value is one of the operands; `None` when no operand has its type.
    fn holds(self, value: &AttributeValue<'_>) -> Option<bool> {
        let same_type = match value {
            AttributeValue::String(text) => {
                return (!self.texts.is_empty()).then(|| has_text(self.texts, self.strings, text));
            }
            AttributeValue::Bool(_) => {
                |literal: &LiteralRow| matches!(literal, LiteralRow::Bool(_))
            }
            AttributeValue::Number(_) => {
                |literal: &LiteralRow| matches!(literal, LiteralRow::Number(_))
            }
            AttributeValue::List(_) | AttributeValue::Opaque => return None,
        };
        if self.literals.iter().any(|literal| equals(literal, value)) {
            return Some(true);
        }
        self.literals.iter().any(same_type).then_some(false)
    }

    fn number(self, value: &AttributeValue<'_>, holds: fn(Ordering) -> bool) -> bool {
        match (value, self.literals.first()) {
            (AttributeValue::Number(a), Some(LiteralRow::Number(b))) => {
                a.partial_cmp(b).is_some_and(holds)
            }
            _ => false,
        }
    }

    fn time(self, value: &AttributeValue<'_>, holds: fn(Ordering) -> bool) -> bool {
        let Some(LiteralRow::Time(limit)) = self.literals.first() else { return false };
        match value {
            AttributeValue::Number(ms) => {
                #[expect(
                    clippy::cast_precision_loss,
                    reason = "epoch milliseconds are far below 2^53"
                )]
                let limit = *limit as f64;
                ms.partial_cmp(&limit).is_some_and(holds)
            }
            AttributeValue::String(text) => {
                parse_rfc3339(text).is_some_and(|ms| holds(ms.cmp(limit)))
            }
            _ => false,
        }
    }

    fn version(self, value: &AttributeValue<'_>, holds: fn(Ordering) -> bool) -> bool {
        let (AttributeValue::String(text), Some(limit)) = (value, self.texts.first()) else {
            return false;
        };
        match (semver::Version::parse(text), semver::Version::parse(self.strings.get(limit.id))) {
            (Ok(version), Ok(limit)) => holds(version.cmp_precedence(&limit)),
            _ => false,
        }
    }

    fn text(self, value: &AttributeValue<'_>, holds: fn(&str, &str) -> bool) -> bool {
        value.as_str().is_some_and(|text| {
            self.texts.iter().any(|part| holds(text, self.strings.get(part.id)))
        })
    }
}
