//! The store, with every test on both databases.

mod accounts;
mod audit;
mod authors;
mod bearers;
mod changes;
mod commits;
mod conflicts;
mod errors;
mod faults;
mod files;
mod keys;
mod leases;
mod links;
mod losses;
mod poolers;
mod replicas;
mod schema;
mod servers;
mod statements;
mod usage;

use countersign::model::key::{Key, KeyLimits, Right, Role, Scopes};
use countersign::model::{Endpoint, Origin, UserId};
use countersign::store::NewAccount;

use crate::database::NOW;

fn id(number: u64) -> UserId {
    UserId::parse(&number.to_string()).unwrap()
}

pub fn new_account(app: &str, number: u64) -> NewAccount {
    NewAccount {
        app: app.to_owned(),
        user_id: id(number),
        screen_name: format!("User_{number}"),
        sealed_token: format!("token of {number}").into_bytes(),
        sealed_token_secret: format!("secret of {number}").into_bytes(),
    }
}

fn key(id: &str, name: &str) -> Key {
    let scopes = Scopes {
        app: Some("main".to_owned()),
        accounts: Some(vec![self::id(7), self::id(11)]),
        endpoints: Some(vec![Endpoint::Totals, Endpoint::TwentyEightHours]),
        rights: Right::ALL.into(),
        origins: vec![Origin::parse("https://app.example.com").unwrap()],
    };
    Key {
        id: id.to_owned(),
        role: Role::Caller,
        name: name.to_owned(),
        scopes,
        limits: KeyLimits { weight: 3, per_minute: Some(60), at_once: None },
        created_at: NOW,
        expires_at: Some(NOW + time::Duration::days(90)),
        revoked_at: None,
        last_used_at: None,
    }
}
