//! Passwords: Argon2id with the parameters that OWASP recommends (19 MiB, 2 passes), a few at a time.

use crate::error::ApiError;
use argon2::password_hash::{PasswordHash, PasswordHasher, PasswordVerifier, SaltString};
use argon2::{Algorithm, Argon2, Params, Version};
use std::sync::LazyLock;
use tokio::sync::Semaphore;

/// Longest password in bytes.
pub(crate) const MAX_BYTES: usize = 256;

/// Hashes that are computed at once: each takes 19 MiB and a processor.
static SLOTS: Semaphore = Semaphore::const_new(2);

/// A hash of no password, so that an unknown address takes as long as a wrong password.
static NOBODY: LazyLock<String> =
    LazyLock::new(|| hash_now("nobody's password").unwrap_or_default());

fn argon2() -> Argon2<'static> {
    Argon2::new(Algorithm::Argon2id, Version::V0x13, Params::default())
}

fn hash_now(password: &str) -> Result<String, argon2::password_hash::Error> {
    let salt = SaltString::encode_b64(&rand::random::<[u8; 16]>())?;
    Ok(argon2().hash_password(password.as_bytes(), &salt)?.to_string())
}

/// The PHC string of a password.
pub(crate) async fn hash(password: String) -> Result<String, ApiError> {
    in_turn(move || hash_now(&password).map_err(|error| anyhow::anyhow!("{error}")))
        .await?
        .map_err(ApiError::Internal)
}

/// Whether a password is the one of a PHC string. Without a string it is never, and takes as long.
pub(crate) async fn verify(password: String, phc: Option<String>) -> Result<bool, ApiError> {
    in_turn(move || {
        let known = phc.is_some();
        let phc = phc.unwrap_or_else(|| NOBODY.clone());
        let fits = PasswordHash::new(&phc)
            .and_then(|parsed| argon2().verify_password(password.as_bytes(), &parsed))
            .is_ok();
        known && fits
    })
    .await
}

async fn in_turn<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, ApiError> {
    let internal = |error: anyhow::Error| ApiError::Internal(error);
    let _slot = SLOTS.acquire().await.map_err(|error| internal(error.into()))?;
    tokio::task::spawn_blocking(work).await.map_err(|error| internal(error.into()))
}

#[cfg(test)]
mod tests {
    use super::{hash, verify};

    #[tokio::test]
    async fn a_hash_fits_its_password_alone() {
        let phc = hash("correct horse".to_owned()).await.unwrap();
        assert!(phc.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "{phc}");
        assert!(verify("correct horse".to_owned(), Some(phc.clone())).await.unwrap());
        assert!(!verify("correct house".to_owned(), Some(phc)).await.unwrap());
        assert!(!verify("nobody's password".to_owned(), None).await.unwrap());
    }
}
