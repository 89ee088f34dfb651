//! Whatever a manifest says, a name answers or a destination sends back: no connection is made to an address that is
//! not public. On an island, where every such address is a trap, and a destination beside it gets everything.

use std::{
    collections::BTreeSet,
    fs,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    time::Duration,
};

use serde_json::{Value, json};
use tokio::{net::TcpStream, time::timeout};
use url::{Host, Url};
use visnyk_tests::{
    conservation::{assert_adds_up, assert_conserved},
    files::write_secret,
    island::{abandon, ask_names_of, on_an_island},
    manifest::{self, with},
    name_server::{Answer, NameServer},
    process::{Process, Surroundings},
    proof::{report, test_effort},
    relay::{RELAY, Relay},
    sender::Sender,
    sink::{Behaviour, Sink},
    trap::Trap,
};

const FORBIDDEN: &[&str] = &include!("../../../../runtime/src/guard/forbidden.in");

const WELL: SocketAddr = v4([93, 184, 215, 14], 8000);
/// Public, and nobody is there.
const NOBODY: IpAddr = IpAddr::V4(Ipv4Addr::new(93, 184, 215, 15));
const METADATA: SocketAddr = v4([169, 254, 169, 254], 80);
const INNER: [IpAddr; 4] = [
    METADATA.ip(),
    IpAddr::V4(Ipv4Addr::new(10, 0, 0, 1)),
    IpAddr::V4(Ipv4Addr::LOCALHOST),
    IpAddr::V6(Ipv6Addr::LOCALHOST),
];
const NAMES: SocketAddr = v4([127, 0, 0, 1], 53);
/// All but one of a manifest's destinations.
const MAX_CONCURRENT: usize = 63;

const fn v4([a, b, c, d]: [u8; 4], port: u16) -> SocketAddr {
    SocketAddr::new(IpAddr::V4(Ipv4Addr::new(a, b, c, d)), port)
}

/// Returns every address on these ports, except those on which another process listens.
fn everywhere(ports: &[u16]) -> Vec<SocketAddr> {
    ports.iter().map(|port| (Ipv6Addr::UNSPECIFIED, *port).into()).collect()
}

/// Returns a destination that nothing is allowed to, with one attempt.
fn closed(name: &str, url: &str) -> Value {
    json!({"name": name, "url": url, "timeout": "2s", "retry": {"schedule": ["0s"]}})
}

/// Returns the well destination, which has to get everything, however busy the machine is.
fn well() -> Value {
    with(closed("well", &format!("http://{WELL}/hook")), json!({"timeout": "30s"}))
}

/// Returns those of the URLs that a manifest may have.
fn taken_by_manifests<'a>(urls: &[&'a str]) -> Vec<&'a str> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("manifest.yaml");
    let mut taken = Vec::new();
    for urls in urls.chunks(MAX_CONCURRENT) {
        let destinations = urls.iter().enumerate().map(|(index, url)| closed(&format!("d{index}"), url));
        fs::write(&path, manifest::relay(destinations).to_string()).unwrap();
        let checked = Process::run(RELAY, ["check", "--manifest", path.to_str().unwrap()]);
        let said = String::from_utf8([checked.stdout, checked.stderr].concat()).unwrap();
        let is_taken = |index: usize| !said.contains(&format!("spec.destinations[{index}].url: "));
        taken.extend(urls.iter().enumerate().filter(|(index, _)| is_taken(*index)).map(|(_, url)| *url));
    }
    taken
}

fn place(url: &str) -> Option<SocketAddr> {
    let url = Url::parse(url).ok()?;
    let ip: IpAddr = match url.host()? {
        Host::Ipv4(ip) => ip.into(),
        Host::Ipv6(ip) => ip.into(),
        Host::Domain(_) => return None,
    };
    Some((ip, url.port_or_known_default()?).into())
}

/// Asserts, by the metrics, that all attempts for a destination were `denied`.
async fn assert_only_denied(relay: &Relay, names: &[String]) {
    let (_, metrics) = relay.probes.get("/metrics").await.unwrap();
    for name in names {
        let of = format!("delivery_attempts_total{{destination=\"{name}\",outcome=\"");
        let outcomes: Vec<&str> =
            metrics.lines().filter_map(|line| line.split_once(&of)?.1.split('"').next()).collect();
        assert_eq!(outcomes, ["denied"], "{name}");
    }
}

#[test]
fn forbidden_targets_are_never_connected_to_in_any_notation() {
    on_an_island(async || {
        let trap = Trap::set(&[everywhere(&[80, 443]), FORBIDDEN_8443.to_vec()].concat()).await;
        let sink = Sink::start_at(WELL, Behaviour::Ok).await;
        let _resolv_conf = ask_names_of(NAMES.ip());
        let places: BTreeSet<SocketAddr> = FORBIDDEN.iter().filter_map(|url| place(url)).collect();
        let ips: Vec<IpAddr> = places.iter().map(SocketAddr::ip).collect();
        let answers = ips.clone();
        let _names = NameServer::start(NAMES, move |name, _| {
            let number: usize = name.strip_suffix(".inner.test")?.parse().ok()?;
            Some(Answer { alias: None, addresses: vec![answers[number]] })
        })
        .await;
        let literals = taken_by_manifests(FORBIDDEN);
        let under_names = (0..ips.len()).map(|number| format!("http://{number}.inner.test/"));
        let urls: Vec<String> = literals.iter().map(ToString::to_string).chain(under_names).collect();
        let mut denied = 0;
        for urls in urls.chunks(MAX_CONCURRENT) {
            let names: Vec<String> = (0..urls.len()).map(|index| format!("d{index}")).collect();
            let destinations = names.iter().zip(urls).map(|(name, url)| closed(name, url));
            let mut relay = Relay::start(&manifest::relay(destinations.chain([well()]))).await;
            let sender = Sender::to(&relay);
            sender.send(3, 3).await;
            for name in &names {
                denied += relay.until(name, "given up", |one| one["deadLettered"] == 3).await["deadLettered"]
                    .as_u64()
                    .unwrap();
            }
            assert_only_denied(&relay, &names).await;
            // Ledgers are compared of one relay only.
            assert_adds_up(&relay.probes.status().await);
            for id in sender.ledger().accepted.keys() {
                sink.took(id).await;
            }
            relay.terminate().await;
        }
        assert_eq!(trap.caught(), [].into());

        // The trap would have caught them: it does as soon as somebody knocks, where the kernel lets anybody.
        let mut knocked = 0;
        for place in &places {
            knocked += usize::from(knock(*place).await);
        }
        assert_eq!(trap.caught().values().sum::<usize>(), knocked);
        report(
            "guard: literals and names",
            &format!(
                "{} targets, {} refused in the manifest, {} tried as literals and {} under names, {denied} attempts \
                 denied, 0 connections; {knocked} of {} addresses answer whoever knocks without a guard",
                FORBIDDEN.len(),
                FORBIDDEN.len() - literals.len(),
                literals.len(),
                ips.len(),
                places.len()
            ),
        );
        assert!(FORBIDDEN.len() >= 150 && literals.len() >= 100 && knocked >= 90);
    });
}

const FORBIDDEN_8443: [SocketAddr; 2] =
    [v4([127, 0, 0, 1], 8443), SocketAddr::new(IpAddr::V6(Ipv6Addr::LOCALHOST), 8443)];

async fn knock(place: SocketAddr) -> bool {
    timeout(Duration::from_secs(5), TcpStream::connect(place)).await.is_ok_and(|stream| stream.is_ok())
}

/// Returns the answer for a name. It changes once in eight times: a destination that fails five times in a row is
/// left alone.
fn changing(name: &str, before: usize) -> Option<Answer> {
    let [metadata, private, loopback, loopback6] = INNER;
    let all = [metadata, private, loopback, loopback6];
    let turns = before % 8 == 7;
    let (alias, addresses) = match name {
        "turning.test" if turns => (None, vec![INNER[before / 8 % 3], loopback6]),
        "turning.test" => (None, vec![WELL.ip()]),
        "mixed.test" => (None, [&all[..], &[WELL.ip()]].concat()),
        "alias.test" if turns => (Some("localhost"), all.to_vec()),
        "alias.test" => (Some("behind.test"), vec![WELL.ip()]),
        "deserted.test" => (None, [&[NOBODY], &all[..]].concat()),
        _ => return None,
    };
    Some(Answer { alias, addresses })
}

/// At once to one destination that is looked up under a name.
const AT_A_TIME: u64 = 4;
/// Events sent together: a busy machine takes its time for each part, and not for all at once.
const PART: usize = 500;

/// Lets so many events be delivered to each of these names and ports; whatever the names answer, all of them arrive.
/// Returns how many attempts were denied for each.
async fn all_arrive<const N: usize>(events: u64, named: [(&'static str, u16); N]) -> [u64; N] {
    // Each delivery needs a new connection.
    let parts = || Behaviour::Answer(200, Some(("connection", "close".into())));
    let mut sinks = Vec::new();
    for (name, port) in named {
        sinks.push((name, Sink::start_at(SocketAddr::new(WELL.ip(), port), parts()).await));
    }
    // Often enough that no event is given up by bad luck.
    let retry = json!({"schedule": vec!["0s"; 32], "jitterPercent": 0});
    let destinations = named.map(|(name, port)| {
        with(
            closed(name, &format!("http://{name}.test:{port}/hook")),
            json!({"retry": retry, "concurrency": AT_A_TIME}),
        )
    });
    let mut relay = Relay::start(&manifest::relay(destinations)).await;
    let sender = Sender::to(&relay);
    for _ in 0..events / PART as u64 {
        sender.send(PART, 16).await;
        for (name, _) in named {
            relay.until(name, "nothing pending", |one| one["pending"] == 0).await;
        }
    }
    let sinks: Vec<_> = sinks.iter().map(|(name, sink)| (*name, sink)).collect();
    assert_conserved(&mut relay, &sender, &sinks).await;
    let (_, metrics) = relay.probes.get("/metrics").await.unwrap();
    named.map(|(name, _)| denied(&metrics, name))
}

/// Returns the number of attempts for a destination that the guard denied, by the metrics.
fn denied(metrics: &str, name: &str) -> u64 {
    let of = format!("delivery_attempts_total{{destination=\"{name}\",outcome=\"denied\"}} ");
    let counts = metrics.lines().filter_map(|line| line.split_once(&of)?.1.parse::<u64>().ok());
    counts.sum()
}

#[test]
fn name_that_changes_between_look_up_and_connection_leads_nowhere_else() {
    on_an_island(async || {
        let ports = [8001, 8002, 8003];
        let inner = ports.iter().flat_map(|port| INNER.map(|ip| SocketAddr::new(ip, *port)));
        let trap = Trap::set(&inner.collect::<Vec<_>>()).await;
        let _resolv_conf = ask_names_of(NAMES.ip());
        let server = NameServer::start(NAMES, changing).await;
        let events = test_effort(5_000, 50_000);
        let denied = all_arrive(events, [("turning", ports[0]), ("alias", ports[1])]).await;
        let looked_up = ["turning.test", "alias.test"].map(|name| server.asked(name) as u64);
        // Answers good and bad at once.
        let mixed = events / 5;
        all_arrive(mixed, [("mixed", ports[2])]).await;
        assert_eq!(trap.caught(), [].into());
        // Deliveries that look it up at the same time share an answer, so it turns as often for fewer of them.
        for (looked_up, denied) in looked_up.into_iter().zip(denied) {
            assert!(looked_up > events / AT_A_TIME, "{looked_up} look-ups: it did not turn");
            assert!(denied > looked_up / 16, "{denied} denied of {looked_up} look-ups: it did not turn");
        }
        report(
            "guard: names that change",
            &format!(
                "{} deliveries to two names that turn, {} look-ups, {} attempts denied, {mixed} to a name that is both, 0 \
                 lost, 0 connections to what they turned to",
                events * 2,
                looked_up.iter().sum::<u64>(),
                denied.iter().sum::<u64>()
            ),
        );
    });
}

#[test]
fn redirects_proxies_and_tokens_lead_nowhere_and_an_allowed_range_does() {
    on_an_island(async || {
        let proxies = v4([10, 0, 0, 1], 3128);
        let trap = Trap::set(&[&everywhere(&[80, 443])[..], &[proxies]].concat()).await;
        let _resolv_conf = ask_names_of(NAMES.ip());
        let _names = NameServer::start(NAMES, changing).await;
        let sink = Sink::start_at(WELL, Behaviour::Ok).await;
        let mut redirecting = Vec::new();
        let mut destinations = vec![well()];
        let mut denied = Vec::new();
        for (status, port) in [301, 302, 303, 307, 308].into_iter().zip(8001..) {
            let location = Some(("location", format!("http://{METADATA}/latest/meta-data/")));
            let place = SocketAddr::new(WELL.ip(), port);
            redirecting.push(Sink::start_at(place, Behaviour::Answer(status, location)).await);
            destinations.push(closed(&format!("answers-{status}"), &format!("http://{place}/")));
        }
        // Everything is allowed to it, and that is not.
        let everything = json!({"network": {"allow": ["0.0.0.0/0", "::/0"]}});
        destinations.push(with(closed("metadata", &format!("http://{METADATA}/")), everything));
        denied.push("metadata".to_owned());
        destinations.push(with(closed("token", &format!("http://{WELL}/")), tokens_of(METADATA)));
        let private = json!({"network": {"allow": ["10.0.0.0/8"]}});
        destinations.push(with(closed("allowed", "http://10.20.30.40/"), private));
        destinations.push(closed("public", "https://93.184.215.99/"));
        // Its one public address is deserted, the others are not.
        abandon(NOBODY);
        destinations.push(closed("deserted", "http://deserted.test/"));

        let folder = tempfile::tempdir().unwrap();
        for key in ["id", "secret"] {
            write_secret(folder.path(), "login", key, "visnyk");
        }
        let data = folder.path().join("data");
        let mut relay = Relay::start_in(folder, data, &manifest::relay(destinations)).await;
        let proxy = ["HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "https_proxy", "all_proxy"];
        let variables = proxy.map(|name| (name, "http://10.0.0.1:3128")).to_vec();
        relay.terminate().await;
        relay.restart_in(&Surroundings { variables, ..Surroundings::default() }).await;
        let sender = Sender::to(&relay);
        // Fewer than make the relay leave a destination alone.
        sender.send(3, 3).await;
        assert_conserved(&mut relay, &sender, &[("well", &sink)]).await;
        for name in ["metadata", "token", "allowed", "public", "deserted"] {
            relay.until(name, "given up", |one| one["deadLettered"] == 4).await;
        }
        for (sink, status) in redirecting.iter().zip([301, 302, 303, 307, 308]) {
            relay.until(&format!("answers-{status}"), "given up", |one| one["deadLettered"] == 4).await;
            assert_eq!(sink.arrivals().len(), 4, "{status}");
        }
        assert_only_denied(&relay, &denied).await;
        // What was allowed, and what is public, was connected to directly; a trap only hangs up.
        let caught: Vec<_> = trap.caught().into_keys().collect();
        assert_eq!(caught, [v4([10, 20, 30, 40], 80), v4([93, 184, 215, 99], 443)]);
        report("guard: redirects, proxies, tokens", "5 kinds of redirects, 6 variables, 0 connections");
    });
}

/// Access tokens from here.
fn tokens_of(login: SocketAddr) -> Value {
    let secret = |key: &str| json!({"name": "login", "key": key});
    json!({"authorization": {"oauth2ClientCredentials": {
        "tokenUrl": format!("http://{login}/token"),
        "clientIdRef": secret("id"),
        "clientSecretRef": secret("secret"),
    }}})
}
