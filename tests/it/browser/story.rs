//! The whole story as people see it: an operator with nothing but what the demo prints, a user who connects,
//! a service that makes calls, and every page that shows them, until everybody has signed out.

use tempfile::TempDir;

use crate::browser::chromium::{Browser, Chromium};
use crate::browser::demo::Demo;
use crate::http::Answer;
use crate::program::demo;
use crate::upstream::{TOTALS, body, leaves};

const SERVICE: &str = "dashboard";

struct Story {
    demo: Demo,
    operator: Browser,
}

impl Browser {
    /// The content of a field that is there to be copied.
    async fn copies(&self, id: &str) -> String {
        let value = self.run(&format!("return document.getElementById('{id}').textContent")).await;
        value.as_str().unwrap().to_owned()
    }

    /// Waits for a page that shows this value under that label.
    async fn tells(&self, what: &str, text: &str) {
        let about = format!("//dt[normalize-space()=\"{what}\"]/following-sibling::dd[1]");
        self.find(&format!("{about}[starts-with(normalize-space(), \"{text}\")]")).await;
    }

    /// A row of a table, found by the beginnings of its cells.
    async fn row(&self, cells: &[&str]) -> String {
        let has = |text: &&str| format!("[td[starts-with(normalize-space(), \"{text}\")]]");
        let row = format!("//tbody/tr{}", cells.iter().map(has).collect::<String>());
        self.find(&row).await;
        row
    }
}

impl Story {
    async fn signs_in(&self) {
        self.operator
            .open(&format!("{}/console/", self.demo.card["admin"].as_str().unwrap()))
            .await;
        self.operator.sees("Sign in to Countersign").await;
        self.operator.types("key", self.demo.card["admin_key"].as_str().unwrap()).await;
        self.operator.press("Sign in").await;
        self.operator.sees("Overview").await;
        // Complaints about the sign-in form are not about the pages behind it.
        self.operator.complaints().await;
    }

    async fn makes_a_link(&self) -> String {
        self.operator.press("Links").await;
        self.operator.sees("Links").await;
        self.operator.press("Create a link").await;
        self.operator.types("label", "the weekly report").await;
        self.operator.press("Create link").await;
        self.operator.sees("Send this link").await;
        self.operator.copies("url").await
    }

    async fn finds_the_account(&self) {
        let name = format!("@{}", self.demo.name());
        self.operator.press("Accounts").await;
        self.operator.row(&[&name, "active"]).await;
        self.operator.press(&name).await;
        self.operator.sees(&name).await;
        self.operator.tells("State", "active").await;
        self.operator.row(&["connected", "link"]).await;
        self.operator.shows("story-account").await;
    }

    async fn makes_a_key(&self) -> String {
        self.operator.press("Keys").await;
        self.operator.press("Create a service key").await;
        self.operator.types("name", SERVICE).await;
        self.operator.press("Create key").await;
        self.operator.reads("Key created. Copy it now: it is shown only once.").await;
        let key = self.operator.copies("key").await;
        self.operator.press("All keys").await;
        self.operator.row(&[SERVICE, "active"]).await;
        let page = self.operator.run("return document.documentElement.outerHTML").await;
        assert!(!page.as_str().unwrap().contains(&key), "it is shown once");
        key
    }

    /// The newcomer's private numbers, as a service requests them.
    async fn calls(&self, key: &str) -> Answer {
        let body = body(&[self.post()], &["impressions"], &["tweet.id", "engagement.type"]);
        let call = self.demo.ask("gateway", "POST", TOTALS);
        call.header("authorization", &format!("Bearer {key}"))
            .header("countersign-account", self.demo.newcomer["user_id"].as_str().unwrap())
            .body(body.to_string())
            .send()
            .await
    }

    async fn finds_the_call(&self) {
        self.operator.press("Calls").await;
        self.operator.sees("Recent calls").await;
        let row = self.operator.row(&[SERVICE, "totals", "user-context", "200"]).await;
        self.operator.shows("story-calls").await;
        self.operator.click(&format!("{row}/td[1]/a")).await;
        self.operator.sees("Call ").await;
        for (what, text) in
            [("Key", SERVICE), ("Engagement types", "impressions"), ("Status", "200")]
        {
            self.operator.tells(what, text).await;
        }
        let name = format!("@{}", self.demo.name());
        self.operator.press(&name).await;
        self.operator.sees(&name).await;
    }

    /// Runs the same query in the form, and sees at least the numbers in `told`: they only grow.
    async fn explores(&self, told: u64) {
        let post = self.post();
        self.operator.press("Explore").await;
        self.operator.sees("Explore").await;
        self.operator.reads("The newest posts by @").await;
        self.operator.shows("story-explore").await;
        let address = format!("https://x.com/{}/status/{post}", self.demo.name());
        self.operator.types("tweets", &address).await;
        self.operator.press("Show plan").await;
        self.operator.reads("Plan").await;
        self.operator.reads("Accounts used: 1").await;
        self.operator.press("Run query").await;
        self.operator.reads("Calls made").await;
        for heading in ["Post", "Published", "impressions", "favorites"] {
            self.operator.find(&format!("//th/button[normalize-space()='{heading}']")).await;
        }
        let row = self.operator.row(&[&post]).await;
        let cell = self.operator.find(&format!("{row}/td[3]")).await;
        let shown: u64 = cell.text().await.unwrap().replace(',', "").parse().unwrap();
        assert!(shown >= told && told > 0, "{shown} and {told}");
        self.operator.reads(&format!("curl --compressed {}/v1", self.gateway())).await;
        self.operator.find("//h2[normalize-space()='Results']/following::*[name()='svg']").await;
        self.operator.shows("story-answer").await;
    }

    async fn revokes_the_key(&self) {
        self.operator.press("Keys").await;
        self.operator.press(&format!("Revoke {SERVICE}…")).await;
        self.operator.sees(&format!("Revoke “{SERVICE}”?")).await;
        self.operator.press("Revoke key").await;
        self.operator.reads("The key was revoked").await;
    }

    async fn reads_who_did_it(&self, key: &str) {
        let subject = format!("key:{}", key.split('_').nth(1).unwrap());
        self.operator.press("Audit").await;
        for action in ["key.created", "key.revoked"] {
            self.operator.row(&["demo admin", "127.0.0.1", action, &subject]).await;
        }
        self.operator.shows("story-audit").await;
    }

    async fn signs_out(&self) {
        self.operator.click("//summary[normalize-space()='demo admin']").await;
        self.operator.press("Sign out").await;
        self.operator.sees("Sign in to Countersign").await;
        self.operator.goes_back().await;
        self.operator.sees("Sign in to Countersign").await;
        let keys = format!("{}/console/keys", self.demo.card["admin"].as_str().unwrap());
        self.operator.open(&keys).await;
        self.operator.sees("Sign in to Countersign").await;
    }

    fn gateway(&self) -> &str {
        self.demo.card["gateway"].as_str().unwrap()
    }

    /// A post that exists and has private numbers.
    fn post(&self) -> String {
        let mut posts = self.demo.newcomer["posts"].as_array().unwrap().iter();
        let fits =
            posts.find(|post| post["state"] == "active" && post["totals"]["impressions"] != 0);
        fits.unwrap()["id"].as_str().unwrap().to_owned()
    }
}

#[tokio::test]
async fn from_what_the_demo_prints_to_the_audit_log() {
    let folder = TempDir::new().unwrap();
    let (_running, card) = demo::card(folder.path()).await;
    let chromium = Chromium::start().await;
    let story = Story { demo: Demo::of(card).await, operator: chromium.browser().await };
    story.signs_in().await;
    let link = story.makes_a_link().await;
    story.demo.connect(&chromium.browser().await, &link).await;
    story.finds_the_account().await;
    let key = story.makes_a_key().await;
    let answer = story.calls(&key).await;
    answer.is_relayed(200);
    story.finds_the_call().await;
    story.explores(leaves(&answer.json()["g"])).await;
    story.revokes_the_key().await;
    story.calls(&key).await.is_own(401, "unknown_key");
    story.reads_who_did_it(&key).await;
    story.signs_out().await;
}
