//! What every target does with what its reader makes of the input.

use linearizability::read::{ReadError, ReadOptions, Recording, Vocabulary};
use linearizability::{Budget, Options, Verdict, check_with, verify};
use std::io::BufReader;

type Reader<'a> = BufReader<&'a [u8]>;

/// Reads `input` in small pieces and with every vocabulary. What can be read is checked, and small budgets are enough:
/// no panic, an order that holds, and the same answer with two threads.
pub fn run(input: &[u8], read: fn(Reader<'_>, &ReadOptions) -> Result<Recording, ReadError>) {
    for vocabulary in [Vocabulary::KeyValue, Vocabulary::CasRegister, Vocabulary::Register] {
        let options = ReadOptions { vocabulary, ..ReadOptions::default() };
        let reader = BufReader::with_capacity(7, input);
        let recording = match read(reader, &options) {
            Ok(recording) => recording,
            Err(error) => {
                assert!(error.line >= 1);
                assert!(error.to_string().len() < 2_000);
                continue;
            }
        };
        let (model, history) = recording.into_parts();
        let budget = Budget { steps: 20_000, bytes: 1 << 24, stop: None };
        let options = Options { budget, ..Options::default() };
        let verdict = check_with(&model, &history, &options);
        match &verdict {
            Verdict::Linearizable(witness) => {
                assert!(verify(&model, &history, witness.order()).is_ok());
            }
            Verdict::NotLinearizable(evidence) => assert!(evidence.unplaced < history.len()),
            Verdict::Unknown(_) => {}
        }
        assert_eq!(verdict, check_with(&model, &history, &Options { threads: 2, ..options }));
    }
}
