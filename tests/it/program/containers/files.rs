//! The container files as data, as an engine would read them.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;

use saphyr::{LoadableYamlNode, Scalar, Yaml};
use serde_json::{Map, Value};

/// The last stage of the Dockerfile, and the files that all stages copy from the repository.
#[derive(Debug, Default)]
pub struct Image {
    pub environment: BTreeMap<String, String>,
    pub user: String,
    pub folder: String,
    pub entrypoint: Vec<String>,
    pub command: Vec<String>,
    pub healthcheck: Vec<String>,
    pub ports: BTreeSet<u16>,
    pub copied: Vec<String>,
    /// The scripts of the first stage.
    pub building: String,
}

impl Image {
    pub fn read() -> Image {
        let text = fs::read_to_string("Dockerfile").unwrap();
        let lines: Vec<&str> = text.lines().filter(|line| !line.starts_with('#')).collect();
        let mut image = Image::default();
        for line in lines.join("\n").replace("\\\n", " ").lines().filter(|line| !line.is_empty()) {
            let (instruction, rest) = line.split_once(' ').unwrap();
            image.follow(instruction, rest.trim());
        }
        image
    }

    fn follow(&mut self, instruction: &str, rest: &str) {
        let list = |text: &str| serde_json::from_str::<Vec<String>>(text).unwrap();
        match instruction {
            "FROM" => {
                let (copied, building) = (self.copied.clone(), self.building.clone());
                *self = Image { copied, building, ..Image::default() };
            }
            "COPY" if rest.starts_with("--from=") => (),
            "COPY" => {
                let words: Vec<&str> = rest.split_whitespace().collect();
                let (_, sources) = words.split_last().unwrap();
                self.copied.extend(sources.iter().map(ToString::to_string));
            }
            "RUN" => self.building.push_str(rest),
            "ENV" => self.environment.extend(rest.split_whitespace().map(|word| {
                let (name, value) = word.split_once('=').unwrap();
                (name.to_owned(), value.to_owned())
            })),
            "USER" => rest.clone_into(&mut self.user),
            "WORKDIR" => rest.clone_into(&mut self.folder),
            "EXPOSE" => {
                self.ports = rest.split_whitespace().map(|word| word.parse().unwrap()).collect();
            }
            "ENTRYPOINT" => self.entrypoint = list(rest),
            "CMD" => self.command = list(rest),
            "HEALTHCHECK" => self.healthcheck = list(rest.split_once("CMD ").unwrap().1),
            "VOLUME" => assert_eq!(rest, self.folder),
            other => panic!("what does {other} do?"),
        }
    }
}

/// The compose file, with its merge keys applied and its `$$` unescaped, as an engine reads it.
pub fn compose() -> Value {
    let text = fs::read_to_string("docker-compose.yml").unwrap();
    let plain = text.replace("$$", "");
    assert!(!plain.contains('$'), "an engine would put a variable of its own there");
    value(&Yaml::load_from_str(&text.replace("$$", "$")).unwrap()[0])
}

fn value(yaml: &Yaml) -> Value {
    match yaml {
        Yaml::Value(Scalar::String(text)) => Value::from(&**text),
        Yaml::Value(Scalar::Integer(number)) => Value::from(*number),
        Yaml::Value(Scalar::Boolean(flag)) => Value::from(*flag),
        Yaml::Value(Scalar::Null) => Value::Null,
        Yaml::Sequence(list) => list.iter().map(value).collect(),
        Yaml::Mapping(map) => {
            let mut merged = Map::new();
            let (below, own): (Vec<_>, Vec<_>) =
                map.iter().partition(|(key, _)| key.as_str() == Some("<<"));
            for (_, node) in below {
                merged.extend(value(node).as_object().unwrap().clone());
            }
            merged.extend(
                own.into_iter().map(|(key, node)| (key.as_str().unwrap().to_owned(), value(node))),
            );
            Value::Object(merged)
        }
        other => panic!("nobody expects {other:?}"),
    }
}

/// A list of strings.
pub fn texts(value: &Value) -> Vec<String> {
    let list = value.as_array().into_iter().flatten();
    list.map(|item| item.as_str().unwrap().to_owned()).collect()
}
