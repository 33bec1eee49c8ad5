//! The bounds of the server, each with its name; what they guard stands where they are used.

use std::time::Duration;

/// Connections that are open at once; one more waits to be accepted.
pub const CONNECTIONS_MAX: usize = 8_192;
/// How long the head of a request may take to arrive, and a kept connection may be idle.
pub const HEAD_TIME_MAX: Duration = Duration::from_secs(30);
/// The largest body of a request, in bytes.
pub const BODY_BYTES_MAX: usize = 4 * 1024 * 1024;
/// The largest body of a request to a model by tensors, and the largest message over gRPC, in bytes.
pub const INFER_BODY_BYTES_MAX: usize = 32 * 1024 * 1024;
/// gRPC connections that are open at once; one more waits to be accepted.
pub const GRPC_CONNECTIONS_MAX: usize = 1_024;
/// Calls of one gRPC connection at once; more wait.
pub const GRPC_STREAMS_MAX: u32 = 256;
/// The most events of one request.
pub const EVENTS_PER_REQUEST_MAX: usize = 1_000;
/// The items of a page where the request does not say.
pub const PAGE_LIMIT_DEFAULT: u32 = 20;
/// How long a key's rights are remembered before the database is asked again: a revoked key works no longer than this.
pub const KEY_MEMORY_MICROS: i64 = 1_000_000;
/// Keys that are remembered at once.
pub const KEYS_REMEMBERED_MAX: usize = 10_000;
/// SQL queries that may run at once.
pub const SQL_QUERIES_MAX: usize = 2;
/// How long one SQL query may take.
pub const SQL_TIME_MAX: Duration = Duration::from_secs(10);
/// The memory of one SQL query's operators, in bytes.
pub const SQL_MEMORY_BYTES_MAX: usize = 256 * 1024 * 1024;
/// The rows of one SQL answer.
pub const SQL_ROWS_MAX: usize = 10_000;
/// Disk that one SQL query may use where its memory does not do.
pub const SQL_SPILL_BYTES_MAX: u64 = 1 << 30;

/// Streams of server-sent events that may be open at once.
pub const EVENT_STREAMS_MAX: usize = 128;
/// How long one of them may last: longer than the longest plan is searched.
pub const EVENT_STREAM_TIME_MAX: Duration = Duration::from_secs(660);
/// How often it is looked whether there is news for one of them.
pub const EVENT_PAUSE: Duration = Duration::from_millis(200);

/// How the server behaves; [`ApiSettings::default`] suits a server of one machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ApiSettings {
    /// Whether requests without a key are answered, as `ten_default` with every permission, while the database holds no
    /// key. [`serve`](crate::serve) turns it off for any address but a loopback one.
    pub open_access: bool,
    /// How long one request may take before it is answered with 504.
    pub request_time_max: Duration,
    /// Requests under way at once; one more is answered with 503.
    pub requests_at_once_max: usize,
    /// Requests of one key per second over time; more are answered with 429.
    pub requests_per_second_max: u32,
    /// Requests of one key at once after a pause.
    pub request_burst_max: u32,
    /// How long requests under way may still take when the server stops.
    pub stop_time_max: Duration,
}

impl Default for ApiSettings {
    /// Open while no key exists, 30 s, 1,024 at once, 5,000 per second with bursts of 5,000, 10 s to stop.
    fn default() -> Self {
        Self {
            open_access: true,
            request_time_max: Duration::from_secs(30),
            requests_at_once_max: 1_024,
            requests_per_second_max: 5_000,
            request_burst_max: 5_000,
            stop_time_max: Duration::from_secs(10),
        }
    }
}
