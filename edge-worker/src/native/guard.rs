//! What a panic may not do: leave a request without an answer, or end a task that everything depends on.

use std::any::Any;
use std::future::Future;
use std::panic::AssertUnwindSafe;
use std::time::Duration;

use futures::FutureExt as _;

use crate::service::Service;

/// Time after which a task that panicked is begun anew.
const REST: Duration = Duration::from_secs(1);

/// What a future gives; `None` when it panicked, which is counted and logged. The service holds plain data behind locks that outlive a
/// panic, so it can go on.
pub(super) async fn catch<F: Future>(
    service: &Service,
    what: &str,
    future: F,
) -> Option<F::Output> {
    match AssertUnwindSafe(future).catch_unwind().await {
        Ok(output) => Some(output),
        Err(panic) => {
            report(service, what, &*panic);
            None
        }
    }
}

/// The same of a function.
pub(super) fn catch_in<T>(
    service: &Service,
    what: &str,
    function: impl FnOnce() -> T,
) -> Option<T> {
    std::panic::catch_unwind(AssertUnwindSafe(function))
        .map_err(|panic| report(service, what, &*panic))
        .ok()
}

/// Runs a task to its end; one that panics is begun anew.
pub(super) async fn keep_running<F: Future<Output = ()>>(
    service: &Service,
    what: &str,
    mut task: impl FnMut() -> F,
) {
    while catch(service, what, task()).await.is_none() {
        tokio::time::sleep(REST).await;
    }
}

fn report(service: &Service, what: &str, panic: &(dyn Any + Send)) {
    service.count_panics(1);
    let text = panic
        .downcast_ref::<String>()
        .map(String::as_str)
        .or_else(|| panic.downcast_ref::<&str>().copied())
        .unwrap_or("no message");
    tracing::error!(what, panic = text, "panicked; going on");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn panics_are_counted_and_tasks_go_on() {
        let service = Service::default();
        assert_eq!(catch(&service, "a request", async { 7 }).await, Some(7));
        assert_eq!(catch::<_>(&service, "a request", async { panic!("a bug") }).await, None::<()>);
        assert_eq!(catch_in(&service, "a function", || panic!("a bug")), None::<()>);
        let mut n_begun = 0;
        keep_running(&service, "a task", || {
            n_begun += 1;
            let is_first = n_begun == 1;
            async move { assert!(!is_first, "a bug") }
        })
        .await;
        assert_eq!((n_begun, service.n_panics()), (2, 3));
    }
}
