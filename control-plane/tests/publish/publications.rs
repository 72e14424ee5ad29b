//! Whole publications: from the database to the store and back.

use std::sync::Arc;

use control_plane::publish::queue;
use control_plane::publish::sign;
use control_plane::publish::upload::ConfigStore;
use control_plane::publish::{PublishError, claim};
use control_plane::store::publications::PublicationState::{Live, Pending, Superseded};
use control_plane::{PublishRequest, Settings, publish::Publisher};
use futures::FutureExt as _;
use futures::future;
use object_store::path::Path;
use tokio::sync::{Notify, mpsc};
use tokio_util::sync::CancellationToken;

use crate::faults::{Hooked, failure};
use crate::stores::{Fixture, assert_pointer_is_whole, local, s3};
use crate::world::{ENVIRONMENT, World, add_flag, flags_of, on_both_databases};

/// Two processes change and publish at the same time: nothing of either may be missing afterwards.
async fn publishers_at_once(world: World, fixture: Fixture, rounds: usize) {
    let mut publishers = Vec::new();
    for author in ["ada", "ben"] {
        publishers.push((author, world.connect().await, world.publisher(fixture.store()).await));
    }
    for round in 0..rounds {
        let tasks = publishers.iter().cloned().map(|(author, db, publisher)| {
            tokio::spawn(async move {
                add_flag(&db, &format!("{author}{round:03}")).await;
                publisher.publish(ENVIRONMENT, author).await.unwrap()
            })
        });
        for published in future::join_all(tasks).await {
            published.unwrap();
        }
        let pointed = assert_pointer_is_whole(&fixture.store(), ENVIRONMENT).await.unwrap();
        let highest = claim::highest_generation(&fixture.store(), ENVIRONMENT).await.unwrap();
        assert_eq!(pointed.generation, highest, "round {round}");
        let flags = flags_of(&fixture.store(), &pointed).await;
        assert_eq!(flags.len(), 2 * (round + 1), "round {round}: a change is lost: {flags:?}");
    }
    for (generation, state) in world.states().await {
        assert_ne!(state, Pending, "generation {generation}");
    }
}

/// Requests that one undisturbed publication with one change makes.
async fn steps_of_a_publication(world: &World) -> usize {
    let fixture = local();
    world.publisher(fixture.store()).await.publish(ENVIRONMENT, "first").await.unwrap();
    add_flag(&world.db, "a").await;
    let counting = Hooked::counting(fixture.objects.clone());
    let publisher = world.publisher(ConfigStore::new(Arc::new(counting.clone()))).await;
    publisher.publish(ENVIRONMENT, "second").await.unwrap();
    counting.steps()
}

/// The process dies at every step, before and after it took effect; a new process carries on,
/// with or without a further change in between.
async fn crash_everywhere(world: World, fixture: Fixture, change_meanwhile: bool) {
    let store = fixture.store();
    world.publisher(store.clone()).await.publish(ENVIRONMENT, "first").await.unwrap();
    let mut n_flags = 0;
    let mut seen_pending = 0;
    for at in 0..steps_of_a_publication(&world.another().await).await {
        for done in [false, true] {
            let context = format!("crash at step {at}, done {done}");
            let old = assert_pointer_is_whole(&store, ENVIRONMENT).await.unwrap();
            add_flag(&world.db, &format!("f{n_flags:03}")).await;
            n_flags += 1;
            let dying = Hooked::dying(fixture.objects.clone(), at, done);
            let doomed = world.publisher(ConfigStore::new(Arc::new(dying))).await;
            doomed.publish(ENVIRONMENT, "doomed").await.expect_err(&context);
            drop(doomed);

            let pointed = assert_pointer_is_whole(&store, ENVIRONMENT).await.unwrap();
            let flags = flags_of(&store, &pointed).await.len();
            let expected = if pointed == old { n_flags - 1 } else { n_flags };
            assert_eq!(flags, expected, "{context}: old or new, nothing between");
            seen_pending += world.states().await.iter().filter(|row| row.1 == Pending).count();

            if change_meanwhile {
                add_flag(&world.db, &format!("f{n_flags:03}")).await;
                n_flags += 1;
            }
            let next = world.publisher(store.clone()).await;
            next.publish(ENVIRONMENT, "next").await.unwrap();
            let pointed = assert_pointer_is_whole(&store, ENVIRONMENT).await.unwrap();
            assert_eq!(flags_of(&store, &pointed).await.len(), n_flags, "{context}: recovered");
            assert!(world.states().await.iter().all(|row| row.1 != Pending), "{context}");
            let highest = claim::highest_generation(&store, ENVIRONMENT).await.unwrap();
            assert_eq!(pointed.generation, highest, "{context}");
        }
    }
    assert!(seen_pending >= 8, "a crash after recording leaves a visible row: {seen_pending}");
}

/// A publisher with its background task.
struct Running {
    requests: mpsc::UnboundedSender<PublishRequest>,
    shutdown: CancellationToken,
    task: tokio::task::JoinHandle<()>,
}

impl Running {
    fn start(publisher: Publisher) -> Self {
        let (requests, receiver) = mpsc::unbounded_channel();
        let shutdown = CancellationToken::new();
        let task = tokio::spawn(queue::run(publisher, receiver, shutdown.clone()));
        Self { requests, shutdown, task }
    }

    fn request(&self, author: &str) {
        let author = author.to_owned();
        self.requests
            .send(PublishRequest { environment_id: ENVIRONMENT.to_owned(), author })
            .unwrap();
    }

    async fn stop(self) {
        self.shutdown.cancel();
        self.task.await.unwrap();
    }
}

/// Waits until the pointer names so many flags.
async fn wait_for_flags(store: &ConfigStore, n_flags: usize) {
    for _ in 0..2_000 {
        if let Some(pointed) = claim::pointer(store, ENVIRONMENT).await.unwrap()
            && flags_of(store, &pointed).await.len() == n_flags
        {
            return;
        }
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
    panic!("{n_flags} flags were never published");
}

on_both_databases! {
    async fn an_empty_environment_is_published_signed(world) {
        let fixture = local();
        let publisher = world.publisher(fixture.store()).await;
        let published = publisher.publish(ENVIRONMENT, "ada").await.unwrap();
        assert!(published.changed);
        let pointed = assert_pointer_is_whole(&fixture.store(), ENVIRONMENT).await.unwrap();
        assert_eq!(pointed, published.manifest);
        assert_eq!((pointed.generation, pointed.project.as_str()), (1, "default"));

        let signer = publisher.signer().await.unwrap();
        let blob = fixture.store().read(&Path::from(pointed.object.as_str())).await.unwrap().unwrap();
        assert_eq!(pointed.key_id.as_deref(), Some(signer.key_id()));
        assert!(sign::verify(&signer.public_key(), &blob, pointed.signature.as_deref().unwrap()));
        let named = pointed.client_form.as_ref().unwrap();
        let form = fixture.store().read(&Path::from(named.object.as_str())).await.unwrap().unwrap();
        assert!(sign::verify(&signer.public_key(), &form, named.signature.as_deref().unwrap()));
        let (header, config) = eval_core::blob::decode(&form).unwrap();
        assert!(config.is_client_form());
        assert_eq!((header.generation, header.environment.as_str()), (1, ENVIRONMENT));
        assert!(flags_of(&fixture.store(), &pointed).await.is_empty());
        let another = world.publisher(fixture.store()).await;
        assert_eq!(another.signer().await.unwrap().key_id(), signer.key_id(), "the key is kept");
    }

    async fn what_has_not_changed_is_not_published_again(world) {
        let fixture = local();
        let publisher = world.publisher(fixture.store()).await;
        let first = publisher.publish(ENVIRONMENT, "ada").await.unwrap();
        let again = publisher.publish(ENVIRONMENT, "ben").await.unwrap();
        assert!(!again.changed);
        assert_eq!(again.manifest, first.manifest);

        add_flag(&world.db, "new_nav").await;
        let changed = publisher.publish(ENVIRONMENT, "cyd").await.unwrap();
        assert_eq!((changed.changed, changed.manifest.generation), (true, 2));
        assert_eq!(flags_of(&fixture.store(), &changed.manifest).await, ["new_nav"]);
        let authors = world.publications().await.into_iter().map(|publication| publication.author);
        assert_eq!(authors.collect::<Vec<_>>(), ["ada", "cyd"]);
    }

    async fn an_unknown_environment_is_refused(world) {
        let fixture = local();
        let publisher = world.publisher(fixture.store()).await;
        let error = publisher.publish("staging-aaaaaaaa", "ada").await.unwrap_err();
        assert!(matches!(error, PublishError::UnknownEnvironment(_)), "{error}");
    }

    async fn a_lost_store_is_filled_again_above_the_old_generations(world) {
        let (lost, fresh) = (local(), local());
        world.publisher(lost.store()).await.publish(ENVIRONMENT, "ada").await.unwrap();
        let published = world.publisher(fresh.store()).await.publish(ENVIRONMENT, "ben").await.unwrap();
        assert_eq!((published.changed, published.manifest.generation), (true, 2));
        assert_pointer_is_whole(&fresh.store(), ENVIRONMENT).await.unwrap();
    }

    async fn a_lost_database_goes_on_above_the_generations_of_the_store(first) {
        let (second, fixture) = (first.another().await, local());
        for flag in ["a", "b", "c"] {
            add_flag(&first.db, flag).await;
            first.publisher(fixture.store()).await.publish(ENVIRONMENT, "ada").await.unwrap();
        }
        let published = second.publisher(fixture.store()).await.publish(ENVIRONMENT, "ben").await;
        assert_eq!(published.unwrap().manifest.generation, 4);
        let pointed = assert_pointer_is_whole(&fixture.store(), ENVIRONMENT).await.unwrap();
        assert!(flags_of(&fixture.store(), &pointed).await.is_empty());
    }

    async fn two_processes_at_once_lose_no_change_in_a_folder(world) {
        publishers_at_once(world, local(), 40).await;
    }

    async fn two_processes_at_once_lose_no_change_on_s3(world) {
        publishers_at_once(world, s3().await, 10).await;
    }

    async fn a_process_that_dies_at_any_step_is_carried_on_in_a_folder(world) {
        crash_everywhere(world.another().await, local(), false).await;
        crash_everywhere(world, local(), true).await;
    }

    async fn a_process_that_dies_at_any_step_is_carried_on_on_s3(world) {
        crash_everywhere(world.another().await, s3().await, false).await;
        crash_everywhere(world, s3().await, true).await;
    }

    /// A process stops after recording its publication, before anything is uploaded, and comes back when
    /// a newer generation is live.
    async fn a_process_that_was_overtaken_does_not_go_back(world) {
        let fixture = local();
        let store = fixture.store();
        world.publisher(store.clone()).await.publish(ENVIRONMENT, "first").await.unwrap();
        add_flag(&world.db, "a").await;

        let (reached, release) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
        let hooked = {
            let (reached, release) = (reached.clone(), release.clone());
            Hooked::new(
                fixture.objects.clone(),
                Arc::new(move |step| {
                    if step.verb != "put" || step.done || !step.path.contains("configs") {
                        return future::ready(Ok(())).boxed();
                    }
                    let (reached, release) = (reached.clone(), release.clone());
                    async move {
                        reached.notify_one();
                        release.notified().await;
                        Ok(())
                    }
                    .boxed()
                }),
            )
        };
        let slow = world.publisher(ConfigStore::new(Arc::new(hooked))).await;
        let task = tokio::spawn(async move { slow.publish(ENVIRONMENT, "slow").await });
        reached.notified().await;
        assert_eq!(world.states().await, [(1, Live), (2, Pending)]);

        // The quick process finishes the slow one's publication with the recorded bytes, then its own.
        add_flag(&world.db, "b").await;
        let quick = world.publisher(store.clone()).await;
        assert_eq!(quick.publish(ENVIRONMENT, "quick").await.unwrap().manifest.generation, 3);
        assert_eq!(world.states().await, [(1, Live), (2, Live), (3, Live)]);

        while !task.is_finished() {
            release.notify_one();
            tokio::task::yield_now().await;
        }
        task.await.unwrap().unwrap();
        let pointed = assert_pointer_is_whole(&store, ENVIRONMENT).await.unwrap();
        assert_eq!(pointed.generation, 3);
        assert_eq!(flags_of(&store, &pointed).await, ["a", "b"]);
    }

    /// A second database that publishes to the same environment takes the number that the first has
    /// recorded: the claim is lost, the row is superseded, the change is published above.
    async fn a_generation_taken_by_foreign_content_is_left_to_it(world) {
        let (foreign, fixture) = (world.another().await, local());
        let store = fixture.store();
        add_flag(&world.db, "ours").await;
        add_flag(&foreign.db, "theirs").await;
        let hooked = {
            let foreign = Arc::new(foreign.publisher(store.clone()).await);
            Hooked::new(
                fixture.objects.clone(),
                Arc::new(move |step| {
                    let foreign = foreign.clone();
                    let claim =
                        step.verb == "put" && step.path.contains("manifests/00000000000000000001");
                    if !claim || step.done {
                        return future::ready(Ok(())).boxed();
                    }
                    async move {
                        foreign.publish(ENVIRONMENT, "foreign").await.unwrap();
                        Ok(())
                    }
                    .boxed()
                }),
            )
        };
        let publisher = world.publisher(ConfigStore::new(Arc::new(hooked))).await;
        let published = publisher.publish(ENVIRONMENT, "ada").await.unwrap();
        assert_eq!(published.manifest.generation, 2);
        assert_eq!(world.states().await, [(1, Superseded), (2, Live)]);
        let pointed = assert_pointer_is_whole(&store, ENVIRONMENT).await.unwrap();
        assert_eq!(flags_of(&store, &pointed).await, ["ours"]);
        let first = claim::manifest(&store, ENVIRONMENT, 1).await.unwrap().unwrap();
        assert_eq!(flags_of(&store, &first).await, ["theirs"]);
    }

    /// The answer to a successful claim is lost and the store's client tries again: `AlreadyExists`
    /// with our own content.
    async fn a_claim_whose_answer_was_lost_is_ours(world) {
        let fixture = local();
        let hooked = Hooked::new(
            fixture.objects.clone(),
            Arc::new(|step| {
                let claim = step.verb == "put" && step.path.contains("manifests/");
                let lost = claim && step.done;
                future::ready(if lost { Err(failure(&step)) } else { Ok(()) }).boxed()
            }),
        );
        let doomed = world.publisher(ConfigStore::new(Arc::new(hooked))).await;
        doomed.publish(ENVIRONMENT, "ada").await.unwrap_err();
        let again = world.publisher(fixture.store()).await.publish(ENVIRONMENT, "ada").await.unwrap();
        assert_eq!((again.changed, again.manifest.generation), (false, 1));
        assert_eq!(world.states().await, [(1, Live)]);
    }

    async fn rolling_back_publishes_old_definitions_under_a_new_generation(world) {
        let fixture = local();
        let store = fixture.store();
        let publisher = world.publisher(store.clone()).await;
        for flag in ["a", "b"] {
            add_flag(&world.db, flag).await;
            publisher.publish(ENVIRONMENT, "ada").await.unwrap();
        }
        let rolled = publisher.roll_back(ENVIRONMENT, 1, "ben").await.unwrap().manifest;
        assert_eq!(rolled.generation, 3);
        assert_eq!(flags_of(&store, &rolled).await, ["a"]);
        assert_eq!(assert_pointer_is_whole(&store, ENVIRONMENT).await.unwrap(), rolled);
        assert_eq!(world.publications().await[2].rollback_of, Some(1));
        let body = async |generation| {
            let manifest = claim::manifest(&store, ENVIRONMENT, generation).await.unwrap().unwrap();
            let blob = store.read(&Path::from(manifest.object)).await.unwrap().unwrap();
            eval_core::blob::verify(&blob).unwrap().1.to_vec()
        };
        assert_eq!(body(1).await, body(3).await, "the archived body, byte for byte");

        let unchanged = publisher.publish(ENVIRONMENT, "cyd").await.unwrap();
        assert!(!unchanged.changed, "the same definitions do not undo the rollback");
        add_flag(&world.db, "c").await;
        let changed = publisher.publish(ENVIRONMENT, "cyd").await.unwrap().manifest;
        assert_eq!(flags_of(&store, &changed).await, ["a", "b", "c"]);

        let error = publisher.roll_back(ENVIRONMENT, 99, "ben").await.unwrap_err();
        assert!(matches!(error, PublishError::UnknownGeneration(99)), "{error}");
    }

    async fn requests_that_come_together_share_a_generation(world) {
        let fixture = local();
        let running = Running::start(world.publisher(fixture.store()).await);
        wait_for_flags(&fixture.store(), 0).await;
        for number in 0..50 {
            add_flag(&world.db, &format!("f{number:02}")).await;
            running.request("ada");
        }
        wait_for_flags(&fixture.store(), 50).await;
        let n_generations = world.states().await.len();
        assert!(n_generations < 50, "{n_generations} generations for 50 changes");
        running.stop().await;
    }

    async fn stopping_publishes_what_was_asked_for(world) {
        let fixture = local();
        let running = Running::start(world.publisher(fixture.store()).await);
        add_flag(&world.db, "a").await;
        running.request("ada");
        running.stop().await;
        let pointed = assert_pointer_is_whole(&fixture.store(), ENVIRONMENT).await.unwrap();
        assert_eq!(flags_of(&fixture.store(), &pointed).await, ["a"]);
    }

    async fn a_start_publishes_what_a_crash_kept_from_being_asked_for(world) {
        let fixture = local();
        world.publisher(fixture.store()).await.publish(ENVIRONMENT, "ada").await.unwrap();
        add_flag(&world.db, "committed_but_never_announced").await;
        let running = Running::start(world.publisher(fixture.store()).await);
        wait_for_flags(&fixture.store(), 1).await;
        running.stop().await;
    }

    async fn a_start_fills_a_store_that_has_lost_everything(world) {
        let (lost, fresh) = (local(), local());
        add_flag(&world.db, "a").await;
        world.publisher(lost.store()).await.publish(ENVIRONMENT, "ada").await.unwrap();
        let running = Running::start(world.publisher(fresh.store()).await);
        wait_for_flags(&fresh.store(), 1).await;
        running.stop().await;
    }

    async fn a_store_that_comes_back_gets_what_it_missed(world) {
        let fixture = local();
        world.publisher(fixture.store()).await.publish(ENVIRONMENT, "ada").await.unwrap();
        let away = Arc::new(std::sync::atomic::AtomicBool::new(true));
        let hooked = {
            let away = away.clone();
            Hooked::new(
                fixture.objects.clone(),
                Arc::new(move |step| {
                    let away = away.load(std::sync::atomic::Ordering::SeqCst);
                    future::ready(if away { Err(failure(&step)) } else { Ok(()) }).boxed()
                }),
            )
        };
        let running = Running::start(world.publisher(ConfigStore::new(Arc::new(hooked.clone()))).await);
        add_flag(&world.db, "a").await;
        running.request("ada");
        while hooked.steps() < 3 {
            tokio::time::sleep(std::time::Duration::from_millis(10)).await;
        }
        away.store(false, std::sync::atomic::Ordering::SeqCst);
        wait_for_flags(&fixture.store(), 1).await;
        running.stop().await;
    }

    async fn the_settings_decide_which_key_signs(world) {
        let fixture = local();
        let settings = Settings { signing_key: Some([7; 32]), ..Settings::default() };
        let publisher = Publisher::with_store(world.connect().await, fixture.store(), &settings);
        let manifest = publisher.publish(ENVIRONMENT, "ada").await.unwrap().manifest;
        assert_eq!(manifest.key_id.as_deref(), Some(sign::Signer::from_seed(&[7; 32]).key_id()));
    }

    async fn keys_are_told_until_no_edge_needs_them(world) {
        let fixture = local();
        let publisher = async |signing_key| {
            let settings = Settings { signing_key, ..Settings::default() };
            Publisher::with_store(world.connect().await, fixture.store(), &settings)
        };
        let told = async |signing_key| {
            let keys = publisher(signing_key).await.public_keys().await.unwrap();
            keys.into_iter().map(|key| (key.key_id, key.public_key, key.active, key.in_use)).collect::<Vec<_>>()
        };
        let row = |signer: &sign::Signer, active, in_use| {
            (signer.key_id().to_owned(), Some(signer.public_key()), active, in_use)
        };
        let first = publisher(None).await;
        let kept = first.signer().await.unwrap().clone();
        let [old, new] = [[1; 32], [2; 32]].map(|seed| sign::Signer::from_seed(&seed));
        assert_eq!(told(None).await, [row(&kept, true, false)], "nothing is published yet");
        first.publish(ENVIRONMENT, "ada").await.unwrap();
        assert_eq!(told(None).await, [row(&kept, true, true)]);

        assert_eq!(told(Some([1; 32])).await, [row(&old, true, false), row(&kept, false, true)]);
        publisher(Some([1; 32])).await.publish(ENVIRONMENT, "ada").await.unwrap();
        assert_eq!(told(Some([1; 32])).await, [row(&old, true, true), row(&kept, false, false)]);

        let forgotten = (old.key_id().to_owned(), None, false, true);
        assert_eq!(told(Some([2; 32])).await, [row(&new, true, false), row(&kept, false, false), forgotten]);
        publisher(Some([2; 32])).await.publish(ENVIRONMENT, "ada").await.unwrap();
        assert_eq!(told(Some([2; 32])).await, [row(&new, true, true), row(&kept, false, false)]);
    }

    async fn a_new_key_signs_everything_again_but_what_was_rolled_back(world) {
        let fixture = local();
        let publisher = async |byte| {
            let settings = Settings { signing_key: Some([byte; 32]), ..Settings::default() };
            Publisher::with_store(world.connect().await, fixture.store(), &settings)
        };
        let first = publisher(1).await.publish(ENVIRONMENT, "ada").await.unwrap().manifest;
        assert!(!publisher(1).await.publish(ENVIRONMENT, "ada").await.unwrap().changed);
        let again = publisher(2).await.publish(ENVIRONMENT, "ada").await.unwrap();
        assert!(again.changed && again.manifest.generation > first.generation);
        assert_eq!(again.manifest.key_id.as_deref(), Some(sign::Signer::from_seed(&[2; 32]).key_id()));
        let back = publisher(2).await.roll_back(ENVIRONMENT, first.generation, "ada").await.unwrap();
        let kept = publisher(3).await.publish(ENVIRONMENT, "ada").await.unwrap();
        assert!(!kept.changed, "what was rolled back stays until its definitions change");
        assert_eq!(kept.manifest, back.manifest);
    }
}
