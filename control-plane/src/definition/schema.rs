//! Building blocks of the published schemas: names, salts, conditions and other strings with rules.
//!
//! The types here exist only as schemas (`#[schema(value_type = Name)]`); the Rust fields are plain.

use eval_core::targeting::Operator;
use serde_json::{Value, json};
use std::borrow::Cow;
use utoipa::openapi::schema::ObjectBuilder;
use utoipa::openapi::{RefOr, Schema};
use utoipa::{PartialSchema, ToSchema};

macro_rules! schema_only {
    ($($(#[$doc:meta])* $name:ident = $schema:expr;)*) => {
        $(
            $(#[$doc])*
            #[derive(Debug)]
            pub struct $name;

            impl PartialSchema for $name {
                // Stands for the literal, which can say more than utoipa's type; see `literals`.
                fn schema() -> RefOr<Schema> {
                    ObjectBuilder::new().into()
                }
            }

            impl ToSchema for $name {
                fn name() -> Cow<'static, str> {
                    Cow::Borrowed(stringify!($name))
                }
            }
        )*

        /// The schemas of this file by name, as JSON Schema.
        pub fn literals() -> Vec<(&'static str, Value)> {
            vec![$((stringify!($name), $schema),)*]
        }
    };
}

schema_only! {
    /// What people call a thing; also its key in answers, events and reports.
    Name = json!({
        "type": "string", "minLength": 1, "maxLength": 128, "pattern": "^[A-Za-z0-9][A-Za-z0-9_.-]*$",
        "description": "Letters, digits, `_`, `.` and `-`, beginning with a letter or digit."
    });
    /// Name of a project or environment; part of paths and keys.
    Slug = json!({
        "type": "string", "minLength": 1, "maxLength": 63, "pattern": "^[a-z0-9][a-z0-9-]*$",
        "description": "Lower-case letters, digits and `-`, beginning with a letter or digit."
    });
    /// Name of a kind of unit, such as `user_id`.
    UnitType = json!({
        "type": "string", "minLength": 1, "maxLength": 64, "pattern": "^[A-Za-z_][A-Za-z0-9_]*$",
        "description": "Which of a request's ids is randomised, such as `user_id`."
    });
    /// Which messages a webhook wants.
    EventPattern = json!({
        "type": "string", "minLength": 1, "maxLength": 128, "pattern": "^(\\*|[a-z_]+\\.(\\*|[a-z_]+))$",
        "description": "`*`, all messages about a kind of thing (`experiment.*`), or one type (`experiment.started`)."
    });
    /// Salt of a hash.
    Salt = json!({
        "type": "string", "minLength": 1, "maxLength": 64, "pattern": "^[^:]+$",
        "description": "Hashed before the unit id as `salt:unit`. Generated when absent; 1 to 64 bytes without `:`."
    });
    /// A moment.
    Time = json!({ "type": "string", "format": "date-time", "maxLength": 64, "description": "RFC 3339." });
    /// A duration.
    Duration = json!({
        "type": "string", "format": "duration", "minLength": 2, "maxLength": 64,
        "description": "ISO 8601, weeks at most: `PT1H`, `P7D`."
    });
    /// A percentage.
    Percent = json!({
        "type": "number", "minimum": 0, "maximum": 100, "multipleOf": 0.01,
        "description": "Percent, at most two decimals."
    });
    /// Any JSON value.
    JsonValue = json!({ "description": "Any JSON value; at most 64 KiB when serialised." });
    /// Half-open bucket ranges.
    Ranges = json!({
        "type": "array",
        "items": { "type": "array", "items": { "type": "integer", "minimum": 0, "maximum": 10000 }, "minItems": 2, "maxItems": 2 },
        "description": "Half-open pairs `[first, end)` out of 10 000 buckets.",
        "example": [[0, 5000]]
    });
    /// Unit ids.
    UnitIds = json!({
        "type": "array", "maxItems": 100_000, "items": { "type": "string", "minLength": 1, "maxLength": 256 },
        "description": "Unit ids as clients send them."
    });
    /// Unit ids and the variant that each is given.
    Assignments = json!({
        "type": "object", "maxProperties": 10_000,
        "additionalProperties": { "type": "string", "minLength": 1, "maxLength": 128 },
        "description": "Unit id → variant."
    });

    /// A condition: a recursive choice of five forms.
    Condition = json!({
            "description": "A tree of `all`, `any` and `not` over comparisons of attributes and references to segments.",
            "oneOf": [
                { "type": "object", "required": ["all"], "additionalProperties": false,
                  "properties": { "all": { "type": "array", "maxItems": 1000, "items": condition_reference() } } },
                { "type": "object", "required": ["any"], "additionalProperties": false,
                  "properties": { "any": { "type": "array", "maxItems": 1000, "items": condition_reference() } } },
                { "type": "object", "required": ["not"], "additionalProperties": false,
                  "properties": { "not": condition_reference() } },
                { "type": "object", "required": ["segment"], "additionalProperties": false,
                  "properties": { "segment": { "$ref": "#/components/schemas/Name" } } },
                { "type": "object", "required": ["attribute", "op"], "additionalProperties": false,
                  "properties": {
                    "attribute": { "type": "string", "minLength": 1, "maxLength": 128 },
                    "op": { "type": "string", "enum": operators() },
                    "values": { "type": "array", "maxItems": 10_000, "items": { "oneOf": [
                        { "type": "string", "maxLength": 1024 }, { "type": "number" }, { "type": "boolean" }
                    ] } }
                  } }
            ]
        });
}

fn condition_reference() -> Value {
    json!({ "$ref": "#/components/schemas/Condition" })
}

fn operators() -> Vec<&'static str> {
    Operator::ALL.iter().map(|op| op.as_str()).collect()
}
