//! The overview while X's quota is used up, with names of any length.

use time::Duration;

use crate::browser::chromium::Chromium;
use crate::database::{Kind, fresh};
use crate::quota::overview::call_as;
use crate::quota::{begin, limited, until_waiting};

#[tokio::test]
async fn an_overview_of_a_used_up_quota_is_sound_in_every_size_and_colour() {
    let database = fresh(Kind::Sqlite).await;
    let gateway = limited(&database, 16, |_| ()).await;
    let odd = "</bdi><script>alert(1)</script>\"'><img src=x onerror=alert(2)>";
    call_as(&gateway, &format!("{odd:W<100}"), 3).await;
    call_as(&gateway, "newsroom dashboard", 2).await;
    for number in 0..11 {
        call_as(&gateway, &format!("service {number}"), 1).await;
    }
    gateway.sandbox.clock.forward(Duration::seconds(25));
    let waits = begin(&gateway);
    until_waiting(&gateway, 1).await;
    let chromium = Chromium::start().await;
    let browser = chromium.browser().await;
    browser.signs_in(&gateway, &gateway.new_admin_key().await).await;
    browser.open(&format!("{}/console/", gateway.admin_url)).await;
    browser.reads("16 of 16").await;
    browser.shows("console-overview-quota").await;
    waits.abort();
}
