//! Tells when the time of each step of a plan has come.

use std::collections::BTreeSet;

use serde::Serialize;
use xxhash_rust::xxh3::xxh3_64;

use super::plan::{Gate, Lasts, On, Plan, PlanError, Settled};
use super::selector::{Occasion, Resolver, Selector};
use crate::engine::random::{Keyed, Seed};
use crate::engine::{
    Hit, Moment, NodeSet, Observer, Pattern, Process, Sight, Stop, Time, WatchId, World,
};

/// What a run came to.
#[derive(Clone, Debug)]
pub enum Due {
    /// The time of this step, by its place in the plan, has come.
    Begin(usize, Occasion),
    /// This step, which lasted, is over.
    End(usize),
    /// Something was seen that the conductor did not wait for: the world's driver did.
    Hit(Hit),
    /// The world stopped, for another reason than [`Stop::Hit`].
    Stopped(Stop),
}

/// Keeps the time of a plan.
///
/// Nothing costs anything while nothing is due: steps wait as watches of the world and as an ordered set of times.
#[derive(Debug)]
pub struct Conductor {
    cues: Vec<StepCues>,
    /// What is due at which time, in order of steps where times are equal.
    timers: BTreeSet<(Time, usize, TimerKind)>,
    waits: Vec<Wait>,
    settling: Vec<Settling>,
    keyed: Keyed,
    is_begun: bool,
}

/// A step that waits for things to settle.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Settling {
    /// The step, by its place in the plan.
    pub step: usize,
    /// For what it waits.
    pub settled: Settled,
    /// Since when.
    pub since: Time,
}

/// When a step is due, with names looked up.
#[derive(Debug)]
struct StepCues {
    /// What the step does, as a number: its randomness must not change when another step is taken away.
    name: u64,
    gate: Gate,
    on: Option<Cue>,
    lasts: LastsUntil,
}

#[derive(Debug)]
enum LastsUntil {
    On,
    For(crate::engine::Span),
    Until(Cue),
}

#[derive(Clone, Debug)]
struct Cue {
    moment: Moment,
    kind: u8,
    node: Option<Selector>,
    peer: Option<Selector>,
    identity: Option<u64>,
    nth: u32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum TimerKind {
    /// The step's gate opens.
    Open,
    /// The step is over.
    End,
}

/// A cue that is being waited for.
#[derive(Debug)]
struct Wait {
    watch: WatchId,
    step: usize,
    kind: TimerKind,
    cue: Cue,
    /// How often it must still be seen, where the world cannot count because it does not know the words.
    left: u32,
}

impl Conductor {
    /// The conductor of a `plan` for processes `P`, before the beginning of a run.
    ///
    /// # Errors
    /// When a step waits for a kind that there is not; see [`Plan::check`].
    pub fn new<P: Process, A: Serialize>(plan: &Plan<A>, seed: Seed) -> Result<Self, PlanError> {
        let cue = |on: &On| {
            let (moment, kind) = on.kind_of::<P>()?;
            Ok(Cue {
                moment,
                kind,
                node: on.node.clone(),
                peer: on.peer.clone(),
                identity: on.identity,
                nth: on.nth.max(1),
            })
        };
        let mut cues = Vec::new();
        for step in &plan.steps {
            let lasts = match &step.lasts {
                Lasts::On => LastsUntil::On,
                Lasts::For(span) => LastsUntil::For(*span),
                Lasts::Until(until) => LastsUntil::Until(cue(until)?),
            };
            let on = step.on.as_ref().map(cue).transpose()?;
            cues.push(StepCues { name: name_of(&step.action), gate: step.gate, on, lasts });
        }
        Ok(Self {
            cues,
            timers: BTreeSet::new(),
            waits: Vec::new(),
            settling: Vec::new(),
            keyed: Keyed::new(seed, "occasion"),
            is_begun: false,
        })
    }

    /// Runs the world until a step is due, or until `limit`, or until there is another reason to stop.
    ///
    /// A step that has begun is over when its time is up; one that was not done after all is to be given up by
    /// [`Self::give_up`].
    pub fn run_until<P: Process, O: Observer<P>, R: Resolver<P, O>>(
        &mut self,
        world: &mut World<P, O>,
        limit: Time,
        resolver: &mut R,
    ) -> Due {
        if !self.is_begun {
            self.is_begun = true;
            self.begin(world);
        }
        loop {
            let timer = self.timers.first().copied().filter(|(time, ..)| *time <= limit);
            match world.run_until(timer.map_or(limit, |(time, ..)| time)) {
                Stop::Hit => {
                    let hit = world.take_hit().expect("the run stopped for a hit");
                    if let Some(due) = self.on_hit(world, hit, resolver) {
                        return due;
                    }
                }
                stop @ (Stop::Reached | Stop::Idle) => {
                    let Some(timer) = timer else { return Due::Stopped(stop) };
                    self.timers.remove(&timer);
                    if let Some(due) = self.on_timer(world, timer) {
                        return due;
                    }
                }
                stop @ (Stop::Observer | Stop::Budget | Stop::Panicked(_)) => {
                    return Due::Stopped(stop);
                }
            }
        }
    }

    /// Ends the time of a step whose action was not done: nobody is to be told that it is over.
    pub fn give_up<P: Process, O: Observer<P>>(&mut self, world: &mut World<P, O>, step: usize) {
        self.timers.retain(|(_, other, kind)| (*other, *kind) != (step, TimerKind::End));
        self.waits.retain(|wait| {
            let stays = (wait.step, wait.kind) != (step, TimerKind::End);
            if !stays {
                world.unwatch(wait.watch);
            }
            stays
        });
    }

    /// No step begins any more, and none is over.
    pub fn disarm<P: Process, O: Observer<P>>(&mut self, world: &mut World<P, O>) {
        self.is_begun = true;
        self.timers.clear();
        self.settling.clear();
        for wait in self.waits.drain(..) {
            world.unwatch(wait.watch);
        }
    }

    /// Whether nothing is waited for any more.
    #[must_use]
    pub fn is_finished(&self) -> bool {
        self.is_begun && self.timers.is_empty() && self.waits.is_empty() && self.settling.is_empty()
    }

    /// The steps that wait for things to settle. Whoever runs the world has to look, and to say so by [`Self::settle`].
    #[must_use]
    pub fn settling(&self) -> &[Settling] {
        &self.settling
    }

    /// Opens the gate of a step that waited for things to settle: they have, at this moment.
    pub fn settle(&mut self, step: usize, now: Time) {
        let before = self.settling.len();
        self.settling.retain(|settling| settling.step != step);
        assert!(self.settling.len() < before, "step {step} waits for nothing to settle");
        self.timer(now, step, TimerKind::Open);
    }

    fn begin<P: Process, O: Observer<P>>(&mut self, world: &mut World<P, O>) {
        for step in 0..self.cues.len() {
            match self.cues[step].gate {
                Gate::At(time) => self.timer(time.max(world.now()), step, TimerKind::Open),
                Gate::After(span) if step == 0 => {
                    self.timer(world.now().plus(span), step, TimerKind::Open);
                }
                Gate::Settled(settled) if step == 0 => {
                    self.settling.push(Settling { step, settled, since: world.now() });
                }
                Gate::After(_) | Gate::Settled(_) => {}
                Gate::Start => match self.cues[step].on.clone() {
                    Some(cue) => self.wait(world, step, TimerKind::Open, cue),
                    None => self.timer(world.now(), step, TimerKind::Open),
                },
            }
        }
    }

    fn timer(&mut self, time: Time, step: usize, kind: TimerKind) {
        self.timers.insert((time, step, kind));
    }

    fn wait<P: Process, O: Observer<P>>(
        &mut self,
        world: &mut World<P, O>,
        step: usize,
        kind: TimerKind,
        cue: Cue,
    ) {
        let nodes = world.setup().nodes;
        let fixed = |selector: &Option<Selector>| match selector {
            Some(selector) => selector.fixed(nodes),
            None => Some(NodeSet::first(nodes)),
        };
        let (node, peer) = (fixed(&cue.node), fixed(&cue.peer));
        // The world counts where the words mean the same at all times; else each one seen is looked at here.
        let (nth, left) =
            if node.is_some() && peer.is_some() { (cue.nth, 1) } else { (1, cue.nth) };
        let watch = watch(world, &cue, (node, peer), nth);
        self.waits.push(Wait { watch, step, kind, cue, left });
    }

    fn on_timer<P: Process, O: Observer<P>>(
        &mut self,
        world: &mut World<P, O>,
        (_, step, kind): (Time, usize, TimerKind),
    ) -> Option<Due> {
        match kind {
            TimerKind::End => Some(Due::End(step)),
            TimerKind::Open => match self.cues[step].on.clone() {
                Some(cue) => {
                    self.wait(world, step, TimerKind::Open, cue);
                    None
                }
                None => Some(self.begin_step(world, step, None)),
            },
        }
    }

    fn on_hit<P: Process, O: Observer<P>, R: Resolver<P, O>>(
        &mut self,
        world: &mut World<P, O>,
        hit: Hit,
        resolver: &mut R,
    ) -> Option<Due> {
        let Some(place) = self.waits.iter().position(|wait| wait.watch == hit.watch) else {
            return Some(Due::Hit(hit));
        };
        let occasion = self.occasion(self.waits[place].step, Some(hit.sight));
        let wait = &mut self.waits[place];
        let nodes = world.setup().nodes;
        // A fixed word was looked at by the world.
        let mut is_meant = |selector: &Option<Selector>, node| match selector {
            Some(selector) if selector.fixed(nodes).is_none() => {
                selector.resolve(world, &occasion, resolver).contains(node)
            }
            Some(_) | None => true,
        };
        let is_meant = is_meant(&wait.cue.node, hit.sight.node)
            && hit.sight.peer.is_none_or(|peer| is_meant(&wait.cue.peer, peer));
        if is_meant {
            wait.left -= 1;
        }
        if wait.left > 0 {
            let all = Some(NodeSet::first(nodes));
            let fixed = |selector: &Option<Selector>| {
                selector.as_ref().and_then(|one| one.fixed(nodes)).or(all)
            };
            wait.watch = watch(world, &wait.cue, (fixed(&wait.cue.node), fixed(&wait.cue.peer)), 1);
            return None;
        }
        let Wait { step, kind, .. } = self.waits.swap_remove(place);
        match kind {
            TimerKind::Open => Some(self.begin_step(world, step, Some(hit.sight))),
            TimerKind::End => Some(Due::End(step)),
        }
    }

    fn occasion(&self, step: usize, sight: Option<Sight>) -> Occasion {
        Occasion { sight, fate: self.keyed.fate(self.cues[step].name, 0) }
    }

    /// The step has its time; the one after it may have to follow.
    fn begin_step<P: Process, O: Observer<P>>(
        &mut self,
        world: &mut World<P, O>,
        step: usize,
        sight: Option<Sight>,
    ) -> Due {
        let now = world.now();
        match self.cues.get(step + 1).map(|next| next.gate) {
            Some(Gate::After(span)) => self.timer(now.plus(span), step + 1, TimerKind::Open),
            Some(Gate::Settled(settled)) => {
                self.settling.push(Settling { step: step + 1, settled, since: now });
            }
            Some(Gate::Start | Gate::At(_)) | None => {}
        }
        match &self.cues[step].lasts {
            LastsUntil::On => {}
            LastsUntil::For(span) => self.timer(now.plus(*span), step, TimerKind::End),
            LastsUntil::Until(cue) => {
                let cue = cue.clone();
                self.wait(world, step, TimerKind::End, cue);
            }
        }
        Due::Begin(step, self.occasion(step, sight))
    }
}

/// A number that tells an action from another one.
fn name_of<A: Serialize>(action: &A) -> u64 {
    // An action that cannot be written down is one that no plan in a file has; all such share their randomness.
    serde_json::to_vec(action).map_or(0, |bytes| xxh3_64(&bytes))
}

fn watch<P: Process, O: Observer<P>>(
    world: &mut World<P, O>,
    cue: &Cue,
    (nodes, peers): (Option<NodeSet>, Option<NodeSet>),
    nth: u32,
) -> WatchId {
    let all = NodeSet::first(world.setup().nodes);
    let (nodes, peers) = (nodes.unwrap_or(all), peers.unwrap_or(all));
    let Cue { moment, kind, identity, .. } = *cue;
    world.watch(Pattern { moment, kind, nodes, peers, identity }, nth)
}
