//! An answer as it arrives: pieces that can be passed on as they are, and at the end the gateway's report.

use std::time::Duration;

use reqwest::Response;
use reqwest::header::CONTENT_TYPE;
use serde::Deserialize;

use crate::client::{Error, Report};

const UNSAID: &str = "it does not say whether the answer is complete";

/// The format requested in `Accept`.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Form {
    Json,
    Csv,
    /// CSV for spreadsheet programs.
    Spreadsheet,
    Ndjson,
}

/// An answer that is being read.
pub struct Answer {
    response: Response,
    form: Form,
    url: String,
    patience: Duration,
    /// Bytes received but not returned yet.
    rest: Vec<u8>,
    numbers: u64,
    /// The gateway's report, once it has arrived.
    report: Option<Report>,
}

/// The report, which stands beside the numbers in JSON, and alone on the last line of ndjson.
#[derive(Deserialize)]
struct Trailer {
    countersign: Report,
}

impl Form {
    pub(in crate::client) const fn media_type(self) -> &'static str {
        match self {
            Form::Json => "application/json",
            Form::Csv | Form::Spreadsheet => "text/csv",
            Form::Ndjson => "application/x-ndjson",
        }
    }

    /// The query by which `/v1/engagement` is asked for it.
    pub(in crate::client) const fn query(self) -> &'static str {
        match self {
            Form::Spreadsheet => "?format=spreadsheet",
            Form::Json | Form::Csv | Form::Ndjson => "",
        }
    }

    /// Whether only the headers say what is missing.
    const fn is_table(self) -> bool {
        matches!(self, Form::Csv | Form::Spreadsheet)
    }

    pub(in crate::client) fn require(self, response: &Response, url: &str) -> Result<(), Error> {
        let (wanted, got) = (self.media_type(), media_type(response));
        let odd = || Error::odd(url, format!("it sent {got} instead of {wanted}"));
        if wanted == got { Ok(()) } else { Err(odd()) }
    }
}

impl Answer {
    pub(in crate::client) fn begin(
        response: Response,
        form: Form,
        url: &str,
        patience: Duration,
    ) -> Result<Answer, Error> {
        form.require(&response, url)?;
        let of_headers = || Report::of_headers(response.headers());
        let report = form.is_table().then(of_headers).flatten();
        let (url, rest) = (url.to_owned(), Vec::new());
        if form.is_table() && report.is_none() {
            return Err(Error::odd(&url, UNSAID));
        }
        Ok(Answer { response, form, url, patience, rest, numbers: 0, report })
    }

    /// The next piece to pass on: whole lines of ndjson, and JSON all at once.
    pub async fn next(&mut self) -> Result<Option<Vec<u8>>, Error> {
        loop {
            let chunk = self.response.chunk().await;
            match chunk.map_err(|error| Error::failed(&self.url, self.patience, &error))? {
                Some(chunk) if self.form.is_table() => return Ok(Some(chunk.into())),
                Some(chunk) => self.rest.extend_from_slice(&chunk),
                None => return self.end(),
            }
            if self.form == Form::Ndjson
                && let Some(end) = memchr::memrchr(b'\n', &self.rest)
            {
                return Ok(Some(self.lines(end + 1)));
            }
        }
    }

    /// How many numbers have arrived so far, counted in ndjson only.
    pub fn numbers(&self) -> u64 {
        self.numbers
    }

    /// The gateway's report on the answer, once `next` has returned `None`.
    pub fn report(self) -> Result<Report, Error> {
        self.report.ok_or(Error::CutShort)
    }

    /// Takes the whole lines up to `end`.
    fn lines(&mut self, end: usize) -> Vec<u8> {
        let after = self.rest.split_off(end);
        let lines = std::mem::replace(&mut self.rest, after);
        for line in lines.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()) {
            self.report = if line.starts_with(b"{\"countersign\"") { read(line) } else { None };
            self.numbers += u64::from(self.report.is_none());
        }
        lines
    }

    /// The last piece, after the body's end. An unfinished line is an error.
    fn end(&mut self) -> Result<Option<Vec<u8>>, Error> {
        let rest = std::mem::take(&mut self.rest);
        if self.form != Form::Json || self.report.is_some() {
            return if rest.is_empty() { Ok(None) } else { Err(Error::CutShort) };
        }
        self.report = Some(read(&rest).ok_or_else(|| Error::odd(&self.url, UNSAID))?);
        Ok(Some(rest))
    }
}

pub(in crate::client) fn media_type(response: &Response) -> &str {
    let value = response.headers().get(CONTENT_TYPE).and_then(|value| value.to_str().ok());
    let value = value.and_then(|value| value.split(';').next()).unwrap_or_default().trim();
    if value.is_empty() { "no content type" } else { value }
}

fn read(text: &[u8]) -> Option<Report> {
    serde_json::from_slice::<Trailer>(text).ok().map(|trailer| trailer.countersign)
}
