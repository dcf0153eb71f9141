//! Histories of many links, browsers and users, drawn at random: no account is ever bound but by the rules.

use std::collections::BTreeSet;

use time::Duration;

use crate::connect::browser::Browser;
use crate::connect::{open_house, path_of, token_in};
use crate::database::on_both;
use crate::house::House;
use crate::sandbox::handshake::decide;

const USERS: [&str; 4] = ["alice", "bob", "carol", "dave"];
const BROWSERS: usize = 3;

/// What a link is by the rules.
struct Model {
    url: String,
    expires_s: i64,
    expected: Option<&'static str>,
    browser: Option<usize>,
    connected: Option<&'static str>,
}

/// A way back from X, which counts once.
struct Back {
    url: String,
    link: usize,
    browser: usize,
    /// Who allowed it.
    user: Option<&'static str>,
    begun_s: i64,
    is_used: bool,
}

/// Numbers that follow from a seed.
struct Dice(u64);

impl Dice {
    fn below(&mut self, end: usize) -> usize {
        self.0 =
            self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(self.0 >> 33).unwrap() % end
    }
}

struct History {
    house: House,
    dice: Dice,
    browsers: Vec<Browser>,
    links: Vec<Model>,
    backs: Vec<Back>,
    /// Seconds since the start.
    now_s: i64,
    connects: usize,
    /// Whoever connected, also in histories before.
    bound: BTreeSet<&'static str>,
}

impl History {
    async fn step(&mut self) {
        let browser = self.dice.below(BROWSERS);
        match self.dice.below(10) {
            0 => self.make().await,
            1 => {
                let seconds = [1, 30, 300, 1500][self.dice.below(4)];
                self.now_s += seconds;
                self.house.bench.clock.forward(Duration::seconds(seconds));
            }
            2 => self.look(browser).await,
            3..=5 => self.begin(browser).await,
            _ => self.come_back(browser).await,
        }
    }

    async fn make(&mut self) {
        let expected = [None, None, Some("carol")][self.dice.below(3)];
        let minutes = [10, 60, 24 * 60][self.dice.below(3)];
        let id = expected.map(|it| self.house.id(it));
        let change = |it: &mut countersign::gateway::NewLink| {
            it.expected_user = id;
            it.expires_in = Some(std::time::Duration::from_mins(minutes));
        };
        let url = self.house.link_with(change).await;
        let expires_s = self.now_s + i64::try_from(minutes).unwrap() * 60;
        self.links.push(Model { url, expires_s, expected, browser: None, connected: None });
    }

    /// What the page of a link has to say to that browser.
    async fn look(&mut self, browser: usize) {
        let Some(link) = self.any_link() else { return };
        let it = &self.links[link];
        let page = self.browsers[browser].open(&it.url).await;
        let is_own = it.browser == Some(browser);
        let expected = match it.connected {
            Some(name) if is_own => (200, format!("as @{name}")),
            Some(_) => (410, "used already".to_owned()),
            None if it.expires_s <= self.now_s => (404, "not known".to_owned()),
            None if it.browser.is_some() && !is_own => (403, "Another browser".to_owned()),
            None => (200, "at X</button>".to_owned()),
        };
        let text = page.text().replace("Go on to X</button>", "at X</button>");
        assert_eq!(page.status, expected.0, "{text}");
        assert!(text.contains(&expected.1), "{} is not in {text}", expected.1);
    }

    async fn begin(&mut self, browser: usize) {
        let Some(link) = self.any_link() else { return };
        let (it, now_s) = (&mut self.links[link], self.now_s);
        let may = it.connected.is_none()
            && it.expires_s > now_s
            && it.browser.is_none_or(|it| it == browser);
        let pressed = self.browsers[browser].press(&it.url).await;
        assert_eq!(pressed.status == 303, may, "{}", pressed.text());
        if !may {
            return;
        }
        it.browser = Some(browser);
        let token = token_in(&pressed);
        let user = Some(USERS[self.dice.below(4)]).filter(|_| self.dice.below(5) > 0);
        let url = if let Some(name) = user {
            self.house.allowed(&token, name).await
        } else {
            decide(&self.house.bench, &token, "cancel", "").await;
            format!("{}/connect/callback?denied={token}", self.house.url)
        };
        self.backs.push(Back { url, link, browser, user, begun_s: now_s, is_used: false });
    }

    async fn come_back(&mut self, browser: usize) {
        if self.backs.is_empty() {
            return;
        }
        let place = self.dice.below(self.backs.len());
        let is_right = self.dice.below(2) == 0;
        let back = &mut self.backs[place];
        let browser = if is_right { back.browser } else { browser };
        let answer = self.browsers[browser].follow(&back.url).await;
        let has_begun = self.links.iter().any(|it| it.browser == Some(browser));
        assert_eq!(answer.status, if has_begun { 303 } else { 403 }, "{}", answer.text());
        if browser != back.browser || back.is_used {
            return;
        }
        back.is_used = true;
        let link = &mut self.links[back.link];
        let in_time = self.now_s < back.begun_s + 900 && self.now_s < link.expires_s;
        let user = back.user.filter(|_| in_time && link.connected.is_none());
        let user = user.filter(|it| link.expected.is_none_or(|expected| expected == *it));
        if let Some(user) = user {
            link.connected = Some(user);
            self.connects += 1;
            assert_eq!(answer.header("location"), path_of(&link.url));
        }
    }

    fn any_link(&mut self) -> Option<usize> {
        let count = self.links.len();
        (count > 0).then(|| self.dice.below(count))
    }

    /// Each link says what it should, and who is connected is who should be.
    async fn check(&mut self) {
        for browser in 0..BROWSERS {
            for _ in 0..self.links.len() {
                self.look(browser).await;
            }
        }
        assert_eq!(self.house.audited("account.connected").await.len(), self.connects);
        self.bound.extend(self.links.iter().filter_map(|it| it.connected));
        for name in ["carol", "dave"] {
            assert_eq!(self.house.is_connected(name).await, self.bound.contains(name), "{name}");
        }
    }
}

on_both! {
    async fn no_account_is_bound_but_by_the_rules(database: Database) {
        let mut links = 0;
        let house = open_house(&database).await;
        let browsers = (0..BROWSERS).map(|_| Browser::new()).collect();
        let mut history = History { house, dice: Dice(1), browsers, links: Vec::new(), backs: Vec::new(), now_s: 0, connects: 0, bound: BTreeSet::new() };
        for seed in 0..50 {
            history.dice = Dice(seed);
            for _ in 0..60 {
                history.step().await;
            }
            history.check().await;
            links += history.links.len();
            // The next begins with links and ways back of its own.
            history.links.clear();
            history.backs.clear();
            history.browsers = history.browsers.iter().map(Browser::other).collect();
        }
        let connects = history.connects;
        assert!(connects >= 50 && links >= 200, "{connects} of {links} tell nothing");
    }
}
