//! Which components a document refers to.

use std::collections::BTreeSet;

use serde_json::Value;
use utoipa::openapi::OpenApi;

/// Drops schemas and headers that no operation leads to.
pub(super) fn drop_unused(document: &mut OpenApi) {
    let whole = serde_json::to_value(&*document).unwrap_or_default();
    let mut used = BTreeSet::new();
    follow(&whole, whole.get("paths").unwrap_or(&Value::Null), &mut used);
    let Some(components) = &mut document.components else { return };
    let is_used = |kind: &str, name: &str| used.contains(&format!("#/components/{kind}/{name}"));
    components.schemas.retain(|name, _| is_used("schemas", name));
    components.headers.retain(|name, _| is_used("headers", name));
}

/// Gathers what `part` refers to, and what that refers to.
fn follow(document: &Value, part: &Value, used: &mut BTreeSet<String>) {
    match part {
        Value::Object(members) => {
            let target = members.get("$ref").and_then(Value::as_str);
            if let Some(target) = target.filter(|target| used.insert((*target).to_owned())) {
                let component = target.strip_prefix('#').and_then(|at| document.pointer(at));
                follow(document, component.unwrap_or(&Value::Null), used);
            }
            members.values().for_each(|member| follow(document, member, used));
        }
        Value::Array(items) => items.iter().for_each(|item| follow(document, item, used)),
        _ => (),
    }
}
