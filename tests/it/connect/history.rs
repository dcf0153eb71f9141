//! Random histories of many links, browsers and users on two gateways that may crash: an account is only ever
//! connected as the rules allow.

use std::collections::BTreeSet;

use countersign::gateway::{AccountFilter, NewLink};
use countersign::model::UserId;
use countersign::sandbox::Settings;
use countersign::store::Store;
use serde_json::json;
use time::Duration;

use crate::connect::browser::Browser;
use crate::connect::replica::{PUBLIC_URL, Replica};
use crate::connect::rules::{BROWSERS, Back, Held, LOST, Model, Told, USERS};
use crate::connect::{fault, path_of, say, token_in};
use crate::database::{Database, newest, on_both};
use crate::dice::Dice;
use crate::http::Answer;
use crate::sandbox::handshake::{ACCESS_TOKEN, decide};
use crate::upstream::{TestSandbox, small};

struct History<'a> {
    sandbox: TestSandbox,
    database: &'a Database,
    store: Store,
    replicas: Vec<Replica>,
    dice: Dice,
    browsers: Vec<Browser>,
    links: Vec<Model>,
    backs: Vec<Back>,
    held: Option<Held>,
    /// Seconds since the start.
    now_s: i64,
    told: Told,
}

impl History<'_> {
    async fn open(database: &Database) -> History<'_> {
        let sandbox = TestSandbox::start_with(Settings { users: 4, ..small() }).await;
        let store = database.store().await;
        let mut replicas = Vec::new();
        for _ in 0..2 {
            replicas.push(Replica::open(&sandbox, &database.settings()).await);
        }
        let browsers = (0..BROWSERS).map(|_| Browser::new()).collect();
        let (links, backs, told) = (Vec::new(), Vec::new(), Told::default());
        History {
            sandbox,
            database,
            store,
            replicas,
            dice: Dice(0),
            browsers,
            links,
            backs,
            held: None,
            now_s: 0,
            told,
        }
    }

    /// Starts over with an empty database.
    async fn begin_anew(&mut self, seed: u64) {
        self.dice = Dice(seed);
        self.links.clear();
        self.backs.clear();
        self.browsers = self.browsers.iter().map(Browser::other).collect();
        self.database.run("delete from link; delete from account; delete from audit").await;
        assert_eq!(self.sandbox.ask("POST", "/sandbox/reset").send().await.status, 204);
    }

    async fn step(&mut self) {
        let browser = self.dice.below(BROWSERS);
        match self.dice.below(20) {
            0..=1 => self.make().await,
            // An answer that is held for hours would carry an outdated `Date`.
            2 if self.held.is_none() => {
                let seconds = [1, 30, 300, 1500][self.dice.below(4)];
                self.now_s += seconds;
                self.sandbox.clock.forward(Duration::seconds(seconds));
            }
            3..=4 => self.look(browser).await,
            5..=9 => self.begin(browser).await,
            10..=14 => self.come_back(browser).await,
            15 => self.crash_between().await,
            16 => self.tear_begin(browser).await,
            17 => self.tear_back().await,
            _ if self.held.is_some() => self.end_held().await,
            _ => self.hold().await,
        }
    }

    /// The address on either replica.
    fn anywhere(&mut self, url: &str) -> String {
        let replica = self.dice.below(2);
        self.replicas[replica].at(url)
    }

    async fn make(&mut self) {
        let minutes = [5, 20, 120][self.dice.below(3)];
        let expected = Some(USERS[self.dice.below(4)]).filter(|_| self.dice.below(3) == 0);
        let new = NewLink {
            label: "for the report".to_owned(),
            expected_user: expected.map(|name| self.id(name)),
            expires_in: Some(std::time::Duration::from_mins(minutes)),
            ..NewLink::default()
        };
        let replica = self.dice.below(2);
        let url = self.replicas[replica].link(new).await;
        let expires_s = self.now_s + i64::try_from(minutes).unwrap() * 60;
        self.links.push(Model { url, expires_s, expected, browser: None, connected: None });
        self.told.links += 1;
    }

    fn id(&self, name: &str) -> UserId {
        UserId::parse(&self.sandbox.user(name).user_id).unwrap()
    }

    async fn look(&mut self, browser: usize) {
        if let Some(link) = self.any_link() {
            self.look_at(link, browser).await;
        }
    }

    /// Checks what the page of a link shows to that browser.
    async fn look_at(&mut self, link: usize, browser: usize) {
        let url = self.anywhere(&self.links[link].url.clone());
        let page = self.browsers[browser].open(&url).await;
        let known = &self.links[link];
        let is_own = known.browser == Some(browser);
        let expected = match known.connected {
            Some(name) if is_own => (200, format!("as @{name}")),
            Some(_) => (410, "already been used".to_owned()),
            None if known.expires_s <= self.now_s => (404, "is unknown".to_owned()),
            None if known.browser.is_some() && !is_own => (403, "another browser".to_owned()),
            None => (200, "at X</button>".to_owned()),
        };
        let text = page.text().replace("Continue to X</button>", "at X</button>");
        assert_eq!(page.status, expected.0, "{text}");
        assert!(text.contains(&expected.1), "{} is not in {text}", expected.1);
    }

    fn may_begin(&self, link: usize, browser: usize) -> bool {
        let known = &self.links[link];
        let is_free = known.browser.is_none_or(|holder| holder == browser);
        known.connected.is_none() && known.expires_s > self.now_s && is_free
    }

    async fn begin(&mut self, browser: usize) {
        let Some(link) = self.any_link() else { return };
        let url = self.anywhere(&self.links[link].url.clone());
        let pressed = self.browsers[browser].press(&url).await;
        assert_eq!(pressed.status == 303, self.may_begin(link, browser), "{}", pressed.text());
        if pressed.status == 303 {
            self.has_begun(link, browser, &pressed).await;
        }
    }

    /// A user allows or denies access at X.
    async fn has_begun(&mut self, link: usize, browser: usize, pressed: &Answer) {
        self.links[link].browser = Some(browser);
        let token = token_in(pressed);
        let user = Some(USERS[self.dice.below(4)]).filter(|_| self.dice.below(5) > 0);
        let url = if let Some(name) = user {
            let allowed = decide(&self.sandbox, &token, "allow", name).await;
            assert_eq!(allowed.status, 302, "{}", allowed.text());
            allowed.header("location").to_owned()
        } else {
            decide(&self.sandbox, &token, "cancel", "").await;
            format!("{PUBLIC_URL}/connect/callback?denied={token}")
        };
        let begun_s = self.now_s;
        self.backs.push(Back { url, link, browser, user, begun_s, is_used: false });
    }

    /// The user whom this callback connects, by the rules.
    fn connects(&self, back: usize) -> Option<&'static str> {
        let back = &self.backs[back];
        let link = &self.links[back.link];
        let in_time = self.now_s < back.begun_s + 900 && self.now_s < link.expires_s;
        let may = !back.is_used && in_time && link.connected.is_none();
        back.user.filter(|user| may && link.expected.is_none_or(|expected| expected == *user))
    }

    async fn come_back(&mut self, browser: usize) {
        let Some(place) = self.any_back() else { return };
        let is_right = self.dice.below(4) > 0;
        let browser = if is_right { self.backs[place].browser } else { browser };
        let url = self.anywhere(&self.backs[place].url.clone());
        let has_cookie = !self.browsers[browser].cookies.is_empty();
        let answer = self.browsers[browser].follow(&url).await;
        assert_eq!(answer.status, if has_cookie { 303 } else { 403 }, "{}", answer.text());
        if browser != self.backs[place].browser {
            return;
        }
        let user = self.connects(place);
        let back = &mut self.backs[place];
        back.is_used = true;
        if let Some(user) = user {
            let link = &mut self.links[back.link];
            assert_eq!(answer.header("location"), path_of(&link.url));
            link.connected = Some(user);
        }
    }

    /// Makes a callback, and lets something else happen before X's answer to the exchange arrives.
    async fn hold(&mut self) {
        let live: Vec<usize> =
            (0..self.backs.len()).filter(|index| self.connects(*index).is_some()).collect();
        let Some(place) = live.first().map(|_| live[self.dice.below(live.len())]) else { return };
        let (replica, user) = (self.dice.below(2), self.connects(place).unwrap());
        self.order(json!([fault(ACCESS_TOKEN, &json!({ "kind": "hold", "times": 1 }))])).await;
        let back = &mut self.backs[place];
        back.is_used = true;
        let url = self.replicas[replica].at(&back.url);
        let asked = tokio::spawn(self.browsers[back.browser].ask("GET", &url).try_send());
        let link = back.link;
        while self.sandbox.get("/sandbox/faults").await[0]["fired"] != 1 {
            assert!(!asked.is_finished(), "X was not asked");
            tokio::task::yield_now().await;
        }
        self.held = Some(Held { asked, replica, link, user });
        self.told.held += 1;
    }

    /// The answer arrives, or whoever waited for it is gone.
    async fn end_held(&mut self) {
        let Held { asked, replica, link, user } = self.held.take().unwrap();
        if self.dice.below(2) == 0 {
            self.crash(replica).await;
            self.order(json!([])).await;
            assert!(asked.await.unwrap().is_err(), "a gateway that is gone has answered");
            self.told.lost += 1;
            return;
        }
        self.order(json!([])).await;
        let answer = asked.await.unwrap().unwrap();
        let link = &mut self.links[link];
        assert_eq!((answer.status.as_u16(), answer.header("location")), (303, path_of(&link.url)));
        link.connected = link.connected.or(Some(user));
    }

    async fn crash_between(&mut self) {
        let replica = self.dice.below(2);
        if self.held.as_ref().is_none_or(|held| held.replica != replica) {
            self.crash(replica).await;
        }
    }

    async fn crash(&mut self, replica: usize) {
        let opened = Replica::open(&self.sandbox, &self.database.settings()).await;
        std::mem::replace(&mut self.replicas[replica], opened).crash().await;
        self.told.crashes += 1;
    }

    /// Sends a request to one replica, which crashes at some moment before or after it answers.
    async fn tear(&mut self, ask: impl FnOnce(&Replica) -> crate::http::Ask) -> Option<Answer> {
        let held = self.held.as_ref().map(|held| 1 - held.replica);
        let replica = held.unwrap_or_else(|| self.dice.below(2));
        let opened = Replica::open(&self.sandbox, &self.database.settings()).await;
        let asked = tokio::spawn(ask(&self.replicas[replica]).try_send());
        for _ in 0..self.dice.below(3000) {
            tokio::task::yield_now().await;
        }
        std::mem::replace(&mut self.replicas[replica], opened).crash().await;
        self.told.torn += 1;
        // Waits for what the database was still doing on its behalf.
        self.database.run("update link set label = label").await;
        let answered = asked.await.unwrap().ok();
        self.told.unanswered += usize::from(answered.is_none());
        answered
    }

    /// The browser begins, and begins again if there was no answer.
    async fn tear_begin(&mut self, browser: usize) {
        let Some(link) = self.any_link() else { return };
        if !self.may_begin(link, browser) {
            return;
        }
        let url = self.links[link].url.clone();
        let button = self.browsers[browser].own_button(&url);
        let asked = |replica: &Replica| button.to(&format!("{}/begin", replica.at(&url)));
        let answered = self.tear(asked).await;
        let had_cookie = !self.browsers[browser].cookies.is_empty();
        let pressed = if let Some(answer) = answered {
            self.browsers[browser].keep(answer)
        } else {
            let url = self.anywhere(&url);
            self.browsers[browser].press(&url).await
        };
        if pressed.status == 303 {
            self.has_begun(link, browser, &pressed).await;
        } else {
            assert!(pressed.status == 403 && !had_cookie, "{}", pressed.text());
            self.links[link].browser = Some(LOST);
        }
    }

    /// The browser makes the callback, and repeats it: it is connected as the rules allow, or not at all.
    async fn tear_back(&mut self) {
        let Some(place) = self.any_back() else { return };
        let Back { url, browser, link, .. } = &self.backs[place];
        let (url, browser, link) = (url.clone(), *browser, *link);
        let user = self.connects(place);
        let cookies = self.browsers[browser].ask("GET", &url);
        let asked = |replica: &Replica| cookies.to(&replica.at(&url));
        self.tear(asked).await;
        self.backs[place].is_used = true;
        for is_last in [false, true] {
            let page = self.anywhere(&self.links[link].url.clone());
            let page = self.browsers[browser].open(&page).await.text();
            if let Some(user) = user.filter(|user| page.contains(&format!("as @{user}<"))) {
                self.links[link].connected = Some(user);
            }
            if !is_last {
                let url = self.anywhere(&url);
                self.browsers[browser].follow(&url).await;
            }
        }
        self.look_at(link, browser).await;
    }

    fn any_link(&mut self) -> Option<usize> {
        let count = self.links.len();
        (count > 0).then(|| self.dice.below(count))
    }

    fn any_back(&mut self) -> Option<usize> {
        let count = self.backs.len();
        (count > 0).then(|| self.dice.below(count))
    }

    async fn order(&self, faults: serde_json::Value) {
        assert_eq!(self.sandbox.put("/sandbox/faults", faults).await.status, 200);
    }

    /// Each link's page is right, the right accounts are connected, and no verifier was exchanged twice.
    async fn check(&mut self) {
        if self.held.is_some() {
            self.end_held().await;
        }
        for link in 0..self.links.len() {
            for browser in 0..BROWSERS {
                self.look_at(link, browser).await;
            }
        }
        let connected: Vec<&str> = self.links.iter().filter_map(|link| link.connected).collect();
        let filter = AccountFilter { limit: 100, ..AccountFilter::default() };
        let accounts = self.store.list_accounts(&filter).await.unwrap();
        let bound: BTreeSet<&str> = accounts.iter().map(|account| &*account.screen_name).collect();
        assert_eq!(bound, connected.iter().copied().collect());
        let entries = self.store.list_audit(&newest(1000)).await.unwrap();
        let audited = entries.iter().filter(|entry| entry.action == "account.connected").count();
        assert_eq!(audited, connected.len());
        let exchanged = self.sandbox.get(&format!("/sandbox/calls?path={ACCESS_TOKEN}")).await;
        let mut seen = BTreeSet::new();
        for call in exchanged.as_array().unwrap() {
            assert!(seen.insert(call["token"].to_string()), "exchanged twice: {call}");
        }
        self.told.connects += connected.len();
    }
}

async fn no_account_is_bound_but_by_the_rules(database: Database) {
    let mut history = History::open(&database).await;
    for seed in 0..200 {
        say(&format!("seed {seed}"));
        history.begin_anew(seed).await;
        for _ in 0..30 {
            history.step().await;
        }
        history.check().await;
    }
    let told = &history.told;
    say(&format!("{told:?}"));
    assert!(told.links >= 400 && told.connects >= 120 && told.crashes >= 200, "{told:?}");
    assert!(told.torn >= 150 && told.unanswered >= 20 && told.unanswered < told.torn, "{told:?}");
    assert!(told.held >= 60 && told.lost >= 20 && told.lost < told.held, "{told:?}");
}

on_both!(no_account_is_bound_but_by_the_rules);
