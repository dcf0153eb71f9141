//! Usage as people look at it: what is most, and how it went in the course of time.

use crate::gateway::calls::KeyNames;
use crate::gateway::{Error, Gateway};
use crate::model::usage::{Aspect, Month, Sums, begin_of};
use crate::store::{MOST_TOLD, UsageFilter, UsageOfTime, UsageWriter};

/// What calls add up to in a time, told apart by an aspect or by none.
pub struct UsageSurvey {
    /// By the filter's hours, and told apart by the largest few.
    pub over_time: Vec<UsageOfTime>,
    /// The largest, as the database has them; nothing where no aspect is given.
    pub ranked: Vec<(String, Sums)>,
    /// By month and app, newest month first.
    pub accounts: Vec<(Month, String, u64)>,
    pub gaps: Vec<UsageWriter>,
    pub key_names: KeyNames,
}

impl Gateway {
    /// What is most, and how it went; a key is given by its id or its name.
    pub async fn survey_usage(
        &self,
        mut filter: UsageFilter,
        aspect: Option<Aspect>,
    ) -> Result<UsageSurvey, Error> {
        let _ = self.flush_usage().await;
        filter.key_id = self.key_id(filter.key_id).await?;
        let store = &self.0.store;
        let ranked = match aspect {
            Some(aspect) => store.rank_usage(&filter, aspect).await?,
            None => Vec::new(),
        };
        let largest: Vec<String> = ranked.iter().take(MOST_TOLD).map(|it| it.0.clone()).collect();
        let told = aspect.map(|it| (it, &*largest));
        let key_names = match aspect {
            Some(Aspect::Key) => self.key_names(ranked.iter().map(|it| &*it.0)).await,
            _ => KeyNames::new(),
        };
        let from = begin_of(filter.from);
        Ok(UsageSurvey {
            over_time: store.usage_over_time(&filter, told).await?,
            ranked,
            accounts: store.count_used_accounts(Month::of(from)).await?,
            gaps: self.usage_gaps(from).await?,
            key_names,
        })
    }
}
