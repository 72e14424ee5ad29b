//! A real randomised experiment, replayed through the whole platform, gives the published numbers.

use platform_tests::platform::{Platform, state_folder};

#[test]
fn the_supported_work_experiment_is_reproduced() -> anyhow::Result<()> {
    let state = state_folder();
    let platform = Platform::start(state.path())?;
    let output = platform.run(&["replay-nsw"])?;
    for line in [
        "difference in mean earnings       1794.34",
        "Welch's p-value                    0.0079",
        "employment rate, treatment         0.7568",
        "employment rate, control           0.6462",
    ] {
        assert!(output.contains(line), "no line {line:?} in\n{output}");
    }
    platform.stop()
}
