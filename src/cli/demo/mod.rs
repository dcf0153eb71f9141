//! `countersign demo`: the sandbox and a gateway in one process, on an embedded database that later runs reuse.

mod accounts;
mod folder;
mod keys;
mod log;
mod past;
mod tour;
mod variables;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::anyhow;
use clap::Args;
use tokio::net::TcpListener;
use tracing::{info, warn};

use crate::api::openapi;
use crate::cli::assemble::{self, Deployment};
use crate::cli::demo::accounts::{ACTOR, import};
use crate::cli::demo::folder::{
    Past, RING_FILE, born, create_folder, lock_folder, settings, unusable, with_ring_file,
    write_private,
};
use crate::cli::demo::keys::{Keys, keys};
use crate::cli::demo::log::DemoLog;
use crate::cli::demo::tour::{CONNECTED, Card};
use crate::cli::failure::Failure;
use crate::cli::open_files::fit_connections;
use crate::cli::output;
use crate::cli::serve::{background_work, bind, prepare, stop_on_signals, url};
use crate::config::{self, Config, parse_address};
use crate::gateway::{CreatedLink, NewLink};
use crate::model::{Origin, Secret};
use crate::sandbox;
use crate::sandbox::{Sandbox, Settings, World, WorldPost, WorldUser};
use crate::server;
use crate::server::{Front, Life, Listener, Listeners, SignInLink};
use crate::telemetry;
use crate::vault;
use crate::wire::rfc3339;

/// 95 bits: whoever guesses the link that signs in has as long as the demo runs.
const LINK_DIGITS: usize = 16;

#[derive(Args)]
#[expect(clippy::struct_excessive_bools, reason = "one for each flag")]
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
    /// Begin without a past: no calls, and no services but the demo's own
    #[arg(long)]
    empty: bool,
    /// Show the log here, instead of writing it to `log` in the folder
    #[arg(long)]
    log: bool,
    /// Print everything there is to try, which is also in `tour.txt` in the folder
    #[arg(long, conflicts_with = "json")]
    tour: bool,
    /// What a shell has to run to get the folder, if that cannot be reached from there
    #[arg(long, value_name = "COMMAND", hide = true)]
    fetch: Option<String>,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

pub(super) fn run(arguments: Arguments) -> Result<(), Failure> {
    create_folder(&arguments.dir)?;
    let _lock = lock_folder(&arguments.dir)?;
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
    let of_world = Settings { born: Some(born(&folder)?), ..Settings::default() };
    let sandbox = Sandbox::new(of_world, assemble::clock());
    let world = sandbox.world();
    let past = Past::read(&folder, arguments.empty)?;
    let settings = settings(&folder, &upstream, &callers, &world, past)?;
    let config = config::parse(None, &settings, &|_| Err("a demo reads no files".to_owned()));
    let config = config.map_err(|errors| blame(&errors, &folder))?;
    let _logs = if arguments.log {
        telemetry::start_logs(&config.log)
    } else {
        let path = folder.join(tour::LOG);
        let file = DemoLog::begin(&path).map_err(|error| unusable(&path, error))?;
        telemetry::start_logs_to(&config.log, false, file)
    };
    telemetry::log_panics();
    let metrics = telemetry::start_metrics();
    let connected = connected(&world)?;
    if past != Past::None {
        for (name, state) in past::GONE {
            sandbox.set_user_state(name, state);
        }
    }
    let filled = fill(config, &folder, past, &world, &origins).await;
    let (mut deployment, keys, link) = filled.map_err(|failure| {
        let folder = folder.display();
        failure
            .context(format!("cannot use the demo in {folder}; delete this folder to start anew"))
    })?;
    fit_connections(&mut deployment.config);
    let old_post = old_post(connected[0]).map(|post| post.id.clone()).unwrap_or_default();
    openapi::use_examples_of(&old_post, &connected[0].user_id, assemble::now().date());
    // Who begins without a past is led to the first call.
    let console = if past == Past::None { "/console/start" } else { "/console/" };
    let sign_in = sign_in_link(&keys, format!("{}{console}", url(&operators)));
    let console = format!("{}{}", url(&front), sign_in.path());
    let page = Front {
        sign_in,
        key: Secret::from(&*keys.page_key),
        origins,
        gateway: url(&callers),
        posts: tour::posts_of_page(&world, &connected, assemble::now()),
    };
    let card = Card {
        front: url(&front),
        console,
        gateway: url(&callers),
        admin: url(&operators),
        sandbox: url(&upstream),
        key: keys.key,
        admin_key: keys.admin_key,
        link: link.url.expose().to_owned(),
        accounts: connected.map(tour::account),
        old_post,
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

/// A link that signs in to the console at that address, once.
fn sign_in_link(keys: &Keys, console: String) -> SignInLink {
    let digits = vault::random_digits::<LINK_DIGITS>();
    let secret = Secret::from(&*String::from_utf8_lossy(&digits));
    SignInLink::new(secret, Secret::from(&*keys.admin_key), console)
}

/// Opens the folder's database and fills in what is missing: accounts, keys, and a link to try.
async fn fill(
    config: Config,
    folder: &Path,
    past: Past,
    world: &World,
    origins: &[Origin],
) -> Result<(Deployment, Keys, CreatedLink), Failure> {
    if past == Past::Due {
        past::write(&config, world, assemble::now()).await?;
        Past::note_written(folder)?;
    }
    let deployment = prepare(config).await?;
    import(&deployment.gateway, &connected(world)?).await?;
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
    let fetch = arguments.fetch.as_deref();
    let shown = fetch.and_then(|_| arguments.dir.file_name()).map_or(&*arguments.dir, Path::new);
    let tour = tour::text(card, shown, fetch.is_none().then_some(&program));
    write_private(&folder.join(tour::TOUR), &tour)?;
    if arguments.json {
        output::json_line(card);
    } else if arguments.tour {
        output::line(&tour);
    } else {
        output::line(&tour::beginning(card, shown, fetch));
    }
    Ok(())
}

/// The users whose tokens are imported into the gateway.
fn connected(world: &World) -> Result<[&WorldUser; CONNECTED], Failure> {
    let active = world.users.iter().filter(|user| user.state == "active");
    let connected: Vec<&WorldUser> = active.take(CONNECTED).collect();
    connected.try_into().map_err(|_| {
        Failure::general(anyhow!("the sandbox has fewer than {CONNECTED} active users"))
    })
}

/// An author's post that is old enough to have numbers in all of the time of the examples in `/openapi.json` and `/docs`.
fn old_post(author: &WorldUser) -> Option<&WorldPost> {
    const OLD_ENOUGH: time::Duration = time::Duration::days(70);
    let latest = rfc3339(assemble::now() - OLD_ENOUGH);
    let is_old = |post: &&WorldPost| post.state == "active" && post.created_at < latest;
    author.posts.iter().filter(is_old).max_by_key(|post| &post.created_at)
}

/// The addresses by which browsers on this machine reach the front end, in their order.
fn front_origins(front: &TcpListener) -> Vec<Origin> {
    let port = front.local_addr().map_or(0, |address| address.port());
    let named = [url(front), format!("http://localhost:{port}")];
    let origins: BTreeSet<Origin> =
        named.iter().filter_map(|origin| Origin::parse(origin).ok()).collect();
    origins.into_iter().collect()
}
