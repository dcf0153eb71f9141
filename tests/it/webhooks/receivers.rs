//! Receivers, where the settings list which machines there may be.

use countersign::config::{Config, HOSTS};
use serde_json::json;

use crate::database::on_both;
use crate::house::House;
use crate::webhooks::receiver::Receiver;
use crate::webhooks::{open_house, with_http};

fn allowing(hosts: &str) -> impl FnOnce(&mut Config) {
    let hosts = (HOSTS.parse)(hosts).unwrap();
    |it| {
        with_http(it);
        it.webhooks.receivers = hosts;
    }
}

on_both! {
    async fn a_receiver_elsewhere_is_not_added(database: Database) {
        let house = House::start_with(&database, allowing("hooks.example.com, *.internal, 127.0.0.1")).await;
        let admin = house.new_admin_key().await;
        let add = |url: &str| {
            let ask = house.admin(&admin, "POST", "/admin/v1/webhooks").header("content-type", "application/json");
            ask.body(json!({ "url": url }).to_string()).send()
        };
        for url in ["https://hooks.example.com/a", "https://HOOKS.example.com:8443/b", "https://a.b.internal/", "http://127.0.0.1:1/"] {
            assert_eq!(add(url).await.status, 201, "{url}");
        }
        for url in ["https://example.com/", "https://hooks.example.com.evil.example/", "https://evil.example/hooks.example.com", "https://internal/", "http://127.0.0.2:1/", "http://2130706434/"] {
            let refused = add(url).await;
            refused.is_own(400, "invalid_request");
            assert!(refused.json()["detail"].as_str().unwrap().contains("webhooks.receivers"), "{}", refused.text());
        }
    }

    async fn a_receiver_that_may_not_be_any_more_gets_nothing(database: Database) {
        let house = open_house(&database).await;
        let receiver = Receiver::start().await;
        let (id, _) = house.hook(&receiver).await;
        house.connect(&["alice"]).await;
        let stricter = House::build(house.bench.again(), &database.settings(), allowing("hooks.example.com")).await;
        assert_eq!(stricter.deliver().await, 1);
        let tested = stricter.gateway.test_webhook(&id, "test").await.unwrap();
        assert!(tested.unwrap_err().why.contains("webhooks.receivers"));
        assert!(receiver.arrived().is_empty());
        let failure = stricter.gateway.get_webhook(&id).await.unwrap().1.failure.unwrap();
        assert!(failure.contains("webhooks.receivers"), "{failure}");
    }
}
