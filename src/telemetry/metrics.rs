//! Metrics: one table lists them all; the rest of the program counts through the `metrics` facade.

use std::sync::OnceLock;

use ::metrics::{counter, describe_counter, describe_gauge, describe_histogram, gauge};
use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle};

use crate::telemetry::logs::dropped_lines;

enum Kind {
    Counter,
    Gauge,
    Histogram,
}
use Kind::{Counter, Gauge, Histogram};

/// Every metric: kind, name, labels, meaning. Each label has few values: never an account, a key, a post or a path.
#[rustfmt::skip]
const METRICS: &[(Kind, &str, &[&str], &str)] = &[
    (Counter, "countersign_calls_total", &["endpoint", "auth", "status"], "Calls answered, by the status that the caller got"),
    (Histogram, "countersign_call_seconds", &["endpoint", "auth"], "Time from a call's header to the end of its answer"),
    (Histogram, "countersign_gateway_seconds", &[], "The gateway's own share of a call's time, without the upstream's"),
    (Counter, "countersign_upstream_attempts_total", &["endpoint", "outcome"], "Requests sent to the upstream; a call may take several"),
    (Counter, "countersign_upstream_lost_connections_total", &["endpoint"], "Idle connections that turned out to be closed; the call went on over a new one"),
    (Histogram, "countersign_upstream_seconds", &["endpoint"], "Time from sending a request to the upstream to the end of its answer"),
    (Gauge, "countersign_quota_limit", &["app", "pool"], "Calls that X allows in a window, by what counts together"),
    (Gauge, "countersign_quota_left", &["app", "pool"], "Calls left in the present window"),
    (Gauge, "countersign_quota_waiting", &["app", "pool"], "Calls that wait for quota"),
    (Histogram, "countersign_quota_wait_seconds", &["app"], "Time for which calls waited for quota, if they had to"),
    (Counter, "countersign_quota_refusals_total", &["app", "reason"], "Calls refused for lack of quota or beyond a key's limits, or observed that would have waited or been refused"),
    (Counter, "countersign_calls_saved_total", &["app", "how"], "Calls that were not made, since an equal one was in flight, or numbers were kept"),
    (Gauge, "countersign_callers_waiting", &["app"], "Calls under way, also those that wait for quota or share another's answer"),
    (Gauge, "countersign_breaker_open", &["app", "endpoint"], "1 while no calls but probes are made, since most calls failed"),
    (Counter, "countersign_bearer_mints_total", &["app", "outcome"], "Bearer tokens requested"),
    (Counter, "countersign_app_faults_total", &["app", "fault"], "Answers of the upstream that reject something of an app's: keys, time, bearer or not_enabled"),
    (Gauge, "countersign_attention", &["cause", "app"], "1 while something needs attention, 0 after that"),
    (Counter, "countersign_connects_total", &["end"], "Attempts to connect an account with a link, by how they ended"),
    (Counter, "countersign_account_events_total", &["event"], "Account events, by name"),
    (Counter, "countersign_webhook_attempts_total", &["outcome"], "Attempts to deliver an event: delivered, failed, or given_up after the last"),
    (Gauge, "countersign_webhook_events_waiting", &[], "Events that have not been delivered yet"),
    (Gauge, "countersign_webhook_oldest_event_seconds", &[], "Time since the oldest of them occurred; 0 without any"),
    (Counter, "countersign_cache_total", &["cache", "outcome"], "Cache look-ups"),
    (Counter, "countersign_usage_lost_calls_total", &[], "Calls missing from usage because the database accepted no writes for too long"),
    (Gauge, "countersign_accounts", &["app", "state"], "Connected accounts"),
    (Gauge, "countersign_accounts_used", &["app"], "Accounts whose tokens an app used this month, which X bills"),
    (Gauge, "countersign_account_limit", &["app"], "Accounts that an app may use in a month, if that is limited"),
    (Gauge, "countersign_vault_keys_missing", &[], "Vault keys that sealed stored secrets but are not in vault.keys"),
    (Counter, "countersign_reloads_total", &["outcome"], "Reloads of the settings: taken or refused"),
    (Gauge, "countersign_database_up", &[], "1 while the database answers, 0 otherwise"),
    (Gauge, "countersign_feed_age_seconds", &[], "Time since changes made by other replicas were last read"),
    (Gauge, "countersign_clock_offset_seconds", &[], "The upstream's clock minus this machine's"),
    (Gauge, "countersign_answer_memory_bytes", &[], "Memory in use for answers, out of limits.answer_memory"),
    (Gauge, "countersign_connections", &["listener"], "Open connections"),
    (Counter, "countersign_connections_refused_total", &["listener", "reason"], "Connections beyond the limit, closed at once or answered with 503"),
    (Counter, "countersign_browser_tokens_total", &[], "Tokens made for pages in browsers"),
    (Counter, "countersign_origins_refused_total", &["origin"], "Pages that were refused, by the origin that their browser named; `other` beyond the first 50"),
    (Counter, "countersign_preflights_total", &["outcome"], "Preflights of pages, by whether some key has their origin: allowed or refused"),
    (Counter, "countersign_refusals_total", &["code"], "Calls that the gateway answered itself, by error code"),
    (Counter, "countersign_log_lines_dropped_total", &[], "Log lines dropped because the writer could not keep up"),
    (Gauge, "countersign_build_info", &["version"], "Always 1"),
];

/// Buckets for whole calls, which wait for the upstream.
const CALL_BUCKETS: &[f64] =
    &[0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 20.0, 30.0];

/// Buckets for our own share, which is mostly below a millisecond.
const OWN_BUCKETS: &[f64] =
    &[0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 30.0];

/// Renders what was counted; cheap to clone.
#[derive(Clone)]
pub struct Metrics(PrometheusHandle);

/// Starts counting. There is one recorder in a process, so every call returns the same one.
pub fn start_metrics() -> Metrics {
    static METRICS: OnceLock<Metrics> = OnceLock::new();
    METRICS.get_or_init(install).clone()
}

impl Metrics {
    /// Everything counted so far, in Prometheus's text format.
    pub fn render(&self) -> String {
        counter!("countersign_log_lines_dropped_total").absolute(dropped_lines());
        self.0.render()
    }

    /// Moves samples into their buckets; without it, every few seconds, an unscraped gateway's memory grows.
    pub fn upkeep(&self) {
        self.0.run_upkeep();
    }
}

fn install() -> Metrics {
    const BOUNDED: &str = "the table above has buckets";
    let recorder = PrometheusBuilder::new()
        .set_buckets(CALL_BUCKETS)
        .expect(BOUNDED)
        .set_buckets_for_metric(Matcher::Full("countersign_gateway_seconds".into()), OWN_BUCKETS)
        .expect(BOUNDED)
        .build_recorder();
    let metrics = Metrics(recorder.handle());
    ::metrics::set_global_recorder(recorder).expect("nothing else installs a recorder");
    for (kind, name, _, meaning) in METRICS {
        match kind {
            Counter => describe_counter!(*name, *meaning),
            Gauge => describe_gauge!(*name, *meaning),
            Histogram => describe_histogram!(*name, *meaning),
        }
    }
    gauge!("countersign_build_info", "version" => env!("CARGO_PKG_VERSION")).set(1.0);
    metrics
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::fs;
    use std::path::{Path, PathBuf};

    use ::metrics::histogram;

    use super::*;

    #[test]
    fn starting_twice_counts_in_one_place() {
        let (first, second) = (start_metrics(), start_metrics());
        counter!("countersign_refusals_total", "code" => "only_a_test").increment(1);
        histogram!("countersign_call_seconds", "endpoint" => "totals", "auth" => "oauth1")
            .record(0.2);
        histogram!("countersign_gateway_seconds").record(0.0002);
        first.upkeep();
        let text = second.render();
        for line in [
            "# HELP countersign_refusals_total Calls that the gateway answered itself, by error code",
            "# TYPE countersign_refusals_total counter",
            "countersign_refusals_total{code=\"only_a_test\"} 1",
            "countersign_call_seconds_bucket{endpoint=\"totals\",auth=\"oauth1\",le=\"0.25\"} 1",
            "countersign_gateway_seconds_bucket{le=\"0.00025\"} 1",
            "countersign_log_lines_dropped_total 0",
            "# TYPE countersign_build_info gauge",
        ] {
            assert!(text.lines().any(|found| found == line), "{line} is missing from:\n{text}");
        }
    }

    #[test]
    fn every_metric_that_is_counted_is_in_the_table() {
        let known: BTreeSet<&str> = METRICS.iter().map(|(_, name, ..)| *name).collect();
        assert_eq!(known.len(), METRICS.len());
        for (file, text) in sources(Path::new("src")) {
            let text: String = text.split_whitespace().collect();
            for after in text.split("!(\"countersign_").skip(1) {
                let rest = after.split('"').next().unwrap();
                let known = known.contains(&*["countersign_", rest].concat());
                assert!(known, "{file}: {rest} has no line in METRICS");
            }
        }
    }

    #[test]
    fn the_manual_lists_every_metric_with_its_labels_and_no_other() {
        let manual = fs::read_to_string("docs/admin-api.md").unwrap();
        let rows = manual.lines().filter(|line| line.starts_with("| `countersign_"));
        let quoted = |cell: &str| -> Vec<String> {
            cell.split('`').skip(1).step_by(2).map(str::to_owned).collect()
        };
        let listed: Vec<(String, Vec<String>)> = rows
            .map(|row| {
                let cells: Vec<&str> = row.split('|').collect();
                (quoted(cells[1]).concat(), quoted(cells[2]))
            })
            .collect();
        let counted = METRICS.iter().map(|(_, name, labels, _)| {
            let labels = labels.iter().map(|label| (*label).to_owned());
            ((*name).to_owned(), labels.collect::<Vec<_>>())
        });
        assert_eq!(listed, counted.collect::<Vec<_>>());
    }

    fn sources(folder: &Path) -> Vec<(String, String)> {
        let paths = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
        let below = |path: PathBuf| {
            if path.is_dir() {
                return sources(&path);
            }
            vec![(path.display().to_string(), fs::read_to_string(path).unwrap())]
        };
        paths.flat_map(below).collect()
    }
}
