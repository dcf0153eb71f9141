//! A connection on which a test sends and reads raw bytes.

use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};

/// A deadline for tests that fail; no test measures time.
const PATIENCE: Duration = Duration::from_secs(30);

pub struct Raw(TcpStream);

impl Raw {
    pub async fn connect(url: &str) -> Raw {
        Raw(TcpStream::connect(authority(url)).await.unwrap())
    }

    /// Connects from another address of this machine.
    pub async fn connect_from(address: &str, url: &str) -> Raw {
        let socket = TcpSocket::new_v4().unwrap();
        socket.bind(format!("{address}:0").parse().unwrap()).unwrap();
        Raw(socket.connect(authority(url).parse().unwrap()).await.unwrap())
    }

    /// With a tiny receive buffer, so that the other end soon has to wait for the test to read.
    pub async fn connect_narrow(url: &str) -> Raw {
        let socket = TcpSocket::new_v4().unwrap();
        socket.set_recv_buffer_size(4096).unwrap();
        Raw(socket.connect(authority(url).parse().unwrap()).await.unwrap())
    }

    /// With a tiny send buffer, so that the test soon has to wait for the other end to read.
    pub async fn connect_slow(url: &str) -> Raw {
        let socket = TcpSocket::new_v4().unwrap();
        socket.set_send_buffer_size(4096).unwrap();
        Raw(socket.connect(authority(url).parse().unwrap()).await.unwrap())
    }

    pub async fn send(&mut self, bytes: impl AsRef<[u8]>) {
        self.0.write_all(bytes.as_ref()).await.unwrap();
    }

    /// Sends as much as the other end takes.
    pub async fn try_send(&mut self, bytes: impl AsRef<[u8]>) {
        let _ = self.0.write_all(bytes.as_ref()).await;
    }

    /// One answer with a `Content-Length`: head and body.
    pub async fn answer(&mut self) -> String {
        let mut text = String::new();
        while !is_whole(&text) {
            let mut part = [0; 4096];
            let read = tokio::time::timeout(PATIENCE, self.0.read(&mut part)).await;
            let count = read.expect("no answer came").unwrap();
            assert_ne!(count, 0, "closed after {text:?}");
            text.push_str(std::str::from_utf8(&part[..count]).unwrap());
        }
        text
    }

    /// Everything that arrives until it contains `marker`.
    pub async fn until(&mut self, marker: &str) -> String {
        let mut text = String::new();
        while !text.contains(marker) {
            let mut part = [0; 4096];
            let read = tokio::time::timeout(PATIENCE, self.0.read(&mut part)).await;
            let count = read.unwrap_or_else(|_| panic!("only {text:?} came")).unwrap();
            assert_ne!(count, 0, "closed after {text:?}");
            text.push_str(std::str::from_utf8(&part[..count]).unwrap());
        }
        text
    }

    /// Everything that arrives until the other end closes.
    pub async fn rest(&mut self) -> String {
        let mut bytes = Vec::new();
        // A reset closes as well.
        let read = self.0.read_to_end(&mut bytes);
        let _ = tokio::time::timeout(PATIENCE, read).await.expect("the connection stayed open");
        String::from_utf8_lossy(&bytes).into_owned()
    }

    /// Asserts that the other end closes without a reset, and sends nothing more.
    pub async fn ends(&mut self) {
        let mut bytes = Vec::new();
        let read = tokio::time::timeout(PATIENCE, self.0.read_to_end(&mut bytes)).await;
        assert_eq!(read.expect("the connection stayed open").unwrap(), 0);
    }

    /// Sends the same bytes repeatedly until the other end resets the connection.
    pub async fn send_until_cut(&mut self, bytes: &[u8]) {
        let sending = async {
            while self.0.write_all(bytes).await.is_ok() {
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(PATIENCE, sending).await.expect("the connection stayed open");
    }

    /// Whether nothing has arrived.
    pub fn is_silent(&self) -> bool {
        self.0.try_read(&mut [0]).is_err()
    }
}

fn authority(url: &str) -> &str {
    url.strip_prefix("http://").unwrap()
}

fn is_whole(text: &str) -> bool {
    let Some((head, body)) = text.split_once("\r\n\r\n") else { return false };
    let head = head.to_lowercase();
    let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
    length.is_none_or(|length| body.len() >= length.parse::<usize>().unwrap())
}
