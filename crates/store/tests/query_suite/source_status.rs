//! A source's figures.

use std::collections::BTreeMap;

use hookrail_store::{
    partition_progress, queries,
    source_counters::{self, Counts},
};

use crate::databases::each_database;
use crate::samples::SOURCE;

#[tokio::test]
async fn a_sources_figures_come_with_the_sequences_that_they_count_up_to() {
    each_database(async |store| {
        let progress = async || {
            queries::source_status::progress(store.reader(), SOURCE)
                .await
                .unwrap()
        };
        assert_eq!(progress().await.committed_in(0), 0);
        for (partition, sequence) in [(0, 10), (3, 20)] {
            partition_progress::take_partition(&store, partition, 1)
                .await
                .unwrap();
            let tx = store.write().await.unwrap();
            assert!(
                partition_progress::advance(&*tx, partition, 1, sequence)
                    .await
                    .unwrap()
            );
            tx.commit().await.unwrap();
        }
        assert_eq!(progress().await.counts, Counts::default());
        let counts = Counts {
            processed: 4,
            filtered: 3,
            failed: 2,
            duplicate: 1,
            last_event_at: 99,
        };
        let tx = store.write().await.unwrap();
        source_counters::raise(&*tx, &BTreeMap::from([(SOURCE, counts)]))
            .await
            .unwrap();
        tx.commit().await.unwrap();
        let progress = progress().await;
        assert_eq!(progress.counts, counts);
        assert_eq!(
            (
                progress.committed_in(0),
                progress.committed_in(3),
                progress.committed_in(9)
            ),
            (10, 20, 0)
        );
    })
    .await;
}
