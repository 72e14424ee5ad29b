//! What differs between two JSON documents.

use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;

/// One member that differs.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub(crate) struct Difference {
    /// RFC 6901 pointer.
    pub(crate) pointer: String,
    /// What it was; left out when there was nothing.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<crate::definition::schema::JsonValue>)]
    pub(crate) before: Option<Value>,
    /// What it is now; left out when there is nothing.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<crate::definition::schema::JsonValue>)]
    pub(crate) after: Option<Value>,
}

/// What differs, in the order of the members. Lists of one length are compared by place, others as a whole.
pub(crate) fn diff(before: Option<&Value>, after: Option<&Value>) -> Vec<Difference> {
    let mut found = Vec::new();
    walk(String::new(), before, after, &mut found);
    found
}

fn walk(
    pointer: String,
    before: Option<&Value>,
    after: Option<&Value>,
    found: &mut Vec<Difference>,
) {
    if before == after {
        return;
    }
    match (before, after) {
        (Some(Value::Object(left)), Some(Value::Object(right))) => {
            for (name, value) in left {
                walk(below(&pointer, name), Some(value), right.get(name), found);
            }
            for (name, value) in right.iter().filter(|(name, _)| !left.contains_key(*name)) {
                walk(below(&pointer, name), None, Some(value), found);
            }
        }
        (Some(Value::Array(left)), Some(Value::Array(right))) if left.len() == right.len() => {
            for (index, (left, right)) in left.iter().zip(right).enumerate() {
                walk(format!("{pointer}/{index}"), Some(left), Some(right), found);
            }
        }
        _ => found.push(Difference { pointer, before: before.cloned(), after: after.cloned() }),
    }
}

fn below(pointer: &str, name: &str) -> String {
    format!("{pointer}/{}", name.replace('~', "~0").replace('/', "~1"))
}

#[cfg(test)]
mod tests {
    use super::{Difference, diff};
    use serde_json::json;

    #[test]
    fn a_diff_names_what_came_went_and_changed() {
        let before = json!({ "a": 1, "b": { "c/d": [1, 2] }, "gone": true });
        let after = json!({ "a": 1, "b": { "c/d": [1, 3] }, "new": null });
        let of = |pointer: &str, before, after| Difference {
            pointer: pointer.to_owned(),
            before,
            after,
        };
        assert_eq!(
            diff(Some(&before), Some(&after)),
            [
                of("/b/c~1d/1", Some(json!(2)), Some(json!(3))),
                of("/gone", Some(json!(true)), None),
                of("/new", None, Some(json!(null))),
            ]
        );
        assert_eq!(diff(Some(&before), Some(&before)), []);
        assert_eq!(diff(None, Some(&before)), [of("", None, Some(before.clone()))]);
    }
}
