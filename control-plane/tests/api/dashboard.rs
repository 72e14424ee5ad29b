//! Paths outside the API belong to the dashboard.

use crate::harness::{Database, Server, send};
use reqwest::Method;

#[tokio::test]
async fn every_page_of_the_dashboard_is_the_same_document() {
    let server = Server::start(Database::Sqlite).await.unwrap();
    for path in ["/", "/experiments", "/experiments/123/results"] {
        let page = send(server.anonymous(Method::GET, path)).await;
        assert_eq!(page.status, 200, "{path}");
        assert!(page.headers["content-type"].to_str().unwrap().starts_with("text/html"), "{path}");
        assert!(
            page.headers["content-security-policy"]
                .to_str()
                .unwrap()
                .starts_with("default-src 'self'")
        );
        assert_eq!(page.headers["cache-control"], "no-cache");
        assert_eq!(page.headers["x-content-type-options"], "nosniff");
    }
    send(server.anonymous(Method::GET, "/assets/nothing.js")).await.problem(404, "unknown_route");
    send(server.anonymous(Method::POST, "/experiments")).await.problem(405, "method_not_allowed");
    server.stop().await;
}
