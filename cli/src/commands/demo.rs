//! `sortition demo`: visitors for the demo shop of a running platform.

use clap::Args;

use crate::client::{Api, Edge};
use crate::console;
use crate::demo::shop::{self, Shop};
use crate::demo::traffic::Traffic;
use crate::demo::visitor::fresh_number;
use crate::dev::description::DescriptionArgs;
use crate::shutdown;

/// Send visitors through the checkout experiment of the project `demo`, which is made if it is not there.
#[derive(Debug, Args)]
pub(crate) struct Demo {
    #[command(flatten)]
    platform: DescriptionArgs,

    /// Visitors a second.
    #[arg(long, default_value_t = 20.0, value_name = "NUMBER")]
    rate: f64,

    /// How many visitors; without it they come until the command is stopped.
    #[arg(long, value_name = "NUMBER")]
    visitors: Option<u64>,

    /// Number of the first visitor. The same numbers are the same visitors. Default: one that was not used before.
    #[arg(long, value_name = "NUMBER")]
    first: Option<u64>,
}

impl Demo {
    pub(crate) async fn run(self) -> anyhow::Result<()> {
        let shutdown = shutdown::on_signal()?;
        let platform = self.platform.read()?;
        let api = Api::new(
            &platform.control_plane,
            &platform.admin_token,
            shop::PROJECT,
            shop::ENVIRONMENT,
        )?;
        let shop = Shop::open(&api, &self.platform.beside(shop::NOTE)).await?;
        let edge = Edge::new(&platform.edge, &shop.server_sdk_key)?;
        edge.wait_until_served(shop::EXPERIMENT, std::time::Duration::from_mins(1)).await?;
        let first = self.first.unwrap_or_else(fresh_number);
        let visits =
            Traffic { rate: self.rate, first, limit: self.visitors }.run(&edge, &shutdown).await;
        console::line(&format!(
            "{} visits, {} of them failed",
            visits.n_done + visits.n_failed,
            visits.n_failed
        ));
        Ok(())
    }
}
