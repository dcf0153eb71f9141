//! The explore page in a browser: from the form to charts, for every kind of answer.

use countersign::sandbox::Settings;
use serde_json::json;

use crate::browser::chromium::{Browser, Chromium};
use crate::database::{Kind, fresh};
use crate::gateway::TestGateway;
use crate::upstream::{TestSandbox, small};

impl Browser {
    /// Selects exactly these engagement types.
    async fn marks(&self, metrics: &[&str]) {
        let mark = format!(
            "for (const it of document.querySelectorAll('[name=metrics]')) it.checked = {}.includes(it.value)",
            json!(metrics)
        );
        self.run(&mark).await;
    }

    async fn asks(&self, window: &str, group: &str) {
        let choose = format!(
            "document.querySelector('[name=window][value=\"{window}\"]').checked = true;
             document.getElementById('group').value = '{group}'"
        );
        self.run(&choose).await;
        self.press("Run query").await;
        let chosen = format!("//option[@selected and @value='{group}']");
        self.find(&format!(
            "//main[.//h2[.='Results']][.//input[@checked and @value='{window}']]{chosen}"
        ))
        .await;
    }
}

#[tokio::test]
async fn answers_are_sound_as_charts_in_every_size_and_colour() {
    let database = fresh(Kind::Sqlite).await;
    let sandbox =
        TestSandbox::start_with(Settings { users: 4, posts_per_user: 40, ..small() }).await;
    let gateway = TestGateway::build(sandbox, &database.settings(), |config| {
        config.limits.question_calls = 1;
    })
    .await;
    let chromium = Chromium::start().await;
    let browser = chromium.browser().await;
    browser.signs_in(&gateway, &gateway.new_admin_key().await).await;
    browser.press("Explore").await;
    browser.sees("Explore").await;
    browser.shows("console-explore").await;

    let alice = gateway.sandbox.ids("alice", 24);
    browser
        .fill("tweets", &[&alice[..4], &gateway.sandbox.ids("carol", 2)].concat().join(" "))
        .await;
    browser.marks(&["impressions", "favorites", "replies"]).await;
    browser.asks("totals", "post").await;
    browser.shows("console-explore-posts").await;
    browser.asks("totals", "all").await;
    browser.shows("console-explore-together").await;
    browser.fill("tweets", &alice.join("\n")).await;
    browser.marks(&["impressions", "engagements", "favorites", "replies", "url_clicks"]).await;
    browser.asks("28hr", "post").await;
    browser.shows("console-explore-many-posts").await;
    browser.asks("28hr", "hour").await;
    browser.shows("console-explore-hours").await;
    browser.asks("range", "day").await;
    browser.shows("console-explore-days").await;
    browser.asks("range", "post_hour").await;
    browser.shows("console-explore-posts-by-hour").await;
    browser.marks(&["impressions"]).await;
    browser.asks("range", "hour").await;
    browser.shows("console-explore-one-line").await;
    browser.marks(&["impressions", "app_install_attempts"]).await;
    browser.asks("28hr", "all").await;
    browser.shows("console-explore-long-names").await;
    browser.fill("start", "2025-11-20").await;
    gateway
        .order(json!([
            {
                "kind": "status",
                "status": 500,
                "body": { "errors": ["broken"] },
                "path": "/insights/",
                "times": 1,
            },
        ]))
        .await;
    browser.asks("range", "post_day").await;
    browser.reads("Where a line is broken").await;
    browser.shows("console-explore-gap").await;

    browser.marks(&[]).await;
    browser.fill("tweets", "https://x.com/alice 20").await;
    browser.press("Run query").await;
    browser.reads("is not a post.").await;
    browser.shows("console-explore-refused").await;
    browser.fill("account", "@alice").await;
    browser.press("Fill in its newest posts").await;
    browser.reads("The newest posts by @alice that the gateway knows.").await;
    browser.shows("console-explore-known").await;
    browser.asks("28hr", "post").await;
    browser.press("impressions").await;
    browser.find("//th[@aria-sort='descending']").await;
    browser.shows("console-explore-sorted").await;
}
