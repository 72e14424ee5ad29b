//! The statistics as JSON lines: one request a line, one answer a line, in order.
//!
//! A request names its method and its fields; the answer holds `result`, or `error`, which names the
//! field and the rule. What is undefined is `null` with a `status` word, what is infinite is
//! `"Infinity"` or `"-Infinity"`.

mod request;
mod answer;
mod means;
mod proportions;
mod counts;
mod planning;
mod adjusted;
mod exact;
mod quantiles;
mod clusters;
mod segments;
mod families;
mod robust;
mod always_valid;
mod group_sequential;
mod bayes;

use std::io::{self, BufRead, Write};

use serde_json::{Value, json};

use request::{Request, RequestError};

/// One method of the command line.
struct Method {
    name: &'static str,
    /// Fields of its requests, as `--list` prints them; optional ones end in `?`.
    fields: &'static str,
    /// Question, formula, assumptions, reference.
    about: &'static str,
    compute: fn(&Request<'_>) -> Result<Value, RequestError>,
}

/// Every method, in the order of `--list`.
fn methods() -> impl Iterator<Item = &'static Method> {
    [
        means::METHODS,
        adjusted::METHODS,
        robust::METHODS,
        proportions::METHODS,
        exact::METHODS,
        quantiles::METHODS,
        clusters::METHODS,
        segments::METHODS,
        counts::METHODS,
        families::METHODS,
        planning::METHODS,
        always_valid::METHODS,
        group_sequential::METHODS,
        bayes::METHODS,
    ]
    .into_iter()
    .flatten()
}

/// Answers the requests of `reader`, each flushed before the next line is read.
pub fn run(reader: impl BufRead, mut writer: impl Write) -> io::Result<()> {
    for line in reader.split(b'\n') {
        let line = line?;
        if line.iter().all(u8::is_ascii_whitespace) {
            continue;
        }
        writeln!(writer, "{}", answer(&line))?;
        writer.flush()?;
    }
    Ok(())
}

/// The answer to one request.
pub fn answer(line: &[u8]) -> Value {
    let request: Value = match serde_json::from_slice(line) {
        Ok(request) => request,
        Err(error) => return json!({"id": null, "error": format!("not JSON: {error}")}),
    };
    let id = request.get("id").cloned().unwrap_or(Value::Null);
    match compute(&request) {
        Ok(result) => json!({"id": id, "result": result}),
        Err(error) => json!({"id": id, "error": error.to_string()}),
    }
}

fn compute(request: &Value) -> Result<Value, RequestError> {
    let request = Request::new(request)?;
    let name = request.text("method")?;
    let Some(method) = methods().find(|method| method.name == name) else {
        let names: Vec<&str> = methods().map(|method| method.name).collect();
        return Err(RequestError::new("method", format!("one of {}", names.join(", "))));
    };
    (method.compute)(&request)
}

/// Prints the methods with their fields.
pub fn list(mut writer: impl Write) -> io::Result<()> {
    for method in methods() {
        writeln!(writer, "{:<24} {}", method.name, method.fields)?;
    }
    Ok(())
}

/// Prints what a method asks, computes and assumes. Answers whether there is such a method.
pub fn describe(name: &str, mut writer: impl Write) -> io::Result<bool> {
    let Some(method) = methods().find(|method| method.name == name) else { return Ok(false) };
    writeln!(writer, "{}\n\nfields: {}\n\n{}", method.name, method.fields, method.about)?;
    Ok(true)
}
