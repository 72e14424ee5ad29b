//! The generation protocol against the store alone: no database takes part.

use std::collections::BTreeMap;
use std::sync::Arc;

use control_plane::publish::claim::{self, Claim};
use control_plane::publish::manifest::{manifest_path, pointer_path};
use control_plane::publish::prepared::{Parts, Prepared};
use control_plane::publish::upload::ConfigStore;
use futures::FutureExt as _;
use futures::future::{self, join_all};
use jiff::Timestamp;
use object_store::{ObjectStoreExt as _, PutPayload};
use tokio::sync::Notify;

use crate::faults::Hooked;
use crate::s3::S3Server;
use crate::stores::{Fixture, assert_pointer_is_whole, local, s3};

const ENVIRONMENT: &str = "production-k3v9x2mq";

/// A publication whose bytes say who made it.
fn prepared(generation: u64, author: &str) -> Prepared {
    Prepared::new(
        "default",
        ENVIRONMENT,
        generation,
        Timestamp::UNIX_EPOCH,
        Parts {
            blob: format!("blob {generation} of {author}").into_bytes().into(),
            plan: format!("plan {generation} of {author}").into_bytes().into(),
            client_form: format!("form {generation} of {author}").into_bytes().into(),
        },
        None,
    )
}

/// Publishes as a process without a database does: under the next generation that it can claim.
async fn publish(store: &ConfigStore, author: &str) -> u64 {
    loop {
        let next = 1 + claim::highest_generation(store, ENVIRONMENT).await.unwrap();
        if claim::deliver(store, &prepared(next, author)).await.unwrap() == Claim::Ours {
            return next;
        }
    }
}

async fn publishers_at_once(fixture: Fixture, rounds: usize) {
    let store = fixture.store();
    let authors = ["ada", "ben", "cyd", "dee"];
    let mut owners = BTreeMap::new();
    for round in 0..rounds {
        let published = join_all(authors.map(|author| {
            let store = store.clone();
            tokio::spawn(async move { publish(&store, author).await })
        }))
        .await;
        for (author, generation) in authors.iter().zip(published) {
            let earlier = owners.insert(generation.unwrap(), *author);
            assert_eq!(earlier, None, "a generation has one owner");
        }
        let pointed = assert_pointer_is_whole(&store, ENVIRONMENT).await.unwrap();
        assert_eq!(pointed.generation, (round as u64 + 1) * authors.len() as u64);
    }
    for (generation, author) in owners {
        let manifest = claim::manifest(&store, ENVIRONMENT, generation).await.unwrap().unwrap();
        assert!(manifest.same_content(&prepared(generation, author).manifest));
        let plan = store.read(&manifest.plan.unwrap().into()).await.unwrap().unwrap();
        assert_eq!(plan, prepared(generation, author).plan, "the winner's plan, not a loser's");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn publishers_at_once_never_share_a_generation_in_a_folder() {
    publishers_at_once(local(), 50).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn publishers_at_once_never_share_a_generation_on_s3() {
    publishers_at_once(s3().await, 10).await;
}

/// Requests that one undisturbed publication makes.
async fn steps_of_a_publication(fixture: &Fixture) -> usize {
    let counting = Hooked::counting(fixture.objects.clone());
    let store = ConfigStore::new(Arc::new(counting.clone()));
    claim::deliver(&store, &prepared(1, "first")).await.unwrap();
    counting.steps()
}

async fn crash_everywhere(fixture: Fixture, abort: bool) {
    let store = fixture.store();
    let steps = steps_of_a_publication(&fixture).await;
    assert!(steps >= 5, "blob, plan, claim, pointer, look again: {steps}");
    let mut old = 1;
    for at in 0..steps {
        for done in [false, true] {
            let new = prepared(old + 1, "second");
            if abort {
                let reached = Arc::new(Notify::new());
                let hooked = Hooked::hanging(fixture.objects.clone(), at, done, reached.clone());
                let doomed = ConfigStore::new(Arc::new(hooked));
                let bytes = new.clone();
                let task = tokio::spawn(async move { claim::deliver(&doomed, &bytes).await });
                reached.notified().await;
                task.abort();
                assert!(task.await.unwrap_err().is_cancelled());
            } else {
                let hooked = Hooked::dying(fixture.objects.clone(), at, done);
                let doomed = ConfigStore::new(Arc::new(hooked));
                claim::deliver(&doomed, &new).await.unwrap_err();
            }

            let pointed = assert_pointer_is_whole(&store, ENVIRONMENT).await.unwrap();
            assert!(
                [old, old + 1].contains(&pointed.generation),
                "old or new after a crash at step {at}, done {done}: {}",
                pointed.generation
            );

            assert_eq!(claim::deliver(&store, &new).await.unwrap(), Claim::Ours);
            let pointed = assert_pointer_is_whole(&store, ENVIRONMENT).await.unwrap();
            assert_eq!(pointed, new.manifest, "finished after a crash at step {at}, done {done}");
            old += 1;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_publisher_that_dies_at_any_step_leaves_old_or_new_in_a_folder() {
    crash_everywhere(local(), false).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_publisher_that_is_aborted_at_any_step_leaves_old_or_new_in_a_folder() {
    crash_everywhere(local(), true).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_publisher_that_dies_at_any_step_leaves_old_or_new_on_s3() {
    crash_everywhere(s3().await, false).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_publisher_that_is_aborted_at_any_step_leaves_old_or_new_on_s3() {
    crash_everywhere(s3().await, true).await;
}

/// The first publisher's pointer write is held back until the second one is all done.
async fn slow_publisher(fixture: Fixture) {
    let store = fixture.store();
    publish(&store, "before").await;
    let (reached, release) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
    let slow = {
        let (reached, release) = (reached.clone(), release.clone());
        Hooked::new(
            fixture.objects.clone(),
            Arc::new(move |step| {
                let pointer = step.verb == "put" && step.path.ends_with("latest.json");
                if pointer && !step.done {
                    let (reached, release) = (reached.clone(), release.clone());
                    async move {
                        reached.notify_one();
                        release.notified().await;
                        Ok(())
                    }
                    .boxed()
                } else {
                    future::ready(Ok(())).boxed()
                }
            }),
        )
    };
    let slow = ConfigStore::new(Arc::new(slow));
    let task = tokio::spawn(async move { claim::deliver(&slow, &prepared(2, "slow")).await });
    reached.notified().await;
    assert_eq!(publish(&store, "quick").await, 3);
    // Both the overtaken write and the one that mends it pass.
    release.notify_one();
    reached.notified().await;
    let pointed = assert_pointer_is_whole(&store, ENVIRONMENT).await.unwrap();
    assert_eq!(pointed.generation, 2, "the overtaken write went back for a moment");
    release.notify_one();
    assert_eq!(task.await.unwrap().unwrap(), Claim::Ours);
    let pointed = assert_pointer_is_whole(&store, ENVIRONMENT).await.unwrap();
    assert_eq!(pointed, prepared(3, "quick").manifest, "the newer generation stays");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slow_publisher_leaves_the_newer_pointer_in_a_folder() {
    slow_publisher(local()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slow_publisher_leaves_the_newer_pointer_on_s3() {
    slow_publisher(s3().await).await;
}

async fn taken_generations(fixture: Fixture) {
    let store = fixture.store();
    assert_eq!(claim::deliver(&store, &prepared(1, "ada")).await.unwrap(), Claim::Ours);
    assert_eq!(claim::deliver(&store, &prepared(1, "ada")).await.unwrap(), Claim::Ours, "a retry");
    assert_eq!(claim::deliver(&store, &prepared(1, "ben")).await.unwrap(), Claim::Theirs);
    let pointed = assert_pointer_is_whole(&store, ENVIRONMENT).await.unwrap();
    assert_eq!(pointed, prepared(1, "ada").manifest, "a lost claim changes nothing");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_taken_generation_is_ours_only_with_our_content() {
    taken_generations(local()).await;
    taken_generations(s3().await).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_damaged_manifest_or_a_missing_blob_is_passed_over() {
    let fixture = local();
    let store = fixture.store();
    publish(&store, "ada").await;
    let torn = manifest_path(ENVIRONMENT, 2);
    fixture.objects.put(&torn, PutPayload::from_static(b"{\"generation\":")).await.unwrap();
    assert_eq!(claim::claim(&store, &prepared(2, "ben").manifest).await.unwrap(), Claim::Theirs);
    assert_eq!(claim::claim(&store, &prepared(3, "ben").manifest).await.unwrap(), Claim::Ours);

    let pointed = claim::advance_pointer(&store, ENVIRONMENT).await.unwrap().unwrap();
    assert_eq!(pointed.generation, 1, "2 is torn and the blob of 3 was never stored");
    assert_eq!(publish(&store, "cyd").await, 4);

    fixture.objects.put(&pointer_path(ENVIRONMENT), PutPayload::from_static(b"")).await.unwrap();
    claim::advance_pointer(&store, ENVIRONMENT).await.unwrap();
    let pointed = assert_pointer_is_whole(&store, ENVIRONMENT).await.unwrap();
    assert_eq!(pointed.generation, 4, "a torn pointer is written again");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reader_never_meets_a_pointer_to_nothing() {
    let fixture = local();
    let store = fixture.store();
    publish(&store, "first").await;
    let reader = {
        let store = store.clone();
        tokio::spawn(async move {
            let mut reads = 0;
            while assert_pointer_is_whole(&store, ENVIRONMENT).await.unwrap().generation < 101 {
                reads += 1;
            }
            reads
        })
    };
    let writers = ["ada", "ben"].map(|author| {
        let store = store.clone();
        tokio::spawn(async move {
            for _ in 0..50 {
                publish(&store, author).await;
            }
        })
    });
    join_all(writers).await.into_iter().collect::<Result<Vec<()>, _>>().unwrap();
    assert!(reader.await.unwrap() > 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_test_server_refuses_a_wrong_signature() {
    let server = S3Server::start().await;
    let wrong = ConfigStore::new(Arc::new(server.client_with_secret("another secret")));
    claim::deliver(&wrong, &prepared(1, "ada")).await.unwrap_err();
    let right = ConfigStore::new(Arc::new(server.client()));
    assert_eq!(claim::deliver(&right, &prepared(1, "ada")).await.unwrap(), Claim::Ours);
}
