use alloc::boxed::Box;
use alloc::vec;

use super::*;
use crate::header::Operation;
use crate::jitter::Jitter;
use crate::number::{OpNumber, RequestNumber};

fn entry(op: u64, view: u64, body: &[u8]) -> Arc<Entry> {
    let mut header = Header::root(ClusterId::new(3));
    header.op = OpNumber::new(op);
    header.view = ViewNumber::new(view);
    header.client = ClientId::new(77);
    header.operation = Operation::Apply;
    header.checksum_body = Checksum::of(body);
    header.size = u32::try_from(body.len()).unwrap();
    header.seal();
    Arc::new(Entry::new(header, body).unwrap())
}

fn request(body: &[u8], operation: Operation) -> Arc<Request> {
    let (client, session, number, parent) =
        (ClientId::new(9 << 90), Session::new(4), RequestNumber::new(2), Checksum::of(b"before"));
    let checksum = Request::checksum_of(client, session, number, parent, operation, body);
    Arc::new(Request {
        cluster: ClusterId::new(3),
        client,
        session,
        request: number,
        parent,
        view: ViewNumber::new(6),
        checksum,
        operation,
        body: body.into(),
    })
}

fn reply(result: &[u8]) -> Reply {
    let (client, session, number, op) =
        (ClientId::new(9 << 90), Session::new(4), RequestNumber::new(2), OpNumber::new(30));
    Reply {
        cluster: ClusterId::new(3),
        from: ReplicaIndex::new(1),
        view: ViewNumber::new(8),
        client,
        session,
        request: number,
        request_checksum: Checksum::of(b"the request"),
        op,
        checksum: Reply::checksum_of(client, session, number, op, result),
        result: result.into(),
    }
}

/// Every command, in the order of its variants, and each shape that changes the length of its encoding.
fn commands() -> Vec<Command> {
    let op = OpNumber::new(12);
    let checksum = Checksum::of(b"some header");
    let headers: Vec<Header> = (10..13).map(|op| *entry(op, 2, b"").header()).collect();
    vec![
        Command::Prepare(Prepare { entry: entry(12, 5, b"put a 1"), commit: OpNumber::new(9) }),
        Command::Prepare(Prepare { entry: entry(1, 0, b""), commit: OpNumber::ZERO }),
        Command::PrepareOk(PrepareOk { op, checksum, checkpoint: OpNumber::new(8) }),
        Command::Commit(Commit { commit: op, checksum, sent_at: Instant::from_ns(5) }),
        Command::CommitOk(CommitOk {
            sent_at: Instant::from_ns(u64::MAX),
            checkpoint: OpNumber::new(8),
        }),
        Command::StartViewChange,
        Command::DoViewChange(Arc::new(DoViewChange {
            log_view: ViewNumber::new(4),
            op,
            commit: OpNumber::new(13),
            checkpoint: OpNumber::new(8),
            spoiled: 0b101,
            reach: OpNumber::new(14),
            headers: headers.clone().into(),
        })),
        Command::StartView(Arc::new(StartView {
            op,
            commit: op,
            headers: headers.clone().into(),
            nonce: Some(Nonce::ZERO),
        })),
        Command::StartView(Arc::new(StartView {
            op: OpNumber::ZERO,
            commit: OpNumber::ZERO,
            headers: [].into(),
            nonce: None,
        })),
        Command::GetView(GetView { view: ViewNumber::new(9), nonce: Nonce::new(1) }),
        Command::GetState(GetState { op }),
        Command::NewState(NewState {
            entries: vec![entry(12, 5, b"a"), entry(13, 6, b""), entry(14, 6, b"ccc")].into(),
            commit: op,
        }),
        Command::NewState(NewState { entries: vec![].into(), commit: op }),
        Command::GetHeaders(GetHeaders { op_min: OpNumber::new(1), op_max: op, checksum }),
        Command::Headers(headers.into()),
        Command::Headers(vec![].into()),
        Command::GetPrepare(GetPrepare { op, checksum }),
        Command::Repaired(entry(3, 1, b"old")),
        Command::GetCheckpoint(GetCheckpoint { op, checksum, offset: 8192 }),
        Command::Checkpoint(Arc::new(CheckpointPart {
            header: *entry(8, 2, b"").header(),
            checksum,
            size: 4100,
            offset: 4096,
            bytes: Box::new(*b"rest"),
        })),
        Command::Forward(request(b"put b 2", Operation::Apply)),
    ]
}

fn frames() -> Vec<Frame> {
    let mut frames: Vec<Frame> = commands()
        .into_iter()
        .map(|command| {
            Frame::Message(Message {
                cluster: ClusterId::new(3),
                from: ReplicaIndex::new(6),
                view: ViewNumber::new(1 << 40),
                command,
            })
        })
        .collect();
    frames.push(Frame::Request(request(b"get a", Operation::Apply)));
    frames.push(Frame::Request(request(b"", Operation::Register)));
    frames.push(Frame::ClientMessage(ClientMessage::Reply(Arc::new(reply(b"1")))));
    frames.push(Frame::ClientMessage(ClientMessage::Reply(Arc::new(reply(b"")))));
    frames.push(Frame::ClientMessage(ClientMessage::Eviction(Eviction {
        cluster: ClusterId::new(3),
        from: ReplicaIndex::new(0),
        view: ViewNumber::new(8),
        client: ClientId::new(1),
        session: Session::new(2),
    })));
    frames
}

fn encoded(frame: &Frame) -> Vec<u8> {
    let mut bytes = Vec::new();
    encode(frame, &mut bytes);
    bytes
}

/// Gives forged bytes a true size and checksum, so that what lies behind them is judged.
fn sealed(mut bytes: Vec<u8>) -> Vec<u8> {
    let size = u32::try_from(bytes.len()).unwrap();
    bytes[24..28].copy_from_slice(&size.to_le_bytes());
    let checksum = Checksum::of(&bytes[16..]).get().to_le_bytes();
    bytes[..16].copy_from_slice(&checksum);
    bytes
}

#[test]
fn every_kind_comes_back_as_it_went_and_no_kind_is_left_out() {
    let mut kinds = Vec::new();
    let mut stream = Vec::new();
    for frame in frames() {
        let bytes = encoded(&frame);
        assert_eq!(decode(&bytes).as_ref(), Ok(&frame));
        let size = u32::try_from(bytes.len()).unwrap();
        for end in 0..=bytes.len() {
            let expected = (end >= SIZE_KNOWN_AFTER).then_some(size);
            assert_eq!(frame_size(&bytes[..end]), Ok(expected));
        }
        kinds.push(bytes[22]);
        encode(&frame, &mut stream);
        assert!(stream.ends_with(&bytes), "appending is the same as beginning");
    }
    for code in 0..=u8::MAX {
        assert_eq!(kinds.contains(&code), Kind::from_code(code).is_some(), "kind {code}");
    }
    // A field that is forgotten in the encoding is lost only between real machines, where it is hardest to see.
}

#[test]
fn no_truncated_no_lengthened_and_no_flipped_frame_is_taken() {
    for frame in frames() {
        let bytes = encoded(&frame);
        for end in 0..bytes.len() {
            assert!(decode(&bytes[..end]).is_err(), "{frame:?} cut to {end}");
        }
        let mut longer = bytes.clone();
        longer.push(0);
        assert!(decode(&longer).is_err(), "{frame:?} and one more byte");
        for bit in 0..bytes.len() * 8 {
            let mut flipped = bytes.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            assert!(decode(&flipped).is_err(), "{frame:?} bit {bit}");
        }
    }
    // A byte outside the checksum would let a faulty link change a message without anybody noticing.
}

#[test]
fn a_true_checksum_over_a_wrong_length_is_not_enough() {
    for frame in frames() {
        let bytes = encoded(&frame);
        for end in PREFIX_SIZE..bytes.len() {
            match decode(&sealed(bytes[..end].to_vec())) {
                // Lists that run to the end may be shorter by whole elements.
                Ok(shorter) => assert_eq!(encoded(&shorter), sealed(bytes[..end].to_vec())),
                Err(error) => assert!(
                    matches!(
                        error,
                        DecodeError::Length | DecodeError::Request | DecodeError::Reply
                    ),
                    "{frame:?} cut to {end}: {error:?}"
                ),
            }
        }
    }
    // A count that is believed before the size is checked reads, or allocates, what is not there.
}

#[test]
fn whatever_is_accepted_has_this_one_encoding() {
    let frames = frames();
    let mut jitter = Jitter::new(0x5eed);
    let mut accepted = 0;
    for _ in 0..200_000 {
        let frame = &frames[usize::try_from(jitter.below(frames.len() as u64)).unwrap()];
        let mut bytes = encoded(frame);
        for _ in 0..=jitter.below(3) {
            let at = 22 + usize::try_from(jitter.below(bytes.len() as u64 - 22)).unwrap();
            let [byte, ..] = jitter.next().to_le_bytes();
            bytes[at] = byte;
        }
        let bytes = sealed(bytes);
        if let Ok(frame) = decode(&bytes) {
            assert_eq!(encoded(&frame), bytes);
            accepted += 1;
        }
    }
    assert!(accepted > 1_000, "the test must get past the outer checksum: {accepted}");
    // Two encodings of one message would be two checksums for one content.
}

#[test]
fn garbage_is_refused_quietly() {
    let mut jitter = Jitter::new(1);
    for round in 0..20_000u32 {
        let size = usize::try_from(jitter.below(400)).unwrap();
        let mut bytes: Vec<u8> = (0..size).map(|_| jitter.next().to_le_bytes()[0]).collect();
        // Half of it looks like a frame from outside.
        if round % 2 == 0 && size >= PREFIX_SIZE {
            bytes[16..20].copy_from_slice(&MAGIC);
            bytes[20..22].copy_from_slice(&VERSION.to_le_bytes());
            bytes[28..32].copy_from_slice(&[0; 4]);
            bytes = sealed(bytes);
        }
        assert!(size < PREFIX_SIZE || decode(&bytes) != Err(DecodeError::Short));
        if let Ok(frame) = decode(&bytes) {
            assert_eq!(encoded(&frame), bytes);
        }
    }
    // A decoder that panics is a replica that anyone on the network can stop.
}

#[test]
fn each_lie_inside_a_true_frame_is_called_by_its_name() {
    let first = |index: usize| encoded(&frames()[index]);
    let lie = |mut bytes: Vec<u8>, at: usize, byte: u8| {
        bytes[at] = byte;
        decode(&sealed(bytes)).unwrap_err()
    };
    let prepare = first(0);
    assert_eq!(lie(prepare.clone(), 22, 99), DecodeError::Kind(99));
    assert_eq!(lie(prepare.clone(), 23, 7), DecodeError::From(7));
    assert_eq!(lie(prepare.clone(), 28, 1), DecodeError::Padding);
    assert_eq!(lie(prepare.clone(), PREFIX_SIZE + 8 + 100, 1), DecodeError::Header);
    assert_eq!(lie(prepare.clone(), prepare.len() - 1, b'2'), DecodeError::Body);
    assert_eq!(lie(prepare.clone(), 16, 0), DecodeError::Magic);
    assert_eq!(lie(prepare, 20, 3), DecodeError::Version(3));
    let is = |wanted: u8| frames().iter().position(|frame| encoded(frame)[22] == wanted).unwrap();
    assert_eq!(lie(first(is(7)), PREFIX_SIZE + 16, 2), DecodeError::Padding);
    let client = first(is(32));
    assert_eq!(lie(client.clone(), 23, 0), DecodeError::From(0));
    assert_eq!(lie(client.clone(), PREFIX_SIZE + 64, 1), DecodeError::Operation(1));
    assert_eq!(lie(client, PREFIX_SIZE + 56, 3), DecodeError::Request);
    assert_eq!(lie(first(is(33)), PREFIX_SIZE + 64, 31), DecodeError::Reply);
    assert_eq!(lie(first(is(33)), 23, FROM_CLIENT), DecodeError::From(FROM_CLIENT));
    assert_eq!(decode(&first(is(5))[..47]), Err(DecodeError::Short));
    let mut two = first(is(5));
    two.extend_from_within(..);
    assert_eq!(decode(&two), Err(DecodeError::Size { stated: 48, actual: 96 }));
    // A lie that only a later assertion notices would stop the receiver, who is not to blame.
}
