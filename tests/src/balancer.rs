//! A balancer like a Service: connections go to the backends that are known to be ready, and it learns changes late.

use std::{
    net::SocketAddr,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use tokio::{
    io::copy_bidirectional,
    net::{TcpListener, TcpStream},
    task::JoinSet,
    time::sleep,
};

use crate::{address::Address, manifest::RELAY_PORT, probes::Probes};

/// Interval of the probes of each backend.
const ASKED: Duration = Duration::from_millis(100);
/// Delay from a probe's answer to its effect.
const LATE: Duration = Duration::from_millis(500);

/// Server that may get connections.
#[derive(Clone, Debug)]
pub struct Backend {
    /// Address that it listens on.
    pub address: SocketAddr,
    /// Probes that tell whether it is ready.
    pub probes: Probes,
}

/// A running balancer. It ends when this is dropped.
#[derive(Debug)]
pub struct Balancer {
    address: Address,
    ready: Arc<Mutex<Vec<SocketAddr>>>,
    _tasks: JoinSet<()>,
}

impl Balancer {
    /// Starts a balancer before these backends, none of which is known to be ready yet.
    pub async fn before(backends: impl IntoIterator<Item = Backend>) -> Self {
        let address = Address::take();
        let socket = TcpListener::bind(address.port(RELAY_PORT)).await.unwrap();
        let ready = Arc::<Mutex<Vec<SocketAddr>>>::default();
        let mut tasks = JoinSet::new();
        tasks.spawn(balance(socket, ready.clone()));
        for backend in backends {
            tasks.spawn(learn(backend, ready.clone()));
        }
        Self { address, ready, _tasks: tasks }
    }

    /// Returns the address that it listens on.
    pub fn address(&self) -> SocketAddr {
        self.address.port(RELAY_PORT)
    }

    /// Returns the number of backends that it sends connections to.
    pub fn ready(&self) -> usize {
        self.ready.lock().unwrap().len()
    }
}

async fn learn(backend: Backend, ready: Arc<Mutex<Vec<SocketAddr>>>) {
    loop {
        let is_ready = backend.probes.is_ready().await;
        let (address, ready) = (backend.address, ready.clone());
        tokio::spawn(async move {
            sleep(LATE).await;
            let mut ready = ready.lock().unwrap();
            ready.retain(|one| *one != address);
            if is_ready {
                ready.push(address);
            }
        });
        sleep(ASKED).await;
    }
}

async fn balance(socket: TcpListener, ready: Arc<Mutex<Vec<SocketAddr>>>) {
    let next = AtomicUsize::new(0);
    let mut connections = JoinSet::new();
    loop {
        let (mut client, _) = socket.accept().await.unwrap();
        let backend = {
            let ready = ready.lock().unwrap();
            let number = next.fetch_add(1, Ordering::Relaxed);
            (!ready.is_empty()).then(|| ready[number % ready.len()])
        };
        // Without a backend, or if that one has gone, the client is hung up on, as it would be refused.
        let Some(backend) = backend else { continue };
        connections.spawn(async move {
            if let Ok(mut server) = TcpStream::connect(backend).await {
                let _ = copy_bidirectional(&mut client, &mut server).await;
            }
        });
        while connections.try_join_next().is_some() {}
    }
}
