//! `countersign demo`: the sandbox and a gateway in one process, on an embedded database that later runs reuse.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, DirBuilder, OpenOptions};
use std::io::{self, ErrorKind, Write};
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
use crate::cli::assemble::{self, Deployment};
use crate::cli::failure::Failure;
use crate::cli::open_files::fit_connections;
use crate::cli::output;
use crate::cli::serve::{background_work, bind, prepare, stop_on_signals, url};
use crate::cli::tour::{self, CONNECTED, Card};
use crate::cli::variables;
use crate::config::{self, Config, parse_address};
use crate::gateway::{self, CreatedLink, Import, ImportEvents, NewLink};
use crate::model::key::{Right, Role, Scopes};
use crate::model::{Origin, Secret};
use crate::sandbox;
use crate::sandbox::{Sandbox, Settings, World, WorldPost, WorldUser};
use crate::server;
use crate::server::{Front, Life, Listener, Listeners};
use crate::telemetry;
use crate::vault;
use crate::wire::rfc3339;

const APP: &str = "demo";
const ACTOR: &str = "demo";
/// Origins of pages that may ask, in the order of their names: that of the manual's examples.
const PAGES: [&str; 1] = ["https://app.example.com"];
const RING_FILE: &str = "vault_keys";

#[derive(Args)]
pub(super) struct Arguments {
    /// Address of the callers' listener
    #[arg(long, value_name = "IP:PORT", default_value = "127.0.0.1:8080", value_parser = parse_address)]
    listen: SocketAddr,
    /// Address of the operators' listener
    #[arg(long, value_name = "IP:PORT", default_value = "127.0.0.1:8081", value_parser = parse_address)]
    admin_listen: SocketAddr,
    /// Address of the front end, a page that asks the gateway itself
    #[arg(long, value_name = "IP:PORT", default_value = "127.0.0.1:8082", value_parser = parse_address)]
    front_listen: SocketAddr,
    /// Address of the sandbox
    #[arg(long, value_name = "IP:PORT", default_value = "127.0.0.1:9090", value_parser = parse_address)]
    sandbox_listen: SocketAddr,
    /// Folder for the database and its keys; created if missing, reused otherwise
    #[arg(long, value_name = "FOLDER", default_value = "countersign-demo")]
    dir: PathBuf,
    /// Print one JSON object instead of the tour
    #[arg(long)]
    json: bool,
}

/// The keys of a demo, kept so that its commands still work after a restart. They give access to invented numbers only.
#[derive(Default, Deserialize, Serialize)]
struct Keys {
    key: String,
    admin_key: String,
    /// The front end's own.
    #[serde(default)]
    page_key: String,
}

pub(super) fn run(arguments: Arguments) -> Result<(), Failure> {
    create_folder(&arguments.dir)?;
    assemble::runtime(0)?.block_on(demo(arguments))
}

async fn demo(arguments: Arguments) -> Result<(), Failure> {
    // Whole, so that the variables hold in every working directory.
    let folder = fs::canonicalize(&arguments.dir).map_err(Failure::unavailable)?;
    let upstream = bind(arguments.sandbox_listen, "--sandbox-listen")?;
    let callers = bind(arguments.listen, "--listen")?;
    let operators = bind(arguments.admin_listen, "--admin-listen")?;
    let front = bind(arguments.front_listen, "--front-listen")?;
    let origins = front_origins(&front);
    let sandbox = Sandbox::new(Settings::default(), assemble::clock());
    let world = sandbox.world();
    let settings = settings(&folder, &upstream, &callers, &world)?;
    let config = config::parse(None, &settings, &|_| Err("a demo reads no files".to_owned()));
    let config = config.map_err(|errors| blame(&errors, &folder))?;
    let _logs = telemetry::start_logs(&config.log);
    telemetry::log_panics();
    let metrics = telemetry::start_metrics();
    let connected = connected(&world)?;
    let filled = fill(config, &folder, &connected, &origins).await;
    let (mut deployment, keys, link) = filled.map_err(|failure| {
        let folder = folder.display();
        failure
            .context(format!("cannot use the demo in {folder}; delete this folder to start anew"))
    })?;
    fit_connections(&mut deployment.config);
    use_sandbox_in_examples(connected[0]);
    let page = Front {
        key: Secret::from(&*keys.page_key),
        origins,
        gateway: url(&callers),
        posts: tour::posts_of_page(&world, &connected, assemble::now()),
    };
    let card = Card {
        front: url(&front),
        gateway: url(&callers),
        admin: url(&operators),
        sandbox: url(&upstream),
        key: keys.key,
        admin_key: keys.admin_key,
        link: link.url.expose().to_owned(),
        accounts: connected.map(tour::account),
    };
    // Before the tour is printed, since whoever reads it may stop the process at once.
    let life = Life::default();
    let end = stop_on_signals(life.clone(), Duration::ZERO)?;
    show(&card, &arguments, &with_ring_file(settings, &folder), &folder)?;
    let drained = life.clone();
    let (mut tasks, working) =
        background_work(&deployment.gateway, &life, deployment.config.limits.drain);
    let limits = deployment.config.limits.clone();
    let listeners = Listeners {
        callers: Listener::new(callers, &deployment.config.server.trusted_proxies),
        operators: Listener::new(operators, &deployment.config.admin.trusted_proxies),
        front: Some((Listener::new(front, &deployment.config.server.trusted_proxies), page)),
    };
    let serving = async {
        tokio::join!(
            server::serve(
                listeners,
                deployment.gateway.clone(),
                metrics,
                &limits,
                assemble::clock(),
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
    deployment.gateway.settle_usage().await;
    tasks.shutdown().await;
    deployment.gateway.deregister_replica().await;
    deployment.store.close().await;
    Ok(())
}

/// Opens the folder's database and fills in what is missing: accounts, keys, and a link to try.
async fn fill(
    config: Config,
    folder: &Path,
    users: &[&WorldUser],
    origins: &[Origin],
) -> Result<(Deployment, Keys, CreatedLink), Failure> {
    let deployment = prepare(config).await?;
    import(&deployment, users).await?;
    let keys = keys(&deployment, folder, origins).await?;
    let link = NewLink { label: "a link to try".to_owned(), ..NewLink::default() };
    let link = deployment.gateway.create_link(link, ACTOR).await?;
    Ok((deployment, keys, link))
}

/// What is wrong with what the demo made its settings of; nobody has set the settings themselves.
fn blame(errors: &config::Errors, folder: &Path) -> Failure {
    let ring = folder.join(RING_FILE).display().to_string();
    let lines = errors.0.iter().map(|problem| match &*problem.key {
        "vault.keys" | "vault.active" => {
            format!("{ring}: {}; delete its folder to start anew", problem.detail)
        }
        "server.public_url" => {
            "--listen: expected 127.0.0.1, [::1] or all addresses (0.0.0.0 or [::]): browsers connect accounts over plain http on this machine only".to_owned()
        }
        key => format!("{key}: {}", problem.detail),
    });
    Failure::config(anyhow!(lines.collect::<Vec<_>>().join("\n")))
}

/// Leaves the variables in their file, and prints the card.
fn show(
    card: &Card,
    arguments: &Arguments,
    settings: &BTreeMap<String, String>,
    folder: &Path,
) -> Result<(), Failure> {
    let program = std::env::current_exe().unwrap_or_else(|_| PathBuf::from("countersign"));
    let variables = variables::text(card, settings, &program, assemble::now().date());
    write_private(&folder.join(tour::VARIABLES), &variables)?;
    if arguments.json {
        output::json_line(card);
    } else {
        output::line(&tour::text(card, &arguments.dir, &program));
    }
    Ok(())
}

fn create_folder(folder: &Path) -> Result<(), Failure> {
    let created = DirBuilder::new().recursive(true).mode(0o700).create(folder);
    created
        .with_context(|| format!("cannot create the folder {}", folder.display()))
        .map_err(Failure::unavailable)
}

/// The settings of a demo. They take nothing from the environment or a file, so that it is the same everywhere.
fn settings(
    folder: &Path,
    upstream: &TcpListener,
    callers: &TcpListener,
    world: &World,
) -> Result<BTreeMap<String, String>, Failure> {
    let app = world
        .apps
        .iter()
        .find(|app| app.name == APP)
        .ok_or_else(|| Failure::general(anyhow!("the sandbox has no app named {APP}")))?;
    let (sandbox, public_url) = (url(upstream), url(callers));
    let new_ring = || vault::generate_key().expose().to_owned();
    let ring = read_or_create(&folder.join(RING_FILE), new_ring)?;
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
    let named = |(key, value): (&str, &str)| (format!("COUNTERSIGN__{key}"), value.to_owned());
    Ok(set.into_iter().map(named).collect())
}

/// The settings with the ring's file instead of its text, for commands beside the demo.
fn with_ring_file(
    mut settings: BTreeMap<String, String>,
    folder: &Path,
) -> BTreeMap<String, String> {
    settings.remove("COUNTERSIGN__VAULT__KEYS");
    let file = folder.join(RING_FILE).display().to_string();
    settings.insert("COUNTERSIGN__VAULT__KEYS_FILE".to_owned(), file);
    settings
}

/// A path, percent-encoded for a URL.
fn escaped(path: &Path) -> String {
    let bytes = path.as_os_str().as_bytes().iter();
    bytes
        .map(|byte| match byte {
            b'/' | b'-' | b'.' | b'_' | b'~' => char::from(*byte).to_string(),
            byte if byte.is_ascii_alphanumeric() => char::from(*byte).to_string(),
            byte => format!("%{byte:02X}"),
        })
        .collect()
}

/// The text of a private file, which is created if it is missing, or empty since a demo was killed.
fn read_or_create(path: &Path, create: impl FnOnce() -> String) -> Result<String, Failure> {
    match fs::read_to_string(path) {
        Ok(text) if !text.trim().is_empty() => Ok(text),
        Err(error) if error.kind() != ErrorKind::NotFound => Err(unusable(path, error)),
        _ => {
            let text = create();
            write_private(path, &text)?;
            Ok(text)
        }
    }
}

fn write_private(path: &Path, text: &str) -> Result<(), Failure> {
    let file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(path);
    let written = file.and_then(|mut file| writeln!(file, "{}", text.trim_end()));
    written.map_err(|error| unusable(path, error))
}

fn unusable(path: &Path, error: io::Error) -> Failure {
    Failure::unavailable(anyhow!(error).context(format!("cannot use {}", path.display())))
}

/// The users whose tokens are imported into the gateway.
fn connected(world: &World) -> Result<[&WorldUser; CONNECTED], Failure> {
    let active = world.users.iter().filter(|user| user.state == "active");
    let connected: Vec<&WorldUser> = active.take(CONNECTED).collect();
    connected.try_into().map_err(|_| {
        Failure::general(anyhow!("the sandbox has fewer than {CONNECTED} active users"))
    })
}

/// Makes the examples of `/openapi.json` and `/docs` about a post that the sandbox has, and that is old enough to have
/// numbers in all of their time.
fn use_sandbox_in_examples(author: &WorldUser) {
    const OLD_ENOUGH: time::Duration = time::Duration::days(70);
    let now = assemble::now();
    let latest = rfc3339(now - OLD_ENOUGH);
    let old = |post: &&WorldPost| post.state == "active" && post.created_at < latest;
    if let Some(post) = author.posts.iter().filter(old).max_by_key(|post| &post.created_at) {
        openapi::use_examples_of(&post.id, &author.user_id, now.date());
    }
}

async fn import(deployment: &Deployment, users: &[&WorldUser]) -> Result<(), Failure> {
    let import = |(index, user): (usize, &&WorldUser)| Import {
        line: index + 1,
        user_id: user.user_id.clone(),
        screen_name: user.screen_name.clone(),
        access_token: Secret::from(&*user.access_token),
        access_token_secret: Secret::from(&*user.access_token_secret),
    };
    let imports: Vec<Import> = users.iter().enumerate().map(import).collect();
    deployment
        .gateway
        .import_accounts(Some(APP), &imports, ImportEvents::default(), ACTOR, |_| ())
        .await?;
    Ok(())
}

/// The keys of the last run as far as they still work, and new ones for the rest.
async fn keys(deployment: &Deployment, folder: &Path, origins: &[Origin]) -> Result<Keys, Failure> {
    let path = folder.join("keys.json");
    let kept = fs::read_to_string(&path).ok();
    let kept: Keys = kept.and_then(|text| serde_json::from_str(&text).ok()).unwrap_or_default();
    let keys = Keys {
        key: key(deployment, kept.key, "demo caller", Role::Caller, of_services()).await?,
        admin_key: key(deployment, kept.admin_key, "demo admin", Role::Owner, Scopes::default())
            .await?,
        page_key: key(deployment, kept.page_key, "demo page", Role::Caller, of_pages(origins))
            .await?,
    };
    let text = serde_json::to_string(&keys).map_err(Failure::general)?;
    write_private(&path, &text)?;
    Ok(keys)
}

/// What the demo's key may do: all but be sent by pages.
fn of_services() -> Scopes {
    let origins: Vec<Origin> =
        PAGES.iter().filter_map(|origin| Origin::parse(origin).ok()).collect();
    let rights = [Right::CreateLinks, Right::Browser].into();
    Scopes { rights, ..of_pages(&origins) }
}

/// What the front end's key may do: make tokens for its page.
fn of_pages(origins: &[Origin]) -> Scopes {
    Scopes {
        app: Some(APP.to_owned()),
        rights: [Right::Browser].into(),
        origins: origins.to_vec(),
        ..Scopes::default()
    }
}

/// The addresses by which browsers on this machine reach the front end, in their order.
fn front_origins(front: &TcpListener) -> Vec<Origin> {
    let port = front.local_addr().map_or(0, |address| address.port());
    let named = [url(front), format!("http://localhost:{port}")];
    let origins: BTreeSet<Origin> =
        named.iter().filter_map(|origin| Origin::parse(origin).ok()).collect();
    origins.into_iter().collect()
}

/// The key of the last run if it works and may do the same, or a new one.
async fn key(
    deployment: &Deployment,
    kept: String,
    name: &str,
    role: Role,
    scopes: Scopes,
) -> Result<String, Failure> {
    let here = IpAddr::V4(Ipv4Addr::LOCALHOST);
    if !kept.is_empty()
        && let Ok(known) = deployment.gateway.check_key(&kept, role.kind(), here).await
        && known.key.scopes == scopes
    {
        return Ok(kept);
    }
    let _ = deployment.gateway.revoke_key(name, ACTOR).await;
    let name = name.to_owned();
    let new = gateway::NewKey { role, name, scopes, ..gateway::NewKey::default() };
    let (_, secret) = deployment.gateway.create_key(new, ACTOR).await?;
    Ok(secret.expose().to_owned())
}
