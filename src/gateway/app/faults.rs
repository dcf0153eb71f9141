//! Faults of an app's own credentials, seen in the upstream's answers; reported to operators, since callers cannot fix
//! them.

use std::fmt;
use std::sync::atomic::{AtomicU8, Ordering};

use tracing::{info, warn};

use crate::gateway::Error;
use crate::gateway::app::bearer::BearerSource;
use crate::model::handshake::NotConnected;
use crate::upstream::{Answer, Credential, Verdict};

/// A fault that X finds with an app's credentials.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Fault {
    Keys,
    Time,
    Bearer,
    /// X has not enabled the app for the Engagement API.
    NotEnabled,
    /// X does not know the address to which it would send browsers back.
    Callback,
}

impl Fault {
    pub(in crate::gateway) const ALL: [Fault; 5] =
        [Fault::Keys, Fault::Time, Fault::Bearer, Fault::NotEnabled, Fault::Callback];

    /// Its name in metrics.
    const fn name(self) -> &'static str {
        match self {
            Fault::Keys => "keys",
            Fault::Time => "time",
            Fault::Bearer => "bearer",
            Fault::NotEnabled => "not_enabled",
            Fault::Callback => "callback",
        }
    }

    const fn bit(self) -> u8 {
        1 << self as u8
    }

    /// The app's fault that an answer shows, if any. A minted bearer token is replaced instead.
    fn of(verdict: Verdict, source: BearerSource) -> Option<Fault> {
        match verdict {
            Verdict::AppRejected => Some(Fault::Keys),
            Verdict::ClockRejected => Some(Fault::Time),
            Verdict::AppNotEnabled => Some(Fault::NotEnabled),
            Verdict::BearerRejected if source == BearerSource::Configured => Some(Fault::Bearer),
            _ => None,
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Fault::Keys => "X rejects its consumer key and secret, or has suspended it",
            Fault::Time => "X rejects the timestamps of its signatures",
            Fault::Bearer => "X rejects its bearer token, or issues none",
            Fault::NotEnabled => {
                "X has not enabled it for the Engagement API; ask your account manager at X to authorize its application id"
            }
            Fault::Callback => {
                "X does not approve this gateway's callback URL, so that nobody can connect an account"
            }
        })
    }
}

/// The faults that an app's last answers showed. Every call reads them; few write.
#[derive(Default)]
pub(in crate::gateway) struct Faults(AtomicU8);

impl Faults {
    pub(in crate::gateway) fn has(&self, fault: Fault) -> bool {
        self.0.load(Ordering::Relaxed) & fault.bit() != 0
    }

    /// Whether it is news.
    pub(in crate::gateway) fn show(&self, fault: Fault) -> bool {
        self.0.fetch_or(fault.bit(), Ordering::Relaxed) & fault.bit() == 0
    }

    /// Whether it is news.
    pub(in crate::gateway) fn clear(&self, fault: Fault) -> bool {
        self.has(fault) && self.0.fetch_and(!fault.bit(), Ordering::Relaxed) & fault.bit() != 0
    }

    /// Learns whether X approves the callback URL from how a request for a token ended.
    pub(in crate::gateway) fn judge_callback(&self, refused: Option<&Error>) {
        match refused {
            None => drop(self.clear(Fault::Callback)),
            Some(Error::NotConnected(NotConnected::CallbackNotApproved)) => {
                self.show(Fault::Callback);
            }
            Some(_) => (),
        }
    }

    /// Learns from an answer what X thinks of the app's credentials.
    pub(in crate::gateway) fn judge(
        &self,
        app: &str,
        source: BearerSource,
        credential: Credential<'_>,
        answer: &Answer,
    ) -> Option<Fault> {
        let fault = Fault::of(answer.verdict, source);
        if let Some(fault) = fault {
            metrics::counter!("countersign_app_faults_total", "app" => app.to_owned(), "fault" => fault.name()).increment(1);
            if self.show(fault) {
                let status = answer.status.as_u16();
                warn!(app, status, fault = fault.name(), "{fault}");
            }
        } else if answer.status.is_success() {
            let well: &[Fault] = match credential {
                Credential::Bearer(_) => &[Fault::Bearer, Fault::NotEnabled],
                Credential::TwoLegged(_) | Credential::User(..) => {
                    &[Fault::Keys, Fault::Time, Fault::NotEnabled]
                }
            };
            for fault in well.iter().filter(|fault| self.clear(**fault)) {
                info!(app, fault = fault.name(), "X accepts the app's credentials again");
            }
        }
        fault
    }
}
