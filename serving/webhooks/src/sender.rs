//! The client that carries messages: it checks URLs and addresses, bounds time and size, and reports the status; it tries once.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use reqwest::redirect::Policy;
use reqwest::{Client, Response};
use url::{Host, Url};

use crate::is_public;

/// How long one attempt may take, from the name to the end of the answer.
pub const ATTEMPT_TIME_MAX: Duration = Duration::from_secs(15);
/// How long of it the connection may take.
pub const CONNECT_TIME_MAX: Duration = Duration::from_secs(5);
/// Bytes that are read of an answer, so that its connection can be used again; nothing is made of them.
pub const ANSWER_BYTES_MAX: usize = 64 * 1024;
/// The longest URL.
pub const URL_BYTES_MAX: usize = 2_048;
/// How long a connection without a message is kept.
const IDLE_TIME_MAX: Duration = Duration::from_secs(30);

/// A URL that no message is sent to.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct UrlError(String);

/// Why a message did not arrive, as far as it is known.
#[derive(Debug, thiserror::Error)]
pub enum SendError {
    /// The URL leads where no message is sent to.
    #[error(transparent)]
    Url(#[from] UrlError),
    /// No answer came.
    #[error("{0}")]
    NoAnswer(String),
}

/// A message with the headers of Standard Webhooks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignedMessage {
    /// `webhook-id`: the same in every attempt.
    pub id: String,
    /// `webhook-timestamp`: when this attempt is made, in seconds since 1970.
    pub timestamp: String,
    /// `webhook-signature`: one signature or several with spaces between them.
    pub signature: String,
    /// The JSON.
    pub body: Vec<u8>,
}

/// Sends messages.
#[derive(Debug, Clone)]
pub struct WebhookSender {
    client: Client,
    allow_loopback: bool,
}

impl WebhookSender {
    /// A sender. With `allow_loopback`, for tests and work on one machine, this machine may be sent to, by plain HTTP too.
    ///
    /// # Errors
    /// The system's certificates cannot be read.
    pub fn new(allow_loopback: bool) -> Result<Self, SendError> {
        let client = Client::builder()
            .user_agent(concat!("dhow-webhooks/", env!("CARGO_PKG_VERSION")))
            .no_proxy()
            .redirect(Policy::none())
            .https_only(!allow_loopback)
            .dns_resolver(Arc::new(CheckedNames { allow_loopback }))
            .connect_timeout(CONNECT_TIME_MAX)
            .timeout(ATTEMPT_TIME_MAX)
            .pool_idle_timeout(IDLE_TIME_MAX)
            .build()
            .map_err(|error| SendError::NoAnswer(chain(&error)))?;
        Ok(Self { client, allow_loopback })
    }

    /// Whether messages may be sent to `text`: `https`, a public host, no user or password. A name is resolved, and checked
    /// again, only when a message is sent.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn check_url(&self, text: &str) -> Result<(), UrlError> {
        self.parse(text).map(drop)
    }

    fn parse(&self, text: &str) -> Result<Url, UrlError> {
        let refuse = |why: String| Err(UrlError(why));
        if text.len() > URL_BYTES_MAX {
            return refuse(format!("has {} bytes; at most {URL_BYTES_MAX} are taken", text.len()));
        }
        let url = Url::parse(text).map_err(|error| UrlError(format!("is not a URL: {error}")))?;
        if !url.username().is_empty() || url.password().is_some() {
            return refuse("must not hold a user or a password; messages are signed".to_owned());
        }
        let own_machine = match url.host() {
            None => return refuse("must name a host".to_owned()),
            Some(Host::Domain(name)) => name == "localhost",
            Some(Host::Ipv4(address)) => self.is_loopback_among(&[address.into()])?,
            Some(Host::Ipv6(address)) => self.is_loopback_among(&[address.into()])?,
        };
        match url.scheme() {
            "https" => Ok(url),
            "http" if own_machine && self.allow_loopback => Ok(url),
            _ => refuse("must begin with https://".to_owned()),
        }
    }

    fn is_loopback_among(&self, addresses: &[IpAddr]) -> Result<bool, UrlError> {
        check_addresses(addresses, self.allow_loopback)?;
        Ok(addresses.iter().any(|address| is_loopback(*address)))
    }

    /// Sends a message once and gives the status of the answer.
    ///
    /// # Errors
    /// A URL or an address that is refused; no connection, no answer in time, no certificate that is trusted.
    pub async fn send(&self, url: &str, message: SignedMessage) -> Result<u16, SendError> {
        let url = self.parse(url)?;
        let sent = self
            .client
            .post(url)
            .header("content-type", "application/json")
            .header("webhook-id", message.id)
            .header("webhook-timestamp", message.timestamp)
            .header("webhook-signature", message.signature)
            .body(message.body)
            .send();
        let answer = sent.await.map_err(|error| SendError::NoAnswer(chain(&error.without_url())))?;
        let status = answer.status().as_u16();
        read_off(answer).await;
        Ok(status)
    }
}

/// Reads a bounded part of the answer; the status has come and counts, whatever becomes of the rest.
async fn read_off(mut answer: Response) {
    let mut left = ANSWER_BYTES_MAX;
    while let Ok(Some(chunk)) = answer.chunk().await {
        match left.checked_sub(chunk.len()) {
            Some(rest) => left = rest,
            None => return,
        }
    }
}

/// Resolves names and refuses those that lead into our own network.
struct CheckedNames {
    allow_loopback: bool,
}

impl Resolve for CheckedNames {
    fn resolve(&self, name: Name) -> Resolving {
        let allow_loopback = self.allow_loopback;
        Box::pin(async move {
            let found: Vec<SocketAddr> = tokio::net::lookup_host((name.as_str(), 0)).await?.collect();
            let addresses: Vec<IpAddr> = found.iter().map(SocketAddr::ip).collect();
            check_addresses(&addresses, allow_loopback)?;
            Ok(Box::new(found.into_iter()) as Addrs)
        })
    }
}

/// One closed address among several is enough to refuse: which of them is taken is not ours to choose.
fn check_addresses(addresses: &[IpAddr], allow_loopback: bool) -> Result<(), UrlError> {
    let allowed = |address: &IpAddr| is_public(*address) || (allow_loopback && is_loopback(*address));
    if addresses.iter().all(allowed) {
        return Ok(());
    }
    Err(UrlError("leads to an address that is not public; messages are sent to public ones only".to_owned()))
}

fn is_loopback(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => address.is_loopback(),
        IpAddr::V6(address) => address.is_loopback() || address.to_ipv4_mapped().is_some_and(|v4| v4.is_loopback()),
    }
}

/// An error with what caused it.
fn chain(error: &dyn std::error::Error) -> String {
    let mut words = error.to_string();
    let mut cause = error.source();
    while let Some(inner) = cause {
        words = format!("{words}: {inner}");
        cause = inner.source();
    }
    words
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;

    use super::*;

    fn message() -> SignedMessage {
        let (id, timestamp, signature) = ("evt_1".to_owned(), "1".to_owned(), "v1,AAAA".to_owned());
        SignedMessage { id, timestamp, signature, body: b"{}".to_vec() }
    }

    #[test]
    fn only_https_to_public_hosts_is_taken_however_an_address_is_written() {
        let sender = WebhookSender::new(false).expect("a client");
        for url in ["https://shop.example/hooks?a=b", "https://8.8.8.8/", "https://[2606:4700:4700::1111]:8443/x"] {
            assert_eq!(sender.check_url(url), Ok(()), "{url}");
        }
        for url in [
            "http://shop.example/",
            "ftp://shop.example/",
            "shop.example",
            "https://",
            "https://user:pass@shop.example/",
            "https://127.0.0.1/",
            "https://2130706433/",
            "https://0x7f.1/",
            "https://127.1/",
            "https://[::1]/",
            "https://[::ffff:127.0.0.1]/",
            "https://169.254.169.254/latest/meta-data",
            "https://10.0.0.1/",
            "https://[fe80::1]/",
            "https://0/",
            "http://localhost/",
        ] {
            assert!(sender.check_url(url).is_err(), "{url}");
        }
        assert!(sender.check_url(&format!("https://shop.example/{}", "a".repeat(URL_BYTES_MAX))).is_err());
        let local = WebhookSender::new(true).expect("a client");
        for url in ["http://127.0.0.1:8080/", "http://localhost:1/", "http://[::1]:1/", "https://shop.example/"] {
            assert_eq!(local.check_url(url), Ok(()), "{url}");
        }
        for url in ["http://10.0.0.1/", "https://192.168.1.1/", "http://shop.example/"] {
            assert!(local.check_url(url).is_err(), "{url}");
        }
    }

    #[tokio::test]
    async fn a_name_that_leads_to_this_machine_is_refused_when_it_is_resolved() {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let port = listener.local_addr().expect("an address").port();
        let sender = WebhookSender::new(false).expect("a client");
        let refused = sender.send(&format!("https://localhost:{port}/"), message()).await;
        let words = refused.expect_err("it is our own machine").to_string();
        assert!(words.contains("not public"), "{words}");
        let knocked = tokio::time::timeout(Duration::from_millis(50), listener.accept()).await;
        assert!(knocked.is_err(), "nobody connected");
    }

    #[tokio::test]
    async fn a_redirect_is_an_answer_and_is_not_followed() {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let url = format!("http://{}/", listener.local_addr().expect("an address"));
        let serve = async {
            let (mut stream, _) = listener.accept().await.expect("a connection");
            let mut request = [0; 4_096];
            let count = stream.read(&mut request).await.expect("a request");
            let answer = "HTTP/1.1 307 Temporary Redirect\r\nlocation: /again\r\ncontent-length: 0\r\n\r\n";
            stream.write_all(answer.as_bytes()).await.expect("it is sent");
            String::from_utf8_lossy(&request[..count]).to_lowercase()
        };
        let sender = WebhookSender::new(true).expect("a client");
        let (status, request) = tokio::join!(sender.send(&url, message()), serve);
        assert_eq!(status.expect("it is answered"), 307);
        for header in ["webhook-id: evt_1", "webhook-timestamp: 1", "webhook-signature: v1,aaaa", "application/json"] {
            assert!(request.contains(header), "{request}");
        }
    }
}
