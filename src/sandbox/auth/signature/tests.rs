//! The published vectors of reference 6.3, and percent escapes.

use super::*;

const TWITTER: [&str; 4] = [
    "xvz1evFS4wEEPTGEFPHBog",
    "kAcSOqF21Fu85e7zjz7ZN2U4ZRhfV3WpwPAoE3Z7kBw",
    "370773112-GmHxMAgYyLbNEtIKZeRNFsMKPR9EyMZeS9weJAEb",
    "LswwdoUaIvS8ltyTt5jkRh4J50vUPVVHtR2YPi5kE",
];
const TWITTER_NONCE: &str = "kYjzVBB8Y0ZFabxSWbWovY3uYSQ2pTgmZeNu2VS4cg";
const SIGN_IN: [&str; 2] = ["cChZNFj6T5R0TigYB9yd1w", "L8qq9PZyRg6ieKGEKhZolGC0vJWLw8iEJ88DRdyOg"];
const PHOTOS: [&str; 2] = ["dpf43f3p2l4k3l03", "kd94hf93k423kf44"];

/// A request as a table row holds it; `form` stands for query and form body alike.
struct Signed<'a> {
    method: &'a str,
    url: &'a str,
    form: &'a str,
    consumer: [&'a str; 2],
    token: Option<[&'a str; 2]>,
    nonce: &'a str,
    timestamp: &'a str,
    more: &'a [(&'a str, &'a str)],
}

impl Signed<'_> {
    fn base(&self) -> String {
        let mut pairs = form_pairs(self.form);
        let mut add = |name: &str, value: &str| pairs.push((name.to_owned(), value.to_owned()));
        add("oauth_consumer_key", self.consumer[0]);
        add("oauth_nonce", self.nonce);
        add("oauth_signature_method", "HMAC-SHA1");
        add("oauth_timestamp", self.timestamp);
        add("oauth_signature", "does not count");
        add("realm", "does not count");
        if let Some(token) = self.token {
            add("oauth_token", token[0]);
        }
        self.more.iter().for_each(|(name, value)| add(name, value));
        base_string(self.method, self.url, &pairs)
    }

    #[track_caller]
    fn has(&self, signature: &str) {
        let base = self.base();
        let secret = self.token.map_or("", |token| token[1]);
        assert!(holds(&base, self.consumer[1], secret, signature), "{base}");
        let mut wrong = signature.replace(['a', 'b', 'c', 'd'], "x");
        wrong.replace_range(0..1, if signature.starts_with('Q') { "R" } else { "Q" });
        assert!(!holds(&base, self.consumer[1], secret, &wrong), "{wrong} holds too");
    }
}

fn twitter(url: &str) -> Signed<'_> {
    Signed {
        method: "POST",
        url,
        form: "",
        consumer: [TWITTER[0], TWITTER[1]],
        token: Some([TWITTER[2], TWITTER[3]]),
        nonce: TWITTER_NONCE,
        timestamp: "1318622958",
        more: &[("oauth_version", "1.0")],
    }
}

#[test]
fn v1_holds_on_all_hosts() {
    let form = "include_entities=true&status=Hello%20Ladies%20%2B%20Gentlemen%2C%20a%20signed%20OAuth%20request%21";
    for (url, signature) in [
        ("https://api.twitter.com/1/statuses/update.json", "tnnArxj06cWHq44gCs1OSKk/jLY="),
        ("https://api.twitter.com/1.1/statuses/update.json", "hCtSmYh+iHYCEqBWrE7C7hYmtUk="),
        ("https://api.x.com/1.1/statuses/update.json", "Ls93hJiZbQ3akF3HF3x1Bz8/zU4="),
    ] {
        Signed { form, ..twitter(url) }.has(signature);
    }
    let base = Signed { form, ..twitter("https://api.x.com/1.1/statuses/update.json") }.base();
    assert_eq!(
        base,
        "POST&https%3A%2F%2Fapi.x.com%2F1.1%2Fstatuses%2Fupdate.json&include_entities%3Dtrue%26\
         oauth_consumer_key%3Dxvz1evFS4wEEPTGEFPHBog%26\
         oauth_nonce%3DkYjzVBB8Y0ZFabxSWbWovY3uYSQ2pTgmZeNu2VS4cg%26\
         oauth_signature_method%3DHMAC-SHA1%26oauth_timestamp%3D1318622958%26\
         oauth_token%3D370773112-GmHxMAgYyLbNEtIKZeRNFsMKPR9EyMZeS9weJAEb%26oauth_version%3D1.0%26\
         status%3DHello%2520Ladies%2520%252B%2520Gentlemen%252C%2520a%2520signed%2520OAuth%2520request%2521"
    );
}

#[test]
fn v2_and_v3_hold_on_the_engagement_endpoints() {
    for (host, path, signature) in [
        ("twitter", "totals", "/pMYbW9O1cKhdPGpgGyscSuMVoU="),
        ("twitter", "28hr", "kZEbRFRLIbtZJrxjB7Uq0t2Tsdk="),
        ("twitter", "historical", "/15qDT8P3vPWvN3+zkqvtZaamSs="),
        ("x", "totals", "oETXxUmB7d/+eFImVyDWymiE1SA="),
        ("x", "28hr", "GTtmf6rDZX5N7ZVTbT5tgjNLuAk="),
        ("x", "historical", "wMDWTxItiz8IcPWaBNp8HzO4Gw8="),
    ] {
        twitter(&format!("https://data-api.{host}.com/insights/engagement/{path}")).has(signature);
    }
    let totals = || twitter("https://data-api.twitter.com/insights/engagement/totals");
    Signed { token: None, ..totals() }.has("9zv9uOdXKDNqYsgMVfwfdnwXL8U=");
    Signed { nonce: "16805510956575339791795311852", timestamp: "1795311852", ..totals() }
        .has("jXLGLu1huowS8iMyBakzd2HAaJk=");
    assert_eq!(
        totals().base(),
        "POST&https%3A%2F%2Fdata-api.twitter.com%2Finsights%2Fengagement%2Ftotals&\
         oauth_consumer_key%3Dxvz1evFS4wEEPTGEFPHBog%26\
         oauth_nonce%3DkYjzVBB8Y0ZFabxSWbWovY3uYSQ2pTgmZeNu2VS4cg%26\
         oauth_signature_method%3DHMAC-SHA1%26oauth_timestamp%3D1318622958%26\
         oauth_token%3D370773112-GmHxMAgYyLbNEtIKZeRNFsMKPR9EyMZeS9weJAEb%26oauth_version%3D1.0"
    );

    let body = r#"{"tweet_ids":["20"],"engagement_types":["favorites"],"groupings":{"g":{"group_by":["tweet.id","engagement.type"]}}}"#;
    let hash = "H6T+kxBKjKq9x4xdwW20bwqOJfg=";
    assert_eq!(body_hash(body.as_bytes()), hash);
    Signed { more: &[("oauth_version", "1.0"), ("oauth_body_hash", hash)], ..totals() }
        .has("GVHR2W52IvkGZKjuHvIQLt37DC0=");
}

#[test]
fn v4_holds_on_the_handshake() {
    for (host, signature) in
        [("twitter", "F1Li3tvehgcraF8DMJ7OyxO4w9Y="), ("x", "X9xhcB9d+NxXd/ThJ/n51vPhetM=")]
    {
        Signed {
            consumer: SIGN_IN,
            token: None,
            nonce: "ea9ec8429b68d6b77cd5600adbbb0456",
            timestamp: "1318467427",
            more: &[
                ("oauth_version", "1.0"),
                ("oauth_callback", "http://localhost/sign-in-with-twitter/"),
            ],
            ..twitter(&format!("https://api.{host}.com/oauth/request_token"))
        }
        .has(signature);
    }
    for (host, signature) in
        [("twitter", "39cipBtIOHEEnybAR4sATQTpl2I="), ("x", "G3DdousFWwxEepaZcmHguKqeBvs=")]
    {
        Signed {
            form: "oauth_verifier=uw7NjWHT6OJ1MpJOXsHfNxoAhPKpgI8BlYDhxEjIBY",
            consumer: SIGN_IN,
            token: Some([
                "NPcudxy0yU5T3tBzho7iCotZ3cnetKwcTIRlX0iwRl0",
                "veNRnAWe6inFuo8o2u8SLLZLjolYDmDP7SzL0YfYI",
            ]),
            nonce: "a9900fe68e2573b27a37f10fbad6a755",
            timestamp: "1318467427",
            ..twitter(&format!("https://api.{host}.com/oauth/access_token"))
        }
        .has(signature);
    }
}

#[test]
fn v5_holds_on_the_rfcs_example() {
    let photos = |url| Signed { consumer: PHOTOS, token: None, more: &[], ..twitter(url) };
    Signed {
        nonce: "wIjqoS",
        timestamp: "137131200",
        more: &[("oauth_callback", "http://printer.example.com/ready")],
        ..photos("https://photos.example.net/initiate")
    }
    .has("74KNZJeDHnMBp0EMJ9ZHt/XKycU=");
    Signed {
        nonce: "walatlh",
        timestamp: "137131201",
        token: Some(["hh5s93j4hdidpola", "hdhd0244k9j7ao03"]),
        more: &[("oauth_verifier", "hfdp7dh39dks9884")],
        ..photos("https://photos.example.net/token")
    }
    .has("gKgrFCywp7rO0OXSjdot/IHF7IU=");
    Signed {
        method: "get",
        form: "file=vacation.jpg&size=original",
        nonce: "chapoH",
        timestamp: "137131202",
        token: Some(["nnch734d00sl2jdk", "pfkkdhi9sl3r4s00"]),
        ..photos("http://photos.example.net/photos")
    }
    .has("MdpQcU8iPSUjWoN/UDMsK2sui9I=");
}

#[test]
fn v6_has_the_true_signature_and_not_the_rfcs_slip() {
    let signed = Signed {
        form: "b5=%3D%253D&a3=a&c%40=&a2=r%20b&c2&a3=2+q",
        consumer: ["9djdj82h48djs9d2", "j49sk3j29djd"],
        token: Some(["kkk9d7dh3k39sjv7", "dh893hdasih9"]),
        nonce: "7d8f3e4a",
        timestamp: "137131201",
        more: &[],
        ..twitter("http://example.com/request")
    };
    assert_eq!(
        signed.base(),
        "POST&http%3A%2F%2Fexample.com%2Frequest&a2%3Dr%2520b%26a3%3D2%2520q%26a3%3Da%26\
         b5%3D%253D%25253D%26c%2540%3D%26c2%3D%26oauth_consumer_key%3D9djdj82h48djs9d2%26\
         oauth_nonce%3D7d8f3e4a%26oauth_signature_method%3DHMAC-SHA1%26\
         oauth_timestamp%3D137131201%26oauth_token%3Dkkk9d7dh3k39sjv7"
    );
    signed.has("r6/TJjbCOr97/+UU0NsvSne7s5g=");
    assert!(!holds(&signed.base(), "j49sk3j29djd", "dh893hdasih9", "bYT5CMsGcbgUdFHObYMEfcx6bsw="));
}

#[test]
fn percent_escapes_are_rfc_3986() {
    for (plain, encoded) in [
        ("Ladies + Gentlemen", "Ladies%20%2B%20Gentlemen"),
        ("An encoded string!", "An%20encoded%20string%21"),
        ("Dogs, Cats & Mice", "Dogs%2C%20Cats%20%26%20Mice"),
        ("\u{2603}", "%E2%98%83"),
        ("AZaz09-._~", "AZaz09-._~"),
    ] {
        assert_eq!(percent_encode(plain), encoded);
        assert_eq!(percent_decode(encoded), plain);
    }
    for odd in ["%", "%2", "%zz", "%+1"] {
        assert_eq!(percent_decode(odd), odd);
    }
}
