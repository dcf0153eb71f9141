//! Connecting accounts from the command line: a link to send, or a PIN.

use serde_json::Value;

use crate::database::{Database, on_both};
use crate::program::deployment::{Deployment, Output};
use crate::sandbox::handshake::{decide, fields};

/// Runs `account connect --pin`; `answer` turns the PIN that the sandbox shows into what is typed in.
async fn by_pin(deployment: &Deployment, more: &[&str], answer: impl Fn(&str) -> String) -> Output {
    let arguments = [&["account", "connect", "--pin"], more].concat();
    let mut running = deployment.start(&arguments);
    let line = running.err.wait_for("/oauth/authorize?").await;
    let page = decide(&deployment.sandbox, &fields(line.trim())["oauth_token"], "allow", "bob")
        .await
        .text();
    let pin = page.split_once("<code id=\"pin\">").unwrap().1.split_once('<').unwrap().0;
    running.tell(&answer(pin));
    running.end().await
}

async fn a_link_needs_a_public_url(database: Database) {
    let mut deployment = Deployment::new(&database).await;
    deployment.must(&["migrate"]).await;
    let refused = deployment.run(&["account", "connect"]).await;
    assert_ne!(refused.code, 0);
    assert_eq!(refused.out, "");
    assert!(refused.err.contains("set it, or connect with a PIN"), "{}", refused.err);
    deployment.set("SERVER__PUBLIC_URL", "https://countersign.example.com");
    let link =
        deployment.must(&["account", "connect", "--label", "for alice", "--expires", "2h"]).await;
    let id = link.trim_end().strip_prefix("https://countersign.example.com/connect/").unwrap();
    assert_eq!(id.len(), 49, "{link}");
    let made: Value = serde_json::from_str(
        &deployment.must(&["account", "connect", "--app", "demo", "--user", "12", "--json"]).await,
    )
    .unwrap();
    assert_eq!((&made["app"], &made["user_id"]), (&"demo".into(), &"12".into()));
    for wrong in [
        ["--user", "x"],
        ["--expires", "25h"],
        ["--return-to", "https://x.example/"],
        ["--app", "none"],
        ["--label", ""],
    ] {
        let refused = deployment.run(&[&["account", "connect"], &wrong[..]].concat()).await;
        assert!(
            refused.code != 0 && refused.out.is_empty() && !refused.err.is_empty(),
            "{refused:?}"
        );
    }
}

async fn links_that_wait_are_listed_and_withdrawn(database: Database) {
    let mut deployment = Deployment::new(&database).await;
    deployment.must(&["migrate"]).await;
    deployment.set("SERVER__PUBLIC_URL", "https://countersign.example.com");
    let made: Value = serde_json::from_str(
        &deployment.must(&["account", "connect", "--label", "for alice", "--json"]).await,
    )
    .unwrap();
    let id = made["id"].as_str().unwrap();
    let table = deployment.must(&["account", "links"]).await;
    assert!(table.starts_with("ID") && table.contains(id) && table.contains("anybody"), "{table}");
    let listed: Value =
        serde_json::from_str(&deployment.must(&["account", "links", "--json"]).await).unwrap();
    assert_eq!((&listed[0]["id"], &listed[0]["app"]), (&made["id"], &"demo".into()));
    for wrong in ["x", made["url"].as_str().unwrap()] {
        let refused = deployment.run(&["account", "withdraw", wrong]).await;
        assert!(refused.code != 0 && refused.err.contains("not a link id"), "{refused:?}");
    }
    deployment.must(&["account", "withdraw", id]).await;
    assert!(!deployment.must(&["account", "links"]).await.contains(id));
    assert_ne!(deployment.run(&["account", "withdraw", id]).await.code, 0);
}

async fn an_account_is_connected_by_pin(database: Database) {
    let deployment = Deployment::new(&database).await;
    deployment.must(&["migrate"]).await;
    let id = deployment.sandbox.user("bob").user_id.clone();
    let done = by_pin(&deployment, &[], |pin| format!(" {pin} \n")).await;
    assert_eq!((done.code, &*done.out), (0, &*format!("connected {id} (@bob)\n")), "{done:?}");
    assert!(deployment.must(&["account", "verify", "@bob"]).await.contains("bob"));
    let done = by_pin(&deployment, &["--user", &id, "--json"], str::to_owned).await;
    let shown: Value = serde_json::from_str(&done.out).unwrap();
    assert_eq!(
        (shown["user_id"].as_str(), shown["screen_name"].as_str()),
        (Some(&*id), Some("bob"))
    );
}

async fn nothing_is_connected_by_a_wrong_pin_or_another_user(database: Database) {
    let deployment = Deployment::new(&database).await;
    deployment.must(&["migrate"]).await;
    let other = deployment.sandbox.user("alice").user_id.clone();
    let wrong = |pin: &str| {
        pin.bytes().map(|byte| char::from(b'0' + (byte - b'0' + 1) % 10)).collect::<String>()
    };
    for (done, said) in [
        (by_pin(&deployment, &[], wrong).await, "took too long"),
        (by_pin(&deployment, &[], |_| String::new()).await, "nothing was connected"),
        (by_pin(&deployment, &[], |_| "no\n".to_owned()).await, "nothing was connected"),
        (by_pin(&deployment, &[], |pin| format!("{pin}<script>\n")).await, "nothing was connected"),
        (by_pin(&deployment, &["--user", &other], str::to_owned).await, "a different X user"),
    ] {
        assert!(done.code != 0 && done.out.is_empty(), "{done:?}");
        assert!(done.err.contains(said), "{said}: {done:?}");
    }
    let refused = deployment.run(&["account", "connect", "--pin", "--user", "bob"]).await;
    assert!(refused.code != 0 && refused.err.contains("--user must be a user id"), "{refused:?}");
    let both = deployment.run(&["account", "connect", "--pin", "--label", "x"]).await;
    assert!(both.code != 0 && both.err.contains("cannot be used with"), "{both:?}");
    assert!(!deployment.must(&["account", "list"]).await.contains("bob"));
}

on_both!(
    a_link_needs_a_public_url,
    links_that_wait_are_listed_and_withdrawn,
    an_account_is_connected_by_pin,
    nothing_is_connected_by_a_wrong_pin_or_another_user
);
