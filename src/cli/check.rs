//! `countersign check` and `countersign healthcheck`.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use anyhow::anyhow;
use serde::Serialize;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::cli::assemble::{self, Deployment};
use crate::cli::failure::{self, Failure};
use crate::cli::output;
use crate::cli::serve::reachable;
use crate::config::Config;
use crate::gateway::{self, BearerSource};
use crate::model::handshake::NotConnected;
use crate::model::quota::{self, Quota};
use crate::store::Store;
use crate::vault::Vault;

const CLOCK_WARNING_SECONDS: i64 = 30;
const PROBE_TIMEOUT: Duration = Duration::from_secs(3);

/// Checks all that a deployment needs, as far as failures allow, and prints a line for each check. It leaves nothing
/// behind: a database that does not exist is not created.
pub(super) async fn run(path: Option<&Path>, json: bool) -> Result<(), Failure> {
    let mut report = Report { json, ..Report::default() };
    let checked = check(path, &mut report).await;
    if json {
        output::json(&report.lines);
    }
    checked
}

async fn check(path: Option<&Path>, report: &mut Report) -> Result<(), Failure> {
    let config = match assemble::settings(path) {
        Ok(config) => config,
        Err(failure) => {
            report.fail_by("config", &failure);
            return Err(Failure::config(anyhow!(
                "nothing else was checked; fix the settings first"
            )));
        }
    };
    report.pass("config", &output::count(config.apps.len(), "app", "apps"));
    config.warnings.iter().for_each(|warning| report.warn("files", warning));
    let ring = Vault::new(&config.vault).map_err(Failure::from);
    match &ring {
        Ok(vault) => report.pass(
            "vault ring",
            &format!(
                "{}; {} is active",
                output::count(config.vault.keys.len(), "key", "keys"),
                vault.active_id()
            ),
        ),
        Err(failure) => report.fail_by("vault ring", failure),
    }
    match Store::connect_existing(&config.database).await.map_err(failure::of_store) {
        Err(failure) => report.fail_by("database", &failure),
        Ok(store) => {
            report.pass("database", store.kind());
            let checked = check_store(report, config, store.clone(), ring.ok()).await;
            // SQLite's last connection removes the files beside the database.
            store.close().await;
            checked?;
        }
    }
    report.result()
}

/// Checks the schema and, if there is a ring, all that takes a gateway.
async fn check_store(
    report: &mut Report,
    config: Config,
    store: Store,
    ring: Option<Vault>,
) -> Result<(), Failure> {
    if let Err(error) = store.check_schema().await {
        report.fail_by("schema", &failure::of_store(error));
        return Ok(());
    }
    report.pass("schema", "up to date");
    if let Some(vault) = ring {
        let quotas = config.apps.iter().map(|(name, app)| (name.clone(), app.quota)).collect();
        check_deployment(report, &Deployment::new(config, store, vault)?, &quotas).await;
    }
    Ok(())
}

/// Succeeds if the gateway that runs with these settings is ready.
pub(super) async fn health(path: Option<&Path>) -> Result<(), Failure> {
    let at = reachable(assemble::settings(path)?.admin.listen);
    let ask = async {
        let mut stream = TcpStream::connect(at).await?;
        stream
            .write_all(b"GET /readyz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
            .await?;
        let mut answer = String::new();
        stream.take(64 * 1024).read_to_string(&mut answer).await?;
        Ok::<_, std::io::Error>(answer)
    };
    let answer = tokio::time::timeout(PROBE_TIMEOUT, ask).await;
    let answer = answer
        .map_err(|_| Failure::general(anyhow!("http://{at}/readyz did not answer in time")))?;
    let answer = answer
        .map_err(|error| Failure::general(anyhow!("cannot reach http://{at}/readyz: {error}")))?;
    let body = answer.split("\r\n\r\n").nth(1).unwrap_or_default();
    if answer.starts_with("HTTP/1.1 200 ") {
        output::line(body);
        return Ok(());
    }
    Err(Failure::general(anyhow!("not ready: {body}")))
}

#[derive(Default)]
struct Report {
    lines: Vec<Line>,
    /// Whether the lines are printed as JSON at the end, or one by one.
    json: bool,
    /// Whether settings are at fault.
    is_misconfigured: bool,
}

/// What one check found.
#[derive(Serialize)]
struct Line {
    check: String,
    /// `ok`, `warn`, `fail`, or `skipped` if it could not be checked.
    result: &'static str,
    detail: String,
}

impl Report {
    fn add(&mut self, result: &'static str, check: &str, detail: &str) {
        let detail = detail.lines().map(output::plain).collect::<Vec<_>>().join("\n");
        let line = Line { check: check.to_owned(), result, detail };
        if !self.json {
            let shown = match result {
                "fail" => "FAIL",
                "skipped" => "-",
                other => other,
            };
            output::line(&format!("{shown:<5} {check}: {}", line.detail));
        }
        self.lines.push(line);
    }

    fn count(&self, result: &str) -> usize {
        self.lines.iter().filter(|line| line.result == result).count()
    }

    fn pass(&mut self, what: &str, detail: &str) {
        self.add("ok", what, detail);
    }

    /// Reports something that works but should be fixed.
    fn warn(&mut self, what: &str, detail: &str) {
        self.add("warn", what, detail);
    }

    /// Reports something that could not be checked.
    fn skip(&mut self, what: &str, detail: &str) {
        self.add("skipped", what, detail);
    }

    fn fail_by(&mut self, what: &str, failure: &Failure) {
        self.is_misconfigured |= failure.is_config();
        self.fail(what, &failure.text());
    }

    fn fail(&mut self, what: &str, detail: &str) {
        self.add("fail", what, detail);
    }

    fn result(&self) -> Result<(), Failure> {
        let error = match self.count("fail") {
            0 => {
                if !self.json {
                    output::line(&format!("all {} checks passed", self.count("ok")));
                }
                return Ok(());
            }
            1 => anyhow!("1 check failed"),
            count => anyhow!("{count} checks failed"),
        };
        Err(if self.is_misconfigured { Failure::config(error) } else { Failure::general(error) })
    }
}

async fn check_deployment(
    report: &mut Report,
    deployment: &Deployment,
    quotas: &BTreeMap<String, Quota>,
) {
    match deployment.gateway.get_vault_status().await {
        Ok(status) if status.unopened.is_empty() => {
            let count = |(id, records): (&String, &u64)| format!("{records} sealed with {id}");
            let counts: Vec<String> = status.records.iter().map(count).collect();
            let all = status.records.values().sum::<u64>();
            let colon = if counts.is_empty() { "" } else { ": " };
            report.pass(
                "vault",
                &format!("all {all} stored secrets can be opened{colon}{}", counts.join(", ")),
            );
        }
        Ok(status) => {
            report.fail("vault", &format!("cannot open {}", status.unopened.join(", ")));
        }
        Err(error) => report.fail_by("vault", &Failure::general(error)),
    }
    let apps: Vec<(String, BearerSource)> =
        deployment.gateway.apps().map(|(name, source)| (name.to_owned(), source)).collect();
    if apps.is_empty() {
        let detail = "no app is configured; set apps.<name>.consumer_key and consumer_secret";
        report.fail("apps", detail);
    }
    for (name, source) in apps {
        let what = format!("app {name}");
        let accepted = match source {
            BearerSource::TwoLegged => "X accepts its two-legged signatures",
            BearerSource::Configured => "X accepts its bearer token",
            BearerSource::Minted => {
                "X accepts its consumer key and secret, and issued a bearer token"
            }
        };
        let mut reported = quota::Report::default();
        match deployment.gateway.verify_app(&name).await {
            Ok((fault, said)) => {
                reported = said;
                match fault {
                    None => {
                        report.pass(&what, accepted);
                        check_callback(report, deployment, &name).await;
                    }
                    Some(fault) => report.fail(&what, &fault.to_string()),
                }
            }
            Err(error) => report.fail_by(&what, &Failure::general(error)),
        }
        let quota = quotas.get(&name).copied().unwrap_or_default();
        let terms = format!("scope {}, mode {}", quota.scope.name(), quota.mode.name());
        let what = format!("quota {name}");
        match reported_limits(&reported) {
            Some(limits) => report.pass(&what, &format!("{limits}, as X reports; {terms}")),
            None => report.skip(&what, &format!("{}; {terms}", configured_limits(quota))),
        }
    }
    match deployment.gateway.clock_offset() {
        Some(offset) if offset.abs() > CLOCK_WARNING_SECONDS => {
            let detail = format!("X's clock and this machine's differ by {offset} s");
            report.fail("clock", &detail);
        }
        Some(offset) => report.pass("clock", &format!("differs from X's by {offset} s")),
        None => report.skip("clock", "not compared: X's responses had no Date header"),
    }
}

/// Checks whether X would send browsers back to us.
async fn check_callback(report: &mut Report, deployment: &Deployment, app: &str) {
    let what = format!("callback {app}");
    match deployment.gateway.verify_callback(app).await {
        Ok(Some(url)) => report.pass(&what, &format!("X takes {url}")),
        Ok(None) => report.skip(&what, "links to connect accounts need server.public_url"),
        // Nobody may connect accounts in browsers here.
        Err(error @ gateway::Error::NotConnected(NotConnected::CallbackNotApproved)) => {
            report.warn(&what, &Failure::general(error).text());
        }
        Err(error) => report.fail_by(&what, &Failure::general(error)),
    }
}

/// The limits that an answer of X's reports, in words.
fn reported_limits(report: &quota::Report) -> Option<String> {
    let [second, minute, other] = report.windows;
    let spans = ["per minute", "per second", "per window (x-rate-limit-limit)"];
    let limits = [minute, second, other].into_iter().zip(spans).filter_map(|(window, span)| {
        let limit = window?.limit?;
        Some(format!("{} {span}", output::count(limit as usize, "call", "calls")))
    });
    let limits: Vec<String> = limits.collect();
    (!limits.is_empty()).then(|| limits.join(", "))
}

/// The limits that count until X has said more, in words.
fn configured_limits(quota: Quota) -> String {
    let settings = [("minute", quota.per_minute), ("second", quota.per_second)];
    let limits = settings.into_iter().filter_map(|(span, limit)| {
        let calls = output::count(limit? as usize, "call", "calls");
        Some(format!("{calls} per {span} (quota.per_{span})"))
    });
    let limits: Vec<String> = limits.collect();
    if limits.is_empty() {
        return "unknown until X's answers report it".to_owned();
    }
    format!("{}, unless X's answers report another", limits.join(", "))
}
