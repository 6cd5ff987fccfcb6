//! The validator against a second opinion, for any request.

use proptest::prelude::*;

use super::*;
use crate::codec::HeaderStyle;

fn features() -> impl Strategy<Value = Features> {
    let styles =
        prop_oneof![Just(HeaderStyle::Simple), Just(HeaderStyle::Structured), Just(HeaderStyle::Extended),];
    (any::<bool>(), styles, 0_u32..4).prop_map(|(is_read_only, style, chosen)| Features {
        is_read_only,
        style,
        contexts: if style.has_chunks() { chosen } else { 0 },
    })
}

/// Requests that are often nearly right.
fn requests(size_bytes: u64) -> impl Strategy<Value = Request> {
    let offsets = prop_oneof![0..=size_bytes, Just(size_bytes), any::<u64>()];
    let lengths = prop_oneof![
        Just(0),
        1_u64..10_000,
        Just(u64::from(PAYLOAD_BYTES_MAX)),
        Just(u64::from(PAYLOAD_BYTES_MAX) + 1),
        Just(1 << 30),
        Just((1 << 30) + 1),
        any::<u32>().prop_map(u64::from),
        any::<u64>()
    ];
    let flags = prop_oneof![3 => Just(0_u16), 1 => Just(32_u16), 2 => 0_u16..64, 1 => any::<u16>()];
    (flags, 0_u16..9, any::<u64>(), offsets, lengths).prop_map(
        |(flags, command, cookie, offset_bytes, length_bytes)| Request {
            flags: CommandFlags(flags),
            command,
            cookie,
            offset_bytes,
            length_bytes,
        },
    )
}

const SIZE_BYTES: u64 = 1 << 32;

/// Lengths and contexts of block status requests, often right ones.
fn payloads() -> impl Strategy<Value = (u64, Vec<u32>)> {
    let lengths = prop_oneof![3 => 0_u64..10_000, 1 => any::<u64>()];
    (lengths, proptest::collection::vec(0_u32..5, 0..4))
}

fn encoded(payload: &(u64, Vec<u32>)) -> Vec<u8> {
    let mut bytes = payload.0.to_be_bytes().to_vec();
    payload.1.iter().for_each(|context| bytes.extend(context.to_be_bytes()));
    bytes
}

#[test]
fn ranges_are_split_at_multiples_and_lose_nothing() {
    for (offset_bytes, length_bytes) in
        [(0, 1), (0, 10), (3, 7), (3, 8), (9, 100), (10, 10), (u64::MAX - 5, 4)]
    {
        let mut rest = Some(Range { offset_bytes, length_bytes });
        let mut next = offset_bytes;
        while let Some(range) = rest {
            let (first, more) = range.split(10);
            assert_eq!(first.offset_bytes, next);
            assert!((1..=10).contains(&first.length_bytes));
            next += first.length_bytes;
            assert!(more.is_none() || next.is_multiple_of(10));
            rest = more;
        }
        assert_eq!(next, offset_bytes + length_bytes);
    }
}

/// The flags that each command may have, by number: a second table.
fn flags_allowed(command: u16, features: Features) -> u16 {
    let own = match command {
        0 if features.style != HeaderStyle::Simple => 4,
        1 if features.style == HeaderStyle::Extended => 32,
        6 => 2 | 16,
        7 if features.style == HeaderStyle::Extended && features.contexts > 0 => 8 | 32,
        7 => 8,
        _ => 0,
    };
    if features.is_read_only { own } else { own | 1 }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4000))]

    #[test]
    fn what_passes_is_right_and_what_is_right_passes(
        request in requests(SIZE_BYTES), features in features(), payload in payloads(),
    ) {
        let changes = matches!(request.command, 1 | 4 | 6);
        let has_payload = request.command == 7 && request.flags.0 & 32 != 0;
        let length_bytes = if has_payload { payload.0 } else { request.length_bytes };
        let end = u128::from(request.offset_bytes) + u128::from(length_bytes);
        let in_range = length_bytes > 0 && end <= u128::from(SIZE_BYTES);
        let contexts: std::collections::BTreeSet<u32> = payload.1.iter().copied().collect();
        let payload_is_right = !payload.1.is_empty()
            && contexts.len() == payload.1.len()
            && contexts.iter().all(|number| (1..=features.contexts).contains(number));
        let right = match request.command {
            3 => request.offset_bytes == 0 && request.length_bytes == 0,
            0 => in_range && request.length_bytes <= u64::from(PAYLOAD_BYTES_MAX),
            1 => in_range && (features.style != HeaderStyle::Extended || request.flags.0 & 32 != 0),
            4 => in_range,
            5 => in_range && request.length_bytes <= 1 << 30,
            6 => in_range && request.flags.0 & 18 != 18,
            7 => in_range && features.contexts > 0 && (!has_payload || payload_is_right),
            _ => false,
        } && request.flags.0 & !flags_allowed(request.command, features) == 0
            && !(changes && features.is_read_only);
        let judged = validate(&request, &encoded(&payload), features, SIZE_BYTES);
        prop_assert_eq!(judged.is_ok(), right, "{:?}: {:?}", request, judged);
    }

    #[test]
    fn the_operation_is_the_requests(
        request in requests(SIZE_BYTES), features in features(), payload in payloads(),
    ) {
        let judged = validate(&request, &encoded(&payload), features, SIZE_BYTES);
        let Ok(operation) = judged else { return Ok(()) };
        let same = |range: Range| {
            range.offset_bytes == request.offset_bytes && range.length_bytes == request.length_bytes
        };
        let fua = request.flags.0 & 1 != 0;
        match operation {
            Operation::Read { range, may_fragment } => {
                prop_assert!(request.command == 0 && same(range));
                prop_assert_eq!(may_fragment, features.style != HeaderStyle::Simple && request.flags.0 & 4 == 0);
            }
            Operation::Write { range, durable } => {
                prop_assert!(request.command == 1 && same(range) && durable == fua);
            }
            Operation::Flush => prop_assert_eq!(request.command, 3),
            Operation::Trim { range, durable } => {
                prop_assert!(request.command == 4 && same(range) && durable == fua);
            }
            Operation::Cache { range } => prop_assert!(request.command == 5 && same(range)),
            Operation::WriteZeroes { range, mode, durable } => {
                prop_assert!(request.command == 6 && same(range) && durable == fua);
                prop_assert_eq!(mode == ZeroMode::KeepAllocated, request.flags.0 & 2 != 0);
            }
            Operation::BlockStatus { range, contexts, only_one } => {
                prop_assert_eq!(request.command, 7);
                if request.flags.0 & 32 == 0 {
                    prop_assert!(same(range));
                    prop_assert_eq!(contexts, ContextSet::first(features.contexts));
                } else {
                    prop_assert_eq!((range.offset_bytes, range.length_bytes), (request.offset_bytes, payload.0));
                    prop_assert_eq!(Some(contexts), ContextSet::of(&payload.1, features.contexts));
                }
                prop_assert_eq!(only_one, request.flags.0 & 8 != 0);
            }
        }
    }
}
