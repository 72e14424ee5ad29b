//! Settings of the analysis process.

use std::time::Duration;

/// Settings of the analysis process.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// Store with the plans and the event lake, as a URL (`file:///…`, `s3://bucket/prefix`). From
    /// `SORTITION_STORE`; no default.
    pub store: String,
    /// Base URL of the control plane that takes the reports. From `SORTITION_CONTROL_PLANE`; without
    /// it nothing is handed in.
    pub control_plane: Option<String>,
    /// API token of role `data` or `admin`. From `SORTITION_TOKEN`.
    pub token: Option<String>,
    /// Time between the starts of two cycles, in seconds. From `SORTITION_ANALYSIS_INTERVAL`; 300.
    pub interval: Duration,
    /// Only this project. From `SORTITION_PROJECT`; every one by default.
    pub project: Option<String>,
    /// Only the environment of this id. From `SORTITION_ENVIRONMENT`; every one by default.
    pub environment: Option<String>,
    /// Threads that scan the lake. From `SORTITION_ANALYSIS_THREADS`; 2.
    pub threads: usize,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            store: String::new(),
            control_plane: None,
            token: None,
            interval: Duration::from_mins(5),
            project: None,
            environment: None,
            threads: 2,
        }
    }
}
