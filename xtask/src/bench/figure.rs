//! Figures: the values of several runs under one name, and the JSON line that they become. It never judges one.

use crate::stage;
use anyhow::Result;

/// One figure: a name that is a contract, a unit, one value a run.
#[derive(Debug)]
struct Figure {
    name: String,
    unit: &'static str,
    runs: Vec<f64>,
}

/// The figures of one measurement, in the order in which they came.
#[derive(Debug, Default)]
pub(super) struct Figures(Vec<Figure>);

impl Figures {
    /// Adds the value of a run.
    pub(super) fn add(&mut self, name: &str, unit: &'static str, value: f64) {
        match self.0.iter_mut().find(|figure| figure.name == name) {
            Some(figure) => figure.runs.push(value),
            None => self.0.push(Figure { name: name.to_owned(), unit, runs: vec![value] }),
        }
    }

    /// Prints a line for each.
    pub(super) fn print(self) -> Result<()> {
        self.0.iter().try_for_each(|figure| stage::result(figure.line()))
    }
}

impl Figure {
    fn line(&self) -> String {
        let runs = self.runs.iter().map(|run| text(*run)).collect::<Vec<_>>().join(",");
        let (name, unit, value) = (&self.name, self.unit, text(median(&self.runs)));
        format!("{{\"bench\":\"{name}\",\"value\":{value},\"unit\":\"{unit}\",\"runs\":[{runs}]}}")
    }
}

/// The middle value; of an even number of them, the mean of the two in the middle.
pub(super) fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let middle = sorted.len() / 2;
    match sorted.len() {
        0 => f64::NAN,
        even if even % 2 == 0 => f64::midpoint(sorted[middle - 1], sorted[middle]),
        _ => sorted[middle],
    }
}

/// A number with as many places as it can bear: ratios are small, rates are not.
fn text(value: f64) -> String {
    match value.abs() {
        large if large >= 100.0 => format!("{value:.1}"),
        middle if middle >= 10.0 => format!("{value:.2}"),
        _ => format!("{value:.3}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_is_the_middle_one() {
        assert_eq!(median(&[5.0, 1.0, 9.0]), 5.0);
        assert_eq!(median(&[7.0]), 7.0);
        assert_eq!(median(&[4.0, 1.0, 2.0, 9.0]), 3.0);
    }

    #[test]
    fn a_figure_is_a_line_of_json_with_its_runs_in_order() {
        let mut figures = Figures::default();
        for (rate, ratio) in [(80_123.46, 0.51), (60_000.0, 0.4567), (70_000.0, 0.6)] {
            figures.add("queue.import", "jobs/s", rate);
            figures.add("queue.import_vs_raw", "ratio", ratio);
        }
        let lines = figures.0.iter().map(Figure::line).collect::<Vec<_>>();
        assert_eq!(
            lines,
            [
                "{\"bench\":\"queue.import\",\"value\":70000.0,\"unit\":\"jobs/s\",\"runs\":[80123.5,60000.0,70000.0]}",
                "{\"bench\":\"queue.import_vs_raw\",\"value\":0.510,\"unit\":\"ratio\",\"runs\":[0.510,0.457,0.600]}",
            ]
        );
        assert!(lines.iter().all(|line| serde_json::from_str::<serde_json::Value>(line).is_ok()));
    }
}
