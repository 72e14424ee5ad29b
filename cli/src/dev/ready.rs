//! Waiting for a part to answer.

use std::time::{Duration, Instant};

use anyhow::bail;

/// Asks `url` until it answers with success.
pub(crate) async fn wait_for(part: &str, url: &str, patience: Duration) -> anyhow::Result<()> {
    let http = reqwest::Client::builder().no_proxy().timeout(Duration::from_secs(5)).build()?;
    let deadline = Instant::now() + patience;
    let mut pause = Duration::from_millis(10);
    loop {
        let problem = match http.get(url).send().await {
            Ok(answer) if answer.status().is_success() => return Ok(()),
            Ok(answer) => {
                format!("{}: {}", answer.status(), answer.text().await.unwrap_or_default())
            }
            Err(error) => error.to_string(),
        };
        if Instant::now() > deadline {
            bail!("{part} is not ready after {patience:?}: {url}: {problem}");
        }
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(Duration::from_millis(500));
    }
}
