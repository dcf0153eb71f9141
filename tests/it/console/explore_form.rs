//! The explore page's form: who may use it, the address that fills it in, the posts that it begins with, and the order of
//! its results.

use crate::console::explore::{EXPLORE, cells, sums};
use crate::console::{SIGN_IN, Visitor, is_page, plain};
use crate::database::{Database, newest, on_both};
use crate::gateway::TestGateway;
use crate::upstream::TOTALS;

async fn who_may_explore_does_and_who_may_not_is_told_whom_to_ask(database: Database) {
    let gateway = TestGateway::start(&database).await;
    let id = gateway.sandbox.ids("alice", 1).remove(0);
    let fields = [("tweets", &*id), ("metrics", "favorites"), ("wants", "answer")];
    let auditor = Visitor::with_key(&gateway, &gateway.auditor_key().await).await;
    for page in [auditor.open(EXPLORE).await, auditor.send(EXPLORE, &fields).await] {
        is_page(&page, 403);
        assert!(page.text().contains("it is read-only"), "{}", page.text());
    }
    assert!(!auditor.open("/console/usage").await.text().contains(EXPLORE), "it has no link");
    assert!(gateway.arrived(TOTALS).await.is_empty());

    for key in [gateway.analyst_key().await, gateway.exploring_auditor_key().await] {
        let visitor = Visitor::with_key(&gateway, &key).await;
        is_page(&visitor.open(EXPLORE).await, 200);
        is_page(&visitor.send(EXPLORE, &fields).await, 200);
        let owner = gateway.new_admin_key().await;
        let calls = gateway.admin(&owner, "GET", "/admin/v1/calls").send().await.json();
        assert_eq!(calls["calls"][0]["key"], key[4..16], "the call is the explorer's: {calls}");
        let entries = gateway.store.list_audit(&newest(9)).await.unwrap();
        let signed_in = entries.iter().find(|entry| entry.action == "console.signed_in").unwrap();
        assert!(signed_in.actor.contains(&key[4..16]), "{signed_in:?}");
    }
}

async fn an_analyst_sees_what_an_analyst_may_open(database: Database) {
    let gateway = TestGateway::start(&database).await;
    gateway.ask("POST", TOTALS).body("{}").send().await;
    let visitor = Visitor::with_key(&gateway, &gateway.analyst_key().await).await;
    let home = visitor.open("/console/").await;
    assert_eq!((home.status.as_u16(), home.header("location")), (303, EXPLORE));
    for path in [EXPLORE, "/console/usage?by=account", "/console/usage?account=!"] {
        let page = visitor.open(path).await;
        let text = page.text();
        assert!(text.contains("(analyst)"), "{text}");
        let own = ["", "explore", "usage", "usage.csv", "sign-out", "style.css", "icon.svg"];
        for link in text.split("=\"/console/").skip(1) {
            let link = link.split(['?', '#', '"']).next().unwrap();
            assert!(own.contains(&link), "{path} leads to {link}");
        }
    }
    let signed_in = Visitor::stranger(&gateway);
    let fields = [("key", &*gateway.analyst_key().await), ("next", "/console/usage?by=key")];
    let answer = signed_in.send(SIGN_IN, &fields).await;
    assert_eq!(answer.header("location"), "/console/usage?by=key");
}

async fn the_address_fills_in_the_form_and_asks_nothing(database: Database) {
    let gateway = TestGateway::start(&database).await;
    let visitor = Visitor::with_key(&gateway, &gateway.analyst_key().await).await;
    let ids = gateway.sandbox.ids("alice", 2);
    let typed = format!("https://x.com/alice/status/{}, {}", ids[0], ids[1]);
    let fields = [
        ("tweets", &*typed),
        ("metrics", "url_clicks"),
        ("metrics", "replies"),
        ("window", "range"),
        ("start", "2026-03-01"),
        ("end", "2026-03-05"),
        ("group", "day"),
        ("sort", "-replies"),
    ];
    let led = visitor.send(EXPLORE, &[&fields[..], &[("wants", "link")]].concat()).await;
    let address = led.header("location").to_owned();
    assert_eq!(led.status, 303, "{}", led.text());
    assert_eq!(
        address,
        format!(
            "{EXPLORE}?tweets={}+{}&metrics=url_clicks&metrics=replies&window=range&start=2026-03-01&end=2026-03-05&group=day&sort=-replies",
            ids[0], ids[1]
        )
    );
    let page = visitor.open(&address).await;
    is_page(&page, 200);
    let text = page.text();
    for filled in [
        &*format!("{} {}</textarea>", ids[0], ids[1]),
        "value=\"url_clicks\" checked",
        "value=\"replies\" checked",
        "value=\"range\" checked",
        "value=\"2026-03-01\"",
        "value=\"2026-03-05\"",
        "<option value=\"day\" selected",
        "name=\"sort\" value=\"-replies\"",
    ] {
        assert!(text.contains(filled), "{filled}: {text}");
    }
    assert!(!text.contains("value=\"impressions\" checked") && !text.contains("class=\"results\""));
    assert!(
        gateway.arrived("/insights/engagement/historical").await.is_empty(),
        "nothing is asked"
    );

    let stranger = Visitor::stranger(&gateway);
    let sign_in = stranger.open(&address).await;
    assert_eq!(sign_in.status, 303);
    let next = stranger.open(sign_in.header("location")).await;
    let next = plain(&next).split("name=\"next\" value=\"").nth(1).unwrap().to_owned();
    let next = next.split('"').next().unwrap();
    assert_eq!(next, address, "signing in comes back to it");
    let key = gateway.analyst_key().await;
    let back = stranger.send(SIGN_IN, &[("key", &*key), ("next", next)]).await;
    assert_eq!(back.header("location"), address);
    let long = format!("{EXPLORE}?tweets={}", "1".repeat(17_000));
    let back = stranger.send(SIGN_IN, &[("key", &*key), ("next", &*long)]).await;
    assert_eq!(back.header("location"), EXPLORE, "too long to be one of the console's");

    let answered = visitor.send(EXPLORE, &fields).await;
    is_page(&answered, 200);
    assert!(plain(&answered).contains(&format!("<a href=\"{address}\">Link to this query</a>")));
    let many = vec!["1234567890123456789"; 450].join(" ");
    let fields = [("tweets", &*many), ("metrics", "replies"), ("wants", "link")];
    let refused = visitor.send(EXPLORE, &fields).await;
    is_page(&refused, 400);
    assert!(refused.text().contains("The form has too many posts for a link."));
    for odd in ["?window=x&group=y&sort=z&metrics=w", "?account=%3Cscript%3E", "?tweets=%22%3E"] {
        let page = visitor.open(&format!("{EXPLORE}{odd}")).await;
        is_page(&page, 200);
        assert!(!page.text().contains("<script"), "{odd}");
    }
}

async fn it_begins_with_the_known_posts_of_a_connected_account(database: Database) {
    let gateway = TestGateway::start(&database).await;
    let visitor = Visitor::with_key(&gateway, &gateway.analyst_key().await).await;
    let none = visitor.open(EXPLORE).await;
    assert!(
        none.text().contains("No posts by connected accounts are known yet."),
        "{}",
        none.text()
    );
    let (alice, bob) = (gateway.sandbox.ids("alice", 3), gateway.sandbox.ids("bob", 1));
    let typed = [&alice[..], &bob].concat().join(" ");
    is_page(&visitor.send(EXPLORE, &[("tweets", &*typed), ("metrics", "impressions")]).await, 200);

    let newest = |ids: &[String]| {
        let mut ids = ids.to_vec();
        ids.sort_by_key(|id| std::cmp::Reverse(id.parse::<u64>().unwrap()));
        ids.join("\n")
    };
    let arrived = gateway.arrived(TOTALS).await.len();
    let (of_alice, of_bob) = (newest(&alice), newest(&bob));
    let page = visitor.open(EXPLORE).await.text();
    let begins = [("alice", &of_alice), ("bob", &of_bob)];
    let begun = begins.iter().any(|(name, ids)| {
        page.contains(&format!("The newest posts by @{name} that the gateway knows."))
            && page.contains(&format!(">{ids}</textarea>"))
    });
    assert!(begun, "{page}");
    assert!(page.contains("<option value=\"@alice\">") && page.contains("<option value=\"@bob\">"));
    for name in ["bob", "@BOB", &gateway.id("bob").to_string()] {
        let address = format!("{EXPLORE}?account={name}&metrics=replies&window=28hr&group=hour");
        let page = visitor.open(&address).await.text();
        assert!(page.contains(&format!(">{of_bob}</textarea>")), "{name}: {page}");
        assert!(page.contains("value=\"replies\" checked"), "{page}");
        for kept in ["metrics\" value=\"replies", "window\" value=\"28hr", "group\" value=\"hour"] {
            let kept = format!("<input type=\"hidden\" name=\"{kept}\">");
            assert!(page.contains(&kept), "the next account's posts change no choice: {page}");
        }
    }
    for (name, said) in [
        ("@nobody", "No account @nobody is connected."),
        ("%22!", "No account &#34;! is connected."),
    ] {
        let page = visitor.open(&format!("{EXPLORE}?account={name}")).await.text();
        assert!(page.contains(said), "{said}: {page}");
    }
    assert_eq!(gateway.arrived(TOTALS).await.len(), arrived, "nothing was asked");
}

async fn every_column_sorts_and_what_is_kept_is_not_asked_again(database: Database) {
    let keeping = TestGateway::start_with(&database, |config| {
        config.cache.fresh = std::time::Duration::from_mins(5);
    })
    .await;
    let visitor = Visitor::admin(&keeping).await;
    let ids = keeping.sandbox.ids("alice", 4).join(" ");
    let fields = [
        ("tweets", &*ids),
        ("metrics", "impressions"),
        ("metrics", "replies"),
        ("window", "totals"),
        ("group", "post"),
    ];
    // Once the author is known, one call has all the types.
    visitor.send(EXPLORE, &fields).await;
    let page = visitor.send(EXPLORE, &fields).await.text();
    let arrived = keeping.arrived(TOTALS).await.len();
    let (rows, all) = (cells(&page), sums(&page));
    assert!(rows.is_sorted_by_key(|row| row[0].parse::<u64>().unwrap()), "{rows:?}");
    for (place, name) in ["post", "published", "impressions", "replies"].into_iter().enumerate() {
        for (sort, order) in [(format!("-{name}"), "descending"), (name.to_owned(), "ascending")] {
            let pressed = [&fields[..], &[("sort", "-impressions"), ("by", &*sort)]].concat();
            let page = visitor.send(EXPLORE, &pressed).await.text();
            let mut sorted = cells(&page);
            assert!(page.contains(&format!("aria-sort=\"{order}\"")), "{sort}: {page}");
            assert!(page.contains(&format!("name=\"sort\" value=\"{sort}\"")), "{sort}: {page}");
            assert!(page.contains(&format!("&#38;sort={sort}")), "its link has the order: {page}");
            assert_eq!(sums(&page), all);
            if order == "descending" {
                sorted.reverse();
            }
            let value = |row: &Vec<String>| (row[place].parse::<u64>().ok(), row[place].clone());
            assert!(sorted.is_sorted_by_key(value), "{sort}: {sorted:?}");
        }
    }
    assert_eq!(keeping.arrived(TOTALS).await.len(), arrived, "the numbers were kept");
    keeping.sandbox.clock.forward(time::Duration::seconds(1));
    visitor.send(EXPLORE, &fields).await;
    assert!(keeping.arrived(TOTALS).await.len() > arrived, "a press of the button asks");
}

on_both!(
    who_may_explore_does_and_who_may_not_is_told_whom_to_ask,
    an_analyst_sees_what_an_analyst_may_open,
    the_address_fills_in_the_form_and_asks_nothing,
    it_begins_with_the_known_posts_of_a_connected_account,
    every_column_sorts_and_what_is_kept_is_not_asked_again
);
