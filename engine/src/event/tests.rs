use super::*;
use proptest::prelude::*;

fn event(headers: Vec<(String, Vec<u8>)>, body: Vec<u8>) -> Event {
    Event {
        envelope: Envelope {
            id: Uuid::from_u128(7),
            received_at_ms: 1_694_366_671_123,
            steady_ms: 86_400_000,
            source: "network".into(),
            target: "/?a=1".into(),
            headers,
            attributes: Box::new(Attributes {
                kind: Some("push".into()),
                id: Some("72d3162e".into()),
                origin: None,
                time_ms: Some(-1),
            }),
        },
        body: body.into(),
    }
}

fn section(kind: u8, content: &[u8]) -> Vec<u8> {
    let len = u32::try_from(content.len()).unwrap().to_le_bytes();
    [&[kind][..], &len, content].concat()
}

proptest! {
    #[test]
    fn event_is_read_as_it_was_written(
        headers in proptest::collection::vec(("[a-z-]{1,20}", any::<Vec<u8>>()), 0..8),
        long in proptest::option::of(0..40_000_usize),
        body in any::<Vec<u8>>(),
    ) {
        let long = long.map(|len| ("x-long".to_owned(), vec![b'a'; len]));
        let written = event(headers.into_iter().chain(long).collect(), body);
        let record = written.encode();
        prop_assert_eq!(record.len(), written.as_new().record_len());
        prop_assert_eq!(Event::decode(&record).unwrap(), written);
    }

    #[test]
    fn head_is_read_without_the_rest(body in any::<Vec<u8>>(), cut: prop::sample::Index) {
        let written = event(vec![], body);
        let head = Head { id: Uuid::from_u128(7), received_at_ms: 1_694_366_671_123, steady_ms: 86_400_000, source: "network" };
        let record = written.encode();
        prop_assert_eq!(Head::read(&record).unwrap(), head);
        let len = 36 + "network".len();
        prop_assert_eq!(Head::read(&record[..len]).unwrap(), head);
        prop_assert!(Head::read(&record[..cut.index(len)]).is_err());
    }

    #[test]
    fn section_of_an_unknown_type_is_skipped(kind in 8_u8..128, content: Vec<u8>, at_end: bool) {
        let written = event(vec![("a".into(), b"1".to_vec())], b"body".to_vec());
        let written_record = written.encode();
        let (head, sections) = written_record.split_at(36 + "network".len());
        let unknown = section(kind, &content);
        let record = if at_end { [head, sections, &unknown].concat() } else { [head, &unknown, sections].concat() };
        prop_assert_eq!(Event::decode(&record.into()).unwrap(), written);
    }

    #[test]
    fn no_bytes_make_decode_panic(version in 0_u8..5, mut bytes: Vec<u8>) {
        bytes.splice(0..0, [version]);
        let _ = Head::read(&bytes);
        let _ = Event::decode(&bytes.into());
    }

    #[test]
    fn no_harm_to_a_record_makes_decode_panic(place: prop::sample::Index, byte: u8, len: prop::sample::Index) {
        let mut record = event(vec![("a".into(), b"1".to_vec())], b"body".to_vec()).encode().to_vec();
        let place = place.index(record.len());
        record[place] = byte;
        record.truncate(len.index(record.len() + 1));
        let _ = Event::decode(&record.into());
    }
}

#[test]
fn record_of_a_newer_version_is_told_from_a_damaged_one() {
    let mut record = event(vec![], vec![]).encode().to_vec();
    for (version, is_newer) in [(0, false), (4, true), (255, true)] {
        record[0] = version;
        let error = Event::decode(&record.clone().into()).unwrap_err();
        assert_eq!(error.is_newer(), is_newer, "{error}");
    }
    record[0] = 9;
    let told = "event record has version 9, this Visnyk reads up to 3: start the version that wrote it, or a later one";
    assert_eq!(Event::decode(&record.into()).unwrap_err().to_string(), told);
}

#[test]
fn flag_or_section_that_a_reader_must_know_stops_it() {
    let record = event(vec![], vec![]).encode().to_vec();
    let with_flags = |flags: u8| {
        let mut record = record.clone();
        record[1] = flags;
        Event::decode(&record.into())
    };
    assert_eq!(with_flags(0x0f).unwrap(), event(vec![], vec![]));
    assert!(with_flags(0x10).unwrap_err().is_newer());
    let error = Event::decode(&[&*record, &section(128, b"")].concat().into()).unwrap_err();
    assert!(error.is_newer() && error.to_string().contains("section of type 128"), "{error}");
}

#[test]
fn ids_are_of_version_7_and_differ_at_the_same_moment() {
    let ids: std::collections::HashSet<_> = (0..10_000).map(|_| new_id(1_694_366_671_123)).collect();
    assert_eq!(ids.len(), 10_000);
    for id in ids {
        assert_eq!((id.get_version_num(), id.as_u128() >> 80), (7, 1_694_366_671_123), "{id}");
    }
    assert_eq!(new_id(-1).as_u128() >> 80, 0);
}
