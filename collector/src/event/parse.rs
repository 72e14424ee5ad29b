//! Cutting the body of a request into events.

use serde_json::value::RawValue;

/// The JSON texts of the events of a body, in order.
pub type Body<'a> = Vec<&'a [u8]>;

/// Why a body holds no events at all.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BodyError {
    /// Nothing but white space.
    #[error("the body is empty: send one JSON event per line, or a JSON array of events")]
    Empty,
    /// An array that cannot be cut into its elements.
    #[error("the body is not valid JSON: {0}")]
    Malformed(String),
}

/// Cuts a body into events: a JSON array, one JSON object however it is laid out (only when the
/// client calls the body JSON, since it costs a scan), or one JSON object per line.
pub fn split(body: &[u8], is_json: bool) -> Result<Body<'_>, BodyError> {
    let body = body.trim_ascii();
    let malformed = |error: serde_json::Error| BodyError::Malformed(error.to_string());
    match body.first() {
        None => Err(BodyError::Empty),
        Some(b'[') => {
            let elements: Vec<&RawValue> = serde_json::from_slice(body).map_err(malformed)?;
            Ok(elements.into_iter().map(|element| element.get().as_bytes()).collect())
        }
        Some(b'{') if is_json && serde_json::from_slice::<&RawValue>(body).is_ok() => {
            Ok(vec![body])
        }
        Some(_) => Ok(body
            .split(|byte| *byte == b'\n')
            .map(<[u8]>::trim_ascii)
            .filter(|line| !line.is_empty())
            .collect()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(body: &str, is_json: bool, expected: &[&str]) {
        let events = split(body.as_bytes(), is_json).unwrap();
        let expected: Vec<&[u8]> = expected.iter().map(|text| text.as_bytes()).collect();
        assert_eq!(events, expected);
    }

    #[test]
    fn lines_arrays_and_single_objects_are_cut_into_events() {
        check("{\"a\":1}\n{\"a\":2}", false, &["{\"a\":1}", "{\"a\":2}"]);
        check("{\"a\":1}\r\n\n  {\"a\":2}\n\n", true, &["{\"a\":1}", "{\"a\":2}"]);
        check(" [ {\"a\":\n1} , 2 ] ", true, &["{\"a\":\n1}", "2"]);
        check("[]", true, &[]);
        check("{\n \"a\": 1\n}", true, &["{\n \"a\": 1\n}"]);
    }

    #[test]
    fn a_damaged_line_leaves_its_neighbours_whole() {
        check("{\"a\":1}\n{\"a\"\n{\"a\":3}", false, &["{\"a\":1}", "{\"a\"", "{\"a\":3}"]);
    }

    #[test]
    fn an_empty_body_and_a_damaged_array_hold_no_events() {
        assert_eq!(split(b" \n", false), Err(BodyError::Empty));
        assert!(matches!(split(b"[{\"a\":1},", true), Err(BodyError::Malformed(_))));
    }
}
