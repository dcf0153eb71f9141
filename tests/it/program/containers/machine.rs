//! A folder in place of the machine that runs the containers: the volumes, the read-only root, the program.

use std::collections::BTreeMap;
use std::fs::{self, Permissions};
use std::os::unix::fs::{PermissionsExt, chown};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;
use tempfile::TempDir;

use crate::program::containers::files::{Image, compose, texts};
use crate::program::deployment::{Output, Running};

pub struct Machine {
    pub image: Image,
    services: Value,
    folder: TempDir,
}

impl Machine {
    pub fn new() -> Machine {
        let folder = tempfile::Builder::new().permissions(Permissions::from_mode(0o755)).tempdir();
        let machine = Machine {
            image: Image::read(),
            services: compose()["services"].take(),
            folder: folder.unwrap(),
        };
        machine.make("bin");
        fs::copy(env!("CARGO_BIN_EXE_countersign"), machine.path("bin/countersign")).unwrap();
        if !is_root() {
            // Only root may change a file's owner.
            fs::write(machine.path("bin/chown"), "#!/bin/sh\n").unwrap();
            fs::set_permissions(machine.path("bin/chown"), Permissions::from_mode(0o755)).unwrap();
        }
        machine.make("root");
        fs::set_permissions(machine.path("root"), Permissions::from_mode(0o555)).unwrap();
        machine
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// The folder behind a volume, as the engine creates it: a copy of the image's, or owned by root.
    pub fn volume(&self, name: &str, target: &str) -> PathBuf {
        let path = self.make(&format!("volumes/{}", name.replace("./", "beside-")));
        if target == self.image.folder {
            fs::set_permissions(&path, Permissions::from_mode(0o700)).unwrap();
            if is_root() {
                chown(&path, Some(65532), Some(65532)).unwrap();
            }
        }
        path
    }

    fn make(&self, name: &str) -> PathBuf {
        fs::create_dir_all(self.path(name)).unwrap();
        self.path(name)
    }

    pub fn service(&self, name: &str) -> &Value {
        &self.services[name]
    }

    pub fn services(&self) -> impl Iterator<Item = (&String, &Value)> {
        self.services.as_object().unwrap().iter()
    }

    /// The command line of a service's process.
    pub fn arguments(&self, service: &Value) -> Vec<String> {
        let or = |given: &Value, own: &[String]| {
            if given.is_null() { own.to_owned() } else { texts(given) }
        };
        [
            or(&service["entrypoint"], &self.image.entrypoint),
            or(&service["command"], &self.image.command),
        ]
        .concat()
    }

    pub fn environment(&self, service: &Value) -> BTreeMap<String, String> {
        let mut all = self.image.environment.clone();
        let own = service["environment"].as_object().into_iter().flatten();
        all.extend(own.map(|(name, value)| (name.clone(), value.as_str().unwrap().to_owned())));
        all
    }

    /// Starts a service as in its container, but on free ports and in this machine's folders.
    pub fn start(&self, name: &str) -> Running {
        self.start_with(name, &self.arguments(self.service(name)), &[])
    }

    pub fn start_with(&self, name: &str, arguments: &[String], set: &[(&str, &str)]) -> Running {
        let service = self.service(name);
        let here = |text: &str| on_free_ports(&self.in_folders(service, text));
        let mut environment = self.environment(service);
        for value in environment.values_mut() {
            *value = here(value);
        }
        environment
            .extend(set.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())));
        let mut command = Command::new(&arguments[0]);
        command
            .args(arguments[1..].iter().map(|argument| here(argument)))
            .env_clear()
            .env("PATH", format!("{}:/usr/bin:/bin", self.path("bin").display()))
            .envs(environment)
            .current_dir(self.working_folder(service));
        let user = service["user"].as_str().unwrap_or(&self.image.user);
        if is_root() {
            let (user, group) = user.split_once(':').unwrap();
            command.uid(user.parse().unwrap()).gid(group.parse().unwrap());
        }
        Running::of(command)
    }

    /// Runs a service that ends by itself.
    pub async fn run(&self, name: &str) -> Output {
        self.start(name).end().await
    }

    /// Runs the container's health check.
    pub async fn health(&self, name: &str, set: &[(&str, &str)]) -> Output {
        self.start_with(name, &self.image.healthcheck, set).end().await
    }

    fn working_folder(&self, service: &Value) -> PathBuf {
        let path = self.in_folders(service, &self.image.folder);
        if path == self.image.folder { self.path("root") } else { PathBuf::from(path) }
    }

    fn in_folders(&self, service: &Value, text: &str) -> String {
        texts(&service["volumes"]).iter().fold(text.to_owned(), |text, mount| {
            let mut parts = mount.split(':');
            let (volume, target) = (parts.next().unwrap(), parts.next().unwrap());
            text.replace(target, &self.volume(volume, target).to_string_lossy())
        })
    }
}

pub fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

fn on_free_ports(text: &str) -> String {
    match text.split_once("0.0.0.0:") {
        Some((before, port)) if port.parse::<u16>().is_ok() => format!("{before}0.0.0.0:0"),
        _ => text.to_owned(),
    }
}

pub fn names(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).unwrap();
    let mut names: Vec<String> =
        entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort_unstable();
    names
}
