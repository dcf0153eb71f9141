//! What every page must be, in each size and colour scheme: complete, legible, labelled, and served by one host alone.

use fantoccini::key::Key;
use serde_json::{Value, json};

use crate::browser::chromium::{Browser, Chromium};

const SCRIPT: &str = include_str!("audit.js");

impl Browser {
    /// The faults of the page as it is displayed now.
    pub async fn faults(&self) -> Vec<String> {
        let mut found: Vec<String> = serde_json::from_value(self.run(SCRIPT).await).unwrap();
        let nodes = self.tell("Accessibility.getFullAXTree", json!({})).await;
        for node in nodes["nodes"].as_array().unwrap() {
            let named = node["name"]["value"].as_str().is_some_and(|name| !name.trim().is_empty());
            if is_focusable(node) && !named {
                found.push(format!("a nameless {}", node["role"]["value"]));
            }
        }
        found
    }

    /// Elements that Tab does not reach, or reaches without a visible focus.
    pub async fn unreached(&self) -> Vec<String> {
        let all = "window.all = [...document.querySelectorAll('a[href], button, select, textarea, input:not([type=hidden]):not([hidden]), summary, [tabindex=\"0\"]')].filter(it => it.checkVisibility());
            window.left = new Set(window.all); document.activeElement.blur();
            // A date field has a tab stop for each of its parts.
            return window.all.length + 4 * document.querySelectorAll('[type=date]').length";
        let count = self.run(all).await.as_u64().unwrap();
        let mut found = Vec::new();
        for _ in 0..count {
            self.strike(Key::Tab).await;
            // A group of radio buttons is one stop.
            let visit = "const it = document.activeElement;
                for (const one of window.all) {
                    if (one === it || it.type === 'radio' && one.name === it.name) window.left.delete(one);
                }
                return it === document.body || getComputedStyle(it).outlineStyle !== 'none'";
            if self.run(visit).await == false {
                found.push("the focus is not seen".to_owned());
            }
        }
        let left = self.run("return [...window.left].map(it => it.outerHTML)").await;
        found.extend(serde_json::from_value::<Vec<String>>(left).unwrap());
        found
    }
}

fn is_focusable(node: &Value) -> bool {
    let mut properties = node["properties"].as_array().into_iter().flatten();
    properties.any(|property| property["name"] == "focusable" && property["value"]["value"] == true)
}

// A check that never fires is worse than none.
#[tokio::test]
async fn a_page_that_is_not_sound_is_found_out() {
    let chromium = Chromium::start().await;
    let browser = chromium.browser().await;
    browser.open("data:text/html,<h1>One</h1><h1>Two</h1>").await;
    let make = "document.body.innerHTML += `<p style='color: #777; background: #fff9'>Pale</p>
        <div style='width: 5000px'>Wide</div><button></button><a href='/' tabindex=-1>Hidden</a>
        <a href='/' style='outline: none'>Unseen</a>`";
    browser.run(make).await;
    let told = [
        "5008 wide on",
        "not one heading",
        "no language",
        "no title",
        "contrast 4.48 of \"Pale\"",
        "a nameless \"RootWebArea\"",
        "a nameless \"button\"",
    ];
    let faults = browser.faults().await;
    assert_eq!(faults.len(), told.len(), "{faults:?}");
    for (fault, told) in faults.iter().zip(told) {
        assert!(fault.starts_with(told), "{fault}");
    }
    let unreached = browser.unreached().await;
    assert!(unreached.iter().any(|element| element.contains("Hidden")), "{unreached:?}");
    assert!(unreached.contains(&"the focus is not seen".to_owned()), "{unreached:?}");

    browser.open("data:text/html,<img src='http://192.0.2.1/x.png'>").await;
    let loads = browser.faults().await;
    assert!(loads.contains(&"loads http://192.0.2.1/x.png".to_owned()), "{loads:?}");
    assert_ne!(browser.complaints().await, [""; 0]);
}
