//! Break points: a run stops when something was seen for the nth time, at that very moment.
//!
//! A watch is told once and then gone. While nothing is watched, each event of the world costs one test of a bit.

use super::network::PacketName;
use super::node::{NodeIndex, NodeSet};
use super::time::Time;

/// What sort of thing is watched.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Moment {
    /// A packet was handed to the network; the kind is that of its message, the peer its receiver.
    Sent,
    /// A packet arrived; the kind is that of its message, the peer its sender. Its receiver has taken it, but nothing of
    /// what it answers was carried out yet.
    Delivered,
    /// A write was handed to the disk; the kind is the zone.
    WriteStarted,
    /// A write is durable; the kind is the zone. Nothing of what its process answers was carried out yet.
    WriteEnded,
    /// A process said something about itself; the kind is that of its event.
    Event,
    /// A process was booted; the kind is zero. Nothing of what it does at first was carried out yet.
    Booted,
    /// A process crashed; the kind is zero.
    Crashed,
}

const MOMENTS: usize = 7;

/// Which moments are meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pattern {
    /// What happens.
    pub moment: Moment,
    /// Its kind.
    pub kind: u8,
    /// To whom it happens: any of these.
    pub nodes: NodeSet,
    /// Who is at the other end of the link, if the moment has one: any of these.
    pub peers: NodeSet,
    /// What it is about; anything if it is not said.
    pub identity: Option<u64>,
}

/// A watch by number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct WatchId(u32);

/// A watch that came to its end.
#[derive(Clone, Copy, Debug)]
pub struct Hit {
    /// Which one.
    pub watch: WatchId,
    /// What was seen.
    pub sight: Sight,
    /// When.
    pub time: Time,
}

/// What a watch may see.
#[derive(Clone, Copy, Debug)]
pub struct Sight {
    /// What happens.
    pub moment: Moment,
    /// Its kind.
    pub kind: u8,
    /// To whom.
    pub node: NodeIndex,
    /// With whom.
    pub peer: Option<NodeIndex>,
    /// The packet, if it is about one.
    pub packet: Option<PacketName>,
    /// What the packet or the event is about.
    pub identity: Option<u64>,
}

#[derive(Debug)]
struct Watch {
    id: WatchId,
    pattern: Pattern,
    left: u32,
}

#[derive(Debug, Default)]
pub(crate) struct Watches {
    /// By moment: the kinds that some watch waits for.
    masks: [u64; MOMENTS],
    watches: Vec<Watch>,
    count: u32,
    hits: Vec<Hit>,
}

impl Watches {
    pub(crate) fn clear(&mut self) {
        self.masks = [0; MOMENTS];
        self.watches.clear();
        self.count = 0;
        self.hits.clear();
    }

    /// Waits for `pattern` to be seen `nth` times.
    pub(crate) fn add(&mut self, pattern: Pattern, nth: u32) -> WatchId {
        assert!(nth > 0);
        assert!(pattern.kind < 64);
        let id = WatchId(self.count);
        self.count += 1;
        self.masks[pattern.moment as usize] |= 1 << pattern.kind;
        self.watches.push(Watch { id, pattern, left: nth });
        id
    }

    pub(crate) fn remove(&mut self, id: WatchId) {
        self.watches.retain(|watch| watch.id != id);
        self.masks = [0; MOMENTS];
        for Watch { pattern, .. } in &self.watches {
            self.masks[pattern.moment as usize] |= 1 << pattern.kind;
        }
    }

    /// Whether anything watches for this.
    #[inline]
    pub(crate) const fn wants(&self, moment: Moment, kind: u8) -> bool {
        self.masks[moment as usize] >> kind & 1 == 1
    }

    /// Counts what was seen.
    #[cold]
    pub(crate) fn see(&mut self, time: Time, sight: Sight) {
        let mut over = Vec::new();
        for watch in &mut self.watches {
            let Pattern { moment, kind, nodes, peers, identity } = watch.pattern;
            let same = (moment, kind) == (sight.moment, sight.kind);
            let there = sight.peer.is_none_or(|peer| peers.contains(peer));
            let about = identity.is_none_or(|identity| sight.identity == Some(identity));
            if same && nodes.contains(sight.node) && there && about {
                watch.left -= 1;
                if watch.left == 0 {
                    over.push(watch.id);
                }
            }
        }
        for watch in over {
            self.remove(watch);
            self.hits.push(Hit { watch, sight, time });
        }
    }

    #[inline]
    pub(crate) const fn is_hit(&self) -> bool {
        !self.hits.is_empty()
    }

    /// Takes the oldest hit.
    pub(crate) fn take_hit(&mut self) -> Option<Hit> {
        (!self.hits.is_empty()).then(|| self.hits.remove(0))
    }
}
