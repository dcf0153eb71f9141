//! Answers to questions as tables that people open: CSV that spreadsheet programs read as it is meant.

use std::borrow::Cow;

use crate::gateway::{Merge, Rows};
use crate::model::{GroupBy, Metric};
use crate::wire::table::column;

/// Without a byte order mark, Excel takes the text for one of Windows' older encodings.
const BYTE_ORDER_MARK: &[u8] = "\u{feff}".as_bytes();

/// A post's address stands for its id. Spreadsheet programs take 19 digits for a number, of which 15 count, and an
/// address for text. Of the prefixes that are to force text, `="..."` makes a formula of the cell, a tab stays in it
/// unseen and an apostrophe stays seen, or not, by program; an address needs none, and `countersign query` takes it.
const POST: &str = "https://x.com/i/status/";

/// A table with a row for each post, day and hour, as far as the groupings have them, and a column for each engagement
/// type; with several groupings, their tables follow each other, and the first column names the row's grouping. Numbers
/// that are missing are empty.
pub struct SpreadsheetText {
    rows: Rows,
    keys: Vec<GroupBy>,
    /// The columns of numbers; `None` for those of groupings that add all types up.
    types: Vec<Option<u64>>,
    with_names: bool,
    /// `None` once it is written.
    header: Option<Vec<String>>,
}

impl SpreadsheetText {
    /// `missing` are the engagement types of which something is missing from the answer.
    pub fn new(merged: Merge, missing: impl IntoIterator<Item = Metric>) -> SpreadsheetText {
        let with_names = merged.grouping_count() > 1;
        let mut keys = merged.columns();
        keys.retain(|kind| *kind != GroupBy::EngagementType);
        let types = merged.types(missing);
        let sums = merged.adds_types_up().then_some("value");
        let heading = |kind: &GroupBy| match kind {
            GroupBy::TweetId => "post",
            other => column(*other),
        };
        let header = with_names.then_some("grouping").into_iter().chain(keys.iter().map(heading));
        let header = header.chain(types.iter().map(|(_, name)| &**name)).chain(sums);
        let header = header.map(|text| inert(text).into_owned()).collect();
        let types = types.iter().map(|(key, _)| Some(*key)).chain(sums.map(|_| None)).collect();
        SpreadsheetText { rows: merged.into_rows(), keys, types, with_names, header: Some(header) }
    }

    /// How many numbers are still to be written.
    pub fn left(&self) -> usize {
        self.rows.left()
    }

    /// Goes on writing until `out` has about `enough` bytes; returns whether there is more.
    pub fn write(&mut self, out: &mut Vec<u8>, enough: usize) -> bool {
        let header = self.header.take();
        if header.is_some() {
            out.extend_from_slice(BYTE_ORDER_MARK);
        }
        // Text is always quoted: where lists are separated by semicolons, Excel ends an unquoted cell at one.
        let table = csv::WriterBuilder::new()
            .quote_style(csv::QuoteStyle::NonNumeric)
            .terminator(csv::Terminator::CRLF)
            .from_writer(std::mem::take(out));
        let mut table = Table(table);
        if let Some(header) = header {
            for text in &header {
                table.cell(text);
            }
            table.end_row();
        }
        let mut is_more = true;
        while is_more && table.0.get_ref().len() < enough {
            is_more = self.row(&mut table);
        }
        *out = table.0.into_inner().expect(NEVER_FAILS);
        is_more
    }

    fn row(&mut self, table: &mut Table) -> bool {
        let Some(row) = self.rows.row() else { return false };
        if self.with_names {
            table.cell(&inert(row.keys.grouping));
        }
        for kind in &self.keys {
            match row.keys.key(*kind) {
                Some(id) if *kind == GroupBy::TweetId => {
                    table.cell(&id.with(|id| format!("{POST}{id}")));
                }
                Some(key) => key.with(|text| table.cell(text)),
                None => table.cell(""),
            }
        }
        for kind in &self.types {
            match row.numbers.iter().find(|number| number.0 == *kind) {
                Some((_, value)) => table.cell(itoa::Buffer::new().format(*value)),
                None => table.cell(""),
            }
        }
        table.end_row();
        true
    }
}

const NEVER_FAILS: &str = "writing to memory does not fail";

struct Table(csv::Writer<Vec<u8>>);

impl Table {
    fn cell(&mut self, text: &str) {
        self.0.write_field(text).expect(NEVER_FAILS);
    }

    fn end_row(&mut self) {
        self.0.write_record(None::<&[u8]>).expect(NEVER_FAILS);
    }
}

/// The text with an apostrophe before what spreadsheet programs might run as a formula, as OWASP advises on CSV
/// injection.
fn inert(text: &str) -> Cow<'_, str> {
    let is_control = text.starts_with(['\t', '\r', '\n', '\0']);
    let formulas = ['=', '+', '-', '@', '＝', '＋', '－', '＠'];
    if is_control || text.trim_start().starts_with(formulas) {
        Cow::Owned(format!("'{text}"))
    } else {
        Cow::Borrowed(text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_might_run_as_a_formula_is_inert() {
        for text in [
            "=1+1", "+1", "-1", "@SUM(1)", "\t=1", "\rx", "\nx", "\0", " =1", "\u{a0}=1", "＝1",
            "＋1", "－1", "＠x",
        ] {
            assert_eq!(inert(text), format!("'{text}"), "{text:?}");
        }
        for text in ["", "days", "a=b", "1-2", "'=1", "größer", "a\tb", "https://x.com/i/status/20"]
        {
            assert_eq!(inert(text), text);
        }
    }
}
