//! The compiled config that the edge holds: the blob's bytes and what was decoded out of them, in one owner.
//!
//! Decoding borrows its strings from the bytes, so nothing is copied, and a swap drops both together.

use std::borrow::Cow;
use std::sync::Arc;

use eval_core::CompiledConfig;
use eval_core::blob::{self, DecodeError, Header};
use serde::{Deserialize, Serialize};

use crate::json::{Members, Raw};

self_cell::self_cell!(
    struct Cell {
        owner: Vec<u8>,
        #[covariant]
        dependent: Decoded,
    }
);

struct Decoded<'b> {
    header: Header,
    config: CompiledConfig<'b>,
}

/// A config in use. Immutable: a refresh replaces the whole.
pub struct HeldConfig {
    cell: Cell,
    client_form: Option<Pointer>,
}

impl std::fmt::Debug for HeldConfig {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "HeldConfig(generation {})", self.generation())
    }
}

impl HeldConfig {
    /// Decodes the blob that a pointer names, which must be of this environment.
    fn decode(bytes: Vec<u8>, pointer: &Pointer, environment: &str) -> Result<Self, Refusal> {
        let cell = Cell::try_new(bytes, |bytes| {
            blob::decode(bytes)
                .map(|(header, config)| Decoded { header, config })
                .map_err(Refusal::Damaged)
        })?;
        let held = Self { cell, client_form: pointer.client_form() };
        if held.config().is_client_form() {
            return Err(Refusal::ClientForm);
        }
        if held.config().environment() == environment {
            Ok(held)
        } else {
            Err(Refusal::OtherEnvironment(held.config().environment().to_owned()))
        }
    }

    /// The blob, header included.
    pub fn bytes(&self) -> &[u8] {
        self.cell.borrow_owner()
    }

    /// The header of the blob.
    pub fn header(&self) -> &Header {
        &self.cell.borrow_dependent().header
    }

    /// The config.
    pub fn config(&self) -> &CompiledConfig<'_> {
        &self.cell.borrow_dependent().config
    }

    /// Where its client form lies; `None` when publishing made none.
    pub fn client_form(&self) -> Option<&Pointer> {
        self.client_form.as_ref()
    }

    /// The number that only grows.
    pub fn generation(&self) -> u64 {
        self.header().generation
    }
}

/// Why a blob was not taken. What was held before stays.
#[derive(Debug, thiserror::Error)]
pub enum Refusal {
    /// The bytes are not a whole blob of a format that this build reads.
    #[error("{0}")]
    Damaged(DecodeError),
    /// The blob of another environment lies under this one's path.
    #[error("the blob is of environment {0:?}")]
    OtherEnvironment(String),
    /// A client form, by which an edge could decide only half of what it is asked.
    #[error("the blob is a client form")]
    ClientForm,
    /// A whole config, where a client form was announced.
    #[error("the blob is no client form")]
    NoClientForm,
    /// The blob's generation is not the one that the pointer names.
    #[error("the pointer names generation {pointer}, the blob is generation {blob}")]
    OtherGeneration {
        /// Generation in the pointer.
        pointer: u64,
        /// Generation in the blob.
        blob: u64,
    },
    /// A reader never goes back.
    #[error("generation {offered} is below the generation {held} that is held")]
    Older {
        /// Generation offered.
        offered: u64,
        /// Generation held.
        held: u64,
    },
    /// The pointer is not the JSON that publishing writes.
    #[error("the pointer is not readable: {0}")]
    Pointer(String),
    /// The pointer leads outside of the environment's configs.
    #[error("the pointer names the object {0:?}, which is not one of this environment")]
    Object(String),
    /// The bytes are not those that the publisher named by their hash.
    #[error("the blob is not the one that the pointer names: its BLAKE3 is {0}")]
    OtherContent(String),
    /// This edge has public keys, and the pointer has no signature.
    #[error("the blob is not signed")]
    Unsigned,
    /// The blob is signed under a key that this edge does not have.
    #[error("the blob is signed under the key {0:?}, which this edge does not have")]
    UnknownKey(String),
    /// The signature is not the one of this blob under the key that it names.
    #[error("the signature under the key {0:?} does not match the blob")]
    Signature(String),
}

/// `configs/{environment}/latest.json`: which blob is the newest.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pointer {
    /// Generation of the blob.
    pub generation: u64,
    /// Its key in the object store.
    pub object: String,
    /// BLAKE3 of the blob, 64 hexadecimal digits.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub blake3: Option<String>,
    /// Bytes of the blob.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub size: Option<u64>,
    /// Name of the key under which the blob is signed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key_id: Option<String>,
    /// Ed25519 signature over the blob, base64.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signature: Option<String>,
    /// The client form of the same generation.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client_form: Option<ClientFormObject>,
}

/// What a pointer says of a client form.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize)]
pub struct ClientFormObject {
    /// Its key in the object store.
    pub object: String,
    /// Ed25519 signature over the whole of it under the pointer's key, base64.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signature: Option<String>,
}

/// Key of the pointer of an environment in the object store.
pub fn pointer_key(environment: &str) -> String {
    format!("configs/{environment}/latest.json")
}

impl Pointer {
    /// Reads a pointer, which must lead to a blob of this environment.
    pub fn read(bytes: &[u8], environment: &str) -> Result<Self, Refusal> {
        Self::parse(bytes).map_err(Refusal::Pointer)?.of(environment)
    }

    /// Reads a pointer to whatever blob. Members that it does not know are those of a newer publisher.
    pub(crate) fn parse(bytes: &[u8]) -> Result<Self, String> {
        let members = Members::read(bytes).map_err(|error| error.to_string())?;
        let form = field(&members, "client_form", Raw::members)?;
        Ok(Self {
            generation: required(&members, "generation", Raw::unsigned)?,
            object: required(&members, "object", text)?,
            blake3: field(&members, "blake3", text)?,
            size: field(&members, "size", Raw::unsigned)?,
            key_id: field(&members, "key_id", text)?,
            signature: field(&members, "signature", text)?,
            client_form: form.as_ref().map(ClientFormObject::of).transpose()?,
        })
    }

    /// The pointer, if it leads to a blob of this environment.
    pub(crate) fn of(self, environment: &str) -> Result<Self, Refusal> {
        if self.environment() == Some(environment) {
            Ok(self)
        } else {
            Err(Refusal::Object(self.object))
        }
    }

    /// What names the client form, as a pointer of its own; `None` where publishing made none, or names one outside of the
    /// environment's configs, which is no reason to refuse a good config.
    pub fn client_form(&self) -> Option<Self> {
        let form = self.client_form.as_ref()?;
        let pointer = Self {
            generation: self.generation,
            object: form.object.clone(),
            key_id: self.key_id.clone(),
            signature: form.signature.clone(),
            ..Self::default()
        };
        (pointer.environment()? == self.environment()?).then_some(pointer)
    }

    /// The environment to whose blobs its object belongs.
    pub fn environment(&self) -> Option<&str> {
        let (environment, name) = self.object.strip_prefix("configs/")?.split_once('/')?;
        (!name.contains('/') && !name.contains("..")).then_some(environment)
    }
}

impl ClientFormObject {
    fn of(members: &Members<'_>) -> Result<Self, String> {
        Ok(Self {
            object: required(members, "object", text)?,
            signature: field(members, "signature", text)?,
        })
    }
}

fn text(raw: Raw<'_>) -> Option<String> {
    raw.text().map(Cow::into_owned)
}

/// A member of a pointer; absent or `null` it is `None`.
fn field<'r, T>(
    members: &Members<'r>,
    name: &str,
    read: fn(Raw<'r>) -> Option<T>,
) -> Result<Option<T>, String> {
    match members.member(name).map_err(|error| error.to_string())? {
        None => Ok(None),
        Some(raw) => match read(raw) {
            None => Err(format!("`{name}` is of another type")),
            value => Ok(value),
        },
    }
}

fn required<'r, T>(
    members: &Members<'r>,
    name: &str,
    read: fn(Raw<'r>) -> Option<T>,
) -> Result<T, String> {
    field(members, name, read)?.ok_or_else(|| format!("`{name}` is missing"))
}

/// What to do about a pointer or blob, given what is held.
pub(crate) fn accept(
    held: Option<&Arc<HeldConfig>>,
    pointer: &Pointer,
    bytes: Vec<u8>,
    environment: &str,
) -> Result<HeldConfig, Refusal> {
    if let Some(expected) = &pointer.blake3 {
        let found = blake3::hash(&bytes).to_hex();
        if !found.as_str().eq_ignore_ascii_case(expected) {
            // A damaged blob says more by its own checksum than by this one.
            HeldConfig::decode(bytes, pointer, environment)?;
            return Err(Refusal::OtherContent(found.to_string()));
        }
    }
    let offered = HeldConfig::decode(bytes, pointer, environment)?;
    if offered.generation() != pointer.generation {
        return Err(Refusal::OtherGeneration {
            pointer: pointer.generation,
            blob: offered.generation(),
        });
    }
    match held {
        Some(held) if offered.generation() < held.generation() => {
            Err(Refusal::Older { offered: offered.generation(), held: held.generation() })
        }
        _ => Ok(offered),
    }
}
