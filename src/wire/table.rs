//! Answers to questions, one number at a time: as rows of CSV and as lines of JSON.

use serde::Serialize;

use crate::gateway::{KeyText, Leaf, Merge, Walk};
use crate::model::GroupBy;

/// A number with the keys of its grouping as the upstream writes them, on a line of its own.
#[derive(Serialize)]
struct Line<'a> {
    grouping: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    tweet_id: Option<KeyText<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    engagement_type: Option<KeyText<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    day: Option<KeyText<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    hour: Option<KeyText<'a>>,
    value: i64,
}

/// A table with a header, one row per number, and a column for each kind of key in any grouping. With several groupings,
/// the first column names the row's grouping.
pub struct CsvText {
    walk: Walk,
    columns: Vec<GroupBy>,
    with_names: bool,
    has_header: bool,
}

impl CsvText {
    pub fn new(merged: Merge) -> CsvText {
        let (columns, with_names) = (merged.columns(), merged.grouping_count() > 1);
        CsvText { walk: merged.into_walk().1, columns, with_names, has_header: false }
    }

    /// How many numbers are still to be written.
    pub fn left(&self) -> usize {
        self.walk.left()
    }

    /// Goes on writing until `out` has about `enough` bytes; returns whether there is more.
    pub fn write(&mut self, out: &mut Vec<u8>, enough: usize) -> bool {
        let mut table = Table(csv::Writer::from_writer(std::mem::take(out)));
        if !std::mem::replace(&mut self.has_header, true) {
            let names = self.columns.iter().map(|column_kind| column(*column_kind));
            table.row(
                self.with_names.then_some("grouping").into_iter().chain(names).chain(["value"]),
            );
        }
        let mut is_more = true;
        while is_more && table.0.get_ref().len() < enough {
            is_more = self.row(&mut table);
        }
        *out = table.0.into_inner().expect(NEVER_FAILS);
        is_more
    }

    fn row(&mut self, table: &mut Table) -> bool {
        let Some(leaf) = self.walk.leaf() else { return false };
        if self.with_names {
            table.field(leaf.grouping);
        }
        for column in &self.columns {
            match leaf.key(*column) {
                Some(key) => key.with(|text| table.field(text)),
                None => table.field(""),
            }
        }
        table.row([itoa::Buffer::new().format(leaf.value)]);
        true
    }
}

/// Writes one line per number until `out` has `enough` bytes; returns whether there may be more.
pub fn lines(walk: &mut Walk, out: &mut Vec<u8>, enough: usize) -> bool {
    while out.len() < enough {
        let Some(leaf) = walk.leaf() else { return false };
        serde_json::to_writer(&mut *out, &Line::from(&leaf)).expect(NEVER_FAILS);
        out.push(b'\n');
    }
    true
}

const NEVER_FAILS: &str = "writing to memory does not fail";

struct Table(csv::Writer<Vec<u8>>);

impl Table {
    fn field(&mut self, text: &str) {
        self.0.write_field(text).expect(NEVER_FAILS);
    }

    /// Ends a row with these fields.
    fn row<'a>(&mut self, last: impl IntoIterator<Item = &'a str>) {
        for text in last {
            self.field(text);
        }
        self.0.write_record(None::<&[u8]>).expect(NEVER_FAILS);
    }
}

/// The heading of a column.
pub fn column(kind: GroupBy) -> &'static str {
    match kind {
        GroupBy::TweetId => "tweet_id",
        GroupBy::EngagementType => "engagement_type",
        GroupBy::EngagementDay => "day",
        GroupBy::EngagementHour => "hour",
    }
}

impl<'a> From<&Leaf<'a>> for Line<'a> {
    fn from(leaf: &Leaf<'a>) -> Line<'a> {
        Line {
            grouping: leaf.grouping,
            tweet_id: leaf.post,
            engagement_type: leaf.metric,
            day: leaf.day,
            hour: leaf.hour,
            value: leaf.value,
        }
    }
}
