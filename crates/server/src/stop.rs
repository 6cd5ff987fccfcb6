//! The wish to stop, seen by everything that runs.

use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;

use crate::failure::Failure;

/// Gives the wish to stop. Dropping it is the same wish.
#[derive(Debug)]
pub(crate) struct StopSender(watch::Sender<bool>);

/// Sees the wish to stop. Every part that runs holds one.
#[derive(Debug, Clone)]
pub(crate) struct Stop(watch::Receiver<bool>);

/// A wish that nobody has uttered yet.
pub(crate) fn channel() -> (StopSender, Stop) {
    let (sender, receiver) = watch::channel(false);
    (StopSender(sender), Stop(receiver))
}

impl StopSender {
    /// Asks everything to stop.
    pub(crate) fn stop(&self) {
        self.0.send_replace(true);
    }
}

impl Stop {
    /// Returns when everything should stop; at once if that was said before.
    pub(crate) async fn wanted(&mut self) {
        // An error says that the sender is gone: the same wish.
        let _ = self.0.wait_for(|stop| *stop).await;
    }

    /// Whether that was said.
    pub(crate) fn is_wanted(&self) -> bool {
        *self.0.borrow() || self.0.has_changed().is_err()
    }
}

/// SIGTERM and SIGINT.
#[derive(Debug)]
pub(crate) struct Signals {
    terminate: tokio::signal::unix::Signal,
    interrupt: tokio::signal::unix::Signal,
}

impl Signals {
    /// From here on the signals no longer end the process by themselves.
    pub(crate) fn listen() -> Result<Self, Failure> {
        let failed = |error| Failure::internal("cannot listen for signals", error);
        Ok(Self {
            terminate: signal(SignalKind::terminate()).map_err(failed)?,
            interrupt: signal(SignalKind::interrupt()).map_err(failed)?,
        })
    }

    /// Returns at the next signal, with its name.
    pub(crate) async fn next(&mut self) -> &'static str {
        tokio::select! {
            _ = self.terminate.recv() => "SIGTERM",
            _ = self.interrupt.recv() => "SIGINT",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_wish_reaches_late_and_early_listeners() {
        let (sender, stop) = channel();
        let mut early = stop.clone();
        let waiting = tokio::spawn(async move { early.wanted().await });
        sender.stop();
        waiting.await.unwrap();
        stop.clone().wanted().await;
        drop(sender);
        stop.clone().wanted().await;
    }
}
