//! The gRPC server: its bounds, its listener, and which path is which call; what calls do is the service's.

use std::convert::Infallible;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use futures::future::BoxFuture;
use tokio::net::TcpListener;
use tonic::body::Body;
use tonic::server::{Grpc, NamedService};
use tonic::{Request, Status};
use tonic_prost::ProstCodec;
use tower::service_fn;

use super::incoming::incoming;
use super::service::{Gate, Service};
use crate::inference::Inference;

/// The bounds of the server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct GrpcBounds {
    /// The largest message, in either direction, in bytes.
    pub message_bytes_max: usize,
    /// Connections that are open at once; one more waits to be accepted.
    pub connections_max: usize,
    /// Calls of one connection at once; more wait.
    pub streams_max: u32,
    /// How long one call may take before it is answered with DEADLINE_EXCEEDED; a caller's own deadline may be shorter.
    pub call_time_max: Duration,
    /// How long calls under way may still take when the server stops.
    pub stop_time_max: Duration,
}

/// The gRPC server ended.
#[derive(Debug, thiserror::Error)]
#[error("the gRPC server failed: {0}")]
pub struct GrpcError(#[from] tonic::transport::Error);

/// How often an idle connection is asked whether somebody is there, and how long its answer may take.
const KEEPALIVE_TIME: Duration = Duration::from_secs(60);

/// Serves the protocol on `listener` until `shutdown` ends.
///
/// # Errors
/// The listener fails.
pub async fn serve_grpc<G: Gate>(
    inference: Arc<Inference>,
    gate: Arc<G>,
    bounds: GrpcBounds,
    listener: TcpListener,
    shutdown: impl Future<Output = ()> + Send,
) -> Result<(), GrpcError> {
    let calls = Calls { service: Service { inference, gate }, bounds };
    let server = tonic::transport::Server::builder()
        .max_concurrent_streams(bounds.streams_max)
        .concurrency_limit_per_connection(bounds.streams_max as usize)
        .timeout(bounds.call_time_max)
        .http2_keepalive_interval(Some(KEEPALIVE_TIME))
        .http2_keepalive_timeout(Some(KEEPALIVE_TIME))
        .add_service(calls);
    let (stopping, stopped) = tokio::sync::oneshot::channel::<()>();
    let told = async move {
        shutdown.await;
        // Nobody listens where serving ended by itself.
        let _ended = stopping.send(());
    };
    let served = server.serve_with_incoming_shutdown(incoming(listener, bounds.connections_max), told);
    let cut_off = async move {
        // A dropped sender means that serving ended by itself, which the other branch tells.
        if stopped.await.is_ok() {
            tokio::time::sleep(bounds.stop_time_max).await;
        } else {
            std::future::pending::<()>().await;
        }
    };
    tokio::select! {
        ended = served => Ok(ended?),
        () = cut_off => {
            tracing::warn!("gRPC calls were cut off: they did not end in time");
            Ok(())
        }
    }
}

/// All calls, by their paths.
struct Calls<G> {
    service: Service<G>,
    bounds: GrpcBounds,
}

impl<G> Clone for Calls<G> {
    fn clone(&self) -> Self {
        Self { service: self.service.clone(), bounds: self.bounds }
    }
}

impl<G: Gate> NamedService for Calls<G> {
    const NAME: &'static str = "inference.GRPCInferenceService";
}

impl<G: Gate> tower::Service<http::Request<Body>> for Calls<G> {
    type Response = http::Response<Body>;
    type Error = Infallible;
    type Future = BoxFuture<'static, Result<Self::Response, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<Body>) -> Self::Future {
        let Self { service, bounds } = self.clone();
        /// Answers one call by a method of the service.
        macro_rules! unary {
            ($method:ident) => {{
                let call = service_fn(move |request: Request<_>| service.clone().$method(request));
                Grpc::new(ProstCodec::default())
                    .max_decoding_message_size(bounds.message_bytes_max)
                    .max_encoding_message_size(bounds.message_bytes_max)
                    .unary(call, request)
                    .await
            }};
        }
        Box::pin(async move {
            let call = request.uri().path().rsplit('/').next().unwrap_or_default().to_owned();
            Ok(match call.as_str() {
                "ServerLive" => unary!(server_live),
                "ServerReady" => unary!(server_ready),
                "ModelReady" => unary!(model_ready),
                "ServerMetadata" => unary!(server_metadata),
                "ModelMetadata" => unary!(model_metadata),
                "ModelConfig" => unary!(model_config),
                "ModelStatistics" => unary!(model_statistics),
                "RepositoryIndex" => unary!(repository_index),
                "RepositoryModelLoad" => unary!(load),
                "RepositoryModelUnload" => unary!(unload),
                "ModelInfer" => unary!(infer),
                "ModelStreamInfer" => {
                    let call = service_fn(move |request: Request<_>| service.clone().infer_stream(request));
                    Grpc::new(ProstCodec::default())
                        .max_decoding_message_size(bounds.message_bytes_max)
                        .max_encoding_message_size(bounds.message_bytes_max)
                        .streaming(call, request)
                        .await
                }
                _ => Status::unimplemented(format!("`{call}` is not supported")).into_http(),
            })
        })
    }
}
