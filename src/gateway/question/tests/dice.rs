//! Numbers that follow from a seed, and questions drawn with them.

use time::Duration;

use crate::gateway::question::tests::NOW;
use crate::gateway::question::{Grouping, Question, Span, Window};
use crate::model::post::first_id_at;
use crate::model::{Endpoint, GroupBy, Metric, UserId};

pub struct Dice(pub u64);

impl Dice {
    pub fn below(&mut self, end: usize) -> usize {
        self.0 =
            self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(self.0 >> 33).unwrap() % end
    }

    pub fn one_in(&mut self, many: usize) -> bool {
        self.below(many) == 0
    }

    pub fn shuffle<T>(&mut self, items: &mut [T]) {
        for last in (1..items.len()).rev() {
            items.swap(last, self.below(last + 1));
        }
    }

    /// Some of the items, at least one, in any order.
    pub fn some<T: Copy>(&mut self, items: &[T]) -> Vec<T> {
        let mut items = items.to_vec();
        self.shuffle(&mut items);
        items.truncate(1 + self.below(items.len()));
        items
    }

    /// Legal groupings for an endpoint, one to three of them.
    pub fn groupings(&mut self, endpoint: Endpoint) -> Vec<Grouping> {
        let levels = if endpoint.has_time_series() { 4 } else { 2 };
        let mut groupings: Vec<Grouping> = Vec::new();
        for index in 0..=self.below(3) {
            let mut group_by = self.some(&GroupBy::ALL[..levels]);
            if group_by.len() == 4 {
                let is_second = groupings.iter().any(|grouping| grouping.group_by.len() == 4);
                group_by = GroupBy::FOUR_LEVEL_ORDERS[self.below(2)].to_vec();
                group_by.truncate(if is_second { 3 } else { 4 });
            }
            groupings.push(Grouping { name: format!("\"g\" ~/{index}"), group_by });
        }
        groupings
    }

    /// A range within the last year, often on or near whole hours and whole windows.
    pub fn span(&mut self, most_hours: usize) -> Span {
        let hours = match self.below(3) {
            0 => 672 * (1 + self.below(most_hours.div_ceil(672))),
            _ => 1 + self.below(most_hours),
        };
        let seconds = [0, 1, 1800, 3599][self.below(4)];
        let end = match self.below(3) {
            0 => NOW,
            1 => NOW - Duration::seconds(34 * 60 + 56 + 3600 * self.whole(500)),
            _ => NOW - Duration::seconds(self.whole(3600 * 500)),
        };
        let hours = i64::try_from(hours.min(most_hours)).unwrap();
        let start = end - Duration::seconds(hours * 3600 - seconds);
        Span { start, end }
    }

    pub fn whole(&mut self, end: usize) -> i64 {
        i64::try_from(self.below(end)).unwrap()
    }

    pub fn window(&mut self, most_hours: usize) -> Window {
        match self.below(4) {
            0 => Window::Totals,
            1 => Window::TwentyEightHours,
            _ => Window::Range(self.span(most_hours)),
        }
    }

    /// A question on up to that many posts.
    pub fn question(&mut self, most_posts: usize) -> Question {
        let window = self.window(8200);
        let endpoint = window.endpoint();
        let served: Vec<Metric> =
            Metric::ALL.into_iter().filter(|metric| metric.is_served_by(endpoint)).collect();
        let count = 1 + self.below(most_posts);
        let oldest = [30, 400][self.below(2)];
        let posts = (0..count).map(|index| self.post(index, oldest)).collect();
        Question {
            posts,
            metrics: self.some(&served),
            window,
            groupings: self.groupings(endpoint),
            accounts: None,
            posts_of: None,
            top: None,
            owners: std::collections::HashMap::new(),
            notes: Vec::new(),
            is_by_our_clock: false,
        }
    }

    /// A post up to `oldest` days old, or now and then one whose id does not say when it was created, or a time to come.
    fn post(&mut self, index: usize, oldest: usize) -> u64 {
        let (index, age) = (index as u64, Duration::seconds(self.whole(oldest * 86_400)));
        match self.below(20) {
            0 => 20 + index,
            1 => first_id_at(NOW + age) + index,
            _ => first_id_at(NOW - age) + index,
        }
    }
}

pub fn user(number: usize) -> UserId {
    UserId::parse(&(1000 + number).to_string()).unwrap()
}
