//! A browser, as far as these pages need one: it keeps cookies, and says where a request comes from.

use crate::http::{Answer, Ask};

pub struct Browser {
    http: reqwest::Client,
    /// By name; a later cookie replaces an earlier one.
    pub cookies: Vec<(String, String)>,
}

impl Browser {
    pub fn new() -> Browser {
        let builder = reqwest::Client::builder().no_proxy();
        let http = builder.redirect(reqwest::redirect::Policy::none()).build().unwrap();
        Browser { http, cookies: Vec::new() }
    }

    /// Another browser, which has none of this one's cookies.
    pub fn other(&self) -> Browser {
        Browser { http: self.http.clone(), cookies: Vec::new() }
    }

    /// A request with the cookies and nothing else.
    pub fn ask(&self, method: &str, url: &str) -> Ask {
        let pairs: Vec<String> =
            self.cookies.iter().map(|cookie| format!("{}={}", cookie.0, cookie.1)).collect();
        Ask::new(&self.http, url, method, "").header("cookie", &pairs.join("; "))
    }

    /// Opens an address that somebody typed in.
    pub async fn open(&mut self, url: &str) -> Answer {
        let ask = self.ask("GET", url).header("sec-fetch-site", "none");
        self.keep(ask.send().await)
    }

    /// Follows a redirect from another site.
    pub async fn follow(&mut self, url: &str) -> Answer {
        let ask = self.ask("GET", url).header("sec-fetch-site", "cross-site");
        self.keep(ask.send().await)
    }

    /// Presses the button on a link's page. The page's referrer policy makes the origin `null`.
    pub async fn press(&mut self, link: &str) -> Answer {
        self.keep(self.own_button(link).send().await)
    }

    /// The button's request, as a browser sends it.
    pub fn own_button(&self, link: &str) -> Ask {
        self.button(link).header("sec-fetch-site", "same-origin").header("origin", "null")
    }

    /// The button's request, without the headers that say where it comes from.
    pub fn button(&self, link: &str) -> Ask {
        let ask = self.ask("POST", &format!("{link}/begin"));
        ask.header("content-type", "application/x-www-form-urlencoded")
    }

    /// Stores the cookies of an answer.
    pub fn keep(&mut self, answer: Answer) -> Answer {
        for set in answer.headers.get_all("set-cookie") {
            let (name, rest) = set.to_str().unwrap().split_once('=').unwrap();
            self.cookies.retain(|cookie| cookie.0 != name);
            self.cookies.push((name.to_owned(), rest.split(';').next().unwrap().to_owned()));
        }
        answer
    }
}
