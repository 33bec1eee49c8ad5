//! One kept HTTP/1.1 connection to loopback that sends prepared bytes and looks for the answer; no pipelining, no TLS.
//!
//! It never blocks, so that one thread can hold many connections, and it takes little of the processor: the generator
//! shares the cores with the server that it measures.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream, ToSocketAddrs};
use std::time::{Duration, Instant};

/// An answer that takes longer counts as failed.
pub const ANSWER_TIME_MAX: Duration = Duration::from_secs(10);
/// Between two looks for an answer: a latency can be longer than it was by so much.
pub const RECEIVE_EVERY: Duration = Duration::from_micros(50);
/// The longest answer that is read.
const ANSWER_BYTES_MAX: usize = 64 << 20;
const READ_BYTES: usize = 16 << 10;

/// The address of `url`, for example `http://127.0.0.1:8080`.
///
/// # Errors
/// No such address, or one that is not on loopback.
pub fn loopback_address(url: &str) -> Result<SocketAddr, String> {
    let host = url.strip_prefix("http://").ok_or_else(|| format!("`{url}` must begin with http://"))?;
    let mut addresses = host.to_socket_addrs().map_err(|e| format!("`{url}`: {e}"))?;
    addresses
        .find(|address| address.ip().is_loopback())
        .ok_or_else(|| format!("`{url}` is not on loopback; this program sends nowhere else"))
}

/// The bytes of a request. `body` is JSON, or empty.
pub fn request_bytes(method: &str, path: &str, body: &str, key: Option<&str>) -> Vec<u8> {
    let authorization = key.map_or(String::new(), |key| format!("authorization: Bearer {key}\r\n"));
    let length = body.len();
    format!("{method} {path} HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n{authorization}content-length: {length}\r\n\r\n{body}")
        .into_bytes()
}

/// The same bytes with one more header.
pub fn with_header(request: &[u8], name: &str, value: &str) -> Vec<u8> {
    let first_line = request.windows(2).position(|pair| pair == b"\r\n").map_or(request.len(), |at| at + 2);
    let header = format!("{name}: {value}\r\n");
    [&request[..first_line], header.as_bytes(), &request[first_line..]].concat()
}

/// An answer: its status and where in the bytes read its body begins.
type Answered = (u16, usize);

/// A connection that is opened again after a failure.
pub struct Connection {
    address: SocketAddr,
    /// Never blocks.
    stream: Option<TcpStream>,
    /// The answer as far as it was read.
    answer: Vec<u8>,
    /// Status, start and length of the body, once the head was read.
    head: Option<(u16, usize, usize)>,
}

impl Connection {
    /// Connects.
    ///
    /// # Errors
    /// Nobody listens there.
    pub fn open(address: SocketAddr) -> io::Result<Self> {
        Ok(Self { address, stream: Some(connect(address)?), answer: Vec::with_capacity(READ_BYTES), head: None })
    }

    /// Sends `request`; the answer to the one before was received.
    ///
    /// # Errors
    /// The connection broke; the next call connects anew.
    pub fn send(&mut self, request: &[u8]) -> io::Result<()> {
        let mut stream = match self.stream.take() {
            Some(stream) => stream,
            None => connect(self.address)?,
        };
        self.head = None;
        self.answer.clear();
        let mut rest = request;
        while !rest.is_empty() {
            match stream.write(rest) {
                Ok(count) => rest = &rest[count..],
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => std::thread::sleep(RECEIVE_EVERY),
                Err(error) => return Err(error),
            }
        }
        self.stream = Some(stream);
        Ok(())
    }

    /// The answer's status, if all of it is here; waits for nothing.
    ///
    /// # Errors
    /// The connection broke, or the answer is no HTTP with a length. The next request connects anew.
    pub fn receive(&mut self) -> io::Result<Option<u16>> {
        Ok(self.try_receive()?.map(|(status, _)| status))
    }

    /// Sends `request`, waits for the answer and gives its status and body.
    ///
    /// # Errors
    /// Those of sending and receiving, or [`ANSWER_TIME_MAX`] passed.
    pub fn exchange(&mut self, request: &[u8]) -> io::Result<(u16, &[u8])> {
        self.send(request)?;
        let begin = Instant::now();
        loop {
            if let Some((status, body_start)) = self.try_receive()? {
                return Ok((status, &self.answer[body_start..]));
            }
            if begin.elapsed() > ANSWER_TIME_MAX {
                self.abandon();
                return Err(io::ErrorKind::TimedOut.into());
            }
            std::thread::sleep(RECEIVE_EVERY);
        }
    }

    /// Gives the answer up; the next request connects anew.
    pub fn abandon(&mut self) {
        self.stream = None;
    }

    fn try_receive(&mut self) -> io::Result<Option<Answered>> {
        let mut stream = self.stream.take().ok_or(io::ErrorKind::NotConnected)?;
        loop {
            let read = self.answer.len();
            self.answer.resize(read + READ_BYTES, 0);
            let count = stream.read(&mut self.answer[read..]);
            self.answer.truncate(read + count.as_ref().map_or(0, |count| *count));
            match count {
                Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
                Ok(_) => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    self.stream = Some(stream);
                    return Ok(None);
                }
                Err(error) => return Err(error),
            }
            if self.head.is_none() {
                self.head = parse_head(&self.answer)?;
            }
            match self.head {
                Some((status, body_start, length)) if self.answer.len() == body_start + length => {
                    self.stream = Some(stream);
                    return Ok(Some((status, body_start)));
                }
                Some((_, body_start, length)) if self.answer.len() > body_start + length => {
                    return Err(invalid("more bytes than its length came with an answer"));
                }
                _ => {}
            }
        }
    }
}

fn connect(address: SocketAddr) -> io::Result<TcpStream> {
    let stream = TcpStream::connect(address)?;
    stream.set_nodelay(true)?;
    stream.set_nonblocking(true)?;
    Ok(stream)
}

/// Status, start and length of the body, once the whole head is there.
fn parse_head(bytes: &[u8]) -> io::Result<Option<(u16, usize, usize)>> {
    let Some(end) = bytes.windows(4).position(|four| four == b"\r\n\r\n") else { return Ok(None) };
    let head = std::str::from_utf8(&bytes[..end]).map_err(|_| invalid("the head of an answer is not UTF-8"))?;
    let mut lines = head.lines();
    let status = lines.next().and_then(|line| line.split(' ').nth(1)?.parse().ok());
    let status = status.ok_or_else(|| invalid("an answer has no status"))?;
    let mut fields = lines.filter_map(|line| line.split_once(':'));
    let length = fields.find(|(name, _)| name.eq_ignore_ascii_case("content-length"));
    let length: usize = length
        .and_then(|(_, value)| value.trim().parse().ok())
        .filter(|length| *length <= ANSWER_BYTES_MAX)
        .ok_or_else(|| invalid("an answer has no content-length, or one above 64 MiB"))?;
    Ok(Some((status, end + 4, length)))
}

fn invalid(message: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, message)
}
