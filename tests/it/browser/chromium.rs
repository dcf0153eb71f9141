//! Headless Chromium with a profile of its own; it can reach this machine and nothing else.

use std::io::{BufRead, BufReader};
use std::os::unix::process::CommandExt as _;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use fantoccini::actions::{InputSource, KeyAction, KeyActions};
use fantoccini::cookies::Cookie;
use fantoccini::elements::Element;
use fantoccini::error::CmdError;
use fantoccini::key::Key;
use fantoccini::wd::WebDriverCompatibleCommand;
use fantoccini::{Client, ClientBuilder, Locator};
use hyper_util::client::legacy::connect::HttpConnector;
use reqwest::{Method, Url};
use serde_json::{Value, json};
use tokio::sync::{Semaphore, SemaphorePermit};

/// A deadline for tests that fail; no test measures time.
const PATIENCE: Duration = Duration::from_mins(2);
const OFTEN: Duration = Duration::from_millis(20);

/// How many browsers run at once: they are heavy, and many other tests run beside them.
static TURNS: Semaphore = Semaphore::const_new(2);

/// Ends the driver and all its browsers once its standard input closes: when the test passes, fails or is killed.
const NURSE: &str = r#"
folder=$(mktemp -d) || exit
env -i PATH="$PATH" HOME="$folder" TMPDIR="$folder" setsid chromedriver --port=0 &
read -r over
kill -KILL -$!
until rm -rf "$folder"; do :; done
"#;

/// A driver, which starts browsers and ends them all when it is dropped.
pub struct Chromium {
    nurse: Child,
    url: String,
    _turn: SemaphorePermit<'static>,
}

/// One browser, isolated from the others.
pub struct Browser {
    client: Client,
}

/// A driver's command that WebDriver does not define.
#[derive(Debug)]
struct Extra {
    path: &'static str,
    body: Value,
}

impl Chromium {
    pub async fn start() -> Chromium {
        let turn = TURNS.acquire().await.unwrap();
        for program in ["chromium", "chromedriver"] {
            let version = Command::new(program).arg("--version").output();
            assert!(version.is_ok(), "{program} is missing; tests/run installs it");
        }
        let mut nurse = Command::new("sh")
            .args(["-c", NURSE])
            // A signal to the tests' process group must leave it the time to clean up.
            .process_group(0)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(nurse.stdout.take().unwrap()).lines();
        let port = tokio::task::spawn_blocking(move || {
            lines.find_map(|read| {
                let line = read.unwrap();
                let port = line.strip_prefix("ChromeDriver was started successfully on port ")?;
                Some(port.trim_end_matches('.').to_owned())
            })
        });
        let port = port.await.unwrap().expect("chromedriver says its port");
        Chromium { nurse, url: format!("http://127.0.0.1:{port}"), _turn: turn }
    }

    pub async fn browser(&self) -> Browser {
        let arguments = [
            "--headless=new",
            // Chromium refuses to run as root otherwise, and it only opens our own pages.
            "--no-sandbox",
            "--disable-dev-shm-usage",
            "--disable-gpu",
            "--disable-background-networking",
            "--disable-component-update",
            "--no-proxy-server",
            "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1, EXCLUDE localhost",
        ];
        let wanted = json!({
            "browserName": "chrome",
            "acceptInsecureCerts": true,
            "timeouts": { "pageLoad": PATIENCE.as_millis(), "script": PATIENCE.as_millis() },
            "goog:loggingPrefs": { "browser": "ALL" },
            "goog:chromeOptions": { "args": arguments },
        });
        let Value::Object(wanted) = wanted else { unreachable!() };
        let client = ClientBuilder::new(HttpConnector::new())
            .capabilities(wanted)
            .connect(&self.url)
            .await
            .unwrap();
        Browser { client }
    }
}

impl Drop for Chromium {
    fn drop(&mut self) {
        drop(self.nurse.stdin.take());
        let _ = self.nurse.wait();
    }
}

impl Browser {
    pub async fn open(&self, url: &str) {
        self.client.goto(url).await.unwrap();
    }

    /// Waits for a page with this text in its heading.
    pub async fn sees(&self, heading: &str) {
        self.find(&format!("//h1[contains(normalize-space(), \"{heading}\")]")).await;
    }

    /// Waits for a page with this text anywhere.
    pub async fn reads(&self, text: &str) {
        self.find(&format!("//main[contains(normalize-space(), \"{text}\")]")).await;
    }

    /// Presses the button, or follows the link, with that label.
    pub async fn press(&self, name: &str) {
        let path = format!(
            "//*[self::button or self::a][@aria-label=\"{name}\" or normalize-space()=\"{name}\"]"
        );
        self.click(&path).await;
    }

    /// Types into the field with that id, replacing what it holds.
    pub async fn types(&self, id: &str, text: &str) {
        let field = self.find(&format!("//*[@id=\"{id}\"]")).await;
        field.clear().await.unwrap();
        field.send_keys(text).await.unwrap();
    }

    /// Chooses one of the sandbox's users.
    pub async fn choose(&self, name: &str) {
        let path = format!("//label[span[normalize-space()=\"@{name}\"]]");
        self.click(&path).await;
    }

    /// Clicks the element.
    pub async fn click(&self, path: &str) {
        while let Err(error) = self.find(path).await.click().await {
            // It disappeared before the click.
            let is_gone = error.is_stale_element_reference()
                || error.to_string().contains("does not belong to the document");
            assert!(is_gone, "{path}: {error}");
        }
    }

    /// Waits for the element.
    pub async fn find(&self, path: &str) -> Element {
        let mut last = None;
        let found = tokio::time::timeout(PATIENCE, async {
            loop {
                let wait = self.client.wait().at_most(PATIENCE).every(OFTEN);
                match wait.for_element(Locator::XPath(path)).await {
                    Ok(found) => return found,
                    // While one page replaces another, the driver may not know which of them to search.
                    Err(error) => last = Some(error),
                }
            }
        });
        if let Ok(found) = found.await {
            return found;
        }
        let (url, page) = (self.client.current_url().await, self.client.source().await);
        panic!("no {path} at {url:?}, {last:?}: {page:?}")
    }

    pub async fn url(&self) -> Url {
        self.client.current_url().await.unwrap()
    }

    /// Presses the browser's back button.
    pub async fn goes_back(&self) {
        self.client.back().await.unwrap();
    }

    /// The cookies that the page's host receives.
    pub async fn cookies(&self) -> Vec<Cookie<'static>> {
        self.client.get_all_cookies().await.unwrap()
    }

    /// Deletes all cookies, so that servers take it for a new browser.
    pub async fn forgets(&self) {
        self.client.delete_all_cookies().await.unwrap();
    }

    /// Presses and releases a key, wherever the focus is.
    pub async fn strike(&self, key: Key) {
        let value = char::from(key);
        let strike = KeyActions::new("keyboard".to_owned())
            .then(KeyAction::Down { value })
            .then(KeyAction::Up { value });
        self.client.perform_actions(strike).await.unwrap();
    }

    /// The result of a function with this body.
    pub async fn run(&self, script: &str) -> Value {
        self.client.execute(script, Vec::new()).await.unwrap()
    }

    /// The errors that the page and the browser have logged since the last call.
    pub async fn complaints(&self) -> Vec<String> {
        let log = self.extra("se/log", json!({ "type": "browser" })).await;
        let entries = log.as_array().unwrap().iter();
        entries.map(|entry| entry["message"].as_str().unwrap().to_owned()).collect()
    }

    /// A command of the protocol of Chromium's developer tools.
    pub async fn tell(&self, command: &str, parameters: Value) -> Value {
        self.extra("goog/cdp/execute", json!({ "cmd": command, "params": parameters })).await
    }

    async fn extra(&self, path: &'static str, body: Value) -> Value {
        let done: Result<Value, CmdError> = self.client.issue_cmd(Extra { path, body }).await;
        done.unwrap()
    }
}

impl WebDriverCompatibleCommand for Extra {
    fn endpoint(
        &self,
        base: &Url,
        session: Option<&str>,
    ) -> Result<Url, <Url as std::str::FromStr>::Err> {
        base.join(&format!("session/{}/{}", session.unwrap_or_default(), self.path))
    }

    fn method_and_body(&self, _: &Url) -> (Method, Option<String>) {
        (Method::POST, Some(self.body.to_string()))
    }
}
