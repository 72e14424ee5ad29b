//! Request bodies: read with a limit, parsed, checked against their published schema.

use super::query::refuse_query;
use super::schema_check::Checker;
use crate::error::{ApiError, Problems};
use crate::routes;
use crate::state::AppState;
use axum::body::Body as HttpBody;
use axum::extract::{FromRequest, Request};
use axum::http::{HeaderMap, header};
use bytes::{Bytes, BytesMut};
use futures::StreamExt;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};
use std::sync::LazyLock;
use std::time::Duration;
use utoipa::ToSchema;

/// How long a client may take to send a body.
const READ_TIMEOUT: Duration = Duration::from_secs(30);

/// How much of a body above the limit is read before answering: a client that still sends would see a
/// broken connection instead of the answer.
const DRAINED_BYTES: usize = 16 * 1024 * 1024;

static SCHEMAS: LazyLock<&Map<String, Value>> = LazyLock::new(|| {
    routes::openapi()["components"]["schemas"].as_object().expect("the API has schemas")
});

/// Reads a whole body of at most `limit_bytes`.
pub(crate) async fn read_limited(body: HttpBody, limit_bytes: usize) -> Result<Bytes, ApiError> {
    let mut stream = body.into_data_stream();
    let read = async {
        let mut bytes = BytesMut::new();
        let mut n_bytes = 0;
        while let Some(chunk) = stream.next().await {
            let chunk =
                chunk.map_err(|_| ApiError::MalformedJson("the body broke off".to_owned()))?;
            n_bytes += chunk.len();
            if n_bytes <= limit_bytes {
                bytes.extend_from_slice(&chunk);
            } else if n_bytes > DRAINED_BYTES {
                break;
            }
        }
        if n_bytes > limit_bytes {
            Err(ApiError::TooLarge { limit_bytes })
        } else {
            Ok(bytes.freeze())
        }
    };
    tokio::time::timeout(READ_TIMEOUT, read).await.unwrap_or(Err(ApiError::Timeout))
}

/// Refuses a body of another media type.
pub(crate) fn require_json(headers: &HeaderMap, accepted: &[&str]) -> Result<(), ApiError> {
    let given =
        headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or("");
    let essence = given.split(';').next().unwrap_or("").trim().to_ascii_lowercase();
    if accepted.contains(&essence.as_str()) {
        return Ok(());
    }
    Err(ApiError::UnsupportedMediaType(format!(
        "send the body as {}, not as `{given}`",
        accepted.join(" or ")
    )))
}

/// The JSON of a body.
pub(crate) fn parse(bytes: &[u8]) -> Result<Value, ApiError> {
    serde_json::from_slice(bytes).map_err(|error| ApiError::MalformedJson(error.to_string()))
}

/// Checks a value against the schema of `T` and reads it, as far as it can be read.
pub(crate) fn check<T: DeserializeOwned + ToSchema>(mut value: Value) -> (Option<T>, Problems) {
    let mut problems = Checker::new(&SCHEMAS).check(&T::name(), &mut value);
    let parsed = match serde_path_to_error::deserialize(value) {
        Ok(parsed) => Some(parsed),
        Err(error) => {
            if problems.is_empty() {
                let pointer = pointer_of(error.path());
                problems.push(pointer, "invalid_value", error.inner().to_string());
            }
            None
        }
    };
    (parsed, problems)
}

/// The RFC 6901 pointer of a path into a body.
pub(crate) fn pointer_of(path: &serde_path_to_error::Path) -> String {
    use serde_path_to_error::Segment;
    let escape = |name: &str| name.replace('~', "~0").replace('/', "~1");
    path.iter()
        .map(|segment| match segment {
            Segment::Seq { index } => format!("/{index}"),
            Segment::Map { key } => format!("/{}", escape(key)),
            Segment::Enum { variant } => format!("/{}", escape(variant)),
            Segment::Unknown => String::new(),
        })
        .collect()
}

/// A JSON body of type `T`, checked against its schema.
pub(crate) struct Body<T> {
    parsed: Option<T>,
    problems: Problems,
}

impl<T> Body<T> {
    /// The body with what is wrong with it so far, so that further checks can add to that; an error
    /// when it cannot be read at all.
    pub(crate) fn partial(self) -> Result<(T, Problems), ApiError> {
        match self.parsed {
            Some(parsed) => Ok((parsed, self.problems)),
            None => Err(ApiError::Invalid(self.problems)),
        }
    }

    /// The body, if nothing is wrong with it.
    pub(crate) fn complete(self) -> Result<T, ApiError> {
        let (parsed, problems) = self.partial()?;
        problems.into_result().map(|()| parsed)
    }
}

impl<T: DeserializeOwned + ToSchema> FromRequest<AppState> for Body<T> {
    type Rejection = ApiError;

    async fn from_request(request: Request, state: &AppState) -> Result<Self, ApiError> {
        refuse_query(request.uri())?;
        require_json(request.headers(), &["application/json"])?;
        let bytes = read_limited(request.into_body(), state.settings.body_limit_bytes).await?;
        let (parsed, problems) = check(parse(&bytes)?);
        Ok(Self { parsed, problems })
    }
}

/// A JSON body that may be absent: `T::default()` then.
pub(crate) struct OptionalBody<T>(pub(crate) T);

impl<T: DeserializeOwned + ToSchema + Default> FromRequest<AppState> for OptionalBody<T> {
    type Rejection = ApiError;

    async fn from_request(request: Request, state: &AppState) -> Result<Self, ApiError> {
        refuse_query(request.uri())?;
        let headers = request.headers().clone();
        let bytes = read_limited(request.into_body(), state.settings.body_limit_bytes).await?;
        if bytes.iter().all(u8::is_ascii_whitespace) {
            return Ok(Self(T::default()));
        }
        require_json(&headers, &["application/json"])?;
        let (parsed, problems) = check(parse(&bytes)?);
        problems.into_result()?;
        Ok(Self(parsed.unwrap_or_default()))
    }
}

/// A body that must be absent or an empty object.
pub(crate) struct EmptyBody;

impl FromRequest<AppState> for EmptyBody {
    type Rejection = ApiError;

    async fn from_request(request: Request, state: &AppState) -> Result<Self, ApiError> {
        refuse_query(request.uri())?;
        let bytes = read_limited(request.into_body(), state.settings.body_limit_bytes).await?;
        if bytes.iter().all(u8::is_ascii_whitespace) {
            return Ok(Self);
        }
        match parse(&bytes)? {
            Value::Object(members) => {
                let mut problems = Problems::default();
                for name in members.keys() {
                    problems.push(
                        format!("/{name}"),
                        "unknown_field",
                        "this request takes no body",
                    );
                }
                problems.into_result().map(|()| Self)
            }
            _ => Err(ApiError::invalid("", "wrong_type", "must be absent or an empty object")),
        }
    }
}

/// A JSON Merge Patch (RFC 7396).
pub(crate) struct MergePatch(Map<String, Value>);

impl MergePatch {
    /// A patch of these members.
    pub(crate) fn new(members: Map<String, Value>) -> Self {
        Self(members)
    }

    /// A patch of one member.
    pub(crate) fn of(member: &str, value: Value) -> Self {
        Self(Map::from_iter([(member.to_owned(), value)]))
    }

    /// The document after the patch.
    pub(crate) fn apply(self, to: Value) -> Value {
        merge(to, Value::Object(self.0))
    }
}

fn merge(target: Value, patch: Value) -> Value {
    let Value::Object(patch) = patch else { return patch };
    let mut target = match target {
        Value::Object(target) => target,
        _ => Map::new(),
    };
    for (name, change) in patch {
        if change.is_null() {
            target.remove(&name);
        } else {
            let before = target.remove(&name).unwrap_or_default();
            target.insert(name, merge(before, change));
        }
    }
    Value::Object(target)
}

impl FromRequest<AppState> for MergePatch {
    type Rejection = ApiError;

    async fn from_request(request: Request, state: &AppState) -> Result<Self, ApiError> {
        refuse_query(request.uri())?;
        require_json(request.headers(), &["application/merge-patch+json", "application/json"])?;
        let bytes = read_limited(request.into_body(), state.settings.body_limit_bytes).await?;
        match parse(&bytes)? {
            Value::Object(patch) => Ok(Self(patch)),
            _ => Err(ApiError::invalid("", "wrong_type", "a merge patch is an object")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::merge;
    use serde_json::json;

    #[test]
    fn merge_patches_do_what_rfc_7396_shows() {
        // The table of its appendix A.
        let cases = [
            (json!({"a":"b"}), json!({"a":"c"}), json!({"a":"c"})),
            (json!({"a":"b"}), json!({"b":"c"}), json!({"a":"b","b":"c"})),
            (json!({"a":"b"}), json!({"a":null}), json!({})),
            (json!({"a":"b","b":"c"}), json!({"a":null}), json!({"b":"c"})),
            (json!({"a":["b"]}), json!({"a":"c"}), json!({"a":"c"})),
            (json!({"a":"c"}), json!({"a":["b"]}), json!({"a":["b"]})),
            (json!({"a":{"b":"c"}}), json!({"a":{"b":"d","c":null}}), json!({"a":{"b":"d"}})),
            (json!({"a":[{"b":"c"}]}), json!({"a":[1]}), json!({"a":[1]})),
            (json!(["a", "b"]), json!(["c", "d"]), json!(["c", "d"])),
            (json!({"a":"b"}), json!(["c"]), json!(["c"])),
            (json!({"a":"foo"}), json!(null), json!(null)),
            (json!({"e":null}), json!({"a":1}), json!({"e":null,"a":1})),
            (json!([1, 2]), json!({"a":"b","c":null}), json!({"a":"b"})),
            (json!({}), json!({"a":{"bb":{"ccc":null}}}), json!({"a":{"bb":{}}})),
        ];
        for (target, patch, expected) in cases {
            assert_eq!(merge(target.clone(), patch.clone()), expected, "{target} + {patch}");
        }
    }
}
