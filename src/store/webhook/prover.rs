//! Who proves that an event is the gateway's own.

use std::sync::Arc;

use arc_swap::ArcSwapOption;

use crate::model::webhook::Delivery;

/// Proves a delivery under the number that it has in the database; `None` where that fails. The vault is not the store's.
pub type Prove = dyn Fn(&Delivery) -> Option<Vec<u8>> + Send + Sync;

/// Who proves events, for all clones of a store.
pub(crate) type Prover = Arc<ArcSwapOption<Box<Prove>>>;
