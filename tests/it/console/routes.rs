//! Every route of the console, as the source has it: nobody gets in without a session, and who looks changes nothing.

use crate::console::{SIGN_IN, Visitor, is_page};
use crate::database::on_both;
use crate::house::House;
use crate::openapi::routes::written;

/// What strangers may see.
const OPEN: [&str; 4] = ["/console", "/console/icon.svg", "/console/style.css", SIGN_IN];

/// Path and method of each, with something in place of what stands in braces.
fn routes() -> Vec<(String, String)> {
    let routes = written(include_str!("../../../src/server/console/mod.rs"));
    assert!(routes.len() >= 8, "{routes:?}");
    let filled = |path: &str| {
        let parts = path.split('/').map(|it| if it.starts_with('{') { "1" } else { it });
        parts.collect::<Vec<_>>().join("/")
    };
    routes.into_iter().map(|(path, method)| (filled(&path), method)).collect()
}

on_both! {
    async fn no_page_opens_without_a_session(database: Database) {
        let house = House::start(&database).await;
        let stranger = Visitor::stranger(&house);
        for (path, method) in routes().into_iter().filter(|it| !OPEN.contains(&&*it.0)) {
            if method == "GET" {
                let answer = stranger.open(&path).await;
                assert_eq!(answer.status, 303, "{path}");
                assert!(answer.header("location").starts_with(SIGN_IN), "{path}");
            } else {
                assert_eq!(method, "POST", "{path}");
                is_page(&stranger.send(&path, &[]).await, 401);
            }
        }
    }

    async fn who_only_looks_can_press_nothing(database: Database) {
        let house = House::start(&database).await;
        let visitor = Visitor::with_key(&house, &house.looking_key().await).await;
        let posts = routes().into_iter().filter(|it| it.1 == "POST" && !OPEN.contains(&&*it.0));
        let posts: Vec<String> = posts.map(|it| it.0).filter(|it| it != "/console/sign-out").collect();
        assert!(posts.len() >= 3, "{posts:?}");
        for path in posts {
            is_page(&visitor.send(&path, &[]).await, 403);
        }
    }
}
