//! Parts that run side by side: the first one that ends before it was told to ends all of them.

use std::future::Future;

use anyhow::anyhow;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

/// Parts that are ended together.
pub(crate) struct Parts {
    tasks: JoinSet<()>,
    shutdown: CancellationToken,
    failures: mpsc::UnboundedSender<anyhow::Error>,
}

impl Parts {
    /// No parts yet. What goes wrong with one is sent to `failures`.
    pub(crate) fn new(failures: mpsc::UnboundedSender<anyhow::Error>) -> Self {
        Self { tasks: JoinSet::new(), shutdown: CancellationToken::new(), failures }
    }

    /// Starts a part, which must run until its token is cancelled.
    pub(crate) fn start<F>(&mut self, name: &'static str, part: impl FnOnce(CancellationToken) -> F)
    where
        F: Future<Output = anyhow::Result<()>> + Send + 'static,
    {
        let running = tokio::spawn(part(self.shutdown.clone()));
        let shutdown = self.shutdown.clone();
        let failures = self.failures.clone();
        self.tasks.spawn(async move {
            let failure = match running.await {
                Ok(Ok(())) if shutdown.is_cancelled() => return,
                Ok(Ok(())) => anyhow!("it ended by itself"),
                Ok(Err(error)) => error,
                Err(error) => error.into(),
            };
            let _ = failures.send(failure.context(name));
        });
    }

    /// Tells all parts to end and waits until they have.
    pub(crate) async fn end(mut self) {
        self.shutdown.cancel();
        while self.tasks.join_next().await.is_some() {}
    }
}

#[cfg(test)]
mod tests {
    use tokio::sync::mpsc;

    use super::Parts;

    #[tokio::test]
    async fn a_part_that_ends_by_itself_is_a_failure_with_its_name() {
        let (sender, mut failures) = mpsc::unbounded_channel();
        let mut parts = Parts::new(sender);
        parts.start("collector", |_| async { Ok(()) });
        let failure = failures.recv().await.unwrap();
        assert_eq!(format!("{failure:#}"), "collector: it ended by itself");
        parts.end().await;
    }

    #[tokio::test]
    async fn a_part_that_panics_is_a_failure() {
        let (sender, mut failures) = mpsc::unbounded_channel();
        let mut parts = Parts::new(sender);
        parts.start("analysis", |_| async { panic!("a bug") });
        assert!(format!("{:#}", failures.recv().await.unwrap()).contains("panicked"));
        parts.end().await;
    }

    #[tokio::test]
    async fn a_part_that_ends_when_told_to_is_no_failure() {
        let (sender, mut failures) = mpsc::unbounded_channel();
        let mut parts = Parts::new(sender);
        parts.start("control plane", |shutdown| async move {
            shutdown.cancelled().await;
            Ok(())
        });
        parts.end().await;
        assert!(failures.recv().await.is_none());
    }
}
