//! Tests that every provider accepts a signed message, and no message that differs from it by a bit.

use rand::{RngExt, SeedableRng, rngs::StdRng};

use super::Rejection;
use super::form;
use super::pay_pal::PayPalCertificates;
use super::providers::provider;
use super::secrets::Secrets;
use super::testing::{Case, Message, cases};

/// Number of changes of several bytes, per message.
const RANDOM: usize = 3_000;
const SEED: u64 = 2026;

#[test]
fn what_a_sender_signed_is_let_in_and_without_its_secret_nothing_is() {
    for case in cases() {
        let verify = |secrets: &[&str]| case.judge(&*case.provider_with(secrets), &case.message, 0).unwrap();
        assert_eq!(verify(&[case.secret]), Ok(()), "{}", case.name);
        assert_eq!(verify(&[&format!("{}\n", case.secret)]), Ok(()), "{}, a newline behind", case.name);
        assert_eq!(verify(&[]), Err(Rejection::NoSecret), "{}", case.name);
        assert_eq!(verify(&["", "\n"]), Err(Rejection::NoSecret), "{}", case.name);
    }
}

#[test]
fn either_of_two_secrets_lets_in_while_one_rotates_and_another_does_not() {
    for case in cases().into_iter().filter(|case| case.name != "basic") {
        let other = match case.secret {
            secret if secret.starts_with("whpk_") => "whpk_AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=",
            secret if secret.starts_with("whsec_M") => "whsec_AAECAwQFBgcICQoLDA0ODxAREhMUFRYX",
            _ => "another secret",
        };
        let verify = |secrets: &[&str]| case.judge(&*case.provider_with(secrets), &case.message, 0).unwrap();
        assert_eq!(verify(&[case.secret, other]), Ok(()), "{}", case.name);
        assert_eq!(verify(&[other, case.secret]), Ok(()), "{}", case.name);
        // A meta app and its challenge share the first secret in these tests.
        assert_eq!(verify(&[other, other]), Err(Rejection::Wrong), "{}", case.name);
    }
}

#[test]
fn a_signed_time_is_good_for_five_minutes_to_the_millisecond() {
    for case in cases().into_iter().filter(|case| case.is_timed) {
        let provider = case.provider();
        for (after_ms, expected) in [
            (-300_001, Err(Rejection::Time)),
            (-300_000, Ok(())),
            (300_000, Ok(())),
            (300_001, Err(Rejection::Time)),
        ] {
            let judged = case.judge(&*provider, &case.message, after_ms);
            assert_eq!(judged, Some(expected), "{} after {after_ms} ms", case.name);
        }
    }
}

#[test]
fn one_of_several_signatures_is_enough_and_another_scheme_is_none() {
    let judge = |name: &str, signatures: &str| {
        let case = cases().into_iter().find(|case| case.name == name).unwrap();
        let message = case.message.with(case.proof.last().unwrap(), signatures.as_bytes());
        case.judge(&*case.provider(), &message, 0).unwrap()
    };
    let right = "7b751e678ac3cd60693af15ba1ae1fc39e6a12beb59795ff4ba46a1caa2d7ad8";
    let wrong = "0".repeat(64);
    let stripe = |rest: &str| judge("stripe", &format!("t=1700000000,{rest}"));
    assert_eq!(stripe(&format!("v1={wrong},v1={right},v0={wrong}")), Ok(()));
    assert_eq!(stripe(&format!("v1={right},v1={wrong},v2=any")), Ok(()));
    assert_eq!(stripe(&format!("v1={wrong},v0={right}")), Err(Rejection::Wrong));
    assert_eq!(stripe(&format!("v0={right}")), Err(Rejection::Malformed));
    assert_eq!(stripe(&vec![format!("v1={right}"); 17].join(",")), Err(Rejection::Malformed));

    let right = "g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=";
    let wrong = right.replace("g0", "h0");
    let standard = |signatures: &str| judge("standard webhooks v1, as published", signatures);
    assert_eq!(standard(&format!("v1,{wrong} v1,{right}")), Ok(()));
    assert_eq!(standard(&format!("v1,{right} v1a,{wrong} v2,any")), Ok(()));
    assert_eq!(standard(&format!("v1a,{right}")), Err(Rejection::Wrong));
    assert_eq!(standard(&format!("v2,{right}")), Err(Rejection::Malformed));
    assert_eq!(standard(&vec![format!("v1,{right}"); 17].join(" ")), Err(Rejection::Malformed));
}

#[test]
fn a_signing_secret_of_gitlab_is_no_token() {
    let case = cases().into_iter().find(|case| case.name == "gitlab, signed").unwrap();
    let token = Message::post("/", &[("x-gitlab-token", case.secret)], "{}");
    assert_eq!(case.judge(&*case.provider(), &token, 0), Some(Err(Rejection::Missing)));
    let plain = "a long token";
    let other = token.with("x-gitlab-token", plain.as_bytes());
    let provider = case.provider_with(&[case.secret, plain]);
    assert_eq!(case.judge(&*provider, &token, 0), Some(Err(Rejection::Missing)));
    assert_eq!(case.judge(&*provider, &other, 0), Some(Ok(())), "the token that it takes the place of");
    assert_eq!(case.judge(&*provider, &case.message, 0), Some(Ok(())));
}

#[test]
fn unusable_secret_is_named_without_its_content_and_no_panic() {
    const CANARY: &str = "canary";
    let odd = [
        "canary: of \u{445}\n\nnone",
        "whsec_canary!",
        "whpk_canary!",
        "whsk_canary!",
        "whsec_",
        "-----BEGIN CERTIFICATE-----\ncanary\n-----END CERTIFICATE-----",
        "\0",
    ];
    for case in cases() {
        for secret in odd {
            let folder = tempfile::tempdir().unwrap();
            std::fs::create_dir(folder.path().join("hook")).unwrap();
            std::fs::write(folder.path().join("hook/k0"), secret).unwrap();
            let mut secrets = Secrets::of(folder.path());
            let provider = provider(&case.verify, &mut secrets, &PayPalCertificates::none());
            assert_ne!(case.judge(&*provider, &case.message, 0), Some(Ok(())), "{}, {secret:?}", case.name);
            let problems = secrets.into_problems();
            let said: Vec<String> = problems.iter().map(|one| format!("{one} {one:?}")).collect();
            let said = said.join(", ");
            assert!(said.contains("hook/k1 cannot be read") || case.name == "basic", "{}: {said}", case.name);
            assert!(!said.contains(CANARY), "{}: {said}", case.name);
        }
    }
}

#[test]
fn nothing_that_differs_from_what_was_signed_is_let_in() {
    for case in cases() {
        let provider = case.provider();
        let mut count = 0;
        for mutant in mutants(&case) {
            match case.judge(&*provider, &mutant, 0) {
                Some(Ok(())) => panic!("{} let in {mutant:?}", case.name),
                Some(Err(_)) => count += 1,
                None => {} // no listener would take it
            }
        }
        println!("{}: {count} refused", case.name);
        assert!(count > 2_000, "{}: only {count}", case.name);
    }
}

/// Returns messages that differ from the signed one.
fn mutants(case: &Case) -> Vec<Message> {
    let message = &case.message;
    let mut mutants = Vec::new();
    for name in case.proof {
        let value = message.header(name);
        mutants.push(message.without(name));
        let twice = |other: &[u8]| {
            let mut twice = message.clone();
            twice.headers.push(((*name).to_owned(), other.to_vec()));
            twice
        };
        mutants.extend([twice(value), twice(b""), twice(b"x")]);
        mutants.extend(texts(value).into_iter().map(|value| message.with(name, &value)));
    }
    if case.provider().signs_body() {
        mutants.extend(texts(&message.body).into_iter().map(|body| Message { body, ..message.clone() }));
    }
    if let Some((path, query)) = message.target.split_once('?') {
        let with_query = |query: Vec<u8>| {
            let query = String::from_utf8(query).ok().filter(|query| query.is_ascii())?;
            Some(Message { target: format!("{path}?{query}"), ..message.clone() })
        };
        mutants.extend(texts(query.as_bytes()).into_iter().filter_map(with_query));
        mutants.push(Message { target: path.to_owned(), ..message.clone() });
    }
    mutants.retain(|mutant| !means_the_same(message, mutant));
    mutants
}

/// Returns changes of a text: a bit, a letter's case, a byte more or less, other padding, another order.
pub fn texts(text: &[u8]) -> Vec<Vec<u8>> {
    let mut random = StdRng::seed_from_u64(SEED);
    let mut texts: Vec<Vec<u8>> = (0..text.len()).map(|end| text[..end].to_vec()).collect();
    for bit in 0..text.len() * 8 {
        let mut flipped = text.to_vec();
        flipped[bit / 8] ^= 1 << (bit % 8);
        texts.push(flipped);
    }
    let string = String::from_utf8_lossy(text).into_owned();
    for other in [
        string.to_uppercase(),
        string.to_lowercase(),
        string.trim_end_matches('=').to_owned(),
        string.replace('+', "-").replace('/', "_"),
        string.replace('=', "%3D"),
        string.chars().rev().collect(),
    ] {
        texts.push(other.into_bytes());
    }
    for more in ["=", "==", "0", "A", ",", " x", "\n", "\r\n", "\0", "&a=b", "\u{feff}"] {
        texts.push([text, more.as_bytes()].concat());
        texts.push([more.as_bytes(), text].concat());
    }
    for _ in 0..RANDOM {
        let mut other = text.to_vec();
        for _ in 0..random.random_range(1..4) {
            let at = random.random_range(0..=other.len());
            match random.random_range(0..4) {
                0 => other.insert(at, random.random_range(b' '..=b'~')),
                1 if at < other.len() => drop(other.remove(at)),
                2 if at < other.len() => other[at] = random.random_range(b' '..=b'~'),
                _ if at + 1 < other.len() => other.swap(at, at + 1),
                _ => other.push(b'0'),
            }
        }
        texts.push(other);
    }
    texts.retain(|other| other != text);
    texts
}

/// Returns whether it is the same message in other bytes, by the provider's own rules: HTTP's white space around a
/// value, the letters of an authorization scheme and the spaces behind it, and the fields of a form in another order
/// or notation.
fn means_the_same(message: &Message, mutant: &Message) -> bool {
    let is_form = |message: &Message| {
        message.headers.iter().any(|(_, value)| value.starts_with(b"application/x-www-form-urlencoded"))
    };
    let fields = |message: &Message| {
        let mut fields: Vec<_> = form::pairs(&message.body).collect();
        fields.sort_unstable();
        fields.dedup();
        fields.concat_all()
    };
    let headers = |message: &Message| {
        let normal = |value: &[u8]| {
            let value = value.trim_ascii();
            let scheme = value.iter().position(|byte| *byte == b' ').unwrap_or(0);
            [&value[..scheme].to_ascii_lowercase(), value[scheme..].trim_ascii_start()].concat()
        };
        message.headers.iter().map(|(name, value)| (name.clone(), normal(value))).collect::<Vec<_>>()
    };
    let same_form = is_form(message) && fields(message) == fields(mutant);
    message.target == mutant.target
        && headers(message) == headers(mutant)
        && (message.body == mutant.body || same_form)
}

/// Concatenation of names and values, which Twilio signs without a separator.
trait Concat {
    fn concat_all(self) -> Vec<u8>;
}

impl Concat for Vec<(Vec<u8>, Vec<u8>)> {
    fn concat_all(self) -> Vec<u8> {
        self.into_iter().flat_map(|(name, value)| [name, value].concat()).collect()
    }
}
