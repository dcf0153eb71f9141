//! Connecting without a mouse, set up as in production: behind TLS, with X on another site.

use fantoccini::key::Key;
use tokio::runtime::Handle;
use tokio::task::block_in_place;

use crate::browser::chromium::{Browser, Chromium};
use crate::connect::start_gateway_with;
use crate::database::{Kind, fresh};
use crate::program::front::{Authority, Front};

impl Browser {
    /// Presses Tab until the focus is on the element with that name, as somebody at a keyboard does.
    async fn tabs_to(&self, name: &str) {
        let focused = "const it = document.activeElement;
            return (it.labels?.[0] ?? it).innerText.trim().split('\\n')[0]";
        let mut passed = Vec::new();
        while passed.last().is_none_or(|last| last != name) {
            assert!(passed.len() < 20, "no {name} among {passed:?}");
            self.strike(Key::Tab).await;
            passed.push(self.run(focused).await.as_str().unwrap().to_owned());
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_account_is_connected_behind_tls_by_tab_and_enter_alone() {
    let database = fresh(Kind::Sqlite).await;
    let gateway = start_gateway_with(&database, |config| {
        // The front needs the gateway's address, and the gateway needs the front's.
        let own = config.connect.public_url.as_ref().unwrap().trim_start_matches("http://");
        let authority = Authority::new("ours");
        let front = Front::before(own, &authority, "localhost", |_| ());
        let front = block_in_place(|| Handle::current().block_on(front));
        config.connect.public_url = Some(front.url);
    })
    .await;
    let link = gateway.link().await;
    assert!(link.starts_with("https://localhost:"), "{link}");
    let chromium = Chromium::start().await;
    let browser = chromium.browser().await;

    browser.open(&link).await;
    browser.tabs_to("Continue to X").await;
    browser.strike(Key::Enter).await;
    browser.sees("Let the app “demo” use an account?").await;
    let cookies = browser.cookies().await;
    assert_eq!(cookies.len(), 0, "{cookies:?} is not for X");

    browser.tabs_to("connected apps").await;
    browser.tabs_to("@alice").await;
    browser.strike(Key::Down).await;
    browser.strike(Key::Down).await;
    browser.tabs_to("Allow").await;
    browser.strike(Key::Enter).await;
    browser.sees("Connected as @carol").await;
    assert!(gateway.is_connected("carol").await);
    let cookies = browser.cookies().await;
    assert_eq!(cookies.len(), 1, "{cookies:?}");
    assert_eq!(cookies[0].name(), "__Host-countersign-connect");
    assert_eq!((cookies[0].secure(), cookies[0].http_only()), (Some(true), Some(true)));
}
