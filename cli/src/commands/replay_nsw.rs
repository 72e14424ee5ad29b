//! `sortition replay-nsw`: a real randomised experiment through a running platform.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::Context;
use clap::Args;

use crate::client::{Api, Edge};
use crate::console;
use crate::dev::description::{Description, DescriptionArgs};
use crate::nsw::replay::Replay;
use crate::nsw::{data, published};

/// Send the National Supported Work experiment (445 people) through a running platform, and hold the results against
/// the published numbers.
///
/// Each person is evaluated at the edge under an id whose suffix puts him in the arm in which he was; his earnings of 1978
/// arrive as metric events; the experiment is completed; the results API must answer a difference in means of 1 794.34
/// with Welch's p = 0.0079, and employment rates of 0.7568 and 0.6462.
#[derive(Debug, Args)]
pub(crate) struct ReplayNsw {
    #[command(flatten)]
    platform: DescriptionArgs,

    /// Data with the columns `unit_id`, `treat` and `re78`. Default: the data built into the program.
    #[arg(long, value_name = "FILE")]
    data: Option<PathBuf>,

    /// How long to wait for the report, in seconds.
    #[arg(long, default_value_t = 120, value_name = "SECONDS")]
    patience: u64,
}

impl ReplayNsw {
    pub(crate) async fn run(self) -> anyhow::Result<()> {
        let text = match &self.data {
            None => data::BUILT_IN.to_owned(),
            Some(path) => {
                std::fs::read_to_string(path).with_context(|| path.display().to_string())?
            }
        };
        let people = data::parse(&text)?;
        let Description {
            control_plane,
            edge,
            admin_token,
            server_sdk_key,
            project,
            environment,
            ..
        } = self.platform.read()?;
        let api = Api::new(&control_plane, &admin_token, &project, &environment)?;
        let edge = Edge::new(&edge, &server_sdk_key)?;
        let replay = Replay {
            api: &api,
            edge: &edge,
            people: &people,
            patience: Duration::from_secs(self.patience),
        };
        let results = replay.run(console::line).await?;
        let srm = &results["srm"];
        console::line(&format!(
            "{:<28} {:>12.4}   {}",
            "sample-ratio check, p",
            srm["p_value"].as_f64().unwrap_or(f64::NAN),
            if srm["passed"] == true { "passed" } else { "FAILED" },
        ));
        anyhow::ensure!(srm["passed"] == true, "the sample-ratio check failed: {srm}");
        published::compare(&results, console::line)
    }
}
