//! Reads anything as a scenario: no panic, every refusal with its place, and what is read is what is written back.
//!
//! Seeds: `mkdir -p corpus/scenario && find ../../scenarios -name '*.json' -exec cp {} corpus/scenario \;`
#![no_main]

use libfuzzer_sys::fuzz_target;
use vsr_sim::cluster::key_value::service::KeyValueService;
use vsr_sim::report::sentences;
use vsr_sim::scenario::file;

fuzz_target!(|input: &[u8]| {
    let Ok(text) = file::text_in(input) else { return };
    match file::parse_all(text, &KeyValueService) {
        Ok(scenario) => {
            let written = file::text_of(&scenario);
            assert_eq!(file::parse(&written).as_ref(), Ok(&scenario), "{written}");
            assert!(!sentences::scenario(&scenario).is_empty());
        }
        Err(errors) => {
            let lines = text.split('\n').count();
            assert!(!errors.is_empty());
            for error in errors {
                assert!((1..=lines).contains(&error.line) && error.column >= 1, "{error}");
                assert!(!error.message.is_empty());
            }
        }
    }
});
