//! Experiments as code: the document of an environment, and what differs between it and the control plane.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use clap::Args;
use serde_json::Value;

use crate::client::Api;

/// Which control plane, and which environment of it.
#[derive(Debug, Args)]
pub(crate) struct TargetArgs {
    /// Address of the control plane.
    #[arg(
        long,
        env = "SORTITION_URL",
        default_value = "http://127.0.0.1:8080",
        value_name = "URL"
    )]
    url: String,

    /// API token.
    #[arg(long, env = "SORTITION_TOKEN", hide_env_values = true, value_name = "TOKEN")]
    token: String,

    /// Project.
    #[arg(long, env = "SORTITION_PROJECT", default_value = "default", value_name = "NAME")]
    project: String,

    /// Environment of the project, by name or id.
    #[arg(long, env = "SORTITION_ENVIRONMENT", default_value = "production", value_name = "NAME")]
    environment: String,
}

impl TargetArgs {
    pub(crate) fn api(&self) -> anyhow::Result<Api> {
        Api::new(&self.url, &self.token, &self.project, &self.environment)
    }
}

/// A document as it is sent.
pub(crate) struct Document {
    path: PathBuf,
    text: String,
}

impl Document {
    /// Reads a file; one whose name ends in `.json` is JSON, any other YAML.
    pub(crate) fn read(path: &Path) -> anyhow::Result<Self> {
        let text =
            std::fs::read_to_string(path).with_context(|| format!("reading {}", path.display()))?;
        Ok(Self { path: path.to_owned(), text })
    }

    fn media_type(&self) -> &'static str {
        let is_json = self.path.extension().is_some_and(|end| end.eq_ignore_ascii_case("json"));
        if is_json { "application/json" } else { "application/yaml" }
    }

    /// What an import would do.
    pub(crate) async fn plan(&self, api: &Api) -> anyhow::Result<Value> {
        self.import(api, "/import?dry_run=true").await
    }

    /// Imports it.
    pub(crate) async fn apply(&self, api: &Api) -> anyhow::Result<Value> {
        self.import(api, "/import").await
    }

    async fn import(&self, api: &Api, path: &str) -> anyhow::Result<Value> {
        let answer = api.post_text(path, self.media_type(), self.text.clone()).await?;
        if answer.status.is_success() {
            return Ok(answer.body);
        }
        let detail = answer.body["detail"].as_str().unwrap_or("no reason given");
        let mut message = format!("{}: {} {detail}", self.path.display(), answer.status.as_u16());
        for problem in answer.body["errors"].as_array().into_iter().flatten() {
            let text = |member: &str| problem[member].as_str().unwrap_or_default();
            let _ = write!(message, "\n  {}: {}", text("pointer"), text("detail"));
        }
        bail!(message)
    }
}

/// A plan in words: a line for each thing, one for each member that differs, and what edges would do otherwise.
pub(crate) fn describe(plan: &Value) -> String {
    let list = |value: &Value| value.as_array().cloned().unwrap_or_default();
    let word = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let mut text = String::new();
    let changes = list(&plan["changes"]);
    for change in &changes {
        let created = change["action"] == "created";
        let sign = if created { '+' } else { '~' };
        let _ = writeln!(text, "{sign} {} {}", word(&change["kind"]), word(&change["resource"]));
        // What is new is in the file; what it comes to beside that is of no interest here.
        for difference in list(&change["diff"]).iter().filter(|_| !created) {
            let pointer = word(&difference["pointer"]);
            let member = pointer.strip_prefix("/definition").unwrap_or(&pointer);
            let side = |name: &str| {
                difference.get(name).map_or_else(|| "nothing".to_owned(), Value::to_string)
            };
            let _ = writeln!(text, "    {member}: {} → {}", side("before"), side("after"));
        }
    }
    for environment in list(&plan["environments"]) {
        for moved in list(&environment["moved"]) {
            let n = |name: &str| moved[name].as_u64().unwrap_or(0);
            let _ = writeln!(
                text,
                "! {}: of {} sampled units {} get another variant, {} come in, {} leave",
                word(&moved["key"]),
                n("n_units"),
                n("n_moved"),
                n("n_entered"),
                n("n_left")
            );
        }
    }
    let n_created = changes.iter().filter(|change| change["action"] == "created").count();
    let n_changed = changes.len() - n_created;
    if changes.is_empty() {
        text.push_str("Nothing differs.\n");
    } else {
        let _ = writeln!(text, "{n_created} to make, {n_changed} to change.");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::describe;
    use serde_json::json;

    #[test]
    fn a_plan_names_what_is_made_and_what_differs() {
        let plan = json!({
            "changes": [
                { "kind": "layer", "resource": "l", "action": "created", "diff": [{ "pointer": "", "after": {} }] },
                { "kind": "experiment", "resource": "e", "action": "updated", "diff": [
                    { "pointer": "/definition/traffic", "before": 10, "after": 20 },
                    { "pointer": "/definition/owner", "after": "ada" } ] },
            ],
            "environments": [{ "moved": [{ "key": "e", "n_units": 2000, "n_moved": 0, "n_entered": 200, "n_left": 0 }] }],
        });
        let text = "+ layer l\n~ experiment e\n    /traffic: 10 → 20\n    /owner: nothing → \"ada\"\n\
                    ! e: of 2000 sampled units 0 get another variant, 200 come in, 0 leave\n1 to make, 1 to change.\n";
        assert_eq!(describe(&plan), text);
        assert_eq!(describe(&json!({ "changes": [] })), "Nothing differs.\n");
    }
}
