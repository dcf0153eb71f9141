//! A receiver of events: a real server that records what arrives, and answers as a test says.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, Method, StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use serde_json::Value;
use tokio::net::TcpListener;
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinHandle;

/// An event as it arrived.
#[derive(Clone, Debug)]
pub struct Arrived {
    pub method: Method,
    pub path: String,
    pub headers: HeaderMap,
    pub body: Bytes,
}

impl Arrived {
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |header| header.to_str().unwrap())
    }

    pub fn id(&self) -> &str {
        self.header("webhook-id")
    }

    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap()
    }

    /// The event's type, and the user it is about.
    pub fn what(&self) -> (String, String) {
        let body = self.json();
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        (text(&body["type"]), text(&body["data"]["screen_name"]))
    }
}

struct Inside {
    arrived: Mutex<Vec<Arrived>>,
    count: watch::Sender<usize>,
    /// The next answers, before the usual one.
    answers: Mutex<VecDeque<u16>>,
    usual: Mutex<u16>,
    /// How many events are answered; the others wait.
    gate: Semaphore,
    at_once: Mutex<(usize, usize)>,
}

/// Stops when dropped.
pub struct Receiver {
    pub url: String,
    inside: Arc<Inside>,
    task: JoinHandle<()>,
}

impl Drop for Receiver {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Receiver {
    pub async fn start() -> Receiver {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/hook?token=abc", listener.local_addr().unwrap());
        let inside = Arc::new(Inside {
            arrived: Mutex::default(),
            count: watch::Sender::new(0),
            answers: Mutex::default(),
            usual: Mutex::new(204),
            gate: Semaphore::new(Semaphore::MAX_PERMITS),
            at_once: Mutex::default(),
        });
        let routes = Router::new().fallback(receive).with_state(Arc::clone(&inside));
        let task = tokio::spawn(async move { axum::serve(listener, routes).await.unwrap() });
        Receiver { url, inside, task }
    }

    /// From now on every answer has this status.
    pub fn answers(&self, status: u16) {
        *self.inside.usual.lock().unwrap() = status;
    }

    /// The next answers have these statuses.
    pub fn next(&self, statuses: &[u16]) {
        self.inside.answers.lock().unwrap().extend(statuses);
    }

    /// Nothing is answered until `open`.
    pub fn close(&self) {
        self.inside.gate.forget_permits(Semaphore::MAX_PERMITS);
    }

    pub fn open(&self) {
        self.inside.gate.add_permits(Semaphore::MAX_PERMITS);
    }

    pub fn arrived(&self) -> Vec<Arrived> {
        self.inside.arrived.lock().unwrap().clone()
    }

    /// The type and screen name of each event that arrived, in order.
    pub fn told(&self) -> Vec<(String, String)> {
        self.arrived().iter().map(Arrived::what).collect()
    }

    /// Waits until that many events have arrived, answered or not.
    pub async fn wait_for(&self, count: usize) {
        self.inside.count.subscribe().wait_for(|arrived| *arrived >= count).await.unwrap();
    }

    /// The most events that were being answered at one time.
    pub fn most_at_once(&self) -> usize {
        self.inside.at_once.lock().unwrap().1
    }
}

async fn receive(
    State(inside): State<Arc<Inside>>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    {
        let mut at_once = inside.at_once.lock().unwrap();
        at_once.0 += 1;
        at_once.1 = at_once.1.max(at_once.0);
    }
    inside.arrived.lock().unwrap().push(Arrived { method, path: uri.to_string(), headers, body });
    inside.count.send_modify(|count| *count += 1);
    let passed = inside.gate.acquire().await.map(drop);
    assert!(passed.is_ok(), "the gate is never closed for good");
    let next = inside.answers.lock().unwrap().pop_front();
    let status = next.unwrap_or(*inside.usual.lock().unwrap());
    inside.at_once.lock().unwrap().0 -= 1;
    let status = StatusCode::from_u16(status).unwrap();
    if status.is_redirection() {
        return (status, [("location", "/elsewhere")]).into_response();
    }
    status.into_response()
}
