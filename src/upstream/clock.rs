//! X's time, asked for where it matters and no answer has told it lately.

use std::time::Duration;

use time::OffsetDateTime;

use crate::upstream::Upstream;

/// For a request whose answer matters for its `Date` alone.
const TIMEOUT: Duration = Duration::from_secs(3);
/// Between two requests, after one that told nothing.
const PAUSE: Duration = Duration::from_secs(10);

impl Upstream {
    /// Whether an answer has told X's time lately.
    pub fn knows_time(&self) -> bool {
        self.skew.is_fresh(self.clock.now())
    }

    /// X's time, from its answers of late or else asked for: one request at a time, however many wait. `None` where it
    /// does not tell.
    pub async fn time(&self) -> Option<OffsetDateTime> {
        if !self.knows_time() {
            let mut in_vain = self.asked.0.lock().await;
            let now = self.clock.instant();
            let may_ask = in_vain.is_none_or(|it| now.saturating_duration_since(it) >= PAUSE);
            // Whoever asked while this one waited may have been told.
            if may_ask && !self.knows_time() {
                self.ask_time().await;
                *in_vain = (!self.knows_time()).then_some(now);
            }
        }
        self.knows_time().then(|| self.now())
    }

    /// Any answer will do, whatever its status.
    async fn ask_time(&self) {
        let used = self.skew.seconds();
        let request = self.tokens.head(format!("{}/", self.api_url)).timeout(TIMEOUT);
        if let Ok((_, headers, _)) = self.ask(request).await {
            // What was learnt before is too old to be weighed against it.
            self.skew.correct(&headers, self.clock.now(), used);
        }
    }
}
