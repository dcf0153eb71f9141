//! Published and recomputed signatures, byte for byte (reference 6.3).

use super::*;

const APP: Credentials = Credentials {
    key: "xvz1evFS4wEEPTGEFPHBog",
    secret: "kAcSOqF21Fu85e7zjz7ZN2U4ZRhfV3WpwPAoE3Z7kBw",
};
const USER: Credentials = Credentials {
    key: "370773112-GmHxMAgYyLbNEtIKZeRNFsMKPR9EyMZeS9weJAEb",
    secret: "LswwdoUaIvS8ltyTt5jkRh4J50vUPVVHtR2YPi5kE",
};
const NONCE: &str = "kYjzVBB8Y0ZFabxSWbWovY3uYSQ2pTgmZeNu2VS4cg";
const TIME: u64 = 1_318_622_958;
const LOGIN: Credentials = Credentials {
    key: "cChZNFj6T5R0TigYB9yd1w",
    secret: "L8qq9PZyRg6ieKGEKhZolGC0vJWLw8iEJ88DRdyOg",
};
const RFC: Credentials = Credentials { key: "dpf43f3p2l4k3l03", secret: "kd94hf93k423kf44" };

fn check(
    request: Request<'_>,
    (consumer, token): (Credentials<'_>, Option<Credentials<'_>>),
    (nonce, time, version): (&str, u64, bool),
    signature: &str,
) {
    let header = sign(&request, consumer, token, nonce, time, version);
    let expected = format!("oauth_signature=\"{}\"", percent_encode(signature));
    assert!(header.contains(&expected), "{} {}: {header}", request.method, request.url);
    assert_eq!(header.contains("oauth_token="), token.is_some());
}

#[test]
fn signs_the_published_example_on_each_host() {
    let parameters = [
        ("status", "Hello Ladies + Gentlemen, a signed OAuth request!"),
        ("include_entities", "true"),
    ];
    for (url, signature) in [
        ("https://api.twitter.com/1/statuses/update.json", "tnnArxj06cWHq44gCs1OSKk/jLY="),
        ("https://api.twitter.com/1.1/statuses/update.json", "hCtSmYh+iHYCEqBWrE7C7hYmtUk="),
        ("https://api.x.com/1.1/statuses/update.json", "Ls93hJiZbQ3akF3HF3x1Bz8/zU4="),
    ] {
        let request = Request { parameters: &parameters, ..Request::post(url) };
        check(request, (APP, Some(USER)), (NONCE, TIME, true), signature);
    }
}

#[test]
fn signs_each_engagement_endpoint() {
    for (url, signature) in [
        ("https://data-api.twitter.com/insights/engagement/totals", "/pMYbW9O1cKhdPGpgGyscSuMVoU="),
        ("https://data-api.twitter.com/insights/engagement/28hr", "kZEbRFRLIbtZJrxjB7Uq0t2Tsdk="),
        (
            "https://data-api.twitter.com/insights/engagement/historical",
            "/15qDT8P3vPWvN3+zkqvtZaamSs=",
        ),
        ("https://data-api.x.com/insights/engagement/totals", "oETXxUmB7d/+eFImVyDWymiE1SA="),
        ("https://data-api.x.com/insights/engagement/28hr", "GTtmf6rDZX5N7ZVTbT5tgjNLuAk="),
        ("https://data-api.x.com/insights/engagement/historical", "wMDWTxItiz8IcPWaBNp8HzO4Gw8="),
    ] {
        check(Request::post(url), (APP, Some(USER)), (NONCE, TIME, true), signature);
    }
}

#[test]
fn signs_without_a_token_and_with_a_body_hash() {
    let url = "https://data-api.twitter.com/insights/engagement/totals";
    check(Request::post(url), (APP, None), (NONCE, TIME, true), "9zv9uOdXKDNqYsgMVfwfdnwXL8U=");
    let hash = [("oauth_body_hash", "H6T+kxBKjKq9x4xdwW20bwqOJfg=")];
    let request = Request { parameters: &hash, ..Request::post(url) };
    check(request, (APP, Some(USER)), (NONCE, TIME, true), "GVHR2W52IvkGZKjuHvIQLt37DC0=");
    let other = ("16805510956575339791795311852", 1_795_311_852, true);
    check(Request::post(url), (APP, Some(USER)), other, "jXLGLu1huowS8iMyBakzd2HAaJk=");
}

#[test]
fn signs_the_three_legged_flow() {
    let callback = Some("http://localhost/sign-in-with-twitter/");
    for (url, signature) in [
        ("https://api.twitter.com/oauth/request_token", "F1Li3tvehgcraF8DMJ7OyxO4w9Y="),
        ("https://api.x.com/oauth/request_token", "X9xhcB9d+NxXd/ThJ/n51vPhetM="),
    ] {
        let request = Request { callback, ..Request::post(url) };
        let at = ("ea9ec8429b68d6b77cd5600adbbb0456", 1_318_467_427, true);
        check(request, (LOGIN, None), at, signature);
    }
    let token = Credentials {
        key: "NPcudxy0yU5T3tBzho7iCotZ3cnetKwcTIRlX0iwRl0",
        secret: "veNRnAWe6inFuo8o2u8SLLZLjolYDmDP7SzL0YfYI",
    };
    let verifier = [("oauth_verifier", "uw7NjWHT6OJ1MpJOXsHfNxoAhPKpgI8BlYDhxEjIBY")];
    for (url, signature) in [
        ("https://api.twitter.com/oauth/access_token", "39cipBtIOHEEnybAR4sATQTpl2I="),
        ("https://api.x.com/oauth/access_token", "G3DdousFWwxEepaZcmHguKqeBvs="),
    ] {
        let at = ("a9900fe68e2573b27a37f10fbad6a755", 1_318_467_427, true);
        let in_header = Request { verifier: Some(verifier[0].1), ..Request::post(url) };
        check(in_header, (LOGIN, Some(token)), at, signature);
    }
}

#[test]
fn signs_the_examples_of_the_rfc() {
    let initiate = Request {
        callback: Some("http://printer.example.com/ready"),
        ..Request::post("https://photos.example.net/initiate")
    };
    check(initiate, (RFC, None), ("wIjqoS", 137_131_200, false), "74KNZJeDHnMBp0EMJ9ZHt/XKycU=");
    let token = Credentials { key: "hh5s93j4hdidpola", secret: "hdhd0244k9j7ao03" };
    let exchange = Request {
        verifier: Some("hfdp7dh39dks9884"),
        ..Request::post("https://photos.example.net/token")
    };
    let at = ("walatlh", 137_131_201, false);
    check(exchange, (RFC, Some(token)), at, "gKgrFCywp7rO0OXSjdot/IHF7IU=");
    let token = Credentials { key: "nnch734d00sl2jdk", secret: "pfkkdhi9sl3r4s00" };
    let photos = Request {
        method: "GET",
        parameters: &[("file", "vacation.jpg"), ("size", "original")],
        ..Request::post("http://photos.example.net/photos")
    };
    let at = ("chapoH", 137_131_202, false);
    check(photos, (RFC, Some(token)), at, "MdpQcU8iPSUjWoN/UDMsK2sui9I=");
}

#[test]
fn orders_and_encodes_as_the_rfc_does() {
    let consumer = Credentials { key: "9djdj82h48djs9d2", secret: "j49sk3j29djd" };
    let token = Credentials { key: "kkk9d7dh3k39sjv7", secret: "dh893hdasih9" };
    let parameters =
        [("b5", "=%3D"), ("a3", "a"), ("c@", ""), ("a2", "r b"), ("c2", ""), ("a3", "2 q")];
    let request =
        Request { parameters: &parameters, ..Request::post("http://example.com/request") };
    let at = ("7d8f3e4a", 137_131_201, false);
    check(request, (consumer, Some(token)), at, "r6/TJjbCOr97/+UU0NsvSne7s5g=");
}

#[test]
fn percent_encodes_the_published_examples() {
    for (text, encoded) in [
        ("Ladies + Gentlemen", "Ladies%20%2B%20Gentlemen"),
        ("An encoded string!", "An%20encoded%20string%21"),
        ("Dogs, Cats & Mice", "Dogs%2C%20Cats%20%26%20Mice"),
        ("\u{2603}", "%E2%98%83"),
        ("az-AZ.09_~", "az-AZ.09_~"),
    ] {
        assert_eq!(percent_encode(text), encoded);
    }
}
