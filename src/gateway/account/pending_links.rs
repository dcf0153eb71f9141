//! Links that are waiting to be used, each identified by an id that does not open it.

use std::fmt;

use time::OffsetDateTime;

use crate::gateway::{Error, Gateway};
use crate::model::handshake::Link;
use crate::store::{LinkFilter, StoredLink};

/// How much of a link's hash identifies it: too little to open the link, and enough that no two are the same.
const ID_BYTES: usize = 8;

/// Identifies a link without opening it: 16 hexadecimal digits.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct LinkId([u8; ID_BYTES]);

/// A link that has neither been used nor expired.
#[derive(Clone, Debug)]
pub struct WaitingLink {
    pub id: LinkId,
    pub link: Link,
}

/// Where a page of links ended.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct LinkPlace {
    made_at: OffsetDateTime,
    id: LinkId,
}

impl LinkId {
    pub(in crate::gateway) fn of(hash: &[u8]) -> LinkId {
        let mut id = [0; ID_BYTES];
        id.iter_mut().zip(hash).for_each(|(to, from)| *to = *from);
        LinkId(id)
    }

    pub fn parse(text: &str) -> Option<LinkId> {
        let is_hex = text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
        let number = u64::from_str_radix(text, 16).ok();
        number
            .filter(|_| is_hex && text.len() == 2 * ID_BYTES)
            .map(|number| LinkId(number.to_be_bytes()))
    }
}

impl fmt::Display for LinkId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", u64::from_be_bytes(self.0))
    }
}

impl LinkPlace {
    /// Reads what `Display` writes.
    pub fn parse(text: &str) -> Option<LinkPlace> {
        let (seconds, id) = text.split_once('-')?;
        let made_at = OffsetDateTime::from_unix_timestamp(seconds.parse().ok()?).ok()?;
        Some(LinkPlace { made_at, id: LinkId::parse(id)? })
    }
}

impl fmt::Display for LinkPlace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.made_at.unix_timestamp(), self.id)
    }
}

impl WaitingLink {
    pub fn place(&self) -> LinkPlace {
        LinkPlace { made_at: self.link.created_at, id: self.id }
    }
}

impl From<StoredLink> for WaitingLink {
    fn from(stored: StoredLink) -> WaitingLink {
        WaitingLink { id: LinkId::of(&stored.hash), link: stored.link }
    }
}

impl Gateway {
    /// Links that can still be used, newest first.
    pub async fn list_links(
        &self,
        search: Option<String>,
        after: Option<LinkPlace>,
        limit: u32,
    ) -> Result<Vec<WaitingLink>, Error> {
        let after = after.map(|place| (place.made_at, place.id.0.to_vec()));
        let filter = LinkFilter { search, after, limit };
        let stored = self.0.store.list_waiting_links(&filter, self.now()).await?;
        Ok(stored.into_iter().map(WaitingLink::from).collect())
    }

    /// One link that can still be used.
    pub async fn get_link(&self, id: LinkId) -> Result<WaitingLink, Error> {
        let stored = self.0.store.find_waiting_link(&id.0, self.now()).await?;
        Ok(stored.ok_or(Error::NotFound("pending link"))?.into())
    }

    /// Ends a link before it is used. A user who has already begun with it can no longer connect.
    pub async fn withdraw_link(&self, id: LinkId, actor: &str) -> Result<WaitingLink, Error> {
        let stored = self.0.store.withdraw_link(&id.0, actor, self.now()).await?;
        let link = WaitingLink::from(stored.ok_or(Error::NotFound("pending link"))?);
        // Otherwise answers about the ended account would go on carrying this link.
        if let (Some(app), Some(user)) = (self.0.apps.get(&link.link.app), link.link.expected_user)
        {
            app.reconnects.forget(user).await;
        }
        Ok(link)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_and_places_read_back() {
        let id = LinkId::of(&[0, 1, 2, 3, 0xfc, 0xfd, 0xfe, 0xff, 9, 9]);
        assert_eq!(id.to_string(), "00010203fcfdfeff");
        assert_eq!(LinkId::parse("00010203fcfdfeff"), Some(id));
        let place = LinkPlace { made_at: OffsetDateTime::UNIX_EPOCH, id };
        assert_eq!(LinkPlace::parse(&place.to_string()), Some(place));
        for wrong in ["", "+0010203fcfdfeff", "00010203FCFDFEFF", "0", "00010203fcfdfeff0", "é"] {
            assert_eq!(LinkId::parse(wrong), None, "{wrong}");
            assert_eq!(LinkPlace::parse(&format!("1-{wrong}")), None, "{wrong}");
        }
        assert_eq!(LinkPlace::parse("99999999999999999999-00010203fcfdfeff"), None);
    }
}
