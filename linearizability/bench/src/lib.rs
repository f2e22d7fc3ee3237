//! Histories to measure with: clients of one register, or of a hundred, who ask, wait and sometimes crash.

use linearizability::{
    CasRegisterInput, CasRegisterOutput, Completion, History, KeyValueCall, KeyValueInput,
    KeyValueOutput, Operation, RegisterInput, RegisterOutput, Symbol, Symbols,
};
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng as _, SeedableRng as _};

/// A history of one register.
pub type RegisterHistory = History<CasRegisterInput<u64>, CasRegisterOutput<u64>>;

/// What a history of one register is made of.
#[derive(Debug, Clone, Copy)]
pub struct Shape {
    /// How many operations.
    pub operations: usize,
    /// How many clients ask at the same time.
    pub clients: usize,
    /// How many more clients ask one thing each, at random moments, and never hear again.
    pub crashed: usize,
    /// How many values there are; none for a new one each time.
    pub values: Option<u64>,
    /// Whether one read, after nine tenths of the history, sees what it cannot.
    pub bad: bool,
}

/// Where a client is with its operation.
#[derive(Debug, Clone, Copy)]
enum Client {
    Idle,
    Asked(usize),
    Answered(usize),
}

struct Random(ChaCha8Rng);

impl Random {
    fn below(&mut self, bound: usize) -> usize {
        usize::try_from(self.0.next_u64() % bound as u64).expect("below a usize")
    }
}

/// Draws the history that `shape` describes: a quarter writes, a quarter swaps, half reads. Failed swaps say what they
/// found.
pub fn register(shape: Shape, seed: u64) -> RegisterHistory {
    let mut random = Random(ChaCha8Rng::seed_from_u64(seed));
    let mut register =
        World { state: 0, fresh: 0, values: shape.values, time: 0, operations: Vec::new() };
    let mut clients = vec![Client::Idle; shape.clients];
    let crash_period = shape.operations / (shape.crashed + 1).max(1);
    let mut crashed = 0;
    let bad_at = shape.bad.then_some(shape.operations * 9 / 10);
    while register.operations.len() < shape.operations {
        register.time += 1;
        if crashed < shape.crashed && register.operations.len() >= (crashed + 1) * crash_period {
            crashed += 1;
            let input = register.draw(&mut random);
            let index = register.ask(1_000_000 + crashed as u64, input);
            // Half of them take effect.
            if random.below(2) == 0 {
                register.take_effect(index);
                register.operations[index].completion = None;
            }
            continue;
        }
        if bad_at == Some(register.operations.len()) {
            register.quiesce(&mut clients);
            register.contradict();
            continue;
        }
        let client = random.below(clients.len());
        clients[client] = match clients[client] {
            Client::Idle => {
                let input = register.draw(&mut random);
                Client::Asked(register.ask(client as u64, input))
            }
            Client::Asked(index) => {
                register.take_effect(index);
                Client::Answered(index)
            }
            Client::Answered(index) => {
                register.answer(index);
                Client::Idle
            }
        };
    }
    register.quiesce(&mut clients);
    History::from_operations(register.operations).expect("clients wait for their answers")
}

struct World {
    state: u64,
    fresh: u64,
    values: Option<u64>,
    time: i64,
    operations: Vec<Operation<CasRegisterInput<u64>, CasRegisterOutput<u64>>>,
}

impl World {
    fn value(&mut self, random: &mut Random) -> u64 {
        self.fresh += 1;
        match self.values {
            Some(values) => random.below(usize::try_from(values).expect("few")) as u64,
            None => self.fresh,
        }
    }

    fn draw(&mut self, random: &mut Random) -> CasRegisterInput<u64> {
        match random.below(4) {
            0 => CasRegisterInput::Write(self.value(random)),
            1 => {
                let new = self.value(random);
                let expected = if random.below(2) == 0 { self.state } else { self.value(random) };
                CasRegisterInput::Cas { expected, new }
            }
            _ => CasRegisterInput::Read,
        }
    }

    fn ask(&mut self, process: u64, input: CasRegisterInput<u64>) -> usize {
        let id = self.operations.len();
        let call = self.time;
        self.operations.push(Operation { id: id as u64, process, call, input, completion: None });
        id
    }

    fn take_effect(&mut self, index: usize) {
        let output = match self.operations[index].input {
            CasRegisterInput::Read => CasRegisterOutput::Value(self.state),
            CasRegisterInput::Write(value) => {
                self.state = value;
                CasRegisterOutput::Written
            }
            CasRegisterInput::Cas { expected, new } if expected == self.state => {
                self.state = new;
                CasRegisterOutput::Swapped
            }
            CasRegisterInput::Cas { .. } => CasRegisterOutput::Was(self.state),
        };
        // The time is set when the answer arrives.
        self.operations[index].completion = Some(Completion { at: i64::MAX, output });
    }

    fn answer(&mut self, index: usize) {
        let at = self.time;
        self.operations[index].completion.as_mut().expect("it took effect").at = at;
    }

    /// Lets every client have its answer.
    fn quiesce(&mut self, clients: &mut [Client]) {
        for client in clients {
            self.time += 1;
            if let Client::Asked(index) = *client {
                self.take_effect(index);
            }
            if let Client::Asked(index) | Client::Answered(index) = *client {
                self.answer(index);
            }
            *client = Client::Idle;
        }
    }

    /// Two writes and a read of the first, one after another, while nobody else is there.
    fn contradict(&mut self) {
        let values = match self.values {
            Some(_) => [1, 2],
            None => [self.fresh + 1, self.fresh + 2],
        };
        self.fresh += 2;
        for value in values {
            self.time += 1;
            let index = self.ask(2_000_000, CasRegisterInput::Write(value));
            self.take_effect(index);
            self.time += 1;
            self.answer(index);
        }
        self.time += 1;
        let index = self.ask(2_000_000, CasRegisterInput::Read);
        self.time += 1;
        let output = CasRegisterOutput::Value(values[0]);
        self.operations[index].completion = Some(Completion { at: self.time, output });
    }
}

/// A key-value history of `operations` by 50 clients on 100 keys, with values that are written once.
pub fn key_value(
    operations: usize,
    seed: u64,
) -> (Symbols, History<KeyValueInput, KeyValueOutput>) {
    const KEYS: usize = 100;
    const CLIENTS: usize = 50;
    let mut random = Random(ChaCha8Rng::seed_from_u64(seed));
    let mut symbols = Symbols::new();
    let keys: Vec<Symbol> =
        (0..KEYS).map(|key| symbols.intern(format!("k{key}").as_bytes())).collect();
    let mut states: Vec<Option<Symbol>> = vec![None; KEYS];
    let mut clients = [Client::Idle; CLIENTS];
    let mut recorded: Vec<Operation<KeyValueInput, KeyValueOutput>> =
        Vec::with_capacity(operations);
    let mut time = 0;
    while recorded.len() < operations
        || clients.iter().any(|client| !matches!(client, Client::Idle))
    {
        time += 1;
        let client = random.below(CLIENTS);
        clients[client] = match clients[client] {
            Client::Idle if recorded.len() == operations => Client::Idle,
            Client::Idle => {
                let key = random.below(KEYS);
                let id = recorded.len();
                let fresh = format!("v{id}");
                let call = match random.below(4) {
                    0 => KeyValueCall::Put(symbols.intern(fresh.as_bytes())),
                    1 => KeyValueCall::Cas {
                        expected: states[key],
                        new: symbols.intern(fresh.as_bytes()),
                    },
                    _ => KeyValueCall::Get,
                };
                let input = KeyValueInput { key: keys[key], call };
                let process = client as u64;
                recorded.push(Operation {
                    id: id as u64,
                    process,
                    call: time,
                    input,
                    completion: None,
                });
                Client::Asked(id)
            }
            Client::Asked(id) => {
                let input = recorded[id].input;
                let key = keys.iter().position(|key| *key == input.key).expect("one of them");
                let output = match input.call {
                    KeyValueCall::Put(value) => {
                        states[key] = Some(value);
                        KeyValueOutput::Done
                    }
                    KeyValueCall::Cas { expected, new } if expected == states[key] => {
                        states[key] = Some(new);
                        KeyValueOutput::Swapped
                    }
                    KeyValueCall::Cas { .. } => KeyValueOutput::Was(states[key]),
                    _ => states[key].map_or(KeyValueOutput::Absent, KeyValueOutput::Value),
                };
                recorded[id].completion = Some(Completion { at: i64::MAX, output });
                Client::Answered(id)
            }
            Client::Answered(id) => {
                recorded[id].completion.as_mut().expect("it took effect").at = time;
                Client::Idle
            }
        };
    }
    (symbols, History::from_operations(recorded).expect("clients wait for their answers"))
}

/// A history of reads and writes of one register, each value written once.
pub fn read_write(
    operations: usize,
    clients: usize,
    seed: u64,
) -> History<RegisterInput<u64>, RegisterOutput<u64>> {
    let shape = Shape { operations, clients, crashed: 0, values: None, bad: false };
    let mut random = Random(ChaCha8Rng::seed_from_u64(seed));
    let mut state = 0;
    let mut fresh = 0;
    // The intervals of the other kind of history, with questions of our own in the order of their effects.
    let intervals = register(shape, seed).into_operations();
    let recorded = intervals
        .into_iter()
        .map(|operation| {
            let at = operation.returned();
            let (input, output) = match random.below(2) {
                0 => (RegisterInput::Read, RegisterOutput::Value(state)),
                _ => {
                    fresh += 1;
                    state = fresh;
                    (RegisterInput::Write(state), RegisterOutput::Written)
                }
            };
            Operation {
                id: operation.id,
                process: operation.process,
                call: operation.call,
                input,
                completion: Some(Completion { at, output }),
            }
        })
        .collect();
    History::from_operations(recorded).expect("clients wait for their answers")
}
