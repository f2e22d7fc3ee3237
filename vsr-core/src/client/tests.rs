use alloc::vec;

use super::*;
use crate::number::OpNumber;

/// A client, its clock, and what it last did.
struct Story {
    client: Client,
    now: Instant,
    effects: ClientEffects,
}

const ME: ClientId = ClientId::new(0xc11e);

impl Story {
    fn of(replica_count: u8) -> Self {
        let client = Client::new(Configuration::of(replica_count), ME, 5);
        Self { client, now: Instant::from_ns(1_000), effects: ClientEffects::new() }
    }

    fn tell(&mut self, input: ClientInput) -> Vec<ClientEffect> {
        self.client.step(self.now, input, &mut self.effects);
        self.effects.drain().collect()
    }

    fn submit(&mut self, operation: &[u8]) -> Vec<ClientEffect> {
        self.tell(ClientInput::Submit(operation.into()))
    }

    fn hear(&mut self, reply: Reply) -> Vec<ClientEffect> {
        self.tell(ClientInput::Message(ClientMessage::Reply(Arc::new(reply))))
    }

    fn evict(&mut self, eviction: Eviction) -> Vec<ClientEffect> {
        self.tell(ClientInput::Message(ClientMessage::Eviction(eviction)))
    }

    /// Lets time pass until the client wants something.
    fn wait(&mut self) -> Vec<ClientEffect> {
        self.now = self.now.max(self.client.deadline().unwrap());
        self.tell(ClientInput::Deadline)
    }

    /// A client with session 10, nothing under way.
    fn registered(replica_count: u8) -> Self {
        let mut story = Self::of(replica_count);
        let (request, _) = sent(&story.wait());
        assert_eq!(
            story.hear(reply_to(&request, 10, b"")),
            [ClientEffect::Registered { session: Session::new(10) }]
        );
        story
    }
}

/// The one request that was sent, and to whom.
fn sent(effects: &[ClientEffect]) -> (Arc<Request>, Vec<u8>) {
    let mut all: Vec<Arc<Request>> = Vec::new();
    let mut to_all = Vec::new();
    for effect in effects {
        if let ClientEffect::Send { to, request } = effect {
            assert!(all.iter().all(|other| other == request), "copies differ");
            all.push(Arc::clone(request));
            to_all.push(to.get());
        }
    }
    (all.pop().expect("a request was sent"), to_all)
}

fn reply_to(request: &Request, op: u64, result: &[u8]) -> Reply {
    let session = match request.operation {
        Operation::Register => Session::new(op),
        Operation::Apply | Operation::Root => request.session,
    };
    let op = OpNumber::new(op);
    Reply {
        cluster: request.cluster,
        from: ReplicaIndex::new(0),
        view: ViewNumber::ZERO,
        client: request.client,
        session,
        request: request.request,
        request_checksum: request.checksum,
        op,
        checksum: Reply::checksum_of(request.client, session, request.request, op, result),
        result: result.into(),
    }
}

const fn eviction_of(session: u64, view: u64) -> Eviction {
    Eviction {
        cluster: ClusterId::new(1),
        from: ReplicaIndex::new(0),
        view: ViewNumber::new(view),
        client: ME,
        session: Session::new(session),
    }
}

#[test]
fn a_client_registers_by_itself_and_then_asks_one_thing_at_a_time() {
    let mut story = Story::of(3);
    assert_eq!(story.client.deadline(), Some(Instant::ZERO));

    // Submitted before there is a session: the registration goes first.
    let (register, to) = sent(&story.submit(b"put a 1"));
    assert_eq!(
        (register.operation, register.session, to),
        (Operation::Register, Session::ZERO, vec![0])
    );
    assert_eq!(story.submit(b"put a 2"), [ClientEffect::Ignored(ClientIgnored::Busy)]);

    let registration = reply_to(&register, 7, b"");
    let effects = story.hear(registration.clone());
    assert_eq!(effects[0], ClientEffect::Registered { session: Session::new(7) });
    let (first, _) = sent(&effects);
    assert_eq!(
        (first.session, first.request.get(), &*first.body),
        (Session::new(7), 1, &b"put a 1"[..])
    );
    assert_eq!(first.parent, registration.checksum);

    let answer = reply_to(&first, 8, b"done");
    let completed =
        ClientEffect::Completed { request: RequestNumber::new(1), result: (*b"done").into() };
    assert_eq!(story.hear(answer.clone()), [completed]);
    assert_eq!(story.client.deadline(), None);

    let (second, _) = sent(&story.submit(b"get a"));
    assert_eq!((second.request.get(), second.parent), (2, answer.checksum));
    // Without the receipt a primary could not tell a new request from one that skips an answer.
}

#[test]
fn the_same_request_is_sent_again_ever_more_slowly_and_to_ever_more_replicas() {
    let mut story = Story::registered(5);
    let (request, to) = sent(&story.submit(b"x"));
    assert_eq!(to, [0]);
    let base = Configuration::of(5).timeouts.retry_request.as_ns();
    for retry in 0u32..40 {
        let wait = story.client.deadline().unwrap().since(story.now).as_ns();
        let around = base << retry.min(3);
        assert!((around / 2..around / 2 + around).contains(&wait), "retry {retry}: {wait}");
        assert!(wait <= Client::retry_wait_max(&Configuration::of(5)).as_ns());
        let (again, to) = sent(&story.wait());
        assert_eq!(again, request);
        let expected: &[u8] = if retry == 0 { &[0, 1] } else { &[0, 1, 2, 3, 4] };
        assert_eq!(to, expected);
    }
    // An answer ends it, and the next request begins with a short wait again.
    story.hear(reply_to(&request, 11, b""));
    let (_, to) = sent(&story.submit(b"y"));
    assert_eq!(to, [0]);
    assert!(story.client.deadline().unwrap().since(story.now).as_ns() < 2 * base);
    // A client that gave up, or only ever asked one replica, would starve behind one dead primary.
}

#[test]
fn an_early_deadline_changes_nothing() {
    let mut story = Story::registered(3);
    story.submit(b"x");
    let deadline = story.client.deadline();
    assert_eq!(story.tell(ClientInput::Deadline), []);
    assert_eq!(story.client.deadline(), deadline);
    // A caller with one timer for many clients would otherwise flood the cluster.
}

#[test]
fn the_primary_is_learnt_from_answers() {
    let mut story = Story::registered(3);
    let (request, _) = sent(&story.submit(b"x"));
    story.hear(Reply { view: ViewNumber::new(5), ..reply_to(&request, 11, b"") });
    let (request, to) = sent(&story.submit(b"y"));
    assert_eq!((request.view.get(), to), (5, vec![2]));
    // An older view says nothing new.
    story.hear(Reply { view: ViewNumber::new(4), ..reply_to(&request, 12, b"") });
    assert_eq!(story.client.view(), ViewNumber::new(5));
    let (request, to) = sent(&story.submit(b"z"));
    assert_eq!((request.view.get(), to), (5, vec![2]));
    // Going back to the primary of an older view would cost a retry each time.
}

#[test]
fn a_reply_that_is_not_the_one_is_dropped_for_its_own_reason() {
    let mut story = Story::registered(3);
    let (request, _) = sent(&story.submit(b"x"));
    let right = reply_to(&request, 11, b"done");
    let sealed = |mut reply: Reply| {
        let Reply { client, session, request, op, .. } = reply;
        reply.checksum = Reply::checksum_of(client, session, request, op, &reply.result);
        reply
    };
    let wrong = [
        (Reply { cluster: ClusterId::new(2), ..right.clone() }, ClientIgnored::WrongCluster),
        (Reply { from: ReplicaIndex::new(3), ..right.clone() }, ClientIgnored::WrongReplica),
        (sealed(Reply { client: ClientId::new(1), ..right.clone() }), ClientIgnored::WrongClient),
        (sealed(Reply { session: Session::new(9), ..right.clone() }), ClientIgnored::WrongSession),
        (
            sealed(Reply { request: RequestNumber::new(2), ..right.clone() }),
            ClientIgnored::WrongRequest,
        ),
        (
            Reply { request_checksum: Checksum::ZERO, ..right.clone() },
            ClientIgnored::WrongRequestChecksum,
        ),
        (Reply { result: (*b"dome").into(), ..right }, ClientIgnored::WrongChecksum),
    ];
    for (reply, reason) in wrong {
        assert_eq!(story.hear(reply), [ClientEffect::Ignored(reason)]);
    }
    assert!(matches!(story.hear(right.clone())[..], [ClientEffect::Completed { .. }]));
    // The network may bring it twice; it is answered once.
    let again = ClientEffect::Ignored(ClientIgnored::WrongRequest);
    assert_eq!(story.hear(right), [again]);
    // Any of these taken for the answer would be an execution that never happened.
}

#[test]
fn a_registration_is_named_by_its_place_in_the_log() {
    let mut story = Story::of(3);
    let (register, _) = sent(&story.wait());
    let mut reply = reply_to(&register, 7, b"");
    reply.session = Session::new(6);
    let Reply { client, session, request, op, .. } = reply;
    reply.checksum = Reply::checksum_of(client, session, request, op, &reply.result);
    assert_eq!(story.hear(reply), [ClientEffect::Ignored(ClientIgnored::WrongSession)]);
    let none = reply_to(&register, 0, b"");
    assert_eq!(story.hear(none), [ClientEffect::Ignored(ClientIgnored::WrongSession)]);
    assert_eq!(story.client.session(), None);
    // Two sessions of one name could answer each other's requests.
}

#[test]
fn an_eviction_ends_the_client_and_leaves_its_request_in_doubt() {
    let mut story = Story::registered(3);
    let (request, _) = sent(&story.submit(b"x"));
    let effects = story.evict(eviction_of(10, 0));
    let unanswered = Some(RequestNumber::new(1));
    assert_eq!(effects, [ClientEffect::Evicted { session: Session::new(10), unanswered }]);
    assert_eq!(story.client.deadline(), None);
    assert_eq!(story.tell(ClientInput::Deadline), []);
    assert_eq!(story.submit(b"y"), [ClientEffect::Ignored(ClientIgnored::Evicted)]);
    // It is too late for an answer, and nothing is asked again under another session.
    let late = reply_to(&request, 11, b"");
    assert_eq!(story.hear(late), [ClientEffect::Ignored(ClientIgnored::WrongRequest)]);
    // A client that registered anew and asked again could have its operation executed twice.
}

#[test]
fn an_eviction_of_another_session_or_of_an_older_view_is_dropped() {
    let mut story = Story::registered(3);
    let (request, _) = sent(&story.submit(b"x"));
    story.hear(Reply { view: ViewNumber::new(4), ..reply_to(&request, 11, b"") });
    let cases = [
        (eviction_of(9, 4), ClientIgnored::WrongSession),
        (eviction_of(10, 3), ClientIgnored::OlderView),
        (Eviction { client: ClientId::new(2), ..eviction_of(10, 4) }, ClientIgnored::WrongClient),
        (
            Eviction { cluster: ClusterId::new(2), ..eviction_of(10, 4) },
            ClientIgnored::WrongCluster,
        ),
    ];
    for (eviction, reason) in cases {
        assert_eq!(story.evict(eviction), [ClientEffect::Ignored(reason)]);
    }
    let gone = ClientEffect::Evicted { session: Session::new(10), unanswered: None };
    assert_eq!(story.evict(eviction_of(10, 4)), [gone]);
    // While it registers there is no session to lose: a stale eviction must not stop it.
    let mut story = Story::of(3);
    story.wait();
    let stale = story.evict(eviction_of(0, 9));
    assert_eq!(stale, [ClientEffect::Ignored(ClientIgnored::WrongSession)]);
}

#[test]
fn what_no_replica_would_take_is_not_asked() {
    let mut story = Story::registered(1);
    let size_max = usize::try_from(Configuration::of(1).body_size_max).unwrap();
    let too_large = story.submit(&vec![0; size_max + 1]);
    assert_eq!(too_large, [ClientEffect::Ignored(ClientIgnored::TooLarge)]);
    let (request, to) = sent(&story.submit(&vec![0; size_max]));
    assert_eq!((request.request.get(), to), (1, vec![0]));
    let (_, to) = sent(&story.wait());
    assert_eq!(to, [0]);
    // It would be sent again until the end of time.
}
