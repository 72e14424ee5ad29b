//! Assignment from the formula alone: murmur3 of `salt:unit`, salts and ranges as the API shows them.

use std::io::Cursor;

use serde_json::Value;

/// `murmur3_x86_32(utf8(salt + ":" + unit), seed 0) mod 10000`.
pub fn bucket(salt: &str, unit: &str) -> u64 {
    let text = format!("{salt}:{unit}");
    let hash = murmur3::murmur3_32(&mut Cursor::new(text), 0).expect("reading from memory");
    u64::from(hash) % 10_000
}

/// What the API says that decides an experiment's assignments.
pub struct Formula<'a> {
    /// The experiment, as the API answers it.
    pub experiment: &'a Value,
    /// Holdouts that cover it: salt, size in percent.
    pub holdouts: Vec<(String, f64)>,
}

impl Formula<'_> {
    /// Variant and reason for a unit for whom the targeting is true or not.
    pub fn decide(&self, unit: &str, targeted: bool) -> (String, &'static str) {
        let experiment = self.experiment;
        let control = text(&experiment["variants"][0]["name"]);
        let held = |(salt, percent): &(String, f64)| (bucket(salt, unit) as f64) < percent * 100.0;
        if self.holdouts.iter().any(held) {
            return (control, "holdout");
        }
        if !targeted {
            return (control, "targeting");
        }
        if !owns(&experiment["layer"]["ranges"], bucket(&text(&experiment["layer"]["salt"]), unit))
        {
            return (control, "traffic");
        }
        let bucket = bucket(&text(&experiment["salt"]), unit);
        let variants = experiment["variants"].as_array().expect("variants");
        let variant = variants
            .iter()
            .find(|variant| owns(&variant["ranges"], bucket))
            .expect("every bucket has a variant");
        (text(&variant["name"]), "split")
    }
}

fn owns(ranges: &Value, bucket: u64) -> bool {
    ranges.as_array().expect("ranges").iter().any(|range| {
        let bound = |index: usize| range[index].as_u64().expect("a bucket");
        bound(0) <= bucket && bucket < bound(1)
    })
}

fn text(value: &Value) -> String {
    value.as_str().expect("a text").to_owned()
}
