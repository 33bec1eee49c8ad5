//! Connections of the gRPC server, of which only so many are open at once; one more waits to be accepted.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use futures::Stream;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tonic::transport::server::{Connected, TcpConnectInfo};

/// How long accepting pauses where the system is out of something, such as file handles.
const ACCEPT_PAUSE: Duration = Duration::from_millis(200);

/// A connection and its place among those that may be open.
pub(super) struct Placed {
    stream: TcpStream,
    _place: OwnedSemaphorePermit,
}

/// Accepts connections, each once there is a place for it.
pub(super) fn incoming(listener: TcpListener, connections_max: usize) -> impl Stream<Item = io::Result<Placed>> {
    let places = Arc::new(Semaphore::new(connections_max));
    futures::stream::unfold((listener, places), |(listener, places)| async move {
        loop {
            match accept(&listener, places.clone()).await {
                Ok(placed) => return Some((Ok(placed), (listener, places))),
                Err(error) => {
                    tracing::error!(%error, "a gRPC connection was not accepted");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            }
        }
    })
}

async fn accept(listener: &TcpListener, places: Arc<Semaphore>) -> io::Result<Placed> {
    let place = places.acquire_owned().await.map_err(io::Error::other)?;
    let (stream, _) = listener.accept().await?;
    // Answers are small and whole: waiting to fill a packet only delays them.
    stream.set_nodelay(true)?;
    Ok(Placed { stream, _place: place })
}

impl Connected for Placed {
    type ConnectInfo = TcpConnectInfo;

    fn connect_info(&self) -> TcpConnectInfo {
        self.stream.connect_info()
    }
}

impl AsyncRead for Placed {
    fn poll_read(mut self: Pin<&mut Self>, context: &mut Context<'_>, into: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(context, into)
    }
}

impl AsyncWrite for Placed {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}
