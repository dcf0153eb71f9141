//! A progress line on a terminal: how long the query has been running. It appears after a second and disappears at the
//! end.

use std::io::IsTerminal;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

const AFTER: Duration = Duration::from_secs(1);
const EVERY: Duration = Duration::from_millis(100);
const BAR: &str = "{bar:24} {msg}";
const SPINNER: &str = "{spinner} {msg}";

/// A progress line, shown until it is ended or dropped.
pub(super) struct Progress {
    bar: ProgressBar,
}

impl Progress {
    /// Shows nothing for the first second, and nothing at all if standard error is not a terminal. Ctrl-C removes it.
    pub(super) fn start(posts: String, deadline: Option<Duration>) -> Progress {
        let bar = ProgressBar::with_draw_target(deadline.map(millis), ProgressDrawTarget::hidden());
        if std::io::stderr().is_terminal() {
            tokio::spawn(show(bar.clone(), posts, deadline));
            tokio::spawn(end_at_interrupt(bar.clone()));
        }
        Progress { bar }
    }

    /// Sets how many numbers have been received so far.
    pub(super) fn received(&self, numbers: u64) {
        if numbers > 0 {
            self.bar.set_prefix(numbers.to_string());
        }
    }

    pub(super) fn end(&self) {
        self.bar.finish_and_clear();
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.end();
    }
}

async fn show(bar: ProgressBar, posts: String, deadline: Option<Duration>) {
    tokio::time::sleep(AFTER).await;
    let template = if deadline.is_some() { BAR } else { SPINNER };
    if let Ok(style) = ProgressStyle::with_template(template) {
        bar.set_style(style);
    }
    bar.set_draw_target(ProgressDrawTarget::stderr());
    while !bar.is_finished() {
        let waited = bar.elapsed();
        if let Some(deadline) = deadline {
            bar.set_position(millis(waited.min(deadline)));
        }
        bar.set_message(text(&posts, &bar.prefix(), waited, deadline));
        bar.tick();
        tokio::time::sleep(EVERY).await;
    }
}

/// Removes the line at Ctrl-C. Without a line to remove, the signal itself ends the program.
async fn end_at_interrupt(bar: ProgressBar) {
    const ENDED_BY_INTERRUPT: i32 = 130;
    if tokio::signal::ctrl_c().await.is_ok() {
        bar.finish_and_clear();
        std::process::exit(ENDED_BY_INTERRUPT);
    }
}

fn text(posts: &str, numbers: &str, waited: Duration, deadline: Option<Duration>) -> String {
    let received =
        if numbers.is_empty() { String::new() } else { format!(", {numbers} numbers received") };
    let most =
        deadline.map(|deadline| format!(" of at most {}", humantime::format_duration(deadline)));
    format!("querying {posts}{received}, {} s{}", waited.as_secs(), most.unwrap_or_default())
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_line_shows_the_posts_the_time_and_the_numbers_received() {
        let s = Duration::from_secs;
        assert_eq!(text("1 post", "", s(2), None), "querying 1 post, 2 s");
        assert_eq!(
            text("9000 posts", "", s(12), Some(s(20))),
            "querying 9000 posts, 12 s of at most 20s"
        );
        assert_eq!(
            text("2 posts", "1200", s(3), None),
            "querying 2 posts, 1200 numbers received, 3 s"
        );
    }
}
