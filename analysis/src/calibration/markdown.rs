//! The document that the checks make.

use std::fmt::Write;

use super::check::{Band, Check, Section};

/// The sections as a document, `command` being what wrote it.
pub fn markdown(sections: &[Section], seed: u64, command: &str) -> String {
    let all = || sections.iter().flat_map(|section| &section.checks);
    let (n, missed) = (all().count(), all().filter(|check| !check.holds()).count());
    let mut text = String::new();
    let _ = writeln!(
        text,
        "# Calibration\n\n\
         What the statistics claim, held against simulated experiments whose truth is known. Written by `{command}` (version \
         {}, seed {seed}); the same command writes the same text, however many threads it has. Do not edit.\n\n\
         Bands are those that a correct build leaves once in a thousand for each check: a binomial count's, where counts of \
         runs are compared. {n} figures, of which {missed} outside of their band.\n\n\
         What needs no simulation is held elsewhere: laws without an oracle (swapped arms, shifted and scaled values, order \
         of merging, intervals that exclude zero exactly when p < alpha) in `analysis/tests/laws.rs`, \
         `analysis/tests/sequential_laws.rs` and `analysis/tests/single_look_laws.rs`; extreme input in \
         `analysis/tests/stats_cli_fuzz.rs`; agreement with SciPy, statsmodels, tea-tasting, rpact and published examples in \
         `analysis/tests/golden.rs`.",
        env!("CARGO_PKG_VERSION")
    );
    for section in sections {
        let _ = writeln!(text, "\n## {}\n\n{}\n", section.title, section.text);
        let _ = writeln!(
            text,
            "| what | runs | allowed | measured | |\n| --- | ---: | ---: | ---: | --- |"
        );
        for check in &section.checks {
            let runs = if check.runs == 0 { "–".to_owned() } else { check.runs.to_string() };
            let mark = match (check.band, check.holds()) {
                (Band::Shown, _) => "",
                (_, true) => "holds",
                (_, false) => "**outside**",
            };
            let _ = writeln!(
                text,
                "| {} | {runs} | {} | {} | {mark} |",
                check.what.replace('|', "\\|"),
                band(check),
                number(check, check.measured)
            );
        }
    }
    text
}

fn number(check: &Check, value: f64) -> String {
    format!("{value:.*}", check.digits)
}

fn band(check: &Check) -> String {
    match check.band {
        Band::Within(lo, hi) => format!("{} to {}", number(check, lo), number(check, hi)),
        Band::AtMost(most) => format!("≤ {}", number(check, most)),
        Band::AtLeast(least) => format!("≥ {}", number(check, least)),
        Band::Shown => String::new(),
    }
}
