//! Measured values over a run, and whether they are flat.

use std::fmt::Write as _;
use std::path::Path;

use anyhow::{Result, ensure};

/// Memory may differ by this much between the thirds of a run, KiB: what allocators do by themselves.
/// Measured: a third of it.
pub(crate) const NOISE_KIB: u64 = 1024;

/// Descriptors and threads may differ by so many: of connections that are just being made.
pub(crate) const FEW: u64 = 3;

/// Columns of numbers, a row for each moment.
#[derive(Clone, Debug)]
pub(crate) struct Series {
    columns: Vec<String>,
    rows: Vec<Vec<u64>>,
}

impl Series {
    pub(crate) fn new(columns: &[&str]) -> Self {
        Self {
            columns: columns.iter().map(|&name| name.to_owned()).collect(),
            rows: Vec::new(),
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.rows.len()
    }

    pub(crate) fn push(&mut self, row: Vec<u64>) -> Result<()> {
        ensure!(
            row.len() == self.columns.len(),
            "a row of {} values",
            row.len()
        );
        self.rows.push(row);
        Ok(())
    }

    /// The values of a column, in their order.
    pub(crate) fn column(&self, name: &str) -> Result<Vec<u64>> {
        let place = self.columns.iter().position(|column| column == name);
        let Some(place) = place else {
            anyhow::bail!("no column {name}");
        };
        Ok(self.rows.iter().map(|row| row[place]).collect())
    }

    /// Fails unless the column is flat once its first third is over; see the head of the program.
    pub(crate) fn check_flat(&self, name: &str, bound: u64) -> Result<()> {
        let [_, middle, last] = self.thirds(name)?;
        self.check_growth(name, middle, last, bound)
    }

    /// Fails unless the column is flat from its beginning.
    pub(crate) fn check_flat_throughout(&self, name: &str, bound: u64) -> Result<()> {
        let [first, _, last] = self.thirds(name)?;
        self.check_growth(name, first, last, bound)
    }

    fn check_growth(&self, name: &str, before: u64, after: u64, bound: u64) -> Result<()> {
        ensure!(
            after <= before + bound,
            "{name} grows from {before} to {after}, by more than {bound}: {:?}",
            self.column(name)?
        );
        Ok(())
    }

    /// The medians of the three thirds.
    pub(crate) fn thirds(&self, name: &str) -> Result<[u64; 3]> {
        let values = self.column(name)?;
        let third = values.len() / 3;
        ensure!(third >= 3, "{} samples are too few", values.len());
        let (first, rest) = values.split_at(third);
        let (middle, last) = rest.split_at(third);
        Ok([first, middle, last].map(median))
    }

    /// Writes it as comma-separated values.
    pub(crate) fn write(&self, file: &Path) -> Result<()> {
        let mut text = self.columns.join(",");
        for row in &self.rows {
            let row: Vec<String> = row.iter().map(ToString::to_string).collect();
            write!(text, "\n{}", row.join(","))?;
        }
        text.push('\n');
        Ok(std::fs::write(file, text)?)
    }
}

fn median(values: &[u64]) -> u64 {
    let mut values = values.to_vec();
    values.sort_unstable();
    values.get(values.len() / 2).copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(values: impl Iterator<Item = u64>) -> Series {
        let mut series = Series::new(&["a"]);
        values.for_each(|value| series.push(vec![value]).unwrap());
        series
    }

    #[test]
    fn what_grows_to_the_end_is_found_and_what_has_grown_is_not() {
        of((0..30).map(|x| 100 + x.min(10) * 50))
            .check_flat("a", 10)
            .unwrap();
        of((0..30).map(|x| if x == 25 { 900 } else { 100 }))
            .check_flat("a", 10)
            .unwrap();
        of((0..30).map(|x| 100 + x * 2))
            .check_flat("a", 10)
            .unwrap_err();
        of([1, 2].into_iter()).check_flat("a", 10).unwrap_err();
        let soon_full = of((0..30).map(|x| 100 + x.min(10) * 50));
        soon_full.check_flat_throughout("a", 10).unwrap_err();
        of((0..30).map(|x| 100 + x))
            .check_flat_throughout("a", 20)
            .unwrap();
    }
}
