//! One replica, and a thread that does for it what it must not do itself: sockets, files, and waiting.

use std::collections::{BTreeMap, VecDeque};
use std::io;
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread::{Scope, ScopedJoinHandle, scope};
use std::time::Duration;

use vsr_core::Replica;
use vsr_core::configuration::Configuration;
use vsr_core::io::{DiskError, Effect, Effects, Event, Input, Token, Zone};
use vsr_core::message::{Message, Request};
use vsr_core::number::{ClientId, ReplicaIndex};
use vsr_core::wire::Frame;

use super::clock::{Clock, wall_clock};
use super::disk::Disk;
use super::link::{Links, Ports, read_frame, write_frame};
use super::service::Sum;

/// What a node is made from.
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    pub(crate) configuration: Configuration,
    pub(crate) me: ReplicaIndex,
    pub(crate) folder: PathBuf,
    pub(crate) ports: Arc<Ports>,
    pub(crate) clock: Clock,
}

/// A node that runs: dropped, it is killed.
#[derive(Debug)]
pub(crate) struct Running<'scope> {
    shared: Arc<Shared>,
    arrivals: Sender<Arrival>,
    thread: Option<ScopedJoinHandle<'scope, io::Result<()>>>,
}

/// What the outside may see of a replica, and the one thing that it may do to it.
#[derive(Debug, Default)]
pub(crate) struct Shared {
    is_killed: AtomicBool,
    pub(crate) is_primary: AtomicBool,
    pub(crate) view: AtomicU64,
    pub(crate) commit: AtomicU64,
    pub(crate) sum: AtomicU64,
    /// The head of the log that was found in the files at the start.
    pub(crate) found: AtomicU64,
}

/// What comes from other threads.
#[derive(Debug)]
enum Arrival {
    Message(Message),
    /// With the connection that its client reads answers from.
    Request(Arc<Request>, Arc<TcpStream>),
    /// Nothing: look whether it is time to end.
    Wake,
}

/// A read or a write that has ended.
#[derive(Debug)]
enum Completion {
    Written(Token, Result<(), DiskError>),
    Read(Token, Result<Vec<u8>, DiskError>),
}

impl<'scope> Running<'scope> {
    /// Starts a replica over whatever its files hold.
    pub(crate) fn start(scope: &'scope Scope<'scope, '_>, plan: Plan) -> io::Result<Self> {
        let listener = TcpListener::bind(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)))?;
        plan.ports.set(plan.me, listener.local_addr()?.port());
        let (arrivals, inbox) = channel();
        let shared = Arc::new(Shared::default());
        let (outbox, theirs) = (arrivals.clone(), Arc::clone(&shared));
        let thread = scope.spawn(move || serve(&listener, plan, &theirs, &outbox, inbox));
        Ok(Self { shared, arrivals, thread: Some(thread) })
    }

    pub(crate) fn shared(&self) -> &Shared {
        &self.shared
    }

    /// Ends it between any two of its effects, without a word to anybody.
    pub(crate) fn kill(mut self) -> io::Result<()> {
        self.signal();
        let thread = self.thread.take().expect("only taken here");
        thread.join().unwrap_or_else(|_| Err(io::Error::other("a replica panicked")))
    }

    fn signal(&self) {
        self.shared.is_killed.store(true, Ordering::Release);
        // A thread that is gone already needs no waking.
        let _gone = self.arrivals.send(Arrival::Wake);
    }
}

impl Drop for Running<'_> {
    fn drop(&mut self) {
        self.signal();
    }
}

/// Runs a replica until it is killed, and everything that listens on its behalf.
fn serve(
    listener: &TcpListener,
    plan: Plan,
    shared: &Shared,
    arrivals: &Sender<Arrival>,
    inbox: Receiver<Arrival>,
) -> io::Result<()> {
    let address = listener.local_addr()?;
    scope(|scope| {
        scope.spawn(|| accept(scope, listener, shared, arrivals));
        let result = Node::new(plan, shared).and_then(|mut node| node.run(&inbox));
        shared.is_killed.store(true, Ordering::Release);
        drop(inbox);
        // The thread that accepts connections sleeps until there is one.
        let _wake = TcpStream::connect(address);
        result
    })
}

fn accept<'scope>(
    scope: &'scope Scope<'scope, '_>,
    listener: &TcpListener,
    shared: &Shared,
    arrivals: &Sender<Arrival>,
) {
    let mut connections = Vec::new();
    for stream in listener.incoming() {
        if shared.is_killed.load(Ordering::Acquire) {
            break;
        }
        let Ok(stream) = stream else { continue };
        let stream = Arc::new(stream);
        connections.push(Arc::clone(&stream));
        let arrivals = arrivals.clone();
        scope.spawn(move || listen(&stream, &arrivals));
    }
    for connection in connections {
        let _gone = connection.shutdown(Shutdown::Both);
    }
}

/// Passes on what comes over one connection, until it ends or speaks nonsense.
fn listen(stream: &Arc<TcpStream>, arrivals: &Sender<Arrival>) {
    let mut buffer = Vec::new();
    while let Ok(frame) = read_frame(stream, &mut buffer) {
        let arrival = match frame {
            Frame::Message(message) => Arrival::Message(message),
            Frame::Request(request) => Arrival::Request(request, Arc::clone(stream)),
            Frame::ClientMessage(_) => return,
        };
        if arrivals.send(arrival).is_err() {
            return;
        }
    }
}

/// The thread's own: nothing here is shared but what it shows.
struct Node<'a> {
    replica: Replica<Sum>,
    disk: Disk,
    links: Links,
    /// Where to answer each client: the connection that it last asked over.
    clients: BTreeMap<ClientId, Arc<TcpStream>>,
    completions: VecDeque<Completion>,
    effects: Effects,
    clock: Clock,
    shared: &'a Shared,
    buffer: Vec<u8>,
}

impl<'a> Node<'a> {
    fn new(plan: Plan, shared: &'a Shared) -> io::Result<Self> {
        let seed = wall_clock() ^ u64::from(plan.me.get());
        Ok(Self {
            replica: Replica::new(plan.configuration, plan.me, seed, Sum::default()),
            disk: Disk::open(&plan.folder)?,
            links: Links::new(plan.ports),
            clients: BTreeMap::new(),
            completions: VecDeque::new(),
            effects: Effects::new(),
            clock: plan.clock,
            shared,
            buffer: Vec::new(),
        })
    }

    fn run(&mut self, inbox: &Receiver<Arrival>) -> io::Result<()> {
        self.step(Input::ClockSample(wall_clock()));
        self.step(Input::Start);
        while !self.is_killed() {
            if let Some(halt) = self.replica.halted() {
                let me = self.replica.me();
                return Err(io::Error::other(format!("{me} has halted: {halt:?}")));
            }
            let Some(wait) = self.wait() else {
                self.step(Input::ClockSample(wall_clock()));
                self.step(Input::Deadline);
                continue;
            };
            match inbox.recv_timeout(wait) {
                Ok(Arrival::Message(message)) => self.step(Input::Message(message)),
                Ok(Arrival::Request(request, stream)) => {
                    self.clients.insert(request.client, stream);
                    self.step(Input::Request(request));
                }
                Ok(Arrival::Wake) | Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return Ok(()),
            }
        }
        Ok(())
    }

    fn is_killed(&self) -> bool {
        self.shared.is_killed.load(Ordering::Acquire)
    }

    /// How long the replica can do without us; `None` if its deadline has come.
    fn wait(&self) -> Option<Duration> {
        let now = self.clock.now();
        match self.replica.deadline() {
            Some(deadline) if deadline <= now => None,
            Some(deadline) => Some(Duration::from_nanos(deadline.since(now).as_ns())),
            None => Some(Duration::from_secs(1)),
        }
    }

    /// One input, and all that follows from it.
    fn step(&mut self, input: Input<'_>) {
        self.replica.step(self.clock.now(), input, &mut self.effects);
        self.carry_out();
        while let Some(completion) = self.completions.pop_front() {
            let input = match &completion {
                Completion::Written(token, result) => {
                    Input::Written { token: *token, result: *result }
                }
                Completion::Read(token, result) => Input::Read {
                    token: *token,
                    result: result.as_deref().map_err(|failure| *failure),
                },
            };
            self.replica.step(self.clock.now(), input, &mut self.effects);
            self.carry_out();
        }
        self.show();
    }

    /// Carries out what the replica wants, in order. All writes of a step become durable together, before any of them is reported.
    fn carry_out(&mut self) {
        let (list, bytes) = self.effects.drain();
        let mut written = Vec::new();
        for effect in list {
            if self.shared.is_killed.load(Ordering::Acquire) {
                return;
            }
            match effect {
                Effect::Send { to, message } => {
                    self.links.send(to, &Frame::Message(message));
                }
                Effect::Reply { to, message } => {
                    if let Some(stream) = self.clients.get(&to) {
                        // A client that is gone asks again, if it comes back.
                        let frame = Frame::ClientMessage(message);
                        let _gone = write_frame(stream, &frame, &mut self.buffer);
                    }
                }
                Effect::Write { token, zone, offset, bytes: range } => {
                    let result = self.disk.write(zone, offset, &bytes[range]);
                    written.push((token, result.map_err(|_| DiskError)));
                }
                Effect::Read { token, zone, offset, size } => {
                    let read = read(&mut self.disk, zone, offset, size);
                    self.completions.push_back(Completion::Read(token, read));
                }
                Effect::Event(Event::Started { op, .. }) => {
                    self.shared.found.store(op.get(), Ordering::Release);
                }
                Effect::Event(_) => {}
            }
        }
        let synced = self.disk.sync().map_err(|_| DiskError);
        for (token, result) in written {
            self.completions.push_back(Completion::Written(token, result.and(synced)));
        }
    }

    fn show(&self) {
        self.shared.is_primary.store(self.replica.is_primary(), Ordering::Release);
        self.shared.view.store(self.replica.view().get(), Ordering::Release);
        self.shared.sum.store(self.replica.state_machine().0, Ordering::Release);
        self.shared.commit.store(self.replica.commit().get(), Ordering::Release);
    }
}

fn read(disk: &mut Disk, zone: Zone, offset: u64, size: u32) -> Result<Vec<u8>, DiskError> {
    disk.read(zone, offset, size).map_err(|_| DiskError)
}
