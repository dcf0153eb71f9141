//! The pictures in the manual: the console after a month in a newsroom. `tests/run readme` leaves them in
//! `target/screenshots`; the ones in the repository are reduced from them by
//! `for name in overview-light overview-dark usage-light usage-dark; do pngquant --speed 1 --strip --force
//! -o tests/it/browser/pictures/$name.png 64 target/screenshots/readme-$name.png; done`.

use std::fmt::Write as _;
use std::fs;

use countersign::gateway::NewKey;
use countersign::model::key::Role;

use crate::browser::chromium::Chromium;
use crate::connect::start_gateway;
use crate::database::{Database, Kind, fresh};
use crate::dice::Dice;
use crate::gateway::TestGateway;
use crate::seed::{HOUR, Seed};

/// The most bytes that a picture may have.
const MOST: usize = 150_000;
const FOLDER: &str = "tests/it/browser/pictures";
const HOURS: u32 = 30 * 24;

/// The load of each hour of a day, in per cent of the busiest hour.
type Day = [u32; 24];
const OFFICE: Day =
    [3, 2, 2, 2, 4, 12, 30, 55, 82, 95, 100, 96, 80, 84, 93, 90, 78, 60, 42, 30, 22, 15, 9, 5];
const AUDIENCE: Day =
    [34, 22, 14, 9, 8, 12, 24, 40, 48, 50, 52, 55, 62, 60, 56, 54, 58, 66, 78, 90, 100, 94, 76, 52];
const NIGHT: Day = [0, 0, 70, 100, 88, 20, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
/// The load of each day of a week, from Monday on.
const WEEK: [u32; 7] = [100, 96, 98, 94, 86, 42, 46];

/// A client: its name, endpoint and credentials, the calls in its busiest hour, and its daily curve.
const SERVICES: [(&str, &str, &str, u32, Day); 4] = [
    ("newsroom dashboard", "totals", "app-only", 164, OFFICE),
    ("creator studio", "28hr", "user-context", 118, AUDIENCE),
    ("weekly report", "totals", "user-context", 46, OFFICE),
    ("data warehouse", "historical", "user-context", 240, NIGHT),
];

async fn new_key(gateway: &TestGateway, role: Role, name: &str) -> String {
    let new = NewKey { role, name: name.to_owned(), ..NewKey::default() };
    gateway.inner.create_key(new, "test").await.unwrap().1.expose().to_owned()
}

/// A month of calls, few of which fail.
async fn work(database: &Database, gateway: &TestGateway) {
    let mut dice = Dice(7);
    for (name, endpoint, auth, most, day) in SERVICES {
        let key = new_key(gateway, Role::Caller, name).await;
        let user = if auth == "app-only" { String::new() } else { gateway.id("alice").to_string() };
        let mut rows = String::new();
        for hour in HOUR - HOURS..=HOUR {
            // 1 January 1970 was a Thursday, and a quarter of the last hour has passed.
            let weekday = WEEK[(hour as usize / 24 + 3) % 7];
            let share = if hour == HOUR { 25 } else { 100 };
            let luck = 85 + u32::try_from(dice.below(30)).unwrap();
            let calls =
                most * day[hour as usize % 24] / 100 * weekday / 100 * luck / 100 * share / 100;
            let refused = if dice.below(3) == 0 { calls / 24 } else { 0 };
            let silent = if dice.below(40) == 0 { calls / 9 } else { 0 };
            for (outcome, calls) in
                [("2xx", calls - refused - silent), ("4xx", refused), ("none", silent)]
            {
                if calls > 0 {
                    let (posts, bytes) = (calls * 17, calls * 4211);
                    write!(rows, ",({hour}, 'demo', '{}', '{user}', '{endpoint}', '{auth}', '{outcome}', {calls}, {posts}, {bytes})", &key[4..16]).unwrap();
                }
            }
        }
        database.run(&format!("insert into usage_hour (hour, app, key_id, user_id, endpoint, auth, outcome, calls, posts, bytes) values {}", &rows[1..])).await;
    }
    database.add_up().await;
}

#[tokio::test]
async fn its_pictures_are_of_the_console() {
    let database = fresh(Kind::Sqlite).await;
    let gateway = start_gateway(&database).await;
    database.seed(Seed { accounts: 57, calls: 800, ..Seed::default() }).await;
    database.run("insert into account_month select '2026-02', app, user_id, '2026-02-03 08:00:00+00:00' from account where user_id not like '%2'").await;
    work(&database, &gateway).await;
    let chromium = Chromium::start().await;
    let browser = chromium.browser().await;
    browser.signs_in(&gateway, &new_key(&gateway, Role::Owner, "Ada").await).await;
    for (section, choice) in [("Overview", None), ("Usage", Some("key"))] {
        browser.press(section).await;
        browser.sees(section).await;
        if let Some(aspect) = choice {
            let by = browser.find("//select[@id='by']").await;
            by.select_by_value(aspect).await.unwrap();
            browser.press("Show").await;
            browser.find("//h2[starts-with(normalize-space(), 'By ')]").await;
        }
        for scheme in ["light", "dark"] {
            let name = format!("{}-{scheme}", section.to_lowercase());
            browser.poses(&format!("readme-{name}"), scheme).await;
        }
    }
}

#[test]
fn it_shows_pictures_that_are_there_and_light() {
    let text = fs::read_to_string("docs/console.md").unwrap();
    let kept = fs::read_dir(FOLDER).unwrap().map(|entry| entry.unwrap().path());
    for path in kept {
        let name = path.display().to_string();
        assert!(text.contains(&name), "nobody is shown {name}");
        let picture = fs::read(&path).unwrap();
        assert!(picture.starts_with(b"\x89PNG"), "{name} is no picture");
        assert!(picture.len() <= MOST, "{name}: {} bytes", picture.len());
    }
    for rest in text.split(FOLDER).skip(1) {
        let name = rest.trim_start_matches('/').split('"').next().unwrap();
        assert!(fs::exists(format!("{FOLDER}/{name}")).unwrap(), "{name} is not there");
    }
}
