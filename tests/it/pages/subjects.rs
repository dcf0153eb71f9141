//! Whose tokens asked: in recent calls, in the log, and by day.

use countersign::gateway::CallFilter;
use countersign::store::SubjectUsage;
use serde_json::{Value, json};

use crate::console::Visitor;
use crate::database::{Database, on_both};
use crate::pages::Pages;
use crate::program::deployment::Deployment;

impl Pages {
    async fn of_subject(&self, subject: Option<&str>) -> String {
        self.token(&json!({ "question": self.question(), "subject": subject })).await
    }

    async fn subjects(&self, query: &str) -> Value {
        let admin = self.gateway.new_admin_key().await;
        let path = format!("/admin/v1/keys/{}/subjects{query}", &self.key[4..16]);
        self.gateway.admin(&admin, "GET", &path).send().await.json()
    }
}

async fn recent_calls_say_for_whom_a_page_asked(database: Database) {
    let pages = Pages::start(&database).await;
    for subject in [Some("ann"), None] {
        let token = pages.of_subject(subject).await;
        assert_eq!(pages.ask(&token, &json!({})).send().await.status, 200);
    }
    let question = json!({ "tweet_ids": pages.posts(), "engagement_types": ["favorites"] });
    crate::question::ask(&pages.gateway, &question).await.is_relayed(200);
    let filter = CallFilter { limit: 9, ..CallFilter::default() };
    let calls = pages.gateway.inner.list_calls(filter).await.unwrap();
    let subjects: Vec<_> = calls.iter().map(|call| call.subject.as_deref()).collect();
    assert_eq!(subjects, [None, None, Some("ann")]);
    let admin = pages.gateway.new_admin_key().await;
    let one = format!("/admin/v1/calls/{}", calls[2].id);
    assert_eq!(pages.gateway.admin(&admin, "GET", &one).send().await.json()["subject"], "ann");
    let visitor = Visitor::admin(&pages.gateway).await;
    let page = visitor.open(&format!("/console/calls/{}", calls[2].id)).await;
    assert!(page.text().contains("<dt>Asked by a page for</dt><dd><bdi>ann</bdi></dd>"));
}

async fn what_pages_asked_is_kept_by_day_and_subject(database: Database) {
    let pages = Pages::start(&database).await;
    let (ann, nobody) = (pages.of_subject(Some("ann")).await, pages.of_subject(None).await);
    for token in [&ann, &ann, &nobody] {
        assert_eq!(pages.ask(token, &json!({})).send().await.status, 200);
    }
    // What is refused took no call, and is no use.
    pages.ask(&ann, &json!({ "tweet_ids": ["20"] })).send().await.is_own(403, "not_allowed");
    let today = json!({
        "key": &pages.key[4..16],
        "day": "2026-03-10",
        "subjects": [
            { "subject": "ann", "questions": 2, "calls": 2 },
            { "subject": null, "questions": 1, "calls": 1 },
        ],
    });
    assert_eq!(pages.subjects("").await, today);
    assert_eq!(pages.subjects("?day=2026-03-10").await, today);
    assert_eq!(pages.subjects("?day=2026-03-09").await["subjects"], json!([]));
    for wrong in ["?day=yesterday", "?day=2026-02-30", "?days=1"] {
        assert_eq!(pages.subjects(wrong).await["code"], "invalid_request", "{wrong}");
    }
    let visitor = Visitor::admin(&pages.gateway).await;
    let page = visitor.open(&format!("/console/keys/{}/tokens", &pages.key[4..16])).await;
    assert!(page.text().contains("<bdi>ann</bdi>") && page.text().contains("nobody in particular"));
    // A name that has asked nothing may be misspelt.
    for (subject, has_asked) in [("ann", true), ("Ann", false)] {
        let (inner, subject) = (&pages.gateway.inner, Some(subject.to_owned()));
        let withdrawn = inner.withdraw_tokens(&pages.key[4..16], subject, "test").await.unwrap();
        assert_eq!(withdrawn.has_asked, has_asked);
    }
    // For 30 days.
    let store = &pages.gateway.store;
    store.prune_subject_usage(20_522).await.unwrap();
    assert_eq!(store.list_subject_usage(&pages.key[4..16], 20_522, 9).await.unwrap().len(), 2);
    store.prune_subject_usage(20_523).await.unwrap();
    assert_eq!(store.list_subject_usage(&pages.key[4..16], 20_522, 9).await.unwrap().len(), 0);
}

async fn a_thousand_subjects_of_a_day_are_kept_apart(database: Database) {
    let pages = Pages::start(&database).await;
    let (store, key) = (&pages.gateway.store, &pages.key[4..16]);
    // Days before these are deleted meanwhile.
    let (today, tomorrow) = (20_522, 20_523);
    let rows: Vec<String> =
        (0..999).map(|number| format!("({today}, '{key}', 'viewer {number:03}', 1, 1)")).collect();
    database.run(&format!("insert into subject_usage values {}", rows.join(", "))).await;
    let add = async |subject: &str| {
        let usage = SubjectUsage { subject: subject.to_owned(), questions: 2, calls: 3 };
        store.add_subject_usage(key, today, &[usage]).await.unwrap();
    };
    for subject in ["the thousandth", "one more", "yet another", "viewer 500", ""] {
        add(subject).await;
    }
    let listed = store.list_subject_usage(key, today, 2000).await.unwrap();
    assert_eq!(listed.len(), 1001);
    let of = |subject: &str| {
        listed.iter().find(|row| row.subject == subject).map(|row| (row.questions, row.calls))
    };
    assert_eq!(of("the thousandth"), Some((2, 3)));
    assert_eq!(of("viewer 500"), Some((3, 4)));
    assert_eq!((of("one more"), of("")), (None, None));
    assert_eq!(of("other"), Some((6, 9)));
    // Another key and another day have thousands of their own.
    let usage = SubjectUsage { subject: "one more".to_owned(), questions: 1, calls: 1 };
    store.add_subject_usage(key, tomorrow, &[usage]).await.unwrap();
    assert_eq!(store.list_subject_usage(key, tomorrow, 9).await.unwrap()[0].subject, "one more");
}

async fn admins_withdraw_tokens_in_the_console(database: Database) {
    let pages = Pages::start(&database).await;
    let (ann, ben) = (pages.of_subject(Some("ann")).await, pages.of_subject(Some("ben")).await);
    let path = format!("/console/keys/{}/tokens", &pages.key[4..16]);
    let visitor = Visitor::admin(&pages.gateway).await;
    let list = visitor.open("/console/keys").await.text();
    assert!(list.contains(&format!("href=\"{path}\"")), "{list}");
    let long = "x".repeat(101);
    let wrong = visitor.send(&path, &[("subject", &*long)]).await;
    assert_eq!(wrong.status, 400);
    assert!(wrong.text().contains("must be 1 to 100 printable characters"), "{}", wrong.text());
    assert!(wrong.text().contains(&format!("value=\"{long}\"")));
    let done = visitor.send(&path, &[("subject", "ann")]).await;
    assert_eq!(
        (done.status.as_u16(), done.header("location")),
        (303, "/console/keys?done=withdrawn")
    );
    pages.ask(&ann, &json!({})).send().await.is_own(401, "token_withdrawn");
    assert_eq!(pages.ask(&ben, &json!({})).send().await.status, 200);
    visitor.send(&path, &[("subject", "")]).await;
    pages.ask(&ben, &json!({})).send().await.is_own(401, "token_withdrawn");
    let told = visitor.open("/console/keys?done=withdrawn").await;
    assert!(told.text().contains("The tokens were withdrawn."), "{}", told.text());
    let plain = format!("/console/keys/{}/tokens", &pages.gateway.key[4..16]);
    assert_eq!(visitor.open(&plain).await.status, 404);
    // Who only looks sees whose tokens asked, and no form.
    let auditor = Visitor::with_key(&pages.gateway, &pages.gateway.auditor_key().await).await;
    let page = auditor.open(&path).await;
    assert!(page.status == 200 && !page.text().contains("Withdraw tokens"), "{}", page.text());
    assert_eq!(auditor.send(&path, &[("subject", "ann")]).await.status, 403);
}

async fn the_command_line_shows_whose_tokens_asked(database: Database) {
    let deployment = Deployment::new(&database).await;
    deployment.prepare().await;
    deployment.key("charts", &["--browser", "--origins", "https://app.example.com"]).await;
    let none = deployment.run(&["key", "subjects", "charts", "--day", "2026-03-10"]).await;
    assert!(none.code == 0 && none.err.contains("no page asked on 2026-03-10"), "{}", none.err);
    database
        .run(
            "insert into subject_usage (day, key_id, subject, questions, calls)
             select 20522, key_id, 'ann', 3, 5 from key where name = 'charts'",
        )
        .await;
    let some = deployment.must(&["key", "subjects", "charts", "--day", "2026-03-10"]).await;
    assert!(some.lines().last().unwrap().starts_with("ann"), "{some}");
    let json = ["key", "subjects", "charts", "--day", "2026-03-10", "--json"];
    let json: Value = serde_json::from_str(&deployment.must(&json).await).unwrap();
    assert_eq!(json["subjects"], json!([{ "subject": "ann", "questions": 3, "calls": 5 }]));
    let wrong = deployment.run(&["key", "subjects", "charts", "--day", "today"]).await;
    assert!(wrong.code != 0 && wrong.err.contains("expected a day like"), "{}", wrong.err);
}

on_both!(
    recent_calls_say_for_whom_a_page_asked,
    what_pages_asked_is_kept_by_day_and_subject,
    a_thousand_subjects_of_a_day_are_kept_apart,
    admins_withdraw_tokens_in_the_console,
    the_command_line_shows_whose_tokens_asked,
);
