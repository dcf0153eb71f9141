//! The turn of a question that is being answered.

use crate::admission::{Handled, Turn};

/// A question's turn, held with its place among its key's requests until it is dropped.
pub struct QuestionTurn {
    _turn: Turn,
    _handled: Option<Handled>,
}

impl QuestionTurn {
    pub(super) fn new(turn: Turn, handled: Option<Handled>) -> QuestionTurn {
        QuestionTurn { _turn: turn, _handled: handled }
    }
}
