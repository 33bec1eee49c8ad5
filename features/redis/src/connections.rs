//! A small, bounded pool of blocking connections with time-outs; what is said over them is elsewhere.

use std::time::Duration;

use parking_lot::{Condvar, Mutex};
use redis::{Client, Connection, ConnectionInfo, IntoConnectionInfo};

use crate::{RedisError, RedisSettings};

/// How long a connection may take to be made.
pub const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);
/// How long Redis may be silent during one call.
pub const CALL_TIMEOUT: Duration = Duration::from_secs(10);
/// How long a call waits where all connections are in use.
pub const WAIT_TIMEOUT: Duration = Duration::from_secs(5);
/// The most connections that one pool may be given.
pub const CONNECTIONS_MAX: usize = 256;

/// How often a call that changes nothing is tried: a second time where its connection had been closed meanwhile.
const READ_TRIES: usize = 2;

/// Connections to one Redis.
pub(crate) struct Connections {
    client: Client,
    address: String,
    limit: usize,
    held: Mutex<Held>,
    returned: Condvar,
}

/// Connections that wait for a call, and the number of all.
#[derive(Default)]
struct Held {
    idle: Vec<Connection>,
    open: usize,
}

impl Connections {
    /// Makes the first connection and checks that what answers is fit to hold state.
    pub(crate) fn open(settings: &RedisSettings) -> Result<Self, RedisError> {
        if !(1..=CONNECTIONS_MAX).contains(&settings.connections) {
            let message = format!("{} connections; 1 to {CONNECTIONS_MAX} are allowed", settings.connections);
            return Err(RedisError::Settings(message));
        }
        if settings.partitions == 0 {
            return Err(RedisError::Settings("no partition; at least 1 is needed".to_owned()));
        }
        let wrong = |error: redis::RedisError| {
            RedisError::Settings(format!("the address is not like `redis://127.0.0.1:6379/0`: {error}"))
        };
        let info: ConnectionInfo = settings.address.as_str().into_connection_info().map_err(wrong)?;
        let tcp = info.tcp_settings().clone().set_nodelay(true);
        let (info, address) = (info.clone().set_tcp_settings(tcp), info.addr().to_string());
        let client = Client::open(info).map_err(wrong)?;
        let pool =
            Self { client, address, limit: settings.connections, held: Mutex::default(), returned: Condvar::new() };
        pool.check_eviction()?;
        Ok(pool)
    }

    fn check_eviction(&self) -> Result<(), RedisError> {
        let memory: String =
            self.read("asking for its settings", |connection| redis::cmd("INFO").arg("memory").query(connection))?;
        let policy = memory.lines().find_map(|line| line.trim().strip_prefix("maxmemory_policy:"));
        match policy {
            Some(policy) if policy.starts_with("allkeys") => {
                Err(RedisError::Evicts { address: self.address.clone(), policy: policy.to_owned() })
            }
            _ => Ok(()),
        }
    }

    /// Makes a call that changes nothing, again on another connection where the first had been closed.
    pub(crate) fn read<T>(
        &self,
        doing: &'static str,
        call: impl Fn(&mut Connection) -> redis::RedisResult<T>,
    ) -> Result<T, RedisError> {
        let mut tries = 1;
        loop {
            match self.once(&call)? {
                Err(error) if error.is_connection_dropped() && tries < READ_TRIES => {
                    tries += 1;
                    self.forget_idle();
                }
                answer => return answer.map_err(|error| self.failed(doing, &error)),
            }
        }
    }

    /// Makes a call that changes something, once.
    pub(crate) fn write<T>(
        &self,
        doing: &'static str,
        call: impl Fn(&mut Connection) -> redis::RedisResult<T>,
    ) -> Result<T, RedisError> {
        self.once(call)?.map_err(|error| self.failed(doing, &error))
    }

    fn once<T>(
        &self,
        call: impl Fn(&mut Connection) -> redis::RedisResult<T>,
    ) -> Result<redis::RedisResult<T>, RedisError> {
        let mut connection = self.take()?;
        let answer = call(&mut connection);
        // What fails may leave half an answer or a watched key behind, so such a connection is not used again.
        self.give_back(answer.is_ok().then_some(connection));
        Ok(answer)
    }

    /// Takes an idle connection, makes one, or waits for one.
    fn take(&self) -> Result<Connection, RedisError> {
        let mut held = self.held.lock();
        loop {
            if let Some(connection) = held.idle.pop() {
                return Ok(connection);
            }
            if held.open < self.limit {
                held.open += 1;
                drop(held);
                return self.connect().inspect_err(|_| self.give_back(None));
            }
            if self.returned.wait_for(&mut held, WAIT_TIMEOUT).timed_out() {
                let address = self.address.clone();
                return Err(RedisError::Busy { address, limit: self.limit, waited: WAIT_TIMEOUT });
            }
        }
    }

    /// Takes back a connection, or notes that one is gone.
    fn give_back(&self, connection: Option<Connection>) {
        let mut held = self.held.lock();
        match connection {
            Some(connection) => held.idle.push(connection),
            None => held.open -= 1,
        }
        self.returned.notify_one();
    }

    fn connect(&self) -> Result<Connection, RedisError> {
        let absent =
            |error: redis::RedisError| RedisError::Absent { address: self.address.clone(), reason: error.to_string() };
        let connection = self.client.get_connection_with_timeout(CONNECT_TIMEOUT).map_err(absent)?;
        connection.set_read_timeout(Some(CALL_TIMEOUT)).map_err(absent)?;
        connection.set_write_timeout(Some(CALL_TIMEOUT)).map_err(absent)?;
        Ok(connection)
    }

    /// Closes the idle connections: where one was closed by the other side, all are likely to be.
    fn forget_idle(&self) {
        let mut held = self.held.lock();
        held.open -= held.idle.len();
        held.idle.clear();
        self.returned.notify_all();
    }

    fn failed(&self, doing: &'static str, error: &redis::RedisError) -> RedisError {
        RedisError::Call { address: self.address.clone(), doing, reason: error.to_string() }
    }
}

impl std::fmt::Debug for Connections {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Connections").field("address", &self.address).field("limit", &self.limit).finish()
    }
}
