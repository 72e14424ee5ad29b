//! Asks an edge through the OpenFeature provider for OFREP, and prints what came of it: one JSON object for each flag.
//!
//! `ofrep-rust-client <url> <SDK key>`. Everything the provider does is its own; the context is that of the other clients' tests.

use open_feature::{
    Client, EvaluationContext, EvaluationDetails, EvaluationError, OpenFeature, StructValue, Value,
};
use open_feature_ofrep::{OfrepOptions, OfrepProvider};
use reqwest::header::{AUTHORIZATION, HeaderMap};
use serde_json::json;

type Answer<T> = Result<EvaluationDetails<T>, EvaluationError>;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let (Some(url), Some(key)) = (arguments.next(), arguments.next()) else {
        return Err("usage: ofrep-rust-client <url> <SDK key>".into());
    };
    let mut headers = HeaderMap::new();
    headers.insert(AUTHORIZATION, format!("Bearer {key}").parse()?);
    let options = OfrepOptions { base_url: url, headers, ..OfrepOptions::default() };
    let mut api = OpenFeature::singleton_mut().await;
    api.set_provider(OfrepProvider::new(options).await?).await;
    let client = api.create_client();
    drop(api);
    ask(&client).await;
    Ok(())
}

async fn ask(client: &Client) {
    let context = EvaluationContext::default()
        .with_targeting_key("u-override")
        .with_custom_field("anonymous_id", "a-1")
        .with_custom_field("country", "US")
        .with_custom_field("ratio", 1.5);
    let context = Some(&context);
    let long_key = EvaluationContext::default().with_targeting_key("x".repeat(300));
    print("float", client.get_float_details("ratio", context, None).await, |value| json!(value));
    let object = client.get_struct_details::<StructValue>("checkout", context, None).await;
    print("object", object, fields);
    let text = |value: &String| json!(value);
    print("string", client.get_string_details("visitors", context, None).await, text);
    let boolean = |value: &bool| json!(value);
    print("boolean", client.get_bool_details("killed", context, None).await, boolean);
    print("without a context", client.get_bool_details("new_nav", None, None).await, boolean);
    print("without a value", client.get_string_details("nothing", context, None).await, text);
    print("an integer", client.get_int_details("ratio", context, None).await, |value| json!(value));
    print("missing", client.get_string_details("missing", context, None).await, text);
    print("a long key", client.get_string_details("visitors", Some(&long_key), None).await, text);
    print("a key to be encoded", client.get_string_details("a/b c", context, None).await, text);
}

fn print<T>(what: &str, answer: Answer<T>, value: impl Fn(&T) -> serde_json::Value) {
    let line = match answer {
        Ok(details) => json!({
            "what": what,
            "value": value(&details.value),
            "variant": details.variant,
            "reason": details.reason.map(|reason| reason.to_string()),
            "error": null,
        }),
        Err(error) => json!({ "what": what, "error": error.code.to_string() }),
    };
    println!("{line}");
}

fn fields(value: &StructValue) -> serde_json::Value {
    value.fields.iter().map(|(name, value)| (name.clone(), plain(value))).collect()
}

fn plain(value: &Value) -> serde_json::Value {
    match value {
        Value::Bool(value) => json!(value),
        Value::Int(value) => json!(value),
        Value::Float(value) => json!(value),
        Value::String(value) => json!(value),
        Value::Array(values) => values.iter().map(plain).collect(),
        Value::Struct(value) => fields(value),
    }
}
