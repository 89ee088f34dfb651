//! Watches that the API server refuses. Objects that cannot be seen would be taken for missing, so a resource that
//! depends on them is not applied, and its status says why.

use std::collections::BTreeMap;

use kube::runtime::watcher::{self, Event};
use tokio::sync::watch;

use crate::error::refused;

/// Refused watches: for each kind the API server's answer. Clones share it.
#[derive(Clone, Debug, Default)]
pub struct Refusals(watch::Sender<BTreeMap<String, String>>);

impl Refusals {
    /// Listens to a watch of this kind.
    pub fn of<K>(&self, kind: &str) -> impl Fn(&Result<Event<K>, watcher::Error>) + Send + use<K> {
        let (refusals, kind) = (self.clone(), kind.to_owned());
        move |event| match event {
            Ok(Event::Init) => {} // comes before the API server is asked
            Ok(_) => drop(refusals.0.send_if_modified(|all| all.remove(&kind).is_some())),
            Err(watcher::Error::InitialListFailed(answer)) => {
                if let Some(refusal) = refused(&format!("list each {kind}"), answer) {
                    refusals.0.send_modify(|all| drop(all.insert(kind.clone(), refusal)));
                }
            }
            Err(_) => {}
        }
    }

    /// Returns the first of them, once there is one.
    pub async fn first(&self) -> String {
        let mut refusals = self.0.subscribe();
        let some = refusals.wait_for(|all| !all.is_empty()).await;
        some.ok().and_then(|all| all.values().next().cloned()).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use futures::FutureExt;
    use kube::core::Status;

    use super::*;

    fn forbidden(message: &str) -> Result<Event<()>, watcher::Error> {
        let status = Status::failure(message, "Forbidden").with_code(403);
        Err(watcher::Error::InitialListFailed(kube::Error::Api(status.boxed())))
    }

    #[test]
    fn refusal_is_told_until_there_is_a_list() {
        let refusals = Refusals::default();
        let (secrets, jobs) = (refusals.of("Secret"), refusals.of("Job"));
        let told = || refusals.first().now_or_never();
        secrets(&Err(watcher::Error::NoResourceVersion));
        assert_eq!(told(), None);

        for hear in [&secrets as &dyn Fn(&_), &jobs] {
            hear(&Ok(Event::Init));
            hear(&forbidden("no"));
            hear(&Ok(Event::Init));
        }
        assert_eq!(told(), Some("the API server refuses to list each Job: no".to_owned()));
        jobs(&Ok(Event::InitDone));
        assert_eq!(told(), Some("the API server refuses to list each Secret: no".to_owned()));
        secrets(&Ok(Event::InitDone));
        assert_eq!(told(), None);
    }
}
