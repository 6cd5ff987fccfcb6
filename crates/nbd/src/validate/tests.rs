//! The validator against a second opinion, for any request.

use proptest::prelude::*;

use super::*;

fn features() -> impl Strategy<Value = Features> {
    (any::<bool>(), any::<bool>(), any::<bool>()).prop_map(|(is_read_only, structured_replies, chosen)| {
        Features { is_read_only, structured_replies, block_status: chosen && structured_replies }
    })
}

/// Requests that are often nearly right.
fn requests(size_bytes: u64) -> impl Strategy<Value = Request> {
    let offsets = prop_oneof![0..=size_bytes, Just(size_bytes), any::<u64>()];
    let lengths = prop_oneof![
        Just(0),
        1_u32..10_000,
        Just(PAYLOAD_BYTES_MAX),
        Just(PAYLOAD_BYTES_MAX + 1),
        any::<u32>()
    ];
    let flags = prop_oneof![3 => Just(0_u16), 2 => 0_u16..32, 1 => any::<u16>()];
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

/// The flags that each command may have, by number: a second table.
fn flags_allowed(command: u16, features: Features) -> u16 {
    let own = match command {
        0 if features.structured_replies => 4,
        6 => 2 | 16,
        7 => 8,
        _ => 0,
    };
    if features.is_read_only { own } else { own | 1 }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4000))]

    #[test]
    fn what_passes_is_right_and_what_is_right_passes(request in requests(SIZE_BYTES), features in features()) {
        let changes = matches!(request.command, 1 | 4 | 6);
        let end = u128::from(request.offset_bytes) + u128::from(request.length_bytes);
        let in_range = request.length_bytes > 0 && end <= u128::from(SIZE_BYTES);
        let right = match request.command {
            3 => request.offset_bytes == 0 && request.length_bytes == 0,
            0 => in_range && request.length_bytes <= PAYLOAD_BYTES_MAX,
            1 | 4 | 5 => in_range,
            6 => in_range && request.flags.0 & 18 != 18,
            7 => in_range && features.block_status,
            _ => false,
        } && request.flags.0 & !flags_allowed(request.command, features) == 0
            && !(changes && features.is_read_only);
        let judged = validate(&request, features, SIZE_BYTES);
        prop_assert_eq!(judged.is_ok(), right, "{:?}: {:?}", request, judged);
    }

    #[test]
    fn the_operation_is_the_requests(request in requests(SIZE_BYTES), features in features()) {
        let Ok(operation) = validate(&request, features, SIZE_BYTES) else { return Ok(()) };
        let same = |range: Range| {
            range.offset_bytes == request.offset_bytes && range.length_bytes == request.length_bytes
        };
        let fua = request.flags.0 & 1 != 0;
        match operation {
            Operation::Read { range, may_fragment } => {
                prop_assert!(request.command == 0 && same(range));
                prop_assert_eq!(may_fragment, features.structured_replies && request.flags.0 & 4 == 0);
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
            Operation::BlockStatus { range, only_one } => {
                prop_assert!(request.command == 7 && same(range));
                prop_assert_eq!(only_one, request.flags.0 & 8 != 0);
            }
        }
    }
}
