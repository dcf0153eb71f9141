//! A deployment: a folder, an environment and a sandbox to run the program with.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex, mpsc};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use countersign::model::{Clock, SystemClock};
use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

use crate::database::Database;
use crate::gateway::RING;
use crate::program::front::{Authority, Front};
use crate::upstream::{TestSandbox, small};

/// A deadline for tests that fail; no test measures time.
const PATIENCE: Duration = Duration::from_mins(1);

pub struct Deployment {
    pub sandbox: TestSandbox,
    pub folder: TempDir,
    pub environment: BTreeMap<String, String>,
}

/// The result of a command.
#[derive(Debug)]
pub struct Output {
    /// -1 if a signal ended it.
    pub code: i32,
    pub out: String,
    pub err: String,
}

impl Deployment {
    /// A sound deployment, except for the schema, which `migrate` or `serve` creates.
    pub async fn new(database: &Database) -> Deployment {
        let sandbox = TestSandbox::start_at(small(), SystemClock.now()).await;
        let upstream = format!("http://{}", sandbox.address);
        let app = sandbox.app("demo").clone();
        let mut deployment =
            Deployment { sandbox, folder: TempDir::new().unwrap(), environment: BTreeMap::new() };
        deployment.set("DATABASE__URL", database.settings().url.expose());
        // Test machines are busy.
        deployment.set("DATABASE__CALL_WAIT", "20s");
        deployment.set("DATABASE__WAIT", "20s");
        deployment.set("DATABASE__STATEMENT_TIMEOUT", "20s");
        deployment.set("UPSTREAM__DATA_URL", &upstream);
        deployment.set("UPSTREAM__API_URL", &upstream);
        deployment.set("UPSTREAM__ALLOW_HTTP", "true");
        deployment.set("APPS__DEMO__CONSUMER_KEY", &app.consumer_key);
        deployment.set("APPS__DEMO__CONSUMER_SECRET", &app.consumer_secret);
        deployment.set("VAULT__KEYS", RING);
        deployment.set("SERVER__LISTEN", "127.0.0.1:0");
        deployment.set("ADMIN__LISTEN", "127.0.0.1:0");
        deployment.set("LIMITS__DRAIN_NOTICE", "0s");
        deployment.set("LOG__FORMAT", "json");
        deployment
    }

    /// Sets a setting in the environment; an empty value removes it.
    pub fn set(&mut self, key: &str, value: &str) {
        let key = format!("COUNTERSIGN__{key}");
        if value.is_empty() {
            self.environment.remove(&key);
        } else {
            self.environment.insert(key, value.to_owned());
        }
    }

    /// Sends calls to the upstream through `front`, and trusts `authority` alone.
    pub fn trust(&mut self, front: &Front, authority: &Authority) {
        let file = self.folder.path().join("trusted.pem");
        authority.save(&file);
        self.environment.insert("SSL_CERT_FILE".to_owned(), file.display().to_string());
        self.set("UPSTREAM__DATA_URL", &front.url);
        self.set("UPSTREAM__API_URL", &front.url);
        self.set("UPSTREAM__ALLOW_HTTP", "");
    }

    pub async fn run(&self, arguments: &[&str]) -> Output {
        self.run_with(arguments, "").await
    }

    /// Runs a command that must succeed; gives its output.
    pub async fn must(&self, arguments: &[&str]) -> String {
        let done = self.run(arguments).await;
        assert_eq!(done.code, 0, "{arguments:?}: {done:?}");
        done.out
    }

    /// The same with text on its standard input.
    pub async fn run_with(&self, arguments: &[&str], input: &str) -> Output {
        let mut running = self.start(arguments);
        running.tell(input);
        running.end().await
    }

    /// Starts a command that keeps running.
    pub fn start(&self, arguments: &[&str]) -> Running {
        Running::start(self.folder.path(), &self.environment, arguments)
    }

    /// Starts a shell that runs a line of script and becomes the command, so that the command has its process id.
    pub fn start_by(&self, script: &str, arguments: &[&str]) -> Running {
        let program = env!("CARGO_BIN_EXE_countersign");
        let words = [&["-c", script, program], arguments].concat();
        Running::spawn("/bin/sh", self.folder.path(), &self.environment, &words)
    }

    /// Starts `serve` and waits until it serves.
    pub async fn serve(&self) -> Running {
        self.start(&["serve"]).serving().await
    }
    /// The lines that import these users.
    pub fn lines(&self, names: &[&str]) -> String {
        let line = |name: &&str| {
            let user = self.sandbox.user(name);
            serde_json::json!({
                "user_id": user.user_id,
                "screen_name": user.screen_name,
                "access_token": user.access_token,
                "access_token_secret": user.access_token_secret,
            })
        };
        names.iter().map(|name| line(name).to_string() + "\n").collect()
    }

    /// Migrates the database, and connects alice and bob.
    pub async fn prepare(&self) {
        self.must(&["migrate"]).await;
        let done = self
            .run_with(&["account", "import", "--app", "demo"], &self.lines(&["alice", "bob"]))
            .await;
        assert_eq!((done.code, &*done.out), (0, "imported 2 accounts\n"), "{done:?}");
    }

    pub async fn key(&self, name: &str, more: &[&str]) -> String {
        let arguments = [&["key", "create", name], more].concat();
        self.must(&arguments).await.trim().to_owned()
    }
}

/// A process, killed when dropped.
pub struct Running {
    pub child: Child,
    pub out: Stream,
    pub err: Stream,
    pub url: String,
    pub admin_url: String,
}

impl Running {
    pub fn start(
        folder: &Path,
        environment: &BTreeMap<String, String>,
        arguments: &[&str],
    ) -> Running {
        Running::spawn(env!("CARGO_BIN_EXE_countersign"), folder, environment, arguments)
    }

    fn spawn(
        program: &str,
        folder: &Path,
        environment: &BTreeMap<String, String>,
        arguments: &[&str],
    ) -> Running {
        let mut command = Command::new(program);
        command.args(arguments).current_dir(folder).env_clear().envs(environment);
        Running::of(command)
    }

    pub fn of(mut command: Command) -> Running {
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let (out, err) = (child.stdout.take().unwrap(), child.stderr.take().unwrap());
        let (url, admin_url) = (String::new(), String::new());
        Running { child, out: Stream::of(out), err: Stream::of(err), url, admin_url }
    }

    /// Waits until it serves.
    pub async fn serving(mut self) -> Running {
        let line = self.err.wait_for("\"serving\"").await;
        let line: serde_json::Value = serde_json::from_str(&line).unwrap();
        self.url = format!("http://{}", line["callers"].as_str().unwrap());
        self.admin_url = format!("http://{}", line["operators"].as_str().unwrap());
        self
    }

    /// Writes to its standard input, and closes it.
    pub fn tell(&mut self, input: &str) {
        // It may end before it has read everything.
        let _ = self.child.stdin.take().unwrap().write_all(input.as_bytes());
    }

    pub fn id(&self) -> Pid {
        Pid::from_child(&self.child)
    }

    pub fn signal(&self, signal: Signal) {
        kill_process(self.id(), signal).unwrap();
    }

    /// Waits until it ends.
    pub async fn end(mut self) -> Output {
        let out = self.out.all().await;
        let err = self.err.all().await;
        let code = self.child.wait().unwrap().code().unwrap_or(-1);
        Output { code, out, err }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The output of a process, read by a thread so that the process never has to wait for a reader.
pub struct Stream {
    text: Arc<Mutex<String>>,
    lines: Arc<Mutex<mpsc::Receiver<String>>>,
    reader: Option<JoinHandle<()>>,
}

impl Stream {
    fn of(pipe: impl Read + Send + 'static) -> Stream {
        let text = Arc::new(Mutex::new(String::new()));
        let (sender, lines) = mpsc::channel();
        let kept = Arc::clone(&text);
        let reader = thread::spawn(move || {
            let mut pipe = BufReader::new(pipe);
            let mut line = Vec::new();
            while pipe.read_until(b'\n', &mut line).is_ok_and(|count| count > 0) {
                let read = String::from_utf8_lossy(&line).into_owned();
                kept.lock().unwrap().push_str(&read);
                let _ = sender.send(read);
                line.clear();
            }
        });
        Stream { text, lines: Arc::new(Mutex::new(lines)), reader: Some(reader) }
    }

    /// Waits for a line that contains `part`.
    pub async fn wait_for(&self, part: &str) -> String {
        let (lines, part, text) =
            (Arc::clone(&self.lines), part.to_owned(), Arc::clone(&self.text));
        let found = tokio::task::spawn_blocking(move || {
            let lines = lines.lock().unwrap();
            loop {
                match lines.recv_timeout(PATIENCE) {
                    Ok(line) if line.contains(&part) => return line,
                    Ok(_) => (),
                    Err(error) => panic!("no line with {part}, {error}:\n{}", text.lock().unwrap()),
                }
            }
        });
        found.await.unwrap()
    }

    /// Everything that is printed until the pipe is closed.
    async fn all(&mut self) -> String {
        let reader = self.reader.take().unwrap();
        let ended = tokio::task::spawn_blocking(move || reader.join().unwrap());
        let in_time = tokio::time::timeout(PATIENCE, ended).await.is_ok();
        assert!(in_time, "it does not end:\n{}", self.text());
        self.text()
    }

    /// What was printed so far.
    pub fn text(&self) -> String {
        self.text.lock().unwrap().clone()
    }
}
