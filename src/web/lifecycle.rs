//! The phases of a server's life. A rolling restart needs four: not ready; still accepting, but asking clients to go
//! elsewhere; accepting no more; done.

use tokio::sync::watch;

/// Told to every listener and connection; a cheap clone.
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
    /// Not ready any more: each answer asks its client to close the connection.
    pub fn close(&self) {
        self.0.send_if_modified(|it| raise(it, Phase::Closing));
    }

    /// Accept nothing more, and end each connection after the answer in flight or once it is idle.
    pub fn drain(&self) {
        self.0.send_if_modified(|it| raise(it, Phase::Draining));
    }

    pub(crate) fn is_closing(&self) -> bool {
        *self.0.borrow() >= Phase::Closing
    }

    /// Waits until draining begins.
    pub async fn draining(&self) {
        // The sender lives in `self`, so this ends by the phase alone.
        let _ = self.0.subscribe().wait_for(|it| *it == Phase::Draining).await;
    }
}

fn raise(current: &mut Phase, to: Phase) -> bool {
    let raised = to > *current;
    if raised {
        *current = to;
    }
    raised
}
