//! A page of a replay: what it is worked on with, and what it came to.

use std::collections::BTreeMap;

use hookrail_broker::Lease;
use hookrail_domain::{ids::ReplayId, json::Json};
use hookrail_store::{
    StoreError, WriteTransaction,
    replay_items::{self, ReplayItem},
    replays::{self, Progress},
};

use crate::consume_partition::Workshop;

/// What a page came to.
#[derive(Debug, Default)]
pub(crate) struct Page {
    /// How many of the page's items, from the first, were worked on.
    pub(crate) taken: usize,
    /// Sent again.
    pub(crate) replayed: u64,
    /// Skipped, by reason.
    pub(crate) skipped: BTreeMap<String, u64>,
    /// There was no room for deliveries: later.
    pub(crate) no_room: bool,
}

impl Page {
    /// Counts an item that can't be sent again.
    pub(crate) fn skip(&mut self, reason: &str) {
        *self.skipped.entry(reason.to_owned()).or_default() += 1;
    }
}

/// What a page is worked on with.
pub(crate) struct Desk<'a> {
    pub(crate) workshop: &'a Workshop,
    pub(crate) lease: &'a Lease,
    pub(crate) replay: ReplayId,
    /// Reasons of before, which this page's add to.
    pub(crate) reasons: BTreeMap<String, u64>,
    /// The page may have been published without that being committed.
    pub(crate) resumed: bool,
}

impl Desk<'_> {
    /// Moves the replay on past `items`, in the transaction of what they came to.
    pub(crate) async fn advance(
        &self,
        transaction: &WriteTransaction,
        items: &[ReplayItem],
        page: &Page,
    ) -> Result<bool, StoreError> {
        let mut reasons = self.reasons.clone();
        for (reason, count) in &page.skipped {
            *reasons.entry(reason.clone()).or_default() += count;
        }
        let reasons: Json = Json::Object(
            reasons
                .into_iter()
                .map(|(reason, count)| (reason, count.into()))
                .collect(),
        );
        let progress = Progress {
            replayed: page.replayed,
            skipped: page.skipped.values().sum(),
            reasons: &reasons.to_compact_string(),
        };
        if !replays::advance(&**transaction, self.replay, self.lease.epoch(), &progress).await? {
            return Ok(false);
        }
        replay_items::delete(&**transaction, self.replay, items).await?;
        Ok(true)
    }
}
