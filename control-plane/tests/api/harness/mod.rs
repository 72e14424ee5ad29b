//! A control plane of its own for each test, on either database.

mod postgres;
mod replica;
mod server;

pub use replica::Replica;
pub use server::{Answer, Server, send};

/// Where a test's server keeps its definitions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Database {
    Sqlite,
    Postgres,
}

/// Declares tests that take a fresh [`Server`], each to be run on SQLite and on PostgreSQL.
macro_rules! on_both_databases {
    ($($(#[$meta:meta])* async fn $name:ident($server:ident) $body:block)*) => {
        $(
            $(#[$meta])*
            async fn $name($server: &crate::harness::Server) $body
        )*

        mod on_sqlite {
            $(
                #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                async fn $name() {
                    let server =
                        crate::harness::Server::start(crate::harness::Database::Sqlite).await;
                    super::$name(server.as_ref().expect("SQLite is built in")).await;
                    if let Some(server) = server { server.stop().await; }
                }
            )*
        }

        mod on_postgres {
            $(
                #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                async fn $name() {
                    let Some(server) =
                        crate::harness::Server::start(crate::harness::Database::Postgres).await
                    else {
                        return;
                    };
                    super::$name(&server).await;
                    server.stop().await;
                }
            )*
        }
    };
}
pub(crate) use on_both_databases;
