//! Bad luck of single packets, as it is written in a scenario: instead of chances, or besides them.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::cluster::packet::{PACKET_KINDS, number_of_kind};
use crate::cluster::selector::Words;
use crate::engine::{PacketFate, PacketName};
use crate::faults::Selector;

/// What becomes of one packet, whatever the rates say. Nothing, if it is never sent.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct NamedFate {
    /// The node that sends it, by number: `r0`, `c1`.
    pub from: Selector,
    /// The node that it is for.
    pub to: Selector,
    /// The name of its kind.
    pub kind: String,
    /// What it is about.
    pub identity: u64,
    /// How many of this link, kind and identity come before it.
    #[serde(default)]
    pub nth: u32,
    /// What becomes of it.
    pub fate: PacketFate,
}

impl NamedFate {
    /// The fate of the packet called `name`.
    #[must_use]
    pub fn of(words: Words, name: &PacketName, fate: PacketFate) -> Self {
        Self {
            from: words.name(name.from),
            to: words.name(name.to),
            kind: PACKET_KINDS[usize::from(name.kind)].to_owned(),
            identity: name.identity,
            nth: name.nth,
            fate,
        }
    }

    /// The packet, unless the cluster has no such nodes.
    #[must_use]
    pub fn packet(&self, words: Words) -> Option<PacketName> {
        Some(PacketName {
            from: words.node(&self.from)?,
            to: words.node(&self.to)?,
            kind: number_of_kind(&self.kind)?,
            identity: self.identity,
            nth: self.nth,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::Span;
    use crate::scenario::draw::Overrides;
    use crate::scenario::run::Runner;
    use crate::scenario::{Scenario, file};

    fn read(text: &str) -> Result<NamedFate, String> {
        let fate: NamedFate = serde_json::from_str(text).map_err(|error| error.to_string())?;
        let whole = format!("{{\"format\":1,\"fates\":[{text}]}}");
        file::parse(&whole).map(|_| fate).map_err(|error| error.to_string())
    }

    #[test]
    fn a_fate_names_one_packet_and_reads_as_it_is_written() {
        let text = r#"{"from":"r0","to":"c1","kind":"Reply","identity":7,"nth":2,"fate":{"late":{"by":"3ms"}}}"#;
        let fate = read(text).unwrap();
        assert_eq!(fate.fate, PacketFate::Late { by: Span::from_ms(3) });
        assert_eq!(serde_json::to_string(&fate).unwrap(), text);
        let words = Words { replicas: 3, clients: 2 };
        let packet = fate.packet(words).unwrap();
        assert_eq!(NamedFate::of(words, &packet, fate.fate), fate);
        assert_eq!(fate.packet(Words { replicas: 3, clients: 1 }), None);
        for (text, words) in [
            (
                r#"{"from":"all","to":"r1","kind":"Reply","identity":7,"fate":"lost"}"#,
                "no single node",
            ),
            (r#"{"from":"r0","to":"r1","kind":"Answer","identity":7,"fate":"lost"}"#, "no kind"),
            (r#"{"from":"r0","to":"r1","kind":"Reply","identity":7,"fate":"eaten"}"#, "eaten"),
        ] {
            let error = read(text).unwrap_err();
            assert!(error.contains(words), "{error}");
        }
    }

    /// What the rates did is written out, the rates are set to zero, and the run stays the same to the last event.
    #[test]
    fn a_run_told_without_chances_is_the_same_run() {
        let mut runner: Runner = Runner::default();
        let mut fates = 0;
        for number in 0..40 {
            let mut scenario =
                Scenario::draw(crate::engine::Seed::new(number), &Overrides::default());
            let (outcome, recorded) = runner.run_recorded(&scenario);
            fates += recorded.len();
            scenario.decide(recorded);
            assert_eq!(scenario.network.loss_ppm, 0);
            let told = file::text_of(&scenario);
            let told = file::parse(&told).unwrap();
            assert_eq!(runner.run(&told).trace_hash, outcome.trace_hash, "seed {number}");
        }
        assert!(fates > 1_000, "{fates}");
        // Were one fate missing, a failure by bad luck could not be taken apart.
    }
}
