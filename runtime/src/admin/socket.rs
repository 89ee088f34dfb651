//! The admin socket: a Unix socket in the data folder. A user who may open the folder may read dead letters, redrive
//! and discard. The socket is not reachable over a network.

use std::{
    fs, io,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    time::Duration,
};

use axum::Router;
use bytes::Bytes;
use futures::FutureExt;
use http::{Method, Request, Response, StatusCode, header::CONTENT_TYPE, header::HOST};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper_util::rt::TokioIo;
use serde::{Serialize, de::DeserializeOwned};
use tokio::net::{UnixListener, UnixStream};

/// The socket's name in the data folder.
const SOCKET: &str = "admin.sock";
/// Maximum time for which a stopping process waits for clients that still read an answer.
const FINISH: Duration = Duration::from_secs(2);

/// The bound socket of the server. Its file is removed when this is dropped.
#[derive(Debug)]
pub struct AdminSocket {
    listener: UnixListener,
    file: SocketFile,
}

#[derive(Debug)]
struct SocketFile(PathBuf);

impl Drop for SocketFile {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.0);
    }
}

/// Error of a socket that cannot be made.
#[derive(Debug, thiserror::Error)]
#[error("admin socket {} cannot be made", path.display())]
pub struct AdminSocketError {
    /// Path of the socket.
    pub path: PathBuf,
    /// Error of the operation that failed.
    #[source]
    pub source: io::Error,
}

impl AdminSocket {
    /// Binds the socket, and replaces one that a killed process left. The folder's lock makes sure that no running
    /// process uses it.
    pub fn bind(data_dir: &Path) -> Result<Self, AdminSocketError> {
        let path = data_dir.join(SOCKET);
        let bind = || {
            // Bound under another name and moved once nobody else can open it, so that it never stands open.
            let hidden = SocketFile(data_dir.join("admin.new"));
            drop(SocketFile(hidden.0.clone()));
            let listener = UnixListener::bind(&hidden.0)?;
            fs::set_permissions(&hidden.0, fs::Permissions::from_mode(0o600))?;
            fs::rename(&hidden.0, &path)?;
            Ok(listener)
        };
        let listener = bind().map_err(|source| AdminSocketError { path: path.clone(), source })?;
        Ok(Self { listener, file: SocketFile(path) })
    }

    /// Answers requests until `stop` resolves, and then waits a bounded time for requests in flight.
    pub async fn serve(self, app: Router, stop: impl Future<Output = ()> + Send + 'static) {
        let Self { listener, file } = self;
        let stop = stop.shared();
        let served = axum::serve(listener, app).with_graceful_shutdown(stop.clone());
        let late = stop.then(|()| tokio::time::sleep(FINISH));
        tokio::select! {
            _ = served => {}
            () = late => {}
        }
        drop(file);
    }
}

/// Client of the admin socket, which commands use.
#[derive(Clone, Debug)]
pub struct AdminClient {
    program: &'static str,
    data_dir: PathBuf,
}

/// Reason for which a request to a running process failed.
#[derive(Debug, thiserror::Error)]
pub enum AdminError {
    /// No process listens on the socket.
    #[error("no {program} runs on {}", data_dir.display())]
    NotRunning {
        /// Name of the program that was looked for.
        program: &'static str,
        /// Data folder of the process.
        data_dir: PathBuf,
    },
    /// The socket cannot be used, for example because of missing permissions.
    #[error("admin socket in {} cannot be used", data_dir.display())]
    Connect {
        /// Data folder of the process.
        data_dir: PathBuf,
        /// Error of the operation that failed.
        #[source]
        source: io::Error,
    },
    /// The connection ended before the answer was complete.
    #[error("the connection broke off")]
    Broken(#[source] hyper::Error),
    /// The process refused the request.
    #[error("{reason}")]
    Refused {
        /// Status of the answer.
        status: StatusCode,
        /// Reason in the answer.
        reason: String,
    },
    /// The request or the answer is not what the other side expects: they differ in version.
    #[error("request or answer cannot be understood")]
    Json(#[source] serde_json::Error),
    /// The answer cannot be written to the output.
    #[error("the answer cannot be written")]
    Output(#[source] io::Error),
    /// The path is not one of a request.
    #[error("request cannot be made")]
    Request(#[source] http::Error),
}

impl AdminClient {
    /// Makes a client for the `program` (`relay`, `collector`) that runs on this folder, if it does.
    pub fn new(program: &'static str, data_dir: impl Into<PathBuf>) -> Self {
        Self { program, data_dir: data_dir.into() }
    }

    /// Requests a path with GET and parses the answer.
    pub async fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T, AdminError> {
        self.send(Method::GET, path, Bytes::new()).await
    }

    /// Requests a path with GET and writes the answer as it arrives, whatever its length.
    pub async fn copy(&self, path: &str, output: &mut impl io::Write) -> Result<(), AdminError> {
        let mut body = self.ask(Method::GET, path, Bytes::new()).await?.into_body();
        while let Some(frame) = body.frame().await {
            let frame = frame.map_err(AdminError::Broken)?;
            output.write_all(frame.data_ref().map_or(&[], |data| data)).map_err(AdminError::Output)?;
        }
        output.flush().map_err(AdminError::Output)
    }

    /// Sends a command with POST and parses the answer.
    pub async fn post<T: DeserializeOwned>(
        &self,
        path: &str,
        body: &impl Serialize,
    ) -> Result<T, AdminError> {
        let body = serde_json::to_vec(body).map_err(AdminError::Json)?;
        self.send(Method::POST, path, body.into()).await
    }

    async fn send<T: DeserializeOwned>(
        &self,
        method: Method,
        path: &str,
        body: Bytes,
    ) -> Result<T, AdminError> {
        let answer = self.ask(method, path, body).await?;
        let body = answer.into_body().collect().await.map_err(AdminError::Broken)?.to_bytes();
        serde_json::from_slice(&body).map_err(AdminError::Json)
    }

    /// Sends a request, and returns the answer if it is not a refusal.
    async fn ask(&self, method: Method, path: &str, body: Bytes) -> Result<Response<Incoming>, AdminError> {
        let request = Request::builder()
            .method(method)
            .uri(path)
            .header(HOST, "admin")
            .header(CONTENT_TYPE, "application/json")
            .body(Full::new(body))
            .map_err(AdminError::Request)?;
        let stream = self.connect().await?;
        let handshake = hyper::client::conn::http1::handshake(TokioIo::new(stream));
        let (mut sender, connection) = handshake.await.map_err(AdminError::Broken)?;
        // Ends with the sender, or with an error that the request reports too.
        tokio::spawn(connection);
        let answer = sender.send_request(request).await.map_err(AdminError::Broken)?;
        let status = answer.status();
        if status.is_success() {
            return Ok(answer);
        }
        let body = answer.into_body().collect().await.map_err(AdminError::Broken)?.to_bytes();
        let said: Option<serde_json::Value> = serde_json::from_slice(&body).ok();
        let reason = said.as_ref().and_then(|said| said["error"].as_str());
        let reason = reason.map_or_else(|| String::from_utf8_lossy(&body).trim().to_owned(), str::to_owned);
        let reason = if reason.is_empty() { status.to_string() } else { reason };
        Err(AdminError::Refused { status, reason })
    }

    #[expect(clippy::disallowed_methods, reason = "a path in the data folder is no network address")]
    async fn connect(&self) -> Result<UnixStream, AdminError> {
        use io::ErrorKind::{ConnectionRefused, NotFound};
        let data_dir = || self.data_dir.clone();
        UnixStream::connect(self.data_dir.join(SOCKET)).await.map_err(|error| match error.kind() {
            NotFound | ConnectionRefused => {
                AdminError::NotRunning { program: self.program, data_dir: data_dir() }
            }
            _ => AdminError::Connect { data_dir: data_dir(), source: error },
        })
    }
}

#[cfg(test)]
mod tests;
