//! Proof that an event is the gateway's own.

use std::sync::Arc;

use arc_swap::ArcSwapOption;

use crate::model::webhook::Delivery;

/// Seals a proof over a delivery and its number in the database; `None` on failure. The vault is outside the store.
pub type Prove = dyn Fn(&Delivery) -> Option<Vec<u8>> + Send + Sync;

/// The function that proves events, shared by all clones of a store.
pub(crate) type Prover = Arc<ArcSwapOption<Box<Prove>>>;
