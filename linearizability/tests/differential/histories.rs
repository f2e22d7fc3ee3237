//! Random small histories: mostly what a real object would have answered, sometimes spoilt.

use linearizability::{
    CasRegisterInput, CasRegisterOutput, Completion, History, KeyValueCall, KeyValueInput,
    KeyValueOutput, Model, Operation, RegisterInput, RegisterOutput, Symbol, Symbols,
};
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng as _, SeedableRng as _};

/// How many histories each model is tried on.
pub(crate) const HISTORIES: usize = match option_env!("LINEARIZABILITY_HISTORIES") {
    Some(digits) => parse(digits.as_bytes()),
    None => 3_000,
};

const fn parse(digits: &[u8]) -> usize {
    let (mut number, mut index) = (0, 0);
    while index < digits.len() {
        number = number * 10 + (digits[index] - b'0') as usize;
        index += 1;
    }
    number
}

/// The greatest number of operations; brute force is factorial.
const LENGTH_MAX: u64 = 8;

/// A source of histories.
pub(crate) struct Draw {
    random: ChaCha8Rng,
}

/// When an operation happens: called, takes effect, returns.
struct Interval {
    call: i64,
    effect: i64,
    returned: Option<i64>,
}

impl Draw {
    pub(crate) fn new(name: &str) -> Self {
        let mut seed = [0; 32];
        for (index, byte) in name.bytes().enumerate() {
            seed[index % 32] ^= byte;
        }
        Self { random: ChaCha8Rng::from_seed(seed) }
    }

    pub(crate) fn below(&mut self, bound: u64) -> u64 {
        self.random.next_u64() % bound
    }

    fn index(&mut self, bound: usize) -> usize {
        usize::try_from(self.below(bound as u64)).unwrap()
    }

    fn chance(&mut self, percent: u64) -> bool {
        self.below(100) < percent
    }

    /// Intervals, in the order of their effects. Times are few, so that many meet.
    fn intervals(&mut self) -> Vec<Interval> {
        let count = 2 + self.below(LENGTH_MAX - 1);
        let span = 4 + self.below(4 * LENGTH_MAX);
        let length = 1 + self.below(10);
        let pending = [0, 10, 40][self.index(3)];
        let mut intervals: Vec<Interval> = (0..count)
            .map(|_| {
                let effect = self.below(span).cast_signed();
                let call = effect - self.below(length).cast_signed();
                let returned = effect + self.below(length).cast_signed();
                Interval { call, effect, returned: (!self.chance(pending)).then_some(returned) }
            })
            .collect();
        intervals.sort_by_key(|interval| interval.effect);
        intervals
    }

    /// Operations with what `answer` makes of them one after another, then spoilt once or not at all.
    fn history<I: Clone, O: Clone>(
        &mut self,
        mut answer: impl FnMut(&mut Self) -> (I, O),
        mut spoil: impl FnMut(&mut Self, &I) -> O,
    ) -> History<I, O> {
        let intervals = self.intervals();
        let mut operations: Vec<Operation<I, O>> = (0..)
            .zip(intervals)
            .map(|(id, interval)| {
                let (input, output) = answer(self);
                let completion = interval.returned.map(|at| Completion { at, output });
                Operation { id, process: id, call: interval.call, input, completion }
            })
            .collect();
        if self.chance(60) {
            let index = self.index(operations.len());
            let output = spoil(self, &operations[index].input);
            if let Some(completion) = &mut operations[index].completion {
                completion.output = output;
            }
        }
        // The order in which operations stand in the history must not matter.
        for index in (1..operations.len()).rev() {
            operations.swap(index, self.index(index + 1));
        }
        for (id, operation) in (0..).zip(&mut operations) {
            operation.id = id;
        }
        History::from_operations(operations).unwrap()
    }

    /// A value to write: unique or one of a few.
    fn value(&mut self, unique: bool, fresh: &mut u64) -> u64 {
        *fresh += 1;
        if unique { *fresh } else { self.below(3) }
    }

    pub(crate) fn register(&mut self) -> History<RegisterInput<u64>, RegisterOutput<u64>> {
        let (unique, mut fresh, mut state) = (self.chance(50), 0, 0);
        self.history(
            |draw| {
                if draw.chance(50) {
                    return (RegisterInput::Read, RegisterOutput::Value(state));
                }
                state = draw.value(unique, &mut fresh);
                (RegisterInput::Write(state), RegisterOutput::Written)
            },
            |draw, input| match input {
                RegisterInput::Read => RegisterOutput::Value(draw.below(4)),
                RegisterInput::Write(_) => RegisterOutput::Written,
            },
        )
    }

    pub(crate) fn cas_register(
        &mut self,
    ) -> History<CasRegisterInput<u64>, CasRegisterOutput<u64>> {
        use {CasRegisterInput as Input, CasRegisterOutput as Output};
        let (unique, tells, mut fresh, mut state) = (self.chance(50), self.chance(50), 0, 0);
        self.history(
            |draw| match draw.below(4) {
                0 => (Input::Read, Output::Value(state)),
                1 => {
                    state = draw.value(unique, &mut fresh);
                    (Input::Write(state), Output::Written)
                }
                _ => {
                    let expected = if draw.chance(70) { state } else { draw.below(4) };
                    let new = draw.value(unique, &mut fresh);
                    let input = Input::Cas { expected, new };
                    if expected == state {
                        state = new;
                        return (input, Output::Swapped);
                    }
                    (input, if tells { Output::Was(state) } else { Output::NotSwapped })
                }
            },
            |draw, input| match input {
                Input::Read => Output::Value(draw.below(4)),
                Input::Write(_) => Output::Written,
                Input::Cas { .. } => match draw.below(3) {
                    0 => Output::Swapped,
                    1 => Output::NotSwapped,
                    _ => Output::Was(draw.below(4)),
                },
            },
        )
    }

    pub(crate) fn key_value(&mut self) -> (Symbols, History<KeyValueInput, KeyValueOutput>) {
        let mut symbols = Symbols::new();
        let keys = [symbols.intern(b"k"), symbols.intern(b"l")];
        let keys = &keys[..1 + usize::from(self.chance(20))];
        let mut service = Service {
            kinds: [2, 3, 5, 5][self.index(4)],
            unique: self.chance(60),
            tells: self.chance(60),
            versions: self.chance(30),
            fresh: 0,
            version: 0,
            states: [const { (Vec::new(), true, 0) }; 2],
        };
        let symbols = std::cell::RefCell::new(symbols);
        let history = self.history(
            |draw| {
                let key = draw.index(keys.len());
                let (call, output) = service.answer(draw, key, &mut symbols.borrow_mut());
                (KeyValueInput { key: keys[key], call }, output)
            },
            |draw, input| spoil(draw, input, &symbols.borrow()),
        );
        (symbols.into_inner(), history)
    }

    pub(crate) fn sloppy_counter(&mut self) -> History<Bump, u64> {
        let mut state = 0;
        self.history(
            |draw| {
                let bump = Bump(1 + draw.below(2));
                state += draw.below(bump.0 + 1);
                (bump, state)
            },
            |draw, _| draw.below(8),
        )
    }
}

/// A real key-value service.
struct Service {
    kinds: u64,
    unique: bool,
    tells: bool,
    versions: bool,
    fresh: u64,
    version: u64,
    /// Of each key: the value, whether it is absent, and since which version.
    states: [(Vec<u8>, bool, u64); 2],
}

impl Service {
    fn text(&mut self, draw: &mut Draw) -> Vec<u8> {
        let number = draw.value(self.unique, &mut self.fresh);
        match self.unique {
            true => format!("{number};").into_bytes(),
            false => vec![b'a' + u8::try_from(number).unwrap()],
        }
    }

    fn answer(
        &mut self,
        draw: &mut Draw,
        key: usize,
        symbols: &mut Symbols,
    ) -> (KeyValueCall, KeyValueOutput) {
        let kind = draw.below(self.kinds + 2);
        let text = self.text(draw);
        let token = symbols.intern(&text);
        let (value, absent, since) = &mut self.states[key];
        let now = (!*absent).then(|| symbols.intern(value));
        match kind {
            2 => {
                (*value, *absent) = (text, false);
                (KeyValueCall::Put(token), KeyValueOutput::Done)
            }
            3 => {
                let expected = if draw.chance(70) { now } else { Some(token) };
                let call = KeyValueCall::Cas { expected, new: token };
                if expected == now {
                    (*value, *absent) = (text, false);
                    return (call, KeyValueOutput::Swapped);
                }
                let failed = KeyValueOutput::NotSwapped;
                (call, if self.tells { KeyValueOutput::Was(now) } else { failed })
            }
            4 => {
                let before = if *absent { Vec::new() } else { std::mem::take(value) };
                (*value, *absent) = ([before, text].concat(), false);
                (KeyValueCall::Append(token), KeyValueOutput::Done)
            }
            6 => {
                self.version += 1;
                (*absent, *since) = (true, self.version);
                let versioned = KeyValueOutput::Deleted(self.version);
                let output = if self.versions { versioned } else { KeyValueOutput::Done };
                (KeyValueCall::Delete, output)
            }
            _ => {
                let absence = match self.versions {
                    true => KeyValueOutput::AbsentSince(*since),
                    false => KeyValueOutput::Absent,
                };
                (KeyValueCall::Get, now.map_or(absence, KeyValueOutput::Value))
            }
        }
    }
}

fn spoil(draw: &mut Draw, input: &KeyValueInput, symbols: &Symbols) -> KeyValueOutput {
    let mut any = || -> Symbol {
        let index = draw.index(symbols.len());
        symbols.iter().nth(index).unwrap()
    };
    match input.call {
        KeyValueCall::Get => match any() {
            key if key == input.key => KeyValueOutput::Absent,
            value => KeyValueOutput::Value(value),
        },
        KeyValueCall::Cas { .. } => match draw.below(3) {
            0 => KeyValueOutput::Swapped,
            1 => KeyValueOutput::NotSwapped,
            _ => KeyValueOutput::Was(None),
        },
        KeyValueCall::Put(_) | KeyValueCall::Append(_) | KeyValueCall::Delete => {
            KeyValueOutput::Done
        }
    }
}

/// Adds at most this much to a counter that may lose part of it, and answers the sum.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Bump(u64);

/// A counter whose steps have more than one outcome, even when nobody hears of it.
pub(crate) struct SloppyCounter;

impl Model for SloppyCounter {
    type State = u64;
    type Input = Bump;
    type Output = u64;
    type Key = ();

    fn key(&self, _: &Bump) {}

    fn initial(&self, (): &()) -> u64 {
        0
    }

    fn step(&self, state: &u64, input: &Bump, output: Option<&u64>, next: &mut Vec<u64>) {
        for more in 0..=input.0 {
            let after = state + more;
            if output.is_none_or(|output| *output == after) {
                next.push(after);
            }
        }
    }
}
