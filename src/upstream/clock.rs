//! X's time, requested when it matters and no recent answer has given it.

use std::time::Duration;

use time::OffsetDateTime;

use crate::upstream::Upstream;

/// The limit for a request made only for the `Date` of its answer.
const TIMEOUT: Duration = Duration::from_secs(3);
/// The pause before the next request after one that gave no time.
const PAUSE: Duration = Duration::from_secs(10);

impl Upstream {
    /// Whether an answer has given X's time recently.
    pub fn knows_time(&self) -> bool {
        self.skew.is_fresh(self.clock.now())
    }

    /// X's time, from recent answers or else by a request: one at a time, however many callers wait. `None` if X does
    /// not give it.
    pub async fn time(&self) -> Option<OffsetDateTime> {
        if !self.knows_time() {
            let mut in_vain = self.time_requests.0.lock().await;
            let now = self.clock.instant();
            let may_ask = in_vain.is_none_or(|at| now.saturating_duration_since(at) >= PAUSE);
            // Another caller's request may have succeeded while this one waited.
            if may_ask && !self.knows_time() {
                self.ask_time().await;
                *in_vain = (!self.knows_time()).then_some(now);
            }
        }
        self.knows_time().then(|| self.now())
    }

    /// Requests the time; any answer will do, whatever its status.
    async fn ask_time(&self) {
        let used = self.skew.seconds();
        let request = self.tokens.head(format!("{}/", self.api_url)).timeout(TIMEOUT);
        if let Ok((_, headers, _)) = self.ask(request).await {
            // The earlier samples are too old to be weighed against this one.
            self.skew.correct(&headers, self.clock.now(), used);
        }
    }
}
