#![no_main]

mod common;

use libfuzzer_sys::fuzz_target;
use linearizability::read::porcupine;

fuzz_target!(|input: &[u8]| common::run(input, |reader, options| porcupine(reader, options)));
