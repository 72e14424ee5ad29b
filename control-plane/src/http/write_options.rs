//! What every write takes beside its body: `?dry_run=true` and `?comment=`.

use crate::error::ApiError;
use axum::http::Uri;
use url::form_urlencoded;

/// Longest comment in bytes.
const MAX_COMMENT_BYTES: usize = 1000;

/// How a write is meant.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct WriteOptions {
    /// Say what it would do, and do nothing.
    pub(crate) dry_run: bool,
    /// Why it is done, for history and audit.
    pub(crate) comment: Option<String>,
}

impl WriteOptions {
    /// Takes the options out of a write's query; what is left is for the handler to judge.
    pub(crate) fn take(uri: &mut Uri) -> Result<Self, ApiError> {
        let refuse = |parameter: &str, detail: &str| ApiError::InvalidParameter {
            parameter: parameter.to_owned(),
            detail: detail.to_owned(),
        };
        let mut options = Self::default();
        let Some(query) = uri.query() else { return Ok(options) };
        let mut others = form_urlencoded::Serializer::new(String::new());
        for (name, value) in form_urlencoded::parse(query.as_bytes()) {
            match &*name {
                "dry_run" => {
                    options.dry_run = match &*value {
                        "true" => true,
                        "false" => false,
                        _ => return Err(refuse("dry_run", "must be true or false")),
                    }
                }
                "comment" => {
                    if value.len() > MAX_COMMENT_BYTES || value.chars().any(char::is_control) {
                        let rule = "must have at most 1000 bytes and no control characters";
                        return Err(refuse("comment", rule));
                    }
                    options.comment = Some(value.into_owned()).filter(|text| !text.is_empty());
                }
                _ => {
                    others.append_pair(&name, &value);
                }
            }
        }
        let others = others.finish();
        let rest = if others.is_empty() {
            uri.path().to_owned()
        } else {
            format!("{}?{others}", uri.path())
        };
        *uri = rest.parse().map_err(|_| refuse("query", "cannot be read"))?;
        Ok(options)
    }
}

#[cfg(test)]
mod tests {
    use super::WriteOptions;
    use axum::http::Uri;

    #[test]
    fn the_options_of_a_write_are_taken_out_of_its_query() {
        let mut uri: Uri = "/flags?comment=why%20not&x=1&dry_run=true".parse().unwrap();
        let options = WriteOptions::take(&mut uri).unwrap();
        assert_eq!(options, WriteOptions { dry_run: true, comment: Some("why not".to_owned()) });
        assert_eq!(uri.to_string(), "/flags?x=1");
        for wrong in ["/flags?dry_run=1", "/flags?dry_run=", "/flags?comment=a%0Ab"] {
            assert!(WriteOptions::take(&mut wrong.parse().unwrap()).is_err(), "{wrong}");
        }
    }
}
