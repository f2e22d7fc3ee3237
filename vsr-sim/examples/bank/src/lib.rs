//! A bank: what somebody who embeds `vsr-core` writes. How it is tested is in `tests/bank.rs`.

use std::collections::BTreeMap;

use vsr_core::state_machine::StateMachine;

/// An account, by number.
pub type Account = u8;

/// What a client may ask of the bank.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Operation {
    /// Money comes from outside.
    Deposit {
        /// Where it goes.
        to: Account,
        /// How much.
        amount: u32,
    },
    /// Money goes from one account to another, if there is so much.
    Transfer {
        /// Where it comes from.
        from: Account,
        /// Where it goes.
        to: Account,
        /// How much.
        amount: u32,
    },
    /// How much is in each account?
    Balances,
}

/// What the bank answers.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Answer {
    /// It is done.
    Done,
    /// There is not so much money in the account.
    TooLittle,
    /// What is in each account that has anything.
    Balances(BTreeMap<Account, u64>),
    /// The bytes were no operation.
    Malformed,
}

const DEPOSIT: u8 = 1;
const TRANSFER: u8 = 2;
const BALANCES: u8 = 3;

const DONE: u8 = 1;
const TOO_LITTLE: u8 = 2;
const MALFORMED: u8 = 3;
const THESE: u8 = 4;

impl Operation {
    /// The bytes of the operation.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        match *self {
            Self::Deposit { to, amount } => with_amount(&[DEPOSIT, to], amount),
            Self::Transfer { from, to, amount } => with_amount(&[TRANSFER, from, to], amount),
            Self::Balances => vec![BALANCES],
        }
    }

    /// The operation of these bytes.
    #[must_use]
    pub fn decode(bytes: &[u8]) -> Option<Self> {
        match *bytes {
            [DEPOSIT, to, ref rest @ ..] => Some(Self::Deposit { to, amount: amount_of(rest)? }),
            [TRANSFER, from, to, ref rest @ ..] => {
                Some(Self::Transfer { from, to, amount: amount_of(rest)? })
            }
            [BALANCES] => Some(Self::Balances),
            _ => None,
        }
    }
}

fn with_amount(head: &[u8], amount: u32) -> Vec<u8> {
    let mut bytes = head.to_vec();
    bytes.extend_from_slice(&amount.to_le_bytes());
    bytes
}

fn amount_of(bytes: &[u8]) -> Option<u32> {
    bytes.try_into().ok().map(u32::from_le_bytes)
}

impl Answer {
    /// Appends the bytes of the answer.
    pub fn encode(&self, bytes: &mut Vec<u8>) {
        match self {
            Self::Done => bytes.push(DONE),
            Self::TooLittle => bytes.push(TOO_LITTLE),
            Self::Malformed => bytes.push(MALFORMED),
            Self::Balances(balances) => {
                bytes.push(THESE);
                put_balances(balances, bytes);
            }
        }
    }

    /// The answer of these bytes.
    #[must_use]
    pub fn decode(bytes: &[u8]) -> Option<Self> {
        match *bytes {
            [DONE] => Some(Self::Done),
            [TOO_LITTLE] => Some(Self::TooLittle),
            [MALFORMED] => Some(Self::Malformed),
            [THESE, ref rest @ ..] => balances_of(rest).map(Self::Balances),
            _ => None,
        }
    }
}

fn put_balances(balances: &BTreeMap<Account, u64>, bytes: &mut Vec<u8>) {
    for (account, balance) in balances {
        bytes.push(*account);
        bytes.extend_from_slice(&balance.to_le_bytes());
    }
}

fn balances_of(bytes: &[u8]) -> Option<BTreeMap<Account, u64>> {
    let (entries, rest) = bytes.as_chunks::<9>();
    let balance = |entry: &[u8; 9]| {
        let (account, balance) = entry.split_first()?;
        Some((*account, u64::from_le_bytes(balance.try_into().ok()?)))
    };
    if rest.is_empty() { entries.iter().map(balance).collect() } else { None }
}

/// The bank, as each replica holds it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Bank {
    /// What is in each account that has anything.
    balances: BTreeMap<Account, u64>,
    /// All that ever came from outside: the sum of all balances, always.
    deposited: u64,
}

impl Bank {
    fn answer(&mut self, operation: &Operation) -> Answer {
        match *operation {
            Operation::Deposit { to, amount } => {
                self.deposited += u64::from(amount);
                self.add(to, amount);
                Answer::Done
            }
            Operation::Transfer { from, to, amount } => {
                let balance = self.balances.get(&from).copied().unwrap_or_default();
                let Some(rest) = balance.checked_sub(amount.into()) else {
                    return Answer::TooLittle;
                };
                self.balances.insert(from, rest);
                self.add(to, amount);
                self.balances.retain(|_, balance| *balance > 0);
                Answer::Done
            }
            Operation::Balances => Answer::Balances(self.balances.clone()),
        }
    }

    fn add(&mut self, to: Account, amount: u32) {
        if amount > 0 {
            *self.balances.entry(to).or_default() += u64::from(amount);
        }
    }
}

impl StateMachine for Bank {
    fn apply(&mut self, operation: &[u8], reply: &mut Vec<u8>) {
        let operation = Operation::decode(operation);
        operation.map_or(Answer::Malformed, |operation| self.answer(&operation)).encode(reply);
        // No operation makes money, and none destroys it.
        assert_eq!(self.balances.values().sum::<u64>(), self.deposited);
    }

    fn snapshot(&self, snapshot: &mut Vec<u8>) {
        snapshot.extend_from_slice(&self.deposited.to_le_bytes());
        put_balances(&self.balances, snapshot);
    }

    fn restore(&mut self, snapshot: &[u8]) {
        let (deposited, balances) = snapshot.split_at(8);
        self.deposited = u64::from_le_bytes(deposited.try_into().expect("eight bytes"));
        self.balances = balances_of(balances).expect("what `snapshot` made");
    }
}
