//! The stream beside the checks that see all of a history.

use super::*;
use crate::check::explain;
use crate::{
    Budget, CasRegister, CasRegisterInput, CasRegisterOutput, History, Recorder, Verdict, check,
};
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng as _, SeedableRng as _};

use CasRegisterInput as Input;
use CasRegisterOutput as Output;

const MODEL: CasRegister<u64> = CasRegister { initial: 0 };

/// What happens to an operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Happens {
    Called,
    TakesEffect,
    Returned,
    Abandoned,
    /// It cannot take effect any more.
    Over,
}

/// One operation, and when what happens to it.
#[derive(Clone, Debug)]
struct Story {
    input: Input<u64>,
    output: Option<Output<u64>>,
    moments: Vec<(i64, Happens)>,
}

struct Dice(ChaCha8Rng);

impl Dice {
    fn up_to(&mut self, most: u32) -> u32 {
        self.0.next_u32() % (most + 1)
    }

    fn chance(&mut self, percent: u32) -> bool {
        self.up_to(99) < percent
    }
}

/// A history of an honest register: each process asks again after it was answered, or gives up for good.
fn honest(dice: &mut Dice) -> Vec<Story> {
    let mut stories = Vec::new();
    for _ in 0..=dice.up_to(3) {
        let mut now = i64::from(dice.up_to(6));
        for _ in 0..=dice.up_to(5) {
            let value = u64::from(dice.up_to(3));
            let input = match dice.up_to(2) {
                0 => Input::Read,
                1 => Input::Write(value),
                _ => Input::Cas { expected: value, new: u64::from(dice.up_to(3)) },
            };
            let called = now;
            let effect = called + i64::from(dice.up_to(5));
            let mut moments = vec![(called, Happens::Called)];
            let is_lost = dice.chance(15);
            if !is_lost || dice.chance(50) {
                moments.push((effect, Happens::TakesEffect));
            }
            now = effect + i64::from(dice.up_to(5));
            if is_lost {
                moments.push((called + i64::from(dice.up_to(9)), Happens::Abandoned));
                moments.push((effect + 20, Happens::Over));
            } else {
                moments.push((now, Happens::Returned));
            }
            stories.push(Story { input, output: None, moments });
            if is_lost {
                break;
            }
            now += 1 + i64::from(dice.up_to(2));
        }
        // The next process is another one: a story knows its process by its first call.
        stories.push(Story { input: Input::Read, output: None, moments: Vec::new() });
    }
    answer(&mut stories);
    stories
}

/// All that happens, in order: first by time, then calls, effects, returns.
fn all_that_happens(stories: &[Story]) -> Vec<(i64, Happens, usize)> {
    let mut all: Vec<(i64, Happens, usize)> = Vec::new();
    for (number, story) in stories.iter().enumerate() {
        all.extend(story.moments.iter().map(|(at, what)| (*at, *what, number)));
    }
    all.sort_by_key(|(at, what, number)| (*at, *what as u8, *number));
    all
}

/// Gives everybody the answer that a register gives.
fn answer(stories: &mut [Story]) {
    let mut value = 0;
    for (_, happens, number) in all_that_happens(stories) {
        if happens != Happens::TakesEffect {
            continue;
        }
        stories[number].output = Some(match stories[number].input.clone() {
            Input::Read => Output::Value(value),
            Input::Write(new) => {
                value = new;
                Output::Written
            }
            Input::Cas { expected, new } if expected == value => {
                value = new;
                Output::Swapped
            }
            Input::Cas { .. } => Output::NotSwapped,
        });
    }
}

/// Makes something wrong: an answer, or a moment.
fn spoil(dice: &mut Dice, stories: &mut [Story]) {
    let told: Vec<usize> =
        (0..stories.len()).filter(|story| stories[*story].output.is_some()).collect();
    if told.is_empty() {
        return;
    }
    let last = u32::try_from(told.len() - 1).unwrap();
    let story = &mut stories[told[dice.up_to(last) as usize]];
    if dice.chance(50) {
        story.output = Some(match story.output.take() {
            Some(Output::Value(value)) => Output::Value(value + 1),
            Some(Output::Swapped) => Output::NotSwapped,
            Some(Output::NotSwapped) => Output::Swapped,
            other => other.unwrap_or(Output::Written),
        });
    }
    if dice.chance(50) {
        // It takes effect long after it has returned: what comes in between is called later and stands before it.
        let later = i64::from(dice.up_to(9));
        for (at, what) in &mut story.moments {
            if *what == Happens::TakesEffect {
                *at += later;
            }
        }
    }
}

/// What two judges say, and of what.
struct Judged {
    stream: Result<(), Refusal>,
    /// Of who has seen everything.
    whole: Result<(), Refusal>,
    history: History<Input<u64>, Output<u64>>,
}

fn judged(stories: &[Story]) -> Judged {
    let mut processes = Vec::new();
    let mut process = 0;
    for story in stories {
        processes.push(process);
        process += u64::from(story.moments.is_empty());
    }
    let mut recorder = Recorder::new();
    let mut stream = Stream::new(MODEL);
    let mut order = Vec::new();
    let mut indices = vec![None; stories.len()];
    for (at, what, number) in all_that_happens(stories) {
        let (story, process) = (&stories[number], processes[number]);
        match what {
            Happens::Called => {
                let index = recorder.invoke(process, at, story.input.clone()).unwrap();
                assert_eq!(stream.invoke(process, at, story.input.clone()), Ok(index));
                indices[number] = Some(index);
            }
            Happens::TakesEffect => {
                order.push(indices[number].unwrap());
                stream.take_effect(indices[number].unwrap());
            }
            Happens::Returned => {
                let output = story.output.clone().unwrap();
                assert_eq!(
                    recorder.complete(process, at, output.clone()),
                    stream.complete(process, at, output)
                );
            }
            Happens::Abandoned => stream.abandon(process),
            Happens::Over => stream.never(indices[number].unwrap()),
        }
    }
    let history = recorder.finish();
    let whole = explain(&MODEL, &history, order).map(drop);
    Judged { stream: stream.finish(), whole, history }
}

#[test]
fn it_says_what_those_say_who_remember_everything() {
    let mut dice = Dice(ChaCha8Rng::seed_from_u64(1));
    let (mut good, mut wrong, mut impossible) = (0, 0, 0);
    for round in 0..30_000 {
        let mut stories = honest(&mut dice);
        let is_spoiled = round % 3 > 0;
        if is_spoiled {
            spoil(&mut dice, &mut stories);
        }
        let Judged { stream, whole, history } = judged(&stories);
        assert_eq!(
            stream.is_ok(),
            whole.is_ok(),
            "round {round}: {stream:?} {whole:?} {stories:?}"
        );
        assert!(is_spoiled || stream.is_ok(), "round {round}: {stream:?} {stories:?}");
        match check(&MODEL, &history, &Budget::default()) {
            Verdict::NotLinearizable(_) => {
                assert!(stream.is_err(), "round {round}: {stories:?}");
                impossible += 1;
            }
            Verdict::Linearizable(_) | Verdict::Unknown(_) => {}
        }
        if stream.is_ok() { good += 1 } else { wrong += 1 }
    }
    // All three are met often, or nothing was tested.
    assert!(good > 10_000 && wrong > 3_000 && impossible > 2_000, "{good} {wrong} {impossible}");
}

#[test]
fn what_is_judged_is_forgotten_however_long_it_goes_on() {
    let mut stream = Stream::new(MODEL);
    for number in 0..100_000 {
        let (process, at) = (number % 7, i64::try_from(number).unwrap());
        let index = stream.invoke(process, at, Input::Write(number)).unwrap();
        stream.take_effect(index);
        stream.complete(process, at, Output::Written).unwrap();
        assert_eq!(stream.held(), 0);
    }
    assert_eq!((stream.len(), stream.finish()), (100_000, Ok(())));
}

#[test]
fn every_refusal_has_its_name() {
    let write = |stream: &mut Stream<CasRegister<u64>>, process, at| {
        let index = stream.invoke(process, at, Input::Write(1)).unwrap();
        stream.complete(process, at + 1, Output::Written).unwrap();
        index
    };
    let mut stream = Stream::new(MODEL);
    let first = write(&mut stream, 0, 0);
    let second = write(&mut stream, 1, 5);
    stream.take_effect(second);
    stream.take_effect(first);
    let early = Refusal::RealTime { operation: first, before: second };
    assert_eq!(stream.refusal(), Some(&early));
    assert_eq!(stream.finish(), Err(early));

    let mut stream = Stream::new(MODEL);
    let missing = write(&mut stream, 0, 0);
    assert_eq!((stream.held(), stream.finish()), (1, Err(Refusal::Missing(missing))));

    let mut stream = Stream::new(MODEL);
    let open = stream.invoke(0, 0, Input::Read).unwrap();
    stream.take_effect(open);
    stream.take_effect(open);
    assert_eq!(stream.finish(), Err(Refusal::Twice(open)));

    let mut stream = Stream::new(MODEL);
    let judged = write(&mut stream, 0, 0);
    stream.take_effect(judged);
    stream.take_effect(judged);
    assert_eq!(stream.finish(), Err(Refusal::Stranger(judged)), "it is forgotten");

    let mut stream = Stream::new(MODEL);
    let read = stream.invoke(0, 0, Input::Read).unwrap();
    stream.complete(0, 1, Output::Value(3)).unwrap();
    stream.take_effect(read);
    assert_eq!(stream.finish(), Err(Refusal::Answer(read)));

    let mut stream = Stream::new(MODEL);
    let over = stream.invoke(0, 0, Input::Write(1)).unwrap();
    stream.abandon(0);
    stream.never(over);
    assert_eq!(stream.held(), 0);
    stream.take_effect(over);
    assert_eq!(stream.finish(), Err(Refusal::Stranger(over)), "it was said to be over");
}

#[test]
fn it_takes_calls_as_a_recorder_does() {
    let mut stream = Stream::new(MODEL);
    assert_eq!(stream.invoke(4, 10, Input::Read), Ok(0));
    let open = HistoryError::StillOpen { process: 4, first: 0, second: 1, call: 11 };
    assert_eq!(stream.invoke(4, 11, Input::Read), Err(open.clone()));
    let early = HistoryError::ReturnBeforeCall { id: 0, call: 10, returned: 9 };
    assert_eq!(stream.complete(4, 9, Output::Value(0)), Err(early));
    stream.take_effect(0);
    assert_eq!(stream.open(4).map(|open| open.id), Some(0));
    assert_eq!(stream.complete(4, 12, Output::Value(0)), Ok(0));
    let twice = HistoryError::NothingOpen { process: 4, at: 13 };
    assert_eq!(stream.complete(4, 13, Output::Value(0)), Err(twice));
    assert_eq!(stream.invoke(4, 11, Input::Read), Err(open));
    assert_eq!(stream.finish(), Ok(()));
}
