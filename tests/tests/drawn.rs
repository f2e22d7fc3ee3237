//! What holds of all drawn scenarios: they survive being written down, and what is taken out of one changes nothing else.

use std::collections::{BTreeMap, BTreeSet};

use vsr_core::wire::Frame;
use vsr_sim::cluster::Node;
use vsr_sim::engine::{Dropped, Observer, Packet, PacketFate, PacketName, Seed, Time};
use vsr_sim::faults::Fault;
use vsr_sim::scenario::draw::Overrides;
use vsr_sim::scenario::listener::Listener;
use vsr_sim::scenario::run::Runner;
use vsr_sim::scenario::{Scenario, file};

/// Short ones: of each client a few requests. All else is as it is drawn.
#[test]
fn a_thousand_drawn_scenarios_are_the_same_runs_once_they_were_written_and_read() {
    let mut runner: Runner = Runner::default();
    let overrides = Overrides { requests: Some(12), ..Overrides::default() };
    for number in 0..1_000 {
        let drawn = Scenario::draw(Seed::new(number), &overrides);
        let read = file::parse(&file::text_of(&drawn))
            .unwrap_or_else(|error| panic!("seed {number}: {error}"));
        assert_eq!(read, drawn, "seed {number}");
        let (once, again) = (runner.run(&drawn), runner.run(&read));
        assert_eq!(once.trace_hash, again.trace_hash, "seed {number}");
        assert_eq!(once.counters.events, again.counters.events, "seed {number}");
    }
    // A failure is kept as a file: if that were another run, the failure would be gone.
}

/// Each packet of each client has a name that a file can say.
#[test]
fn the_bad_luck_of_a_hundred_clients_can_be_written_down() {
    let overrides = Overrides { clients: Some(100), requests: Some(300), ..Overrides::default() };
    let mut runner: Runner = Runner::default();
    let mut named = 0;
    for number in 0..4 {
        let mut scenario = Scenario::draw(Seed::new(number), &overrides);
        let (outcome, recorded) = runner.run_recorded(&scenario);
        scenario.decide(recorded);
        let of_late_ones = |word: &str| word.starts_with('c') && word.len() == 3 && word > "c63";
        named += scenario.fates.iter().filter(|fate| of_late_ones(fate.from.word())).count();
        let read = file::parse(&file::text_of(&scenario))
            .unwrap_or_else(|error| panic!("seed {number}: {error}"));
        assert_eq!(runner.run(&read).trace_hash, outcome.trace_hash, "seed {number}");
    }
    assert!(named > 0);
}

/// What became of the packets of one run.
#[derive(Debug, Default)]
struct Packets {
    sent: BTreeMap<PacketName, Time>,
    /// How long each took, in nanoseconds.
    took: BTreeMap<PacketName, u64>,
    /// Those that a cut link had to do with.
    cut: BTreeSet<PacketName>,
    /// Whether the faults have stopped, and the links lose nothing any more.
    is_healed: bool,
    /// Those that were sent under a name that was used before.
    ambiguous: BTreeSet<PacketName>,
    luck: BTreeMap<PacketName, Vec<PacketFate>>,
}

impl Packets {
    fn of(runner: &mut Runner<Self>, scenario: &Scenario) -> Self {
        let (_, mut packets) = runner.run_watched(scenario, Self::default());
        for (name, fate) in runner.run_recorded(scenario).1 {
            packets.luck.entry(name).or_default().push(fate);
        }
        packets
    }

    /// How many packets are in both runs, and how many of those had bad luck; it must be the same in both.
    fn compare(&self, other: &Self, what: &str) -> (usize, usize) {
        let (mut common, mut unlucky) = (0, 0);
        for name in self.sent.keys().filter(|name| other.sent.contains_key(name)) {
            if [self, other]
                .iter()
                .any(|run| run.cut.contains(name) || run.ambiguous.contains(name))
            {
                continue;
            }
            common += 1;
            let luck = self.luck.get(name);
            unlucky += usize::from(luck.is_some());
            assert_eq!(luck, other.luck.get(name), "{what}: {name:?}");
            if let (Some(mine), Some(theirs)) = (self.took.get(name), other.took.get(name)) {
                assert_eq!(mine, theirs, "{what}: {name:?} takes another time");
            }
        }
        (common, unlucky)
    }
}

impl Observer<Node> for Packets {
    fn packet_sent(&mut self, now: Time, packet: &Packet<Frame>) {
        if self.is_healed {
            return;
        }
        if self.sent.insert(packet.name, now).is_some() {
            self.ambiguous.insert(packet.name);
        }
    }

    fn packet_dropped(&mut self, _: Time, packet: &Packet<Frame>, reason: Dropped) {
        if reason == Dropped::Cut {
            self.cut.insert(packet.name);
        }
    }

    fn packet_delivered(&mut self, now: Time, packet: &Packet<Frame>) {
        if packet.copy == 0
            && let Some(sent) = self.sent.get(&packet.name)
        {
            self.took.insert(packet.name, now.since(*sent).as_ns());
        }
    }
}

impl Listener for Packets {
    fn phase_begins(&mut self, _: Time, _: &str) {
        self.is_healed = true;
    }
}

/// A drawn scenario without what changes the fate of packets by itself: links that get worse, and nodes that stand still.
fn plain(number: u64) -> Scenario {
    let overrides = Overrides { requests: Some(24), ..Overrides::default() };
    let mut scenario = Scenario::draw(Seed::new(number), &overrides);
    scenario.steps.retain(|step| {
        let fault = step.action.fault();
        !matches!(
            fault,
            Some(
                Fault::Rates { .. } | Fault::Hold { .. } | Fault::Lose { .. } | Fault::Pause { .. }
            )
        )
    });
    scenario
}

#[test]
fn a_fault_that_is_taken_out_leaves_the_fate_of_every_other_packet_alone() {
    let mut runner: Runner<Packets> = Runner::default();
    let (mut common, mut unlucky, mut taken) = (0, 0, 0);
    for number in 0..60 {
        let whole = plain(number);
        if whole.steps.is_empty() {
            continue;
        }
        let place = usize::try_from(number).unwrap() % whole.steps.len();
        let mut less = whole.clone();
        less.steps.remove(place);
        let before = Packets::of(&mut runner, &whole);
        let after = Packets::of(&mut runner, &less);
        let (packets, luck) =
            before.compare(&after, &format!("seed {number} without step {place}"));
        common += packets;
        unlucky += luck;
        taken += usize::from(before.sent.len() != after.sent.len());
    }
    assert!(common > 10_000 && unlucky > 100 && taken > 10, "{common} {unlucky} {taken}");
    // Were it otherwise, shrinking would not take parts away, but draw another run each time.
}

#[test]
fn a_client_that_is_taken_out_leaves_the_fate_of_every_other_packet_alone() {
    let mut runner: Runner<Packets> = Runner::default();
    let (mut common, mut unlucky) = (0, 0);
    for number in 0..60 {
        let whole = plain(number);
        let clients = whole.cluster.clients;
        let (Some(mut workload), 2..) = (whole.workload, clients) else { continue };
        let mut less = whole.clone();
        workload.requests -= workload.share(clients - 1, clients);
        less.workload = Some(workload);
        less.cluster.clients -= 1;
        for client in 0..clients - 1 {
            let share = whole.workload.map(|workload| workload.share(client, clients));
            assert_eq!(Some(workload.share(client, clients - 1)), share);
        }
        let before = Packets::of(&mut runner, &whole);
        let after = Packets::of(&mut runner, &less);
        let (packets, luck) = before.compare(&after, &format!("seed {number} without a client"));
        common += packets;
        unlucky += luck;
    }
    assert!(common > 5_000 && unlucky > 50, "{common} {unlucky}");
    // Were it otherwise, a story with fewer clients would be another story.
}
