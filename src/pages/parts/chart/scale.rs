//! Converts numbers to places in a picture.

use crate::pages::parts::axis::Axis;
use crate::pages::parts::chart::{Chart, Kind};

/// The size of a picture, in units that are about a pixel on the screen.
#[derive(Clone, Copy, Debug)]
pub(super) struct Size {
    /// The class in the style sheet, which shows one of the sizes.
    pub class: &'static str,
    pub width: i32,
    pub height: i32,
    /// The size of letters in the picture.
    pub font: i32,
    /// The width of the widest letter, at its largest.
    pub letter: i32,
}

/// A picture as wide as the page.
pub(super) const WIDE: Size = Size { class: "wide", width: 960, height: 270, font: 13, letter: 10 };
/// A picture beside another.
pub(super) const HALF: Size = Size { class: "half", width: 540, height: 230, font: 13, letter: 8 };
/// A picture on a phone.
pub(super) const TIGHT: Size =
    Size { class: "tight", width: 340, height: 210, font: 13, letter: 8 };

const RIGHT: i32 = 6;
const TOP: i32 = 12;
const BOTTOM: i32 = 32;
/// The distance between a tick's label and its line.
pub(super) const GAP: i32 = 8;
pub(super) const MOST_LETTERS: usize = 12;

pub(super) struct Scale {
    size: Size,
    left: i32,
    count: usize,
    axis: Axis,
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_possible_wrap,
    clippy::cast_precision_loss,
    reason = "places within a picture are small"
)]
impl Scale {
    pub fn of(chart: &Chart, size: Size) -> Scale {
        let each = |place| match chart.kind {
            Kind::Bars => chart.stacked(place, chart.series.len()),
            Kind::Lines => {
                chart.series.iter().map(|series| series.at(place)).max().unwrap_or_default()
            }
        };
        let axis = Axis::up_to((0..chart.labels.len()).map(each).max().unwrap_or_default());
        let letters = axis.ticks().map(|tick| tick.1.len()).max();
        let left = letters.unwrap_or_default() as i32 * size.letter + size.letter / 2 + GAP;
        Scale { size, left, count: chart.labels.len().max(1), axis }
    }

    pub fn ticks(&self) -> impl Iterator<Item = (i32, String)> {
        self.axis.ticks().map(|(part, label)| (self.height(part), label))
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
        self.height(self.axis.part(value))
    }

    pub fn x(&self, place: usize) -> i32 {
        self.across(place as f64 + 0.5)
    }

    pub fn bar(&self, place: usize) -> (i32, i32) {
        let left = self.across(place as f64 + 0.15);
        (left, self.across(place as f64 + 0.85).max(left + 1))
    }

    /// The places that have a label: as many as there is room for, at equal distances. The first one has none if it
    /// would be moved into the next.
    pub fn labelled(&self, labels: &[String]) -> impl Iterator<Item = usize> + use<> {
        let letters = labels.iter().map(|label| label.chars().count()).max().unwrap_or_default();
        let each = (letters.clamp(1, MOST_LETTERS) as i32 + 1) * self.size.letter;
        let room = usize::try_from((self.right() - self.left) / each).unwrap_or_default();
        let count = labels.len();
        let least = count.div_ceil(room.max(1)).max(1);
        // So that hours are read as parts of a day.
        let step = [1, 2, 3, 4, 6, 12, 24].into_iter().find(|step| *step >= least);
        let step = step.unwrap_or(least);
        let middle = |place: usize| labels.get(place).map(|label| self.middle(place, label));
        let apart = middle(0).zip(middle(step)).map(|(first, next)| next - first);
        let is_crowded = apart.is_some_and(|distance| distance < each - self.size.letter / 2);
        (0..count).step_by(step).skip(usize::from(is_crowded))
    }

    /// The middle of a label, moved so that the label is within the picture, with half a letter to spare.
    pub fn middle(&self, place: usize, label: &str) -> i32 {
        let letters = label.chars().count().min(MOST_LETTERS) as i32 + 1;
        let half = letters * self.size.letter / 2;
        self.x(place).min(self.size.width - half).max(half)
    }

    fn height(&self, part: f64) -> i32 {
        self.bottom() - (part * f64::from(self.bottom() - TOP)).round() as i32
    }

    fn across(&self, places: f64) -> i32 {
        let room = f64::from(self.right() - self.left);
        self.left + (places / self.count as f64 * room).round() as i32
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pages::parts::chart::Series;

    fn chart(labels: Vec<String>, most: u64) -> Chart {
        let (title, unit, along) = (String::new(), String::new(), String::new());
        let series = vec![Series { name: "a".to_owned(), values: vec![Some(most)] }];
        Chart { title, unit, along, kind: Kind::Lines, labels, series }
    }

    #[test]
    fn a_first_label_that_would_touch_the_next_is_left_out() {
        let label = "03-09 17:00";
        for (count, size) in [(29, HALF), (168, TIGHT)] {
            let chart = chart(vec![label.to_owned(); count], 4);
            let scale = Scale::of(&chart, size);
            let places: Vec<usize> = scale.labelled(&chart.labels).collect();
            let step = places[1] - places[0];
            assert_eq!(places, (step..count).step_by(step).collect::<Vec<_>>(), "{}", size.class);
            let apart = scale.middle(step, label) - scale.middle(0, label);
            assert!(apart < 12 * size.letter, "there is room: {apart}");
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
            for (size, step) in [(WIDE, wide), (TIGHT, tight)] {
                let scale = Scale::of(&chart, size);
                let places: Vec<usize> = scale.labelled(&chart.labels).collect();
                let expected: Vec<usize> = (0..count).step_by(step).collect();
                assert_eq!(places, expected, "{label} {}", size.class);
                let middles: Vec<i32> =
                    places.iter().map(|place| scale.middle(*place, label)).collect();
                let width = i32::try_from(label.len()).unwrap() * size.letter;
                assert!(middles.windows(2).all(|pair| pair[1] - pair[0] >= width), "{middles:?}");
                let ends = [middles[0] - width / 2, middles[middles.len() - 1] + width / 2];
                assert!(ends[0] >= 0 && ends[1] <= size.width, "{ends:?}");
            }
        }
    }
}
