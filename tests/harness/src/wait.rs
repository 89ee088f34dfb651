//! Waiting for a condition: of an object by watching it, of anything else by asking again.

use std::fmt::Debug;
use std::time::{Duration, Instant};

use k8s_openapi::serde::de::DeserializeOwned;
use kube::Api;
use kube::runtime::wait::{Condition, await_condition};

/// Maximum time of any condition. It bounds a failing test, not a passing one, and is long because the machine may be
/// building something at the same time.
pub const DEADLINE: Duration = Duration::from_mins(4);

/// Waits until the object of that name, or its absence, meets the condition.
/// Returns it as it was then.
///
/// # Panics
/// After [`DEADLINE`], with the object as it is.
pub async fn wait_until<K>(api: &Api<K>, name: &str, condition: impl Fn(Option<&K>) -> bool) -> Option<K>
where
    K: Clone + Debug + Send + DeserializeOwned + kube::Resource + 'static,
{
    let waiting = await_condition(api.clone(), name, move |object: Option<&K>| condition(object));
    match tokio::time::timeout(DEADLINE, waiting).await {
        Ok(Ok(object)) => object,
        Ok(Err(error)) => panic!("watch {}: {error}", describe::<K>(name)),
        Err(_) => {
            let now = api.get_opt(name).await;
            panic!("{} did not come to meet the condition; it is {now:#?}", describe::<K>(name))
        }
    }
}

/// Waits for one of kube's own conditions (`kube::runtime::conditions`).
///
/// # Panics
/// As [`wait_until`].
pub async fn wait_for<K>(api: &Api<K>, name: &str, condition: impl Condition<K>) -> Option<K>
where
    K: Clone + Debug + Send + DeserializeOwned + kube::Resource + 'static,
{
    wait_until(api, name, |object| condition.matches_object(object)).await
}

/// Asks again and again until the answer satisfies, and returns that answer: for what cannot be watched.
///
/// # Panics
/// After [`DEADLINE`], with the last answer.
pub async fn eventually<T: Debug, Asked: Future<Output = T>>(
    what: &str,
    ask: impl Fn() -> Asked,
    satisfies: impl Fn(&T) -> bool,
) -> T {
    within(DEADLINE, what, ask, satisfies).await
}

/// Waits as [`eventually`] does, with this limit.
///
/// # Panics
/// After the limit, with the last answer.
pub async fn within<T: Debug, Asked: Future<Output = T>>(
    limit: Duration,
    what: &str,
    ask: impl Fn() -> Asked,
    satisfies: impl Fn(&T) -> bool,
) -> T {
    let began = Instant::now();
    loop {
        let answer = ask().await;
        if satisfies(&answer) {
            return answer;
        }
        assert!(began.elapsed() < limit, "not in {limit:?}: {what}; last seen: {answer:?}");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

fn describe<K>(name: &str) -> String {
    let kind = std::any::type_name::<K>().rsplit("::").next().unwrap_or_default();
    format!("{kind} {name}")
}
