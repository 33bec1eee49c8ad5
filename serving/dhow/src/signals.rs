//! How a command that runs until it is stopped learns that it should: Ctrl-C, or what orchestrators send; a kill loses nothing and needs no handling.

use std::io;

use tokio::signal::unix::{SignalKind, signal};

/// Ends when the process is asked to stop, by an interrupt or by a request to terminate.
///
/// # Errors
/// The system takes no handler.
pub async fn asked_to_stop() -> io::Result<()> {
    let mut terminate = signal(SignalKind::terminate())?;
    tokio::select! {
        interrupted = tokio::signal::ctrl_c() => interrupted,
        _told = terminate.recv() => Ok(()),
    }
}
