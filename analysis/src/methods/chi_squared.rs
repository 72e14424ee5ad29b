//! Pearson's chi-squared test of independence.
//!
//! ```text
//! # Question          Do the rows of a table of counts have the same distribution over columns?
//! # Input             an r × c table of counts; rows and columns without any count are left out
//! # Formula           `Σ (O − E)²/E`, `E = row · column / total`, df = (r − 1)(c − 1);
//!                     Cramér's `V = √(χ²/(n (min(r, c) − 1)))`; with Yates' correction (2 × 2
//!                     only) |O − E| is lessened by at most ½
//! # Assumes           independent units; expected counts of 5 and more
//! # Numerics          p by the survival function, closed forms for df 1 and 2
//! # Reference         scipy `chi2_contingency`; `tests/golden/chi_squared.json`
//! ```

use statrs::distribution::{ChiSquared, ContinuousCDF};

use super::{MethodError, normal};

/// Answer of the test.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ChiSquaredTest {
    /// Pearson's statistic.
    pub statistic: f64,
    /// Degrees of freedom.
    pub df: u64,
    /// Upper tail area.
    pub p_value: f64,
    /// Strength of the association, 0 to 1.
    pub cramers_v: f64,
    /// Smallest expected count.
    pub min_expected: f64,
}

/// Tests a table given row by row; all rows must be equally long.
pub fn chi_squared(table: &[Vec<u64>], yates: bool) -> Result<ChiSquaredTest, MethodError> {
    let width = table.first().map_or(0, Vec::len);
    if table.iter().any(|row| row.len() != width) {
        return Err(MethodError::Degenerate);
    }
    let column = |j: usize| table.iter().map(|row| row[j] as f64).sum::<f64>();
    let columns: Vec<(usize, f64)> =
        (0..width).map(|j| (j, column(j))).filter(|(_, sum)| *sum > 0.0).collect();
    let rows: Vec<(&Vec<u64>, f64)> = table
        .iter()
        .map(|row| (row, row.iter().map(|&count| count as f64).sum::<f64>()))
        .filter(|(_, sum)| *sum > 0.0)
        .collect();
    if rows.len() < 2 || columns.len() < 2 {
        return Err(MethodError::Degenerate);
    }
    let total: f64 = rows.iter().map(|(_, sum)| sum).sum();
    let df = (rows.len() as u64 - 1) * (columns.len() as u64 - 1);
    let mut statistic = 0.0;
    let mut min_expected = f64::INFINITY;
    for (row, row_sum) in &rows {
        for &(j, column_sum) in &columns {
            let expected = row_sum * (column_sum / total);
            let mut distance = (row[j] as f64 - expected).abs();
            if yates && df == 1 {
                distance -= distance.min(0.5);
            }
            statistic += distance * distance / expected;
            min_expected = min_expected.min(expected);
        }
    }
    let smaller = rows.len().min(columns.len()) as f64;
    Ok(ChiSquaredTest {
        statistic,
        df,
        p_value: sf(statistic, df),
        cramers_v: (statistic / (total * (smaller - 1.0))).sqrt(),
        min_expected,
    })
}

/// Upper tail area of chi-squared with `df` degrees of freedom.
pub fn sf(statistic: f64, df: u64) -> f64 {
    if statistic.is_nan() || df == 0 {
        return f64::NAN;
    }
    if statistic <= 0.0 {
        return 1.0;
    }
    match df {
        1 => normal::two_sided(statistic.sqrt()),
        2 => (-0.5 * statistic).exp(),
        _ => ChiSquared::new(df as f64).map_or(f64::NAN, |law| law.sf(statistic)),
    }
}
