//! What the vault refuses.

use super::*;
use crate::model::UserId;

fn vault(ids: &[&str], active: &str) -> Vault {
    let key = |id: &&str| {
        let text = STANDARD.encode(fingerprint(id));
        ((*id).to_owned(), Secret::new(text))
    };
    let keys = ids.iter().map(key).collect();
    Vault::new(&config::Vault { keys, active: active.to_owned() }).unwrap()
}

fn user(id: u64) -> UserId {
    UserId::parse(&id.to_string()).unwrap()
}

#[test]
fn opens_what_it_sealed_and_again_after_the_active_key_changed() {
    let place = Place::access_token("main", user(7));
    let record = vault(&["aaaaaaaa"], "aaaaaaaa").seal(&place, b"token").unwrap();
    let both = vault(&["aaaaaaaa", "bbbbbbbb"], "bbbbbbbb");
    assert_eq!(&**both.open(&place, &record).unwrap(), b"token");
    assert!(!both.is_current(&record));
    assert!(both.is_current(&both.seal(&place, b"token").unwrap()));
    assert!(vault(&["bbbbbbbb"], "bbbbbbbb").open(&place, &record).is_err());
}

#[test]
fn refuses_every_flipped_bit_and_every_shortening() {
    let vault = vault(&["aaaaaaaa", "bbbbbbbb"], "aaaaaaaa");
    let place = Place::bearer("main");
    let record = vault.seal(&place, b"AAAA%2FBBBB").unwrap();
    for bit in 0..record.len() * 8 {
        let mut changed = record.clone();
        changed[bit / 8] ^= 1 << (bit % 8);
        assert!(vault.open(&place, &changed).is_err(), "bit {bit}");
    }
    for length in 0..record.len() {
        assert!(vault.open(&place, &record[..length]).is_err(), "{length} bytes");
    }
    assert!(vault.open(&place, &record).is_ok());
}

#[test]
fn refuses_records_in_any_other_place() {
    let vault = vault(&["aaaaaaaa"], "aaaaaaaa");
    let places: Vec<Place> = (1..=50)
        .flat_map(|id| ["main", "other"].map(|app| (app, user(id))))
        .flat_map(|(app, id)| [Place::access_token(app, id), Place::access_token_secret(app, id)])
        .chain([Place::bearer("main"), Place::bearer("other")])
        .collect();
    let records: Vec<_> = places.iter().map(|it| vault.seal(it, b"secret").unwrap()).collect();
    let mut refused = 0;
    for (at, place) in places.iter().enumerate() {
        for (of, record) in records.iter().enumerate() {
            assert_eq!(vault.open(place, record).is_ok(), at == of, "{of} opened at {at}");
            refused += usize::from(at != of);
        }
    }
    assert!(refused > 10_000);
}

#[test]
fn places_do_not_run_into_each_other() {
    let long = Place::access_token("a", user(11));
    let short = Place::access_token("a1", user(1));
    assert_ne!(long.associated_data(b"h"), short.associated_data(b"h"));
}

#[test]
fn a_generated_key_is_an_entry_of_the_ring() {
    let entry = generate_key();
    let (id, text) = entry.expose().split_once('=').unwrap();
    let settings =
        config::Vault { keys: vec![(id.to_owned(), Secret::from(text))], active: id.to_owned() };
    assert!(Vault::new(&settings).is_ok());
    assert_ne!(entry.expose(), generate_key().expose());
}
