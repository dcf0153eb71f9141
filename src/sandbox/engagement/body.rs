//! A request's JSON: its form and its limits (reference 1.3, 1.4), with the predicted error texts of 4.3.

use std::collections::HashSet;

use serde_json::{Map, Value};

use crate::model::{Endpoint, GroupBy, grouping};
use crate::sandbox::http::errors;
use crate::sandbox::http::errors::Refusal;
use crate::sandbox::http::request::Arrival;
use crate::sandbox::world::switches::Switches;

/// How many engagement types there are, the alias included.
const MOST_TYPES: usize = 18;
const MOST_LEVELS: usize = 4;

/// Whether the upstream's limits on the number of posts and the length of the window hold.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Limits {
    Kept,
    Lifted,
}

/// A request in good form. Whether its metrics and its window are allowed is not known yet.
#[derive(Debug)]
pub struct Request {
    /// The ids in the requested order, each once.
    pub post_ids: Vec<i64>,
    /// The requested names, each once; any text.
    pub metrics: Vec<String>,
    pub groupings: Vec<Grouping>,
    pub start: Option<String>,
    pub end: Option<String>,
}

/// A named nesting.
#[derive(Debug)]
pub struct Grouping {
    pub name: String,
    pub levels: Vec<GroupBy>,
}

/// Reads a body's fields. All mistakes in its form are reported at once, in alphabetical order (`INF` 4.3).
pub fn read(
    fields: &Map<String, Value>,
    endpoint: Endpoint,
    limits: Limits,
    switches: &Switches,
) -> Result<Request, Refusal> {
    let mut form = Form { endpoint, limits, switches, breaches: Vec::new() };
    let request = Request {
        post_ids: form.post_ids(given(fields, "tweet_ids")),
        metrics: form.metrics(given(fields, "engagement_types")),
        groupings: form.groupings(given(fields, "groupings")),
        start: form.time("start", given(fields, "start")),
        end: form.time("end", given(fields, "end")),
    };
    if form.breaches.is_empty() {
        return Ok(request);
    }
    form.breaches.sort();
    form.breaches.dedup();
    Err(Refusal::texts(400, &form.breaches))
}

/// A body that is not declared as JSON is not read, so every field is missing then (`INF` 4.3).
pub fn declared_fields(arrival: &Arrival) -> Result<Map<String, Value>, Refusal> {
    if arrival.is_of_type("application/json") { fields(&arrival.body) } else { Ok(Map::new()) }
}

/// The fields of a body; an empty body has none.
pub fn fields(body: &[u8]) -> Result<Map<String, Value>, Refusal> {
    let text = String::from_utf8_lossy(body);
    if text.trim().is_empty() {
        return Ok(Map::new());
    }
    match serde_json::from_str(&text) {
        Ok(Value::Object(fields)) => Ok(fields),
        Ok(_) => Err(errors::malformed("the body is not an object")),
        Err(error) => Err(match stray_word(&text, &error) {
            Some(word) => errors::unrecognized_token(word),
            None => errors::malformed(&error.to_string()),
        }),
    }
}

/// The bare word at the place where parsing stopped.
fn stray_word<'a>(text: &'a str, error: &serde_json::Error) -> Option<&'a str> {
    let is_word = |c: char| c.is_alphanumeric() || c == '_';
    let line = text.lines().nth(error.line().checked_sub(1)?)?;
    let before = line.get(..error.column().checked_sub(1)?)?;
    let begin = before.rfind(|c| !is_word(c)).map_or(0, |at| at + 1);
    let word = line.get(begin..)?.split(|c| !is_word(c)).next()?;
    let is_bare = word.starts_with(char::is_alphabetic) && !before.ends_with('"');
    (is_bare && !matches!(word, "true" | "false" | "null")).then_some(word)
}

fn given<'a>(fields: &'a Map<String, Value>, name: &str) -> Option<&'a Value> {
    fields.get(name).filter(|value| !value.is_null())
}

/// Reads field by field and notes what is wrong.
struct Form<'a> {
    endpoint: Endpoint,
    limits: Limits,
    switches: &'a Switches,
    breaches: Vec<String>,
}

impl Form<'_> {
    fn breach(&mut self, text: String) {
        self.breaches.push(text);
    }

    fn post_ids(&mut self, value: Option<&Value>) -> Vec<i64> {
        let most = match self.limits {
            Limits::Kept => self.endpoint.max_posts(),
            Limits::Lifted => usize::MAX,
        };
        let mut ids = Vec::new();
        let mut known = HashSet::new();
        for item in self.array("tweet_ids", value, most) {
            match post_id(item) {
                Some(id) if known.insert(id) => ids.push(id),
                Some(_) => (),
                None => self.breach(errors::not_a_number("tweet_ids", &plain(item))),
            }
        }
        ids
    }

    fn metrics(&mut self, value: Option<&Value>) -> Vec<String> {
        let mut names: Vec<String> = Vec::new();
        for item in self.array("engagement_types", value, MOST_TYPES) {
            match item.as_str() {
                Some(name) if names.iter().any(|listed| listed == name) => (),
                Some(name) => names.push(name.to_owned()),
                None => self.breach(errors::invented(&format!(
                    "engagement_types: '{}' is not a string",
                    plain(item)
                ))),
            }
        }
        names
    }

    fn groupings(&mut self, value: Option<&Value>) -> Vec<Grouping> {
        let fields = match value {
            None => {
                self.breach(errors::field_required("groupings"));
                return Vec::new();
            }
            Some(Value::Object(fields)) => fields,
            Some(_) => {
                self.breach(errors::invented("groupings is not an object"));
                return Vec::new();
            }
        };
        if fields.is_empty() || fields.len() > grouping::MAX_GROUPINGS {
            self.breach(errors::wrong_size("groupings", fields.len(), grouping::MAX_GROUPINGS));
        }
        let groupings: Vec<Grouping> =
            fields.iter().map(|(name, value)| self.grouping(name, value)).collect();
        if groupings.iter().filter(|grouping| grouping.levels.len() == MOST_LEVELS).count() > 1 {
            self.breach(errors::invented("only one grouping may have four group_by values"));
        }
        groupings
    }

    fn grouping(&mut self, name: &str, value: &Value) -> Grouping {
        if grouping::RESERVED_NAMES.contains(&name) {
            let text = format!("groupings: '{name}' is a name that answers use");
            self.breach(errors::invented(&text));
        }
        let items = self.array("groupings.group_by", value.get("group_by"), MOST_LEVELS);
        let mut levels = Vec::new();
        let mut refused = Vec::new();
        for item in items {
            match self.level(item) {
                Some(level) if level.is_time() && !self.endpoint.has_time_series() => {
                    refused.push(level.name().to_owned());
                }
                Some(level) if levels.contains(&level) => {
                    self.breach(errors::invented(&format!("group_by names {level} twice")));
                }
                Some(level) => levels.push(level),
                None => refused.push(plain(item)),
            }
        }
        if is_wrong_order(&levels) {
            refused.extend(levels.iter().map(ToString::to_string));
        }
        if !refused.is_empty() {
            self.breach(errors::unsupported_group_bys(&refused));
        }
        Grouping { name: name.to_owned(), levels }
    }

    fn level(&self, item: &Value) -> Option<GroupBy> {
        let name = item.as_str()?;
        if self.switches.case_lenient {
            GroupBy::from_name(&name.to_ascii_lowercase())
        } else {
            GroupBy::from_name(name)
        }
    }

    /// The items of an array with 1 to `most` of them.
    fn array<'v>(&mut self, field: &str, value: Option<&'v Value>, most: usize) -> &'v [Value] {
        match value {
            None => self.breach(errors::field_required(field)),
            Some(Value::Array(items)) if (1..=most).contains(&items.len()) => return items,
            Some(Value::Array(items)) => {
                self.breach(errors::wrong_size(field, items.len(), most));
            }
            Some(_) => self.breach(errors::invented(&format!("{field} is not an array"))),
        }
        &[]
    }

    /// A time field. Only historical has a window of its own; elsewhere these fields are ignored (`SIM` 1.5).
    fn time(&mut self, field: &str, value: Option<&Value>) -> Option<String> {
        match value {
            Some(Value::String(text)) if self.endpoint == Endpoint::Historical => {
                Some(text.clone())
            }
            Some(_) if self.endpoint == Endpoint::Historical => {
                self.breach(errors::invented(&format!("{field} is not a string")));
                None
            }
            _ => None,
        }
    }
}

/// A post id as a string or a number; clients send both, and strings with white space around them (reference 1.3).
pub fn post_id(item: &Value) -> Option<i64> {
    match item {
        Value::String(text) => text.trim().parse().ok(),
        Value::Number(number) => number.as_i64(),
        _ => None,
    }
}

fn is_wrong_order(levels: &[GroupBy]) -> bool {
    levels.len() == MOST_LEVELS && !GroupBy::FOUR_LEVEL_ORDERS.iter().any(|order| order == levels)
}

fn plain(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), ToOwned::to_owned)
}
