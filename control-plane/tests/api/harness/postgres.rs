//! One PostgreSQL cluster for a run of the tests, one database for each test.
//!
//! Tests run in many processes. The first one starts the cluster, under a file lock; each puts its process id
//! into a folder; a watchdog stops the cluster and removes it once none of those processes has lived for a few
//! seconds. So the cluster ends even if every test is killed.

use control_plane::store::Db;
use sqlx::{AssertSqlSafe, Connection, PgConnection};
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use uuid::Uuid;

/// Set to 1 to leave PostgreSQL out where it cannot be installed.
const SKIP: &str = "SORTITION_SKIP_POSTGRES";

const WATCHDOG: &str = r#"
idle=0
while [ $idle -lt 5 ]; do
  sleep 1
  idle=$((idle + 1))
  for user in "$1"/users/*; do
    if kill -0 "$(basename "$user")" 2>/dev/null; then idle=0; fi
  done
done
exec 9>"$1.lock"
flock 9
for user in "$1"/users/*; do
  # Someone came meanwhile: let go of the lock and watch on.
  if kill -0 "$(basename "$user")" 2>/dev/null; then exec 9>&-; exec sh -c "$0" "$0" "$@"; fi
done
folder=$1
shift
"$@" -D "$folder/data" -m immediate stop >/dev/null 2>&1
mv "$folder" "$folder.$$"
# Removing takes long on a busy disk: whoever comes now need not wait for it.
exec 9>&-
rm -rf "$folder.$$"
"#;

/// A database of its own, removed with the cluster.
pub struct Database {
    pub url: String,
}

/// A fresh database with all tables; `None` when PostgreSQL is to be left out.
pub async fn database() -> Option<Database> {
    if std::env::var(SKIP).is_ok_and(|value| value == "1") {
        return None;
    }
    let binaries = binaries().unwrap_or_else(|| {
        panic!(
            "PostgreSQL is not installed (no initdb on the PATH or in /usr/lib/postgresql): \
             `apt-get install postgresql`, or set {SKIP}=1 to leave it out"
        )
    });
    let cluster = Cluster::at(binaries);
    let lock = File::create(cluster.folder.with_extension("lock")).unwrap();
    lock.lock().unwrap();
    cluster.join();
    let template = cluster.template().await;
    lock.unlock().unwrap();
    let name = format!("t_{}", Uuid::new_v4().simple());
    cluster.run(&format!("CREATE DATABASE {name} TEMPLATE {template}")).await;
    Some(Database { url: cluster.url(&name) })
}

/// The folder of PostgreSQL's programs.
fn binaries() -> Option<PathBuf> {
    let on_path = std::env::var_os("PATH")?;
    let installed = fs::read_dir("/usr/lib/postgresql").into_iter().flatten();
    let mut installed: Vec<PathBuf> =
        installed.filter_map(|entry| Some(entry.ok()?.path().join("bin"))).collect();
    installed.sort();
    // Newest version first; what is on the PATH only where there is none of Debian's folders.
    installed
        .into_iter()
        .rev()
        .chain(std::env::split_paths(&on_path))
        .find(|folder| folder.join("initdb").exists() && folder.join("pg_ctl").exists())
}

struct Cluster {
    folder: PathBuf,
    binaries: PathBuf,
    /// PostgreSQL refuses to run as root.
    as_postgres: bool,
}

impl Cluster {
    fn at(binaries: PathBuf) -> Self {
        // Short, because the path of a Unix socket has at most 107 bytes; one for each target folder.
        let place = blake3::hash(env!("CARGO_TARGET_TMPDIR").as_bytes()).to_hex();
        let folder = std::env::temp_dir().join(format!("sortition-pg-{}", &place[..8]));
        let id = Command::new("id").arg("-u").output().expect("`id` runs").stdout;
        Self { folder, binaries, as_postgres: id.starts_with(b"0\n") }
    }

    fn command(&self, program: &str) -> Command {
        let program = self.binaries.join(program);
        let mut command = if self.as_postgres {
            let mut command = Command::new("runuser");
            command.args(["-u", "postgres", "--"]).arg(program);
            command
        } else {
            Command::new(program)
        };
        command.current_dir("/").stdin(Stdio::null());
        command
    }

    /// Starts the cluster unless it runs, and keeps it running as long as this process lives.
    fn join(&self) {
        let data = self.folder.join("data");
        let users = self.folder.join("users");
        let runs = data.join("postmaster.pid").exists()
            && succeeds(self.command("pg_ctl").arg("-D").arg(&data).arg("status"));
        if !runs {
            let _ = fs::remove_dir_all(&self.folder);
            fs::create_dir_all(&users).unwrap();
            if self.as_postgres {
                assert!(succeeds(Command::new("chown").arg("postgres").arg(&self.folder)));
            }
            self.start(&data);
        }
        fs::write(users.join(std::process::id().to_string()), "").unwrap();
        if !runs {
            self.watch();
        }
    }

    fn start(&self, data: &Path) {
        let mut init = self.command("initdb");
        init.arg("-D").arg(data).args(["-U", "postgres", "-A", "trust", "--no-sync", "-E", "UTF8"]);
        init.arg("--locale=C").stdout(Stdio::null());
        assert!(succeeds(&mut init), "initdb failed");
        let socket = self.folder.display();
        let options = format!(
            "-k {socket} -c listen_addresses= -c fsync=off -c synchronous_commit=off \
             -c full_page_writes=off -c shared_buffers=64MB -c max_connections=200"
        );
        let mut start = self.command("pg_ctl");
        start.arg("-D").arg(data).arg("-w").arg("-l").arg(self.folder.join("log"));
        start.arg("-o").arg(options).arg("start").stdout(Stdio::null()).stderr(Stdio::null());
        if !succeeds(&mut start) {
            let log = fs::read_to_string(self.folder.join("log")).unwrap_or_default();
            panic!("PostgreSQL did not start:\n{log}");
        }
    }

    #[expect(clippy::zombie_processes, reason = "the watchdog outlives the tests on purpose")]
    fn watch(&self) {
        let stop = self.command("pg_ctl");
        Command::new("setsid")
            .args(["sh", "-c", WATCHDOG, WATCHDOG])
            .arg(&self.folder)
            .arg(stop.get_program())
            .args(stop.get_args())
            .current_dir("/")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("`setsid` runs");
    }

    fn url(&self, database: &str) -> String {
        format!("postgres://postgres@localhost/{database}?host={}", self.folder.display())
    }

    async fn run(&self, sql: &str) {
        let mut connection = PgConnection::connect(&self.url("postgres")).await.unwrap();
        sqlx::raw_sql(AssertSqlSafe(sql)).execute(&mut connection).await.unwrap();
        connection.close().await.unwrap();
    }

    /// Name of the migrated database from which all others are copied.
    async fn template(&self) -> String {
        let mut hasher = blake3::Hasher::new();
        for migration in sqlx::migrate!("migrations/postgres").iter() {
            hasher.update(&migration.checksum);
        }
        let name = format!("template_{}", &hasher.finalize().to_hex()[..16]);
        let done = self.folder.join(&name);
        if !done.exists() {
            self.run(&format!("DROP DATABASE IF EXISTS {name}")).await;
            self.run(&format!("CREATE DATABASE {name}")).await;
            Db::open(&self.url(&name)).await.unwrap().close().await;
            fs::write(done, "").unwrap();
        }
        name
    }
}

fn succeeds(command: &mut Command) -> bool {
    command.stdout(Stdio::null()).status().expect("the program runs").success()
}
