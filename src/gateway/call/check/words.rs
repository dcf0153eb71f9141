//! What is said about values that are not what they should be.

use std::fmt;
use std::fmt::Display;

use crate::gateway::call::json::Node;
use crate::model::{Endpoint, GroupBy, Metric};

/// Says that an item is no engagement type, which one was probably meant, and which there are.
pub(super) struct NoMetric<'a, 'b>(pub(super) &'a Node<'b>, pub(super) Endpoint);

impl Display for NoMetric<'_, '_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let NoMetric(item, endpoint) = self;
        write!(f, "{} is not an engagement type; ", shown(item))?;
        let meant = if let Node::Text(name) = item { Metric::meant_by(name) } else { None };
        match meant {
            Some(meant) if meant.is_served_by(*endpoint) => write!(f, "did you mean {meant}? ")?,
            Some(meant) => write!(f, "did you mean {meant}, served by {}? ", endpoints(meant))?,
            None => (),
        }
        let served = Metric::ALL.into_iter().filter(|metric| metric.is_served_by(*endpoint));
        write!(f, "{endpoint} serves {}", served.map(Metric::name).collect::<Vec<_>>().join(", "))
    }
}

/// The endpoints that serve a metric.
pub(super) fn endpoints(metric: Metric) -> String {
    let serving = Endpoint::ALL.into_iter().filter(|endpoint| metric.is_served_by(*endpoint));
    serving.map(Endpoint::name).collect::<Vec<_>>().join(" and ")
}

/// The `group_by` values that an endpoint supports.
pub(super) struct GroupBys(pub(super) Endpoint);

impl Display for GroupBys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let can =
            GroupBy::ALL.into_iter().filter(|level| !level.is_time() || self.0.has_time_series());
        f.write_str(&can.map(GroupBy::name).collect::<Vec<_>>().join(", "))
    }
}

/// The offending value, appended to what would be right.
pub(in crate::gateway) fn quoted(node: &Node<'_>) -> String {
    format!(", not {}", shown(node))
}

/// A value, if it is short enough to help.
pub(super) fn shown(node: &Node<'_>) -> String {
    match node {
        Node::Text(text) if text.chars().count() <= 40 => format!("{text:?}"),
        Node::Text(_) => "a long string".to_owned(),
        Node::Natural(number) => number.to_string(),
        other => other.kind().to_owned(),
    }
}
