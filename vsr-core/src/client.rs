//! The client's side of the protocol (VR Revisited 4.1), as free of input and output as the replica.
//!
//! A client opens its session by itself, has one request under way at a time, and sends that very request again until it is
//! answered. It finds the primary by itself: it asks the primary of the newest view that it has heard of, then that one and
//! its successor, then everybody.

use alloc::sync::Arc;
use alloc::vec::{Drain, Vec};

use crate::checksum::Checksum;
use crate::configuration::Configuration;
use crate::header::Operation;
use crate::jitter::Jitter;
use crate::message::{ClientMessage, Eviction, Reply, Request};
use crate::number::{ClientId, ClusterId, ReplicaIndex, RequestNumber, Session, ViewNumber};
use crate::time::{Duration, Instant};

#[cfg(test)]
mod tests;

/// How often the wait for an answer doubles before it stays as it is.
const DOUBLINGS_MAX: u32 = 3;

/// What a client may be told.
#[derive(Clone, Debug)]
pub enum ClientInput {
    /// Have this operation executed. One at a time: the next one only after [`ClientEffect::Completed`].
    Submit(Arc<[u8]>),
    /// A replica has sent something.
    Message(ClientMessage),
    /// The time that [`Client::deadline`] named has come.
    Deadline,
}

/// What a client wants done, or has to say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ClientEffect {
    /// Send a request. It may be lost, late, twice or out of order.
    Send {
        /// The receiver.
        to: ReplicaIndex,
        /// What to send: equal in every copy but for the view that it carries.
        request: Arc<Request>,
    },
    /// The session is open.
    Registered {
        /// Which one: the op-number of the registration.
        session: Session,
    },
    /// The operation has been executed, once, and this is the answer.
    Completed {
        /// Which request it was; the first of a session is 1.
        request: RequestNumber,
        /// What the state machine answered.
        result: Arc<[u8]>,
    },
    /// The session is gone, and with it this client: whoever goes on does so as a new client.
    Evicted {
        /// The session that there was.
        session: Session,
        /// The request that was under way. Whether it was executed, or will be, is unknown: it must not be taken for
        /// failed, nor asked for again unless twice is as good as once.
        unanswered: Option<RequestNumber>,
    },
    /// Something was dropped, and this is why.
    Ignored(ClientIgnored),
}

/// Why a client dropped something.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum ClientIgnored {
    /// It is from another cluster.
    WrongCluster,
    /// It is from a replica that the cluster does not have.
    WrongReplica,
    /// It is for another client.
    WrongClient,
    /// It is about another session.
    WrongSession,
    /// It answers a request that is not under way: most often one that was answered before.
    WrongRequest,
    /// It answers a request of this number that is not the one under way.
    WrongRequestChecksum,
    /// Its own checksum is not that of its fields.
    WrongChecksum,
    /// It would end the session, but speaks for a view that is known to be over.
    OlderView,
    /// A request is under way already: the operation was not taken.
    Busy,
    /// The session is gone: the operation was not taken.
    Evicted,
    /// The operation is larger than the configuration allows, and was not taken.
    TooLarge,
}

/// The ordered list of what a step wants done; the caller owns it, and uses it again and again.
#[derive(Debug, Default)]
pub struct ClientEffects(Vec<ClientEffect>);

impl ClientEffects {
    /// An empty list.
    #[must_use]
    pub const fn new() -> Self {
        Self(Vec::new())
    }

    /// Takes the effects out, in order.
    pub fn drain(&mut self) -> Drain<'_, ClientEffect> {
        self.0.drain(..)
    }

    /// The effects, in order, left where they are.
    #[must_use]
    pub fn as_slice(&self) -> &[ClientEffect] {
        &self.0
    }

    fn push(&mut self, effect: ClientEffect) {
        self.0.push(effect);
    }
}

/// One client: a function from inputs to effects.
///
/// Until its deadline has first come, or an operation is submitted, it has sent nothing.
#[derive(Debug)]
pub struct Client {
    configuration: Configuration,
    id: ClientId,
    jitter: Jitter,
    /// The newest view that a replica has answered from.
    view: ViewNumber,
    state: State,
}

/// How far the client has come.
#[derive(Debug)]
enum State {
    /// Nothing has been sent.
    New,
    /// The registration is under way; an operation may be waiting for it.
    Registering { flight: Flight, waiting: Option<Arc<[u8]>> },
    /// A session, and nothing under way.
    Idle(Receipt),
    /// A session, and its next request under way.
    Waiting { receipt: Receipt, flight: Flight },
    /// The session is gone.
    Evicted,
}

/// A session, and the last that was heard in it.
#[derive(Clone, Copy, Debug)]
struct Receipt {
    session: Session,
    /// The last request that was answered; the registration is 0.
    request: RequestNumber,
    /// The checksum of that answer: the next request shows it.
    checksum: Checksum,
}

/// A request under way.
#[derive(Debug)]
struct Flight {
    request: Arc<Request>,
    /// How often it has been sent again.
    retries: u32,
    /// When it is sent again.
    retry_at: Instant,
}

impl Client {
    /// A client that has not begun.
    ///
    /// `id` is drawn at random, anew for every client process: a client that comes back under an old one would take answers
    /// to requests that it never sent. `seed` is all its randomness.
    ///
    /// # Panics
    ///
    /// When the configuration is not valid, or `id` is that of no client.
    #[must_use]
    pub fn new(configuration: Configuration, id: ClientId, seed: u64) -> Self {
        assert!(configuration.validate().is_ok());
        assert!(id != ClientId::NONE);
        let jitter = Jitter::new(seed);
        Self { configuration, id, jitter, view: ViewNumber::ZERO, state: State::New }
    }

    /// Takes one input at `now`, which never runs backwards, and appends what is to be done to `effects`.
    pub fn step(&mut self, now: Instant, input: ClientInput, effects: &mut ClientEffects) {
        match input {
            ClientInput::Submit(operation) => self.on_submit(now, operation, effects),
            ClientInput::Message(ClientMessage::Reply(reply)) => {
                self.on_reply(now, &reply, effects);
            }
            ClientInput::Message(ClientMessage::Eviction(eviction)) => {
                self.on_eviction(&eviction, effects);
            }
            ClientInput::Deadline => self.on_deadline(now, effects),
        }
    }

    /// When to come back with [`ClientInput::Deadline`] at the latest, if nothing else happens before.
    #[must_use]
    pub const fn deadline(&self) -> Option<Instant> {
        match &self.state {
            State::New => Some(Instant::ZERO),
            State::Registering { flight, .. } | State::Waiting { flight, .. } => {
                Some(flight.retry_at)
            }
            State::Idle(_) | State::Evicted => None,
        }
    }

    /// Which client this is.
    #[must_use]
    pub const fn id(&self) -> ClientId {
        self.id
    }

    /// The newest view that a replica has answered from.
    #[must_use]
    pub const fn view(&self) -> ViewNumber {
        self.view
    }

    /// The session, while there is one.
    #[must_use]
    pub const fn session(&self) -> Option<Session> {
        match &self.state {
            State::Idle(receipt) | State::Waiting { receipt, .. } => Some(receipt.session),
            State::New | State::Registering { .. } | State::Evicted => None,
        }
    }

    /// Whether an operation that is submitted now would be taken.
    #[must_use]
    pub const fn is_ready(&self) -> bool {
        match &self.state {
            State::New | State::Idle(_) | State::Registering { waiting: None, .. } => true,
            State::Registering { waiting: Some(_), .. }
            | State::Waiting { .. }
            | State::Evicted => false,
        }
    }

    /// The longest that any client waits before it sends its request again: what a bound on progress has to allow for.
    #[must_use]
    pub const fn retry_wait_max(configuration: &Configuration) -> Duration {
        let longest = configuration.timeouts.retry_request.times(1 << DOUBLINGS_MAX);
        // Jitter adds up to one half.
        Duration::from_ns(longest.as_ns().saturating_add(longest.as_ns() / 2))
    }

    fn on_submit(&mut self, now: Instant, operation: Arc<[u8]>, effects: &mut ClientEffects) {
        if let Some(reason) = self.ignores_submit(&operation) {
            effects.push(ClientEffect::Ignored(reason));
            return;
        }
        match &mut self.state {
            State::New => {
                self.register(now, effects);
                let State::Registering { waiting, .. } = &mut self.state else {
                    unreachable!("a client that registers is registering")
                };
                *waiting = Some(operation);
            }
            State::Registering { waiting, .. } => {
                assert!(waiting.is_none());
                *waiting = Some(operation);
            }
            State::Idle(receipt) => {
                let receipt = *receipt;
                self.ask(now, receipt, operation, effects);
            }
            State::Waiting { .. } | State::Evicted => unreachable!("such a submission is ignored"),
        }
    }

    fn ignores_submit(&self, operation: &[u8]) -> Option<ClientIgnored> {
        if matches!(self.state, State::Evicted) {
            return Some(ClientIgnored::Evicted);
        }
        if !self.is_ready() {
            return Some(ClientIgnored::Busy);
        }
        // It would be dropped by every replica, and asked for again for ever.
        match u32::try_from(operation.len()) {
            Ok(size) if size <= self.configuration.body_size_max => None,
            Ok(_) | Err(_) => Some(ClientIgnored::TooLarge),
        }
    }

    fn on_reply(&mut self, now: Instant, reply: &Reply, effects: &mut ClientEffects) {
        if let Some(reason) = self.ignores_reply(reply) {
            effects.push(ClientEffect::Ignored(reason));
            return;
        }
        self.view = self.view.max(reply.view);
        let receipt =
            Receipt { session: reply.session, request: reply.request, checksum: reply.checksum };
        match core::mem::replace(&mut self.state, State::Idle(receipt)) {
            State::Registering { waiting, .. } => {
                effects.push(ClientEffect::Registered { session: reply.session });
                if let Some(operation) = waiting {
                    self.ask(now, receipt, operation, effects);
                }
            }
            State::Waiting { receipt: before, .. } => {
                assert!(before.session == receipt.session);
                assert!(before.request.next() == receipt.request);
                let (request, result) = (reply.request, Arc::clone(&reply.result));
                effects.push(ClientEffect::Completed { request, result });
            }
            State::New | State::Idle(_) | State::Evicted => {
                unreachable!("a reply that nobody waits for is ignored")
            }
        }
    }

    fn ignores_reply(&self, reply: &Reply) -> Option<ClientIgnored> {
        if let Some(reason) = self.ignores_stranger(reply.cluster, reply.from, reply.client) {
            return Some(reason);
        }
        let Reply { client, session, request, op, .. } = *reply;
        if reply.checksum != Reply::checksum_of(client, session, request, op, &reply.result) {
            return Some(ClientIgnored::WrongChecksum);
        }
        let (flight, session) = match &self.state {
            State::New | State::Idle(_) | State::Evicted => {
                return Some(ClientIgnored::WrongRequest);
            }
            // The session that a registration opens is named by its place in the log.
            State::Registering { flight, .. } => (flight, Session::new(op.get())),
            State::Waiting { receipt, flight } => (flight, receipt.session),
        };
        if reply.session != session || session == Session::ZERO {
            return Some(ClientIgnored::WrongSession);
        }
        if reply.request != flight.request.request {
            return Some(ClientIgnored::WrongRequest);
        }
        if reply.request_checksum != flight.request.checksum {
            return Some(ClientIgnored::WrongRequestChecksum);
        }
        None
    }

    /// The gate of everything that comes from a replica.
    const fn ignores_stranger(
        &self,
        cluster: ClusterId,
        from: ReplicaIndex,
        client: ClientId,
    ) -> Option<ClientIgnored> {
        if cluster.get() != self.configuration.cluster.get() {
            return Some(ClientIgnored::WrongCluster);
        }
        if from.get() >= self.configuration.replica_count {
            return Some(ClientIgnored::WrongReplica);
        }
        if client.get() != self.id.get() {
            return Some(ClientIgnored::WrongClient);
        }
        None
    }

    fn on_eviction(&mut self, eviction: &Eviction, effects: &mut ClientEffects) {
        if let Some(reason) = self.ignores_eviction(eviction) {
            effects.push(ClientEffect::Ignored(reason));
            return;
        }
        self.view = self.view.max(eviction.view);
        let unanswered = match core::mem::replace(&mut self.state, State::Evicted) {
            State::Waiting { flight, .. } => Some(flight.request.request),
            State::Idle(_) => None,
            State::New | State::Registering { .. } | State::Evicted => {
                unreachable!("what there is no session of cannot be evicted")
            }
        };
        effects.push(ClientEffect::Evicted { session: eviction.session, unanswered });
    }

    fn ignores_eviction(&self, eviction: &Eviction) -> Option<ClientIgnored> {
        let stranger = self.ignores_stranger(eviction.cluster, eviction.from, eviction.client);
        if stranger.is_some() {
            return stranger;
        }
        if self.session() != Some(eviction.session) {
            return Some(ClientIgnored::WrongSession);
        }
        // A replica that has missed a view may have missed the registration too. The primary of today says it again.
        if eviction.view < self.view {
            return Some(ClientIgnored::OlderView);
        }
        None
    }

    fn on_deadline(&mut self, now: Instant, effects: &mut ClientEffects) {
        match &mut self.state {
            State::New => self.register(now, effects),
            State::Registering { flight, .. } | State::Waiting { flight, .. } => {
                if now < flight.retry_at {
                    return;
                }
                flight.retries = flight.retries.saturating_add(1);
                if flight.request.view < self.view {
                    // The checksum does not cover the view: it is the same request.
                    Arc::make_mut(&mut flight.request).view = self.view;
                }
                flight.retry_at =
                    now.plus(wait(&self.configuration, &mut self.jitter, flight.retries));
                send(&self.configuration, flight, effects);
            }
            State::Idle(_) | State::Evicted => {}
        }
    }

    /// Sends the registration: from a client that has sent nothing yet.
    fn register(&mut self, now: Instant, effects: &mut ClientEffects) {
        assert!(matches!(self.state, State::New));
        let receipt = Receipt {
            session: Session::ZERO,
            request: RequestNumber::ZERO,
            checksum: Checksum::ZERO,
        };
        let flight = self.launch(now, &receipt, Operation::Register, Arc::new([]), effects);
        self.state = State::Registering { flight, waiting: None };
    }

    /// Sends the request that follows `receipt`: the only place where a request gets its number.
    fn ask(
        &mut self,
        now: Instant,
        receipt: Receipt,
        operation: Arc<[u8]>,
        effects: &mut ClientEffects,
    ) {
        assert!(matches!(self.state, State::Idle(_)));
        let flight = self.launch(now, &receipt, Operation::Apply, operation, effects);
        self.state = State::Waiting { receipt, flight };
    }

    fn launch(
        &mut self,
        now: Instant,
        receipt: &Receipt,
        operation: Operation,
        body: Arc<[u8]>,
        effects: &mut ClientEffects,
    ) -> Flight {
        let request = match operation {
            Operation::Apply => receipt.request.next(),
            Operation::Register | Operation::Root => receipt.request,
        };
        let (client, session, parent) = (self.id, receipt.session, receipt.checksum);
        let checksum = Request::checksum_of(client, session, request, parent, operation, &body);
        let request = Arc::new(Request {
            cluster: self.configuration.cluster,
            client,
            session,
            request,
            parent,
            view: self.view,
            checksum,
            operation,
            body,
        });
        let retry_at = now.plus(wait(&self.configuration, &mut self.jitter, 0));
        let flight = Flight { request, retries: 0, retry_at };
        send(&self.configuration, &flight, effects);
        flight
    }
}

/// How long to wait for an answer after so many retries: doubled with each up to a limit, and never twice the same.
fn wait(configuration: &Configuration, jitter: &mut Jitter, retries: u32) -> Duration {
    let factor = 1 << retries.min(DOUBLINGS_MAX);
    jitter.around(configuration.timeouts.retry_request.times(factor))
}

/// Sends the request to the primary of its view; the first time again also to the next primary, then to everybody.
fn send(configuration: &Configuration, flight: &Flight, effects: &mut ClientEffects) {
    let first = configuration.primary(flight.request.view);
    let second = configuration.primary(flight.request.view.next());
    for to in configuration.replicas() {
        let is_asked = match flight.retries {
            0 => to == first,
            1 => to == first || to == second,
            _ => true,
        };
        if is_asked {
            effects.push(ClientEffect::Send { to, request: Arc::clone(&flight.request) });
        }
    }
}
