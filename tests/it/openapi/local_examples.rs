//! The examples of a demo are about its own sandbox, so that they work as they stand.

use serde_json::Value;
use tempfile::TempDir;

use crate::http::Ask;
use crate::openapi::operations;
use crate::program::demo::card;

#[tokio::test]
async fn every_question_in_a_demos_description_is_answered() {
    let folder = TempDir::new().unwrap();
    let (_running, card) = card(folder.path()).await;
    let http = reqwest::Client::builder().no_proxy().build().unwrap();
    let (url, key) = (card["gateway"].as_str().unwrap(), card["key"].as_str().unwrap());
    let document = Ask::new(&http, url, "GET", "/openapi.json").send().await.json();
    let mut asked = 0;
    for it in operations(&document).iter().filter(|it| it.method == "POST") {
        let example = &it.body().unwrap().1["example"];
        let mut ask = Ask::new(&http, url, "POST", &it.path)
            .header("authorization", &format!("Bearer {key}"))
            .header("content-type", "application/json")
            .body(example.to_string());
        for parameter in it.told["parameters"].as_array().into_iter().flatten() {
            let text = |member: &str| parameter[member].as_str().unwrap();
            ask = ask.header(&text("name").to_lowercase(), text("example"));
        }
        let answer = ask.send().await;
        assert!([200, 201].contains(&answer.status.as_u16()), "{}: {}", it.id(), answer.text());
        if it.id() == "engagement" {
            let answer = answer.json();
            assert_eq!(answer["countersign"]["complete"], true, "{answer}");
            assert_eq!(answer["countersign"]["calls"][0]["status"], 200, "{answer}");
            let numbers = answer["by_day"].to_string();
            let counts = numbers.split('"').filter_map(|text| text.parse::<u32>().ok());
            assert!(counts.sum::<u32>() > 0, "{answer}");
        }
        asked += 1;
    }
    assert_eq!(asked, 7);

    let page = Ask::new(&http, url, "GET", "/docs").send().await.text();
    let account = &card["accounts"][0];
    assert!(page.contains(account["user_id"].as_str().unwrap()));
    assert!(!page.contains("1560000000000000000"));
    let accounts = Ask::new(&http, card["admin"].as_str().unwrap(), "GET", "/openapi.json");
    let accounts: Value = accounts.send().await.json();
    assert!(accounts.to_string().contains(account["user_id"].as_str().unwrap()));
}
