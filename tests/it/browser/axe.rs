//! The rules of axe-core, which `tests/run` fetches: WCAG 2.2 up to level AA, and axe's own best practices.

use serde_json::Value;

use crate::browser::chromium::{Browser, Chromium};
use crate::database::setting;

const RUN: &str = "
    const tags = ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa', 'best-practice'];
    return axe.run(document, { iframes: false, resultTypes: ['violations'], runOnly: { type: 'tag', values: tags } })
        .then(it => it.violations.map(rule => `${rule.id}: ${rule.help}: ${rule.nodes.map(it => it.html).join(' ')}`));";

impl Browser {
    /// The rules that the page breaks as it is displayed now.
    pub async fn broken_rules(&self) -> Vec<String> {
        let is_there = self.run("return typeof axe !== 'undefined'").await;
        if is_there == Value::Bool(false) {
            let path = setting("COUNTERSIGN_TEST_AXE");
            self.run(&std::fs::read_to_string(path).unwrap()).await;
        }
        serde_json::from_value(self.run(RUN).await).unwrap()
    }
}

// A check that never fires is worse than none.
#[tokio::test]
async fn a_page_that_breaks_rules_is_found_out() {
    let chromium = Chromium::start().await;
    let browser = chromium.browser().await;
    browser.open("data:text/html,<title>x</title><h1>One</h1>").await;
    let make = "document.body.innerHTML += `<h4>Four</h4><img src='data:,'><input><button></button>
        <p style='color: #777; background: #eee'>Pale</p><table><tr><th></th></tr></table><b id=a></b><label for=a id=a>a</label>`";
    browser.run(make).await;
    let broken = browser.broken_rules().await;
    for rule in [
        "html-has-lang",
        "heading-order",
        "image-alt",
        "label",
        "button-name",
        "color-contrast",
        "region",
    ] {
        assert!(
            broken.iter().any(|violation| violation.starts_with(&format!("{rule}: "))),
            "{rule} in {broken:?}"
        );
    }
}
