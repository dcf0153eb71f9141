//! A database for each test, of either kind, and a private PostgreSQL server for tests that stop it.

use std::fs;
use std::io::{Read, Seek};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;
use std::time::Duration;

use countersign::config;
use countersign::model::Secret;
use countersign::store::{AuditFilter, Store};
use rustix::process::{Pid, Signal, kill_process};
use sqlx::postgres::PgConnectOptions;
use sqlx::{AssertSqlSafe, ConnectOptions, Connection, PgConnection, SqliteConnection};
use tempfile::TempDir;
use time::macros::datetime;

/// The time at which tests of the store take place.
pub const NOW: time::OffsetDateTime = datetime!(2026-03-04 05:06:07 UTC);

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Kind {
    Sqlite,
    Postgres,
}

/// An empty database, removed when dropped.
pub struct Database {
    pub kind: Kind,
    pub url: String,
    keeper: Keeper,
}

enum Keeper {
    Folder(TempDir),
    /// The database's name on the server that all tests share.
    Shared(String),
}

/// A connection that bypasses the store, with the locks that it holds.
pub enum Connected {
    Sqlite { _connection: SqliteConnection },
    Postgres { _connection: PgConnection },
}

/// Creates an empty database.
pub async fn fresh(kind: Kind) -> Database {
    match kind {
        Kind::Sqlite => {
            let folder = TempDir::new().unwrap();
            let url = format!("sqlite://{}", folder.path().join("test.db").display());
            Database { kind, url, keeper: Keeper::Folder(folder) }
        }
        Kind::Postgres => {
            let admin = admin();
            let name = unique_name();
            let mut connection = PgConnection::connect_with(&admin).await.unwrap();
            let sql = AssertSqlSafe(format!("create database {name} template template0"));
            sqlx::raw_sql(sql).execute(&mut connection).await.unwrap();
            let url = admin.database(&name).to_url_lossy().to_string();
            Database { kind, url, keeper: Keeper::Shared(name) }
        }
    }
}

impl Database {
    /// A store on the database, migrated.
    pub async fn store(&self) -> Store {
        let store = self.connect().await;
        store.migrate(NOW).await.unwrap();
        store
    }

    /// A store on the database as it is.
    pub async fn connect(&self) -> Store {
        Store::connect(&self.settings()).await.unwrap()
    }

    /// With long waits, since a slow answer on a busy machine does not mean that the database is away.
    pub fn settings(&self) -> config::Database {
        config::Database { call_wait: Duration::from_secs(20), ..settings(&self.url) }
    }

    /// Runs a statement that the store has no method for.
    pub async fn run(&self, sql: &str) {
        self.open(sql).await;
    }

    /// Has the database refuse to store accounts with that screen name.
    pub async fn refuse_account(&self, screen_name: &str) {
        let sql = match self.kind {
            Kind::Postgres => format!(
                "alter table account add constraint refused check (screen_name <> '{screen_name}')"
            ),
            Kind::Sqlite => format!(
                "create trigger refuse before insert on account
                 when new.screen_name = '{screen_name}' begin select raise(abort, 'refused'); end"
            ),
        };
        self.run(&sql).await;
    }

    /// Blocks all writers until the result is dropped.
    pub async fn lock_writers_out(&self) -> Connected {
        self.open(match self.kind {
            Kind::Sqlite => "begin immediate",
            Kind::Postgres => {
                "begin; update change_counter set latest = latest; lock author in exclusive mode"
            }
        })
        .await
    }

    /// Locks a table of PostgreSQL's, so that nobody else reads it until the result is dropped.
    pub async fn lock(&self, table: &str) -> Connected {
        self.open(&format!("begin; lock {table} in access exclusive mode")).await
    }

    /// Waits until at least `wanted` statements wait for locks in PostgreSQL; gives how many do.
    pub async fn waiting_for_locks(&self, wanted: i64) -> i64 {
        let mut connection = PgConnection::connect(&self.url).await.unwrap();
        let sql = "select count(*) from pg_locks join pg_database on oid = database
             where not granted and datname = current_database()";
        let waiting = async {
            loop {
                let found: i64 = sqlx::query_scalar(sql).fetch_one(&mut connection).await.unwrap();
                if found >= wanted {
                    return found;
                }
            }
        };
        let found = tokio::time::timeout(Duration::from_secs(20), waiting).await;
        found.unwrap_or_else(|_| panic!("never {wanted} that wait"))
    }

    async fn open(&self, sql: &str) -> Connected {
        let sql = AssertSqlSafe(sql.to_owned());
        match self.kind {
            Kind::Sqlite => {
                let mut connection = SqliteConnection::connect(&self.url).await.unwrap();
                sqlx::raw_sql(sql).execute(&mut connection).await.unwrap();
                Connected::Sqlite { _connection: connection }
            }
            Kind::Postgres => {
                let mut connection = PgConnection::connect(&self.url).await.unwrap();
                sqlx::raw_sql(sql).execute(&mut connection).await.unwrap();
                Connected::Postgres { _connection: connection }
            }
        }
    }

    /// The database's name in PostgreSQL.
    pub fn name(&self) -> &str {
        match &self.keeper {
            Keeper::Folder(_) => panic!("an SQLite database has no name"),
            Keeper::Shared(name) => name,
        }
    }

    /// The folder of an SQLite database.
    pub fn folder(&self) -> &Path {
        match &self.keeper {
            Keeper::Folder(folder) => folder.path(),
            Keeper::Shared(_) => panic!("PostgreSQL keeps its files to itself"),
        }
    }
}

/// The default settings for a database at `url`, with longer waits where no request waits: test machines are busy.
pub fn settings(url: &str) -> config::Database {
    config::Database {
        url: Secret::from(url),
        pooler: config::Pooler::None,
        connections: 5,
        call_wait: Duration::from_millis(250),
        wait: Duration::from_secs(10),
        statement_timeout: Duration::from_secs(10),
        connection_life: Duration::from_mins(30),
        stale: Duration::from_mins(5),
        poll: Duration::from_secs(1),
        migrate: true,
    }
}

impl Drop for Database {
    fn drop(&mut self) {
        let Keeper::Shared(name) = &self.keeper else { return };
        let sql = AssertSqlSafe(format!("drop database if exists {name} with (force)"));
        let admin = admin();
        // A runtime cannot be entered from a thread of another one.
        let dropped = thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
            runtime.block_on(async {
                let mut connection = PgConnection::connect_with(&admin).await?;
                sqlx::raw_sql(sql).execute(&mut connection).await?;
                Ok::<_, sqlx::Error>(())
            })
        });
        let dropped = dropped.join();
        assert!(thread::panicking() || matches!(dropped, Ok(Ok(()))), "{name} is not dropped");
    }
}

/// Makes two tests of each function it lists: `on_sqlite` and `on_postgres`, in a module named after the function.
/// The compiler reports a function that is missing from the list as dead code.
macro_rules! on_both {
    ($($name:ident),+ $(,)?) => {$(
        mod $name {
            use $crate::database::{Kind, fresh};

            #[tokio::test]
            async fn on_sqlite() {
                super::$name(fresh(Kind::Sqlite).await).await;
            }

            #[tokio::test]
            async fn on_postgres() {
                super::$name(fresh(Kind::Postgres).await).await;
            }
        }
    )+};
}
pub(crate) use on_both;

/// Ends all sessions of gateways in a database.
pub const HANG_UP: &str = "select pg_terminate_backend(pid) from pg_stat_activity
    where application_name = 'countersign' and datname = current_database()";

/// A PostgreSQL server of the test's own on a loopback port, which the test may stop, start and suspend.
pub struct PrivatePostgres {
    folder: PathBuf,
    port: u16,
}

impl PrivatePostgres {
    /// Copies the cluster that `tests/run` created, and starts it.
    pub fn start_new() -> PrivatePostgres {
        let server = PrivatePostgres { folder: new_folder(), port: free_port() };
        run(&["cp", "-r", &setting("COUNTERSIGN_TEST_PG_TEMPLATE"), &server.data()]);
        server.start();
        server
    }

    /// A standby that streams from this server and answers readers.
    pub fn start_standby(&self) -> PrivatePostgres {
        let standby = PrivatePostgres { folder: new_folder(), port: free_port() };
        let program = format!("{}/pg_basebackup", setting("COUNTERSIGN_TEST_PG_BIN"));
        let port = self.port.to_string();
        run(&[
            &program,
            "--host=127.0.0.1",
            "--port",
            &port,
            "--username=countersign",
            "--checkpoint=fast",
            "--no-sync",
            "--write-recovery-conf",
            "--pgdata",
            &standby.data(),
        ]);
        standby.start();
        standby
    }

    /// Makes a primary of a standby.
    pub fn promote(&self) {
        self.control(&["promote", "-w"]);
    }

    /// Runs a statement in its database.
    pub async fn run(&self, sql: &str) {
        let mut connection = PgConnection::connect(&self.url()).await.unwrap();
        let sql = AssertSqlSafe(sql.to_owned());
        sqlx::raw_sql(sql).execute(&mut connection).await.unwrap();
    }

    /// The URL of its only database, which is empty at first.
    pub fn url(&self) -> String {
        format!("postgres://countersign@127.0.0.1:{}/postgres?sslmode=disable", self.port)
    }

    pub fn port(&self) -> u16 {
        self.port
    }

    /// Returns once it accepts connections.
    pub fn start(&self) {
        let options = format!(
            "-p {} -c listen_addresses=127.0.0.1 -c unix_socket_directories= -c fsync=off \
             -c shared_buffers=16MB -c max_connections=50",
            self.port
        );
        let log = self.folder.join("log").display().to_string();
        self.control(&["start", "-w", "-l", &log, "-o", &options]);
    }

    /// Stops at once, as in a crash.
    pub fn stop(&self) {
        self.control(&["stop", "-w", "-m", "immediate"]);
    }

    /// Suspends it: it answers nothing, and closes no connection either.
    pub fn hang(&self) {
        self.signal(Signal::STOP);
    }

    pub fn resume(&self) {
        self.signal(Signal::CONT);
    }

    fn data(&self) -> String {
        self.folder.join("data").display().to_string()
    }

    fn control(&self, arguments: &[&str]) {
        let program = format!("{}/pg_ctl", setting("COUNTERSIGN_TEST_PG_BIN"));
        let data = self.data();
        run(&[&[&*program, "-s", "-D", &data], arguments].concat());
    }

    /// Signals the server first, then its children: once suspended, it starts no more.
    fn signal(&self, signal: Signal) {
        let file = fs::read_to_string(format!("{}/postmaster.pid", self.data())).unwrap();
        let server: i32 = file.lines().next().unwrap().parse().unwrap();
        kill_process(Pid::from_raw(server).unwrap(), signal).unwrap();
        let children = fs::read_to_string(format!("/proc/{server}/task/{server}/children"));
        for child in children.unwrap().split_whitespace() {
            // A child that ends at this moment is as silent as one that is suspended.
            let _ = kill_process(Pid::from_raw(child.parse().unwrap()).unwrap(), signal);
        }
    }
}

impl Drop for PrivatePostgres {
    fn drop(&mut self) {
        if Path::new(&self.data()).join("postmaster.pid").exists() {
            self.resume();
            self.stop();
        }
        run(&["rm", "-rf", &self.folder.display().to_string()]);
    }
}

/// A folder of the user that PostgreSQL runs as.
fn new_folder() -> PathBuf {
    let name = setting("COUNTERSIGN_TEST_FILES") + "/countersign-test.XXXXXX";
    PathBuf::from(run(&["mktemp", "-d", &name]).trim())
}

/// A port that is free now; nothing else takes it in the moment before the server does.
fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

/// Runs a command as the user that PostgreSQL runs as; gives its output.
fn run(arguments: &[&str]) -> String {
    let user = setting("COUNTERSIGN_TEST_PG_AS");
    let words: Vec<&str> = user.split_whitespace().chain(arguments.iter().copied()).collect();
    // A file, since a server that the command starts would keep a pipe open.
    let mut printed = tempfile::tempfile().unwrap();
    let status = Command::new(words[0])
        .args(&words[1..])
        .current_dir("/")
        .stdin(Stdio::null())
        .stdout(printed.try_clone().unwrap())
        .stderr(printed.try_clone().unwrap())
        .status()
        .unwrap();
    let mut text = String::new();
    printed.rewind().unwrap();
    printed.read_to_string(&mut text).unwrap();
    assert!(status.success(), "{words:?}: {text}");
    text
}

fn admin() -> PgConnectOptions {
    setting("COUNTERSIGN_TEST_POSTGRES").parse().unwrap()
}

fn unique_name() -> String {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    format!("test_{}_{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed))
}

#[expect(clippy::disallowed_methods, reason = "tests/run says where things are")]
pub fn setting(name: &str) -> String {
    std::env::var(name)
        .unwrap_or_else(|_| panic!("{name} is not set: run the tests with tests/run"))
}

/// The audit log's newest entries.
pub fn newest(limit: u32) -> AuditFilter {
    AuditFilter { limit, ..AuditFilter::default() }
}
