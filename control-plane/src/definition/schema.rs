//! Building blocks of the published schemas: names, salts, conditions and other strings with rules.
//!
//! The types here exist only as schemas (`#[schema(value_type = Name)]`); the Rust fields are plain.

use serde_json::{Value, json};
use std::borrow::Cow;
use utoipa::openapi::{RefOr, Schema};
use utoipa::{PartialSchema, ToSchema};

/// Turns literal JSON Schema into utoipa's type.
fn literal(schema: Value) -> RefOr<Schema> {
    serde_json::from_value(schema).expect("the schemas of this file are valid")
}

macro_rules! schema_only {
    ($(#[$doc:meta])* $name:ident, $schema:expr) => {
        $(#[$doc])*
        #[derive(Debug)]
        pub struct $name;

        impl PartialSchema for $name {
            fn schema() -> RefOr<Schema> {
                literal($schema)
            }
        }

        impl ToSchema for $name {
            fn name() -> Cow<'static, str> {
                Cow::Borrowed(stringify!($name))
            }
        }
    };
}

schema_only!(
    /// What people call a thing; also its key in answers, events and reports.
    Name,
    json!({
        "type": "string", "minLength": 1, "maxLength": 128, "pattern": "^[A-Za-z0-9][A-Za-z0-9_.-]*$",
        "description": "Letters, digits, `_`, `.` and `-`, beginning with a letter or digit."
    })
);
schema_only!(
    /// Name of a project or environment; part of paths and keys.
    Slug,
    json!({
        "type": "string", "minLength": 1, "maxLength": 63, "pattern": "^[a-z0-9][a-z0-9-]*$",
        "description": "Lower-case letters, digits and `-`, beginning with a letter or digit."
    })
);
schema_only!(
    /// Name of a kind of unit, such as `user_id`.
    UnitType,
    json!({
        "type": "string", "minLength": 1, "maxLength": 64, "pattern": "^[A-Za-z_][A-Za-z0-9_]*$",
        "description": "Which of a request's ids is randomised, such as `user_id`."
    })
);
schema_only!(
    /// Salt of a hash.
    Salt,
    json!({
        "type": "string", "minLength": 1, "maxLength": 64, "pattern": "^[^:]+$",
        "description": "Hashed before the unit id as `salt:unit`. Generated when absent; 1 to 64 bytes without `:`."
    })
);
schema_only!(
    /// A moment.
    Time,
    json!({ "type": "string", "format": "date-time", "maxLength": 64, "description": "RFC 3339." })
);
schema_only!(
    /// A duration.
    Duration,
    json!({
        "type": "string", "format": "duration", "minLength": 2, "maxLength": 64,
        "description": "ISO 8601, weeks at most: `PT1H`, `P7D`."
    })
);
schema_only!(
    /// A percentage.
    Percent,
    json!({
        "type": "number", "minimum": 0, "maximum": 100, "multipleOf": 0.01,
        "description": "Percent, at most two decimals."
    })
);
schema_only!(
    /// Any JSON value.
    JsonValue,
    json!({ "description": "Any JSON value; at most 64 KiB when serialised." })
);
schema_only!(
    /// Half-open bucket ranges.
    Ranges,
    json!({
        "type": "array",
        "items": { "type": "array", "items": { "type": "integer", "minimum": 0, "maximum": 10000 }, "minItems": 2, "maxItems": 2 },
        "description": "Half-open pairs `[first, end)` out of 10 000 buckets.",
        "example": [[0, 5000]]
    })
);
schema_only!(
    /// Unit ids.
    UnitIds,
    json!({
        "type": "array", "maxItems": 100_000, "items": { "type": "string", "minLength": 1, "maxLength": 256 },
        "description": "Unit ids as clients send them."
    })
);
schema_only!(
    /// Unit ids and the variant that each is given.
    Assignments,
    json!({
        "type": "object", "maxProperties": 10_000,
        "additionalProperties": { "type": "string", "minLength": 1, "maxLength": 128 },
        "description": "Unit id → variant."
    })
);

/// A condition as published: a recursive choice of five forms.
#[derive(Debug)]
pub struct Condition;

impl PartialSchema for Condition {
    fn schema() -> RefOr<Schema> {
        let this = json!({ "$ref": "#/components/schemas/Condition" });
        literal(json!({
            "description": "A tree of `all`, `any` and `not` over comparisons of attributes and references to segments.",
            "oneOf": [
                { "type": "object", "required": ["all"], "additionalProperties": false,
                  "properties": { "all": { "type": "array", "maxItems": 1000, "items": this } } },
                { "type": "object", "required": ["any"], "additionalProperties": false,
                  "properties": { "any": { "type": "array", "maxItems": 1000, "items": this } } },
                { "type": "object", "required": ["not"], "additionalProperties": false,
                  "properties": { "not": this } },
                { "type": "object", "required": ["segment"], "additionalProperties": false,
                  "properties": { "segment": { "$ref": "#/components/schemas/Name" } } },
                { "type": "object", "required": ["attribute", "op"], "additionalProperties": false,
                  "properties": {
                    "attribute": { "type": "string", "minLength": 1, "maxLength": 128 },
                    "op": { "type": "string", "enum": super::targeting::OPERATORS },
                    "values": { "type": "array", "maxItems": 10_000, "items": { "oneOf": [
                        { "type": "string", "maxLength": 1024 }, { "type": "number" }, { "type": "boolean" }
                    ] } }
                  } }
            ]
        }))
    }
}

impl ToSchema for Condition {
    fn name() -> Cow<'static, str> {
        Cow::Borrowed("Condition")
    }

    fn schemas(schemas: &mut Vec<(String, RefOr<Schema>)>) {
        schemas.push(("Name".to_owned(), Name::schema()));
    }
}
