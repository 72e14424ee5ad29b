//! How many requests a caller may make: a bucket of tokens for each, in this process.

use super::auth::Caller;
use crate::error::ApiError;
use crate::state::AppState;
use axum::extract::{Request, State};
use axum::http::HeaderValue;
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

/// Callers that are remembered; beyond it those whose bucket is full are forgotten.
const MAX_REMEMBERED: usize = 10_000;

/// A bucket: what was left in it when.
#[derive(Clone, Copy, Debug)]
struct Bucket {
    left: f64,
    at: Instant,
}

/// The buckets of all callers.
#[derive(Debug)]
pub(crate) struct RateLimits {
    /// Requests in a minute; also the size of a bucket. 0: no limit.
    per_minute: u32,
    buckets: Mutex<HashMap<String, Bucket>>,
}

/// What a caller has left.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Quota {
    allowed: bool,
    left: u32,
    /// Seconds until the bucket is full; for a refused request until there is one token.
    seconds: u64,
}

impl RateLimits {
    /// No caller has asked yet.
    pub(crate) fn new(per_minute: u32) -> Self {
        Self { per_minute, buckets: Mutex::default() }
    }

    fn take(&self, caller: &str, now: Instant) -> Quota {
        let size = f64::from(self.per_minute);
        let per_second = size / 60.0;
        let mut buckets = self.buckets.lock().unwrap_or_else(PoisonError::into_inner);
        if buckets.len() >= MAX_REMEMBERED && !buckets.contains_key(caller) {
            buckets.retain(|_, bucket| now.duration_since(bucket.at).as_secs() < 60);
        }
        let bucket = buckets.entry(caller.to_owned()).or_insert(Bucket { left: size, at: now });
        let refilled = now.duration_since(bucket.at).as_secs_f64() * per_second;
        bucket.left = (bucket.left + refilled).min(size);
        bucket.at = now;
        let allowed = bucket.left >= 1.0;
        if allowed {
            bucket.left -= 1.0;
        }
        let missing = if allowed { size - bucket.left } else { 1.0 - bucket.left };
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "between 0 and a u32"
        )]
        Quota {
            allowed,
            left: bucket.left.floor() as u32,
            seconds: (missing / per_second).ceil() as u64,
        }
    }
}

/// Middleware: counts the request against its caller's bucket and says what is left.
pub(crate) async fn limit(
    State(state): State<AppState>,
    caller: Caller,
    request: Request,
    next: Next,
) -> Response {
    let limits = &state.rate_limits;
    if limits.per_minute == 0 {
        return next.run(request).await;
    }
    let quota = limits.take(&caller.id, Instant::now());
    let mut response = if quota.allowed {
        next.run(request).await
    } else {
        let detail = format!("more than {} requests in a minute", limits.per_minute);
        ApiError::TooManyRequests { detail, retry_after_s: quota.seconds }.into_response()
    };
    // draft-ietf-httpapi-ratelimit-headers.
    for (name, value) in [
        ("ratelimit-policy", format!("\"requests\";q={};w=60", limits.per_minute)),
        ("ratelimit", format!("\"requests\";r={};t={}", quota.left, quota.seconds)),
    ] {
        if let Ok(value) = HeaderValue::from_str(&value) {
            response.headers_mut().insert(name, value);
        }
    }
    response
}

#[cfg(test)]
mod tests {
    use super::RateLimits;
    use std::time::{Duration, Instant};

    #[test]
    fn a_bucket_empties_and_fills_again() {
        let limits = RateLimits::new(60);
        let begin = Instant::now();
        for left in (0..60).rev() {
            let quota = limits.take("a", begin);
            assert!(quota.allowed);
            assert_eq!(quota.left, left);
        }
        let refused = limits.take("a", begin);
        assert!(!refused.allowed);
        assert_eq!((refused.left, refused.seconds), (0, 1));
        assert!(limits.take("b", begin).allowed, "each caller has a bucket");
        let later = limits.take("a", begin + Duration::from_secs(10));
        assert!(later.allowed);
        assert_eq!(later.left, 9);
    }
}
