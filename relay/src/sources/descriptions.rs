//! Tests of the description that each provider gives of its events, and of the requests that are not events.

use http::Method;
use visnyk_crds::valid::Verify;
use visnyk_engine::event::Attributes;

use super::testing::{Case, Message, cases, secrets};
use super::{Answer, Classification, Provider, Rejection};

fn provider(name: &str) -> Box<dyn Provider> {
    let case = cases().into_iter().find(|case| case.name.starts_with(name)).unwrap();
    case.provider()
}

fn described(provider: &dyn Provider, message: &Message) -> Classification {
    message.judged_at(1_700_000_000_000, |request| provider.describe(request)).unwrap()
}

fn greeted(provider: &dyn Provider, message: &Message) -> Option<Result<Answer, Rejection>> {
    message.judged_at(0, |request| provider.greet(request)).unwrap()
}

fn event(kind: Option<&str>, id: Option<&str>, time_ms: Option<i64>) -> Classification {
    let text = |text: Option<&str>| text.map(str::to_owned);
    Classification::Event(Attributes { kind: text(kind), id: text(id), origin: None, time_ms })
}

#[test]
fn what_a_provider_says_of_an_event_becomes_its_attributes() {
    let standard = [("webhook-id", "msg_1"), ("webhook-timestamp", "1614265330"), ("webhook-signature", "")];
    let cases: Vec<(&str, Message, Classification)> = vec![
        (
            "github",
            Message::post("/", &[("x-github-event", "push"), ("x-github-delivery", "72d3162e")], "{}"),
            event(Some("push"), Some("72d3162e"), None),
        ),
        (
            "gitlab, by token",
            Message::post(
                "/",
                &[("x-gitlab-event", "Push Hook"), ("idempotency-key", "f5e7"), ("webhook-id", "forged")],
                "{}",
            ),
            event(Some("Push Hook"), Some("f5e7"), None),
        ),
        (
            "gitlab, signed",
            Message::post("/", &[("x-gitlab-event", "Push Hook"), ("webhook-id", "f5e8")], "{}"),
            event(Some("Push Hook"), Some("f5e8"), None),
        ),
        (
            "stripe",
            Message::post(
                "/",
                &[],
                "{\"id\": \"evt_1\", \"type\": \"invoice.paid\", \"created\": 1699999999}",
            ),
            event(Some("invoice.paid"), Some("evt_1"), Some(1_699_999_999_000)),
        ),
        (
            "slack",
            Message::post(
                "/",
                &[],
                "{\"type\": \"event_callback\", \"event\": {\"type\": \"message\"}, \"event_id\": \"Ev1\", \
                 \"event_time\": 1355517523}",
            ),
            event(Some("message"), Some("Ev1"), Some(1_355_517_523_000)),
        ),
        ("slack", Message::post("/", &[], "command=%2Fweather&text=94070"), event(None, None, None)),
        (
            "shopify",
            Message::post(
                "/",
                &[
                    ("x-shopify-topic", "orders/create"),
                    ("x-shopify-event-id", "98880550"),
                    ("x-shopify-triggered-at", "2023-03-29T18:00:27.877041743Z"),
                ],
                "{}",
            ),
            event(Some("orders/create"), Some("98880550/orders/create"), Some(1_680_112_827_877)),
        ),
        (
            "woocommerce",
            Message::post(
                "/",
                &[("x-wc-webhook-topic", "order.updated"), ("x-wc-webhook-delivery-id", "d8f")],
                "{}",
            ),
            event(Some("order.updated"), Some("d8f"), None),
        ),
        ("meta", Message::post("/", &[], "{\"object\": \"page\"}"), event(Some("page"), None, None)),
        (
            "telegram",
            Message::post("/", &[], "{\"update_id\": 10000, \"edited_message\": {\"date\": 1441645532}}"),
            event(Some("edited_message"), Some("10000"), None),
        ),
        (
            "twilio's form",
            Message::post(
                "/",
                &[
                    ("content-type", "application/x-www-form-urlencoded"),
                    ("i-twilio-idempotency-token", "t1"),
                ],
                "MessageStatus=delivered&SmsStatus=sent",
            ),
            event(Some("delivered"), Some("t1"), None),
        ),
        (
            "standard webhooks",
            Message::post("/", &standard, "{\"type\": \"a.b\", \"timestamp\": \"1970-01-01T00:00:01Z\"}"),
            event(Some("a.b"), Some("msg_1"), Some(1000)),
        ),
        (
            "standard webhooks",
            Message::post("/", &standard, "<a/>"),
            event(None, Some("msg_1"), Some(1_614_265_330_000)),
        ),
    ];
    for (name, message, expected) in cases {
        assert_eq!(described(&*provider(name), &message), expected, "{name}: {message:?}");
    }
}

#[test]
fn greetings_are_answered_and_are_no_events() {
    let github =
        Message::post("/", &[("x-github-event", "ping")], "{\"zen\": \"Keep it logically awesome.\"}");
    assert_eq!(described(&*provider("github"), &github), Classification::Greeting(Answer::bare()));

    let slack = Message::post("/", &[], "{\"type\": \"url_verification\", \"challenge\": \"3eZbrw1a\"}");
    let challenge = Classification::Greeting(Answer::text("3eZbrw1a".into()));
    assert_eq!(described(&*provider("slack"), &slack), challenge);

    let woo = provider("woocommerce");
    let ping = |headers: &[(&str, &str)], body: &str| greeted(&*woo, &Message::post("/", headers, body));
    assert_eq!(ping(&[], "webhook_id=42"), Some(Ok(Answer::bare())));
    for body in ["webhook_id=", "webhook_id=4x", "webhook_id=4&a=b", "{}", ""] {
        assert_eq!(ping(&[], body), None, "{body}");
    }
    assert_eq!(ping(&[("x-wc-webhook-signature", "")], "webhook_id=42"), None);
}

#[test]
fn meta_is_answered_its_challenge_if_it_knows_the_token() {
    let case = Case {
        verify: Verify::Meta { secrets: secrets(), verify_token: secrets().remove(1) },
        ..cases().into_iter().find(|case| case.name == "meta").unwrap()
    };
    let meta = case.provider_with(&["appsecret", "mytoken"]);
    let get = |query: &str| {
        let target = format!("/meta?{query}");
        greeted(&*meta, &Message { method: Method::GET, ..Message::post(&target, &[], "") })
    };
    assert_eq!(
        get("hub.mode=subscribe&hub.challenge=1158201444&hub.verify_token=mytoken"),
        Some(Ok(Answer::text("1158201444".into())))
    );
    for (query, refusal) in [
        ("", Rejection::Missing),
        ("hub.mode=subscribe&hub.challenge=1", Rejection::Missing),
        ("hub.mode=subscribe&hub.challenge=1&hub.verify_token=", Rejection::Wrong),
        ("hub.mode=subscribe&hub.challenge=1&hub.verify_token=appsecret", Rejection::Wrong),
        (
            "hub.mode=subscribe&hub.challenge=1&hub.verify_token=x&hub.verify_token=mytoken",
            Rejection::Repeated,
        ),
        ("hub.mode=unsubscribe&hub.challenge=1&hub.verify_token=mytoken", Rejection::Malformed),
    ] {
        assert_eq!(get(query), Some(Err(refusal)), "{query}");
    }
    assert_eq!(greeted(&*meta, &case.message), None, "an event greets nobody");
}

#[test]
fn cloud_events_say_what_they_are_in_every_mode() {
    let bearer = provider("bearer");
    let say = |headers: &[(&str, &str)], body: &str| described(&*bearer, &Message::post("/", headers, body));
    let said = Classification::Event(Attributes {
        kind: Some("com.example.closed".into()),
        id: Some("A234".into()),
        origin: Some("/shop/Straße 1".into()),
        time_ms: Some(1_522_935_060_000),
    });
    let binary = [
        ("ce-specversion", "1.0"),
        ("ce-type", "com.example.closed"),
        ("ce-source", "/shop/Stra%C3%9Fe%201"),
        ("ce-id", "A234"),
        ("ce-time", "2018-04-05T13:31:00Z"),
    ];
    assert_eq!(say(&binary, "<much/>"), said);
    let with = |name: &str, value: &'static str| {
        binary.map(|(other, old)| if other == name { (other, value) } else { (other, old) })
    };
    assert_eq!(say(&with("ce-source", "\"/shop/Stra%C3%9Fe 1\""), "<much/>"), said, "quoted");
    assert_eq!(say(&with("ce-time", "2018-04-05T13:31:00.0001234567891234Z"), "<much/>"), said, "long");
    assert_eq!(say(&[&binary[..], &[("ce-comment", "")]].concat(), ""), said, "without data");
    let structured = "{\"specversion\": \"1.0\", \"type\": \"com.example.closed\", \"source\": \"/shop/Straße 1\", \
                      \"id\": \"A234\", \"time\": \"2018-04-05T13:31:00Z\", \"data\": {\"id\": 1}}";
    let json = ("content-type", "application/cloudevents+json; charset=utf-8");
    assert_eq!(say(&[json], structured), said);

    let batch = ("content-type", "application/cloudevents-batch+json");
    let none = event(None, None, None);
    assert_eq!(say(&[batch], &format!("[{structured}, {structured}]")), none);
    assert_eq!(say(&[batch], "[]"), none);
    assert_eq!(say(&[], structured), none, "nothing says that it is an event");

    let broken = Classification::Broken("Invalid CloudEvent");
    for index in 0..4 {
        let mut lacking = binary.to_vec();
        lacking.remove(index);
        let expected = if index == 0 { &none } else { &broken };
        assert_eq!(say(&lacking, "<much/>"), *expected, "without {}", binary[index].0);
    }
    for (name, value) in [
        ("ce-id", ""),
        ("ce-id", "a%ffb"),
        ("ce-source", "/a%0Ab"),
        ("ce-type", "\"open"),
        ("ce-time", "yesterday"),
        ("ce-time", "%ff"),
        ("ce-specversion", "0.3"),
    ] {
        assert_eq!(say(&with(name, value), "<much/>"), broken, "{name}: {value}");
    }
    assert_eq!(say(&[&binary[..], &[("ce-id", "B")]].concat(), ""), broken, "one of two");
    assert_eq!(say(&[&binary[..], &[("ce-subject", "%ff")]].concat(), ""), broken);
    assert_eq!(say(&[json], "{\"specversion\": \"1.0\"}"), broken);
    assert_eq!(say(&[json], &structured.replace("1.0", "0.3")), broken);
    assert_eq!(say(&[json], &structured.replace("13:31", "25:31")), broken);
    assert_eq!(say(&[batch], &format!("[{structured}, {{}}]")), broken, "all or none");
    assert_eq!(say(&[batch], structured), broken);
    assert_eq!(say(&[("content-type", "application/cloudevents+avro")], structured), broken);
}

#[test]
fn each_provider_is_answered_as_it_wants_to_be() {
    let answer = |name| {
        let answer = provider(name).accepted();
        (answer.content_type, answer.body)
    };
    let old = (Some("application/json"), "{\"success\":\"Webhook handled\"}\n");
    for name in ["bearer", "hmac", "github", "stripe"] {
        assert_eq!(answer(name), old, "{name}");
    }
    for name in ["slack", "telegram"] {
        assert_eq!(answer(name), (None, ""), "{name}");
    }
    let (content_type, body) = answer("twilio");
    assert_eq!(content_type, Some("text/xml"));
    assert!(body.ends_with("<Response/>\n"), "{body}");
}
