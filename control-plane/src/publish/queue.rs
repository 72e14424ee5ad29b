//! When publishing happens: soon after a request, together with what else was asked for meanwhile,
//! again after a failure, and for everything that changed while nobody was there to publish it.

use std::collections::{BTreeSet, HashMap};
use std::time::Duration;

use tokio::sync::mpsc::UnboundedReceiver;
use tokio::task::JoinSet;
use tokio::time::{Instant, MissedTickBehavior, interval, sleep_until, timeout};
use tokio_util::sync::CancellationToken;

use super::{PublishError, Published, Publisher};
use crate::state::PublishRequest;
use crate::store::{environments, publications};

/// How long a request waits for others to join it.
const COALESCE: Duration = Duration::from_millis(20);
/// Time between two looks for environments that changed without a request having arrived.
const SWEEP: Duration = Duration::from_secs(5);
/// Pause after the first failure; doubles with each further one.
const FIRST_RETRY: Duration = Duration::from_millis(250);
/// Longest pause between two tries.
const LONGEST_RETRY: Duration = Duration::from_secs(30);
/// How long stopping waits for what is under way.
const LAST_CALL: Duration = Duration::from_secs(10);
/// Environments that are published at the same time.
const MAX_AT_ONCE: usize = 4;
/// Who publishes what nobody asked for.
const SELF: &str = "sortition";

type Outcome = (String, Result<Published, PublishError>);

/// Publishes what is asked for until `shutdown`. Begins with every environment, which costs a compile
/// each where nothing has changed, and mends a store that has lost something.
pub async fn run(
    publisher: Publisher,
    mut requests: UnboundedReceiver<PublishRequest>,
    shutdown: CancellationToken,
) {
    let mut queue = Queue { publisher, waiting: HashMap::new(), running: JoinSet::new() };
    queue.ask_for_all().await;
    let mut sweep = interval(SWEEP);
    sweep.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        let next_due = queue.next_due();
        tokio::select! {
            () = shutdown.cancelled() => break,
            request = requests.recv() => match request {
                Some(request) => queue.request(request),
                None => break,
            },
            Some(done) = queue.running.join_next(), if !queue.running.is_empty() => {
                queue.finished(done);
            }
            _ = sweep.tick() => queue.sweep().await,
            () = sleep_until(next_due.unwrap_or_else(Instant::now)), if next_due.is_some() => {}
        }
        queue.start_due(Instant::now());
    }
    while let Ok(request) = requests.try_recv() {
        queue.request(request);
    }
    queue.finish().await;
}

struct Queue {
    publisher: Publisher,
    waiting: HashMap<String, Waiting>,
    running: JoinSet<Outcome>,
}

/// An environment that was asked for or is being published.
struct Waiting {
    /// Who asked since the last start.
    authors: BTreeSet<String>,
    /// When to start.
    due: Instant,
    /// Whether it is being published now; what is asked for meanwhile starts afterwards.
    running: bool,
    /// Failures in a row.
    n_failures: u32,
}

impl Queue {
    fn request(&mut self, request: PublishRequest) {
        let due = Instant::now() + COALESCE;
        let waiting = self.entry(request.environment_id);
        // The first of several requests decides when; a request after a failure does not wait.
        if waiting.authors.is_empty() || waiting.n_failures > 0 {
            waiting.due = due;
        }
        waiting.authors.insert(request.author);
    }

    fn entry(&mut self, environment_id: String) -> &mut Waiting {
        self.waiting.entry(environment_id).or_insert_with(|| Waiting {
            authors: BTreeSet::new(),
            due: Instant::now(),
            running: false,
            n_failures: 0,
        })
    }

    fn next_due(&self) -> Option<Instant> {
        if self.running.len() >= MAX_AT_ONCE {
            return None; // The next one starts when one of them has finished.
        }
        self.waiting
            .values()
            .filter(|waiting| !waiting.running && !waiting.authors.is_empty())
            .map(|waiting| waiting.due)
            .min()
    }

    fn start_due(&mut self, now: Instant) {
        for (environment_id, waiting) in &mut self.waiting {
            if self.running.len() >= MAX_AT_ONCE {
                return;
            }
            if waiting.running || waiting.authors.is_empty() || waiting.due > now {
                continue;
            }
            waiting.running = true;
            let author = Vec::from_iter(std::mem::take(&mut waiting.authors)).join(", ");
            let (publisher, environment_id) = (self.publisher.clone(), environment_id.clone());
            self.running.spawn(async move {
                let outcome = publisher.publish(&environment_id, &author).await;
                (environment_id, outcome)
            });
        }
    }

    fn finished(&mut self, done: Result<Outcome, tokio::task::JoinError>) {
        let (environment_id, outcome) = match done {
            Ok(outcome) => outcome,
            Err(error) => {
                // A panic took the environment's name with it; the next sweep finds it.
                tracing::error!(%error, "publishing panicked");
                self.waiting.retain(|_, waiting| !waiting.running);
                return;
            }
        };
        let Some(waiting) = self.waiting.get_mut(&environment_id) else { return };
        waiting.running = false;
        let Err(error) = outcome else {
            waiting.n_failures = 0;
            if waiting.authors.is_empty() {
                self.waiting.remove(&environment_id);
            }
            return;
        };
        metrics::counter!("sortition_publish_failures_total").increment(1);
        tracing::error!(environment_id, %error, "publishing failed");
        if matches!(error, PublishError::UnknownEnvironment(_)) {
            self.waiting.remove(&environment_id);
            return;
        }
        // What does not compile is tried again too, in case a request was lost; it costs little.
        let pause = FIRST_RETRY * 2_u32.saturating_pow(waiting.n_failures);
        let pause = if error.is_transient() { pause.min(LONGEST_RETRY) } else { LONGEST_RETRY };
        waiting.due = Instant::now() + pause;
        waiting.n_failures += 1;
        waiting.authors.insert(SELF.to_owned());
    }

    /// Asks for every environment.
    async fn ask_for_all(&mut self) {
        let all = async {
            let mut tx = self.publisher.db.read().await?;
            let revisions = environments::revisions(&mut tx).await?;
            Ok(revisions.into_iter().map(|(environment_id, ..)| environment_id).collect())
        };
        let all = all.await;
        self.ask_for(all);
    }

    /// Asks for every environment whose definitions are newer than what was published of them, and
    /// for those with a pending publication: a crash may have swallowed the request.
    async fn sweep(&mut self) {
        let outdated = async {
            let mut tx = self.publisher.db.read().await?;
            publications::environments_to_publish(&mut tx).await
        };
        let outdated = outdated.await;
        self.ask_for(outdated);
    }

    fn ask_for(&mut self, environment_ids: anyhow::Result<Vec<String>>) {
        match environment_ids {
            Ok(environment_ids) => {
                for environment_id in environment_ids {
                    let waiting = self.entry(environment_id);
                    if !waiting.running && waiting.authors.is_empty() {
                        waiting.authors.insert(SELF.to_owned());
                    }
                }
            }
            Err(error) => tracing::error!(error = format!("{error:#}"), "cannot look for changes"),
        }
    }

    /// Publishes what was asked for and waits for what is under way, but not for ever: the next
    /// start does the rest.
    async fn finish(mut self) {
        let last_call = timeout(LAST_CALL, async {
            loop {
                self.start_due(Instant::now() + LAST_CALL);
                match self.running.join_next().await {
                    Some(Ok((environment_id, _))) => {
                        if let Some(waiting) = self.waiting.get_mut(&environment_id) {
                            waiting.running = false;
                        }
                    }
                    Some(Err(_)) => {}
                    None => break,
                }
            }
        });
        if last_call.await.is_err() {
            tracing::warn!("stopped before everything was published; the next start does it");
        }
    }
}
