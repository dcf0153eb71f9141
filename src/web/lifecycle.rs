//! The phases of a server's life. A rolling restart needs three: serving; no longer ready, but still accepting while
//! clients are asked to go elsewhere; accepting no more.

use tokio::sync::watch;

/// The phase, which every listener and connection follows; cheap to clone.
#[derive(Clone)]
pub struct Life(watch::Sender<Phase>);

#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
enum Phase {
    Serving,
    Closing,
    Draining,
}

impl Default for Life {
    fn default() -> Life {
        Life(watch::Sender::new(Phase::Serving))
    }
}

impl Life {
    /// Ends readiness: from now on each answer asks its client to close the connection.
    pub fn close(&self) {
        self.0.send_if_modified(|phase| raise(phase, Phase::Closing));
    }

    /// Accepts no more connections, and ends each one after the answer in flight or once it is idle.
    pub fn drain(&self) {
        self.0.send_if_modified(|phase| raise(phase, Phase::Draining));
    }

    pub(crate) fn is_closing(&self) -> bool {
        *self.0.borrow() >= Phase::Closing
    }

    /// Waits until draining begins.
    pub async fn draining(&self) {
        // The sender lives in `self`, so only the phase ends this.
        let _ = self.0.subscribe().wait_for(|phase| *phase == Phase::Draining).await;
    }
}

fn raise(current: &mut Phase, to: Phase) -> bool {
    let raised = to > *current;
    if raised {
        *current = to;
    }
    raised
}
