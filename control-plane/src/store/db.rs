//! One connection type over both databases.

use anyhow::{Context, bail};
use sqlx::postgres::{PgArguments, PgPoolOptions, PgRow, Postgres};
use sqlx::query::Query;
use sqlx::sqlite::{
    SqliteArguments, SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteRow,
    SqliteSynchronous,
};
use sqlx::{
    AssertSqlSafe, ColumnIndex, Decode, PgPool, Row as _, Sqlite, SqlitePool, Transaction, Type,
};
use std::str::FromStr;
use std::time::Duration;

/// A pool of connections to SQLite or PostgreSQL.
#[derive(Clone, Debug)]
pub enum Db {
    /// One writer and several readers of a file in WAL mode.
    Sqlite {
        /// The only connection that writes, so that writers queue here instead of failing as busy.
        writer: SqlitePool,
        /// Connections that only read.
        readers: SqlitePool,
    },
    /// A PostgreSQL server.
    Postgres(PgPool),
}

impl Db {
    /// Opens the database of a URL and brings its tables up to date. A missing SQLite file is created.
    pub async fn open(url: &str) -> anyhow::Result<Self> {
        let db = Self::connect(url).await?;
        db.migrate().await.context("migrating the database")?;
        Ok(db)
    }

    /// Opens the database of a URL as it is.
    pub async fn connect(url: &str) -> anyhow::Result<Self> {
        if url.starts_with("postgres:") || url.starts_with("postgresql:") {
            let pool = PgPoolOptions::new()
                .max_connections(16)
                .acquire_timeout(Duration::from_secs(10))
                .connect(url)
                .await
                .context("connecting to PostgreSQL")?;
            return Ok(Self::Postgres(pool));
        }
        if !url.starts_with("sqlite:") {
            bail!("a database URL begins with sqlite: or postgres:, not `{url}`");
        }
        let options = SqliteConnectOptions::from_str(url)
            .with_context(|| format!("`{url}` is not an SQLite URL"))?
            .create_if_missing(true)
            .foreign_keys(true)
            .journal_mode(SqliteJournalMode::Wal)
            // A definition that was acknowledged survives a power cut.
            .synchronous(SqliteSynchronous::Full)
            .busy_timeout(Duration::from_secs(10));
        if let Some(folder) = options.get_filename().parent() {
            std::fs::create_dir_all(folder)
                .with_context(|| format!("creating {}", folder.display()))?;
        }
        let pool = |connections| SqlitePoolOptions::new().max_connections(connections);
        let writer = pool(1)
            .connect_with(options.clone())
            .await
            .with_context(|| format!("opening {url}"))?;
        let readers =
            pool(4).connect_with(options).await.with_context(|| format!("opening {url}"))?;
        Ok(Self::Sqlite { writer, readers })
    }

    /// Brings the tables to a migration's version, forward or back; `i64::MAX` is the newest. Going back drops
    /// what later versions added.
    pub async fn migrate_to(&self, version: i64) -> anyhow::Result<()> {
        match self {
            Self::Sqlite { writer, .. } => {
                let migrator = sqlx::migrate!("migrations/sqlite");
                migrator.undo(writer, version).await?;
                migrator.run_to(version, writer).await?;
            }
            Self::Postgres(pool) => {
                let migrator = sqlx::migrate!("migrations/postgres");
                migrator.undo(pool, version).await?;
                migrator.run_to(version, pool).await?;
            }
        }
        Ok(())
    }

    async fn migrate(&self) -> anyhow::Result<()> {
        match self {
            Self::Sqlite { writer, .. } => {
                sqlx::migrate!("migrations/sqlite").run(writer).await?;
            }
            Self::Postgres(pool) => sqlx::migrate!("migrations/postgres").run(pool).await?,
        }
        Ok(())
    }

    /// A transaction that writes. Dropping it undoes everything.
    pub async fn write(&self) -> sqlx::Result<Tx> {
        Ok(match self {
            Self::Sqlite { writer, .. } => Tx::Sqlite(writer.begin_with("BEGIN IMMEDIATE").await?),
            Self::Postgres(pool) => Tx::Postgres(pool.begin().await?),
        })
    }

    /// A transaction that reads one consistent state of everything.
    pub async fn read(&self) -> sqlx::Result<Tx> {
        Ok(match self {
            Self::Sqlite { readers, .. } => Tx::Sqlite(readers.begin().await?),
            Self::Postgres(pool) => Tx::Postgres(
                pool.begin_with("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY").await?,
            ),
        })
    }

    /// Waits for every connection to close.
    pub async fn close(&self) {
        match self {
            Self::Sqlite { writer, readers } => {
                readers.close().await;
                writer.close().await;
            }
            Self::Postgres(pool) => pool.close().await,
        }
    }
}

/// A value bound to a placeholder.
#[derive(Clone, Debug)]
pub enum Arg {
    /// Text, or a null of type text.
    Text(Option<String>),
    /// An integer, or a null of type integer.
    Int(Option<i64>),
    /// A byte string, or a null of that type.
    Bytes(Option<Vec<u8>>),
}

impl From<&str> for Arg {
    fn from(value: &str) -> Self {
        Self::Text(Some(value.to_owned()))
    }
}

impl From<&String> for Arg {
    fn from(value: &String) -> Self {
        Self::Text(Some(value.clone()))
    }
}

impl From<String> for Arg {
    fn from(value: String) -> Self {
        Self::Text(Some(value))
    }
}

impl From<Option<&str>> for Arg {
    fn from(value: Option<&str>) -> Self {
        Self::Text(value.map(str::to_owned))
    }
}

impl From<i64> for Arg {
    fn from(value: i64) -> Self {
        Self::Int(Some(value))
    }
}

impl From<Option<i64>> for Arg {
    fn from(value: Option<i64>) -> Self {
        Self::Int(value)
    }
}

impl From<&[u8]> for Arg {
    fn from(value: &[u8]) -> Self {
        Self::Bytes(Some(value.to_vec()))
    }
}

impl From<Option<&[u8]>> for Arg {
    fn from(value: Option<&[u8]>) -> Self {
        Self::Bytes(value.map(<[u8]>::to_vec))
    }
}

/// An open transaction.
pub enum Tx {
    /// On SQLite.
    Sqlite(Transaction<'static, Sqlite>),
    /// On PostgreSQL.
    Postgres(Transaction<'static, Postgres>),
}

impl Tx {
    /// Runs a statement and says how many rows it touched.
    pub async fn execute<const N: usize>(
        &mut self,
        sql: &str,
        args: [Arg; N],
    ) -> sqlx::Result<u64> {
        Ok(match self {
            Self::Sqlite(tx) => bind_sqlite(sql, args).execute(&mut **tx).await?.rows_affected(),
            Self::Postgres(tx) => {
                bind_postgres(sql, args).execute(&mut **tx).await?.rows_affected()
            }
        })
    }

    /// Every row of a query.
    pub async fn fetch_all<const N: usize>(
        &mut self,
        sql: &str,
        args: [Arg; N],
    ) -> sqlx::Result<Vec<Row>> {
        Ok(match self {
            Self::Sqlite(tx) => {
                let rows = bind_sqlite(sql, args).fetch_all(&mut **tx).await?;
                rows.into_iter().map(Row::Sqlite).collect()
            }
            Self::Postgres(tx) => {
                let rows = bind_postgres(sql, args).fetch_all(&mut **tx).await?;
                rows.into_iter().map(Row::Postgres).collect()
            }
        })
    }

    /// The first row of a query, if there is one.
    pub async fn fetch_optional<const N: usize>(
        &mut self,
        sql: &str,
        args: [Arg; N],
    ) -> sqlx::Result<Option<Row>> {
        Ok(match self {
            Self::Sqlite(tx) => {
                bind_sqlite(sql, args).fetch_optional(&mut **tx).await?.map(Row::Sqlite)
            }
            Self::Postgres(tx) => {
                bind_postgres(sql, args).fetch_optional(&mut **tx).await?.map(Row::Postgres)
            }
        })
    }

    /// The database's clock, in epoch milliseconds: one for all replicas.
    pub async fn clock_ms(&mut self) -> sqlx::Result<i64> {
        let sql = match self {
            Self::Sqlite(_) => "SELECT CAST(unixepoch('subsec') * 1000 AS INTEGER) AS now",
            Self::Postgres(_) => {
                "SELECT CAST(EXTRACT(EPOCH FROM clock_timestamp()) * 1000 AS BIGINT) AS now"
            }
        };
        self.fetch_optional(sql, []).await?.ok_or(sqlx::Error::RowNotFound)?.int("now")
    }

    /// Makes everything that was done durable.
    pub async fn commit(self) -> sqlx::Result<()> {
        match self {
            Self::Sqlite(tx) => tx.commit().await,
            Self::Postgres(tx) => tx.commit().await,
        }
    }
}

// The statements come from this module's neighbours alone: literals, or literals with table names put in.
// Nothing that a client sent is ever part of the text.
fn bind_sqlite<'q, const N: usize>(
    sql: &str,
    args: [Arg; N],
) -> Query<'q, Sqlite, SqliteArguments> {
    args.into_iter().fold(sqlx::query(AssertSqlSafe(sql)), |query, arg| match arg {
        Arg::Text(value) => query.bind(value),
        Arg::Int(value) => query.bind(value),
        Arg::Bytes(value) => query.bind(value),
    })
}

fn bind_postgres<'q, const N: usize>(
    sql: &str,
    args: [Arg; N],
) -> Query<'q, Postgres, PgArguments> {
    args.into_iter().fold(sqlx::query(AssertSqlSafe(sql)), |query, arg| match arg {
        Arg::Text(value) => query.bind(value),
        Arg::Int(value) => query.bind(value),
        Arg::Bytes(value) => query.bind(value),
    })
}

/// One row of an answer.
pub enum Row {
    /// From SQLite.
    Sqlite(SqliteRow),
    /// From PostgreSQL.
    Postgres(PgRow),
}

impl Row {
    fn get<T>(&self, column: &str) -> sqlx::Result<T>
    where
        T: for<'r> Decode<'r, Sqlite>
            + Type<Sqlite>
            + for<'r> Decode<'r, Postgres>
            + Type<Postgres>,
        for<'c> &'c str: ColumnIndex<SqliteRow> + ColumnIndex<PgRow>,
    {
        match self {
            Self::Sqlite(row) => row.try_get(column),
            Self::Postgres(row) => row.try_get(column),
        }
    }

    /// Text of a column.
    pub fn text(&self, column: &str) -> sqlx::Result<String> {
        self.get(column)
    }

    /// Text of a column that may be null.
    pub fn opt_text(&self, column: &str) -> sqlx::Result<Option<String>> {
        self.get(column)
    }

    /// Integer of a column.
    pub fn int(&self, column: &str) -> sqlx::Result<i64> {
        self.get(column)
    }

    /// Integer of a column that may be null.
    pub fn opt_int(&self, column: &str) -> sqlx::Result<Option<i64>> {
        self.get(column)
    }

    /// Bytes of a column.
    pub fn bytes(&self, column: &str) -> sqlx::Result<Vec<u8>> {
        self.get(column)
    }

    /// Bytes of a column that may be null.
    pub fn opt_bytes(&self, column: &str) -> sqlx::Result<Option<Vec<u8>>> {
        self.get(column)
    }
}

/// Whether an error is a violated uniqueness rule.
pub(crate) fn is_unique_violation(error: &sqlx::Error) -> bool {
    error.as_database_error().is_some_and(sqlx::error::DatabaseError::is_unique_violation)
}
