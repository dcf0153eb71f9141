//! The state that all handlers share, and the routes of one listener.

use std::any::Any;
use std::sync::Arc;

use axum::Router;
use axum::response::Response;
use tower_http::catch_panic::CatchPanic;

use crate::config::Limits;
use crate::gateway::Gateway;
use crate::model::Clock;
use crate::telemetry::Metrics;
use crate::web::call_metrics::Meters;
use crate::web::host_names::Names;
use crate::web::html::Face;
use crate::web::lifecycle::Life;
use crate::web::quota::Quotas;

/// The state that all handlers share; cheap to clone.
#[derive(Clone)]
pub(crate) struct Host(Arc<Parts>);

pub(crate) struct Parts {
    pub(crate) gateway: Gateway,
    pub(crate) metrics: Metrics,
    pub(crate) limits: Limits,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) lifecycle: Life,
    pub(crate) meters: Meters,
    pub(crate) names: Names,
    pub(crate) quotas: Quotas,
}

/// The routes of one listener.
#[derive(Clone)]
pub(crate) struct Routes {
    /// Whether the engagement endpoints are among them.
    pub(crate) relays: bool,
    /// The groups of pages among them.
    pub(crate) faces: &'static [Face],
    /// All routes; a panic in one of them becomes an answer.
    pub(crate) all: Guarded,
}

pub(crate) type Guarded = CatchPanic<Router, fn(Box<dyn Any + Send>) -> Response>;

impl Host {
    pub(crate) fn new(parts: Parts) -> Host {
        Host(Arc::new(parts))
    }

    pub(crate) fn gateway(&self) -> &Gateway {
        &self.0.gateway
    }

    pub(crate) fn metrics(&self) -> &Metrics {
        &self.0.metrics
    }

    pub(crate) fn limits(&self) -> &Limits {
        &self.0.limits
    }

    pub(crate) fn clock(&self) -> &dyn Clock {
        &*self.0.clock
    }

    pub(crate) fn lifecycle(&self) -> &Life {
        &self.0.lifecycle
    }

    pub(crate) fn meters(&self) -> &Meters {
        &self.0.meters
    }

    /// The names that the operators' listener answers to.
    pub(crate) fn names(&self) -> &Names {
        &self.0.names
    }

    /// The quotas that X reported last.
    pub(crate) fn quotas(&self) -> &Quotas {
        &self.0.quotas
    }

    /// Reports how much memory answers occupy, and keeps an unscraped gateway's samples from piling up.
    pub(crate) async fn upkeep(&self) {
        let mut tick = tokio::time::interval(std::time::Duration::from_millis(250));
        let memory = metrics::gauge!("countersign_answer_memory_bytes");
        loop {
            tick.tick().await;
            memory.set(f64::from(u32::try_from(self.0.gateway.memory_held()).unwrap_or(u32::MAX)));
            self.0.metrics.upkeep();
        }
    }
}
