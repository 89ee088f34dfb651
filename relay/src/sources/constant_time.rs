//! Tests that the work of a judgement reveals nothing of a secret. A clock could not tell, among all that disturbs
//! it; callgrind counts instructions. Each variant of the same requests is judged in a process of its own: all do the
//! same up to the byte that differs, so memory is laid out alike and each difference in the counts comes from that
//! byte.

use std::array;
use std::env;
use std::fs;
use std::hint::black_box;
use std::path::Path;
use std::process::Command;

use data_encoding::{BASE64, HEXLOWER};
use visnyk_crds::valid::HmacAlgorithm;
use visnyk_runtime::crypto::MacKey;
use visnyk_runtime::crypto::standard_webhooks::{VerifyingKey, signed};

use super::testing::{Case, Message, cases};

/// Variable with the variant to verify. It is set in the processes whose instructions are counted, which run this same
/// test.
const VARIANT: &str = "VISNYK_COUNTED_VARIANT";
const VARIANTS: usize = 4;
/// Name of the round whose instruction counts must differ, which proves the method.
const NAIVE: &str = "naive";

/// One verification, in the variant that it was made for.
struct Round {
    name: String,
    judge: Box<dyn Fn() -> bool>,
    is_let_in: bool,
}

#[test]
fn instruction_counts_do_not_depend_on_signatures_or_secrets() {
    if let Ok(variant) = env::var(VARIANT) {
        for round in rounds(variant.parse().unwrap()) {
            assert_eq!(count_by_callgrind(&*round.judge), round.is_let_in, "{}", round.name);
        }
        return;
    }
    if Command::new("valgrind").arg("--version").output().is_err() {
        println!("skipped: valgrind is not installed");
        return;
    }
    let names: Vec<String> = rounds(0).into_iter().map(|round| round.name).collect();
    let counts: [Vec<u64>; VARIANTS] = array::from_fn(|variant| counts(variant, names.len()));
    let mut told = Vec::new();
    for (round, name) in names.iter().enumerate() {
        let alike = counts.each_ref().map(|counts| counts[round]);
        println!("{name}: {alike:?}");
        assert!(alike[0] > 100, "{name}: hardly anything was counted");
        if alike != [alike[0]; VARIANTS] {
            told.push(name);
        }
    }
    assert_eq!(told, [NAIVE]);
}

fn rounds(variant: usize) -> Vec<Round> {
    let mut rounds = Vec::new();
    // Ed25519 has nothing secret to compare with.
    for case in cases().into_iter().filter(|case| !case.secret.starts_with("whpk_")) {
        rounds.push(Round {
            name: format!("{}, where it differs", case.name),
            judge: judging(&case, &[case.secret], wrong_at(&case, variant)),
            is_let_in: false,
        });
    }
    for (name, other, sign) in BY_EITHER {
        let case = cases().into_iter().find(|case| case.name == *name).unwrap();
        let secrets = [case.secret, other];
        let proof = sign(secrets[variant % 2], &case.message);
        let message = case.message.with(case.proof.last().unwrap(), proof.as_bytes());
        rounds.push(Round {
            name: format!("{name}, which secret fits"),
            judge: judging(&case, &secrets, message),
            is_let_in: true,
        });
    }
    let (right, mut wrong) = ([7; 32], [7; 32]);
    wrong[variant * 31 / (VARIANTS - 1)] ^= 1;
    let judge = Box::new(move || is_alike(black_box(&right), black_box(&wrong)));
    rounds.push(Round { name: NAIVE.to_owned(), judge, is_let_in: false });
    rounds
}

type Sign = fn(&str, &Message) -> String;
/// Each way to compare with several secrets: a second one, and how a sender proves itself by either.
const BY_EITHER: &[(&str, &str, Sign)] = &[
    ("github, as published", "another secret", |secret, message| {
        let key = MacKey::new(HmacAlgorithm::SHA256, secret.as_bytes());
        format!("sha256={}", HEXLOWER.encode(key.tag(&[&message.body]).as_ref()))
    }),
    ("standard webhooks v1, as published", "whsec_AAECAwQFBgcICQoLDA0ODxAREhMUFRYX", |secret, message| {
        let key = VerifyingKey::parse(secret.as_bytes()).unwrap();
        let signed = signed(message.header("webhook-id"), message.header("webhook-timestamp"), &message.body);
        format!("v1,{}", BASE64.encode(key.tag(&signed).unwrap().as_ref()))
    }),
    ("bearer", "b-long-token", |secret, _| format!("Bearer {secret}")),
];

/// Compares without constant time: it ends where the two differ.
#[inline(never)]
fn is_alike(right: &[u8], wrong: &[u8]) -> bool {
    right.iter().zip(wrong).all(|(right, wrong)| right == wrong)
}

fn judging(case: &Case, secrets: &[&str], message: Message) -> Box<dyn Fn() -> bool> {
    let (provider, now_ms) = (case.provider_with(secrets), case.now * 1000);
    Box::new(move || {
        message.judged_at(now_ms, |request| provider.verify(black_box(request)).is_ok()).unwrap()
    })
}

/// Returns the message with a proof of which one character is wrong: the first, the last, or one between.
fn wrong_at(case: &Case, variant: usize) -> Message {
    let name = case.proof.last().unwrap();
    let mut value = case.message.header(name).to_vec();
    // The last character of base64 may stand for fewer bits, and could not be just any other.
    let end = value.iter().rposition(|byte| *byte != b'=').unwrap();
    let begin =
        value[..end].iter().rposition(|byte| matches!(byte, b'=' | b',' | b' ')).map_or(0, |at| at + 1);
    let at = begin + (end - 1 - begin) * variant / (VARIANTS - 1);
    value[at] = if value[at] == b'0' { b'1' } else { b'0' };
    case.message.with(name, &value)
}

/// Verifies once while callgrind counts the instructions.
#[inline(never)]
fn count_by_callgrind(judge: &dyn Fn() -> bool) -> bool {
    black_box(judge())
}

/// Counts the instructions of each round of a variant, in their order.
fn counts(variant: usize, rounds: usize) -> Vec<u64> {
    let folder = tempfile::tempdir().unwrap();
    let output = Command::new("valgrind")
        .args(["--tool=callgrind", "--toggle-collect=*count_by_callgrind"])
        .arg("--dump-after=*count_by_callgrind")
        .arg(format!("--callgrind-out-file={}", folder.path().join("out").display()))
        .arg(env::current_exe().unwrap())
        .args(["--exact", &test_name(), "--test-threads=1"])
        .env(VARIANT, variant.to_string())
        .output()
        .unwrap();
    assert!(output.status.success(), "{output:?}");
    (1..=rounds).map(|round| total(&folder.path().join(format!("out.{round}")))).collect()
}

/// Returns the name of this test without the crate's name.
fn test_name() -> String {
    let (_, module) = module_path!().split_once("::").unwrap();
    format!("{module}::instruction_counts_do_not_depend_on_signatures_or_secrets")
}

fn total(dump: &Path) -> u64 {
    let text = fs::read_to_string(dump).unwrap();
    let total = text.lines().find_map(|line| line.strip_prefix("totals: ")).unwrap();
    total.trim().parse().unwrap()
}
