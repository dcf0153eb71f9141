//! From numbers to places in a picture.

use crate::console::chart::{Chart, Kind};

/// How large a picture is, in units that are a pixel or so where it is shown.
#[derive(Clone, Copy, Debug)]
pub(super) struct Size {
    /// Of the style sheet, which shows one of them.
    pub class: &'static str,
    pub width: i32,
    pub height: i32,
    /// As `plotters` has it: a quarter more than the style sheet.
    pub font: i32,
    /// The widest letter, at its largest.
    pub letter: i32,
}

pub(super) const SIZES: [Size; 2] = [
    Size { class: "wide", width: 960, height: 270, font: 16, letter: 10 },
    Size { class: "tight", width: 340, height: 210, font: 16, letter: 8 },
];

const RIGHT: i32 = 6;
const TOP: i32 = 12;
const BOTTOM: i32 = 32;
/// Between a tick's label and its line.
pub(super) const GAP: i32 = 8;
pub(super) const MOST_LETTERS: usize = 12;

pub(super) struct Scale {
    size: Size,
    left: i32,
    count: usize,
    step: u64,
    steps: u64,
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_possible_wrap,
    clippy::cast_precision_loss,
    reason = "places within a picture are small, and no eye sees the last digit"
)]
impl Scale {
    pub fn of(chart: &Chart, size: Size) -> Scale {
        let each = |place| match chart.kind {
            Kind::Bars => chart.stacked(place, chart.series.len()),
            Kind::Lines => chart.series.iter().map(|it| it.at(place)).max().unwrap_or_default(),
        };
        let most = (0..chart.labels.len()).map(each).max().unwrap_or_default().max(1);
        let rough = most.div_ceil(5);
        let power = 10_u64.pow(rough.ilog10());
        let nice = [1, 2, 5, 10].map(|it| power.saturating_mul(it));
        let step = nice.into_iter().find(|it| *it >= rough).unwrap_or(u64::MAX);
        let steps = most.div_ceil(step);
        let letters = (0..=steps).map(|it| brief(it.saturating_mul(step)).len()).max();
        let left = letters.unwrap_or_default() as i32 * size.letter + size.letter / 2 + GAP;
        Scale { size, left, count: chart.labels.len().max(1), step, steps }
    }

    pub fn ticks(&self) -> impl Iterator<Item = (i32, String)> {
        (0..=self.steps).map(|it| {
            let value = it.saturating_mul(self.step);
            (self.height(it as f64 / self.steps as f64), brief(value))
        })
    }

    pub fn left(&self) -> i32 {
        self.left
    }

    pub fn right(&self) -> i32 {
        self.size.width - RIGHT
    }

    pub fn bottom(&self) -> i32 {
        self.size.height - BOTTOM
    }

    pub fn y(&self, value: u64) -> i32 {
        self.height(value as f64 / (self.step as f64 * self.steps as f64))
    }

    pub fn x(&self, place: usize) -> i32 {
        self.across(place as f64 + 0.5)
    }

    pub fn bar(&self, place: usize) -> (i32, i32) {
        let left = self.across(place as f64 + 0.15);
        (left, self.across(place as f64 + 0.85).max(left + 1))
    }

    /// Which places have a label: as many as there is room for, all equally far from the next.
    pub fn labelled(&self, labels: &[String]) -> impl Iterator<Item = usize> + use<> {
        let letters = labels.iter().map(|it| it.chars().count()).max().unwrap_or_default();
        let each = (letters.clamp(1, MOST_LETTERS) as i32 + 1) * self.size.letter;
        let room = usize::try_from((self.right() - self.left) / each).unwrap_or_default();
        let count = labels.len();
        let least = count.div_ceil(room.max(1)).max(1);
        // So that hours are read as parts of a day.
        let step = [1, 2, 3, 4, 6, 12, 24].into_iter().find(|it| *it >= least);
        (0..count).step_by(step.unwrap_or(least))
    }

    /// Where the middle of a label is, so that it is within the picture.
    pub fn middle(&self, place: usize, label: &str) -> i32 {
        let half = label.chars().count() as i32 * self.size.letter / 2;
        self.x(place).min(self.size.width - half).max(half)
    }

    fn height(&self, part: f64) -> i32 {
        self.bottom() - (part.min(1.0) * f64::from(self.bottom() - TOP)).round() as i32
    }

    fn across(&self, places: f64) -> i32 {
        let room = f64::from(self.right() - self.left);
        self.left + (places / self.count as f64 * room).round() as i32
    }
}

/// A number in five letters or fewer.
fn brief(value: u64) -> String {
    let units = [
        (1_000_000_000_000_000_000, "E"),
        (1_000_000_000_000_000, "P"),
        (1_000_000_000_000, "T"),
        (1_000_000_000, "G"),
        (1_000_000, "M"),
        (1_000, "k"),
    ];
    match units.into_iter().find(|it| value >= it.0) {
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
    use crate::console::chart::Series;

    fn chart(labels: Vec<String>, most: u64) -> Chart {
        let (title, unit, along) = (String::new(), String::new(), String::new());
        let series = vec![Series { name: "a".to_owned(), values: vec![most] }];
        Chart { title, unit, along, kind: Kind::Lines, labels, series }
    }

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
            let chart = chart(vec![String::new()], most);
            for size in SIZES {
                let ticks: Vec<String> = Scale::of(&chart, size).ticks().map(|it| it.1).collect();
                assert_eq!(ticks.join(" "), expected, "{most}");
            }
        }
    }

    #[test]
    fn labels_stand_at_even_steps_with_room_between() {
        for (count, label, wide, tight) in [
            (24, "00:00", 2, 4),
            (30, "2026-01-31", 4, 12),
            (72, "01-31 00:00", 12, 24),
            (7, "2026-01", 1, 2),
            (1, "2026-01-31", 1, 1),
        ] {
            let chart = chart(vec![label.to_owned(); count], 150_000);
            for (size, step) in SIZES.into_iter().zip([wide, tight]) {
                let scale = Scale::of(&chart, size);
                let places: Vec<usize> = scale.labelled(&chart.labels).collect();
                let expected: Vec<usize> = (0..count).step_by(step).collect();
                assert_eq!(places, expected, "{label} {}", size.class);
                let middles: Vec<i32> = places.iter().map(|it| scale.middle(*it, label)).collect();
                let width = i32::try_from(label.len()).unwrap() * size.letter;
                assert!(middles.windows(2).all(|it| it[1] - it[0] >= width), "{middles:?}");
                let ends = [middles[0] - width / 2, middles[middles.len() - 1] + width / 2];
                assert!(ends[0] >= 0 && ends[1] <= size.width, "{ends:?}");
            }
        }
    }
}
