//! `sortition openapi`: the API's description.

use clap::Args;

use crate::console;

/// Print the OpenAPI 3.1 document of the control-plane API, as `/api/v1/openapi.json` answers it.
#[derive(Debug, Args)]
pub(crate) struct OpenApi {}

impl OpenApi {
    #[expect(clippy::unused_self, reason = "the same shape as the other commands")]
    pub(crate) fn run(self) -> anyhow::Result<()> {
        console::line(&serde_json::to_string_pretty(control_plane::routes::openapi())?);
        Ok(())
    }
}
