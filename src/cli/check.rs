//! `countersign check` and `countersign healthcheck`.

use std::path::Path;
use std::time::Duration;

use anyhow::anyhow;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::cli::assemble::{self, Deployment};
use crate::cli::failure::Failure;
use crate::cli::output;
use crate::cli::serve::reachable;
use crate::gateway::BearerSource;
use crate::vault::Vault;

const CLOCK_WARNING_SECONDS: i64 = 30;
const PROBE_TIMEOUT: Duration = Duration::from_secs(3);

/// Checks all that a deployment needs, as far as failures allow, and prints a line for each check.
pub(super) async fn run(path: Option<&Path>) -> Result<(), Failure> {
    let mut report = Report::default();
    let config = match assemble::settings(path) {
        Ok(config) => config,
        Err(failure) => {
            report.fail("config", &failure.text());
            return Err(Failure::general(anyhow!(
                "nothing else was checked; fix the settings first"
            )));
        }
    };
    report.pass("config", &output::count(config.apps.len(), "app", "apps"));
    config.warnings.iter().for_each(|warning| Report::warn("files", warning));
    let ring = Vault::new(&config.vault);
    match &ring {
        Ok(vault) => report.pass(
            "vault ring",
            &format!(
                "{}; {} is active",
                output::count(config.vault.keys.len(), "key", "keys"),
                vault.active_id()
            ),
        ),
        Err(error) => report.fail("vault ring", &error.to_string()),
    }
    match assemble::connect(&config).await {
        Err(failure) => report.fail("database", &failure.text()),
        Ok(store) => {
            report.pass("database", store.kind());
            match (store.check_schema().await, ring) {
                (Err(error), _) => report.fail("schema", &error.to_string()),
                (Ok(()), Err(_)) => report.pass("schema", "up to date"),
                (Ok(()), Ok(vault)) => {
                    report.pass("schema", "up to date");
                    check_deployment(&mut report, &Deployment::new(config, store, vault)?).await;
                }
            }
        }
    }
    match report.failed {
        0 => {
            output::line(&format!("all {} checks passed", report.passed));
            Ok(())
        }
        1 => Err(Failure::general(anyhow!("1 check failed"))),
        count => Err(Failure::general(anyhow!("{count} checks failed"))),
    }
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
    passed: usize,
    failed: usize,
}

impl Report {
    fn pass(&mut self, what: &str, detail: &str) {
        self.passed += 1;
        output::line(&format!("ok    {what}: {}", output::plain(detail)));
    }

    /// Reports something that works but should be fixed.
    fn warn(what: &str, detail: &str) {
        output::line(&format!("warn  {what}: {}", output::plain(detail)));
    }

    /// Reports something that could not be checked.
    fn skip(what: &str, detail: &str) {
        output::line(&format!("-     {what}: {detail}"));
    }

    fn fail(&mut self, what: &str, detail: &str) {
        self.failed += 1;
        output::line(&format!("FAIL  {what}: {detail}"));
    }
}

async fn check_deployment(report: &mut Report, deployment: &Deployment) {
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
        Err(error) => report.fail("vault", &Failure::general(error).text()),
    }
    let apps: Vec<(String, BearerSource)> =
        deployment.gateway.apps().map(|(name, source)| (name.to_owned(), source)).collect();
    if apps.is_empty() {
        report
            .fail("apps", "no app is configured; set apps.<name>.consumer_key and consumer_secret");
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
        match deployment.gateway.verify_app(&name).await {
            Ok(None) => report.pass(&what, accepted),
            Ok(Some(fault)) => report.fail(&what, &fault.to_string()),
            Err(error) => report.fail(&what, &Failure::general(error).text()),
        }
    }
    match deployment.gateway.clock_offset() {
        Some(offset) if offset.abs() > CLOCK_WARNING_SECONDS => {
            report.fail("clock", &format!("X's clock and this machine's differ by {offset} s"));
        }
        Some(offset) => report.pass("clock", &format!("differs from X's by {offset} s")),
        None => Report::skip("clock", "not compared: X's responses had no Date header"),
    }
}
