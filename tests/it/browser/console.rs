//! The console under attack, in a browser that would run injected scripts: hostile texts, and other
//! sites.

use serde_json::json;

use crate::browser::chromium::{Browser, Chromium};
use crate::connect::strings::hostile;
use crate::console::rules::Furnished;
use crate::database::{Database, Kind, fresh, newest};
use crate::gateway::TestGateway;
use crate::upstream::VERIFY;
use crate::webhooks::start_gateway;

/// Text in a table stays in its cell, and no element exists that the page did not create.
const WHOLE: &str = "
    const found = [];
    for (const table of document.querySelectorAll('table')) {
        const columns = table.tHead.rows[0].cells.length;
        for (const row of table.tBodies[0].rows) {
            if (row.cells.length !== columns) found.push(row.innerHTML);
        }
    }
    for (const odd of document.querySelectorAll('script, iframe, img, svg:not([role=img][aria-label^=Chart], .legend > li > .sample), base, style, object, meta[http-equiv], [style], [onload], [onerror], [onclick], [onfocus], [onmouseover], [autofocus]')) {
        found.push(odd.outerHTML);
    }
    for (const link of document.querySelectorAll('a[href]')) {
        const url = new URL(link.href);
        if (url.origin !== location.origin && url.host !== 'www.standardwebhooks.com') found.push(link.outerHTML);
    }
    return found";

/// Puts each text into every column that the console displays.
async fn strew(database: &Database, gateway: &TestGateway, texts: &[String]) {
    let alice = gateway.id("alice");
    for (number, text) in texts.iter().enumerate() {
        let literal = format!("'{}'", text.replace('\'', "''"));
        let rows = [
            format!("insert into account (app, user_id, screen_name, state, state_since, connected_at, sealed_token, sealed_token_secret)
                 select app, '{}', {literal}, state, state_since, connected_at, sealed_token, sealed_token_secret from account where user_id = '{alice}'", 9_000_000 + number),
            format!("insert into key (key_id, role, name, app, accounts, endpoints, rights, expires_at, created_at, revoked_at, last_used_at, sealed_verifier)
                 select 'k{number}', role, '{number} ' || {literal}, {literal}, accounts, endpoints, rights, expires_at, created_at, revoked_at, last_used_at, sealed_verifier from key where key_id = '{}'", &gateway.key[4..16]),
            format!("insert into webhook (webhook_id, url, app, created_at, sealed_secret, leased_until)
                 select 'w{number}', 'https://a/' || {literal}, {literal}, created_at, sealed_secret, leased_until from webhook where substr(webhook_id, 1, 1) <> 'w' or length(webhook_id) = 12 limit 1"),
            format!("insert into delivery (webhook_id, event, app, user_id, screen_name, reason, occurred_at, attempts, attempt_at, status, failure)
                 select webhook_id, case when {number} % 5 = 0 then {literal} else event end, {literal}, user_id, {literal}, {literal}, occurred_at, 1, attempt_at, 500, {literal} from delivery where delivery_id = 1"),
            format!("insert into audit (recorded_at, actor, address, action, subject, detail) values ('2026-03-10 21:15:30+00:00', {literal}, {literal}, {literal}, {literal}, {literal})"),
            format!("insert into call (called_at, request_id, app, key_id, user_id, endpoint, auth, posts, metrics, status, code, attempts, micros, upstream_micros, bytes, subject)
                 values ('2026-03-10 21:15:30+00:00', {literal}, {literal}, {literal}, '{alice}', 'totals', '', 1, 'impressions', 500, {literal}, 1, 1, 1, 1, {literal})"),
            format!("insert into subject_usage (day, key_id, subject, questions, calls)
                 select 20522, key_id, {literal}, {number}, 1 from key where rights like '%browser%' on conflict do nothing"),
        ];
        database.run(&rows.join(";")).await;
    }
}

/// Faults of the page, and errors that were logged.
async fn wrong(browser: &Browser) -> Vec<String> {
    let mut wrong: Vec<String> = serde_json::from_value(browser.run(WHOLE).await).unwrap();
    wrong.extend(browser.faults().await);
    wrong.extend(browser.complaints().await);
    wrong
}

#[tokio::test]
async fn hostile_texts_in_every_field_run_nothing_and_stay_in_their_cells() {
    let database = fresh(Kind::Sqlite).await;
    let gateway = start_gateway(&database).await;
    let furnished = Furnished::new(&gateway).await;
    // SQL cannot express a NUL.
    let texts: Vec<String> = hostile()
        .into_iter()
        .filter(|text| !text.contains('\0') && text.chars().count() <= 100)
        .collect();
    assert!(texts.len() >= 100, "{}", texts.len());
    strew(&database, &gateway, &texts).await;
    for (number, text) in
        texts.iter().enumerate().filter(|numbered| !numbered.1.contains(char::is_control))
    {
        let label = if text.trim().is_empty() { format!("{text}{number}") } else { text.clone() };
        gateway.link_with(|link| link.label = label).await;
    }
    let chromium = Chromium::start().await;
    let browser = chromium.browser().await;
    let phone = json!({ "width": 390, "height": 844, "deviceScaleFactor": 1, "mobile": true });
    browser.tell("Emulation.setDeviceMetricsOverride", phone).await;
    browser.signs_in(&gateway, &gateway.new_admin_key().await).await;
    let mut paths = furnished.pages();
    paths.retain(|path| !path.contains("sign-in") && !path.contains(".jsonl"));
    let of_accounts =
        (0..texts.len()).map(|index| format!("/console/accounts/demo/{}", 9_000_000 + index));
    let of_webhooks = (0..texts.len()).map(|index| format!("/console/webhooks/w{index}"));
    paths.extend(of_accounts.chain(of_webhooks).step_by(4));
    let mut seen = String::new();
    for path in paths {
        let mut next = Some(format!("{}{path}", gateway.admin_url));
        while let Some(url) = next {
            browser.open(&url).await;
            assert_eq!(wrong(&browser).await, [""; 0], "{url}");
            let text = browser.run("return document.querySelector('main').textContent").await;
            seen.push_str(text.as_str().unwrap());
            let onward =
                browser.run("return document.querySelector('a[rel=next]')?.href ?? null").await;
            next = onward.as_str().map(str::to_owned);
        }
    }
    // Browsers normalise line endings.
    let plain = |text: &str| text.replace("\r\n", "\n").replace('\r', "\n");
    let seen = plain(&seen);
    for text in &texts {
        assert!(seen.contains(&plain(text)), "{text:?} is shown as it is");
    }
}

/// From the page that is open: frames the target, posts to it in the background, and submits a form to it.
async fn attack(browser: &Browser, from: &str, gateway: &TestGateway, path: &str) {
    let (frame, post) = (
        json!(format!("{}/console/", gateway.admin_url)),
        json!(format!("{}{path}", gateway.admin_url)),
    );
    browser.open(from).await;
    let framed = format!(
        "const it = document.createElement('iframe'); it.src = {frame}; document.body.append(it);
         return new Promise(done => it.onload = () => {{
             try {{ done(it.contentDocument === null ? 'closed' : it.contentDocument.body.innerText) }}
             catch (error) {{ done('closed') }}
         }})"
    );
    assert_eq!(browser.run(&framed).await, "closed");
    let framed = browser.complaints().await.join("\n");
    assert!(framed.contains("frame-ancestors 'none'"), "whose policy refused it: {framed}");
    let posted = format!(
        "return fetch({post}, {{ method: 'POST', mode: 'no-cors', credentials: 'include',
             headers: {{ 'content-type': 'application/x-www-form-urlencoded' }} }}).then(it => it.type, () => 'failed')"
    );
    browser.run(&posted).await;
    let read = format!(
        "return fetch({frame}, {{ credentials: 'include' }}).then(it => it.text(), () => 'failed')"
    );
    assert_eq!(browser.run(&read).await, "failed");
    let form = format!(
        "const it = document.createElement('form'); it.method = 'post'; it.action = {post};
         document.body.append(it); it.submit()"
    );
    browser.run(&form).await;
    browser.sees("Not done").await;
    browser.reads("This request came from another site, so nothing was changed.").await;
    browser.complaints().await;
}

#[tokio::test]
async fn another_site_can_neither_frame_read_nor_act_while_somebody_is_signed_in() {
    let database = fresh(Kind::Sqlite).await;
    let gateway = start_gateway(&database).await;
    let chromium = Chromium::start().await;
    let browser = chromium.browser().await;
    browser.signs_in(&gateway, &gateway.new_admin_key().await).await;
    let before = gateway.store.list_audit(&newest(99)).await.unwrap();
    let path = format!("/console/accounts/demo/{}/verify", gateway.id("alice"));
    // The sandbox plays any other site. As it is also on 127.0.0.1, the console's cookie is even sent along.
    let port = gateway.sandbox.address.rsplit(':').next().unwrap();
    for site in ["127.0.0.1", "localhost"] {
        attack(&browser, &format!("http://{site}:{port}/sandbox/switches"), &gateway, &path).await;
    }
    assert!(gateway.arrived(VERIFY).await.is_empty());
    assert_eq!(gateway.store.list_audit(&newest(99)).await.unwrap(), before);
    browser.open(&format!("{}/console/", gateway.admin_url)).await;
    browser.sees("Overview").await;
}
