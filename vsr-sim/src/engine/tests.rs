//! Stories of a world whose processes do as the test tells them.

use super::*;

/// What a puppet is told to do by command.
#[derive(Clone, Debug)]
enum Act {
    Panic,
    Write { offset: u64, bytes: Vec<u8> },
    Read { offset: u64, size: u32 },
    Tell(u64),
    SetDeadline(LocalTime),
    Send(NodeIndex, u64),
    Stumble,
}

#[derive(Clone, Debug)]
struct Word(u64);

impl Message for Word {
    fn describe(&self) -> Described {
        Described { kind: 0, identity: self.0, digest: self.0, size: 8 }
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Told {
    Number(u64),
    Bytes(Vec<u8>),
    Failed,
    Written(Token),
    Deadline(LocalTime),
    Heard(NodeIndex, u64),
}

impl Event for Told {
    fn describe(&self) -> (u8, u64) {
        let digest = match self {
            Self::Number(number) => *number,
            Self::Bytes(bytes) => bytes.len() as u64,
            Self::Failed => 0,
            Self::Written(token) => token.0,
            Self::Deadline(time) => time.as_ns(),
            Self::Heard(from, word) => word ^ u64::from(from.number()),
        };
        (0, digest)
    }
}

/// Does as it is told and tells what happens to it.
#[derive(Debug)]
struct Puppet {
    deadline: Option<LocalTime>,
    written: u64,
}

impl Process for Puppet {
    type Message = Word;
    type Event = Told;
    type Command = Act;
    type Blueprint = ();

    const MESSAGE_KINDS: &'static [&'static str] = &["word"];
    const EVENT_KINDS: &'static [&'static str] = &["told"];
    const ZONES: &'static [&'static str] = &["zone"];

    fn boot((): &(), _: &Boot) -> Self {
        Self { deadline: None, written: 0 }
    }

    fn step(&mut self, now: LocalTime, input: Input<'_, Self>, context: &mut Context<'_, Self>) {
        match input {
            Input::Start => {}
            Input::Message { from, message } => context.event(Told::Heard(from, message.0)),
            Input::Written { token, .. } => context.event(Told::Written(token)),
            Input::Read { result: Ok(bytes), .. } => context.event(Told::Bytes(bytes.to_vec())),
            Input::Read { result: Err(DiskError::Failed | DiskError::Full), .. } => {
                context.event(Told::Failed);
            }
            Input::Deadline => {
                self.deadline = None;
                context.event(Told::Deadline(now));
            }
            Input::Command(Act::Panic) => panic!("told to panic at node {}", context.node()),
            Input::Command(Act::Write { offset, bytes }) => {
                self.written += 1;
                context.write(Token(self.written), Zone(0), offset, &bytes);
            }
            Input::Command(Act::Read { offset, size }) => {
                context.read(Token(0), Zone(0), offset, size);
            }
            Input::Command(Act::Tell(number)) => context.event(Told::Number(number)),
            Input::Command(Act::SetDeadline(deadline)) => self.deadline = Some(deadline),
            Input::Command(Act::Send(to, word)) => context.send(to, Word(word)),
            Input::Command(Act::Stumble) => {
                context.event(Told::Number(1));
                context.event(Told::Number(2));
            }
        }
    }

    fn deadline(&self) -> Option<LocalTime> {
        self.deadline
    }
}

/// Keeps what was told; ends the run when told a certain number.
#[derive(Debug, Default)]
struct Ear {
    told: Vec<(NodeIndex, Told)>,
    last_word: Option<u64>,
    panics: Vec<String>,
    steps: (u32, u32),
}

impl Observer<Puppet> for Ear {
    fn event(&mut self, _: Time, node: NodeIndex, event: &Told) {
        self.told.push((node, event.clone()));
    }

    fn before_step(&mut self, _: Time, _: NodeIndex, _: &Puppet, _: &Input<'_, Puppet>) {
        self.steps.0 += 1;
    }

    fn after_step(&mut self, _: Time, _: NodeIndex, _: &Puppet) {
        self.steps.1 += 1;
    }

    fn panicked(&mut self, _: Time, _: NodeIndex, message: &str) {
        self.panics.push(message.to_owned());
    }

    fn stops(&self) -> bool {
        let last = self.last_word.map(Told::Number);
        last.is_some_and(|last| self.told.iter().any(|(_, told)| *told == last))
    }
}

type Stage = World<Puppet, (Ear, ())>;

const ONE: NodeIndex = NodeIndex::new(1);

fn stage(setup: Setup) -> Stage {
    World::new((), setup, Seed::new(1), (Ear::default(), ()))
}

fn told(world: &mut Stage) -> Vec<Told> {
    std::mem::take(&mut world.observer_mut().0.told).into_iter().map(|(_, told)| told).collect()
}

#[test]
fn a_panic_is_caught_and_named_and_ends_the_world_but_not_its_memory() {
    let mut world = stage(Setup::of(3));
    world.command(ONE, Act::Panic);
    let panicked = Panicked { node: ONE, message: "told to panic at node n1".to_owned() };
    assert_eq!(world.run_until(Time::MAX), Stop::Panicked(panicked.clone()));
    assert_eq!(world.observer().0.panics, ["told to panic at node n1"]);
    assert_eq!(world.run_until(Time::MAX), Stop::Panicked(panicked), "it never runs on");
    world.reset(Setup::of(3), Seed::new(1));
    world.command(ONE, Act::Tell(7));
    assert_eq!(world.run_until(Time::MAX), Stop::Idle);
    assert_eq!(told(&mut world), [Told::Number(7)]);
}

#[test]
fn an_observer_and_a_budget_end_a_run_at_the_very_event() {
    let mut world = stage(Setup { events_max: 6, ..Setup::of(2) });
    for number in 0..10 {
        world.command(ONE, Act::Tell(number));
    }
    world.observer_mut().0.last_word = Some(1);
    assert_eq!(world.run_until(Time::MAX), Stop::Observer);
    assert_eq!(world.counters().events, 4, "two boots, two commands");
    world.observer_mut().0.last_word = None;
    assert_eq!(world.run_events(Time::MAX, 1), Stop::Budget);
    assert_eq!(world.counters().events, 5);
    assert_eq!(world.run_until(Time::MAX), Stop::Budget);
    assert_eq!(world.counters().events, 6);
}

/// A read that completes after a write sees all of it, one that completes before sees none.
#[test]
fn a_read_sees_what_is_durable_when_it_completes() {
    let mut world = stage(Setup::of(1));
    let only = NodeIndex::new(0);
    world.command(only, Act::Write { offset: 4_094, bytes: vec![5; 4] });
    world.command(only, Act::Read { offset: 4_094, size: 4 });
    world.run_until(Time::MAX);
    let events = told(&mut world);
    let [Told::Bytes(first), Told::Written(Token(1))] = &events[..] else {
        panic!("by default a read is quicker: {events:?}")
    };
    assert_eq!(*first, [0; 4]);
    world.command(only, Act::Read { offset: 4_090, size: 9 });
    world.run_until(Time::MAX);
    assert_eq!(told(&mut world), [Told::Bytes(vec![0, 0, 0, 0, 5, 5, 5, 5, 0])]);
}

#[test]
fn a_deadline_is_served_when_the_clock_shows_it_and_moves_with_it() {
    let mut world = stage(Setup::of(1));
    let only = NodeIndex::new(0);
    let deadline = clock::ORIGIN.plus(Span::from_ms(10));
    world.command(only, Act::SetDeadline(deadline));
    world.run_until(Time::from_ns(1_000_000));
    // Nine milliseconds are left, and the clock now shows them in six.
    world.set_skew(only, 500_000);
    world.run_until(Time::from_ns(6_999_999));
    assert!(told(&mut world).is_empty());
    world.run_until(Time::from_ns(7_000_000));
    assert_eq!(told(&mut world), [Told::Deadline(deadline)]);
    // One that is put off is served at its new time, one that is past at once.
    let now = world.local_time(only);
    world.command(only, Act::SetDeadline(now.plus(Span::from_ms(1))));
    world.run_until(world.now());
    world.command(only, Act::SetDeadline(now.plus(Span::from_ms(9))));
    world.run_until(world.now().plus(Span::from_ms(5)));
    assert!(told(&mut world).is_empty());
    world.command(only, Act::SetDeadline(LocalTime::ZERO));
    world.run_until(world.now());
    assert_eq!(told(&mut world).len(), 1);
    assert_eq!(world.run_until(Time::MAX), Stop::Idle);
    assert!(told(&mut world).is_empty(), "what was asked for before is forgotten");
}

/// A step is stopped between its two effects: without a crash the second one still happens, with one it never does.
#[test]
fn a_step_goes_on_where_a_watch_stopped_it() {
    for crashes in [false, true] {
        let mut world = stage(Setup::of(2));
        world.command(ONE, Act::Stumble);
        let pattern = Pattern {
            moment: Moment::Event,
            kind: 0,
            nodes: NodeSet::only(ONE),
            peers: NodeSet::EMPTY,
            identity: None,
        };
        world.watch(pattern, 1);
        assert_eq!(world.run_until(Time::MAX), Stop::Hit);
        assert_eq!(
            world.run_until(Time::MAX),
            Stop::Hit,
            "a hit that is not taken stops the world"
        );
        assert!(world.take_hit().is_some());
        if crashes {
            world.crash(ONE);
        }
        world.run_until(Time::MAX);
        let second = if crashes { None } else { Some(Told::Number(2)) };
        assert_eq!(
            told(&mut world),
            [Told::Number(1)].into_iter().chain(second).collect::<Vec<_>>()
        );
        let (before, after) = world.observer().0.steps;
        assert_eq!(before - after, u32::from(crashes), "a step cut short is never over");
    }
}

#[test]
fn commands_for_a_node_that_is_down_are_lost_and_a_message_to_oneself_is_not() {
    let mut world = stage(Setup {
        links: LinkRates { loss_ppm: 1_000_000, ..LinkRates::default() },
        ..Setup::of(2)
    });
    world.run_until(Time::ZERO);
    world.command(ONE, Act::Send(ONE, 3));
    world.command(ONE, Act::Send(NodeIndex::new(0), 4));
    world.run_until(Time::MAX);
    assert_eq!(told(&mut world), [Told::Heard(ONE, 3)]);
    world.crash(ONE);
    world.command(ONE, Act::Tell(1));
    world.run_until(Time::MAX);
    assert!(told(&mut world).is_empty());
    assert_eq!(world.counters().commands_dropped, 1);
}

#[test]
fn a_failing_disk_says_so() {
    let mut world = stage(Setup {
        disks: DiskRates { error_ppm: 1_000_000, ..DiskRates::default() },
        ..Setup::of(1)
    });
    world.command(NodeIndex::new(0), Act::Read { offset: 0, size: 4 });
    world.run_until(Time::MAX);
    assert_eq!(told(&mut world), [Told::Failed]);
}
