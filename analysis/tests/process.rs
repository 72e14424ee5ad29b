//! The analysis process: cycles that hand reports in, refusals, retries, and a clean end.

mod support;

use std::time::Duration;

use analysis::report::ReportBatch;
use analysis::{Settings, run, run_once};
use serde_json::json;
use support::LakeWriter;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

/// One request as the control plane saw it.
struct Seen {
    head: String,
    body: Vec<u8>,
}

/// A control plane that answers the given statuses in turn, then 200.
async fn control_plane(mut statuses: Vec<u16>) -> (String, mpsc::UnboundedReceiver<Seen>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let url = format!("http://{}", listener.local_addr().expect("an address"));
    let (sender, receiver) = mpsc::unbounded_channel();
    tokio::spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.expect("a connection");
            let status = if statuses.is_empty() { 200 } else { statuses.remove(0) };
            let seen = answer(stream, status).await;
            if sender.send(seen).is_err() {
                return;
            }
        }
    });
    (url, receiver)
}

async fn answer(mut stream: TcpStream, status: u16) -> Seen {
    let mut bytes = Vec::new();
    let head_end = loop {
        stream.read_buf(&mut bytes).await.expect("a request");
        if let Some(end) = bytes.windows(4).position(|window| window == b"\r\n\r\n") {
            break end + 4;
        }
    };
    let head = String::from_utf8_lossy(&bytes[..head_end]).to_lowercase();
    let length = head
        .lines()
        .find_map(|line| line.strip_prefix("content-length: "))
        .map_or(0, |length| length.trim().parse::<usize>().expect("a number"));
    while bytes.len() < head_end + length {
        stream.read_buf(&mut bytes).await.expect("a body");
    }
    let text = format!(
        "HTTP/1.1 {status} X\r\ncontent-type: application/json\r\nconnection: close\r\n\
         content-length: 14\r\n\r\n{{\"accepted\":1}}"
    );
    stream.write_all(text.as_bytes()).await.expect("an answer");
    Seen { head, body: bytes[head_end..].to_vec() }
}

fn store(folder: &std::path::Path) -> LakeWriter {
    let lake = LakeWriter::new(folder, "shop");
    let plan = json!({
        "project": "shop", "environment": "production-aaaaaaaa", "generation": 9,
        "created_at": "2026-11-20T00:00:00Z",
        "experiments": [{
            "id": "1", "experiment": "colour", "status": "running", "unit_type": "user_id",
            "alpha": 0.05, "power": 0.8,
            "variants": [{"variant": "a", "share": 5000}, {"variant": "b", "share": 5000}],
        }],
    });
    lake.publish(&serde_json::from_value(plan).expect("a plan"));
    lake
}

fn settings(lake: &LakeWriter, url: &str) -> Settings {
    Settings {
        store: lake.url(),
        control_plane: Some(url.to_owned()),
        token: Some("st_secret".to_owned()),
        interval: Duration::from_millis(20),
        ..Settings::default()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn reports_are_handed_in_with_the_token_and_tried_again() {
    let folder = tempfile::tempdir().expect("a folder");
    let lake = store(folder.path());
    let (url, mut seen) = control_plane(vec![503, 429]).await;
    let reports = run_once(&settings(&lake, &format!("{url}/"))).await.expect("a cycle");
    for _ in 0..3 {
        let request = seen.recv().await.expect("a request");
        assert!(request.head.starts_with("post /api/v1/reports http/1.1"), "{}", request.head);
        assert!(request.head.contains("authorization: bearer st_secret"), "{}", request.head);
        assert!(request.head.contains("x-project: shop"), "{}", request.head);
        let batch: ReportBatch = serde_json::from_slice(&request.body).expect("a batch");
        assert_eq!((batch.environment.as_str(), batch.generation), ("production-aaaaaaaa", 9));
        assert_eq!(batch.reports, reports);
    }
    assert!(seen.try_recv().is_err());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refusal_fails_the_cycle_at_once() {
    let folder = tempfile::tempdir().expect("a folder");
    let lake = store(folder.path());
    let (url, mut seen) = control_plane(vec![403]).await;
    assert!(run_once(&settings(&lake, &url)).await.is_err());
    assert!(seen.recv().await.is_some());
    assert!(seen.try_recv().is_err());
}

#[tokio::test(flavor = "multi_thread")]
async fn cycles_go_on_after_failures_until_they_are_stopped() {
    let folder = tempfile::tempdir().expect("a folder");
    let lake = store(folder.path());
    let (url, mut seen) = control_plane(vec![400, 200]).await;
    let shutdown = CancellationToken::new();
    let process = tokio::spawn(run(settings(&lake, &url), shutdown.clone()));
    for _ in 0..4 {
        seen.recv().await.expect("a request");
    }
    shutdown.cancel();
    process.await.expect("no panic").expect("a clean end");
}
