//! The keys' pages: the list, creating a key, which is shown once, and revoking it.

use countersign::model::Endpoint;
use countersign::model::key::{Right, Role};
use time::Duration;

use crate::connect::start_gateway;
use crate::connect::strings::hostile;
use crate::console::{Visitor, is_page, plain, text_of};
use crate::database::{Database, on_both};
use crate::gateway::TestGateway;
use crate::http::{Answer, Ask};
use crate::upstream::LAST_28H;

pub const KEYS: &str = "/console/keys";

/// How many keys a page lists.
fn rows(page: &Answer) -> usize {
    page.text().matches("<tr><td data-label=\"Name\" class=\"wrap\"><bdi>").count()
}

/// The `curl` command on a page.
pub fn command(page: &Answer) -> String {
    let text = plain(page);
    text.split("id=\"curl\">").nth(1).unwrap().split("</pre>").next().unwrap().to_owned()
}

/// Makes the request of such a command, about one of alice's posts.
pub async fn tried(gateway: &TestGateway, command: &str) -> Answer {
    let quoted: Vec<&str> = command.split('\'').skip(1).step_by(2).collect();
    let url = command.split_whitespace().find(|word| word.starts_with("http")).unwrap();
    let headers = quoted
        .iter()
        .filter(|argument| !argument.starts_with('{'))
        .map(|argument| argument.split_once(": ").unwrap());
    let body = quoted.iter().find(|argument| argument.starts_with('{'));
    let method = if body.is_some() { "POST" } else { "GET" };
    let ask = headers.fold(Ask::new(&gateway.http, "", method, url), |ask, (name, value)| {
        ask.header(name, value)
    });
    let posts = gateway.sandbox.ids("alice", 1);
    let body =
        body.map_or(String::new(), |body| body.replace("\"20\"", &format!("\"{}\"", posts[0])));
    ask.body(body).send().await
}

async fn a_key_is_made_shown_once_and_its_command_works(database: Database) {
    let gateway = start_gateway(&database).await;
    let visitor = Visitor::admin(&gateway).await;
    is_page(&visitor.open(&format!("{KEYS}/new")).await, 200);
    let page = visitor
        .send(KEYS, &[("role", "caller"), ("name", "dashboard"), ("accounts", ""), ("expires", "")])
        .await;
    is_page(&page, 200);
    let key = text_of(&page, "key");
    assert!(
        key.starts_with("csk_")
            && page.text().matches(&key).count() == 2
            && page.header("location").is_empty()
    );
    let answer = tried(&gateway, &command(&page)).await;
    answer.is_relayed(200);
    let list = visitor.open(KEYS).await;
    assert!(
        list.text().contains("<bdi>dashboard</bdi>") && !list.text().contains(&key[17..]),
        "{}",
        list.text()
    );
    assert!(list.text().contains("query all endpoints with all accounts"), "{}", list.text());
    database
        .run("update key set last_used_at = '2026-03-09 23:00:00+00:00' where name = 'dashboard'")
        .await;
    let list = visitor.open(KEYS).await.text();
    assert!(list.contains(">2026-03-09 23:00–24:00 UTC<"), "by the hour, as it is kept: {list}");
    let made = gateway.audited("key.created").await;
    assert!(
        made.iter().any(|entry| entry.0.starts_with("key:") && entry.2.contains("dashboard")),
        "{made:?}"
    );
}

async fn what_is_chosen_is_what_the_key_may_do(database: Database) {
    let gateway = start_gateway(&database).await;
    let visitor = Visitor::admin(&gateway).await;
    let alice = gateway.id("alice").to_string();
    let accounts = format!(" {alice},\r\n{}\n", gateway.id("bob"));
    let mut fields = vec![
        ("role", "caller"),
        ("name", "narrow"),
        ("app", "demo"),
        ("accounts", &*accounts),
        ("28hr", "true"),
        ("historical", "true"),
        ("expires", "7d"),
    ];
    let rights = Right::of(Role::Caller);
    fields.extend(rights.iter().map(|right| (right.name(), "true")));
    fields.push(("origins", "https://b.example\r\nhttps://a.example"));
    let page = visitor.send(KEYS, &fields).await;
    is_page(&page, 200);
    let key = gateway
        .inner
        .check_key(
            &text_of(&page, "key"),
            countersign::model::key::Kind::Caller,
            [127, 0, 0, 1].into(),
        )
        .await
        .unwrap();
    let scopes = &key.key.scopes;
    assert_eq!(scopes.accounts, Some(vec![gateway.id("alice"), gateway.id("bob")]));
    assert_eq!(scopes.endpoints, Some(vec![Endpoint::TwentyEightHours, Endpoint::Historical]));
    assert_eq!(
        (&scopes.rights, scopes.app.as_deref()),
        (&rights.iter().copied().collect(), Some("demo"))
    );
    assert_eq!(key.key.expires_at, Some(key.key.created_at + Duration::days(7)));
    assert!(plain(&page).contains(LAST_28H), "{}", page.text());
    tried(&gateway, &command(&page)).await.is_relayed(200);
    let list = visitor.open(KEYS).await;
    assert!(
        list.text().contains(&format!(
            "query 28hr, historical with accounts {alice}, {} only; {}",
            gateway.id("bob"),
            "create links; make tokens for browsers at https://a.example, https://b.example; be sent by browsers"
        )),
        "{}",
        list.text()
    );
}

async fn an_admins_key_is_made_and_may_only_look(database: Database) {
    let gateway = start_gateway(&database).await;
    let visitor = Visitor::admin(&gateway).await;
    let form = visitor.open(&format!("{KEYS}/new?role=owner")).await;
    assert!(
        form.text().contains("Create an admin key") && !form.text().contains("name=\"accounts\""),
        "{}",
        form.text()
    );
    assert!(form.text().contains("name=\"role\" value=\"owner\" checked"), "{}", form.text());
    let page = visitor.send(KEYS, &[("role", "owner"), ("name", "Grace")]).await;
    assert!(page.text().contains("can view and change everything"), "{}", page.text());
    let page = visitor.send(KEYS, &[("role", "auditor"), ("name", "Ada")]).await;
    is_page(&page, 200);
    assert_eq!(tried(&gateway, &command(&page)).await.status, 200);
    let ada = Visitor::with_key(&gateway, &text_of(&page, "key")).await;
    assert!(ada.open(KEYS).await.text().contains("(read-only)"));
    assert!(visitor.open(KEYS).await.text().contains("view everything, change nothing"));
    let fields = [("role", "auditor"), ("name", "Eve"), ("explore", "true")];
    is_page(&visitor.send(KEYS, &fields).await, 200);
    let page = visitor.send(KEYS, &[("role", "analyst"), ("name", "Ann")]).await;
    is_page(&page, 200);
    assert_eq!(tried(&gateway, &command(&page)).await.status, 200, "usage is open to it");
    let list = visitor.open(KEYS).await.text();
    assert!(
        list.contains("view everything and explore posts, change nothing")
            && list.contains("explore posts and view usage"),
        "{list}"
    );
    let listed = visitor.open(&format!("{KEYS}?role=analyst")).await.text();
    assert!(listed.contains("Ann") && !listed.contains("Grace"), "{listed}");
}

async fn wrong_input_is_told_beside_its_field_and_kept(database: Database) {
    let gateway = start_gateway(&database).await;
    let visitor = Visitor::admin(&gateway).await;
    let before = gateway.audited("key.created").await.len();
    for (fields, field, detail) in [
        (&[("name", " ")][..], "name", "must be 1 to 100 printable characters"),
        (
            &[("name", "x"), ("accounts", "7588892 alice")],
            "accounts",
            "must be a user id of 1 to 19 digits, not \"alice\"",
        ),
        (
            &[("name", "x"), ("browser", "true"), ("origins", "https://a.example/x")],
            "origins",
            "must be written as browsers send it, without path or user: https://a.example",
        ),
        (&[("name", "x"), ("browser", "true")], "origins", "name the origins of the pages"),
        (
            &[("name", "x"), ("origins", "https://a.example")],
            "origins",
            "are for keys that make tokens for browsers",
        ),
        (&[("name", "x"), ("expires", "soon")], "expires", "must be a duration"),
        (&[("name", "x"), ("app", "none")], "app", "must be one of the configured apps"),
        (&[("name", "x"), ("role", "owner"), ("expires", "0s")], "expires", "must be above zero"),
        (
            &[("name", "x"), ("role", "analyst"), ("explore", "true")],
            "explore",
            "is for auditors; owners and analysts may explore without it, so leave it out",
        ),
    ] {
        let page = visitor.send(KEYS, fields).await;
        is_page(&page, 400);
        let text = plain(&page);
        assert!(
            text.contains("The key was not created")
                && text.contains(&format!("id=\"{field}-wrong\">{detail}")),
            "{text}"
        );
        for (_, value) in fields.iter().filter(|field| field.0 == "accounts") {
            assert!(text.contains(&format!(">{value}</textarea>")), "{text}");
        }
        assert!(text.contains("value=\"x\"") || field == "name", "{text}");
    }
    let chosen = [
        ("name", "x"),
        ("accounts", "alice"),
        ("28hr", "true"),
        ("create_links", "true"),
        ("expires", "90d"),
    ];
    let text = visitor.send(KEYS, &chosen).await.text();
    for kept in [
        "name=\"28hr\" value=\"true\" checked",
        "name=\"create_links\" value=\"true\" checked",
        "value=\"90d\" selected",
    ] {
        assert!(text.contains(kept), "{kept}: {text}");
    }
    assert!(!text.contains("name=\"totals\" value=\"true\" checked"));
    assert_eq!(gateway.audited("key.created").await.len(), before);
    assert_eq!(visitor.send(KEYS, &[("name", "x")]).await.status, 200);
    let taken = visitor.send(KEYS, &[("name", "X")]).await;
    is_page(&taken, 409);
    assert!(
        taken.text().contains("id=\"name-wrong\">there is already a key named X"),
        "{}",
        taken.text()
    );
    for unknown in [("surplus", "1"), ("surplus", "true"), ("create_links", "1")] {
        is_page(&visitor.send(KEYS, &[("name", "y"), unknown]).await, 400);
    }
}

async fn keys_are_narrowed_searched_and_paged(database: Database) {
    let gateway = start_gateway(&database).await;
    let visitor = Visitor::admin(&gateway).await;
    for number in 0..55 {
        gateway.new_key(|key| key.name = format!("Service {number:02} %_!/é")).await;
    }
    let old = gateway
        .new_key(|key| {
            "old".clone_into(&mut key.name);
            key.expires_in = Some(std::time::Duration::from_mins(1));
        })
        .await;
    gateway.sandbox.clock.forward(Duration::minutes(2));
    let page = visitor.open(&format!("{KEYS}?search=service&role=caller")).await;
    assert_eq!(rows(&page), 50);
    let text = plain(&page);
    let next = text.split("rel=\"next\" href=\"").nth(1).unwrap().split('"').next().unwrap();
    let next = visitor.open(next).await;
    assert_eq!(rows(&next), 5, "{}", next.text());
    assert!(next.text().contains("Service 54") && !next.text().contains("Service 49"));
    for (query, count) in [
        ("?search=old", 0),
        ("?search=OLD&state=any", 1),
        (&*format!("?state=any&search={}", &old[4..16]), 1),
        ("?search=service+07", 1),
        ("?search=%25_!", 50),
        ("?search=%25%25", 0),
        ("?role=owner", 1),
        ("?after=nonsense", 50),
    ] {
        assert_eq!(rows(&visitor.open(&format!("{KEYS}{query}")).await), count, "{query}");
    }
    let all = visitor.open(&format!("{KEYS}?search=old&state=any")).await.text();
    assert!(all.contains(">expired<") && !all.contains("/revoke\""), "{all}");
    assert!(
        visitor.open(&format!("{KEYS}?search=nothing")).await.text().contains("No keys match.")
    );
}

async fn revoking_asks_first_and_takes_ids_alone(database: Database) {
    let gateway = start_gateway(&database).await;
    let visitor = Visitor::admin(&gateway).await;
    let key = gateway.new_key(|key| "doomed".clone_into(&mut key.name)).await;
    let path = format!("{KEYS}/{}/revoke", &key[4..16]);
    let page = visitor.open(&path).await;
    is_page(&page, 200);
    assert!(
        page.text().contains("This cannot be undone.")
            && !page.text().contains("you will be signed out"),
        "{}",
        page.text()
    );
    for other in ["doomed", &*key, "nobody"] {
        is_page(&visitor.open(&format!("{KEYS}/{other}/revoke")).await, 404);
        is_page(&visitor.send(&format!("{KEYS}/{other}/revoke"), &[]).await, 404);
    }
    let done = visitor.send(&path, &[]).await;
    assert_eq!(
        (done.status.as_u16(), done.header("location")),
        (303, "/console/keys?done=revoked")
    );
    assert!(visitor.open(done.header("location")).await.text().contains("The key was revoked"));
    assert!(
        gateway
            .inner
            .check_key(&key, countersign::model::key::Kind::Caller, [127, 0, 0, 1].into())
            .await
            .is_err()
    );
    assert!(!visitor.open(&path).await.text().contains("method=\"post\" action=\"/console/keys/"));
    let ended = visitor.open(&format!("{KEYS}?search=doomed&state=any")).await.text();
    assert!(
        ended.contains(">revoked</span><br><span class=\"soft at\">2026-03-10 21:15 UTC<"),
        "{ended}"
    );
    let own = gateway.new_admin_key().await;
    let own_path = format!("{KEYS}/{}/revoke", &own[4..16]);
    let ending = Visitor::with_key(&gateway, &own).await;
    assert!(ending.open(&own_path).await.text().contains("you will be signed out"));
    assert_eq!(ending.send(&own_path, &[]).await.status, 303);
    assert_eq!(ending.open(KEYS).await.status, 303, "signed out");
}

async fn a_key_that_cannot_be_read_is_listed_as_such_and_revoked(database: Database) {
    let gateway = start_gateway(&database).await;
    let visitor = Visitor::admin(&gateway).await;
    for (name, edit) in [("broken", "accounts = 'everybody'"), ("changed", "app = 'other'")] {
        let key = gateway.new_key(|key| name.clone_into(&mut key.name)).await;
        let id = &key[4..16];
        database.run(&format!("update key set {edit} where key_id = '{id}'")).await;
        let list = visitor.open(KEYS).await;
        is_page(&list, 200);
        assert!(list.text().contains(">unreadable</span>") && rows(&list) == 3, "{}", list.text());
        let path = format!("{KEYS}/{id}/revoke");
        let asked = visitor.open(&path).await;
        is_page(&asked, 200);
        assert!(
            asked.text().contains("method=\"post\" action=\"/console/keys/"),
            "{}",
            asked.text()
        );
        assert_eq!(visitor.send(&path, &[]).await.status, 303);
        assert!(!visitor.open(KEYS).await.text().contains(">unreadable</span>"));
        let ended = visitor.open(&format!("{KEYS}?state=any&search={name}")).await;
        assert!(
            ended
                .text()
                .contains(">revoked</span><br><span class=\"soft at\">2026-03-10 21:15 UTC</span>"),
            "{}",
            ended.text()
        );
    }
}

async fn who_only_looks_finds_no_button_there(database: Database) {
    let gateway = start_gateway(&database).await;
    let looker = Visitor::with_key(&gateway, &gateway.auditor_key().await).await;
    let of_key = |page| format!("{KEYS}/{}/{page}", &gateway.key[4..16]);
    for path in [KEYS.to_owned(), format!("{KEYS}/new"), of_key("revoke"), of_key("limits")] {
        let page = looker.open(&path).await;
        is_page(&page, 200);
        let text = page.text();
        assert!(path == KEYS || text.contains("An admin with full access can do this"), "{text}");
        let own = text.split("<main>").nth(1).unwrap();
        assert!(
            !own.contains("method=\"post\"")
                && !own.contains("/revoke\"")
                && !own.contains("/limits\"")
                && !own.contains("/keys/new"),
            "{own}"
        );
    }
    is_page(&looker.send(KEYS, &[("name", "x")]).await, 403);
    assert_eq!(
        gateway
            .audited("key.created")
            .await
            .iter()
            .filter(|entry| entry.2.contains("\"x\""))
            .count(),
        0
    );
}

async fn hostile_names_and_input_are_escaped(database: Database) {
    let gateway = start_gateway(&database).await;
    let visitor = Visitor::admin(&gateway).await;
    for text in hostile()
        .iter()
        .filter(|text| text.contains('<') && text.len() > 2 && !text.contains(char::is_control))
    {
        let made = visitor.send(KEYS, &[("name", text)]).await;
        is_page(&made, if text.chars().count() > 100 { 400 } else { 200 });
        let again = visitor
            .send(KEYS, &[("name", text), ("accounts", text), ("app", text), ("expires", text)])
            .await;
        is_page(&again, 400);
        for page in [made, again] {
            assert!(!page.text().contains(&**text), "{text}");
        }
    }
    let list = visitor.open(KEYS).await.text();
    assert!(
        list.contains("&#60;")
            && !list.contains("<script")
            && !list.contains("<img")
            && !list.contains("<svg"),
        "{list}"
    );
}

on_both!(
    a_key_is_made_shown_once_and_its_command_works,
    what_is_chosen_is_what_the_key_may_do,
    an_admins_key_is_made_and_may_only_look,
    wrong_input_is_told_beside_its_field_and_kept,
    keys_are_narrowed_searched_and_paged,
    revoking_asks_first_and_takes_ids_alone,
    a_key_that_cannot_be_read_is_listed_as_such_and_revoked,
    who_only_looks_finds_no_button_there,
    hostile_names_and_input_are_escaped
);
