//! SDK keys: who may send events, and for which project and environment.
//!
//! A key is `sk_{server|client}_{environment}_{secret}`. The environment's published config holds
//! the SHA-256 of every key that is valid, so that the collector needs no database.

mod directory;
mod source;

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use sha2::{Digest, Sha256};

pub use directory::ConfigKeys;
pub use source::ConfigSource;

/// Longest environment id.
const MAX_ENVIRONMENT_BYTES: usize = 96;
/// Longest secret part of a key.
const MAX_SECRET_BYTES: usize = 128;

/// What a key entitles to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Grant {
    /// The project.
    pub project: Arc<str>,
    /// The environment id.
    pub environment: Arc<str>,
}

/// Why a key entitles to nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// It has not the form of a key, or is not valid (any more).
    #[error("the SDK key is not valid")]
    Unknown,
    /// The environment's config has never been read, and cannot be read now.
    #[error("the environment's config cannot be read")]
    Unavailable,
}

/// Knows the valid keys.
#[async_trait]
pub trait KeyDirectory: fmt::Debug + Send + Sync + 'static {
    /// What a key entitles to.
    async fn check(&self, key: &SdkKey<'_>) -> Result<Grant, KeyError>;
}

/// A key of well-formed shape.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct SdkKey<'k> {
    key: &'k str,
    environment: &'k str,
}

impl<'k> SdkKey<'k> {
    /// Takes a key apart.
    pub fn parse(key: &'k str) -> Option<Self> {
        let rest = key.strip_prefix("sk_server_").or_else(|| key.strip_prefix("sk_client_"))?;
        let (environment, secret) = rest.split_once('_')?;
        let is_id = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
        let is_well_formed = (1..=MAX_ENVIRONMENT_BYTES).contains(&environment.len())
            && environment.bytes().all(is_id)
            && (1..=MAX_SECRET_BYTES).contains(&secret.len())
            && secret.bytes().all(|byte| byte.is_ascii_alphanumeric());
        is_well_formed.then_some(Self { key, environment })
    }

    /// The environment id that it names.
    pub fn environment(&self) -> &'k str {
        self.environment
    }

    /// Whether it may stand in a URL, because it is no secret.
    pub fn is_client(&self) -> bool {
        self.key.starts_with("sk_client_")
    }

    /// SHA-256 of the whole key, as configs hold it.
    pub fn sha256(&self) -> [u8; 32] {
        Sha256::digest(self.key.as_bytes()).into()
    }
}

impl fmt::Debug for SdkKey<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SdkKey({}, …)", self.environment)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_name_their_environment() {
        let key = SdkKey::parse("sk_server_production-k3v9x2mq_abc234").unwrap();
        assert_eq!((key.environment(), key.is_client()), ("production-k3v9x2mq", false));
        assert!(SdkKey::parse("sk_client_staging-aaaabbbb_x").unwrap().is_client());
    }

    #[test]
    fn what_is_no_key_is_not_looked_up() {
        for text in [
            "",
            "sk_server_",
            "sk_server_production_",
            "sk_server__secret",
            "sk_admin_production_secret",
            "sk_server_../../etc_secret",
            "sk_server_Production_secret",
            "sk_server_production_sec_ret",
            "sk_server_production_sec ret",
        ] {
            assert!(SdkKey::parse(text).is_none(), "{text}");
        }
    }
}
