//! Traces: what requests spend their time on, sent to an OpenTelemetry collector by OTLP over HTTP.
//!
//! The parts record spans by `tracing`; here they get their way out of the process. A caller's `traceparent` header joins
//! its trace and decides whether the request is traced.

use std::time::Duration;

use anyhow::Context;
use async_trait::async_trait;
use clap::Args;
use opentelemetry::trace::TracerProvider;
use opentelemetry_http::{Bytes, HttpClient, HttpError, Request, Response};
use opentelemetry_otlp::{SpanExporter, WithExportConfig, WithHttpConfig};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::propagation::TraceContextPropagator;
use opentelemetry_sdk::trace::{Sampler, SdkTracerProvider};
use tokio::runtime::Handle;
use tracing::Subscriber;
use tracing_subscriber::Layer;
use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::registry::LookupSpan;

/// How long the spans that wait may take to leave when the process ends.
const LAST_EXPORT_PATIENCE: Duration = Duration::from_secs(3);
/// How long one export may take.
const EXPORT_TIMEOUT: Duration = Duration::from_secs(10);

/// Where traces go.
#[derive(Debug, Clone, Args)]
pub(crate) struct TraceArgs {
    /// Base URL of an OpenTelemetry collector (OTLP over HTTP), such as `http://127.0.0.1:4318`. Without it nothing is traced.
    #[arg(long, env = "OTEL_EXPORTER_OTLP_ENDPOINT", value_name = "URL", global = true)]
    otlp_endpoint: Option<String>,

    /// Share of the requests that are traced, 0 to 1, of those whose caller did not decide (`traceparent`).
    #[arg(long, env = "SORTITION_TRACE_SHARE", default_value_t = 0.01, value_parser = share, global = true)]
    trace_share: f64,
}

fn share(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(share) if (0.0..=1.0).contains(&share) => Ok(share),
        _ => Err("is not a number from 0 to 1".to_owned()),
    }
}

/// The way out of the process; ends what waits when it is dropped.
#[derive(Debug)]
pub(crate) struct Traces(SdkTracerProvider);

impl Traces {
    /// Sets the export up, if there is a place to export to. Must be called inside of the runtime.
    pub(crate) fn start(args: &TraceArgs) -> anyhow::Result<Option<Self>> {
        let Some(endpoint) = &args.otlp_endpoint else { return Ok(None) };
        let exporter = SpanExporter::builder()
            .with_http()
            .with_http_client(Client { http: reqwest::Client::new(), runtime: Handle::current() })
            .with_endpoint(format!("{}/v1/traces", endpoint.trim_end_matches('/')))
            .with_timeout(EXPORT_TIMEOUT)
            .build()
            .context("--otlp-endpoint")?;
        let provider = SdkTracerProvider::builder()
            .with_batch_exporter(exporter)
            .with_sampler(Sampler::ParentBased(Box::new(Sampler::TraceIdRatioBased(
                args.trace_share,
            ))))
            .with_resource(Resource::builder().with_service_name("sortition").build())
            .build();
        opentelemetry::global::set_text_map_propagator(TraceContextPropagator::new());
        Ok(Some(Self(provider)))
    }

    /// What hands the spans of requests to the export.
    pub(crate) fn layer<S: Subscriber + for<'s> LookupSpan<'s>>(&self) -> impl Layer<S> {
        let spans = Targets::new()
            .with_target("edge_worker", LevelFilter::TRACE)
            .with_target("control_plane", LevelFilter::INFO)
            .with_target("collector", LevelFilter::INFO);
        tracing_opentelemetry::layer().with_tracer(self.0.tracer("sortition")).with_filter(spans)
    }
}

impl Drop for Traces {
    fn drop(&mut self) {
        if let Err(error) = self.0.shutdown_with_timeout(LAST_EXPORT_PATIENCE) {
            tracing::warn!(%error, "the last spans were not exported");
        }
    }
}

/// The platform's HTTP client, lent to an exporter that has a thread of its own and no runtime.
#[derive(Debug)]
struct Client {
    http: reqwest::Client,
    runtime: Handle,
}

#[async_trait]
impl HttpClient for Client {
    async fn send_bytes(&self, request: Request<Bytes>) -> Result<Response<Bytes>, HttpError> {
        let http = self.http.clone();
        let sending = self.runtime.spawn(async move {
            let answer = http.execute(request.try_into()?).await?;
            let mut response = Response::builder().status(answer.status());
            if let Some(headers) = response.headers_mut() {
                *headers = answer.headers().clone();
            }
            Ok::<_, HttpError>(response.body(answer.bytes().await?)?)
        });
        sending.await?
    }
}
