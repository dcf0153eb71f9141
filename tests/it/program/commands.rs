//! Accounts and keys from the command line.

use std::collections::BTreeMap;

use countersign::model::key::{Right, Role};
use serde_json::Value;

use crate::database::{Database, Kind, fresh, on_both};
use crate::program::deployment::Deployment;

fn json(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_else(|error| panic!("{error}: {text}"))
}

/// The cells of a table, cut where its headings begin; no heading contains two spaces.
fn cells(table: &str) -> Vec<Vec<String>> {
    let heading = table.lines().next().unwrap();
    let begins =
        |at: &usize| heading[*at..].starts_with(|c| c != ' ') && heading[..*at].ends_with("  ");
    let starts: Vec<usize> = (0..heading.len()).filter(|at| *at == 0 || begins(at)).collect();
    let cut = |line: &str| {
        let line: Vec<char> = line.chars().collect();
        let ends = starts.iter().skip(1).copied().chain([usize::MAX]);
        starts
            .iter()
            .zip(ends)
            .map(|(start, end)| {
                line.iter().skip(*start).take(end - start).collect::<String>().trim().to_owned()
            })
            .collect()
    };
    table.lines().map(cut).collect()
}

/// The keys that `key list` shows, each with its cells by their headings.
async fn listed_keys(deployment: &Deployment) -> Vec<BTreeMap<String, String>> {
    let table = deployment.must(&["key", "list"]).await;
    assert!(!table.contains(['\u{202e}', '\u{200b}', '\u{1b}']), "{table:?}");
    let mut rows = cells(&table).into_iter();
    let headings = rows.next().unwrap();
    rows.map(|row| headings.iter().cloned().zip(row).collect()).collect()
}

async fn listed_key(deployment: &Deployment, id: &str) -> BTreeMap<String, String> {
    listed_keys(deployment).await.into_iter().find(|key| key["ID"] == id).unwrap()
}

async fn accounts_come_and_go(database: Database) {
    let deployment = Deployment::new(&database).await;
    deployment.prepare().await;
    let alice = deployment.sandbox.user("alice").user_id.clone();
    let table = cells(&deployment.must(&["account", "list"]).await);
    assert_eq!(
        table[0],
        ["APP", "USER ID", "SCREEN NAME", "STATE", "SINCE", "CONNECTED", "LAST CALL", "LAST ERROR"]
    );
    let row = table.iter().find(|row| row[2] == "alice").unwrap();
    assert_eq!(row[..4], ["demo", &alice, "alice", "active"]);
    let listed = json(
        &deployment
            .must(&["account", "list", "--app", "demo", "--state", "active", "--json"])
            .await,
    );
    assert_eq!(listed.as_array().unwrap().len(), 2);
    let shown = json(&deployment.must(&["account", "show", "@alice", "--json"]).await);
    assert_eq!(shown["user_id"], alice.as_str());
    assert!(deployment.must(&["account", "show", &alice]).await.contains("alice"));
    assert!(
        deployment
            .must(&["account", "verify", "@alice"])
            .await
            .starts_with(&format!("the token of {alice} (@alice) works"))
    );
    assert_eq!(
        json(&deployment.must(&["account", "verify", "@alice", "--json"]).await)["works"],
        true
    );

    deployment
        .sandbox
        .put(&format!("/sandbox/users/{alice}"), serde_json::json!({ "state": "revoked" }))
        .await;
    let refused = deployment.run(&["account", "verify", "@alice"]).await;
    assert_eq!(
        (refused.code, &*refused.err),
        (1, "countersign: the token does not work; the account is revoked\n")
    );
    let refused = deployment.run(&["account", "verify", "@alice", "--json"]).await;
    assert_eq!((refused.code, json(&refused.out)["state"].clone()), (1, "revoked".into()));

    let removed = deployment.run(&["account", "remove", "@alice"]).await;
    assert_eq!(removed.code, 0, "{removed:?}");
    let gone = deployment.run(&["account", "show", "@alice"]).await;
    assert_eq!((gone.code, &*gone.err), (1, "countersign: there is no such account\n"));
}

async fn an_import_is_all_or_nothing(database: Database) {
    let deployment = Deployment::new(&database).await;
    deployment.must(&["migrate"]).await;
    let good = deployment.lines(&["alice", "bob"]);
    let alice = deployment.sandbox.user("alice");
    let broken = good.replacen(&alice.access_token, "canary", 1);
    let done = deployment.run_with(&["account", "import", "--app", "demo"], &broken).await;
    assert_eq!(done.code, 1);
    assert!(done.err.starts_with("countersign: line 1: access_token must begin"), "{done:?}");
    let done = deployment
        .run_with(&["account", "import", "--app", "demo"], &format!("{good}canary\n{{}}\n"))
        .await;
    assert_eq!(done.code, 1);
    assert!(done.err.contains("line 3: ") && done.err.contains("line 4: "), "{done:?}");
    for text in ["canary", &alice.access_token, &alice.access_token_secret] {
        assert!(!done.err.contains(text), "{done:?}");
    }
    let done = deployment.run_with(&["account", "import", "--app", "nowhere"], &good).await;
    assert_eq!(done.code, 1, "{done:?}");
    let done = deployment.run_with(&["account", "import"], "").await;
    let told = "countersign: no accounts to import; give one JSON object per line\n";
    assert_eq!((done.code, &*done.err), (1, told));
    assert_eq!(json(&deployment.must(&["account", "list", "--json"]).await), serde_json::json!([]));
    let done = deployment.run(&["account", "list", "--app", "nowhere"]).await;
    let told = "countersign: --app: must be one of the configured apps: demo\n";
    assert_eq!((done.code, &*done.err), (1, told));
    let done = deployment.run_with(&["account", "import", "--events", "all"], &good).await;
    let told = "countersign: --events must be summary or each\n";
    assert_eq!((done.code, &*done.err), (1, told));
    let marked = format!("\u{feff}{}", good.replace('\n', "\r\n"));
    let done = deployment.run_with(&["account", "import"], &marked).await;
    assert_eq!((done.code, &*done.out), (0, "imported 2 accounts\n"), "{done:?}");
}

async fn a_large_import_tells_of_its_parts(database: Database) {
    let deployment = Deployment::new(&database).await;
    deployment.must(&["migrate"]).await;
    let line = |number: usize| {
        let token = format!("{number}-token");
        serde_json::json!({
            "user_id": number.to_string(), "screen_name": format!("user{number}"),
            "access_token": token, "access_token_secret": "secret",
        })
        .to_string()
    };
    let lines: Vec<String> = (1..=1001).map(line).collect();
    let done = deployment.run_with(&["account", "import"], &lines.join("\n")).await;
    let told = (0, "imported 1001 accounts\n", "1000 of 1001 accounts are stored\n");
    assert_eq!((done.code, &*done.out, &*done.err), told);

    database.refuse_account("x").await;
    let lines = lines.join("\n").replace("\"user1001\"", "\"x\"");
    let done = deployment.run_with(&["account", "import"], &lines).await;
    let told = "countersign: the import stopped after 1000 of 1001 accounts; import the rest again, \
                from line 1001 on: ";
    assert!(done.code == 1 && done.err.contains(told), "{done:?}");
}

async fn revoke_by_name_and_by_secret(deployment: &Deployment, admin: &str) {
    let revoked = json(&deployment.must(&["key", "revoke", "boss", "--json"]).await);
    assert_eq!(revoked["id"], &admin[4..16]);
    let leaked = deployment.key("leaked", &[]).await;
    let revoked = json(&deployment.must(&["key", "revoke", &leaked, "--json"]).await);
    assert_eq!(revoked["id"], &leaked[4..16]);
    let unknown = deployment.run(&["key", "revoke", "nobody"]).await;
    assert_eq!((unknown.code, &*unknown.err), (1, "countersign: there is no such key\n"));
}

async fn roles_are_for_admins(deployment: &Deployment) {
    let create = ["key", "create", "Ada", "--role", "auditor", "--json"];
    assert_eq!(deployment.run(&create).await.code, 2, "--admin is missing");
    let wrong = deployment.run(&["key", "create", "Ada", "--admin", "--role", "caller"]).await;
    assert!(wrong.code == 2 && wrong.err.contains("owner, auditor, analyst"), "{wrong:?}");
    let owner = ["key", "create", "Ada", "--admin", "--role", "owner", "--explore"];
    let wrong = deployment.run(&owner).await;
    assert!(wrong.code == 1 && wrong.err.contains("--explore: is for auditors"), "{wrong:?}");
    let made = json(&deployment.must(&[&create[..], &["--admin"]].concat()).await);
    assert_eq!((&made["role"], &made["app"]), (&"auditor".into(), &serde_json::Value::Null));
    assert_eq!(made["explore"], false);
    deployment.must(&["key", "revoke", "Ada"]).await;
    let made = json(&deployment.must(&[&create[..], &["--admin", "--explore"]].concat()).await);
    assert_eq!((&made["role"], &made["explore"]), (&"auditor".into(), &true.into()));
    let ada = listed_key(deployment, made["id"].as_str().unwrap()).await;
    assert_eq!(ada["RIGHTS"], "explore posts in the console");
    deployment.must(&["key", "revoke", "Ada"]).await;
    let analyst = ["key", "create", "Ann", "--admin", "--role", "analyst", "--json"];
    assert_eq!(json(&deployment.must(&analyst).await)["role"], "analyst");
    deployment.must(&["key", "revoke", "Ann"]).await;
}

async fn keys_come_and_go(database: Database) {
    let deployment = Deployment::new(&database).await;
    deployment.prepare().await;
    let alice = &deployment.sandbox.user("alice").user_id;
    let odd = "a \"b\" \u{202e}c\u{200b} žluť";
    let own = Right::of(Role::Caller);
    let rights: Vec<String> =
        own.iter().map(|right| format!("--{}", right.name().replace('_', "-"))).collect();
    let mut narrow = vec!["--app", "demo", "--account", alice, "--expires", "90d"];
    narrow.extend(["--endpoint", "totals", "--endpoint", "28hr"]);
    narrow.extend(rights.iter().map(|flag| &**flag));
    narrow.extend(["--origins", "https://b.example", "--origins", "https://a.example"]);
    let secret = deployment.key(odd, &narrow).await;
    assert!(secret.starts_with("csk_") && secret.len() == 66, "{secret}");
    let admin = deployment.key("boss", &["--admin"]).await;
    assert!(admin.starts_with("csa_"), "{admin}");
    roles_are_for_admins(&deployment).await;
    let made = json(&deployment.must(&["key", "create", "third", "--json"]).await);
    assert_eq!(made["secret"].as_str().map(str::len), Some(66));

    let key = listed_key(&deployment, &secret[4..16]).await;
    let rights = own.iter().map(|right| right.words()).collect::<Vec<_>>().join(", ");
    for (heading, cell) in [
        ("NAME", "a \"b\" \u{fffd}c\u{fffd} žluť"),
        ("ROLE", "caller"),
        ("APP", "demo"),
        ("ACCOUNTS", alice),
        ("ENDPOINTS", "totals,28hr"),
        ("RIGHTS", &rights),
        ("LAST USED", "never"),
    ] {
        assert_eq!(key[heading], cell, "{heading}");
    }
    assert!(key["STATE"].starts_with("until "), "{key:?}");
    let boss = listed_key(&deployment, &admin[4..16]).await;
    assert_eq!((&*boss["NAME"], &*boss["ROLE"], &*boss["STATE"]), ("boss", "owner", "valid"));
    for heading in ["APP", "ACCOUNTS", "ENDPOINTS", "RIGHTS"] {
        assert_eq!(boss[heading], "-", "{heading}");
    }
    let ended = deployment.key("ended", &["--expires", "1ms"]).await;
    let ended = &ended[4..16];
    let key = listed_key(&deployment, ended).await;
    assert!(key["STATE"].starts_with("expired "), "{key:?}");
    database
        .run(&format!("update key set endpoints = 'everything' where key_id = '{ended}'"))
        .await;
    let key = listed_key(&deployment, ended).await;
    assert_eq!((&*key["ROLE"], &*key["STATE"]), ("unreadable", "refused"));
    let listed = deployment.must(&["key", "list", "--json"]).await;
    assert!(!listed.contains("csk_") && !listed.contains("csa_"), "{listed}");
    assert_eq!(json(&listed).as_array().unwrap().len(), 7);

    revoke_by_name_and_by_secret(&deployment, &admin).await;
}

on_both!(
    accounts_come_and_go,
    an_import_is_all_or_nothing,
    a_large_import_tells_of_its_parts,
    keys_come_and_go
);

#[tokio::test]
async fn what_a_key_cannot_be_is_told_as_the_command_line_says_it() {
    let database = fresh(Kind::Sqlite).await;
    let deployment = Deployment::new(&database).await;
    deployment.must(&["migrate"]).await;
    for (more, told) in [
        (
            &["--account", "@alice"][..],
            "--account: must be a user id of 1 to 19 digits, not \"@alice\"",
        ),
        (&["--endpoint", "weekly"], "--endpoint: must be totals, 28hr or historical"),
        (&["--expires", "soon"], "--expires: must be a duration"),
        (&["--expires", "9999y"], "--expires: must be above zero and at most 100 years"),
        (&["--app", "nowhere"], "--app: must be one of the configured apps: demo"),
        (&["--admin", "--app", "demo"], "an admin key has no app"),
    ] {
        let done = deployment.run(&[&["key", "create", "odd"], more].concat()).await;
        assert_eq!(done.code, 1, "{done:?}");
        assert!(done.err.starts_with(&format!("countersign: {told}")), "{done:?}");
    }
    let empty = deployment.run(&["key", "list"]).await;
    assert!(empty.err.contains("countersign key create"), "{empty:?}");
}

#[tokio::test]
async fn every_command_explains_itself() {
    let database = fresh(Kind::Sqlite).await;
    let deployment = Deployment::new(&database).await;
    let commands = "serve demo sandbox query migrate check healthcheck config openapi usage calls audit \
                    account,import account,list account,show account,verify account,remove key,create \
                    key,list key,revoke webhook,add webhook,list webhook,test webhook,rotate webhook,remove \
                    vault,generate-key vault,status vault,rotate";
    for command in commands.split(' ') {
        let arguments: Vec<&str> = command.split(',').chain(["--help"]).collect();
        let help = deployment.must(&arguments).await;
        assert!(!help.contains('`') || !help.contains("\"`"), "{help}");
        for line in help.lines().filter(|line| line.trim_start().starts_with("--")) {
            let explained = line.trim().split("  ").filter(|part| !part.is_empty()).count() > 1;
            assert!(
                explained || help.contains(&format!("{line}\n          ")),
                "{command}: {line}"
            );
        }
    }
}
