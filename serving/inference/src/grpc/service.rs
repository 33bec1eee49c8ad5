//! What each call does, once it was let in; how calls come in is the server's.

use std::sync::Arc;

use async_trait::async_trait;
use dhow_events::TenantId;
use futures::{Stream, StreamExt};
use http::HeaderMap;
use tonic::metadata::MetadataMap;
use tonic::{Request, Response, Status, Streaming};

use super::convert::{answer, named, request};
use super::messages::*;
use crate::describe::ServerMetadata;
use crate::error::InferenceError;
use crate::inference::Inference;

/// What a call asks of its caller.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Need {
    /// To see which models there are.
    Read,
    /// To ask a model.
    Infer,
    /// To load and unload.
    Change,
}

/// A caller that was let in.
pub trait GrpcCaller: Send + Sync + 'static {
    /// Whose models it may see.
    fn tenant(&self) -> TenantId;
}

/// A change that was asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// The call, such as `RepositoryModelLoad`.
    pub call: &'static str,
    /// The model's name.
    pub model: String,
    /// How it ended.
    pub outcome: Result<(), InferenceError>,
}

/// Who may call what; the server's own keys stand behind it.
#[async_trait]
pub trait Gate: Send + Sync + 'static {
    /// A caller that was let in.
    type Caller: GrpcCaller;

    /// Lets a call in by its headers, or says why not.
    ///
    /// # Errors
    /// No key, one that does not grant this, or a rate that is spent.
    async fn admit(&self, headers: &HeaderMap, need: Need) -> Result<Self::Caller, InferenceError>;

    /// Whether requests can be answered at all.
    async fn is_ready(&self) -> bool;

    /// Writes down a change that was asked for.
    async fn changed(&self, caller: &Self::Caller, change: Change);
}

/// The calls of the protocol.
pub(super) struct Service<G> {
    pub inference: Arc<Inference>,
    pub gate: Arc<G>,
}

impl<G> Clone for Service<G> {
    fn clone(&self) -> Self {
        Self { inference: self.inference.clone(), gate: self.gate.clone() }
    }
}

type Answered<T> = Result<Response<T>, Status>;

impl<G: Gate> Service<G> {
    async fn admit<T>(&self, request: Request<T>, need: Need) -> Result<(G::Caller, T), Status> {
        let (metadata, _, message) = request.into_parts();
        let caller = self.gate.admit(&headers(metadata), need).await?;
        Ok((caller, message))
    }

    pub async fn server_live(self, _: Request<Empty>) -> Answered<ServerLiveResponse> {
        Ok(Response::new(ServerLiveResponse { live: true }))
    }

    pub async fn server_ready(self, _: Request<Empty>) -> Answered<ServerReadyResponse> {
        Ok(Response::new(ServerReadyResponse { ready: self.gate.is_ready().await }))
    }

    pub async fn model_ready(self, request: Request<NameRequest>) -> Answered<ModelReadyResponse> {
        let (caller, NameRequest { name, version }) = self.admit(request, Need::Read).await?;
        let ready = self.inference.served(caller.tenant(), &name, named(&version)).is_ok();
        Ok(Response::new(ModelReadyResponse { ready }))
    }

    pub async fn server_metadata(self, request: Request<Empty>) -> Answered<ServerMetadataResponse> {
        self.admit(request, Need::Read).await?;
        Ok(Response::new(ServerMetadata::this().into()))
    }

    pub async fn model_metadata(self, request: Request<NameRequest>) -> Answered<ModelMetadataResponse> {
        let (caller, NameRequest { name, version }) = self.admit(request, Need::Read).await?;
        Ok(Response::new(self.inference.metadata(caller.tenant(), &name, named(&version))?.into()))
    }

    pub async fn model_config(self, request: Request<NameRequest>) -> Answered<ModelConfigResponse> {
        let (caller, NameRequest { name, version }) = self.admit(request, Need::Read).await?;
        let config = self.inference.config(caller.tenant(), &name, named(&version))?;
        Ok(Response::new(ModelConfigResponse { config: Some(config.into()) }))
    }

    pub async fn model_statistics(self, request: Request<NameRequest>) -> Answered<ModelStatisticsResponse> {
        let (caller, NameRequest { name, version }) = self.admit(request, Need::Read).await?;
        let figures = self.inference.statistics(caller.tenant(), named(&name), named(&version))?;
        let model_stats = figures.into_iter().map(Into::into).collect();
        Ok(Response::new(ModelStatisticsResponse { model_stats }))
    }

    pub async fn repository_index(self, request: Request<RepositoryIndexRequest>) -> Answered<RepositoryIndexResponse> {
        let (caller, message) = self.admit(request, Need::Read).await?;
        let (inference, tenant) = (self.inference.clone(), caller.tenant());
        let read = tokio::task::spawn_blocking(move || inference.index(tenant, message.ready)).await;
        let models = read.map_err(|error| Status::internal(error.to_string()))??;
        Ok(Response::new(RepositoryIndexResponse { models: models.into_iter().map(Into::into).collect() }))
    }

    pub async fn load(self, request: Request<RepositoryModelRequest>) -> Answered<Empty> {
        let (caller, RepositoryModelRequest { model_name: model, parameters, .. }) =
            self.admit(request, Need::Change).await?;
        let outcome = match version_of(&parameters) {
            Ok(version) => self.inference.load(caller.tenant(), &model, version.as_deref()).await,
            Err(error) => Err(error),
        };
        let change = Change { call: "RepositoryModelLoad", model, outcome: outcome.clone() };
        self.gate.changed(&caller, change).await;
        outcome.map(|()| Response::new(Empty {})).map_err(Status::from)
    }

    pub async fn unload(self, request: Request<RepositoryModelRequest>) -> Answered<Empty> {
        let (caller, RepositoryModelRequest { model_name: model, .. }) = self.admit(request, Need::Change).await?;
        let outcome = self.inference.unload(caller.tenant(), &model);
        let change = Change { call: "RepositoryModelUnload", model, outcome: outcome.clone() };
        self.gate.changed(&caller, change).await;
        outcome.map(|()| Response::new(Empty {})).map_err(Status::from)
    }

    pub async fn infer(self, request: Request<ModelInferRequest>) -> Answered<ModelInferResponse> {
        let (caller, message) = self.admit(request, Need::Infer).await?;
        Ok(Response::new(self.ask(caller.tenant(), message).await?))
    }

    /// Answers requests in their order; one that fails is answered with its error, and the stream goes on.
    pub async fn infer_stream(
        self,
        request: Request<Streaming<ModelInferRequest>>,
    ) -> Answered<impl Stream<Item = Result<ModelStreamInferResponse, Status>> + Send + use<G>> {
        let (metadata, _, requests) = request.into_parts();
        let headers = headers(metadata);
        self.gate.admit(&headers, Need::Infer).await?;
        let answers = requests.then(move |message| {
            let (service, headers) = (self.clone(), headers.clone());
            async move {
                let message = message?;
                // Each request counts for the caller's rate, and a key that is revoked works no more.
                let admitted = service.gate.admit(&headers, Need::Infer).await;
                let answered = match admitted {
                    Ok(caller) => service.ask(caller.tenant(), message).await,
                    Err(error) => Err(error),
                };
                Ok(match answered {
                    Ok(answer) => ModelStreamInferResponse { infer_response: Some(answer), ..Default::default() },
                    Err(error) => ModelStreamInferResponse { error_message: error.message, ..Default::default() },
                })
            }
        });
        Ok(Response::new(answers))
    }

    async fn ask(&self, tenant: TenantId, message: ModelInferRequest) -> Result<ModelInferResponse, InferenceError> {
        let (name, version) = (message.model_name.clone(), message.model_version.clone());
        let request = request(message)?;
        Ok(answer(self.inference.infer(tenant, &name, named(&version), request).await?))
    }
}

fn headers(metadata: MetadataMap) -> HeaderMap {
    metadata.into_headers()
}

/// The version that a load asks for; other parameters would change a model, which is immutable.
fn version_of(
    parameters: &std::collections::HashMap<String, ModelRepositoryParameter>,
) -> Result<Option<String>, InferenceError> {
    let mut version = None;
    for (name, value) in parameters {
        match (name.as_str(), &value.choice) {
            ("version", Some(ModelRepositoryParameterChoice::Text(text))) => version = Some(text.clone()),
            _ => {
                return Err(InferenceError::unsupported(format!(
                    "parameter `{name}` of a load is not supported; `version` with a text is"
                )));
            }
        }
    }
    Ok(version)
}
