use std::fs;

use aws_lc_rs::hmac;
use bytes::Bytes;
use data_encoding::{BASE64, HEXLOWER};
use http::HeaderMap;
use visnyk_crds::valid::{HmacAlgorithm, Part, SecretRef, SignatureEncoding};

use super::*;

/// The example of the Standard Webhooks libraries, and an Ed25519 key of RFC 8032.
const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
const PRIVATE: &str = "whsk_xaqN9D+fg3vtt0QvMdy3sWbThTUHbwlLhc46LgtEWPc=";

fn secret(key: &str) -> SecretRef {
    SecretRef { name: "hook".into(), key: key.into() }
}

fn signer(files: &[(&str, &str)], sign: &Sign) -> Result<Signer, Vec<String>> {
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir(folder.path().join("hook")).unwrap();
    for (key, text) in files {
        fs::write(folder.path().join("hook").join(key), text).unwrap();
    }
    let mut secrets = Secrets::of(folder.path());
    let signer = Signer::read(sign, &mut secrets);
    signer.ok_or_else(|| secrets.into_problems().iter().map(ToString::to_string).collect())
}

fn standard(keys: &[&str]) -> Sign {
    Sign::StandardWebhooks { secrets: keys.iter().map(|key| secret(key)).collect() }
}

fn message(id: Option<&'static str>, body: &'static [u8]) -> Message {
    let mut headers = HeaderMap::new();
    if let Some(id) = id {
        headers.insert(WEBHOOK_ID, HeaderValue::from_static(id));
    }
    Message { headers, body: Bytes::from_static(body) }
}

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(second).unwrap()
}

#[test]
fn published_example_is_signed_as_published() {
    let signer = signer(&[("v1", SECRET)], &standard(&["v1"])).unwrap();
    let mut message = message(Some("msg_p5jXN8AQM9LWM0D4loKWxJek"), br#"{"test": 2432232314}"#);
    signer.sign(&mut message, at(1_614_265_330));
    let signature = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=";
    assert_eq!(message.headers[WEBHOOK_SIGNATURE], signature);
    assert_eq!(message.headers[WEBHOOK_TIMESTAMP], "1614265330");
    assert_eq!(message.headers[WEBHOOK_ID], "msg_p5jXN8AQM9LWM0D4loKWxJek");
}

#[test]
fn every_secret_signs_while_they_rotate_in_both_schemes() {
    let files = [("old", "whsec_b2xk"), ("new", "whsec_bmV3\n"), ("v1a", PRIVATE)];
    let signer = signer(&files, &standard(&["old", "new", "v1a"])).unwrap();
    let mut message = message(Some("a"), b"body");
    signer.sign(&mut message, at(7));
    let signatures = message.headers[WEBHOOK_SIGNATURE].to_str().unwrap();
    let signatures: Vec<&str> = signatures.split(' ').collect();
    let hmac = |secret: &[u8]| {
        let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, secret), b"a.7.body");
        format!("v1,{}", BASE64.encode(tag.as_ref()))
    };
    assert_eq!(signatures[..2], [hmac(b"old"), hmac(b"new")]);
    let public = b"\xfc\x51\xcd\x8e\x62\x18\xa1\xa3\x8d\xa4\x7e\xd0\x02\x30\xf0\x58\x08\x16\xed\x13\xba\x33\x03\xac\x5d\xeb\x91\x15\x48\x90\x80\x25";
    let v1a = BASE64.decode(signatures[2].strip_prefix("v1a,").unwrap().as_bytes()).unwrap();
    let public = aws_lc_rs::signature::UnparsedPublicKey::new(&aws_lc_rs::signature::ED25519, public);
    public.verify(b"a.7.body", &v1a).unwrap();
    assert_eq!(signatures.len(), 3);
}

#[test]
fn each_attempt_has_its_own_time_and_signature() {
    let signer = signer(&[("v1", SECRET)], &standard(&["v1"])).unwrap();
    let mut message = message(Some("a"), b"body");
    signer.sign(&mut message, at(7));
    let first = message.clone();
    signer.sign(&mut message, at(8));
    assert_eq!(message.headers[WEBHOOK_ID], first.headers[WEBHOOK_ID]);
    assert_ne!(message.headers[WEBHOOK_SIGNATURE], first.headers[WEBHOOK_SIGNATURE]);
    assert_eq!(message.headers[WEBHOOK_TIMESTAMP], "8");
}

#[test]
fn what_has_no_id_gets_one_so_that_it_can_be_verified() {
    let signer = signer(&[("v1", SECRET)], &standard(&["v1"])).unwrap();
    let mut message = message(None, b"alive");
    signer.sign(&mut message, at(7));
    assert_eq!(message.headers[WEBHOOK_ID].len(), 36);
}

#[test]
fn hmac_is_of_what_the_manifest_says_and_stands_where_it_says() {
    let shape = |algorithm, encoding, payload| SignedHeader {
        header: "x-sig".parse().unwrap(),
        algorithm,
        encoding,
        prefix: "v0=".into(),
        payload,
        timestamp_header: None,
    };
    let of = |signature| {
        let signer =
            signer(&[("hmac", "s3cret\n")], &Sign::Hmac { secret: secret("hmac"), signature }).unwrap();
        let mut message = message(Some("a"), b"body");
        message.headers.append("x-sig", HeaderValue::from_static("theirs"));
        signer.sign(&mut message, at(7));
        assert_eq!(message.headers.get_all("x-sig").iter().count(), 1);
        message.headers
    };
    let tag = |algorithm, text: &[u8]| hmac::sign(&hmac::Key::new(algorithm, b"s3cret"), text);

    let headers = of(shape(HmacAlgorithm::SHA512, SignatureEncoding::Base64, vec![Part::Body]));
    let expected = BASE64.encode(tag(hmac::HMAC_SHA512, b"body").as_ref());
    assert_eq!(headers["x-sig"], format!("v0={expected}"));

    let payload = vec![Part::Text("v0:".into()), Part::Timestamp, Part::Text(":".into()), Part::Body];
    let timed = SignedHeader {
        timestamp_header: Some("x-time".parse().unwrap()),
        ..shape(HmacAlgorithm::SHA256, SignatureEncoding::Hex, payload)
    };
    let headers = of(timed);
    let expected = HEXLOWER.encode(tag(hmac::HMAC_SHA256, b"v0:7:body").as_ref());
    assert_eq!(
        (&headers["x-sig"], &headers["x-time"]),
        (&HeaderValue::from_str(&format!("v0={expected}")).unwrap(), &HeaderValue::from_static("7"))
    );
}

#[test]
fn unusable_secret_is_named_and_nothing_is_signed_by_the_others() {
    let files =
        [("good", SECRET), ("bad", "whsec_canary not base64"), ("empty", "\n"), ("key", "whsk_Y2FuYXJ5")];
    let problems = signer(&files, &standard(&["good", "bad", "empty", "key", "none"])).err().unwrap();
    assert_eq!(
        problems,
        [
            "secret hook/bad is not base64",
            "secret hook/empty is empty",
            "secret hook/key has the wrong length",
            "secret hook/none cannot be read: No such file or directory (os error 2)",
        ]
    );
}
