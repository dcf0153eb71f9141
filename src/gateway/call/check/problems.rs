//! The problems of a body as they are found: part by part, so that no part crowds out another, and no more of each
//! than helps.

use std::fmt::Display;

use crate::gateway::call::json::Path;
use crate::gateway::{Detail, Location};

/// The most problems listed for one part; further ones would say the same.
pub(in crate::gateway) const MAX_OF_A_PART: usize = 100;
/// Bytes of a part's pointers after which no more are listed, so that an answer does not far outgrow its request.
const MAX_POINTERS: usize = 16 * 1024;

/// The problems listed for a body, and how many of the current part are not.
#[derive(Default)]
pub struct Problems {
    listed: Vec<Detail>,
    pointer_bytes: usize,
    unlisted: usize,
}

impl Problems {
    pub(in crate::gateway) fn add(&mut self, at: &Path<'_>, detail: impl Display) {
        if self.listed.len() >= MAX_OF_A_PART || self.pointer_bytes >= MAX_POINTERS {
            self.unlisted += 1;
            return;
        }
        // A pointer is as long as the names that the caller chose.
        let pointer = at.to_string();
        self.pointer_bytes += pointer.len();
        self.listed.push(Detail::at(&pointer, detail.to_string()));
    }

    pub fn add_in_line(&mut self, number: usize, detail: impl Into<String>) {
        if self.listed.len() >= MAX_OF_A_PART {
            self.unlisted += 1;
        } else {
            self.listed.push(Detail::in_line(number, detail));
        }
    }

    /// The problems that `check` finds in a body of lines, in line order.
    pub fn of_lines(check: impl FnOnce(&mut Problems)) -> Vec<Detail> {
        let mut problems = Problems::default();
        problems.part(&Path::Root, check);
        problems.listed.sort_by_key(|problem| match problem.place {
            Location::Line(number) => number,
            _ => usize::MAX,
        });
        problems.listed
    }

    /// Checks the part of the body at `at`. Problems that are not listed are counted there.
    pub(in crate::gateway) fn part<T>(
        &mut self,
        at: &Path<'_>,
        check: impl FnOnce(&mut Problems) -> T,
    ) -> T {
        let mut part = Problems::default();
        let found = check(&mut part);
        self.listed.append(&mut part.listed);
        if part.unlisted > 0 {
            let detail = format!("has {} more problems, which are not listed", part.unlisted);
            let rest = Detail::at(&at.to_string(), detail);
            self.listed.push(Detail { stands_for: part.unlisted, ..rest });
        }
        found
    }

    /// How many problems were found in the current part.
    pub fn count(&self) -> usize {
        self.listed.len() + self.unlisted
    }

    pub(in crate::gateway) fn into_details(self) -> Vec<Detail> {
        self.listed
    }
}
