//! Sharing partitions among workers.

use std::time::Duration;

use hookrail_broker::{HandOver, OwnershipChange};
use hookrail_domain::ownership::{Role, WorkerId, wanted_owner};

use crate::nats::Nats;

fn wanted_by(name: &str, names: &[&str], partitions: u32) -> usize {
    let members: Vec<_> = names.iter().map(|name| WorkerId::new(*name).unwrap()).collect();
    let me = WorkerId::new(name).unwrap();
    (0..partitions)
        .filter(|partition| wanted_owner(Role::Processor, *partition, &members) == Some(&me))
        .count()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_worker_gets_its_share_by_clean_hand_over_with_higher_epochs() {
    let nats = Nats::start();
    nats.broker().await;
    let mut first = nats.worker("one", Role::Processor, 8).await;
    let mut leases = Vec::new();
    for _ in 0..8 {
        leases.push(first.gained().await);
    }
    assert!(
        leases
            .iter()
            .all(|lease| lease.holds() && !lease.unclean_takeover())
    );
    let mut second = nats.worker("two", Role::Processor, 8).await;
    let share = wanted_by("two", &["one", "two"], 8);
    assert!(share > 0, "the names must share");
    for _ in 0..share {
        let OwnershipChange::Lose { lease, done } = first.change().await else {
            panic!("expected a hand-over");
        };
        assert!(lease.holds());
        done.send(HandOver::Clean).unwrap();
        let gained = second.gained().await;
        assert_eq!(gained.partition(), lease.partition());
        assert!(gained.epoch() > lease.epoch());
        assert!(!gained.unclean_takeover() && !lease.holds());
    }
    assert_eq!(
        (first.ownership.owned(), second.ownership.owned()),
        (8 - share, share)
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dead_workers_partitions_are_claimed_unclean_after_its_time_is_over() {
    let nats = Nats::start();
    let broker = nats.broker().await;
    let mut first = nats.worker("one", Role::Dispatcher, 2).await;
    let old = [first.gained().await, first.gained().await];
    let mut second = nats.worker("two", Role::Dispatcher, 2).await;
    drop(first);
    assert!(old.iter().all(|lease| !lease.holds()));
    for _ in 0..2 {
        let lease = second.gained().await;
        assert!(lease.unclean_takeover());
        assert!(old.iter().all(|old| old.epoch() < lease.epoch()));
        assert!(lease.confirm(&broker).await.unwrap());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_worker_started_again_claims_its_own_at_once() {
    let nats = Nats::start();
    nats.broker().await;
    let mut first = nats.worker("one", Role::Processor, 2).await;
    let old = first.gained().await;
    first.gained().await;
    drop(first);
    let mut again = nats.worker("one", Role::Processor, 2).await;
    let lease = tokio::time::timeout(Duration::from_secs(1), again.gained())
        .await
        .unwrap();
    assert!(lease.unclean_takeover() && lease.epoch() > old.epoch());
}

#[tokio::test(flavor = "multi_thread")]
async fn released_partitions_are_clean_and_given_up_ones_are_not() {
    let nats = Nats::start();
    nats.broker().await;
    let mut first = nats.worker("one", Role::Processor, 2).await;
    let (given_up, _kept) = (first.gained().await, first.gained().await);
    first.ownership.give_up(&given_up).await;
    assert!(!given_up.holds());
    let again = first.gained().await;
    assert_eq!(again.partition(), given_up.partition());
    assert!(again.unclean_takeover());

    let mut changes = first.changes;
    let worker = tokio::spawn(async move {
        while let Some(change) = changes.recv().await {
            if let OwnershipChange::Lose { done, .. } = change {
                done.send(HandOver::Clean).unwrap();
            }
        }
    });
    first.ownership.release_all(Duration::from_secs(5)).await;
    worker.await.unwrap();
    let mut second = nats.worker("two", Role::Processor, 2).await;
    for _ in 0..2 {
        assert!(!second.gained().await.unclean_takeover());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn leases_end_by_themselves_when_the_server_is_gone() {
    let nats = Nats::start();
    nats.broker().await;
    let mut worker = nats.worker("one", Role::Processor, 1).await;
    let lease = worker.gained().await;
    let remaining = lease.remaining_ms();
    assert!((1..=1_700).contains(&remaining), "{remaining}");
    drop(nats);
    let began = std::time::Instant::now();
    while lease.holds() {
        assert!(
            began.elapsed() < Duration::from_secs(3),
            "the lease outlived its heartbeat"
        );
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}
