//! Tools for testing `countersign query`: the command as a shell runs it, a terminal, and a scripted server.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Read;
use std::os::fd::OwnedFd;
use std::process::{Command, Stdio};
use std::time::Duration;

use countersign::model::key::{Kind, RANDOM_LENGTH, compose};
use rustix::pty::{OpenptFlags, grantpt, ioctl_tiocgptpeer, openpt, unlockpt};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

use crate::program::deployment::{Output, Running};

/// A deadline for tests that fail.
const PATIENCE: Duration = Duration::from_mins(1);

/// The environment and folder of a shell.
pub struct Shell {
    pub folder: TempDir,
    pub environment: BTreeMap<String, String>,
}

impl Shell {
    /// A shell for the gateway at `url`. Nothing listens where its proxy variables point.
    pub fn new(url: &str, key: &str) -> Shell {
        let set = [
            ("COUNTERSIGN_URL", url),
            ("COUNTERSIGN_KEY", key),
            ("HTTP_PROXY", "http://127.0.0.1:1"),
            ("http_proxy", "http://127.0.0.1:1"),
            ("ALL_PROXY", "http://127.0.0.1:1"),
            ("TERM", "xterm"),
        ];
        let environment = set.map(|(name, value)| (name.to_owned(), value.to_owned()));
        Shell { folder: TempDir::new().unwrap(), environment: environment.into() }
    }

    /// A shell for a scripted server, which accepts any key.
    pub fn before(server: &Scripted) -> Shell {
        Shell::new(&server.url, compose(Kind::Caller, &[b'7'; RANDOM_LENGTH]).1.expose())
    }

    /// The output of `query` with these arguments.
    pub async fn query(&self, words: &str) -> Output {
        self.query_with(words, "").await
    }

    /// The same with text on its standard input.
    pub async fn query_with(&self, words: &str, input: &str) -> Output {
        let mut running = self.start(words);
        running.tell(input);
        running.end().await
    }

    pub fn start(&self, words: &str) -> Running {
        let words: Vec<&str> = ["query"].into_iter().chain(words.split_whitespace()).collect();
        Running::start(self.folder.path(), &self.environment, &words)
    }

    /// The command itself, to be started in some other way.
    pub fn command(&self, words: &str) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_countersign"));
        command.arg("query").args(words.split_whitespace());
        command.current_dir(self.folder.path()).env_clear().envs(&self.environment);
        command.stdin(Stdio::null());
        command
    }
}

/// A server for one request, which answers byte for byte what `say` is given, and hangs up when that is dropped.
pub struct Scripted {
    pub url: String,
    pub say: Option<UnboundedSender<String>>,
    arrived: UnboundedReceiver<String>,
}

impl Scripted {
    pub async fn start() -> Scripted {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let (say, told) = unbounded_channel();
        let (tell, arrived) = unbounded_channel();
        tokio::spawn(async move {
            let (stream, _) = listener.accept().await.unwrap();
            serve(stream, told, tell).await;
        });
        Scripted { url, say: Some(say), arrived }
    }

    /// A server that gives this answer at once.
    pub async fn answering(answer: &str) -> Scripted {
        let mut server = Scripted::start().await;
        server.say(answer);
        server.hang_up();
        server
    }

    pub fn say(&self, text: &str) {
        self.say.as_ref().unwrap().send(text.to_owned()).unwrap();
    }

    pub fn hang_up(&mut self) {
        self.say = None;
    }

    /// The request: its head in lower case, and its body.
    pub async fn request(&mut self) -> (String, serde_json::Value) {
        let arrived = self.arrived.recv().await.unwrap();
        let (head, body) = arrived.split_once("\r\n\r\n").unwrap();
        (head.to_lowercase(), serde_json::from_str(body).unwrap())
    }
}

async fn serve(
    mut stream: TcpStream,
    mut told: UnboundedReceiver<String>,
    tell: UnboundedSender<String>,
) {
    let mut read = Vec::new();
    loop {
        let text = String::from_utf8_lossy(&read).into_owned();
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let head = head.to_lowercase();
            let length = head.split("content-length: ").nth(1).unwrap().lines().next().unwrap();
            if body.len() == length.parse::<usize>().unwrap() {
                let _ = tell.send(text);
                break;
            }
        }
        if stream.read_buf(&mut read).await.unwrap_or(0) == 0 {
            return;
        }
    }
    while let Some(text) = told.recv().await {
        // The command may have ended.
        let _ = stream.write_all(text.as_bytes()).await;
    }
}

/// An answer with these header lines and this body, in one piece.
pub fn answer(head: &str, body: &str) -> String {
    format!("HTTP/1.1 200 OK\r\n{head}\r\nContent-Length: {}\r\n\r\n{body}", body.len())
}

/// A pseudo-terminal, and what was written to it.
pub struct Terminal {
    written: UnboundedReceiver<String>,
    seen: String,
}

impl Terminal {
    /// A terminal, and the end of it that a process writes to.
    pub fn open() -> (Terminal, OwnedFd) {
        let flags = OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC;
        let ours = openpt(flags).unwrap();
        grantpt(&ours).unwrap();
        unlockpt(&ours).unwrap();
        let theirs = ioctl_tiocgptpeer(&ours, flags).unwrap();
        let (tell, written) = unbounded_channel();
        std::thread::spawn(move || {
            let (mut ours, mut piece) = (File::from(ours), [0; 4096]);
            // Reading fails once no process can write any more.
            while let Ok(count @ 1..) = ours.read(&mut piece) {
                let _ = tell.send(String::from_utf8_lossy(&piece[..count]).into_owned());
            }
        });
        (Terminal { written, seen: String::new() }, theirs)
    }

    /// Waits until `part` was written.
    pub async fn wait_for(&mut self, part: &str) {
        while !self.seen.contains(part) {
            let more = tokio::time::timeout(PATIENCE, self.written.recv()).await;
            let more = more.unwrap_or_else(|_| panic!("no {part} in {:?}", self.seen));
            self.seen += &more.unwrap_or_else(|| panic!("no {part} in {:?}", self.seen));
        }
    }

    /// Everything that was written, once all processes have closed it.
    pub async fn all(mut self) -> String {
        while let Some(more) = self.written.recv().await {
            self.seen += &more;
        }
        self.seen
    }
}
