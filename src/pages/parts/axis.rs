//! The axis of numbers that a chart is drawn along.

/// From 0 in round steps to what holds the largest number.
#[derive(Clone, Copy, Debug)]
pub struct Axis {
    step: u64,
    steps: u64,
}

#[expect(clippy::cast_precision_loss, reason = "no eye sees the last digit")]
impl Axis {
    pub fn up_to(most: u64) -> Axis {
        let most = most.max(1);
        let rough = most.div_ceil(5);
        let power = 10_u64.pow(rough.ilog10());
        let nice = [1, 2, 5, 10].map(|factor| power.saturating_mul(factor));
        let step = nice.into_iter().find(|step| *step >= rough).unwrap_or(u64::MAX);
        Axis { step, steps: most.div_ceil(step) }
    }

    /// The positions of its numbers, from 0 to 1, and their labels.
    pub fn ticks(self) -> impl Iterator<Item = (f64, String)> {
        (0..=self.steps).map(move |index| {
            (index as f64 / self.steps as f64, brief(index.saturating_mul(self.step)))
        })
    }

    /// The position of a number, from 0 to 1.
    pub fn part(self, value: u64) -> f64 {
        (value as f64 / (self.step as f64 * self.steps as f64)).min(1.0)
    }
}

/// A number in five letters or fewer.
pub fn brief(value: u64) -> String {
    let units = [
        (1_000_000_000_000_000_000, "E"),
        (1_000_000_000_000_000, "P"),
        (1_000_000_000_000, "T"),
        (1_000_000_000, "G"),
        (1_000_000, "M"),
        (1_000, "k"),
    ];
    match units.into_iter().find(|unit| value >= unit.0) {
        None => value.to_string(),
        Some((unit, letter)) => match (value / unit, value % unit / (unit / 10)) {
            (whole, 0) => format!("{whole}{letter}"),
            (whole, tenth) => format!("{whole}.{tenth}{letter}"),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticks_are_round_numbers() {
        for (most, expected) in [
            (0, "0 1"),
            (1, "0 1"),
            (4, "0 1 2 3 4"),
            (23, "0 5 10 15 20 25"),
            (1200, "0 500 1k 1.5k"),
            (9_999_999, "0 2M 4M 6M 8M 10M"),
            (u64::MAX, "0 5E 10E 15E 18.4E"),
        ] {
            let ticks: Vec<String> = Axis::up_to(most).ticks().map(|tick| tick.1).collect();
            assert_eq!(ticks.join(" "), expected, "{most}");
        }
    }
}
