use std::{
    io::{Read, Write},
    net::TcpStream,
    sync::Mutex,
};

use super::*;

#[derive(Clone, Default)]
struct Shown {
    waits_for: Arc<Mutex<[Vec<String>; 3]>>,
    page: String,
    slow: Arc<Mutex<()>>,
}

impl Shown {
    fn get(&self, index: usize) -> Vec<String> {
        self.waits_for.lock().unwrap()[index].clone()
    }
}

impl HealthEndpoints for Shown {
    fn live(&self) -> Vec<String> {
        self.get(0)
    }
    fn ready(&self) -> Vec<String> {
        self.get(1)
    }
    fn started(&self) -> Vec<String> {
        self.get(2)
    }
    fn metrics(&self) -> String {
        format!("{}# EOF\n", self.page)
    }
    fn status(&self) -> serde_json::Value {
        drop(self.slow.lock().unwrap());
        serde_json::json!({"accepted": 7})
    }
}

fn ask(health: &Health, method: &str, path: &str) -> (String, String) {
    let mut stream = TcpStream::connect(health.address()).unwrap();
    write!(stream, "{method} {path} HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    (head.to_owned(), body.to_owned())
}

fn status_and_body(health: &Health, path: &str) -> (String, String) {
    let (head, body) = ask(health, "GET", path);
    (head.split(' ').nth(1).unwrap().to_owned(), body)
}

fn start(ip: &str, shown: &Shown) -> Health {
    Health::start(SocketAddr::new(ip.parse().unwrap(), 0), shown.clone()).unwrap()
}

#[test]
fn each_probe_says_what_it_waits_for() {
    let shown = Shown::default();
    let health = start("127.33.10.1", &shown);
    for (index, path) in ["/livez", "/readyz", "/startupz"].into_iter().enumerate() {
        assert_eq!(status_and_body(&health, path), ("200".into(), "ok\n".into()));
        shown.waits_for.lock().unwrap()[index] =
            vec!["journal: recovering".into(), "certificate: none".into()];
        let expected = ("503".into(), "journal: recovering\ncertificate: none\n".into());
        assert_eq!(status_and_body(&health, path), expected);
    }
}

#[test]
fn metrics_and_status_are_served_as_what_they_are() {
    let health = start("127.33.10.2", &Shown::default());
    let (head, body) = ask(&health, "GET", "/metrics");
    assert!(head.contains(&format!("content-type: {}", metrics::CONTENT_TYPE)), "{head}");
    assert_eq!(body, "# EOF\n");
    let (head, body) = ask(&health, "GET", "/status");
    assert!(head.contains("content-type: application/json"), "{head}");
    assert_eq!(body, "{\n  \"accepted\": 7\n}\n");
    assert_eq!(status_and_body(&health, "/secrets").0, "404");
}

#[test]
fn nothing_can_be_changed_here() {
    let health = start("127.33.10.3", &Shown::default());
    let (head, _) = ask(&health, "POST", "/status");
    assert!(head.starts_with("HTTP/1.1 405 ") && head.contains("allow: GET, HEAD"), "{head}");
}

#[test]
fn silent_clients_do_not_keep_others_away() {
    let health = start("127.33.10.4", &Shown::default());
    let _silent: Vec<_> = (0..PROBES.all).map(|_| TcpStream::connect(health.address()).unwrap()).collect();
    assert_eq!(status_and_body(&health, "/livez").0, "200");
}

#[test]
fn metrics_that_nobody_reads_keep_no_probe_and_no_scrape_away() {
    let health = start("127.33.10.6", &Shown { page: "m".repeat(64 << 10), ..Shown::default() });
    let mut unread = Vec::new();
    for _ in 0..2 * PROBES.all {
        let mut stream = TcpStream::connect(health.address()).unwrap();
        // Far more than the sockets' buffers take.
        stream.write_all("GET /metrics HTTP/1.1\r\nhost: a\r\n\r\n".repeat(200).as_bytes()).unwrap();
        unread.push(stream);
        assert_eq!(status_and_body(&health, "/livez").0, "200");
    }
    assert_eq!(status_and_body(&health, "/metrics").0, "200");
}

#[test]
fn page_that_takes_long_to_make_keeps_no_probe_waiting() {
    let shown = Shown::default();
    let health = start("127.33.10.7", &shown);
    // Making a status waits for this lock.
    let making = shown.slow.lock().unwrap();
    let mut scrape = TcpStream::connect(health.address()).unwrap();
    write!(scrape, "GET /status HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n").unwrap();
    assert_eq!(status_and_body(&health, "/livez").0, "200");
    drop(making);
    let mut answer = String::new();
    scrape.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
}

#[test]
fn dropped_server_frees_its_address() {
    let health = start("127.33.10.5", &Shown::default());
    let address = health.address();
    let taken = Health::start(address, Shown::default()).unwrap_err();
    assert_eq!(taken.to_string(), format!("health address {address} cannot be bound"));
    drop(health);
    Health::start(address, Shown::default()).unwrap();
}
