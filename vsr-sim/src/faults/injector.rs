//! Does faults to a world, and takes them back.

use super::fault::Fault;
use super::plan::number_of;
use super::selector::{Occasion, Resolver, Selector};
use crate::engine::{
    Doom, Failing, Network, NetworkFaultId, NodeIndex, NodeSet, NodeState, Observer, PacketName,
    Process, RateChange, Time, World, Zone,
};

/// How much a plan may break at a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// The nodes that the limit is about.
    pub servers: NodeSet,
    /// How many of them [`Fault::Crash`] may have down at a time.
    pub down_max: u32,
}

/// A fault that is on, by number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct FaultId(u32);

/// Why a fault was not done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Skipped {
    /// A word stood for nobody at that moment.
    Nobody,
    /// Too many servers would be down: [`Limits`].
    TooManyDown,
    /// Nobody was in a state that the fault could change: all meant to crash were down, or none meant to restart.
    NoEffect,
    /// Nothing was there of what it would have spoiled, or of what may be spoiled: see [`Disk::limit`](crate::engine::Disk::limit).
    Spared,
}

/// What takes a fault back.
#[derive(Clone, Debug)]
enum Undo {
    /// These are kept down.
    Down(NodeSet),
    Network(NetworkFaultId),
    SlowDisk(NodeSet, Option<Zone>, u32),
    Skew(NodeSet, i32),
    Paused(NodeSet),
    Failing(NodeSet, Failing),
}

/// The faults that are on in a world.
#[derive(Debug)]
pub struct Injector {
    limits: Limits,
    on: Vec<(FaultId, Undo)>,
    count: u32,
}

/// What takes a fault back, and to whom it was done.
type Done = (Option<Undo>, NodeSet);

/// Where a fault strikes.
struct Scene<'a, P: Process, O: Observer<P>, R> {
    world: &'a mut World<P, O>,
    occasion: &'a Occasion,
    resolver: &'a mut R,
}

impl<P: Process, O: Observer<P>, R: Resolver<P, O>> Scene<'_, P, O, R> {
    /// Somebody meant by the word.
    fn who(&mut self, selector: &Selector) -> Result<NodeSet, Skipped> {
        let nodes = selector.resolve(self.world, self.occasion, self.resolver);
        if nodes.is_empty() { Err(Skipped::Nobody) } else { Ok(nodes) }
    }

    fn partition(&mut self, sides: &[Vec<Selector>]) -> Result<Done, Skipped> {
        let mut all = NodeSet::EMPTY;
        let mut apart = Vec::new();
        for side in sides {
            // A node that belongs to two sides, by words that happen to mean it, belongs to the first.
            let side = side.iter().fold(NodeSet::EMPTY, |side, word| {
                side.union(word.resolve(self.world, self.occasion, self.resolver))
            });
            let side = side.difference(all);
            apart.extend(links(all, side).chain(links(side, all)));
            all = all.union(side);
        }
        if apart.is_empty() {
            return Err(Skipped::Nobody);
        }
        Ok((Some(Undo::Network(self.world.network_mut().cut(apart))), all))
    }

    /// Does something to all links from one to the other.
    fn on_links(
        &mut self,
        from: &Selector,
        to: &Selector,
        act: impl FnOnce(&mut Network<P::Message>, Vec<(NodeIndex, NodeIndex)>) -> NetworkFaultId,
    ) -> Result<Done, Skipped> {
        let (from, to) = (self.who(from)?, self.who(to)?);
        let id = act(self.world.network_mut(), links(from, to).collect());
        Ok((Some(Undo::Network(id)), from.union(to)))
    }

    fn isolate(&mut self, node: &Selector) -> Result<Done, Skipped> {
        let nodes = self.who(node)?;
        let others = NodeSet::first(self.world.setup().nodes).difference(nodes);
        let id = self.world.network_mut().cut(links(nodes, others).chain(links(others, nodes)));
        Ok((Some(Undo::Network(id)), nodes))
    }

    fn heal(&mut self) -> Done {
        self.world.heal_network();
        (None, NodeSet::first(self.world.setup().nodes))
    }

    fn lose(
        &mut self,
        (from, to): (&Selector, &Selector),
        kind: &str,
        (identity, nth): (u64, u32),
    ) -> Result<Done, Skipped> {
        let (from, to) = (self.who(from)?, self.who(to)?);
        let kind = number_of(P::MESSAGE_KINDS, kind).expect("plans are checked before they run");
        for (from, to) in links(from, to) {
            self.world.network_mut().lose(PacketName { from, to, kind, identity, nth });
        }
        Ok((None, from.union(to)))
    }

    /// Does something to the disks of those meant, in one zone.
    fn on_disks(
        &mut self,
        node: &Selector,
        zone: &str,
        mut act: impl FnMut(&mut World<P, O>, NodeIndex, Zone) -> bool,
    ) -> Result<Done, Skipped> {
        let nodes = self.who(node)?;
        let zone = zone_named::<P>(zone);
        let struck: NodeSet = nodes.iter().filter(|node| act(self.world, *node, zone)).collect();
        if struck.is_empty() { Err(Skipped::Spared) } else { Ok((None, struck)) }
    }

    fn on_whole_disks(
        &mut self,
        node: &Selector,
        act: impl Fn(&mut World<P, O>, NodeIndex) -> bool,
    ) -> Result<Done, Skipped> {
        let nodes = self.who(node)?;
        let struck: NodeSet = nodes.iter().filter(|node| act(self.world, *node)).collect();
        if struck.is_empty() { Err(Skipped::Spared) } else { Ok((None, struck)) }
    }

    /// What goes wrong with disks.
    fn on_disk(&mut self, fault: &Fault) -> Result<Done, Skipped> {
        let occasion = self.occasion;
        let failing = |scene: &mut Self, node, failing| {
            let nodes = scene.who(node)?;
            Ok((Some(Undo::Failing(nodes, failing)), nodes))
        };
        let writes = |doom| Failing { writes: Some(doom), ..Failing::default() };
        match fault {
            Fault::Rot { node, zone, spot, how } => {
                self.on_disks(node, zone, |world, node, zone| {
                    world.spoil((node, zone), *spot, *how, occasion.fate)
                })
            }
            Fault::LoseWrite { node, zone } => self
                .on_disks(node, zone, |world, node, zone| world.doom_write(node, zone, Doom::Lost)),
            Fault::MisdirectWrite { node, zone } => {
                self.on_disks(node, zone, |world, node, zone| {
                    world.doom_write(node, zone, Doom::Misdirected)
                })
            }
            Fault::FailFlush { node } => self.on_whole_disks(node, World::fail_flush),
            Fault::WipeDisk { node } => self.on_whole_disks(node, World::wipe),
            Fault::WriteError { node } => failing(self, node, writes(Doom::Failed)),
            Fault::FullDisk { node } => failing(self, node, writes(Doom::Full)),
            Fault::ReadError { node } => {
                failing(self, node, Failing { reads: true, ..Failing::default() })
            }
            Fault::Misread { node } => {
                failing(self, node, Failing { misreads: true, ..Failing::default() })
            }
            Fault::Crash { .. }
            | Fault::Restart { .. }
            | Fault::PowerLoss { .. }
            | Fault::Partition { .. }
            | Fault::Cut { .. }
            | Fault::Isolate { .. }
            | Fault::Heal {}
            | Fault::Rates { .. }
            | Fault::Hold { .. }
            | Fault::Lose { .. }
            | Fault::SlowDisk { .. }
            | Fault::Skew { .. }
            | Fault::WallAhead { .. }
            | Fault::WallBack { .. }
            | Fault::Pause { .. } => unreachable!("faults of disks alone come here"),
        }
    }

    fn jump(&mut self, node: &Selector, by_ns: u64, sign: i64) -> Result<NodeSet, Skipped> {
        let nodes = self.who(node)?;
        let by_ns = i64::try_from(by_ns).unwrap_or(i64::MAX) * sign;
        nodes.iter().for_each(|node| self.world.jump_wall_clock(node, by_ns));
        Ok(nodes)
    }
}

/// The ordinary speed of a disk, in hundredths.
const ORDINARY: u32 = 100;

impl Injector {
    /// No faults yet.
    #[must_use]
    pub const fn new(limits: Limits) -> Self {
        Self { limits, on: Vec::new(), count: 0 }
    }

    /// Forgets everything, for a world that begins anew.
    pub fn reset(&mut self, limits: Limits) {
        self.limits = limits;
        self.on.clear();
        self.count = 0;
    }

    /// How many faults are on.
    #[must_use]
    pub const fn on_count(&self) -> usize {
        self.on.len()
    }

    /// Whether a fault that is on keeps the node down.
    #[must_use]
    pub fn is_kept_down(&self, node: NodeIndex) -> bool {
        self.on.iter().any(|(_, undo)| matches!(undo, Undo::Down(down) if down.contains(node)))
    }

    /// Does `fault` at this moment. Gives the number by which [`Self::end`] takes it back, and to whom it was done.
    ///
    /// # Errors
    /// Why it was not done.
    ///
    /// # Panics
    /// When it names a kind of message that there is not: see [`Fault::check`].
    pub fn inject<P: Process, O: Observer<P>, R: Resolver<P, O>>(
        &mut self,
        world: &mut World<P, O>,
        fault: &Fault,
        occasion: &Occasion,
        resolver: &mut R,
    ) -> Result<(Option<FaultId>, NodeSet), Skipped> {
        let mut scene = Scene { world, occasion, resolver };
        let (undo, nodes) = match fault {
            Fault::Crash { node } => self.crash(scene.who(node)?, scene.world)?,
            Fault::PowerLoss { nodes } => power_loss(scene.who(nodes)?, scene.world)?,
            Fault::Restart { node } => (None, self.restart(scene.who(node)?, scene.world)?),
            Fault::Partition { sides } => scene.partition(sides)?,
            Fault::Cut { from, to } => {
                scene.on_links(from, to, |network, links| network.cut(links))?
            }
            Fault::Isolate { node } => scene.isolate(node)?,
            Fault::Heal {} => scene.heal(),
            Fault::Rates { from, to, change } => {
                scene.on_links(from, to, |network, links| network.change_rates(links, *change))?
            }
            Fault::Hold { from, to, kinds } => {
                let kinds = kinds_of::<P>(kinds);
                scene.on_links(from, to, |network, links| network.hold_back(links, kinds))?
            }
            Fault::Lose { from, to, kind, identity, nth } => {
                scene.lose((from, to), kind, (*identity, *nth))?
            }
            Fault::SlowDisk { node, percent, zone } => {
                let nodes = scene.who(node)?;
                let zone = zone.as_ref().map(|zone| zone_named::<P>(zone));
                (Some(Undo::SlowDisk(nodes, zone, *percent)), nodes)
            }
            Fault::Skew { node, ppm } => {
                let nodes = scene.who(node)?;
                (Some(Undo::Skew(nodes, *ppm)), nodes)
            }
            Fault::WallAhead { node, by } => (None, scene.jump(node, by.as_ns(), 1)?),
            Fault::WallBack { node, by } => (None, scene.jump(node, by.as_ns(), -1)?),
            Fault::Pause { node } => {
                let nodes = scene.who(node)?;
                nodes.iter().for_each(|node| scene.world.pause(node));
                (Some(Undo::Paused(nodes)), nodes)
            }
            Fault::Rot { .. }
            | Fault::LoseWrite { .. }
            | Fault::MisdirectWrite { .. }
            | Fault::FailFlush { .. }
            | Fault::WriteError { .. }
            | Fault::ReadError { .. }
            | Fault::Misread { .. }
            | Fault::FullDisk { .. }
            | Fault::WipeDisk { .. } => scene.on_disk(fault)?,
        };
        let is_slowing =
            matches!(undo, Some(Undo::SlowDisk(..) | Undo::Skew(..) | Undo::Failing(..)));
        let id = undo.map(|undo| {
            let id = FaultId(self.count);
            self.count += 1;
            self.on.push((id, undo));
            id
        });
        if is_slowing {
            self.set_disks_and_clocks(world, nodes);
        }
        Ok((id, nodes))
    }

    fn crash<P: Process, O: Observer<P>>(
        &self,
        nodes: NodeSet,
        world: &mut World<P, O>,
    ) -> Result<Done, Skipped> {
        let down = NodeSet::first(world.setup().nodes).difference(world.alive());
        let after = down.union(nodes).intersection(self.limits.servers);
        let more = after.difference(down);
        if !more.is_empty() && after.count() > self.limits.down_max {
            return Err(Skipped::TooManyDown);
        }
        power_loss(nodes, world)
    }

    fn restart<P: Process, O: Observer<P>>(
        &mut self,
        nodes: NodeSet,
        world: &mut World<P, O>,
    ) -> Result<NodeSet, Skipped> {
        for (_, undo) in &mut self.on {
            if let Undo::Down(down) = undo {
                *down = down.difference(nodes);
            }
        }
        let restarted: NodeSet = nodes.iter().filter(|node| world.restart(*node)).collect();
        if restarted.is_empty() { Err(Skipped::NoEffect) } else { Ok(restarted) }
    }

    /// Takes a fault back. What other faults that are on ask for stays.
    pub fn end<P: Process, O: Observer<P>>(&mut self, world: &mut World<P, O>, fault: FaultId) {
        let Some(place) = self.on.iter().position(|(id, _)| *id == fault) else { return };
        match self.on.remove(place).1 {
            Undo::Down(nodes) => {
                let kept_down = self.on.iter().fold(NodeSet::EMPTY, |down, (_, undo)| match undo {
                    Undo::Down(nodes) => down.union(*nodes),
                    Undo::Network(_)
                    | Undo::SlowDisk(..)
                    | Undo::Skew(..)
                    | Undo::Paused(_)
                    | Undo::Failing(..) => down,
                });
                for node in nodes.difference(kept_down).iter() {
                    world.restart(node);
                }
            }
            Undo::Network(id) => {
                world.lift(id);
            }
            Undo::SlowDisk(nodes, ..) | Undo::Skew(nodes, _) | Undo::Failing(nodes, _) => {
                self.set_disks_and_clocks(world, nodes);
            }
            Undo::Paused(nodes) => {
                for node in nodes.iter() {
                    world.resume(node);
                }
            }
        }
    }

    /// Each disk and clock is as the last fault that is on wants it.
    fn set_disks_and_clocks<P: Process, O: Observer<P>>(
        &self,
        world: &mut World<P, O>,
        nodes: NodeSet,
    ) {
        for node in nodes.iter() {
            let (mut skew_ppm, mut fails) = (0, Failing::default());
            world.disk_mut().set_slowness(node, None, ORDINARY.into());
            for (_, undo) in &self.on {
                match undo {
                    Undo::SlowDisk(nodes, zone, slow) if nodes.contains(node) => {
                        world.disk_mut().set_slowness(node, *zone, (*slow).into());
                    }
                    Undo::Skew(nodes, skew) if nodes.contains(node) => skew_ppm = *skew,
                    Undo::Failing(nodes, failing) if nodes.contains(node) => {
                        fails = fails.and(*failing);
                    }
                    Undo::SlowDisk(..)
                    | Undo::Skew(..)
                    | Undo::Failing(..)
                    | Undo::Down(_)
                    | Undo::Network(_)
                    | Undo::Paused(_) => {}
                }
            }
            world.disk_mut().set_failing(node, fails);
            if world.skew_ppm(node) != skew_ppm {
                world.set_skew(node, skew_ppm);
            }
        }
    }

    /// Ends faults for good: among the nodes `healed` nothing is wrong any longer, and nobody else can reach them.
    ///
    /// They all run, on disks that fail and lie no more (though what is spoiled stays so), with links that lose, copy and delay nothing. The others stay as broken as they
    /// are, and are cut off besides.
    pub fn heal<P: Process, O: Observer<P>>(&mut self, world: &mut World<P, O>, healed: NodeSet) {
        world.heal_network();
        self.on.retain_mut(|(_, undo)| {
            let left = match undo {
                Undo::Network(_) => return false,
                Undo::Paused(nodes) => {
                    for node in nodes.intersection(healed).iter() {
                        world.resume(node);
                    }
                    nodes
                }
                Undo::Down(nodes)
                | Undo::SlowDisk(nodes, ..)
                | Undo::Skew(nodes, _)
                | Undo::Failing(nodes, _) => nodes,
            };
            *left = left.difference(healed);
            !left.is_empty()
        });
        self.set_disks_and_clocks(world, healed);
        for node in healed.iter() {
            world.disk_mut().set_honest(node);
            if world.state(node) == NodeState::Down {
                world.restart(node);
            }
        }
        let others = NodeSet::first(world.setup().nodes).difference(healed);
        world.network_mut().cut(links(healed, others).chain(links(others, healed)));
        let calm = RateChange {
            loss_ppm: Some(0),
            duplicate_ppm: Some(0),
            tail_ppm: Some(0),
            latency_percent: None,
        };
        world.network_mut().change_rates(links(healed, healed), calm);
    }
}

/// The zone of this name.
fn zone_named<P: Process>(name: &str) -> Zone {
    Zone(number_of(P::ZONES, name).expect("plans are checked before they run"))
}

/// All links from any of one set to any of the other.
fn links(from: NodeSet, to: NodeSet) -> impl Iterator<Item = (NodeIndex, NodeIndex)> {
    from.iter().flat_map(move |from| to.iter().map(move |to| (from, to)))
}

fn power_loss<P: Process, O: Observer<P>>(
    nodes: NodeSet,
    world: &mut World<P, O>,
) -> Result<Done, Skipped> {
    let crashed: NodeSet = nodes.iter().filter(|node| world.crash(*node)).collect();
    if crashed.is_empty() { Err(Skipped::NoEffect) } else { Ok((Some(Undo::Down(nodes)), crashed)) }
}

fn kinds_of<P: Process>(names: &[String]) -> u64 {
    if names.is_empty() {
        return u64::MAX;
    }
    names.iter().fold(0, |kinds, name| {
        let kind = number_of(P::MESSAGE_KINDS, name).expect("plans are checked before they run");
        kinds | 1 << kind
    })
}

/// A moment without anything seen: for faults that are done by hand.
impl Occasion {
    /// At `time`, for no reason but the time.
    #[must_use]
    pub const fn at(time: Time) -> Self {
        Self { sight: None, fate: crate::engine::random::Fate::of(time.as_ns(), 0) }
    }
}
