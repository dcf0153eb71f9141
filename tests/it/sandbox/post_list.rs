//! A user's posts, page by page, as X's API of version 2 lists them.

use countersign::model::post::{created_at, first_id_at};
use countersign::sandbox::Settings;
use serde_json::{Value, json};
use time::Duration;

use crate::http::Ask;
use crate::upstream::{NOW, TestSandbox, small};

fn asking(sandbox: &TestSandbox, id: &str, query: &str) -> Ask {
    let path = format!("/2/users/{id}/tweets?{query}");
    sandbox.ask("GET", &path).header("authorization", &sandbox.bearer())
}

async fn list(sandbox: &TestSandbox, name: &str, query: &str) -> Value {
    let answer = asking(sandbox, &sandbox.user(name).user_id, query).send().await;
    assert_eq!(answer.status, 200, "{query}: {}", answer.text());
    answer.json()
}

fn ids(page: &Value) -> Vec<String> {
    let posts = page["data"].as_array().unwrap_or_else(|| panic!("{page}")).iter();
    posts.map(|post| post["id"].as_str().unwrap().to_owned()).collect()
}

async fn sandbox() -> TestSandbox {
    TestSandbox::start_with(Settings { posts_per_user: 60, ..small() }).await
}

#[tokio::test]
async fn posts_come_newest_first_and_page_by_page() {
    let sandbox = sandbox().await;
    let all = sandbox.ids("alice", usize::MAX);
    let usual = list(&sandbox, "alice", "").await;
    assert_eq!(ids(&usual), all[..10]);
    assert_eq!(usual["data"][0], json!({ "id": all[0], "text": "A post by alice" }));
    let (mut found, mut next) = (Vec::new(), String::new());
    loop {
        let page = list(&sandbox, "alice", &format!("max_results=20{next}")).await;
        let meta = &page["meta"];
        assert_eq!(meta["result_count"], ids(&page).len());
        assert_eq!(
            (&meta["newest_id"], &meta["oldest_id"]),
            (&json!(ids(&page)[0]), &json!(ids(&page).last()))
        );
        found.extend(ids(&page));
        let Some(token) = meta["next_token"].as_str() else { break };
        next = format!("&pagination_token={token}");
    }
    assert_eq!(found, all);
    let page = list(
        &sandbox,
        "alice",
        "max_results=5&exclude=retweets,replies&tweet.fields=author_id,lang",
    )
    .await;
    assert_eq!(page["data"][0]["author_id"], *sandbox.user("alice").user_id);
}

#[tokio::test]
async fn a_range_is_given_by_ids_or_times() {
    let sandbox = sandbox().await;
    let all = sandbox.ids("alice", usize::MAX);
    let (newest, oldest) = (&all[3], &all[8]);
    let page = list(&sandbox, "alice", &format!("since_id={oldest}&until_id={newest}")).await;
    assert_eq!(ids(&page), all[4..8]);
    let page = list(
        &sandbox,
        "alice",
        "max_results=100&start_time=2026-03-01T00:00:00Z&end_time=2026-03-08T00:00:00Z",
    )
    .await;
    let is_there = |id: &&String| {
        let at = created_at(id.parse().unwrap()).unwrap().to_string();
        ("2026-03-01".."2026-03-08").contains(&&*at)
    };
    let week: Vec<String> = all.iter().filter(is_there).cloned().collect();
    assert_eq!(ids(&page), week);
    let later = first_id_at(NOW + Duration::days(1));
    let none = list(&sandbox, "alice", &format!("since_id={later}")).await;
    assert_eq!(none, json!({ "meta": { "result_count": 0 } }));
}

#[tokio::test]
async fn the_newest_3200_are_all_that_is_listed() {
    let born = Some(NOW - Duration::days(3000));
    let sandbox = TestSandbox::start_with(Settings { born, ..small() }).await;
    let all = sandbox.ids("alice", usize::MAX);
    let page = list(&sandbox, "alice", &format!("max_results=100&until_id={}", all[3150])).await;
    assert_eq!((ids(&page), &page["meta"]["next_token"]), (all[3151..3200].to_vec(), &Value::Null));
    let older = list(&sandbox, "alice", &format!("until_id={}", all[3200])).await;
    assert_eq!(older, json!({ "meta": { "result_count": 0 } }));
}

#[tokio::test]
async fn users_who_are_not_shown_are_errors_beside_a_status_of_200() {
    let sandbox = sandbox().await;
    let (pat, sam) = (sandbox.user("protected_pat"), sandbox.user("suspended_sam"));
    for (id, title, detail) in [
        ("12", "Not Found Error", "Could not find user with id: [12].".to_owned()),
        (
            &*pat.user_id,
            "Authorization Error",
            format!("Sorry, you are not authorized to see the user with id: [{}].", pat.user_id),
        ),
        (&*sam.user_id, "Forbidden", format!("User has been suspended: [{}].", sam.user_id)),
    ] {
        let answer = asking(&sandbox, id, "").send().await;
        let body = answer.json();
        assert_eq!((answer.status.as_u16(), body.get("data"), body.get("meta")), (200, None, None));
        let error = &body["errors"][0];
        assert_eq!((&error["title"], &error["detail"]), (&json!(title), &json!(detail)));
        assert_eq!(
            (&error["resource_type"], &error["parameter"], &error["value"]),
            (&json!("user"), &json!("id"), &json!(id))
        );
    }
}

#[tokio::test]
async fn what_is_wrong_with_a_request_is_said_all_at_once() {
    let sandbox = sandbox().await;
    let alice = sandbox.user("alice").user_id.clone();
    for (id, query, messages) in [
        (
            &*alice,
            "max_results=4",
            vec!["The `max_results` query parameter value [4] is not between 5 and 100"],
        ),
        (
            &alice,
            "max_results=101",
            vec!["The `max_results` query parameter value [101] is not between 5 and 100"],
        ),
        (
            &alice,
            "pagination_token=x",
            vec!["The `pagination_token` query parameter value [x] is not valid"],
        ),
        (
            &alice,
            "exclude=quotes",
            vec!["The `exclude` query parameter value [quotes] is not one of [retweets,replies]"],
        ),
        (
            "x",
            "since_id=y&until_id=",
            vec![
                "The `id` query parameter value [x] is not valid",
                "The `since_id` query parameter value [y] is not valid",
                "The `until_id` query parameter value [] is not valid",
            ],
        ),
        (
            &alice,
            "start_time=2026",
            vec!["The `start_time` query parameter value [2026] is not a valid RFC3339 date-time"],
        ),
    ] {
        let answer = asking(&sandbox, id, query).send().await;
        let body = answer.json();
        assert_eq!(
            (answer.status.as_u16(), &body["title"]),
            (400, &json!("Invalid Request")),
            "{query}"
        );
        let errors = body["errors"].as_array().unwrap();
        let got: Vec<&str> =
            errors.iter().map(|error| error["message"].as_str().unwrap()).collect();
        assert_eq!(got, messages);
    }
    let unknown = asking(&sandbox, &alice, "count=5").send().await.json();
    let message = unknown["errors"][0]["message"].as_str().unwrap();
    assert!(
        message.starts_with("The query parameter [count] is not one of [max_results,"),
        "{message}"
    );
}

#[tokio::test]
async fn lists_need_an_app_that_may_and_have_a_quota_of_their_own() {
    let sandbox = sandbox().await;
    let alice = sandbox.user("alice").user_id.clone();
    let path = format!("/2/users/{alice}/tweets");
    for credentials in ["", "Bearer x"] {
        let answer = sandbox.ask("GET", &path).header("authorization", credentials).send().await;
        assert_eq!(
            (answer.status.as_u16(), &answer.json()["title"]),
            (401, &json!("Unauthorized"))
        );
    }
    sandbox.put("/sandbox/switches", json!({ "post_lists_per_15_minutes": 1 })).await;
    let first = asking(&sandbox, &alice, "").send().await;
    let left = |name: &str| first.number(&format!("x-rate-limit-{name}"));
    assert_eq!(
        (left("limit"), left("remaining"), left("reset")),
        (1, 0, NOW.unix_timestamp() + 870)
    );
    let second = asking(&sandbox, &alice, "").send().await;
    assert_eq!(
        (second.status.as_u16(), &second.json()["title"]),
        (429, &json!("Too Many Requests"))
    );
    let look_up = sandbox.ask("GET", "/2/tweets?ids=20").header("authorization", &sandbox.bearer());
    assert_eq!(look_up.send().await.status, 200);
    sandbox.put("/sandbox/switches", json!({ "unlisted_lookup_apps": ["demo"] })).await;
    let refused = asking(&sandbox, &alice, "").send().await;
    assert_eq!(
        (refused.status.as_u16(), &refused.json()["reason"]),
        (403, &json!("client-not-enrolled"))
    );
}
