//! One number, with its keys.

use crate::gateway::question::number_key::KeyText;
use crate::model::GroupBy;

/// A number of one grouping. A key is `None` where the grouping has no such level.
#[derive(Clone, Copy, Debug)]
pub struct Leaf<'a> {
    pub grouping: &'a str,
    pub post: Option<KeyText<'a>>,
    pub metric: Option<KeyText<'a>>,
    pub day: Option<KeyText<'a>>,
    pub hour: Option<KeyText<'a>>,
    pub value: i64,
}

impl<'a> Leaf<'a> {
    /// A number without keys.
    pub(in crate::gateway::question) fn of(grouping: &'a str, value: i64) -> Leaf<'a> {
        Leaf { grouping, post: None, metric: None, day: None, hour: None, value }
    }

    pub(in crate::gateway::question) fn under(self, key: KeyText<'a>) -> Leaf<'a> {
        let at = Some(key);
        match key.is_of() {
            Some(GroupBy::TweetId) => Leaf { post: at, ..self },
            Some(GroupBy::EngagementType) => Leaf { metric: at, ..self },
            Some(GroupBy::EngagementDay) => Leaf { day: at, ..self },
            Some(GroupBy::EngagementHour) => Leaf { hour: at, ..self },
            None => self,
        }
    }

    /// The key of the given kind.
    pub fn key(&self, kind: GroupBy) -> Option<KeyText<'a>> {
        match kind {
            GroupBy::TweetId => self.post,
            GroupBy::EngagementType => self.metric,
            GroupBy::EngagementDay => self.day,
            GroupBy::EngagementHour => self.hour,
        }
    }
}
