//! `countersign demo`: the sandbox and a gateway in one process, on an embedded database that can be used again.

use std::collections::BTreeMap;
use std::fs::{self, DirBuilder, OpenOptions};
use std::io::Write;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, anyhow};
use clap::Args;
use serde::{Deserialize, Serialize};
use tokio::net::TcpListener;
use tracing::{info, warn};

use crate::api::openapi;
use crate::cli::failure::Failure;
use crate::cli::files::fit_connections;
use crate::cli::output;
use crate::cli::parts::{self, Parts};
use crate::cli::serve::{bind, prepare, stop_on_signals, url, work_along};
use crate::cli::tour::{self, CONNECTED, Card};
use crate::config::{self, Config};
use crate::gateway::{self, Import};
use crate::model::Secret;
use crate::model::key::Kind;
use crate::sandbox;
use crate::sandbox::{Sandbox, Settings, World, WorldUser};
use crate::server;
use crate::server::{Life, Listener};
use crate::telemetry;
use crate::vault;

const APP: &str = "demo";
const ACTOR: &str = "demo";

#[derive(Args)]
pub(super) struct Arguments {
    /// Where callers are served
    #[arg(long, value_name = "IP:PORT", default_value = "127.0.0.1:8080")]
    listen: SocketAddr,
    /// Where operators are served
    #[arg(long, value_name = "IP:PORT", default_value = "127.0.0.1:8081")]
    admin_listen: SocketAddr,
    /// Where the stand-in upstream listens
    #[arg(long, value_name = "IP:PORT", default_value = "127.0.0.1:9090")]
    sandbox_listen: SocketAddr,
    /// Where the database and its keys are kept; made when missing, used again when there
    #[arg(long, value_name = "FOLDER", default_value = "countersign-demo")]
    dir: PathBuf,
    /// Print one JSON object instead of the tour
    #[arg(long)]
    json: bool,
}

/// The keys of a demo, kept so that its commands still work after a restart. They open invented numbers alone.
#[derive(Deserialize, Serialize)]
struct Keys {
    key: String,
    admin_key: String,
}

pub(super) fn run(arguments: Arguments) -> Result<(), Failure> {
    make_folder(&arguments.dir)?;
    parts::runtime(0)?.block_on(demo(arguments))
}

async fn demo(arguments: Arguments) -> Result<(), Failure> {
    let upstream = bind(arguments.sandbox_listen, "--sandbox-listen")?;
    let callers = bind(arguments.listen, "--listen")?;
    let operators = bind(arguments.admin_listen, "--admin-listen")?;
    let sandbox = Sandbox::new(Settings::default(), parts::clock());
    let world = sandbox.world();
    let config = settings(&arguments.dir, &upstream, &callers, &world)?;
    let _logs = telemetry::start_logs(&config.log);
    telemetry::log_panics();
    let metrics = telemetry::start_metrics();
    let mut parts = prepare(config).await?;
    fit_connections(&mut parts.config);
    let connected = connected(&world)?;
    import(&parts, &connected).await?;
    let keys = keys(&parts, &arguments.dir).await?;
    use_sandbox_in_examples(connected[0]);
    let link = gateway::NewLink { label: "a link to try".to_owned(), ..Default::default() };
    let link = parts.gateway.create_link(link, ACTOR).await?;
    let card = Card {
        gateway: url(&callers),
        admin: url(&operators),
        sandbox: url(&upstream),
        key: keys.key,
        admin_key: keys.admin_key,
        link: link.url.expose().to_owned(),
        accounts: connected.map(tour::account),
    };
    // Before anybody is told that it serves, who may then stop it.
    let life = Life::default();
    let end = stop_on_signals(life.clone(), Duration::ZERO)?;
    if arguments.json {
        output::json_line(&card);
    } else {
        let program = std::env::current_exe().unwrap_or_else(|_| PathBuf::from("countersign"));
        output::line(&tour::text(&card, &arguments.dir, &program));
    }
    let drained = life.clone();
    let working = work_along(&parts.gateway, &life, parts.config.limits.drain);
    let limits = parts.config.limits.clone();
    let serving = async {
        tokio::join!(
            server::serve(
                Listener::new(callers, &parts.config.server.trusted_proxies),
                Listener::new(operators, &parts.config.admin.trusted_proxies),
                parts.gateway.clone(),
                metrics,
                &limits,
                parts::clock(),
                life
            ),
            sandbox::serve(upstream, sandbox, async move { drained.draining().await }),
            working,
        )
    };
    tokio::select! {
        (..) = serving => info!("stopped"),
        () = end => warn!("stopped at once by a second signal"),
    }
    parts.gateway.settle_usage().await;
    parts.gateway.deregister_replica().await;
    parts.store.close().await;
    Ok(())
}

fn make_folder(folder: &Path) -> Result<(), Failure> {
    let made = DirBuilder::new().recursive(true).mode(0o700).create(folder);
    made.with_context(|| format!("the folder {} cannot be made", folder.display()))
        .map_err(Failure::unavailable)
}

/// The settings of a demo: nothing of the environment or of a file, so that it is the same everywhere.
fn settings(
    folder: &Path,
    upstream: &TcpListener,
    callers: &TcpListener,
    world: &World,
) -> Result<Config, Failure> {
    let app = world
        .apps
        .iter()
        .find(|it| it.name == APP)
        .ok_or_else(|| Failure::general(anyhow!("the sandbox has no app named {APP}")))?;
    let (sandbox, public_url) = (url(upstream), url(callers));
    let ring = kept(&folder.join("vault_keys"), || vault::generate_key().expose().to_owned())?;
    let database = format!("sqlite://{}", escaped(&folder.join("countersign.db")));
    let set = [
        ("DATABASE__URL", &*database),
        ("SERVER__PUBLIC_URL", &public_url),
        ("UPSTREAM__DATA_URL", &sandbox),
        ("UPSTREAM__API_URL", &sandbox),
        ("UPSTREAM__ALLOW_HTTP", "true"),
        ("WEBHOOKS__ALLOW_HTTP", "true"),
        ("LIMITS__CONNECTIONS", "1000"),
        ("APPS__DEMO__CONSUMER_KEY", &app.consumer_key),
        ("APPS__DEMO__CONSUMER_SECRET", &app.consumer_secret),
        ("APPS__DEMO__LOOKUP", "true"),
        ("VAULT__KEYS", ring.trim()),
    ];
    let environment: BTreeMap<String, String> = set
        .into_iter()
        .map(|(key, value)| (format!("COUNTERSIGN__{key}"), value.to_owned()))
        .collect();
    Ok(config::parse(None, &environment, &|_| Err("a demo reads no files".to_owned()))?)
}

/// A path as a URL has it.
fn escaped(path: &Path) -> String {
    let bytes = path.as_os_str().as_bytes().iter();
    bytes
        .map(|it| match it {
            b'/' | b'-' | b'.' | b'_' | b'~' => char::from(*it).to_string(),
            it if it.is_ascii_alphanumeric() => char::from(*it).to_string(),
            it => format!("%{it:02X}"),
        })
        .collect()
}

/// What a private file holds; made when it is missing.
fn kept(path: &Path, make: impl FnOnce() -> String) -> Result<String, Failure> {
    let failed = |error: std::io::Error| {
        Failure::unavailable(anyhow!(error).context(format!("{} cannot be used", path.display())))
    };
    match fs::read_to_string(path) {
        Ok(text) => Ok(text),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            let text = make();
            write_private(path, &text).map_err(failed)?;
            Ok(text)
        }
        Err(error) => Err(failed(error)),
    }
}

fn write_private(path: &Path, text: &str) -> std::io::Result<()> {
    let mut file =
        OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(path)?;
    writeln!(file, "{text}")
}

/// The users whose tokens the gateway gets.
fn connected(world: &World) -> Result<[&WorldUser; CONNECTED], Failure> {
    let active = world.users.iter().filter(|it| it.state == "active");
    let connected: Vec<&WorldUser> = active.take(CONNECTED).collect();
    connected
        .try_into()
        .map_err(|_| Failure::general(anyhow!("the sandbox has fewer users than {CONNECTED}")))
}

/// Makes the examples of `/openapi.json` and `/docs` about a post that the sandbox has.
fn use_sandbox_in_examples(author: &WorldUser) {
    if let Some(post) = author.posts.iter().find(|post| post.state == "active") {
        openapi::use_examples_of(&post.id, &author.user_id, parts::now().date());
    }
}

async fn import(parts: &Parts, users: &[&WorldUser]) -> Result<(), Failure> {
    let import = |(index, it): (usize, &&WorldUser)| Import {
        line: index + 1,
        user_id: it.user_id.clone(),
        screen_name: it.screen_name.clone(),
        access_token: Secret::from(&*it.access_token),
        access_token_secret: Secret::from(&*it.access_token_secret),
    };
    let imports: Vec<Import> = users.iter().enumerate().map(import).collect();
    parts.gateway.import_accounts(Some(APP), &imports, ACTOR).await?;
    Ok(())
}

/// The keys of the last run, if the database still knows them, else new ones.
async fn keys(parts: &Parts, folder: &Path) -> Result<Keys, Failure> {
    let path = folder.join("keys.json");
    let kept = fs::read_to_string(&path).ok().and_then(|it| serde_json::from_str::<Keys>(&it).ok());
    if let Some(keys) = kept {
        let here = IpAddr::V4(Ipv4Addr::LOCALHOST);
        let key = parts.gateway.check_key(&keys.key, Kind::Caller, here).await;
        let admin = parts.gateway.check_key(&keys.admin_key, Kind::Admin, here).await;
        if key.is_ok() && admin.is_ok() {
            return Ok(keys);
        }
    }
    let keys = Keys {
        key: make_key(parts, Kind::Caller).await?,
        admin_key: make_key(parts, Kind::Admin).await?,
    };
    let text = serde_json::to_string(&keys).map_err(Failure::general)?;
    write_private(&path, &text).map_err(Failure::unavailable)?;
    Ok(keys)
}

async fn make_key(parts: &Parts, kind: Kind) -> Result<String, Failure> {
    let name = format!("demo {kind}");
    let _ = parts.gateway.revoke_key(&name, ACTOR).await;
    let app = (kind == Kind::Caller).then(|| APP.to_owned());
    let new = gateway::NewKey {
        kind,
        name,
        app,
        accounts: Vec::new(),
        endpoints: Vec::new(),
        links: kind == Kind::Caller,
        looks: false,
        expires_in: None,
    };
    let (_, secret) = parts.gateway.create_key(new, ACTOR).await?;
    Ok(secret.expose().to_owned())
}
