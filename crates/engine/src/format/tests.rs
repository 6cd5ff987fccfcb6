use ashlar_volume::{VolumeId, VolumeSnapshotId};

use super::*;
use crate::delta::{ChunkState, Delta, Mark};

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn superblock() -> Superblock {
    Superblock {
        generation: 0x0102,
        applied_sequence: 0x0304,
        next_layer: LayerId(0x0506),
        journal_segment_bytes: 0x80_0000,
        is_clean: true,
        digest: 0x0708_090a,
    }
}

/// One of each operation.
fn delta() -> Delta {
    let mut delta = Delta::default();
    delta.drop_leaf(LayerId(3), LeafIndex(4));
    delta.put_chunk(
        LayerId(5),
        ChunkIndex(6),
        Box::new([Fragment::new(ChunkNumber(7), 0x00f0), Fragment::new(ChunkNumber::ZEROES, 1)]),
    );
    delta.put_chunk(LayerId(5), ChunkIndex(8), Box::new([]));
    for chunk in [7, 8, 9] {
        delta.chunk_states.insert(ChunkNumber(chunk), ChunkState::Allocated);
    }
    delta.chunk_states.insert(ChunkNumber(10), ChunkState::Free);
    delta.held_blocks.insert(LayerId(5), 4);
    delta.layers.insert(LayerId(5), Some(LayerRecord { parent: Some(LayerId(2)), data_key: None }));
    delta.layers.insert(LayerId(3), None);
    let record = NameRecord { size_bytes: 0x10_0000, layer: LayerId(5) };
    delta.volumes.insert(VolumeId::new("disk-1").unwrap(), Some(record));
    delta.volumes.insert(VolumeId::new("disk-2").unwrap(), None);
    delta.snapshots.insert(VolumeSnapshotId::new("snap-1").unwrap(), Some(record));
    delta.snapshots.insert(VolumeSnapshotId::new("snap-2").unwrap(), None);
    let mut checksums = ChunkChecksums::default();
    checksums.set(4, 0x0102_0304);
    checksums.set(15, 0x0506_0708);
    delta.put_checksums(ChunkNumber(7), &checksums);
    delta.intents.extend([(ChecksumPage(1), true), (ChecksumPage(2), true), (ChecksumPage(3), false)]);
    delta.damage.insert(ChunkNumber(9), Mark { mask: 0x0010, index: ChunkIndex(6) });
    delta
}

/// When this fails, the format has changed: pools in the field no longer open. Raise `FORMAT_VERSION`, say in
/// `FORMAT.md` what is new, and read the old version too.
#[test]
fn the_bytes_of_format_5_do_not_change() {
    assert_eq!(
        hex(&superblock().encode()),
        "4153484c4152504c0500000001000000000001000010000002010000000000000403000000000000\
         060500000000000000008000000000000a090807c6f1138e"
    );
    assert_eq!(
        hex(&NameRecord { size_bytes: 0x10_0000, layer: LayerId(5) }.encode()),
        "0000100000000000050000000000000000000000"
    );
    assert_eq!(
        hex(&LayerRecord { parent: Some(LayerId(2)), data_key: None }.encode()),
        "0200000000000000000000000000000000000000"
    );
    assert_eq!(
        hex(&LayerRecord { parent: None, data_key: DataKeyId::new(0x0708) }.encode()),
        "0000000000000000080700000000000000000000"
    );
    let slot = KeySlot { id: DataKeyId::new(0x0708).unwrap(), wrapped: Box::from(*b"wrapped") }.encode();
    assert_eq!(
        hex(&slot[..40]),
        "414b5931213c27d30807000000000000070000000000000000000000000000007772617070656400"
    );
    assert!(slot[40..].iter().all(|byte| *byte == 0));
    let leaf = LeafChunks::from([(6, Box::from([Fragment::new(ChunkNumber(7), 0x00f0)]))]);
    assert_eq!(hex(&encode_leaf(&leaf)), "06000100f000070000000000");
    assert_eq!(
        hex(&encode_delta(&delta())),
        "010300000000000000040000000205000000000000000600000000000000\
         02f0000700000000000100ffffffffffff\
         0205000000000000000800000000000000\
         00\
         03070000000000000003000000\
         040a0000000000000001000000\
         0505000000000000000400000000000000\
         070300000000000000\
         0605000000000000000200000000000000000000000000000000000000\
         08066469736b2d310000100000000000050000000000000000000000\
         09066469736b2d32\
         0a06736e61702d310000100000000000050000000000000000000000\
         0b06736e61702d32\
         0c0700000000000000108004030201080706050d010000000000000002000000\
         0e030000000000000001000000\
         0f090000000000000010000600000000000000"
    );
    let sealed = seal(Table::Leaves, &[1, 2, 3], 0x0304, b"value");
    assert_eq!(hex(&sealed), "679d402500000000040300000000000076616c7565");
    let mut sums = [0; BLOCKS_PER_CHECKSUM_PAGE];
    sums[1] = 0x0102_0304;
    let page = encode_checksums(&sums);
    assert_eq!((page.len(), hex(&page[..12])), (3840, "000000000403020100000000".to_owned()));
    assert_eq!(*decode_checksums(&page).unwrap(), sums);
    let record = encode_record(0x0102, 0x0304, Proof::Itself, b"payload");
    assert_eq!(record.len(), 4096);
    assert_eq!(
        hex(&record[..72]),
        "414a5231d61c200c0700000000000000020100000000000004030000000000000000000000000000\
         0000000000000000000000000000000000000000000000007061796c6f616400"
    );
    let record = encode_record(0x0102, 0x0304, Proof::Blocks { undecided: 5 }, b"payload");
    assert_eq!((&*hex(&record[12..16]), &*hex(&record[32..40])), ("01000000", "0500000000000000"));
    let header = |bytes: &[u8]| decode_record_header(bytes.first_chunk().unwrap());
    assert_eq!(header(&record).unwrap().proof, Proof::Blocks { undecided: 5 });
    assert_eq!(header(&record).unwrap().durable_before(), 0x0304 - 6);
    // Unknown flags; a count in a record that is durable on its own; a field that is not in use.
    for (at, value) in [(12, 2), (12, 0), (36, 1)] {
        let mut unknown = record.clone();
        unknown[at] = value;
        assert_eq!(header(&unknown), None);
    }
    // The check value that the catalogue of CRC algorithms gives for CRC-32/ISCSI.
    assert_eq!(crc32c(b"123456789"), 0xe306_9283);
}

#[test]
fn what_is_encoded_is_decoded() {
    assert_eq!(Superblock::decode(&superblock().encode()).unwrap(), superblock());
    assert_eq!(decode_delta(&encode_delta(&delta())).unwrap(), delta());
    for data_key in [None, DataKeyId::new(9)] {
        let root = LayerRecord { parent: None, data_key };
        assert_eq!(LayerRecord::decode(&root.encode()).unwrap(), root);
    }
}

#[test]
fn other_versions_and_reserved_fields_are_refused_with_a_reason() {
    let mut newer = superblock().encode();
    for (version, text) in [(6, "format 6"), (1, "copy its disks into a new one")] {
        newer[8] = version;
        let error = Superblock::decode(&newer).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Corrupt);
        assert!(error.to_string().contains(text), "{error}");
    }
    let mut older = superblock().encode();
    for version in [2, 3, 4] {
        older[8] = version;
        let (fields, crc) = older.split_last_chunk_mut::<4>().unwrap();
        *crc = crc32c(fields).to_le_bytes();
        assert_eq!(Superblock::decode(&older).unwrap(), superblock());
    }
    newer[8] = 4;
    newer[30] ^= 1;
    assert!(Superblock::decode(&newer).unwrap_err().to_string().contains("checksum"));

    let mut flagged = LayerRecord { parent: None, data_key: None }.encode();
    flagged[16] = 1;
    assert_eq!(LayerRecord::decode(&flagged).unwrap_err().kind(), ErrorKind::Corrupt);
}

#[test]
fn a_slot_that_is_damaged_or_empty_holds_no_key() {
    let slot = KeySlot { id: DataKeyId::new(5).unwrap(), wrapped: Box::from([7; WRAPPED_KEY_BYTES_MAX]) };
    let bytes = slot.encode();
    assert_eq!(KeySlot::decode(&bytes), Some(slot));
    assert_eq!(KeySlot::decode(&[0; KEY_SLOT_BYTES]), None);
    for at in 0..bytes.len() {
        let mut damaged = bytes;
        damaged[at] ^= 0x10;
        assert_eq!(KeySlot::decode(&damaged), None, "byte {at}");
        assert_eq!(KeySlot::decode(&bytes[..at]), None, "cut at {at}");
    }
}

/// No prefix of a payload is taken for something else, and none makes the reader panic.
#[test]
fn cut_payloads_are_errors_or_fewer_operations() {
    let payload = encode_delta(&delta());
    for length in 0..payload.len() {
        if let Ok(fewer) = decode_delta(&payload[..length]) {
            assert_ne!(fewer, delta(), "{length}");
            assert!(encode_delta(&fewer).len() <= length, "{length}");
        }
    }
    for byte in 0..=255_u8 {
        let known = (1..=15).contains(&byte);
        assert!(known || decode_delta(&[byte]).is_err(), "tag {byte}");
    }
}

#[test]
fn runs_of_checksums_are_as_long_as_they_can_be() {
    for (blocks, runs) in [
        (vec![], vec![]),
        (vec![0, 1, 2, 5, 15], vec![(0, 3), (5, 1), (15, 1)]),
        ((0..16).collect(), vec![(0, 16)]),
    ] {
        let mut checksums = ChunkChecksums::default();
        blocks.iter().for_each(|block| checksums.set(*block, 1));
        assert_eq!(checksums.runs().collect::<Vec<_>>(), runs);
    }
}

#[test]
fn fragments_keep_number_and_mask_apart() {
    let fragment = Fragment::new(ChunkNumber(ChunkNumber::ZEROES.0 - 1), 0xa5a5);
    assert_eq!((fragment.chunk().0, fragment.mask()), ((1 << 48) - 2, 0xa5a5));
    assert!(!fragment.is_zeroes());
    assert!(Fragment::new(ChunkNumber::ZEROES, 1).is_zeroes());
}

/// A value is only what it was stored as, where it was stored.
#[test]
fn a_sealed_value_is_bound_to_its_place() {
    let sealed = seal(Table::Leaves, b"key", 7, b"value");
    let opened = unseal(Table::Leaves, b"key", &sealed).unwrap();
    assert_eq!((opened.value, opened.sequence), (b"value".as_slice(), 7));
    assert!(unseal(Table::Leaves, b"kez", &sealed).is_err(), "another key");
    assert!(unseal(Table::Held, b"key", &sealed).is_err(), "another table");
    for at in 0..sealed.len() * 8 {
        let mut flipped = sealed.clone();
        flipped[at / 8] ^= 1 << (at % 8);
        assert!(unseal(Table::Leaves, b"key", &flipped).is_err(), "bit {at}");
    }
    for length in 0..sealed.len() {
        assert!(unseal(Table::Leaves, b"key", &sealed[..length]).is_err(), "{length} bytes");
    }
}
