//! What a demo prints: its addresses and keys, and commands to try.

use std::cmp::Reverse;
use std::path::{Path, PathBuf};

use serde::Serialize;
use serde_json::json;
use time::{Duration, OffsetDateTime};

use crate::model::Metric;
use crate::sandbox::{World, WorldPost, WorldUser};
use crate::wire::rfc3339;

/// The file of a demo's variables, in its folder.
pub(super) const VARIABLES: &str = "env";
/// That of its log, and that of everything there is to try.
pub(super) const LOG: &str = "log";
pub(super) const TOUR: &str = "tour.txt";
/// How many accounts a demo has connected.
pub(super) const CONNECTED: usize = 3;
const SHOWN_POSTS: usize = 5;
/// Some weeks' worth of posts, so that private totals are available.
const RECENT_POSTS: usize = 12;
/// The last day's posts, so that there is something to see hour by hour.
const FRESH_POSTS: usize = 3;

/// How old the posts of the page may be.
const PERIOD: Duration = Duration::days(28);

/// A demo's addresses and keys.
#[derive(Serialize)]
pub(super) struct Card {
    pub(super) front: String,
    /// Signs in to the console, once.
    pub(super) console: String,
    pub(super) gateway: String,
    pub(super) admin: String,
    pub(super) sandbox: String,
    pub(super) key: String,
    pub(super) admin_key: String,
    /// The one-time link for connecting another account.
    pub(super) link: String,
    pub(super) accounts: [Account; CONNECTED],
    /// A post that is old enough to have numbers in all of their time.
    pub(super) old_post: String,
}

#[derive(Serialize)]
pub(super) struct Account {
    pub(super) user_id: String,
    screen_name: String,
    pub(super) tweet_ids: Vec<String>,
    #[serde(skip)]
    fresh: Vec<String>,
}

pub(super) fn account(user: &WorldUser) -> Account {
    Account {
        user_id: user.user_id.clone(),
        screen_name: user.screen_name.clone(),
        tweet_ids: most_seen(user, RECENT_POSTS),
        fresh: most_seen(user, FRESH_POSTS),
    }
}

/// What a demo prints: where everything is, and what to try first. It fits a terminal of 24 lines and 80 columns. If the
/// folder has to be fetched first, that command comes first.
pub(super) fn beginning(card: &Card, folder: &Path, fetch: Option<&str>) -> String {
    let Card { front, console, gateway, sandbox, key, .. } = card;
    let file = |name: &str| word(&folder.join(name).display().to_string());
    let (variables, tour, log) = (file(VARIABLES), file(TOUR), file(LOG));
    let fetch = fetch.map_or_else(String::new, |fetch| format!("  {fetch}\n"));
    format!(
        "\
Countersign is running with invented numbers. Press Ctrl-C to stop it.

  front end  {front}    a page that shows charts
  console    {console}    signs in, once
  manual     {gateway}/docs
  sandbox    {sandbox}    stands in for X

  key        {key}

Try it in another terminal:

{fetch}  . {variables}
  curl --compressed $URL/v1/engagement -H \"X-Api-Key: $KEY\" -H \"$JSON\" -d \"$ASK\"

The admin key and more to try: {tour}
The log: {log}
"
    )
}

/// The tour, with commands that work as they stand; without the program's own, if that is out of reach.
pub(super) fn text(card: &Card, folder: &Path, program: Option<&PathBuf>) -> String {
    let Card { front, gateway, admin, sandbox, key, admin_key, link, .. } = card;
    let [alice, bob, _] = &card.accounts;
    let (alice_id, bob_id) = (&alice.user_id, &bob.user_id);
    let file = word(&folder.join(VARIABLES).display().to_string());
    let folder = folder.display();
    let alices: Vec<&String> = alice.tweet_ids.iter().take(2).collect();
    let everybodys: Vec<&String> = alices.iter().copied().chain(bob.tweet_ids.first()).collect();
    let all: Vec<&str> =
        [alice, bob].iter().flat_map(|account| &account.tweet_ids).map(String::as_str).collect();
    let all = all.join(",");
    let query = program.map_or_else(String::new, |program| {
        let program = word(&program.display().to_string());
        format!(
            "\
One question about any number of posts by any authors; the gateway chooses the credentials:

  COUNTERSIGN_URL={gateway} COUNTERSIGN_KEY={key} \\
    {program} query --metrics favorites,impressions \\
    --tweets {all}

"
        )
    });
    let bobs: Vec<&String> = bob.fresh.iter().take(1).collect();
    let (by_type, by_hour) = (
        ["tweet.id", "engagement.type"],
        ["tweet.id", "engagement.type", "engagement.day", "engagement.hour"],
    );
    let public = body(&everybodys, &["favorites", "retweets", "replies"], &by_type);
    let private = body(&alices, &["impressions", "engagements", "favorites"], &by_type);
    let series = body(&bobs, &["impressions", "url_clicks"], &by_hour);
    format!(
        "\
Countersign is running with invented numbers. Press Ctrl-C to stop it; its database stays in {folder}.

  front end  {front}    a page that asks the gateway itself: open it in a browser
  gateway    {gateway}    for your services
  operators  {admin}    /console/ in a browser (sign in with the admin key), /metrics, /admin/v1, /docs
  sandbox    {sandbox}    stands in for X; curl {sandbox}/sandbox/world lists its users and posts

  key        {key}
  admin key  {admin_key}

Try it in another terminal. Public totals of anybody's posts, with the app's credentials:

  curl --compressed {gateway}/insights/engagement/totals \\
    -H 'Authorization: Bearer {key}' \\
    -H 'Content-Type: application/json' \\
    -d '{public}'

Private totals, signed with the author's token:

  curl --compressed {gateway}/insights/engagement/totals \\
    -H 'Authorization: Bearer {key}' \\
    -H 'Countersign-Account: {alice_id}' \\
    -H 'Content-Type: application/json' \\
    -d '{private}'

The last 28 hours, hour by hour, signed with the author's token:

  curl --compressed {gateway}/insights/engagement/28hr \\
    -H 'Authorization: Bearer {key}' \\
    -H 'Countersign-Account: {bob_id}' \\
    -H 'Content-Type: application/json' \\
    -d '{series}'

{query}Connect another account in a browser, as one of the sandbox's users (the link works only once):

  {link}

List the connected accounts, as an operator:

  curl {admin}/admin/v1/accounts -H 'Authorization: Bearer {admin_key}'

The commands in README.md and docs/ use variables. Load them in another terminal, and these work as they stand:

  . {file}
"
    )
}

/// The posts of the page: some of each age of connected users, and one of somebody who is not.
pub(super) fn posts_of_page(
    world: &World,
    connected: &[&WorldUser],
    now: OffsetDateTime,
) -> Vec<String> {
    let since = rfc3339(now - PERIOD);
    let is_shown = |post: &&WorldPost| post.state == "active" && post.created_at > since;
    let mut recent: Vec<&WorldPost> =
        connected.iter().flat_map(|user| &user.posts).filter(is_shown).collect();
    recent.sort_by(|one, other| other.created_at.cmp(&one.created_at));
    let step = (recent.len() / SHOWN_POSTS).max(1);
    let is_other = |user: &&WorldUser| connected.iter().all(|known| known.user_id != user.user_id);
    let of_others = world.users.iter().filter(is_other).flat_map(|user| &user.posts);
    let spread = recent.into_iter().step_by(step).take(SHOWN_POSTS);
    spread.chain(of_others.filter(is_shown).take(1)).map(|post| post.id.clone()).collect()
}

/// A word quoted for a shell, if need be.
pub(super) fn word(text: &str) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "/._-+".contains(c);
    if text.chars().all(is_plain) {
        return text.to_owned();
    }
    format!("'{}'", text.replace('\'', r"'\''"))
}

/// The body of an engagement request, its members in reading order.
fn body(ids: &[&String], types: &[&str], levels: &[&str]) -> String {
    let (ids, types, levels) = (json!(ids), json!(types), json!(levels));
    format!(
        r#"{{"tweet_ids":{ids},"engagement_types":{types},"groupings":{{"by_tweet":{{"group_by":{levels}}}}}}}"#
    )
}

/// The posts with the most impressions among a user's newest.
fn most_seen(user: &WorldUser, newest: usize) -> Vec<String> {
    let active = user.posts.iter().filter(|post| post.state == "active");
    let mut posts: Vec<&WorldPost> = active.take(newest).collect();
    posts.sort_by_key(|post| Reverse(post.totals.get(Metric::Impressions.name()).copied()));
    posts.into_iter().take(SHOWN_POSTS).map(|post| post.id.clone()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn odd_words_are_quoted_for_a_shell() {
        assert_eq!(word("/usr/local/bin/countersign"), "/usr/local/bin/countersign");
        assert_eq!(word("/home/o'neil/my $files"), r"'/home/o'\''neil/my $files'");
    }
}
