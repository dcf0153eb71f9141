//! What generators of clients need of the documents, and what people look up in them.

use std::collections::BTreeSet;

use countersign::api::openapi::{Api, text};
use countersign::gateway::Reason;
use countersign::model::Metric;
use serde_json::{Value, json};

use crate::openapi::{document_of, list, object, operations};

const BOTH: [Api; 2] = [Api::Callers, Api::Operators];

#[test]
fn each_listener_describes_its_own_api() {
    for (api, other_path, scheme) in
        [(Api::Callers, "/admin/", "caller_key"), (Api::Operators, "/insights/", "admin_key")]
    {
        let document = document_of(api);
        let paths: Vec<&String> = object(&document["paths"]).keys().collect();
        assert!(!paths.iter().any(|path| path.starts_with(other_path)), "{paths:?}");
        assert_eq!(paths.contains(&&"/metrics".to_owned()), api == Api::Operators);
        let schemes = object(&document["components"]["securitySchemes"]).keys();
        assert!(
            schemes.clone().count() == 2 && schemes.clone().all(|name| name.starts_with(scheme))
        );
        let tags: BTreeSet<_> = list(&document["tags"]).map(|tag| tag["name"].as_str()).collect();
        let operations = operations(&document);
        let used: BTreeSet<_> = operations.iter().map(|it| it.told["tags"][0].as_str()).collect();
        assert_eq!(tags, used);
    }
}

#[test]
fn clients_call_the_server_that_they_are_told() {
    for api in BOTH {
        let document = document_of(api);
        let urls: Vec<&Value> = list(&document["servers"]).map(|server| &server["url"]).collect();
        assert_eq!(urls, ["/"]);
        assert_eq!(text(api).matches("\"servers\": [").count(), 1);
        assert!(!text(api).contains("127.0.0.1"));
        assert_eq!(document["info"]["license"], json!({ "name": "MIT", "identifier": "MIT" }));
    }
}

#[test]
fn a_good_answer_has_one_type() {
    let mut others = 0;
    for it in BOTH.into_iter().flat_map(|api| operations(&document_of(api))) {
        for (status, response) in object(&it.told["responses"]) {
            let is_good = status.starts_with('2');
            assert!(!is_good || object(&response["content"]).len() == 1, "{}: {status}", it.id());
            if let Some(content) = response["x-other-content"].as_object() {
                let about = response["description"].as_str().unwrap();
                assert!(content.keys().all(|media| about.contains(&format!("`{media}`"))));
                others += content.len();
            }
        }
    }
    assert_eq!(
        others, 5,
        "questions as CSV and lines, both usages as CSV, the audit trail as lines"
    );
}

#[test]
fn schemas_refer_to_themselves_as_members_alone() {
    for api in BOTH {
        for (name, schema) in object(&document_of(api)["components"]["schemas"]) {
            let own = format!("\"#/components/schemas/{name}\"");
            for union in ["anyOf", "oneOf", "allOf"] {
                let parts = Value::from(list(&schema[union]).cloned().collect::<Vec<_>>());
                assert!(!parts.to_string().contains(&own), "{name} is {union} of itself");
            }
        }
    }
}

#[test]
fn engagement_types_reasons_and_limits_are_explained() {
    let document = document_of(Api::Callers);
    let about = |schema: &str| document["components"]["schemas"][schema]["description"].to_string();
    for metric in Metric::ALL {
        let line = format!("- `{}`: {}.", metric.name(), metric.about());
        assert!(about("EngagementType").contains(&line), "{line}");
    }
    for reason in Reason::ALL {
        assert!(about("MissingReason").contains(&format!("- `{}`: ", reason.name())), "{reason:?}");
    }
    let operations = operations(&document);
    let question = operations.iter().find(|it| it.id() == "engagement").unwrap();
    let about = question.told["description"].as_str().unwrap();
    let settings = include_str!("../../../config/default.toml");
    for (name, shown) in [
        ("question_posts", "10,000 posts"),
        ("question_days", "365 days"),
        ("question_numbers", "2,000,000 values"),
        ("key_questions", "8 questions"),
        ("request_deadline", "30 seconds"),
    ] {
        assert!(
            about.contains(&format!("{shown} ")) && about.contains(&format!("`limits.{name}`"))
        );
        let digits: String = shown.chars().filter(char::is_ascii_digit).collect();
        let line = settings.lines().find(|line| line.starts_with(&format!("{name} = "))).unwrap();
        let set: String = line.chars().filter(char::is_ascii_digit).collect();
        assert_eq!(set, digits, "{line}");
    }
}
