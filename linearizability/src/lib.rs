//! A linearizability checker for recorded histories: a verdict, and the evidence for it.
//!
//! A history is what clients saw: who asked what, when, and what was answered when. It is linearizable if every
//! operation can be said to have taken effect at one moment between its call and its return, such that all answers are
//! those of an object that handles one operation after another.
//!
//! ```text
//!   r0   |-- write 1 --|
//!   r1          |------ read 1 ------|        linearizable: the write, then the read
//!   r2                     |-- read 1 --|
//! ```
//!
//! ```
//! use linearizability::{Budget, Recorder, Register, Verdict, check};
//! use linearizability::{RegisterInput::{Read, Write}, RegisterOutput::{Value, Written}};
//!
//! let mut recorder = Recorder::new();
//! recorder.invoke(0, 0, Write(1)).unwrap();
//! recorder.invoke(1, 10, Read).unwrap();
//! recorder.complete(0, 15, Written).unwrap();
//! recorder.invoke(2, 20, Read).unwrap();
//! recorder.complete(1, 30, Value(1)).unwrap();
//! recorder.complete(2, 35, Value(1)).unwrap();
//! let history = recorder.finish();
//!
//! let verdict = check(&Register { initial: 0 }, &history, &Budget::default());
//! let Verdict::Linearizable(witness) = verdict else { panic!("there is an order") };
//! assert_eq!(witness.order().collect::<Vec<_>>(), [0, 1, 2]);
//! ```
//!
//! The same with a second read that comes later and sees less:
//!
//! ```text
//!   r0   |-- write 1 ------------------------|
//!   r1      |-- read 1 --|
//!   r2                      |-- read 0 --|     not linearizable: r1 has already seen the 0 overwritten
//! ```
//!
//! ```
//! use linearizability::{Budget, Recorder, Register, Verdict, check};
//! use linearizability::{RegisterInput::{Read, Write}, RegisterOutput::{Value, Written}};
//!
//! let mut recorder = Recorder::new();
//! recorder.invoke(0, 0, Write(1)).unwrap();
//! recorder.invoke(1, 5, Read).unwrap();
//! recorder.complete(1, 15, Value(1)).unwrap();
//! recorder.invoke(2, 20, Read).unwrap();
//! recorder.complete(2, 30, Value(0)).unwrap();
//! recorder.complete(0, 40, Written).unwrap();
//! let history = recorder.finish();
//!
//! let verdict = check(&Register { initial: 0 }, &history, &Budget::default());
//! let Verdict::NotLinearizable(evidence) = verdict else { panic!("there is no order") };
//! assert_eq!(evidence.operations, [1, 2]);
//! assert_eq!(evidence.unplaced, 2);
//! ```

mod check;
mod engine;
mod evidence;
mod hash;
mod history;
mod model;
mod models;
pub mod read;
mod stream;
mod symbols;
mod verdict;
mod witness;

pub use check::{Detail, Engine, Options, check, check_order, check_with};
pub use history::{Completion, History, HistoryError, Operation, Recorder};
pub use model::{Model, RegisterStep, RegisterView};
pub use models::{
    CasRegister, CasRegisterInput, CasRegisterOutput, KeyValue, KeyValueCall, KeyValueInput,
    KeyValueOutput, KeyValueState, Register, RegisterInput, RegisterOutput,
};
pub use stream::Stream;
pub use symbols::{Symbol, Symbols};
pub use verdict::{Budget, Evidence, Exhausted, Resource, Verdict, Witness};
pub use witness::{Refusal, verify};
