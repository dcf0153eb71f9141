//! Logs: one line per event on standard error, for people or as JSON, written by a separate thread so that a slow
//! reader never slows a call.

use std::any::Any;
use std::cmp;
use std::io::{self, BufWriter, IsTerminal, Write};
use std::panic::{self, PanicHookInfo};
use std::sync::OnceLock;
use std::thread;

use tracing::Subscriber;
use tracing_appender::non_blocking::{ErrorCounter, NonBlockingBuilder, WorkerGuard};
use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::fmt::{self, MakeWriter};
use tracing_subscriber::layer::{Filter, SubscriberExt};
use tracing_subscriber::reload::{self, Handle};
use tracing_subscriber::{Layer, Registry};

use crate::config::{Log, LogFormat, LogLevel};
use crate::telemetry::json::Json;

/// Libraries whose `info` is of no use to an operator; their traces would show header bytes.
const CHATTY: &[&str] =
    &["h2", "hyper", "hyper_util", "reqwest", "rustls", "sqlx", "tower", "tower_http"];

/// Lines that may wait for the writer before further ones are dropped and counted.
const WAITING_LINES: usize = 1024;

static DROPPED: OnceLock<ErrorCounter> = OnceLock::new();
static FILTER: OnceLock<Handle<Targets, Registry>> = OnceLock::new();

/// Writes the lines still waiting when it is dropped.
#[must_use = "lines that still wait are lost unless this lives as long as the program"]
pub struct LogGuard(#[expect(dead_code, reason = "held for its drop")] WorkerGuard);

/// Sends this process's logs to standard error. The first call decides; later ones change nothing.
pub fn start_logs(log: &Log) -> LogGuard {
    start_logs_to(log, io::stderr().is_terminal(), io::stderr())
}

/// The same with another place for the logs.
pub fn start_logs_to(
    log: &Log,
    colour: bool,
    place: impl Write + Send + Sync + 'static,
) -> LogGuard {
    let (writer, guard) = NonBlockingBuilder::default()
        .buffered_lines_limit(WAITING_LINES)
        .thread_name("countersign-log")
        // The writing thread flushes whenever no line is waiting.
        .finish(BufWriter::with_capacity(64 * 1024, place));
    let dropped = writer.error_counter();
    let (filter, handle) = reload::Layer::new(targets(log.level));
    if tracing::subscriber::set_global_default(with_filter(log, colour, writer, filter)).is_ok() {
        DROPPED.get_or_init(|| dropped);
        FILTER.get_or_init(|| handle);
    }
    LogGuard(guard)
}

/// Changes the log level.
pub fn set_log_level(level: LogLevel) {
    if let Some(filter) = FILTER.get() {
        // This fails only if nothing logs any more.
        let _ = filter.reload(targets(level));
    }
}

/// What turns events into lines on `writer`. A test can install it onto a buffer.
pub fn subscriber<W>(log: &Log, colour: bool, writer: W) -> impl Subscriber + Send + Sync
where
    W: for<'writer> MakeWriter<'writer> + Send + Sync + 'static,
{
    with_filter(log, colour, writer, targets(log.level))
}

fn with_filter<W, F>(
    log: &Log,
    colour: bool,
    writer: W,
    filter: F,
) -> impl Subscriber + Send + Sync + use<W, F>
where
    W: for<'writer> MakeWriter<'writer> + Send + Sync + 'static,
    F: Filter<Registry> + Send + Sync + 'static,
{
    let lines = fmt::layer().with_writer(writer);
    let lines = match log.format {
        LogFormat::Human => lines.compact().with_ansi(colour).boxed(),
        LogFormat::Json => lines.event_format(Json).boxed(),
    };
    tracing_subscriber::registry().with(lines.with_filter(filter))
}

/// Turns panics into error lines. A panic's text is left out unless it is a literal, for it may hold a value.
pub fn log_panics() {
    panic::set_hook(Box::new(log_panic));
}

/// Lines dropped so far because the writer could not keep up.
pub fn dropped_lines() -> u64 {
    DROPPED.get().map_or(0, |counter| u64::try_from(counter.dropped_lines()).unwrap_or(u64::MAX))
}

fn targets(level: LogLevel) -> Targets {
    let own = match level {
        LogLevel::Error => LevelFilter::ERROR,
        LogLevel::Warn => LevelFilter::WARN,
        LogLevel::Info => LevelFilter::INFO,
        LogLevel::Debug => LevelFilter::DEBUG,
        LogLevel::Trace => LevelFilter::TRACE,
    };
    let chatty = CHATTY.iter().map(|name| (*name, cmp::min(own, LevelFilter::WARN)));
    Targets::new()
        .with_default(cmp::min(own, LevelFilter::INFO))
        .with_targets(chatty)
        .with_target("countersign", own)
}

fn log_panic(panic: &PanicHookInfo<'_>) {
    let location = panic.location().map_or_else(String::new, ToString::to_string);
    let thread = thread::current();
    let text = literal(panic.payload());
    tracing::error!(location, thread = thread.name(), text, "panicked");
}

fn literal(payload: &(dyn Any + Send)) -> Option<&'static str> {
    payload.downcast_ref::<&'static str>().copied()
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::sync::{Arc, Mutex};

    use serde_json::Value;
    use time::OffsetDateTime;
    use time::format_description::well_known::Rfc3339;

    use super::*;

    #[derive(Clone, Default)]
    struct Buffer(Arc<Mutex<Vec<u8>>>);

    impl Write for Buffer {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn lines(format: LogFormat, level: LogLevel, log: impl FnOnce()) -> Vec<String> {
        let buffer = Buffer::default();
        let writer = buffer.clone();
        let subscriber = subscriber(&Log { format, level }, false, move || writer.clone());
        tracing::subscriber::with_default(subscriber, log);
        let bytes = buffer.0.lock().unwrap().clone();
        String::from_utf8(bytes).unwrap().lines().map(str::to_owned).collect()
    }

    const HOSTILE: &[&str] = &[
        "\"}\n{\"level\":\"ERROR\"",
        "\\",
        "line\r\nline\u{2028}line",
        "\0\u{1}\u{1b}[31m\u{7f}\t",
        "žluťoučký 🦀 \u{202e}",
        "",
    ];

    #[test]
    fn a_json_line_survives_hostile_values() {
        for text in HOSTILE {
            let lines = lines(LogFormat::Json, LogLevel::Info, || {
                tracing::info!(text, debug = ?text, whole = 7_u64, share = 0.5, odd = f64::NAN, "{text}");
            });
            let [line] = &*lines else { panic!("{text:?} made {} lines", lines.len()) };
            let line: Value = serde_json::from_str(line).unwrap();
            assert_eq!((&line["text"], &line["message"]), (&(*text).into(), &(*text).into()));
            assert_eq!(line["debug"], format!("{text:?}"));
            assert_eq!((&line["whole"], &line["share"]), (&7.into(), &0.5.into()));
            assert_eq!((&line["level"], &line["odd"]), (&"INFO".into(), &Value::Null));
            let at = OffsetDateTime::parse(line["timestamp"].as_str().unwrap(), &Rfc3339).unwrap();
            assert!(at.offset().is_utc());
        }
    }

    #[test]
    fn a_human_line_stays_one_line() {
        for text in HOSTILE {
            let lines = lines(LogFormat::Human, LogLevel::Info, || tracing::info!(text, "call"));
            assert_eq!(lines.len(), 1, "{text:?}");
            assert!(lines[0].contains("call") && !lines[0].contains('\u{1b}'), "{}", lines[0]);
        }
    }

    #[test]
    fn only_our_own_lines_go_below_info() {
        let log = || {
            tracing::trace!(target: "countersign::server", "own trace");
            tracing::debug!(target: "anything", "foreign debug");
            tracing::info!(target: "anything", "foreign info");
            tracing::info!(target: "hyper::proto", "chatty info");
            tracing::warn!(target: "sqlx", "chatty warning");
            tracing::error!(target: "rustls", "chatty error");
        };
        let seen = |level| lines(LogFormat::Human, level, log).len();
        let expected =
            [(LogLevel::Trace, 4), (LogLevel::Info, 3), (LogLevel::Warn, 2), (LogLevel::Error, 1)];
        for (level, count) in expected {
            assert_eq!(seen(level), count, "{level:?}");
        }
    }

    #[test]
    fn a_panic_shows_its_text_only_when_it_is_a_literal() {
        assert_eq!(literal(&"an invariant"), Some("an invariant"));
        assert_eq!(literal(&String::from("a value")), None);
    }
}
