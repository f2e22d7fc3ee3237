//! A client on its node: a closed loop that asks, waits for the answer, thinks, and asks again.

use std::sync::Arc;

use vsr_core::client::{Client, ClientEffect, ClientEffects, ClientInput};
use vsr_core::configuration::Configuration;
use vsr_core::time::{Duration, Instant};
use vsr_core::wire::Frame;

use super::event::{ClientEvent, Event};
use super::node::{Blueprint, Node, client_id, instant, node_of};
use super::service::{Assignment, Script};
use super::workload::Pace;
use crate::engine::node::NodeIndex;
use crate::engine::process::{Boot, Context, Input};
use crate::engine::random::Seed;
use crate::engine::time::LocalTime;

/// What a client is given to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Work {
    /// Go through the operations of the script from number `first` to before number `until`.
    Script {
        /// The first operation, unless the client is further already.
        first: u32,
        /// The end.
        until: u32,
    },
    /// From number `first` on, these take the place of the script's operations; they are asked for without a thought.
    Requests {
        /// The number of the first of them.
        first: u32,
        /// Their bytes.
        operations: Vec<Arc<[u8]>>,
    },
}

/// A client process: a new one, with a new identity, after each crash.
#[derive(Debug)]
pub struct ClientNode {
    configuration: Configuration,
    node: NodeIndex,
    seed: Seed,
    /// How many identities this process has used up.
    identities: u64,
    client: Client,
    effects: ClientEffects,
    script: Box<dyn Script>,
    pace: Pace,
    /// The next operation of the script, and where to stop.
    next: u32,
    until: u32,
    /// What takes the place of the script's operations, from which number on.
    requests: (u32, Vec<Arc<[u8]>>),
    ask_at: Option<Instant>,
    /// What is asked and not answered yet.
    open: Option<Arc<[u8]>>,
    bytes: Vec<u8>,
}

impl ClientNode {
    pub(super) fn boot(blueprint: &Blueprint, boot: &Boot) -> Self {
        let Blueprint { configuration, service, workload, seed } = blueprint;
        let (workload, seed) = (*workload, *seed);
        let client = boot.node.number() - configuration.replica_count;
        let body_size_max =
            usize::try_from(configuration.body_size_max).expect("four bytes fit an index");
        let assignment = Assignment { workload, seed, client, body_size_max };
        Self {
            configuration: *configuration,
            node: boot.node,
            seed: boot.seed,
            identities: 0,
            client: new_client(configuration, boot.node, boot.seed, 0),
            effects: ClientEffects::new(),
            script: service.script(&assignment),
            pace: Pace::new(workload, seed, client),
            next: 0,
            until: 0,
            requests: (0, Vec::new()),
            ask_at: None,
            open: None,
            bytes: Vec::new(),
        }
    }

    /// Whether it has nothing left to ask for, and waits for nothing.
    #[must_use]
    pub const fn is_done(&self) -> bool {
        self.open.is_none() && self.next >= self.until
    }

    pub(super) fn deadline(&self) -> Option<Instant> {
        match (self.ask_at, self.client.deadline()) {
            (Some(ask_at), Some(deadline)) => Some(ask_at.min(deadline)),
            (one, other) => one.or(other),
        }
    }

    pub(super) fn step(
        &mut self,
        now: LocalTime,
        input: Input<'_, Node>,
        context: &mut Context<'_, Node>,
    ) {
        let now = instant(now);
        match input {
            Input::Command(work) => self.take(now, work),
            Input::Message { message: Frame::ClientMessage(message), .. } => {
                self.client.step(now, ClientInput::Message(message), &mut self.effects);
                self.carry_out(now, context);
            }
            Input::Deadline => {
                if self.client.deadline().is_some_and(|deadline| deadline <= now) {
                    self.client.step(now, ClientInput::Deadline, &mut self.effects);
                    self.carry_out(now, context);
                }
                if self.ask_at.is_some_and(|ask_at| ask_at <= now) {
                    self.ask(now, context);
                }
            }
            // A client has no disk, and nobody sends it what only replicas are sent.
            Input::Start
            | Input::Written { .. }
            | Input::Read { .. }
            | Input::Message { message: Frame::Message(_) | Frame::Request(_), .. } => {}
        }
    }

    fn take(&mut self, now: Instant, work: Work) {
        match work {
            Work::Requests { first, operations } => self.requests = (first, operations),
            Work::Script { first, until } => {
                self.next = self.next.max(first);
                self.until = until;
                self.think(now);
            }
        }
    }

    /// The request that takes the place of the script's operation `number`, if one does.
    fn request(&self, number: u32) -> Option<&Arc<[u8]>> {
        let (first, operations) = &self.requests;
        operations.get(usize::try_from(number.checked_sub(*first)?).ok()?)
    }

    /// Plans the next question, if there is one and nothing is open.
    fn think(&mut self, now: Instant) {
        if self.open.is_none() && self.ask_at.is_none() && self.next < self.until {
            let think = match self.request(self.next) {
                Some(_) => Duration::ZERO,
                None => Duration::from_ns(self.pace.think(self.next).as_ns()),
            };
            self.ask_at = Some(now.plus(think));
        }
    }

    fn ask(&mut self, now: Instant, context: &mut Context<'_, Node>) {
        self.ask_at = None;
        if self.next >= self.until {
            return;
        }
        let number = self.next;
        self.next += 1;
        let operation = self.request(number).cloned().unwrap_or_else(|| {
            self.bytes.clear();
            self.script.operation(number, &mut self.bytes);
            Arc::from(self.bytes.as_slice())
        });
        self.open = Some(Arc::clone(&operation));
        let invoked = ClientEvent::Invoked { number, operation: Arc::clone(&operation) };
        context.event(Event::Client(invoked));
        self.client.step(now, ClientInput::Submit(operation), &mut self.effects);
        self.carry_out(now, context);
    }

    fn carry_out(&mut self, now: Instant, context: &mut Context<'_, Node>) {
        let mut evicted = false;
        for effect in self.effects.drain() {
            match effect {
                ClientEffect::Send { to, request } => {
                    context.send(node_of(to), Frame::Request(request));
                }
                ClientEffect::Registered { session } => {
                    context.event(Event::Client(ClientEvent::Registered { session }));
                }
                ClientEffect::Completed { result, .. } => {
                    let asked = self.open.take().expect("an answer has its question");
                    self.script.answered(&asked, &result);
                    context.event(Event::Client(ClientEvent::Returned { result }));
                }
                ClientEffect::Evicted { .. } => {
                    evicted = true;
                    self.open = None;
                    context.event(Event::Client(ClientEvent::Evicted));
                }
                ClientEffect::Ignored(reason) => {
                    context.event(Event::Client(ClientEvent::Ignored(reason)));
                }
            }
        }
        if evicted {
            // What was open stays open for ever; whoever goes on is another client.
            self.identities += 1;
            self.client = new_client(&self.configuration, self.node, self.seed, self.identities);
        }
        self.think(now);
    }
}

fn new_client(configuration: &Configuration, node: NodeIndex, seed: Seed, nth: u64) -> Client {
    let drawn = seed.derive("client id", nth).number();
    let jitter = seed.derive("client jitter", nth).number();
    Client::new(*configuration, client_id(node, drawn), jitter)
}
