//! What every write takes beside its body: `?dry_run=true`, `?comment=`, `?propose=true` and `?emergency=true`.

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
    /// Keep it as a change request instead of doing it.
    pub(crate) propose: bool,
    /// Whether it takes approvals where an environment asks for them.
    pub(crate) approvals: Approvals,
}

/// Whether a write takes approvals where an environment asks for them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Approvals {
    /// It does.
    #[default]
    Needed,
    /// It is to be done without them.
    Emergency,
    /// It has them. No request can say so.
    Given,
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
                "dry_run" | "propose" | "emergency" => {
                    let given = match &*value {
                        "true" => true,
                        "false" => false,
                        _ => return Err(refuse(&name, "must be true or false")),
                    };
                    match &*name {
                        "dry_run" => options.dry_run = given,
                        "propose" => options.propose = given,
                        _ if given => options.approvals = Approvals::Emergency,
                        _ => {}
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
        if options.approvals == Approvals::Emergency && options.comment.is_none() {
            return Err(refuse("emergency", "takes a comment that says why"));
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
        assert_eq!(
            options,
            WriteOptions {
                dry_run: true,
                comment: Some("why not".to_owned()),
                ..WriteOptions::default()
            }
        );
        assert_eq!(uri.to_string(), "/flags?x=1");
        for wrong in ["/flags?dry_run=1", "/flags?dry_run=", "/flags?comment=a%0Ab"] {
            assert!(WriteOptions::take(&mut wrong.parse().unwrap()).is_err(), "{wrong}");
        }
    }
}
