//! An S3 server in this process that verifies signatures and does conditional writes right.
//!
//! `s3s-fs` checks `If-None-Match` and writes in two steps, so that two writers can both win. A
//! lock around the service closes that: reads share it, writes hold it alone.

use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::extract::Request;
use axum::http::{Method, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::serve::ListenerExt;
use object_store::ObjectStore;
use object_store::aws::AmazonS3Builder;
use s3s::auth::SimpleAuth;
use s3s::service::S3ServiceBuilder;
use tokio::net::TcpListener;
use tokio::sync::RwLock;

const ACCESS_KEY: &str = "sortition-test";
const SECRET_KEY: &str = "sortition-test-secret";
const BUCKET: &str = "sortition";

/// A running server over a folder.
pub(crate) struct S3Server {
    endpoint: String,
    _folder: tempfile::TempDir,
}

impl S3Server {
    /// Starts a server with one empty bucket on a free port.
    pub(crate) async fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join(BUCKET)).unwrap();
        let mut builder = S3ServiceBuilder::new(s3s_fs::FileSystem::new(folder.path()).unwrap());
        builder.set_auth(SimpleAuth::from_single(ACCESS_KEY, SECRET_KEY));
        let service = builder.build();
        let lock = Arc::new(RwLock::new(()));
        let app = Router::new().fallback(move |request: Request| {
            let (service, lock) = (service.clone(), Arc::clone(&lock));
            async move {
                let (mut shared, mut alone) = (None, None);
                if matches!(*request.method(), Method::GET | Method::HEAD) {
                    shared = Some(lock.read().await);
                } else {
                    alone = Some(lock.write().await);
                }
                let answer: Response =
                    match service.call(request.map(s3s::Body::http_body_unsync)).await {
                        Ok(answer) => answer.map(Body::new),
                        Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, format!("{error:?}"))
                            .into_response(),
                    };
                drop((shared, alone));
                answer
            }
        });
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let endpoint = format!("http://{}", listener.local_addr().unwrap());
        // Without it every answer waits some 40 ms for an acknowledgement.
        let listener = listener.tap_io(|connection| connection.set_nodelay(true).unwrap());
        tokio::spawn(axum::serve(listener, app).into_future());
        Self { endpoint, _folder: folder }
    }

    /// A client of its own.
    pub(crate) fn store(&self) -> Arc<dyn ObjectStore> {
        let builder = AmazonS3Builder::new()
            .with_endpoint(&self.endpoint)
            .with_allow_http(true)
            .with_region("us-east-1")
            .with_bucket_name(BUCKET)
            .with_access_key_id(ACCESS_KEY)
            .with_secret_access_key(SECRET_KEY);
        Arc::new(builder.build().unwrap())
    }
}
