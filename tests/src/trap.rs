//! Listeners at forbidden addresses: a trap accepts every connection and records the address that it was meant for.

use std::{
    collections::BTreeMap,
    net::SocketAddr,
    sync::{Arc, Mutex},
};

use tokio::{net::TcpListener, task::JoinSet};

/// A listener that records every connection to it.
#[derive(Debug)]
pub struct Trap {
    caught: Arc<Mutex<Caught>>,
    _tasks: JoinSet<()>,
}

/// Number of connections that each address was meant for.
pub type Caught = BTreeMap<SocketAddr, usize>;

impl Trap {
    /// Listens on these addresses. An unspecified address covers every one on which no other program listens.
    pub async fn set(places: &[SocketAddr]) -> Self {
        let caught = Arc::new(Mutex::new(Caught::new()));
        let mut tasks = JoinSet::new();
        for place in places {
            let listener = TcpListener::bind(place).await.unwrap();
            tasks.spawn(wait(listener, caught.clone()));
        }
        Self { caught, _tasks: tasks }
    }

    /// Returns the connections that it has caught so far.
    pub fn caught(&self) -> Caught {
        self.caught.lock().unwrap().clone()
    }
}

async fn wait(listener: TcpListener, caught: Arc<Mutex<Caught>>) {
    loop {
        let (stream, _) = listener.accept().await.unwrap();
        let meant = stream.local_addr().unwrap();
        let meant = SocketAddr::new(meant.ip().to_canonical(), meant.port());
        *caught.lock().unwrap().entry(meant).or_default() += 1;
    }
}
