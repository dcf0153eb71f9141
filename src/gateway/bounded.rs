//! Maps of a bounded size, which drop what was used least.
//!
//! All are the same map of bytes to anything underneath: moka is much code, which would otherwise be compiled, and take
//! room in memory, once for each pair of types.

use std::any::Any;
use std::marker::PhantomData;
use std::net::IpAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use moka::future::Cache;

use crate::model::UserId;

type Anything = Arc<dyn Any + Send + Sync>;
type Loading<'a> = Pin<Box<dyn Future<Output = Result<Entry, Anything>> + Send + 'a>>;

/// What the map takes for an entry, about.
const ENTRY: usize = 200;

/// A value, and the number that whoever loaded it gave it; in a map that weighs, its weight.
#[derive(Clone)]
struct Entry {
    number: u64,
    value: Anything,
}

/// At most so many values of type `V`, by keys of type `K`.
pub(super) struct Bounded<K: ?Sized, V> {
    map: Cache<Box<[u8]>, Entry>,
    types: PhantomData<fn(&K) -> V>,
}

/// A key as bytes, by which it is found.
pub(super) trait Key {
    type Bytes<'a>: AsRef<[u8]> + Send
    where
        Self: 'a;

    fn bytes(&self) -> Self::Bytes<'_>;
}

impl<K: Key + ?Sized, V: Send + Sync + 'static> Bounded<K, V> {
    pub(super) fn new(most: u64) -> Bounded<K, V> {
        Bounded { map: Cache::new(most), types: PhantomData }
    }

    /// Values are also dropped that long after they were inserted.
    pub(super) fn expiring(most: u64, after: Duration) -> Bounded<K, V> {
        let map = Cache::builder().max_capacity(most).time_to_live(after).build();
        Bounded { map, types: PhantomData }
    }

    /// At most so many bytes, by what each insertion says.
    pub(super) fn weighing(most: u64) -> Bounded<K, V> {
        let map = Cache::builder().max_capacity(most);
        let map = map.weigher(|_, entry: &Entry| u32::try_from(entry.number).unwrap_or(u32::MAX));
        let map = map.build();
        Bounded { map, types: PhantomData }
    }

    pub(super) async fn get(&self, key: &K) -> Option<Arc<V>> {
        typed(self.map.get(key.bytes().as_ref()).await?.value)
    }

    pub(super) fn has(&self, key: &K) -> bool {
        self.map.contains_key(key.bytes().as_ref())
    }

    pub(super) async fn insert(&self, key: &K, value: Arc<V>) {
        self.map.insert(key.bytes().as_ref().into(), Entry { number: 0, value }).await;
    }

    /// Inserts a value that takes so many bytes beside its key and entry.
    pub(super) async fn insert_weighing(&self, key: &K, value: Arc<V>, bytes: usize) {
        let key: Box<[u8]> = key.bytes().as_ref().into();
        let number = (key.len() + ENTRY + bytes) as u64;
        self.map.insert(key, Entry { number, value }).await;
    }

    pub(super) async fn remove(&self, key: &K) {
        self.map.invalidate(key.bytes().as_ref()).await;
    }

    pub(super) fn clear(&self) {
        self.map.invalidate_all();
    }

    /// The value of a key, loaded where it is missing: once, however many ask for it at the same time.
    pub(super) async fn get_or_load<E: Send + Sync + 'static>(
        &self,
        key: &K,
        load: impl Future<Output = Result<Arc<V>, E>> + Send,
    ) -> Result<Arc<V>, Arc<E>> {
        self.get_or_load_as(0, key, load).await.map(|(_, value)| value)
    }

    /// The same, with the number of the one who loaded it.
    pub(super) async fn get_or_load_as<E: Send + Sync + 'static>(
        &self,
        number: u64,
        key: &K,
        load: impl Future<Output = Result<Arc<V>, E>> + Send,
    ) -> Result<(u64, Arc<V>), Arc<E>> {
        let load: Loading<'_> = Box::pin(async {
            match load.await {
                Ok(value) => Ok(Entry { number, value }),
                Err(error) => Err(Arc::new(error) as Anything),
            }
        });
        let loaded = self.map.try_get_with(key.bytes().as_ref().into(), load).await;
        match loaded {
            Ok(Entry { number, value }) => Ok((number, typed(value).expect(ONE_TYPE))),
            Err(error) => Err(Anything::clone(&error).downcast().expect(ONE_TYPE)),
        }
    }
}

const ONE_TYPE: &str = "a map's values and errors are of one type each";

fn typed<V: Send + Sync + 'static>(value: Anything) -> Option<Arc<V>> {
    value.downcast().ok()
}

impl Key for str {
    type Bytes<'a> = &'a [u8];

    fn bytes(&self) -> &[u8] {
        self.as_bytes()
    }
}

impl Key for [u8] {
    type Bytes<'a> = &'a [u8];

    fn bytes(&self) -> &[u8] {
        self
    }
}

impl Key for u64 {
    type Bytes<'a> = [u8; 8];

    fn bytes(&self) -> [u8; 8] {
        self.to_ne_bytes()
    }
}

impl Key for UserId {
    type Bytes<'a> = [u8; 8];

    fn bytes(&self) -> [u8; 8] {
        self.number().to_ne_bytes()
    }
}

/// A post and a user.
impl Key for (u64, UserId) {
    type Bytes<'a> = [u8; 16];

    fn bytes(&self) -> [u8; 16] {
        (u128::from(self.0) << 64 | u128::from(self.1.number())).to_ne_bytes()
    }
}

impl Key for IpAddr {
    type Bytes<'a> = [u8; 16];

    fn bytes(&self) -> [u8; 16] {
        match self {
            IpAddr::V4(address) => address.to_ipv6_mapped().octets(),
            IpAddr::V6(address) => address.octets(),
        }
    }
}
