//! A real randomised experiment, replayed through the whole platform, gives the published numbers.

use platform_tests::calls::Calls;
use platform_tests::platform::{Platform, state_folder};
use serde_json::json;

#[tokio::test]
async fn the_supported_work_experiment_is_reproduced() -> anyhow::Result<()> {
    let state = state_folder();
    let platform = Platform::start(state.path())?;
    assert_reproduced(&platform.run(&["replay-nsw"])?);

    // A project that holds units out of all its experiments has enough others.
    let calls = Calls::new(&platform.description);
    calls.post("/holdouts", json!({"name": "global", "size": 20, "scope": "project"})).await?;
    assert_reproduced(&platform.run(&["replay-nsw"])?);
    platform.stop()
}

fn assert_reproduced(output: &str) {
    for line in [
        "difference in mean earnings       1794.34",
        "Welch's p-value                    0.0079",
        "employment rate, treatment         0.7568",
        "employment rate, control           0.6462",
    ] {
        assert!(output.contains(line), "no line {line:?} in\n{output}");
    }
}
