//! The client's side: a connection to each replica, a thread that reads from it, and a call that waits for its answer.

use std::io;
use std::net::TcpStream;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread::Scope;
use std::time::Duration;

use vsr_core::client::{Client, ClientEffect, ClientEffects, ClientInput};
use vsr_core::configuration::Configuration;
use vsr_core::message::ClientMessage;
use vsr_core::number::ClientId;
use vsr_core::time;
use vsr_core::wire::Frame;

use super::clock::{Clock, wall_clock};
use super::link::{Links, Ports, read_frame};

/// The longest that a call may take before this is a failure of the example.
const PATIENCE: time::Duration = time::Duration::from_ms(8_000);

/// A client that calls, and waits.
#[derive(Debug)]
pub(crate) struct Caller<'scope, 'env> {
    scope: &'scope Scope<'scope, 'env>,
    client: Client,
    effects: ClientEffects,
    links: Links,
    clock: Clock,
    answers: Sender<ClientMessage>,
    inbox: Receiver<ClientMessage>,
}

impl<'scope, 'env> Caller<'scope, 'env> {
    pub(crate) fn new(
        scope: &'scope Scope<'scope, 'env>,
        configuration: Configuration,
        ports: Arc<Ports>,
        clock: Clock,
    ) -> Self {
        let (answers, inbox) = channel();
        let seed = wall_clock();
        Self {
            scope,
            client: Client::new(configuration, ClientId::new(u128::from(seed)), seed),
            effects: ClientEffects::new(),
            links: Links::new(ports),
            clock,
            answers,
            inbox,
        }
    }

    /// Has `operation` executed, and waits for the answer.
    pub(crate) fn call(&mut self, operation: &[u8]) -> io::Result<Arc<[u8]>> {
        let began = self.clock.now();
        let mut answer = self.step(ClientInput::Submit(Arc::from(operation)))?;
        while answer.is_none() {
            let now = self.clock.now();
            if now.since(began) > PATIENCE {
                return Err(io::Error::new(io::ErrorKind::TimedOut, "a request was not answered"));
            }
            let deadline = self.client.deadline().unwrap_or_else(|| now.plus(PATIENCE));
            let wait = Duration::from_nanos(deadline.since(now).as_ns());
            answer = match self.inbox.recv_timeout(wait) {
                Ok(message) => self.step(ClientInput::Message(message))?,
                Err(RecvTimeoutError::Timeout) => self.step(ClientInput::Deadline)?,
                Err(RecvTimeoutError::Disconnected) => unreachable!("we hold a sender ourselves"),
            };
        }
        answer.ok_or_else(|| unreachable!("the loop ends with an answer"))
    }

    fn step(&mut self, input: ClientInput) -> io::Result<Option<Arc<[u8]>>> {
        let mut answer = None;
        self.client.step(self.clock.now(), input, &mut self.effects);
        for effect in self.effects.drain() {
            match effect {
                ClientEffect::Send { to, request } => {
                    if let Some(opened) = self.links.send(to, &Frame::Request(request)) {
                        let answers = self.answers.clone();
                        self.scope.spawn(move || listen(&opened, &answers));
                    }
                }
                ClientEffect::Completed { result, .. } => answer = Some(result),
                ClientEffect::Evicted { .. } => return Err(io::Error::other("evicted")),
                ClientEffect::Registered { .. } | ClientEffect::Ignored(_) => {}
            }
        }
        Ok(answer)
    }
}

fn listen(stream: &TcpStream, answers: &Sender<ClientMessage>) {
    let mut buffer = Vec::new();
    while let Ok(Frame::ClientMessage(message)) = read_frame(stream, &mut buffer) {
        if answers.send(message).is_err() {
            return;
        }
    }
}
