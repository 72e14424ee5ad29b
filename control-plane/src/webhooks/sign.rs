//! Signatures of messages: HMAC-SHA-256 over id, time and body, as Standard Webhooks defines them.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use rand::RngExt;
use sha2::Sha256;

/// What every secret begins with.
pub const SECRET_PREFIX: &str = "whsec_";

/// Random bytes of a secret.
const SECRET_BYTES: usize = 32;

/// A new secret: `whsec_` and 32 random bytes in base64.
pub fn new_secret() -> String {
    let mut rng = rand::rng();
    let bytes: [u8; SECRET_BYTES] = std::array::from_fn(|_| rng.random());
    format!("{SECRET_PREFIX}{}", STANDARD.encode(bytes))
}

/// The value of `webhook-signature`: one signature for each secret, so that receivers can change over from one to the
/// next. A secret that cannot be read signs nothing.
pub fn signatures(secrets: &[String], id: &str, timestamp_s: i64, body: &str) -> String {
    let signed = format!("{id}.{timestamp_s}.{body}");
    let sign = |secret: &String| {
        let key = STANDARD.decode(secret.strip_prefix(SECRET_PREFIX)?).ok()?;
        let mut mac = Hmac::<Sha256>::new_from_slice(&key).ok()?;
        mac.update(signed.as_bytes());
        Some(format!("v1,{}", STANDARD.encode(mac.finalize().into_bytes())))
    };
    secrets.iter().filter_map(sign).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::{new_secret, signatures};

    #[test]
    fn a_signature_is_that_of_the_standards_libraries() {
        // The case that the reference libraries of Standard Webhooks are tested with.
        let secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw".to_owned();
        let id = "msg_p5jXN8AQM9LWM0D4loKWxJek";
        let body = r#"{"test": 2432232314}"#;
        let signature = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=";
        assert_eq!(signatures(std::slice::from_ref(&secret), id, 1_614_265_330, body), signature);
        let both = signatures(&[secret, new_secret()], id, 1_614_265_330, body);
        assert!(both.starts_with(&format!("{signature} v1,")), "{both}");
    }
}
