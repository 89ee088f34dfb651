//! The threads that deliveries run on, apart from those that accept events: the system divides the processors between the
//! two, so that neither waits in a queue behind the other.

use std::io;
use std::thread::available_parallelism;

use tokio::runtime::{Builder, Handle, Runtime};

/// A runtime for deliveries alone. Its tasks end with it.
pub struct DeliveryThreads {
    handle: Handle,
    runtime: Option<Runtime>,
}

impl DeliveryThreads {
    /// Starts a thread for every two processors: with as many as there are processors, an event delivered costs a third
    /// more of their time on a machine that has two.
    ///
    /// # Errors
    /// The system starts no more threads.
    pub fn start() -> io::Result<Self> {
        let threads = available_parallelism().map_or(1, |processors| processors.get().div_ceil(2));
        let runtime = Builder::new_multi_thread()
            .worker_threads(threads)
            .thread_name("deliver")
            .enable_all()
            .build()?;
        Ok(Self { handle: runtime.handle().clone(), runtime: Some(runtime) })
    }

    /// Returns the handle that tasks are started with.
    pub fn handle(&self) -> Handle {
        self.handle.clone()
    }
}

impl Drop for DeliveryThreads {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            // It is dropped within another runtime, which must not wait.
            runtime.shutdown_background();
        }
    }
}
