//! The simulated network: what becomes of a packet between two nodes.
//!
//! It behaves as datagrams do: packets get lost, come twice, come late and in any order, and are addressed to a node and
//! not to the process on it, so that one sent before a crash may reach the process after it.
//!
//! What happens to a packet is a function of the seed and of the packet's name (see [`PacketName`]). Packets on other
//! links, of other kinds or about other things do not matter, nor do faults elsewhere.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::decided::{Decided, PacketFate, Recorder};
use super::node::NodeIndex;
use super::process::{Described, Message};
use super::random::{Fate, Keyed, Seed};
use super::recent::Recent;
use super::slab::Slab;
use super::time::{Span, Time};

/// What a packet is called: the same packet has the same name in every run of a seed in which it is sent at all.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PacketName {
    /// The node that sent it.
    pub from: NodeIndex,
    /// The node that it is for.
    pub to: NodeIndex,
    /// [`Described::kind`].
    pub kind: u8,
    /// [`Described::identity`].
    pub identity: u64,
    /// How many packets of the same link, kind and identity were sent before.
    pub nth: u32,
}

/// A message on its way.
#[derive(Clone, Debug)]
pub struct Packet<M> {
    /// What it is called.
    pub name: PacketName,
    /// Which copy it is: 0 is the one that was sent, 1 the one that the network added.
    pub copy: u8,
    /// When it was sent.
    pub sent: Time,
    /// [`Described::digest`].
    pub digest: u64,
    /// What it carries.
    pub message: M,
}

/// Why the network let go of a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Dropped {
    /// Bad luck: [`LinkRates::loss_ppm`].
    Lost,
    /// It was on the list of packets to lose.
    Listed,
    /// The link was cut when it was sent, or when it should have arrived.
    Cut,
    /// Nobody was there to receive it.
    NodeDown,
}

impl Dropped {
    /// How many reasons there are.
    pub const COUNT: usize = 4;

    /// All reasons, in the order of [`Self::index`].
    pub const ALL: [Self; Self::COUNT] = [Self::Lost, Self::Listed, Self::Cut, Self::NodeDown];

    /// The place of the reason in a table of all.
    #[must_use]
    pub const fn index(self) -> usize {
        self as usize
    }
}

/// How well links carry packets, and how fast.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct LinkRates {
    /// How many packets in a million are lost.
    pub loss_ppm: u32,
    /// How many packets in a million come twice.
    pub duplicate_ppm: u32,
    /// How long the quickest packet takes.
    pub latency: Span,
    /// Up to how much longer the others take, evenly spread. Zero keeps packets of a link in order.
    pub jitter: Span,
    /// How many packets in a million take much longer than that.
    pub tail_ppm: u32,
    /// Up to how much longer those take; shorter delays of the tail are likelier than longer ones.
    pub tail: Span,
}

impl Default for LinkRates {
    /// Half a millisecond, some jitter, nothing lost.
    fn default() -> Self {
        Self {
            loss_ppm: 0,
            duplicate_ppm: 0,
            latency: Span::from_us(500),
            jitter: Span::from_us(200),
            tail_ppm: 0,
            tail: Span::ZERO,
        }
    }
}

/// A change of the rates of some links while it lasts. What is `None` stays as it was.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct RateChange {
    /// Packets lost in a million.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub loss_ppm: Option<u32>,
    /// Packets duplicated in a million.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub duplicate_ppm: Option<u32>,
    /// Packets much delayed in a million.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tail_ppm: Option<u32>,
    /// Latency, jitter and tail in hundredths of what they were.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub latency_percent: Option<u32>,
}

impl RateChange {
    fn apply(&self, rates: &mut LinkRates) {
        rates.loss_ppm = self.loss_ppm.unwrap_or(rates.loss_ppm);
        rates.duplicate_ppm = self.duplicate_ppm.unwrap_or(rates.duplicate_ppm);
        rates.tail_ppm = self.tail_ppm.unwrap_or(rates.tail_ppm);
        if let Some(percent) = self.latency_percent {
            rates.latency = rates.latency.percent(percent.into());
            rates.jitter = rates.jitter.percent(percent.into());
            rates.tail = rates.tail.percent(percent.into());
        }
    }
}

/// A fault of the network that lasts until it is taken back by this number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct NetworkFaultId(u32);

#[derive(Clone, Copy, Debug)]
enum NetworkFault {
    Cut,
    Hold { kinds: u64 },
    Rates(RateChange),
}

/// One direction between two nodes: what all faults that are on come to.
#[derive(Clone, Copy, Debug)]
struct Link {
    /// How many faults cut it.
    cuts: u32,
    /// The kinds of packets that are held back.
    held: u64,
    rates: LinkRates,
}

/// What the network does with a packet that it was handed.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Route {
    Drop(Dropped),
    Hold,
    Carry { arrives: Time, copy_arrives: Option<Time> },
}

/// All links, and the packets on them.
#[derive(Debug)]
pub struct Network<M> {
    node_count: u8,
    base: LinkRates,
    links: Vec<Link>,
    faults: Vec<(NetworkFaultId, Vec<usize>, NetworkFault)>,
    fault_count: u32,
    keyed: Keyed,
    recent: Recent,
    kind_count: usize,
    /// The names of packets to lose, in order.
    listed: Vec<PacketName>,
    /// What becomes of single packets whatever the rates say, and what the rates did to which.
    decided: Decided,
    recorder: Recorder,
    pub(crate) packets: Slab<Packet<M>>,
    /// The packets that are held back, in order of sending.
    held: Vec<u32>,
}

/// The lanes of a packet's fate.
mod lane {
    pub(super) const LOSS: u64 = 0;
    pub(super) const DUPLICATE: u64 = 1;
    /// Two sets of three: one for each copy.
    pub(super) const DELAY: u64 = 2;
    pub(super) const DELAY_LANES: u64 = 4;
}

impl<M: Message> Network<M> {
    pub(crate) fn new() -> Self {
        Self {
            node_count: 0,
            base: LinkRates::default(),
            links: Vec::new(),
            faults: Vec::new(),
            fault_count: 0,
            keyed: Keyed::new(Seed::new(0), "packet"),
            recent: Recent::default(),
            kind_count: 0,
            listed: Vec::new(),
            decided: Decided::default(),
            recorder: Recorder::default(),
            packets: Slab::new(),
            held: Vec::new(),
        }
    }

    /// Begins anew with `node_count` nodes, every link at the rates `base`.
    pub(crate) fn reset(
        &mut self,
        seed: Seed,
        (node_count, kind_count): (u8, usize),
        base: LinkRates,
    ) {
        self.node_count = node_count;
        self.base = base;
        self.links.clear();
        let link_count = usize::from(node_count) * usize::from(node_count);
        self.links.resize(link_count, Link { cuts: 0, held: 0, rates: base });
        self.faults.clear();
        self.fault_count = 0;
        self.keyed = Keyed::new(seed, "packet");
        self.kind_count = kind_count;
        self.recent.reset(link_count * kind_count);
        self.listed.clear();
        self.decided.clear();
        self.recorder.stop();
        self.packets.drain().for_each(drop);
        self.held.clear();
    }

    fn link(&self, from: NodeIndex, to: NodeIndex) -> usize {
        from.index() * usize::from(self.node_count) + to.index()
    }

    /// The packet named by this sending of `message`, its fate, and its size.
    pub(crate) fn pack(
        &mut self,
        now: Time,
        (from, to): (NodeIndex, NodeIndex),
        message: M,
    ) -> (Packet<M>, Fate, u32) {
        let Described { kind, identity, digest, size } = message.describe();
        assert!(usize::from(kind) < self.kind_count);
        let what = u64::from_le_bytes([from.number(), to.number(), kind, 0, 0, 0, 0, 0]);
        let hashed = self.keyed.name(what, identity);
        let stream = self.link(from, to) * self.kind_count + usize::from(kind);
        let nth = self.recent.count(stream, identity);
        let name = PacketName { from, to, kind, identity, nth };
        (Packet { name, copy: 0, sent: now, digest, message }, Fate::of(hashed, nth), size)
    }

    /// What becomes of the packet called `name`, which is sent `now`.
    pub(crate) fn route(&mut self, now: Time, name: &PacketName, fate: Fate) -> Route {
        if name.from == name.to {
            return Route::Carry { arrives: now.plus(LOOPBACK), copy_arrives: None };
        }
        let Link { cuts, held, rates } = self.links[self.link(name.from, name.to)];
        if cuts > 0 {
            return Route::Drop(Dropped::Cut);
        }
        if !self.listed.is_empty() && self.listed.binary_search(name).is_ok() {
            return Route::Drop(Dropped::Listed);
        }
        let decision = self.decided.of(name);
        let is_lost = rates.loss_ppm > 0 && fate.chance(lane::LOSS, rates.loss_ppm);
        if is_lost || decision.is_lost {
            self.recorder.note(name, PacketFate::Lost);
            return Route::Drop(Dropped::Lost);
        }
        if held >> name.kind & 1 == 1 {
            return Route::Hold;
        }
        let (quick, late) = delay(&rates, fate, 0);
        let late = late.plus(decision.late);
        if late > Span::ZERO {
            self.recorder.note(name, PacketFate::Late { by: late });
        }
        let is_copied =
            rates.duplicate_ppm > 0 && fate.chance(lane::DUPLICATE, rates.duplicate_ppm);
        let copy_arrives = (is_copied || decision.copy_late.is_some()).then(|| {
            let (quick, late) = delay(&rates, fate, 1);
            let late = late.plus(decision.copy_late.unwrap_or_default());
            self.recorder.note(name, PacketFate::Twice { late });
            now.plus(quick.plus(late))
        });
        Route::Carry { arrives: now.plus(quick.plus(late)), copy_arrives }
    }

    /// Whether packets cannot pass `from` one node `to` another at this moment.
    #[must_use]
    pub fn is_cut(&self, from: NodeIndex, to: NodeIndex) -> bool {
        self.links[self.link(from, to)].cuts > 0
    }

    /// The rates of a link at this moment.
    #[must_use]
    pub fn rates(&self, from: NodeIndex, to: NodeIndex) -> LinkRates {
        self.links[self.link(from, to)].rates
    }

    /// The packets under way, held ones included, in no particular order.
    pub fn in_flight(&self) -> impl Iterator<Item = &Packet<M>> {
        self.packets.iter()
    }

    /// How many packets are under way, held ones included.
    #[must_use]
    pub const fn in_flight_count(&self) -> usize {
        self.packets.count()
    }

    pub(crate) fn hold(&mut self, packet: u32) {
        self.held.push(packet);
    }

    /// Loses the packet called `name` if it is ever sent.
    pub fn lose(&mut self, name: PacketName) {
        if let Err(place) = self.listed.binary_search(&name) {
            self.listed.insert(place, name);
        }
    }

    /// Decides what becomes of the packet called `name`, if it is ever sent; the rates may do more to it.
    pub fn decide(&mut self, name: PacketName, fate: PacketFate) {
        self.decided.add(name, fate);
    }

    /// From now on writes down which packets meet bad luck; for [`Self::take_recorded`].
    pub fn record(&mut self) {
        self.recorder.start();
    }

    /// Which packets met bad luck since [`Self::record`], in order: all that it takes to do without rates.
    pub fn take_recorded(&mut self) -> Vec<(PacketName, PacketFate)> {
        self.recorder.take()
    }

    /// Cuts links: nothing passes them, not even what is under way, until [`Self::lift`].
    pub fn cut(
        &mut self,
        links: impl IntoIterator<Item = (NodeIndex, NodeIndex)>,
    ) -> NetworkFaultId {
        self.put_on(links, NetworkFault::Cut)
    }

    /// Holds back packets of the `kinds` (bit `n` for kind `n`) that are sent from now on, until [`Self::lift`].
    pub fn hold_back(
        &mut self,
        links: impl IntoIterator<Item = (NodeIndex, NodeIndex)>,
        kinds: u64,
    ) -> NetworkFaultId {
        self.put_on(links, NetworkFault::Hold { kinds })
    }

    /// Changes the rates of links until [`Self::lift`]. Changes apply in the order in which they began.
    pub fn change_rates(
        &mut self,
        links: impl IntoIterator<Item = (NodeIndex, NodeIndex)>,
        change: RateChange,
    ) -> NetworkFaultId {
        self.put_on(links, NetworkFault::Rates(change))
    }

    fn put_on(
        &mut self,
        links: impl IntoIterator<Item = (NodeIndex, NodeIndex)>,
        fault: NetworkFault,
    ) -> NetworkFaultId {
        let id = NetworkFaultId(self.fault_count);
        self.fault_count += 1;
        let mut links: Vec<usize> = links
            .into_iter()
            .filter(|(from, to)| from != to)
            .map(|(from, to)| self.link(from, to))
            .collect();
        links.sort_unstable();
        links.dedup();
        self.faults.push((id, links, fault));
        self.sum_up();
        id
    }

    /// Takes a fault back. The packets that it held back and nothing else holds are given `release` one by one, in the
    /// order in which they were sent.
    ///
    /// Returns false if the fault was over already.
    pub(crate) fn lift(&mut self, id: NetworkFaultId, mut release: impl FnMut(u32, Span)) -> bool {
        let Some(place) = self.faults.iter().position(|(other, ..)| *other == id) else {
            return false;
        };
        self.faults.remove(place);
        self.sum_up();
        let mut held = std::mem::take(&mut self.held);
        held.retain(|slot| {
            let name = &self.packets.get(*slot).name;
            let link = &self.links[self.link(name.from, name.to)];
            let stays = link.held >> name.kind & 1 == 1;
            if !stays {
                release(*slot, link.rates.latency);
            }
            stays
        });
        self.held = held;
        true
    }

    /// The numbers of all faults that are on.
    pub(crate) fn faults_on(&self) -> Vec<NetworkFaultId> {
        self.faults.iter().map(|(id, ..)| *id).collect()
    }

    /// Every link is what the base rates and all faults, in order, make of it.
    fn sum_up(&mut self) {
        self.links.fill(Link { cuts: 0, held: 0, rates: self.base });
        for (_, links, fault) in &self.faults {
            for link in links {
                let link = &mut self.links[*link];
                match fault {
                    NetworkFault::Cut => link.cuts += 1,
                    NetworkFault::Hold { kinds } => link.held |= kinds,
                    NetworkFault::Rates(change) => change.apply(&mut link.rates),
                }
            }
        }
    }
}

/// How long a packet from a node to itself takes.
const LOOPBACK: Span = Span::from_us(1);

/// How long a copy takes: by the ordinary rates, and how much longer by bad luck.
fn delay(rates: &LinkRates, fate: Fate, copy: u64) -> (Span, Span) {
    let first = lane::DELAY + copy * lane::DELAY_LANES;
    let jitter = Span::from_ns(fate.up_to(first, rates.jitter.as_ns()));
    let quick = rates.latency.plus(jitter);
    if rates.tail_ppm == 0 || !fate.chance(first + 1, rates.tail_ppm) {
        return (quick, Span::ZERO);
    }
    // Up to the whole tail, half of it, a quarter and so on, each as likely as the others.
    let halvings = fate.up_to(first + 2, TAIL_HALVINGS_MAX);
    (quick, Span::from_ns(fate.up_to(first + 3, rates.tail.as_ns() >> halvings)))
}

const TAIL_HALVINGS_MAX: u64 = 7;
