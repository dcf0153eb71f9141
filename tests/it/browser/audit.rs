//! What every page has to be, in each size and colour scheme: whole, readable, named, and of one's own server alone.

use fantoccini::key::Key;
use serde_json::{Value, json};

use crate::browser::chromium::Browser;

const SCRIPT: &str = include_str!("audit.js");

impl Browser {
    /// Nothing is wrong with the page as it is shown now.
    pub async fn is_sound(&self, page: &str) {
        let found = self.run(SCRIPT).await;
        assert_eq!(found, json!([]), "{page}");
        let nodes = self.tell("Accessibility.getFullAXTree", json!({})).await;
        for node in nodes["nodes"].as_array().unwrap() {
            let named = node["name"]["value"].as_str().is_some_and(|it| !it.trim().is_empty());
            assert!(named || !is_focusable(node), "{page}: a nameless {node}");
        }
    }

    /// Tab leads to everything that can be acted on, shows where it is, and leads out again.
    pub async fn is_reached_by_tab(&self, page: &str) {
        let all = "window.all = [...document.querySelectorAll('a[href], button, select, textarea, input:not([type=hidden])')];
            window.left = new Set(window.all); document.activeElement.blur(); return window.all.length";
        let count = self.run(all).await.as_u64().unwrap();
        for _ in 0..count {
            self.strike(Key::Tab).await;
            // A group of radio buttons is one stop.
            let visit = "const it = document.activeElement;
                for (const one of window.all) {
                    if (one === it || it.type === 'radio' && one.name === it.name) window.left.delete(one);
                }
                return it === document.body || getComputedStyle(it).outlineStyle !== 'none'";
            assert_eq!(self.run(visit).await, true, "{page}: the focus is not seen");
        }
        let left = self.run("return [...window.left].map(it => it.outerHTML)").await;
        assert_eq!(left, json!([]), "{page}: not reached by Tab");
    }
}

fn is_focusable(node: &Value) -> bool {
    let mut properties = node["properties"].as_array().into_iter().flatten();
    properties.any(|it| it["name"] == "focusable" && it["value"]["value"] == true)
}
