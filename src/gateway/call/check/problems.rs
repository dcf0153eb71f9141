//! The problems of a body as they are found: part by part, so that no part crowds out another, and no more of each
//! than helps.

use std::fmt::Display;

use crate::gateway::call::json::Path;
use crate::gateway::{Location, Problem};

/// The most problems listed for one part; further ones would say the same.
pub(in crate::gateway) const MAX_OF_A_PART: usize = 100;
/// Bytes of a part's pointers after which no more are listed, so that an answer does not far outgrow its request.
const MAX_POINTERS: usize = 16 * 1024;

/// The problems listed for a body, and how many of the current part are not.
#[derive(Default)]
pub struct Problems {
    told: Vec<Problem>,
    pointer_bytes: usize,
    untold: usize,
}

impl Problems {
    pub(in crate::gateway) fn add(&mut self, at: &Path<'_>, detail: impl Display) {
        if self.told.len() >= MAX_OF_A_PART || self.pointer_bytes >= MAX_POINTERS {
            self.untold += 1;
            return;
        }
        // A pointer is as long as the names that the caller chose.
        let pointer = at.to_string();
        self.pointer_bytes += pointer.len();
        self.told.push(Problem::at(&pointer, detail.to_string()));
    }

    pub fn add_in_line(&mut self, number: usize, detail: impl Into<String>) {
        if self.told.len() >= MAX_OF_A_PART {
            self.untold += 1;
        } else {
            self.told.push(Problem::in_line(number, detail));
        }
    }

    /// The problems that `look` finds in a body of lines, in line order.
    pub fn of_lines(look: impl FnOnce(&mut Problems)) -> Vec<Problem> {
        let mut problems = Problems::default();
        problems.part(&Path::Root, look);
        problems.told.sort_by_key(|problem| match problem.place {
            Location::Line(number) => number,
            _ => usize::MAX,
        });
        problems.told
    }

    /// Checks the part of the body at `at`. Problems that are not listed are counted there.
    pub(in crate::gateway) fn part<T>(
        &mut self,
        at: &Path<'_>,
        look: impl FnOnce(&mut Problems) -> T,
    ) -> T {
        let mut part = Problems::default();
        let found = look(&mut part);
        self.told.append(&mut part.told);
        if part.untold > 0 {
            let detail = format!("has {} more problems, which are not listed", part.untold);
            let rest = Problem::at(&at.to_string(), detail);
            self.told.push(Problem { stands_for: part.untold, ..rest });
        }
        found
    }

    /// How many problems were found in the current part.
    pub fn count(&self) -> usize {
        self.told.len() + self.untold
    }

    pub(in crate::gateway) fn into_told(self) -> Vec<Problem> {
        self.told
    }
}
