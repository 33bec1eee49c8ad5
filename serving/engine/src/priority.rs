//! Threads that work beside the requests give way to them where the machine is busy; it decides nothing else.

use thread_priority::{ThreadPriority, ThreadPriorityValue, set_current_thread_priority};

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
