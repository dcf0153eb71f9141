//! As much of JSON Schema as the description uses. It refuses unknown keywords, so that nothing goes unchecked.

use std::collections::BTreeSet;

use serde_json::{Value, json};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use crate::openapi::{list, object, resolved};

/// Keywords that only inform.
const WORDS: &[&str] = &["description", "default", "title"];

/// The faults of a value. Members that are not described are faults too.
pub fn faults(document: &Value, schema: &Value, value: &Value) -> Vec<String> {
    let mut check = Check { document, found: Vec::new() };
    check.whole(schema, value, "");
    check.found
}

struct Check<'a> {
    document: &'a Value,
    found: Vec<String>,
}

impl<'a> Check<'a> {
    fn whole(&mut self, schema: &'a Value, value: &Value, at: &str) {
        self.part(schema, value, at);
        let (mut names, mut is_open) = (BTreeSet::new(), false);
        self.names(schema, &mut names, &mut is_open);
        if let (Value::Object(members), false) = (value, is_open || names.is_empty()) {
            for name in members.keys().filter(|name| !names.contains(name.as_str())) {
                self.found.push(format!("{at}/{name}: is not described"));
            }
        }
    }

    /// The members that a schema and its parts describe.
    fn names(&self, schema: &'a Value, names: &mut BTreeSet<&'a str>, is_open: &mut bool) {
        let schema = resolved(self.document, schema);
        names.extend(
            schema["properties"]
                .as_object()
                .into_iter()
                .flatten()
                .map(|property| property.0.as_str()),
        );
        *is_open |= schema["additionalProperties"].is_object();
        for part in list(&schema["allOf"]) {
            self.names(part, names, is_open);
        }
    }

    fn part(&mut self, schema: &'a Value, value: &Value, at: &str) {
        let schema = resolved(self.document, schema);
        for (keyword, rule) in object(schema) {
            let fine = match keyword.as_str() {
                word if WORDS.contains(&word) => true,
                "type" => list(rule).chain([rule]).any(|kind| is_of_type(kind, value)),
                "enum" => list(rule).any(|allowed| allowed == value),
                "oneOf" => list(rule).filter(|option| self.takes(option, value)).count() == 1,
                "anyOf" => list(rule).any(|option| self.takes(option, value)),
                "pattern" => value.as_str().is_none_or(|text| fits(rule.as_str().unwrap(), text)),
                "format" => value.as_str().is_none_or(|text| is_of_format(rule, text)),
                "minimum" => value.as_f64().is_none_or(|number| number >= rule.as_f64().unwrap()),
                "maximum" => value.as_f64().is_none_or(|number| number <= rule.as_f64().unwrap()),
                "minLength" => value.as_str().is_none_or(|text| text.chars().count() >= size(rule)),
                "maxLength" => value.as_str().is_none_or(|text| text.chars().count() <= size(rule)),
                "minItems" => value.as_array().is_none_or(|items| items.len() >= size(rule)),
                "maxItems" => value.as_array().is_none_or(|items| items.len() <= size(rule)),
                "uniqueItems" => value.as_array().is_none_or(|items| is_unique(items)),
                "minProperties" => {
                    value.as_object().is_none_or(|members| members.len() >= size(rule))
                }
                "maxProperties" => {
                    value.as_object().is_none_or(|members| members.len() <= size(rule))
                }
                "required" => list(rule)
                    .all(|name| !value.is_object() || value.get(name.as_str().unwrap()).is_some()),
                "propertyNames" => value.as_object().is_none_or(|members| {
                    members.keys().all(|name| self.takes(rule, &json!(name)))
                }),
                "items" | "properties" | "additionalProperties" | "allOf" => {
                    self.within(keyword, schema, value, at);
                    true
                }
                other => panic!("{other} in {schema}"),
            };
            if !fine {
                self.found.push(format!("{at}: {value} against {keyword} {rule}"));
            }
        }
    }

    fn within(&mut self, keyword: &str, schema: &'a Value, value: &Value, at: &str) {
        let rule = &schema[keyword];
        match (keyword, value) {
            ("items", Value::Array(items)) => {
                for (index, item) in items.iter().enumerate() {
                    self.whole(rule, item, &format!("{at}/{index}"));
                }
            }
            ("properties", Value::Object(members)) => {
                for (name, member) in members.iter().filter(|member| rule.get(member.0).is_some()) {
                    self.whole(&rule[name], member, &format!("{at}/{name}"));
                }
            }
            ("additionalProperties", Value::Object(members)) => {
                for (name, member) in
                    members.iter().filter(|member| schema["properties"].get(member.0).is_none())
                {
                    let at = format!("{at}/{name}");
                    match rule {
                        Value::Bool(false) => self.found.push(format!("{at}: is not allowed")),
                        rule => self.whole(rule, member, &at),
                    }
                }
            }
            ("allOf", value) => list(rule).for_each(|part| self.part(part, value, at)),
            _ => (),
        }
    }

    fn takes(&self, schema: &'a Value, value: &Value) -> bool {
        faults(self.document, schema, value).is_empty()
    }
}

fn size(rule: &Value) -> usize {
    rule.as_u64().unwrap().try_into().unwrap()
}

fn is_unique(items: &[Value]) -> bool {
    items.iter().enumerate().all(|(index, item)| !items[..index].contains(item))
}

fn is_of_type(rule: &Value, value: &Value) -> bool {
    match rule.as_str() {
        Some("null") => value.is_null(),
        Some("string") => value.is_string(),
        Some("boolean") => value.is_boolean(),
        Some("integer") => value.is_i64() || value.is_u64(),
        Some("number") => value.is_number(),
        Some("array") => value.is_array(),
        Some("object") => value.is_object(),
        Some(other) => panic!("the type {other}"),
        None => false,
    }
}

fn is_of_format(rule: &Value, text: &str) -> bool {
    match rule.as_str().unwrap() {
        "date-time" => text.ends_with('Z') && OffsetDateTime::parse(text, &Rfc3339).is_ok(),
        "uri" => text.starts_with("https://") || text.starts_with("http://"),
        "date" => {
            text.len() == 10
                && OffsetDateTime::parse(&format!("{text}T00:00:00Z"), &Rfc3339).is_ok()
        }
        "int32" | "int64" => panic!("a format of numbers"),
        other => panic!("the format {other}"),
    }
}

/// The patterns in the description, each implemented by hand.
fn fits(pattern: &str, text: &str) -> bool {
    let digits = |text: &str, most: usize| {
        (1..=most).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit())
    };
    let is_user = |text: &str| digits(text, 19) && !text.starts_with('0');
    let is_account =
        |text: &str| is_user(text) || countersign::model::AccountRef::parse(text).is_some();
    let is_key = |text: &str| {
        let mut parts = text
            .split('_')
            .map(|part| (part.len(), part.bytes().all(|byte| byte.is_ascii_alphanumeric())));
        ["csk_", "csa_"].iter().any(|prefix| text.starts_with(prefix))
            && parts.by_ref().map(|part| part.0).eq([3, 12, 49])
    };
    match pattern {
        "^-?[0-9]+$" => digits(text.strip_prefix('-').unwrap_or(text), usize::MAX),
        "^[0-9]{1,19}$" => digits(text, 19),
        "^[1-9][0-9]{0,18}$" => is_user(text),
        "^([1-9][0-9]{0,18}|@[A-Za-z0-9_]{1,20})$" => is_account(text),
        "^cs[ak]_[0-9A-Za-z]{12}_[0-9A-Za-z]{49}$" => is_key(text),
        "^[0-9a-f]{16}$" => {
            text.len() == 16 && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
        }
        "^[1-5]([0-9]{2}|[xX]{2})$" => countersign::model::call::Statuses::parse(text).is_some(),
        "^csb_[0-9A-Za-z_-]+$" => text.strip_prefix("csb_").is_some_and(|rest| {
            !rest.is_empty()
                && rest.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_-".contains(&byte))
        }),
        "^whsec_" => text.starts_with("whsec_"),
        other if other.starts_with("^(?!(") => {
            !other[5..].split([')', '|']).any(|name| name == text)
        }
        other => panic!("the pattern {other}"),
    }
}

// A check that never fires is worse than none.
#[test]
fn a_value_that_does_not_fit_is_found_out() {
    let document = json!({
        "components": {
            "A": {
                "type": "object",
                "properties": { "a": { "type": "integer", "minimum": 1 } },
                "required": ["a"],
            },
        },
    });
    let a = json!({ "$ref": "#/components/A" });
    let both = json!({ "allOf": [a, { "type": "object", "properties": { "b": { "type": ["string", "null"] } } }] });
    let one = json!({ "oneOf": [a, { "type": "null" }] });
    let names = json!({
        "type": "object",
        "propertyNames": { "pattern": "^(?!(start|end)$)" },
        "additionalProperties": { "enum": ["x"] },
    });
    let closed = json!({ "properties": {}, "additionalProperties": false });
    let list = json!({
        "type": "array",
        "items": { "type": "string", "pattern": "^[0-9]{1,19}$" },
        "maxItems": 2,
        "uniqueItems": true,
    });
    for (schema, value, count) in [
        (&a, json!({ "a": 1 }), 0),
        (&a, json!({ "a": 0 }), 1),
        (&a, json!({ "a": "1" }), 1),
        (&a, json!({}), 1),
        (&a, json!({ "a": 1, "c": 1 }), 1),
        (&both, json!({ "a": 1, "b": null }), 0),
        (&both, json!({ "a": 1, "b": 1 }), 1),
        (&both, json!({ "a": 1, "c": 1 }), 1),
        (&one, json!(null), 0),
        (&one, json!({}), 1),
        (&names, json!({ "starts": "x" }), 0),
        (&names, json!({ "start": "x" }), 1),
        (&names, json!({ "starts": "y" }), 1),
        (&closed, json!({ "a": 1 }), 1),
        (&list, json!(["1", "2"]), 0),
        (&list, json!(["1", "1"]), 1),
        (&list, json!(["1", "2", "a"]), 2),
    ] {
        let found = faults(&document, schema, &value);
        assert_eq!(found.len(), count, "{value} against {schema}: {found:?}");
    }
}
