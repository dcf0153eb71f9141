//! Admission of a question before it begins: its key's turn, and memory for all that it may need.

use std::sync::Arc;

use tokio::time::{Instant, timeout_at};
use tracing::info;

use crate::admission::{Handled, Held};
use crate::gateway::key::KnownKey;
use crate::gateway::question::Question;
use crate::gateway::question::caller::Caller;
use crate::gateway::question::plan::Plan;
use crate::gateway::question::prepare::Deadline;
use crate::gateway::question::size::{Sent, Size};
use crate::gateway::question::turn::QuestionTurn;
use crate::gateway::{Error, Gateway};

/// Questions that reserve more than this are logged.
const LARGE: usize = 16 << 20;

impl Gateway {
    /// Waits until fewer than `limits.key_questions` of the key's questions are being answered, and then for `bytes` of
    /// memory, in which a question's body may be read. An error if the key may make no request now. A key's pages take turns
    /// of their own, and have its limits once more.
    pub async fn begin_question(
        &self,
        (key, is_page): (&KnownKey, bool),
        bytes: usize,
        deadline: Deadline,
    ) -> Result<(QuestionTurn, Held), Error> {
        let name = key.turn_of(is_page);
        let handled = self.begin_request(key, name)?;
        let turn = self.0.questions.take(name, 1);
        let turn = timeout_at(deadline.end, turn).await.map_err(|_| {
            let limit = self.0.limits.key_questions;
            Error::Busy(format!(
                "{limit} questions of this key are already being answered, the most that limits.key_questions allows"
            ))
        })?;
        let held = self.0.memory.hold(name, bytes.min(self.0.memory.most()));
        let held = timeout_at(deadline.end, held).await.map_err(|_| self.no_memory())?;
        Ok((QuestionTurn::new(turn, handled), held))
    }

    /// Waits for `bytes` of memory in the key's turn. An error if the key may make no request now; the request counts
    /// until the first value is dropped.
    pub async fn begin_call(
        &self,
        key: &KnownKey,
        bytes: usize,
        deadline: Deadline,
    ) -> Result<(Option<Handled>, Held), Error> {
        let handled = self.begin_request(key, &key.turn)?;
        let held = self.0.memory.hold(&key.turn, bytes.min(self.0.memory.most()));
        let held = timeout_at(deadline.end, held).await.map_err(|_| self.no_memory())?;
        Ok((handled, held))
    }

    fn begin_request(&self, key: &KnownKey, turn: &Arc<str>) -> Result<Option<Handled>, Error> {
        let (limits, processes) = (&key.key.limits, self.0.presence.alive());
        self.0.key_limiter.begin(turn, limits, processes).map_err(|limit| {
            let app = key.key.scopes.app.as_deref().and_then(|app| self.0.apps.get(app));
            app.inspect(|app| app.pools.count_limited());
            Error::KeyLimited(limit)
        })
    }

    /// Grows `held` to the memory that a planned question may need beside the bytes already held, or refuses a question
    /// that would need more than the total.
    pub(super) async fn admit(
        &self,
        caller: &Caller,
        (question, plan, sent): (&Question, &Plan, Sent),
        (held, beside): (&mut Held, usize),
        end: Instant,
    ) -> Result<Size, Error> {
        let (limits, most) = (&self.0.limits, self.0.memory.most());
        if let Some(problem) = question.too_many_numbers(sent, limits.question_numbers) {
            return Err(problem.into());
        }
        let calls = plan.most_calls();
        let size = Size::of(question, sent, calls, limits, most.saturating_sub(beside));
        let bytes = size.bytes().saturating_add(beside);
        if bytes > most {
            return Err(question.too_large(sent, bytes, most).into());
        }
        if bytes > LARGE {
            let (key, request_id) = (&*caller.key.key.name, &*caller.request_id);
            info!(request_id, key, bytes, calls, "answering a large question");
        }
        self.grow_memory(held, bytes, end).await?;
        Ok(size)
    }

    /// Waits until `held` has grown to `bytes`, until `end` at most.
    pub(in crate::gateway) async fn grow_memory(
        &self,
        held: &mut Held,
        bytes: usize,
        end: Instant,
    ) -> Result<(), Error> {
        let bytes = bytes.min(self.0.memory.most());
        timeout_at(end, held.grow_to(bytes)).await.map_err(|_| self.no_memory())
    }

    /// How much memory is held for answers, in bytes.
    pub fn memory_held(&self) -> usize {
        self.0.memory.held()
    }

    fn no_memory(&self) -> Error {
        let limit = self.0.limits.answer_memory;
        Error::Busy(format!(
            "other answers take up all the memory that limits.answer_memory allows, {limit} bytes"
        ))
    }
}
