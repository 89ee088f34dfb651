use axum::{
    Json,
    body::Body,
    response::IntoResponse,
    routing::{get, post},
};
use futures::stream;
use serde_json::{Value, json};
use tokio::{sync::oneshot, task::JoinHandle};

use super::*;
use crate::server::problem::Problem;

fn app() -> Router {
    Router::new()
        .route("/answer", get(async || Json(json!({"answer": 42}))))
        .route(
            "/lines",
            get(async || Body::from_stream(stream::iter(["1\n", "2\n", "3\n"].map(io::Result::Ok)))),
        )
        .route("/endless", get(async || Body::from_stream(stream::repeat_with(|| io::Result::Ok("line\n")))))
        .route("/echo", post(async |Json(body): Json<Value>| Json(body)))
        .route("/refused", get(async || Problem::bad_request("no destination \"x\"").into_response()))
}

/// A process that answers commands.
struct Running {
    client: AdminClient,
    stop: oneshot::Sender<()>,
    server: JoinHandle<()>,
}

impl Running {
    fn on(folder: &Path) -> Self {
        let socket = AdminSocket::bind(folder).unwrap();
        let (stop, stopped) = oneshot::channel::<()>();
        let server = tokio::spawn(socket.serve(app(), async { drop(stopped.await) }));
        Self { client: AdminClient::new("relay", folder), stop, server }
    }
}

#[tokio::test]
async fn commands_speak_to_the_running_process_until_it_ends() {
    let folder = tempfile::tempdir().unwrap();
    let Running { client, stop, server } = Running::on(folder.path());
    assert_eq!(client.get::<Value>("/answer").await.unwrap(), json!({"answer": 42}));
    assert_eq!(client.post::<Value>("/echo", &json!({"a": [1]})).await.unwrap(), json!({"a": [1]}));
    let refused = client.get::<Value>("/refused").await.unwrap_err();
    assert_eq!(refused.to_string(), "no destination \"x\"");
    assert!(matches!(refused, AdminError::Refused { status: StatusCode::BAD_REQUEST, .. }));
    let mut lines = Vec::new();
    client.copy("/lines", &mut lines).await.unwrap();
    assert_eq!(lines, b"1\n2\n3\n");
    let unknown = client.get::<Value>("/nothing").await.unwrap_err();
    assert_eq!(unknown.to_string(), "404 Not Found");
    stop.send(()).unwrap();
    server.await.unwrap();
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
}

#[tokio::test]
async fn only_the_owner_may_knock() {
    let folder = tempfile::tempdir().unwrap();
    let _socket = AdminSocket::bind(folder.path()).unwrap();
    let mode = fs::metadata(folder.path().join(SOCKET)).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
}

#[tokio::test]
async fn absent_or_dead_process_is_said_to_be_so() {
    let folder = tempfile::tempdir().unwrap();
    let client = AdminClient::new("relay", folder.path());
    let expected = format!("no relay runs on {}", folder.path().display());
    assert_eq!(client.get::<Value>("/answer").await.unwrap_err().to_string(), expected);
    // What kill -9 leaves.
    drop(std::os::unix::net::UnixListener::bind(folder.path().join(SOCKET)).unwrap());
    assert_eq!(client.get::<Value>("/answer").await.unwrap_err().to_string(), expected);
}

#[tokio::test]
async fn socket_of_a_killed_process_is_replaced() {
    let folder = tempfile::tempdir().unwrap();
    drop(std::os::unix::net::UnixListener::bind(folder.path().join(SOCKET)).unwrap());
    drop(std::os::unix::net::UnixListener::bind(folder.path().join("admin.new")).unwrap());
    let socket = AdminSocket::bind(folder.path()).unwrap();
    tokio::spawn(socket.serve(app(), std::future::pending()));
    let client = AdminClient::new("relay", folder.path());
    client.get::<Value>("/answer").await.unwrap();
}

#[tokio::test]
async fn reader_who_stopped_to_look_does_not_keep_the_process_from_going() {
    let folder = tempfile::tempdir().unwrap();
    let Running { client, stop, server } = Running::on(folder.path());
    let _unread = client.ask(Method::GET, "/endless", Bytes::new()).await.unwrap();
    stop.send(()).unwrap();
    tokio::time::timeout(FINISH * 10, server).await.expect("it goes").unwrap();
}
