//! The oracles' eyes: turns what happens in a world of replicas and clients into what [`Oracles`] are told.

use vsr_core::configuration::Configuration;
use vsr_core::io::{Token, Zone};
use vsr_core::number::{ClientId, ReplicaIndex};
use vsr_core::superblock::Superblock;
use vsr_core::token::Subject;
use vsr_core::wire::Frame;

use super::judge::{Delivery, DiskBytes, Oracles};
use crate::cluster::node::{Node, replica_at};
use crate::cluster::recorded::Call;
use crate::cluster::replica::zone_at;
use crate::cluster::service::{AnyService, Machine};
use crate::engine::disk::{Disk, Mishap, MishapKind, Resolution, Write};
use crate::engine::network::Packet;
use crate::engine::node::{Incarnation, NodeIndex};
use crate::engine::observer::Observer;
use crate::engine::process::Input;
use crate::engine::time::Time;

#[cfg(test)]
mod tests;

/// An observer of a cluster that tells the oracles all they need, and ends the run at the first violation.
#[derive(Debug)]
pub struct Witness {
    configuration: Configuration,
    oracles: Oracles<Machine>,
    /// By node: how many of its writes are under way.
    writes_under_way: Vec<usize>,
    /// By node: the client that last spoke there.
    clients: Vec<Option<ClientId>>,
    record: Vec<u8>,
    /// The read that has just gone wrong, of which the process is told next.
    misread: Option<Mishap>,
}

impl Witness {
    /// A witness of a cluster that has not begun.
    #[must_use]
    pub fn new(configuration: &Configuration, service: &AnyService) -> Self {
        Self {
            configuration: *configuration,
            oracles: Oracles::new(configuration, service.machine()),
            writes_under_way: Vec::new(),
            clients: Vec::new(),
            record: Vec::new(),
            misread: None,
        }
    }

    /// As [`Self::new`], with the memory of a run that is over.
    pub fn reset(&mut self, configuration: &Configuration, service: &AnyService) {
        self.configuration = *configuration;
        self.oracles.reset(configuration, service.machine());
        self.writes_under_way.clear();
        self.clients.clear();
        self.misread = None;
    }

    /// The oracles.
    #[must_use]
    pub const fn oracles(&self) -> &Oracles<Machine> {
        &self.oracles
    }

    /// The oracles, to tell them of phases and of what no observer hears.
    pub const fn oracles_mut(&mut self) -> &mut Oracles<Machine> {
        &mut self.oracles
    }

    const fn replica(&self, node: NodeIndex) -> Option<ReplicaIndex> {
        replica_at(&self.configuration, node)
    }

    fn writes(&mut self, node: NodeIndex) -> &mut usize {
        if self.writes_under_way.len() <= node.index() {
            self.writes_under_way.resize(node.index() + 1, 0);
        }
        &mut self.writes_under_way[node.index()]
    }

    fn client(&mut self, node: NodeIndex) -> &mut Option<ClientId> {
        if self.clients.len() <= node.index() {
            self.clients.resize(node.index() + 1, None);
        }
        &mut self.clients[node.index()]
    }
}

impl Default for Witness {
    /// A witness of a cluster of one: to be reset before the run that it is to see.
    fn default() -> Self {
        Self::new(&Configuration::of(1), &AnyService::default())
    }
}

impl Observer<Node> for Witness {
    fn packet_sent(&mut self, now: Time, packet: &Packet<Frame>) {
        if let Frame::Request(request) = &packet.message
            && self.replica(packet.name.from).is_none()
        {
            let spoke = self.client(packet.name.from).replace(request.client);
            if let Some(before) = spoke.filter(|before| *before != request.client) {
                self.oracles.client_gone(now, before);
            }
        }
        self.oracles.frame_sent(now, &packet.message);
    }

    fn packet_delivered(&mut self, now: Time, packet: &Packet<Frame>) {
        let to = self.replica(packet.name.to);
        let delivery = Delivery { to, sent: packet.sent, is_copy: packet.copy > 0 };
        self.oracles.frame_delivered(now, &packet.message, &delivery);
    }

    fn write_started(&mut self, _: Time, write: &Write, _: &Disk) {
        *self.writes(write.node) += 1;
    }

    fn write_completed(&mut self, now: Time, write: &Write, _: &Disk) {
        let writes = self.writes(write.node);
        *writes = writes.saturating_sub(1);
        let Some(replica) = self.replica(write.node) else { return };
        let zone = zone_at(write.zone);
        let written = DiskBytes { replica, zone, offset: write.offset, bytes: &write.bytes };
        self.oracles.write_completed(now, &written);
    }

    fn write_resolved(&mut self, now: Time, write: &Write, resolution: Resolution, disk: &Disk) {
        let writes = self.writes(write.node);
        *writes = writes.saturating_sub(1);
        let Some(replica) = self.replica(write.node) else { return };
        let zone = zone_at(write.zone);
        let record = self.oracles.record(zone, write.offset);
        self.record.clear();
        if zone != Zone::Headers {
            let size = usize::try_from(record.end - record.start).expect("a record fits in memory");
            self.record.resize(size, 0);
            disk.read(write.node, write.zone, record.start, &mut self.record);
        }
        let found = DiskBytes { replica, zone, offset: record.start, bytes: &self.record };
        let is_torn = matches!(resolution, Resolution::Torn { .. });
        if is_torn && zone == Zone::Prepares && self.oracles.is_owed(replica, &write.bytes) {
            // A spoiled entry was written again, and what is there now is as good as spoiled: the other ring still names it.
            self.oracles.record_shows(now, &found, MishapKind::Garbled);
            return;
        }
        self.oracles.write_resolved(now, &found, resolution);
    }

    fn disk_mishap(&mut self, now: Time, mishap: &Mishap, disk: &Disk) {
        let Some(replica) = self.replica(mishap.node) else { return };
        self.oracles.mishap(now, mishap.kind);
        if matches!(mishap.kind, MishapKind::ReadFailed | MishapKind::ReadMisdirected) {
            self.misread = Some(*mishap);
            return;
        }
        let zone = zone_at(mishap.zone);
        if mishap.kind == MishapKind::WriteFailed || zone == Zone::Headers {
            return;
        }
        let end = mishap.offset + mishap.size;
        let mut at = mishap.offset;
        while at < end {
            let record = self.oracles.record(zone, at);
            let size = usize::try_from(record.end - record.start).expect("a record fits in memory");
            self.record.clear();
            if !disk.is_unreadable(mishap.node, mishap.zone, record.start, size) {
                self.record.resize(size, 0);
                disk.read(mishap.node, mishap.zone, record.start, &mut self.record);
            }
            let found = DiskBytes { replica, zone, offset: record.start, bytes: &self.record };
            self.oracles.record_shows(now, &found, mishap.kind);
            at = record.end;
        }
    }

    fn node_crashed(&mut self, now: Time, node: NodeIndex, _: &Node) {
        match self.replica(node) {
            Some(replica) => {
                let writes = *self.writes(node);
                self.oracles.crashed(now, replica, writes);
            }
            None => {
                if let Some(client) = self.client(node).take() {
                    self.oracles.client_gone(now, client);
                }
            }
        }
    }

    fn node_booted(&mut self, now: Time, node: NodeIndex, incarnation: Incarnation) {
        if let Some(replica) = self.replica(node)
            && incarnation != Incarnation::FIRST
        {
            self.oracles.booted(now, replica);
        }
    }

    fn before_step(&mut self, now: Time, node: NodeIndex, _: &Node, input: &Input<'_, Node>) {
        let Input::Read { token, result } = input else { return };
        let misread = self.misread.take_if(|mishap| mishap.node == node);
        let Some(replica) = self.replica(node) else { return };
        let (zone, offset) = match (misread, Subject::of(Token(token.0))) {
            (Some(mishap), _) => (zone_at(mishap.zone), mishap.offset),
            (None, Some(Subject::SuperblockCopy(copy))) => {
                (Zone::Superblock, u64::from(copy) * Superblock::copy_size(&self.configuration))
            }
            // As it is on the disk: that is known.
            (None, _) => return,
        };
        let bytes = result.unwrap_or_default();
        self.oracles.record_read(now, &DiskBytes { replica, zone, offset, bytes });
    }

    fn after_step(&mut self, now: Time, node: NodeIndex, process: &Node) {
        let (Some(replica), Some(running)) = (self.replica(node), process.replica()) else {
            return;
        };
        let oracles = &mut self.oracles;
        oracles.step_ends(replica, running.wall());
        running.replica().state_machine().collect(|call| match call {
            Call::Applied(applied) => {
                oracles.applied(now, replica, applied.operation, applied.reply, applied.digest);
            }
            Call::Restored { digest } => oracles.restored(now, replica, digest),
        });
    }

    fn stops(&self) -> bool {
        self.oracles.violation().is_some()
    }
}
