//! Tests of a relay's children and report as a whole.

use std::collections::{BTreeMap, BTreeSet};
use std::slice;

use expect_test::expect_file;
use jiff::SignedDuration;
use k8s_openapi::api::core::v1::Service;
use serde_json::{Value, json};
use visnyk_crds::contract::status::{
    DestinationState, DestinationStatus, ProcessStatus, RelayStatus, SourceStatus,
};
use visnyk_crds::{Collector, WebhookRelay, validate};
use visnyk_runtime::pki::Facts;

use super::fetch::{Absence, Found, Peer};
use super::report::{Inputs, obstacles, report};
use super::retained_volumes::{RetainedVolume, VolumeFate};
use super::*;
use crate::apply::Applied;
use crate::apply::runnable::Awaited;
use crate::certificates::trust::Authorities;
use crate::children::child::{Child, Kind};
use crate::cluster::pods::Report;
use crate::status::conditions::{ConditionStatus, Finding};
use crate::status::outcome::{BLOCKED, LATER, SOON};
use crate::status::report::Obstacle;
use crate::testing::{every_kind, kept, yaml};

fn relay(spec: &Value) -> Runnable {
    let mut resource = json!({
        "apiVersion": "visnyk.dev/v1alpha1",
        "kind": "WebhookRelay",
        "metadata": { "name": "harbour", "namespace": "ships", "uid": "u-1", "generation": 7 },
        "spec": {
            "listener": { "tls": { "selfSigned": {} } },
            "spool": { "persistent": { "size": "1Gi" } },
            "sources": [
                { "name": "open", "path": "/", "verify": { "none": {} } },
                { "name": "closed", "path": "/closed", "verify": { "bearer": { "secretRefs": [
                    { "name": "token", "key": "new" }, { "name": "token", "key": "old" },
                ] } } },
            ],
            "destinations": [
                { "name": "quay", "collectorRef": { "name": "logbook" } },
                { "name": "desk", "service": { "name": "desk", "namespace": "port", "port": 8080 } },
            ],
        },
    });
    for (field, value) in spec.as_object().unwrap() {
        resource["spec"][field] = value.clone();
    }
    let relay: Written<WebhookRelay> = serde_json::from_value(resource).unwrap();
    let valid = validate::relay(&relay).unwrap();
    Runnable { resource: relay, valid }
}

fn now() -> Timestamp {
    "2026-11-24T12:00:00Z".parse().unwrap()
}

fn logbook(spec: &Value) -> Collector {
    let mut resource = json!({
        "apiVersion": "visnyk.dev/v1alpha1",
        "kind": "Collector",
        "metadata": { "name": "logbook", "namespace": "ships" },
        "spec": { "listener": { "tls": { "selfSigned": {} } }, "log": {}, "access": {} },
    });
    for (field, value) in spec.as_object().unwrap() {
        resource["spec"][field] = value.clone();
    }
    serde_json::from_value(resource).unwrap()
}

/// Returns a Collector with an authority of its own.
#[expect(clippy::unnecessary_wraps, reason = "stands where one may be absent")]
fn peer(spec: &Value) -> Result<Peer, Absence> {
    let (authorities, _) = Authorities::decide(None, None, now()).unwrap();
    Ok(Peer { collector: logbook(spec), authorities: Some(authorities.secret()) })
}

fn found() -> Found {
    let desk = service(&json!({ "clusterIPs": ["10.9.8.7"] }));
    Found { services: BTreeMap::from([(named("port", "desk"), Ok(desk))]), ..Found::default() }
}

fn owner() -> Owner {
    Owner::of(Role::Relay, &relay(&json!({})).resource)
}

fn named(namespace: &str, name: &str) -> (String, String) {
    (namespace.to_owned(), name.to_owned())
}

fn service(spec: &Value) -> Service {
    serde_json::from_value(json!({ "metadata": {}, "spec": spec })).unwrap()
}

/// Returns the children, but for what is random: keys and certificates.
fn children(runnable: &Runnable) -> Vec<Child> {
    let resolved = peers::resolve(&owner(), &found(), now()).unwrap();
    build::build(runnable, &owner(), &resolved, None, "registry.example.org/relay:1").unwrap()
}

#[test]
fn relay_with_a_volume_becomes_these() {
    expect_file!["tests/persistent.yaml"].assert_eq(&yaml(&children(&relay(&json!({})))));
}

#[test]
fn service_leads_to_pods_that_are_not_ready_only_where_that_is_asked_for() {
    let before = children(&relay(&json!({})));
    let mut after = before.clone();
    crate::children::publish_not_ready(&mut after, &owner());
    let changed: Vec<_> = before.iter().zip(&after).filter(|(before, after)| before != after).collect();
    let [(before, after)] = changed[..] else { panic!("{changed:?}") };
    assert_eq!((after.kind, &after.name[..]), (Kind::Service, "harbour-relay"));
    assert_ne!(before.hash(), after.hash(), "or it would not be applied");
    let mut spec = before.object["spec"].clone();
    spec["publishNotReadyAddresses"] = true.into();
    assert_eq!(after.object["spec"], spec);
    yaml(slice::from_ref(after));
}

/// A public CA refuses a certificate for names of a cluster.
#[test]
fn certificate_can_leave_out_the_names_of_the_service() {
    let names = |service_names: Value| {
        let certificate = json!({
            "issuerRef": { "name": "public" }, "dnsNames": ["harbour.example.org"], "serviceNames": service_names,
        });
        let runnable = relay(&json!({ "listener": { "tls": { "certManager": certificate } } }));
        let all = children(&runnable);
        let certificate = all.iter().find(|child| child.kind == Kind::Certificate).unwrap();
        certificate.object["spec"]["dnsNames"].clone()
    };
    assert_eq!(names(json!("Omit")), json!(["harbour.example.org"]));
    let both = names(json!("Include"));
    assert!(
        both.as_array().unwrap().len() > 1 && both.to_string().contains("harbour-relay.ships.svc"),
        "{both}"
    );
}

#[test]
fn relay_with_every_override_becomes_these() {
    let spec = json!({
        "replicas": 3,
        "listener": { "port": 9443, "tls": {
            "certManager": {
                "issuerRef": { "name": "port-authority", "kind": "ClusterIssuer" },
                "dnsNames": ["harbour.example.org"],
            },
            "clientCa": { "secretRef": { "name": "pilots", "key": "ca.crt" } },
        } },
        "spool": { "ephemeral": { "size": "256Mi" } },
        "service": {
            "type": "LoadBalancer", "port": 8443, "externalTrafficPolicy": "Local",
            "annotations": { "example.org/pool": "outer" },
        },
        "pod": {
            "resources": { "requests": { "cpu": 1 }, "limits": { "cpu": "2" } },
            "nodeSelector": { "disk": "fast" },
            "tolerations": [{ "key": "spot", "operator": "Exists" }],
            "affinity": { "nodeAffinity": {} },
            "topologySpreadConstraints": [
                { "maxSkew": 1, "topologyKey": "zone", "whenUnsatisfiable": "ScheduleAnyway" },
            ],
            "priorityClassName": "urgent",
            "imagePullSecrets": [{ "name": "registry" }],
            "labels": { "tide": "high", "app.kubernetes.io/name": "mine" },
            "annotations": { "example.org/note": "a note" },
            "image": "registry.example.org/relay:2",
        },
        "autoscaling": { "minReplicas": 2, "maxReplicas": 8 },
        "ingress": { "className": "outer", "hosts": ["harbour.example.org"], "tlsSecretName": "outer" },
        "httpRoute": { "parentRefs": [{ "name": "gate", "namespace": "gates" }] },
        "monitoring": { "labels": { "release": "prometheus" } },
    });
    expect_file!["tests/overridden.yaml"].assert_eq(&yaml(&children(&relay(&spec))));
}

#[test]
fn gateway_trusts_a_relay_by_its_own_authority() {
    let spec = json!({ "httpRoute": { "parentRefs": [{ "name": "gate" }] } });
    let children = children(&relay(&spec));
    let policy = children.iter().find(|child| child.kind == Kind::BackendTlsPolicy).unwrap();
    let validation = &policy.object["spec"]["validation"];
    assert_eq!(validation["hostname"], "harbour-relay.ships.svc");
    assert_eq!(validation["caCertificateRefs"][0]["name"], "harbour-relay-ca");
}

#[test]
fn children_of_unknown_kinds_are_left_out_and_named() {
    let runnable = relay(&json!({ "monitoring": {} }));
    let kinds = every_kind().into_iter().filter(|kind| !kind.is_optional()).collect();
    let mut built = children(&runnable);
    take_unknown(&mut built, &kinds);
    assert!(built.iter().all(|child| !child.kind.is_optional()));
    let programmed = finding(&runnable, &found(), &kinds, &[], "Programmed");
    assert_eq!(programmed.1, "ApiMissing");
    assert_eq!(
        programmed.2,
        "spec.monitoring needs kind ServiceMonitor of monitoring.coreos.com, which the cluster does not have: install it, \
         or take the field away"
    );
}

/// The pods speak TLS by an authority of their own, and the Gateway would not know it.
#[test]
fn route_without_the_policy_by_which_a_gateway_trusts_is_not_enough() {
    let kinds = every_kind().into_iter().filter(|kind| *kind != Kind::BackendTlsPolicy).collect();
    let programmed = |tls: Value| {
        let route = json!({ "parentRefs": [{ "name": "gate" }] });
        let runnable = relay(&json!({ "listener": { "tls": tls }, "httpRoute": route }));
        let hash = &runnable.valid.identity.configuration_hash[..];
        finding(&runnable, &found(), &kinds, &[pod("a", hash, vec![])], "Programmed")
    };
    let message = "spec.httpRoute needs kind BackendTLSPolicy of gateway.networking.k8s.io, which the cluster does not \
                   have: install it, or take the field away";
    assert_eq!(programmed(json!({ "selfSigned": {} })), (ConditionStatus::No, "ApiMissing", message.into()));
    for tls in [json!({ "secretName": "bought" }), json!({ "none": {} })] {
        assert_eq!(programmed(tls).0, ConditionStatus::Yes);
    }
}

#[test]
fn hash_of_the_pods_is_that_of_the_manifest_in_the_config_map() {
    let runnable = relay(&json!({ "replicas": 2 }));
    let children = children(&runnable);
    let map = children.iter().find(|child| child.kind == Kind::ConfigMap).unwrap();
    let manifest = map.object["data"]["manifest.yaml"].as_str().unwrap();
    let loaded = visnyk_crds::manifest::load_relay(manifest, None).unwrap();
    let mut expected = runnable.valid;
    expected.identity.generation = 0;
    assert_eq!(loaded, expected);
}

#[test]
fn what_cannot_be_reached_is_left_out_of_the_peers_and_named() {
    let elsewhere = |spec: Value| {
        let mut peer = peer(&spec).unwrap();
        peer.collector.metadata.namespace = Some("elsewhere".into());
        Ok(peer)
    };
    let found = Found {
        collectors: BTreeMap::from([
            (named("a", "closed"), elsewhere(json!({ "access": { "namespaces": ["others"] } }))),
            (named("a", "foreign"), peer(&json!({ "listener": { "tls": { "secretName": "bought" } } }))),
            (named("a", "gone"), Err(Absence::Missing)),
            (named("a", "hidden"), Err(Absence::Hidden("the API server refuses to read it".into()))),
            (named("a", "muddled"), Err(Absence::Unreadable)),
            (named("a", "plain"), peer(&json!({ "listener": { "tls": { "none": {} } } }))),
            (named("a", "young"), Ok(Peer { collector: logbook(&json!({})), authorities: None })),
        ]),
        services: BTreeMap::from([
            (named("b", "gone"), Err(Absence::Missing)),
            (named("b", "headless"), Ok(service(&json!({ "clusterIPs": ["None"] })))),
            (
                named("b", "leads-away"),
                Ok(service(&json!({ "type": "ExternalName", "externalName": "evil.example.org" }))),
            ),
            (named("b", "twofold"), Ok(service(&json!({ "clusterIPs": ["10.0.0.1", "fd00::1"] })))),
        ]),
        ..Found::default()
    };
    let resolved = peers::resolve(&owner(), &found, now()).unwrap();
    let twofold = ("b.twofold.addresses".to_owned(), b"10.0.0.1\nfd00::1\n".to_vec());
    assert_eq!(resolved.files, BTreeMap::from([twofold]));
    let messages: Vec<&str> = resolved.obstacles.iter().map(|obstacle| &obstacle.message[..]).collect();
    assert_eq!(
        messages,
        [
            "Collector a/closed does not let in relays of ships: add that to its access.namespaces",
            "Collector a/foreign has a certificate that is not of its own authority: refer to it by url",
            "Collector a/gone does not exist: create it",
            "Collector a/hidden cannot be read: the API server refuses to read it",
            "Collector a/muddled cannot be read; its own conditions say why",
            "Collector a/plain speaks plain HTTP, which is refused: give it tls.selfSigned",
            "Collector a/young has no certificate authority yet: its operator makes one",
            "Service b/gone does not exist: create it",
            "Service b/headless is headless and has no address of its own: use one with a cluster IP, or url",
            "Service b/leads-away is of type ExternalName, which may lead anywhere and is refused: use url",
        ]
    );
}

#[test]
fn part_of_a_valid_spec_without_effect_is_told_by_accepted() {
    let accepted = |spec: Value| finding(&relay(&spec), &found(), &every_kind(), &[], "Accepted");
    assert_eq!(accepted(json!({})), (ConditionStatus::Yes, "Valid", "the spec is valid".into()));
    let spec = json!({
        "replicas": 9,
        "autoscaling": { "minReplicas": 2, "maxReplicas": 8 },
        "destinations": [{ "name": "quay", "url": "http://169.254.169.254/latest" }],
    });
    let said = "the spec is valid, but spec.replicas: the autoscaler replaces 9 by a number from 2 to 8; \
                spec.destinations[0].url: no connection is made: 169.254.169.254 is a link-local or metadata address; \
                see network.allow";
    assert_eq!(accepted(spec), (ConditionStatus::Yes, "Valid", said.into()));
}

#[test]
fn port_that_a_service_does_not_have_is_said_at_once() {
    let runnable = relay(&json!({ "destinations": [
        { "name": "desk", "service": { "name": "desk", "namespace": "port", "port": 8080 } },
        { "name": "bell", "service": { "name": "desk", "namespace": "port", "port": 80 } },
        { "name": "gone", "service": { "name": "gone", "namespace": "port", "port": 80 } },
    ] }));
    let missing = |ports: Value| {
        let desk = service(&json!({ "clusterIPs": ["10.9.8.7"], "ports": ports }));
        let found = Found {
            services: BTreeMap::from([
                (named("port", "desk"), Ok(desk)),
                (named("port", "gone"), Err(Absence::Missing)),
            ]),
            ..Found::default()
        };
        let missing = peers::missing_ports(&runnable.valid.destinations, &found);
        assert!(missing.iter().all(|obstacle| obstacle.reason == "ServiceUnusable"));
        missing.into_iter().map(|obstacle| obstacle.message).collect::<Vec<_>>()
    };
    let both = json!([{ "port": 80 }, { "port": 8080, "protocol": "TCP" }]);
    assert_eq!(missing(both), Vec::<String>::new());
    let udp = json!([{ "port": 80 }, { "port": 443 }, { "port": 8080, "protocol": "UDP" }]);
    let said =
        "destination \"desk\": Service port/desk has no TCP port 8080 (it has 80, 443): change service.port";
    assert_eq!(missing(udp), [said]);
}

/// The same Collector, asked again with what was written before, changes nothing.
#[test]
fn peer_is_told_of_with_a_certificate_that_stays_while_it_is_good() {
    let collectors = BTreeMap::from([(named("ships", "logbook"), peer(&json!({})))]);
    let mut found = Found { collectors, ..Found::default() };
    let first = peers::resolve(&owner(), &found, now()).unwrap();
    assert_eq!(first.obstacles, []);
    let files: Vec<&str> = first.files.keys().map(String::as_str).collect();
    let expected = ["ca.crt", "tls.crt", "tls.key", "url"].map(|file| format!("ships.logbook.{file}"));
    assert_eq!(files, expected);
    assert_eq!(first.files["ships.logbook.url"], b"https://logbook-collector.ships.svc/");
    found.peers = Some(first.files.clone());
    assert_eq!(peers::resolve(&owner(), &found, now()).unwrap(), first);
    let later = first.look_again.unwrap();
    assert_ne!(peers::resolve(&owner(), &found, later).unwrap().files, first.files);
}

#[test]
fn certificate_of_a_relay_is_mounted_and_its_authority_is_not() {
    let (runnable, owner) = (relay(&json!({})), owner());
    let trust =
        certificates::wanted(&owner, &certificates::StoredCertificates::default(), Some(&[]), now()).unwrap();
    let resolved = peers::resolve(&owner, &found(), now()).unwrap();
    let children = build::build(&runnable, &owner, &resolved, Some(&trust), "image").unwrap();
    let names: Vec<(Kind, &str)> = children.iter().map(|child| (child.kind, &child.name[..])).collect();
    for (kind, part) in [(Kind::Secret, "ca"), (Kind::ConfigMap, "ca"), (Kind::Secret, "tls")] {
        assert!(names.contains(&(kind, &owner.child(part))), "{names:?}");
    }
    let set = children.iter().find(|child| child.kind == Kind::StatefulSet).unwrap();
    let spec = &set.object["spec"]["template"]["spec"];
    assert!(spec["volumes"].to_string().contains("harbour-relay-tls"));
    assert!(!spec["volumes"].to_string().contains("harbour-relay-ca"));
    assert!(spec["containers"][0]["args"].to_string().contains("--tls-dir=/etc/visnyk/tls"));
}

#[test]
fn certificate_is_for_the_service_each_pod_and_whoever_forwards_a_port() {
    let further = ["harbour.example.org".to_owned(), "localhost".to_owned()];
    let nothing = certificates::StoredCertificates::default();
    let trust = certificates::wanted(&owner(), &nothing, Some(&further), now()).unwrap();
    let facts = Facts::of_pem(&trust.server["tls.crt"]).unwrap();
    let within = |name: &str| {
        ["", ".ships", ".ships.svc", ".ships.svc.cluster.local"].map(|rest| format!("{name}{rest}"))
    };
    let mut names: BTreeSet<String> = further.clone().into();
    names.extend(within("harbour-relay"));
    names.extend(within("*.harbour-relay-pods").into_iter().skip(1));
    assert_eq!(facts.dns_names, names);
    let addresses: Vec<String> = facts.addresses.iter().map(ToString::to_string).collect();
    assert_eq!(addresses, ["127.0.0.1", "::1"]);

    let first = kept(trust);
    let again = certificates::wanted(&owner(), &first, Some(&further), now()).unwrap();
    assert_eq!((&again.events[..], Some(again.server)), (&[][..], first.server), "it stays while it is good");
}

fn process(process: ProcessStatus) -> RelayStatus {
    RelayStatus { process, ..RelayStatus::default() }
}

fn pod(name: &str, hash: &str, destinations: Vec<DestinationStatus>) -> Report {
    Report {
        name: name.into(),
        uid: format!("u-{name}"),
        is_ready: true,
        status: Some(RelayStatus {
            destinations,
            ..process(ProcessStatus { configuration_hash: hash.into(), ..ProcessStatus::default() })
        }),
        sync_requested: None,
        is_sync_requested: false,
        trouble: None,
    }
}

/// Returns the report when all children could be made.
fn reported(runnable: &Runnable, found: &Found, kinds: &BTreeSet<Kind>, pods: &[Report]) -> Outcome {
    reported_without(runnable, found, kinds, pods, &BTreeSet::new(), &BTreeSet::new())
}

/// Returns the report while these Secrets are missing, and these awaited.
fn reported_without(
    runnable: &Runnable,
    found: &Found,
    kinds: &BTreeSet<Kind>,
    pods: &[Report],
    missing: &BTreeSet<String>,
    awaited: &BTreeSet<Awaited>,
) -> Outcome {
    let owner = Owner::of(Role::Relay, &runnable.resource);
    let resolved = peers::resolve(&owner, found, now()).unwrap();
    let unknown = take_unknown(&mut children(runnable), kinds);
    report(&Inputs {
        owner: &owner,
        runnable,
        fault: None,
        applied: &Applied::Done,
        missing_secrets: missing,
        resolved: &resolved,
        trust: None,
        obstacles: &obstacles(missing, awaited, &resolved, &unknown),
        pods,
        creation_failure: None,
        left: &[],
        now: now(),
    })
}

/// Status, reason and message of one condition.
fn finding(
    runnable: &Runnable,
    found: &Found,
    kinds: &BTreeSet<Kind>,
    pods: &[Report],
    about: &str,
) -> (ConditionStatus, &'static str, String) {
    let visit = reported(runnable, found, kinds, pods);
    let found = visit.findings.into_iter().find(|finding| finding.about == about).unwrap();
    (found.holds, found.reason, found.message)
}

#[test]
fn programmed_means_that_every_pod_runs_it() {
    let runnable = relay(&json!({ "replicas": 2 }));
    let hash = &runnable.valid.identity.configuration_hash[..];
    let programmed = |pods: &[Report]| finding(&runnable, &found(), &every_kind(), pods, "Programmed");
    let both = [pod("a", hash, vec![]), pod("b", hash, vec![])];
    assert_eq!(
        programmed(&both),
        (ConditionStatus::Yes, "Programmed", "2 of 2 pods run this configuration".into())
    );
    let spreading =
        |lag: &str| (ConditionStatus::No, "Spreading", format!("1 of 2 pods run this configuration; {lag}"));
    assert_eq!(programmed(&both[..1]), spreading("the others do not exist yet"));
    let mut other = pod("b", "other", vec![]);
    let mixed = [both[0].clone(), other.clone()];
    assert_eq!(programmed(&mixed), spreading("pod b still runs the one before"));
    other.status = None;
    let silent = [both[0].clone(), other];
    assert_eq!(programmed(&silent), spreading("pod b does not answer at port 8081 yet"));
    let waits = |what: &str| Some(format!("secret token/{what} cannot be read"));
    let mut source = both.clone();
    let sources =
        vec![SourceStatus { name: "harbour".into(), waits_for: waits("key"), ..SourceStatus::default() }];
    source[1].status.as_mut().unwrap().sources = sources;
    let said = "pod b: source \"harbour\" accepts no request: secret token/key cannot be read";
    assert_eq!(programmed(&source), (ConditionStatus::No, "Waiting", said.into()));
    let quay =
        DestinationStatus { name: "quay".into(), waits_for: waits("proof"), ..DestinationStatus::default() };
    let told = "pod a: destination \"quay\" gets nothing: secret token/proof cannot be read";
    assert_eq!(
        programmed(&[pod("a", hash, vec![quay]), source[1].clone()]),
        (ConditionStatus::No, "Waiting", format!("{told}; {said}"))
    );
    let (missing, awaited) = (["token".to_owned()].into(), [Awaited::Secret("new".to_owned())].into());
    let visit = reported_without(&runnable, &found(), &every_kind(), &both, &missing, &awaited);
    let said = "Secret new does not exist: create it; the pods keep the spec before this until then; Secret token does not \
         exist: create it; what refers to it accepts or delivers nothing until then";
    let programmed = visit.findings.into_iter().find(|finding| finding.about == "Programmed").unwrap();
    assert_eq!(programmed, Finding::no("Programmed", "SecretMissing", said));
}

/// Returns the report on a relay that shows the certificate of a user's Secret, and whose pods say this of it.
fn certificate_said(status: ProcessStatus) -> (Outcome, ConditionStatus, &'static str, String) {
    let runnable = relay(&json!({ "listener": { "tls": { "secretName": "bought" } } }));
    let configuration_hash = runnable.valid.identity.configuration_hash.clone();
    let status = Some(process(ProcessStatus { configuration_hash, ..status }));
    let pods = [Report { status, ..pod("a", "", vec![]) }];
    let visit = reported(&runnable, &found(), &every_kind(), &pods);
    let one = visit.findings.iter().find(|finding| finding.about == "CertificateReady").unwrap().clone();
    (visit, one.holds, one.reason, one.message)
}

#[test]
fn certificate_that_a_pod_cannot_use_is_not_ready_in_the_pods_words() {
    let problem = "tls.key holds no private key";
    let status = ProcessStatus {
        certificate_problem: Some(problem.into()),
        certificate_not_after: Some("2026-12-24T12:00:00Z".into()),
        ..ProcessStatus::default()
    };
    let (visit, holds, reason, message) = certificate_said(status);
    assert_eq!(
        (holds, reason, &message[..]),
        (
            ConditionStatus::No,
            "CertificateUnusable",
            "pod a cannot use the certificate that it was given: tls.key holds no private key"
        )
    );
    assert_eq!((visit.findings[0].about, visit.findings[0].holds), ("Ready", ConditionStatus::No));
}

#[test]
fn end_of_a_bought_certificate_is_told_warned_of_and_not_ready() {
    let of = |from: &str, until: &str| {
        certificate_said(ProcessStatus {
            certificate_not_before: Some(format!("{from}T12:00:00Z")),
            certificate_not_after: Some(format!("{until}T12:00:00Z")),
            ..ProcessStatus::default()
        })
    };
    let told = |from: &str, until: &str| {
        let (_, holds, reason, message) = of(from, until);
        (holds, reason, message)
    };
    let valid = |until: &str, rest: &str| {
        format!("the certificate is in Secret bought, valid until {until}T12:00:00Z{rest}")
    };
    for (from, until, reason) in [
        ("2026-01-01", "2027-01-01", "SecretFound"),
        ("2026-01-01", "2026-12-07", "ExpiresSoon"),
        // Short-lived ones are renewed late.
        ("2026-11-24", "2026-11-30", "SecretFound"),
        ("2026-11-19", "2026-11-25", "SecretFound"),
        ("2026-11-01", "2026-11-25", "ExpiresSoon"),
    ] {
        let rest = if reason == "ExpiresSoon" { ": nothing has renewed it" } else { "" };
        assert_eq!(told(from, until), (ConditionStatus::Yes, reason, valid(until, rest)));
    }
    let expired =
        "the certificate expired at 2026-10-24T12:00:00Z: put a new one in Secret bought".to_owned();
    assert_eq!(told("2026-01-01", "2026-10-24"), (ConditionStatus::No, "Expired", expired));
    let (visit, ..) = of("2026-01-01", "2027-01-01");
    let until = "2027-01-01T12:00:00Z".parse().unwrap();
    assert_eq!(visit.certificates.not_after, Some(until));
    let status = visit.status(&visnyk_crds::api::Status::default(), Some(7), now());
    assert_eq!(status.certificate_not_after.map(|time| time.0), Some(until));
}

#[test]
fn ready_pods_are_counted_of_those_that_are_wanted() {
    let runnable = relay(&json!({ "replicas": 3 }));
    let [a, b] = [pod("a", "", vec![]), Report { is_ready: false, ..pod("b", "", vec![]) }];
    let visit = reported(&runnable, &found(), &every_kind(), &[a, b]);
    let status = visit.status(&visnyk_crds::api::Status::default(), Some(7), now());
    assert_eq!((status.ready.as_deref(), status.replicas), (Some("1/3"), Some(2)));
}

#[test]
fn whatever_a_pod_knows_reaches_a_condition() {
    let runnable = relay(&json!({}));
    let hash = &runnable.valid.identity.configuration_hash[..];
    let said = |pod: Report, about: &str| finding(&runnable, &found(), &every_kind(), &[pod], about);
    let with = |status: RelayStatus| Report { status: Some(status), ..pod("a", "", vec![]) };
    let full = Report { is_ready: false, trouble: Some("journal: full".into()), ..pod("a", hash, vec![]) };
    let message = "0 of 1 pods are ready; pod a: journal: full";
    assert_eq!(said(full, "Available"), (ConditionStatus::No, "NoPodReady", message.into()));

    let lost = |how: &str| {
        format!(
            "pod a: the state file {how}: deliveries repeat, and events that waited for another attempt may be lost; this \
             is told until the pod restarts"
        )
    };
    let status = RelayStatus { state_lost: true, ..RelayStatus::default() };
    assert_eq!(said(with(status.clone()), "Durable"), (ConditionStatus::No, "StateLost", lost("was lost")));
    let aside = RelayStatus { state_set_aside: Some("/x".into()), ..status };
    let how = "was damaged and is now /x";
    assert_eq!(said(with(aside), "Durable"), (ConditionStatus::No, "StateLost", lost(how)));

    let refused =
        ProcessStatus { manifest_problem: Some("spool: too small".into()), ..ProcessStatus::default() };
    let message = "0 of 1 pods run this configuration; pod a does not take it and keeps the one before: spool: too small";
    assert_eq!(
        said(with(process(refused.clone())), "Programmed"),
        (ConditionStatus::No, "ManifestProblem", message.into())
    );
    let newer = ProcessStatus { newer_configuration: true, ..refused };
    let (holds, reason, told) = said(with(process(newer)), "Programmed");
    assert_eq!((holds, reason), (ConditionStatus::No, "NewerConfiguration"));
    assert!(told.starts_with(&format!("{message}; give the pods an image")), "{told}");
}

#[test]
fn pod_is_nudged_while_that_may_help_and_not_for_ever() {
    let missing = Obstacle { reason: "SecretMissing", message: "Secret token is not there".into() };
    let news = |pod: &Report, obstacles: &[Obstacle]| pod.news("hash", obstacles.is_empty(), None, now());
    let sync_requested = |pod: &Report, seconds: i64, what: &str| Report {
        sync_requested: Some((now() - SignedDuration::from_secs(seconds), what.into())),
        ..pod.clone()
    };
    let quay = DestinationStatus {
        name: "quay".into(),
        waits_for: Some("a file".into()),
        ..DestinationStatus::default()
    };
    let [follows, lags, waits] =
        [pod("a", "hash", vec![]), pod("a", "other", vec![]), pod("a", "hash", vec![quay])];
    assert_eq!(news(&follows, &[]), None);
    assert_eq!(news(&lags, slice::from_ref(&missing)), Some("hash".into()));
    assert_eq!(news(&sync_requested(&lags, 60, "hash"), &[]), Some("hash".into()));
    assert_eq!(news(&sync_requested(&lags, 61, "hash"), &[]), None);
    assert_eq!(news(&waits, &[]), Some("hash/files".into()));
    assert_eq!(news(&waits, &[missing]), None);
    assert_eq!(news(&sync_requested(&waits, 61, "hash"), &[]), Some("hash/files".into()));
    assert_eq!(news(&sync_requested(&waits, 61, "hash/files"), &[]), None);
    // Secrets that have just changed are another matter.
    let changed = now() - SignedDuration::from_secs(2);
    let secrets = |pod: &Report| pod.news("hash", true, Some(changed), now());
    let told = format!("secrets/{changed}");
    assert_eq!(secrets(&sync_requested(&waits, 61, "hash/files")), Some(told.clone()));
    assert_eq!(secrets(&waits), Some("hash/files".into()));
    assert_eq!(secrets(&sync_requested(&waits, 61, &told)), Some("hash/files".into()));

    let runnable = relay(&json!({}));
    let again =
        |pod: &Report| reported(&runnable, &found(), &every_kind(), slice::from_ref(pod)).requeue_after;
    assert_eq!([&follows, &lags, &waits].map(again), [LATER, LATER, BLOCKED]);
    assert_eq!(again(&Report { is_sync_requested: true, ..lags }), SOON);
}

#[test]
fn delivering_names_destination_pod_and_last_failure() {
    let runnable = relay(&json!({}));
    let hash = &runnable.valid.identity.configuration_hash[..];
    let late = |state: DestinationState, seconds: u64, last_failure: Option<&str>| DestinationStatus {
        name: "quay".into(),
        state,
        pending: 3,
        oldest_pending_seconds: Some(seconds),
        last_failure: last_failure.map(str::to_owned),
        ..DestinationStatus::default()
    };
    let delivering = |one: DestinationStatus| {
        let found = finding(&runnable, &found(), &every_kind(), &[pod("a", hash, vec![one])], "Delivering");
        (found.0, found.1, found.2)
    };
    assert_eq!(delivering(late(DestinationState::Active, 60, Some("answered 503"))).0, ConditionStatus::Yes);
    for (failure, rest) in [(None, ""), (Some("answered 503"), ", last failure: answered 503")] {
        let message = format!("events wait for more than a minute: destination \"quay\" (pod a){rest}");
        assert_eq!(
            delivering(late(DestinationState::Active, 61, failure)),
            (ConditionStatus::No, "Behind", message)
        );
    }
    let waits = DestinationStatus {
        waits_for: Some("secret a/b is empty".into()),
        ..late(DestinationState::Active, 61, None)
    };
    assert!(delivering(waits).2.ends_with("(pod a), waits for its files: secret a/b is empty"));
    let message = "disabled after HTTP 410 until its url changes: destination \"quay\" (pod a)";
    assert_eq!(
        delivering(late(DestinationState::Disabled, 0, None)),
        (ConditionStatus::No, "Disabled", message.into())
    );
    assert_eq!(finding(&runnable, &found(), &every_kind(), &[], "Delivering").0, ConditionStatus::Unknown);
}

#[test]
fn volume_that_is_left_behind_is_drained_by_this_job() {
    let spool = json!({ "persistent": { "size": "1Gi" }, "onDelete": "Drain", "drainTimeout": "90m" });
    let runnable = relay(&json!({ "spool": spool }));
    let claim = kube::api::ObjectMeta { name: Some("data-harbour-relay-1".into()), ..Default::default() };
    let of = |fate: VolumeFate| RetainedVolume { ordinal: 1, claim: claim.clone(), fate };
    let jobs = |fate: VolumeFate| {
        build::drains(&runnable, &owner(), "registry.example.org/relay:1", &[of(fate)]).unwrap()
    };
    expect_file!["tests/drain.yaml"].assert_eq(&yaml(&jobs(VolumeFate::Draining)));
    for fate in [VolumeFate::Drained, VolumeFate::Undelivered, VolumeFate::TimedOut] {
        assert_eq!(jobs(fate), jobs(VolumeFate::Draining), "{fate:?}");
    }
    for fate in [VolumeFate::Kept, VolumeFate::InUse, VolumeFate::DrainedOnce, VolumeFate::Discarded] {
        assert_eq!(jobs(fate), [], "{fate:?}");
    }
}
