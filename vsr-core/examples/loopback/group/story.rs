//! The story that the example tells: a primary dies, the cluster goes on, the dead one comes back, and at last all die at once.

use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::thread::{Scope, scope};
use std::time::Duration;

use vsr_core::configuration::Configuration;
use vsr_core::number::{ReplicaIndex, ViewNumber};
use vsr_core::time;

use super::caller::Caller;
use super::clock::{Clock, wall_clock};
use super::disk::Disk;
use super::link::Ports;
use super::node::{Plan, Running};

/// How many requests each chapter makes.
const REQUESTS: u64 = 50;

/// How long a replica may take to catch up before this is a failure of the example.
const PATIENCE: time::Duration = time::Duration::from_ms(8_000);

/// Tells the story on `out`; an error is whatever did not happen as told.
pub(crate) fn run(out: &mut impl Write) -> io::Result<()> {
    let folder = Folder::new()?;
    let configuration = Configuration::of(3);
    for replica in configuration.replicas() {
        Disk::format(&folder.of(replica), &configuration, replica)?;
    }
    scope(|scope| {
        let mut cluster = Cluster::new(scope, configuration, &folder);
        for replica in configuration.replicas() {
            cluster.start(replica)?;
        }
        let listening = configuration.replicas().map(|replica| cluster.ports.get(replica));
        let listening: Vec<_> = listening.map(|port| port.to_string()).collect();
        let (path, ports) = (folder.0.display(), listening.join(", "));
        writeln!(out, "three replicas on 127.0.0.1, ports {ports}, files in {path}")?;
        cluster.tell(out)
    })
}

/// The replicas and their only client.
struct Cluster<'scope, 'env> {
    scope: &'scope Scope<'scope, 'env>,
    configuration: Configuration,
    folder: &'env Folder,
    ports: Arc<Ports>,
    clock: Clock,
    running: Vec<Option<Running<'scope>>>,
    caller: Caller<'scope, 'env>,
    /// What the service must answer.
    sum: u64,
}

impl<'scope, 'env> Cluster<'scope, 'env> {
    fn new(
        scope: &'scope Scope<'scope, 'env>,
        configuration: Configuration,
        folder: &'env Folder,
    ) -> Self {
        let ports = Arc::new(Ports::of(configuration.replica_count));
        let clock = Clock::start();
        Self {
            scope,
            configuration,
            folder,
            caller: Caller::new(scope, configuration, Arc::clone(&ports), clock),
            ports,
            clock,
            running: configuration.replicas().map(|_| None).collect(),
            sum: 0,
        }
    }

    fn tell(&mut self, out: &mut impl Write) -> io::Result<()> {
        self.requests(out)?;

        let old = self.primary()?;
        self.kill(old)?;
        writeln!(out, "{old} killed")?;
        self.requests(out)?;

        let began = self.clock.now();
        self.start(old)?;
        self.await_agreement()?;
        let found = self.shared(old, |shared| shared.found.load(Ordering::Acquire));
        let took = self.milliseconds_since(began);
        writeln!(out, "{old} restarted: {found} operations in its files, caught up in {took} ms")?;
        if found == 0 {
            return Err(io::Error::other("the files held nothing"));
        }

        for replica in self.configuration.replicas() {
            self.kill(replica)?;
        }
        for replica in self.configuration.replicas() {
            self.start(replica)?;
        }
        writeln!(out, "all three killed and restarted")?;
        self.requests(out)?;
        self.await_agreement()?;
        writeln!(out, "all three agree: sum {}, each of {} added once", self.sum, 3 * REQUESTS)
    }

    fn start(&mut self, replica: ReplicaIndex) -> io::Result<()> {
        let plan = Plan {
            configuration: self.configuration,
            me: replica,
            folder: self.folder.of(replica),
            ports: Arc::clone(&self.ports),
            clock: self.clock,
        };
        self.running[replica.index()] = Some(Running::start(self.scope, plan)?);
        Ok(())
    }

    fn kill(&mut self, replica: ReplicaIndex) -> io::Result<()> {
        self.running[replica.index()].take().map_or(Ok(()), Running::kill)
    }

    /// Makes some requests, and checks every answer.
    fn requests(&mut self, out: &mut impl Write) -> io::Result<()> {
        let began = self.clock.now();
        for number in 1..=REQUESTS {
            self.sum += number;
            let answer = self.caller.call(&number.to_le_bytes())?;
            if answer[..] != self.sum.to_le_bytes() {
                return Err(io::Error::other("an operation was lost, or ran twice"));
            }
        }
        let took = self.milliseconds_since(began);
        let primary = self.primary()?;
        let view = self.shared(primary, |shared| shared.view.load(Ordering::Acquire));
        let view = ViewNumber::new(view);
        writeln!(out, "{REQUESTS} requests answered in {took} ms by {primary}, primary of {view}")
    }

    fn primary(&self) -> io::Result<ReplicaIndex> {
        let mut found = None;
        self.await_that("there is no primary", |cluster| {
            let mut all = cluster.configuration.replicas();
            found = all.find(|replica| {
                cluster.shared(*replica, |shared| shared.is_primary.load(Ordering::Acquire))
            });
            found.is_some()
        })?;
        found.ok_or_else(|| unreachable!("waited for above"))
    }

    /// Waits until all replicas have executed the same.
    fn await_agreement(&self) -> io::Result<()> {
        self.await_that("a replica has not caught up", |cluster| {
            let states = cluster.running.iter().flatten().map(|running| {
                let shared = running.shared();
                (shared.commit.load(Ordering::Acquire), shared.sum.load(Ordering::Acquire))
            });
            let mut states: Vec<_> = states.collect();
            states.dedup();
            states.len() == 1 && states[0].1 == cluster.sum
        })
    }

    #[expect(clippy::disallowed_methods, reason = "to look again in a moment")]
    fn await_that(&self, what: &str, mut holds: impl FnMut(&Self) -> bool) -> io::Result<()> {
        let began = self.clock.now();
        while !holds(self) {
            if self.clock.now().since(began) > PATIENCE {
                return Err(io::Error::new(io::ErrorKind::TimedOut, what));
            }
            std::thread::sleep(Duration::from_millis(1));
        }
        Ok(())
    }

    /// What `look` sees of `replica`; its default where the replica does not run.
    fn shared<T: Default>(
        &self,
        replica: ReplicaIndex,
        look: impl Fn(&super::node::Shared) -> T,
    ) -> T {
        let running = self.running[replica.index()].as_ref();
        running.map(|running| look(running.shared())).unwrap_or_default()
    }

    fn milliseconds_since(&self, began: time::Instant) -> u64 {
        self.clock.now().since(began).as_ns() / 1_000_000
    }
}

/// A folder that goes when its owner does.
struct Folder(PathBuf);

impl Folder {
    fn new() -> io::Result<Self> {
        let name = format!("vsr-loopback-{}-{}", process::id(), wall_clock());
        let path = std::env::temp_dir().join(name);
        fs::create_dir(&path)?;
        Ok(Self(path))
    }

    fn of(&self, replica: ReplicaIndex) -> PathBuf {
        Path::join(&self.0, replica.to_string())
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        // Left behind at worst, in a folder that is cleaned by others.
        let _left = fs::remove_dir_all(&self.0);
    }
}
