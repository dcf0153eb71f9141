//! The container files, tested without an engine: the real program is run with their environment, their
//! arguments and their users, in folders that take the place of their volumes.

mod files;
mod machine;

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::time::Duration;

use countersign::config;
use rustix::process::Signal;
use serde_json::{Value, json};
use tokio::net::TcpStream;

use crate::database::{Kind, fresh};
use crate::http::Ask;
use crate::program::containers::files::{Image, compose, texts};
use crate::program::containers::machine::{Machine, is_root, names};

/// The machine, with an app's key and secret where the compose file asks for them.
fn machine() -> Machine {
    let machine = Machine::new();
    let given = machine.volume("./secrets", "/given");
    fs::write(given.join("consumer_key"), "keyOfTheApp\n").unwrap();
    fs::write(given.join("consumer_secret"), "wordOfTheApp\n").unwrap();
    machine
}

#[tokio::test]
async fn the_gateway_runs_as_they_say() {
    let database = fresh(Kind::Postgres).await;
    let machine = machine();
    let done = machine.run("setup").await;
    assert_eq!(done.code, 0, "{done:?}");
    let url = machine.volume("secrets", "").join("database_url");
    let postgres = machine.service("database")["environment"].as_object().unwrap();
    let made = fs::read_to_string(&url).unwrap();
    let password = fs::read_to_string(machine.volume("password", "").join("database")).unwrap();
    assert_eq!(password.len(), 48);
    let [user, name] =
        ["POSTGRES_USER", "POSTGRES_DB"].map(|variable| postgres[variable].as_str().unwrap());
    assert_eq!(made, format!("postgres://{user}:{password}@database/{name}\n"));
    fs::write(&url, database.settings().url.expose()).unwrap();

    let done = machine.run("migrate").await;
    assert!(done.code == 0 && done.out.contains("applied"), "{done:?}");
    let gateway = machine.start("gateway");
    let line: Value = serde_json::from_str(&gateway.err.wait_for("\"serving\"").await).unwrap();
    let at = |field: &str| line[field].as_str().unwrap().to_owned();
    let (callers, operators) = (at("callers"), at("operators"));
    assert!(callers.starts_with("0.0.0.0:") && operators.starts_with("0.0.0.0:"), "{line}");
    let http = reqwest::Client::builder().no_proxy().build().unwrap();
    for at in [&callers, &operators] {
        let url = format!("http://{}", at.replace("0.0.0.0", "127.0.0.1"));
        assert_eq!(Ask::new(&http, &url, "GET", "/readyz").send().await.status, 200);
    }

    let set =
        [("COUNTERSIGN__SERVER__LISTEN", &*callers), ("COUNTERSIGN__ADMIN__LISTEN", &*operators)];
    let healthy = machine.health("gateway", &set).await;
    assert_eq!(healthy.code, 0, "{healthy:?}");
    gateway.signal(Signal::INT);
    let done = gateway.end().await;
    assert_eq!(done.code, 0, "{done:?}");
    let ill = machine.health("gateway", &set).await;
    assert_eq!(ill.code, 1, "{ill:?}");
    assert!(names(&machine.path("root")).is_empty());
}

#[tokio::test]
async fn the_demo_runs_as_they_say_and_is_reached_from_outside() {
    let machine = Machine::new();
    let demo = machine.start("demo");
    demo.out.wait_for("The log: demo/log").await;
    let fetch = "  docker compose --profile demo cp demo:";
    assert!(demo.out.text().contains(fetch), "{}", demo.out.text());
    let tour = fs::read_to_string(machine.volume("demo", "").join("demo/tour.txt")).unwrap();
    for (name, path) in
        [("gateway", "/readyz"), ("operators", "/readyz"), ("sandbox", "/sandbox/world")]
    {
        let line = tour.lines().find(|line| line.trim().starts_with(name)).unwrap();
        let url = line.split_whitespace().nth(1).unwrap();
        let http = reqwest::Client::builder().no_proxy().build().unwrap();
        assert!(url.starts_with("http://127.0.0.1:"), "{url}");
        assert_eq!(Ask::new(&http, url, "GET", path).send().await.status, 200, "{name}");
        // Connections from outside a container arrive at another address than the one that is printed.
        let other = url.replace("http://127.0.0.1", "127.0.0.2");
        assert!(TcpStream::connect(&other).await.is_ok(), "{name} listens on loopback alone");
    }
    demo.signal(Signal::TERM);
    let done = demo.end().await;
    assert_eq!(done.code, 0, "{done:?}");
    let kept = names(&machine.volume("demo", "").join("demo"));
    assert_eq!(
        kept,
        [
            "born",
            "countersign.db",
            "env",
            "keys.json",
            "lock",
            "log",
            "past",
            "tour.txt",
            "vault_keys"
        ]
    );
    assert_eq!(names(&machine.volume("demo", "")), ["demo"]);
    assert!(names(&machine.path("root")).is_empty());
}

#[test]
fn each_published_port_is_listened_on_and_published_to_the_host_alone() {
    let machine = Machine::new();
    let port =
        |text: &String| text.split_once("0.0.0.0:").map(|halves| halves.1.parse::<u16>().unwrap());
    for (name, settings) in [("gateway", true), ("demo", false)] {
        let service = machine.service(name);
        let listened: BTreeSet<u16> = if settings {
            machine.environment(service).values().filter_map(port).collect()
        } else {
            machine.arguments(service).iter().filter_map(port).collect()
        };
        let published = texts(&service["ports"]);
        let expected: Vec<String> =
            listened.iter().map(|port| format!("127.0.0.1:{port}:{port}")).collect();
        assert_eq!(published, expected, "{name}");
        if settings {
            assert_eq!(listened, machine.image.ports);
        }
    }
}

#[tokio::test]
async fn the_setup_makes_what_is_missing_once_and_for_the_gateways_user_alone() {
    let machine = Machine::new();
    let given = machine.volume("./secrets", "/given");
    for name in ["consumer_key", "consumer_secret"] {
        let done = machine.run("setup").await;
        assert_eq!(done.code, 1, "{done:?}");
        assert!(done.err.contains(&format!("put your app's {name} into ")), "{done:?}");
        fs::write(given.join(name), name).unwrap();
    }
    let secrets = machine.volume("secrets", "");
    let read = |name: &str| fs::read_to_string(secrets.join(name)).unwrap();
    assert_eq!(machine.run("setup").await.code, 0);
    let first = names(&secrets).iter().map(|name| read(name)).collect::<Vec<_>>();
    assert_eq!(names(&secrets), ["consumer_key", "consumer_secret", "database_url", "vault_keys"]);
    for name in names(&secrets) {
        let file = fs::metadata(secrets.join(&name)).unwrap();
        assert_eq!(file.permissions().mode() & 0o777, 0o600, "{name}");
        let owner = format!("{}:{}", file.uid(), file.gid());
        assert!(owner == machine.image.user || !is_root(), "{name} is {owner}'s");
    }
    let password = fs::metadata(machine.volume("password", "").join("database")).unwrap();
    assert_eq!(password.permissions().mode() & 0o777, 0o444);

    assert_eq!(machine.run("setup").await.code, 0);
    assert_eq!(names(&secrets).iter().map(|name| read(name)).collect::<Vec<_>>(), first);
    fs::write(given.join("vault_keys"), "mine").unwrap();
    fs::write(given.join("consumer_key"), "another").unwrap();
    assert_eq!(machine.run("setup").await.code, 0);
    assert_eq!((&*read("vault_keys"), &*read("consumer_key")), ("mine", "another"));
}

#[test]
fn every_service_is_confined_and_every_volume_is_declared() {
    let (machine, all) = (Machine::new(), compose());
    assert_eq!(machine.image.user, "65532:65532");
    for (name, service) in machine.services() {
        assert_eq!(service["read_only"], true, "{name}");
        assert_eq!(service["cap_drop"], json!(["ALL"]), "{name}");
        assert_eq!(service["security_opt"], json!(["no-new-privileges:true"]), "{name}");
        for volume in texts(&service["volumes"]) {
            let volume = volume.split(':').next().unwrap();
            let known = volume == "./secrets" || all["volumes"].get(volume).is_some();
            assert!(known, "{name}: {volume}");
        }
        for network in texts(&service["networks"]).iter().filter(|name| *name != "default") {
            assert!(all["networks"].get(network).is_some(), "{name}: {network}");
        }
        for other in service["depends_on"].as_object().into_iter().flatten() {
            assert!(machine.service(other.0).is_object(), "{name}: {}", other.0);
        }
    }
}

#[test]
fn the_gateways_limits_fit_into_its_containers() {
    let machine = Machine::new();
    let gateway = machine.service("gateway");
    let limits = limits();
    let seconds = gateway["stop_grace_period"].as_str().unwrap().trim_end_matches('s').parse();
    assert!(Duration::from_secs(seconds.unwrap()) > limits.drain_notice + limits.drain);
    let files = usize::try_from(gateway["ulimits"]["nofile"].as_u64().unwrap()).unwrap();
    assert!(files > 3 * limits.connections);
}

fn limits() -> config::Limits {
    let needed = [
        ("COUNTERSIGN__VAULT__KEYS", crate::gateway::RING),
        ("COUNTERSIGN__APPS__MAIN__CONSUMER_KEY", "keyOfTheApp"),
        ("COUNTERSIGN__APPS__MAIN__CONSUMER_SECRET", "wordOfTheApp"),
    ];
    let needed = needed.map(|(name, value)| (name.to_owned(), value.to_owned()));
    let parsed = config::parse(None, &needed.into(), &|_| Err("no files".to_owned()));
    parsed.unwrap_or_else(|error| panic!("{error}")).limits
}

#[test]
fn the_image_is_built_from_files_that_are_there_and_not_ignored() {
    let image = Image::read();
    let ignored = fs::read_to_string(".dockerignore").unwrap();
    let mut rules = ignored.lines().filter(|line| !line.starts_with('#'));
    assert_eq!(rules.next(), Some("*"), "what follows is what is kept");
    let kept: BTreeSet<&str> = rules.map(|rule| rule.strip_prefix('!').unwrap()).collect();
    for name in &kept {
        assert!(fs::exists(name).unwrap(), "{name} is kept, but is not there");
    }
    let is_kept = |path: &str| kept.contains(path.split('/').next().unwrap());
    for path in image.copied.iter().filter(|path| *path != ".") {
        assert!(fs::exists(path).unwrap() && is_kept(path), "{path}");
    }
    // The inputs of the build: the files that the manifest names, and those that the sources include.
    let manifest = fs::read_to_string("Cargo.toml").unwrap();
    let named = manifest.lines().filter_map(|line| {
        line.strip_prefix("path = ")
            .or(line.strip_prefix("readme = "))
            .map(|path| path.trim_matches('"'))
    });
    for path in named {
        assert!(is_kept(path), "{path}");
        let made = image.building.contains(path) || path == "README.md";
        assert!(made, "{path} is missing where the dependencies are built");
    }
    for folder in ["src", "config", "migrations"] {
        assert!(fs::exists(folder).unwrap() && is_kept(folder), "{folder}");
    }
}
