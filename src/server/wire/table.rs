//! Answers to questions number by number: as a table, and as lines of JSON.

use serde::Serialize;

use crate::gateway::{KeyText, Leaf, Merge, Overflow};
use crate::model::GroupBy;

/// A number on a line of its own, with the keys of its grouping as the upstream writes them.
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

/// A table with a header, one row a number, and a column for each kind of key that any grouping has. Where there are
/// several groupings the first column says whose number it is.
pub fn csv(merged: &Merge) -> Result<Vec<u8>, Overflow> {
    let mut table = Table(csv::Writer::from_writer(Vec::new()));
    let with_names = merged.grouping_count() > 1;
    let columns = merged.columns();
    let names = columns.iter().map(|it| column(*it));
    table.row(with_names.then_some("grouping").into_iter().chain(names).chain(["value"]));
    merged.each_leaf(|leaf| {
        if with_names {
            table.field(leaf.grouping);
        }
        for column in &columns {
            match leaf.key(*column) {
                Some(key) => key.with(|text| table.field(text)),
                None => table.field(""),
            }
        }
        table.row([itoa::Buffer::new().format(leaf.value)]);
    })?;
    Ok(table.0.into_inner().expect(NEVER_FAILS))
}

/// A line for each number.
pub fn lines(merged: &Merge, out: &mut Vec<u8>) -> Result<(), Overflow> {
    merged.each_leaf(|leaf| {
        serde_json::to_writer(&mut *out, &Line::from(leaf)).expect(NEVER_FAILS);
        out.push(b'\n');
    })
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

/// What a column is called.
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
