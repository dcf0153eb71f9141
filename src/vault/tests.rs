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
    let place = Seal::access_token("main", user(7));
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
    let place = Seal::bearer("main");
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
    let places: Vec<Seal> = (1..=50)
        .flat_map(|id| ["main", "other"].map(|app| (app, user(id))))
        .flat_map(|(app, id)| [Seal::access_token(app, id), Seal::access_token_secret(app, id)])
        .chain([Seal::bearer("main"), Seal::bearer("other")])
        .collect();
    let records: Vec<_> =
        places.iter().map(|place| vault.seal(place, b"secret").unwrap()).collect();
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
    let long = Seal::access_token("a", user(11));
    let short = Seal::access_token("a1", user(1));
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

#[test]
fn a_record_whose_key_is_missing_is_not_taken_for_an_altered_one() {
    let place = Seal::access_token("main", user(7));
    let record = vault(&["aaaaaaaa"], "aaaaaaaa").seal(&place, b"token").unwrap();
    let without = vault(&["bbbbbbbb"], "bbbbbbbb");
    let missing = Error::KeyMissing("aaaaaaaa".to_owned());
    assert_eq!(without.open(&place, &record).unwrap_err(), missing);
    assert_eq!(without.missing_keys(), [] as [String; 0], "nobody has asked for it by now");
    assert_eq!(without.require_key(&record), Err(missing));
    assert_eq!(without.missing_keys(), ["aaaaaaaa"]);

    without.replace(&vault(&["bbbbbbbb", "aaaaaaaa"], "aaaaaaaa"));
    assert_eq!(without.missing_keys(), [] as [String; 0]);
    assert_eq!(
        (without.require_key(&record), &**without.open(&place, &record).unwrap()),
        (Ok(()), &b"token"[..])
    );
    assert!(without.is_current(&record));
}

#[test]
fn what_is_missing_is_what_is_in_use_and_no_more_than_a_few() {
    let vault = vault(&["aaaaaaaa"], "aaaaaaaa");
    let ids: Vec<String> = (0..1000).map(|number| format!("k{number:07}")).collect();
    vault.settle_missing(ids.iter().map(String::as_str));
    assert_eq!(vault.missing_keys().len(), MOST_MISSING);
    vault.settle_missing(["aaaaaaaa", "k0000001"]);
    assert_eq!(vault.missing_keys(), ["k0000001"]);
}

#[test]
fn another_key_under_the_same_id_is_found() {
    let ring = vault(&["aaaaaaaa", "bbbbbbbb"], "aaaaaaaa");
    assert_eq!(ring.find_conflict(&vault(&["bbbbbbbb", "cccccccc"], "cccccccc")), None);
    let keys = vec![("bbbbbbbb".to_owned(), Secret::new(STANDARD.encode(fingerprint("other"))))];
    let other = Vault::new(&config::Vault { keys, active: "bbbbbbbb".to_owned() }).unwrap();
    assert_eq!(ring.find_conflict(&other).as_deref(), Some("bbbbbbbb"));
}

#[test]
fn a_record_can_be_sealed_like_another() {
    let old = vault(&["aaaaaaaa"], "aaaaaaaa").seal(&Seal::bearer("main"), b"old").unwrap();
    let both = vault(&["aaaaaaaa", "bbbbbbbb"], "bbbbbbbb");
    let new = both.seal_like(&old, &Seal::bearer("main"), b"new").unwrap();
    assert_eq!(key_id(&new), Some("aaaaaaaa"));
    assert_eq!(&**both.open(&Seal::bearer("main"), &new).unwrap(), b"new");
}
