//! Hostile texts and hostile sites, in a browser that would run injected scripts.

use serde_json::json;

use crate::browser::chromium::Chromium;
use crate::connect::start_gateway;
use crate::connect::strings::hostile;
use crate::database::{Kind, fresh};

#[tokio::test]
async fn a_hostile_label_runs_nothing_and_breaks_no_layout() {
    let database = fresh(Kind::Sqlite).await;
    let gateway = start_gateway(&database).await;
    let chromium = Chromium::start().await;
    let browser = chromium.browser().await;
    let phone = json!({ "width": 390, "height": 844, "deviceScaleFactor": 1, "mobile": true });
    browser.tell("Emulation.setDeviceMetricsOverride", phone).await;
    let is_label = |text: &String| (1..=100).contains(&text.chars().count());
    let labels =
        hostile().into_iter().filter(|text| is_label(text) && !text.contains(char::is_control));
    let mut seen = 0;
    for label in labels {
        let link = gateway.link_with(|link| link.label.clone_from(&label)).await;
        browser.open(&link).await;
        browser.sees("Connect your X account to demo").await;
        assert_eq!(browser.faults().await, [""; 0], "{label:?}");
        assert_eq!(browser.complaints().await, [""; 0], "{label:?}");
        let shown = browser.run("return document.querySelector('bdi').textContent").await;
        assert_eq!(shown, label, "it is shown as it is");
        seen += 1;
    }
    assert!(seen >= 100, "{seen} labels");
}

#[tokio::test]
async fn another_site_can_neither_frame_a_page_nor_press_its_button() {
    let database = fresh(Kind::Sqlite).await;
    let gateway = start_gateway(&database).await;
    let chromium = Chromium::start().await;
    let browser = chromium.browser().await;
    let link = gateway.link().await;
    // The sandbox plays any other site; its page has no policy that forbids anything.
    browser.open(&format!("http://{}/sandbox/switches", gateway.sandbox.address)).await;
    let frame = format!(
        "const it = document.createElement('iframe'); it.src = {};
         document.body.append(it);
         return new Promise(done => it.onload = () => {{
             try {{ done(it.contentDocument === null ? 'closed' : it.contentDocument.body.innerText) }}
             catch (error) {{ done('closed') }}
         }})",
        json!(link)
    );
    assert_eq!(browser.run(&frame).await, "closed");
    let framed = browser.complaints().await.join("\n");
    assert!(framed.contains("frame-ancestors 'none'"), "whose policy refused it: {framed}");
    let post = format!(
        "return fetch({}, {{ method: 'POST', mode: 'no-cors', credentials: 'include' }}).then(it => it.type, () => 'failed')",
        json!(format!("{link}/begin"))
    );
    browser.run(&post).await;
    assert_eq!(gateway.steps().await, (0, 0), "nothing was begun");
    assert_eq!(browser.cookies().await.len(), 0);
}
