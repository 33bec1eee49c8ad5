//! Threads that work beside the requests give way to them where the machine is busy; it decides nothing else.

use thread_priority::{ThreadPriority, ThreadPriorityValue, set_current_thread_priority};
use tokio::sync::oneshot;

/// Of 100; a usual thread has about 50. Such a thread still gets a tenth of a busy core, so what it holds is let go soon.
const BESIDE_REQUESTS: u8 = 25;

/// Lowers the priority of the current thread for as long as it lives: of one that works beside the requests.
pub(crate) fn give_way_to_requests() {
    let lowered = ThreadPriorityValue::try_from(BESIDE_REQUESTS).map_err(|error| error.to_string()).and_then(|value| {
        set_current_thread_priority(ThreadPriority::Crossplatform(value)).map_err(|error| format!("{error:?}"))
    });
    if let Err(error) = lowered {
        tracing::warn!(error, "the system does not let a thread give way; answers may wait for work beside them");
    }
}

/// Does long work that no request waits for, on a thread of its own that gives way to requests: one of the runtime's
/// would take as much of the machine as they do. What began goes on to its end where nobody waits for it any more.
///
/// # Errors
/// The system gives no thread, or the work panics.
pub(crate) async fn beside_requests<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, BesideError> {
    let (sender, receiver) = oneshot::channel();
    let run = move || {
        give_way_to_requests();
        // Whoever no longer waits does not need to know of it.
        let _gone = sender.send(work());
    };
    std::thread::Builder::new().name("beside".to_owned()).spawn(run)?;
    receiver.await.map_err(|_| BesideError::BrokenOff)
}

/// Why work beside the requests has no result.
#[derive(Debug, thiserror::Error)]
pub(crate) enum BesideError {
    /// The system gives no thread.
    #[error("the system gives no thread: {0}")]
    NoThread(#[from] std::io::Error),
    /// It panicked.
    #[error("the work was broken off")]
    BrokenOff,
}
