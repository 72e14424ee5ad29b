//! Traces of requests arrive at an OpenTelemetry collector.

use std::net::{Ipv4Addr, SocketAddr};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use axum::routing::post;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::trace::v1::Span;
use prost::Message as _;
use rustix::process::{Pid, Signal, kill_process};
use tokio::net::TcpListener;
use tokio::sync::mpsc;

const SAMPLED: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
const NOT_SAMPLED: &str = "00-5bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-00";

/// An OTLP receiver that hands on the spans it is sent.
async fn receiver() -> (SocketAddr, mpsc::UnboundedReceiver<Span>) {
    let (sender, spans) = mpsc::unbounded_channel();
    let take = move |body: Bytes| async move {
        let export = ExportTraceServiceRequest::decode(body).expect("the body is OTLP");
        let spans = export.resource_spans.into_iter().flat_map(|r| r.scope_spans);
        for span in spans.flat_map(|scope| scope.spans) {
            let _ = sender.send(span);
        }
    };
    let routes = Router::new().route("/v1/traces", post(take));
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("a port is free");
    let address = listener.local_addr().expect("it is bound");
    tokio::spawn(async move { axum::serve(listener, routes).await });
    (address, spans)
}

fn edge(listen: SocketAddr, otlp: SocketAddr) -> Child {
    Command::new(env!("CARGO_BIN_EXE_sortition"))
        .args(["edge", "--listen", &listen.to_string(), "--metrics-listen", "127.0.0.1:0"])
        .args(["--otlp-endpoint", &format!("http://{otlp}"), "--trace-share", "0"])
        .stderr(Stdio::null())
        .spawn()
        .expect("the program starts")
}

fn attribute(span: &Span, key: &str) -> Option<String> {
    let value = span.attributes.iter().find(|attribute| attribute.key == key)?.value.clone()?;
    Some(format!("{:?}", value.value?))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_of_a_traced_caller_joins_its_trace_and_others_do_not() {
    let (otlp, mut spans) = receiver().await;
    let free = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("a port is free");
    let listen = free.local_addr().expect("it is bound");
    drop(free);
    let mut child = edge(listen, otlp);
    let client = reqwest::Client::new();
    while client.get(format!("http://{listen}/healthz")).send().await.is_err() {
        assert!(child.try_wait().expect("it can be asked").is_none(), "the edge ended");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    for traceparent in [NOT_SAMPLED, SAMPLED] {
        let answer = client
            .post(format!("http://{listen}/v1/evaluate"))
            .header("traceparent", traceparent)
            .header("content-type", "application/json")
            .bearer_auth("sk_server_none_secret")
            .body(r#"{"units": {"user_id": "u-1"}, "keys": ["absent"]}"#)
            .send()
            .await
            .expect("the edge answers");
        assert_eq!(answer.status(), 200);
    }
    let id = i32::try_from(child.id()).ok().and_then(Pid::from_raw).expect("it runs");
    kill_process(id, Signal::TERM).expect("it runs");
    assert!(child.wait().expect("it ends").success());

    let span = spans.recv().await.expect("what waits is exported at the end");
    assert_eq!(hex::encode(&span.trace_id), "4bf92f3577b34da6a3ce929d0e0e4736");
    assert_eq!(hex::encode(&span.parent_span_id), "00f067aa0ba902b7");
    assert_eq!(span.name, "POST /v1/evaluate");
    assert_eq!(attribute(&span, "http.response.status_code").as_deref(), Some("IntValue(200)"));
    assert!(spans.try_recv().is_err(), "no other request was to be traced");
}
