//! An event on its way from the wire to the lake: validated, pseudonymised, its times settled.

mod parse;
mod text;
mod validate;
mod wire;

use serde::{Deserialize, Serialize};

use crate::schema::Kind;

pub use parse::{Body, BodyError, split};
pub use text::Text;
pub use validate::{Intake, MALFORMED_JSON, NOT_AN_OBJECT, Rejection, validate};

/// Bytes of an event id and of a pseudonym.
pub type Id = [u8; 16];

/// One valid event, as the write-ahead log stores it.
///
/// The encoding is postcard's; a field is added by a new version of the record around it
/// ([`crate::wal`]).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Event<'a> {
    /// The idempotency key.
    pub event_id: Id,
    /// Corrected time, microseconds since 1970.
    pub ts: i64,
    /// The client's own time of the event.
    pub ts_client: Option<i64>,
    /// The client's own time of sending.
    pub ts_sent: Option<i64>,
    /// How far the client's clock is ahead, in milliseconds.
    pub skew_ms: Option<i64>,
    /// Every unit that the client named.
    #[serde(borrow)]
    pub units: Vec<Unit<'a>>,
    /// What was known about the request.
    #[serde(borrow)]
    pub context: Vec<(Text<'a>, Text<'a>)>,
    /// The SDK instance.
    #[serde(borrow)]
    pub producer_id: Option<Text<'a>>,
    /// Monotone number per SDK instance.
    pub producer_seq: Option<i64>,
    /// Name and version of the SDK, `name/version`.
    #[serde(borrow)]
    pub sdk: Option<Text<'a>>,
    /// Whether the unit consented, as the client says.
    pub consent: Option<bool>,
    /// What depends on the kind.
    #[serde(borrow)]
    pub detail: Detail<'a>,
}

/// One unit of an event.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Unit<'a> {
    /// `user_id`, `anonymous_id`, …
    #[serde(borrow)]
    pub unit_type: Text<'a>,
    /// First 16 bytes of the HMAC.
    pub pseudonym: Id,
}

impl Unit<'_> {
    /// First 8 bytes of the pseudonym as the sort key.
    pub fn hash(&self) -> i64 {
        unit_hash(&self.pseudonym)
    }
}

/// First 8 bytes of a pseudonym, big endian, as the sort key.
pub fn unit_hash(pseudonym: &Id) -> i64 {
    let [first, _second] = pseudonym.as_chunks::<8>().0 else { return 0 };
    i64::from_be_bytes(*first)
}

/// What depends on the kind of event.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum Detail<'a> {
    /// A unit received a variant.
    Exposure(#[serde(borrow)] Exposure<'a>),
    /// Something a unit did.
    Metric(#[serde(borrow)] Measure<'a>),
    /// Two ids belong together.
    Identify,
    /// A client reports on itself.
    Diagnostic(#[serde(borrow)] Measure<'a>),
}

impl Detail<'_> {
    /// The kind of the event.
    pub fn kind(&self) -> Kind {
        match self {
            Self::Exposure(_) => Kind::Exposure,
            Self::Metric(_) => Kind::Metric,
            Self::Identify => Kind::Identify,
            Self::Diagnostic(_) => Kind::Diagnostic,
        }
    }
}

/// The columns of an exposure.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Exposure<'a> {
    /// The experiment key.
    #[serde(borrow)]
    pub experiment_id: Text<'a>,
    /// The flag under which the client asked.
    #[serde(borrow)]
    pub flag_key: Option<Text<'a>>,
    /// The variant key.
    #[serde(borrow)]
    pub variant: Text<'a>,
    /// The layer of the experiment.
    #[serde(borrow)]
    pub layer_id: Option<Text<'a>>,
    /// The bucket of the unit, 0 to 9999.
    pub bucket: Option<u16>,
    /// Why this variant.
    #[serde(borrow)]
    pub reason: Option<Text<'a>>,
    /// Generation of the config that decided.
    pub config_version: Option<i64>,
    /// Version of the evaluator that decided.
    #[serde(borrow)]
    pub evaluator_version: Option<Text<'a>>,
    /// The holdout that held the unit out.
    #[serde(borrow)]
    pub holdout: Option<Text<'a>>,
}

/// The columns of a metric event and of a diagnostic.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Measure<'a> {
    /// Its name.
    #[serde(borrow)]
    pub name: Text<'a>,
    /// Its value.
    pub value: Option<f64>,
    /// Everything else that the client said of it.
    #[serde(borrow)]
    pub properties: Vec<(Text<'a>, Text<'a>)>,
}
