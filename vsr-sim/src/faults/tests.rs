//! Stories of faults that meet a broadcast.

use std::collections::BTreeMap;

use super::*;
use crate::engine::broadcast::{Broadcast, BroadcastNode};
use crate::engine::{
    Dropped, Moment, NodeIndex, NodeSet, NodeState, Pattern, Seed, Setup, Span, Stop, Time, World,
    Zone,
};

type Broadcasting = World<BroadcastNode>;

const SENDER: NodeIndex = NodeIndex::new(0);
const LIMITS: Limits = Limits { servers: NodeSet::first(5), down_max: 1 };

fn ms(ms: u64) -> Time {
    Time::ZERO.plus(Span::from_ms(ms))
}

fn world(values: u64) -> Broadcasting {
    World::new(Broadcast::of(values), Setup::of(5), Seed::new(1), ())
}

fn director(steps: &str) -> Director {
    let plan: Plan = serde_json::from_str(&format!("{{\"steps\":[{steps}]}}")).unwrap();
    Director::new::<BroadcastNode>(plan, LIMITS, Seed::new(1)).unwrap()
}

fn outcomes(director: &Director) -> Vec<(usize, Result<String, Skipped>)> {
    let told = |firing: &Firing| (firing.step, firing.outcome.map(|nodes| nodes.to_string()));
    director.firings().iter().map(told).collect()
}

#[test]
fn a_crash_meets_the_very_packet_it_waits_for_and_lasts_as_long_as_it_says() {
    let mut world = world(100);
    let mut director = director(
        r#"{"on":{"moment":"sent","kind":"Value","nth":30},"do":{"crash":{"node":"subject"}},"for":"30ms"}"#,
    );
    assert_eq!(director.run_until(&mut world, ms(20), &mut ()), Stop::Idle);
    let [firing] = director.firings() else { panic!("one step, one firing") };
    let packet = firing.sight.and_then(|sight| sight.packet).expect("it waited for a packet");
    assert_eq!((packet.from, packet.kind), (SENDER, 0));
    assert_eq!(world.state(SENDER), NodeState::Down);
    let begun = firing.time;
    director.run_until(&mut world, begun.plus(Span::from_ns(29_999_999)), &mut ());
    assert_eq!(world.state(SENDER), NodeState::Down);
    director.run_until(&mut world, begun.plus(Span::from_ms(30)), &mut ());
    assert_ne!(world.state(SENDER), NodeState::Down);
    assert!(director.is_finished());
}

#[test]
fn no_more_servers_are_down_than_the_limit_says_unless_the_power_is_lost() {
    let mut world = world(1_000);
    let mut director = director(
        r#"{"at":"1ms","do":{"crash":{"node":"n1"}},"for":"10ms"},
           {"at":"2ms","do":{"crash":{"node":"n2"}},"for":"10ms"},
           {"at":"3ms","do":{"crash":{"node":"n1"}},"for":"10ms"},
           {"at":"20ms","do":{"crash":{"node":"n2"}},"for":"10ms"},
           {"at":"22ms","do":{"power-loss":{"nodes":"all"}},"for":"50ms"},
           {"at":"25ms","do":{"crash":{"node":"n3"}}},
           {"at":"26ms","do":{"crash":{"node":"nobody"}}}"#,
    );
    director.run_until(&mut world, ms(60), &mut ());
    let all_but_n2 = "{n0 n1 n3 n4}".to_owned();
    assert_eq!(
        outcomes(&director),
        [
            (0, Ok("{n1}".to_owned())),
            (1, Err(Skipped::TooManyDown)),
            (2, Err(Skipped::NoEffect)),
            (3, Ok("{n2}".to_owned())),
            (4, Ok(all_but_n2)),
            (5, Err(Skipped::NoEffect)),
            (6, Err(Skipped::Nobody)),
        ]
    );
    // n2's own crash is over, but the lights are still out.
    assert!(world.alive().is_empty());
    director.run_until(&mut world, ms(80), &mut ());
    assert_eq!(world.alive(), NodeSet::first(5));
}

#[test]
fn a_step_that_follows_waits_for_the_one_before_it() {
    let mut world = world(1_000);
    let mut director = director(
        r#"{"on":{"moment":"event","kind":"Settled","nth":5},"do":{"pause":{"node":"n4"}},"for":"1ms"},
           {"after":"3ms","do":{"crash":{"node":"n0"}},"for":"2ms"},
           {"after":"0ns","on":{"moment":"booted"},"do":{"crash":{"node":"subject"}},"for":"4ms"}"#,
    );
    director.run_until(&mut world, ms(100), &mut ());
    let times: Vec<Time> = director.firings().iter().map(|firing| firing.time).collect();
    assert_eq!(times[1], times[0].plus(Span::from_ms(3)));
    // The boots at the beginning of the run were before its time.
    assert_eq!(times[2], times[1].plus(Span::from_ms(2)));
    assert_eq!(world.incarnation(SENDER).number(), 2);
}

/// What the sender says is held back until a node has booted; then all of it arrives, at the node's next process too.
#[test]
fn packets_held_back_over_a_crash_reach_the_next_process() {
    let mut world = world(4);
    let mut director = director(
        r#"{"at":"0ns","do":{"hold":{"from":"n0","to":"all","kinds":["Value"]}},"until":{"moment":"booted","node":"n1"}},
           {"after":"2ms","do":{"crash":{"node":"n1"}},"for":"2ms"}"#,
    );
    director.run_until(&mut world, ms(3), &mut ());
    assert_eq!((world.counters().delivered, world.network().in_flight_count()), (0, 16));
    director.run_until(&mut world, ms(10), &mut ());
    assert_eq!(world.incarnation(NodeIndex::new(1)).number(), 1);
    assert_eq!(world.counters().delivered, 32, "each value at each node, each acknowledgement");
    assert_eq!(world.process(SENDER).expect("nothing happened to it").settled_count(), 4);
}

/// Knows "writer": whoever has a write under way at this moment.
struct Writers;

impl Resolver<BroadcastNode, ()> for Writers {
    fn knows(&self, word: &str) -> bool {
        word == "writer"
    }

    fn resolve(&mut self, world: &Broadcasting, word: &str, _: &Occasion) -> Option<NodeSet> {
        let writes = |node: &NodeIndex| world.disk().writes_under_way(*node).len() > 0;
        (word == "writer").then(|| world.nodes().filter(writes).collect())
    }
}

/// The first step waits for a packet about the third value, whatever comes before it; the second for the fifth time of that.
#[test]
fn packets_are_waited_for_by_what_they_are_about() {
    let mut world = world(8);
    let mut director = director(
        r#"{"on":{"moment":"sent","kind":"Value","identity":3},"do":{"heal":{}}},
           {"on":{"moment":"delivered","kind":"Acknowledge","node":"n0","identity":3,"nth":3},"do":{"heal":{}}},
           {"on":{"moment":"sent","kind":"Value","identity":8},"do":{"heal":{}}}"#,
    );
    director.run_until(&mut world, ms(1_000), &mut ());
    let seen = |firing: &Firing| {
        let packet = firing.sight.and_then(|sight| sight.packet).expect("it is about a packet");
        (firing.step, packet.identity)
    };
    let firings: Vec<(usize, u64)> = director.firings().iter().map(seen).collect();
    assert_eq!(firings, [(0, 3), (1, 3)], "there is no eighth value, counted from zero");
}

/// The step waits for the third acknowledgement that reaches a node while it writes: most reach it at other times.
#[test]
fn words_are_looked_up_at_each_sight() {
    let mut world = world(1_000);
    let mut director = director(
        r#"{"on":{"moment":"delivered","kind":"Acknowledge","node":"writer","nth":3},"do":{"pause":{"node":"writer"}}}"#,
    );
    director.run_until(&mut world, ms(1_000), &mut Writers);
    assert_eq!(outcomes(&director), [(0, Ok("{n0}".to_owned()))]);
    assert!(world.is_paused(SENDER));
    assert!(world.counters().delivered > 6);
}

#[test]
fn of_overlapping_faults_the_last_holds_and_the_other_stays() {
    let mut world = world(1);
    let mut director = director(
        r#"{"at":"1ms","do":{"slow-disk":{"node":"n0","percent":500}},"for":"10ms"},
           {"at":"2ms","do":{"slow-disk":{"node":"all","percent":900}},"for":"2ms"},
           {"at":"1ms","do":{"skew":{"node":"n0","ppm":70}},"for":"2ms"}"#,
    );
    let mut at = |time| {
        director.run_until(&mut world, ms(time), &mut ());
        (
            world.disk().slowness(SENDER, Zone(0)),
            world.disk().slowness(NodeIndex::new(1), Zone(0)),
            world.skew_ppm(SENDER),
        )
    };
    assert_eq!(at(1), (500, 100, 70));
    assert_eq!(at(2), (900, 900, 70));
    assert_eq!(at(5), (500, 100, 0));
    assert_eq!(at(11), (100, 100, 0));
}

#[test]
fn a_watch_of_the_drivers_own_is_handed_through() {
    let mut world = world(100);
    let mut director = director(r#"{"at":"1ms","do":{"heal":{}}}"#);
    let settled = Pattern {
        moment: Moment::Event,
        kind: 0,
        nodes: NodeSet::first(5),
        peers: NodeSet::EMPTY,
        identity: None,
    };
    let watch = world.watch(settled, 50);
    assert_eq!(director.run_until(&mut world, Time::MAX, &mut ()), Stop::Hit);
    assert_eq!(director.take_hit().expect("it stopped for it").watch, watch);
    assert_eq!(director.run_until(&mut world, Time::MAX, &mut ()), Stop::Idle);
}

/// After all that, three nodes are healed: they settle everything among themselves, the others stay as broken as they were.
#[test]
fn healing_some_leaves_the_others_broken() {
    let mut world = world(200);
    let mut director = director(
        r#"{"at":"0ns","do":{"isolate":{"node":"n0"}}},
           {"at":"0ns","do":{"rates":{"from":"all","to":"all","change":{"loss_ppm":0}}}},
           {"at":"1ms","do":{"crash":{"node":"n1"}}},
           {"at":"1ms","do":{"pause":{"node":"n2"}}},
           {"at":"1ms","do":{"pause":{"node":"n4"}}},
           {"at":"500ms","do":{"power-loss":{"nodes":"all"}}}"#,
    );
    director.run_until(&mut world, ms(100), &mut ());
    let healed: NodeSet = [0, 1, 2, 3].map(NodeIndex::new).into_iter().collect();
    director.heal(&mut world, healed);
    director.run_until(&mut world, ms(1_000), &mut ());
    assert_eq!(world.process(SENDER).expect("nothing happened to it").settled_count(), 200);
    assert_eq!(world.alive(), NodeSet::first(5));
    let last = NodeIndex::new(4);
    assert!(world.is_paused(last) && !world.is_paused(NodeIndex::new(2)));
    assert!(world.network().is_cut(SENDER, last) && world.network().is_cut(last, SENDER));
    assert!(!world.network().is_cut(SENDER, NodeIndex::new(1)));
}

const SHAPE: Shape<'_> = Shape {
    nodes: 5,
    servers: &[(4, "n0"), (1, "n1"), (1, "n2"), (1, "n3"), (1, "n4")],
    clients: &[(1, "n4")],
    all_servers: "all",
    span: Span::from_ms(500),
    timeout: Span::from_ms(20),
    turns: &[],
    leader: "n0",
    cues: &[
        Cue { weight: 3, moment: MomentName::Event, kind: "Settled", times: 100 },
        Cue { weight: 2, moment: MomentName::Sent, kind: "Value", times: 500 },
        Cue { weight: 1, moment: MomentName::Delivered, kind: "Acknowledge", times: 400 },
    ],
    holds: &[(1, "Value"), (1, "Acknowledge")],
    zones: &[(1, "settled")],
};

/// Runs a drawn swarm, heals everybody, and lets the broadcast come to its end.
fn run(world: &mut Broadcasting, seed: Seed, swarm: &Swarm) -> Director {
    world.reset(Setup { links: swarm.links, disks: swarm.disks, ..Setup::of(5) }, seed);
    let limits = Limits { down_max: 2, ..LIMITS };
    let mut director = Director::new::<BroadcastNode>(swarm.plan.clone(), limits, seed).unwrap();
    director.run_until(world, ms(3_000), &mut ());
    director.heal(world, NodeSet::first(5));
    assert_eq!(director.run_until(world, ms(60_000), &mut ()), Stop::Idle, "seed {seed:?}");
    assert_eq!(world.process(SENDER).expect("it was healed").settled_count(), 100, "seed {seed:?}");
    director
}

#[test]
fn a_swarm_written_down_and_read_back_is_the_same_run() {
    let mut world = world(100);
    for number in 0..50 {
        let seed = Seed::new(number);
        let swarm = draw(seed, &SHAPE);
        run(&mut world, seed, &swarm);
        let first = (world.trace_hash(), *world.counters());
        let text = serde_json::to_string_pretty(&swarm).unwrap();
        let read: Swarm = serde_json::from_str(&text).unwrap();
        assert_eq!(read, swarm);
        run(&mut world, seed, &read);
        assert_eq!((world.trace_hash(), *world.counters()), first, "seed {number}");
    }
}

/// Over some hundred seeds all that can go wrong does, most of it takes effect, and crashes meet work.
#[test]
fn swarms_differ_and_what_they_do_meets_work() {
    let mut world = world(100);
    let mut done: BTreeMap<&str, u32> = BTreeMap::new();
    let (mut due, mut skipped, mut calm) = (0, 0, 0);
    let (mut crashes, mut while_writing, mut torn) = (0, 0, 0);
    let mut dropped = [0; Dropped::COUNT];
    for number in 0..400 {
        let swarm = draw(Seed::new(number), &SHAPE);
        swarm.plan.check::<BroadcastNode>(|word| word.is_built_in(5)).unwrap();
        calm += u32::from(swarm.plan.steps.is_empty());
        let director = run(&mut world, Seed::new(number), &swarm);
        for firing in director.firings() {
            due += 1;
            match firing.outcome {
                Ok(_) => {
                    *done.entry(director.plan().steps[firing.step].action.name()).or_default() += 1;
                }
                Err(_) => skipped += 1,
            }
        }
        let counters = world.counters();
        crashes += counters.crashes;
        while_writing += counters.crashes_while_writing;
        torn += counters.writes_resolved;
        for (sum, count) in dropped.iter_mut().zip(counters.dropped) {
            *sum += count;
        }
    }
    // What spoils disks is drawn apart, for protocols that can bear it.
    let disk = Fault::NAMES.iter().position(|name| *name == "rot").unwrap();
    for name in &Fault::NAMES[..disk] {
        let is_drawn = !["restart", "heal", "lose"].contains(name);
        assert_eq!(done.contains_key(name), is_drawn, "{name} {done:?}");
    }
    assert!(calm > 0 && calm < 40, "{calm}");
    assert!(skipped * 3 < due, "{skipped} of {due}");
    assert!(while_writing * 5 > crashes, "{while_writing} of {crashes}");
    assert!(torn > 200, "{torn}");
    assert!(
        dropped[Dropped::Cut.index()] > 1_000 && dropped[Dropped::Lost.index()] > 1_000,
        "{dropped:?}"
    );
}
