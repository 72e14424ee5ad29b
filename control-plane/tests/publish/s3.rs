//! An S3 server in this process that verifies signatures (version 4) and does conditional writes right.
//!
//! `s3s-fs` checks `If-None-Match` and writes in two steps, so two writers can both win. A lock
//! around the service closes that: reads share it, writes hold it alone.

use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::extract::Request;
use axum::http::{Method, StatusCode};
use axum::response::{IntoResponse as _, Response};
use axum::serve::ListenerExt as _;
use object_store::aws::{AmazonS3, AmazonS3Builder};
use s3s::auth::SimpleAuth;
use s3s::service::S3ServiceBuilder;
use tokio::net::TcpListener;
use tokio::sync::RwLock;

const ACCESS_KEY: &str = "sortition-test";
const SECRET_KEY: &str = "sortition-test-secret";
const BUCKET: &str = "sortition";

/// A running server; it stops when this is dropped.
pub struct S3Server {
    endpoint: String,
    task: tokio::task::JoinHandle<()>,
    _folder: tempfile::TempDir,
}

impl S3Server {
    /// Starts a server with one empty bucket on a free port.
    pub async fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join(BUCKET)).unwrap();
        let mut builder = S3ServiceBuilder::new(s3s_fs::FileSystem::new(folder.path()).unwrap());
        builder.set_auth(SimpleAuth::from_single(ACCESS_KEY, SECRET_KEY));
        let service = builder.build();
        let lock = Arc::new(RwLock::new(()));

        let app = Router::new().fallback(move |request: Request| {
            let (service, lock) = (service.clone(), lock.clone());
            async move {
                let (mut shared, mut alone) = (None, None);
                if matches!(*request.method(), Method::GET | Method::HEAD) {
                    shared = Some(lock.read().await);
                } else {
                    alone = Some(lock.write().await);
                }
                let request = request.map(s3s::Body::http_body_unsync);
                let answer: Response = match service.call(request).await {
                    Ok(answer) => answer.map(Body::new),
                    Err(error) => {
                        (StatusCode::INTERNAL_SERVER_ERROR, format!("{error:?}")).into_response()
                    }
                };
                drop((shared, alone));
                answer
            }
        });
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let endpoint = format!("http://{}", listener.local_addr().unwrap());
        // Without it every answer waits some 40 ms for an acknowledgement.
        let listener = listener.tap_io(|connection| connection.set_nodelay(true).unwrap());
        let task = tokio::spawn(async move { axum::serve(listener, app).await.unwrap() });
        Self { endpoint, task, _folder: folder }
    }

    /// A client with the right secret.
    pub fn client(&self) -> AmazonS3 {
        self.client_with_secret(SECRET_KEY)
    }

    /// A client with any secret.
    pub fn client_with_secret(&self, secret: &str) -> AmazonS3 {
        AmazonS3Builder::new()
            .with_endpoint(&self.endpoint)
            .with_allow_http(true)
            .with_region("us-east-1")
            .with_bucket_name(BUCKET)
            .with_access_key_id(ACCESS_KEY)
            .with_secret_access_key(secret)
            .build()
            .unwrap()
    }
}

impl Drop for S3Server {
    fn drop(&mut self) {
        self.task.abort();
    }
}
