//! A PgBouncer of the test's own in front of the server that all tests share.

use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt;
use std::process::{Child, Command, Stdio};

use countersign::config::{self, Pooler};
use countersign::model::Secret;
use sqlx::ConnectOptions;
use sqlx::postgres::{PgConnectOptions, PgSslMode};
use tempfile::TempDir;

use crate::database::{Database, setting};

pub struct PgBouncer {
    pub url: String,
    process: Child,
    _folder: TempDir,
}

impl PgBouncer {
    /// With at most `size` connections to the server, and further lines of its settings.
    pub fn before(database: &Database, pool_mode: &str, size: u32, settings: &str) -> PgBouncer {
        let server: PgConnectOptions = database.url.parse().unwrap();
        let (user, name) = (server.get_username(), server.get_database().unwrap());
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        // PgBouncer refuses to run as root, and reads these as somebody else.
        std::fs::set_permissions(folder.path(), PermissionsExt::from_mode(0o755)).unwrap();
        std::fs::write(path("users"), format!("\"{user}\" \"\"\n")).unwrap();
        let socket = server.get_socket().expect("tests reach the shared server by its socket");
        let text = format!(
            "[databases]\n* = host={} port={}\n[pgbouncer]\nlisten_addr = 127.0.0.1\n\
             listen_port = {port}\nunix_socket_dir =\nauth_type = trust\nauth_file = {}\n\
             pool_mode = {pool_mode}\ndefault_pool_size = {size}\nmax_client_conn = 200\n{settings}\n",
            socket.display(),
            server.get_port(),
            path("users").display(),
        );
        std::fs::write(path("pgbouncer.ini"), text).unwrap();
        // It changes its user itself: a process in between would be killed in its place.
        let switch = setting("COUNTERSIGN_TEST_PG_AS");
        let user_of_server = switch.split_whitespace().skip_while(|word| *word != "-u").take(2);
        let mut process = Command::new("/usr/sbin/pgbouncer")
            .args(user_of_server)
            .arg("-q")
            .arg(path("pgbouncer.ini"))
            .current_dir("/")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("tests/run installs PgBouncer");
        while TcpStream::connect(("127.0.0.1", port)).is_err() {
            assert!(process.try_wait().unwrap().is_none(), "PgBouncer does not start");
        }
        let url = PgConnectOptions::new_without_pgpass()
            .host("127.0.0.1")
            .port(port)
            .ssl_mode(PgSslMode::Disable)
            .username(user)
            .database(name)
            .to_url_lossy()
            .to_string();
        PgBouncer { url, process, _folder: folder }
    }

    /// The settings of a gateway that reaches the database this way.
    pub fn settings(&self, database: &Database, pooler: Pooler) -> config::Database {
        config::Database { url: Secret::from(&*self.url), pooler, ..database.settings() }
    }
}

impl Drop for PgBouncer {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
