//! A simulation as a person reads it.

use std::fmt::{self, Display, Formatter};

use super::summary::{ComparisonRates, MeanOfRuns, Rate, Simulation, Stopping};

impl Display for Rate {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match (self.rate, self.band) {
            (Some(rate), Some([lo, hi])) => {
                write!(f, "{:6.2} %  ({:.2} to {:.2})", rate * 1e2, lo * 1e2, hi * 1e2)
            }
            _ => write!(f, "     –"),
        }
    }
}

impl Display for MeanOfRuns {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match (self.mean, self.se) {
            (Some(mean), Some(se)) => write!(f, "{mean:.6} ± {:.6}", 1.96 * se),
            (Some(mean), None) => write!(f, "{mean:.6}"),
            _ => write!(f, "–"),
        }
    }
}

impl Display for Stopping {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let units = |units: Option<u64>| units.map_or("–".to_owned(), |units| units.to_string());
        write!(
            f,
            "10 % by {}, 50 % by {}, 80 % by {}, 90 % by {}",
            units(self.p10),
            units(self.p50),
            units(self.p80),
            units(self.p90)
        )
    }
}

/// One line: a name and what was found.
fn line(f: &mut Formatter<'_>, name: &str, value: &dyn Display) -> fmt::Result {
    writeln!(f, "  {name:<44} {value}")
}

impl Display for Simulation {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let scenario = &self.scenario;
        writeln!(
            f,
            "{} experiments of {} units, {} looks, alpha {}, seed {}. Shares of experiments; in \
             brackets the 95 % band of the simulation's own error.",
            scenario.runs,
            scenario.n_units(),
            self.looks.len(),
            scenario.alpha,
            scenario.seed
        )?;
        for comparison in &self.comparisons {
            write_comparison(f, comparison)?;
        }
        writeln!(f, "\nsample ratio")?;
        line(f, "alarmed at any look (always valid)", &self.srm.alarmed)?;
        line(f, "chi-squared p < 0.01 at the horizon", &self.srm.fixed_horizon)?;
        if let Some(family) = &self.family {
            writeln!(f, "\nall comparisons together, corrected")?;
            line(f, "any false finding at the horizon", &family.any_false)?;
            line(
                f,
                "any false finding at any look (always valid)",
                &family.any_false_always_valid,
            )?;
            line(f, "false-discovery rate at the horizon", &family.false_discovery)?;
        }
        Ok(())
    }
}

fn write_comparison(f: &mut Formatter<'_>, found: &ComparisonRates) -> fmt::Result {
    writeln!(
        f,
        "\n{}, {}: true lift {}, effect {}",
        found.metric, found.variant, found.lift, found.effect
    )?;
    let fixed = &found.fixed_horizon;
    let without_effect = found.effect.abs() <= 0.0;
    let rejected =
        if without_effect { "false positives at the horizon" } else { "power at the horizon" };
    line(f, rejected, &fixed.rejected)?;
    line(f, "  of these up", &fixed.rejected_up)?;
    line(f, "  of these down", &fixed.rejected_down)?;
    line(f, "  after correction", &fixed.rejected_corrected)?;
    line(f, "  had one looked at every look", &fixed.rejected_at_any_look)?;
    line(f, "interval covers the effect", &fixed.covered)?;
    line(f, "interval of the lift covers it", &fixed.lift_covered)?;
    line(f, "mean estimated effect", &fixed.mean_effect)?;
    let sequence = &found.always_valid;
    line(f, "always valid: rejected at any look", &sequence.rejected)?;
    line(f, "  after correction", &sequence.rejected_corrected)?;
    line(f, "  intervals of all looks cover the effect", &sequence.covered_at_all_looks)?;
    line(f, "  too few units for the skewness, all along", &sequence.gated)?;
    line(f, "  stopped, in units", &sequence.stopping)?;
    if let Some(looks) = &found.group_sequential {
        line(f, "planned looks: rejected at any", &looks.rejected)?;
        line(f, "  advised to give up before", &looks.advised_to_give_up)?;
        line(f, "  stopped, in units", &looks.stopping)?;
    }
    if let Some(adjusted) = &found.adjusted {
        line(f, "adjusted by histories: rejected", &adjusted.rejected)?;
        line(f, "  interval covers the effect", &adjusted.covered)?;
        line(f, "  always valid, rejected at any look", &adjusted.sequential_rejected)?;
        line(f, "  mean estimated effect", &adjusted.mean_effect)?;
        if let Some(ratio) = adjusted.variance_ratio {
            line(f, "  variance over that without adjustment", &format!("{ratio:.4}"))?;
        }
    }
    if let Some(guardrail) = &found.guardrail {
        line(f, "guardrail: alerted at any look", &guardrail.alerted)?;
        line(f, "guardrail: paused at any look", &guardrail.paused)?;
        line(f, "  paused, in units", &guardrail.pausing)?;
    }
    Ok(())
}
