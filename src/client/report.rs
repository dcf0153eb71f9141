//! The gateway's report on an answer, and the problem that it returns instead of one.

use reqwest::header::HeaderMap;
use serde::Deserialize;

/// Whether an answer is complete, and what is missing.
#[derive(Debug, Deserialize)]
pub struct Report {
    pub complete: bool,
    #[serde(default)]
    pub missing: Vec<Missing>,
    /// What of the question the gateway read otherwise than it was written.
    #[serde(default)]
    pub notes: Vec<String>,
}

/// Results that are missing, and why.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct Missing {
    pub reason: String,
    pub tweet_ids: Vec<String>,
    pub engagement_types: Vec<String>,
    /// More, in words; may be empty.
    pub detail: String,
    /// The number of posts, if their ids are not listed.
    #[serde(skip)]
    pub count: usize,
}

/// An error answer of the gateway (RFC 9457).
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct Problem {
    pub title: String,
    pub status: u16,
    pub code: String,
    pub detail: String,
    pub request_id: String,
    pub problems: Vec<Mistake>,
    pub missing: Vec<Missing>,
}

/// One mistake in a request.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct Mistake {
    /// Where it is in the body.
    pub pointer: Option<String>,
    /// The header it is in, if not in the body.
    pub header: Option<String>,
    pub detail: String,
}

impl Missing {
    pub fn posts(&self) -> usize {
        self.tweet_ids.len().max(self.count)
    }
}

impl Report {
    /// Reads `Countersign-Complete: false`, `Countersign-Missing: unavailable=3, quota=250` and `Countersign-Note`.
    pub(in crate::client) fn of_headers(headers: &HeaderMap) -> Option<Report> {
        let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
        let complete = text("countersign-complete")?.parse().ok()?;
        let parts = text("countersign-missing").unwrap_or_default().split(',');
        let missing = parts.filter_map(|part| {
            let (reason, count) = part.trim().split_once('=')?;
            let (reason, count) = (reason.to_owned(), count.parse().ok()?);
            Some(Missing { reason, count, ..Missing::default() })
        });
        let notes = text("countersign-note").map(str::to_owned);
        Some(Report { complete, missing: missing.collect(), notes: notes.into_iter().collect() })
    }
}
