//! The people of the experiment, as in `tests/data/nsw.csv` (its origin stands in `tests/data/README.md`).

use anyhow::{Context, bail};

/// The data that is built into the binary.
pub(crate) const BUILT_IN: &str = include_str!("../../../tests/data/nsw.csv");

/// One participant.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Person {
    /// Identifier in the data, such as `nsw-001`.
    pub(crate) id: String,
    /// Whether the lot gave him the training.
    pub(crate) treated: bool,
    /// Earnings in 1978, in US dollars of 1982.
    pub(crate) earnings_1978: f64,
}

impl Person {
    /// Whether he earned anything in 1978.
    pub(crate) fn employed(&self) -> bool {
        self.earnings_1978 > 0.0
    }
}

/// Reads the columns `unit_id`, `treat` and `re78` of a CSV text without quoting.
pub(crate) fn parse(text: &str) -> anyhow::Result<Vec<Person>> {
    let mut lines = text.lines();
    let header: Vec<&str> = lines.next().context("the data is empty")?.split(',').collect();
    let column = |name: &str| {
        header.iter().position(|title| *title == name).with_context(|| format!("no column {name}"))
    };
    let (id, treated, earnings) = (column("unit_id")?, column("treat")?, column("re78")?);
    lines
        .enumerate()
        .map(|(index, line)| {
            let cells: Vec<&str> = line.split(',').collect();
            let cell = |column: usize| {
                cells.get(column).copied().with_context(|| format!("row {}: too short", index + 1))
            };
            Ok(Person {
                id: cell(id)?.to_owned(),
                treated: match cell(treated)? {
                    "0" => false,
                    "1" => true,
                    other => bail!("row {}: treat is {other}, not 0 or 1", index + 1),
                },
                earnings_1978: cell(earnings)?
                    .parse()
                    .with_context(|| format!("row {}: re78 is no number", index + 1))?,
            })
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::{BUILT_IN, parse};

    #[test]
    fn the_built_in_data_is_the_published_sample() {
        let people = parse(BUILT_IN).unwrap();
        let mean = |treated: bool| {
            let earnings: Vec<f64> = people
                .iter()
                .filter(|person| person.treated == treated)
                .map(|person| person.earnings_1978)
                .collect();
            (earnings.len(), earnings.iter().sum::<f64>() / earnings.len() as f64)
        };
        let ((n_control, control), (n_treated, treated)) = (mean(false), mean(true));
        assert_eq!((n_control, n_treated), (260, 185));
        assert!((treated - control - 1794.34).abs() < 0.005, "{}", treated - control);
    }
}
